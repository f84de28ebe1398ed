"""What symbols tell: the tables behind the figures of chapter 01, one row for each number that is drawn.

What the claims are judged on is in `symbol_meaning`, `symbol_warnings` and `symbol_reach`, and is asked there. `kind` is a
network's kind as in `Survey`; `stage` is None where a number belongs to no stage; `low` and `high` are ends of 95 % intervals
over pictures within seeds, NaN where there is none. `resamples` bounds the draws behind an interval.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, concat
from torch import Tensor

from innercodes import codebook, stats, symbol_checks, symbol_reach, xmeans
from innercodes import symbols as lens
from innercodes.parameters import Run
from innercodes.stats import Estimate
from innercodes.symbol_meaning import COUNTS, information_draws
from innercodes.symbol_survey import BOTH, FITTED, NEW, UNSEEN, Attacks, Look, Survey, code_stage
from innercodes.symbol_warnings import FEWEST_ERRORS, errors, paired_auroc, surest

ENDS = ["value", "low", "high"]
RESAMPLES = 200
PGD, NOISE = "PGD", "noise"
VARIANTS = {PGD: "PGD", NOISE: "equal noise"}
"""What a question about attacks calls the variants of `symbol_survey.Attacked`."""

Statistic = Callable[..., np.ndarray]


def interval(
    rows: np.ndarray, statistic: Statistic, run: Run, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """Mean over seeds of a statistic of rows (seeds, N, ...), and the ends of its interval: `stats.bootstrap`.

    Three times NaN where no seed has a value.
    """
    if np.isnan(statistic(rows, axis=1)).all():
        return (np.nan,) * 3
    found = stats.bootstrap(rows, statistic=statistic, draws=min(resamples, run.bootstrap), seed=run.seed)
    return found.value, *found.interval()


def mean_of_asked(rows: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is not NaN along an axis, NaN where all is."""
    asked = ~np.isnan(rows)
    count = asked.sum(axis)
    return np.where(count > 0, np.where(asked, rows, 0).sum(axis) / np.maximum(count, 1), np.nan)


# Scores: right or wrong, familiar or not, attacked or not


@dataclass(frozen=True)
class _Told:
    """Some pictures of one row: symbols by kind and stage, the trained network's logits, and Mahalanobis scores or None."""

    symbols: Mapping[str, Mapping[str, Tensor]]
    logits: Tensor
    distances: Tensor | None = None


def _told(survey: Survey, row: int) -> dict[str, _Told]:
    """What is known of the unseen pictures and of each outside set."""
    names = (UNSEEN, *survey.outside)
    heard = {name: survey.heard("trained", row, name) for name in (FITTED, *names)}
    # As for SYM-6, on the mean over cells: of all nine a covariance would be too large. All sets at once: one covariance.
    means = {name: part.vectors[survey.last].mean(1) for name, part in heard.items()}
    others = torch.cat([means[name] for name in names])
    distances = lens.mahalanobis(means[FITTED], survey.sets[FITTED].labels, others)
    parts = distances.split([len(means[name]) for name in names])
    return {
        name: _Told(
            {kind: {s: survey.codes[kind][row][s].symbols[name] for s in survey.stages} for kind in BOTH},
            heard[name].logits,
            part,
        )
        for name, part in zip(names, parts, strict=True)
    }


def _told_attacked(attacks: Attacks, row: int, variant: str) -> _Told:
    """One variant of the attacked pictures; the twin reads those of the trained network, where it has read any."""
    own, lent = attacks.own["trained"][row], attacks.lent[row]
    return _Told({"trained": own.symbols[variant], "untrained": lent.symbols.get(variant, {})}, own.logits[variant])


