"""Regions against literal loops over the definitions, torchvision, closed forms and brute force."""

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_detectors import save_dino, save_sam
from torch import nn

from innercodes import regions
from innercodes.parameters import ParameterError

NAN = [math.nan] * 4
NOBODY = torch.zeros(0, dtype=torch.long)


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def places(count, height, width, seed=0, least=1.0):
    """Boxes with sides of at least `least` pixels within the picture."""
    share = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    sides = least + share[:, 2:] * (torch.tensor([width, height]) - least)
    start = share[:, :2] * (torch.tensor([width, height]) - sides)
    return torch.cat([start, start + sides], 1)


def overlap(a, b):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    return max(width, 0) * max(height, 0)


# sources


def test_full_and_center():
    inputs = torch.zeros(2, 3, 20, 40)
    assert regions.full(inputs, NOBODY).tolist() == [[0, 0, 40, 20]] * 2
    assert regions.center(0.5)(inputs, NOBODY).tolist() == [[10, 5, 30, 15]] * 2
    for share in (0, 1.01, math.nan):
        with pytest.raises(ParameterError, match="^share = .*: must be above 0 and at most 1$"):
            regions.center(share)


def test_the_oracle_gives_its_boxes_cut_to_the_picture():
    boxes = torch.tensor([[1.0, 2, 3, 4], NAN, [-5, 3, 99, 6]])
    found = regions.oracle(boxes)(torch.zeros(3, 1, 8, 10), NOBODY)
    assert found.dtype == torch.float32 and found[0].tolist() == [1, 2, 3, 4] and found[2].tolist() == [0, 3, 10, 6]
    assert bool(found[1].isnan().all())
    with pytest.raises(ValueError, match=r"^boxes = torch.float32 \(3, 4\): must be floats \(2, 4\)$"):
        regions.oracle(boxes)(torch.zeros(2, 1, 8, 10), NOBODY)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 5), st.integers(0, 7), st.integers(1, 8), st.integers(1, 10))
def test_the_background_overlaps_as_little_as_any_place(top, left, height, width):
    x1, y1 = min(left + width, 10), min(top + height, 8)
    box = [left, top, x1, y1]
    w, h = x1 - left, y1 - top
    found = regions.background(torch.tensor([box, NAN]).float())(torch.zeros(2, 1, 8, 10), NOBODY)
    assert bool(found[1].isnan().all())
    found = found[0].tolist()
    assert found[2] - found[0] == w and found[3] - found[1] == h
    assert found[0] in (0, 10 - w) and found[1] in (0, 8 - h)
    anywhere = [overlap(box, (x, y, x + w, y + h)) for x in range(10 - w + 1) for y in range(8 - h + 1)]
    assert overlap(box, found) == min(anywhere)


def test_random_boxes_keep_their_size_and_lie_evenly():
    boxes = torch.tensor([[1.0, 2, 5, 8]]).repeat(4000, 1)
    inputs = torch.zeros(4000, 1, 16, 12)
    found = regions.random_boxes(boxes, 3)(inputs, NOBODY)
    torch.testing.assert_close(found[:, 2:] - found[:, :2], torch.tensor([[4.0, 6]]).repeat(4000, 1))
    share = found[:, :2] / torch.tensor([8.0, 10])
    assert float(share.min()) >= 0 and float(share.max()) <= 1
    for axis in (0, 1):  # Kolmogorov's distance from even
        gap = (share[:, axis].sort().values - torch.arange(4000) / 4000).abs().max()
        assert float(gap) < 0.03
    assert abs(float(torch.corrcoef(share.T)[0, 1])) < 0.06
    for count in (1, 7, 20):
        assert torch.equal(regions.random_boxes(boxes[:count], 3)(inputs[:count], NOBODY), found[:count])
    assert not torch.equal(regions.random_boxes(boxes, 4)(inputs, NOBODY), found)
    boxes[1] = math.nan
    assert bool(regions.random_boxes(boxes, 3)(inputs, NOBODY)[1].isnan().all())


def painted(*patches, ground=0.5, size=48):
    """A picture with rectangles: (x0, y0, x1, y1, value)."""
    picture = torch.full((3, size, size), ground)
    for x0, y0, x1, y1, value in patches:
        picture[:, y0:y1, x0:x1] = torch.tensor(value, dtype=torch.float32).reshape(-1, 1, 1)
    return picture


