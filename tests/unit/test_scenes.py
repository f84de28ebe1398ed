"""Scenes against photographs and digits that say where each pixel comes from."""

from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chi2_contingency, chisquare

from innercodes import data, scenes
from innercodes.parameters import ParameterError

HEIGHT, WIDTH = 427, 640


@pytest.fixture(scope="module")
def both():
    return scenes.load(300, 200, seed=3)


def boxes():
    """Photograph, box, texture and split of each part."""
    for number, (name, (photograph, *parts)) in enumerate(scenes.TEXTURES.items()):
        for split, box in enumerate(parts):
            yield photograph, box, number, split, name


def paint(monkeypatch, value_of, outside=255):
    """Photographs where each part has the values of `value_of(texture, split, height, width)`, uint8 (height, width, 3)."""
    made = np.full((2, HEIGHT, WIDTH, 3), outside, dtype=np.uint8)
    for photograph, (left, upper, right, lower), texture, split, _ in boxes():
        made[photograph, upper:lower, left:right] = value_of(texture, split, lower - upper, right - left)
    monkeypatch.setattr(scenes, "_photographs", lambda: tuple(map(Image.fromarray, made)))


def inked(picture, colour):
    """The pixels of exactly this colour, bool (H, W)."""
    wanted = torch.tensor(scenes.COLOURS[colour])[:, None, None]
    return ((picture - wanted).abs() < 1e-4).all(0)


def test_shapes_ranges_and_labels(both):
    for found, count in zip(both, (300, 200), strict=True):
        inputs, labels = found.pictures.tensors()
        assert inputs.shape == (count, 3, 64, 64) and inputs.dtype == torch.float32
        assert 0 <= float(inputs.min()) < 0.05 and 0.95 < float(inputs.max()) <= 1
        assert torch.equal(labels, found.factors["digit"]) and found.pictures.embedded
        assert found.pictures.classes == tuple("0123456789")
        assert set(found.factors) == set(scenes.FACTORS)
        for name, values in found.factors.items():
            assert values.shape == (count,) and values.dtype == torch.int64
            assert int(values.min()) >= 0 and int(values.max()) < scenes.FACTORS[name]


@pytest.mark.parametrize("size", [16, 33, 224])
def test_any_size(size):
    picture, _ = scenes.load(1, 1, 0, size)[0].pictures[0]
    assert picture.shape == (3, size, size) and float(picture.min()) >= 0 and float(picture.max()) <= 1


def test_sizes_show_the_same_scene():
    small, large = (scenes.load(6, 1, 0, size)[0].pictures.tensors()[0] for size in (64, 128))
    halved = torch.nn.functional.avg_pool2d(large, 2)
    assert float((halved - small).abs().mean()) < 0.05
    assert float((halved.roll(1, 0) - small).abs().mean()) > 0.15


def test_a_scene_depends_on_seed_split_and_row_alone(both):
    fitted, unseen = both
    few, others = scenes.load(5, 7, seed=3)
    order = [4, 0, 3, 1, 2]
    for row in order:
        assert torch.equal(few.pictures[row][0], fitted.pictures.read(row))
        assert {k: int(v[row]) for k, v in few.factors.items()} == {k: int(v[row]) for k, v in fitted.factors.items()}
    assert torch.equal(others.pictures.tensors()[0], unseen.pictures.subset(torch.arange(7)).tensors()[0])
    batches = torch.cat([inputs for inputs, _ in others.pictures.batches(3)])
    assert torch.equal(batches, others.pictures.tensors()[0])
    again = scenes.load(5, 7, seed=4)[0]
    for row in range(5):
        assert not torch.equal(few.pictures.read(row), again.pictures.read(row))
        assert not torch.equal(few.pictures.read(row), others.pictures.read(row))


def test_factors_are_even_and_independent():
    fitted, unseen = scenes.load(4000, 4000, seed=0)
    for found in (fitted, unseen):
        values = {name: v.numpy() for name, v in found.factors.items()}
        for name, v in values.items():
            assert chisquare(np.bincount(v, minlength=scenes.FACTORS[name])).pvalue > 1e-4
        for a, b in combinations(values, 2):
            table = np.zeros((scenes.FACTORS[a], scenes.FACTORS[b]))
            np.add.at(table, (values[a], values[b]), 1)
            assert chi2_contingency(table).pvalue > 1e-4