def _readings(survey: Survey, row: int, told: _Told) -> dict[tuple[str, str, str | None], Tensor]:
    """Every score of some pictures: reader, kind and stage to float64 (N,)."""
    predicted = told.logits.argmax(-1)
    found: dict[tuple[str, str, str | None], Tensor] = {}
    for kind, symbols in told.symbols.items():
        pairs = [(s, symbols[s], survey.codes[kind][row][s].correlations) for s in survey.stages if s in symbols]
        for reader, log in (("ESS", False), ("ESS log", True)):
            for stage, part, correlations in pairs:
                found[reader, kind, stage] = lens.expected_symbol_score(part, predicted, correlations, log)
        if len(pairs) == len(survey.stages) > 1:
            found["sum over stages", kind, None] = lens.combined([found["ESS", kind, s] for s in survey.stages])
            named = torch.stack([lens.predict(part, correlations) for _, part, correlations in pairs])
            found["agreement", kind, None] = lens.agreement(named)
    found["max-softmax", "trained", None] = lens.max_softmax(told.logits)
    found["energy", "trained", None] = lens.energy(told.logits)
    if told.distances is not None:
        found["Mahalanobis", "trained", None] = told.distances
    return found


def _succeeded(attacks: Attacks, row: int, question: str) -> tuple[Tensor, Tensor]:
    """Which clean pictures are right, and which changed ones count: successful attacks, or noise on what was right."""
    logits = attacks.own["trained"][row].logits
    right = logits["clean"].argmax(-1) == attacks.labels
    wrong = logits[VARIANTS[question]].argmax(-1) != attacks.labels
    return right, right & wrong if question == PGD else right


def aurocs(
    survey: Survey, attacks: Attacks | None = None, resamples: int = RESAMPLES, fewest: int = FEWEST_ERRORS
) -> DataFrame:
    """How well each score tells one group of pictures from another: question, reader, kind, stage, value, low, high.

    Questions: "errors", right against wrong predictions on unseen pictures (SYM-5); the name of each outside set, unseen pictures
    against it (SYM-6, SYM-12); with `attacks` "PGD", clean pictures that are right against successful attacks (SYM-7), and
    "noise" of equal norm on the same pictures. Readers: "ESS" and "ESS log" by stage; "sum over stages" of the ESS; "agreement"
    between stages; "max-softmax", "energy" and "Mahalanobis", the last not for attacks. All score what the trained network
    predicts; "untrained" with the twin's symbols, which it read of PGD at the last stage alone. A question that nothing can be
    asked (no attack that succeeds) is left out, and so are errors below `fewest` of them.
    """
    questions: list[tuple[str, Statistic, list[dict]]] = []
    told = [{name: _readings(survey, row, one) for name, one in _told(survey, row).items()} for row in survey.rows]
    if errors(survey) >= max(fewest, 1):
        seeds = [one[UNSEEN] for one in told]
        rows = [{k: lens.score_rows(s, survey.right(row)) for k, s in seeds[row].items()} for row in survey.rows]
        questions.append(("errors", lens.auroc_of_rows, rows))
    for name in survey.outside:
        rows = [{key: _against(scores, one[name][key]) for key, scores in one[UNSEEN].items()} for one in told]
        questions.append((name, lens.auroc_of_rows, rows))
    if attacks is not None:
        questions += [(name, paired_auroc, _attacked_rows(survey, attacks, name)) for name in VARIANTS]
    found = []
    for question, statistic, by_seed in questions:
        for key in by_seed[0]:
            ends = interval(np.stack([one[key] for one in by_seed]), statistic, survey.run, resamples)
            found.append((question, *key, *ends))
    table = DataFrame(found, columns=["question", "reader", "kind", "stage", *ENDS])
    table["value"] = table["value"].astype(float)  # of no row at all pandas knows no type
    return table[table["value"].notna()].reset_index(drop=True)


def _against(inside: Tensor, outside: Tensor) -> np.ndarray:
    return lens.score_rows(torch.cat([inside, outside]), torch.arange(len(inside) + len(outside)) < len(inside))


def _attacked_rows(survey: Survey, attacks: Attacks, question: str) -> list[dict]:
    """Rows (n, 2) of each seed for `paired_auroc`, by the keys of `_readings`."""
    found = []
    for row in survey.rows:
        clean, hit = (_readings(survey, row, _told_attacked(attacks, row, v)) for v in ("clean", VARIANTS[question]))
        chosen = _succeeded(attacks, row, question)
        pairs = {key: (clean[key], hit[key]) for key in hit if key in clean}
        found.append(
            {
                key: torch.stack([s.double().masked_fill(~c, torch.nan) for s, c in zip(pair, chosen, strict=True)], -1)
                .numpy()
                for key, pair in pairs.items()
            }
        )  # fmt: skip
    return found


