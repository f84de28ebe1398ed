"""The endpoints of chapter 05 against brute force on made numbers; no network is asked here."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pandas import DataFrame
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from innercodes import lens_studies, parameters
from innercodes.lens_studies import LENSES, TASKS, USUAL, Changes, Warnings
from innercodes.stats import Estimate

RUN = SimpleNamespace(repeats=3, bootstrap=200, seed=0, seeds=(0, 1, 2), permutations=19, window="1 3")


def view(depth, alpha, distance):
    rows = {"alpha": alpha, "distance": distance}
    return SimpleNamespace(depth=depth, **{name: np.asarray(value, dtype=float) for name, value in rows.items()})


class Made:
    """Views of two families in which distance and alpha are what a function says."""

    def __init__(self, relation, members=2, stages=4):
        random = np.random.default_rng(0)
        self.run, self.views = RUN, []
        names = tuple(f"s{i}" for i in range(stages))
        self.families = [SimpleNamespace(name=name, stages=names) for name in ("a", "b")]
        for family in self.families:
            for kind in ("trained", "untrained"):
                networks = [object() for _ in range(members)]
                for row in range(3):
                    seen = {}
                    for i, stage in enumerate(names):
                        distance = random.random() + 0.001 * random.random(4)
                        alpha = relation(kind, distance, i) + 0.001 * random.random(4)
                        seen[stage] = view(i / (stages - 1), alpha, distance)
                    network = networks[row % members]
                    known = [one for one in self.views if one.network is network]
                    stages_seen = known[0].stages if known else seen
                    self.views.append(
                        SimpleNamespace(family=family, kind=kind, row=row, network=network, stages=stages_seen)
                    )

    def of(self, family, kind):
        return [one for one in self.views if one.family is family and one.kind == kind]


def related(kind, distance, stage):
    return distance if kind == "trained" else np.random.default_rng(int(1e6 * distance[0])).random(4)


def test_points_are_networks_not_rows():
    found = Made(related, members=2)
    values = lens_studies.points(found, "trained", "alpha")
    assert values.shape == (4, 2 * 2 * 4)
    assert lens_studies.owners(found, "trained").tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert lens_studies.points(Made(related, members=1), "trained", "alpha").shape == (4, 2 * 4)


def test_condensed_stages_are_steep_where_they_are():
    found = lens_studies.condensed_and_steep(Made(related, members=3), permutations=200)
    assert found["value"] > 0.95 and found["ci"][0] > 0.9
    assert abs(found["baseline"]["stages exchanged"]) < 0.5
    assert found["twin"].value == pytest.approx(found["value"] - found["baseline"]["untrained"])
    assert "24 stages" in found["note"]


def test_the_correlation_is_partial():
    """Two numbers that follow depth alone have nothing to do with each other, though they correlate."""
    random = np.random.default_rng(5)

    def depth_alone(kind, distance, stage):
        distance[:] = stage + 0.01 * random.random()
        return np.full(4, stage) + 0.01 * random.random()

    made = Made(depth_alone, members=3)
    distance, alpha = (lens_studies.points(made, "trained", name)[0] for name in ("distance", "alpha"))
    assert spearmanr(distance, alpha).statistic > 0.8
    assert abs(lens_studies.condensed_and_steep(made, 50)["value"]) < 0.5


def test_each_architecture_by_itself():
    """A link between two architectures alone may turn round within each of them."""
    distance = np.tile([1.0, 3.0, 2.0, 4.0], 2)
    alpha = np.concatenate([-distance[:4], 10 - distance[4:]])
    distance = distance + np.repeat([0.0, 10.0], 4)
    table = DataFrame(
        {
            "family": np.repeat(["a", "b"], 4), "kind": "trained", "depth": np.tile([0.0, 1.0, 0.0, 1.0], 2),
            "distance": distance, "alpha": alpha, "information": 2 * distance,
        }
    )  # fmt: skip
    found = lens_studies.within(table)
    assert found["family"].tolist() == ["a", "b"] and found["stages"].tolist() == [4, 4]
    assert np.allclose(found["condensed and steep"], -1) and np.allclose(found["diverse and telling"], 1)


def test_correlations_stay_within_their_range():
    found = lens_studies.correlation(np.array([0.95, 0.9, 0.99, 0.97]))
    low, high = found.interval()
    assert found.value == 0.95 and -1 < low < 0.95 < high < 1
    spread = np.arctanh([0.9, 0.99, 0.97]).std(ddof=1)
    assert np.arctanh(high) - np.arctanh(0.95) == pytest.approx(4.303 * spread, rel=0.01)  # Student's t, 2 degrees


def test_too_few_stages_are_a_reason():
    assert "asks for 12" in lens_studies.condensed_and_steep(Made(related, members=1, stages=3))


def brute_changes(moved):
    """The claim's number of one row, one AUROC at a time."""
    areas = np.array(
        [
            [
                roc_auc_score(np.repeat([1, 0], len(moved)), np.concatenate([moved[:, s, i, 0], moved[:, s, i, 1]]))
                for i in range(moved.shape[2])
            ]
            for s in range(moved.shape[1])
        ]
    )
    stage = areas.mean(1).argmax()
    return areas[stage].min(), (areas.argmax(0) == stage).mean()


