"""Drawings of chapter 05 from its tables: stages through four lenses, and what the lenses say of pictures and of networks.

Tables are those of `lenses`, `lens_studies` and `sparse_units`. Stages are drawn from shallow to deep, architectures beside each
other. `low` and `high` are the ends of 95 % intervals, NaN where there are none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from innercodes import plots
from innercodes.figures import GREY
from innercodes.map_figures import MARKERS, WIDTH, _figure, _legend, _panels, looks
from innercodes.symbol_figures import _checked, _names, _places, _stage_axis, aurocs

SUMMARY = {
    "information": "symbols:\nclass information",
    "score": "symbols:\nexpected score",
    "unit_distance": "telescope:\nunit distance / loss",
    "relative_spread": "telescope:\nclass spread",
    "alpha": "spectra:\nalpha",
    "action": "spectra:\naction",
    "explained": "interactions:\nR² of the strongest",
    "high_order": "interactions:\nhigh-order share",
    "salient": "interactions:\nsalient share",
    "exponent": "interactions:\nexponent p",
}
"""What the summary shows of each lens, and how it is called."""
LOGARITHMIC = ("action",)


def _stage_names(table: pd.DataFrame) -> list[str]:
    """Stages with the architecture before them where there are several, in the order in which a table has them."""
    several = table["family"].nunique() > 1
    return [f"{f} {s}" if several else s for f, s in zip(table["family"], table["stage"], strict=True)]


def summary(table: pd.DataFrame, measures: Mapping[str, str] | None = None) -> Figure:
    """Stages x lenses: a panel for each number of `SUMMARY`, means over seeds with their span, a line for each kind of network.

    Columns: family, kind, seed, stage and the measures.
    """
    measures = SUMMARY if measures is None else measures
    table = _checked(table, ("family", "kind", "seed", "stage"), measures)
    table = table.assign(place=_stage_names(table))
    places, kinds = _names(table["place"]), looks(_names(table["kind"]))
    columns = 2
    figure, panels = _panels(len(measures), columns, 0.62, extra=1.7, sharex=True)
    for i, (axes, (measure, name)) in enumerate(zip(panels, measures.items(), strict=True)):
        for kind, look in kinds.items():
            for _, part in table[table["kind"] == kind].groupby("family", sort=False):
                found = part.groupby("place", sort=False)[measure]
                at, mean = _places(list(found.groups), places), found.mean().to_numpy()
                axes.fill_between(at, found.min(), found.max(), color=look["color"], alpha=0.2, linewidth=0)
                axes.plot(at, mean, ms=4, lw=1.4, label=kind, **look)
        axes.set_title(name.replace("\n", " "), fontsize="medium")
        if measure in LOGARITHMIC and (table[measure].dropna() > 0).all():
            axes.set_yscale("log")
        _stage_axis(axes, places, columns)
        if i + columns < len(panels):
            axes.tick_params(labelbottom=False)
    _legend(figure)
    return figure


def scatter(table: pd.DataFrame) -> Figure:
    """Unit distance over loss against alpha and against class information, a dot for each stage of each network.

    Filled: trained; open: untrained. The marker is the architecture, the size the depth. Columns as of `lens_studies.scatter`.
    """
    table = _checked(table, ("family", "kind", "stage"), ("distance", "alpha", "information", "depth"), unique=False)
    figure, panels = _figure(1, 2, WIDTH, 3.9)
    kinds = looks(_names(table["kind"]))
    markers = dict(zip(_names(table["family"]), MARKERS * len(table), strict=False))
    ylabels = {"alpha": "alpha (lower is steeper)", "information": "class information of symbols"}
    for axes, (name, ylabel) in zip(panels[0], ylabels.items(), strict=True):
        for (kind, family), part in table.groupby(["kind", "family"], sort=False):
            colour = kinds[kind]["color"]
            axes.scatter(
                part["distance"], part[name], s=22 + 40 * part["depth"], marker=markers[family], linewidth=1.3,
                edgecolor=colour, facecolor=colour if kind == "trained" else "none", alpha=0.85, label=f"{family}, {kind}",
            )  # fmt: skip
        axes.set(xlabel="unit distance / loss", ylabel=ylabel)
    _legend(figure)
    return figure


def dots(table: pd.DataFrame, panel: str, reader: str, xlabel: str, line: float | None = None) -> Figure:
    """Numbers with their intervals, a panel for each `panel`, a row for each `reader`, a colour for each kind of network."""
    table = _checked(table, (panel, reader, "kind"), ("value", "low", "high"))
    names, kinds = _names(table[reader]), looks(_names(table["kind"]))
    count = table[panel].nunique()
    columns = min(count, 3)
    rows = -(-count // columns)
    height = 0.27 * len(names) + 0.75
    figure, grid = _figure(rows, columns, WIDTH, rows * height + 0.5, sharey=True)
    for axes in grid.flat[count:]:
        axes.remove()
    for axes, (title, part) in zip(grid.flat, table.groupby(panel, sort=False), strict=False):
        if line is not None:
            axes.axvline(line, ls=":", color=GREY, zorder=1)
        for number, (kind, look) in enumerate(kinds.items()):
            own = part[part["kind"] == kind]
            at = np.array([names.index(one) for one in own[reader]]) + 0.22 * (number - (len(kinds) - 1) / 2)
            axes.hlines(at, own["low"], own["high"], color=look["color"], lw=1.5, alpha=0.8)
            axes.plot(own["value"], at, ls="", marker=look["marker"], ms=5, color=look["color"], label=kind)
        axes.set(title=title, xlabel=xlabel, yticks=range(len(names)), yticklabels=names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(False, axis="y")
        axes.locator_params(axis="x", nbins=4)
    _legend(figure, at_least=2)
    return figure


def differences(table: pd.DataFrame) -> Figure:
    """A panel for each lens: the difference dropout minus plain with its interval, and an arrow to the predicted side.

    A difference that is no number is said in words.

    Columns: lens, value, low, high, predicted (1 or -1).
    """
    table = _checked(table, ("lens",), ("value", "low", "high", "predicted"))
    figure, panels = _figure(len(table), 1, WIDTH - 1.5, 0.72 * len(table) + 0.4)
    for axes, row in zip(panels[:, 0], table.itertuples(), strict=True):
        axes.set(ylim=(-0.5, 0.9), yticks=[0], yticklabels=[row.lens])
        axes.grid(False, axis="y")
        if not np.isfinite([row.value, row.low, row.high]).all():
            axes.text(0.5, 0.5, "no number", transform=axes.transAxes, ha="center", va="center", color=plots.INK)
            axes.set_xticks([])
            continue
        right = (row.low > 0) if row.predicted > 0 else (row.high < 0)
        colour = plots.PALETTE[0 if right else 1]
        reach = 1.25 * max(abs(row.low), abs(row.high), abs(row.value), 1e-9)
        axes.axvline(0, ls=":", color=GREY)
        axes.hlines(0, row.low, row.high, color=colour, lw=2)
        axes.plot(row.value, 0, marker="o" if right else "s", ms=6, color=colour)
        axes.annotate(
            "", (row.predicted * reach, 0.55), (0, 0.55), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.3}
        )
        axes.set_xlim(-reach, reach)
        axes.locator_params(axis="x", nbins=5)
    return figure


def order_strengths(table: pd.DataFrame, players: int) -> Figure:
    """Mean strength of the interactions of each order over that of all, by stage of the first architecture: a panel for each kind.

    Columns: family, kind, stage, strength_1 ... strength_n.
    """
    columns = [f"strength_{order}" for order in range(1, players + 1)]
    table = _checked(table, ("family", "kind", "seed", "stage"), columns)
    table = table[table["family"] == table["family"].iloc[0]]
    kinds = _names(table["kind"])
    figure, panels = _panels(len(kinds), 2, 0.7, extra=0.9, sharey=True, sharex=True)
    stages = looks(_names(table["stage"]))
    for axes, kind in zip(panels, kinds, strict=True):
        part = table[table["kind"] == kind].groupby("stage", sort=False)[columns].mean()
        for stage, look in stages.items():
            axes.plot(range(1, players + 1), part.loc[stage].clip(lower=1e-6), label=stage, ms=4, **look)
        axes.set(title=kind, yscale="log", xlabel="order")
        axes.set_xticks(range(1, players + 1))
    panels[0].set_ylabel("share of strength")
    _legend(figure)
    return figure


def units(table: pd.DataFrame) -> Figure:
    """AUROC of the best units for what cells show, by stage: `symbol_figures.aurocs` with a panel for each kind of network."""
    return aurocs(table.assign(question=table["kind"], kind="units"))


def parts(table: pd.DataFrame, names: Sequence[str] = ()) -> Figure:
    """AUROC of the best unit of each part, a row for each part and a mark for each kind of units. Columns: reader, part, value."""
    table = _checked(table, ("reader", "part"), ("value",))
    order = list(names) or _names(table["part"])
    figure, grid = _figure(1, 1, WIDTH, 0.27 * len(order) + 1.2)
    axes = grid[0, 0]
    axes.axvline(0.5, ls=":", color=GREY)
    for (reader, part), number in zip(table.groupby("reader", sort=False), range(len(order) * 9), strict=False):
        colour, marker = plots.PALETTE[number % len(plots.PALETTE)], MARKERS[number % len(MARKERS)]
        at = [order.index(one) for one in part["part"]]
        axes.plot(part["value"], at, ls="", marker=marker, ms=5, color=colour, alpha=0.85, label=reader)
    axes.set(xlabel="AUROC", yticks=range(len(order)), yticklabels=order)
    axes.set_ylim(len(order) - 0.5, -0.5)
    _legend(figure)
    return figure
