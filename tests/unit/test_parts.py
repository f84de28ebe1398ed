"""Pictures with known parts against their own masks, boxes and photographs that say where each pixel comes from."""

from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from scipy.stats import chi2_contingency, chisquare

from innercodes import parts, scenes
from innercodes.parameters import ParameterError

COUNT = 150


@pytest.fixture(scope="module")
def kinds():
    return {kind: parts.load(kind, COUNT, seed=3) for kind in parts.KINDS}


@pytest.fixture
def calm(monkeypatch):
    """Full light and contrast, and no noise: a pixel has the colour of its surface."""
    monkeypatch.setattr(parts, "LIGHT", (1.0, 1.0))
    monkeypatch.setattr(parts, "CONTRAST", (1.0, 1.0))
    monkeypatch.setattr(parts, "NOISE", 0.0)


def paint(monkeypatch, value_of):
    """Photographs where the box of each texture and split has one grey level, and all else is white."""
    made = np.full((2, 427, 640, 3), 255, dtype=np.uint8)
    for texture, (photograph, *boxes) in enumerate(scenes.TEXTURES.values()):
        for split, (left, upper, right, lower) in enumerate(boxes):
            made[photograph, upper:lower, left:right] = value_of(texture, split)
    monkeypatch.setattr(scenes, "_photographs", lambda: tuple(map(Image.fromarray, made)))


# the vocabulary


def test_the_vocabulary_is_large_and_shared():
    known, new = parts.PARTS[: parts.KNOWN], parts.PARTS[parts.KNOWN :]
    assert len(set(parts.PARTS)) == len(parts.PARTS)
    assert len({part.shape for part in known}) == 8 and len({(part.pattern, part.colour) for part in known}) == 8
    shapes, surfaces = [part.shape for part in known], [(part.pattern, part.colour) for part in known]
    shared = [shapes.count(part.shape) > 1 and surfaces.count((part.pattern, part.colour)) > 1 for part in known]
    assert sum(shared) == 8
    for attribute in ("shape", "pattern", "colour"):
        assert not {getattr(part, attribute) for part in known} & {getattr(part, attribute) for part in new}


def test_a_number_leads_to_shape_pattern_and_colour():
    for table, names, attribute in (
        (parts.SHAPE_OF, parts.SHAPES, "shape"),
        (parts.PATTERN_OF, parts.PATTERNS, "pattern"),
        (parts.COLOUR_OF, parts.COLOURS, "colour"),
    ):
        assert table.dtype == torch.int64 and table[0] == -1
        for number, part in enumerate(parts.PARTS, 1):
            assert list(names)[table[number]] == getattr(part, attribute)


def test_no_single_part_names_a_class_and_every_pair_does():
    known = parts.COMBINATIONS["train"]
    assert known == parts.COMBINATIONS["test"] and len(set(known)) == 16
    for number in range(1, parts.KNOWN + 1):
        assert sum(number in triple for triple in known) == 4
    for a, b in combinations(known, 2):
        assert len(set(a) & set(b)) <= 1


def test_new_combinations_have_the_same_parts_and_pairs_but_no_known_triple():
    known, new = parts.COMBINATIONS["train"], parts.COMBINATIONS["new combinations"]
    assert not set(known) & set(new) and len(set(new)) == 16
    for size in (1, 2):
        counts = [
            sorted(chosen for triple in triples for chosen in combinations(triple, size)) for triples in (known, new)
        ]
        assert counts[0] == counts[1]


def test_new_parts_are_in_no_other_class(kinds):
    new = parts.COMBINATIONS["new parts"]
    assert len(set(new)) == 8
    assert {number for triple in new for number in triple} == set(range(parts.KNOWN + 1, len(parts.PARTS) + 1))
    for kind in parts.KINDS[:3]:
        assert int(kinds[kind].masks.max()) <= parts.KNOWN
    assert sorted(kinds["new parts"].masks.unique().tolist()) == [0, *range(parts.KNOWN + 1, len(parts.PARTS) + 1)]


@pytest.mark.parametrize("name", parts.SHAPES)
def test_shapes_fill_their_room_and_their_edges_are_true_to_scale(name):
    at = (torch.arange(400) + 0.5) / 160 - 1.25
    field = parts.SHAPES[name](at.expand(400, 400), at[:, None].expand(400, 400))
    inside = field < 0
    assert 0.2 < float(inside.float().sum()) / (np.pi * 160**2) < 0.9
    radius = torch.hypot(at, at[:, None])
    assert float(radius[inside].max()) < 1.1
    # Independent statement of the distance near the edge: the Euclidean distance transform, in radii.
    inside = inside.numpy()
    distance = (ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)) / 160
    near = (np.abs(distance) < 0.05) & (np.abs(distance) > 0.01)
    assert float(np.median(np.abs(field.numpy()[near] - distance[near]))) < 0.01
    assert bool((np.sign(field.numpy()[near]) == np.sign(distance[near])).all())


