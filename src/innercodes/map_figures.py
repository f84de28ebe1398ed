"""Drawings of chapter 03: self-organising maps of the stages of a network, and where pictures fall on them.

Maps lie as they are numbered, row 0 at the top. Mappings are drawn in the order they have, stages from shallow to deep.
"""

import base64
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image
from plotly.subplots import make_subplots
from torch import Tensor

from innercodes import plots, telescope
from innercodes.figures import GREY

WIDTH = 7.2  # inches: about 690 px on the page
MANY = 500  # dots from which on a cloud becomes a picture
DEPTH = LinearSegmentedColormap.from_list("depth", ["#3478d4", "#8a6fe0", "#cf5a97", "#d9730d", "#b08d00"])
"""Colours of stages by depth. Those of viridis end too dark for a dark page and too bright for a light one."""
DASHES = ("-", (0, (5, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (1.5, 1)))
OTHERS = (4, 5, 3, 2, 1, 0)
MARKERS = ("o", "s", "^", "D", "v", "P")
KINDS = {"trained": 0, "untrained": 1, "memorising": 2, "half": 3, "0 %": 0, "50 %": 3, "100 %": 2}
"""Which colour, line and marker each kind of network has, or the share of wrong labels it learned."""

Grid = int | tuple[int, int]
Stages = Mapping[str, np.ndarray]


def looks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, line style and marker of each name: those of a kind are always the same, other names take what is free."""
    names = list(names)
    used = {KINDS[name] for name in names if name in KINDS}
    free = iter([i for i in OTHERS if i not in used] * (1 + len(names)))
    dashes = (*DASHES, (0, (1, 2)), (0, (8, 2)))
    found = {name: KINDS[name] if name in KINDS else next(free) for name in names}
    return {name: {"color": plots.PALETTE[i], "ls": dashes[i], "marker": MARKERS[i]} for name, i in found.items()}


def colour_maps(weights: Sequence[Tensor], grid: Grid, titles: Sequence[str]) -> Figure:
    """Maps whose units have three weights (units, 3) in [0, 1]: each unit as a square of that red, green and blue."""
    m, n = _sides(grid)
    figure, panels = _panels(len(weights), 5, m / n, extra=0.3)
    for axes, values, title in zip(panels, weights, titles, strict=True):
        axes.imshow(_array(values).reshape(m, n, 3).clip(0, 1), interpolation="none")
        _bare(axes)
        axes.set_title(title)
    return figure


def unfolding(examples: Mapping[str, tuple[Tensor, Tensor, Tensor]], grid: Grid) -> Figure:
    """BMUs of one class on the map, and the same unfolded about the class's mode, a column for each stage.

    For each stage the units int (n, k), mode (2,) and center (2,), as of `telescope.class_centers`. Dots are scattered a little.
    """
    m, n = _sides(grid)
    places, ends = [], []
    for units, mode, _ in examples.values():
        folded = telescope.positions(units.cpu().flatten(), (m, n)).double()
        unfolded = mode.cpu().double() + telescope.offsets(folded, mode.cpu(), (m, n))
        places.append((folded.numpy(), unfolded.numpy()))
        every = np.concatenate([[[0, 0], [m - 1, n - 1]], unfolded.numpy()])
        ends.append((every.min(0) - 1, every.max(0) + 1))
    # One scale for all panels, and all maps on one height.
    low, high = min(end[0][0] for end in ends), max(end[1][0] for end in ends)
    width = max(end[1][1] - end[0][1] for end in ends)
    each = min(2.2, (WIDTH - 0.3) / len(examples))
    # The upper row holds the map alone, at the same scale.
    spans = [(-1.0, float(m)), (low, high)]
    heights = [end - start for start, end in spans]
    size = (each * len(examples) + 0.3, each * sum(heights) / width + 0.75)
    figure, panels = _figure(2, len(examples), *size, gridspec_kw={"height_ratios": heights})
    for i, (title, (_, mode, center)) in enumerate(examples.items()):
        moved = (places[i][1] != places[i][0]).any(-1)
        jitter = np.random.default_rng(0).uniform(-0.3, 0.3, (len(moved), 2))
        middle = (ends[i][0][1] + ends[i][1][1]) / 2
        for axes, at, (top, bottom) in zip(panels[:, i], places[i], spans, strict=True):
            y, x = (at + jitter).T
            for which, colour, label in (
                (~moved, plots.PALETTE[0], "stays"),
                (moved, plots.PALETTE[1], "moves by a whole map"),
            ):
                look = {"color": colour, "s": 7, "alpha": 0.45, "linewidth": 0, "rasterized": len(x) > MANY}
                axes.scatter(x[which], y[which], label=label, **look)
            axes.add_patch(plt.Rectangle((-0.5, -0.5), n, m, fill=False, edgecolor=plots.INK, lw=1))
            mark = {"color": plots.INK, "ls": "", "zorder": 3}
            axes.plot(float(mode[1]), float(mode[0]), marker="o", ms=8, mfc="none", mew=1.5, label="mode", **mark)
            axes.set(xlim=(middle - width / 2, middle + width / 2), ylim=(bottom, top), aspect="equal")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        panels[1, i].plot(float(center[1]), float(center[0]), marker="x", ms=6, mew=2, label="centre", **mark)
        panels[0, i].set_title(title)
    panels[0, 0].set_ylabel("on the map")
    panels[1, 0].set_ylabel("unfolded")
    handles, labels = panels[1, 0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=4)
    for handle in legend.legend_handles[:2]:
        handle.set(alpha=1, sizes=[25])
    return figure


def explained(curves: Mapping[str, Stages]) -> Figure:
    """Share of the variance that the first principal axes explain together, (axes,) for each kind and stage."""
    figure, panels = _panels(len(curves), 3, 0.95, extra=0.6, sharex=True, sharey=True)
    for axes, (kind, stages) in zip(panels, curves.items(), strict=True):
        for stage, look in _depth(_stages(curves)).items():
            if stage in stages:
                values = _array(stages[stage])
                axes.plot(np.arange(1, len(values) + 1), values, label=stage, **look)
        axes.set(ylim=(0, 1.03), xlabel="principal axis", title=kind)
        axes.label_outer()
    panels[0].set_ylabel("variance explained")
    _legend(figure)
    return figure


def losses(curves: Mapping[str, Stages], log: bool = True) -> Figure:
    """Loss (steps,) of the map of each stage in about 200 means of neighbouring steps, a panel for each kind of codes; `log`
    for log axes.
    """
    figure, panels = _panels(len(curves), 3, 0.95, extra=0.6, sharex=True, sharey=True)
    for axes, (kind, stages) in zip(panels, curves.items(), strict=True):
        for stage, look in _depth(_stages(curves)).items():
            if stage in stages:
                axes.plot(*_smoothed(_array(stages[stage]), log), label=stage, **look)
        axes.set(xlabel="step", title=kind, xscale="log" if log else "linear", yscale="log" if log else "linear")
        axes.label_outer()
    panels[0].set_ylabel("loss")
    if log:
        _plain(panels[0].yaxis)
    _legend(figure)
    return figure


def _smoothed(values: np.ndarray, log: bool) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 means of neighbouring values, and the middles of the steps that they are the means of."""
    steps = len(values)
    edges = np.geomspace(1, steps + 1, 201) if log else np.linspace(1, steps + 1, 201)
    edges = np.unique(edges.round().astype(int)) - 1
    return (edges[:-1] + 1 + edges[1:]) / 2, np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def densities(maps: Mapping[str, Stages]) -> Figure:
    """Density (m, n) of the BMUs on the map of each stage, a row for each kind of codes; columns where the stages are many.

    All have one scale of colours, the root of the density.
    """
    kinds, stages = list(maps), _stages(maps)
    m, n = maps[kinds[0]][stages[0]].shape
    across = len(stages) <= 5
    rows, columns = (kinds, stages) if across else (stages, kinds)
    each = min((WIDTH - 0.9) / len(columns), 2.2)
    size = (each * len(columns) + 0.9, each * m / n * len(rows) + 0.9)
    figure, panels = _figure(len(rows), len(columns), *size)
    high = max(float(_array(values).max()) for row in maps.values() for values in row.values())
    for i, j in np.ndindex(len(rows), len(columns)):
        kind, stage = (rows[i], columns[j]) if across else (columns[j], rows[i])
        axes = panels[i, j]
        picture = axes.imshow(
            _array(maps[kind][stage]), cmap="viridis", norm=PowerNorm(0.5, 0, high), interpolation="none"
        )
        _bare(axes)
        if not i:
            axes.set_title(columns[j])
        if not j:
            axes.set_ylabel(textwrap.fill(rows[i], 10), rotation=0, ha="right", va="center")
    # Evenly apart on a scale of roots.
    ticks = [float(f"{high * part**2:.2g}") for part in (0, 0.25, 0.5, 0.75)] + [high]
    bar = figure.colorbar(picture, ax=panels, location="bottom", shrink=0.5, aspect=30, label="density")
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.outline.set_visible(False)
    return figure


def class_maps(
    units: Mapping[str, Mapping[str, Tensor]],
    labels: Mapping[str, Tensor],
    grid: Grid,
    classes: Sequence[int],
    names: Sequence[str],
) -> Figure:
    """Where the pictures of some classes fall: a row for each set and stage, a column for each of `classes`.

    units[set][stage] and labels[set] are int (n,), the best unit and the class of each picture; `names` are those of `classes`.
    The area of a dot grows with the number of pictures on its unit.
    """
    m, n = _sides(grid)
    rows = [(name, stage) for name, stages in units.items() for stage in stages]
    each = min(1.0, 5.5 / len(classes))
    figure, panels = _figure(len(rows), len(classes), each * len(classes) + 0.9, each * m / n * len(rows) + 0.3)
    counts = {
        (name, stage): [
            np.bincount(_array(units[name][stage]).ravel()[_array(labels[name]) == label], minlength=m * n)
            for label in classes
        ]
        for name, stage in rows
    }
    every = np.array(list(counts.values()))
    area, many = min(4.0, 180 / max(every.max(), 1)), np.count_nonzero(every) > MANY
    colours = looks(units)
    for line, (name, stage) in zip(panels, rows, strict=True):
        for axes, count in zip(line, counts[name, stage], strict=True):
            (at,) = np.nonzero(count)
            look = {"alpha": 0.75, "linewidth": 0, "color": colours[name]["color"], "rasterized": many}
            axes.scatter(at % n, at // n, s=5 + area * count[at], **look)
            axes.set(xlim=(-0.5, n - 0.5), ylim=(m - 0.5, -0.5), aspect="equal")
            _bare(axes)
        line[0].set_ylabel(f"{stage}\n{name}", rotation=0, ha="right", va="center")
    for axes, title in zip(panels[0], names, strict=True):
        axes.set_title(textwrap.fill(title, max(6, int(11 * each)), break_long_words=False))
    return figure


def depth_boxes(
    values: Mapping[str, Stages], ylabel: str, log: bool = False, line: float | None = None, line_label: str = ""
) -> Figure:
    """Boxes of values[hue][stage] (n,) by stage, side by side for each hue.

    A box holds the middle half, its line is the median, its whiskers reach from 5 % to 95 %. Values that are not finite, or on
    a log axis not above 0, are left out.
    """
    stages = _stages(values)
    figure, axes = _axes()
    width = 0.8 / len(values)
    for i, (hue, look) in enumerate(looks(values).items()):
        shift = (i - (len(values) - 1) / 2) * width
        rows = {stages.index(stage): _kept(rows, log) for stage, rows in values[hue].items()}
        rows = {at: row for at, row in rows.items() if len(row)}
        _boxes(axes, list(rows.values()), [at + shift for at in rows], 0.8 * width, look["color"])
        axes.plot([], [], marker="s", ls="", ms=8, color=look["color"], alpha=0.8, label=hue)
    _by_depth(axes, stages, ylabel, log, line, line_label)
    _legend(figure, at_least=2)
    return figure


def depth_lines(
    values: Mapping[str, Stages], ylabel: str, log: bool = False, line: float | None = None, line_label: str = ""
) -> Figure:
    """Means over seeds of values[hue][stage] (seeds,) by stage, with the span from the smallest to the largest."""
    stages = _stages(values)
    figure, axes = _axes(WIDTH - 1)
    _lines(axes, values, stages, looks(values))
    _by_depth(axes, stages, ylabel, log, line, line_label)
    _legend(figure, at_least=2)
    return figure


def _lines(axes: Axes, values: Mapping[str, Stages], stages: Sequence[str], hues: Mapping[str, dict[str, Any]]) -> None:
    for hue, look in hues.items():
        at = [stages.index(stage) for stage in stages if stage in values[hue]]
        rows = [_array(values[hue][stages[i]]) for i in at]
        axes.plot(at, [row.mean() for row in rows], ms=5, label=hue, **look)
        low, high = [row.min() for row in rows], [row.max() for row in rows]
        axes.fill_between(at, low, high, color=look["color"], alpha=0.25, linewidth=0)


def depth_panels(values: Mapping[str, Mapping[str, Stages]], ylabel: str) -> Figure:
    """`depth_lines` of values[kind][hue][stage] (seeds,), a panel for each kind, on one scale."""
    figure, panels = _panels(len(values), 3, 0.95, extra=0.6, sharey=True)
    hues = looks(dict.fromkeys(hue for row in values.values() for hue in row))
    for axes, (kind, row) in zip(panels, values.items(), strict=True):
        stages = _stages(row)
        _lines(axes, row, stages, {hue: hues[hue] for hue in row})
        _by_depth(axes, stages, "", False, None, "", room=75 / len(values))
        axes.set_title(kind)
        axes.label_outer()
    panels[0].set_ylabel(ylabel)
    _legend(figure, at_least=2)
    return figure


def codings(values: Mapping[str, Mapping[str, float]]) -> Figure:
    """Growth values[coding][kind] on a log axis, a line for each coding, with a dotted line at 1."""
    kinds = looks(dict.fromkeys(kind for row in values.values() for kind in row))
    figure, axes = _axes(WIDTH - 1, 1.3 + 0.42 * len(values))
    for i, (kind, look) in enumerate(kinds.items()):
        at = [j for j, row in enumerate(values.values()) if kind in row]
        growth = [row[kind] for row in values.values() if kind in row]
        shift = (i - (len(kinds) - 1) / 2) * 0.5 / len(kinds)
        axes.plot(growth, np.array(at) + shift, ms=7, label=kind, color=look["color"], marker=look["marker"], ls="")
    axes.axvline(1, ls=":", color=GREY)
    axes.set(xscale="log", xlabel="growth", ylim=(len(values) - 0.5, -0.5))
    axes.set_yticks(range(len(values)), list(values))
    _plain(axes.xaxis)
    _legend(figure, at_least=2)
    return figure


def forming(panels: Mapping[str, Stages], epochs: np.ndarray) -> Figure:
    """Values (epochs,) of each stage while a network learns, a panel for each quantity; epoch 0 is before it has learned."""
    epochs = _array(epochs).astype(float)
    figure, every = _panels(len(panels), 3, 0.95, extra=0.6)
    figure.get_layout_engine().set(wspace=0.06)
    for axes, (ylabel, stages) in zip(every, panels.items(), strict=True):
        for stage, look in _depth(_stages(panels)).items():
            if stage in stages:
                axes.plot(epochs, _array(stages[stage]), label=stage, **look)
        first = float(epochs[epochs > 0].min(initial=np.inf))
        if np.isfinite(first):
            axes.set_xscale("symlog", linthresh=first, linscale=0.5)
        axes.set(xlabel="epoch", ylabel=ylabel)
        axes.set_xticks(ticks := _apart(epochs, first), [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    _legend(figure)
    return figure


def flips(distance: np.ndarray, epsilon: np.ndarray, sizes: Sequence[float], unit: str) -> Figure:
    """Distance (n,) of pictures to another class against the smallest attack (n,) of `sizes`, in a `unit`, that flips them.

    Those that no attack flips, of infinite epsilon, stand at the right. Those of epsilon NaN, which the network gets wrong
    without an attack, are left out.
    """
    known = ~np.isnan(_array(epsilon))
    distance, epsilon = _array(distance)[known], _array(epsilon)[known]
    groups = [np.isclose(epsilon, size) for size in sizes]
    groups.append(~np.any(groups, axis=0))
    figure, axes = _axes(WIDTH - 1)
    scatter = np.random.default_rng(0)
    ticks = []
    for at, (name, group) in enumerate(zip([*(f"{size:g}" for size in sizes), "none"], groups, strict=True)):
        rows = _kept(distance[group], False)
        colour = plots.PALETTE[0] if at < len(sizes) else GREY
        x = at + scatter.uniform(-0.28, 0.28, len(rows))
        axes.scatter(x, rows, s=6, alpha=0.45, linewidth=0, color=colour, rasterized=len(distance) > MANY)
        _boxes(axes, [rows] if len(rows) else [], [at], 0.7, colour)
        ticks.append(f"{name}\n({len(rows)})")
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(
        xlabel=f"smallest attack that flips the picture, {unit} (number of pictures)",
        ylabel="distance to another class",
    )
    axes.grid(False, axis="x")
    return figure


def cut_bars(values: Mapping[str, Stages], ylabel: str) -> Figure:
    """Mean over seeds and span of values[kind][cut] (seeds,), side by side for each cut, with a line at 0."""
    cuts = _stages(values)
    figure, axes = _axes(WIDTH - 1)
    for i, (kind, look) in enumerate(looks(values).items()):
        shift = (i - (len(values) - 1) / 2) * 0.6 / len(values)
        at = [cuts.index(cut) for cut in cuts if cut in values[kind]]
        rows = [_array(values[kind][cuts[j]]) for j in at]
        x = np.array(at) + shift
        axes.vlines(x, [row.min() for row in rows], [row.max() for row in rows], color=look["color"], lw=2.5, alpha=0.6)
        means = [row.mean() for row in rows]
        axes.plot(x, means, ms=7, label=kind, color=look["color"], marker=look["marker"], ls="")
    _by_depth(axes, cuts, ylabel, False, 0.0, "")
    axes.set_xlabel("")
    _legend(figure, at_least=2)
    return figure


def noise_labels(q: Mapping[str, np.ndarray], accuracy: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy on unseen pictures against q, (networks,) for each share of wrong labels, a dot for each network.

    q is the distance of units over the loss: the larger, the more diverse the codes.
    """
    figure, axes = _axes(WIDTH - 1.5)
    for name, look in looks(q).items():
        colour, marker = look["color"], look["marker"]
        axes.scatter(_array(q[name]), _array(accuracy[name]), s=45, alpha=0.8, color=colour, marker=marker, label=name)
    axes.set(xlabel="diversity q at CL1 (unit distance / loss)", ylabel="test accuracy")
    _legend(figure, title="shuffled labels")
    return figure


def explorer(maps: Mapping[str, dict[str, Any]], pictures: np.ndarray | None = None) -> go.Figure:
    """The map of each stage to point at, chosen from a menu; beside it, as one picture, what its units stand for.

    maps[stage] holds "usage" int (m, n), how many pictures choose each unit, "classes" str (m, n), which ones, and "picture"
    int (m n,), the number among `pictures` (N, h, w) of the one closest to each unit, or -1 for none.
    """
    m, n = np.shape(next(iter(maps.values()))["usage"])
    beside = pictures is not None
    titles = ["pictures on each unit", "closest picture"][: 1 + beside]
    figure = make_subplots(1, 1 + beside, subplot_titles=titles, horizontal_spacing=0.08)
    hover = "row %{y}, column %{x}<br>pictures: %{z}<br>%{text}<extra></extra>"
    bar = {"orientation": "h", "thickness": 12, "y": -0.2, "yanchor": "top", "outlinewidth": 0}
    bar |= {"x": 0.23 if beside else 0.5, "len": 0.48, "title": {"text": "pictures", "side": "bottom"}}
    buttons = []
    for i, (stage, one) in enumerate(maps.items()):
        usage = _array(one["usage"])
        usage = usage.astype(np.min_scalar_type(int(usage.max())))
        text = [[f"of class {cell}" if cell else "" for cell in row] for row in np.asarray(one["classes"]).tolist()]
        both = {"visible": i == 0, "name": stage}
        units = {"z": usage, "text": text, "hovertemplate": hover, "colorscale": "Viridis", "zmin": 0, **both}
        figure.add_trace(go.Heatmap(colorbar=bar, **units), 1, 1)
        if beside:
            mosaic = _mosaic(_array(pictures), _array(one["picture"]).reshape(m, n))
            height, width = mosaic.shape[0] / m, mosaic.shape[1] / n
            # Pixels in steps of a unit: both panels have the same rows and columns, and zoom together.
            where = {"dx": 1 / width, "dy": 1 / height, "x0": 0.5 / width - 0.5, "y0": 0.5 / height - 0.5}
            figure.add_trace(go.Image(source=_png(mosaic), hoverinfo="skip", **where, **both), 1, 2)
            # One cannot see it, but point at it: a picture says the same as its unit.
            figure.add_trace(go.Heatmap(opacity=0, showscale=False, **units), 1, 2)
        shown = [j == i for j in range(len(maps)) for _ in range(3 if beside else 1)]
        buttons.append({"label": f"stage: {stage}", "method": "restyle", "args": [{"visible": shown}]})
    figure.update_xaxes(range=[-0.5, n - 0.5], constrain="domain", showgrid=False, zeroline=False, title="column")
    figure.update_yaxes(range=[m - 0.5, -0.5], constrain="domain", showgrid=False, zeroline=False)
    figure.update_yaxes(constraintoward="top")
    figure.update_annotations(font={"size": 14})
    figure.update_yaxes(scaleanchor="x", scaleratio=1, title="row", col=1)
    if beside:
        figure.update_xaxes(matches="x", col=2)
        figure.update_yaxes(matches="y", showticklabels=False, col=2)
    figure.update_layout(
        height=510,
        margin={"t": 90, "l": 50, "r": 10, "b": 120},
        font={"color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        updatemenus=[
            # Plotly lights the chosen line up in white whatever the page: dark letters on a light ground fit both.
            {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.16, "yanchor": "bottom", "showactive": True,
             "bgcolor": "#e4e7ec", "bordercolor": GREY, "font": {"color": "#1d2127"}, "pad": {"t": 0, "b": 0}},
        ],
    )  # fmt: skip
    return figure


def _mosaic(pictures: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Pictures (N, h, w) in the places of int (m, n), as grey and opacity uint8 (m h, n w, 2): the largest value is dark.

    Their grounds alternate like the squares of a chess board, so that each can be told from its neighbours.
    """
    (m, n), (h, w) = chosen.shape, pictures.shape[1:]
    low, high = float(pictures.min()), float(pictures.max())
    ink = (pictures[chosen] - low) / max(high - low, 1e-12)
    ground = np.where(np.indices((m, n)).sum(0) % 2, 255, 214)[..., None, None]
    tiles = np.stack([ground + ink * (20 - ground), np.full(ink.shape, 255)], -1).round()
    tiles = np.where((chosen >= 0)[..., None, None, None], tiles, 0).astype(np.uint8)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(m * h, n * w, 2)


def _png(values: np.ndarray) -> str:
    """Grey and opacity uint8 (h, w, 2) as the address of a PNG that holds it."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _sides(grid: Grid) -> tuple[int, int]:
    return (grid, grid) if isinstance(grid, int) else grid


def _stages(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All names of the inner mappings in the order in which they first occur."""
    return list(dict.fromkeys(stage for row in values.values() for stage in row))


def _depth(stages: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour and line style of each stage by its depth."""
    stages = list(stages)
    last = max(len(stages) - 1, 1)
    return {s: {"color": DEPTH(i / last), "ls": DASHES[i % len(DASHES)], "lw": 1.6} for i, s in enumerate(stages)}


def _figure(rows: int, columns: int, width: float, height: float, **more: Any) -> tuple[Figure, np.ndarray]:
    # The resolution is that of clouds of dots; all else is drawn as shapes.
    return plt.subplots(rows, columns, figsize=(width, height), dpi=150, squeeze=False, layout="constrained", **more)


def _axes(width: float = WIDTH, height: float = 3.6) -> tuple[Figure, Axes]:
    figure, panels = _figure(1, 1, width, height)
    return figure, panels[0, 0]


def _panels(count: int, columns: int, shape: float, extra: float, **more: Any) -> tuple[Figure, np.ndarray]:
    """So many panels, at most `columns` beside each other, of a height over width and some inches more for what is around."""
    columns = min(count, columns)
    rows = -(-count // columns)
    each = min(WIDTH / columns, 3.2)
    figure, grid = _figure(rows, columns, each * columns, rows * (each * shape + 0.25) + extra, **more)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, grid.flat[:count]


def _bare(axes: Axes) -> None:
    """No ticks and grid, but a whole frame."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set(visible=True, linewidth=0.8, color=GREY)


def _kept(values: np.ndarray, log: bool) -> np.ndarray:
    values = _array(values).astype(float)
    return values[np.isfinite(values) & ((values > 0) | (not log))]


def _boxes(axes: Axes, rows: list[np.ndarray], at: list[float], width: float, colour: str) -> None:
    if not rows:
        return
    thin = {"color": colour, "linewidth": 1.2}
    axes.boxplot(
        rows, positions=at, widths=width, showfliers=False, patch_artist=True, manage_ticks=False,
        whis=(5, 95),  # codespell:ignore whis
        boxprops={"facecolor": to_rgba(colour, 0.4), "edgecolor": colour, "linewidth": 1.2},
        medianprops={"color": plots.INK, "linewidth": 1.8}, whiskerprops=thin, capprops=thin,
    )  # fmt: skip


def _by_depth(
    axes: Axes, stages: Sequence[str], ylabel: str, log: bool, line: float | None, line_label: str, room: float = 75
) -> None:
    """Stages along x with names that do not touch, `room` letters in all, and the line to compare with."""
    if line is not None:
        axes.axhline(line, ls=":", color=GREY, label=line_label or None, zorder=1)
    axes.set(xlim=(-0.6, len(stages) - 0.4), xlabel="stage", ylabel=ylabel, yscale="log" if log else "linear")
    axes.set_xticks(range(len(stages)), list(stages))
    if max(map(len, stages)) * len(stages) > room:
        plt.setp(axes.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
    axes.grid(False, axis="x")
    if log:
        _plain(axes.yaxis)


def _plain(axis: Any) -> None:
    """On a log axis of less than two decades name also steps between, and all as plain numbers."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    within = (1, 1.5, 2, 3, 5, 7) if decades < 0.8 else (1, 2, 5) if decades < 2 else (1,)
    if decades < 4:
        axis.set_major_locator(LogLocator(subs=within, numticks=20))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")


def _apart(epochs: np.ndarray, first: float) -> list[float]:
    """The first and last epoch and those between whose names do not come too close to others on the axis."""
    place = np.where(epochs > 0, np.log10(np.maximum(epochs, first) / first) + 0.5, 0)
    least = 0.13 * place.max()
    kept = [0]
    for i in range(1, len(epochs) - 1):
        if min(place[i] - place[kept[-1]], place[-1] - place[i]) > least:
            kept.append(i)
    return epochs[sorted({*kept, len(epochs) - 1})].tolist()


def _legend(figure: Figure, at_least: int = 1, **more: Any) -> None:
    """One legend for all panels above them, where there are names enough to need it."""
    found = {}
    for axes in figure.axes:
        found |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if len(found) >= at_least:
        # In points: a letter takes about 5, a line and the room around it 42.
        widths, room = [42 + 5 * len(label) for label in found], 72 * figure.get_figwidth()
        columns = len(found) if sum(widths) < room else max(1, int(room // max(widths)))
        handles, labels = list(found.values()), list(found)
        figure.legend(handles, labels, loc="outside upper center", ncols=columns, **more)
