"""Pictures with known parts: objects put together from shapes with surfaces, with exact boxes and masks.

The ground truth that symbols are checked against. An object has three parts in a fixed arrangement, and its class is
the combination. The grounds are those of `scenes`, whose `CREDIT` is due wherever a picture is shown.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from innercodes import scenes
from innercodes.parameters import refusal
from innercodes.pictures import Pictures

KINDS = ("train", "test", "new combinations", "new parts")
"""Known classes twice, on grounds that share no pixel; then the two kinds of objects that training never shows."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.15, 0.12),
    "yellow": (0.95, 0.82, 0.15),
    "green": (0.15, 0.70, 0.25),
    "blue": (0.20, 0.35, 0.95),
    "magenta": (0.90, 0.20, 0.80),
    "cyan": (0.15, 0.80, 0.85),
}
"""The lighter tone of a surface, red, green and blue in [0, 1]; the darker tone is `DARKER` times as bright."""

KEPT = 2**28
"""Bytes of drawn pictures that stay in memory, of each `load`."""
DARKER = 0.25
PERIODS = 1.3
"""How often a pattern repeats within the radius of a part."""

PATTERNS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "plain": lambda right, down: torch.ones_like(right),
    "striped": lambda right, down: _wave(down),
    "checked": lambda right, down: _wave(right) * _wave(down),
    "dotted": lambda right, down: 0.3 - _wave(right, 0.25) - _wave(down, 0.25),
    "ringed": lambda right, down: _wave(torch.hypot(right, down)),
    "wavy": lambda right, down: _wave(right + 0.25 * torch.sin(5 * down)),
}
"""Each pattern as a field over a part of radius 1: lighter tone above 0, darker tone below."""

SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "disc": lambda right, down: torch.hypot(right, down) - 0.92,
    "square": lambda right, down: _rectangle(right, down, 0.75, 0.75),
    "cross": lambda right, down: torch.minimum(
        _rectangle(right, down, 0.92, 0.42), _rectangle(right, down, 0.42, 0.92)
    ),
    "triangle": lambda right, down: torch.maximum(0.866 * right.abs() - 0.5 * down, down) - 0.54,
    "star": lambda right, down: _star(right, down),
    "ring": lambda right, down: (torch.hypot(right, down) - 0.66).abs() - 0.29,
    "diamond": lambda right, down: 0.80 * right.abs() + 0.60 * down.abs() - 0.62,
    "bar": lambda right, down: _rectangle(right, down, 0.92, 0.52),
    "crescent": lambda right, down: torch.maximum(
        torch.hypot(right, down) - 0.95, 0.62 - torch.hypot(right - 0.5, down + 0.2)
    ),
    "hourglass": lambda right, down: torch.maximum(down.abs() - 0.75, 0.75 * right.abs() - 0.66 * down.abs() - 0.08),
    "frame": lambda right, down: (torch.maximum(right.abs(), down.abs()) - 0.53).abs() - 0.22,
    "corner": lambda right, down: torch.minimum(
        _rectangle(right + 0.4, down, 0.32, 0.72), _rectangle(right, down - 0.4, 0.72, 0.32)
    ),
}
"""Each shape as a signed distance over a part of radius 1: negative inside, and near the edge true to scale."""


@dataclass(frozen=True)
class Part:
    """One entry of the vocabulary, by the names in `SHAPES`, `PATTERNS` and `COLOURS`."""

    shape: str
    pattern: str
    colour: str

    @property
    def name(self) -> str:
        return f"{self.pattern} {self.colour} {self.shape}"


KNOWN = 12
"""Parts 1 ... KNOWN are those of the known classes, later ones those of the kind "new parts"."""

PARTS = (
    Part("disc", "plain", "red"),
    Part("disc", "striped", "yellow"),
    Part("cross", "striped", "yellow"),
    Part("square", "plain", "yellow"),
    Part("cross", "checked", "green"),
    Part("triangle", "checked", "green"),
    Part("triangle", "dotted", "blue"),
    Part("star", "striped", "green"),
    Part("ring", "dotted", "blue"),
    Part("ring", "plain", "red"),
    Part("diamond", "checked", "blue"),
    Part("bar", "dotted", "red"),
    Part("crescent", "ringed", "magenta"),
    Part("crescent", "wavy", "cyan"),
    Part("hourglass", "wavy", "cyan"),
    Part("frame", "ringed", "cyan"),
    Part("frame", "wavy", "magenta"),
    Part("corner", "ringed", "magenta"),
)
"""The vocabulary: a part's number in the masks is its place here plus 1; 0 is the ground.

Known parts have 8 shapes and 8 surfaces, a pattern in a colour. Two thirds of these parts share both with others, so
that neither alone names them; the parts that are new have shapes, patterns and colours of their own.
"""

