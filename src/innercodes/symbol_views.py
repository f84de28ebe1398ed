"""Pictures of chapter 01: a region and its symbols by hand, second looks, what symbols show, where they lie, and which classes.

Pictures of a data set are drawn only if they come with the packages, as everywhere in the book. Boxes are float (N, 4) as in
`regions`, symbols int64 (N, cells) with cells numbered row by row.
"""

import html
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
import torch
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from torch import Tensor

from innercodes import plots, regions
from innercodes.code_figures import DIVERGING
from innercodes.figures import GREY
from innercodes.map_figures import WIDTH, _bare, _figure, _panels
from innercodes.pictures import Pictures
from innercodes.regions import Certified
from innercodes.symbol_checks import Intruders
from innercodes.symbols import CorrelationMap, check_symbols
from innercodes.tables import Html

DARK, LIGHT = "#101418", "#f4f6f8"
"""Lines and letters on pictures, whatever the page: one of the two shows on every ground."""
SHARES = LinearSegmentedColormap.from_list("shares", [to_rgba("#3478d4", 0.0), to_rgba("#3478d4", 1.0)])
"""Shares from none, where the page shows, to all."""
STRIPS = 32  # values of a vector that are drawn, at most
SHAPES = ("circle", "diamond", "square", "circle-open", "diamond-open", "square-open")
"""Signs that every font has: Plotly draws points in space as letters."""
COLOURS = plots.PALETTE[:5]
NAMED = 24  # groups of points with a colour and shape of their own
CELL_LABELS = "abcdefgh"


def pipeline(
    picture: Tensor,
    box: Tensor,
    vectors: Tensor,
    symbols: Tensor,
    map_rows: Tensor,
    class_names: Sequence[str],
) -> Figure:
    """One picture by hand, from left to right: its box and cells, a vector of each, its symbol, and the symbol's row of the map.

    Picture (C, H, W) in [0, 1], box (4,), vectors (cells, D), symbols int (cells,), and `map_rows` (cells, classes), P(c | s) of
    each cell's symbol. The mean of the rows stands below them, its largest bar filled: the class that the symbols name.
    Raises ValueError for shapes that do not fit.
    """
    cells, classes = len(symbols), len(class_names)
    if vectors.ndim != 2 or len(vectors) != cells or map_rows.shape != (cells, classes) or box.shape != (4,):
        raise ValueError(
            f"vectors, map_rows, box: shapes {tuple(vectors.shape)}, {tuple(map_rows.shape)}, {tuple(box.shape)}, must be "
            f"({cells}, D), ({cells}, {classes}), (4,)"
        )
    side, rows = _side(cells), map_rows.cpu().double().numpy()
    numbers = symbols.tolist()
    colours = {symbol: COLOURS[i % len(COLOURS)] for i, symbol in enumerate(dict.fromkeys(numbers))}
    figure = plt.figure(figsize=(WIDTH, 3.9), dpi=150, layout="constrained")
    grid = figure.add_gridspec(2, 4, width_ratios=[2.3, 1.7, 0.5, 2.5], height_ratios=[2.6, 1.1])
    shown, strips, chips, heat = (figure.add_subplot(grid[0, i]) for i in range(4))
    mean = figure.add_subplot(grid[1, 3], sharex=heat)

    shown.imshow(_drawable(picture), interpolation="none", extent=(0, picture.shape[2], picture.shape[1], 0))
    _bare(shown)
    shown.set_anchor("N")
    shown.set_title("picture, box and cells")
    for cell, (x, y, width, height) in enumerate(_cells(box.tolist(), side)):
        _outline(shown, x, y, width, height, 1.2)
        _number_on(shown, x + width / 2, y + height / 2, str(cell + 1))

    strips.imshow(_strip(vectors), cmap="viridis", aspect="auto", interpolation="none")
    strips.set(title="a vector of each cell", xticks=[], xlabel=f"{vectors.shape[1]} channels")
    strips.set_yticks(range(cells), [str(cell + 1) for cell in range(cells)])
    strips.set_ylabel("cell")
    _frame(strips)
    for cell, symbol in enumerate(numbers):
        chips.add_patch(plt.Rectangle((0.04, cell - 0.42), 0.92, 0.84, facecolor=colours[symbol]))
        chips.text(0.5, cell, str(symbol), ha="center", va="center", color=DARK, fontsize="small")
    chips.set(xlim=(0, 1), ylim=(cells - 0.5, -0.5), xticks=[], yticks=[], title="symbol")
    chips.grid(False)
    chips.spines[:].set_visible(False)

    heat.imshow(rows, cmap=SHARES, vmin=0, vmax=rows.max(), aspect="auto", interpolation="none")
    heat.set(title="its row: P(class | symbol)", yticks=[])
    heat.tick_params(axis="x", bottom=False, labelbottom=False)
    _frame(heat)
    values = rows.mean(0)
    best = int(values.argmax())
    edges = {"edgecolor": plots.PALETTE[0], "linewidth": 1.1}
    for name, value in enumerate(values):
        fill = plots.PALETTE[0] if name == best else "none"
        mean.bar(name, value, 0.75, facecolor=fill, **edges)
    mean.set(ylabel="mean", xlim=(-0.5, classes - 0.5))
    # At the right, so that the rows stand beside their symbols.
    mean.yaxis.tick_right()
    mean.yaxis.set_label_position("right")
    mean.spines[["left", "right"]].set_visible(False)
    mean.grid(False, axis="x")
    _class_ticks(mean, class_names)
    return figure


