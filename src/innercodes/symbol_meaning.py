"""Do symbols mean the class? The measured quantity of SYM-2, 3, 4, 13, 14, 15 and 16, as `claims.Results.take` wants it.

Where a run can not measure a claim the function gives the reason, as text. The claims' tests stand in claims/symbols.yml.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information
from torch import Tensor

from innercodes import codebook, stats, symbol_checks, xmeans
from innercodes import symbols as lens
from innercodes.parameters import Run
from innercodes.stats import Estimate
from innercodes.symbol_survey import BOTH, FITTED, POOLINGS, UNSEEN, Shown, StageCode, Survey, judged

COUNTS = (10, 20, 50, 100, 200, 500, 1000)
"""Numbers of symbols that SYM-14 chooses from."""
ONE_SYMBOL = "Some stage has one symbol alone, or the pictures have one class."


def resampled(
    rows: Mapping[str, Sequence[np.ndarray]], function: Callable[[np.ndarray], Sequence[float]], draws: int, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Several numbers of each kind, and of each draw of pictures: rows (N, columns) of every seed to (m,) and (draws, m).

    The bootstrap of `stats` for a function that is slow and gives `m` numbers: it is asked once for each draw, kind and seed,
    and the mean over seeds taken. Every draw takes the same pictures for all seeds and kinds; a picture's cells stay together.
    """
    count = len(next(iter(rows.values()))[0])
    picks = np.random.default_rng(seed).integers(0, count, (draws, count))
    own = {kind: np.mean([function(one) for one in members], 0) for kind, members in rows.items()}
    drawn = {
        kind: np.mean([[function(one[pick]) for pick in picks] for one in members], 0) for kind, members in rows.items()
    }
    return {kind: (own[kind], drawn[kind]) for kind in rows}


def information_draws(symbols: Tensor, truth: Tensor, picks: np.ndarray) -> np.ndarray:
    """`lens.information` of the pictures of each draw: int64 (N, cells), (N,) or (N, cells), and int (draws, n) to (draws,).

    The expected information is that of all pictures, for every draw: it takes twenty times as long as the rest, and depends on
    how often symbols and truths are seen, which draws hardly change. How far draws spread is all that may be taken from them.
    """
    wide = (truth[:, None] if truth.ndim == 1 else truth).expand_as(symbols)
    first, second = (part.unique(return_inverse=True)[1].cpu().numpy() for part in (symbols, wide))
    expected = expected_mutual_information(
        contingency_matrix(first.ravel(), second.ravel(), sparse=True), first.size
    )  # fmt: skip
    columns = int(second.max()) + 1
    size, joint = (int(first.max()) + 1) * columns, first * columns + second
    found = []
    for pick in picks:
        table = np.bincount(joint[pick].ravel(), minlength=size).reshape(-1, columns)
        largest = (entropy(table.sum(0)) + entropy(table.sum(1))) / 2
        told = mutual_info_score(None, None, contingency=table)
        found.append((told - expected) / max(largest - expected, np.finfo(np.float64).eps))
    return np.array(found)


Pairs = Sequence[tuple[Tensor, Tensor]]
"""Symbols int64 (N, cells) and what they are compared with, int64 (N,) or (N, cells)."""


