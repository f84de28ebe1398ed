"""Keep the exercises in the chapters in step with the package: `python workflow/exercise_cells.py`.

An exercise is a group of cells with its key as metadata `exercise`: its task, a stub that runs as it is, its check, and its
folded solution. They stand between the headings "Exercises" and "The record".
"""

import sys
from pathlib import Path

import nbformat

from innercodes import exercises

ROOT = Path(__file__).resolve().parents[1]
FIRST, NEXT = "# %% [markdown]\n# ## Exercises\n", "# %% [markdown]\n# ## The record\n"
INTRODUCTION = """## Exercises

Fill in a stub, replacing each `...`, and run the cell below it. The check tries your answer on fresh random input and says
what is wrong with it, but not what is right. The exercises go from a warm-up to open research."""


def cells(chapter: str) -> list[nbformat.NotebookNode]:
    """The cells of a chapter's exercises, the heading first."""
    found = [
        _cell("markdown", INTRODUCTION),
        _cell("code", "import torch\nfrom innercodes import exercises", "all", "exercise-check"),
    ]
    for number, exercise in enumerate(exercises.EXERCISES[chapter], 1):
        found += [
            _cell("markdown", exercise.task_text(number), exercise.key, "exercise"),
            _cell("code", exercise.stub, exercise.key, "exercise-stub"),
            _cell("code", exercise.call, exercise.key, "exercise-check"),
            _cell("markdown", exercise.solution_text(), exercise.key, "exercise-solution"),
        ]
    return found


def _cell(kind: str, source: str, key: str = "", tag: str = "") -> nbformat.NotebookNode:
    make = nbformat.v4.new_markdown_cell if kind == "markdown" else nbformat.v4.new_code_cell
    return make(source, metadata={"exercise": key, "tags": [tag]} if key else {})


def untouched(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """What a code cell of an exercise shows where the stub was not filled in."""
    if not cell.source.startswith("exercises.check_"):
        return []
    verdict = exercises.BY_KEY[cell.metadata.exercise].check(None, seed=0)
    return [nbformat.v4.new_output("display_data", {"text/html": verdict._repr_html_(), "text/plain": repr(verdict)})]


def section(chapter: str) -> str:
    """The same as py:percent text, with the blank lines that the formatter wants."""
    text = ""
    for cell in cells(chapter):
        head = f' exercise="{cell.metadata.exercise}" tags=["{cell.metadata.tags[0]}"]' if cell.metadata else ""
        lines = cell.source.split("\n")
        if cell.cell_type == "markdown":
            text += f"# %% [markdown]{head}\n" + "\n".join(f"# {line}".rstrip() for line in lines) + "\n\n"
        elif cell.source.startswith("def "):
            text = f"{text}\n# %%{head}\n{cell.source}\n\n\n"
        else:
            text += f"# %%{head}\n{cell.source}\n\n"
    return text


def synced(chapter: str, text: str) -> str:
    """A chapter's source with the exercises of the package. Raises ValueError where it has not both headings, in order."""
    before, first, rest = text.partition(FIRST)
    _, following, after = rest.partition(NEXT)
    if not first or not following:
        raise ValueError(f"notebooks/{chapter}.py: must have the headings 'Exercises' and 'The record', in this order")
    return before + section(chapter) + following + after


def main() -> int:
    for chapter in exercises.EXERCISES:
        path = ROOT / "notebooks" / f"{chapter}.py"
        old = path.read_text(encoding="utf-8")
        new = synced(chapter, old)
        if new != old:
            path.write_text(new, encoding="utf-8")
            print(f"notebooks/{chapter}.py: exercises brought in step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