def second_looks(
    pictures: Pictures,
    boxes: Tensor,
    certified: Certified,
    count: int = 4,
    seed: int = 0,
    margin: float = 0.0,
    pad: bool = False,
) -> Figure:
    """Some regions that a second look keeps and some that it rejects, at most `count` each, drawn by the seed.

    Above the picture with its box, below what is inside, as the network sees it; their titles are the two predictions. `margin`
    and `pad` are those of `regions.certify`. Raises ValueError for pictures that are not to be shown, and where no picture has a
    box.
    """
    _check(pictures, boxes)
    generator = torch.Generator().manual_seed(seed)
    there = ~boxes.isnan().any(1)
    if not bool(there.any()):
        raise ValueError("boxes: all NaN, must be at least one picture with a box")
    groups = {}
    for name, rows in (("kept", certified.kept & there), ("rejected", ~certified.kept & there)):
        found = rows.nonzero().flatten()
        if len(found):
            groups[name] = found[torch.randperm(len(found), generator=generator)[:count]].sort().values
    chosen = torch.cat(list(groups.values()))
    inputs = pictures.subset(chosen).tensors()[0]
    size = inputs.shape[-2:]
    inside = regions.crop(inputs, regions.enlarged(boxes[chosen], margin, tuple(size)), tuple(size), pad)
    names = [name for name, rows in groups.items() for _ in rows]
    each = min(1.5, WIDTH / len(chosen))
    figure, panels = _figure(2, len(chosen), each * len(chosen), 1.9 * each * size[0] / size[1] + 0.75)
    for i, row in enumerate(chosen.tolist()):
        above, below = panels[:, i]
        for axes, picture in ((above, inputs[i]), (below, inside[i])):
            axes.imshow(_drawable(picture), interpolation="none", extent=(0, size[1], size[0], 0))
            _bare(axes)
        x0, y0, x1, y1 = boxes[row].tolist()
        _outline(above, x0, y0, x1 - x0, y1 - y0, 1.4)
        above.set_title(f"{names[i]}\n{_class_label(pictures, int(certified.predictions[row]))}")
        below.set_xlabel(_class_label(pictures, int(certified.second[row])))
        if names[i] == "rejected":
            below.spines[:].set(linestyle=(0, (2, 2)), linewidth=1.6)
    panels[0, 0].set_ylabel("first look")
    panels[1, 0].set_ylabel("second look")
    return figure


