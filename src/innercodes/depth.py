"""What changes with depth: the measured quantity of each claim of chapter 03 on codes and maps, as `Results.take` wants it.

Each function takes an `Atlas`. Where a run can not measure a claim the function gives the reason, as text. The claims' tests
stand in claims/telescope.yml.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor, nn

from innercodes import activations, maps, stats, telescope
from innercodes.maps import Codes, Replicate, StageMap
from innercodes.parameters import Run
from innercodes.pictures import Pictures

DIMENSION_DRAWS, PLATEAU_DRAWS = 20, 5
"""Draws of equally many channels per stage for TEL-1 and TEL-2, as claims/ fixed them."""
SHUFFLES = 5
FEWEST = 5
"""Pictures that a class must have to be said to have a spread."""
BOTH = ("trained", "untrained")
ON_ONE_UNIT = "On a map most class centres fall on one unit, so that their distance is 0."


SEVERAL = "At the paper's scale this claim is about several networks together; one run is one of them."
ELSEWHERE: dict[str, dict[str, str]] = {
    "quick": {},
    "imagenet": {},
    "paper": dict.fromkeys(
        (f"TEL-{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22)), SEVERAL
    ),
}
"""Claims that one run of a preset can not judge, with the reason; their values are kept among the metrics."""


@dataclass(frozen=True)
class Atlas:
    """Codes and maps of all kinds of networks, a list entry per seed; `stages` shallow to deep, `stem` before the first."""

    run: Run
    stages: tuple[str, ...]
    stem: str
    labels: Tensor
    unseen_labels: Tensor
    fitted: Mapping[str, Sequence[Codes]]
    unseen: Mapping[str, Sequence[Codes]]
    charts: Mapping[str, Sequence[Mapping[str, StageMap]]]
    replicates: Mapping[str, Sequence[Mapping[str, Sequence[Replicate]]]]

    @property
    def first(self) -> str:
        return self.stages[0]

    @property
    def last(self) -> str:
        return self.stages[-1]

    def codes(self, kind: str, seed: int, stage: str, coding: str | None = None) -> Tensor:
        """The codes that the map of this seed was fitted on."""
        members = self.fitted[kind]
        return maps.coded(members[seed % len(members)][stage], coding or self.run.coding)

    def each(self, kind: str, stage: str, measure: Callable[[StageMap], Any]) -> np.ndarray:
        """A number of every seed's map of one stage, float64 (seeds, ...)."""
        return np.array([measure(charts[stage]) for charts in self.charts[kind]], dtype=np.float64)


def survey(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    pictures: Pictures,
    others: Pictures,
    stages: Sequence[str],
    stem: str = "",
) -> Atlas:
    """Codes and maps of all networks: one pass of each over all pictures, a map for every stage and seed, and repetitions.

    With a `stem` it and the input are mapped too, without repetitions.
    """
    taps = ("input", stem, *stages) if stem else tuple(stages)
    fitted, unseen = (maps.collect(networks, part, taps, run) for part in (pictures, others))
    charts = maps.charts(fitted, unseen, run)
    repeated = {kind: [{tap: codes[tap] for tap in taps if tap in stages} for codes in fitted[kind]] for kind in BOTH}
    replicates = maps.replicate(repeated, pictures.labels, run)
    return Atlas(run, tuple(stages), stem, pictures.labels, others.labels, fitted, unseen, charts, replicates)


def shuffled(labels: Tensor) -> Tensor:
    """The labels in another order, always the same one."""
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


def few_of_a_class(labels: Tensor) -> str:
    """Why classes have no spread here, or nothing."""
    kinds, counts = labels.unique(return_counts=True)
    if len(kinds) < 2:
        return "There is one class alone."
    smallest = int(counts.min())
    return f"A class has {smallest} picture(s); a spread needs {FEWEST}." if smallest < FEWEST else ""


def _log_mean(rows: np.ndarray) -> np.ndarray:
    """The geometric mean over seeds (first axis)."""
    return np.exp(np.log(rows).mean(0))


# TEL-1, TEL-2: dimension and loss, on equally many channels of every stage