def test_shapes_and_patterns_differ():
    at = (torch.arange(80) + 0.5) / 40 - 1
    for known in (parts.SHAPES, parts.PATTERNS):
        drawn = [(field(at.expand(80, 80), at[:, None].expand(80, 80)) < 0).float() for field in known.values()]
        for a, b in combinations(drawn, 2):
            assert float((a - b).abs().mean()) > 0.08


# the pictures


def test_shapes_ranges_and_labels(kinds):
    for kind, found in kinds.items():
        inputs, labels = found.pictures.tensors()
        assert inputs.shape == (COUNT, 3, 64, 64) and inputs.dtype == torch.float32
        assert float(inputs.min()) >= 0 and float(inputs.max()) <= 1
        assert torch.equal(labels, found.labels) and labels.dtype == torch.int64 and found.pictures.embedded
        assert len(found.pictures.classes) == len(found.pictures.names) == len(parts.COMBINATIONS[kind])
        assert set(labels.tolist()) == set(range(len(found.pictures.classes)))
        assert found.masks.shape == (COUNT, 64, 64) and found.masks.dtype == torch.uint8
        assert found.boxes.shape == (COUNT, 4) and found.boxes.dtype == torch.float32
        assert set(found.factors) == set(parts.FACTORS)
        for name, values in found.factors.items():
            assert values.shape == (COUNT,) and values.dtype == torch.int64
            assert int(values.min()) >= 0 and int(values.max()) < parts.FACTORS[name]
    assert kinds["train"].pictures.names[0] == "plain red disc + checked green cross + dotted blue ring"


def test_the_class_decides_the_parts_in_the_mask(kinds):
    for kind, found in kinds.items():
        for mask, label in zip(found.masks, found.labels.tolist(), strict=True):
            assert set(mask.unique().tolist()) == {0, *parts.COMBINATIONS[kind][label]}
            assert min(int((mask == number).sum()) for number in parts.COMBINATIONS[kind][label]) >= 15


def test_boxes_are_the_tight_bounds_of_the_masks(kinds):
    for found in kinds.values():
        for mask, box in zip(found.masks.numpy(), found.boxes.tolist(), strict=True):
            ((rows, columns),) = ndimage.find_objects((mask > 0).astype(int))
            assert box == [columns.start, rows.start, columns.stop, rows.stop]