def scores(survey: Survey, attacks: Attacks | None = None, log: bool = False) -> DataFrame:
    """The expected symbol score of every picture (step 10): kind, seed, stage, group, score.

    Groups are those of `aurocs`: "right" and "wrong" unseen pictures, each outside set, and successful attacks, "PGD".
    """
    found = []
    for row, seed in enumerate(survey.run.seeds):
        right, told = survey.right(row), _told(survey, row)
        groups = [("right", told[UNSEEN], right), ("wrong", told[UNSEEN], ~right)]
        groups += [(name, told[name], torch.ones(len(told[name].logits)).bool()) for name in survey.outside]
        if attacks is not None:
            groups.append((PGD, _told_attacked(attacks, row, VARIANTS[PGD]), _succeeded(attacks, row, PGD)[1]))
        for group, one, chosen in groups:
            for (reader, kind, stage), values in _readings(survey, row, one).items():
                if reader == ("ESS log" if log else "ESS"):
                    score = values[chosen].numpy()
                    found.append(
                        DataFrame({"kind": kind, "seed": seed, "stage": stage, "group": group, "score": score})
                    )
    return concat([one for one in found if len(one)], ignore_index=True)


# What symbols mean


def meaning(
    survey: Survey,
    truths: Mapping[str, Tensor],
    permutations: int = 49,
    resamples: int = RESAMPLES,
    kinds: Iterable[str] = BOTH,
) -> DataFrame:
    """Symbols of unseen pictures against what the pictures show: kind, stage, truth, value, purity, low, high.

    `truths`, such as class, parts and ground, int64 (N,) or, where cells differ, (N, cells). The value is the adjusted mutual
    information, adjusted once more by `permutations` of whole pictures (`lens.corrected_information`); its interval is
    `lens.recentred`, since pictures drawn twice go together with themselves. Means over seeds.
    """
    run, found = survey.run, []
    picks = np.random.default_rng(run.seed).integers(
        0, len(survey.labels), (_draws(run, resamples), len(survey.labels))
    )
    for kind, stage, (name, truth) in itertools.product(kinds, survey.stages, truths.items()):
        values, drawn, purities = [], [], []
        for row in survey.rows:
            symbols = survey.codes[kind][row][stage].symbols[UNSEEN]
            # One seed for all: every row exchanges the same pictures.
            chance = lens.permuted_information(symbols, truth, permutations, run.seed)
            values.append(lens.corrected_information(lens.information(symbols, truth), chance))
            # `corrected_information` is linear: what stretches the value stretches its spread.
            drawn.append(information_draws(symbols, truth, picks) / max(1 - float(chance.mean()), 1e-12))
            purities.append(lens.purity(symbols, truth))
        estimate = lens.recentred(Estimate(float(np.mean(values)), np.mean(drawn, 0)))
        found.append((kind, stage, name, estimate.value, float(np.mean(purities)), *estimate.interval()))
    return DataFrame(found, columns=["kind", "stage", "truth", "value", "purity", "low", "high"])


def _draws(run: Run, resamples: int) -> int:
    return min(resamples, run.bootstrap)


# Clusters, and the same ones again


def clusters(
    survey: Survey, surrogates: Mapping[str, Sequence[Mapping[str, tuple[Tensor, Tensor]]]], most: int | None = 200
) -> DataFrame:
    """Number and silhouette of the clusters (SYM-2): kind, seed, stage, count, silhouette, surrogate_count, surrogate_silhouette.

    `surrogates` by kind are those of `symbol_survey.surrogates`; `most` fitted pictures are compared.
    """
    found = []
    for kind, noise in surrogates.items():
        for (row, seed), stage in itertools.product(enumerate(survey.run.seeds), survey.stages):
            code = survey.codes[kind][row][stage]
            pairs = ((code.points[FITTED], code.symbols[FITTED]), noise[row][stage])
            own, other = (float(symbol_checks.silhouettes(*pair, most=most, seed=seed).mean()) for pair in pairs)
            found.append((kind, seed, stage, code.count, own, len(noise[row][stage][1].unique()), other))
    columns = ["kind", "seed", "stage", "count", "silhouette", "surrogate_count", "surrogate_silhouette"]
    return DataFrame(found, columns=columns)


