"""What the four papers leave to each other: the measured quantity of LENS-1 to LENS-6, as `claims.Results.take` wants it.

Where a run can not measure a claim the function gives the reason, as text. The claims' tests stand in claims/lenses.yml;
LENS-7 has a room of its own, `sparse_units`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pandas import DataFrame
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from innercodes import (
    activations,
    attacks,
    interactions,
    layer_codes,
    lenses,
    maps,
    spectra,
    stats,
    symbol_survey,
    telescope,
)
from innercodes import symbols as symbol_lens
from innercodes.coalitions import orders, players
from innercodes.lens_networks import DROPOUT, SHUFFLED, TRAINED, UNTRAINED, Family
from innercodes.lenses import LENSES, Heard, NetworkView, StageView, Views
from innercodes.parameters import Run
from innercodes.pictures import at_once
from innercodes.stats import Estimate
from innercodes.symbol_meaning import information_draws, information_resampled
from innercodes.symbol_survey import FITTED, UNSEEN, Shown, judged
from innercodes.symbol_warnings import NO_OUTSIDE, paired_auroc

FEWEST_POINTS, FEWEST_ERRORS = 12, 50
"""Stages below which LENS-1 and 2 are not asked, and wrong predictions below which LENS-4 is not, as claims/ fixed them."""
NO_TWINS = "This run has no networks trained with dropout and on shuffled labels: `retrained` names none."
SILENT = "Some stage of some network gives no number, as where it says the same to all pictures."
USUAL = ("max-softmax", "energy", "Mahalanobis")
TASKS = ("errors", "outside", "PGD")
COMBINED = "all lenses"


# LENS-1, LENS-2: what goes together over stages


def points(found: Views, kind: str, name: str) -> np.ndarray:
    """A number of every stage of every network of a kind, (1 + repeats, points): alpha, distance, depth, or class information.

    "information" is at the number of symbols that all stages share; "permuted" the same with labels of whole pictures exchanged. A
    network that stands in several rows is one network: its numbers are the mean over rows.
    """
    rows = []
    for family in found.families:
        views = found.of(family, kind)
        for network in {id(one.network): one.network for one in views}.values():
            same = [one for one in views if one.network is network]
            for stage in family.stages:
                rows.append(np.mean([_number(one, one.stages[stage], name, found.run) for one in same], 0))
    return np.array(rows).T


def owners(found: Views, kind: str) -> np.ndarray:
    """Which network each of the points belongs to, int (points,)."""
    lengths = [len(one.stages) for one in found.families for _ in {id(view.network) for view in found.of(one, kind)}]
    return np.repeat(np.arange(len(lengths)), lengths)


def _number(one: NetworkView, view: StageView, name: str, run: Run) -> np.ndarray:
    if name == "depth":
        return np.full(1 + run.repeats, view.depth)
    if name not in ("information", "permuted"):
        return getattr(view, name)
    labels = one.family.material.unseen.labels[: len(view.equal)]
    if name == "permuted":
        labels = symbol_lens.permuted_by_picture(labels, run.seed)
    chance = symbol_lens.permuted_information(view.equal, labels, run.permutations, run.seed)
    picks = torch.stack(lenses.resamplings(len(labels), run)[1:]).numpy()
    drawn = information_draws(view.equal, labels, picks)
    values = [symbol_lens.information(view.equal, labels), *drawn]
    return np.array([symbol_lens.corrected_information(value, chance) for value in values])


def together(
    found: Views, first: str, second: str, controls: Callable[[], Mapping[str, float]]
) -> dict[str, Any] | str:
    """Partial Spearman correlation of two numbers over stages of all networks, given depth, beside that of untrained twins.

    `controls` gives the other numbers that stand beside it; it is asked where the claim can be.
    """
    values = {kind: [points(found, kind, name) for name in (first, second, "depth")] for kind in (TRAINED, UNTRAINED)}
    count = values[TRAINED][0].shape[1]
    if count < FEWEST_POINTS:
        return f"{count} stages of trained networks; the claim asks for {FEWEST_POINTS}."
    if not all(np.isfinite(part).all() for parts in values.values() for part in parts):
        return SILENT
    own, twin = (spectra.partial_spearman(*values[kind]) for kind in (TRAINED, UNTRAINED))
    value = correlation(own)
    difference = own - twin
    baseline = {"untrained": float(twin[0]), **controls()}
    return judged(
        {
            "value": value.value,
            "ci": value.interval(),
            "twin": stats.replicated(float(difference[0]), difference[1:]),
            "baseline": baseline,
            "note": f"{count} stages of trained networks, {values[UNTRAINED][0].shape[1]} of untrained ones",
        },
        SILENT,
    )


def correlation(values: np.ndarray) -> Estimate:
    """An estimate from correlations (1 + repeats,), the first of all pictures: `stats.replicated` on Fisher's z, so within -1 ... 1.

    Ranks of a dozen points can agree to the last one: beyond 0.999 all correlations count as that.
    """
    z = np.arctanh(np.clip(values, -0.999, 0.999))
    found = stats.replicated(float(z[0]), z[1:])
    return Estimate(float(values[0]), np.tanh(found.draws))


def condensed_and_steep(found: Views, permutations: int = 999) -> dict[str, Any] | str:
    """LENS-1: unit distance over loss, and alpha. Stages are exchanged within each network for the chance level."""
    return together(found, "distance", "alpha", lambda: {"stages exchanged": _exchanged(found, "alpha", permutations)})


def diverse_and_telling(found: Views, permutations: int = 999) -> dict[str, Any] | str:
    """LENS-2: unit distance over loss, and what symbols say about the class. Chance levels: once with labels permuted, and as LENS-1."""

    def chance() -> dict[str, float]:
        distance, moved, depth = (points(found, TRAINED, name)[0] for name in ("distance", "permuted", "depth"))
        return {
            "labels permuted": float(spectra.partial_spearman(distance, moved, depth)),
            "stages exchanged": _exchanged(found, "information", permutations),
        }

    return together(found, "distance", "information", chance)


def _exchanged(found: Views, second: str, permutations: int) -> float:
    """The mean correlation with distance, given depth, when the stages of each trained network are exchanged at random."""
    distance, other, depth = (points(found, TRAINED, name)[0] for name in ("distance", second, "depth"))
    rng, owner = np.random.default_rng(found.run.seed), owners(found, TRAINED)
    order = np.lexsort((rng.random((permutations, len(owner))), np.broadcast_to(owner, (permutations, len(owner)))))
    return float(np.nanmean(spectra.partial_spearman(distance, other[order], depth)))


def within(table: DataFrame) -> DataFrame:
    """Both correlations in each architecture by itself, from the points of `scatter`: family, kind, and a column for each claim."""
    rows = []
    for (family, kind), own in table.groupby(["family", "kind"], sort=False):
        pairs = (
            spectra.partial_spearman(own["distance"], own[name], own["depth"]) for name in ("alpha", "information")
        )
        rows.append((family, kind, len(own), *map(float, pairs)))
    return DataFrame(rows, columns=["family", "kind", "stages", "condensed and steep", "diverse and telling"])


def scatter(found: Views) -> DataFrame:
    """The points of both claims: family, kind, stage, depth, distance, alpha, information."""
    rows = []
    for kind in (TRAINED, UNTRAINED):
        columns = [points(found, kind, name)[0] for name in ("depth", "distance", "alpha", "information")]
        names = [
            (one.name, kind, stage)
            for one in found.families
            for _ in {id(view.network) for view in found.of(one, kind)}
            for stage in one.stages
        ]
        rows += [(*name, *numbers) for name, *numbers in zip(names, *columns, strict=True)]
    return DataFrame(rows, columns=["family", "kind", "stage", "depth", "distance", "alpha", "information"])


# LENS-3: what an attack changes, and where


@dataclass(frozen=True)
class Changes:
    """How far attacks and noise of their norm move pictures in each lens, and what became of the pictures.

    `moved` kind to float64 (rows, P, stages, lenses, 2), the last axis PGD and noise; `attacked` kind and row to the pictures
    under PGD, and what the network says to them.
    """

    stages: tuple[str, ...]
    moved: Mapping[str, np.ndarray]
    attacked: Mapping[str, Sequence[tuple[Shown, lenses.Said]]]


def attack(found: Views) -> Changes:
    """PGD on the explained pictures, and noise of equal L2 norm, on the trained and untrained networks of the run's family.

    Each network is attacked itself. In `symbols` the share of cells whose symbol changes, in `telescope` the mean distance on the
    torus that the best units move, in `spectra` how far random projections move over their spread, and in `interactions` the
    summed change of those of high order (more than half of the players) over the summed strength of all.
    """
    run, family = found.run, found.first
    shown = family.material.unseen.subset(found.explained)
    inputs, labels = shown.pictures.tensors()
    moved: dict[str, list] = {kind: [] for kind in (TRAINED, UNTRAINED)}
    hit: dict[str, list] = {kind: [] for kind in (TRAINED, UNTRAINED)}
    for kind in moved:
        made: dict[int, tuple] = {}
        for view in found.of(family, kind):
            if id(view.network) not in made:
                made[id(view.network)] = _made(view, inputs, labels, shown, run)
            variants = made[id(view.network)]
            moved[kind].append(np.stack([_moved(view, found.explained, *part[1:], run) for part in variants], -1))
            hit[kind].append((variants[0][0], variants[0][1]))
    return Changes(family.stages, {kind: np.stack(rows) for kind, rows in moved.items()}, hit)


def _made(view: NetworkView, inputs: Tensor, labels: Tensor, shown: Shown, run: Run) -> tuple:
    """Pictures under PGD and under noise: what is shown, what stages say, and the stage-wise outputs."""
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    most = at_once(inputs, lenses.BATCH)
    batches = zip(inputs.split(most), labels.split(most), strict=True)
    for number, (x, y) in enumerate(batches):
        x, y, seed = x.to(run.device), y.to(run.device), 1000 * run.seeds[view.row] + number
        step = run.attack_step * run.attack_size
        hit = attacks.pgd(view.network, x, y, run.attack_size, run.attack_steps, seed, 0, 1, step=step)
        for part, changed in zip(parts, (hit, attacks.equal_noise(x, hit, seed, 0, 1)), strict=True):
            part.append(changed.cpu())
    readouts = {stage: one.readout for stage, one in view.stages.items()}
    return tuple(
        (
            lenses.held(changed, shown),
            lenses.hear(view.network, lenses.held(changed, shown), view.family.stages, run),
            lenses.stagewise_outputs(view.network, readouts, changed, labels, run),
        )
        for changed in map(torch.cat, parts)
    )


def _moved(view: NetworkView, rows: Tensor, said: lenses.Said, outputs: Mapping[str, Tensor], run: Run) -> np.ndarray:
    """How far each picture moved, float64 (P, stages, lenses)."""
    found = []
    for stage, one in view.stages.items():
        before, after = view.said[UNSEEN][0][stage], said[0][stage]
        clean = symbol_survey.place(one.code.codebook, before.cells[rows])[1]
        changed = symbol_survey.place(one.code.codebook, after.cells)[1]
        units = best_units(view, stage, after, run)
        by_lens = {
            "symbols": (clean != changed).double().mean(1),
            "interactions": high_order_change(one.outputs, outputs[stage]),
            "telescope": telescope.unit_shift(one.chart.unseen[rows], units, one.chart.som.grid).mean(1),
            "spectra": projected_change(before.columns[rows], after.columns, before.columns, run),
        }
        found.append(torch.stack([by_lens[name] for name in LENSES], 1))
    return torch.stack(found, 1).numpy()


def best_units(view: NetworkView, stage: str, heard: Heard, run: Run) -> Tensor:
    """The best units of other pictures on a stage's map, int64 (N, k)."""
    chart = view.stages[stage].chart
    codes = maps.coded(heard.parts, run.coding, view.said[FITTED][0][stage].parts)
    return telescope.best_units(chart.som, codes.to(run.device), chart.unseen.shape[1]).cpu()