def montage(
    pictures: Pictures,
    boxes: Tensor,
    symbols: Tensor,
    truth: Tensor,
    truth_names: Sequence[str],
    rows: int = 6,
    columns: int = 8,
    pixels: int = 32,
    seed: int = 0,
) -> Figure:
    """Regions in which a symbol occurs, with its cell outlined: a row for each of the most frequent symbols.

    `truth` int (N,) or, where cells differ, (N, cells): of each symbol the commonest one is named with its share of the symbol's
    cells, as a number of `truth_names`. Every region of a row is of another picture while there are some, stretched to a square
    of `pixels`. Raises ValueError for pictures that are not to be shown and for shapes that do not fit.
    """
    _check(pictures, boxes, symbols)
    check_symbols(symbols, int(symbols.max()) + 1)
    if truth.shape not in (symbols.shape[:1], symbols.shape):
        raise ValueError(f"truth: shape {tuple(truth.shape)}, must be ({len(symbols)},) or {tuple(symbols.shape)}")
    wide = (truth[:, None] if truth.ndim == 1 else truth).expand_as(symbols)
    generator = torch.Generator().manual_seed(seed)
    totals = symbols.flatten().bincount()
    used = totals.argsort(descending=True, stable=True)[: min(rows, int((totals > 0).sum()))]
    each = (WIDTH - 1.9) / columns
    figure, panels = _figure(len(used), 1, WIDTH, (each + 0.06) * len(used) + 0.1)
    for axes, symbol in zip(panels[:, 0], used.tolist(), strict=True):
        places = (symbols == symbol).nonzero()
        places = places[torch.randperm(len(places), generator=generator)]
        # Of each picture its first drawn cell, then the others.
        _, first = np.unique(places[:, 0].numpy(), return_index=True)
        turn = np.concatenate([np.sort(first), np.setdiff1d(np.arange(len(places)), first)])[:columns]
        _row_of_regions(axes, pictures, boxes, places[turn, 0], places[turn, 1], symbols.shape[1], columns, pixels)
        common = wide[symbols == symbol].bincount()
        share, name = float(common.max() / common.sum()), truth_names[int(common.argmax())]
        label = f"symbol {symbol}, {int(totals[symbol])} cells\n{100 * share:.0f} % " + textwrap.shorten(name, 40)
        _row_name(axes, _wrapped(label, 22))
    return figure


def intruder_page(pictures: Pictures, boxes: Tensor, intruders: Intruders, cells: int = 9, pixels: int = 32) -> Figure:
    """Pages to find the intruder on, a row each: regions with one of their `cells` outlined, all but one of one symbol.

    Who it is stands in `intruder_answers`. Raises ValueError for pictures that are not to be shown.
    """
    _check(pictures, boxes)
    pages, shown = intruders.pictures.shape
    figure, panels = _figure(pages, 1, 0.95 * shown + 1.0, 1.0 * pages + 0.35)
    for page, axes in enumerate(panels[:, 0]):
        _row_of_regions(axes, pictures, boxes, intruders.pictures[page], intruders.cells[page], cells, shown, pixels)
        _row_name(axes, f"page {page + 1}")
    for place in range(shown):
        at = ((place + 0.5) / shown, 1.04)
        panels[0, 0].text(
            *at, CELL_LABELS[place], transform=panels[0, 0].transAxes, ha="center", va="bottom", weight="bold"
        )
    return figure


def intruder_answers(intruders: Intruders) -> Html:
    """The answers to `intruder_page`, folded, as markup: the letter of each page's intruder, and the two symbols."""
    lines = [
        f"<li>{CELL_LABELS[at]}: the others have symbol {symbol}, its cell has symbol {other}</li>"
        for at, symbol, other in zip(
            intruders.intruder.tolist(), intruders.symbol.tolist(), intruders.other.tolist(), strict=True
        )
    ]
    return Html(f"<details><summary>Answers, page by page</summary><ol>{''.join(lines)}</ol></details>")