def stability(
    survey: Survey,
    reseeded: Mapping[str, Mapping[str, Sequence[Mapping[str, Tensor]]]] | None = None,
    name: str = UNSEEN,
) -> DataFrame:
    """Adjusted Rand index of every pair of codings of the same pictures (SYM-16): kind, between, stage, value.

    Between "seeds" of the embedding, by kind and stage from `symbol_survey.reseeded`, or from the survey where one network
    stands in every row; between "networks" that were trained apart, each with a seed of its own.
    """
    found = []

    def add(kind: str, between: str, stage: str, codings: Sequence[Tensor]) -> None:
        for pair in itertools.combinations(codings, 2):
            found.append((kind, between, stage, symbol_checks.stability(pair)))

    for kind in BOTH:
        members = len(survey.said[kind])
        for stage in survey.stages:
            known = [codes[stage].symbols[name] for codes in survey.codes[kind]]
            again = (reseeded or {}).get(kind, {}).get(stage)
            if again is not None or members == 1:
                add(kind, "seeds", stage, known if again is None else [one[name] for one in again])
            if members > 1:
                add(kind, "networks", stage, known[:members])
    return DataFrame(found, columns=["kind", "between", "stage", "value"])


# The class from symbols


def prediction(survey: Survey, permutations: int = 20, resamples: int = RESAMPLES) -> DataFrame:
    """Accuracy on unseen pictures of the class that is read (SYM-4): kind, stage, reader, value, low, high.

    Readers: "symbols" (step 9); "k-means" at the same number in the same embedding; "PCA" to three components and X-means
    there; "random symbols", as frequent; "permuted labels" of the fitted pictures, the mean of `permutations`, since one is a
    handful of guesses where each class has symbols of its own; "nearest mean" of the class, on the vectors; "network", whose stage
    is None: the network's own answer.
    """
    run, found = survey.run, []
    if permutations < 1:
        raise ValueError(f"permutations = {permutations}: must be at least 1")
    for kind in BOTH:
        columns: dict[tuple[str | None, str], list[Tensor]] = {}
        for row, stage in itertools.product(survey.rows, survey.stages):
            for reader, right in _right(survey, kind, row, stage, permutations).items():
                columns.setdefault((stage, reader), []).append(right)
        columns[None, "network"] = [
            (survey.heard(kind, row, UNSEEN).logits.argmax(-1) == survey.labels).double() for row in survey.rows
        ]
        for (stage, reader), right in columns.items():
            ends = interval(torch.stack(right).numpy(), np.mean, run, resamples)
            found.append((kind, stage, reader, *ends))
    return DataFrame(found, columns=["kind", "stage", "reader", *ENDS])


def _right(survey: Survey, kind: str, row: int, stage: str, permutations: int) -> dict[str, Tensor]:
    """Whether each reader but the network names each unseen picture rightly, float64 (N,)."""
    run, seed, code = survey.run, survey.run.seeds[row], survey.codes[kind][row][stage]
    labels, mapped = survey.sets[FITTED].labels, survey.mapped(row)
    fitted, unseen = code.symbols[FITTED], code.symbols[UNSEEN]
    heard, vectors = (survey.heard(kind, row, name).vectors[stage] for name in (FITTED, UNSEEN))
    flat, components = code.codebook.vectors, code.codebook.embedding.shape[1]
    by_k_means = codebook.kmeans_codebook(code.codebook, seed)
    by_pca = codebook.pca_codebook(flat, seed, min(components, *flat.shape), run.most, run.backend)
    pairs = {
        "symbols": (fitted, unseen, code.count),
        "k-means": (
            by_k_means.symbols.view(fitted.shape),
            xmeans.assign(code.points[UNSEEN].flatten(0, 1), by_k_means.centers).view(unseen.shape),
            code.count,
        ),
        "PCA": (
            by_pca.symbols.view(fitted.shape),
            by_pca.read(vectors.flatten(0, 1)).view(unseen.shape),
            len(by_pca.centers),
        ),
        "random symbols": (lens.random_symbols(fitted, seed), lens.random_symbols(unseen, seed), code.count),
    }
    named = {reader: _read(*pair, labels, mapped, survey.classes) for reader, pair in pairs.items()}
    known, numbers = labels.unique(return_inverse=True)
    named["nearest mean"] = known[lens.nearest_mean(vectors, lens.class_means(heard, numbers, len(known)))]
    found = {reader: (answers == survey.labels).double() for reader, answers in named.items()}
    # Permuted among those that build the map, so that its classes stay as large as they are.
    moved, shares = labels.clone(), []
    for i in range(permutations):
        moved[mapped] = lens.permuted_by_picture(labels[mapped], 1000 * seed + i)
        shares.append(_read(fitted, unseen, code.count, moved, mapped, survey.classes) == survey.labels)
    return found | {"permuted labels": torch.stack(shares).double().mean(0)}


