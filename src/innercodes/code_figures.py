"""Drawings of chapter 04: codes and their spectra, how smooth projected responses are, and what explains them.

Mappings are drawn in the order they have, layers from shallow to deep. A name has the same colour, line and marker in all
figures that are given the same names.
"""

import itertools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Circle
from matplotlib.ticker import FuncFormatter
from plotly.subplots import make_subplots
from torch.nn.functional import adaptive_avg_pool2d

from innercodes import plots
from innercodes.figures import GREY
from innercodes.map_figures import (
    DASHES,
    MANY,
    MARKERS,
    WIDTH,
    _array,
    _axes,
    _bare,
    _depth,
    _figure,
    _kept,
    _legend,
    _panels,
    _plain,
    depth_lines,
    looks,
)

ONE = WIDTH - 1.5  # inches: a figure of one panel, whose letters stay larger on a phone
POINTS = 200  # of a long curve on a log axis
PIECES = 24  # colours of a path
DIVERGING = LinearSegmentedColormap.from_list(
    "diverging", ["#0f4c81", "#3b8fd0", "#d3d6da", "#d9730d", "#7a3b00"], N=31
)
"""Blue below 0 and orange above. Few levels keep the pictures small; the middle glares on no page."""
CYCLE = LinearSegmentedColormap.from_list(
    "cycle", ["#3478d4", "#8a6fe0", "#cf5a97", "#d9730d", "#b08d00", "#3f9a4f", "#159a9a", "#3478d4"]
)
"""Colours of the places on a circle, of much the same lightness."""
PLATEAUS = {1.0: "plateau 1", 0.5: "plateau 1/2"}
DEBIASED = ", debiased"


def survival_by_hand(rows: Sequence[tuple[str, np.ndarray, np.ndarray, str]]) -> Figure:
    """A message sent over a few noisy neurons, a row for each code.

    A row holds the name of the code, the bits sent (n,) and received (n,), where -1 is an erased one, and what is read.
    """
    count = max(len(sent) for _, sent, _, _ in rows)
    group = 1.15 * (count - 1)
    right = group + 2.6  # the first neuron received
    reads = right + group + 2.0
    (left, end), (bottom, top) = (-5.6, reads + 4.6), (1.3 * len(rows) - 0.6, -1.4)
    unit = min(0.34, WIDTH / (end - left))
    figure, axes = _axes(unit * (end - left), unit * (bottom - top))
    for i, (name, sent, received, read) in enumerate(rows):
        y = 1.3 * i
        axes.text(-0.9, y, textwrap.fill(name, 18), ha="right", va="center")
        for start, bits in ((0, sent), (right, received)):
            for j, bit in enumerate(np.asarray(bits).tolist()):
                _neuron(axes, start + 1.15 * j, y, bit)
        _arrow(axes, group + 0.75, right - 0.75, y)
        _arrow(axes, right + group + 0.7, reads - 0.3, y)
        axes.text(reads, y, textwrap.fill(read, 16), ha="left", va="center", weight="bold")
    for x, title, align in (
        (group / 2, "sent", "center"),
        (right + group / 2, "received", "center"),
        (reads, "read", "left"),
    ):
        axes.text(x, -1.0, title, ha=align, va="center")
    axes.set(xlim=(left, end), ylim=(bottom, top), aspect="equal")
    axes.axis("off")
    return figure


def _neuron(axes: Axes, x: float, y: float, bit: int) -> None:
    """A circle that says its bit: filled for 1, empty for 0, dashed for an erased one."""
    colour = GREY if bit < 0 else plots.PALETTE[0]
    fill = to_rgba(colour, 0.45) if bit == 1 else "none"
    axes.add_patch(Circle((x, y), 0.42, facecolor=fill, edgecolor=colour, ls=(0, (2, 1.5)) if bit < 0 else "-", lw=1.6))
    axes.text(x, y, "×" if bit < 0 else str(int(bit)), ha="center", va="center", color=plots.INK)


def _arrow(axes: Axes, start: float, end: float, y: float) -> None:
    axes.annotate("", (end, y), (start, y), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.4})


