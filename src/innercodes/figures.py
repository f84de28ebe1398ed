"""Drawings of the chapters that take more than a few lines."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from innercodes import interactions, plots
from innercodes.conditions import by_order
from innercodes.interactions import AndOr, Bound

# Each kind of outputs has a colour and a line of its own, so that no picture needs the colour.
LINES = {
    "trained": {"color": plots.PALETTE[0], "ls": "-"},
    "untrained": {"color": plots.PALETTE[1], "ls": "--"},
    "memorising": {"color": plots.PALETTE[2], "ls": "-."},
    "shuffled": {"color": plots.PALETTE[5], "ls": (0, (1, 1))},
    "random outputs": {"color": plots.PALETTE[5], "ls": (0, (1, 1))},
    "random terms": {"color": plots.PALETTE[3], "ls": (0, (4, 1, 1, 1, 1, 1))},
}
GREY = "#8a8f98"


def names(members: Tensor, labels: Sequence[str]) -> list[str]:
    """Each coalition, bool (m, n), as the names of its players; 'nobody' for the empty one."""
    return [
        ", ".join(label for label, here in zip(labels, row, strict=True) if here) or "nobody"
        for row in members.tolist()
    ]


def lattice(outputs: Tensor, dividends: Tensor, labels: Sequence[str]) -> Figure:
    """All coalitions of a few players as a lattice, the empty one below, with their outputs and dividends."""
    members = interactions.coalitions(len(labels))
    order, text = members.sum(-1), names(members, labels)
    across = np.zeros(len(text))
    for k in range(len(labels) + 1):
        level = np.flatnonzero(order == k)
        across[level] = np.arange(len(level)) - (len(level) - 1) / 2
    figure, axes = plt.subplots(figsize=(5, 4.4))
    for s in range(len(text)):
        for i in range(len(labels)):
            if not s >> i & 1:
                t = s | 1 << i
                axes.plot(across[[s, t]], order[[s, t]], color=GREY, lw=1, alpha=0.5, zorder=1)
    # Darker shades than the palette's: white figures stand in the circles.
    colours = ["#1f6fae" if d > 0 else "#a85600" if d < 0 else "#5c626c" for d in dividends.tolist()]
    axes.scatter(across, order, s=520, c=colours, zorder=2)
    for x, y, label, v, d in zip(across, order, text, outputs.tolist(), dividends.tolist(), strict=True):
        axes.text(
            x,
            y,
            f"{d:+g}".replace("-", "−") if d else "0",
            ha="center",
            va="center",
            color="white",
            weight="bold",
            zorder=3,
        )
        axes.text(x + 0.2, y, f"{label}\nfun {v:g}", ha="left", va="center", fontsize=9)
    axes.set(xlim=(-1.25, 1.8), ylim=(-0.4, len(labels) + 0.4))
    axes.axis("off")
    return figure


def sorted_strengths(terms: Tensor) -> np.ndarray:
    """Strengths sorted from the strongest, as shares of it, mean over samples: (seeds, samples, terms) to (seeds, terms)."""
    strength = terms.abs().sort(-1, descending=True).values
    return (strength / strength[..., :1].clamp(min=1e-300)).mean(-2).cpu().numpy()


def curves(rows: Mapping[str, np.ndarray], line: float) -> Figure:
    """Sorted strengths (seeds, terms) of each kind of network: mean and span over seeds, with a dotted line at `line`."""
    figure, axes = plt.subplots()
    _curves(axes, rows, line)
    axes.set_ylabel("strength, share of the strongest")
    axes.legend()
    return figure


def _curves(axes: Axes, rows: Mapping[str, np.ndarray], line: float) -> None:
    for name, values in rows.items():
        # On a log axis some hundred points draw the same curve as thousands.
        x = np.unique(np.geomspace(1, values.shape[-1], 200).round().astype(int))
        values = values[:, x - 1]
        axes.plot(x, values.mean(0), label=name, **LINES[name])
        axes.fill_between(x, values.min(0), values.max(0), color=LINES[name]["color"], alpha=0.25, linewidth=0)
    axes.axhline(line, ls=":", color=GREY)
    axes.set(xlabel="interactions, strongest first", xscale="log", ylim=(0, 1.02))


def before_after(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], line: float) -> Figure:
    """Sorted strengths before and after the AND-OR split, side by side."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
    _curves(left, before, line)
    _curves(right, after, line)
    left.set(ylabel="strength, share of the strongest", title="before: AND alone")
    right.set(title="after: AND and OR")
    right.legend()
    return figure


