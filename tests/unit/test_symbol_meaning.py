"""Whether symbols mean the class: each endpoint against a loop over pictures, seeds and stages, and against scikit-learn."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from made_surveys import CELLS, STAGES, a_run, a_survey
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_samples
from sklearn.neighbors import NearestCentroid

from innercodes import stats
from innercodes import symbol_meaning as meaning
from innercodes.symbol_survey import BOTH, FITTED, POOLINGS, UNSEEN, judged


@pytest.fixture(scope="module")
def made():
    return a_survey()


def ami(symbols, truth):
    truth = truth[:, None].expand_as(symbols) if truth.ndim == 1 else truth
    return adjusted_mutual_info_score(truth.flatten(), symbols.flatten())


def named_by_loop(survey, kind, row, stage, name=UNSEEN, symbols=None):
    """Step 9, one picture and one class at a time."""
    labels = survey.sets[FITTED].labels
    agree = survey.said["trained"][row][FITTED].logits.argmax(-1) == labels
    code = survey.codes[kind][row][stage]
    table = np.full((code.count, survey.classes), 1e-6)
    for cells, label, kept in zip(code.symbols[FITTED].tolist(), labels.tolist(), agree.tolist(), strict=True):
        for cell in cells:
            table[cell, label] += kept
    table /= table.sum(1, keepdims=True)
    symbols = (code.symbols[name] if symbols is None else symbols).sort(-1).values
    return np.array([int(np.mean([table[cell] for cell in cells], 0).argmax()) for cells in symbols.tolist()])


def accuracy(survey, kind, stage):
    labels = survey.labels.numpy()
    return np.mean([(named_by_loop(survey, kind, row, stage) == labels).mean() for row in survey.rows])


def test_resampled_is_the_bootstrap_of_stats_for_a_plain_mean():
    generator = np.random.default_rng(1)
    rows = {kind: generator.normal(size=(3, 30, 2)) + i for i, kind in enumerate(BOTH)}
    found = meaning.resampled(rows, lambda table: table.mean(0), 2000, 5)
    for kind in BOTH:
        own, drawn = found[kind]
        np.testing.assert_allclose(own, rows[kind].mean((0, 1)))
        assert drawn.shape == (2000, 2)
        np.testing.assert_allclose(
            drawn.std(0), [stats.bootstrap(rows[kind][..., i]).draws.std() for i in (0, 1)], rtol=0.08
        )
    # The same pictures for all kinds: what is alike differs by nothing.
    alike = meaning.resampled({kind: rows["trained"] for kind in BOTH}, lambda table: table.mean(0), 50, 5)
    np.testing.assert_array_equal(alike["trained"][1], alike["untrained"][1])


def test_k_means_is_scikit_learns_at_any_number(made):
    code = made.codes["trained"][0]["two"]
    for count in (2, 13):
        model = KMeans(count, random_state=3).fit(code.codebook.embedding.double().numpy())
        expected = model.predict(code.points[UNSEEN].flatten(0, 1).double().numpy()).reshape(-1, CELLS)
        assert np.array_equal(meaning.k_means(code, count, 3, UNSEEN).numpy(), expected)


def test_clusters_by_loops(made):
    run = made.run
    generator = torch.Generator().manual_seed(4)
    shape = made.codes["trained"][0]["one"].symbols[FITTED].shape

    def cloud():
        return torch.randn(*shape, 3, generator=generator), torch.randint(3, shape, generator=generator)

    noise = {kind: [{stage: cloud() for stage in STAGES} for _ in run.seeds] for kind in BOTH}
    again = {s: [{FITTED: made.codes["trained"][row][s].symbols[FITTED]} for row in made.rows] for s in STAGES}
    found = meaning.clusters(made, noise, again, most=None)

    def gap(kind, row, stage):
        code = made.codes[kind][row][stage]
        pairs = ((code.points[FITTED], code.symbols[FITTED]), noise[kind][row][stage])
        own, other = (
            silhouette_samples(p.reshape(-1, 3).double().numpy(), s.flatten().numpy()).mean() for p, s in pairs
        )
        return own - other

    value = {kind: np.mean([min(gap(kind, row, stage) for stage in STAGES) for row in made.rows]) for kind in BOTH}
    assert found["value"] == pytest.approx(value["trained"], abs=1e-6)
    assert found["twin"].value == pytest.approx(value["trained"] - value["untrained"], abs=1e-6)
    assert found["also"]["clusters_above_surrogate"] == 6 - 3 and found["also"]["cap_used"] == 9 / 20
    pairs = list(itertools.combinations(range(3), 2))
    aris = []
    for stage in STAGES:
        flat = [again[stage][i][FITTED].flatten() for i in range(3)]
        aris.append(np.mean([adjusted_rand_score(flat[i], flat[j]) for i, j in pairs]))
    assert found["also"]["seed_ari"] == pytest.approx(min(aris)) and found["also"]["blobs"] == 8
    assert isinstance(meaning.clusters(a_survey(a_run((0,))), noise, again), str)


def test_blobs_that_lie_upon_each_other_are_not_eight():
    assert meaning.eight_blobs(a_run(), apart=0.0) == 1
    assert meaning.eight_blobs(a_run(most=5)) <= 5


def test_class_meaning_by_loops(made):
    found = meaning.class_meaning(made, draws=20)
    gains = {}
    for kind in BOTH:
        rows = []
        for row in made.rows:
            values = []
            for stage in (STAGES[0], STAGES[-1]):
                code = made.codes[kind][row][stage]
                model = KMeans(9, random_state=row).fit(code.codebook.embedding.double().numpy())
                symbols = model.predict(code.points[UNSEEN].flatten(0, 1).double().numpy()).reshape(-1, CELLS)
                values.append(ami(torch.from_numpy(symbols).long(), made.labels))
            rows.append(values[1] - values[0])
        gains[kind] = np.mean(rows)
    assert found["value"] == pytest.approx(gains["trained"]) and found["value"] > 0.02
    assert found["twin"].value == pytest.approx(gains["trained"] - gains["untrained"])
    assert found["twin"].draws.mean() == pytest.approx(found["twin"].value)
    assert found["baseline"]["untrained"] == pytest.approx(gains["untrained"])
    assert abs(found["baseline"]["random symbols"]) < 0.03
    assert found["also"]["permutation_p"] < 0.01


def test_symbols_that_say_nothing_have_a_large_p():
    found = meaning.class_meaning(a_survey(clear={kind: (0.0, 0.5) for kind in BOTH}), draws=5)
    assert found["also"]["permutation_p"] > 0.01


def test_low_level_first_by_loops(made):
    generator = torch.Generator().manual_seed(7)
    shown = made.codes["trained"][0]["one"].symbols[UNSEEN]
    factors = {"colour": shown % 3, "texture": torch.randint(4, (len(shown),), generator=generator)}
    found = meaning.low_level_first(made, factors, draws=10)

    def parts(kind, row):
        codes = made.codes[kind][row]
        first, last = (codes[stage].symbols[UNSEEN] for stage in STAGES)
        classes = ami(last, made.labels) - ami(first, made.labels)
        low = max(ami(last, f) for f in factors.values()) - max(ami(first, f) for f in factors.values())
        return [classes - low, classes, low]

    own, other = (np.mean([parts(kind, row) for row in made.rows], 0) for kind in BOTH)
    assert found["value"] == pytest.approx(own[0]) and found["twin"].value == pytest.approx(own[0] - other[0])
    assert [found["also"][name] for name in ("class_rises", "low_level_falls")] == pytest.approx(own[1:])
    assert own[2] < -0.1  # the first row's first stage has the colour in it
    assert abs(found["baseline"]["labels permuted by picture"]) < 0.05
    assert isinstance(meaning.low_level_first(made, {}), str)


def test_class_prediction_by_loops(made):
    found = meaning.class_prediction(made)
    own = {stage: accuracy(made, "trained", stage) for stage in STAGES}
    assert found["value"] == pytest.approx(4 * own["two"])
    assert found["twin"].value == pytest.approx(4 * (own["two"] - accuracy(made, "untrained", "two")))
    assert found["also"]["last_minus_first"] == pytest.approx(own["two"] - own["one"])
    assert found["baseline"]["chance"] == 1 and found["baseline"]["shuffled labels"] < 2 < found["value"]
    nearest = []
    for row in made.rows:
        fitted, unseen = (
            made.said["trained"][row][name].vectors["two"].flatten(1).numpy() for name in (FITTED, UNSEEN)
        )
        model = NearestCentroid().fit(fitted, made.sets[FITTED].labels.numpy())
        nearest.append((model.predict(unseen) == made.labels.numpy()).mean())
    assert found["baseline"]["nearest class mean"] == pytest.approx(4 * np.mean(nearest))


def test_at_the_papers_scale_the_accuracy_itself_is_judged():
    survey = a_survey(a_run(preset="paper"))
    found = meaning.class_prediction(survey)
    assert found["value"] == pytest.approx(accuracy(survey, "trained", "two")) == found["also"]["near_80_percent"]
    assert found["baseline"]["chance"] == 0.25


def test_a_map_from_all_labels_is_another_map():
    survey = a_survey(a_run(map_from="label"))
    assert all(bool(survey.mapped(row).all()) for row in survey.rows)
    code = survey.codes["trained"][0]["one"]
    assert int(code.correlations.counts.sum()) == 80 * CELLS


def test_number_of_symbols_by_loops(made):
    counts = (3, 9, 20, 10**6)
    found = meaning.number_of_symbols(made, counts)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    halves = order[:30].sort().values, order[30:].sort().values
    labels, gains, chosen = made.sets[FITTED].labels, {}, []
    for kind in BOTH:
        rows = []
        for row in made.rows:
            code, mapped = made.codes[kind][row]["two"], made.mapped(row)
            right = {}
            for count in counts[:-1]:
                model = KMeans(count, random_state=row).fit(code.codebook.embedding.double().numpy())
                flat = (code.points[name].flatten(0, 1).double().numpy() for name in (FITTED, UNSEEN))
                fitted, unseen = (model.predict(points).reshape(-1, CELLS) for points in flat)
                table = np.full((count, 4), 1e-6)
                np.add.at(table, (fitted[mapped], labels[mapped].numpy()[:, None]), 1)
                named = (table / table.sum(1, keepdims=True))[np.sort(unseen)].mean(1).argmax(-1)
                right[count] = torch.from_numpy(named == made.labels.numpy()).double()
            best = max(right, key=lambda count: (right[count][halves[0]].mean(), -count))
            if kind == "trained":
                chosen.append(str(best))
            rows.append(float((right[best] - right[3])[halves[1]].mean()))
        gains[kind] = np.mean(rows)
    assert found["value"] == pytest.approx(gains["trained"])
    assert found["twin"].value == pytest.approx(gains["trained"] - gains["untrained"])
    assert found["note"] == f"K = {', '.join(chosen)} by seed"
    assert found["baseline"]["random symbols"] < found["baseline"]["X-means"]
    assert isinstance(meaning.number_of_symbols(made, (10, 10**6)), str)


def test_region_pooling_takes_the_better_of_the_others(made):
    generator = np.random.default_rng(2)
    shares = {"trained": (0.9, 0.3, 0.5, 0.1), "untrained": (0.4, 0.6, 0.2, 0.1)}
    right = {
        kind: {name: (generator.random((3, 60)) < share) * 1.0 for name, share in zip(POOLINGS, values, strict=True)}
        for kind, values in shares.items()
    }
    found = meaning.region_pooling(made, right, (12, 12))

    def value(kind):
        means = [[right[kind][name][row].mean() for name in POOLINGS] for row in made.rows]
        return np.mean([own - max(glob, whole) for own, glob, whole, _ in means])

    assert found["value"] == pytest.approx(value("trained")) and found["value"] > 0.2
    assert found["twin"].value == pytest.approx(value("trained") - value("untrained"))
    whole = made.sets | {
        UNSEEN: dataclasses.replace(made.sets[UNSEEN], boxes=torch.tensor([[0.0, 0, 12, 10]]).repeat(60, 1))
    }
    assert isinstance(meaning.region_pooling(dataclasses.replace(made, sets=whole), right, (10, 12)), str)
    assert not isinstance(meaning.region_pooling(dataclasses.replace(made, sets=whole), right, (12, 10)), str)


def test_stable_is_the_smaller_mean_over_pairs(made):
    generator = torch.Generator().manual_seed(3)
    base = torch.randint(8, (60, CELLS), generator=generator)

    def noisy(share):
        return base.where(
            torch.rand(base.shape, generator=generator) > share, torch.randint(8, base.shape, generator=generator)
        )

    seeds = {"trained": [noisy(0.1) for _ in range(3)], "untrained": [noisy(0.6) for _ in range(3)]}
    networks = {"trained": [noisy(0.3) for _ in range(3)], "untrained": [noisy(0.9) for _ in range(3)]}
    found = meaning.stable(made.run, seeds, networks, draws=10)

    def mean(codings):
        return np.mean([adjusted_rand_score(a.flatten(), b.flatten()) for a, b in itertools.combinations(codings, 2)])

    own, other = (min(mean(seeds[kind]), mean(networks[kind])) for kind in BOTH)
    assert found["value"] == pytest.approx(own) and found["twin"].value == pytest.approx(own - other)
    assert found["baseline"]["over seeds"] == pytest.approx(mean(seeds["trained"]))
    assert abs(found["baseline"]["random symbols"]) < 0.05
    assert found["ci"][0] < own < found["ci"][1]
    relabelled = {kind: [7 - one for one in parts] for kind, parts in networks.items()}
    assert meaning.stable(made.run, seeds, relabelled, draws=2)["value"] == pytest.approx(own)
    assert isinstance(meaning.stable(made.run, seeds, {kind: parts[:2] for kind, parts in networks.items()}), str)


def test_a_number_that_is_none_becomes_the_reason():
    assert judged({"value": np.nan}, "why") == "why"
    assert judged({"value": 1.0, "also": {"x": np.inf}}, "why") == "why"
    assert judged({"value": 1.0, "twin": stats.Estimate(0.0, np.array([np.nan]))}, "why") == "why"
    assert judged({"value": 1.0, "baseline": {"a": np.nan, "b": 2}}, "why")["baseline"] == {"b": 2.0}