def compression(inverse_density: np.ndarray, measured: np.ndarray, predicted: Mapping[str, np.ndarray]) -> Figure:
    """Hidden units per feature D* of toy models against 1 / (1 - S), (s,), on log axes (fig. 1c, Marshall & Kirchner 2024).

    `measured` is (seeds, s), drawn as its mean and its span; predicted[name] (s,) are lines. Dotted: the plateaus.
    """
    x, measured = _array(inverse_density), np.atleast_2d(_array(measured))
    figure, axes = _axes(ONE, 3.7)
    colour = plots.PALETTE[0]
    axes.fill_between(x, measured.min(0), measured.max(0), color=colour, alpha=0.25, linewidth=0)
    axes.plot(x, measured.mean(0), color=colour, marker="o", ms=5, ls="-", label="measured D*")
    for name, look in list(_in_turn(["measured", *predicted]).items())[1:]:
        axes.plot(x, _array(predicted[name]), label=name, **_line(look))
    axes.set(xscale="log", yscale="log", xlabel="1 / (1 − S)", ylabel="hidden units per feature")
    _level_lines(axes)
    _plain(axes.xaxis)
    _plain(axes.yaxis)
    _legend(figure)
    return figure


def feature_dimensions(inverse_density: np.ndarray, dimensionality: np.ndarray) -> Figure:
    """Dimensionality D_i (s, n) of each feature of toy models as a cloud at each 1 / (1 - S), (s,); NaN is left out."""
    x, values = _array(inverse_density).astype(float), _array(dimensionality)
    figure, axes = _axes(ONE, 3.7)
    scatter = np.random.default_rng(0)
    # On a log axis a cloud has the same width everywhere where its dots are moved by a factor.
    apart = np.diff(np.log(np.unique(x))).min(initial=0.4)
    for at, row in zip(x, values, strict=True):
        row = _kept(row, False)
        places = at * np.exp(scatter.uniform(-0.3, 0.3, len(row)) * apart)
        look = {"s": 7, "alpha": 0.5, "linewidth": 0, "color": plots.PALETTE[0]}
        axes.scatter(places, row, rasterized=values.size > MANY, **look)
    axes.set(xscale="log", xlabel="1 / (1 − S)", ylabel="dimensions of a feature, D$_i$")
    _level_lines(axes)
    axes.set_ylim(-0.05, max(1.08, axes.get_ylim()[1]))
    _plain(axes.xaxis)
    return figure


def _level_lines(axes: Axes) -> None:
    """The two plateaus, named at the right where the clouds and curves have left them."""
    for level, name in PLATEAUS.items():
        axes.axhline(level, ls=":", color=GREY, zorder=1)
        place = axes.get_yaxis_transform()
        axes.text(0.99, level, name, ha="right", va="bottom", color=plots.INK, transform=place, fontsize="small")


