"""Bring README.md in step with the built book: its picture and its tally of verdicts; called by `make readme`."""

import re

import nbformat
import runs
import stage

from innercodes import site

ROOT = runs.ROOT
PICTURE = ROOT / "book" / "_static" / "three-players.svg"


def tally() -> str:
    """The tally of the recorded verdicts as a Markdown table.

    Quick runs are left to the scorecard: on another machine a borderline verdict of theirs may differ.
    """
    head, *rows = site.tally_table([run for chapter in runs.chapters() for run in stage.recorded_runs(chapter)])
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def picture(chapter: str = "02_sparse_interactions", name: str = "three-players") -> str:
    """A figure of a chapter as an SVG file for pages that do not set its colours: black on white."""
    notebook = nbformat.read(ROOT / runs.Key("quick", chapter, "default").folder / "chapter.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    found = next(o for o in outputs if o.get("metadata", {}).get("innercodes", {}).get("figure") == name)
    svg = re.search(r"<svg .*</svg>", found.data["text/html"], flags=re.DOTALL)[0].replace("currentColor", "#1a1a1a")
    return re.sub(r"(<svg [^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1) + "\n"


def main() -> None:
    PICTURE.write_text(picture(), encoding="utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"(?<=<!-- tally -->\n).*(?=<!-- /tally -->)", lambda _: tally() + "\n", text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