def correlation_maps(
    maps: Mapping[str, CorrelationMap], class_names: Sequence[str], by: str = "given symbol"
) -> Figure:
    """The correlation map of each stage in the reading `by`: a row for each symbol, sorted by its class, a column for each class.

    A symbol's class is the one of its largest value; symbols of one class are sorted by that value, and those that no cell had are
    left out. All panels share one scale. Raises ValueError for another number of classes.
    """
    if not maps:
        raise ValueError("maps = {}: must be at least one stage")
    tables = {stage: _sorted_rows(one, by) for stage, one in maps.items()}
    for stage, values in tables.items():
        if values.shape[1] != len(class_names):
            raise ValueError(f"class_names: {len(class_names)}, must be {values.shape[1]}, the classes of {stage}")
    highest = max(float(np.abs(values).max()) for values in tables.values())
    look = {"cmap": SHARES, "vmin": 0.0, "vmax": highest}
    if by == "phi":  # the one reading with two signs
        look = {"cmap": DIVERGING, "vmin": -highest, "vmax": highest}
    figure, panels = _panels(len(tables), 4, 1.5, extra=0.9)
    for axes, (stage, values) in zip(panels, tables.items(), strict=True):
        image = axes.imshow(values, **look, aspect="auto", interpolation="none")
        axes.set_title(f"{stage}\n{len(values)} symbols")
        axes.set(yticks=[])
        _class_ticks(axes, class_names)
        _frame(axes)
    for axes in panels[::4]:
        axes.set_ylabel("symbols, sorted by class")
    words = {"given symbol": "P(class | symbol)", "given class": "P(symbol | class)", "joint": "P(symbol, class)"}
    bar = figure.colorbar(image, ax=list(panels), location="bottom", shrink=0.5, aspect=30, label=words.get(by, by))
    bar.outline.set_visible(False)
    return figure


def _sorted_rows(one: CorrelationMap, by: str) -> np.ndarray:
    values = one.values(by)[one.counts.sum(1) > 0].cpu().double().numpy()
    return values[np.lexsort((-values.max(1), values.argmax(1)))]


def embedding(
    points: Mapping[str, Tensor],
    symbols: Mapping[str, Tensor],
    classes: Tensor,
    class_names: Sequence[str],
    parts: Tensor | None = None,
    part_names: Sequence[str] = (),
    most: int = 1500,
    named: int = 12,
    seed: int = 0,
) -> go.Figure:
    """The three-dimensional embedding of each stage to turn, with colours by symbol, class or true part, chosen from one menu.

    By stage points (N, cells, 3) and symbols int (N, cells); classes int (N,) and parts int (N, cells), where they are known, are
    places in their names. At most `most` points of each stage are drawn, those of the same pictures, drawn by the seed. The
    `named` most frequent symbols have colours and shapes of their own, others are small and grey. A click on a name in the legend
    hides its points, two leave them alone. Raises ValueError for shapes that do not fit.
    """
    if not points or set(points) != set(symbols):
        raise ValueError(f"points, symbols: stages {list(points)}, {list(symbols)}, must be the same, at least one")
    count, cells = next(iter(symbols.values())).shape
    for stage in points:
        if points[stage].shape != (count, cells, 3) or symbols[stage].shape != (count, cells):
            shapes = tuple(points[stage].shape), tuple(symbols[stage].shape)
            raise ValueError(
                f"points, symbols: {stage}: shapes {shapes[0]}, {shapes[1]}, must be ({count}, {cells}, 3), ({count}, {cells})"
            )
    if classes.shape != (count,) or (parts is not None and parts.shape != (count, cells)):
        raise ValueError(
            f"classes, parts: must be ({count},) and ({count}, {cells}), the pictures and cells of the points"
        )
    if most < cells:
        raise ValueError(f"most = {most}: must be at least {cells}, the cells of one picture")
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: most // cells].sort().values
    wide = classes[chosen, None].expand(-1, cells)
    colourings: dict[str, dict[str, tuple[Tensor, Sequence[str] | None]]] = {
        "symbol": {stage: (symbols[stage][chosen], None) for stage in points},
        "class": {stage: (wide, class_names) for stage in points},
    }
    if parts is not None:
        colourings["part"] = {stage: (parts[chosen], part_names) for stage in points}
    traces, shown_for = [], []
    for colouring, stages in colourings.items():
        for stage, (groups, names) in stages.items():
            placed = _scaled(points[stage][chosen])
            limit = named if names is None else NAMED
            for trace in _group_traces(placed, groups.flatten(), names, colouring, limit):
                traces.append(trace)
                shown_for.append((colouring, stage))
    views = list(dict.fromkeys(shown_for))
    buttons = [
        {
            "label": f"{stage}, coloured by {colouring}",
            "method": "restyle",
            "args": [{"visible": [one == (colouring, stage) for one in shown_for]}],
        }
        for colouring, stage in views
    ]
    for trace, view in zip(traces, shown_for, strict=True):
        trace.visible = view == views[0]
    figure = go.Figure(traces)
    axis = {
        "range": [-10500, 10500], "showticklabels": False, "title": "", "showbackground": False, "showspikes": False,
        "gridcolor": GREY, "zeroline": False, "linecolor": GREY, "showline": True, "nticks": 5,
    }  # fmt: skip
    figure.update_layout(
        height=560,
        margin={"t": 60, "l": 0, "r": 0, "b": 0},
        font={"color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        scene={
            "xaxis": axis, "yaxis": axis, "zaxis": axis, "aspectmode": "cube", "bgcolor": "rgba(0,0,0,0)",
            "camera": {"eye": {"x": 1.6, "y": 1.3, "z": 1.0}},
        },
        legend={"itemsizing": "constant", "font": {"size": 11}},
        # Turned by hand, the view stays when another stage is chosen.
        uirevision="kept",
        updatemenus=[
            # Plotly lights the chosen line up in white whatever the page: dark letters on a light ground fit both.
            {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "showactive": True,
             "bgcolor": "#e4e7ec", "bordercolor": GREY, "font": {"color": "#1d2127"}, "pad": {"t": 0, "b": 0}},
        ],
    )  # fmt: skip
    return figure


