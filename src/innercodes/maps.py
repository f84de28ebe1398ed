"""Codes of a network's stages, and a self-organising map for each: what all claims of chapter 03 are measured on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from innercodes import activations, telescope
from innercodes.parameters import Run
from innercodes.pictures import Pictures

CODINGS = (*activations.CODINGS, "z-scored")
Codes = dict[str, Tensor]
"""Vector codes float32 (N, 5C) of each stage: the parts of `stored`."""
PAIRS = 100
"""Pairs of class centres that are compared where there are more."""


ROUNDING = 1e-6
"""A cosine distance in float32 that is not told from 0."""


def median(values: Tensor) -> float:
    """The median, of an even number the mean of the two in the middle, which torch's is not."""
    return float(np.median(values.cpu().numpy()))


@dataclass(frozen=True)
class StageMap:
    """A map of one stage, its loss, and the best units of its own codes, int64 (N, k), and of others, (M, k)."""

    som: telescope.SOM
    loss: float
    fitted: Tensor
    unseen: Tensor

    @property
    def relative_distance(self) -> float:
        """Median distance of all pairs of units over the loss: how far codes lie apart, in steps that the map resolves."""
        return median(telescope.unit_distances(self.som)) / self.loss


@dataclass(frozen=True)
class Replicate:
    """The same from resampled codes: relative distances of units and of class centres, and the first units of all codes."""

    relative_distance: float
    relative_centers: float
    units: Tensor


def stored(center: str, negative: str) -> activations.Reduction:
    """The reduction of a pass: per channel maximum, mean, deviation, centre normalised and centre in pixels, (B, 5C)."""

    def reduce(found: Tensor) -> Tensor:
        normalised = activations.vector_codes(found, "normalised", center, negative)
        raw = activations.vector_codes(found, "raw", center, negative)
        return torch.cat([normalised, raw[..., -found.shape[1] :]], -1)

    return reduce


def coded(parts: Tensor, coding: str, like: Tensor | None = None) -> Tensor:
    """One of `CODINGS` from what `stored` kept: (N, 5C) to (N, 4C), or (N, 3C) without the centre.

    For "z-scored" each dimension gets the mean 0 and deviation 1 that it has in `like`, the same codes by default.
    """
    c = parts.shape[1] // 5
    if coding == "without centre":
        return parts[:, : 3 * c]
    if coding == "raw":
        return torch.cat([parts[:, : 3 * c], parts[:, 4 * c :]], -1)
    normalised = parts[:, : 4 * c]
    if coding == "normalised":
        return normalised
    return activations.z_scored(normalised, None if like is None else like[:, : 4 * c])


def channels(parts: Tensor, chosen: Tensor) -> Tensor:
    """What `stored` kept of some channels, int (c,): (N, 5C) to (N, 5c)."""
    return parts.unflatten(1, (5, -1))[:, :, chosen].flatten(1)


def collect(
    networks: Mapping[str, Sequence[nn.Module]], batches: Pictures | Iterable[Tensor], taps: Sequence[str], run: Run
) -> dict[str, list[Codes]]:
    """What the stages of all networks say, one pass of each over the pictures."""
    source = batches.batches(64, run.device) if isinstance(batches, Pictures) else batches
    reduce = stored(run.center, run.negative)
    return {
        kind: [
            activations.collect(network, source, taps, reduce, device=run.device, folder=".", progress=run.bars)
            for network in members
        ]
        for kind, members in networks.items()
    }


def fit(codes: Tensor, run: Run, seed: int, grid: int | None = None) -> telescope.SOM:
    """A map of codes (N, D) with the run's settings."""
    return telescope.fit_som(
        codes.to(run.device),
        grid or run.grid,
        run.sigma,
        run.alpha,
        run.som_epochs,
        run.batch_size,
        seed,
        backend=run.backend,
    )


