"""How far symbols reach: the measured quantity of SYM-9, 10, 18, 19, 20 and 21, as `claims.Results.take` wants it.

New classes, other architectures, training, other domains, and what it costs. Where a run can not measure a claim the function
gives the reason, as text. The claims' tests stand in claims/symbols.yml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from innercodes import stats
from innercodes import symbols as lens
from innercodes.parameters import Run
from innercodes.stats import Estimate
from innercodes.symbol_meaning import resampled
from innercodes.symbol_survey import BOTH, FITTED, NEW, UNSEEN, Look, Survey, code_stage, judged
from innercodes.symbol_warnings import correctness

FEWEST_SNAPSHOTS = 5
"""Snapshots that SYM-18 asks for, as claims/ fixed it."""
STEPS = ("region", "responses", "pooling", "embedding", "clustering")


# SYM-9: new classes from a few examples


def temporary_learning(survey: Survey, shots: int = 5, held_out: int = 5, draws: int = 20) -> dict[str, Any] | str:
    """SYM-9: accuracy on `held_out` new classes, the first ones, from a temporary map of `shots` pictures of each, at the last
    stage, minus that of the nearest class mean on pixels with the same examples.

    A picture's accuracy is its share of the `draws` that asked it.
    """
    if NEW not in survey.sets:
        return "This run has no pictures of classes that the symbols were not built from."
    run, labels = survey.run, survey.sets[NEW].labels
    kept = (labels < held_out).nonzero()[:, 0]
    labels = labels[kept]
    sizes = torch.bincount(labels, minlength=held_out)
    if int(sizes.min()) <= shots:
        return f"{held_out} new classes with more than {shots} pictures each are asked for; one has {int(sizes.min())}."
    pixels = survey.sets[NEW].pictures.subset(kept).tensors()[0]

    def shown(kind: str, stage: str) -> np.ndarray:
        rows = []
        for row, seed in enumerate(run.seeds):
            code = survey.codes[kind][row][stage]
            found = lens.k_shot(code.symbols[NEW][kept], labels, shots, draws, seed, symbol_count=code.count)
            rows.append(found.by_picture.numpy())
        return np.stack(rows)

    def means(vectors: Sequence[Tensor]) -> np.ndarray:
        return np.stack(
            [
                lens.k_shot_means(one, labels, shots, draws, seed).by_picture.numpy()
                for one, seed in zip(vectors, run.seeds, strict=True)
            ]
        )

    by_pixel = means([pixels] * len(run.seeds))
    pooled = means([survey.heard("trained", row, NEW).vectors[survey.last][kept] for row in survey.rows])
    own = {stage: shown("trained", stage) for stage in survey.stages}
    rows = {"trained": own[survey.last] - by_pixel, "untrained": shown("untrained", survey.last) - by_pixel}
    found = stats.compare(rows, np.nanmean, run.bootstrap, run.seed)
    accuracy = {name: float(np.nanmean(values)) for name, values in own.items()}
    also = {"times_chance": held_out * accuracy[survey.last], "above_pixels": found["value"]}
    baseline = {
        "chance": 1 / held_out,
        "pixels": np.nanmean(by_pixel),
        "pooled responses": np.nanmean(pooled),
        **{f"accuracy, {stage}": value for stage, value in accuracy.items()},
    }
    return judged(found | {"also": also, "baseline": found["baseline"] | baseline}, "Some draws ask no picture.")


# SYM-10, SYM-20: architectures


def _same_pictures(surveys: Mapping[str, Survey]) -> Survey:
    first = next(iter(surveys.values()))
    for name, one in surveys.items():
        if not torch.equal(one.labels, first.labels) or one.run.seeds != first.run.seeds:
            raise ValueError(f"surveys: {name}: must have the unseen pictures and the seeds of the others")
    return first


def architectures(surveys: Mapping[str, Survey]) -> dict[str, Any] | str:
    """SYM-10: last-stage accuracy over chance, smallest over architectures, which are surveyed on the same pictures."""
    if len(surveys) < 2:
        return "The claim is about several architectures, and this run has one."
    first = _same_pictures(surveys)
    run, scale = first.run, first.classes
    rows = {
        kind: scale * np.stack([one.accuracy_rows(kind, one.last) for one in surveys.values()], -1) for kind in BOTH
    }
    warned = {name: correctness(one) for name, one in surveys.items()}
    reasons = [f"{name}: {found}" for name, found in warned.items() if isinstance(found, str)]
    if reasons:
        return reasons[0]
    found = stats.compare(rows, _smallest_mean, run.bootstrap, run.seed)
    aurocs = {name: one["value"] for name, one in warned.items()}
    each = {
        f"{label}, {name}": value
        for label, kind in (("accuracy over chance", "trained"), ("untrained", "untrained"))
        for name, value in zip(surveys, rows[kind].mean((0, 1)), strict=True)
    }
    baseline = found["baseline"] | {"chance": 1.0} | each
    return judged(
        found | {"also": {"smallest_ess_auroc": min(aurocs.values())}, "baseline": baseline}, "A score is no number."
    )


def _smallest_mean(rows: np.ndarray, axis: int) -> np.ndarray:
    return rows.mean(axis).min(-1)


def kept_knowledge(surveys: Mapping[str, Survey]) -> dict[str, Any] | str:
    """SYM-20: largest difference between architectures of last-stage accuracy over the network's own, means over seeds."""
    if len(surveys) < 2:
        return "The claim is about several architectures, and this run has one."
    run = _same_pictures(surveys).run
    rows = {
        kind: np.stack([_answers(one, kind) for one in surveys.values()], 2) for kind in BOTH
    }  # (N, seeds, nets, 2)
    estimate = stats.bootstrap(rows["trained"][None], statistic=_spread, draws=run.bootstrap, seed=run.seed)
    ratios = _ratios(rows["trained"], 0)
    baseline = {
        "between seeds of one": float(np.ptp(ratios, axis=0).max()),
        "untrained": float(_spread(rows["untrained"], 0)),
        **{name: float(value) for name, value in zip(surveys, ratios.mean(0), strict=True)},
    }
    found = {"value": estimate.value, "ci": estimate.interval(), "baseline": baseline}
    return judged(found, "Some network is never right.")


