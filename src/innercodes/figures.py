"""Drawings of the chapters that take more than a few lines."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from innercodes import interactions, plots

# Each kind of outputs has a colour and a line of its own, so that no picture needs the colour.
LINES = {
    "trained": {"color": plots.PALETTE[0], "ls": "-"},
    "untrained": {"color": plots.PALETTE[1], "ls": "--"},
    "memorising": {"color": plots.PALETTE[2], "ls": "-."},
    "shuffled": {"color": plots.PALETTE[5], "ls": (0, (1, 1))},
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


def sorted_strengths(dividends: Tensor) -> np.ndarray:
    """Strengths sorted from the strongest, as shares of it, mean over samples: (seeds, samples, 2^n) to (seeds, 2^n - 1)."""
    strength = dividends[..., 1:].abs().sort(-1, descending=True).values
    return (strength / strength[..., :1]).mean(-2).cpu().numpy()


def curves(rows: Mapping[str, np.ndarray], line: float) -> Figure:
    """Sorted strengths (seeds, 2^n - 1) of each kind of network: mean and span over seeds, with a dotted line at `line`."""
    figure, axes = plt.subplots()
    for name, values in rows.items():
        x = np.arange(1, values.shape[-1] + 1)
        axes.plot(x, values.mean(0), label=name, **LINES[name])
        axes.fill_between(x, values.min(0), values.max(0), color=LINES[name]["color"], alpha=0.25, linewidth=0)
    axes.axhline(line, ls=":", color=GREY)
    axes.set(
        xlabel="interactions, strongest first", ylabel="strength, share of the strongest", xscale="log", ylim=(0, 1.02)
    )
    axes.legend()
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
