"""The Sphinx side of the book: MathJax and Plotly inside the site, and the pages made from claims, parameters and runs.

The directives read what staging left in `_data/runs.json`: the results of every run, without paths, each with its page.
"""

import csv
import functools
import html
import importlib.metadata
import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import plotly
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from innercodes import claims, parameters, provenance
from innercodes.tables import Html, table
from innercodes.verdict_picture import Held, held, legend, picture


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("front", Front)
    app.add_directive("scorecard", Scorecard)
    app.add_directive("held", HeldUp)
    app.add_directive("tally", Tally)
    app.add_directive("status", Status)
    app.add_directive("parameters", Parameters)
    app.add_directive("benchmarks", Benchmarks)
    app.connect("config-inited", _offline_mathjax, priority=900)
    app.connect("html-page-context", _repair_page, priority=900)
    app.connect("build-finished", _copy_libraries)
    app.connect("build-finished", _lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _offline_mathjax(app: Sphinx, config: Any) -> None:
    config.mathjax_path = "mathjax/tex-mml-chtml.js"


# What the theme and its parts write, and what they should: each is a finding of axe-core.
REPAIRS = {
    # A role that was withdrawn; the entries stand in a list.
    'role="doc-biblioentry"': 'role="listitem"',
    # A name that hides the words which the reader sees, "Show code cell source".
    ' aria-label="Toggle hidden content"': "",
}


def _repair_page(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop thebe, which is not used: its inline script is there twice and raises an error on every page. Mend the markup."""
    for kind in ("script_files", "css_files"):
        context[kind] = [
            f for f in context.get(kind, []) if "thebe" not in f"{getattr(f, 'filename', f)} {vars(f)}".lower()
        ]
    for wrong, right in REPAIRS.items():
        context["body"] = context.get("body", "").replace(wrong, right)
    if not re.search(r'class="[^"]*\bmath\b', context["body"]):
        # Over a megabyte, for formulas that are not there.
        scripts = context["script_files"]
        context["script_files"] = [f for f in scripts if "mathjax" not in str(getattr(f, "filename", f)).lower()]


# Scripts that the theme puts on each page and no page here needs: icons are drawn by its fonts, and searching is done by the
# search page. Together 1.6 MB.
_SCRIPT = r'\s*<script[^>]* src="[^"]*(?:{})\.js[^"]*"></script>'
ICONS = re.compile(_SCRIPT.format("fontawesome"))
UNUSED = re.compile(_SCRIPT.format("fontawesome|searchtools|language_data|searchindex"))


# The theme's first line of script, and what its last one ends at: until then a page would have no colours and no borders, and
# where it is drawn before, its lines move.
AUTO = 'document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";'
COLOURED = """const { dataset } = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    dataset.theme = dataset.mode === "auto" ? (dark ? "dark" : "light") : dataset.mode;"""


def _lighten(app: Sphinx, error: Exception | None) -> None:
    """Take unused scripts from the pages, and the remarks that scripts of the theme make to every reader's console; give pages
    their colours and their width before they are drawn.
    """
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for page in (*app.env.found_docs, "genindex", "search"):
        unused = ICONS if page == "search" else UNUSED
        path = out / f"{page}.html"
        text = unused.sub("", path.read_text(encoding="utf-8"))
        text = text.replace(AUTO, f"{{\n    {COLOURED}\n    }}")
        # Not by :has(): a browser that draws a page while it comes would move all lines when it meets the wide table.
        marks = "".join(f" {mark}-page" for mark in ("ic-wide", "ic-front") if f"{mark}'" in text)
        text = text.replace('"bd-article-container"', f'"bd-article-container{marks}"')
        path.write_text(text, encoding="utf-8")
    (out / "_static" / "scripts" / "fontawesome.js").unlink()
    static = out / "_static"
    scripts = ("togglebutton.js", "scripts/pydata-sphinx-theme.js", "scripts/sphinx-book-theme.js")
    for path in (out / "search.html", *(static / name for name in scripts)):
        path.write_text(path.read_text(encoding="utf-8").replace("console.log(", "void ("), encoding="utf-8")


def _copy_libraries(app: Sphinx, error: Exception | None) -> None:
    """MathJax and Plotly come from their Python packages: no page asks another server for anything."""
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    copy_mathjax(static)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", static / "plotly.min.js")


def copy_mathjax(target: Path) -> None:
    """MathJax from its Python package, into a folder `mathjax`."""
    files = importlib.metadata.files("sphinx-mathjax-offline")
    mathjax = Path(next(f for f in files if f.name == "tex-mml-chtml.js").locate()).parent
    shutil.copytree(
        mathjax / "output/chtml/fonts/woff-v2", target / "mathjax/output/chtml/fonts/woff-v2", dirs_exist_ok=True
    )
    shutil.copy(mathjax / "tex-mml-chtml.js", target / "mathjax" / "tex-mml-chtml.js")


class _FromData(SphinxDirective):
    """A directive whose HTML is made from the results of all runs."""

    def runs(self) -> list[dict[str, Any]]:
        path = Path(self.env.srcdir) / "_data" / "runs.json"
        self.env.note_dependency(str(path))
        return json.loads(path.read_text(encoding="utf-8"))

    def link(self, page: str, anchor: str = "") -> str:
        """A link from the page with this directive to another one."""
        return self.env.app.builder.get_relative_uri(self.env.docname, page) + (f"#{anchor}" if anchor else "")

    def raw(self, markup: str) -> list[nodes.Node]:
        return [nodes.raw("", markup, format="html")]


RECORD = "the-record"
"""The section of each chapter that lists all its claims, also those that it does not judge."""


def scorecard_rows(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each claim beside each run of its chapter: its verdict there, or the reason why it was not tested (`value` is None).

    A claim that no run has a word about stands once, without a run.
    """
    rows = []
    for paper in claims.papers():
        own = [run for run in runs if run["chapter"] == paper["paper"]["chapter"]]
        for claim in paper["claims"]:
            results = [(run, row) for run in own for row in run["claims"] if row["id"] == claim["id"]]
            for run, row in results or [(None, {})]:
                scale = claim["scales"][run["preset"] if run else "quick"]
                waiting = scale.get("not_tested", "not judged by its chapter yet") if own else "chapter not written"
                rows.append({
                    "claim": claim,
                    "source": paper["paper"]["authors"],
                    "run": run,
                    "scope": row.get("scope") or scale.get("scope", ""),
                    "needed": claims.test_text(scale) if "op" in scale else "–",
                    "measure": scale.get("measure", claim["measure"]),
                    "value": row.get("value"),
                    "ci": row.get("ci"),
                    "baseline": row.get("baseline"),
                    "verdict": row.get("verdict", claims.VERDICTS[-1]),
                    "note": row.get("note", "") if row.get("value") is not None else row.get("note") or waiting,
                })  # fmt: skip
    return rows


def tally_table(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Verdicts counted per source and scale, exact statements, same-setting and analog effects apart; a header first.

    An analog verdict never counts as the paper's number, and an exact statement can not fail on data.
    """
    rows = [["Source", "Scale", "Exact statements", "Effects, same setting", "Effects, analog", "Not tested here"]]
    for paper in claims.papers():
        own = [run for run in runs if run["chapter"] == paper["paper"]["chapter"]]
        for run in own or [None]:
            found = {row["id"]: row for row in run["claims"]} if run else {}
            counts: dict[str, Counter] = {scope: Counter() for scope in ("identity", "same-setting", "analog")}
            for claim in paper["claims"]:
                row = found.get(claim["id"], {})
                if row.get("value") is not None:
                    counts[row.get("scope") or claim["scales"][run["preset"]].get("scope", "analog")][
                        row["verdict"]
                    ] += 1
            judged = sum(count.total() for count in counts.values())
            rows.append([
                paper["paper"]["authors"],
                f"{run['preset']} · {run['run']}" if run else "–",
                *(", ".join(f"{count[v]} {v}" for v in claims.VERDICTS if count[v]) or "–" for count in counts.values()),
                str(len(paper["claims"]) - judged),
            ])  # fmt: skip
    return rows


def export_rows(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The scorecard as flat records, for its CSV and JSON files: numbers as numbers, None where there is none."""
    records = []
    for row in scorecard_rows(runs):
        claim, run = row["claim"], row["run"]
        scale = claim["scales"][run["preset"]] if run else {}
        records.append({
            "claim": claim["id"],
            "source": row["source"],
            "statement": claim["statement"],
            "where": claim["where"],
            "paper_says": claim["paper_says"],
            "scale": run["preset"] if run else None,
            "run": run["run"] if run else None,
            "scope": row["scope"] or None,
            "measure": row["measure"],
            "op": scale.get("op"),
            "threshold": scale.get("threshold"),
            "value": row["value"],
            "low": row["ci"][0] if row["ci"] else None,
            "high": row["ci"][1] if row["ci"] else None,
            "baseline": row["baseline"],
            "verdict": row["verdict"],
            "note": row["note"],
            "older_than_chapter": run["stale"] if run else None,
            "page": f"{run['page']}.html#{_anchor(row)}" if run else None,
            "claims_file": claims_files()[claim["id"]] + ".yml",
        })  # fmt: skip
    return records


def _anchor(row: dict[str, Any]) -> str:
    """Where on its run's page a row of the scorecard stands: a chapter has no cell for a claim that it does not judge."""
    live = row["run"]["page"].startswith("notebooks/")
    return RECORD if live and row["value"] is None else row["claim"]["id"]


def as_csv(records: list[dict[str, Any]]) -> str:
    """Flat records as CSV: lists and tables in a cell are JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow(
            {
                name: json.dumps(value, ensure_ascii=False) if isinstance(value, bool | dict | list) else value
                for name, value in record.items()
            }
        )
    return text.getvalue()


@functools.cache
def claims_files() -> dict[str, str]:
    """The file below claims/ in which each claim stands, without its ending; staging writes a page for each."""
    files = sorted((provenance.ROOT / "claims").glob("*.yml"))
    return {claim["id"]: f"claims/{path.stem}" for path in files for claim in claims.read(path)["claims"]}


class Front(_FromData):
    """The first page's overview: per chapter what is claimed (the YAML below the directive), what held up, and all verdicts."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        rows = scorecard_rows(self.runs())
        said = yaml.safe_load("\n".join(self.content))
        blocks, counts = [], []
        for paper in claims.papers():
            chapter, source = paper["paper"]["chapter"], paper["paper"]["authors"]
            if chapter not in said:
                raise self.error(f"front: {chapter} is missing; each chapter needs its line")
            own = [row for row in rows if row["source"] == source]
            found = held(own)
            papers_own = paper["paper"]["key"] != "innercodes"
            if papers_own:
                counts.append(found)
            number, title = chapter[:2], said[chapter]["title"]
            filtered = f"{self.link('scorecard')}?paper={quote(source)}"
            blocks.append(
                f"<section class='ic-claimed'><div><h2><a href='{self.link(f'notebooks/{chapter}')}'>{number} "
                f"{html.escape(title)}</a></h2><p>{html.escape(said[chapter]['claim'])}</p>"
                f"<p class='ic-held'><a href='{html.escape(filtered, quote=True)}'>{held_text(found, papers_own)}</a> "
                f"<span>{html.escape(source) if papers_own else 'our own questions'}</span></p></div>"
                f"{picture(own, source)}</section>"
            )
        total = {name: sum(getattr(found, name) for found in counts) for name in Held.__dataclass_fields__}
        summary = (
            f"<p class='ic-sum'><strong>{total['claims']} claims, {total['claims'] - total['waiting']} judged.</strong> Of "
            f"{total['always'] + total['sometimes'] + total['never']} effects, "
            f"<strong>{total['always']} held in every run</strong>, {total['sometimes']} in some, {total['never']} in none. "
            f"Of {total['exact']} exact statements, {total['exact_held']} checked out everywhere, as theorems must.</p>"
        )
        return self.raw(f"<div class='ic-front'>{summary}{legend()}{''.join(blocks)}</div>")


def held_text(found: Held, of_paper: bool = True) -> str:
    """What held up of one source, in a line."""
    if not found.effects + found.exact:
        return f"{found.claims} {'claims' if of_paper else 'questions'}, not judged yet"
    theorems = f"{found.exact_held} of {found.exact} exact statements, and of " if found.exact else "Of "
    return f"{theorems}{found.effects} effects, {found.always} held in every run, {found.sometimes} in some, {found.never} in none"


class HeldUp(_FromData):
    """Claims counted per source: what held in every run, in some, in none."""

    def run(self) -> list[nodes.Node]:
        head = (
            "Source", "Claims", "Exact statements that held", "Effects judged", "Held in every run", "In some", "In none",
            "Not tested here",
        )  # fmt: skip
        rows = scorecard_rows(self.runs())
        cells = []
        for source in dict.fromkeys(row["source"] for row in rows):
            found = held([row for row in rows if row["source"] == source])
            theorems = f"{found.exact_held} of {found.exact}" if found.exact else "–"
            numbers = (found.effects, found.always, found.sometimes, found.never, found.waiting)
            cells.append([source, str(found.claims), theorems, *map(str, numbers)])
        return self.raw(table(head, cells, label="what held per source"))


class Tally(_FromData):
    """Verdicts counted per paper and run."""

    def run(self) -> list[nodes.Node]:
        head, *rows = tally_table(self.runs())
        return self.raw(
            f"<details class='ic-fold'><summary>The same per run, exact statements and effects apart</summary>"
            f"{table(head, rows, label='verdicts per paper')}</details>"
        )


class Scorecard(_FromData):
    """Every claim with its verdict, to be filtered by paper, verdict and scale, and sorted."""

    def run(self) -> list[nodes.Node]:
        rows = scorecard_rows(self.runs())
        cells, attributes = [], []
        for row in rows:
            claim, run = row["claim"], row["run"]
            scale = run["preset"] if run else "none"
            # A row of a run beside which the claim was not tested has a scale, and no number.
            value = "" if row["value"] is None else f" data-value='{row['value']}'"
            attributes.append(
                f"data-paper='{html.escape(row['source'], quote=True)}' data-verdict='{row['verdict']}' data-scale='{scale}'"
                f"{value}"
            )
            name = Html(f"<a href='{self.link(run['page'], _anchor(row))}'>{claim['id']}</a>") if run else claim["id"]
            file = self.link(claims_files()[claim["id"]], claim["id"])
            how = (
                f"{html.escape(row['measure'])} Baseline: {html.escape(claim['baseline'])}. "
                f"<a href='{file}' aria-label='{claim['id']} in its claims file'>Claims file</a>"
            )
            old = " (older than the chapter)" if run and run["stale"] else ""
            cells.append([
                name,
                f"{claim['statement']} ({claim['where']})",
                claim["paper_says"],
                claims.value_text(row["value"], row["ci"]),
                Html(f"<details><summary>{html.escape(row['needed'])}</summary>{how}</details>"),
                claims.baseline_text(row["baseline"]),
                Html(claims.verdict_badge(row["verdict"]) + html.escape(f": {row['note']}" if row["note"] else "")),
                f"{run['preset']} · {run['run']}{', ' * bool(row['scope'])}{row['scope']}{old}" if run else "–",
            ])  # fmt: skip
        selects = "".join(
            f"<label>{label} <select data-filter='{label.lower()}'><option value=''>all</option>"
            + "".join(f"<option>{html.escape(value)}</option>" for value in dict.fromkeys(values))
            + "</select></label> "
            for label, values in (
                ("Paper", [row["source"] for row in rows]),
                ("Verdict", claims.VERDICTS),
                ("Scale", [row["run"]["preset"] if row["run"] else "none" for row in rows]),
            )
        )
        head = ("Claim", "Claim or question", "Paper", "Here", "Needed", "Baseline", "Verdict", "Run and scope")
        up = "../" * self.env.docname.count("/")
        files = " · ".join(
            f"<a href='{up}_static/downloads/scorecard.{kind}' download>{kind.upper()}</a>" for kind in ("csv", "json")
        )
        return self.raw(
            f"<div class='ic-scorecard ic-wide'><p class='ic-filters'>{selects}"
            f"<span aria-live='polite' class='ic-count'>{len(rows)} rows</span> "
            f"<span>All rows as {files}</span></p>{table(head, cells, attributes, 'scorecard')}</div>"
        )


class Status(_FromData):
    """How each run went: minutes, machine, packages and commit."""

    def run(self) -> list[nodes.Node]:
        head = ("Chapter", "Scale · run", "Minutes", "Date", "Commit", "Machine", "Packages")
        rows = []
        for run in self.runs():
            made = run["provenance"]
            packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
            commit = (
                made["commit"][:10]
                + (" with changes" if made["dirty"] else "")
                + (" (older than the chapter)" if run["stale"] else "")
            )
            rows.append([
                run["chapter"], f"{run['preset']} · {run['run']}", f"{made['seconds'] / 60:.1f}", made["started"][:10], commit,
                made["hardware"], packages,
            ])  # fmt: skip
        return self.raw(f"<div class='ic-wide'>{table(head, rows, label='status of all runs')}</div>")


class Parameters(SphinxDirective):
    """The parameter table of a chapter: `{parameters} 02_sparse_interactions`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if self.arguments[0] not in parameters.CHAPTERS:
            raise self.error(f"no chapter {self.arguments[0]!r}; there are {', '.join(parameters.CHAPTERS)}")
        return [nodes.raw("", parameters.table(self.arguments[0]), format="html")]


class Benchmarks(SphinxDirective):
    """The table of a recorded benchmark: `{benchmarks} interactions` shows results/benchmarks/interactions.json."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = provenance.ROOT / "results" / "benchmarks" / f"{self.arguments[0]}.json"
        if not path.is_file():
            raise self.error(f"no recorded benchmark {self.arguments[0]!r}: run benchmarks/{self.arguments[0]}.py")
        self.env.note_dependency(str(path))
        content = json.loads(path.read_text(encoding="utf-8"))
        head = ("What", "Beside", "Ours / peer", "Limit", "Threads", "Note")
        rows = [
            (
                row["name"],
                row["peer"],
                "–" if row["ratio"] is None else f"{row['ratio']:.3g}",
                ("–" if row["limit"] is None else f"≤ {row['limit']:.3g}") + ("" if row["ok"] else ", missed"),
                str(row["threads"]),
                row["note"],
            )
            for row in content["rows"]
        ]
        found = f"<p class='ic-provenance'>{html.escape(content['hardware'])}</p>"
        markup = f"<div class='ic-wide'>{table(head, rows, label=f'benchmark {self.arguments[0]}')}</div>{found}"
        return [nodes.raw("", markup, format="html")]
