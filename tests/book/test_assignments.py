"""An assignment in the hands of otter-grader itself: by night, and where it is installed (book/teach.md says how)."""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import assignments
import nbformat
import pytest

from innercodes import exercises

CHAPTER = "02_sparse_interactions"
EXERCISES = exercises.EXERCISES[CHAPTER]
RIGHT = {exercise.key: exercise.solution for exercise in EXERCISES}
SLIP = exercises.BY_KEY["forced_zeros"]
"""The exercise that is answered wrongly in the third submission."""
WRONG = RIGHT | {SLIP.key: textwrap.dedent(SLIP.mistakes[0].code).strip()}

pytestmark = pytest.mark.nightly


def otter(*words, folder):
    program = shutil.which("otter", path=Path(sys.executable).parent) or shutil.which("otter")
    if program is None:
        pytest.skip("otter-grader is not installed")
    done = subprocess.run(
        [program, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def assigned(tmp_path_factory):
    """The folder that `otter assign` writes: a version for students, and the autograder."""
    folder = tmp_path_factory.mktemp("assignment")
    nbformat.write(assignments.assignment(CHAPTER), folder / f"{CHAPTER}.ipynb")
    otter("assign", f"{CHAPTER}.ipynb", "dist", folder=folder)
    return folder / "dist"


def test_the_version_for_students_holds_no_solution(assigned):
    notebook = nbformat.read(assigned / "student" / f"{CHAPTER}.ipynb", as_version=4)
    code = [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"]
    assert all(exercise.stub.strip() in code for exercise in EXERCISES)
    assert [key for key, solution in RIGHT.items() if any(solution in text for text in code)] == []


@pytest.mark.parametrize(
    ("answers", "passed"),
    [(RIGHT, set(RIGHT)), ({}, set()), (WRONG, set(RIGHT) - {SLIP.key})],
    ids=["right", "empty", "one wrong"],
)
def test_a_submission_gets_its_points(assigned, tmp_path, answers, passed):
    notebook = nbformat.read(assigned / "student" / f"{CHAPTER}.ipynb", as_version=4)
    stubs = {exercise.stub.strip(): exercise.key for exercise in EXERCISES}
    found = []
    for cell in notebook.cells:
        key = stubs.get(cell.source.strip()) if cell.cell_type == "code" else None
        if key is not None:
            found.append(key)
            cell.source = answers.get(key, cell.source)
    assert sorted(found) == sorted(RIGHT)
    nbformat.write(notebook, tmp_path / "submission.ipynb")
    (autograder,) = (assigned / "autograder").glob("*.zip")
    otter("run", "submission.ipynb", "-a", autograder, "-o", tmp_path, "--no-logo", folder=tmp_path)
    tests = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["tests"]
    # Beside the questions stands a summary of the tests that students see, which has no points.
    points = {test["name"]: test["score"] for test in tests if "score" in test}
    assert set(points) == set(RIGHT)
    assert {name for name, score in points.items() if score == 1} == passed
    assert {score for name, score in points.items() if name not in passed} <= {0}
