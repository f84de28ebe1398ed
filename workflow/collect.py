"""Collect a sweep: one tidy table of all its numbers, and one page that compares its runs; called by the Snakefile.

`results.parquet` has a row for each number of each run. `index.html` shows the verdicts and the values side by side. It is
one file and needs no network.
"""

import html
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from runs import ROOT

from innercodes import claims, parameters, plots
from innercodes.tables import Html, table

KINDS = {bool: "boolean", int: "Int64", float: "Float64", str: "string"}
PER_LINE = 4
"""Panels of the comparison figure side by side."""
COLORS = dict(
    zip(claims.VERDICTS, (plots.PALETTE[2], plots.PALETTE[1], plots.PALETTE[3], plots.PALETTE[5]), strict=True)
)
STYLE = """
:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem auto; padding: 0 1rem; max-width: 80rem }
.wide { overflow-x: auto } table { border-collapse: collapse } th, td { border: 1px solid #8888; padding: .2rem .5rem; text-align: left }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto } figcaption, .small { font-size: .875rem }
"""


def main(name: str) -> int:
    folder = ROOT / "_build" / "sweeps" / name
    described = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    found = [
        json.loads((ROOT / row["folder"] / "results.json").read_text(encoding="utf-8")) for row in described["rows"]
    ]
    frame = tidy(described, found)
    aside = folder / ".results.parquet"
    frame.to_parquet(aside, index=False)
    aside.replace(folder / "results.parquet")
    claims.write_atomically(folder / "index.html", page(described, found))
    print(f"the sweep: {(folder / 'index.html').relative_to(ROOT)}, {len(found)} runs, {len(frame)} numbers")
    return 0


def tidy(described: Mapping[str, Any], found: list[dict[str, Any]]) -> pd.DataFrame:
    """A row for each number of each run: which run, its parameters, the name of the number, and the number.

    Claims come with interval, verdict and baseline (JSON); metrics with dots between the names that lead to them. A parameter
    that a chapter does not have is missing there.
    """
    records = []
    for row, result in zip(described["rows"], found, strict=True):
        made = result["provenance"]
        which = {"sweep": described["sweep"], "row": row["number"]}
        which |= {name: row[name] for name in ("chapter", "preset", "run")}
        which |= {name: shown(result, name) for name in described["columns"]}
        where = {name: made[name] for name in ("commit", "dirty", "source_hash", "started", "seconds")}
        for claim in result["claims"]:
            low, high = claim["ci"] or (None, None)
            records.append(which | {
                "kind": "claim", "name": claim["id"], "value": claim["value"], "low": low, "high": high,
                "verdict": claim["verdict"], "baseline": json.dumps(claim["baseline"], ensure_ascii=False),
            } | where)  # fmt: skip
        for name, value in numbers(result["metrics"]):
            records.append(which | {"kind": "metric", "name": name, "value": value} | where)
    frame = pd.DataFrame.from_records(records)
    for name in described["columns"]:
        frame[name] = frame[name].astype(KINDS[kind_of(name)])
    return frame.astype({"value": "Float64", "low": "Float64", "high": "Float64"})


def kind_of(name: str) -> type:
    """The type of a parameter; one name means one thing in all chapters."""
    return next(p.kind for declared in parameters.CHAPTERS.values() for p in declared if p.name == name)


def shown(result: Mapping[str, Any], name: str) -> Any:
    """A parameter of a run, a path as its last name alone; None where the chapter has no such parameter."""
    value = result["parameters"].get(name)
    paths = {p.name for p in parameters.CHAPTERS[result["chapter"]] if p.path}
    return Path(value).name if name in paths and value else value