SHAPE_OF, PATTERN_OF, COLOUR_OF = (
    torch.tensor([-1, *(list(names).index(getattr(part, kind)) for part in PARTS)])
    for kind, names in (("shape", SHAPES), ("pattern", PATTERNS), ("colour", COLOURS))
)
"""A part's number in the masks to its place in SHAPES, PATTERNS, COLOURS: int64 (parts + 1,), -1 for the ground."""

SLOTS = ((0.0, -0.38), (-0.39, 0.30), (0.39, 0.30))
"""Where the parts of an object sit, right and down of its middle: one above, and two below that partly cover it.

In the unit of half the side of the object.
"""
PART_RADIUS = 0.51
"""In the same unit; a turned object stays within its square."""


def _combinations(kind: str) -> tuple[tuple[int, int, int], ...]:
    """The classes of a kind: for each slot the number of its part.

    Each slot has its own four parts. The known classes are the 16 combinations of a Latin square, so that every pair of
    parts in different slots belongs to one class: a single part leaves four classes open. The new combinations come
    from another Latin square: the same parts and the same pairs, equally often, and yet not one known triple.
    """
    if kind == "new parts":
        return tuple(product(*((KNOWN + 2 * slot + 1, KNOWN + 2 * slot + 2) for slot in range(3))))
    other = int(kind == "new combinations")
    return tuple((1 + a, 5 + b, 9 + (a ^ b ^ other)) for a, b in product(range(4), repeat=2))


COMBINATIONS = {kind: _combinations(kind) for kind in KINDS}
"""The parts (above, left, right) of each class of each kind, as numbers in the masks."""

FACTORS = {"texture": len(scenes.TEXTURES), "place": 9, "size": 3, "light": 4, "contrast": 3}
"""How many values each factor has, numbered from 0.

The ground's texture as in `scenes.TEXTURES`; the third of the free room where the object sits, row by row; the side of
the object, the light and the contrast in equal steps, upwards.
"""

SIDES = (0.46, 0.80)
"""Least and largest side of the square that an object is arranged in, in sides of the picture."""
LIGHT = (0.50, 1.25)
"""Least and largest factor on all values."""
CONTRAST = (0.40, 1.0)
"""Least and largest factor on the differences from the mean colour of the picture."""
TURN = 20.0
"""Largest turn of an object either way, in degrees."""
NOISE = 0.04
"""Standard deviation of the noise on all values."""


@dataclass(frozen=True)
class PartScenes:
    """Objects on natural grounds, and what is where.

    pictures  float32 (3, size, size) in [0, 1] each, read one at a time, with the class as label
    labels    int64 (N,), a place in `COMBINATIONS` of the kind: each kind numbers its classes from 0
    boxes     float32 (N, 4), x0 y0 x1 y1 in pixels: the edges of the smallest box around the object's mask
    masks     uint8 (N, size, size), the number of the part that covers most of the pixel, 0 for the ground
    factors   factor to int64 (N,), values below `FACTORS`
    """

    pictures: Pictures
    labels: Tensor
    boxes: Tensor
    masks: Tensor
    factors: dict[str, Tensor]


@dataclass(frozen=True)
class _Recipe:
    """One picture: its class and factors, numbers in [0, 1) for the rest; `scenes` reads its own by the same names."""

    label: int
    texture: int
    place: int
    mirrored: bool
    scale: float
    right: float
    down: float
    across: float
    along: float
    side: float
    light: float
    contrast: float
    turn: float

    def value(self, factor: str) -> int:
        value = getattr(self, "side" if factor == "size" else factor)
        return value if isinstance(value, int) else int(value * FACTORS[factor])


