"""Runs a chapter as a reader would: papermill in another process, in another folder."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import ROOT, TINY


@pytest.fixture(scope="session")
def papermill(tmp_path_factory):
    """`papermill(chapter, **parameters)` runs the .ipynb in a folder of its own; gives the process and the results.

    `notebook` is another file to run, and `executed` the file that takes it with its outputs.
    """

    def run(chapter: str, *, notebook: Path | None = None, executed: str | Path = "out.ipynb", **parameters):
        work = tmp_path_factory.mktemp("papermill")
        words = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
        notebook = notebook or ROOT / "notebooks" / f"{chapter}.ipynb"
        done = subprocess.run(
            [str(Path(sys.executable).parent / "papermill"), str(notebook), str(executed), "--no-progress-bar", *words],
            cwd=work, capture_output=True, text=True, check=False, timeout=1200,
            env=os.environ | {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"},
        )  # fmt: skip
        path = work / parameters.get("out_dir", "runs") / "results.json"
        return done, json.loads(path.read_text()) if path.is_file() else None

    return run


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """A copy of the files git would commit, with a commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    folder = tmp_path_factory.mktemp("committed")
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


@pytest.fixture
def checkout(committed, tmp_path):
    """The same in a folder of its own."""
    return shutil.copytree(committed, tmp_path / "book")


@pytest.fixture
def small_checkout(checkout):
    """The same with every chapter at its tiny size."""
    for chapter, values in TINY.items():
        (checkout / "presets" / "quick" / f"{chapter}--default.yml").write_text(yaml.safe_dump(values))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "tiny"]
    subprocess.run(git, cwd=checkout, check=True)
    return checkout


SHORT = "02_sparse_interactions"
"""The chapter that `short_checkout` cuts."""


@pytest.fixture
def short_checkout(checkout):
    """The copy with chapter 02 ending where its networks are trained and its first claims judged, with one figure: for tests of
    what is around it."""
    source = checkout / "notebooks" / f"{SHORT}.py"
    head, *cells = re.split(r"^(?=# %%)", source.read_text(), flags=re.MULTILINE)
    last = next(i for i, cell in enumerate(cells) if "v = {\n" in cell and "games.outputs(" in cell)
    figures = [cell for cell in cells if "plots.show(" in cell]
    kept = [cell for cell in cells[: last + 1] if cell not in figures[1:]]
    end = next(cell for cell in cells if "\nresults.write()" in cell)
    source.write_text("".join([head, *kept, end]))
    (checkout / "presets" / "quick" / f"{SHORT}--default.yml").write_text(yaml.safe_dump(TINY[SHORT]))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "short"]
    subprocess.run(git, cwd=checkout, check=True)
    return checkout


@pytest.fixture
def seeds():
    """`seeds(file, 6)` writes a sweep of chapter 02 over so many seeds."""

    def write(file: Path, count: int) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="") as text:
            csv.writer(text).writerows([("chapter", "seed"), *((SHORT, seed) for seed in range(count))])
        return file

    return write
