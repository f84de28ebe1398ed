"""Which units know the parts of a picture? A sparse autoencoder of a stage beside symbols, SOM units, neurons and projections.

A TopK autoencoder (Makhzani & Frey 2013, Gao et al. 2024) writes a vector as a sum of a few of its directions, so that each unit
speaks seldom and may stand for one thing (Bricken et al. 2023). Units are compared by how strongly they respond, before any
winner is chosen among them: a kind that gives one answer to a cell does not lose by ties.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pandas import DataFrame
from torch import Tensor

from innercodes import codebook, maps, parts, telescope
from innercodes import symbols as symbol_lens
from innercodes.lens_networks import TRAINED, UNTRAINED, Family
from innercodes.lenses import NetworkView, Views
from innercodes.parameters import Run
from innercodes.stats import Estimate
from innercodes.symbol_survey import FITTED, UNSEEN, judged

AUTOENCODER = "sparse autoencoder"
UNITS = (AUTOENCODER, "symbols", "SOM units", "neurons", "random projections")
MAP_BATCH = 10
"""Codes of one step of the maps of cells, of which there are nine to a picture."""
DRAWS = 200
"""Draws of pictures behind an interval, at most: each takes the AUROC of every unit that was chosen."""


# The autoencoder


@dataclass(frozen=True)
class SparseAutoencoder:
    """Vectors (D,) as sums of a few of U directions.

    `encoder` (D, U), `bias` (U,), `decoder` (U, D) with rows of length 1, the vectors' `mean` (D,) and `scale`, float32; `active`
    units at most speak at once.
    """

    encoder: Tensor
    bias: Tensor
    decoder: Tensor
    mean: Tensor
    scale: Tensor
    active: int

    def respond(self, vectors: Tensor) -> Tensor:
        """How strongly each unit responds before the largest are chosen, float (..., D) to (..., U), at least 0."""
        return ((vectors - self.mean) / self.scale @ self.encoder + self.bias).relu()

    def encode(self, vectors: Tensor) -> Tensor:
        """The codes: the `active` largest responses, 0 elsewhere; float (..., D) to (..., U)."""
        responses = self.respond(vectors)
        values, places = responses.topk(self.active, dim=-1)
        return torch.zeros_like(responses).scatter(-1, places, values)

    def decode(self, codes: Tensor) -> Tensor:
        """Vectors back from codes, float (..., U) to (..., D)."""
        return codes @ self.decoder * self.scale + self.mean


def train(
    vectors: Tensor, units: int, active: int, steps: int, seed: int, rate: float = 3e-3, batch: int = 256
) -> SparseAutoencoder:
    """A TopK autoencoder of vectors float (N, D), trained by Adam on the mean squared error (eqs. 4 and 5, Gao et al. 2024).

    The decoder starts as random directions, the encoder as its transpose; directions are brought back to length 1 after each
    step. The rate falls to 0 along a line in the last fifth. Vectors are centred and divided by one number. Raises ValueError for
    vectors that are all alike, and for more active units than there are.
    """
    if not 1 <= active <= units:
        raise ValueError(f"active = {active}: must be from 1 to {units}, the units of the autoencoder")
    if vectors.ndim != 2 or not len(vectors) or bool((vectors == vectors[:1]).all()):
        raise ValueError(f"vectors: shape {tuple(vectors.shape)}, must be (N, D) with at least two that differ")
    generator = torch.Generator().manual_seed(seed)
    x = vectors.detach().cpu().float()
    mean = x.mean(0)
    x = x - mean
    scale = x.square().mean().sqrt()
    x = x / scale
    decoder = torch.nn.functional.normalize(torch.randn(units, x.shape[1], generator=generator), dim=1)
    weights = [
        decoder.T.contiguous().requires_grad_(),
        torch.zeros(units, requires_grad=True),
        decoder.requires_grad_(),
    ]
    optimizer = torch.optim.Adam(weights, rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 5 * (1 - step / steps)))
    zero, one = torch.zeros_like(mean), torch.ones(())
    for _ in range(steps):
        inputs = x[torch.randint(len(x), (min(batch, len(x)),), generator=generator)]
        model = SparseAutoencoder(*weights, zero, one, active)
        loss = (model.decode(model.encode(inputs)) - inputs).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            decoder.copy_(torch.nn.functional.normalize(decoder, dim=1))
    return SparseAutoencoder(*(part.detach() for part in weights), mean, scale, active)


def missed(model: SparseAutoencoder, vectors: Tensor) -> float:
    """Share of the variance of vectors (N, D) about their mean that the autoencoder does not give back."""
    left = (model.decode(model.encode(vectors)) - vectors).square().sum()
    return float(left / (vectors - vectors.mean(0)).square().sum())


# Units of all kinds


def sides(units: int) -> tuple[int, int]:
    """Rows and columns of a map of so many units, as square as possible."""
    rows = max(r for r in range(1, int(units**0.5) + 1) if units % r == 0)
    return rows, units // rows


def responses(view: NetworkView, stage: str, run: Run) -> dict[str, Tensor]:
    """How strongly units of each of `UNITS` respond to the cells of the unseen pictures: kind to float (n, cells, U).

    All are fitted on the cells of the fitted pictures; U is `units`, or the number of channels if that is smaller. Symbols are
    k-means in the embedding of chapter 01, units of a map those of chapter 03: they respond by how near a cell is. Neurons are
    channels, drawn where there are more.
    """
    cells, seed = view.said[FITTED][0][stage].cells.flatten(0, 1), run.seeds[view.row]
    asked, code = view.said[UNSEEN][0][stage].cells[: run.read], view.stages[stage].code
    count = min(run.units, cells.shape[1])
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(cells.shape[1], generator=generator)[:count].sort().values
    mixing = torch.randn(cells.shape[1], count, generator=generator)
    model = train(cells, count, min(run.active, count), run.sparse_steps, seed)
    room = code.codebook.centers.new_zeros(count, code.codebook.centers.shape[1])
    centers = codebook.kmeans_codebook(dataclasses.replace(code.codebook, centers=room), seed).centers
    one = dataclasses.replace(run, values={**run.values, "batch_size": MAP_BATCH})
    som = maps.fit(cells, one, seed, sides(count))
    return {
        AUTOENCODER: model.respond(asked),
        "symbols": -torch.cdist(code.points[UNSEEN].double(), centers),
        "SOM units": -telescope.cosine_distances(asked, som.weights.cpu()),
        "neurons": asked[..., chosen],
        "random projections": asked @ mixing,
    }


# Matching with what cells show


def truths(family: Family, run: Run) -> Tensor:
    """What each cell of the unseen pictures that are read shows, int64 (n, 9): a part from 1, 0 none; else its picture's class."""
    material = family.material
    if material.known is not None:
        found = parts.part_at(material.known.masks[: run.read], material.unseen.boxes[: run.read])
        return found.flatten(1)
    labels = material.unseen.labels[: run.read]
    return (labels + 1)[:, None].expand(-1, 9).contiguous()


