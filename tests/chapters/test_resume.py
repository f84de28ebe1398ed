"""A build that is killed at any moment leaves nothing half-written, goes on, and ends in the same site."""

import contextlib
import difflib
import os
import re
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from tiny import TIMED

CHAPTER = "02_sparse_interactions"
RUN = Path("_build/runs/quick") / f"{CHAPTER}--default"


def start(folder: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    return subprocess.Popen(
        [sys.executable, "workflow/engine.py", "book"], cwd=folder, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def build(folder: Path) -> str:
    process = start(folder)
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output
    return output


def kill_when(folder: Path, appears: Path) -> None:
    """Start a build and kill -9 all of it as soon as a file or folder appears."""
    # It may be the last chapter's, on a busy machine.
    process, deadline = start(folder), time.monotonic() + 1200
    try:
        while not (folder / appears).exists():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def pages(folder: Path) -> dict[str, str]:
    """Every page without what has to differ between two builds: times, and names that nobody reads.

    Cell ids are drawn at random. Clip paths are named after their place to the last bit, which matplotlib's layout does not keep.
    """
    site = folder / "_build" / "html"
    found = {}
    for page in sorted(site.rglob("*.html")):
        text = re.sub(
            r"\d+\.\d min|>\d+\.\d</td>|>\d{4}-\d\d-\d\d</td>|\bid[0-9a-f-]+\b|(?<=-)p[0-9a-f]{10}\b",
            "",
            page.read_text(),
        )
        found[str(page.relative_to(site))] = without_seconds(text)
    return found


def differing(folder: Path, expected: dict[str, str]) -> dict[str, list[str]]:
    """The first lines that differ of each page that is not as expected: whole pages would say nothing to a reader."""
    found = pages(folder)
    assert found.keys() == expected.keys()
    lines = {name: difflib.unified_diff(expected[name].split("\n"), found[name].split("\n"), n=0) for name in found}
    return {name: [line[:300] for line in first] for name in lines if (first := list(islice(lines[name], 12)))}


def without_seconds(text: str) -> str:
    """A page without what chapter 01 measures in seconds, and nothing else: rows of SYM-21, and the outputs of its section."""
    if TIMED not in text:
        return text
    page = BeautifulSoup(text, "html.parser")
    rows = [row for row in page.find_all("tr") if TIMED in row.get_text()]
    for part in rows + page.select("section#what-it-costs .cell_output"):
        part.decompose()
    return str(page)


def test_only_the_seconds_of_one_claim_are_left_out():
    kept = "<table><tr><th>SYM-20</th><td>0.26</td></tr></table><section id='other'><div class='cell_output'>7</div></section>"
    timed = "<table><tr><th>SYM-21</th><td>6.8</td></tr></table><section id='what-it-costs'><div class='cell_output'>9</div></section>"
    found = without_seconds(kept + timed)
    assert "0.26" in found and ">7<" in found and "6.8" not in found and ">9<" not in found
    assert without_seconds(kept) == kept


@pytest.mark.nightly
def test_killed_three_times_and_resumed(small_checkout, tmp_path_factory):
    checkout = small_checkout
    other = tmp_path_factory.mktemp("other") / "book"
    subprocess.run(["git", "clone", "-q", str(checkout), str(other)], check=True)
    build(other)
    expected = pages(other)
    assert f"notebooks/{CHAPTER}.html" in expected

    html = checkout / "_build" / "html"
    kill_when(checkout, RUN / "chapter.partial.ipynb")
    assert not (checkout / RUN / "chapter.ipynb").exists() and not (html / "index.html").exists()
    kill_when(checkout, RUN / "results.json")
    assert not (html / "index.html").exists()
    kill_when(checkout, Path("_build/site.partial"))
    assert not (html / "index.html").exists()
    build(checkout)
    assert differing(checkout, expected) == {}

    # Nothing changed: nothing is done. A line of prose: the page changes, the run stays. A line of code: it runs again.
    results, index = checkout / RUN / "results.json", html / "index.html"
    before = results.stat().st_mtime_ns, index.stat().st_mtime_ns
    build(checkout)
    assert (results.stat().st_mtime_ns, index.stat().st_mtime_ns) == before
    source = checkout / "notebooks" / f"{CHAPTER}.py"
    source.write_text(source.read_text().replace("# ## Summary", "# ## A summary of all this"))
    kill_when(checkout, Path("_build/site.partial"))
    assert differing(checkout, expected) == {}  # the old site stands until the new one is whole
    build(checkout)
    assert results.stat().st_mtime_ns == before[0]
    assert "A summary of all this" in (html / "notebooks" / f"{CHAPTER}.html").read_text()
    source.write_text(source.read_text().replace("results.write()", "results.write()  # again"))
    build(checkout)
    assert results.stat().st_mtime_ns > before[0]
