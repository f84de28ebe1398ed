"""One pass over the data, many taps: what stages of a network say, reduced as it appears.

Memory is one batch and the results; results that outgrow `memory` lie in a file without a name that ends with the array.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from innercodes.memory import Chunks
from innercodes.parameters import refusal

Reduction = Callable[..., Tensor]
INPUT, OUTPUT, CLASS_TOKEN = "input", "output", ":cls"
CODINGS = ("normalised", "raw", "without centre")
CENTERS = ("mean", "raster", "radius")


def stages(model: nn.Module) -> list[str]:
    """The names of a network's stages, shallow to deep: what timm says of its own, `layer1` ... or else all children."""
    network = network_of(model)
    info = getattr(network, "feature_info", None)
    if info:
        found = [stage["module"] for stage in (info if isinstance(info, list) else info.info)]
    else:
        children = [name for name, _ in network.named_children()]
        found = [name for name in children if name.startswith("layer")] or children
    return [name for name in found if name in dict(network.named_modules())]


def collect(
    model: nn.Module,
    batches: Iterable[Tensor | Sequence[Tensor]],
    names: Sequence[str],
    reduce: Reduction | Mapping[str, Reduction],
    *,
    total: int | None = None,
    device: torch.device | str | None = None,
    memory: int = 2**31,
    folder: str | Path | None = None,
    progress: bool = False,
    placed: bool = False,
) -> dict[str, Tensor]:
    """What stages of a network say to N inputs, in one pass: name to tensor (N, ...) on the CPU.

    `batches` holds inputs (B, ...) or tuples that begin with them; `total` is N, needed where neither a `dataset` nor the
    batches have a length. A name is a module of the network (`stages` lists the usual ones), whose map (B, C, H, W) goes through
    `reduce`, one function for all or one for each name; `blocks.3:cls` is the class token (B, C) of a transformer's block, as it
    is; `input` is what goes in, reduced too; `output` what comes out, as it is. The tokens of a transformer become a map again.
    With `placed` a reduction is also given the inputs of its map and their rows, a slice of 0 ... N - 1.

    Where a GPU runs out of memory, the pass goes on with half as many inputs at once, and says so.

    Results of more than `memory` bytes in all lie in a file in `folder` (default: the system's folder for such files).
    Raises ParameterError for a name that the network does not have, ValueError for a stage that never runs or runs twice, and
    for another number of inputs than `total`.
    """
    network = network_of(model)
    modules = dict(network.named_modules())
    taps = {name: name.removesuffix(CLASS_TOKEN) for name in names if name not in (INPUT, OUTPUT)}
    for name, module in taps.items():
        if not module or module not in modules:
            raise refusal(
                "stages", name, f"among {', '.join(stages(model))}, {INPUT}, {OUTPUT} or another module's name"
            )
    device = device or next((p.device for p in model.parameters()), torch.device("cpu"))
    total = _count(batches) if total is None else total
    reduction = (lambda _: reduce) if callable(reduce) else reduce.__getitem__
    found: dict[str, Tensor] = {}
    beside: list = []
    store = _Store(total, len(set(names)), memory, folder)

    def tap(name: str) -> Callable:
        def hook(_module: nn.Module, _inputs: object, out: Tensor) -> None:
            if name in found:
                raise ValueError(f"stage {name!r} runs more than once in a pass")
            if name.endswith(CLASS_TOKEN):
                found[name] = class_token(out, network)
            else:
                found[name] = reduction(name)(as_map(out, network), *beside)

        return hook

    hooks = [modules[module].register_forward_hook(tap(name)) for name, module in taps.items()]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), tqdm(total=total, disable=not progress, unit="input", desc="stages") as bar:
            chunks = None
            for batch in batches:
                given = batch if isinstance(batch, Tensor) else batch[0]
                begun = store.filled
                chunks = chunks or Chunks("inputs", max(len(given), 1))

                def one(rows: slice, given: Tensor = given, begun: int = begun) -> None:
                    inputs = given[rows].to(device)
                    found.clear()
                    beside[:] = [inputs, slice(begun + rows.start, begun + rows.stop)] if placed else []
                    out = model(inputs)
                    if INPUT in names:
                        found[INPUT] = reduction(INPUT)(inputs, *beside)
                    if OUTPUT in names:
                        found[OUTPUT] = out
                    missing = sorted(set(names) - set(found))
                    if missing:
                        raise ValueError(f"stage {missing[0]!r} never runs in a pass")
                    store.add(found, len(inputs))
                    bar.update(len(inputs))

                chunks.over(len(given), one)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return store.done()