def test_objects_are_whole():
    # Drawn large, no part has a pixel at the border of the picture.
    for kind in parts.KINDS:
        for row in range(60):
            for number, right, down, _ in parts._placed(kind, parts._recipe(kind, 8, row), 128):
                inside = parts.SHAPES[parts.PARTS[number - 1].shape](right, down) < 0
                edge = torch.cat([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
                assert not bool(edge.any()), (kind, row)


def test_place_and_size_are_those_drawn(kinds):
    found = kinds["test"]
    middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    for axis, third in enumerate((found.factors["place"] % 3, found.factors["place"] // 3)):
        means = [float(middle[third == value, axis].mean()) for value in range(3)]
        assert means[0] + 4 < means[1] < means[2] - 4
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).amax(1)
    means = [float(sides[found.factors["size"] == value].mean()) for value in range(3)]
    assert means[0] + 4 < means[1] < means[2] - 4


def test_light_and_contrast_are_those_drawn():
    found = parts.load("train", 300, seed=1, size=32)
    inputs = found.pictures.tensors()[0]
    for name, measure in (("light", inputs.mean((1, 2, 3))), ("contrast", inputs.std((1, 2, 3)))):
        means = [float(measure[found.factors[name] == value].mean()) for value in range(parts.FACTORS[name])]
        assert means == sorted(means) and means[-1] > 1.3 * means[0]


def test_factors_are_even_and_independent():
    for kind in parts.KINDS:
        found = parts.load(kind, 700, seed=0, size=32)
        values = {"class": found.labels.numpy()} | {name: v.numpy() for name, v in found.factors.items()}
        for v in values.values():
            assert chisquare(np.bincount(v)).pvalue > 1e-4
        for a, b in combinations(values, 2):
            table = np.zeros((values[a].max() + 1, values[b].max() + 1))
            np.add.at(table, (values[a], values[b]), 1)
            assert chi2_contingency(table).pvalue > 1e-5, (kind, a, b)


def test_a_part_has_its_colour_where_its_mask_says(kinds, calm):
    for kind, found in kinds.items():
        for row in range(60):
            picture, mask = found.pictures.read.__wrapped__(row), found.masks[row]  # drawn now, calm
            for number in parts.COMBINATIONS[kind][int(found.labels[row])]:
                inner = torch.from_numpy(ndimage.binary_erosion((mask == number).numpy(), np.ones((3, 3))))
                if not bool(inner.any()):
                    continue
                colour = torch.tensor(parts.COLOURS[parts.PARTS[number - 1].colour])[:, None]
                seen = picture[:, inner]
                tone = (seen * colour).sum(0) / (colour * colour).sum()
                # A thin point of a neighbour may tint a pixel without ever having most of one.
                assert float(((seen - tone * colour).abs() < 1e-5).float().mean()) > 0.97
                assert parts.DARKER - 0.02 <= float(tone.min()) <= float(tone.max()) <= 1.02
                if parts.PARTS[number - 1].pattern == "plain":
                    assert float(tone.median()) > 1 - 1e-5


def test_a_picture_is_drawn_once_and_kept_from_changes():
    found = parts.load("test", 3, 0, 32)
    first = found.pictures.tensors()[0]
    first.zero_()  # a copy
    assert float(found.pictures.tensors()[0].mean()) > 0.1
    assert found.pictures.read.cache_info().misses == 3
    assert torch.equal(found.pictures.read(1), found.pictures.read.__wrapped__(1))


def test_outside_of_the_mask_is_the_ground_of_the_split_alone(monkeypatch, calm, kinds):
    paint(monkeypatch, lambda texture, split: 10 + 40 * texture + 20 * split)
    for kind, found in kinds.items():
        for row in range(40):
            outside = torch.from_numpy(~ndimage.binary_dilation(found.masks[row] > 0, np.ones((3, 3)), iterations=2))
            level = (10 + 40 * int(found.factors["texture"][row]) + 20 * (kind != "train")) / 255
            seen = found.pictures.read.__wrapped__(row)[:, outside]  # drawn now, calm
            assert float(((seen - level).abs() < 1e-6).float().mean()) > 0.995


def test_edges_are_antialiased(monkeypatch, calm):
    # White on black: the sum over a picture is the area, to a part in a hundred; a hard edge has no values between.
    monkeypatch.setattr(parts, "COLOURS", dict.fromkeys(parts.COLOURS, (1.0, 1.0, 1.0)))
    monkeypatch.setattr(parts, "PATTERNS", dict.fromkeys(parts.PATTERNS, parts.PATTERNS["plain"]))
    paint(monkeypatch, lambda texture, split: 0)
    small, large = (parts.load("train", 12, 0, size).pictures.tensors()[0][:, 0] for size in (64, 512))
    areas = [pictures.mean((1, 2)) for pictures in (small, large)]
    torch.testing.assert_close(areas[0], areas[1], rtol=0.02, atol=0)
    between = ((small > 0.1) & (small < 0.9)).float().mean((1, 2)) / areas[0]
    assert float(between.min()) > 0.1
    halved = torch.nn.functional.avg_pool2d(large[:, None], 8)[:, 0]
    assert float((halved - small).abs().mean()) < 0.01


@pytest.mark.parametrize("size", [32, 45, 224])
def test_any_size_shows_the_same_objects(size):
    found, usual = parts.load("test", 4, 0, size), parts.load("test", 4, 0)
    assert found.pictures[0][0].shape == (3, size, size)
    assert float((found.boxes / size - usual.boxes / 64).abs().max()) < 0.04


def test_a_picture_depends_on_seed_kind_and_row_alone(kinds):
    for kind, many in kinds.items():
        few = parts.load(kind, 5, seed=3)
        for row in (4, 0, 3):
            assert torch.equal(few.pictures.read(row), many.pictures.read(row))
            assert torch.equal(few.masks[row], many.masks[row]) and torch.equal(few.boxes[row], many.boxes[row])
            assert few.labels[row] == many.labels[row]
            assert all(few.factors[name][row] == many.factors[name][row] for name in few.factors)
        assert torch.equal(few.pictures.tensors()[0], few.pictures.tensors()[0])
        other = parts.load(kind, 5, seed=4)
        assert not torch.equal(few.pictures.read(0), other.pictures.read(0))
    assert not torch.equal(kinds["train"].pictures.read(0), kinds["test"].pictures.read(0))
    # The places of the two kinds of new objects, too, are their own.
    assert not torch.equal(kinds["test"].boxes, kinds["new combinations"].boxes)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "val"}, "kind = 'val': must be one of train, test, new combinations, new parts"),
        ({"count": 0}, "count = 0: must be at least 1"),
        ({"seed": -1}, "seed = -1: must be at least 0"),
        ({"size": 31}, "size = 31: must be at least 32"),
    ],
)
def test_refusals(changed, message):
    with pytest.raises(ParameterError, match=f"^{message}"):
        parts.load(**{"kind": "train", "count": 2, "seed": 0} | changed)