def _channel_draws(atlas: Atlas, draws: int) -> list[dict[str, Tensor]]:
    """Equally many random channels of every stage, as many as the narrowest has: one choice for each draw."""
    widths = {stage: atlas.fitted["trained"][0][stage].shape[1] // 5 for stage in atlas.stages}
    generator = torch.Generator().manual_seed(0)
    narrow = min(widths.values())
    return [
        {s: torch.randperm(width, generator=generator)[:narrow] for s, width in widths.items()} for _ in range(draws)
    ]


def dimension(atlas: Atlas, repeats: int = 50) -> dict[str, Any]:
    """TEL-1: slope of log participation ratio on the number of the stage, on equally many channels; interval over pictures."""
    chosen = _channel_draws(atlas, DIMENSION_DRAWS)
    axes = 30 if atlas.run.preset == "paper" else 5
    slopes: dict[str, np.ndarray] = {}
    gap = []
    for kind in BOTH:
        rows = []
        for codes in atlas.fitted[kind]:
            ratios = []
            for stage in atlas.stages:
                full = maps.coded(codes[stage], atlas.run.coding).double()
                c = codes[stage].shape[1] // 5
                parts = full.shape[1] // c
                columns = [(torch.arange(parts)[:, None] * c + draw[stage]).flatten() for draw in chosen]
                drawn = [full, *(full[maps.resample(len(full), number)] for number in range(repeats))]
                ratios.append([_log_ratio(one, columns) for one in drawn])
                if kind == "trained" and stage in (atlas.first, atlas.last):
                    shares = [float(telescope.explained_variance(full[:, these], axes).sum()) for these in columns]
                    gap.append((1 if stage == atlas.first else -1) * np.mean(shares))
            rows.append(_slope(np.array(ratios), axis=0))
        slopes[kind] = np.mean(rows, 0)
    difference = slopes["trained"] - slopes["untrained"]
    own = stats.replicated(float(slopes["trained"][0]), slopes["trained"][1:])
    return {
        "value": own.value,
        "ci": own.interval(),
        "twin": stats.replicated(float(difference[0]), difference[1:]),
        "also": {"explained_variance_gap": float(np.sum(gap)) / len(atlas.fitted["trained"])},
        "baseline": {"untrained": float(slopes["untrained"][0])},
    }


def _log_ratio(codes: Tensor, columns: Sequence[Tensor]) -> float:
    """Mean log participation ratio over choices of columns, from one matrix of products."""
    centred = codes - codes.mean(0)
    products = centred.T @ centred
    parts = [products[these][:, these] for these in columns]
    return float(np.mean([np.log(float(part.trace() ** 2 / part.square().sum())) for part in parts]))


def _slope(rows: np.ndarray, axis: int) -> np.ndarray:
    """Least-squares slope on 0, 1, 2 ... along an axis."""
    rows = np.moveaxis(rows, axis, -1)
    x = np.arange(rows.shape[-1]) - (rows.shape[-1] - 1) / 2
    return (rows * x).sum(-1) / (x**2).sum()


def plateau(atlas: Atlas) -> dict[str, Any]:
    """TEL-2: loss at the end of training, last stage over first, on equally many channels; interval over resampled fits.

    At the scale `paper` also the rank correlation of the stage's number and its loss.
    """
    run = atlas.run
    chosen = _channel_draws(atlas, max(PLATEAU_DRAWS, run.repeats))
    ends = (atlas.first, atlas.last)

    def loss(kind: str, i: int, stage: str, draw: int, number: int | None = None) -> float:
        parts = maps.channels(atlas.fitted[kind][i % len(atlas.fitted[kind])][stage], chosen[draw][stage])
        part = maps.coded(parts, run.coding)
        seed = run.seeds[i]
        if number is not None:
            part, seed = part[maps.resample(len(part), number)], 1000 * (seed + 1) + number
        return telescope.mean_loss(maps.fit(part, run, seed), part.to(run.device))

    own, again = {}, {}
    for kind in BOTH:
        rows = [
            [[loss(kind, i, stage, draw) for stage in ends] for draw in range(PLATEAU_DRAWS)]
            for i in range(len(run.seeds))
        ]
        own[kind] = float(np.mean([last / first for seed in rows for first, last in seed]))
        again[kind] = np.mean(
            [
                [loss(kind, i, atlas.last, n, n) / loss(kind, i, atlas.first, n, n) for n in range(run.repeats)]
                for i in range(len(run.seeds))
            ],
            0,
        )
    estimate = stats.replicated(own["trained"], again["trained"])
    found = {
        "value": estimate.value,
        "ci": estimate.interval(),
        "twin": stats.replicated(own["trained"] - own["untrained"], again["trained"] - again["untrained"]),
        "baseline": {"untrained": own["untrained"]},
    }
    if run.preset != "paper":
        return found
    every = [np.mean([loss("trained", i, stage, 0) for i in range(len(run.seeds))]) for stage in atlas.stages]
    return found | {"also": {"full_order": float(spearmanr(range(len(every)), every).statistic)}}


# TEL-3: use of the units


def uneven_use(atlas: Atlas) -> dict[str, Any]:
    """TEL-3: entropy of the best units at the second stage, minus the lower 1 % quantile of two models of chance."""
    stage, run = atlas.stages[1], atlas.run
    units = {kind: np.stack([c[stage].fitted[:, 0].numpy() for c in atlas.charts[kind]]) for kind in BOTH}
    count = int(np.prod(atlas.charts["trained"][0][stage].som.grid))

    def entropy(rows: np.ndarray, axis: int) -> np.ndarray:
        flat = np.moveaxis(rows, axis, -1).astype(np.int64).reshape(-1, rows.shape[axis])
        counts = np.zeros((len(flat), count))
        np.add.at(counts, (np.arange(len(flat))[:, None], flat), 1)
        share = counts / flat.shape[1]
        found = -(share * np.log(np.where(share > 0, share, 1))).sum(-1) / np.log(count)
        return found.reshape(np.delete(rows.shape, axis))

    uniform = np.random.default_rng(run.seed).integers(count, size=(1000, units["trained"].shape[1]))
    low_uniform = float(np.quantile(entropy(uniform, 1), 0.01))
    chance = {
        kind: np.mean([_gaussian_quantile(atlas, kind, i, stage) for i in range(len(run.seeds))]) for kind in BOTH
    }
    limit = {kind: min(low_uniform, chance[kind]) for kind in BOTH}
    own = stats.bootstrap(units["trained"], statistic=entropy, draws=run.bootstrap, seed=run.seed)
    twin = stats.bootstrap(units["trained"], units["untrained"], entropy, run.bootstrap, run.seed)
    shift = limit["trained"] - limit["untrained"]
    return {
        "value": own.value - limit["trained"],
        "twin": stats.Estimate(twin.value - shift, twin.draws - shift),
        "baseline": {
            "entropy, trained": own.value, "1 % quantile, uniform": low_uniform, "1 % quantile, Gaussian": float(chance["trained"]),
            "untrained": own.value - twin.value - limit["untrained"],
        },
    }  # fmt: skip


def gaussian_like(codes: Tensor, seed: int) -> Tensor:
    """Random Gaussian codes with the mean and covariance of codes (N, D), as many."""
    root = torch.linalg.qr(codes - codes.mean(0), mode="r").R / len(codes) ** 0.5
    draws = torch.randn(len(codes), len(root), generator=torch.Generator().manual_seed(seed))
    return codes.mean(0) + draws.to(codes) @ root


def _gaussian_quantile(atlas: Atlas, kind: str, i: int, stage: str) -> float:
    """The 1 % quantile of the entropy of Gaussian codes on maps of their own: mean - 2.326 standard deviations of a few."""
    codes = atlas.codes(kind, i, stage)
    found = []
    for number in range(atlas.run.surrogates):
        surrogate = gaussian_like(codes, number)
        som = maps.fit(surrogate, atlas.run, number)
        found.append(
            telescope.usage_entropy(telescope.best_units(som, surrogate.to(atlas.run.device), 1).cpu(), som.grid)
        )
    return float(np.mean(found) - 2.326 * np.std(found, ddof=1))


# TEL-4, TEL-5, TEL-6, TEL-10: the spread of classes


def spreads(atlas: Atlas, unseen: bool = False) -> dict[str, np.ndarray]:
    """Distance of every picture's units to the centre of its class over that with shuffled labels: kind to (seeds, N, stages).

    Pictures are weighted so that their mean is the mean over classes. Centres come from the fitted pictures.
    """
    return {
        kind: np.stack(
            [
                np.stack([_relative_spread(atlas, charts[stage], unseen) for stage in atlas.stages], -1)
                for charts in atlas.charts[kind]
            ]
        )
        for kind in atlas.charts
    }


def picture_spread(
    chart: StageMap, labels: Tensor, unseen_labels: Tensor | None = None
) -> tuple[Tensor, telescope.ClassCenters]:
    """Distance of each picture to its class's centre, float64 (N,), and the centres, which are the fitted pictures'."""
    classes = int(max(part.max() for part in (labels, unseen_labels) if part is not None)) + 1
    centers = telescope.class_centers(chart.fitted, labels, chart.som.grid, classes)
    if unseen_labels is None:
        return telescope.center_offsets(chart.fitted, labels, centers, chart.som.grid), centers
    return telescope.center_offsets(chart.unseen, unseen_labels, centers, chart.som.grid), centers


def unit_offsets(chart: StageMap, labels: Tensor, unseen_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of every best unit to the centre of its picture's class: of fitted (N k,) and of unseen pictures (M k,)."""
    _, centers = picture_spread(chart, labels)
    k = chart.fitted.shape[1]
    return tuple(
        telescope.center_offsets(units.reshape(-1, 1), own.repeat_interleave(k), centers, chart.som.grid)
        for units, own in ((chart.fitted, labels), (chart.unseen, unseen_labels))
    )


def class_means(values: Tensor, labels: Tensor) -> np.ndarray:
    """Mean of values (N,) within each class that occurs."""
    return np.array([float(values[labels == label].mean()) for label in labels.unique()])


def _weights(labels: Tensor) -> np.ndarray:
    """Weights (N,) of mean 1 that make a mean over pictures the mean over classes."""
    counts = torch.bincount(labels).double()
    return (len(labels) / (counts > 0).sum() / counts[labels]).numpy()


def shuffled_spread(chart: StageMap, labels: Tensor) -> float:
    """Mean spread of classes whose labels are shuffled, over a few shuffles."""
    found = []
    for number in range(SHUFFLES):
        mixed = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(number))]
        found.append(class_means(picture_spread(chart, mixed)[0], mixed).mean())
    return float(np.mean(found))


