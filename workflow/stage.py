"""Put together the folder that Jupyter Book reads: prose, executed chapters, a page per recorded run, contents, downloads.

Chapters are staged from their source, and only outputs are taken from the executed notebook: a prose change needs no new
run, and no injected parameter or path of this machine reaches the site.
"""

import html
import json
import math
import re
import shutil
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import drawings
import exercise_cells
import glossary_links
import jupytext
import nbformat
import runs
import version
import yaml

from innercodes import claims, provenance, quizzes, site, tables

ROOT = runs.ROOT


def stage(target: Path) -> None:
    """Write the whole folder anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "book", target)
    found = []
    for chapter in runs.chapters():
        folder = ROOT / runs.Key("quick", chapter, "default").folder
        live = describe(json.loads((folder / "results.json").read_text(encoding="utf-8")), f"notebooks/{chapter}")
        if live["stale"]:
            raise SystemExit(
                f"error: {folder} was run with other code or claims than the chapter's: run `make book` again"
            )
        recorded = recorded_runs(chapter)
        found += [live, *recorded]
        notebook = chapter_page(chapter, folder / "chapter.ipynb", live, recorded)
        write(target / f"{live['page']}.ipynb", nbformat.writes(notebook))
        for run in recorded:
            write(target / f"{run['page']}.md", recorded_page(run, live))
    for path in claims_pages():
        write(target / "claims" / f"{path.stem}.md", claims_page(path))
    shutil.copy(ROOT / "CITATION.cff", target)
    link_pdf(target / "rerun.md")
    write(target / "_data" / "runs.json", json.dumps(found, ensure_ascii=False))
    write(target / "_toc.yml", yaml.safe_dump(contents(found), sort_keys=False))
    write(target / "_config.yml", yaml.safe_dump(configuration(), sort_keys=False))
    downloads(target / "_downloads")
    scorecard = site.export_rows(found)
    write(target / "_downloads" / "scorecard.csv", site.as_csv(scorecard))
    write(target / "_downloads" / "scorecard.json", json.dumps(scorecard, indent=1, ensure_ascii=False) + "\n")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def now(chapter: str) -> tuple[str, str]:
    """What a run of a chapter would be keyed on today. It takes seconds: once for all runs of a chapter."""
    return provenance.source_hash(chapter), provenance.claims_hash(chapter)


def describe(result: dict[str, Any], page: str, today: tuple[str, str] | None = None) -> dict[str, Any]:
    """A results file as the site uses it: without paths, with its page and whether the chapter is newer."""
    for name, value in runs.paths(result):
        result["parameters"][name] = Path(value).name
    made = result["provenance"]
    # Old numbers, or verdicts by tests that have changed since.
    stale = (made["source_hash"], made["claims_hash"]) != (today or now(result["chapter"]))
    return result | {"page": page, "stale": stale}


def recorded_runs(chapter: str) -> list[dict[str, Any]]:
    """The recorded runs of a chapter, from results/."""
    today = now(chapter)
    return [
        describe(json.loads(path.read_text(encoding="utf-8")), f"results/{path.parent.name}/{path.stem}", today)
        for path in sorted((ROOT / "results").glob(f"*/{chapter}--*.json"))
    ]


def chapter_page(
    chapter: str, executed: Path, live: dict[str, Any], recorded: list[dict[str, Any]]
) -> nbformat.NotebookNode:
    """The chapter's source with the outputs of its run, provenance under figures and verdicts beside claims."""
    page = jupytext.read(ROOT / "notebooks" / f"{chapter}.py")
    # In order: equal cells may stand twice. What was in an exercise then is passed over.
    ran_cells = (
        cell
        for cell in nbformat.read(executed, as_version=4).cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", ())
    )
    prose = [cell for cell in page.cells if cell.cell_type == "markdown"]
    terms = glossary_links.read(ROOT / "book" / "glossary.md")
    for cell, linked in zip(prose, glossary_links.link([cell.source for cell in prose], terms), strict=True):
        cell.source = linked
    cells, seconds = [], {}
    for cell in page.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## Exercises") and quizzes.there(chapter):
            cells.append(nbformat.v4.new_markdown_cell(f"## Quiz\n\n{raw(quizzes.markup(chapter))}"))
        if cell.cell_type == "code" and "exercise" in cell.metadata:
            # Not from the run: it may be older than the exercise.
            cell.outputs = exercise_cells.untouched(cell)
        elif cell.cell_type == "code":
            ran = next(done for done in ran_cells if done.source == cell.source)
            seconds[id(cell)] = ran.metadata.get("papermill", {}).get("duration")
            cell.outputs = [finished for output in ran.outputs if (finished := finish(output, live, ""))]
            marks = [anchor for output in cell.outputs for anchor in anchors(output)]
            if marks:
                # A link to a figure or a claim leads to the cell that makes it, not below it.
                spans = "".join(f'<span id="{mark}"></span>' for mark in marks)
                cells.append(nbformat.v4.new_markdown_cell(spans))
        cells.append(cell)
    add_minutes(page.cells, seconds)
    cells.insert(1, nbformat.v4.new_markdown_cell(header(chapter, recorded)))
    page.cells = cells
    return page


