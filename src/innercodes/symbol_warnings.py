"""Do symbols know when to doubt? The measured quantity of SYM-1, 5, 6, 7, 8 and 12, as `claims.Results.take` wants it.

Where a run can not measure a claim the function gives the reason, as text. The claims' tests stand in claims/symbols.yml.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from innercodes import stats
from innercodes import symbols as lens
from innercodes.symbol_survey import BOTH, FITTED, UNSEEN, Attacked, Attacks, Look, Survey, judged

FEWEST_ERRORS = 50
"""Wrong predictions below which nothing is asked about errors: SYM-5, as claims/ fixed it, the errors of SYM-7, and figures."""
NO_OUTSIDE = "This run has no pictures of none of the known classes."
ONE_STAGE = "The claim compares stages, and this run looks at one."


# SYM-1: which regions to trust


def second_look(survey: Survey, looks: Mapping[str, Sequence[Look]]) -> dict[str, Any] | str:
    """SYM-1: accuracy on the pictures whose region keeps its class when cut out, minus accuracy on all unseen pictures."""
    run, trained = survey.run, looks["trained"]
    rows = {kind: _stacked((look.right, look.kept) for look in looks[kind]) for kind in BOTH}
    rows["random boxes"] = _stacked((look.right, look.kept_at_random) for look in trained)
    rows["max-softmax"] = _stacked((look.right, surest(look.confidence, int(look.kept.sum()))) for look in trained)
    found = stats.compare(rows, _gain, run.bootstrap, run.seed)
    baseline = found["baseline"] | {"accuracy on all": rows["trained"][..., 0].mean()}
    also = {"coverage": float(rows["trained"][..., 1].mean())}
    return judged(found | {"also": also, "baseline": baseline}, "Some network keeps no region, or hardly any.")


def _stacked(pairs: Any) -> np.ndarray:
    return np.stack([torch.stack(list(pair), -1).double().numpy() for pair in pairs])


def surest(confidence: Tensor, count: int) -> Tensor:
    """Which `count` pictures have the highest confidence (N,), ties to the lower row: bool (N,)."""
    chosen = torch.zeros(len(confidence), dtype=torch.bool)
    chosen[confidence.argsort(descending=True, stable=True)[:count]] = True
    return chosen


def _gain(rows: np.ndarray, axis: int) -> np.ndarray:
    right, kept = np.moveaxis(rows, -1, 0)
    count = kept.sum(axis)
    return np.where(count > 0, (right * kept).sum(axis) / np.maximum(count, 1), np.nan) - right.mean(axis)


# SYM-5: right or wrong


def errors(survey: Survey) -> int:
    """Wrong predictions on unseen pictures, of the seed that has the fewest."""
    return min(int((~survey.right(row)).sum()) for row in survey.rows)


def correctness(survey: Survey, fewest: int = FEWEST_ERRORS) -> dict[str, Any] | str:
    """SYM-5: AUROC of the expected symbol score of the last stage, right against wrong predictions on unseen pictures.

    The twin scores the same split, and the same predictions, with its own symbols. The p-value is the largest over seeds.
    """
    run, splits = survey.run, [survey.right(row) for row in survey.rows]
    wrong = errors(survey)
    if wrong < fewest:
        return f"{wrong} wrong predictions; the claim asks for {fewest}."
    if not all(bool(split.any()) for split in splits):
        return "No prediction is right."
    scores = {kind: [survey.score(kind, row, survey.last, UNSEEN) for row in survey.rows] for kind in BOTH}
    logits = [survey.heard("trained", row, UNSEEN).logits for row in survey.rows]
    scores["max-softmax"] = [lens.max_softmax(one) for one in logits]
    scores["energy"] = [lens.energy(one) for one in logits]
    rows = {
        name: np.stack([lens.score_rows(one, split) for one, split in zip(parts, splits, strict=True)])
        for name, parts in scores.items()
    }
    p = max(lens.mann_whitney_p(one[split], one[~split]) for one, split in zip(scores["trained"], splits, strict=True))
    found = stats.compare(rows, lens.auroc_of_rows, run.bootstrap, run.seed)
    return judged(found | {"also": {"mann_whitney_p": p}, "note": f"{wrong} wrong or more"}, "A score is no number.")


# SYM-6, SYM-12: familiar or not


def group_rows(inside: Tensor, outside: Sequence[Tensor]) -> np.ndarray:
    """Scores (N,) inside and (M,) of each outside set as rows float64 (N + ..., 2): score, and 0 or the number of the set."""
    groups = [torch.full((len(part),), number) for number, part in enumerate((inside, *outside))]
    return torch.stack([torch.cat([inside, *outside]).double(), torch.cat(groups).double()], -1).numpy()


def smallest_auroc(rows: np.ndarray, axis: int) -> np.ndarray:
    """The smallest AUROC of the inside against an outside set, of `group_rows`: a statistic for `stats.bootstrap`.

    NaN where a draw has no picture of the inside or of some set.
    """
    rows = np.moveaxis(rows, axis, -2)
    scores, groups = rows[..., 0], rows[..., 1]
    found = []
    for number in range(1, int(groups.max()) + 1):
        kept = np.where((groups == 0) | (groups == number), scores, np.nan)
        found.append(lens.auroc_of_rows(np.stack([kept, groups == 0], -1), -2))
    return np.min(found, 0)


def _against_outside(survey: Survey, score: Callable[[int, str], Tensor]) -> np.ndarray:
    """Rows of every seed, (seeds, pictures, 2), from the score of a row and a set."""
    return np.stack(
        [group_rows(score(row, UNSEEN), [score(row, name) for name in survey.outside]) for row in survey.rows]
    )


def familiarity(survey: Survey) -> dict[str, Any] | str:
    """SYM-6: AUROC of the expected symbol score of the last stage, unseen pictures against those outside, smallest over sets.

    All are scored by what the trained network predicts, with the twin's symbols too.
    """
    if not survey.outside:
        return NO_OUTSIDE
    run = survey.run

    def logits(row: int, name: str) -> Tensor:
        return survey.heard("trained", row, name).logits

    rows = {
        "trained": _against_outside(survey, lambda row, name: survey.score("trained", row, survey.last, name)),
        "untrained": _against_outside(survey, lambda row, name: survey.score("untrained", row, survey.last, name)),
        "max-softmax": _against_outside(survey, lambda row, name: lens.max_softmax(logits(row, name))),
        "energy": _against_outside(survey, lambda row, name: lens.energy(logits(row, name))),
        "Mahalanobis": _against_outside(survey, lambda row, name: _mahalanobis(survey, row, name)),
        "all stages": _against_outside(
            survey,
            lambda row, name: lens.combined([survey.score("trained", row, stage, name) for stage in survey.stages]),
        ),
    }
    found = stats.compare(rows, smallest_auroc, run.bootstrap, run.seed)
    baseline = found["baseline"] | _each_set(rows["trained"], survey.outside)
    return judged(found | {"baseline": baseline}, "A score is no number.")


def _each_set(rows: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    aurocs = {}
    for number, name in enumerate(names, 1):
        of = [lens.auroc(torch.from_numpy(r[r[:, 1] == 0, 0]), torch.from_numpy(r[r[:, 1] == number, 0])) for r in rows]
        aurocs[f"against {name}"] = float(np.mean(of))
    return aurocs


def _mahalanobis(survey: Survey, row: int, name: str) -> Tensor:
    """On the mean over cells of the last stage's vectors: of all nine a covariance would be too large."""
    features, others = (survey.heard("trained", row, n).vectors[survey.last].mean(1) for n in (FITTED, name))
    return lens.mahalanobis(features, survey.sets[FITTED].labels, others)


