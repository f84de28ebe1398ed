"""Whether symbols know when to doubt: each endpoint against a loop over pictures and seeds, and against scikit-learn."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from made_surveys import STAGES, a_survey
from scipy.spatial.distance import mahalanobis
from scipy.stats import mannwhitneyu
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from innercodes import symbol_warnings as warnings_of
from innercodes.symbol_survey import BOTH, FITTED, UNSEEN, Attacked, Attacks, Look

# Different symbols can have the same score but for its last bit: such pairs count as a tie in one of the two ways.
TIES = {"rel": 0, "abs": 2e-3}


@pytest.fixture(scope="module")
def made():
    return a_survey()


def tables(survey, kind, row, stage):
    """P(s | c) and P(c | s) of the fitted pictures that the trained network gets right, one cell at a time."""
    labels = survey.sets[FITTED].labels
    kept = survey.said["trained"][row][FITTED].logits.argmax(-1) == labels
    code = survey.codes[kind][row][stage]
    counts = np.full((code.count, survey.classes), 1e-6)
    for cells, label in zip(code.symbols[FITTED][kept].tolist(), labels[kept].tolist(), strict=True):
        for cell in cells:
            counts[cell, label] += 1
    return counts / counts.sum(0), counts / counts.sum(1, keepdims=True)


def ess(survey, kind, row, symbols, predictions, stage="two"):
    table = tables(survey, kind, row, stage)[0]
    pairs = zip(symbols.tolist(), predictions.tolist(), strict=True)
    return np.array([math.fsum(table[cell, c] for cell in cells) / len(cells) for cells, c in pairs])


def predicted(survey, row, name):
    return survey.said["trained"][row][name].logits.argmax(-1)


def auroc(inside, outside):
    return roc_auc_score([1] * len(inside) + [0] * len(outside), np.concatenate([inside, outside]))


def softmax(logits):
    return logits.softmax(-1).amax(-1).numpy()


def scored(survey, kind, row, name, stage="two"):
    return ess(survey, kind, row, survey.codes[kind][row][stage].symbols[name], predicted(survey, row, name), stage)


def test_second_look_by_loops(made):
    generator = torch.Generator().manual_seed(1)

    def look(gain):
        right = torch.rand(60, generator=generator) < 0.5
        kept, random = (torch.rand(60, generator=generator) < 0.4 + g * right for g in (gain, 0))
        return Look(right, kept, random, torch.rand(60, generator=generator), 0.1)

    looks = {"trained": [look(0.4) for _ in range(3)], "untrained": [look(0.0) for _ in range(3)]}
    found = warnings_of.second_look(made, looks)

    def gain(chosen, one):
        right = one.right.double()
        return float(right[chosen].mean() - right.mean())

    own, other = (np.mean([gain(one.kept, one) for one in looks[kind]]) for kind in BOTH)
    assert found["value"] == pytest.approx(own) and found["twin"].value == pytest.approx(own - other) and own > 0.1
    assert found["baseline"]["random boxes"] == pytest.approx(
        np.mean([gain(one.kept_at_random, one) for one in looks["trained"]])
    )
    best = [np.argsort(-one.confidence.numpy())[: int(one.kept.sum())].copy() for one in looks["trained"]]
    assert found["baseline"]["max-softmax"] == pytest.approx(
        np.mean([gain(rows, one) for rows, one in zip(best, looks["trained"], strict=True)])
    )
    assert found["also"]["coverage"] == pytest.approx(np.mean([one.kept.double().mean() for one in looks["trained"]]))
    none = [dataclasses.replace(one, kept=torch.zeros(60, dtype=torch.bool)) for one in looks["trained"]]
    assert isinstance(warnings_of.second_look(made, looks | {"trained": none}), str)


def test_the_surest_are_as_many_as_asked_for():
    assert warnings_of.surest(torch.tensor([0.2, 0.9, 0.5, 0.9]), 2).tolist() == [False, True, False, True]
    assert warnings_of.surest(torch.tensor([0.5, 0.5, 0.5]), 1).tolist() == [True, False, False]


def test_correctness_by_loops(made):
    found = warnings_of.correctness(made, fewest=5)
    value, softmaxes, p = {kind: [] for kind in BOTH}, [], []
    for row in made.rows:
        right = (predicted(made, row, UNSEEN) == made.labels).numpy()
        for kind in BOTH:
            score = scored(made, kind, row, UNSEEN)
            value[kind].append(auroc(score[right], score[~right]))
            if kind == "trained":
                p.append(mannwhitneyu(score[right], score[~right], alternative="greater").pvalue)
        of = softmax(made.said["trained"][row][UNSEEN].logits)
        softmaxes.append(auroc(of[right], of[~right]))
    own, other = (np.mean(value[kind]) for kind in BOTH)
    assert (
        found["value"] == pytest.approx(own, **TIES)
        and found["twin"].value == pytest.approx(own - other, **TIES)
        and own > 0.6
    )
    assert found["also"]["mann_whitney_p"] == pytest.approx(max(p), **TIES)
    assert found["baseline"]["max-softmax"] == pytest.approx(np.mean(softmaxes), **TIES)


def test_few_errors_test_nothing(made):
    wrong = min(int((~made.right(row)).sum()) for row in made.rows)
    assert not isinstance(warnings_of.correctness(made, fewest=wrong), str)
    assert (
        warnings_of.correctness(made, fewest=wrong + 1) == f"{wrong} wrong predictions; the claim asks for {wrong + 1}."
    )
    assert warnings_of.FEWEST_ERRORS == 50 and isinstance(warnings_of.correctness(made), str)


def test_familiarity_is_the_smaller_over_outside_sets(made):
    found = warnings_of.familiarity(made)
    each = {}
    for kind in BOTH:
        each[kind] = np.array(
            [[auroc(scored(made, kind, row, UNSEEN), scored(made, kind, row, name)) for name in ("far", "near")] for row in made.rows]
        )  # fmt: skip
    own, other = (each[kind].min(1).mean() for kind in BOTH)
    assert found["value"] == pytest.approx(own, **TIES) and found["twin"].value == pytest.approx(own - other, **TIES)
    assert [found["baseline"][f"against {name}"] for name in ("far", "near")] == pytest.approx(
        each["trained"].mean(0), **TIES
    )
    logits = [made.said["trained"][row] for row in made.rows]
    maximum = [
        min(auroc(softmax(one[UNSEEN].logits), softmax(one[n].logits)) for n in ("far", "near")) for one in logits
    ]
    assert found["baseline"]["max-softmax"] == pytest.approx(np.mean(maximum), **TIES)
    both = []
    for row in made.rows:
        total = {
            name: sum(scored(made, "trained", row, name, stage) for stage in STAGES) for name in (UNSEEN, "far", "near")
        }
        both.append(min(auroc(total[UNSEEN], total[name]) for name in ("far", "near")))
    assert found["baseline"]["all stages"] == pytest.approx(np.mean(both), **TIES)
    energies, distances = [], []
    for one in logits:
        # Liu et al. 2020, one picture at a time; Lee et al. 2018 with the covariance of scikit-learn and the distance of SciPy.
        of = {
            n: [math.log(math.fsum(map(math.exp, p))) for p in one[n].logits.tolist()] for n in (UNSEEN, "far", "near")
        }
        energies.append(min(auroc(of[UNSEEN], of[n]) for n in ("far", "near")))
        vectors = {n: one[n].vectors["two"].double().mean(1).numpy() for n in (FITTED, UNSEEN, "far", "near")}
        labels = made.sets[FITTED].labels.numpy()
        means = np.stack([vectors[FITTED][labels == c].mean(0) for c in range(4)])
        shared = LedoitWolf(assume_centered=True).fit(vectors[FITTED] - means[labels]).covariance_
        inverse = np.linalg.inv(shared)
        near = {
            n: [-min(mahalanobis(v, m, inverse) for m in means) for v in vectors[n]] for n in (UNSEEN, "far", "near")
        }
        distances.append(min(auroc(near[UNSEEN], near[n]) for n in ("far", "near")))
    assert found["baseline"]["energy"] == pytest.approx(np.mean(energies)) != found["baseline"]["max-softmax"]
    assert found["baseline"]["Mahalanobis"] == pytest.approx(np.mean(distances))
    assert isinstance(warnings_of.familiarity(dataclasses.replace(made, outside=())), str)


def test_synchrony_by_loops(made):
    found = warnings_of.synchrony(made)

    def named(kind, row, stage, name):
        table, symbols = tables(made, kind, row, stage)[1], made.codes[kind][row][stage].symbols[name]
        return np.array(
            [int(np.mean([table[cell] for cell in cells], 0).argmax()) for cells in symbols.sort(-1).values.tolist()]
        )

    value = {}
    for kind in BOTH:
        rows = []
        for row in made.rows:
            same = {
                name: (named(kind, row, "one", name) == named(kind, row, "two", name)) * 1.0
                for name in (UNSEEN, "far", "near")
            }
            rows.append(min(auroc(same[UNSEEN], same[name]) for name in ("far", "near")))
        value[kind] = np.mean(rows)
    assert found["value"] == pytest.approx(value["trained"]) and found["value"] > 0.5
    assert found["twin"].value == pytest.approx(value["trained"] - value["untrained"])
    shuffled = found["baseline"]["shuffled within class"]
    assert shuffled != found["value"] and found["also"]["above_shuffle"] == pytest.approx(found["value"] - shuffled)
    assert warnings_of.synchrony(dataclasses.replace(made, stages=("two",))) == warnings_of.ONE_STAGE


def test_an_empty_group_in_a_draw_is_left_out_and_not_guessed():
    rows = warnings_of.group_rows(torch.tensor([3.0, 2.0]), [torch.tensor([1.0]), torch.tensor([2.5])])
    assert warnings_of.smallest_auroc(rows, 0) == 0.5
    assert np.isnan(warnings_of.smallest_auroc(np.array([[1.0, 0], [2.0, 2]]), 0))  # no picture of set 1


@pytest.fixture(scope="module")
def attacked(made):
    generator = torch.Generator().manual_seed(9)
    rows = torch.arange(5, 55)
    labels = made.labels[rows]

    def logits(row, share):
        clean = made.said["trained"][row][UNSEEN].logits[rows]
        return clean.where(torch.rand(50, 1, generator=generator) > share, clean.roll(1, -1))

    def symbols(kind, row, share):
        found = {stage: made.codes[kind][row][stage].symbols[UNSEEN][rows] for stage in STAGES}
        other = {stage: torch.randint(6, one.shape, generator=generator) for stage, one in found.items()}
        return {s: one.where(torch.rand(one.shape, generator=generator) > share, other[s]) for s, one in found.items()}

    def one(kind, row, boxed=None):
        shares = {"clean": 0.0, "PGD": 0.6, "equal noise": 0.1, "adaptive": 0.3, "own region": 0.7}
        return Attacked(
            {name: symbols(kind, row, share) for name, share in shares.items()},
            {name: logits(row, min(1, 1.5 * share)) for name, share in shares.items()},
            torch.rand(50, generator=generator) > 0.2,
        )

    own = {kind: [one(kind, row) for row in made.rows] for kind in BOTH}
    lent = []
    for row in made.rows:
        twin = one("untrained", row)
        lent.append(dataclasses.replace(twin, logits=own["trained"][row].logits))
    return Attacks(rows, labels, own, lent)


def detected(made, attacked, kind, row, variant, among, score=None):
    one = among[row]
    clean, after = (one.logits[name].argmax(-1) for name in ("clean", variant))
    right = (clean == attacked.labels).numpy()
    success = right & (after != attacked.labels).numpy()
    if variant == "equal noise":
        success = right
    if variant == "own region":
        success &= one.boxed.numpy()
    if score is None:
        pair = [ess(made, kind, row, one.symbols[n]["two"], p) for n, p in (("clean", clean), (variant, after))]
    else:
        pair = [score(one.logits[n]) for n in ("clean", variant)]
    return auroc(pair[0][right], pair[1][success])


def test_adversarial_by_loops(made, attacked):
    found = warnings_of.adversarial(made, attacked, fewest=5)
    own = attacked.own["trained"]

    def mean(kind, variant, among, score=None):
        return np.mean([detected(made, attacked, kind, row, variant, among, score) for row in made.rows])

    value, twin = mean("trained", "PGD", own), mean("untrained", "PGD", attacked.lent)
    assert found["value"] == pytest.approx(value, **TIES) and value > 0.6
    assert found["twin"].value == pytest.approx(value - twin, **TIES) and twin != mean(
        "untrained", "PGD", attacked.own["untrained"]
    )
    assert found["also"]["above_max_softmax"] == pytest.approx(value - mean("trained", "PGD", own, softmax), **TIES)
    assert found["also"]["adaptive_attack"] == pytest.approx(mean("trained", "adaptive", own), **TIES)
    assert found["baseline"]["equal noise"] == pytest.approx(mean("trained", "equal noise", own), **TIES)
    assert found["baseline"]["region of the attacked prediction"] == pytest.approx(
        mean("trained", "own region", own), **TIES
    )
    errors = warnings_of.correctness(made, fewest=1)["value"]
    assert found["also"]["above_clean_errors"] == pytest.approx(value - errors, **TIES)


def test_few_clean_errors_are_not_compared_with(made, attacked):
    wrong = min(int((~made.right(row)).sum()) for row in made.rows)
    asked, not_asked = (warnings_of.adversarial(made, attacked, fewest=n) for n in (wrong, wrong + 1))
    assert np.isfinite(asked["also"]["above_clean_errors"]) and "clean errors" in asked["baseline"]
    assert not_asked["also"]["above_clean_errors"] is None and "clean errors" not in not_asked["baseline"]
    assert not_asked["value"] == asked["value"] and not_asked["also"].keys() == asked["also"].keys()
    words = f"; {wrong} wrong predictions on clean pictures, {wrong + 1} are asked for to compare with"
    assert not_asked["note"] == asked["note"] + words


def test_attacks_that_never_succeed_are_no_test(made, attacked):
    own = [
        dataclasses.replace(one, logits=one.logits | {"PGD": one.logits["clean"]}) for one in attacked.own["trained"]
    ]
    weak = dataclasses.replace(attacked, own=attacked.own | {"trained": own})
    assert warnings_of.adversarial(made, weak) == "No attack succeeds."


def test_a_picture_and_its_attack_stay_together():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2, 5, 7, 2))
    rows[0, 0, :3, 1] = np.nan
    found = warnings_of.paired_auroc(rows, 2)
    expected = [[auroc(one[:, 0], one[:, 1][~np.isnan(one[:, 1])]) for one in part] for part in rows]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(warnings_of.paired_auroc(np.moveaxis(rows, 2, 0), 0), expected)


def test_shallow_symbols_by_loops(made, attacked):
    found = warnings_of.shallow_symbols(made, attacked)

    def accuracy(kind, variant):
        rows = []
        for row, one in enumerate(attacked.own[kind]):
            table = tables(made, kind, row, "one")[1]
            cells_of = one.symbols[variant]["one"].sort(-1).values.tolist()
            named = [int(np.mean([table[cell] for cell in cells], 0).argmax()) for cells in cells_of]
            rows.append((np.array(named) == attacked.labels.numpy()).mean())
        return np.mean(rows)

    hit, clean = accuracy("trained", "PGD"), accuracy("trained", "clean")
    network = np.mean(
        [(one.logits["PGD"].argmax(-1) == attacked.labels).double().mean() for one in attacked.own["trained"]]
    )
    assert found["value"] == pytest.approx(4 * hit)
    assert found["twin"].value == pytest.approx(4 * (hit - accuracy("untrained", "PGD")))
    assert found["also"] == pytest.approx({"attacked_over_clean": hit / clean, "above_network": hit - network})
    assert found["baseline"]["equal noise"] == pytest.approx(4 * accuracy("trained", "equal noise"))
    assert warnings_of.shallow_symbols(dataclasses.replace(made, stages=("two",)), attacked) == warnings_of.ONE_STAGE
