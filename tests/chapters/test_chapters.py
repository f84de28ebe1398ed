"""Every chapter runs at a tiny size in a fresh kernel, in another folder, and gives the same numbers again."""

import ast
import json

import editions
import jsonschema
import jupytext
import nbformat
import pytest
import runs
import yaml
from tiny import ROOT, TIMED, TINY

from innercodes import claims, exercises, parameters, provenance

CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))
NUMBER = {"type": "number"}
RESULTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["chapter", "preset", "run", "parameters", "provenance", "claims", "metrics"],
    "properties": {
        **{name: {"type": "string"} for name in ("chapter", "preset", "run")},
        **{name: {"type": "object"} for name in ("parameters", "provenance", "metrics")},
        "claims": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "value", "ci", "baseline", "verdict", "note"],
                "properties": {
                    "value": {"type": ["number", "null"]},
                    "ci": {
                        "oneOf": [{"type": "null"}, {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}]
                    },
                    "verdict": {"enum": list(claims.VERDICTS)},
                    "note": {"type": "string"},
                },
            },
        },
    },
}


def papers_size():
    """The settings of chapter 03 at the paper's scale, with a tiny network and few embedded pictures."""
    given = yaml.safe_load((ROOT / "presets/paper/03_functional_telescope--resnet18.yml").read_text())
    return given | TINY["03_functional_telescope"] | {"dataset": "digits", "pretrained": False, "beyond": "none"}


def untimed(results):
    return [row for row in results["claims"] if row["id"] != TIMED]


def test_every_chapter_has_a_tiny_size():
    assert set(TINY) == set(CHAPTERS) == set(parameters.CHAPTERS)


def check_whole(chapter, results):
    jsonschema.validate(results, RESULTS)
    assert {row["id"] for row in results["claims"]} == set(claims.of_chapter(chapter))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_run_of_the_book_is_whole(chapter):
    path = ROOT / runs.Key("quick", chapter, "default").folder / "results.json"
    assert path.is_file(), f"{chapter} was not run: run `make book` first"
    check_whole(chapter, json.loads(path.read_text(encoding="utf-8")))


# The book has just run every chapter, larger than this: here one is enough by day, and the others are run by night.
BY_DAY = "03_functional_telescope"


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name == BY_DAY else pytest.mark.nightly) for name in CHAPTERS],
)
def ran(papermill, tmp_path_factory, request):
    """A chapter with its results at the tiny size, and the notebook with its outputs.

    Run is its edition for instructors: all of the chapter, its exercises filled in, its checks, and the teaching notes.
    """
    folder = tmp_path_factory.mktemp("instructor")
    notebook, executed = folder / "instructor.ipynb", folder / "executed.ipynb"
    nbformat.write(editions.edition(request.param, "instructor"), notebook)
    done, results = papermill(request.param, notebook=notebook, executed=executed, **TINY[request.param])
    assert done.returncode == 0, done.stderr[-3000:]
    return request.param, results, nbformat.read(executed, as_version=4)


def test_a_chapter_runs(ran):
    chapter, results, _ = ran
    check_whole(chapter, results)
    assert results["parameters"]["n_seeds"] == TINY[chapter]["n_seeds"]


def test_every_check_passes_in_the_edition_for_instructors(ran):
    chapter, _, executed = ran
    checks = [cell for cell in executed.cells if cell.source.startswith("exercises.check_")]
    assert [cell.source for cell in checks] == [exercise.call for exercise in exercises.EXERCISES[chapter]]
    shown = [cell.outputs[0].data["text/plain"] for cell in checks]
    assert [text for text in shown if not text.startswith("✓ right")] == []


def test_a_chapter_gives_the_same_numbers_again(papermill, ran):
    """The chapter itself: exercises that are filled in change nothing."""
    chapter, first, _ = ran
    done, second = papermill(chapter, **TINY[chapter], out_dir="a folder/with ü")
    assert done.returncode == 0, done.stderr[-3000:]
    assert untimed(second) == untimed(first) and second["metrics"] == first["metrics"]


@pytest.mark.nightly
def test_another_seed_gives_other_numbers(papermill, ran):
    chapter, first, _ = ran
    done, second = papermill(chapter, **TINY[chapter], seed=11)
    assert done.returncode == 0, done.stderr[-3000:]
    assert untimed(second) != untimed(first)


@pytest.mark.nightly
def test_the_telescope_runs_with_the_settings_of_the_paper(papermill):
    done, results = papermill("03_functional_telescope", **papers_size())
    assert done.returncode == 0, done.stderr[-3000:]
    check_whole("03_functional_telescope", results)
    # What one run of several networks can not judge keeps its number among the metrics.
    assert results["preset"] == "paper" and {"TEL-2", "TEL-17"} <= set(results["metrics"]["endpoints"])


BAD = [
    ({"n_seeds": 0}, "ParameterError: n_seeds = 0: must be a whole number from 1 to 100"),
    ({"sede": 1}, "ParameterError: sede: "),
    ({"data_root": "no/such/folder"}, "ParameterError: data_root = 'no/such/folder': must be a folder that exists"),
]


# Every chapter refuses by the same check: one of them is asked about all values, the others that they ask it.
@pytest.mark.parametrize(
    ("chapter", "bad", "begins"),
    [(CHAPTERS[0], *case) for case in BAD] + [(chapter, *BAD[0]) for chapter in CHAPTERS[1:]],
)
def test_a_bad_value_stops_before_any_work_with_one_clear_last_line(papermill, chapter, bad, begins):
    done, results = papermill(chapter, **bad)
    assert done.returncode != 0 and results is None
    assert done.stderr.strip().splitlines()[-1].startswith(begins)


def test_a_lost_parameters_tag_is_an_error(papermill, tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / f"{CHAPTERS[0]}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)
    nbformat.write(notebook, tmp_path / "untagged.ipynb")
    done, results = papermill(CHAPTERS[0], notebook=tmp_path / "untagged.ipynb", seed=4)
    assert done.returncode != 0 and results is None
    assert "lost the tag 'parameters'" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_parameters_cell_is_the_declaration(chapter):
    """One tagged cell, a plain scalar and a comment a line, the declared defaults; the check is the first code after it."""
    notebook = jupytext.read(ROOT / "notebooks" / f"{chapter}.py")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", ())]
    assert tagged == code[:1]
    lines = tagged[0].source.splitlines()
    assert all("  # " in line for line in lines)
    values = {line.split(" = ")[0]: ast.literal_eval(line.split(" = ", 1)[1].split("  # ")[0]) for line in lines}
    declared = {p.name: p.default for p in parameters.CHAPTERS[chapter]}
    assert values == declared and [type(v) for v in values.values()] == [type(declared[name]) for name in values]
    assert f'parameters.check("{chapter}", globals())' in code[1].source


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_defines_no_long_function(chapter):
    for node in ast.walk(ast.parse("\n".join(provenance.code_cells(chapter)))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.end_lineno - node.lineno < 6, f"{node.name} belongs into the package"