def changes():
    random = np.random.default_rng(1)
    moved = random.random((3, 12, 3, 4, 2)).round(1)  # ties too
    moved[:, :, 1, :, 0] += 0.4
    return Changes(("a", "b", "c"), {"trained": moved, "untrained": random.random((3, 12, 3, 4, 2))}, {})


def test_the_weakest_lens_at_the_strongest_stage():
    made, found = changes(), SimpleNamespace(run=RUN)
    expected = [brute_changes(row) for row in made.moved["trained"]]
    judged = lens_studies.same_stage(found, made)
    assert judged["value"] == pytest.approx(np.mean([value for value, _ in expected]))
    assert judged["also"]["same_stage"] == pytest.approx(np.mean([share for _, share in expected]))
    twin = np.mean([brute_changes(row)[0] for row in made.moved["untrained"]])
    assert judged["baseline"]["untrained"] == pytest.approx(twin)
    assert judged["twin"].value == pytest.approx(judged["value"] - twin)
    table = lens_studies.changes_table(found, made)
    assert len(table) == 2 * 3 * 4 and set(table["reader"]) == set(LENSES)


def warned(strength, seed=0):
    """Scores in which lenses and usual scores know the groups so well, NaN for what is not asked."""
    random = np.random.default_rng(seed)
    groups = np.stack([random.permutation(np.repeat([0, 1, 2, 3, -1], [40, 30, 30, 20, 10])) for _ in range(3)])
    known = np.where(groups == 0, 1.0, 0.0)

    def score(gain):
        return np.where(groups >= 0, gain * known + random.normal(size=groups.shape), np.nan)

    trained = {name: score(strength) for name in LENSES} | {name: score(0.5) for name in USUAL}
    return Warnings({"trained": trained, "untrained": {name: score(0.0) for name in LENSES}}, groups)


def test_areas_of_tasks_are_those_of_scikit_learn():
    made = warned(1.0)
    rows = lens_studies.warning_rows(made, "trained")
    areas = lens_studies.task_areas(rows, 1)
    assert areas.shape == (3, len(TASKS), len(LENSES) + len(USUAL) + 1)
    names = (*LENSES, *USUAL)
    for row in range(3):
        for task in range(1, 4):
            kept = (made.groups[row] == 0) | (made.groups[row] == task)
            inside = made.groups[row][kept] == 0
            for i, name in enumerate(names):
                expected = roc_auc_score(inside, made.scores["trained"][name][row][kept])
                assert areas[row, task - 1, i] == pytest.approx(expected)
            combined = rows[row, :, -len(TASKS) + task - 1]
            assert areas[row, task - 1, -1] == pytest.approx(roc_auc_score(inside, combined[kept]))
    value = np.mean([areas[row, t, -1] - areas[row, t, 4:7].max() for row in range(3) for t in range(3)])
    judged = lens_studies.together_warn(SimpleNamespace(run=RUN), made)
    assert judged["value"] == pytest.approx(value)
    mean = areas.mean((0, 1))
    assert judged["also"]["combined_over_best_lens"] == pytest.approx(mean[-1] - mean[:4].max())
    assert judged["value"] > 0 and judged["twin"].value > 0.1
    assert "errors: 30, 30, 30" in judged["note"]
    table = lens_studies.warning_table(SimpleNamespace(run=RUN), made)
    assert len(table) == 3 * 8 + 3 * 5


def test_weights_come_from_other_pictures():
    """Scores that say nothing stay at chance when combined: weights fitted on the asked pictures would not."""
    random = np.random.default_rng(0)
    areas = []
    for _ in range(30):
        groups = np.repeat([0, 1], 20)
        combined = lens_studies.combine(random.normal(size=(40, 10)), groups, 1)
        areas.append(roc_auc_score(groups == 0, combined))
    assert abs(np.mean(areas) - 0.5) < 0.08
    lonely = lens_studies.combine(random.normal(size=(5, 2)), np.zeros(5, dtype=int), 1)
    assert np.isnan(lonely).all()