def load(kind: str, count: int, seed: int, size: int = 64) -> PartScenes:
    """`count` pictures of a kind of `KINDS`, size x size pixels.

    Classes and factors are drawn evenly and independently of each other; place, size, light and contrast vary within
    their steps, and the object turns by up to `TURN` degrees. The textures of training share no pixel of the photographs
    with those of the other kinds (`scenes.TEXTURES`). A picture depends on (seed, kind, row) alone, not on how many
    others there are.
    Raises ParameterError for an unknown kind, less than one picture, a negative seed and a size below 32.
    """
    if kind not in KINDS:
        raise refusal("kind", kind, f"one of {', '.join(KINDS)}")
    for name, value, least in (("count", count, 1), ("seed", seed, 0), ("size", size, 32)):
        if value < least:
            raise refusal(name, value, f"at least {least}")
    recipes = [_recipe(kind, seed, row) for row in range(count)]
    labels = torch.tensor([recipe.label for recipe in recipes])
    factors = {name: torch.tensor([recipe.value(name) for recipe in recipes]) for name in FACTORS}
    masks = torch.stack([_mask(kind, recipe, size) for recipe in recipes])
    names = tuple(" + ".join(PARTS[part - 1].name for part in parts) for parts in COMBINATIONS[kind])
    short = tuple(map(str, range(len(names))))
    # Drawing one takes longer than a small network takes to look at it, and each is looked at many times.
    read = functools.lru_cache(KEPT // (12 * size**2))(functools.partial(_draw, kind, seed, size))
    pictures = Pictures(read, torch.arange(count), labels, short, names, embedded=True)
    return PartScenes(pictures, labels, _bounds(masks > 0), masks, factors)


def part_at(masks: Tensor, boxes: Tensor, cells: int = 3) -> Tensor:
    """What covers most of each cell of a box: masks uint8 (N, H, W), boxes float (N, 4) to int64 (N, cells, cells).

    A box is cut into equal cells, row by row, and pixels on their edges count by the share inside. 0 where the ground
    covers most; where two cover the same, the smaller number. What of a box lies outside of the picture counts as
    ground. Raises ValueError for other shapes, for boxes without area or with NaN, and for less than one cell.
    """
    if masks.ndim != 3 or boxes.shape != (len(masks), 4):
        raise ValueError(
            f"boxes = {tuple(boxes.shape)}: must be (N, 4), for masks (N, H, W), here {tuple(masks.shape)}"
        )
    if cells < 1:
        raise ValueError(f"cells = {cells}: must be at least 1")
    if not bool((boxes[:, 2:] > boxes[:, :2]).all()):
        raise ValueError("boxes: every box must have x1 > x0 and y1 > y0, without NaN")
    down, right = (_inside(boxes[:, [axis, axis + 2]], masks.shape[2 - axis], cells) for axis in (1, 0))
    numbers = [int(number) for number in masks.unique() if number]
    covered = [down @ (masks == number).float() @ right.mT for number in numbers]
    area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / cells**2)[:, None, None]
    shares = torch.stack([area.expand(-1, cells, cells) - sum(covered), *covered])
    # Sums of pixels have rounding errors: what is equal must stay equal, so that the smaller number wins.
    shares = (shares * 1024).round()
    return torch.tensor([0, *numbers], device=masks.device)[shares.argmax(0)]


def _inside(edges: Tensor, pixels: int, cells: int) -> Tensor:
    """How much of each pixel lies in each cell between two edges (N, 2): float32 (N, cells, pixels)."""
    start, end = edges.float()[:, :, None, None].unbind(1)
    cell = torch.arange(cells, device=edges.device)[:, None]
    low, high = (start + (end - start) * at / cells for at in (cell, cell + 1))
    pixel = torch.arange(pixels, device=edges.device)
    return (torch.minimum(high, pixel + 1) - torch.maximum(low, pixel)).clamp(min=0)


def _recipe(kind: str, seed: int, row: int) -> _Recipe:
    generator = np.random.default_rng((seed, KINDS.index(kind), row))
    label, texture, place, mirrored = (
        int(generator.integers(values)) for values in (len(COMBINATIONS[kind]), len(scenes.TEXTURES), 9, 2)
    )
    return _Recipe(label, texture, place, bool(mirrored), *generator.random(9).tolist())