def capacities(
    layers: np.ndarray,
    left: Mapping[str, np.ndarray],
    corrected: Mapping[str, np.ndarray],
    simulated: Mapping[str, np.ndarray],
) -> Figure:
    """Share of the capacity left after (N,) dropout layers, without and with correction after each (fig. 2b and c).

    A line for each dropout rate; the simulated shares are dots in the first panel.
    """
    layers = _array(layers)
    figure, (without, with_) = _panels(2, 2, 0.9, extra=0.6, sharex=True, sharey=True)
    found = looks(dict.fromkeys([*left, *corrected]))
    for axes, title, curves in ((without, "no correction", left), (with_, "corrected after each layer", corrected)):
        for name, look in found.items():
            if name in curves:
                axes.plot(layers, _array(curves[name]), label=name, **_line(look))
        axes.set(xlabel="dropout layers", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for name, values in simulated.items():
        look = found[name]
        without.plot(layers, _array(values), ls="", marker=look["marker"], ms=4, color=look["color"])
    if simulated:
        without.set_title("no correction (dots: simulated)")
    without.set(ylim=(-0.03, 1.04), ylabel="capacity left")
    _legend(figure)
    return figure


def survival(layers: np.ndarray, recovered: Mapping[str, np.ndarray]) -> Figure:
    """Share (N,) of the messages recovered after (N,) noisy layers, a line for each code (fig. 2a)."""
    layers = _array(layers)
    figure, axes = _axes(ONE, 3.3)
    every = max(1, len(layers) // 10)
    for i, (name, look) in enumerate(_in_turn(recovered).items()):
        # Marks of lines that lie on each other stand beside each other.
        axes.plot(layers, _array(recovered[name]), ms=6, label=name, markevery=(i % every, every), lw=1.7, **look)
    axes.set(xlabel="noisy layers", ylabel="messages recovered", ylim=(-0.04, 1.04))
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(figure)
    return figure


def dropout_capacity(
    bits: np.ndarray, rates: Sequence[float], low: np.ndarray, high: np.ndarray, exact: np.ndarray
) -> Figure:
    """Bits by which the capacity of a neuron under dropout lies below its upper bound (supp. 2.3, Marshall & Kirchner 2024).

    For each of `rates` the lower bound minus the upper one, (rates, b), as a line, and the exact capacity minus the upper bound
    as dots, against the (b,) bits of a neuron. The axis is linear near 0, where the bounds meet.
    """
    bits, low, high, exact = _array(bits), _array(low), _array(high), _array(exact)
    names = [f"D = {rate:g}" for rate in rates]
    figure, axes = _axes(ONE, 3.7)
    axes.axhline(0, color=plots.INK, lw=0.9, zorder=1, label="upper bound")
    for below, dots, look, name in zip(low - high, exact - high, looks(names).values(), names, strict=True):
        axes.plot(bits, below, label=name, **_line(look))
        axes.plot(bits, dots, ls="", marker=look["marker"], ms=5, color=look["color"])
    axes.plot([], [], ls="", marker="o", ms=5, mfc="none", color=plots.INK, label="exact")
    gaps = np.abs(low - high)
    near = float(gaps[gaps > 0].min(initial=1)) / 2
    axes.set_yscale("symlog", linthresh=near, linscale=0.4)
    decades = 10.0 ** np.arange(np.ceil(np.log10(near)), np.floor(np.log10(gaps.max(initial=1))) + 1)
    axes.set_yticks([*-decades[::-1], 0])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axes.minorticks_off()
    axes.set(xlabel="bits of a neuron, b", ylabel="capacity − (1 − D) b, bits", xticks=bits)
    _legend(figure)
    return figure


def ideal_spectra(spectra: Mapping[str, np.ndarray]) -> Figure:
    """Variances (k,) of ideal codes by rank as steps, a panel for each code (fig. 3a)."""
    # A spectrum would hide another one of the same variances in one panel.
    figure, panels = _panels(len(spectra), 3, 0.8, extra=0.3, sharey=True)
    for axes, (name, look) in zip(panels, _in_turn(spectra).items(), strict=True):
        values = _array(spectra[name])
        edges = np.arange(len(values) + 1) + 0.5
        axes.stairs(values, edges, fill=True, facecolor=to_rgba(look["color"], 0.35), edgecolor="none")
        axes.stairs(values, edges, baseline=None, color=look["color"], lw=2)
        axes.set(xlabel="rank", title=textwrap.fill(name, 26), xlim=(edges[0], edges[-1]))
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set(ylabel="variance")
    panels[0].set_ylim(0, 1.1 * max(float(_array(values).max()) for values in spectra.values()))
    return figure


def spectra_by_depth(
    eigenvalues: Mapping[str, np.ndarray], lines: Mapping[str, tuple[float, float]], window: tuple[int, int]
) -> Figure:
    """Variances (ranks,) of each layer over its largest on log axes, with the fitted power laws (fig. 3b).

    `lines` holds alpha and the intercept, the natural logarithm of the variance at rank 1; they are drawn over `window`,
    its first and last rank, which is shaded. A layer may lack its line.
    """
    # Names of many layers stand above in as many lines as they need.
    figure, axes = _axes(WIDTH, 3.4 + 0.075 * len(eigenvalues))
    axes.axvspan(*window, color=GREY, alpha=0.15, linewidth=0)
    ends = np.array(window, dtype=float)
    for name, look in _depth(eigenvalues).items():
        values = _array(eigenvalues[name])
        label = f"{name}: α = {_number(round(lines[name][0], 2), 2)}" if name in lines else name
        axes.plot(*_long(values / values[0]), label=label, **look)
        if name in lines:
            alpha, intercept = lines[name]
            axes.plot(ends, np.exp(intercept) * ends**alpha / values[0], color=plots.INK, lw=0.9, alpha=0.9, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel="rank", ylabel="variance / largest")
    _plain(axes.xaxis)
    _legend(figure)
    return figure


def spectra_by_rate(panels: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Variances panels[layer][rate] (ranks,) over the largest, on log axes, a panel for each layer (fig. 5)."""
    names = looks(dict.fromkeys(rate for curves in panels.values() for rate in curves))
    figure, every = _panels(len(panels), 3, 1.0, extra=0.6, sharex=True, sharey=True)
    for axes, (layer, curves) in zip(every, panels.items(), strict=True):
        for rate, look in names.items():
            if rate in curves:
                values = _array(curves[rate])
                axes.plot(*_long(values / values[0]), label=rate, **_line(look))
        axes.set(xscale="log", yscale="log", xlabel="rank", title=layer)
        axes.label_outer()
    every[0].set_ylabel("variance / largest")
    _plain(every[0].xaxis)
    _legend(figure)
    return figure


def _long(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and variances above 0 of a spectrum, so many that a log axis shows no difference."""
    ranks = np.unique(np.geomspace(1, len(values), POINTS).round().astype(int))
    kept = values[ranks - 1] > 0
    return ranks[kept], values[ranks - 1][kept]


def bias(
    counts: np.ndarray,
    curves: Mapping[str, np.ndarray],
    truth: Mapping[str, float] | None = None,
    xlabel: str = "pictures",
) -> Figure:
    """Alpha (c,) of spectra fitted to (c,) pictures, or what `xlabel` says, on a log axis.

    The curve of a name with ", debiased" at its end is dashed, in the colour of the name without it; truth[name] is the alpha
    that a synthetic code has, a dotted line of the same colour. NaN leaves a gap.
    """
    counts, truth = _array(counts), truth or {}
    bases = looks(dict.fromkeys(name.removesuffix(DEBIASED) for name in [*curves, *truth]))
    figure, axes = _axes(ONE, 3.6)
    for name, values in curves.items():
        look = bases[name.removesuffix(DEBIASED)]
        corrected = name.endswith(DEBIASED)
        style = {"ls": (0, (4, 2)), "mfc": "none"} if corrected else {"ls": "-"}
        axes.plot(counts, _array(values), label=name, color=look["color"], marker=look["marker"], ms=5, **style)
    for name, alpha in truth.items():
        axes.axhline(alpha, ls=":", color=bases[name]["color"], lw=1.6, zorder=1)
    if truth:
        axes.plot([], [], ls=":", color=GREY, label="truth")
    axes.set(xscale="log", xlabel=xlabel, ylabel="α")
    axes.set_xticks(counts, [f"{count:g}" for count in counts.tolist()])
    axes.minorticks_off()
    _legend(figure)
    return figure


def by_layer(
    values: Mapping[str, Mapping[str, np.ndarray]],
    ylabel: str,
    log: bool = False,
    line: float | None = None,
    line_label: str = "",
) -> Figure:
    """`map_figures.depth_lines` of values[hue][layer] (seeds,), with "layer" below; a layer without values leaves a gap."""
    kept = {
        hue: {layer: row[np.isfinite(row)] if np.isfinite(row).any() else row[:1] for layer, row in layers.items()}
        for hue, layers in values.items()
    }
    figure = depth_lines(kept, ylabel, log, line, line_label)
    figure.axes[0].set_xlabel("layer")
    return figure


def pictures(rows: Mapping[str, np.ndarray]) -> Figure:
    """Pictures (n, 3, H, W) with values in [0, 1], a row for each set."""
    count, _, height, width = np.shape(next(iter(rows.values())))
    each = min(1.0, (WIDTH - 1.2) / count)
    figure, panels = _figure(len(rows), 1, each * count + 1.2, each * height / width * len(rows) + 0.1)
    for axes, (name, row) in zip(panels[:, 0], rows.items(), strict=True):
        # A row is one picture: fewer pieces, and no frames between them.
        axes.imshow(np.concatenate(list(_array(row).clip(0, 1).transpose(0, 2, 3, 1)), 1), interpolation="none")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set_ylabel(textwrap.fill(name, 12), rotation=0, ha="right", va="center")
    return figure


def eigenfilters(rows: Mapping[str, np.ndarray], ranks: Sequence[int]) -> Figure:
    """Eigenvectors (ranks, H, W) as maps, a row for each set and a column for each of `ranks` (fig. 3d).

    Blue is negative and orange positive, each map up to its own largest magnitude. A map of more than 40 pixels a side is drawn
    in means of neighbouring ones: there is no room for more on the page.
    """
    each = min(1.1, (WIDTH - 0.8) / len(ranks))
    heights = [np.shape(_array(maps)[0])[0] / np.shape(_array(maps)[0])[1] for maps in rows.values()]
    size = (each * len(ranks) + 0.8, each * sum(heights) + 0.3)
    figure, panels = _figure(len(rows), len(ranks), *size, gridspec_kw={"height_ratios": heights})
    for line, (name, maps) in zip(panels, rows.items(), strict=True):
        for axes, values in zip(line, _array(maps), strict=True):
            values = _coarse(values)
            end = float(np.abs(values).max()) or 1.0
            axes.imshow(values, cmap=DIVERGING, vmin=-end, vmax=end, interpolation="none")
            _bare(axes)
        line[0].set_ylabel(textwrap.fill(name, 12), rotation=0, ha="right", va="center")
    for axes, rank in zip(panels[0], ranks, strict=True):
        axes.set_title(f"{rank}")
    return figure


def _coarse(values: np.ndarray) -> np.ndarray:
    """A map in means of squares, at most 40 of them a side."""
    sides = [-(-side // -(-side // 40)) for side in values.shape]
    return adaptive_avg_pool2d(torch.as_tensor(values)[None].double(), sides)[0].numpy()


def paths(rows: Mapping[str, np.ndarray]) -> Figure:
    """One projected path (n, 2 or more) of the moving dot for each layer, its first two coordinates, closed (fig. 4b).

    The colour goes around with the dot. Each panel has its own scale.
    """
    figure, panels = _panels(len(rows), 3 if len(rows) in (3, 5, 6) else 4, 1.0, extra=0.75)
    shades = CYCLE((np.arange(PIECES) + 0.5) / PIECES)
    for axes, (name, path) in zip(panels, rows.items(), strict=True):
        path = _array(path)[:, :2].astype(float)
        closed = np.concatenate([path, path[:1]])
        # A colour for each step would make a large picture: neighbouring steps share one.
        ends = np.linspace(0, len(path), PIECES + 1).round().astype(int)
        pieces = [closed[start : end + 1] for start, end in itertools.pairwise(ends)]
        kept = [i for i, piece in enumerate(pieces) if len(piece) > 1]
        lines = LineCollection([pieces[i] for i in kept], colors=shades[kept], linewidths=1.6, capstyle="round")
        axes.add_collection(lines)
        middle, reach = (path.max(0) + path.min(0)) / 2, 0.55 * float(np.ptp(path, axis=0).max()) or 1.0
        axes.set(
            xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect="equal"
        )
        axes.set_title(name)
        _bare(axes)
    scale = plt.cm.ScalarMappable(Normalize(0, 1), CYCLE)
    bar = figure.colorbar(scale, ax=list(panels), location="bottom", shrink=0.5, aspect=30, label="place on the circle")
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "¼", "½", "¾", "1"])
    bar.outline.set_visible(False)
    return figure


def scatter(
    x: Mapping[str, np.ndarray],
    y: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    logy: bool = False,
    logx: bool = False,
    vline: float | None = None,
    band: tuple[float, float] | None = None,
    vline_label: str = "",
    band_label: str = "",
) -> Figure:
    """y[name] (p,) against x[name] (p,), a cloud for each name, with a dotted vertical line and a shaded band (figs. 4d, 6e)."""
    many = sum(len(_array(values)) for values in x.values()) > MANY
    # Thousands of dots all over the panel would make a large picture at the resolution of the others.
    figure, axes = plt.subplots(figsize=(ONE, 3.8), dpi=100 if many else 150, layout="constrained")
    if band is not None:
        axes.axvspan(*band, color=GREY, alpha=0.22, linewidth=0, label=band_label or None)
    if vline is not None:
        axes.axvline(vline, ls=":", color=GREY, lw=1.8, label=vline_label or None)
    for name, look in looks(x).items():
        style = {"color": look["color"], "marker": look["marker"], "alpha": 0.5 if many else 0.8, "linewidth": 0}
        axes.scatter(_array(x[name]), _array(y[name]), s=12 if many else 34, rasterized=many, label=name, **style)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for log, scale, axis in ((logx, axes.set_xscale, axes.xaxis), (logy, axes.set_yscale, axes.yaxis)):
        if log:
            scale("log")
            _plain(axis)
    _legend(figure, at_least=2)
    for handle in figure.legends[0].legend_handles if figure.legends else ():
        if hasattr(handle, "set_sizes"):
            handle.set(alpha=1, sizes=[36], rasterized=False)
    return figure


def scores_by_layer(scores: Mapping[str, np.ndarray]) -> Figure:
    """Mean over draws of scores[kind] (layers, draws) by layer, with the interval that holds 95 % of the draws (fig. 7b)."""
    rows = {kind: _array(values).astype(float) for kind, values in scores.items()}
    low, high = ({kind: np.nanquantile(v, q, axis=1) for kind, v in rows.items()} for q in (0.025, 0.975))
    means = {kind: np.nanmean(values, axis=1) for kind, values in rows.items()}
    return _by_layer(means, low, high, "explanation score", _in_turn(means))


def alphas_by_layer(
    alpha: Mapping[str, np.ndarray], low: Mapping[str, np.ndarray], high: Mapping[str, np.ndarray]
) -> Figure:
    """Alpha (layers,) by layer with its interval from `low` to `high`, where a name has one, and a dotted line at -1 (fig. 7a)."""
    figure = _by_layer(alpha, low, high, "α", looks(alpha))
    (axes,) = figure.axes
    axes.axhline(-1, ls=":", color=GREY, zorder=1)
    return figure


def _by_layer(
    values: Mapping[str, np.ndarray],
    low: Mapping[str, np.ndarray],
    high: Mapping[str, np.ndarray],
    ylabel: str,
    found: Mapping[str, dict[str, Any]],
) -> Figure:
    """Lines of (layers,) values, the first layer at 1, with bands from `low` to `high` where there are any."""
    figure, axes = _axes(ONE, 3.5)
    for name, look in found.items():
        row = _array(values[name])
        at = np.arange(1, len(row) + 1)
        axes.plot(at, row, label=name, ms=4.5, **look)
        if name in low and name in high:
            axes.fill_between(at, _array(low[name]), _array(high[name]), color=look["color"], alpha=0.25, linewidth=0)
    axes.set(xlabel="layer", ylabel=ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(figure, at_least=2)
    return figure


def response(tokens: Sequence[str], values: np.ndarray) -> Figure:
    """What a projection (n,) answers to each token of a text, in lines as a text has them (fig. 7c).

    A dot before a word stands for the blank there, ↵ for the end of a line. For texts that may be shown.
    """
    values = _array(values).astype(float)
    if len(tokens) != len(values) or not len(values):
        raise ValueError(f"tokens = {len(tokens)} of them for {len(values)} values: must be as many, at least 1")
    lines = -(-len(values) // 16)
    each = -(-len(values) // lines)
    figure, panels = _figure(lines, 1, WIDTH - 0.4, 1.6 * lines + 0.1, sharey=True)
    known = get_font(findfont("DejaVu Sans Mono")).get_charmap()
    for i, axes in enumerate(panels[:, 0]):
        here = range(i * each, min((i + 1) * each, len(values)))
        axes.plot(range(len(here)), values[here.start : here.stop], color=plots.PALETTE[0], marker="o", ms=4, lw=1.4)
        axes.axhline(0, color=GREY, lw=0.8, ls=":", zorder=1)
        axes.set_xticks(range(len(here)), [_shown(tokens[j], known) for j in here], parse_math=False)
        plt.setp(axes.get_xticklabels(), rotation=50, ha="right", rotation_mode="anchor", family="DejaVu Sans Mono")
        axes.set_xlim(-0.5, each - 0.5)
        axes.grid(False, axis="x")
    figure.supylabel("response", fontsize="medium", color=plots.INK)
    return figure


def _shown(token: str, known: Mapping[int, int]) -> str:
    """A token as one short word of signs that the font has."""
    token = token.replace("\n", "↵").replace("\t", "→").replace(" ", "·")
    token = "".join(sign if sign.isprintable() and ord(sign) in known else "□" for sign in token)
    return token if len(token) <= 10 else token[:9] + "…"


def explorer(alphas: Sequence[float], spectra: np.ndarray, paths: np.ndarray) -> go.Figure:
    """Spectrum (a, ranks) and projected path (a, n, 2 or more) of codes with each of the (a,) alphas, chosen from a menu.

    The book makes a list of Plotly's menu that the keyboard reaches; it would not of a slider. Each path is drawn at its own
    size: its form is what changes.
    """
    spectra, paths = _array(spectra).astype(float), _array(paths)[..., :2].astype(float)
    titles = ["variance", "projected path"]
    figure = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.06, column_widths=[0.45, 0.55])
    buttons = []
    for i, (alpha, variances, path) in enumerate(zip(alphas, spectra, paths, strict=True)):
        name, both = _number(alpha), {"visible": i == 0, "showlegend": False}
        ranks, variances = _long(variances)
        line = {"color": plots.PALETTE[0], "width": 2.5}
        hover = {"hovertemplate": "rank %{x}<br>variance %{y:.3g}<extra></extra>"}
        rounded = {"x": ranks.tolist(), "y": _rounded(variances)}
        figure.add_trace(go.Scatter(mode="lines", name=f"α = {name}", line=line, **rounded, **hover, **both), 1, 1)
        middle, reach = (path.max(0) + path.min(0)) / 2, float(np.ptp(path, axis=0).max()) / 2 or 1.0
        closed = np.concatenate([path, path[:1]])
        x, y = ((closed - middle) / reach).T
        colours = [to_hex(CYCLE(frame / len(path))) for frame in range(len(path))]
        dots = {"color": [*colours, colours[0]], "size": 5}
        line = {"color": GREY, "width": 1.2}
        form = {"mode": "lines+markers", "name": f"α = {name}", "line": line, "marker": dots, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=_rounded(x), y=_rounded(y), **form, **both), 1, 2)
        shown = [j == i for j in range(len(alphas)) for _ in range(2)]
        buttons.append({"label": f"α = {name}", "method": "restyle", "args": [{"visible": shown}]})
    highest, lowest = np.log10(spectra.max()), np.log10(spectra[spectra > 0].min())
    # The same axes for all: a steeper spectrum then looks steeper.
    end = np.log10(spectra.shape[1])
    figure.update_xaxes(type="log", title="rank", range=[-0.04 * end, 1.04 * end], dtick=1, col=1)
    figure.update_yaxes(
        type="log", range=[lowest - 0.2, highest + 0.2], dtick=1, exponentformat="power", tickfont={"size": 12}, col=1
    )
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "range": [-1.1, 1.1], "constrain": "domain"}
    figure.update_xaxes(col=2, **bare)
    figure.update_yaxes(col=2, scaleanchor="x2", scaleratio=1, **bare)
    figure.update_annotations(font={"size": 13})
    figure.update_layout(
        height=480,
        margin={"t": 80, "l": 50, "r": 10, "b": 60},
        font={"color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        updatemenus=[
            # Plotly lights the chosen line up in white whatever the page: dark letters on a light ground fit both.
            {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.12, "yanchor": "bottom", "showactive": True,
             "bgcolor": "#e4e7ec", "bordercolor": GREY, "font": {"color": "#1d2127"}, "pad": {"t": 0, "b": 0}},
        ],
    )  # fmt: skip
    return figure


def _in_turn(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, line style and marker of names that other figures do not have."""
    colours, dashes, marks = itertools.cycle(plots.PALETTE), itertools.cycle(DASHES), itertools.cycle(MARKERS)
    return {n: {"color": next(colours), "ls": next(dashes), "marker": next(marks)} for n in names}


def _line(look: Mapping[str, Any]) -> dict[str, Any]:
    """A look without its marker."""
    return {"color": look["color"], "ls": look["ls"], "lw": 1.8}


def _number(value: float, places: int | None = None) -> str:
    """A number with a true minus sign."""
    text = f"{value:g}" if places is None else f"{value:.{places}f}"
    return text.replace("-", "−")


def _rounded(values: np.ndarray) -> list[float]:
    """Four digits, which is more than a screen shows."""
    return [float(f"{value:.4g}") for value in np.asarray(values).tolist()]