def network_of(model: nn.Module) -> nn.Module:
    """The network without the normalisation that `models.load` puts in front of it."""
    return getattr(model, "network", model)


class _Store:
    """Arrays of N rows for each name, made at the first batch, in memory or in a file."""

    def __init__(self, total: int, names: int, memory: int, folder: str | Path | None):
        self.total, self.share, self.folder = total, memory / max(names, 1), folder
        self.arrays: dict[str, Tensor] = {}
        self.filled = 0

    def add(self, found: Mapping[str, Tensor], rows: int) -> None:
        if self.filled + rows > self.total:
            raise ValueError(f"total = {self.total}: the batches hold more inputs")
        for name, values in found.items():
            if name not in self.arrays:
                self.arrays[name] = self._room(values)
            self.arrays[name][self.filled : self.filled + rows] = values.cpu()
        self.filled += rows

    def _room(self, values: Tensor) -> Tensor:
        shape = (self.total, *values.shape[1:])
        if values[:1].numel() * self.total * values.element_size() <= self.share:
            return torch.empty(shape, dtype=values.dtype)
        kind = torch.empty(0, dtype=values.dtype).numpy().dtype
        with tempfile.TemporaryFile(dir=self.folder) as file:
            return torch.from_numpy(np.memmap(file, dtype=kind, mode="w+", shape=shape))

    def done(self) -> dict[str, Tensor]:
        if self.filled != self.total:
            raise ValueError(f"total = {self.total}: the batches hold {self.filled} inputs")
        return self.arrays


def _count(batches: Iterable) -> int:
    if hasattr(batches, "dataset"):
        return len(batches.dataset)
    if hasattr(batches, "__len__"):
        return sum(len(batch if isinstance(batch, Tensor) else batch[0]) for batch in batches)
    raise ValueError("total: needed, since these batches do not say how many inputs they hold")


def as_map(out: Tensor, network: nn.Module) -> Tensor:
    """A stage's output as a map (B, C, H, W): maps as they are, tokens (B, T, C) back on their grid, (B, C) as one pixel."""
    if out.ndim == 4:
        return out.permute(0, 3, 1, 2) if getattr(network, "output_fmt", "NCHW") == "NHWC" else out
    if out.ndim == 3:
        tokens = out[:, getattr(network, "num_prefix_tokens", 0) :]
        return tokens.mT.unflatten(-1, _token_grid(tokens.shape[1], network))
    if out.ndim == 2:
        return out[..., None, None]
    raise ValueError(f"a stage's output of shape {tuple(out.shape)} is neither a map nor tokens")


def class_token(out: Tensor, network: nn.Module) -> Tensor:
    """The first token (B, C) of tokens (B, T, C), where the network puts tokens before those of the picture."""
    if out.ndim != 3 or not getattr(network, "num_prefix_tokens", 0):
        raise ValueError("this network has no class token")
    return out[:, 0]


def _token_grid(tokens: int, network: nn.Module) -> tuple[int, int]:
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    side = round(tokens**0.5)
    if grid and grid[0] * grid[1] == tokens:
        return tuple(grid)
    return (side, side) if side * side == tokens else (1, tokens)