def test_felzenszwalb_takes_the_segment_of_its_rule():
    pale, vivid, wide = (4, 4, 24, 24, 0.62), (30, 28, 42, 40, 0.0), (0, 26, 20, 48, 1.0)
    inputs = torch.stack([painted(pale, vivid, wide), painted(wide), painted(vivid)])
    far = {"sigma": 0.1, "scale": 10}
    salient = regions.felzenszwalb(rule="salient", **far)(inputs, NOBODY)
    largest = regions.felzenszwalb(rule="largest", **far)(inputs, NOBODY)
    assert salient.dtype == torch.float32 and salient[0].tolist() == list(vivid[:4])
    assert largest[0].tolist() == list(pale[:4])
    # What touches the border is no object.
    assert bool(salient[1].isnan().all()) and bool(largest[1].isnan().all())
    assert salient[2].tolist() == largest[2].tolist() == list(vivid[:4])
    assert bool(regions.felzenszwalb(**far, smallest=0.1)(inputs, NOBODY)[2].isnan().all())
    assert bool(regions.felzenszwalb(**far, biggest=0.05)(inputs, NOBODY)[2].isnan().all())
    assert regions.felzenszwalb()(inputs[:0], NOBODY).shape == (0, 4)


def test_salience_is_contrast_by_the_root_of_the_area():
    # Differences of 0.2 and 0.3 in all channels; roots of the areas 20 and 12.
    inputs = painted((4, 4, 24, 24, 0.7), (30, 28, 42, 40, 0.2))[None]
    assert regions.felzenszwalb(sigma=0.1, scale=10)(inputs, NOBODY)[0].tolist() == [4, 4, 24, 24]
    inputs = painted((4, 4, 24, 24, 0.7), (30, 28, 42, 40, 0.05))[None]
    assert regions.felzenszwalb(sigma=0.1, scale=10)(inputs, NOBODY)[0].tolist() == [30, 28, 42, 40]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rule": "best"}, "rule = 'best': must be one of largest, salient"),
        ({"smallest": 0.7}, "smallest = 0.7: must be from 0 to below biggest = 0.6"),
        ({"biggest": 1.5}, "smallest = 0.02: must be from 0 to below biggest = 1.5"),
    ],
)
def test_felzenszwalb_refuses(changed, message):
    with pytest.raises(ParameterError, match=f"^{message}"):
        regions.felzenszwalb(**changed)


# the detector