def information_resampled(
    pairs: Mapping[str, Sequence[Pairs]], combine: Callable[[np.ndarray], np.ndarray], draws: int, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`resampled` for numbers (m, ...) that `combine` makes of the AMIs (pairs, ...) of every seed's pairs.

    The draws are those of `information_draws`, and so to be `lens.recentred`.
    """
    count = len(next(iter(pairs.values()))[0][0][0])
    picks = np.random.default_rng(seed).integers(0, count, (draws, count))
    own = {
        kind: np.mean([combine(np.array([lens.information(*pair) for pair in one])) for one in members], 0)
        for kind, members in pairs.items()
    }
    drawn = {
        kind: np.mean([combine(np.stack([information_draws(*pair, picks) for pair in one])).T for one in members], 0)
        for kind, members in pairs.items()
    }
    return {kind: (own[kind], drawn[kind]) for kind in pairs}


def k_means(code: StageCode, count: int, seed: int, name: str) -> Tensor:
    """The symbols of a set with k-means at any number of them in the same embedding, int64 (N, cells)."""
    return xmeans.assign(code.points[name].flatten(0, 1), _centers(code, count, seed)).view(code.points[name].shape[:2])


def _centers(code: StageCode, count: int, seed: int) -> Tensor:
    # The baseline of `codebook` makes as many as there are centres: how many is all that it takes from them.
    room = code.codebook.centers.new_zeros(count, code.codebook.centers.shape[1])
    return codebook.kmeans_codebook(replace(code.codebook, centers=room), seed).centers


# SYM-2: are there clusters?


def clusters(
    survey: Survey,
    surrogates: Mapping[str, Sequence[Mapping[str, tuple[Tensor, Tensor]]]],
    reseeded: Mapping[str, Sequence[Mapping[str, Tensor]]],
    most: int | None = 200,
) -> dict[str, Any] | str:
    """SYM-2: silhouette of the clusters minus that of a Gaussian surrogate, smallest over stages, on the fitted pictures.

    `surrogates` by kind and `reseeded` of the trained network are those of `symbol_survey`; `most` pictures are compared.
    """
    run, rows, gaps = survey.run, {}, []
    for kind in BOTH:
        members = []
        for row, seed in enumerate(run.seeds):
            columns = []
            for stage in survey.stages:
                code, noise = survey.codes[kind][row][stage], surrogates[kind][row][stage]
                pairs = ((code.points[FITTED], code.symbols[FITTED]), noise)
                columns.append(
                    torch.stack([symbol_checks.silhouettes(*pair, most=most, seed=seed) for pair in pairs], -1)
                )
            members.append(torch.stack(columns, 1).numpy())
            if kind == "trained":
                noise = surrogates[kind][row]
                gaps.append(min(survey.codes[kind][row][s].count - len(noise[s][1].unique()) for s in survey.stages))
        rows[kind] = np.stack(members)
    counts = [survey.codes["trained"][row][stage].count for row in survey.rows for stage in survey.stages]
    aris = [np.nan]
    if len(run.seeds) > 1:
        aris = [symbol_checks.stability([one[FITTED] for one in reseeded[stage]]) for stage in survey.stages]
    found = stats.compare(rows, _smallest_gap, run.bootstrap, run.seed)
    means = rows["trained"].mean((0, 1))
    named = zip(survey.stages, means, strict=True)
    return judged(
        found
        | {
            "also": {
                "clusters_above_surrogate": float(np.mean(gaps)),
                "cap_used": max(counts) / run.most,
                "seed_ari": min(aris),
                "blobs": float(eight_blobs(run)),
            },
            "baseline": found["baseline"]
            | {f"{name}, {s}": pair[i] for s, pair in named for i, name in enumerate(("silhouette", "surrogate"))},
        },
        "One seed alone has no pair of clusterings.",
    )


def _smallest_gap(rows: np.ndarray, axis: int) -> np.ndarray:
    means = rows.mean(axis)
    return (means[..., 0] - means[..., 1]).min(-1)


def eight_blobs(run: Run, points: int = 100, apart: float = 10.0) -> int:
    """The number of clusters found for eight Gaussian blobs, `apart` standard deviations; over seeds the one furthest from 8."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, apart])] * 3).repeat_interleave(points, 0)
    found = []
    for seed in run.seeds:
        noise = torch.randn(corners.shape, generator=torch.Generator().manual_seed(seed))
        found.append(len(xmeans.fit(corners + noise, seed, run.most, backend=run.backend).centers))
    return max(found, key=lambda count: abs(count - 8))


# SYM-3, SYM-13: symbols and classes, by depth


def class_meaning(survey: Survey, draws: int = 500, permutations: int = 199) -> dict[str, Any] | str:
    """SYM-3: AMI of symbol and class at the last stage minus that at the first, k-means at the last stage's number at both.

    Draws are `lens.recentred`. The p-value of a stage is that of the mean over seeds.
    """
    run, labels = survey.run, survey.labels
    kinds = {kind: [_equal_count(survey, kind, row) for row in survey.rows] for kind in BOTH}
    ends = (survey.first, survey.last)
    pairs = {kind: [[(one[s], labels) for s in ends] for one in made] for kind, made in kinds.items()}
    gains = information_resampled(pairs, lambda ami: ami[1:] - ami[:1], min(run.bootstrap, draws), run.seed)
    found = _recentred(gains, 0)
    p, permuted_gain = {}, {}
    for stage in survey.stages:
        found_symbols = [one[stage] for one in kinds["trained"]]
        own = np.mean([lens.information(one, labels) for one in found_symbols])
        # One seed for all: every row exchanges the same pictures.
        moved = [lens.permuted_information(one, labels, permutations, run.seed) for one in found_symbols]
        moved = torch.stack(moved).mean(0)
        p[stage], permuted_gain[stage] = lens.permutation_p(float(own), moved), float(moved.mean())
    random = [
        [lens.information(lens.random_symbols(one[s], run.seed), labels) for s in ends] for one in kinds["trained"]
    ]
    baseline = {
        "labels permuted by picture": permuted_gain[survey.last] - permuted_gain[survey.first],
        "random symbols": float(np.diff(random, axis=1).mean()),
    }
    also = {"permutation_p": max(p.values())}
    return judged(found | {"also": also, "baseline": found["baseline"] | baseline}, ONE_SYMBOL)


def _equal_count(survey: Survey, kind: str, row: int) -> dict[str, Tensor]:
    codes = survey.codes[kind][row]
    count = max(2, codes[survey.last].count)
    return {stage: k_means(code, count, survey.run.seeds[row], UNSEEN) for stage, code in codes.items()}


def _recentred(found: Mapping[str, tuple[np.ndarray, np.ndarray]], column: int) -> dict[str, Any]:
    """Value, interval, twin and baseline of one column of `resampled`."""
    (own, drawn), (other, others) = (tuple(part[..., column] for part in found[kind]) for kind in BOTH)
    value = lens.recentred(Estimate(float(own), drawn))
    twin = lens.recentred(Estimate(float(own - other), drawn - others))
    return {"value": value.value, "ci": value.interval(), "twin": twin, "baseline": {"untrained": float(other)}}


def low_level_first(survey: Survey, factors: Mapping[str, Tensor], draws: int = 500) -> dict[str, Any] | str:
    """SYM-13: AMI(symbol, class) minus AMI(symbol, the better matched factor), last stage minus first, on unseen pictures.

    `factors` such as colour and texture, int64 (N,) or, where cells differ, (N, cells) of the unseen pictures.
    """
    run, ends = survey.run, (survey.first, survey.last)
    cells = survey.codes["trained"][0][survey.last].symbols[UNSEEN].shape[1]
    truths = [survey.labels, *factors.values()]
    if len(truths) < 2:
        return "No low-level factor is known of these pictures."
    wide = [truth[:, None].expand(-1, cells) if truth.ndim == 1 else truth for truth in truths]

    def pairs_of(truths: Sequence[Tensor], kind: str, row: int) -> Pairs:
        codes = survey.codes[kind][row]
        return [(codes[stage].symbols[UNSEEN], truth) for stage in ends for truth in truths]

    def changes(ami: np.ndarray) -> np.ndarray:
        first, last = np.split(ami, 2)
        by_class, by_factor = last[0] - first[0], last[1:].max(0) - first[1:].max(0)
        return np.stack([by_class - by_factor, by_class, by_factor])

    pairs = {kind: [pairs_of(wide, kind, row) for row in survey.rows] for kind in BOTH}
    results = information_resampled(pairs, changes, min(run.bootstrap, draws), run.seed)
    moved = [lens.permuted_by_picture(truth, run.seed) for truth in wide]
    chance = [np.array([lens.information(*pair) for pair in pairs_of(moved, "trained", row)]) for row in survey.rows]
    permuted = np.mean([changes(one)[0] for one in chance])
    found, (_, rises, falls) = _recentred(results, 0), results["trained"][0]
    also = {"class_rises": float(rises), "low_level_falls": float(falls)}
    baseline = found["baseline"] | {"labels permuted by picture": float(permuted)}
    return judged(found | {"also": also, "baseline": baseline}, ONE_SYMBOL)


# SYM-4: the class from symbols


def class_prediction(survey: Survey) -> dict[str, Any] | str:
    """SYM-4: accuracy of the class that the last stage's symbols name, over chance; the accuracy itself at the scale `paper`."""
    run = survey.run
    scale = 1 if run.preset == "paper" else survey.classes
    rows = {kind: scale * survey.accuracy_rows(kind, survey.last) for kind in BOTH}
    found = stats.compare(rows, np.mean, run.bootstrap, run.seed)
    accuracy = {stage: survey.accuracy_rows("trained", stage).mean() for stage in survey.stages}
    also = {"last_minus_first": accuracy[survey.last] - accuracy[survey.first]}
    baseline = {
        "chance": scale / survey.classes,
        "shuffled labels": scale * np.mean([_shuffled(survey, row) for row in survey.rows]),
        "nearest class mean": scale * np.mean([_nearest(survey, row) for row in survey.rows]),
        **{f"accuracy, {stage}": value for stage, value in accuracy.items()},
    }
    also["near_80_percent"] = accuracy[survey.last]
    return judged(found | {"also": also, "baseline": found["baseline"] | baseline}, ONE_SYMBOL)


def _shuffled(survey: Survey, row: int) -> float:
    code, mapped = survey.codes["trained"][row][survey.last], survey.mapped(row)
    labels = lens.permuted_by_picture(survey.sets[FITTED].labels[mapped], survey.run.seeds[row])
    chance = lens.correlation_map(code.symbols[FITTED][mapped], labels, code.count, survey.classes)
    return float((lens.predict(code.symbols[UNSEEN], chance) == survey.labels).double().mean())


def _nearest(survey: Survey, row: int) -> float:
    fitted, unseen = (survey.heard("trained", row, name).vectors[survey.last] for name in (FITTED, UNSEEN))
    known, numbers = survey.sets[FITTED].labels.unique(return_inverse=True)
    named = known[lens.nearest_mean(unseen, lens.class_means(fitted, numbers, len(known)))]
    return float((named == survey.labels).double().mean())


# SYM-14, SYM-15: the number of symbols, and the place that is pooled


def number_of_symbols(survey: Survey, counts: Sequence[int] = COUNTS) -> dict[str, Any] | str:
    """SYM-14: last-stage accuracy with K symbols minus that with the fewest, K chosen on the other half of the unseen pictures.

    K-means in the same embedding. All seeds and the twin share one split. `counts` beyond the fitted vectors are left out.
    """
    run, labels = survey.run, survey.sets[FITTED].labels
    room = len(survey.codes["trained"][0][survey.last].codebook.vectors)
    counts = [count for count in counts if count <= room]
    if len(counts) < 2:
        return f"{room} fitted vectors leave no choice of numbers of symbols."
    rows, controls, chosen = {}, [], []
    for kind in BOTH:
        members = []
        for row, seed in enumerate(run.seeds):
            code, mapped = survey.codes[kind][row][survey.last], survey.mapped(row)

            def coded(count: int, code: StageCode = code, seed: int = seed, mapped: Tensor = mapped):
                return k_means(code, count, seed, FITTED)[mapped], k_means(code, count, seed, UNSEEN)

            best = symbol_checks.choose_count(coded, counts, labels[mapped], survey.labels, survey.classes, run.seed)
            members.append((best.right - best.right_fewest).numpy())
            if kind == "trained":
                chosen.append(best.chosen)
                controls.append(_number_controls(survey, row, coded(best.chosen), best))
        rows[kind] = np.stack(members)
    found = stats.compare(rows, np.mean, run.bootstrap, run.seed)
    names = ("X-means", "random symbols")
    baseline = dict(zip(names, np.mean(controls, 0), strict=True))
    note = f"K = {', '.join(map(str, chosen))} by seed"
    return judged(found | {"baseline": found["baseline"] | baseline, "note": note}, ONE_SYMBOL)


def _number_controls(
    survey: Survey, row: int, coded: tuple[Tensor, Tensor], best: symbol_checks.CountChoice
) -> tuple[float, float]:
    """The same difference with X-means' own number, and with random symbols of the chosen one."""
    labels, seed, mapped = survey.sets[FITTED].labels, survey.run.seeds[row], survey.mapped(row)
    own = survey.named("trained", row, survey.last) == survey.labels
    fitted, unseen = (lens.random_symbols(part, seed) for part in coded)
    chance = lens.correlation_map(fitted, labels[mapped], best.chosen, survey.classes)
    random = lens.predict(unseen, chance) == survey.labels
    return tuple(float((one[best.pictures].double() - best.right_fewest).mean()) for one in (own, random))


def region_pooling(
    survey: Survey, right: Mapping[str, Mapping[str, np.ndarray]], sides: tuple[int, int]
) -> dict[str, Any] | str:
    """SYM-15: last-stage accuracy with 3 x 3 region pooling minus the better of global and whole-picture pooling.

    `right` from `symbol_survey.poolings`; `sides` (H, W) of the pictures, whose boxes must not all be the whole.
    """
    if whole_pictures(survey.sets[UNSEEN], sides):
        return "Every region is the whole picture, so that there is nothing to aim at."
    rows = {kind: np.stack([right[kind][name] for name in POOLINGS[:3]], -1) for kind in BOTH}
    found = stats.compare(rows, _above_better, survey.run.bootstrap, survey.run.seed)
    means = {f"accuracy, {name}": values.mean() for name, values in right["trained"].items()}
    return judged(found | {"baseline": found["baseline"] | means}, ONE_SYMBOL)


def whole_pictures(shown: Shown, sides: tuple[int, int]) -> bool:
    """Whether every box is the whole picture of these sides (H, W)."""
    whole = torch.tensor([0.0, 0.0, sides[1], sides[0]])
    return bool((shown.boxes == whole).all())


def _above_better(rows: np.ndarray, axis: int) -> np.ndarray:
    means = rows.mean(axis)
    return means[..., 0] - means[..., 1:].max(-1)


# SYM-16: the same symbols again


def stable(
    run: Run, seeds: Mapping[str, Sequence[Tensor]], networks: Mapping[str, Sequence[Tensor]], draws: int = 500
) -> dict[str, Any] | str:
    """SYM-16: adjusted Rand index of last-stage symbols of the same pictures: over seeds or over networks, the smaller mean.

    Codings int64 (N, cells) by kind: of one network under other `seeds` (`symbol_survey.reseeded`), and of retrained `networks`.
    """
    few = min(len(codings[kind]) for codings in (seeds, networks) for kind in BOTH)
    if min(len(networks[kind]) for kind in BOTH) < 3:
        return "The claim asks for three networks trained apart; this run has fewer."
    if few < 2:
        return "One seed alone has no pair of clusterings."
    cells = networks["trained"][0].shape[1]

    def rows_of(kind: str) -> list[np.ndarray]:
        return [torch.cat([*seeds[kind], *networks[kind]], 1).numpy()]

    def smaller(table: np.ndarray) -> list[float]:
        codings = torch.from_numpy(table).split(cells, 1)
        split = len(seeds["trained"])
        both = [symbol_checks.stability(part) for part in (codings[:split], codings[split:])]
        return [min(both), *both]

    if len({len(seeds[kind]) for kind in BOTH}) > 1:
        raise ValueError("seeds: must be as many codings of the trained network as of the untrained one")
    results = resampled({kind: rows_of(kind) for kind in BOTH}, smaller, min(run.bootstrap, draws), run.seed)
    found, (_, over_seeds, over_networks) = _recentred(results, 0), results["trained"][0]
    mixed = [lens.random_symbols(one, run.seed + i) for i, one in enumerate(networks["trained"])]
    baseline = {
        "over seeds": over_seeds,
        "over networks": over_networks,
        "random symbols": symbol_checks.stability(mixed),
    }
    return judged(found | {"baseline": found["baseline"] | baseline}, ONE_SYMBOL)
