"""The Sphinx side of the book: MathJax and Plotly inside the site, and the pages made from claims, parameters and runs.

The directives read what staging left in `_data/runs.json`: the results of every run, without paths, each with its page.
"""

import html
import importlib.metadata
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import plotly
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from innercodes import claims, parameters
from innercodes.tables import Html, table


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("scorecard", Scorecard)
    app.add_directive("tally", Tally)
    app.add_directive("status", Status)
    app.add_directive("parameters", Parameters)
    app.connect("config-inited", _offline_mathjax, priority=900)
    app.connect("html-page-context", _repair_page, priority=900)
    app.connect("build-finished", _copy_libraries)
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


def _copy_libraries(app: Sphinx, error: Exception | None) -> None:
    """MathJax and Plotly come from their Python packages: no page asks another server for anything."""
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    files = importlib.metadata.files("sphinx-mathjax-offline")
    mathjax = Path(next(f for f in files if f.name == "tex-mml-chtml.js").locate()).parent
    for part in ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2"):
        source, target = mathjax / part, static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", static / "plotly.min.js")


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


def scorecard_rows(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each claim beside each run that judged it; a claim that no run judged stands once, with the reason."""
    rows = []
    for paper in claims.papers():
        own = [run for run in runs if run["chapter"] == paper["paper"]["chapter"]]
        for claim in paper["claims"]:
            common = {
                "id": claim["id"], "statement": claim["statement"], "where": claim["where"], "paper": paper["paper"]["authors"],
                "paper_says": claim["paper_says"], "chapter": paper["paper"]["chapter"],
            }  # fmt: skip
            judged = []
            for run in own:
                found = next((row for row in run["claims"] if row["id"] == claim["id"]), None)
                if found and found["value"] is not None:
                    scale = claim["scales"][run["preset"]]
                    judged.append(
                        common | found | {
                            "preset": run["preset"], "run": run["run"], "page": run["page"], "stale": run["stale"],
                            "scope": scale["scope"], "needed": claims.test_text(scale),
                        }
                    )  # fmt: skip
            if not judged:
                scale = claim["scales"]["quick"]
                waiting = "not judged by its chapter yet" if own else "chapter not written"
                judged.append(
                    common | {
                        "preset": "", "run": "", "page": "", "stale": False, "value": None, "ci": None, "baseline": None,
                        "verdict": claims.VERDICTS[-1], "note": scale.get("not_tested", waiting) if own else waiting,
                        "scope": scale.get("scope", ""), "needed": claims.test_text(scale) if "op" in scale else "–",
                    }
                )  # fmt: skip
            rows += judged
    return rows


def tally_table(runs: list[dict[str, Any]]) -> list[list[str]]:
    """How many claims of each paper have which verdict at the quick scale, as rows of text with a header first."""
    quick = {row["id"]: row["verdict"] for run in runs if run["preset"] == "quick" for row in run["claims"]}
    rows = [["Paper", *(verdict.capitalize() for verdict in claims.VERDICTS)]]
    for paper in claims.papers():
        verdicts = Counter(quick.get(claim["id"], claims.VERDICTS[-1]) for claim in paper["claims"])
        rows.append([paper["paper"]["authors"], *(str(verdicts[verdict]) for verdict in claims.VERDICTS)])
    return rows


class Tally(_FromData):
    """Verdicts counted per paper."""

    def run(self) -> list[nodes.Node]:
        head, *rows = tally_table(self.runs())
        return self.raw(table(head, rows, label="verdicts per paper"))


class Scorecard(_FromData):
    """Every claim with its verdict, to be filtered by paper, verdict and scale."""

    def run(self) -> list[nodes.Node]:
        rows = scorecard_rows(self.runs())
        cells, attributes = [], []
        for row in rows:
            link = self.link(row["page"], row["id"]) if row["page"] else ""
            why = html.escape(f": {row['note']}" if row["note"] else "")
            attributes.append(
                f"data-paper='{html.escape(row['paper'], quote=True)}' data-verdict='{row['verdict']}' "
                f"data-scale='{row['preset'] or 'none'}'"
            )
            cells.append([
                Html(f"<a href='{link}'>{row['id']}</a>") if link else row["id"],
                f"{row['statement']} ({row['where']})",
                row["paper_says"],
                claims.value_text(row["value"], row["ci"]),
                row["needed"],
                claims.baseline_text(row["baseline"]),
                Html(claims.verdict_badge(row["verdict"]) + why),
                (f"{row['preset']} · {row['run']}" if row["preset"] else "–") + (" (older than the chapter)" if row["stale"] else ""),
                row["scope"] or "–",
            ])  # fmt: skip
        selects = "".join(
            f"<label>{label} <select data-filter='{key}'><option value=''>all</option>"
            + "".join(f"<option>{html.escape(value)}</option>" for value in dict.fromkeys(values))
            + "</select></label> "
            for label, key, values in (
                ("Paper", "paper", [row["paper"] for row in rows]),
                ("Verdict", "verdict", claims.VERDICTS),
                ("Scale", "scale", [row["preset"] or "none" for row in rows]),
            )
        )
        head = ("Claim", "What the paper claims", "Paper", "Here", "Needed", "Baseline", "Verdict", "Run", "Scope")
        return self.raw(
            f"<div class='ic-scorecard ic-wide'><p class='ic-filters'>{selects}<span aria-live='polite' class='ic-count'>"
            f"{len(rows)} rows</span></p>{table(head, cells, attributes, 'scorecard')}</div>"
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
