"""Drawings of chapter 01 from the tables of its studies: what symbols tell, what they mean, what changes them, what they cost.

Tables are tidy, a row for each number. Stages are drawn from shallow to deep, in the order in which a table first has them; `low`
and `high` are the ends of 95 % intervals, NaN where there are none. A row without a stage, as of the network's own confidence, is
a line across all stages. Every function raises ValueError for a table without rows or without a column that it needs, and for
two rows of what has one number.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from innercodes import plots
from innercodes.code_figures import ONE, _in_turn, _number
from innercodes.figures import GREY
from innercodes.map_figures import DASHES, MARKERS, WIDTH, _apart, _axes, _figure, _legend, _panels, _plain, looks

CHANCE = 0.5  # AUROC of a score that knows nothing
FEWEST = 10
"""Scores of a group, in the seed that has the most, below which its density is not drawn: it would be the shape of the kernel."""
MEASURES = {
    "accuracy": "accuracy from symbols",
    "errors_auroc": "AUROC of right against wrong",
    "outside_auroc": "AUROC of inside against outside",
}
"""What a multiverse measures, and how it is called."""
WAYS = ("symbols", "k-means", "PCA", "random symbols", "permuted labels", "nearest mean", "network")
"""Ways to name a picture's class; each has the same colour whatever else is drawn."""
BASELINES = ("max-softmax", "energy", "Mahalanobis")
"""Readers that need no symbols."""
ALL = "all"
BARE = {"mfc": "none", "mew": 1.4}

Look = dict[str, Any]


def aurocs(table: pd.DataFrame) -> Figure:
    """AUROC of `reader` for each `question`, a panel each, by `stage`: dots with their interval, filled for trained networks.

    Other kinds have open dots and thin lines. A reader without a stage stands at the right, where all stages are read together;
    those of `BASELINES` are lines with a band. Columns: question, reader, kind, stage, value, low, high.
    """
    table = _checked(table, ("question", "reader", "kind", "stage"), ("value", "low", "high"))
    together = _stageless(table) & ~table["reader"].isin(BASELINES)
    stages = [*_stages(table), *([ALL] if together.any() else [])]
    table.loc[together, "stage"] = ALL
    kinds = _names(table["kind"])
    names = [name for name in _names(table["reader"]) if name not in BASELINES]
    found, lines = _in_turn(names), zip(BASELINES, (4, 5, 2), DASHES, strict=False)
    found |= {name: {"color": plots.PALETTE[colour], "ls": dashes} for name, colour, dashes in lines}
    series = [(name, kind) for name in [*names, *BASELINES] for kind in kinds]
    shifts = _shifts([pair for pair in series if pair[0] not in BASELINES])
    columns = min(table["question"].nunique(), 2)
    figure, panels = _panels(table["question"].nunique(), 2, 0.75, extra=0.9, sharey=True)
    for i, (axes, (question, rows)) in enumerate(zip(panels, _groups(table, "question"), strict=True)):
        axes.axhline(CHANCE, ls=":", color=GREY, zorder=1)
        for reader, kind in series:
            part = rows[(rows["reader"] == reader) & (rows["kind"] == kind)]
            look, label = found[reader], reader
            if kind != kinds[0]:
                # The kind shows in the dot and the width: the colour belongs to the reader.
                look, label = look | BARE | {"lw": 0.9}, f"{reader}, {kind}"
            # What is read of all stages together is no further stage: no line leads there.
            for here in (part["stage"] != ALL, part["stage"] == ALL):
                _stage_series(axes, part[here], stages, label, look, shifts.get((reader, kind), 0.0))
        axes.set_title(question)
        _stage_axis(axes, stages, columns)
        if i % columns == 0:
            axes.set_ylabel("AUROC")
        if i + columns < len(panels):
            axes.set_xticklabels([])
        else:
            axes.set_xlabel("stage")
    _legend(figure)
    return figure