def panel(fits: Mapping[str, Mapping[str, AndOr]], line: float) -> Figure:
    """Sorted strengths after the split, a small panel for each game."""
    columns = 3
    lines = -(-len(fits) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(7.2, 2.5 * lines), sharey=True, squeeze=False)
    for axes, (name, kinds) in zip(grid.flat, fits.items(), strict=False):
        _curves(axes, {kind: sorted_strengths(fit.terms) for kind, fit in kinds.items()}, line)
        axes.set_title(name)
    for axes in grid.flat[len(fits) :]:
        axes.axis("off")
    for axes in grid[:, 0]:
        axes.set_ylabel("share of strongest")
    grid.flat[0].legend(fontsize=7)
    return figure


def _bands(axes: Axes, x: np.ndarray, rows: np.ndarray, name: str) -> None:
    """Mean of rows (..., len(x)) and the band of the middle half of them."""
    flat = rows.reshape(-1, len(x))
    low, high = np.quantile(flat, [0.25, 0.75], axis=0)
    axes.plot(x, flat.mean(0), label=name, marker="o", ms=3, **LINES[name])
    axes.fill_between(x, low, high, color=LINES[name]["color"], alpha=0.15, linewidth=0)


def noise_floor(floor: Tensor, strength: Tensor, share: float) -> Figure:
    """Mean strength and mean rounding error of the interactions of order 1 to n, (n,) each, with a line at a share."""
    figure, axes = plt.subplots()
    order = np.arange(1, len(floor) + 1)
    for values, label, marker, style in (
        (strength, "interactions", "o", "trained"),
        (floor, "rounding errors", "s", "untrained"),
    ):
        # What is exactly 0 has no place on a log scale.
        shown = torch.where(values > 1e-12 * strength.amax(), values, torch.nan)
        axes.plot(order, shown, label=label, marker=marker, ms=3, **LINES[style])
    axes.axhline(share * float(strength.amax()), ls=":", color=GREY)
    axes.set(xlabel="order |S|", ylabel="mean size", yscale="log", xticks=order)
    axes.legend()
    return figure


def order_strengths(fits: Mapping[str, AndOr]) -> Figure:
    """Mean strength of AND and OR terms of each order, as a share of order 1; mean over samples, span over seeds."""
    figure, axes = plt.subplots()
    for name, fit in fits.items():
        both = (interactions.order_strength(fit.and_) + interactions.order_strength(fit.or_)).mean(-2)
        share = (both / both[:, 1:2])[:, 1:].cpu().numpy()
        order = np.arange(1, share.shape[1] + 1)
        axes.plot(order, share.mean(0), label=name, marker="o", ms=3, **LINES[name])
        axes.fill_between(order, share.min(0), share.max(0), color=LINES[name]["color"], alpha=0.2, linewidth=0)
    axes.set(xlabel="order |S|", ylabel="mean strength, share of order 1", yscale="log", xticks=order)
    axes.legend()
    return figure


def exponents(values: Mapping[str, np.ndarray]) -> Figure:
    """Boxes of the exponent p over samples and seeds for each kind, with dotted lines at the paper's range."""
    figure, axes = plt.subplots(figsize=(5.2, 2.4))
    rows = [rows[np.isfinite(rows)] for rows in values.values()]
    boxes = axes.boxplot(
        rows, orientation="horizontal", tick_labels=list(values), showfliers=False, patch_artist=True, widths=0.6
    )
    for name, box, median in zip(values, boxes["boxes"], boxes["medians"], strict=True):
        box.set(facecolor=LINES[name]["color"], alpha=0.5)
        median.set(color=plots.INK, linewidth=2)
    for part in ("whiskers", "caps"):
        for line in boxes[part]:
            line.set_color(GREY)
    for at in (0.9, 1.5):
        axes.axvline(at, ls=":", color=GREY)
    axes.set(xlabel="exponent p")
    axes.invert_yaxis()
    return figure