CLASSES = ("Tench, Tinca tinca", "Dog")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Grounding DINO with random weights, as transformers writes it."""
    return save_dino(tmp_path_factory.mktemp("weights") / "tiny_dino")


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    return save_sam(tmp_path_factory.mktemp("weights") / "tiny_sam")


def test_the_detector_is_grounding_dino_asked_for_the_predicted_class(folder):
    from transformers import AutoProcessor, GroundingDinoForObjectDetection

    # Values that eight bits hold: what Pillow is given below is the same picture.
    inputs = torch.randint(256, (3, 3, 40, 64), generator=torch.Generator().manual_seed(1)) / 255
    asked = torch.tensor([0, 1, 0])
    found = regions.detector(str(folder), CLASSES, box_threshold=0.0)(inputs, asked)
    model, processor = (
        GroundingDinoForObjectDetection.from_pretrained(folder).eval(),
        AutoProcessor.from_pretrained(folder),
    )
    for row, words in enumerate(("tench.", "dog.", "tench.")):
        picture = Image.fromarray((255 * inputs[row]).round().byte().permute(1, 2, 0).numpy())
        with torch.no_grad():
            out = model(**processor(images=picture, text=words, return_tensors="pt"))
        best = out.logits[0].sigmoid().amax(-1).argmax()
        x, y, w, h = out.pred_boxes[0, best].tolist()
        wanted = [(x - w / 2) * 64, (y - h / 2) * 40, (x + w / 2) * 64, (y + h / 2) * 40]
        assert found[row].tolist() == pytest.approx(wanted, abs=0.01), row
    nothing = regions.detector(str(folder), CLASSES, box_threshold=1.0)(inputs, asked)
    assert nothing.shape == (3, 4) and bool(nothing.isnan().all())


class Answer(dict):
    def to(self, device):
        return self


class StubProcessor:
    """Says what was asked, and gives the boxes that it was made with, whatever the model says."""

    def __init__(self, boxes, scores):
        self.answer = {"boxes": torch.tensor(boxes).reshape(-1, 4), "scores": torch.tensor(scores)}
        self.asked, self.thresholds, self.sizes = [], [], []

    def __call__(self, images, text, **options):
        assert options["do_rescale"] is False and images.shape[0] == 3
        self.asked.append(text)
        return Answer(input_ids=torch.zeros(1, 1), images=images)

    def post_process_grounded_object_detection(self, out, input_ids, threshold, text_threshold, target_sizes):
        self.thresholds.append((threshold, text_threshold))
        self.sizes += target_sizes
        return [self.answer]


class StubModel(nn.Module):
    def forward(self, input_ids, images):
        return images


def test_of_several_boxes_the_best_that_lies_in_the_picture():
    stub = StubProcessor([[1.0, 1, 5, 5], [2, 2, 99, 6], [50, 1, 60, 4]], [0.4, 0.8, 0.9])
    source = regions.detecting(StubModel(), stub, CLASSES)
    found = source(torch.zeros(2, 3, 10, 20), torch.tensor([1, 0]))
    assert found.tolist() == [[2, 2, 20, 6]] * 2
    assert stub.asked == ["dog.", "tench."] and stub.thresholds == [(0.35, 0.25)] * 2 and stub.sizes == [(10, 20)] * 2
    none = regions.detecting(StubModel(), StubProcessor([], []), CLASSES)
    assert bool(none(torch.zeros(1, 3, 10, 20), torch.tensor([1])).isnan().all())
    with pytest.raises(ValueError, match="^predictions: must be from 0 to 1, one for each of 1 pictures$"):
        none(torch.zeros(1, 3, 10, 20), torch.tensor([2]))
    with pytest.raises(ValueError, match="^predictions: "):
        none(torch.zeros(1, 3, 10, 20), torch.tensor([0, 0]))


def test_a_folder_without_a_detector_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="^weights = 'none': not a detector of transformers") as caught:
        (tmp_path / "none").mkdir()
        regions.detector(str(tmp_path / "none"), CLASSES)
    assert "\n" not in str(caught.value)


def test_sam_draws_the_box_tight_about_its_mask(sam):
    from transformers import SamModel, SamProcessor

    inputs = torch.randint(256, (4, 3, 40, 64), generator=torch.Generator().manual_seed(2)) / 255
    boxes = torch.tensor([[4.0, 6, 50, 30], [20, 2, 40, 38], NAN, [0, 0, 64, 40]])
    found = regions.segmented(regions.oracle(boxes), str(sam))(inputs, torch.zeros(4).long())
    assert found.dtype == torch.float32 and bool(found[2].isnan().all())
    model, processor = SamModel.from_pretrained(sam).eval(), SamProcessor.from_pretrained(sam)
    for row in (0, 1, 3):
        picture = Image.fromarray((255 * inputs[row]).round().byte().permute(1, 2, 0).numpy())
        with torch.no_grad():
            batch = processor(images=picture, input_boxes=[[boxes[row].tolist()]], return_tensors="pt")
            low = model(
                batch["pixel_values"], input_boxes=batch["input_boxes"].float(), multimask_output=False
            ).pred_masks
        # SAM's way from its mask to the picture's size: to the padded square, the padding cut off, to the picture.
        square = nn.functional.interpolate(low[0], (64, 64), mode="bilinear", align_corners=False)[..., :40, :]
        mask = (nn.functional.interpolate(square, (40, 64), mode="bilinear", align_corners=False)[0, 0] > 0).numpy()
        y, x = np.where(mask)
        assert found[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[0], boxes[0])


def test_the_tight_box_of_a_mask():
    mask = torch.zeros(8, 10, dtype=torch.bool)
    box = torch.tensor([1.0, 1, 5, 5])
    assert regions.tight(mask, box).tolist() == box.tolist()
    mask[2, 7] = mask[5, 3] = True
    assert regions.tight(mask, box).tolist() == [3, 2, 8, 6]


def test_a_folder_without_sam_is_refused(folder, tmp_path):
    with pytest.raises(ParameterError, match="^segmenter = 'tiny_dino': not SAM of transformers") as caught:
        regions.segmented(regions.full, str(folder))
    assert "\n" not in str(caught.value)


# boxes and crops


def test_enlarged_gains_its_margin_and_stays_in_the_picture():
    boxes = torch.tensor([[10.0, 10, 20, 14], NAN, [0, 0, 30, 16]])
    found = regions.enlarged(boxes, 0.2, (16, 40))
    assert found[0].tolist() == pytest.approx([8, 9.2, 22, 14.8]) and bool(found[1].isnan().all())
    assert found[2].tolist() == pytest.approx([0, 0, 36, 16])
    torch.testing.assert_close(regions.enlarged(boxes, 0.0, (16, 40)), boxes, equal_nan=True)
    assert regions.enlarged(boxes[:1], 10.0, 64).tolist() == [[0, 0, 64, 54]]
    with pytest.raises(ParameterError, match="^margin = -0.1: must be at least 0$"):
        regions.enlarged(boxes, -0.1, 64)


def test_a_crop_is_what_pillow_makes_of_it():
    inputs = draws(3, 1, 30, 40).float()
    boxes = torch.tensor([[3.0, 4, 33, 16], [0, 0, 40, 30], [35, 20, 39, 29]])
    found = regions.crop(inputs, boxes, (10, 12))
    for row, box in enumerate(boxes.long().tolist()):
        image = Image.fromarray(inputs[row, 0].numpy()).crop(box)
        wanted = torch.from_numpy(np.array(image.resize((12, 10), Image.Resampling.BILINEAR)))
        torch.testing.assert_close(found[row, 0], wanted, rtol=0, atol=1e-5)


def test_a_crop_holds_every_pixel_that_its_box_touches_and_no_other():
    inputs = torch.zeros(1, 1, 8, 8)
    inputs[..., 2:5, 3:7] = 1.0
    assert bool((regions.crop(inputs, torch.tensor([[3.4, 2.6, 6.2, 4.1]]), 8) == 1).all())
    assert float(regions.crop(inputs, torch.tensor([[2.9, 2, 7, 5]]), 8).min()) < 1
    same = draws(2, 3, 8, 8)
    torch.testing.assert_close(regions.crop(same, torch.tensor([[0.0, 0, 8, 8]] * 2), 8), same)
    torch.testing.assert_close(regions.crop(same, torch.tensor([[-3.0, -1, 80, 9]] * 2), 8), same)


def test_a_padded_crop_keeps_its_proportions():
    inputs = torch.ones(2, 1, 20, 20)
    found = regions.crop(inputs, torch.tensor([[0.0, 0, 16, 4], [5, 2, 8, 14]]), 8, pad=True, fill=0.25)
    wide, tall = found[:, 0] == 1
    assert wide.nonzero().aminmax(dim=0)[0].tolist() == [3, 0] and wide.sum() == 2 * 8
    assert tall.nonzero().aminmax(dim=0)[0].tolist() == [0, 3] and tall.sum() == 8 * 2
    assert bool((found[:, 0][~torch.stack([wide, tall])] == 0.25).all())
    thin = regions.crop(inputs, torch.tensor([[0.0, 0, 20, 1], [0, 0, 1, 20]]), 4, pad=True)
    assert [int((picture > 0.9).sum()) for picture in thin] == [4, 4]


# certification


class Quadrants(nn.Module):
    """Says which quarter of the picture is brightest: row by row."""

    def forward(self, inputs):
        return nn.functional.adaptive_avg_pool2d(inputs[:, :1], 2).flatten(1)


class Bright(nn.Module):
    """Says 3 where the picture is bright, else 0."""

    def forward(self, inputs):
        return nn.functional.one_hot(3 * (inputs.mean((1, 2, 3)) > 0.5), 4).float()


def lit(*places, size=16):
    pictures = torch.zeros(len(places), 1, size, size)
    for picture, (x0, y0, x1, y1) in zip(pictures, places, strict=True):
        picture[0, y0:y1, x0:x1] = 1
    return pictures


def test_certification_keeps_what_is_seen_again():
    # The light lies below on the right of every picture; so it does in the first box, not in the others.
    inputs = lit(*[(10, 10, 14, 14)] * 4)
    boxes = torch.tensor([[6.0, 6, 14, 14], [10, 10, 18, 18], NAN, [8, 8, 16, 16]])
    found = regions.certify(Quadrants().eval(), inputs, boxes)
    assert found.predictions.tolist() == [3, 3, 3, 3]
    assert found.second[:3].tolist() == [3, 0, -1] and found.kept[:3].tolist() == [True, False, False]
    for chunk in (1, 3):
        again = regions.certify(Quadrants().eval(), inputs, boxes, chunk=chunk)
        assert torch.equal(again.second, found.second) and torch.equal(again.kept, found.kept)
    assert found.kept.dtype == torch.bool and found.second.dtype == found.predictions.dtype == torch.int64
    assert not found.second.is_inference()


def test_a_margin_and_another_network_change_the_second_look():
    inputs = lit((10, 10, 14, 14))
    boxes = torch.tensor([[10.0, 10, 14, 14]])
    assert regions.certify(Quadrants().eval(), inputs, boxes).second.tolist() == [0]  # all quarters alike: the first
    wider = regions.certify(Quadrants().eval(), inputs, boxes, margin=1.0)  # 6 ... 16: the light is right of the middle
    assert wider.second.tolist() == [3] and wider.kept.tolist() == [True]
    other = regions.certify(Quadrants().eval(), inputs, boxes, second=Bright().eval())
    assert other.predictions.tolist() == [3] and other.second.tolist() == [3]
    assert regions.certify(Bright().eval(), inputs, boxes, second=Quadrants().eval()).predictions.tolist() == [0]


def test_certification_without_any_box_or_picture():
    inputs = lit((0, 0, 4, 4), (0, 0, 4, 4))
    nothing = regions.certify(Quadrants().eval(), inputs, torch.tensor([NAN, NAN]))
    assert nothing.second.tolist() == [-1, -1] and not nothing.kept.any() and nothing.predictions.tolist() == [0, 0]
    empty = regions.certify(Quadrants().eval(), inputs[:0], torch.zeros(0, 4))
    assert len(empty.kept) == len(empty.predictions) == 0
    with pytest.raises(ValueError, match="^network: must be in evaluation mode$"):
        regions.certify(Quadrants(), inputs, torch.tensor([NAN, NAN]))


# pooling


def roi_pool_by_hand(maps, boxes, scale, size):
    """torchvision's roi_pool, cell by cell: csrc/ops/cpu/roi_pool_kernel.cpp."""
    count, channels, height, width = maps.shape
    out = torch.zeros(count, channels, size, size, dtype=maps.dtype)
    for n in range(count):
        x0, y0, x1, y1 = (math.floor(edge * scale + 0.5) for edge in boxes[n].tolist())
        high, wide = max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1)
        for i in range(size):
            for j in range(size):
                top, bottom = (
                    min(max(f((i + k) * high / size) + y0, 0), height) for f, k in ((math.floor, 0), (math.ceil, 1))
                )
                left, right = (
                    min(max(f((j + k) * wide / size) + x0, 0), width) for f, k in ((math.floor, 0), (math.ceil, 1))
                )
                for c in range(channels):
                    values = [maps[n, c, y, x] for y in range(top, bottom) for x in range(left, right)]
                    out[n, c, i, j] = max(values, default=0.0)
    return out