def synchrony(survey: Survey) -> dict[str, Any] | str:
    """SYM-12: AUROC of the share of stage pairs whose symbols name the same class, unseen against outside, smallest over sets.

    The shuffle exchanges pictures within each class, of the outside sets too, separately per stage.
    """
    if not survey.outside:
        return NO_OUTSIDE
    if len(survey.stages) < 2:
        return ONE_STAGE
    run = survey.run

    def named(kind: str, row: int, name: str) -> Tensor:
        return torch.stack([survey.named(kind, row, stage, name) for stage in survey.stages])

    def shuffled(row: int, name: str) -> Tensor:
        return lens.shuffled_within(named("trained", row, name), survey.sets[name].labels, run.seeds[row])

    rows = {
        kind: _against_outside(survey, lambda row, name, kind=kind: lens.agreement(named(kind, row, name)))
        for kind in BOTH
    }
    rows["shuffled within class"] = _against_outside(survey, lambda row, name: lens.agreement(shuffled(row, name)))
    found = stats.compare(rows, smallest_auroc, run.bootstrap, run.seed)
    also = {"above_shuffle": found["value"] - found["baseline"]["shuffled within class"]}
    baseline = found["baseline"] | _each_set(rows["trained"], survey.outside)
    return judged(found | {"also": also, "baseline": baseline}, "A score is no number.")