WORDS_A_MINUTE = 200
UNTIMED = ("Parameters", "Exercises", "Quiz", "The record")
"""Sections that are filled in or looked up, not read: exercises have minutes of their own."""


def add_minutes(cells: list[nbformat.NotebookNode], seconds: dict[int, float | None]) -> None:
    """Write below each heading of a section how long it takes a reader (estimated) and took this run (measured).

    `seconds` maps the id() of a code cell to the seconds it ran; None where the run did not say, and then nothing is said.
    """
    sections: list[list[nbformat.NotebookNode]] = []
    for cell in cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.MULTILINE):
            sections.append([cell])
        elif sections:
            sections[-1].append(cell)
    for section in sections:
        heading = section[0]
        before, title, rest = re.split(r"^## (.+)$", heading.source, maxsplit=1, flags=re.MULTILINE)
        if title in UNTIMED:
            continue
        prose = [rest, *(cell.source for cell in section[1:] if cell.cell_type == "markdown")]
        minutes = math.ceil(sum(map(words, prose)) / WORDS_A_MINUTE)
        said = [f"about {minutes} minute{'s' * (minutes != 1)} to read"] if minutes else []
        measured = [seconds.get(id(cell)) for cell in section if cell.cell_type == "code"]
        if measured and None not in measured:
            said.append(f"this run: {duration(sum(measured))}")
        if said:
            heading.source = f"{before}## {title}\n\n*{' · '.join(said)}*\n{rest}"


def words(text: str) -> int:
    """The words of a markdown text, without its formulas and code."""
    text = re.sub(r"\$\$.+?\$\$|\$[^$\n]+\$|^```(?:\w+)?\n.+?^```$", " ", text, flags=re.MULTILINE | re.DOTALL)
    return len(re.findall(r"[^\W\d_][\w'’-]*", re.sub(r"\]\([^)]*\)|`[^`\n]*`", " ", text)))


def duration(seconds: float) -> str:
    if seconds < 1:
        return "less than 1 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def header(chapter: str, recorded: list[dict[str, Any]]) -> str:
    """Below the title: the download, the recorded runs, and a warning for each that is older than the chapter."""
    links = [f'<a href="../_static/downloads/{chapter}.ipynb" download>Download this notebook</a>']
    links += [f"[Recorded run: {run['preset']} · {run['run']}](../{run['page']}.md)" for run in recorded]
    text = " · ".join(links)
    for run in recorded:
        if run["stale"]:
            text += f"\n\n```{{warning}}\n{stale_text(run)}\n```"
    return text


def stale_text(run: dict[str, Any]) -> str:
    return (
        f"The recorded run *{run['preset']} · {run['run']}* was made with other code or other tests "
        f"(commit {run['provenance']['commit'][:10]}). Its numbers may change when it is run again."
    )


def anchors(output: nbformat.NotebookNode) -> list[str]:
    """The ids that other pages link to for this output."""
    mark = output.get("metadata", {}).get("innercodes", {})
    found = [f"fig-{mark['figure']}"] if "figure" in mark else []
    return found + re.findall(r"data-claim='([^']+)'", output.get("data", {}).get("text/html", ""))


def finish(output: nbformat.NotebookNode, run: dict[str, Any], chapter_link: str) -> nbformat.NotebookNode | None:
    """An output as the page shows it; None for progress bars."""
    if output.output_type == "stream":
        lines = re.split(r"[\r\n]+", output.text)
        output.text = "\n".join(line for line in lines if line.strip() and not re.search(r"\d+%\|.*\[", line))
        # A warning names its file; the reader needs no path of the machine.
        output.text = re.sub(r"(?:/[^\s/:]+)+/(?=[^\s/:]+\.py:\d+)", "", output.text)
        return output if output.text else None
    mark = output.get("metadata", {}).get("innercodes", {})
    if "figure" in mark:
        output.data = {"text/html": figure(output.data, mark, run, chapter_link)}
    elif "text/html" in output.get("data", {}):
        output.data = {"text/html": add_verdicts(output.data["text/html"], run)}
    return output