def test_no_score_is_a_reason():
    made = warned(1.0)
    made.groups[made.groups == 3] = -1
    assert isinstance(lens_studies.together_warn(SimpleNamespace(run=RUN), made), str)
    assert lens_studies.together_warn(SimpleNamespace(run=RUN), "why") == "why"


def estimate(value, spread=0.1):
    return Estimate(value, value + spread * np.linspace(-1, 1, 101))


def test_sides_are_counted_with_their_sign():
    sides = {
        "symbols": (estimate(0.5), 1, 0.1),
        "interactions": (estimate(0.5), -1, 0.1),
        "telescope": (estimate(-0.5), -1, 0.1),
        "spectra": (estimate(-0.05), -1, 0.1),
    }
    found = lens_studies.dropout_differs(sides)
    assert found["value"] == 2 and found["note"] == "on the predicted side: symbols, telescope"
    assert found["baseline"]["spectra"] == pytest.approx(-0.05)
    assert lens_studies.dropout_differs("why") == "why"
    assert list(lens_studies.differences(sides)["predicted"]) == [1, -1, -1, -1]


def test_a_lens_tells_networks_apart_where_both_intervals_do():
    def part(untrained, shuffled):
        return {
            "values": {"trained": 1.0, "untrained": 1.0 - untrained, "shuffled": 1.0 - shuffled},
            "differences": {"untrained": estimate(untrained), "shuffled": estimate(shuffled)},
            "between": 0.1,
        }

    numbers = dict(zip(LENSES, (part(0.5, 0.5), part(0.5, -0.5), part(0.5, 0.0), part(0.0, 0.5)), strict=True))
    found = lens_studies.tell_networks(numbers)
    assert found["value"] == 2 and found["note"].endswith("symbols, interactions")
    table = lens_studies.numbers_table(numbers)
    assert len(table) == 12 and table["low"].isna().sum() == 4
    assert lens_studies.tell_networks("why") == "why"


def test_distances_between_seeds():
    assert lens_studies.between_seeds(np.array([1.0, 2.0, 4.0])) == pytest.approx((1 + 3 + 2) / 3)
    assert lens_studies.between_seeds(np.array([1.0])) == 0


def test_high_orders_change_as_by_hand():
    """Two players: I(12) = v(12) - v(1) - v(2) + v(0); order 2 is above half of the players."""
    before, after = torch.tensor([[0.0, 1.0, 2.0, 5.0]]).double(), torch.tensor([[1.0, 1.0, 2.0, 3.0]]).double()
    expected = abs((3 - 1 - 2 + 1) - (5 - 1 - 2 + 0)) / (1 + 2 + 2)
    assert float(lens_studies.high_order_change(before, after)) == pytest.approx(expected)


def test_projections_of_what_did_not_move_stay():
    run = SimpleNamespace(projections=50, seed=0)
    x = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    assert float(lens_studies.projected_change(x, x, x, run).max()) == 0
    once, twice = (lens_studies.projected_change(x, x + size, x, run) for size in (0.5, 1.0))
    torch.testing.assert_close(2 * once, twice)


def test_spectral_scores_are_squared_components_over_variances():
    generator = torch.Generator().manual_seed(0)
    fitted = torch.randn(50, 6, generator=generator) * torch.tensor([4.0, 3, 2, 1, 0.5, 0.2])
    others = torch.randn(5, 6, generator=generator)
    found = lens_studies.spectral_score(others, fitted, SimpleNamespace(window="2 4"))
    values, axes = np.linalg.eigh(np.cov(fitted.double().numpy().T))
    components = (others.double().numpy() - fitted.double().numpy().mean(0)) @ axes[:, ::-1][:, 1:4]
    expected = -(components**2 / values[::-1][1:4]).mean(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_registered_numbers_are_those_of_the_file():
    from innercodes import claims

    text = {name: claim["measure"] for name, claim in claims.of_chapter("05_four_lenses").items()}
    assert f"at least {lens_studies.FEWEST_POINTS} points" in text["LENS-1"]
    assert f"at least {lens_studies.FEWEST_ERRORS}" in text["LENS-4"]
    assert set(text) == {f"LENS-{n}" for n in range(1, 8)}
    assert "05_four_lenses" in parameters.CHAPTERS
