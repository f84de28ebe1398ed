"""Regions of interest (Lee & Vijayan 2024): where an object is, whether the network stands by it, its pooled responses.

Boxes are float (N, 4): x0, y0, x1, y1, edges in pixels of the input, so that the whole picture is (0, 0, W, H). What of
a box lies outside of the picture is cut off first. A box that is NaN, empty or wholly outside is refused; in the boxes
that a source gives and in `certify`, a row of NaN says that nothing was found.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from innercodes.parameters import ParameterError, refusal

RULES = ("largest", "salient")
POOLINGS = ("max", "mean")


class Source(Protocol):
    """Inputs (B, C, H, W) and predictions int64 (B,) to boxes of the objects, float32 (B, 4), NaN: nothing found."""

    def __call__(self, inputs: Tensor, predictions: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Certified:
    """Both predictions int64 (N,), the second -1 where there is no box, and bool (N,) which regions are kept."""

    predictions: Tensor
    second: Tensor
    kept: Tensor


def full(inputs: Tensor, predictions: Tensor) -> Tensor:
    """The whole picture, as a `Source`."""
    return center(1.0)(inputs, predictions)


def center(share: float) -> Source:
    """A box in the middle whose sides are this share of the picture's, above 0 and at most 1."""
    if not 0 < share <= 1:
        raise refusal("share", share, "above 0 and at most 1")

    def source(inputs: Tensor, predictions: Tensor) -> Tensor:
        height, width = inputs.shape[-2:]
        low, high = (1 - share) / 2, (1 + share) / 2
        box = torch.tensor([low * width, low * height, high * width, high * height], device=inputs.device)
        return box.repeat(len(inputs), 1)

    return source


def oracle(boxes: Tensor) -> Source:
    """Known boxes (N, 4), one for each picture that the source is asked about; rows of NaN stay so."""
    return lambda inputs, predictions: _known(inputs, boxes)


def background(boxes: Tensor) -> Source:
    """The baseline of a place without the object: a box of the same size that overlaps the known one (N, 4) least.

    It lies in a corner of the picture, since moving away along either axis never adds to the overlap.
    """

    def source(inputs: Tensor, predictions: Tensor) -> Tensor:
        known = _known(inputs, boxes)
        sides, free = _sides_and_room(known, inputs)
        return torch.cat([start := (known[:, :2] <= free / 2) * free, start + sides], 1)

    return source


def random_boxes(boxes: Tensor, seed: int) -> Source:
    """The baseline of chance: boxes of the same size as the known ones (N, 4), evenly at random within the picture.

    A row's place depends on (seed, row) alone, not on the device nor on how many others there are.
    """

    def source(inputs: Tensor, predictions: Tensor) -> Tensor:
        known = _known(inputs, boxes)
        sides, free = _sides_and_room(known, inputs)
        share = torch.rand(len(known), 2, generator=torch.Generator().manual_seed(seed)).to(free)
        return torch.cat([start := share * free, start + sides], 1)

    return source


def felzenszwalb(
    scale: float = 100.0,
    sigma: float = 0.8,
    min_size: int = 20,
    smallest: float = 0.02,
    biggest: float = 0.6,
    rule: str = "salient",
    rim: int = 3,
) -> Source:
    """The box of one segment of the picture (Felzenszwalb & Huttenlocher 2004), without label, prediction or network.

    `scale`, `sigma` and `min_size` are scikit-image's. Segments that touch the border of the picture, or whose box
    covers less than the share `smallest` or more than the share `biggest` of it, are left out. Of the others `rule`
    takes the "largest" in pixels, or the most "salient": the largest distance between its mean colour and that of the
    `rim` pixels around it, times the square root of its pixels. The lower number of two that are equal; NaN where no
    segment is left. Pictures have values in [0, 1].
    """
    if rule not in RULES:
        raise refusal("rule", rule, f"one of {', '.join(RULES)}")
    if not 0 <= smallest < biggest <= 1:
        raise refusal("smallest", smallest, f"from 0 to below biggest = {biggest}, which is at most 1")

    def source(inputs: Tensor, predictions: Tensor) -> Tensor:
        from skimage import segmentation

        found = []
        for picture in inputs.detach().cpu().permute(0, 2, 3, 1).numpy():
            segments = segmentation.felzenszwalb(picture, scale, sigma, min_size, channel_axis=-1)
            found.append(_chosen(picture, segments, smallest, biggest, rule, rim))
        return torch.tensor(found, dtype=torch.float32, device=inputs.device).reshape(-1, 4)

    return source