def vector_codes(maps: Tensor, coding: str = "normalised", center: str = "mean", negative: str = "zero") -> Tensor:
    """Vector codes (section 2.2, Lee & Vijayan 2023): float maps (..., C, H, W) to (..., 4C).

    For each channel its maximum, mean, standard deviation (over all pixels, not n - 1) and centre of mass, all channels'
    maxima first. The paper does not say how the centre, which has two coordinates, becomes one number: `center` is their "mean",
    the "raster" index row * W + column, or the "radius", the distance from the first pixel. `coding="normalised"` divides it by its
    largest value, so that it lies in [0, 1]; "raw" leaves it in pixels; "without centre" leaves it out: (..., 3C). A mass is not
    negative: values below 0 count as 0, or by their size with `negative="size"`; a map without mass has its centre in the middle.
    Raises ValueError for an unknown choice and for maps without a pixel. A NaN in a map is one in its code.
    """
    for name, value, allowed in (
        ("coding", coding, CODINGS),
        ("center", center, CENTERS),
        ("negative", negative, ("zero", "size")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")
    if maps.ndim < 3 or 0 in maps.shape[-2:]:
        raise ValueError(f"maps: shape {tuple(maps.shape)}, must be (..., C, H, W) with at least one pixel")
    height, width = maps.shape[-2:]
    flat = maps.flatten(-2)
    mean = flat.mean(-1)
    std = (flat - mean[..., None]).square_().mean(-1).sqrt()
    parts = [flat.amax(-1), mean, std]
    if coding != "without centre":
        rows, columns = (torch.arange(n, dtype=maps.dtype, device=maps.device) for n in (height, width))
        # The coordinates and 1, so that one product gives both sums and the mass.
        basis = torch.stack([rows.repeat_interleave(width), columns.repeat(height), flat.new_ones(height * width)], -1)
        sums = (flat.clamp(min=0) if negative == "zero" else flat.abs()) @ basis
        mass = sums[..., 2:]
        middle = torch.tensor([(height - 1) / 2, (width - 1) / 2], dtype=maps.dtype, device=maps.device)
        at = torch.where(mass > 0, sums[..., :2] / mass.where(mass > 0, torch.ones_like(mass)), middle)
        parts.append(_one_number(at, height, width, center, coding == "normalised"))
    return torch.cat(parts, -1)


def _one_number(at: Tensor, height: int, width: int, center: str, normalised: bool) -> Tensor:
    """A position (..., 2) in pixels as one number (...), in [0, 1] where it is normalised."""
    last = torch.tensor([max(height - 1, 1), max(width - 1, 1)], dtype=at.dtype, device=at.device)
    if center == "mean":
        if not normalised:
            return at.mean(-1)
        # A side of one pixel has its middle at a half.
        single = torch.tensor([height == 1, width == 1], device=at.device)
        return torch.where(single, 0.5, at / last).mean(-1)
    if center == "raster":
        value, largest = at[..., 0] * width + at[..., 1], max(height * width - 1, 1)
    else:
        value, largest = at.norm(dim=-1), max(float(((height - 1) ** 2 + (width - 1) ** 2) ** 0.5), 1.0)
    if not normalised:
        return value
    return value / largest if height * width > 1 else torch.full_like(value, 0.5)


def z_scored(codes: Tensor, like: Tensor | None = None) -> Tensor:
    """Codes (N, D) minus the mean and over the standard deviation of each dimension of `like`, the codes themselves by default.

    A dimension that never changes becomes 0.
    """
    like = codes if like is None else like
    std = like.std(0, correction=0)
    return (codes - like.mean(0)) / std.where(std > 0, torch.full_like(std, torch.inf))


def strided_columns(maps: Tensor, at_most: int = 8000) -> Tensor:
    """Every s-th value of each map, s the smallest stride that leaves at most so many: (B, ...) to (B, columns)."""
    flat = maps.flatten(1)
    return flat[:, :: -(-flat.shape[1] // at_most)].clone()