def _scaled(points: Tensor) -> np.ndarray:
    """Points (n, cells, 3) about their middle, from -10000 to 10000 as int16: half the bytes of the page, more than eyes see."""
    flat = points.reshape(-1, 3).double().cpu()
    low, high = flat.amin(0), flat.amax(0)
    reach = float((high - low).max()) / 2 or 1.0
    return ((flat - (low + high) / 2) / reach * 10000).round().to(torch.int16).numpy()


def _group_traces(
    points: np.ndarray, groups: Tensor, names: Sequence[str] | None, colouring: str, limit: int
) -> list[go.Scatter3d]:
    """A trace for each group of points, the frequent ones with a look of their own, the rest together."""
    totals = groups.bincount()
    frequent = totals.argsort(descending=True, stable=True)[: min(limit, int((totals > 0).sum()))].tolist()
    # Symbols by size; classes and parts in the order of their names, so that each has one look at every stage.
    order = frequent if names is None else sorted(frequent)
    groups = groups.cpu().numpy()
    traces = []
    for i, group in enumerate(order):
        number = i if names is None else group
        name = f"symbol {group}" if names is None else _short(names[group], 28)
        marker = {
            "size": 4, "color": COLOURS[number % 5], "symbol": SHAPES[number % 6], "opacity": 0.9, "line": {"width": 0}
        }  # fmt: skip
        traces.append(_cloud(points[groups == group], name, marker))
    rest = ~np.isin(groups, order)
    if rest.any():
        kind = {"symbol": "symbols", "class": "classes", "part": "parts"}[colouring]
        traces.append(_cloud(points[rest], f"other {kind}", {"size": 2, "color": GREY, "opacity": 0.6}))
    return traces


def _cloud(points: np.ndarray, name: str, marker: dict[str, Any]) -> go.Scatter3d:
    x, y, z = points.T
    hover = {"hovertemplate": f"{html.escape(name)}<extra></extra>"}
    return go.Scatter3d(x=x, y=y, z=z, mode="markers", name=name, marker=marker, showlegend=True, **hover)


# Pieces of these figures


def _check(pictures: Pictures, boxes: Tensor, symbols: Tensor | None = None) -> None:
    if not pictures.embedded:
        raise ValueError("pictures: only those that come with the packages are shown")
    if boxes.shape != (len(pictures), 4) or (symbols is not None and len(symbols) != len(pictures)):
        raise ValueError(f"boxes, symbols: must be one for each of {len(pictures)} pictures")


def _side(cells: int) -> int:
    """Cells of a region along each side."""
    side = math.isqrt(cells)
    if side * side != cells or not cells:
        raise ValueError(f"cells = {cells}: must be a square number")
    return side


def _cells(box: Sequence[float], side: int) -> list[tuple[float, float, float, float]]:
    """Left, upper, width and height of each cell of a box."""
    x0, y0, x1, y1 = box
    width, height = (x1 - x0) / side, (y1 - y0) / side
    return [(x0 + column * width, y0 + row * height, width, height) for row in range(side) for column in range(side)]


