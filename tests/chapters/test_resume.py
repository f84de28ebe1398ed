"""A build that is killed at any moment leaves nothing half-written, goes on, and ends in the same site."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

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
    process, deadline = start(folder), time.monotonic() + 200
    while not (folder / appears).exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def pages(folder: Path) -> dict[str, str]:
    """Every page without what has to differ between two builds: times, and cell ids that are drawn at random."""
    site = folder / "_build" / "html"
    found = {}
    for page in sorted(site.rglob("*.html")):
        text = re.sub(r"\d+\.\d min|>\d+\.\d</td>|>\d{4}-\d\d-\d\d</td>|\bid[0-9a-f-]+\b", "", page.read_text())
        name = str(page.relative_to(site))
        # SYM-21 and its figure are seconds.
        found[name] = (
            re.sub(r"[\d.e+-]+", "", text) if name in ("notebooks/01_symbols.html", "scorecard.html") else text
        )
    return found


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
    assert pages(checkout) == expected

    # Nothing changed: nothing is done. A line of prose: the page changes, the run stays. A line of code: it runs again.
    results, index = checkout / RUN / "results.json", html / "index.html"
    before = results.stat().st_mtime_ns, index.stat().st_mtime_ns
    build(checkout)
    assert (results.stat().st_mtime_ns, index.stat().st_mtime_ns) == before
    source = checkout / "notebooks" / f"{CHAPTER}.py"
    source.write_text(source.read_text().replace("# ## Summary", "# ## A summary of all this"))
    kill_when(checkout, Path("_build/site.partial"))
    assert pages(checkout) == expected  # the old site stands until the new one is whole
    build(checkout)
    assert results.stat().st_mtime_ns == before[0]
    assert "A summary of all this" in (html / "notebooks" / f"{CHAPTER}.html").read_text()
    source.write_text(source.read_text().replace("results.write()", "results.write()  # again"))
    build(checkout)
    assert results.stat().st_mtime_ns > before[0]