# the part of each cell


def part_at_by_hand(mask, box, cells, fine=60):
    """By counting the points of a fine grid in each cell."""
    x0, y0, x1, y1 = box
    out = np.zeros((cells, cells), dtype=int)
    steps = (np.arange(fine) + 0.5) / fine
    for i in range(cells):
        for j in range(cells):
            rows = np.floor(y0 + (y1 - y0) * (i + steps) / cells).astype(int)
            columns = np.floor(x0 + (x1 - x0) * (j + steps) / cells).astype(int)
            inside = np.outer((rows >= 0) & (rows < mask.shape[0]), (columns >= 0) & (columns < mask.shape[1]))
            seen = np.where(inside, mask[np.ix_(rows % mask.shape[0], columns % mask.shape[1])], 0)
            out[i, j] = np.bincount(seen.ravel()).argmax()
    return out


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_part_at_counts_pixels(kinds, cells):
    found = kinds["train"]
    boxes = found.boxes[:40].clone()
    boxes[20:] += torch.tensor([-3.3, 1.7, 6.2, 4.9])  # off the pixels' edges, partly outside
    got = parts.part_at(found.masks[:40], boxes, cells)
    assert got.shape == (40, cells, cells) and got.dtype == torch.int64
    wanted = [part_at_by_hand(m, b, cells) for m, b in zip(found.masks[:40].numpy(), boxes.tolist(), strict=True)]
    # A grid of points is not exact: a cell or two may lie on the fence.
    assert float((got.numpy() != np.stack(wanted)).mean()) < 0.01


def test_part_at_by_hand_made_masks():
    mask = torch.zeros(1, 6, 6, dtype=torch.uint8)
    mask[0, :2, :2], mask[0, 2:4, 2:], mask[0, 4:, 0], mask[0, 4:, 1] = 7, 2, 5, 3
    whole = torch.tensor([[0.0, 0, 6, 6]])
    # Below on the left 3 and 5 are even: the smaller number.
    assert parts.part_at(mask, whole).tolist() == [[[7, 0, 0], [0, 2, 2], [3, 0, 0]]]
    assert parts.part_at(mask, torch.tensor([[0.0, 0, 2, 2]]), 2).tolist() == [[[7, 7], [7, 7]]]
    # Half ground and half part: the ground's number is smaller.
    assert parts.part_at(mask, torch.tensor([[0.0, 0, 4, 2]]), 1).tolist() == [[[0]]]
    assert parts.part_at(mask, torch.tensor([[0.0, 0, 3.9, 2]]), 1).tolist() == [[[7]]]
    assert parts.part_at(mask[:0], whole[:0]).shape == (0, 3, 3)
    assert parts.part_at(torch.zeros(1, 6, 6, dtype=torch.uint8), whole).tolist() == [[[0] * 3] * 3]


def test_the_cells_of_an_object_hold_all_its_parts(kinds):
    for kind, found in kinds.items():
        cells = parts.part_at(found.masks, found.boxes)
        own = torch.tensor(parts.COMBINATIONS[kind])[found.labels]
        assert bool(((cells[..., None] == own[:, None, None]).any(-1) | (cells == 0)).all())
        shown = (cells.flatten(1)[..., None] == own[:, None]).any(1)
        assert float(shown.float().mean()) > (0.75 if kind == "new parts" else 0.9), kind
        assert float((cells > 0).float().mean()) > (0.4 if kind == "new parts" else 0.5), kind


@pytest.mark.parametrize(
    ("masks", "boxes", "cells", "message"),
    [
        ((2, 4, 4), [[0.0, 0, 2, 2]], 3, r"boxes = \(1, 4\): must be \(N, 4\), for masks"),
        ((4, 4), [[0.0, 0, 2, 2]], 3, r"boxes = \(1, 4\): must be \(N, 4\), for masks"),
        ((1, 4, 4), [[0.0, 0, 0, 2]], 3, "boxes: every box must have x1 > x0"),
        ((1, 4, 4), [[0.0, 0, float("nan"), 2]], 3, "boxes: every box must have x1 > x0"),
        ((1, 4, 4), [[0.0, 0, 2, 2]], 0, "cells = 0: must be at least 1"),
    ],
)
def test_part_at_refuses(masks, boxes, cells, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parts.part_at(torch.zeros(masks, dtype=torch.uint8), torch.tensor(boxes), cells)
