"""Real pictures that install offline, with known factors: handwritten digits drawn over photographs.

Both come with scikit-learn: its 1797 digits, and the two photographs china.jpg and flower.jpg, which need a `CREDIT`.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from innercodes import data
from innercodes.parameters import refusal
from innercodes.pictures import Pictures

CREDIT = "photographs: danielbuechele and vultilion (Flickr), CC BY 2.0, by way of scikit-learn"
"""What the licence of the photographs asks for wherever scenes are shown."""

SPLITS = ("train", "test")
"""Which digits and which parts of the photographs: those of the fitted, and those of the unseen pictures."""

TEXTURES: dict[str, tuple[int, tuple[int, int, int, int], tuple[int, int, int, int]]] = {
    "sky": (0, (326, 0, 482, 190), (484, 0, 640, 190)),
    "temple": (0, (66, 60, 196, 390), (197, 60, 326, 390)),
    "trees": (0, (326, 285, 482, 427), (484, 285, 640, 427)),
    "petals": (1, (176, 90, 307, 350), (309, 90, 440, 350)),
    "leaves": (1, (0, 40, 160, 400), (452, 0, 640, 360)),
}
"""Each texture: its photograph (0 = china, 1 = flower), its box for the fitted and its box for the unseen pictures.

Boxes are (left, upper, right, lower) in pixels of the photograph, 640 x 427. No two of them share a pixel.
"""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.05, 0.10),
    "yellow": (1.00, 0.92, 0.05),
    "green": (0.05, 0.80, 0.20),
    "blue": (0.10, 0.25, 1.00),
    "magenta": (0.95, 0.15, 0.90),
}
"""Each ink, red, green and blue in [0, 1]."""

PLACES = 9
"""Places of the digit, numbered row by row: left, middle or right in the upper, middle or lower third."""

FACTORS = {"digit": 10, "texture": len(TEXTURES), "colour": len(COLOURS), "place": PLACES}
"""How many values each factor has, numbered from 0."""

SMALLEST_CROP = 64
LARGEST_CROP = 128


@dataclass(frozen=True)
class Scenes:
    """Pictures with the class of the digit as label, and what was put into them: factor to int64 (N,), values below `FACTORS`."""

    pictures: Pictures
    factors: dict[str, Tensor]


@dataclass(frozen=True)
class _Recipe:
    """One scene: its factors, the number of the digit among those of its class, and uniform numbers in [0, 1) for the rest."""

    digit: int
    texture: int
    colour: int
    place: int
    writer: float
    scale: float
    right: float
    down: float
    mirrored: bool
    side: float


def load(fitted: int, unseen: int, seed: int, size: int = 64) -> tuple[Scenes, Scenes]:
    """Scenes that networks and lenses are fitted on, and others: float32 (3, size, size) in [0, 1].

    A square of 64 to 128 pixels of a photograph, taken at random and mirrored in half of the cases, is resized; one of the
    digits, 3/8 to 9/16 of the side of the picture, is drawn over it with soft edges and a soft dark rim. All four factors are
    drawn evenly and independently of each other. Fitted scenes have digits of the train split, the others of the test split,
    and their textures come from boxes of the photographs that share no pixel (`TEXTURES`): the same kinds, seen elsewhere.
    A scene depends on (seed, split, row) alone: not on the order of reading, nor on how many others there are.
    Raises ParameterError for less than one scene, a negative seed and a size below 16.
    """
    for name, value, least in (("fitted", fitted, 1), ("unseen", unseen, 1), ("seed", seed, 0), ("size", size, 16)):
        if value < least:
            raise refusal(name, value, f"at least {least}")
    return _scenes(0, fitted, seed, size), _scenes(1, unseen, seed, size)


def _scenes(split: int, count: int, seed: int, size: int) -> Scenes:
    recipes = [_recipe(seed, split, row) for row in range(count)]
    factors = {name: torch.tensor([getattr(recipe, name) for recipe in recipes]) for name in FACTORS}
    classes = tuple("0123456789")
    read = functools.partial(_draw, seed, split, size)
    return Scenes(Pictures(read, torch.arange(count), factors["digit"], classes, classes, embedded=True), factors)


def _recipe(seed: int, split: int, row: int) -> _Recipe:
    generator = np.random.default_rng((seed, split, row))
    factors = [int(generator.integers(values)) for values in FACTORS.values()]
    writer, scale, right, down, mirrored, side = generator.random(6).tolist()
    return _Recipe(*factors, writer, scale, right, down, mirrored < 0.5, side)


def _draw(seed: int, split: int, size: int, row: int) -> Tensor:
    """The scene of one row, float32 (3, size, size)."""
    recipe = _recipe(seed, split, row)
    photograph = torch.from_numpy(np.array(_background(recipe, split, size))).permute(2, 0, 1) / 255
    ink, rim = _masks(recipe, split, size)
    colour = torch.tensor(list(COLOURS.values())[recipe.colour])[:, None, None]
    shaded = photograph * (1 - 0.75 * rim)
    return torch.lerp(shaded, colour.expand_as(shaded), ink)


def _background(recipe: _Recipe, split: int, size: int) -> Image.Image:
    number, *boxes = list(TEXTURES.values())[recipe.texture]
    left, upper, right, lower = boxes[split]
    width, height = right - left, lower - upper
    largest = min(LARGEST_CROP, width, height)
    side = SMALLEST_CROP + int(recipe.scale * (largest + 1 - SMALLEST_CROP))
    left += int(recipe.right * (width + 1 - side))
    upper += int(recipe.down * (height + 1 - side))
    # Cut first, then resize: the filter must not reach over the border of the box.
    found = _photographs()[number].crop((left, upper, left + side, upper + side))
    found = found.resize((size, size), Image.Resampling.BICUBIC)
    return found.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if recipe.mirrored else found


def _masks(recipe: _Recipe, split: int, size: int) -> tuple[Tensor, Tensor]:
    """How much of each pixel is ink and how much is rim, float32 (size, size) in [0, 1]."""
    digits = _digits(split)[recipe.digit]
    digit = Image.fromarray(digits[int(recipe.writer * len(digits))])
    smallest, largest, margin = size * 3 // 8, size * 9 // 16, size // 32
    side = smallest + int(recipe.side * (largest + 1 - smallest))
    free = size - side - 2 * margin
    upper, left = (margin + third * free // 2 for third in divmod(recipe.place, 3))
    written = torch.from_numpy(np.array(digit.resize((side, side), Image.Resampling.BICUBIC)))
    mask = torch.zeros(size, size)
    mask[upper : upper + side, left : left + side] = written
    # Eight grey pixels are a blurred stroke; a steeper ramp gives it an edge again.
    ink = ((mask - 0.25) / 0.4).clamp(0, 1)
    width = 2 * (size // 32) + 1
    rim = torch.nn.functional.avg_pool2d(ink[None, None], width, 1, width // 2)[0, 0]
    return ink, (2 * rim).clamp(max=1)


@functools.cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(Image.fromarray(photograph) for photograph in load_sample_images().images)


@functools.cache
def _digits(split: int) -> tuple[np.ndarray, ...]:
    """The digits of a split by class, each float32 (n, 8, 8) in [0, 1]."""
    found = data.load("digits", SPLITS[split])
    return tuple(found.inputs[found.labels == label, 0].numpy() for label in range(10))