@dataclass(frozen=True)
class Match:
    """For each part the unit that was chosen, int64 (P,), and whether it speaks for it, 1, or against it, -1."""

    parts: Tensor
    units: Tensor
    signs: Tensor


def match(values: Tensor, truth: Tensor, wanted: Tensor) -> Match:
    """The unit that tells the cells of each wanted part (P,) from all others best: values (n, cells, U), truth (n, cells).

    A unit may say a part by responding or by falling silent: all kinds may.
    """
    flat, shown = values.flatten(0, 1).double(), truth.flatten()[:, None] == wanted
    ranks = torch.stack([_ranks(column) for column in flat.T], 1)
    n = shown.double().sum(0)
    area = (shown.double().T @ ranks - (n * (n + 1) / 2)[:, None]) / (n * (len(flat) - n))[:, None]
    best = (area - 0.5).abs().max(1).indices
    chosen = area.gather(1, best[:, None])[:, 0]
    return Match(wanted, best, torch.where(chosen >= 0.5, 1, -1))


def _ranks(values: Tensor) -> Tensor:
    """Ranks from 1, of equal values their mean, float64."""
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    return (ends - (counts - 1) / 2.0)[inverse].double()


def weighted_auroc(scores: np.ndarray, inside: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC of scores (N,), inside bool (N,), where each counts as often as its weight says: (draws, N) to (draws,).

    NaN where a draw has nothing on one side.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    weights, inside = weights[:, order].astype(np.float64), inside[order]
    own, other = (np.add.reduceat(weights * side, starts, axis=1) for side in (inside, ~inside))
    below = np.cumsum(other, 1) - other / 2
    total = own.sum(1) * other.sum(1)
    return np.where(total > 0, (own * below).sum(1) / np.where(total > 0, total, 1), np.nan)


def held_out(values: Tensor, truth: Tensor, found: Match, weights: np.ndarray) -> np.ndarray:
    """AUROC of the chosen units on other cells, (n, cells, U) and (n, cells), for each draw of pictures (draws, n): (draws, P)."""
    flat, shown = values.flatten(0, 1).double().numpy(), truth.flatten().numpy()
    spread = np.repeat(weights, truth.shape[1], 1)
    columns = zip(found.parts.tolist(), found.units.tolist(), found.signs.tolist(), strict=True)
    return np.stack([weighted_auroc(sign * flat[:, unit], shown == part, spread) for part, unit, sign in columns], 1)


@dataclass(frozen=True)
class Matches:
    """AUROC of the best unit for each part on held-out pictures: network kind and unit kind to (rows, stages, 1 + draws, P).

    The first of the draws are all pictures. `shuffled` is the same, of trained networks and without draws, with the parts of whole
    pictures exchanged; `parts` int64 (P,) are those that both halves show.
    """

    stages: tuple[str, ...]
    parts: Tensor
    areas: Mapping[str, Mapping[str, np.ndarray]]
    shuffled: Mapping[str, np.ndarray]


def matches(found: Views, family: Family | None = None) -> Matches:
    """Units of every kind matched with what cells show, at every stage of the trained and untrained networks of a family.

    Units are chosen on every other picture of those that are read, and asked on the rest.
    """
    run, family = found.run, family or found.first
    truth = truths(family, run)
    learn, ask = torch.arange(0, len(truth), 2), torch.arange(1, len(truth), 2)
    both = [
        part for part in truth.unique().tolist() if part and _varies(truth[learn], part) and _varies(truth[ask], part)
    ]
    wanted = torch.tensor(both, dtype=torch.int64)
    rng = np.random.default_rng(run.seed)
    draws = rng.multinomial(len(ask), np.full(len(ask), 1 / len(ask)), min(run.bootstrap, DRAWS))
    weights = np.concatenate([np.ones((1, len(ask)), dtype=draws.dtype), draws])
    moved = symbol_lens.permuted_by_picture(truth, run.seed)
    areas: dict[str, dict[str, Any]] = {}
    shuffled: dict[str, list] = {}
    for kind in (TRAINED, UNTRAINED):
        areas[kind] = {unit: [] for unit in UNITS}
        for view in found.of(family, kind):
            by_stage = [responses(view, stage, run) for stage in family.stages]
            for unit in UNITS:
                values = [one[unit] for one in by_stage]
                areas[kind][unit].append(
                    [held_out(v[ask], truth[ask], match(v[learn], truth[learn], wanted), weights) for v in values]
                )
                if kind == TRAINED:
                    shuffled.setdefault(unit, []).append(
                        [
                            held_out(v[ask], moved[ask], match(v[learn], moved[learn], wanted), weights[:1])
                            for v in values
                        ]
                    )
    return Matches(
        family.stages, wanted, {kind: {u: np.array(v) for u, v in rows.items()} for kind, rows in areas.items()},
        {unit: np.array(rows) for unit, rows in shuffled.items()},
    )  # fmt: skip


def _varies(truth: Tensor, part: int) -> bool:
    return 0 < int((truth == part).sum()) < truth.numel()


def best_units(found: Matches) -> dict[str, Any] | str:
    """LENS-7: mean AUROC of the autoencoder's units minus the largest such mean of another kind, mean over rows and stages."""
    if not len(found.parts):
        return "No part is shown by some cells and not by others."

    def gain(kind: str) -> np.ndarray:
        means = {unit: np.nanmean(rows, (0, 1, 3)) for unit, rows in found.areas[kind].items()}
        return means[AUTOENCODER] - np.max([rows for unit, rows in means.items() if unit != AUTOENCODER], 0)

    own, twin = gain(TRAINED), gain(UNTRAINED)
    value = Estimate(float(own[0]), own[1:])
    baseline = {unit: float(np.nanmean(rows[:, :, 0])) for unit, rows in found.areas[TRAINED].items()}
    baseline |= {
        "untrained": float(twin[0]),
        "autoencoder, untrained": float(np.nanmean(found.areas[UNTRAINED][AUTOENCODER][:, :, 0])),
        "autoencoder, shuffled parts": float(np.nanmean(found.shuffled[AUTOENCODER])),
    }
    difference = Estimate(float(own[0] - twin[0]), own[1:] - twin[1:])
    found_here = {"value": value.value, "ci": value.interval(), "twin": difference, "baseline": baseline}
    return judged(found_here, "A part is missing among the pictures that are asked.")


def table(found: Matches) -> DataFrame:
    """Mean AUROC over parts and rows, by kind of network, units and stage: kind, reader, stage, value, low, high."""
    rows = []
    for kind, units in found.areas.items():
        for unit, areas in units.items():
            for number, stage in enumerate(found.stages):
                mean = np.nanmean(areas[:, number], (0, 2))
                rows.append((kind, unit, stage, float(mean[0]), *Estimate(float(mean[0]), mean[1:]).interval()))
    for unit, areas in found.shuffled.items():
        for number, stage in enumerate(found.stages):
            rows.append(("shuffled parts", unit, stage, float(np.nanmean(areas[:, number])), np.nan, np.nan))
    return DataFrame(rows, columns=["kind", "reader", "stage", "value", "low", "high"])


def by_part(found: Matches, names: Sequence[str]) -> DataFrame:
    """AUROC of the best unit of each part at the stage where it is largest, mean over rows: reader, part, value."""
    rows = []
    for unit, areas in found.areas[TRAINED].items():
        mean = areas[:, :, 0].mean(0).max(0)
        rows += [(unit, names[part - 1], float(value)) for part, value in zip(found.parts.tolist(), mean, strict=True)]
    return DataFrame(rows, columns=["reader", "part", "value"])