def _chosen(
    picture: np.ndarray, segments: np.ndarray, smallest: float, biggest: float, rule: str, rim: int
) -> tuple[float, ...]:
    """The box of the segment that the rule of `felzenszwalb` takes: float (H, W, C) and int (H, W) to four edges."""
    from scipy import ndimage

    height, width = segments.shape
    best, chosen = 0.0, (math.nan,) * 4
    for number, place in enumerate(ndimage.find_objects(segments + 1)):
        (y0, y1), (x0, x1) = ((side.start, side.stop) for side in place)
        share = (x1 - x0) * (y1 - y0) / (height * width)
        if min(x0, y0) == 0 or x1 == width or y1 == height or not smallest <= share <= biggest:
            continue
        # The box and its rim are all that is looked at.
        near = np.s_[max(y0 - rim, 0) : y1 + rim, max(x0 - rim, 0) : x1 + rim]
        inside = segments[near] == number
        score = float(inside.sum())
        if rule == "salient":
            around = ndimage.binary_dilation(inside, iterations=rim) & ~inside
            score = math.sqrt(score) * float(
                np.linalg.norm(picture[near][inside].mean(0) - picture[near][around].mean(0))
            )
        if score > best:
            best, chosen = score, (x0, y0, x1, y1)
    return chosen


def detector(
    name: str,
    classes: Sequence[str],
    box_threshold: float = 0.35,
    text_threshold: float = 0.25,
    device: torch.device | str = "cpu",
) -> Source:
    """The best box of an open-set detector, such as Grounding DINO, that is asked for the predicted class (step 2a).

    `name` is a folder, from which alone it is then read, or a name of the hub. The prompt is the first of the class's
    names, which commas part, in lower case and with a full stop; of the boxes with a score above `box_threshold` the
    best is kept, NaN where there is none. Pictures have values in [0, 1]. Raises ParameterError for a folder that holds
    no such detector.
    """
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    model, processor = _read(
        name, AutoModelForZeroShotObjectDetection, AutoProcessor, "weights", "a detector of transformers"
    )
    return detecting(model.to(device).eval(), processor, classes, box_threshold, text_threshold)


def _read(
    name: str, kind: Any, processing: Any, parameter: str, what: str, type_: str = ""
) -> tuple[nn.Module, Callable]:
    """A model of transformers and its processor, from a folder alone or from the hub; of one model type, if one is named."""
    from transformers import AutoConfig
    from transformers.utils import logging

    local = Path(name).expanduser().is_dir()
    source = str(Path(name).expanduser()) if local else name
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        found = AutoConfig.from_pretrained(source, local_files_only=local, trust_remote_code=False).model_type
        if type_ and found != type_:  # a class that is named would take any folder, and start its weights at random
            raise ValueError(f"it holds a model of type {found}")
        processor = processing.from_pretrained(source, local_files_only=local)
        # Weights from safetensors alone: nothing in the folder is executed.
        model = kind.from_pretrained(source, local_files_only=local, use_safetensors=True, trust_remote_code=False)
    except Exception as error:  # configuration, hub, tokenizer and weight formats have errors of their own
        why = " ".join(str(error).split())[:200]
        raise ParameterError(f"{parameter} = {Path(name).name!r}: not {what} with its processor: {why}") from None
    finally:
        if shown:
            logging.enable_progress_bar()
    return model, processor


def detecting(
    model: nn.Module,
    processor: Callable,
    classes: Sequence[str],
    box_threshold: float = 0.35,
    text_threshold: float = 0.25,
) -> Source:
    """`detector` with a model and a processor of transformers that are at hand."""
    prompts = [prompt(name) for name in classes]

    def source(inputs: Tensor, predictions: Tensor) -> Tensor:
        height, width = inputs.shape[-2:]
        device = next((parameter.device for parameter in model.parameters()), inputs.device)
        asked = predictions.tolist()
        if len(asked) != len(inputs) or not all(0 <= number < len(prompts) for number in asked):
            raise ValueError(
                f"predictions: must be from 0 to {len(prompts) - 1}, one for each of {len(inputs)} pictures"
            )
        found = []
        for picture, number in zip(inputs.detach().cpu(), asked, strict=True):
            batch = processor(
                images=picture, text=prompts[number], do_rescale=False, input_data_format="channels_first",
                return_tensors="pt",
            ).to(device)  # fmt: skip
            with torch.inference_mode():
                out = model(**batch)
            (answer,) = processor.post_process_grounded_object_detection(
                out, batch["input_ids"],
                threshold=box_threshold, text_threshold=text_threshold, target_sizes=[(height, width)],
            )  # fmt: skip
            found.append(_best(answer["boxes"].cpu().float(), answer["scores"].cpu(), height, width))
        return torch.stack(found).to(inputs.device) if found else torch.empty(0, 4, device=inputs.device)

    return source