def figure(data: dict[str, Any], mark: dict[str, str], run: dict[str, Any], chapter_link: str) -> str:
    """A figure's markup with the line that says where its numbers come from."""
    line = f"<p class='ic-provenance'>{provenance_text(run)} · <a href='{chapter_link}#fig-{mark['figure']}'>the cell</a></p>"
    plotly = data.get("application/vnd.plotly.v1+json")
    if plotly is None:
        return drawings.lean(data["text/html"]).replace("</figure>", f"{line}</figure>")
    height = plotly["layout"].get("height", 450)
    # The script element keeps the figure's JSON out of the page's text; '</' would end it early.
    content = json.dumps({"data": plotly["data"], "layout": plotly["layout"]}).replace("</", "<\\/")
    # Plotly's own menus can not be reached by keyboard. Real ones stand here from the start, so that nothing moves when the
    # figure is drawn.
    menus = "".join(
        "<select class='ic-menu' aria-label='What the figure shows'>"
        + "".join(f"<option>{html.escape(button['label'])}</option>" for button in menu["buttons"])
        + "</select>"
        for menu in plotly["layout"].get("updatemenus", ())
    )
    return (
        f"<figure class='ic-figure'>{menus}<div class='ic-plotly' role='img' aria-label='{html.escape(mark['alt'], quote=True)}' "
        f"style='height:{height}px'><script type='application/json'>{content}</script></div>"
        f"<figcaption>{html.escape(mark['caption'])}</figcaption>{line}</figure>"
    )


def provenance_text(run: dict[str, Any]) -> str:
    made, values = run["provenance"], run["parameters"]
    seeds = (
        f"seeds {values['seed']}–{values['seed'] + values['n_seeds'] - 1}"
        if values["n_seeds"] > 1
        else f"seed {values['seed']}"
    )
    changed = " with changes" if made["dirty"] else ""
    return html.escape(
        f"{run['preset']} · {run['run']} · {seeds} · commit {made['commit'][:10]}{changed} · {made['hardware']} · "
        f"{made['seconds'] / 60:.1f} min"
    )


def add_verdicts(markup: str, run: dict[str, Any]) -> str:
    verdicts = {row["id"]: row["verdict"] for row in run["claims"]}
    return re.sub(
        r"<div class='ic-claim' data-claim='([^']+)'>",
        lambda found: f"{found[0]}{claims.verdict_badge(verdicts[found[1]])} ",
        markup,
    )


def differences(run: dict[str, Any], live: dict[str, Any]) -> tuple[str, str]:
    """What a recorded run says beside the quick one: a sentence that counts, and a table of the claims that either judged."""
    known = claims.of_chapter(run["chapter"])
    own, quick = ({row["id"]: row for row in one["claims"] if row["id"] in known} for one in (run, live))
    cells, same, other, single = [], 0, [], {"this run": 0, "quick": 0}
    for name in known:
        pair = [one.get(name, {"value": None, "ci": None, "verdict": claims.VERDICTS[-1]}) for one in (own, quick)]
        judged = [row["value"] is not None for row in pair]
        if not any(judged):
            continue
        if all(judged):
            agree = pair[0]["verdict"] == pair[1]["verdict"]
            same += agree
            other += [] if agree else [name]
            word = "same" if agree else "other"
        else:
            where = "this run" if judged[0] else "quick"
            single[where] += 1
            word = f"only {where}"
        cells.append([
            tables.Html(f"<a href='#{name}'>{name}</a>") if name in own else name,
            known[name]["statement"],
            *(
                cell
                for row in pair
                for cell in (claims.value_text(row["value"], row["ci"]), claims.verdict_badge(row["verdict"]))
            ),
            word,
        ])  # fmt: skip
    text = f"Both runs judged {same + len(other)} claims, {same} of them with the same verdict."
    if other:
        links = ", ".join(f"<a href='#{name}'>{name}</a>" for name in other)
        text += f" Another verdict: {links}."
    text += f" This run alone judged {single['this run']}, the quick run alone {single['quick']}."
    head = ("Claim", "What is claimed", "This run", "Verdict", "Quick", "Verdict of quick", "Verdicts")
    return text, tables.table(head, cells, label="this run beside quick")


