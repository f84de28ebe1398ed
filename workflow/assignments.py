"""Write the exercises as assignments of otter-grader: `python workflow/assignments.py`, into _build/assignments/.

One notebook per chapter in otter's own raw format, which `otter assign` turns into a student version and an autograder.
A question is passed where the exercise's check passes. No chapter is run: the exercises need the package alone.
"""

import shutil
import sys
from pathlib import Path

import editions
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

from innercodes import exercises

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "_build" / "assignments"
CONFIG = """# ASSIGNMENT CONFIG
name: {chapter}
# Students need no otter-grader: each exercise has a check of its own.
init_cell: false
check_all_cell: false
export_cell: false
solutions_pdf: false
template_pdf: false
generate: true
run_tests: true"""


def assignment(chapter: str) -> nbformat.NotebookNode:
    """The exercises of a chapter as a raw notebook of otter-grader, a question for each."""
    cells = [
        new_raw_cell(CONFIG.format(chapter=chapter)),
        new_markdown_cell(f"# Exercises of chapter {chapter.replace('_', ' ')}"),
        new_code_cell("import torch\n\nfrom innercodes import exercises"),
    ]
    for number, exercise in enumerate(exercises.EXERCISES[chapter], 1):
        right = new_output("execute_result", {"text/plain": "True"}, execution_count=1)
        cells += [
            new_raw_cell(f"# BEGIN QUESTION\nname: {exercise.key}\npoints: 1\ncheck_cell: false"),
            new_markdown_cell(editions.folded(exercise.task_text(number))),
            new_raw_cell("# BEGIN PROMPT"),
            new_code_cell(exercise.stub),
            new_raw_cell("# END PROMPT"),
            new_raw_cell("# BEGIN SOLUTION"),
            # Without these lines otter would leave the cell to students.
            new_code_cell(f"# BEGIN SOLUTION NO PROMPT\n{exercise.solution}\n# END SOLUTION"),
            new_raw_cell("# END SOLUTION"),
            new_raw_cell("# BEGIN TESTS"),
            new_code_cell(f"{exercise.call}.ok", execution_count=1, outputs=[right]),
            new_raw_cell("# END TESTS"),
            new_raw_cell("# END QUESTION"),
            new_code_cell(exercise.call),
        ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def main() -> int:
    aside = TARGET.with_suffix(".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for chapter in exercises.EXERCISES:
        nbformat.write(assignment(chapter), aside / f"{chapter}.ipynb")
    shutil.rmtree(TARGET, ignore_errors=True)
    aside.rename(TARGET)
    print(f"assignments of otter-grader: {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