# SYM-7, SYM-8: attacked pictures


def paired_auroc(rows: np.ndarray, axis: int) -> np.ndarray:
    """AUROC of the first column against the second, NaN left out, of rows (..., N, 2): a statistic for `stats.bootstrap`.

    A picture brings a score as it was and one attacked, and every draw takes both or none.
    """
    rows = np.moveaxis(rows, axis, -2)
    inside = np.broadcast_to([1.0, 0.0], rows.shape)
    return lens.auroc_of_rows(np.stack([part.reshape(*rows.shape[:-2], -1) for part in (rows, inside)], -1), -2)


def _paired(clean: Tensor, attacked: Tensor, right: Tensor, success: Tensor) -> np.ndarray:
    """Scores of pictures that were right, and of attacks that succeeded, float64 (n, 2), NaN for the others."""
    pair = [clean.double().masked_fill(~right, torch.nan), attacked.double().masked_fill(~success, torch.nan)]
    return torch.stack(pair, -1).numpy()


def adversarial(survey: Survey, attacks: Attacks, fewest: int = FEWEST_ERRORS) -> dict[str, Any] | str:
    """SYM-7: AUROC of the expected symbol score of the last stage, right clean pictures against successful PGD on the network.

    An attack succeeds where the clean picture was right and the attacked one is wrong. The twin scores the same pictures and
    predictions with its own symbols. Clean errors are those of all unseen pictures; below `fewest` of them the comparison with
    them is not asked, and its value is None.
    """
    run, labels = survey.run, attacks.labels
    own = attacks.own["trained"]
    if missing := _nothing_to_compare(survey, attacks):
        return missing

    def rows_of(variant: str, score: Callable[[int, Attacked, str], Tensor], among: Sequence[Attacked]) -> np.ndarray:
        rows = []
        for row, one in enumerate(among):
            right = one.logits["clean"].argmax(-1) == labels
            chosen = right if variant == "equal noise" else right & (one.logits[variant].argmax(-1) != labels)
            if variant == "own region":
                chosen = chosen & one.boxed
            rows.append(_paired(score(row, one, "clean"), score(row, one, variant), right, chosen))
        return np.stack(rows)

    def of(kind: str) -> Callable[[int, Attacked, str], Tensor]:
        def score(row: int, one: Attacked, variant: str) -> Tensor:
            correlations = survey.codes[kind][row][survey.last].correlations
            predicted = one.logits[variant].argmax(-1)
            return lens.expected_symbol_score(one.symbols[variant][survey.last], predicted, correlations)

        return score

    def softmax(row: int, one: Attacked, variant: str) -> Tensor:
        return lens.max_softmax(one.logits[variant])

    rows = {
        "trained": rows_of("PGD", of("trained"), own),
        "untrained": rows_of("PGD", of("untrained"), attacks.lent),
        "max-softmax": rows_of("PGD", softmax, own),
        "equal noise": rows_of("equal noise", of("trained"), own),
    }
    if own[0].boxed is not None:
        rows["region of the attacked prediction"] = rows_of("own region", of("trained"), own)
    found = stats.compare(rows, paired_auroc, run.bootstrap, run.seed)
    adaptive = float(np.nanmean(paired_auroc(rows_of("adaptive", of("trained"), own), 1)))
    wrong, clean = errors(survey), np.nan
    if wrong >= max(fewest, 1):
        clean = float(np.mean([_clean_errors(survey, row) for row in survey.rows]))
    also = {
        "above_max_softmax": found["value"] - found["baseline"]["max-softmax"],
        "above_clean_errors": None if wrong < max(fewest, 1) else found["value"] - clean,
        "adaptive_attack": adaptive,
    }
    baseline = found["baseline"] | {"clean errors": clean, "adaptive attack": adaptive}
    success = [int(np.isfinite(row[:, 1]).sum()) for row in rows["trained"]]
    note = f"{', '.join(map(str, success))} successful attacks by seed"
    if also["above_clean_errors"] is None:
        note += f"; {wrong} wrong predictions on clean pictures, {fewest} are asked for to compare with"
    return judged(found | {"also": also, "baseline": baseline, "note": note}, "A score is no number.")