@pytest.mark.parametrize(("stride", "size"), [(1, 3), (4, 3), (8, 3), (4, 2), (16, 1)])
def test_max_pooling_is_the_definition(stride, size):
    maps, boxes = draws(25, 2, 48 // stride, 64 // stride), places(25, 48, 64, seed=stride)
    found = regions.roi_pool(maps, boxes, (48, 64), size)
    assert torch.equal(found, roi_pool_by_hand(maps, boxes, 1 / stride, size))


def test_max_pooling_of_a_cell_behind_the_last_pixel_is_zero():
    maps = torch.full((1, 1, 2, 2), -1.0)
    found = regions.roi_pool(maps, torch.tensor([[60.0, 0, 64, 64]]), 64)
    assert bool((found == 0).all())
    assert torch.equal(found, roi_pool_by_hand(maps, torch.tensor([[60.0, 0, 64, 64]]), 1 / 32, 3))


def test_max_pooling_rounds_halves_upwards():
    maps = torch.arange(8.0).expand(1, 1, 8, 8)
    # Edges 2.5 and 4.5 become 3 and 5: pixels 3, 4, 5. To even numbers it would be 2 ... 4.
    assert regions.roi_pool(maps, torch.tensor([[5.0, 0, 9, 16]]), 16)[0, 0, 0].tolist() == [3, 4, 5]


@pytest.mark.parametrize(("stride", "size"), [(1, 3), (4, 3), (16, 3), (4, 5)])
def test_mean_pooling_is_torchvisions_roi_align(stride, size):
    align = importlib.import_module("torchvision.ops.roi_align")._roi_align.__wrapped__
    maps, boxes = draws(25, 2, 48 // stride, 64 // stride), places(25, 48, 64, seed=stride, least=0.5)
    rows = torch.cat([torch.arange(25.0, dtype=torch.float64)[:, None], boxes], 1)
    wanted = align(maps, rows, 1 / stride, size, size, -1, True)
    torch.testing.assert_close(regions.roi_pool(maps, boxes, (48, 64), size, "mean"), wanted, rtol=0, atol=1e-12)


def ramp(height, width, stride):
    """A map whose value is 3 x + 5 y at the middle of each of its pixels, in pixels of the input."""
    x, y = ((torch.arange(pixels, dtype=torch.float64) + 0.5) * stride for pixels in (width, height))
    return (3 * x + 5 * y[:, None])[None, None]


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_means_and_maxima_of_a_ramp(stride):
    maps = ramp(64 // stride, 64 // stride, stride)
    box = torch.tensor([[12.0, 8, 51, 50]])
    x, y = (start + length * (torch.arange(3) + 0.5) / 3 for start, length in ((12, 39), (8, 42)))
    found = regions.roi_pool(maps, box, 64, 3, "mean")
    # The mean of a linear function over a cell is its value in the cell's middle, whatever the stride.
    torch.testing.assert_close(found[0, 0], (3 * x + 5 * y[:, None]).double(), rtol=0, atol=1e-9)
    largest = regions.roi_pool(maps, box, 64)[0, 0]
    ends = [[math.ceil((i + 1) * n / 3) - 1 for i in range(3)] for n in _lengths(box[0], stride)]
    start = [math.floor(edge / stride + 0.5) for edge in (12, 8)]
    last = [(torch.tensor(e, dtype=torch.float64) + s + 0.5) * stride for e, s in zip(ends, start, strict=True)]
    torch.testing.assert_close(largest, 3 * last[0] + 5 * last[1][:, None], rtol=0, atol=1e-9)


def _lengths(box, stride):
    x0, y0, x1, y1 = (math.floor(edge / stride + 0.5) for edge in box.tolist())
    return x1 - x0 + 1, y1 - y0 + 1


@pytest.mark.parametrize("how", regions.POOLINGS)
def test_pooling_does_not_depend_on_the_scale(how):
    maps, boxes = draws(10, 3, 12, 16), places(10, 48, 64, seed=2)
    once = regions.roi_pool(maps, boxes, (48, 64), how=how)
    assert torch.equal(once, regions.roi_pool(maps, 2 * boxes, (96, 128), how=how))
    assert torch.equal(once, regions.roi_pool(maps, boxes / 4, (12, 16), how=how))


def test_doubling_the_map_as_well_changes_no_mean_of_a_ramp():
    boxes = places(20, 64, 64, seed=5, least=8).clamp(4, 60)
    twice = [regions.roi_pool(ramp(64 // s, 64 // s, s).expand(20, 1, -1, -1), boxes, 64, 3, "mean") for s in (4, 2)]
    torch.testing.assert_close(*twice, rtol=0, atol=1e-9)


@pytest.mark.parametrize("how", regions.POOLINGS)
def test_pooling_knows_channels_pictures_and_precision(how):
    maps, boxes = draws(4, 5, 9, 7), places(4, 36, 28, seed=3)
    found = regions.roi_pool(maps, boxes, (36, 28), how=how)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(regions.roi_pool(maps[order], boxes[order], (36, 28), how=how), found[order])
    torch.testing.assert_close(regions.roi_pool(maps.flip(1), boxes, (36, 28), how=how), found.flip(1))
    single = regions.roi_pool(maps.float(), boxes.float(), (36, 28), how=how)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), found, rtol=1e-5, atol=1e-5)
    assert regions.roi_pool(maps[:0], boxes[:0], (36, 28), how=how).shape == (0, 5, 3, 3)
    # Gradients flow, for attacks on what is pooled.
    own = maps.clone().requires_grad_()
    regions.roi_pool(own, boxes, (36, 28), how=how).sum().backward()
    assert float(own.grad.abs().sum()) > 0


@pytest.mark.parametrize("how", regions.POOLINGS)
def test_what_lies_outside_is_cut_off(how):
    maps = draws(1, 2, 8, 8)
    over, cut = torch.tensor([[-10.0, 4, 20, 70]]), torch.tensor([[0.0, 4, 20, 32]])
    assert torch.equal(*(regions.roi_pool(maps, box, 32, how=how) for box in (over, cut)))


def test_cells_are_the_vectors_of_the_places():
    pooled = draws(2, 5, 3, 3)
    nine, one = regions.cells(pooled), regions.cells(pooled, joined=True)
    assert nine.shape == (2, 9, 5) and one.shape == (2, 1, 45)
    for i in range(3):
        for j in range(3):
            assert torch.equal(nine[1, 3 * i + j], pooled[1, :, i, j])
    assert torch.equal(one[1, 0], nine[1].flatten())


def test_small_boxes_are_flagged():
    boxes = torch.tensor([[0.0, 0, 96, 97], [0, 0, 95, 200], [5, 5, 17, 17], NAN])
    found = regions.flagged(boxes, (4, 8, 32))
    assert found.tolist() == [[False] * 3, [False, False, True], [False, True, True], [False] * 3]
    with pytest.raises(ValueError, match=r"^boxes = \(4,\): must be \(N, 4\)$"):
        regions.flagged(boxes[0], (4,))


# refusals

BAD = [
    ([[1.0, 1, 1, 4]], r"boxes: row 0 = \[1.0, 1.0, 1.0, 4.0\]: must have x1 > x0 and y1 > y0"),
    ([[1.0, 4, 3, 2]], "boxes: row 0 = .*: must have x1 > x0 and y1 > y0"),
    ([[9.0, 1, 12, 4]], "boxes: row 0 = .*: lies outside of the picture of 8 x 8 pixels"),
    ([[-4.0, 1, 0, 4]], "boxes: row 0 = .*: lies outside of the picture of 8 x 8 pixels"),
    ([[1.0, 2, 3]], r"boxes = torch.float32 \(1, 3\): must be floats"),
    ([[1, 2, 3, 4]], r"boxes = torch.int64 \(1, 4\): must be floats"),
]


@pytest.mark.parametrize(("boxes", "message"), BAD)
@pytest.mark.parametrize("use", ["pool", "crop", "certify", "enlarged", "oracle", "background", "random"])
def test_bad_boxes_are_refused_everywhere(boxes, message, use):
    boxes, inputs = torch.tensor(boxes), torch.zeros(1, 1, 8, 8)
    calls = {
        "pool": lambda: regions.roi_pool(inputs, boxes, 8),
        "crop": lambda: regions.crop(inputs, boxes, 8),
        "certify": lambda: regions.certify(Quadrants().eval(), inputs, boxes),
        "enlarged": lambda: regions.enlarged(boxes, 0.1, 8),
        "oracle": lambda: regions.oracle(boxes)(inputs, NOBODY),
        "background": lambda: regions.background(boxes)(inputs, NOBODY),
        "random": lambda: regions.random_boxes(boxes, 0)(inputs, NOBODY),
    }
    with pytest.raises(ValueError, match=f"^{message}"):
        calls[use]()


def test_no_box_is_refused_where_one_is_needed():
    maps = torch.zeros(2, 1, 8, 8)
    boxes = torch.tensor([[1.0, 1, 4, 4], NAN])
    for call in (lambda: regions.roi_pool(maps, boxes, 8), lambda: regions.crop(maps, boxes, 8)):
        with pytest.raises(ValueError, match="^boxes: row 1 is NaN: leave out pictures without a box$"):
            call()
    half = torch.tensor([[1.0, 1, 4, math.nan]] * 2)
    with pytest.raises(ValueError, match="^boxes: row 0 is NaN"):
        regions.roi_pool(maps, half, 8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"how": "median"}, "how = 'median': must be one of max, mean"),
        ({"size": 0}, "size = 0: must be at least 1"),
        ({"maps": torch.zeros(1, 8, 8)}, r"maps = torch.float32 \(1, 8, 8\): must be floats \(B, C, h, w\)"),
        ({"input_size": 0}, "size = 0: must be at least 1"),
    ],
)
def test_pooling_refuses(changed, message):
    given_ = {"maps": torch.zeros(1, 1, 8, 8), "boxes": torch.tensor([[1.0, 1, 4, 4]]), "input_size": 8} | changed
    with pytest.raises(ValueError, match=f"^{message}"):
        regions.roi_pool(**given_)