def test_parts_of_the_photographs_share_no_pixel_and_hold_a_crop():
    taken = np.zeros((2, HEIGHT, WIDTH), dtype=int)
    for photograph, (left, upper, right, lower), *_ in boxes():
        assert 0 <= left < right <= WIDTH and 0 <= upper < lower <= HEIGHT
        assert min(right - left, lower - upper) >= scenes.LARGEST_CROP
        taken[photograph, upper:lower, left:right] += 1
    assert taken.max() == 1
    assert [photograph.size for photograph in scenes._photographs()] == [(WIDTH, HEIGHT)] * 2


def test_a_scene_shows_its_texture_from_its_own_part_alone(both, monkeypatch):
    # Grey levels that only this texture and split have; whatever lies outside of all parts is white.
    paint(monkeypatch, lambda texture, split, height, width: 10 + 40 * texture + 20 * split)
    for split, found in enumerate(both):
        for row in range(100):
            picture = found.pictures.read(row)
            level = (10 + 40 * int(found.factors["texture"][row]) + 20 * split) / 255
            bare = (picture == picture[:1]).all(0)  # ink is not grey, its rim only darkens
            assert float(bare.float().mean()) > 0.5
            assert float(picture[0][bare].max()) == pytest.approx(level, abs=1e-6)


def test_crops_vary_in_scale_place_and_mirroring(monkeypatch):
    # Red is the column within the part, green its row, halved.
    def ramps(texture, split, height, width):
        rows, columns = np.mgrid[:height, :width]
        return np.stack([columns, rows // 2, 0 * rows], -1)

    paint(monkeypatch, ramps)
    monkeypatch.setattr(scenes, "_masks", lambda recipe, split, size: (torch.zeros(size, size),) * 2)
    found = scenes.load(600, 1, seed=0)[0]
    inputs = 255 * found.pictures.tensors()[0]
    red = inputs[:, 0, 32]
    slope = (red[:, 48] - red[:, 16]) / 32
    side = 64 * slope.abs()
    assert 63 <= float(side.min()) < 70 and 122 < float(side.max()) <= 129
    assert 0.42 < float((slope > 0).float().mean()) < 0.58
    for texture, (_, (left, upper, right, lower), _) in enumerate(scenes.TEXTURES.values()):
        own = inputs[found.factors["texture"] == texture]
        assert float(own[:, 0].min()) <= 6 and float(own[:, 0].max()) >= right - left - 7
        assert float(own[:, 1].min()) <= 6 and float(own[:, 1].max()) >= (lower - upper) / 2 - 7


def test_colour_and_place_are_those_drawn(both):
    names = list(scenes.COLOURS)
    for found in both:
        for row in range(100):
            picture = found.pictures.read(row)
            ink = inked(picture, names[int(found.factors["colour"][row])])
            assert ink.sum() > 20, row
            assert all(
                inked(picture, other).sum() < 5 for other in names if other != names[found.factors["colour"][row]]
            )
            down, right = (float(at.float().mean()) for at in torch.nonzero(ink, as_tuple=True))
            assert 3 * (down > 26) + 3 * (down > 38) + (right > 26) + (right > 38) == int(found.factors["place"][row])


def stretched(mask):
    """What is set of a mask, bool (H, W), from its own box to 12 x 12, float (144,)."""
    rows, columns = (torch.nonzero(mask.any(axis)).flatten() for axis in (1, 0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float()
    return torch.nn.functional.interpolate(box[None, None], (12, 12), mode="area").flatten()


def test_digits_can_be_read_and_stay_within_their_split(both):
    digits = [data.load("digits", split) for split in scenes.SPLITS]
    large = [torch.nn.functional.interpolate(known.inputs, (32, 32), mode="bicubic")[:, 0] > 0.65 for known in digits]
    known = [torch.stack([stretched(mask) for mask in masks]) for masks in large]
    names = list(scenes.COLOURS)
    for split, found in enumerate(both):
        right = own = 0
        for row in range(100):
            ink = stretched(inked(found.pictures.read(row), names[int(found.factors["colour"][row])]))
            distances = [(ink - every).abs().mean(-1) for every in known]
            right += int(digits[split].labels[distances[split].argmin()]) == int(found.factors["digit"][row])
            own += bool(distances[split].min() < distances[1 - split].min())
        assert right >= 95 and own >= 90, (split, right, own)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fitted": 0}, "fitted = 0: must be at least 1"),
        ({"unseen": -1}, "unseen = -1: must be at least 1"),
        ({"seed": -1}, "seed = -1: must be at least 0"),
        ({"size": 15}, "size = 15: must be at least 16"),
    ],
)
def test_refusals(changed, message):
    with pytest.raises(ParameterError, match=f"^{message}"):
        scenes.load(**{"fitted": 2, "unseen": 2, "seed": 0} | changed)