def _bounds(inside: Tensor) -> Tensor:
    """The edges of the smallest box around what is set: bool (N, H, W), none of them empty, to float32 (N, 4)."""
    columns, rows = inside.any(1).float(), inside.any(2).float()
    # argmax takes the first of equal values.
    first = [columns.argmax(1), rows.argmax(1)]
    last = [side.shape[1] - side.flip(1).argmax(1) for side in (columns, rows)]
    return torch.stack([*first, *last], 1).float()


def _mask(kind: str, recipe: _Recipe, size: int) -> Tensor:
    """The number of the part that covers most of each pixel, uint8 (size, size)."""
    mask = torch.zeros(size, size, dtype=torch.uint8)
    for number, right, down, radius in _placed(kind, recipe, size):
        shape = SHAPES[PARTS[number - 1].shape]
        mask.masked_fill_(_coverage(shape(right, down), radius) >= 0.5, number)
    return mask


def _placed(kind: str, recipe: _Recipe, size: int) -> list[tuple[int, Tensor, Tensor, float]]:
    """For each part its number, every pixel's place in it, right and down of its middle, and its radius in pixels."""
    side = size * _between(SIDES, recipe.side)
    free = size - side
    middle = (
        side / 2 + free * (recipe.place % 3 + recipe.across) / 3,
        side / 2 + free * (recipe.place // 3 + recipe.along) / 3,
    )
    turn = math.radians(TURN * (2 * recipe.turn - 1))
    cosine, sine, half = math.cos(turn), math.sin(turn), side / 2
    pixel = (torch.arange(size) + 0.5) / half
    x, y = pixel[None, :] - middle[0] / half, pixel[:, None] - middle[1] / half
    right, down = cosine * x + sine * y, cosine * y - sine * x
    return [
        (number, (right - slot[0]) / PART_RADIUS, (down - slot[1]) / PART_RADIUS, PART_RADIUS * half)
        for number, slot in zip(COMBINATIONS[kind][recipe.label], SLOTS, strict=True)
    ]


def _coverage(distance: Tensor, radius: float) -> Tensor:
    """How much of a pixel lies inside of an edge at this signed distance, in radii: 0 ... 1."""
    return (0.5 - radius * distance).clamp(0, 1)


@torch.inference_mode(False)  # a kept picture may be asked for again where gradients are wanted
def _draw(kind: str, seed: int, size: int, row: int) -> Tensor:
    """The picture of one row, float32 (3, size, size)."""
    recipe = _recipe(kind, seed, row)
    ground = scenes._background(recipe, int(kind != "train"), size)
    picture = torch.from_numpy(np.array(ground)).permute(2, 0, 1) / 255
    for number, right, down, radius in _placed(kind, recipe, size):
        part = PARTS[number - 1]
        lighter = (0.5 + 1.5 * PATTERNS[part.pattern](right, down)).clamp(0, 1)
        tone = DARKER + (1 - DARKER) * lighter
        colour = torch.tensor(COLOURS[part.colour])[:, None, None] * tone
        picture = torch.lerp(picture, colour, _coverage(SHAPES[part.shape](right, down), radius))
    mean = picture.mean((1, 2), keepdim=True)
    picture = torch.lerp(mean, picture, _between(CONTRAST, recipe.contrast)) * _between(LIGHT, recipe.light)
    # A stream of its own, apart from that of the recipe.
    noise = np.random.default_rng((seed, KINDS.index(kind), row, 1)).standard_normal(picture.shape, np.float32)
    return picture.add_(torch.from_numpy(noise), alpha=NOISE).clamp_(0, 1)


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share


def _wave(along: Tensor, phase: float = 0.0) -> Tensor:
    return torch.sin(2 * math.pi * (PERIODS * along + phase))


def _rectangle(right: Tensor, down: Tensor, width: float, height: float) -> Tensor:
    return torch.maximum(right.abs() - width, down.abs() - height)


def _star(right: Tensor, down: Tensor, points: int = 5, outer: float = 1.0, inner: float = 0.5) -> Tensor:
    """The signed distance from the edges of a star: one edge, with all others folded onto it."""
    sector = math.pi / points
    radius = torch.hypot(right, down)
    angle = (torch.remainder(torch.atan2(right, -down) + sector, 2 * sector) - sector).abs()
    edge = (inner * math.cos(sector) - outer, inner * math.sin(sector))
    x, y = radius * torch.cos(angle) - outer, radius * torch.sin(angle)
    return (y * -edge[0] + x * edge[1]) / math.hypot(*edge)