def _relative_spread(atlas: Atlas, chart: StageMap, unseen: bool) -> np.ndarray:
    labels = atlas.unseen_labels if unseen else atlas.labels
    away, _ = picture_spread(chart, atlas.labels, atlas.unseen_labels if unseen else None)
    return away.numpy() * _weights(labels) / shuffled_spread(chart, atlas.labels)


def clustered(atlas: Atlas, relative: Mapping[str, np.ndarray]) -> dict[str, Any] | str:
    """TEL-4: spread over that with shuffled labels at the last stage."""
    if missing := few_of_a_class(atlas.labels):
        return missing
    found = stats.compare(
        {k: rows[..., -1] for k, rows in relative.items()}, np.mean, atlas.run.bootstrap, atlas.run.seed
    )
    by_stage = relative["trained"].mean((0, 1))
    return found | {
        "also": {"every_stage": float(by_stage.max())},
        "baseline": found["baseline"] | {"shuffled labels": 1.0},
    }


def shrinking(atlas: Atlas, relative: Mapping[str, np.ndarray]) -> dict[str, Any] | str:
    """TEL-5 and TEL-10: the same quotient, last stage over first."""
    if missing := few_of_a_class(atlas.labels):
        return missing
    found = stats.compare(relative, _last_over_first, atlas.run.bootstrap, atlas.run.seed)
    means = relative["trained"].mean((0, 1))
    return found | {"baseline": found["baseline"] | {"first stage": float(means[0]), "last stage": float(means[-1])}}