def _nothing_to_compare(survey: Survey, attacks: Attacks) -> str:
    """Why SYM-7 can not be measured, or nothing."""
    rights = [one.logits["clean"].argmax(-1) == attacks.labels for one in attacks.own["trained"]]
    for variant, name in (("PGD", "attack"), ("adaptive", "attack that also raises the score")):
        successes = [
            bool((right & (one.logits[variant].argmax(-1) != attacks.labels)).any())
            for right, one in zip(rights, attacks.own["trained"], strict=True)
        ]
        if not any(successes):
            return f"No {name} succeeds."
    return ""


def _clean_errors(survey: Survey, row: int) -> float:
    score, right = survey.score("trained", row, survey.last, UNSEEN), survey.right(row)
    return lens.auroc(score[right], score[~right]) if bool(right.any()) else np.nan


def shallow_symbols(survey: Survey, attacks: Attacks) -> dict[str, Any] | str:
    """SYM-8: accuracy of the class scores averaged over all stages but the last, under PGD on the network, over chance.

    The twin is attacked itself. Accuracies are on the attacked pictures.
    """
    run, labels, stages = survey.run, attacks.labels, survey.stages[:-1]
    if not stages:
        return ONE_STAGE

    def right(kind: str, variant: str) -> np.ndarray:
        return np.stack(
            [
                (_named(survey, kind, row, one.symbols[variant], stages) == labels).double().numpy()
                for row, one in enumerate(attacks.own[kind])
            ]
        )

    own = attacks.own["trained"]
    network = np.mean([(one.logits["PGD"].argmax(-1) == labels).double().mean() for one in own])
    hit, clean = right("trained", "PGD"), right("trained", "clean")
    rows = {
        "trained": survey.classes * hit,
        "untrained": survey.classes * right("untrained", "PGD"),
        "equal noise": survey.classes * right("trained", "equal noise"),
    }
    found = stats.compare(rows, np.mean, run.bootstrap, run.seed)
    if clean.mean() == 0:
        return "Symbols name no clean picture rightly."
    also = {"attacked_over_clean": hit.mean() / clean.mean(), "above_network": hit.mean() - network}
    baseline = {"chance": 1.0, "attacked network": survey.classes * network, "clean": survey.classes * clean.mean()}
    return judged(found | {"also": also, "baseline": found["baseline"] | baseline}, "A score is no number.")


def _named(survey: Survey, kind: str, row: int, symbols: Mapping[str, Tensor], stages: Sequence[str]) -> Tensor:
    scores = [lens.class_scores(symbols[stage], survey.codes[kind][row][stage].correlations) for stage in stages]
    return lens.combined(scores).argmax(-1)