def _answers(survey: Survey, kind: str) -> np.ndarray:
    """Right by symbols, and by the network itself, float64 (N, seeds, 2)."""
    own = [(survey.heard(kind, row, UNSEEN).logits.argmax(-1) == survey.labels).double() for row in survey.rows]
    return np.stack([survey.accuracy_rows(kind, survey.last).T, torch.stack(own, -1).numpy()], -1)


def _ratios(rows: np.ndarray, axis: int) -> np.ndarray:
    symbols, network = np.moveaxis(rows.mean(axis), -1, 0)
    return np.where(network > 0, symbols / np.where(network > 0, network, 1), np.nan)


def _spread(rows: np.ndarray, axis: int) -> np.ndarray:
    return np.ptp(_ratios(rows, axis).mean(-2), axis=-1)


# SYM-18: training


def growth(
    run: Run,
    epochs: Sequence[int],
    snapshots: Sequence[Sequence[Tensor]],
    shuffled: Sequence[Tensor],
    labels: Tensor,
    draws: int = 100,
) -> dict[str, Any] | str:
    """SYM-18: Spearman correlation of epoch and AMI of symbol and class, mean over seeds.

    Last-stage symbols int64 (N, cells) of unseen pictures with `labels`: of each seed's snapshots at `epochs`, the first one the
    start, and of each seed's network trained on `shuffled` labels for as long.
    """
    if len(epochs) < FEWEST_SNAPSHOTS:
        return f"The claim asks for {FEWEST_SNAPSHOTS} snapshots; this run has {len(epochs)}."
    if any(len(one) != len(epochs) for one in snapshots) or len(shuffled) != len(snapshots):
        raise ValueError(f"snapshots: must be {len(epochs)} for each seed, and one of shuffled labels for each seed")
    cells = labels.new_tensor(snapshots[0][0].shape[1])
    rows = [lens.information_rows(labels, *one, last) for one, last in zip(snapshots, shuffled, strict=True)]

    def course(table: np.ndarray) -> list[float]:
        truth, found = torch.from_numpy(table).long().split([1, table.shape[1] - 1], 1)
        amis = [lens.information(one, truth[:, 0]) for one in found.split(int(cells), 1)]
        rank = spearmanr(epochs, amis[:-1]).statistic if len(set(amis[:-1])) > 1 else 0.0
        return [float(rank), amis[0], amis[-2], amis[-1]]

    own, drawn = resampled({"trained": rows}, course, min(run.bootstrap, draws), run.seed)["trained"]
    rank, start, end, control = own
    baseline = {"untrained start": start, "end": end, "shuffled labels": control}
    # A rank correlation is at most 1: moving its draws to its mean, as for an AMI, would leave that range.
    found = {"value": float(rank), "ci": Estimate(float(rank), drawn[:, 0]).interval()}
    return judged(found | {"also": {"above_shuffled_labels": float(end - control)}, "baseline": baseline}, "")