def bounds(found: Mapping[str, Bound], rises: Mapping[str, np.ndarray], n: int, at_most: int = 300) -> Figure:
    """Bound against real count for the monotone samples, at most so many of each kind, a panel for each kind."""
    figure, panels = plt.subplots(1, len(found), figsize=(7.2, 2.9), sharex=True, sharey=True, squeeze=False)
    for axes, (name, bound) in zip(panels[0], found.items(), strict=True):
        real, limit = bound.real.cpu().numpy(), bound.bound.cpu().numpy()
        keep = np.isfinite(limit) & (rises[name] == 1)
        axes.scatter(
            real[keep][:at_most], limit[keep][:at_most], s=12, alpha=0.5, linewidth=0, color=LINES[name]["color"]
        )
        ends = np.array([1, 2**n])
        axes.plot(ends, ends, color=GREY, lw=1)
        axes.axhline(2**n - 1, ls=":", color=GREY)
        axes.set(xscale="log", yscale="log", xlabel="salient interactions", title=name)
    panels[0, 0].set_ylabel("proved bound")
    return figure


def growth(counts: Mapping[str, np.ndarray], sizes: Sequence[int]) -> Figure:
    """Salient interactions against the number of players, log-log: counts (seeds, samples, sizes)."""
    figure, axes = plt.subplots()
    for name, rows in counts.items():
        _bands(axes, np.array(sizes), rows, name)
    axes.plot(sizes, [2**n for n in sizes], color=GREY, lw=1, label="all, 2ⁿ")
    axes.set(xscale="log", yscale="log", xlabel="players n", ylabel="salient interactions")
    axes.set_xticks(list(sizes), [str(n) for n in sizes])
    axes.minorticks_off()
    axes.legend()
    return figure


def sampled(exact: np.ndarray, estimated: np.ndarray) -> Figure:
    """Estimated against exact interactions."""
    figure, axes = plt.subplots(figsize=(4, 3.8))
    # Thousands of dots: as one picture, not as thousands of shapes.
    axes.scatter(exact, estimated, s=8, alpha=0.35, linewidth=0, color=plots.PALETTE[0], rasterized=True)
    ends = [min(exact.min(), estimated.min()), max(exact.max(), estimated.max())]
    axes.plot(ends, ends, color=GREY, lw=1)
    axes.set(xlabel="exact interaction", ylabel="estimated from samples")
    return figure


def attack(clean: Tensor, hit: Tensor, noise: Tensor) -> Figure:
    """Share of the summed strength in each order, clean, attacked and with noise: dividends (seeds, samples, 2^n)."""
    figure, axes = plt.subplots()
    for label, values, style in (
        ("clean", clean, LINES["trained"]), ("attacked", hit, LINES["untrained"]), ("noise", noise, LINES["memorising"]),
    ):  # fmt: skip
        sums = by_order(values.abs())[..., 1:]
        share = (sums / sums.sum(-1, keepdim=True)).flatten(0, -2).mean(0).cpu().numpy()
        axes.plot(np.arange(1, len(share) + 1), share, label=label, marker="o", ms=3, **style)
    axes.set(xlabel="order |S|", ylabel="share of the summed strength", xticks=np.arange(1, len(share) + 1))
    axes.legend()
    return figure


