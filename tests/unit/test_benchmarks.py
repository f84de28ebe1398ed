"""The benchmarks run, at tiny sizes: their numbers mean nothing here."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
ratios = importlib.import_module("ratios")

# Fewer rows mean that a comparison was lost.
ROWS = {"interactions": 17, "spectra": 7, "symbols": 9, "telescope": 11}


NAMES = sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py") if p.stem != "ratios")
LONG = ("interactions", "spectra", "symbols")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.nightly if n in LONG else ()) for n in NAMES])
def test_quick_run_writes_a_table_without_paths(name, tmp_path, capsys):
    # Under a name of its own: the package has modules of these names too.
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = tmp_path / "new" / "file.json"
    assert ratios.main(name, module.SECTIONS, arguments=["--quick", "--out", str(out)]) == 0
    text = out.read_text()
    content = json.loads(text)
    assert content["quick"] and set(content) == {"benchmark", "quick", "hardware", "packages", "rows"}
    assert content["benchmark"] == name
    fields = {"name", "ours_seconds", "peer", "peer_seconds", "ratio", "limit", "ok", "threads", "note"}
    assert all(set(row) == fields and row["ok"] and row["limit"] is None for row in content["rows"])
    assert len(content["rows"]) == len(capsys.readouterr().out.splitlines()) - 1 >= ROWS[name]
    assert "/work" not in text and str(ROOT) not in text and str(Path.home()) not in text


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


def test_recorded_tables_are_of_whole_runs():
    tables = [json.loads(path.read_text()) for path in (ROOT / "results" / "benchmarks").glob("*.json")]
    assert tables and not any(content["quick"] for content in tables)
