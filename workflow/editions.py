"""Write an edition of the chapters for a class: `python workflow/editions.py student|instructor`, into _build/editions/.

One source, the chapters, parted by the metadata of their cells (exercise_cells.py). Student: no solution, stubs in place.
Instructor: stubs filled in so that checks pass, solutions open, typical wrong answers, and the notes of book/teach.md.
"""

import re
import shutil
import sys
from pathlib import Path

import jupytext
import nbformat

from innercodes import exercises, quizzes

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build" / "editions"
EDITIONS = ("student", "instructor")


def edition(chapter: str, name: str) -> nbformat.NotebookNode:
    """A chapter's notebook in one of `EDITIONS`, without outputs."""
    notebook = jupytext.read(ROOT / "notebooks" / f"{chapter}.py")
    cells = []
    for cell in notebook.cells:
        key, tags = cell.metadata.get("exercise", ""), cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and cell.source.startswith("## Exercises"):
            cells.append(
                nbformat.v4.new_markdown_cell(f"## Quiz\n\n{quizzes.markup(chapter)}", metadata={"tags": ["quiz"]})
            )
        if "exercise-solution" in tags:
            if name == "instructor":
                exercise = exercises.BY_KEY[key]
                for text in (exercise.solution_text(opened=True), exercise.mistakes_text()):
                    cells.append(nbformat.v4.new_markdown_cell(text, metadata=cell.metadata))
            continue
        if name == "instructor" and "exercise-stub" in tags:
            cell.source = exercises.BY_KEY[key].solution
        cells.append(cell)
    if name == "instructor":
        cells.insert(1, nbformat.v4.new_markdown_cell(notes(chapter), metadata={"tags": ["notes"]}))
    for number, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            cell.source = folded(cell.source)
        # The same bytes each time.
        cell["id"] = f"cell-{number}"
    notebook.cells = cells
    return notebook


def notes(chapter: str) -> str:
    """The section of book/teach.md about a chapter."""
    text = (ROOT / "book" / "teach.md").read_text(encoding="utf-8")
    number = chapter.partition("_")[0]
    found = re.search(rf"^## {number} .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"book/teach.md: must have a section '## {number} ...' for {chapter}")
    return found[0].replace("## ", "## Teaching notes: ", 1).rstrip()


def folded(text: str) -> str:
    """Dropdowns of the book as HTML, which a notebook shows too."""
    pattern = r"^(`{3,})\{dropdown\} (.+?)\n(:open:\n)?\n?(.*?)\n\1$"
    return re.sub(
        pattern,
        lambda m: f"<details{' open' if m[3] else ''}><summary>{m[2]}</summary>\n\n{m[4]}\n\n</details>",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


def main(name: str = "") -> int:
    if name not in EDITIONS:
        print(f"error: edition = {name!r}: must be one of {', '.join(EDITIONS)}", file=sys.stderr)
        return 2
    aside, target = BUILD / f"{name}.partial", BUILD / name
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for chapter in exercises.EXERCISES:
        nbformat.write(edition(chapter, name), aside / f"{chapter}.ipynb")
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    print(f"the {name} edition: {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