def _drawable(picture: Tensor) -> np.ndarray:
    """A picture (1 or 3, H, W) with values in [0, 1] as uint8 (H, W, 3)."""
    values = (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return values.expand(3, -1, -1).permute(1, 2, 0).numpy()


def _row_of_regions(
    axes: Axes,
    pictures: Pictures,
    boxes: Tensor,
    rows: Tensor,
    at: Tensor,
    cells: int,
    columns: int,
    pixels: int,
) -> None:
    """Regions beside each other, each with one of its cells outlined; `at` int (n,) says which."""
    side = _side(cells)
    inputs = pictures.subset(rows).tensors()[0]
    crops = regions.crop(inputs, boxes[rows], pixels)
    gap, space = max(1, pixels // 12), pixels + max(1, pixels // 12)
    # A row is one picture, which is smaller; what is between is clear.
    strip = np.zeros((pixels, columns * space - gap, 4), np.uint8)
    for i, one in enumerate(crops):
        strip[:, i * space : i * space + pixels, :3] = _drawable(one)
        strip[:, i * space : i * space + pixels, 3] = 255
    axes.imshow(strip, interpolation="none", extent=(0, strip.shape[1], pixels, 0))
    for i, cell in enumerate(at.tolist()):
        x, y, width, height = _cells((i * space, 0, i * space + pixels, pixels), side)[cell]
        _outline(axes, x, y, width, height, 1.3)
    axes.set(xlim=(0, strip.shape[1]), ylim=(pixels, 0), xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _row_name(axes: Axes, text: str) -> None:
    # Where the row is narrower than its room, what is left is left to the name.
    axes.set_anchor("E")
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize="small")


def _outline(axes: Axes, x: float, y: float, width: float, height: float, line: float) -> None:
    """A frame that shows on every picture: light within dark."""
    around = [patheffects.Stroke(linewidth=line + 1.6, foreground=DARK), patheffects.Normal()]
    axes.add_patch(
        plt.Rectangle((x, y), width, height, fill=False, edgecolor=LIGHT, lw=line, path_effects=around, clip_on=False)
    )


def _number_on(axes: Axes, x: float, y: float, text: str) -> None:
    around = [patheffects.Stroke(linewidth=2, foreground=DARK), patheffects.Normal()]
    axes.text(x, y, text, ha="center", va="center", color=LIGHT, fontsize="small", path_effects=around)


def _strip(vectors: Tensor) -> np.ndarray:
    """Vectors (cells, D) in means of neighbouring channels, at most `STRIPS`; each column from its least to its largest."""
    values = vectors.detach().cpu().double()
    if values.shape[1] > STRIPS:
        values = torch.nn.functional.adaptive_avg_pool1d(values, STRIPS)
    low, high = values.amin(0), values.amax(0)
    return ((values - low) / (high - low).clamp(min=1e-12)).numpy()


def _frame(axes: Axes) -> None:
    axes.grid(False)
    axes.spines[:].set(visible=True, linewidth=0.8, color=GREY)


def _class_label(pictures: Pictures, number: int) -> str:
    """The name of a class, or where some name is too long for a small picture, what its folder is called."""
    if max(map(len, pictures.names)) <= 12:
        return pictures.names[number]
    return _short(f"class {pictures.classes[number]}", 13)


def _class_ticks(axes: Axes, names: Sequence[str]) -> None:
    """Names of the classes where there is room, else a number now and then."""
    longest = max(map(len, names))
    if len(names) > 20:
        step = -(-len(names) // 5)
        axes.set_xticks(range(0, len(names), step))
    else:
        short = longest <= 2
        labels = list(names) if longest <= 16 else [str(number) for number in range(len(names))]
        every = 1 if len(names) <= 10 else 3
        if longest > 16 or short:
            labels = [label if number % every == 0 else "" for number, label in enumerate(labels)]
        axes.set_xticks(range(len(names)), labels)
        if longest <= 16 and not short:
            plt.setp(axes.get_xticklabels(), rotation=60, ha="right", rotation_mode="anchor", fontsize="small")
    axes.set_xlabel("class")


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def _wrapped(text: str, width: int) -> str:
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, width))