def _read(fitted: Tensor, unseen: Tensor, count: int, labels: Tensor, mapped: Tensor, classes: int) -> Tensor:
    """The class of unseen pictures by a map from fitted ones, int64 (N,)."""
    return lens.predict(unseen, lens.correlation_map(fitted[mapped], labels[mapped], count, classes))


def counts(survey: Survey, counts: Sequence[int] = COUNTS, resamples: int = RESAMPLES) -> DataFrame:
    """Last-stage accuracy on unseen pictures with k-means at each number of symbols (SYM-14): kind, count, accuracy, low, high.

    In the embedding of the survey. Numbers beyond the fitted vectors are left out.
    """
    run, labels = survey.run, survey.sets[FITTED].labels
    room = min(len(survey.codes[kind][row][survey.last].codebook.vectors) for kind in BOTH for row in survey.rows)
    found = []
    for kind, count in itertools.product(BOTH, sorted(n for n in set(counts) if n <= room)):
        right = []
        for row, seed in enumerate(run.seeds):
            code = survey.codes[kind][row][survey.last]
            # `kmeans_codebook` makes as many as there are centres: how many is all that it takes from them.
            like = replace(code.codebook, centers=code.codebook.centers.new_zeros(count, 1))
            book = codebook.kmeans_codebook(like, seed)
            fitted = book.symbols.view(code.symbols[FITTED].shape)
            unseen = xmeans.assign(code.points[UNSEEN].flatten(0, 1), book.centers).view(code.symbols[UNSEEN].shape)
            named = _read(fitted, unseen, count, labels, survey.mapped(row), survey.classes)
            right.append((named == survey.labels).double().numpy())
        found.append((kind, count, *interval(np.stack(right), np.mean, run, resamples)))
    return DataFrame(found, columns=["kind", "count", "accuracy", "low", "high"])


def keep_rates(looks: Mapping[str, Sequence[Look]], labels: Tensor, names: Sequence[str]) -> DataFrame:
    """Share of each class's unseen pictures whose region keeps its class (SYM-1): kind, name, pictures, value, low, high.

    `labels` int64 (N,) of the pictures that were looked at, `names` of the classes; a class without a picture is left out. Means
    over seeds; the interval is over pictures.
    """
    found = []
    for kind, members in looks.items():
        kept = torch.stack([one.kept for one in members]).double()
        for number, name in enumerate(names):
            chosen = kept[:, labels == number]
            if chosen.shape[1]:
                drawn = np.random.default_rng(number).integers(chosen.shape[1], size=(RESAMPLES, chosen.shape[1]))
                means = chosen.mean(0).numpy()[drawn].mean(1)
                found.append((kind, name, chosen.shape[1], float(chosen.mean()), *np.quantile(means, [0.025, 0.975])))
    return DataFrame(found, columns=["kind", "name", "pictures", *ENDS])