def scores(table: pd.DataFrame, xlabel: str = "expected symbol score") -> Figure:
    """Densities of `score` for each `group`, a column for each `stage` and a row for each `kind`; seeds lie together.

    A group with fewer than `FEWEST` scores in every seed is left out, and the legend says how many it has at most. A group of
    fewer than two different scores is a vertical line. Columns: kind, seed, stage, group, score.
    """
    table = _checked(table, ("kind", "seed", "stage", "group"), ("score",), unique=False)
    table = table[np.isfinite(table["score"])]
    kinds, stages, found = _names(table["kind"]), _stages(table), _in_turn(_names(table["group"]))
    sizes = table.groupby(["group", "kind", "seed", "stage"]).size().groupby("group").max()
    few = {group: int(sizes[group]) for group in found if sizes[group] < FEWEST}
    columns = 3 if len(stages) in (5, 6) else min(len(stages), 4)
    blocks = -(-len(stages) // columns)
    width = min(WIDTH, 2.4 * columns + 0.4)
    figure, grid = _figure(len(kinds) * blocks, columns, width, 1.7 * len(kinds) * blocks + 0.9)
    for i, kind in enumerate(kinds):
        for j, stage in enumerate(stages):
            axes = grid[i * blocks + j // columns, j % columns]
            rows = table[(table["kind"] == kind) & (table["stage"] == stage)]
            for group, look in found.items():
                if group not in few:
                    _density(axes, rows.loc[rows["group"] == group, "score"], group, look)
            axes.set_ylim(bottom=0)
            axes.set(xlabel="", ylabel="", yticks=[], title=stage if len(kinds) == 1 else f"{stage}, {kind}")
            axes.grid(False)
            axes.spines["left"].set_visible(False)
            axes.locator_params(axis="x", nbins=4)
        for axes in grid.flat[(i * blocks * columns) + len(stages) : (i + 1) * blocks * columns]:
            axes.remove()
    figure.supxlabel(xlabel, fontsize="medium", color=plots.INK)
    figure.supylabel("density", fontsize="medium", color=plots.INK)
    for group, count in few.items():
        figure.axes[0].plot([], [], ls="", label=f"{group}: {count}, not drawn")
    _legend(figure)
    return figure


def _density(axes: Axes, values: pd.Series, label: str, look: Look) -> None:
    line = {"color": look["color"], "ls": look["ls"], "lw": 1.7, "label": label}
    if values.nunique() < 2:
        for value in values.unique():
            axes.axvline(value, **line)
        return
    # Nothing is drawn beyond the scores that occur: below 0 there are none.
    sns.kdeplot(values, ax=axes, cut=0, gridsize=150, legend=False, **line)
    curve = axes.lines[-1]
    axes.fill_between(curve.get_xdata(), curve.get_ydata(), color=look["color"], alpha=0.12, linewidth=0)


def shots(table: pd.DataFrame) -> Figure:
    """Accuracy on new classes against the number of examples of each, a line for each `reader`, "chance" dotted.

    Columns: reader, shots, value, low, high.
    """
    table = _checked(table, ("reader", "shots"), ("value", "low", "high"))
    figure, axes = _axes(ONE, 3.7)
    every = np.unique(table["shots"].to_numpy(float))
    for reader, look in _in_turn(name for name in _names(table["reader"]) if name != "chance").items():
        _curve(axes, table[table["reader"] == reader], "shots", reader, look)
    chance = table[table["reader"] == "chance"].sort_values("shots")
    if len(chance):
        # Of one number alone a line would be a dot.
        ends = (
            (every, np.full(len(every), chance["value"].iloc[0]))
            if len(chance) == 1
            else (chance["shots"], chance["value"])
        )
        axes.plot(*ends, ls=":", color=GREY, lw=1.8, label="chance")
    axes.set(xscale="log", xlabel="examples of each new class", ylabel="accuracy on new classes")
    _named_ticks(axes, every)
    axes.set_ylim(bottom=0)
    _legend(figure)
    return figure


def meaning(table: pd.DataFrame, measure: str = "value") -> Figure:
    """How much symbols tell of each `truth` by `stage`, a panel for each `kind`, with a dotted line at what chance gives, 0.

    `measure` is "value", the adjusted mutual information, corrected for cells that go together, or "purity", which has no
    interval. Columns: kind, stage, truth, value, purity, low, high.
    """
    if measure not in ("value", "purity"):
        raise ValueError(f"measure = {measure!r}: must be 'value' or 'purity'")
    table = _checked(table, ("kind", "stage", "truth"), (measure, "low", "high"))
    if measure == "purity":
        table = table.assign(value=table["purity"], low=np.nan, high=np.nan)
    ylabel = "adjusted mutual information" if measure == "value" else "purity"
    return _by_kind(table, "truth", ylabel, _in_turn(_names(table["truth"])), 0.0 if measure == "value" else None)


def prediction(table: pd.DataFrame) -> Figure:
    """Accuracy of each `reader` by `stage`, a panel for each `kind`. Columns: kind, stage, reader, value, low, high."""
    table = _checked(table, ("kind", "stage", "reader"), ("value", "low", "high"))
    others = [name for name in _names(table["reader"]) if name not in WAYS]
    # The network itself is no way of reading symbols: a line in ink.
    found = _in_turn([*WAYS, *others]) | {"network": {"color": plots.INK, "ls": "-", "marker": "*"}}
    figure = _by_kind(table, "reader", "accuracy", {name: found[name] for name in _names(table["reader"])}, None)
    figure.axes[0].set_ylim(bottom=0)
    return figure


def causal(table: pd.DataFrame) -> Figure:
    """Mean absolute change of the predicted class's logit for each `replacement` by `stage`, a panel for each `kind`.

    Columns: kind, stage, replacement, value, low, high.
    """
    table = _checked(table, ("kind", "stage", "replacement"), ("value", "low", "high"))
    found = _in_turn(_names(table["replacement"]))
    figure = _by_kind(table, "replacement", "change of the logit", found, None, sharey=False)
    for axes in figure.axes:
        axes.set_ylim(bottom=0)
    return figure


def _by_kind(
    table: pd.DataFrame, hue: str, ylabel: str, found: Mapping[str, Look], line: float | None, sharey: bool = True
) -> Figure:
    """Values by stage, a line for each name in `hue` and a panel for each kind of network."""
    stages, kinds = _stages(table), _names(table["kind"])
    columns = min(len(kinds), 2)
    figure, panels = _panels(len(kinds), 2, 0.95 if len(kinds) > 1 else 1.1, extra=0.9, sharey=sharey)
    if len(kinds) == 1:
        figure.set_size_inches(ONE, 3.8)
    shifts = _shifts([(name,) for name in found])
    for axes, (kind, rows) in zip(panels, _groups(table, "kind"), strict=True):
        if line is not None:
            axes.axhline(line, ls=":", color=GREY, zorder=1)
        for name, look in found.items():
            _stage_series(axes, rows[rows[hue] == name], stages, name, look, shifts[name,])
        axes.set_title(kind)
        _stage_axis(axes, stages, columns)
        axes.set_xlabel("stage")
    for axes in panels[::columns]:
        axes.set_ylabel(ylabel)
    if not sharey:
        figure.get_layout_engine().set(wspace=0.06)
    _legend(figure)
    return figure


def clusters(table: pd.DataFrame) -> Figure:
    """Number of symbols, on a log axis, and their silhouette by `stage`: the mean over seeds and a dot for each.

    Open and thin: a Gaussian surrogate, the same steps on noise of the same spread. Columns: kind, seed, stage, count, silhouette,
    surrogate_count, surrogate_silhouette.
    """
    quantities = {"count": "number of symbols", "silhouette": "silhouette"}
    numbers = [*quantities, *(f"surrogate_{name}" for name in quantities)]
    table = _checked(table, ("kind", "seed", "stage"), numbers)
    stages, found = _stages(table), looks(_names(table["kind"]))
    figure, panels = _panels(2, 2, 0.95, extra=0.9)
    figure.get_layout_engine().set(wspace=0.06)
    series = [(kind, prefix) for kind in found for prefix in ("", "surrogate_")]
    shifts = _shifts(series)
    for axes, (quantity, ylabel) in zip(panels, quantities.items(), strict=True):
        for kind, prefix in series:
            rows, column = table[table["kind"] == kind], prefix + quantity
            look = found[kind] | {"ls": "-"} | (BARE | {"lw": 0.9, "ls": (0, (3, 2))} if prefix else {"lw": 1.7})
            at = _places(rows["stage"], stages) + shifts[kind, prefix]
            dots = {"color": look["color"], "marker": look["marker"], "ms": 4, "ls": "", "alpha": 0.5}
            axes.plot(at, rows[column], **dots | (BARE if prefix else {}))
            means = rows.groupby("stage", sort=False)[column].mean().reindex(stages).dropna()
            x = _places(means.index, stages) + shifts[kind, prefix]
            axes.plot(x, means, ms=6, label=f"{kind}, surrogate" if prefix else kind, **look)
        axes.set(ylabel=ylabel)
        _stage_axis(axes, stages, 2)
        axes.set_xlabel("stage")
    panels[0].set_yscale("log")
    _plain(panels[0].yaxis)
    _legend(figure)
    return figure


def counts(table: pd.DataFrame) -> Figure:
    """Accuracy against the number of symbols, on a log axis. Columns: kind, count, accuracy, low, high."""
    table = _checked(table, ("kind", "count"), ("accuracy", "low", "high")).assign(value=lambda rows: rows["accuracy"])
    figure, axes = _axes(ONE, 3.5)
    for kind, look in looks(_names(table["kind"])).items():
        _curve(axes, table[table["kind"] == kind], "count", kind, look)
    axes.set(xscale="log", xlabel="number of symbols", ylabel="accuracy from symbols")
    _named_ticks(axes, np.unique(table["count"].to_numpy(float)))
    axes.set_ylim(bottom=0)
    _legend(figure, at_least=2)
    return figure


def multiverse(table: pd.DataFrame, measure: str = "accuracy", default: Mapping[str, Any] | None = None) -> Figure:
    """A specification curve (Simonsohn, Simmons & Nelson 2020): values of a `measure` in order above, their choices below.

    Every column but those of `MEASURES` is a choice; one that has a single option is left out. A diamond marks the row of the
    `default` choices, by column, those of the first row unless others are given. Raises ValueError for an unknown measure, and
    where no choice varies.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure = {measure!r}: must be one of {', '.join(MEASURES)}")
    choices = [name for name in table.columns if name not in MEASURES]
    table = _checked(table, choices, (measure,), unique=False)
    default = table.loc[0, choices].to_dict() if default is None else default
    table = table[np.isfinite(table[measure])]
    options = {name: _options(table[name]) for name in choices}
    table = table.sort_values(measure, kind="stable", ignore_index=True)
    options = {name: found for name, found in options.items() if len(found) > 1}
    if not options:
        raise ValueError(f"table: no choice varies among {len(table)} rows, must be at least one with two options")
    rows = [(name, option) for name, found in options.items() for option in found]
    height = 0.19 * len(rows)
    figure, grid = _figure(
        2, 1, WIDTH, 2.1 + height + 0.6, sharex=True, gridspec_kw={"height_ratios": [2.1, height + 0.15]}
    )
    above, below = grid[:, 0]
    x, size = np.arange(1, len(table) + 1), 30 if len(table) <= 60 else 12
    here = _is_default(table, default)
    above.scatter(x[~here], table[measure][~here], s=size, color=plots.PALETTE[0], linewidth=0)
    above.set_ylabel(textwrap.fill(MEASURES[measure], 18))
    for row, (name, option) in enumerate(rows):
        has = (table[name] == option).to_numpy()
        colour = plots.PALETTE[list(options).index(name) % 5]
        below.plot(x, np.full(len(x), row), ls="", marker="o", ms=1.2, color=GREY, alpha=0.5)
        below.plot(x[has], np.full(has.sum(), row), ls="", marker="s", ms=4.5 if size > 12 else 3, color=colour)
    if here.any():
        look = {"marker": "D", "s": 2 * size, "color": plots.PALETTE[1], "linewidth": 0, "label": "the default"}
        above.scatter(x[here], table[measure][here], zorder=3, **look)
        for at in x[here]:
            below.axvline(at, color=plots.PALETTE[1], lw=1, ls=(0, (4, 2)), zorder=0)
    ends = np.cumsum([len(found) for found in options.values()])[:-1]
    for end in ends:
        below.axhline(end - 0.5, color=GREY, lw=0.8)
    below.set_yticks(range(len(rows)), [f"{name.replace('_', ' ')}: {_option(option)}" for name, option in rows])
    below.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0.3, len(table) + 0.7))
    below.set_xlabel(f"{len(table)} combinations of choices, sorted")
    below.tick_params(axis="x", labelbottom=len(table) > 1)
    below.xaxis.get_major_locator().set_params(integer=True)
    below.grid(False)
    _legend(figure)
    return figure


def _options(column: pd.Series) -> list[Any]:
    """The different values of a choice, numbers in order and others as they come."""
    found = list(column.unique())
    numbers = all(isinstance(one, (int, float, np.number)) and not isinstance(one, (bool, np.bool_)) for one in found)
    return sorted(found) if numbers else found


def _option(option: Any) -> str:
    if isinstance(option, (bool, np.bool_)):
        return "yes" if option else "no"
    return _number(option) if isinstance(option, (int, float, np.number)) else str(option)


def _is_default(table: pd.DataFrame, default: Mapping[str, Any]) -> np.ndarray:
    """Which rows have all default choices, bool (rows,)."""
    unknown = [name for name in default if name not in table.columns]
    if unknown:
        raise ValueError(f"default: {', '.join(unknown)}: must be columns of the table, {', '.join(table.columns)}")
    return np.all([(table[name] == option).to_numpy() for name, option in default.items()], axis=0)


def coverage(table: pd.DataFrame, curve: str = "max-softmax") -> Figure:
    """Accuracy on the pictures that are kept against the share that is, a panel for each `kind`.

    The reader `curve` is a line, what keeping the most confident pictures gives at every share; others are dots. Columns: kind,
    reader, coverage, accuracy.
    """
    table = _checked(table, ("kind", "reader"), ("coverage", "accuracy"), unique=False)
    found, kinds = _in_turn(_names(table["reader"])), _names(table["kind"])
    figure, panels = _panels(len(kinds), 2, 0.85, extra=0.9, sharex=True, sharey=False)
    figure.get_layout_engine().set(wspace=0.06)
    for axes, (kind, rows) in zip(panels, _groups(table, "kind"), strict=True):
        for reader, look in found.items():
            part = rows[rows["reader"] == reader].sort_values("coverage")
            style = (
                {"ls": "-", "lw": 1.7}
                if reader == curve
                else {"ls": "", "marker": look["marker"], "ms": 7, "alpha": 0.8}
            )
            if len(part):
                axes.plot(part["coverage"], part["accuracy"], label=reader, color=look["color"], **style)
        axes.set(xlabel="share of the pictures kept", ylabel="accuracy on these", title=kind, xlim=(-0.03, 1.03))
    _legend(figure)
    return figure


def keep_rates(table: pd.DataFrame) -> Figure:
    """Share kept of each class, a dot with its interval for each `kind`, classes in order of the first kind's share.

    Columns: kind, name, value, low, high.
    """
    table = _checked(table, ("kind", "name"), ("value", "low", "high"))
    found = looks(_names(table["kind"]))
    first = table[table["kind"] == next(iter(found))].sort_values("value", kind="stable")
    order = [*first["name"], *(name for name in _names(table["name"]) if name not in set(first["name"]))]
    figure, axes = _axes(WIDTH, 3.4)
    shifts = _shifts([(kind,) for kind in found])
    for kind, look in found.items():
        rows = table[table["kind"] == kind]
        at = _places(rows["name"], order) + shifts[kind,]
        axes.vlines(at, rows["low"], rows["high"], color=look["color"], lw=1.2, alpha=0.8)
        axes.plot(at, rows["value"], ms=5, label=kind, **look | {"ls": ""})
    axes.set(ylabel="share kept", ylim=(-0.03, 1.03), xlim=(-0.6, len(order) - 0.4))
    step = -(-len(order) // 40)  # of very many classes every second or third is named
    axes.set_xticks(range(0, len(order), step), [textwrap.shorten(str(name), 18) for name in order[::step]])
    plt.setp(axes.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    axes.grid(False, axis="x")
    _legend(figure, at_least=2)
    return figure


def under_attack(table: pd.DataFrame) -> Figure:
    """Accuracy bars of each `reader`, a bar for each `variant` of the pictures: open where clean, filled where attacked.

    Columns: variant, reader, value, low, high.
    """
    table = _checked(table, ("variant", "reader"), ("value", "low", "high"))
    variants, readers = _names(table["variant"]), _names(table["reader"])
    figure, axes = _axes(ONE, 3.6)
    width = 0.8 / len(variants)
    for i, variant in enumerate(variants):
        rows = table[table["variant"] == variant]
        at = _places(rows["reader"], readers) + (i - (len(variants) - 1) / 2) * width
        colour = plots.PALETTE[i]
        style = {"facecolor": to_rgba(colour, 0.15 if i == 0 else 0.75), "edgecolor": colour, "linewidth": 1.2}
        axes.bar(at, rows["value"], 0.9 * width, label=variant, **style)
        axes.vlines(at, rows["low"], rows["high"], color=plots.INK, lw=1.1)
    axes.set(ylabel="accuracy", ylim=(0, 1.03))
    _stage_axis(axes, readers, 1)
    _legend(figure)
    return figure


def sources(table: pd.DataFrame) -> Figure:
    """Four numbers of each `source` of regions, side by side on [0, 1]; "unknown" stands where the overlap is NaN.

    Columns: source, overlap, coverage, accuracy_kept, symbol_accuracy, low, high, the interval of the last.
    """
    quantities = {
        "overlap": "overlap with\nthe true box",
        "coverage": "share kept by\na second look",
        "accuracy_kept": "network's accuracy\non these",
        "symbol_accuracy": "accuracy\nfrom symbols",
    }
    # The overlap is unknown everywhere where pictures come without boxes.
    table = _checked(table, ("source",), ("symbol_accuracy", *quantities, "low", "high"))
    at = np.arange(len(table))
    figure, grid = _figure(1, len(quantities), WIDTH, 1.3 + 0.34 * len(table), sharey=True, sharex=True)
    for i, (axes, (name, title)) in enumerate(zip(grid[0], quantities.items(), strict=True)):
        colour = plots.PALETTE[i]
        values = table[name].to_numpy(float)
        axes.hlines(at, 0, np.nan_to_num(values), color=colour, lw=1.2, alpha=0.5)
        if name == "symbol_accuracy":
            axes.hlines(at, table["low"], table["high"], color=colour, lw=4, alpha=0.5)
        axes.plot(values, at, ls="", marker=MARKERS[i], ms=6, color=colour)
        for row in np.flatnonzero(np.isnan(values)):
            axes.text(0.04, row, "unknown", va="center", color=plots.INK, fontsize="small")
        axes.set(title=title, xlim=(0, 1.06), xticks=[0, 0.5, 1], xticklabels=["0", "0.5", "1"])
        axes.grid(False, axis="y")
    grid[0, 0].set_yticks(at, table["source"].astype(str))
    grid[0, 0].set_ylim(len(table) - 0.5, -0.5)
    return figure


def stability(table: pd.DataFrame, line: float | None = None) -> Figure:
    """Adjusted Rand index of each pair by `stage`, a panel for what lies `between`: a dot each, and a bar at their mean.

    `line` is a value to compare with. Columns: kind, between, stage, value.
    """
    table = _checked(table, ("kind", "between", "stage"), ("value",), unique=False)
    stages, found = _stages(table), looks(_names(table["kind"]))
    figure, panels = _panels(table["between"].nunique(), 2, 0.85, extra=0.9, sharey=True)
    shifts = _shifts([(kind,) for kind in found], room=0.5)
    width = 0.5 / len(found)
    for axes, (between, rows) in zip(panels, _groups(table, "between"), strict=True):
        if line is not None:
            axes.axhline(line, ls=":", color=GREY, zorder=1, label=f"{_number(line)} asked for")
        scatter = np.random.default_rng(0)
        for kind, look in found.items():
            part = rows[rows["kind"] == kind]
            middle = _places(part["stage"], stages) + shifts[kind,]
            x = middle + scatter.uniform(-0.3, 0.3, len(part)) * width
            axes.plot(
                x, part["value"], ls="", marker=look["marker"], ms=4.5, alpha=0.65, color=look["color"], label=kind
            )
            means = part.groupby("stage", sort=False)["value"].mean()
            ends = _places(means.index, stages) + shifts[kind,]
            axes.hlines(means, ends - 0.42 * width, ends + 0.42 * width, color=look["color"], lw=2.4)
        axes.set_title(f"between {between}")
        _stage_axis(axes, stages, min(2, table["between"].nunique()))
        axes.set_xlabel("stage")
    panels[0].set_ylabel("adjusted Rand index")
    panels[0].set_ylim(min(-0.03, panels[0].get_ylim()[0]), 1.03)
    _legend(figure)
    return figure


def growth(table: pd.DataFrame, ylabel: str = "adjusted mutual information") -> Figure:
    """Value by `epoch` of training, 0 before it: thin lines are seeds, the thick one is their mean.

    Columns: kind, seed, epoch, value.
    """
    table = _checked(table, ("kind", "seed", "epoch"), ("value",))
    figure, axes = _axes(ONE, 3.5)
    for kind, look in looks(_names(table["kind"])).items():
        rows = table[table["kind"] == kind].sort_values("epoch")
        for _, one in rows.groupby("seed", sort=False):
            axes.plot(one["epoch"], one["value"], color=look["color"], lw=0.8, alpha=0.5)
        means = rows.groupby("epoch")["value"].mean()
        axes.plot(means.index, means, ms=6, lw=2, label=kind, **look)
    epochs = np.unique(table["epoch"].to_numpy(float))
    first = float(epochs[epochs > 0].min(initial=np.inf))
    if np.isfinite(first):
        axes.set_xscale("symlog", linthresh=first, linscale=0.5)
    axes.set_xticks(ticks := _apart(epochs, first), [_number(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="epoch", ylabel=ylabel)
    _legend(figure, at_least=2)
    return figure


def costs(table: pd.DataFrame) -> Figure:
    """Milliseconds per picture of each `step` as bars, with its share of the whole chain. Columns: step, seconds, share.

    A step without a share, as a bare pass of the network to compare with, is hatched.
    """
    table = _checked(table, ("step",), ("seconds", "share"))
    milliseconds, at = 1000 * table["seconds"].to_numpy(float), np.arange(len(table))
    figure, axes = _axes(ONE, 0.7 + 0.36 * len(table))
    end = float(np.nanmax(milliseconds)) or 1.0
    for row, value, share in zip(at, milliseconds, table["share"], strict=True):
        part = np.isfinite(share)
        colour = plots.PALETTE[0] if part else GREY
        style = {"facecolor": to_rgba(colour, 0.75 if part else 0.15), "edgecolor": colour, "linewidth": 1.2}
        axes.barh(row, value, 0.62, hatch="" if part else "///", **style)
        text = f"{_three(value)} ms" + (f", {100 * share:.0f} %" if part else "")
        axes.text(value + 0.015 * end, row, text, va="center", color=plots.INK)
    axes.set_yticks(at, table["step"].astype(str))
    axes.set(ylim=(len(table) - 0.5, -0.5), xlim=(0, 1.3 * end), xlabel="milliseconds per picture")
    axes.grid(False, axis="y")
    return figure


def evasions(table: pd.DataFrame) -> Figure:
    """An attack that also raises the score, against the `weight` of that: how often it succeeds, and the AUROC that is left.

    Columns: weight, success, auroc, low, high, the interval of the AUROC.
    """
    table = _checked(table, ("weight",), ("success", "auroc", "low", "high")).sort_values("weight")
    figure, axes = _axes(ONE, 3.5)
    auroc, success = _in_turn(["AUROC of clean against attacked", "share of attacks that succeed"]).items()
    weights = table["weight"].to_numpy(float)
    axes.axhline(CHANCE, ls=":", color=GREY, zorder=1, label="AUROC of chance")
    _curve(axes, table.assign(value=table["auroc"]), "weight", *auroc)
    _curve(axes, table.assign(value=table["success"], low=np.nan, high=np.nan), "weight", *success)
    positive = weights[weights > 0]
    if len(positive):
        axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
        axes.set_xlim(left=min(0.0, weights.min()) - 0.08 * positive.min())
    axes.set_xticks(weights, [_number(weight) for weight in weights])
    axes.minorticks_off()
    axes.set(xlabel="weight of the symbols in the attack", ylabel="AUROC, share", ylim=(-0.03, 1.03))
    _legend(figure)
    return figure


# Pieces of these figures


def _checked(table: pd.DataFrame, names: Sequence[str], numbers: Iterable[str], unique: bool = True) -> pd.DataFrame:
    """The table, rows numbered anew, if it has rows and these columns, and one number of each where `unique`."""
    numbers = list(numbers)
    missing = [name for name in (*names, *numbers) if name not in table.columns]
    if missing:
        raise ValueError(f"table: has {', '.join(map(str, table.columns))}, must also have {', '.join(missing)}")
    table = table.dropna(subset=[name for name in names if name != "stage"]).reset_index(drop=True)
    if not len(table) or not np.isfinite(table[numbers[0]].to_numpy(float)).any():
        raise ValueError(f"table: no number in {numbers[0]!r}, must be at least one row with its {', '.join(names)}")
    twice = table.duplicated(list(names))
    if unique and twice.any():
        found = ", ".join(f"{name} = {table.loc[twice.idxmax(), name]}" for name in names)
        raise ValueError(f"table: two rows with {found}: must be one")
    return table


def _names(column: pd.Series) -> list[Any]:
    """The different values of a column in the order in which they come."""
    return list(dict.fromkeys(column.dropna()))


def _stageless(table: pd.DataFrame) -> pd.Series:
    return table["stage"].isna() | (table["stage"] == "")


def _stages(table: pd.DataFrame) -> list[str]:
    return _names(table.loc[~_stageless(table), "stage"])


def _places(column: Iterable[str], stages: Sequence[str]) -> np.ndarray:
    """The place of each stage along x, float64 (n,)."""
    return np.array([stages.index(stage) for stage in column], dtype=float)


def _groups(table: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    return [(name, table[table[column] == name]) for name in _names(table[column])]


def _pairs(table: pd.DataFrame, first: str, second: str) -> list[tuple[str, str]]:
    """The pairs of values that occur, in the order in which they come."""
    return list(dict.fromkeys(zip(table[first], table[second], strict=True)))


def _shifts(series: Sequence[tuple[str, ...]], room: float = 0.36) -> dict[tuple[str, ...], float]:
    """How far the dots of each series stand from the middle of a stage, so that intervals do not cover each other."""
    step = room / max(len(series), 1)
    return {one: (i - (len(series) - 1) / 2) * step for i, one in enumerate(series)}


def _stage_series(axes: Axes, rows: pd.DataFrame, stages: Sequence[str], label: str, look: Look, shift: float) -> None:
    """Dots by stage with their intervals, joined by a line; the number of a row without a stage is a line across all."""
    rows = rows[rows["value"].notna()]
    alone = _stageless(rows)
    own = rows[~alone]
    own = own.assign(at=_places(own["stage"], stages) + shift).sort_values("at")
    look = {"lw": 1.5, "ms": 5.5} | look
    if len(own):
        known = own[own["low"].notna() & own["high"].notna()]
        axes.vlines(known["at"], known["low"], known["high"], color=look["color"], lw=1.4, alpha=0.8)
        axes.plot(own["at"], own["value"], label=label, **look)
    line = {"color": look["color"], "ls": look["ls"], "lw": look["lw"]}
    for _, row in rows[alone].iterrows():
        if np.isfinite([row["low"], row["high"]]).all():
            axes.axhspan(row["low"], row["high"], color=look["color"], alpha=0.12, linewidth=0, zorder=0)
        axes.axhline(row["value"], label=None if len(own) else label, zorder=1.5, **line)


def _stage_axis(axes: Axes, stages: Sequence[str], columns: int) -> None:
    """Stages along x, with names that do not touch in panels of which `columns` stand beside each other."""
    axes.set_xlim(-0.5, max(len(stages), 1) - 0.5)
    axes.set_xticks(range(len(stages)), [str(stage) for stage in stages])
    if (max(map(len, map(str, stages)), default=0) + 2) * len(stages) > 85 / columns:
        plt.setp(axes.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
    axes.grid(False, axis="x")


def _curve(axes: Axes, rows: pd.DataFrame, column: str, label: str, look: Look) -> None:
    """A line of values by a number with a band where there are intervals."""
    rows = rows.sort_values(column)
    if rows["low"].notna().any():
        axes.fill_between(rows[column], rows["low"], rows["high"], color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(rows[column], rows["value"], ms=5.5, lw=1.7, label=label, **look)


def _named_ticks(axes: Axes, places: np.ndarray) -> None:
    """Ticks on a log axis at the numbers that were tried, named where there is room."""
    apart = (
        np.diff(np.log(places), prepend=-np.inf) > 0.07 * np.log(places[-1] / places[0]) if len(places) > 1 else [True]
    )
    axes.set_xticks(places, [_number(place) if named else "" for place, named in zip(places, apart, strict=True)])
    axes.minorticks_off()


def _three(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