def _last_over_first(rows: np.ndarray, axis: int) -> np.ndarray:
    mean = rows.mean(axis)
    return mean[..., -1] / mean[..., 0]


def generalises(
    atlas: Atlas, relative: Mapping[str, np.ndarray], unseen: Mapping[str, np.ndarray]
) -> dict[str, Any] | str:
    """TEL-6: spread of unseen pictures about the fitted centres over that of the fitted ones, last stage."""
    if missing := few_of_a_class(atlas.labels):
        return missing
    run = atlas.run
    fitted = stats.bootstrap(relative["trained"][..., -1], draws=run.bootstrap, seed=run.seed)
    other = stats.bootstrap(unseen["trained"][..., -1], draws=run.bootstrap, seed=run.seed + 1)
    ratio = stats.Estimate(
        other.value / fitted.value, other.draws[: len(fitted.draws)] / fitted.draws[: len(other.draws)]
    )
    outliers = []
    for charts in atlas.charts["trained"]:
        own, new = unit_offsets(charts[atlas.last], atlas.labels, atlas.unseen_labels)
        low, high = np.quantile(own, [0.25, 0.75])
        reach = 1.5 * (high - low)
        outside = [((part < low - reach) | (part > high + reach)).double().mean() for part in (new, own)]
        outliers.append(float(outside[0] - outside[1]))
    twin = {kind: float(unseen[kind][..., -1].mean()) for kind in BOTH}
    return {
        "value": ratio.value,
        "ci": ratio.interval(),
        "also": {"more_outliers": float(np.mean(outliers)), "below_twin": twin["trained"] - twin["untrained"]},
        "baseline": {
            "untrained": twin["untrained"] / float(relative["untrained"][..., -1].mean()),
            "shuffled labels, unseen": float(np.mean([_shuffled_unseen(atlas, c[atlas.last]) for c in atlas.charts["trained"]])),
        },
    }  # fmt: skip


def _shuffled_unseen(atlas: Atlas, chart: StageMap) -> float:
    """The quotient of TEL-6 when the labels of both parts are shuffled."""
    generator = torch.Generator().manual_seed(0)
    labels, others = (
        part[torch.randperm(len(part), generator=generator)] for part in (atlas.labels, atlas.unseen_labels)
    )
    own, new = picture_spread(chart, labels)[0], picture_spread(chart, labels, others)[0]
    return float(class_means(new, others).mean() / class_means(own, labels).mean())


# TEL-7, TEL-8, TEL-9, TEL-17: how far codes lie apart


def relative_distances(atlas: Atlas) -> dict[str, dict[str, np.ndarray]]:
    """Unit distance over loss of every kind, stage and seed, the input and the stem included: (seeds,)."""
    return {
        kind: {
            tap: atlas.each(kind, tap, lambda chart: chart.relative_distance)
            for tap in ("input", atlas.stem, *atlas.stages)
        }
        for kind in atlas.charts
    }


def _growth(first: np.ndarray, last: np.ndarray) -> float:
    """The geometric mean over seeds of last / first, NaN where one is 0."""
    return float(_log_mean(last / first)) if (first > 0).all() and (last > 0).all() else float("nan")


def _growths(atlas: Atlas, kind: str, of_chart: Callable, of_replicate: Callable) -> tuple[float, np.ndarray]:
    """Growth from first to last stage: the geometric mean over seeds, and that of each repetition (R,)."""
    own = atlas.each(kind, atlas.last, of_chart) / atlas.each(kind, atlas.first, of_chart)
    again = np.array(
        [
            [of_replicate(b) / of_replicate(a) for a, b in zip(seed[atlas.first], seed[atlas.last], strict=True)]
            for seed in atlas.replicates[kind]
        ]
    )
    return float(_log_mean(own)), _log_mean(again)


def _growth_over_twin(
    atlas: Atlas, of_chart: Callable, of_replicate: Callable, codings: Mapping[str, float]
) -> dict[str, Any]:
    own, again = _growths(atlas, "trained", of_chart, of_replicate)
    twin, twin_again = _growths(atlas, "untrained", of_chart, of_replicate)
    estimate = stats.replicated(own / twin, again / twin_again, log=True)
    return {
        "value": estimate.value,
        "ci": estimate.interval(),
        "also": {"raw_growth": own, "every_coding": min(codings.values())},
        "baseline": {"growth, untrained": twin} | {f"coding {name}": value for name, value in codings.items()},
    }