def under_attack(survey: Survey, attacks: Attacks, resamples: int = RESAMPLES) -> DataFrame:
    """Accuracy of the class from each stage's symbols, and of the network (SYM-8): variant, reader, value, low, high.

    On the attacked pictures as they were, "clean", and under "PGD" on the trained networks. Readers: the stages; "all but last",
    as SYM-8 reads them together, where there are two or more; "network".
    """
    run, own, labels = survey.run, attacks.own["trained"], attacks.labels
    found = []
    for variant in ("clean", PGD):
        rows: dict[str, list[Tensor]] = {}
        for row, one in enumerate(own):
            pairs = {s: (one.symbols[variant][s], survey.codes["trained"][row][s].correlations) for s in survey.stages}
            named = {stage: lens.predict(*pair) for stage, pair in pairs.items()}
            if len(survey.stages) > 1:
                early = [lens.class_scores(*pairs[stage]) for stage in survey.stages[:-1]]
                named["all but last"] = lens.combined(early).argmax(-1)
            named["network"] = one.logits[variant].argmax(-1)
            for reader, answers in named.items():
                rows.setdefault(reader, []).append((answers == labels).double())
        for reader, right in rows.items():
            ends = interval(torch.stack(right).numpy(), np.mean, run, resamples)
            found.append((variant, reader, *ends))
    return DataFrame(found, columns=["variant", "reader", *ENDS])


def layers(
    run: Run,
    hidden: Mapping[str, Mapping[str, Sequence[symbol_reach.Hidden]]],
    labels: Tensor,
    unseen_labels: Tensor,
    resamples: int = RESAMPLES,
) -> DataFrame:
    """Accuracy from the one symbol of each sample at every layer of another domain's networks: kind, stage, reader, value, low, high.

    `hidden` by layer and kind; the first seed alone. Readers: "symbols"; "nearest mean" of the class, on what the layer says;
    "largest class", whose stage is None.
    """
    classes = int(torch.cat([labels, unseen_labels]).max()) + 1
    every, found = torch.ones_like(labels, dtype=torch.bool), []
    largest = (unseen_labels == unseen_labels.bincount().argmax()).double()
    for kind in BOTH:
        for layer, said in hidden.items():
            one = said[kind][0]
            vectors = {FITTED: one.fitted[:, None].float(), UNSEEN: one.unseen[:, None].float()}
            code = code_stage(vectors, labels, every, classes, run, run.seeds[0])
            known, numbers = labels.unique(return_inverse=True)
            means = lens.class_means(vectors[FITTED], numbers, len(known))
            named = {
                "symbols": lens.predict(code.symbols[UNSEEN], code.correlations),
                "nearest mean": known[lens.nearest_mean(vectors[UNSEEN], means)],
            }
            for reader, answers in named.items():
                right = (answers == unseen_labels).double()
                found.append((kind, layer, reader, *interval(right[None].numpy(), np.mean, run, resamples)))
        found.append((kind, None, "largest class", float(largest.mean()), np.nan, np.nan))
    return DataFrame(found, columns=["kind", "stage", "reader", *ENDS])


# New classes, training, regions and what it costs


def shots(
    survey: Survey,
    counts: Sequence[int] = (1, 2, 5, 10),
    draws: int = 20,
    held_out: int = 5,
    resamples: int = RESAMPLES,
) -> DataFrame:
    """Accuracy on new classes from a few examples, at the last stage (SYM-9): reader, shots, value, low, high.

    The first `held_out` new classes; the examples of each number of shots are drawn `draws` times, the same ones for all readers.
    "symbols" of the trained and of the untrained network are read from a temporary map (step 14), pixels and pooled responses by
    the nearest class mean. Numbers that leave a class no picture to ask are left out; raises ValueError where none is left, and
    for a survey without new pictures.
    """
    if NEW not in survey.sets:
        raise ValueError(f"survey: sets {', '.join(survey.sets)}, must have {NEW!r}, pictures of other classes")
    run, every = survey.run, survey.sets[NEW].labels
    kept = (every < held_out).nonzero()[:, 0]
    labels = every[kept]
    fewest = int(torch.bincount(labels, minlength=held_out).min())
    usable = sorted(n for n in set(counts) if 1 <= n < fewest)
    if not usable:
        raise ValueError(
            f"counts = {list(counts)}: must have a number from 1 to {fewest - 1}, below the smallest class"
        )
    pixels = survey.sets[NEW].pictures.subset(kept).tensors()[0]

    def symbols(kind: str) -> Callable[..., lens.KShot]:
        def ask(row: int, *drawn: int) -> lens.KShot:
            code = survey.codes[kind][row][survey.last]
            return lens.k_shot(code.symbols[NEW][kept], labels, *drawn, symbol_count=code.count)

        return ask

    def responses(row: int, *drawn: int) -> lens.KShot:
        return lens.k_shot_means(survey.heard("trained", row, NEW).vectors[survey.last][kept], labels, *drawn)

    readers: dict[str, Callable[..., lens.KShot]] = {
        "symbols": symbols("trained"),
        "symbols, untrained": symbols("untrained"),
        "pixels, nearest mean": lambda row, *drawn: lens.k_shot_means(pixels, labels, *drawn),
        "responses, nearest mean": responses,
    }
    found = []
    for number in usable:
        for reader, ask in readers.items():
            rows = np.stack(
                [ask(row, number, draws, seed).by_picture.numpy() for row, seed in enumerate(run.seeds)]
            )  # fmt: skip
            found.append((reader, number, *interval(rows, mean_of_asked, run, resamples)))
        found.append(("chance", number, 1 / held_out, np.nan, np.nan))
    return DataFrame(found, columns=["reader", "shots", *ENDS])