def chart(codes: Tensor, others: Tensor, run: Run, seed: int, grid: int | None = None) -> StageMap:
    """The map of codes (N, D), and the best units of them and of others (M, D)."""
    som = fit(codes, run, seed, grid)
    k = min(run.best_units, len(som.weights))
    codes, others = codes.to(run.device), others.to(run.device)
    return StageMap(
        som,
        telescope.mean_loss(som, codes),
        telescope.best_units(som, codes, k).cpu(),
        telescope.best_units(som, others, k).cpu(),
    )


def charts(
    fitted: Mapping[str, Sequence[Codes]], unseen: Mapping[str, Sequence[Codes]], run: Run, coding: str | None = None
) -> dict[str, list[dict[str, StageMap]]]:
    """A map for every kind, seed and stage; a network that is there once is mapped again with each seed."""
    coding = coding or run.coding
    found: dict[str, list[dict[str, StageMap]]] = {}
    jobs = [(kind, i, tap) for kind in fitted for i in range(len(run.seeds)) for tap in fitted[kind][0]]
    with tqdm(jobs, unit="map", desc=f"maps, {coding}", disable=not run.bars, mininterval=1) as bar:
        for kind, i, tap in bar:
            own, other = (part[kind][i % len(part[kind])][tap] for part in (fitted, unseen))
            rows = found.setdefault(kind, [{} for _ in run.seeds])
            rows[i][tap] = chart(coded(own, coding), coded(other, coding, own), run, run.seeds[i])
    return found


def replicate(
    fitted: Mapping[str, Sequence[Codes]], labels: Tensor, run: Run
) -> dict[str, list[dict[str, list[Replicate]]]]:
    """Every map again, `repeats` times: other pictures drawn from the same with replacement, and another start.

    A repetition draws the same pictures for every kind and stage.
    """
    found: dict[str, list[dict[str, list[Replicate]]]] = {}
    jobs = [(kind, i, tap) for kind in fitted for i in range(len(run.seeds)) for tap in fitted[kind][0]]
    with tqdm(jobs, unit="stage", desc="maps, resampled", disable=not run.bars, mininterval=1) as bar:
        for kind, i, tap in bar:
            codes = coded(fitted[kind][i % len(fitted[kind])][tap], run.coding)
            rows = found.setdefault(kind, [{} for _ in run.seeds])
            rows[i][tap] = [_again(codes, labels, run, run.seeds[i], r) for r in range(run.repeats)]
    return found


def _again(codes: Tensor, labels: Tensor, run: Run, seed: int, number: int) -> Replicate:
    drawn = resample(len(codes), number)
    som = fit(codes[drawn], run, 1000 * (seed + 1) + number)
    codes = codes.to(run.device)
    loss = telescope.mean_loss(som, codes[drawn])
    units = telescope.best_units(som, codes, min(run.best_units, len(som.weights))).cpu()
    apart = median(telescope.unit_distances(som))
    return Replicate(apart / loss, median_centers(som, units[drawn], labels[drawn]) / loss, units[:, 0])


def resample(count: int, number: int) -> Tensor:
    """The places of the pictures, int64 (count,), that a repetition draws with replacement."""
    return torch.randint(count, (count,), generator=torch.Generator().manual_seed(number))


def median_centers(som: telescope.SOM, units: Tensor, labels: Tensor) -> float:
    """Median distance between the weights at pairs of class centres, of at most `PAIRS` pairs; NaN with a single class."""
    kinds, numbers = labels.unique(return_inverse=True)
    if len(kinds) < 2:
        return float("nan")
    centers = telescope.class_centers(units, numbers, som.grid, len(kinds))
    pairs = torch.triu_indices(len(kinds), len(kinds), 1).T
    if len(pairs) > PAIRS:
        pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))[:PAIRS]]
    weights = telescope.SOM(som.weights.cpu(), som.grid, som.losses)
    found = median(telescope.center_distances(weights, centers, pairs))
    return found if found > ROUNDING else 0.0