def diverse_units(
    atlas: Atlas, codings: Mapping[str, Mapping[str, float]], gaussian: Sequence[Mapping[str, StageMap]] | None = None
) -> dict[str, Any]:
    """TEL-7: growth of unit distance over loss from first to last stage, trained over untrained.

    `gaussian` are the maps of `gaussian_charts`, made here where they are not given.
    """
    found = _growth_over_twin(
        atlas, lambda chart: chart.relative_distance, lambda r: r.relative_distance, _twin_relative(codings, "units")
    )
    rows = gaussian or gaussian_charts(atlas, (atlas.first, atlas.last))
    ends = [np.array([row[stage].relative_distance for row in rows]) for stage in (atlas.first, atlas.last)]
    return found | {"baseline": found["baseline"] | {"growth, Gaussian codes": _growth(*ends)}}


def gaussian_charts(atlas: Atlas, stages: Sequence[str] | None = None) -> list[dict[str, StageMap]]:
    """Maps of Gaussian codes with the mean and covariance of each stage's, of the trained network alone: an entry per seed."""
    return [
        {stage: _gaussian_chart(atlas, i, stage) for stage in stages or atlas.stages}
        for i in range(len(atlas.run.seeds))
    ]


def _gaussian_chart(atlas: Atlas, i: int, stage: str) -> StageMap:
    codes = gaussian_like(atlas.codes("trained", i, stage), i)
    return maps.chart(codes, codes[:1], atlas.run, atlas.run.seeds[i])