# SYM-19: other domains


@dataclass(frozen=True)
class Hidden:
    """What the last hidden layer of one network says to N fitted and M unseen samples, float32 (N, D) and (M, D)."""

    fitted: Tensor
    unseen: Tensor


def other_domain(
    run: Run, hidden: Mapping[str, Sequence[Hidden]], labels: Tensor, unseen_labels: Tensor
) -> dict[str, Any] | str:
    """SYM-19: accuracy from the one symbol of each sample minus the share of the largest class, on unseen samples.

    `hidden` by kind, a network per seed, or one for all. The map is built from all fitted samples.
    """
    classes = int(torch.cat([labels, unseen_labels]).max()) + 1
    largest = (unseen_labels == unseen_labels.bincount().argmax()).double()

    def named(one: Hidden, row: int, seed: int) -> tuple[Tensor, Tensor]:
        vectors = {FITTED: one.fitted[:, None].float(), UNSEEN: one.unseen[:, None].float()}
        code = code_stage(vectors, labels, torch.ones_like(labels, dtype=torch.bool), classes, run, seed)
        moved = lens.permuted_by_picture(labels, seed)
        chance = lens.correlation_map(code.symbols[FITTED], moved, code.count, classes)
        found = code.symbols[UNSEEN]
        return tuple((lens.predict(found, by) == unseen_labels).double() for by in (code.correlations, chance))

    right = {
        kind: [named(members[row % len(members)], row, seed) for row, seed in enumerate(run.seeds)]
        for kind, members in hidden.items()
    }
    rows = {kind: torch.stack([own - largest for own, _ in right[kind]]).numpy() for kind in BOTH}
    found = stats.compare(rows, np.mean, run.bootstrap, run.seed)
    baseline = {
        "share of the largest class": float(largest.mean()),
        "accuracy": np.mean([own.mean() for own, _ in right["trained"]]),
        "accuracy, shuffled labels": np.mean([chance.mean() for _, chance in right["trained"]]),
    }
    return judged(found | {"baseline": found["baseline"] | baseline}, "A score is no number.")


# SYM-21: what it costs


def cost(survey: Survey, looks: Sequence[Look], region_seconds: float = 0.0) -> dict[str, Any]:
    """SYM-21: seconds per picture of the whole chain, fits included, over those of a bare pass; the median over seeds.

    `looks` are the trained networks' second looks, `region_seconds` per picture what the source of the boxes took. Reading the
    pictures counts nowhere. The first seed also pays for compiling, which a median of three leaves out.
    """
    chains = [
        {"region": look.seconds + region_seconds, **seconds} for look, seconds in zip(looks, survey.costs, strict=True)
    ]
    totals = [sum(chain[step] for step in STEPS) for chain in chains]
    quotients = [total / chain["bare"] for total, chain in zip(totals, chains, strict=True)]
    middle = int(np.argsort(quotients)[(len(quotients) - 1) // 2])
    chain, total = chains[middle], totals[middle]
    baseline = {f"share of {step}": chain[step] / total for step in STEPS}
    baseline |= {"seconds per picture": total, "bare pass, seconds per picture": chain["bare"]}
    note = f"{min(quotients):.3g} to {max(quotients):.3g} over seeds"
    return {"value": float(np.median(quotients)), "baseline": baseline, "note": note}