def prompt(name: str) -> str:
    """How a detector is asked for a class: "Tench, Tinca tinca" becomes "tench."."""
    return name.split(",")[0].strip().lower().rstrip(".") + "."


def _best(boxes: Tensor, scores: Tensor, height: int, width: int) -> Tensor:
    """The box of the highest score, cut to the picture; NaN where none is left that has an area there."""
    boxes = _cut(boxes, height, width)
    there = (boxes[:, 2:] > boxes[:, :2]).all(1)
    if not bool(there.any()):
        return torch.full((4,), torch.nan)
    return boxes[scores.where(there, torch.full_like(scores, -torch.inf)).argmax()]


def segmented(source: Source, name: str, device: torch.device | str = "cpu") -> Source:
    """The boxes of another source drawn tight by SAM (Kirillov et al. 2023), as Lee et al. 2023 pair it with their detector.

    `name` is a folder, from which alone it is then read, or a name of the hub. SAM is shown the picture and its box, and says a
    mask; the region is the smallest box that holds the mask, which may reach beyond the box that was shown. Where the mask is
    empty the box stays, and NaN stays NaN. Pictures have values in [0, 1]. Raises ParameterError for a folder that holds no SAM.
    """
    from transformers import SamModel, SamProcessor

    model, processor = _read(name, SamModel, SamProcessor, "segmenter", "SAM of transformers", "sam")
    return segmenting(source, model.to(device).eval(), processor)


