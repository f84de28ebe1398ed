"""A sweep that is killed goes on where it was, from odd folders too, and ends complete; a row can be run alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

NUMBERS = ["row", "chapter", "preset", "run", "seed", "kind", "name", "value", "low", "high", "verdict", "baseline"]
ODD = "a 'quoted' \"folder\" with ü"
LIMIT = 5400
"""Seconds: a busy machine may take its time."""


def command(checkout: Path, goal: str, *words: str) -> tuple[list[str], dict]:
    return [sys.executable, "workflow/engine.py", goal, *words], {
        "cwd": checkout, "env": os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}, "text": True,
    }  # fmt: skip


def engine(checkout: Path, goal: str, *words: str) -> str:
    line, options = command(checkout, goal, *words)
    done = subprocess.run(line, **options, capture_output=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def kill_when_done(checkout: Path, count: int, cores: int, *words: str) -> list[Path]:
    """Start a sweep and kill -9 all of it when so many runs are done and the next have begun; gives the results there are."""
    with started(checkout, "sweep", *words) as process:
        wait_until(process, lambda: len(done_runs(checkout)) >= count and len(begun(checkout)) >= count + cores)
    return done_runs(checkout)


@contextlib.contextmanager
def started(checkout: Path, goal: str, *words: str) -> Iterator[subprocess.Popen]:
    """An engine at work in a session of its own, of which nothing is left afterwards."""
    line, options = command(checkout, goal, *words)
    process = subprocess.Popen(
        line, **options, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(process: subprocess.Popen, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def begun(checkout: Path) -> list[Path]:
    return sorted((checkout / "_build" / "runs" / "quick").glob("*/fingerprint.json"))


def beginning(results: Path) -> int:
    """When the run of these results began; Snakemake renews the times of the results themselves."""
    return (results.parent / "fingerprint.json").stat().st_mtime_ns


def done_runs(checkout: Path) -> list[Path]:
    folders = (checkout / "_build" / "runs" / "quick").glob("*/chapter.ipynb")
    return sorted(folder.parent / "results.json" for folder in folders)


def kill_and_resume(checkout: Path, file: Path, count: int, after: int, cores: int) -> pd.DataFrame:
    """The table of a sweep that was killed after some runs; nothing that was done is done again."""
    data_root = file.parent / ".." / ODD
    words = [
        "--sweep",
        str(file),
        "--params",
        f"'data_root={data_root}'".replace("'quoted'", "'\\''quoted'\\''"),
        "--cores",
        str(cores),
    ]
    finished = kill_when_done(checkout, after, cores, *words)
    assert len(finished) < count and not list((checkout / "_build" / "sweeps").glob("*/index.html"))
    before = [beginning(path) for path in finished]
    engine(checkout, "sweep", *words)
    assert [beginning(path) for path in finished] == before
    assert len(done_runs(checkout)) == count
    folder = checkout / "_build" / "sweeps" / file.stem
    page = (folder / "index.html").read_text()
    assert f"{count} runs" in page and str(file.parent) not in page
    table, made = pd.read_parquet(folder / "results.parquet"), (folder / "index.html").stat().st_mtime_ns
    # Nothing changed: nothing is done.
    engine(checkout, "sweep", *words)
    assert (folder / "index.html").stat().st_mtime_ns == made and len(done_runs(checkout)) == count
    return table


@pytest.mark.nightly
def test_a_killed_sweep_goes_on_where_it_was(short_checkout, seeds, tmp_path):
    table = kill_and_resume(short_checkout, seeds(tmp_path / ODD / "two.csv", 2), count=2, after=1, cores=1)
    assert set(table["seed"]) == {0, 1} and table["value"].notna().sum() > 20


@pytest.mark.nightly
def test_a_run_that_ended_just_before_the_kill_is_not_done_again(short_checkout, seeds, tmp_path):
    """Its results are there, and Snakemake has not noted it yet: it would delete them."""
    words = ["--sweep", str(seeds(tmp_path / "one.csv", 1))]
    with started(short_checkout, "sweep", *words) as process:
        wait_until(process, lambda: done_runs(short_checkout))
    assert [p for p in (short_checkout / ".snakemake" / "incomplete").rglob("*") if p.is_file()]
    (results,) = done_runs(short_checkout)
    before = beginning(results), results.read_text()
    engine(short_checkout, "sweep", *words)
    assert (beginning(results), results.read_text()) == before
    assert (short_checkout / "_build" / "sweeps" / "one" / "index.html").is_file()


@pytest.mark.nightly
def test_a_row_beside_the_sweep_that_wants_it(short_checkout, seeds, tmp_path):
    """The sweep of two runs is at work on one when somebody runs the other: it is waited for, and not done twice."""
    words = ["--sweep", str(seeds(tmp_path / "two.csv", 2))]
    with started(short_checkout, "sweep", "--cores", "1", *words) as process:
        wait_until(process, lambda: begun(short_checkout))
        (first,) = begun(short_checkout)
        described = json.loads((short_checkout / "_build" / "sweeps" / "two" / "sweep.json").read_text())
        folders = [short_checkout / row["folder"] for row in described["rows"]]
        assert first.parent in folders
        other = next(i for i, folder in enumerate(folders) if folder != first.parent)
        assert "is done" not in engine(short_checkout, "row", "--row", str(other + 1), *words)
        before = beginning(folders[other] / "results.json")
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, output
    assert beginning(folders[other] / "results.json") == before
    assert len(done_runs(short_checkout)) == 2


@pytest.mark.nightly
def test_six_runs_killed_in_the_middle_have_the_numbers_of_six_that_were_not(short_checkout, seeds, tmp_path):
    file = seeds(tmp_path / ODD / "six.csv", 6)
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(short_checkout), str(other)], check=True)
    table = kill_and_resume(short_checkout, file, count=6, after=2, cores=2)
    engine(other, "sweep", "--sweep", str(file), "--params", f'"data_root={tmp_path}"')
    expected = pd.read_parquet(other / "_build" / "sweeps" / "six" / "results.parquet")
    assert set(table["seed"]) == set(range(6))
    pd.testing.assert_frame_equal(table[NUMBERS], expected[NUMBERS], check_exact=True)


@pytest.mark.nightly
def test_the_rows_of_a_plain_job_array_are_the_runs_of_the_sweep(short_checkout, seeds, tmp_path):
    words = ["--sweep", str(seeds(tmp_path / "two.csv", 2))]
    for row in ("1", "2"):
        engine(short_checkout, "row", "--row", row, *words)
    before = {path: path.stat().st_mtime_ns for path in done_runs(short_checkout)}
    assert len(before) == 2 and "is done" in engine(short_checkout, "row", "--row", "2", *words)
    engine(short_checkout, "sweep", *words)  # collects, and runs nothing
    assert {path: path.stat().st_mtime_ns for path in done_runs(short_checkout)} == before
    assert (short_checkout / "_build" / "sweeps" / "two" / "results.parquet").is_file()


@pytest.mark.nightly
def test_a_record_is_made_again_to_the_last_bit(short_checkout):
    words = ["--chapter", "02_sparse_interactions", "--preset", "quick", "--run", "default"]
    engine(short_checkout, "record", *words)
    assert "to the last bit" in engine(short_checkout, "repro", *words)
    results = short_checkout / "_build" / "runs" / "quick" / "02_sparse_interactions--default.repro" / "results.json"
    before = results.stat().st_mtime_ns
    record = short_checkout / "results" / "quick" / "02_sparse_interactions--default.json"
    text = record.read_text()
    record.write_text(
        text.replace('"rounding_share"', '"another_share"').replace(
            '"INT-15",\n   "value": ', '"INT-15",\n   "value": 1'
        )
    )
    line, options = command(short_checkout, "repro", *words)
    done = subprocess.run(line, **options, capture_output=True, check=False)
    assert done.returncode == 1 and "differs: claims.INT-15.value: " in done.stderr
    assert results.stat().st_mtime_ns > before
