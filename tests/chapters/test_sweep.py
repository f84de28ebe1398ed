"""A sweep that is killed goes on where it was, from odd folders too, and ends complete; a row can be run alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

NUMBERS = ["row", "chapter", "preset", "run", "seed", "kind", "name", "value", "low", "high", "verdict", "baseline"]
ODD = "a 'quoted' \"folder\" with ü"


def command(checkout: Path, goal: str, *words: str) -> tuple[list[str], dict]:
    return [sys.executable, "workflow/engine.py", goal, *words], {
        "cwd": checkout, "env": os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}, "text": True,
    }  # fmt: skip


def engine(checkout: Path, goal: str, *words: str) -> str:
    line, options = command(checkout, goal, *words)
    done = subprocess.run(line, **options, capture_output=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def kill_when_done(checkout: Path, count: int, cores: int, *words: str) -> list[Path]:
    """Start a sweep and kill -9 all of it when so many runs are done and the next have begun; gives the results there are.

    A run that ends in the moment of the kill, before Snakemake knows of it, is done again; one that was followed is not.
    """
    line, options = command(checkout, "sweep", *words)
    process = subprocess.Popen(
        line, **options, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 1500
    runs = checkout / "_build" / "runs" / "quick"
    while len(found := done_runs(checkout)) < count or len(list(runs.glob("*/fingerprint.json"))) < count + cores:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return found


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
    before = {path: path.stat().st_mtime_ns for path in finished}
    engine(checkout, "sweep", *words)
    assert sum(path.stat().st_mtime_ns == before[path] for path in finished) >= after
    assert len(done_runs(checkout)) == count
    folder = checkout / "_build" / "sweeps" / file.stem
    page = (folder / "index.html").read_text()
    assert f"{count} runs" in page and str(file.parent) not in page
    table, made = pd.read_parquet(folder / "results.parquet"), (folder / "index.html").stat().st_mtime_ns
    # Nothing changed: nothing is done.
    engine(checkout, "sweep", *words)
    assert (folder / "index.html").stat().st_mtime_ns == made and len(done_runs(checkout)) == count
    return table


def test_a_killed_sweep_goes_on_where_it_was(short_checkout, seeds, tmp_path):
    table = kill_and_resume(short_checkout, seeds(tmp_path / ODD / "two.csv", 2), count=2, after=1, cores=1)
    assert set(table["seed"]) == {0, 1} and table["value"].notna().sum() > 20


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