def high_order_change(before: Tensor, after: Tensor) -> Tensor:
    """Summed change of the interactions of more than half of the players over the summed strength of all: (P, 2^n) to (P,)."""
    clean, changed = interactions.harsanyi(before), interactions.harsanyi(after)
    n = players(before)
    high = orders(n) > n / 2
    return ((changed - clean).abs() * high).sum(-1) / clean[:, 1:].abs().sum(-1).clamp(min=1e-30)


def projected_change(before: Tensor, after: Tensor, spread: Tensor, run: Run) -> Tensor:
    """Mean distance that random projections of responses move, over the standard deviation of those of all pictures: (P,)."""
    every = spectra.random_projections(torch.cat([before, after, spread]).double(), run.projections, run.seed)
    old, new, all_of_them = every.split([len(before), len(after), len(spread)], 1)
    scale = (all_of_them - all_of_them.mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt().clamp(min=1e-30)
    return ((new - old).norm(dim=-1) / scale[:, None]).mean(0)


def _areas(rows: np.ndarray, axis: int) -> np.ndarray:
    """AUROC of PGD against noise, of changes (..., P, stages, lenses, 2): (..., stages, lenses)."""
    rows = np.moveaxis(rows, axis, -2)
    return paired_auroc(rows, -2)


def weakest_lens(rows: np.ndarray, axis: int) -> np.ndarray:
    """The smallest AUROC over lenses at the stage where their mean is largest, of (..., P, stages, lenses, 2)."""
    areas = _areas(rows, axis)
    stage = areas.mean(-1).argmax(-1)
    return np.take_along_axis(areas, stage[..., None, None], -2)[..., 0, :].min(-1)


def same_stage(found: Views, changes: Changes) -> dict[str, Any] | str:
    """LENS-3: does every lens tell PGD from noise at the stage where the lenses together do it best? The twin is attacked itself."""
    run, rows = found.run, changes.moved
    own = stats.bootstrap(rows[TRAINED], None, weakest_lens, run.bootstrap, run.seed)
    areas = {kind: _areas(part, 1) for kind, part in rows.items()}
    together = areas[TRAINED].mean(-1).argmax(-1)
    peaks = (areas[TRAINED].argmax(-2) == together[:, None]).mean()
    mean = areas[TRAINED].mean(0)
    stage = int(mean.mean(-1).argmax())
    baseline = {"untrained": float(np.mean(weakest_lens(rows[UNTRAINED], 1)))}
    baseline |= {f"{name} at {changes.stages[stage]}": float(mean[stage, i]) for i, name in enumerate(LENSES)}
    return judged(
        {
            "value": own.value,
            "ci": own.interval(),
            "twin": stats.bootstrap(rows[TRAINED], rows[UNTRAINED], weakest_lens, run.bootstrap, run.seed),
            "also": {"same_stage": float(peaks)},
            "baseline": baseline,
        },
        SILENT,
    )


def changes_table(found: Views, changes: Changes) -> DataFrame:
    """AUROC of PGD against noise by lens and stage: kind, reader, stage, value, low, high; means over rows."""
    rows = []
    for kind, part in changes.moved.items():
        for i, stage in enumerate(changes.stages):
            for j, name in enumerate(LENSES):
                one = stats.bootstrap(part[:, :, i, j], None, paired_auroc, found.run.bootstrap, found.run.seed)
                rows.append((kind, name, stage, one.value, *one.interval()))
    return DataFrame(rows, columns=["kind", "reader", "stage", "value", "low", "high"])


# LENS-4: when not to trust a network


@dataclass(frozen=True)
class Warnings:
    """Scores of pictures, high for what looks familiar, and what became of them.

    `scores` kind of network whose lenses are read to name to float64 (rows, N), NaN for pictures that are not asked. Names are
    those of `LENSES` and `USUAL`. `groups` int64 (rows, N): 0 right, 1, 2 and 3 those of `TASKS`, -1 not asked. The N pictures are
    the unseen ones, then those outside, then those under attack.
    """

    scores: Mapping[str, Mapping[str, np.ndarray]]
    groups: np.ndarray


def warnings(found: Views, changes: Changes) -> Warnings | str:
    """What each lens at the last stage, and each usual score, says of errors, outside pictures and successful attacks.

    The twin's lenses read the same pictures with the trained network's predictions. `symbols` is the expected symbol score,
    `telescope` minus the distance of the best units to the centre of the predicted class, `spectra` minus the mean squared
    component over its variance within the window of ranks, `interactions` minus the share of strength of high order.
    Of each row as many errors and right predictions are asked as `warned` says.
    """
    run, family = found.run, found.first
    material = family.material
    if not material.outside:
        return NO_OUTSIDE
    views = {kind: found.of(family, kind) for kind in (TRAINED, UNTRAINED)}
    fewest = min(int((~one.right).sum()) for one in views[TRAINED])
    if fewest < FEWEST_ERRORS:
        return f"{fewest} wrong predictions; the claim asks for {FEWEST_ERRORS}."
    outside = list(material.outside.values())
    scores: dict[str, dict[str, list]] = {kind: {} for kind in views}
    groups = []
    for row, own in enumerate(views[TRAINED]):
        chosen = _chosen(own.right, run)
        hit, said = changes.attacked[TRAINED][row]
        worked = own.right[found.explained] & (said[1].argmax(-1) != hit.labels)
        beyond = [lenses.hear(own.network, part, family.stages, run) for part in outside]
        sets = [material.unseen.subset(chosen), *outside, hit]
        logits = torch.cat([own.logits[chosen], *(one[1] for one in beyond), said[1]])
        alarms = torch.cat(
            [
                (~own.right[chosen]).long(), torch.full((sum(len(one.labels) for one in outside),), 2),
                torch.where(worked, 3, -1),
            ]
        )  # fmt: skip
        count = len(material.unseen.labels)
        places = torch.cat([chosen, torch.arange(count, count + len(alarms) - len(chosen))])
        groups.append(_spread(alarms.double(), places, count + len(alarms) - len(chosen), -1.0).astype(np.int64))
        for kind, members in views.items():
            view = members[row]
            if kind == TRAINED:
                heard = [_subset(view.said[UNSEEN][0][family.last], chosen)]
                heard += [one[0][family.last] for one in (*beyond, said)]
            else:
                twin = [lenses.hear(view.network, part, (family.last,), run)[0] for part in (*outside, hit)]
                heard = [_subset(view.said[UNSEEN][0][family.last], chosen), *(one[family.last] for one in twin)]
            found_here = _lens_scores(view, heard, sets, logits.argmax(-1), run)
            if kind == TRAINED:
                found_here |= usual_scores(view, heard, logits)
            for name, values in found_here.items():
                asked = values.double().masked_fill(alarms < 0, torch.nan)
                scores[kind].setdefault(name, []).append(
                    _spread(asked, places, count + len(alarms) - len(chosen), np.nan)
                )
    return Warnings(
        {kind: {n: np.stack(v) for n, v in part.items()} for kind, part in scores.items()}, np.stack(groups)
    )


def _chosen(right: Tensor, run: Run) -> Tensor:
    """Places of the first errors and right predictions, int64 (n,), in order."""
    return torch.cat([one.nonzero()[: run.warned, 0] for one in (right, ~right)]).sort().values


def _subset(heard: Heard, rows: Tensor) -> Heard:
    return Heard(heard.cells[rows], heard.parts[rows], heard.columns[rows])


def _spread(values: Tensor, places: Tensor, count: int, rest: float) -> np.ndarray:
    found = torch.full((count,), rest, dtype=torch.float64)
    found[places] = values
    return found.numpy()


def _lens_scores(
    view: NetworkView, heard: Sequence[Heard], sets: Sequence[Shown], predicted: Tensor, run: Run
) -> dict[str, Tensor]:
    """What each lens says of some sets of pictures at the last stage: name to (N,), all sets together."""
    stage = view.family.last
    one = view.stages[stage]
    every = Heard(*(torch.cat([getattr(part, name) for part in heard]) for name in ("cells", "parts", "columns")))
    symbols = symbol_survey.place(one.code.codebook, every.cells)[1]
    units, labels = best_units(view, stage, every, run), view.family.material.fitted.labels
    classes = len(view.family.material.fitted.pictures.classes)
    centers = telescope.class_centers(one.chart.fitted, labels, one.chart.som.grid, classes)
    inputs = torch.cat([part.pictures.tensors()[0] for part in sets])
    outputs = lenses.stagewise_outputs(view.network, {stage: one.readout}, inputs, predicted, run)[stage]
    away = telescope.center_offsets(units, predicted, centers, one.chart.som.grid)
    return {
        "symbols": symbol_lens.expected_symbol_score(symbols, predicted, one.code.correlations),
        "interactions": -interactions.high_order_share(interactions.harsanyi(outputs)),
        # A class without a fitted picture has no centre: nothing is farther than that.
        "telescope": -away.nan_to_num(float(sum(one.chart.som.grid))),
        "spectra": spectral_score(every.columns, view.said[FITTED][0][stage].columns, run),
    }


def spectral_score(columns: Tensor, fitted: Tensor, run: Run) -> Tensor:
    """Minus the mean of z_k² / lambda_k over the window of ranks, z_k the components of responses (N, D): (N,).

    Components and variances are those of fitted responses; the window ends earlier where these have fewer ranks.
    """
    first, last = layer_codes.window(run)
    found = spectra.eigenspectrum(fitted, fitted.shape[1], last, vectors=True)
    kept = (found.eigenvalues > 0).nonzero()[first - 1 :, 0]
    if not len(kept):
        kept = (found.eigenvalues > 0).nonzero()[:, 0]
    components = (columns.double() - found.mean) @ found.vectors[:, kept]
    return -(components.square() / found.eigenvalues[kept]).mean(1)


def usual_scores(view: NetworkView, heard: Sequence[Heard], logits: Tensor) -> dict[str, Tensor]:
    """Max-softmax, energy and Mahalanobis (on the channel means of the last stage), (N,) each."""
    fitted = view.said[FITTED][0][view.family.last].means
    others = torch.cat([one.means for one in heard])
    return {
        "max-softmax": symbol_lens.max_softmax(logits),
        "energy": symbol_lens.energy(logits),
        "Mahalanobis": symbol_lens.mahalanobis(fitted, view.family.material.fitted.labels, others),
    }


def combine(scores: np.ndarray, groups: np.ndarray, task: int) -> np.ndarray:
    """One score from several, (N, k) to (N,): a logistic regression on the other half of the pictures of the task.

    `groups` int (N,): 0 right, `task` what it is to be told from; others are NaN. Halves take turns by their order within each
    group. Each score is standardised by the half that is learned from. NaN too where a half lacks one of the groups.
    """
    found = np.full(len(groups), np.nan)
    halves = np.full(len(groups), -1)
    for group in (0, task):
        places = np.flatnonzero(groups == group)
        halves[places] = np.arange(len(places)) % 2
    for half in (0, 1):
        learn, ask = halves == 1 - half, halves == half
        if len(set(groups[learn])) < 2:
            continue
        middle, spread = scores[learn].mean(0), scores[learn].std(0)
        scaled = (scores - middle) / np.where(spread > 0, spread, 1)
        fit = LogisticRegression(class_weight="balanced").fit(scaled[learn], groups[learn] == 0)
        found[ask] = fit.decision_function(scaled[ask])
    return found


def warning_rows(found: Warnings, kind: str) -> np.ndarray:
    """Rows float64 (rows, N, 1 + lenses + usual + tasks) for `stats.bootstrap`: group, then scores, then combined ones."""
    own, usual = found.scores[kind], found.scores[TRAINED]
    columns = np.stack([own[name] for name in LENSES], -1)
    combined = [
        np.stack([combine(part, groups, task) for part, groups in zip(columns, found.groups, strict=True)])
        for task in range(1, 1 + len(TASKS))
    ]
    return np.concatenate(
        [found.groups[..., None], columns, np.stack([usual[name] for name in USUAL], -1), np.stack(combined, -1)], -1
    )


def task_areas(rows: np.ndarray, axis: int) -> np.ndarray:
    """AUROC of every score for each task, of `warning_rows`: (..., N, columns) to (..., tasks, lenses + usual + 1).

    The last is the combination of the lenses.
    """
    rows = np.moveaxis(rows, axis, -2)
    groups, tasks = rows[..., 0], len(TASKS)
    found = []
    for task in range(1, 1 + tasks):
        kept = np.where((groups == 0) | (groups == task), 0.0, np.nan)
        columns = [*range(1, rows.shape[-1] - tasks), rows.shape[-1] - tasks + task - 1]
        pairs = [np.stack([rows[..., column] + kept, groups == 0], -1) for column in columns]
        found.append(np.stack([symbol_lens.auroc_of_rows(pair, -2) for pair in pairs], -1))
    return np.stack(found, -2)


def over_usual(rows: np.ndarray, axis: int) -> np.ndarray:
    """AUROC of the combined lenses minus the best usual score's of each task, mean over tasks, of `warning_rows`."""
    areas = task_areas(rows, axis)
    usual = areas[..., len(LENSES) : -1].max(-1)
    return (areas[..., -1] - usual).mean(-1)


def together_warn(found: Views, given: Warnings | str) -> dict[str, Any] | str:
    """LENS-4: the combined lenses against the best of the usual scores of each task. The twin lends its lenses."""
    if isinstance(given, str):
        return given
    missing = [name for task, name in enumerate(TASKS, 1) if not (given.groups == task).any()]
    if missing:
        return f"No picture is left for {', '.join(missing)}: no attack succeeds on a picture that was right."
    run = found.run
    rows = {kind: warning_rows(given, kind) for kind in (TRAINED, UNTRAINED)}
    own = stats.bootstrap(rows[TRAINED], None, over_usual, run.bootstrap, run.seed)
    areas = np.nanmean(task_areas(rows[TRAINED], 1), (0, 1))
    names = (*LENSES, *USUAL, COMBINED)
    groups = [[int((part == task).sum()) for part in given.groups] for task in (1, 2, 3)]
    return judged(
        {
            "value": own.value,
            "ci": own.interval(),
            "twin": stats.bootstrap(rows[TRAINED], rows[UNTRAINED], over_usual, run.bootstrap, run.seed),
            "also": {"combined_over_best_lens": float(areas[-1] - areas[: len(LENSES)].max())},
            "baseline": dict(zip(names, map(float, areas), strict=True))
            | {"untrained": float(np.mean(over_usual(rows[UNTRAINED], 1)))},
            "note": "; ".join(
                f"{name}: {', '.join(map(str, counts))}" for name, counts in zip(TASKS, groups, strict=True)
            ),
        },
        "A half of some group has no picture to learn from.",
    )


def warning_table(found: Views, given: Warnings) -> DataFrame:
    """AUROC of each score for each task: question, reader, kind, stage (None), value, low, high; means over rows."""
    rows = []
    for kind in (TRAINED, UNTRAINED):
        values = warning_rows(given, kind)
        names = (*LENSES, *USUAL, COMBINED)
        for t, task in enumerate(TASKS):
            if not (given.groups == t + 1).any():
                continue
            for i, name in enumerate(names):
                if kind == UNTRAINED and name in USUAL:
                    continue
                one = stats.bootstrap(
                    values, None, lambda part, axis, t=t, i=i: task_areas(part, axis)[..., t, i],
                    min(found.run.bootstrap, 200), found.run.seed,
                )  # fmt: skip
                rows.append((task, name, kind, one.value, *one.interval()))
    return DataFrame(rows, columns=["question", "reader", "kind", "value", "low", "high"])


# LENS-5: dropout


def unchanged(view: NetworkView, run: Run) -> np.ndarray:
    """Share of cells of the unseen pictures that are read whose symbol stays when units of the stage are silenced, float64 (n,).

    Mean over stages. The same `silenced` share of a stage's units, values of its map, is put to 0 for all pictures.
    """
    shown = view.family.material.unseen.subset(torch.arange(min(run.read, len(view.right))))
    pool = symbol_survey.pooling(run)
    kept: dict[str, Tensor] = {}

    def reduction(stage: str) -> activations.Reduction:
        def reduce(found: Tensor, inputs: Tensor, rows: slice) -> Tensor:
            if stage not in kept:
                generator = torch.Generator().manual_seed(run.seeds[view.row])
                kept[stage] = (torch.rand(found.shape[1:], generator=generator) >= run.silenced).to(found)
            return pool(found * kept[stage], shown.boxes[rows], tuple(inputs.shape[-2:]))

        return reduce

    said = activations.collect(
        view.network, shown.pictures.batches(lenses.BATCH, run.device), view.family.stages,
        {stage: reduction(stage) for stage in view.family.stages}, device=run.device, placed=True,
    )  # fmt: skip
    same = [
        (symbol_survey.place(one.code.codebook, said[stage])[1] == one.code.symbols[UNSEEN][: len(said[stage])])
        for stage, one in view.stages.items()
    ]
    return torch.stack(same).double().mean((0, 2)).numpy()


def _mean_stages(views: Sequence[NetworkView], name: str) -> np.ndarray:
    """A number of (1 + repeats,), mean over stages, of each row: (rows, 1 + repeats)."""
    return np.stack([np.mean([getattr(one, name) for one in view.stages.values()], 0) for view in views])


def _high_orders(views: Sequence[NetworkView]) -> np.ndarray:
    """Share of interaction strength of high order, mean over stages: (rows, P)."""
    return np.stack(
        [
            torch.stack([interactions.high_order_share(one.dividends) for one in view.stages.values()]).mean(0).numpy()
            for view in views
        ]
    )


def dropout_sides(found: Views, family: Family | None) -> dict[str, tuple[Estimate, int, float]] | str:
    """Of each lens the difference dropout minus plain, its predicted sign, and the mean difference between plain seeds."""
    if family is None:
        return NO_TWINS
    run, plain, other = found.run, found.of(family, TRAINED), found.of(family, DROPOUT)

    def replicated(name: str) -> tuple[Estimate, float]:
        own, twin = _mean_stages(other, name), _mean_stages(plain, name)
        difference = (own - twin).mean(0)
        return stats.replicated(float(difference[0]), difference[1:]), between_seeds(twin[:, 0])

    def resampled(own: np.ndarray, twin: np.ndarray) -> tuple[Estimate, float]:
        return stats.bootstrap(own, twin, np.nanmean, run.bootstrap, run.seed), between_seeds(np.nanmean(twin, 1))

    pairs = {
        "spectra": (replicated("alpha"), -1),
        "telescope": (replicated("distance"), -1),
        "symbols": (resampled(*(np.stack([unchanged(v, run) for v in views]) for views in (other, plain))), 1),
        "interactions": (resampled(_high_orders(other), _high_orders(plain)), -1),
    }
    return {name: (pairs[name][0][0], pairs[name][1], pairs[name][0][1]) for name in LENSES}


def between_seeds(values: np.ndarray) -> float:
    """Mean size of the difference of two of the values (rows,); 0 for a single one."""
    first, second = np.triu_indices(len(values), 1)
    return float(np.abs(values[first] - values[second]).mean()) if len(first) else 0.0


def dropout_differs(sides: Mapping[str, tuple[Estimate, int, float]] | str) -> dict[str, Any] | str:
    """LENS-5: number of lenses whose difference lies, with its whole interval, on the side that coding theory predicts."""
    if isinstance(sides, str):
        return sides
    if not all(np.isfinite(one.draws).all() for one, _, _ in sides.values()):
        return SILENT
    agreeing = [name for name, (one, sign, _) in sides.items() if _beyond_zero(one, sign)]
    baseline = {name: one.value for name, (one, _, _) in sides.items()}
    baseline |= {f"{name}, between seeds": between for name, (_, _, between) in sides.items()}
    return {
        "value": float(len(agreeing)),
        "baseline": baseline,
        "note": f"on the predicted side: {', '.join(agreeing) or 'none'}",
    }


def _beyond_zero(one: Estimate, sign: int) -> bool:
    low, high = one.interval()
    return low > 0 if sign > 0 else high < 0


def differences(sides: Mapping[str, tuple[Estimate, ...]]) -> DataFrame:
    """Differences with their intervals: lens, value, low, high and predicted sign; of `dropout_sides`."""
    rows = [(name, one.value, *one.interval(), sign) for name, (one, sign, *_) in sides.items()]
    return DataFrame(rows, columns=["lens", "value", "low", "high", "predicted"])


# LENS-6: trained, untrained, and trained on shuffled labels


def main_numbers(found: Views, family: Family | None) -> dict[str, dict[str, Any]] | str:
    """Of each lens its main number at the last stage by kind, the difference of trained from both twins, and between seeds.

    Lens to {"values": kind to number, "differences": kind to Estimate, "between": float}.
    """
    if family is None:
        return NO_TWINS
    run, kinds = found.run, (TRAINED, UNTRAINED, SHUFFLED)
    views = {kind: [one.stages[family.last] for one in found.of(family, kind)] for kind in kinds}
    labels = family.material.unseen.labels[: run.read]
    rows = {
        "interactions": {kind: np.stack([one.explained.numpy() for one in part]) for kind, part in views.items()},
        "telescope": {
            kind: np.stack([one.spread.numpy() / one.shuffled_spread for one in part]) for kind, part in views.items()
        },
    }
    made: dict[str, dict[str, Any]] = {}
    for name, parts in rows.items():
        made[name] = {
            "values": {kind: float(np.nanmean(part)) for kind, part in parts.items()},
            "differences": {
                kind: stats.bootstrap(parts[TRAINED], parts[kind], np.nanmean, run.bootstrap, run.seed)
                for kind in kinds[1:]
            },
            "between": between_seeds(np.nanmean(parts[TRAINED], 1)),
        }
    own, drawn = _told(views, labels, run)
    made["symbols"] = {
        "values": {kind: float(values.mean()) for kind, values in own.items()},
        "differences": {
            kind: symbol_lens.recentred(
                Estimate(float(own[TRAINED].mean() - own[kind].mean()), drawn[TRAINED] - drawn[kind])
            )
            for kind in kinds[1:]
        },
        "between": between_seeds(own[TRAINED]),
    }
    alphas = {kind: np.stack([one.alpha for one in part]) for kind, part in views.items()}
    made["spectra"] = {
        "values": {kind: float(part[:, 0].mean()) for kind, part in alphas.items()},
        "differences": {
            kind: stats.replicated(*_first_and_rest(alphas[TRAINED].mean(0) - alphas[kind].mean(0)))
            for kind in kinds[1:]
        },
        "between": between_seeds(alphas[TRAINED][:, 0]),
    }
    return {name: made[name] for name in LENSES}


def _first_and_rest(rows: np.ndarray) -> tuple[float, np.ndarray]:
    return float(rows[0]), rows[1:]


def _told(
    views: Mapping[str, Sequence[StageView]], labels: Tensor, run: Run
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Corrected AMI of symbol and class of each row, (rows,), and of draws of pictures, mean over rows, (draws,), by kind."""
    pairs = {kind: [[(one.equal, labels)] for one in part] for kind, part in views.items()}
    drawn = information_resampled(pairs, lambda ami: ami, min(run.bootstrap, 500), run.seed)
    own = {kind: np.array([lenses.information(one, labels, run) for one in part]) for kind, part in views.items()}
    return own, {kind: drawn[kind][1][:, 0] for kind in views}


def tell_networks(numbers: Mapping[str, Mapping[str, Any]] | str) -> dict[str, Any] | str:
    """LENS-6: number of lenses whose main number differs from both twins, each interval without 0."""
    if isinstance(numbers, str):
        return numbers
    every = [one for part in numbers.values() for one in part["differences"].values()]
    if not all(np.isfinite(one.draws).all() for one in every):
        return SILENT
    telling = [
        name
        for name, part in numbers.items()
        if all(_beyond_zero(one, 1) or _beyond_zero(one, -1) for one in part["differences"].values())
    ]
    baseline = {
        f"{name}, {kind}": value for name, part in numbers.items() for kind, value in part["values"].items()
    } | {f"{name}, between seeds": part["between"] for name, part in numbers.items()}
    return {
        "value": float(len(telling)),
        "baseline": baseline,
        "note": f"differ from both twins: {', '.join(telling) or 'none'}",
    }


def numbers_table(numbers: Mapping[str, Mapping[str, Any]]) -> DataFrame:
    """The numbers of `main_numbers`: lens, kind, value, and low and high of the difference trained minus kind (NaN for trained)."""
    rows = []
    for name, part in numbers.items():
        for kind, value in part["values"].items():
            ends = part["differences"][kind].interval() if kind in part["differences"] else (np.nan, np.nan)
            rows.append((name, kind, value, *ends))
    return DataFrame(rows, columns=["lens", "kind", "value", "low", "high"])