def diverse_centers(atlas: Atlas, codings: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | str:
    """TEL-8: the same for the weights at class centres."""
    if missing := few_of_a_class(atlas.labels):
        return missing
    apart = [
        one.relative_centers
        for kind in BOTH
        for seed in atlas.replicates[kind]
        for s in atlas.stages
        for one in seed[s]
    ]
    if not (np.array([*apart, *(value for row in codings.values() for value in row.values())]) > 0).all():
        return ON_ONE_UNIT
    found = _growth_over_twin(
        atlas,
        lambda chart: relative_centers(chart, atlas.labels),
        lambda r: r.relative_centers,
        _twin_relative(codings, "centres"),
    )
    mixed = shuffled(atlas.labels)
    ends = [atlas.each("trained", s, lambda chart: relative_centers(chart, mixed)) for s in (atlas.first, atlas.last)]
    return found | {"baseline": found["baseline"] | {"growth, shuffled labels": _growth(*ends)}}


SMALL_PICTURES = ("cifar10", "cifar100", "svhn")


def on_small_pictures(run: Run, spread: Mapping[str, Any] | str, units: Mapping[str, Any]) -> dict[str, Any] | str:
    """TEL-10: TEL-5 on one of the paper's small data sets, with the value of TEL-7 as its second condition."""
    if isinstance(spread, str) or run.dataset not in SMALL_PICTURES:
        return spread if isinstance(spread, str) else "Judged in the runs on CIFAR-10."
    return {**spread, "also": {"code_growth": units["value"]}}


def relative_centers(chart: StageMap, labels: Tensor) -> float:
    """Median distance between weights at class centres over the loss."""
    return maps.median_centers(chart.som, chart.fitted, labels) / chart.loss


Charts = Mapping[str, Sequence[Mapping[str, StageMap]]]
"""Maps of every kind, seed and stage."""


def _ends(atlas: Atlas, kind: str) -> tuple[str, ...]:
    """The stages that are mapped under every coding: the first one alone of networks beside the twins (TEL-21)."""
    return (atlas.first, atlas.last) if kind in BOTH else (atlas.first,)


def coding_charts(atlas: Atlas) -> dict[str, Charts]:
    """Maps under every coding: those of the atlas for the run's own, for the others new ones of the first and last stage."""
    ends = [
        {kind: [{s: member[s] for s in _ends(atlas, kind)} for member in members] for kind, members in part.items()}
        for part in (atlas.fitted, atlas.unseen)
    ]
    return {
        coding: atlas.charts if coding == atlas.run.coding else maps.charts(*ends, atlas.run, coding)
        for coding in maps.CODINGS
    }


def coding_growths(atlas: Atlas, codings: Mapping[str, Charts]) -> dict[str, dict[str, float]]:
    """Growth from first to last stage under every coding, of units and centres: coding to {"units, trained": ...}.

    `codings` comes from `coding_charts`.
    """
    return {coding: growths_of(atlas, charts) for coding, charts in codings.items()}


def coding_distances(atlas: Atlas, codings: Mapping[str, Charts]) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """q = unit distance over loss at the first and last stage under every coding: coding, kind and stage to (seeds,).

    Networks beside the twins have their first stage alone. `codings` comes from `coding_charts`.
    """
    return {
        coding: {
            kind: {s: np.array([row[s].relative_distance for row in rows]) for s in _ends(atlas, kind)}
            for kind, rows in charts.items()
        }
        for coding, charts in codings.items()
    }


def growths_of(atlas: Atlas, charts: Charts) -> dict[str, float]:
    """Growth of both distances from first to last stage on some maps, by "units, trained" and so on."""
    found = {}
    for name, measure in (
        ("units", lambda chart: chart.relative_distance), ("centres", lambda chart: relative_centers(chart, atlas.labels))
    ):  # fmt: skip
        for kind in BOTH:
            ends = [np.array([measure(seed[stage]) for seed in charts[kind]]) for stage in (atlas.first, atlas.last)]
            found[f"{name}, {kind}"] = _growth(*ends)
    return found


def _twin_relative(codings: Mapping[str, Mapping[str, float]], name: str) -> dict[str, float]:
    return {coding: row[f"{name}, trained"] / row[f"{name}, untrained"] for coding, row in codings.items()}


def grid_charts(atlas: Atlas, grids: Sequence[int]) -> dict[str, dict[int, dict[str, np.ndarray]]]:
    """Median distance of class centres on grids of several sizes: kind, size and stage to (seeds,)."""
    run, found = atlas.run, {}
    for kind in BOTH:
        for grid in grids:
            for stage in atlas.stages:
                rows = []
                for i, seed in enumerate(run.seeds):
                    if grid == run.grid:
                        som, units = atlas.charts[kind][i][stage].som, atlas.charts[kind][i][stage].fitted
                    else:
                        codes = atlas.codes(kind, i, stage).to(run.device)
                        som = maps.fit(codes, run, seed, grid)
                        units = telescope.best_units(som, codes, min(run.best_units, grid * grid)).cpu()
                    rows.append(maps.median_centers(som, units, atlas.labels))
                found.setdefault(kind, {}).setdefault(grid, {})[stage] = np.array(rows)
    return found


REGISTERED_GRIDS = (10, 20)
"""The maps that TEL-9 compares below the scale `paper`, as claims/ fixed them."""


def same_on_grids(atlas: Atlas, found: Mapping[str, Mapping[int, Mapping[str, np.ndarray]]]) -> dict[str, Any] | str:
    """TEL-9: largest deviation of a grid's median distance of centres from the mean over grids, over stages; mean over seeds."""
    if missing := few_of_a_class(atlas.labels):
        return missing
    if any((values == 0).any() for rows in found.values() for row in rows.values() for values in row.values()):
        return ON_ONE_UNIT
    if atlas.run.preset != "paper":
        if not set(REGISTERED_GRIDS) <= set(found["trained"]):
            return "The test compares maps of 10 x 10 and 20 x 20 units, which are not both among `grids`."
        found = {kind: {grid: rows[grid] for grid in REGISTERED_GRIDS} for kind, rows in found.items()}

    def largest(kind: str) -> float:
        by_stage = np.array([[found[kind][grid][stage] for stage in atlas.stages] for grid in found[kind]])
        return float(np.abs(by_stage / by_stage.mean(0) - 1).max((0, 1)).mean())

    largest_grid = max(found["trained"])
    between = np.array([found["trained"][largest_grid][stage] for stage in atlas.stages])
    note = ", ".join(f"{grid} x {grid}" for grid in found["trained"])
    return {
        "value": largest("trained"),
        "baseline": {
            "between seeds on the largest map": float(np.abs(between / between.mean(1, keepdims=True) - 1).max()),
            "untrained": largest("untrained"),
        },
        "note": f"grids {note}",
    }  # fmt: skip


PIXELS = 1000
"""Pixels of a picture that stand for it, spread evenly, where it has more."""


def pixel_distances(run: Run, pictures: Pictures) -> np.ndarray:
    """Unit distance over loss of maps of the pixels themselves: (seeds, 1 + repeats), the first of all pictures, the others of
    resampled ones.
    """
    pixels = torch.cat([activations.strided_columns(inputs, PIXELS) for inputs, _ in pictures.batches()])

    def distance(codes: Tensor, seed: int) -> float:
        som = maps.fit(codes, run, seed)
        return maps.median(telescope.unit_distances(som)) / telescope.mean_loss(som, codes.to(run.device))

    return np.array(
        [
            [distance(pixels, seed)]
            + [distance(pixels[maps.resample(len(pixels), r)], 1000 * (seed + 1) + r) for r in range(run.repeats)]
            for seed in run.seeds
        ]
    )


def condense_then_expand(
    atlas: Atlas, pixels: np.ndarray, codings: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
) -> dict[str, Any]:
    """TEL-17: q = unit distance over loss; the smaller of q(pixels) / q(CL1) and q(last) / q(CL1), over resampled maps.

    `pixels` comes from `pixel_distances`; q of the input coded like a stage stands beside it, and the same number under every
    coding, from `coding_distances`. Pixels are no code of channels: they are the same under all of them.
    """
    both = {}
    for kind in BOTH:
        first, last = (
            np.concatenate(
                [
                    atlas.each(kind, stage, lambda chart: chart.relative_distance)[:, None],
                    [[one.relative_distance for one in seed[stage]] for seed in atlas.replicates[kind]],
                ],
                1,
            )
            for stage in (atlas.first, atlas.last)
        )
        both[kind] = np.minimum(_log_mean(pixels / first), _log_mean(last / first))
    own = stats.replicated(float(both["trained"][0]), both["trained"][1:], log=True)
    difference = both["trained"] - both["untrained"]
    q = relative_distances(atlas)["trained"]
    return {
        "value": own.value,
        "ci": own.interval(),
        "twin": stats.replicated(float(difference[0]), difference[1:]),
        "baseline": {"untrained": float(both["untrained"][0]), "q, pixels": float(_log_mean(pixels)[0])}
        | {f"q, {tap}": float(_log_mean(q[tap])) for tap in q}
        | _finite(
            {
                f"coding {coding}": float(
                    np.min([_growth(one[atlas.first], above) for above in (pixels[:, 0], one[atlas.last])])
                )
                for coding, one in ((coding, kinds["trained"]) for coding, kinds in codings.items())
            }
        ),
    }


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers: a map on which all units are alike has none."""
    return {name: value for name, value in values.items() if np.isfinite(value)}


# TEL-18: who shares a code with whom


def membership(atlas: Atlas) -> dict[str, Any] | str:
    """TEL-18: mutual information of units between neighbouring stages over that of either stage's maps with two starts."""
    again = {kind: np.mean([_shared(seed, atlas.stages) for seed in atlas.replicates[kind]], 0) for kind in BOTH}
    if not all(np.isfinite(rows).all() for rows in again.values()):
        return "Two maps of one stage share nothing here, so there is nothing to compare with."
    own = stats.replicated(float(again["trained"].mean()), again["trained"])
    difference = again["trained"] - again["untrained"]
    growth = {
        kind: float(np.mean([_perplexity_growth(c[atlas.last]) for c in atlas.charts[kind]])) for kind in atlas.charts
    }
    if "memorising" not in growth:
        return (
            "There is no network here that memorised shuffled labels, which the second condition asks for; the quotient is "
            f"{own.value:.3f}, untrained {again['untrained'].mean():.3f}."
        )
    return {
        "value": own.value,
        "ci": own.interval(),
        "twin": stats.replicated(float(difference.mean()), difference),
        "also": {"perplexity_growth": growth["trained"] - growth["memorising"]},
        "baseline": {"untrained": float(again["untrained"].mean())}
        | {f"perplexity growth, {k}": v for k, v in growth.items()},
    }


def _shared(replicates: Mapping[str, Sequence[Replicate]], stages: Sequence[str]) -> np.ndarray:
    """The quotient of each repetition, which the next one gives the other start to: (R,); NaN where a stage's maps share nothing."""
    repeats = len(replicates[stages[0]])
    found = []
    for r in range(repeats):
        one, other = ({s: replicates[s][n % repeats].units for s in stages} for n in (r, r + 1))
        within = {s: _ami(one[s], other[s]) for s in stages}
        pairs = [(_ami(one[a], other[b]), (within[a] + within[b]) / 2) for a, b in itertools.pairwise(stages)]
        found.append([between / same if same > 0 else np.nan for between, same in pairs])
    return np.mean(found, 1)


def _ami(a: Tensor, b: Tensor) -> float:
    return float(adjusted_mutual_info_score(a.numpy(), b.numpy()))


def _perplexity_growth(chart: StageMap) -> float:
    """Growth of the log perplexity of the units when half of the pictures become all."""
    log_units = np.log(np.prod(chart.som.grid))
    half = telescope.usage_entropy(chart.fitted[::2, 0], chart.som.grid)
    return (telescope.usage_entropy(chart.fitted[:, 0], chart.som.grid) - half) * float(log_units)


# TEL-15: errors lie far out


def errors_far_out(atlas: Atlas, right: np.ndarray, shuffle_seed: int = 0) -> dict[str, Any] | str:
    """TEL-15: P(a wrong picture lies farther from its label's centre than a right one of the class), last stage.

    `right` bool (seeds, M) says which unseen pictures the trained network got right.
    """
    if missing := few_of_a_class(atlas.labels):
        return missing
    errors, good = int((~right).sum(1).min()), int(right.sum(1).min())
    if errors < 50 or good < 50:
        return (
            f"{errors} errors and {good} right answers among {right.shape[1]} unseen pictures; 50 of each are needed."
        )
    labels = atlas.unseen_labels.numpy()
    away = {
        kind: np.stack(
            [picture_spread(c[atlas.last], atlas.labels, atlas.unseen_labels)[0].numpy() for c in atlas.charts[kind]]
        )
        for kind in BOTH
    }
    mixed = np.random.default_rng(shuffle_seed).permuted(right, axis=1)
    rows = {
        kind: np.stack([a, np.broadcast_to(right, a.shape), np.broadcast_to(labels, a.shape)], -1)
        for kind, a in away.items()
    }
    rows["shuffled split"] = np.stack(
        [away["trained"], np.broadcast_to(mixed, away["trained"].shape), rows["trained"][..., 2]], -1
    )
    found = stats.compare(rows, farther, min(atlas.run.bootstrap, 500), atlas.run.seed)
    return found | {"note": f"{errors} errors", "baseline": found["baseline"] | {"chance": 0.5}}


def farther(rows: np.ndarray, axis: int) -> np.ndarray:
    """P(wrong farther than right of its class) from rows (..., N, 3) of distance, right (1 or 0) and class; ties are a half."""
    rows = np.moveaxis(rows, axis, -2)
    flat = rows.reshape(-1, *rows.shape[-2:])
    found = []
    for away, right, label in flat.transpose(0, 2, 1):
        wins = pairs = 0.0
        for one in np.unique(label[right == 0]):
            wrong, good = away[(label == one) & (right == 0)], np.sort(away[(label == one) & (right == 1)])
            wins += (np.searchsorted(good, wrong, "left") + np.searchsorted(good, wrong, "right")).sum() / 2
            pairs += len(wrong) * len(good)
        found.append(wins / pairs if pairs else np.nan)
    return np.array(found).reshape(rows.shape[:-2])


# TEL-19: codes of one class are closer


def closer_within(atlas: Atlas, nonlinear: Mapping[str, np.ndarray]) -> dict[str, Any] | str:
    """TEL-19: mean distance of unseen codes within a class over that between classes, last stage; interval over pictures.

    `nonlinear` is the share of a change at CL1 that is not linear, for each perturbation (seeds, pictures).
    """
    if missing := few_of_a_class(atlas.unseen_labels):
        return missing
    found = {kind: within_between(atlas, kind, atlas.unseen_labels) for kind in BOTH}
    chance = within_between(atlas, "trained", shuffled(atlas.unseen_labels), draws=1)
    own = stats.Estimate(float(found["trained"][-1, 0]), found["trained"][-1, 1:])
    difference = found["trained"][-1] - found["untrained"][-1]
    share = {name: float(rows.mean()) for name, rows in nonlinear.items()}
    return {
        "value": own.value,
        "ci": own.interval(),
        "twin": stats.Estimate(float(difference[0]), difference[1:]),
        "also": {
            "falls_with_depth": float(_slope(found["trained"][:, 0], 0)), "nonlinear_part_cl1": max(share.values()),
        },
        "baseline": {"untrained": float(found["untrained"][-1, 0]), "shuffled labels": float(chance[-1, 0])}
        | {f"first stage, {kind}": float(found[kind][0, 0]) for kind in BOTH}
        | {f"nonlinear part, {name}": value for name, value in share.items()},
    }  # fmt: skip


def within_between(atlas: Atlas, kind: str, labels: Tensor, draws: int | None = None, most: int = 1000) -> np.ndarray:
    """Within over between distance of each stage, mean over seeds: (stages, 1 + draws), then of bootstrap draws of pictures."""
    draws = draws or min(atlas.run.bootstrap, 1000)
    kept = torch.arange(len(labels))[:: -(-len(labels) // most)]
    rng = np.random.default_rng(atlas.run.seed)
    times = rng.multinomial(len(kept), np.full(len(kept), 1 / len(kept)), size=draws).astype(np.float32)
    times = torch.from_numpy(np.concatenate([np.ones((1, len(kept)), np.float32), times]))
    same = labels[kept][:, None] == labels[kept]
    rows = []
    for member in atlas.unseen[kind]:
        stages = []
        for stage in atlas.stages:
            codes = maps.coded(member[stage], atlas.run.coding)[kept]
            apart = telescope.cosine_distances(codes, codes).fill_diagonal_(0)
            means = []
            for mask in (same.float().fill_diagonal_(0), (~same).float()):
                means.append(((times @ (apart * mask)) * times).sum(1) / ((times @ mask) * times).sum(1))
            stages.append((means[0] / means[1]).double().numpy())
        rows.append(stages)
    return np.mean(rows, 0)


# TEL-21: noise in the labels


def condensing_helps(
    q: Mapping[str, np.ndarray],
    accuracy: Mapping[str, np.ndarray],
    seed: int,
    codings: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any] | str:
    """TEL-21: Spearman correlation over networks of q at CL1 and test accuracy; (seeds,) for each share of shuffled labels.

    `codings` holds the same q under every coding; their correlations stand beside it.
    """
    x, y = (np.concatenate([rows[kind] for kind in q]) for rows in (q, accuracy))
    if min(np.ptp(x), np.ptp(y)) == 0:
        return "All networks have the same accuracy on unseen pictures."
    rng = np.random.default_rng(seed)
    chance = [spearmanr(rng.permutation(x), y).statistic for _ in range(2000)]
    return {
        "value": float(spearmanr(x, y).statistic),
        "baseline": {"order permuted, 5 % quantile": float(np.quantile(chance, 0.05))}
        | {f"q, {kind}": float(rows.mean()) for kind, rows in q.items()}
        | {f"test accuracy, {kind}": float(rows.mean()) for kind, rows in accuracy.items()}
        | {
            f"coding {coding}": float(spearmanr(other, y).statistic)
            for coding, rows in codings.items()
            if np.ptp(other := np.concatenate([rows[kind] for kind in q])) > 0
        },
        "note": f"{len(x)} networks",
    }
