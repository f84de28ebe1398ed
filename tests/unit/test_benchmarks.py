"""The benchmarks run, at tiny sizes: their numbers mean nothing here."""

import contextlib
import importlib
import io
import json
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
ratios = importlib.import_module("ratios")

# Recorded before a row was added or renamed, and why: to be recorded again. Then the entry goes, and the test says so.
STALE = {"telescope": "older than the row of maps that learn from single codes"}

# Recorded with a limit missed. The page of benchmarks shows it too.
MISSED = {"interactions": "the transform on two threads takes 3 copies of the array, where 2 are allowed"}

NAMES = sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py") if p.stem != "ratios")
LONG = ("interactions", "spectra", "symbols")


@pytest.fixture(scope="module", params=[pytest.param(n, marks=pytest.mark.nightly if n in LONG else ()) for n in NAMES])
def ran(request, tmp_path_factory):
    """A benchmark's name, the table of its quick run as text, and what it printed."""
    # Under a name of its own: the package has modules of these names too.
    spec = importlib.util.spec_from_file_location(
        f"benchmark_{request.param}", ROOT / "benchmarks" / f"{request.param}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = tmp_path_factory.mktemp("tables") / "new" / "file.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert ratios.main(request.param, module.SECTIONS, arguments=["--quick", "--out", str(out)]) == 0
    return request.param, out.read_text(), printed.getvalue()


def test_quick_run_writes_a_table_without_paths(ran):
    name, text, printed = ran
    content = json.loads(text)
    assert content["quick"] and set(content) == {"benchmark", "quick", "hardware", "packages", "rows"}
    assert content["benchmark"] == name
    fields = {"name", "ours_seconds", "peer", "peer_seconds", "ratio", "limit", "ok", "threads", "note"}
    assert all(set(row) == fields and row["ok"] and row["limit"] is None for row in content["rows"])
    assert len(content["rows"]) == len(printed.splitlines()) - 1 > 0
    assert "/work" not in text and str(ROOT) not in text and str(Path.home()) not in text


def kinds(content):
    """How many rows there are of each name, whatever the sizes in it."""
    return Counter(re.sub(r"\d+(\.\d+)?", "#", f"{row['name']} / {row['peer']}") for row in content["rows"])


def test_a_recorded_table_has_the_rows_of_its_benchmark(ran, request):
    name, text, _ = ran
    if name in STALE:
        request.applymarker(pytest.mark.xfail(reason=STALE[name], strict=True))
    recorded = json.loads((ROOT / "results" / "benchmarks" / f"{name}.json").read_text())
    assert kinds(recorded) == kinds(json.loads(text))


def test_a_missed_limit_is_named_and_fails(tmp_path, capsys):
    row = ratios.Row("slow thing", 2.0, "its peer", 1.0, 2.0, limit=1.5, ok=np.float64(2.0) <= 1.5)
    sections = (lambda quick: iter([row, replace(row, limit=3.0, ok=True)]),)
    assert ratios.main("anything", sections, arguments=["--out", str(tmp_path / "out.json")]) == 1
    assert [row["ok"] for row in json.loads((tmp_path / "out.json").read_text())["rows"]] == [False, True]
    assert capsys.readouterr().err == "missed: slow thing / its peer: 2, allowed 1.5\n"


def test_rows_with_more_threads_than_cores_are_skipped(monkeypatch):
    monkeypatch.setattr(ratios, "usable_cores", lambda: 1)
    row = ratios.compare("a", lambda: None, "b", lambda: None, limit=1.0, threads=2)
    assert row.ok and row.ratio is None and "skipped" in row.note


def faults(content):
    """What a recorded table lacks, in words."""
    name = content["benchmark"]
    missed = [row for row in content["rows"] if not row["ok"]]
    found = [f"{name}: {row['name']} / {row['peer']}: {row['ratio']}, allowed {row['limit']}" for row in missed]
    return found + ([f"{name}: a quick run"] if content["quick"] else [])


@pytest.mark.parametrize("name", NAMES)
def test_recorded_tables_are_of_whole_runs_within_their_limits(name, request):
    if name in MISSED:
        request.applymarker(pytest.mark.xfail(reason=MISSED[name], strict=True))
    assert faults(json.loads((ROOT / "results" / "benchmarks" / f"{name}.json").read_text())) == []


def test_a_bad_record_does_not_pass():
    content = json.loads((ROOT / "results" / "benchmarks" / "spectra.json").read_text())
    assert faults(content) == []
    missed = [dict(content["rows"][0], ok=False), *content["rows"][1:]]
    for changed in ({"rows": missed}, {"quick": True}):
        assert len(faults(content | changed)) == 1
