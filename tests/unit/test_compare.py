"""Two results files that were made up, and what is to be said of their differences."""

import copy
import json
import subprocess
import sys

import compare
import pytest
from repro import TIMED
from tiny import ROOT


def claim(name, value, verdict="reproduced", **more):
    return {
        "id": name,
        "value": value,
        "ci": [value - 1, value + 1],
        "baseline": {"chance": 0.5},
        "verdict": verdict,
        "note": "",
    } | more


@pytest.fixture
def results():
    return {
        "chapter": "03_functional_telescope", "preset": "quick", "run": "default",
        "parameters": {"seed": 0, "device": "cpu", "out_dir": "a", "grid": 6},
        "provenance": {"seconds": 3.0},
        "claims": [claim("TEL-1", 2.0), claim("TEL-2", 0.0, "partly"), claim(TIMED, 4.0)],
        "metrics": {"accuracy": {"trained": [0.9, 0.8]}, "stages": ["layer1"], "none": None},
    }  # fmt: skip


@pytest.fixture
def compared(tmp_path, results, capsys):
    """`compared(change)` changes a copy of the results; gives the exit status and the lines."""

    def run(change, *words):
        other = copy.deepcopy(results)
        change(other)
        for name, content in (("a", results), ("b", other)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        status = compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json"), *words])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return run


def test_the_same_numbers(compared):
    def change(other):
        other["parameters"] |= {"device": "cuda", "out_dir": "b"}
        other["provenance"] = {"seconds": 9.0}
        other["claims"][2] |= {"value": 400.0, "verdict": "not reproduced"}  # seconds are no two runs' own

    status, lines, _ = compared(change)
    assert status == 0 and len(lines) == 1
    assert lines[0].startswith("03_functional_telescope (quick): 0 of 3 verdicts differ; 0 of ")


def test_another_verdict_is_named_and_fails(compared):
    status, lines, _ = compared(lambda other: other["claims"][1].update(verdict="not reproduced", note="a reason"))
    assert status == 1 and lines[0] == "verdict differs: TEL-2: partly | not reproduced" and len(lines) == 2
    assert ": 1 of 3 verdicts differ; 0 of " in lines[1]


def test_a_claim_that_one_file_lacks_is_another_verdict(compared):
    status, lines, _ = compared(lambda other: other["claims"].pop(0))
    assert status == 1 and "verdict differs: TEL-1: reproduced | missing" in lines


@pytest.mark.parametrize(
    ("value", "words", "named"),
    [
        # |2 - x| against 0.01 + 0.05 max(2, x): the border is (2 + 0.01) / 0.95 = 2.1158 above and 2 - 0.11 = 1.89 below.
        (2.115, (), False),
        (2.117, (), True),
        (1.891, (), False),
        (1.889, (), True),
        (2.115, ("--relative", "0", "--absolute", "0.2"), False),
        (2.115, ("--relative", "0", "--absolute", "0.1"), True),
        (2.0000001, ("--relative", "0", "--absolute", "0"), True),
        (-2.0, (), True),
    ],
)
def test_a_value_beyond_the_tolerance_is_named_and_does_not_fail(compared, value, words, named):
    status, lines, _ = compared(lambda other: other["claims"][0].update(value=value), *words)
    assert status == 0
    assert [line.startswith("value differs: claims.TEL-1.value: 2.0 | ") for line in lines[:-1]] == [True] * named


def test_values_that_are_far_come_first_and_many_are_counted(compared):
    def change(other):
        other["metrics"]["accuracy"]["trained"] = [0.7, 0.1]
        other["metrics"]["none"] = 1.0
        other["metrics"]["stages"] = [f"layer{i}" for i in range(2, 30)]

    status, lines, _ = compared(change)
    assert status == 0 and len(lines) == compare.SHOWN + 2
    assert lines[-2] == f"and {31 - compare.SHOWN} values more" and "; 31 of " in lines[-1]
    fewer = compared(lambda other: other["metrics"]["accuracy"].update(trained=[0.7, 0.1]))[1]
    assert [line.split(": ")[1] for line in fewer[:2]] == ["metrics.accuracy.trained[1]", "metrics.accuracy.trained[0]"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda other: other.update(chapter="01_symbols"),
            "chapter: 03_functional_telescope and 01_symbols: must be the same",
        ),
        (lambda other: other.update(preset="paper"), "preset: quick and paper: must be the same"),
        (lambda other: other["parameters"].update(grid=7), "parameters: grid = 6 and 7: must be the same"),
        (lambda other: other["parameters"].pop("seed"), "parameters: seed = 0 and None: must be the same"),
        (lambda other: other.update(claims=[]), "judges no claim"),
        (lambda other: other.pop("metrics"), "not a results file: KeyError"),
        (lambda other: other.update(claims=[{"id": "TEL-1"}]), "not a results file: KeyError"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(compared, change, why):
    status, lines, said = compared(change)
    assert status == 2 and lines == [] and said.startswith("error: ") and why in said and said.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe", b'{"claims": 3}'])
def test_a_file_that_is_missing_or_no_results_is_refused(tmp_path, capsys, content):
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    assert compare.main([str(file), str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {file}: ") and said.count("\n") == 1


def test_as_the_workflow_calls_it(tmp_path, results):
    """By its path, from the root of a checkout."""
    (tmp_path / "a.json").write_text(json.dumps(results))
    results["claims"][0]["verdict"] = "partly"
    (tmp_path / "b.json").write_text(json.dumps(results))
    words = [sys.executable, "workflow/compare.py", str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout.startswith("verdict differs: TEL-1: reproduced | partly\n"), done.stderr
    text = (ROOT / ".github" / "workflows" / "gpu.yml").read_text(encoding="utf-8")
    assert "python workflow/compare.py " in text and "set -o pipefail" in text