def digit(picture: Tensor, parts: Tensor, members: Tensor, effect: float) -> Figure:
    """A picture (H, W), the outlines of its parts, bool (n, H, W), and those of an interaction filled, bool (n,)."""
    figure, axes = plt.subplots(figsize=(2.8, 3))
    axes.imshow(picture, cmap="gray_r", vmin=0, vmax=2)
    for part, member in zip(parts, members.tolist(), strict=True):
        rows, columns = np.nonzero(part.numpy())
        corner = (columns.min() - 0.5, rows.min() - 0.5)
        width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
        if member:
            axes.add_patch(plt.Rectangle(corner, width, height, color=plots.PALETTE[0], alpha=0.5, linewidth=0))
        axes.add_patch(plt.Rectangle(corner, width, height, fill=False, edgecolor=plots.PALETTE[1], lw=1.5))
    axes.set_title(f"interaction {effect:+.2f}".replace("-", "−"))
    axes.axis("off")
    return figure


def explained_curves(explained: Mapping[str, Sequence[float]], parts: np.ndarray, judged: float) -> Figure:
    """Explained variance against the share of interactions kept, for each kind of network."""
    figure, axes = plt.subplots()
    for name, values in explained.items():
        axes.plot(parts, values, label=name, **LINES[name])
    axes.axvline(judged, ls=":", color=GREY)
    axes.set(xscale="log", xlabel="share of the interactions kept", ylabel="explained variance (R²)")
    # Linear from -1 to 1, logarithmic below: R² has no lower bound.
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(top=1.2)
    axes.set_yticks([tick for tick in (1, 0, -1, -10, -30, -100, -1000) if tick >= axes.get_ylim()[0]])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()
    return figure


def order_means(means: Mapping[str, Tensor], labels: Tensor, classes: Sequence[str]) -> Figure:
    """Order means (seeds, samples, n + 1), a panel for each class that occurs: mean over samples and seeds, and the band of
    the middle half of them. Each kind is divided by its own standard deviation.
    """
    present = [label for label in range(len(classes)) if bool((labels == label).any())]
    figure, panels = plt.subplots(1, len(present), figsize=(5.2, 3.2), sharey=True, squeeze=False)
    for label, axes in zip(present, panels[0], strict=True):
        for name, values in means.items():
            rows = (values / values.std(dim=(0, 1, 2)))[:, labels == label].flatten(0, 1).cpu().numpy()
            x = np.arange(rows.shape[-1])
            low, high = np.quantile(rows, [0.25, 0.75], axis=0)
            axes.plot(x, rows.mean(0), label=name, marker="o", ms=3, **LINES[name])
            axes.fill_between(x, low, high, color=LINES[name]["color"], alpha=0.15, linewidth=0)
        axes.set(xlabel="inputs shown", title=classes[label])
    panels[0, 0].set_ylabel("mean output, scaled")
    panels[0, 0].legend()
    return figure


def strongest_group(dividends: Tensor, at_least: int) -> int:
    """The number of the strongest coalition with at least so many players."""
    order = interactions.orders(interactions.players(dividends), dividends.device)
    return int((dividends.abs() * (order >= at_least)).argmax())


SYMBOLS = {1: "×", -1: "○", 0: ""}


def board_words(squares: Tensor) -> str:
    """A board (9,) in words, row by row."""
    words = [{1: "x", -1: "o", 0: "blank"}[int(value)] for value in squares.tolist()]
    return "; ".join(" ".join(words[row : row + 3]) for row in (0, 3, 6))


def board(squares: Tensor, marked: Tensor, effect: float) -> Figure:
    """A tic-tac-toe board (9,) with x = 1 and o = -1, some squares marked."""
    figure, axes = plt.subplots(figsize=(2.4, 2.6))
    for square, (value, mark) in enumerate(zip(squares.tolist(), marked.tolist(), strict=True)):
        row, column = divmod(square, 3)
        if mark:
            axes.add_patch(plt.Rectangle((column, 2 - row), 1, 1, color=plots.PALETTE[0], alpha=0.35))
        axes.text(column + 0.5, 2.5 - row, SYMBOLS[int(value)], ha="center", va="center", fontsize=26)
    for at in (1, 2):
        axes.plot([at, at], [0, 3], color=GREY, lw=2)
        axes.plot([0, 3], [at, at], color=GREY, lw=2)
    axes.set(xlim=(0, 3), ylim=(0, 3), aspect="equal", title=f"interaction {effect:+.1f}".replace("-", "−"))
    axes.axis("off")
    return figure
