"""Write slides of the chapters for a class: `python workflow/slides.py`, into _build/slides/, by nbconvert and reveal.js.

One source, the chapters. What becomes a slide is told by headings and cells alone: a slide for each heading with the paragraphs
that open it, one for each formula further down, one for each figure with what the prose reads from it, and the record. Figures come
from the executed quick run. Where there is none they come from a recorded run, without the prose, which reads the quick one.
Everything a slide needs lies beside it: no network is used.
"""

import functools
import html
import importlib.metadata
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import plotly
import runs
import stage
from nbconvert.exporters import SlidesExporter
from pybtex.database import parse_file

from innercodes import claims, exercises, site

ROOT = runs.ROOT
BUILD = ROOT / "_build" / "slides"
TEMPLATE = Path(__file__).with_name("slides.html.j2")
LEFT_OUT = ("Parameters", "Exercises", "The record")
ROOM, SENTENCE, BRIEF, ROWS = 620, 300, 160, 6
"""At most: letters of a slide's prose, of the words above a figure, of prose that a figure joins, and claims of a slide."""
SHOWN = re.compile(r'plots\.show\(.*?\bname="([a-z0-9-]+)"', re.DOTALL)
FENCE = re.compile(r"^(`{3,})\{(\w+)\} ?(.*?)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"^\$\$.*?\$\$ *(?:\(([\w-]+)\))?$", re.MULTILINE | re.DOTALL)


@dataclass
class Slide:
    """A heading, prose in CommonMark, and a figure or table as HTML. `first` begins a section of the chapter."""

    section: str
    heading: str
    first: bool = False
    prose: list[str] = field(default_factory=list)
    picture: str = ""

    @property
    def letters(self) -> int:
        return sum(map(len, self.prose))

    @property
    def takes_a_figure(self) -> bool:
        """Whether there is room for one below the prose."""
        return not self.picture and self.letters <= BRIEF and not any(FORMULA.search(block) for block in self.prose)


# From a chapter's cells to slides


def blocks(text: str) -> Iterator[str]:
    """The paragraphs, lists, fences and displayed formulas of a markdown text, each whole."""
    start = 0
    for found in re.finditer(f"(?:{FENCE.pattern})|(?:{FORMULA.pattern})", text, re.MULTILINE | re.DOTALL):
        yield from _paragraphs(text[start : found.start()])
        yield found[0]
        start = found.end()
    yield from _paragraphs(text[start:])


def _paragraphs(text: str) -> Iterator[str]:
    yield from (part.strip("\n") for part in re.split(r"\n\s*\n", text) if part.strip())


def slides(chapter: str, figures: dict[str, str], read: bool) -> list[Slide]:
    """The slides of a chapter; `figures` are the HTML of those that a run has made, by name. `read`: prose is about that run."""
    made: list[Slide] = []
    section, left_out = "", False
    for cell in jupytext.read(ROOT / "notebooks" / f"{chapter}.py").cells:
        if "exercise" in cell.metadata:
            continue
        if cell.cell_type == "code":
            for name in [] if left_out else SHOWN.findall(cell.source):
                if name in figures and made[-1].takes_a_figure:
                    made[-1].picture = figures[name]
                elif name in figures:
                    made.append(Slide(section, made[-1].heading, picture=figures[name]))
            continue
        # Prose belongs to the heading of its own cell; further down only formulas, and what is read from a figure.
        opened, before = False, ""
        for block in blocks(cell.source):
            heading, fence = re.match(r"(#{1,3}) (.*)", block), FENCE.fullmatch(block)
            if heading:
                opened = True
                if len(heading[1]) < 3:
                    section, left_out = heading[2], heading[2] in LEFT_OUT
                if not left_out:
                    made.append(Slide(section, heading[2]))
            elif left_out or block.startswith("**Reading**"):
                continue
            elif fence:
                if fence[2] == "admonition":
                    body = re.sub(r"^:\w+:.*\n", "", fence[4], flags=re.MULTILINE)
                    made.append(Slide(section, fence[3], prose=[body.strip()]))
                opened = False
            elif block == "After this chapter you can":
                made.append(Slide(section, block))
                opened = True
            elif FORMULA.fullmatch(block) and not opened:
                # With the words that lead to it, which then are not about the figure above.
                if opening(before) in made[-1].prose and made[-1].picture:
                    made[-1].prose.remove(opening(before))
                made.append(Slide(section, made[-1].heading, prose=[before, block] if before else [block]))
            elif opened and (not made[-1].prose or made[-1].letters + len(block) <= ROOM):
                made[-1].prose.append(block)
            elif read and not opened and not before and made[-1].picture:
                made[-1].prose.append(opening(block))
            else:
                opened = False
            before = block
    # A heading alone is no slide: those below it bear its name.
    kept = [one for one in made if one.prose or one.picture]
    for last, one in zip([None, *kept], kept, strict=False):
        one.first = last is None or last.section != one.section
    return kept


def opening(text: str) -> str:
    """The first sentences of a paragraph, as many as stand above a figure."""
    text = " ".join(text.split())
    sentences = re.split(r"(?<=[.?!:]) (?=[A-Z*])", text)
    found = sentences[0]
    for sentence in sentences[1:]:
        if len(found) + len(sentence) > SENTENCE:
            break
        found += f" {sentence}"
    return found


# Marks of the book that nbconvert does not know


def plain(text: str, numbers: dict[str, str], names: dict[str, str]) -> str:
    """MyST as CommonMark: citations by name and year, formulas by number, links to pages of the book as their words."""
    found = FORMULA.search(text)
    if found and found[1]:
        text = text.replace(f"$$ ({found[1]})", rf"\tag{{{numbers[found[1]]}}} $$")
    text = re.sub(r"\{eq\}`([\w-]+)`", lambda m: f"({numbers[m[1]]})", text)
    text = re.sub(r"\{cite:(\w)\}`([\w,]+)`", lambda m: _cited(m[2].split(","), names, m[1] == "p"), text)
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", text)


def _cited(keys: list[str], names: dict[str, str], brackets: bool) -> str:
    text = "; ".join(names[key] for key in keys)
    return f"({text})" if brackets else text


def formula_numbers(chapters: list[str]) -> dict[str, str]:
    """The number of each labelled formula, such as '02.3': the third one of chapter 02."""
    found = {}
    for chapter in chapters:
        text = (ROOT / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8")
        labels = re.findall(r"\$\$ \(([\w-]+)\)$", text, re.MULTILINE)
        found |= {label: f"{chapter[:2]}.{number}" for number, label in enumerate(labels, 1)}
    return found


def cited_names() -> dict[str, str]:
    """The authors and year of each entry of the bibliography, such as 'Lee & Vijayan 2023'."""
    found = {}
    for key, entry in parse_file(ROOT / "book" / "references.bib").entries.items():
        authors = [" ".join(one.last_names) for one in entry.persons["author"]]
        shown = authors[0] + (f" & {authors[1]}" if len(authors) == 2 else " et al." if len(authors) > 2 else "")
        found[key] = f"{shown} {entry.fields['year']}".replace("{", "").replace("}", "")
    return found


# What a run adds


@functools.cache
def source(chapter: str) -> tuple[Path, dict[str, Any]] | None:
    """The executed notebook that figures come from, with its results: the quick run, or else a recorded one, or none."""
    folder = ROOT / runs.Key("quick", chapter, "default").folder
    places = [(folder / "chapter.ipynb", folder / "results.json")]
    recorded = sorted((ROOT / "results").glob(f"*/{chapter}--*.ipynb"))
    places += [(path, path.with_suffix(".json")) for path in recorded]
    for notebook, results in places:
        if notebook.is_file() and results.is_file():
            return notebook, stage.describe(json.loads(results.read_text(encoding="utf-8")), f"notebooks/{chapter}")
    return None


def figures_of(notebook: Path, run: dict[str, Any]) -> dict[str, str]:
    """The figures of an executed notebook by name, with the line that says where their numbers come from."""
    link = f"../html/notebooks/{run['chapter']}.html"
    found = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", ()):
            mark = output.get("metadata", {}).get("innercodes", {})
            if "figure" in mark:
                found[mark["figure"]] = stage.figure(output.data, mark, run, link)
    return found


def record(run: dict[str, Any]) -> list[Slide]:
    """The claims that a run has judged, a few on each slide: number, interval and verdict."""
    known = claims.of_chapter(run["chapter"])
    rows = [row for row in run["claims"] if row["id"] in known and row["value"] is not None]
    found = []
    for start in range(0, len(rows), ROWS):
        cells = "".join(
            f"<tr><th scope='row'>{row['id']}</th><td>{html.escape(known[row['id']]['statement'])}</td>"
            f"<td>{claims.value_text(row['value'], row['ci'])}</td><td>{claims.verdict_badge(row['verdict'])}</td></tr>"
            for row in rows[start : start + ROWS]
        )
        head = "".join(f"<th scope='col'>{name}</th>" for name in ("Claim", "What is claimed", "Here", "Verdict"))
        line = f"<p class='ic-provenance'>{stage.provenance_text(run)}</p>"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>{line}"
        found.append(Slide("The record", "The record", not start, picture=table))
    return found


def practice(chapter: str) -> Slide:
    """What students do themselves."""
    lines = [
        f"{number}. {one.title} ({one.difficulty}, {one.minutes} minutes)"
        for number, one in enumerate(exercises.EXERCISES[chapter], 1)
    ]
    return Slide("Exercises", "Exercises", True, ["\n".join(lines), "Each has a stub and a check, in the notebook."])


# From slides to a page


def deck(chapter: str) -> nbformat.NotebookNode:
    """The slides of a chapter as a notebook, with the figures and the record of its run."""
    ran = source(chapter)
    quick = ran is not None and ran[1]["preset"] == "quick"
    every = slides(chapter, figures_of(*ran) if ran else {}, quick)
    summary = next(i for i, one in enumerate(every) if one.section == "Summary")
    every[summary:summary] = [practice(chapter), *(record(ran[1]) if ran else ())]
    if ran is None:
        every[0].prose.append("*No run of this chapter was found: there are no figures.*")
    elif ran[1]["stale"]:
        every[0].prose.append(stage.stale_text(ran[1]).replace("recorded run", "run"))
    if ran and not quick:
        every[0].prose.append(f"*Figures and record are of the recorded run {ran[1]['preset']} · {ran[1]['run']}.*")
    return notebook(every)


def notebook(every: list[Slide]) -> nbformat.NotebookNode:
    """Slides as the notebook that nbconvert shows: of each a heading with its prose, then a figure or table."""
    numbers, names = formula_numbers(runs.chapters()), cited_names()
    cells = []
    for one in every:
        level = "##" if cells else "#"
        name = "" if one.section in (one.heading, every[0].section) else f"<p class='ic-section'>{one.section}</p>\n\n"
        text = f"{name}{level} {one.heading}\n\n" + "\n\n".join(plain(block, numbers, names) for block in one.prose)
        kind = {"slideshow": {"slide_type": "slide" if one.first else "subslide"}}
        cells.append(nbformat.v4.new_markdown_cell(text, metadata=kind))
        if one.picture:
            shown = nbformat.v4.new_output("display_data", {"text/html": one.picture})
            cells.append(nbformat.v4.new_code_cell(outputs=[shown]))
    for number, cell in enumerate(cells):
        # The same bytes each time.
        cell["id"] = f"cell-{number}"
    return nbformat.v4.new_notebook(cells=cells, metadata={"title": every[0].heading})


def page(shown: nbformat.NotebookNode) -> str:
    """A deck as HTML."""
    exporter = SlidesExporter(
        template_file=TEMPLATE.name, extra_template_paths=[str(TEMPLATE.parent)], exclude_input=True,
        exclude_input_prompt=True, exclude_output_prompt=True, exclude_anchor_links=True, reveal_url_prefix="reveal",
    )  # fmt: skip
    return exporter.from_notebook_node(shown)[0]


def libraries(target: Path) -> None:
    """reveal.js, MathJax and Plotly from their Python packages."""
    files = importlib.metadata.files("sphinx-revealjs") or []
    reveal = Path(next(f for f in files if f.name == "reveal.js").locate()).parent
    for name in ("reset.css", "reveal.css", "reveal.js", "theme/white.css"):
        (target / "reveal" / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(reveal / name, target / "reveal" / "dist" / name)
    shutil.copytree(reveal / "theme/fonts/source-sans-pro", target / "reveal/dist/theme/fonts/source-sans-pro")
    shutil.copy(reveal.parent / "LICENSE", target / "reveal" / "LICENSE")
    site.copy_mathjax(target)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", target / "plotly.min.js")


def write() -> None:
    """Write all decks with what they need, whole or not at all."""
    aside = BUILD.with_suffix(".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    libraries(aside)
    for chapter in runs.chapters():
        (aside / f"{chapter}.html").write_text(page(deck(chapter)), encoding="utf-8")
    shutil.rmtree(BUILD, ignore_errors=True)
    aside.rename(BUILD)


def main() -> int:
    write()
    print(f"slides: open {BUILD.relative_to(ROOT)}/NN_name.html in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