def segmenting(source: Source, model: nn.Module, processor: Any) -> Source:
    """`segmented` with a model and a processor of transformers that are at hand."""

    def refined(inputs: Tensor, predictions: Tensor) -> Tensor:
        device = next((parameter.device for parameter in model.parameters()), inputs.device)
        found = source(inputs, predictions).cpu().float()
        for row in (~found.isnan().any(1)).nonzero()[:, 0].tolist():
            batch = processor(
                images=inputs[row].detach().cpu(), input_boxes=[[found[row].tolist()]], do_rescale=False,
                input_data_format="channels_first", return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                out = model(
                    pixel_values=batch["pixel_values"].to(device),
                    # Of a box one mask is asked for: it leaves little to choose from. Some accelerators know no float64.
                    input_boxes=batch["input_boxes"].float().to(device),
                    multimask_output=False,
                )
            (mask,) = processor.image_processor.post_process_masks(
                out.pred_masks.cpu(), batch["original_sizes"], batch["reshaped_input_sizes"]
            )
            found[row] = tight(mask[0, 0], found[row])
        return found.to(inputs.device)

    return refined


def tight(mask: Tensor, otherwise: Tensor) -> Tensor:
    """The smallest box that holds a mask, bool (H, W) to float32 (4,); `otherwise` where the mask is empty."""
    y, x = mask.nonzero(as_tuple=True)
    if not len(x):
        return otherwise
    return torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()


def enlarged(boxes: Tensor, margin: float, size: int | tuple[int, int]) -> Tensor:
    """Boxes (N, 4) with more of their surroundings, for context-aware certification: rows of NaN stay so.

    `margin` is what each side gains at both ends, as a share of its length; `size` is that of the picture, (H, W) or
    one side for both, and nothing reaches beyond it.
    """
    if not margin >= 0:
        raise refusal("margin", margin, "at least 0")
    height, width = _pair(size)
    _check(boxes, height, width, missing=True)
    cut = _cut(boxes, height, width)
    room = margin * (cut[:, 2:] - cut[:, :2])
    return _cut(torch.cat([cut[:, :2] - room, cut[:, 2:] + room], 1), height, width)


def crop(inputs: Tensor, boxes: Tensor, size: int | tuple[int, int], pad: bool = False, fill: float = 0.5) -> Tensor:
    """What is inside of a box of each picture (step 2b): (B, C, H, W) and boxes (B, 4) to pictures (B, C, *size).

    Every pixel that the box touches is cut out and resized by bilinear interpolation with antialiasing. It is stretched
    to `size`, (H, W) or one side for both, whatever its proportions (A13 of our reading), or with `pad` keeps them and
    stands in the middle of a picture of the value `fill`.
    """
    height, width = inputs.shape[-2:]
    wanted = _pair(size)
    _check(boxes, height, width, pictures=len(inputs))
    cut = _cut(boxes, height, width)
    corners = torch.cat([cut[:, :2].floor(), cut[:, 2:].ceil()], 1).long()
    out = inputs.new_full((len(inputs), inputs.shape[1], *wanted), fill)
    for row, (x0, y0, x1, y1) in enumerate(corners.tolist()):
        inner = wanted
        if pad:
            zoom = min(wanted[0] / (y1 - y0), wanted[1] / (x1 - x0))
            inner = (max(1, round(zoom * (y1 - y0))), max(1, round(zoom * (x1 - x0))))
        resized = nn.functional.interpolate(
            inputs[row : row + 1, :, y0:y1, x0:x1], inner, mode="bilinear", antialias=True, align_corners=False
        )
        top, left = ((whole - part) // 2 for whole, part in zip(wanted, inner, strict=True))
        out[row, :, top : top + inner[0], left : left + inner[1]] = resized[0]
    return out


def certify(
    network: nn.Module,
    inputs: Tensor,
    boxes: Tensor,
    margin: float = 0.0,
    second: nn.Module | None = None,
    *,
    pad: bool = False,
    chunk: int = 256,
) -> Certified:
    """Second-thought certification (STCert, steps 1, 2b, 2c): inputs (N, C, H, W), boxes (N, 4) on the network's device.

    The network classifies every picture, and then what is inside of its box (`crop`, to the size of the inputs) once
    more; the region is kept where both agree. `margin` enlarges the boxes first, the context-aware variant; `second` is
    another network for the second look. A row of NaN among the boxes is not kept. Raises ValueError for a network in
    training mode.
    """
    if network.training or (second is not None and second.training):
        raise ValueError(f"{'network' if network.training else 'second'}: must be in evaluation mode")
    height, width = inputs.shape[-2:]
    _check(boxes, height, width, pictures=len(inputs), missing=True)
    found = (~boxes.isnan().any(1)).nonzero()[:, 0]
    again = torch.full((len(inputs),), -1, device=inputs.device)
    with torch.inference_mode():
        first = [network(batch).argmax(-1) for batch in inputs.split(chunk)] if len(inputs) else []
        for rows in found.split(chunk) if len(found) else ():
            seen = crop(inputs[rows], enlarged(boxes[rows], margin, (height, width)), (height, width), pad)
            again[rows] = (second or network)(seen).argmax(-1)
    predictions = torch.cat(first) if first else again.clone()
    return Certified(predictions.clone(), again, predictions == again)


def roi_pool(maps: Tensor, boxes: Tensor, input_size: int | tuple[int, int], size: int = 3, how: str = "max") -> Tensor:
    """A box of each response, pooled to cells (step 4): maps float (B, C, h, w) and boxes (B, 4) to (B, C, size, size).

    Boxes are in pixels of the input, `input_size` (H, W) or one side for both, and are scaled to the map
    by h / H and w / W. The responses of a transformer come as maps from `activations.as_map`.

    "max"   torchvision's `roi_pool` (Girshick 2015): edges are rounded, halves upwards, both end pixels count, cells
            overlap where they do not divide, and a cell without a pixel of the map is 0. This happens to a box at the
            far border of the map that rounds to a start behind its last pixel.
    "mean"  torchvision's `roi_align` (He et al. 2017) with `aligned=True` and as many samples as pixels of a cell,
            rounded up: a mean of bilinear samples, with nothing rounded.

    A box smaller than `size` pixels of the map repeats values: see `flagged`.
    """
    if how not in POOLINGS:
        raise refusal("how", how, f"one of {', '.join(POOLINGS)}")
    if size < 1:
        raise refusal("size", size, "at least 1")
    if maps.ndim != 4 or not maps.is_floating_point():
        raise ValueError(f"maps = {maps.dtype} {tuple(maps.shape)}: must be floats (B, C, h, w)")
    height, width = _pair(input_size)
    _check(boxes, height, width, pictures=len(maps))
    scale = torch.tensor([maps.shape[3] / width, maps.shape[2] / height] * 2, device=boxes.device, dtype=torch.float64)
    edges = (_cut(boxes, height, width).double() * scale).to(maps.device)
    down, right = (edges[:, axis::2] for axis in (1, 0))
    if how == "max":
        return _largest(_largest(maps, down, size, 2), right, size, 3)
    down, right = (
        _samples(ends, pixels, size).to(maps) for ends, pixels in ((down, maps.shape[2]), (right, maps.shape[3]))
    )
    return down[:, None] @ maps @ right[:, None].mT


def _largest(maps: Tensor, edges: Tensor, size: int, axis: int) -> Tensor:
    """Along one axis the maximum of each cell between two edges (B, 2); 0 for a cell without a pixel."""
    # Halves upwards, as in C for numbers from 0 on; torch rounds them to even numbers. Whole numbers from here on.
    start, end = (edges + 0.5).floor().long().unbind(1)
    length = (end - start + 1).clamp(min=1)[:, None]
    cell, pixel = torch.arange(size, device=maps.device), torch.arange(maps.shape[axis], device=maps.device)
    low = start[:, None] + cell * length // size
    high = start[:, None] - (-(cell + 1) * length // size)
    inside = (pixel >= low[..., None]) & (pixel < high[..., None])  # (B, size, pixels)
    shape = [len(maps), 1, 1, 1]
    shape[axis] = len(pixel)
    lowest = -torch.inf
    found = torch.stack([maps.masked_fill(~inside[:, i].view(shape), lowest).amax(axis) for i in range(size)], axis)
    shape[axis] = size
    return found.masked_fill(~inside.any(-1).view(shape), 0)


def _samples(edges: Tensor, pixels: int, size: int) -> Tensor:
    """The weight of each pixel in each cell between two edges (B, 2), along one axis: float64 (B, size, pixels).

    The mean of bilinear samples is a product of such weights down and right, since the samples lie on a grid.
    """
    start, length = edges[:, 0, None, None] - 0.5, (edges[:, 1] - edges[:, 0])[:, None, None] / size
    count = length.ceil()
    most = int(count.max()) if len(edges) else 1
    cell, sample = torch.arange(size, device=edges.device)[:, None], torch.arange(most, device=edges.device)
    at = (start + cell * length + (sample + 0.5) * length / count).clamp(0, pixels - 1)  # (B, size, samples)
    weights = (1 - (at[..., None] - torch.arange(pixels, device=edges.device)).abs()).clamp(min=0)
    return (weights * (sample < count)[..., None]).sum(2) / count


def cells(pooled: Tensor, joined: bool = False) -> Tensor:
    """The activity vectors of pooled responses (B, C, 3, 3): (B, 9, C), cells row by row, or `joined` to (B, 1, 9C).

    The paper leaves open which (A1 of our reading).
    """
    vectors = pooled.flatten(2).mT
    return vectors.flatten(1)[:, None] if joined else vectors


def flagged(boxes: Tensor, strides: Sequence[float], size: int = 3) -> Tensor:
    """Which boxes (N, 4) are smaller than `size` pixels of the map along a side, bool (N, strides).

    Their cells repeat values: they are flagged, not dropped (step 4). A row of NaN is not flagged.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes = {tuple(boxes.shape)}: must be (N, 4)")
    smallest = (boxes[:, 2:] - boxes[:, :2]).amin(1)
    return smallest[:, None] < size * torch.as_tensor(strides, device=boxes.device)


def _known(inputs: Tensor, boxes: Tensor) -> Tensor:
    _check(boxes, *inputs.shape[-2:], pictures=len(inputs), missing=True)
    return _cut(boxes.to(inputs.device).float(), *inputs.shape[-2:])


def _sides_and_room(boxes: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of each box, and how far it can move within the picture, both (N, 2)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return sides, sides.new_tensor([inputs.shape[-1], inputs.shape[-2]]) - sides


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise refusal("size", size, "at least 1")
    return height, width


def _cut(boxes: Tensor, height: int, width: int) -> Tensor:
    """What of the boxes lies within the picture."""
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))


def _check(boxes: Tensor, height: int, width: int, pictures: int | None = None, missing: bool = False) -> None:
    """Raise ValueError unless boxes are float (N, 4), one for each picture, with an area in it; NaN where `missing`."""
    count = "N" if pictures is None else pictures
    if boxes.ndim != 2 or boxes.shape[1] != 4 or count not in ("N", len(boxes)) or not boxes.is_floating_point():
        raise ValueError(f"boxes = {boxes.dtype} {tuple(boxes.shape)}: must be floats ({count}, 4)")
    none = boxes.isnan().any(1)
    if not missing and bool(none.any()):
        raise ValueError(f"boxes: row {int(none.nonzero()[0])} is NaN: leave out pictures without a box")
    cut = _cut(boxes, height, width)
    for bad, what in (
        (~none & ~(boxes[:, 2:] > boxes[:, :2]).all(1), "must have x1 > x0 and y1 > y0"),
        (~none & ~(cut[:, 2:] > cut[:, :2]).all(1), f"lies outside of the picture of {height} x {width} pixels"),
    ):
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise ValueError(f"boxes: row {row} = {boxes[row].tolist()}: {what}")