def recorded_page(run: dict[str, Any], live: dict[str, Any]) -> str:
    """The page of a recorded run: parameters that differ from the quick ones, how verdicts differ from those of the quick run
    `live`, figures and record; no prose of the chapter.
    """
    chapter = run["chapter"]
    title = f"{run['preset']} · {run['run']}"
    notebook = nbformat.read(ROOT / f"{run['page']}.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    chapter_link = f"../../notebooks/{chapter}.html"
    shown = "\n".join(figure(output.data, output.metadata.innercodes, run, chapter_link) for output in outputs)
    defaults = {p.name: p.default for p in runs.parameters.CHAPTERS[chapter]}
    changed = ", ".join(
        f"`{name} = {value!r}`" for name, value in run["parameters"].items() if value != defaults.get(name)
    )
    record = claims.record_table(run["claims"], claims.of_chapter(chapter), run["preset"], anchors=True)
    warning = f"\n```{{warning}}\n{stale_text(run)}\n```\n" if run["stale"] else ""
    counted, beside = differences(run, live)
    # Without contents beside it the record has room for all its columns, the verdict above all.
    return f"""---
html_theme.sidebar_secondary.remove: true
---

# Recorded run: {title}

The figures of [the chapter](../../notebooks/{chapter}) on other data or networks, without its text. Run with
{changed}.
{warning}
{provenance_text(run)}

## This run beside quick

{raw(f"<p>{counted}</p>")}

A number may differ because data, network or settings do, and at another scale a claim may be measured in another way: the
claim's name leads to its row in the record below, with the test. What the runs say together stands in
<a href="{chapter_link}#summary">the summary of the chapter</a>.

{raw(beside)}

## Figures

{raw(shown)}

## Record

{raw(f"<div class='ic-wide'>{record}</div>")}
"""


def claims_pages() -> list[Path]:
    """The claims files, each of which gets a page."""
    return sorted((provenance.ROOT / "claims").glob("*.yml"))


def claims_page(path: Path) -> str:
    """A claims file as it stands in the repository, a section for each claim, so that the scorecard can link to it."""
    head, *entries = re.split(r"^(?=  - id: )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = []
    for entry in entries:
        name = re.match(r"  - id: (\S+)", entry)[1]
        sections.append(f'## {name}\n\n{raw(f"""<span id="{name}"></span>""")}\n\n{listing(entry)}')
    return f"""# Claims file: {path.stem}

What is claimed and how it is judged, as it was fixed before the runs: `claims/{path.name}`. The verdicts stand in the
[scorecard](../scorecard.md).

{listing(head)}

{chr(10).join(sections)}
"""


def listing(text: str) -> str:
    return f"````yaml\n{text.rstrip()}\n````\n"


def raw(markup: str) -> str:
    return f"````{{raw}} html\n{markup}\n````"


def contents(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The table of contents with the recorded runs below their chapters."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        for entry in part["chapters"]:
            sections = [
                run["page"]
                for run in found
                if entry["file"] == f"notebooks/{run['chapter']}" and run["page"] != entry["file"]
            ]
            if entry["file"] == "scorecard":
                sections = [f"claims/{path.stem}" for path in claims_pages()]
            if sections:
                entry["sections"] = [{"file": page} for page in sections]
    return toc


def configuration() -> dict[str, Any]:
    """The configuration with the addresses of pyproject.toml; without a repository there are no links to one."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["html"]["extra_footer"] = f"Version {version.of(ROOT)}. {config['html']['extra_footer']}"
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    if urls.get("Repository"):
        config["repository"] = {"url": urls["Repository"].rstrip("/"), "branch": "main", "provider": "github"}
        config["html"] |= {"use_repository_button": True, "use_issues_button": True}
        config["launch_buttons"] |= {
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
        }
    if urls.get("Site"):
        config["html"]["baseurl"] = urls["Site"]
    return config


PDF = "_static/downloads/inner-codes.pdf"
"""Where the published site has the printed book: the workflow of the pages puts it there once the site is built."""


def link_pdf(page: Path) -> None:
    """Link the printed book on the page about running; without an address of the site there is none to link to."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    text, marker = page.read_text(encoding="utf-8"), "`make pdf` prints the whole book"
    if marker not in text:
        raise SystemExit(f"error: {page.name}: must say {marker!r}, where the printed book is linked")
    if urls.get("Site"):
        link = f"[The printed book]({urls['Site'].rstrip('/')}/{PDF}) comes with the site. "
        write(page, text.replace(marker, link + marker))


def downloads(folder: Path) -> None:
    """Each notebook without outputs, and a zip of all; the same bytes for the same notebooks."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "inner-codes-notebooks.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
            shutil.copy(path, folder / path.name)
            entry = zipfile.ZipInfo(f"inner-codes/notebooks/{path.name}", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