def numbers(metrics: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in nested dicts and lists, with the names that lead to it."""
    if isinstance(metrics, Mapping):
        for key, value in metrics.items():
            yield from numbers(value, f"{name}.{key}" if name else str(key))
    elif isinstance(metrics, list):
        for place, value in enumerate(metrics):
            yield from numbers(value, f"{name}[{place}]")
    elif isinstance(metrics, int | float):
        yield name, float(metrics)


def page(described: Mapping[str, Any], found: list[dict[str, Any]]) -> str:
    """The whole page: for each chapter the figure, the verdicts, and what stood behind each run."""
    name = html.escape(described["sweep"])
    parts = []
    for chapter in dict.fromkeys(result["chapter"] for result in found):
        own = [
            (row, result) for row, result in zip(described["rows"], found, strict=True) if result["chapter"] == chapter
        ]
        parts.append(section(chapter, described["columns"], own))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Sweep {name}</title><style>{STYLE}</style></head><body><main><h1>Sweep {name}</h1><p>{len(found)} runs. "
        f"The numbers are in <code>results.parquet</code> beside this page.</p>{''.join(parts)}</main></body></html>\n"
    )


def section(chapter: str, columns: list[str], own: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """What the runs of one chapter have to say."""
    labels = [label(columns, own, row, result) for row, result in own]
    results = [result for _, result in own]
    judged = [c for c in claims.of_chapter(chapter) if any(values_of(result).get(c) for result in results)]
    head = ("Claim", "What is claimed", *labels)
    statements = claims.of_chapter(chapter)
    cells = [[c, statements[c]["statement"], *(cell(values_of(result).get(c)) for result in results)] for c in judged]
    runs_head = ("Row", "Run", "Preset file", "Minutes", "Commit", "Machine")
    behind = [
        (str(row["number"]), text, f"{row['preset']}/{row['run']}", f"{result['provenance']['seconds'] / 60:.1f}",
         result["provenance"]["commit"][:10] + (" with changes" if result["provenance"]["dirty"] else ""),
         result["provenance"]["hardware"])
        for (row, result), text in zip(own, labels, strict=True)
    ]  # fmt: skip
    return (
        f"<h2>{html.escape(chapter)}</h2>{picture(judged, labels, results)}<h3>Verdicts</h3>"
        f"<div class='wide'>{table(head, cells, label=f'verdicts of {chapter}')}</div>"
        f"<h3>Runs</h3><div class='wide small'>{table(runs_head, behind, label=f'runs of {chapter}')}</div>"
    )


def label(columns: list[str], own: list[tuple[dict, dict]], row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """A run as the parameters in which it differs from the others of its chapter."""
    differing = [name for name in columns if len({str(shown(other, name)) for _, other in own}) > 1]
    words = [f"{name} = {shown(result, name)}" for name in differing]
    if len({(other["preset"], other["run"]) for other, _ in own}) > 1 or not words:
        words.insert(0, f"{row['preset']} · {row['run']}")
    return ", ".join(words)


def values_of(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The claims of a run that have a value, by id."""
    return {claim["id"]: claim for claim in result["claims"] if claim["value"] is not None}


def cell(claim: Mapping[str, Any] | None) -> str | Html:
    if claim is None:
        return "–"
    return Html(f"{html.escape(claims.value_text(claim['value'], claim['ci']))}<br>{claim['verdict']}")


def picture(judged: list[str], labels: list[str], results: list[dict[str, Any]]) -> str:
    """A panel for each claim, a line for each run: value and interval in the colour of the verdict, baselines as grey ticks."""
    if not judged:
        return "<p>No claim has a value in these runs.</p>"
    plots.style()
    lines = -(-len(judged) // PER_LINE)
    figure, axes = plt.subplots(
        lines, PER_LINE, figsize=(13, lines * (0.9 + 0.24 * len(labels))), sharey=True, squeeze=False
    )
    for ax in axes.flat[len(judged) :]:
        ax.set_visible(False)
    for ax, name in zip(axes.flat, judged, strict=False):
        for height, result in enumerate(results):
            claim = values_of(result).get(name)
            if claim is None:
                continue
            ax.scatter(
                beside := baselines(claim["baseline"]), [height] * len(beside), marker="|", color=plots.PALETTE[5], s=60
            )
            if claim["ci"]:
                ax.plot(claim["ci"], [height, height], color=COLORS[claim["verdict"]], linewidth=2)
            ax.plot(claim["value"], height, "o", color=COLORS[claim["verdict"]])
        ax.set_title(name)
        ax.locator_params(axis="x", nbins=4)
    axes[0, 0].set_yticks(range(len(labels)), labels)
    axes[0, 0].set_ylim(len(labels) - 0.5, -0.5)
    keys = [
        plt.Line2D([], [], marker="o", linestyle="", color=color, label=verdict) for verdict, color in COLORS.items()
    ]
    keys[-1] = plt.Line2D([], [], marker="|", linestyle="", color=plots.PALETTE[5], label="baseline")
    figure.legend(handles=keys, loc="outside upper center", ncols=len(keys))
    svg = plots._svg(figure)
    plt.close(figure)
    alt = f"Values of {len(judged)} claims in {len(labels)} runs: {'; '.join(labels)}. The table below has the numbers."
    caption = "Each panel is a claim, each line a run. Dots are values, bars intervals, grey ticks baselines."
    marked = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" ', 1)
    return f"<figure>{marked}<figcaption>{caption}</figcaption></figure>"


def baselines(baseline: Any) -> list[float]:
    """The numbers among a claim's baselines."""
    some = baseline.values() if isinstance(baseline, Mapping) else (baseline,)
    return [value for value in some if isinstance(value, int | float)]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except OSError as error:
        sys.exit(f"error: {error.filename or 'the disk'}: {error.strerror or error}")