def growth(
    run: Run,
    epochs: Sequence[int],
    snapshots: Sequence[Sequence[Tensor]],
    shuffled: Sequence[Tensor],
    labels: Tensor,
) -> DataFrame:
    """Adjusted mutual information of symbol and class while networks learn (SYM-18): kind, seed, epoch, value.

    Arguments as of `symbol_reach.growth`: "trained" has a row for each epoch, "shuffled", trained on shuffled labels, the last.
    """
    if any(len(one) != len(epochs) for one in snapshots) or not len(snapshots) == len(shuffled) == len(run.seeds):
        raise ValueError(
            f"snapshots: must be {len(epochs)} for each of {len(run.seeds)} seeds, and one of shuffled labels"
        )
    found = []
    for seed, course, control in zip(run.seeds, snapshots, shuffled, strict=True):
        for epoch, symbols in zip(epochs, course, strict=True):
            found.append(("trained", seed, epoch, lens.information(symbols, labels)))
        found.append(("shuffled", seed, epochs[-1], lens.information(control, labels)))
    return DataFrame(found, columns=["kind", "seed", "epoch", "value"])


def coverage(looks: Mapping[str, Sequence[Look]], points: int = 20) -> DataFrame:
    """Share of pictures that are kept, and accuracy on them, means over seeds (SYM-1): kind, reader, coverage, accuracy.

    "region keeps class" and "random box" are a point each; "max-softmax" a curve, the surest 1 / `points`, 2 / `points` ... of
    the pictures.
    """
    if points < 1:
        raise ValueError(f"points = {points}: must be at least 1")

    def kept_by(members: Sequence[Look]) -> Iterator[tuple[str, list[Tensor]]]:
        yield "region keeps class", [one.kept for one in members]
        yield "random box", [one.kept_at_random for one in members]
        count = len(members[0].right)
        for size in sorted({-(-count * part // points) for part in range(1, points + 1)}):
            yield "max-softmax", [surest(one.confidence, size) for one in members]

    found: list[tuple[Any, ...]] = []
    for kind, members in looks.items():
        for reader, kept in kept_by(members):
            right = [one.right.double().masked_fill(~some, torch.nan) for one, some in zip(members, kept, strict=True)]
            accuracy = mean_of_asked(np.array([mean_of_asked(one.numpy(), 0) for one in right]), 0)
            share = torch.stack(kept).double().mean()
            found.append((kind, reader, float(share), float(accuracy)))
    return DataFrame(found, columns=["kind", "reader", "coverage", "accuracy"])


def costs(survey: Survey, looks: Sequence[Look], region_seconds: float = 0.0) -> DataFrame:
    """Seconds per picture of each step of the chain, and its share of them (SYM-21): step, seconds, share.

    Of the seed that `symbol_reach.cost` takes, with its arguments. "bare pass" is what the network alone takes; it is no step,
    so that its share is NaN.
    """
    found = symbol_reach.cost(survey, looks, region_seconds)["baseline"]
    total, shares = found["seconds per picture"], {step: found[f"share of {step}"] for step in symbol_reach.STEPS}
    rows = [(step, share * total, share) for step, share in shares.items()]
    rows.append(("bare pass", found["bare pass, seconds per picture"], np.nan))
    return DataFrame(rows, columns=["step", "seconds", "share"])
