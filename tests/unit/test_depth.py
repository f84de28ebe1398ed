"""What chapter 03 measures on codes and maps, against loops, other libraries and cases whose answer is known."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from scipy.stats import mannwhitneyu, spearmanr
from scipy.stats import t as student
from sklearn.metrics import adjusted_mutual_info_score

from innercodes import (
    activations,
    claims,
    depth,
    fragility,
    map_views,
    maps,
    parameters,
    pictures,
    stats,
    telescope,
    twins,
)
from innercodes.maps import Replicate, StageMap

CHAPTER = "03_functional_telescope"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "model": "resnet8", "epochs": 2, "n_seeds": 2, "progress": "off", "device": "cpu", "fitted": 120, "unseen": 120, "grid": 6,
    "grids": "4 6", "sigma": 2.0, "alpha": 0.5, "som_epochs": 2, "best_units": 4, "repeats": 3, "surrogates": 3, "bootstrap": 100,
}  # fmt: skip
STAGES = ("layer1", "layer2", "layer3")
LAST = STAGES[-1]


def draws(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def whole(high, *shape, seed=0):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


@pytest.fixture(scope="module")
def digits(run):
    return pictures.load("digits", "", run.fitted, run.unseen, run.seed)


@pytest.fixture(scope="module")
def networks(run, digits):
    return twins.build(run, digits[0], kinds=("trained", "memorising"))


@pytest.fixture(scope="module")
def atlas(run, networks, digits):
    return depth.survey(run, networks, *digits, STAGES, "conv1")


@pytest.fixture(scope="module")
def relative(atlas):
    return depth.spreads(atlas)


@pytest.fixture(scope="module")
def in_codings(atlas):
    return depth.coding_charts(atlas)


@pytest.fixture(scope="module")
def growths(atlas, in_codings):
    return depth.coding_growths(atlas, in_codings)


@pytest.fixture(scope="module")
def q_codings(atlas, in_codings):
    return depth.coding_distances(atlas, in_codings)


@pytest.fixture(scope="module")
def measured(atlas, relative, growths, q_codings):
    """Every endpoint that an atlas gives."""
    right = np.arange(120)[None] % 2 > 0
    grids = {grid: {s: np.array([1.0, 1.1]) for s in STAGES} for grid in (10, 20)}
    return {
        "TEL-1": depth.dimension(atlas, repeats=5),
        "TEL-2": depth.plateau(atlas),
        "TEL-3": depth.uneven_use(atlas),
        "TEL-4": depth.clustered(atlas, relative),
        "TEL-5": depth.shrinking(atlas, relative),
        "TEL-6": depth.generalises(atlas, relative, depth.spreads(atlas, unseen=True)),
        "TEL-7": depth.diverse_units(atlas, growths),
        "TEL-8": depth.diverse_centers(atlas, growths),
        "TEL-9": depth.same_on_grids(atlas, {"trained": grids, "untrained": grids}),
        "TEL-15": depth.errors_far_out(atlas, right),
        "TEL-17": depth.condense_then_expand(atlas, np.linspace(1, 2, 8).reshape(2, 4), q_codings),
        "TEL-18": depth.membership(atlas),
        "TEL-19": depth.closer_within(atlas, {"PGD": np.array([0.1]), "equal noise": np.array([0.2])}),
        "TEL-21": depth.condensing_helps({"a": np.arange(4.0)}, {"a": np.array([1.0, 3, 2, 4])}, 0, {}),
    }


def with_run(atlas, **changed):
    return dataclasses.replace(atlas, run=dataclasses.replace(atlas.run, values={**atlas.run.values, **changed}))


def chart_of(units, grid=(6, 6), unseen=None, seed=0, loss=0.1):
    """A map with random weights and given best units."""
    som = telescope.SOM(draws(grid[0] * grid[1], 5, seed=seed, dtype=torch.float32), grid, torch.empty(0))
    units = units.view(len(units), -1)
    return StageMap(som, loss, units, units if unseen is None else unseen.view(len(unseen), -1))


# Codes


@pytest.mark.parametrize("center", activations.CENTERS)
@pytest.mark.parametrize("negative", ["zero", "size"])
def test_one_pass_keeps_what_every_coding_needs(center, negative):
    found = draws(7, 3, 5, 4)
    parts = maps.stored(center, negative)(found)
    assert parts.shape == (7, 15)
    for coding in activations.CODINGS:
        expected = activations.vector_codes(found, coding, center, negative)
        torch.testing.assert_close(maps.coded(parts, coding), expected)
    normalised = activations.vector_codes(found, "normalised", center, negative).numpy()
    scored = (normalised - normalised.mean(0)) / normalised.std(0)
    assert np.allclose(maps.coded(parts, "z-scored"), scored)
    others = maps.stored(center, negative)(draws(9, 3, 5, 4, seed=1))
    expected = (others[:, :12].numpy() - normalised.mean(0)) / normalised.std(0)
    assert np.allclose(maps.coded(others, "z-scored", parts), expected)


def test_some_channels_are_those_of_the_map():
    found, chosen = draws(6, 8, 4, 4), torch.tensor([5, 0, 6])
    parts = maps.channels(maps.stored("mean", "zero")(found), chosen)
    torch.testing.assert_close(parts, maps.stored("mean", "zero")(found[:, chosen]))


def test_codes_of_a_network_are_those_of_its_maps(run, atlas, networks, digits):
    inputs, network, seen = digits[0].tensors()[0], networks["trained"][1], {}
    hook = network.layer2.register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    with torch.no_grad():
        network(inputs)
    hook.remove()
    expected = activations.vector_codes(seen["out"], "normalised", run.center, run.negative)
    torch.testing.assert_close(atlas.codes("trained", 1, "layer2"), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(atlas.codes("trained", 0, "input"), activations.vector_codes(inputs))
    assert (atlas.first, atlas.last) == ("layer1", "layer3")
    assert set(atlas.charts) == {"trained", "untrained", "memorising"} and set(atlas.replicates) == {
        "trained",
        "untrained",
    }


def test_a_map_is_fitted_on_its_codes_and_judged_by_them(run, atlas):
    for kind, i in itertools.product(("trained", "untrained"), range(2)):
        codes, chart = atlas.codes(kind, i, LAST), atlas.charts[kind][i][LAST]
        som = telescope.fit_som(codes, 6, 2.0, run.alpha, 2, run.batch_size, run.seeds[i])
        assert torch.equal(som.weights, chart.som.weights)
        apart = cdist(codes.double().numpy(), som.weights.double().numpy(), "cosine")
        assert chart.loss == pytest.approx(apart.min(1).mean(), abs=1e-6)
        expected = np.median(pdist(som.weights.double().numpy(), "cosine")) / chart.loss
        assert chart.relative_distance == pytest.approx(expected, rel=1e-3)
        unseen = maps.coded(atlas.unseen[kind][i][LAST], run.coding)
        for units, part in ((chart.fitted, codes), (chart.unseen, unseen)):
            assert torch.equal(units, telescope.best_units(som, part, 4))


def test_a_network_that_is_there_once_is_mapped_with_every_seed(run, atlas):
    once = {"trained": [{LAST: atlas.fitted["trained"][0][LAST]}]}
    rows = maps.charts(once, once, run)["trained"]
    assert len(rows) == 2 and not torch.equal(rows[0][LAST].som.weights, rows[1][LAST].som.weights)
    assert torch.equal(rows[0][LAST].som.weights, atlas.charts["trained"][0][LAST].som.weights)
    again = maps.replicate(once, atlas.labels, run)["trained"]
    assert len(again) == 2 and len(again[1][LAST]) == run.repeats


def test_a_repetition_draws_with_replacement_and_always_the_same():
    first = maps.resample(5000, 3)
    assert torch.equal(first, maps.resample(5000, 3)) and not torch.equal(first, maps.resample(5000, 4))
    assert len(first) == 5000 and int(first.min()) >= 0 and int(first.max()) < 5000
    assert len(first.unique()) / 5000 == pytest.approx(1 - 1 / math.e, abs=0.02)


def test_repetitions_are_maps_of_the_drawn_pictures(run, atlas):
    codes, drawn = atlas.codes("untrained", 1, LAST), maps.resample(120, 2)
    som = telescope.fit_som(codes[drawn], 6, 2.0, run.alpha, 2, run.batch_size, 2002)
    one = atlas.replicates["untrained"][1][LAST][2]
    loss = cdist(codes[drawn].double().numpy(), som.weights.double().numpy(), "cosine").min(1).mean()
    units = telescope.best_units(som, codes, 4)
    assert torch.equal(one.units, units[:, 0])
    assert one.relative_distance * loss == pytest.approx(
        np.median(pdist(som.weights.double().numpy(), "cosine")), rel=1e-2
    )
    assert one.relative_centers * loss == pytest.approx(
        centers_by_hand(som, units[drawn], atlas.labels[drawn]), rel=1e-3
    )
    starts = [one.units for seed in atlas.replicates["untrained"] for one in seed[LAST]]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(starts, 2))


def centers_by_hand(som, units, labels):
    """The median distance of the weights at class centres, one best unit at a time."""
    m, n = som.grid
    at = []
    for label in sorted(set(labels.tolist())):
        mine = units[labels == label].flatten().tolist()
        mode = max(range(m * n), key=lambda u, mine=mine: (mine.count(u), -u))
        moved = [
            [(u // n - mode // n + m / 2) % m - m / 2 + mode // n, (u % n - mode % n + n / 2) % n - n / 2 + mode % n]
            for u in mine
        ]
        row, column = (round(value) for value in np.mean(moved, axis=0))
        at.append(row % m * n + column % n)
    return float(np.median(pdist(som.weights[at].double().numpy(), "cosine")))


def test_centres_are_compared_over_all_pairs_of_classes_that_occur():
    labels = torch.tensor([0, 2, 5])[whole(3, 60)]  # three pairs, and numbers without a picture
    som, units = chart_of(torch.zeros(1).long(), (5, 6)).som, whole(30, 60, 3, seed=1)
    assert maps.median_centers(som, units, labels) == pytest.approx(centers_by_hand(som, units, labels), rel=1e-4)
    assert math.isnan(maps.median_centers(som, units, torch.full((60,), 2)))


def test_of_an_even_number_of_pairs_the_median_lies_in_the_middle():
    som, units, labels = chart_of(torch.zeros(1).long(), (5, 6)).som, whole(30, 60, 1, seed=3), torch.arange(60) % 4
    assert maps.median_centers(som, units, labels) == pytest.approx(centers_by_hand(som, units, labels), rel=1e-4)


def test_centres_on_one_unit_have_no_distance():
    labels = torch.arange(60) % 3
    soms = [chart_of(torch.zeros(1).long(), seed=seed).som for seed in range(5)]
    assert [maps.median_centers(som, torch.full((60, 2), 7), labels) for som in soms] == [0] * 5


def test_of_many_pairs_a_hundred_are_compared(monkeypatch):
    taken, distances = [], telescope.center_distances
    monkeypatch.setattr(
        telescope, "center_distances", lambda som, found, pairs: taken.append(pairs) or distances(som, found, pairs)
    )
    som, units, labels = chart_of(torch.zeros(1).long()).som, whole(36, 80, 2), torch.arange(80) % 20
    found = [maps.median_centers(som, units, labels) for _ in range(2)]
    pairs = {tuple(pair) for pair in taken[0].tolist()}
    assert len(pairs) == 100 and all(0 <= a < b < 20 for a, b in pairs) and found[0] == found[1]


# TEL-1 and TEL-2


def test_the_ratio_of_columns_is_the_participation_ratio():
    codes = draws(40, 12) * torch.linspace(3, 0.2, 12)
    columns = [whole(12, 5, seed=s).unique() for s in range(4)]
    expected = np.mean([np.log(telescope.participation_ratio(codes[:, these])) for these in columns])
    assert depth._log_ratio(codes, columns) == pytest.approx(expected)


@given(st.integers(2, 7), st.integers(0, 99))
def test_the_slope_is_that_of_a_fitted_line(count, seed):
    rows = np.random.default_rng(seed).normal(size=(count, 3))
    assert depth._slope(rows, 0) == pytest.approx(np.polyfit(np.arange(count), rows, 1)[0])
    assert depth._slope(rows.T, 1) == pytest.approx(depth._slope(rows, 0))


def test_dimension_is_the_slope_on_equally_many_channels(atlas, measured):
    found = measured["TEL-1"]
    chosen = depth._channel_draws(atlas, depth.DIMENSION_DRAWS)
    assert len(chosen) == 20 and all(len(set(row[s].tolist())) == len(row[s]) == 16 for row in chosen for s in STAGES)
    slope, gap = {}, []
    for kind in depth.BOTH:
        slopes = []
        for codes in atlas.fitted[kind]:
            parts = {
                s: [maps.coded(maps.channels(codes[s], row[s]), "normalised").double() for row in chosen]
                for s in STAGES
            }
            ratios = [[np.log(telescope.participation_ratio(part)) for part in parts[s]] for s in STAGES]
            slopes.append(np.mean([np.polyfit(range(3), draw, 1)[0] for draw in np.transpose(ratios)]))
            if kind == "trained":
                first, last = (
                    [float(telescope.explained_variance(part, 5).sum()) for part in parts[s]] for s in STAGES[::2]
                )
                gap.append(np.mean(first) - np.mean(last))
        slope[kind] = np.mean(slopes)
    assert found["value"] == pytest.approx(slope["trained"], rel=1e-6)
    assert found["twin"].value == pytest.approx(slope["trained"] - slope["untrained"], rel=1e-6)
    assert found["also"]["explained_variance_gap"] == pytest.approx(np.mean(gap), abs=1e-9)
    assert found["baseline"]["untrained"] == pytest.approx(slope["untrained"])


def test_intervals_have_enough_draws_for_the_correction(measured):
    twins_judged = sum(claim["scales"]["quick"].get("twin", False) for claim in claims.of_chapter(CHAPTER).values())
    assert twins_judged > 10
    drawn = min(len(measured[claim]["twin"].draws) for claim in ("TEL-1", "TEL-2", "TEL-17", "TEL-18"))
    clear = {f"TEL-{i}": stats.Estimate(1.0, np.ones(drawn)) for i in range(twins_judged)}  # all alike, none near 0
    assert all(low > 0 for low, _ in stats.holm(clear).values())


def test_the_plateau_is_the_loss_on_equally_many_channels(run, atlas, measured):
    found = measured["TEL-2"]
    chosen = depth._channel_draws(atlas, 5)
    values = {}
    for kind in depth.BOTH:
        quotients = []
        for seed, codes in zip(run.seeds, atlas.fitted[kind], strict=True):
            for row in chosen:
                losses = []
                for stage in ("layer1", LAST):
                    part = maps.coded(maps.channels(codes[stage], row[stage]), run.coding)
                    som = telescope.fit_som(part, 6, 2.0, run.alpha, 2, run.batch_size, seed)
                    losses.append(cdist(part.double().numpy(), som.weights.double().numpy(), "cosine").min(1).mean())
                quotients.append(losses[1] / losses[0])
        values[kind] = np.mean(quotients)
    assert found["value"] == pytest.approx(values["trained"], rel=1e-3)
    assert found["twin"].value == pytest.approx(values["trained"] - values["untrained"], rel=1e-2, abs=1e-3)
    assert found["ci"][0] < found["value"] < found["ci"][1]


def test_the_interval_of_repetitions_is_students():
    repeats = np.array([1.1, 1.3, 0.8, 1.2, 1.0])
    half = student.ppf(0.975, 4) * repeats.std(ddof=1)
    low, high = stats.replicated(1.05, repeats).interval()
    assert [low, high] == pytest.approx([1.05 - half, 1.05 + half], rel=0.02)
    half = student.ppf(0.975, 4) * np.log(repeats).std(ddof=1)
    low, high = stats.replicated(1.05, repeats, log=True).interval()
    assert [low, high] == pytest.approx([1.05 * math.exp(-half), 1.05 * math.exp(half)], rel=0.02)
    # The p-value is that of a t-test of the value with this error.
    estimate = stats.replicated(0.5, repeats)
    assert estimate.p == pytest.approx(2 * student.sf(0.5 / repeats.std(ddof=1), 4), abs=2e-3)
    assert stats.replicated(2.0, np.full(3, 7.0)).interval() == (2, 2)


# TEL-3


def test_gaussian_codes_have_the_mean_and_covariance_of_the_codes():
    codes = (draws(3000, 4) @ draws(4, 4, seed=1)).exp() + 2
    found = torch.cat([depth.gaussian_like(codes, seed) for seed in range(3)])
    assert found.shape == (9000, 4)
    scale = codes.std(0)
    assert float(((found.mean(0) - codes.mean(0)) / scale).abs().max()) < 0.05
    difference = (found.T.cov() - codes.T.cov()) / (scale[:, None] * scale)
    assert float(difference.abs().max()) < 0.06
    assert (
        float((((found - found.mean(0)) / found.std(0)) ** 3).mean(0).abs().max()) < 0.1
    )  # no skew, as the codes have
    assert torch.equal(depth.gaussian_like(codes[:9], 1), depth.gaussian_like(codes[:9], 1))


def test_uneven_use_is_entropy_below_two_models_of_chance(run, atlas):
    found = depth.uneven_use(atlas)
    entropy, limit = {}, {}
    rng = np.random.default_rng(5)
    uniform = [telescope.usage_entropy(torch.from_numpy(rng.integers(36, size=120)), 6) for _ in range(3000)]
    for kind in depth.BOTH:
        units = [atlas.charts[kind][i]["layer2"].fitted[:, 0] for i in range(2)]
        entropy[kind] = np.mean([telescope.usage_entropy(u, 6) for u in units])
        quantiles = []
        for i in range(2):
            chance = []
            for number in range(run.surrogates):
                codes = depth.gaussian_like(atlas.codes(kind, i, "layer2"), number)
                som = telescope.fit_som(codes, 6, 2.0, run.alpha, 2, run.batch_size, number)
                chance.append(telescope.usage_entropy(telescope.best_units(som, codes, 1), 6))
            quantiles.append(np.mean(chance) - 2.326 * np.std(chance, ddof=1))
        limit[kind] = min(np.mean(quantiles), np.quantile(uniform, 0.01))
    assert found["baseline"]["entropy, trained"] == pytest.approx(entropy["trained"])
    assert found["baseline"]["1 % quantile, uniform"] == pytest.approx(np.quantile(uniform, 0.01), abs=0.005)
    value = {kind: entropy[kind] - limit[kind] for kind in depth.BOTH}
    assert found["value"] == pytest.approx(value["trained"], abs=0.005)
    assert found["baseline"]["untrained"] == pytest.approx(value["untrained"], abs=0.005)
    assert found["twin"].value == pytest.approx(value["trained"] - value["untrained"], abs=0.005)
    assert np.mean(found["twin"].draws) == pytest.approx(found["twin"].value, abs=0.1)


# TEL-4, TEL-5, TEL-6


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 99))
def test_weights_make_the_mean_over_pictures_the_mean_over_classes(labels, seed):
    labels = torch.tensor(labels)
    values = torch.rand(len(labels), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    means = depth.class_means(values, labels)
    expected = [
        values[[i for i, other in enumerate(labels) if other == one]].mean() for one in sorted(set(labels.tolist()))
    ]
    assert means.tolist() == pytest.approx([float(e) for e in expected])
    weights = depth._weights(labels)
    assert weights.mean() == pytest.approx(1) and (values.numpy() * weights).mean() == pytest.approx(means.mean())


def test_the_spread_of_pictures_is_that_of_their_classes():
    units, labels, unseen, others = (
        whole(36, 50, 3),
        torch.arange(50) % 4,
        whole(36, 20, 3, seed=1),
        whole(4, 20, seed=2),
    )
    chart = chart_of(units, unseen=unseen)
    centers = telescope.class_centers(units, labels, 6, 4)
    away, found = depth.picture_spread(chart, labels)
    assert torch.equal(found.centers, centers.centers)
    assert depth.class_means(away, labels) == pytest.approx(telescope.class_spread(units, labels, centers, 6).numpy())
    away, found = depth.picture_spread(chart, labels, others)
    assert torch.equal(found.centers, centers.centers)  # not those of the unseen pictures
    assert depth.class_means(away, others) == pytest.approx(telescope.class_spread(unseen, others, centers, 6).numpy())


def test_unseen_pictures_of_a_class_that_was_not_fitted_have_no_spread():
    # A single split with one picture of each class, such as imagenet-sample, gives each part classes of its own.
    chart = chart_of(whole(36, 12, 2), unseen=whole(36, 3, 2, seed=1))
    away, _ = depth.picture_spread(chart, torch.arange(12) % 2, torch.tensor([0, 1, 2]))
    assert away.isnan().tolist() == [False, False, True]


def test_shuffled_labels_are_a_yardstick():
    labels = torch.arange(200) % 4
    compact = chart_of(labels * 9)  # each class on one unit
    expected = []
    for number in range(depth.SHUFFLES):
        mixed = labels[torch.randperm(200, generator=torch.Generator().manual_seed(number))]
        centers = telescope.class_centers(compact.fitted, mixed, 6, 4)
        expected.append(float(telescope.class_spread(compact.fitted, mixed, centers, 6).mean()))
    assert depth.shuffled_spread(compact, labels) == pytest.approx(np.mean(expected)) and np.mean(expected) > 1
    assert float(depth.picture_spread(compact, labels)[0].max()) == 0
    # Without structure the labels' own order is one more shuffle.
    chance = chart_of(whole(36, 400))
    own = depth.class_means(depth.picture_spread(chance, torch.arange(400) % 4)[0], torch.arange(400) % 4).mean()
    assert own == pytest.approx(depth.shuffled_spread(chance, torch.arange(400) % 4), rel=0.1)


def spread_by_hand(chart, labels, others=None):
    """Mean over classes of the spread over that with shuffled labels."""
    centers = telescope.class_centers(chart.fitted, labels, 6, 10)
    units, of = (chart.fitted, labels) if others is None else (chart.unseen, others)
    spread = float(telescope.class_spread(units, of, centers, 6).nanmean())
    return spread / depth.shuffled_spread(chart, labels)


def test_spreads_of_all_kinds_and_stages(atlas, relative):
    unseen = depth.spreads(atlas, unseen=True)
    assert set(relative) == set(unseen) == {"trained", "untrained", "memorising"}
    for kind, i, (j, stage) in itertools.product(relative, range(2), enumerate(STAGES)):
        chart = atlas.charts[kind][i][stage]
        assert relative[kind][i, :, j].mean() == pytest.approx(spread_by_hand(chart, atlas.labels))
        assert unseen[kind][i, :, j].mean() == pytest.approx(spread_by_hand(chart, atlas.labels, atlas.unseen_labels))


def test_compact_and_shrinking_classes_by_hand(atlas, relative):
    mean = {kind: rows.mean(1) for kind, rows in relative.items()}  # (seeds, stages)
    found = depth.clustered(atlas, relative)
    assert found["value"] == pytest.approx(mean["trained"][:, -1].mean())
    assert found["twin"].value == pytest.approx((mean["trained"] - mean["untrained"])[:, -1].mean())
    assert found["also"] == pytest.approx({"every_stage": mean["trained"].mean(0).max()})
    found = depth.shrinking(atlas, relative)
    quotient = {kind: (rows[:, -1] / rows[:, 0]).mean() for kind, rows in mean.items()}
    assert found["value"] == pytest.approx(quotient["trained"])
    assert found["twin"].value == pytest.approx(quotient["trained"] - quotient["untrained"])
    assert found["baseline"]["memorising"] == pytest.approx(quotient["memorising"])
    assert found["ci"][0] <= found["value"] <= found["ci"][1]


def outliers_by_hand(atlas):
    """The share of unseen best units beyond the whisker of the fitted ones, minus that of the fitted ones."""
    found = []
    for charts in atlas.charts["trained"]:
        chart = charts[LAST]
        centers = telescope.class_centers(chart.fitted, atlas.labels, 6, 10)
        away = []
        for units, labels in ((chart.fitted, atlas.labels), (chart.unseen, atlas.unseen_labels)):
            of_each = labels.repeat_interleave(units.shape[1])
            away.append(telescope.center_offsets(units.flatten(), of_each, centers, 6).numpy())
        low, high = np.quantile(away[0], [0.25, 0.75])
        shares = [(values > high + 1.5 * (high - low)).mean() for values in away]
        found.append(shares[1] - shares[0])
    return np.mean(found)


def test_generalising_by_hand(atlas, relative):
    unseen = depth.spreads(atlas, unseen=True)
    found = depth.generalises(atlas, relative, unseen)
    rows = {kind: [part[kind].mean(1)[:, -1] for part in (relative, unseen)] for kind in depth.BOTH}
    assert found["value"] == pytest.approx(rows["trained"][1].mean() / rows["trained"][0].mean())
    assert found["also"]["below_twin"] == pytest.approx((rows["trained"][1] - rows["untrained"][1]).mean())
    assert found["also"]["more_outliers"] == pytest.approx(outliers_by_hand(atlas))
    assert found["baseline"]["untrained"] == pytest.approx(rows["untrained"][1].mean() / rows["untrained"][0].mean())
    assert found["baseline"]["shuffled labels, unseen"] == pytest.approx(1, abs=0.4)
    assert found["ci"][0] <= found["value"] <= found["ci"][1]


# TEL-7, TEL-8, TEL-9, TEL-17


def geometric(values):
    return math.exp(np.mean(np.log(values)))


def test_growth_over_the_twin_by_hand(atlas, growths):
    assert set(growths) == set(maps.CODINGS)

    def growth(kind, measure):
        return geometric([measure(row[LAST]) / measure(row["layer1"]) for row in atlas.charts[kind]])

    measures = {
        "units": lambda chart: chart.relative_distance,
        "centres": lambda chart: maps.median_centers(chart.som, chart.fitted, atlas.labels) / chart.loss,
    }
    for name, judge in (("units", depth.diverse_units), ("centres", depth.diverse_centers)):
        found, own, twin = judge(atlas, growths), growth("trained", measures[name]), growth("untrained", measures[name])
        assert found["value"] == pytest.approx(own / twin) and found["also"]["raw_growth"] == pytest.approx(own)
        assert found["value"] == pytest.approx(
            growths["normalised"][f"{name}, trained"] / growths["normalised"][f"{name}, untrained"]
        )
        ratios = [row[f"{name}, trained"] / row[f"{name}, untrained"] for row in growths.values()]
        assert found["also"]["every_coding"] == pytest.approx(min(ratios))
        field = "relative_distance" if name == "units" else "relative_centers"
        again = []
        for r in range(3):
            each = {
                kind: geometric(
                    [getattr(row[LAST][r], field) / getattr(row["layer1"][r], field) for row in atlas.replicates[kind]]
                )
                for kind in depth.BOTH
            }
            again.append(each["trained"] / each["untrained"])
        half = student.ppf(0.975, 2) * np.log(again).std(ddof=1)
        assert math.log(found["ci"][1] / found["value"]) == pytest.approx(half, rel=0.03)


def test_distances_grow_beside_codes_and_labels_that_mean_nothing(atlas, growths):
    units, centres = depth.diverse_units(atlas, growths), depth.diverse_centers(atlas, growths)
    ratios, mixed = [], depth.shuffled(atlas.labels)
    assert sorted(mixed.tolist()) == sorted(atlas.labels.tolist()) and not torch.equal(mixed, atlas.labels)
    for i, seed in enumerate(atlas.run.seeds):
        ends = {}
        for stage in ("layer1", LAST):
            codes = depth.gaussian_like(atlas.codes("trained", i, stage), i)
            som = maps.fit(codes, atlas.run, seed)
            ends[stage] = np.median(telescope.unit_distances(som).numpy()) / telescope.mean_loss(som, codes)
        ratios.append(ends[LAST] / ends["layer1"])
    assert units["baseline"]["growth, Gaussian codes"] == pytest.approx(geometric(ratios))
    gaussian = depth.gaussian_charts(atlas)
    assert set(gaussian[1]) == set(STAGES)
    again = depth.diverse_units(atlas, growths, gaussian)["baseline"]["growth, Gaussian codes"]
    assert again == units["baseline"]["growth, Gaussian codes"]
    ratios = [
        depth.relative_centers(row[LAST], mixed) / depth.relative_centers(row["layer1"], mixed)
        for row in atlas.charts["trained"]
    ]
    assert centres["baseline"]["growth, shuffled labels"] == pytest.approx(geometric(ratios))


def test_other_codings_have_maps_of_their_own(run, atlas, growths):
    ends = []
    for i, seed in enumerate(run.seeds):
        q = {}
        for stage in ("layer1", LAST):
            codes = maps.coded(atlas.fitted["trained"][i][stage], "raw")
            som = telescope.fit_som(codes, 6, 2.0, run.alpha, 2, run.batch_size, seed)
            q[stage] = np.median(telescope.unit_distances(som).numpy()) / telescope.mean_loss(som, codes)
        ends.append(q[LAST] / q["layer1"])
    assert growths["raw"]["units, trained"] == pytest.approx(geometric(ends))


def test_q_under_every_coding_is_that_of_its_maps(run, atlas, in_codings, q_codings):
    assert in_codings["normalised"] is atlas.charts and set(q_codings) == set(maps.CODINGS)
    for coding, kinds in q_codings.items():
        # Networks that learned shuffled labels are asked about their first stage alone (TEL-21).
        assert {kind: tuple(row) for kind, row in kinds.items()} == {
            "trained": ("layer1", LAST), "untrained": ("layer1", LAST), "memorising": ("layer1",)
        }  # fmt: skip
        for i, seed in enumerate(run.seeds):
            codes = maps.coded(atlas.fitted["memorising"][i]["layer1"], coding)
            som = telescope.fit_som(codes, 6, 2.0, run.alpha, 2, run.batch_size, seed)
            loss = cdist(codes.double().numpy(), som.weights.double().numpy(), "cosine").min(1).mean()
            expected = np.median(pdist(som.weights.double().numpy(), "cosine")) / loss
            assert kinds["memorising"]["layer1"][i] == pytest.approx(expected, rel=1e-2)
    table = map_views.coding_table(q_codings, np.array([[1.0, 9.0], [2.0, 9.0]]))
    assert table["raw"]["pixels"] == table["z-scored"]["pixels"] == 1.5
    assert table["raw"]["memorising, layer1"] == pytest.approx(q_codings["raw"]["memorising"]["layer1"].mean())


def test_centres_on_one_unit_give_a_reason(atlas, growths):
    broken = {**growths, "raw": {**growths["raw"], "centres, trained": float("nan")}}
    assert "fall on one unit" in depth.diverse_centers(atlas, broken)
    assert math.isnan(depth._growth(np.array([0.0, 1]), np.array([1.0, 1]))) and depth._growth(
        np.full(2, 2), np.full(2, 6)
    ) == pytest.approx(3)


def test_grids_are_compared_by_hand(atlas):
    atlas = with_run(atlas, preset="paper")
    table = {
        4: {"layer1": np.array([1.0, 2.0]), "layer2": np.array([1.0, 1.0]), LAST: np.array([3.0, 1.0])},
        6: {"layer1": np.array([3.0, 2.0]), "layer2": np.array([1.0, 1.0]), LAST: np.array([3.0, 4.0])},
    }
    same = {grid: dict.fromkeys(STAGES, np.array([2.0, 2.0])) for grid in (4, 6)}
    found = depth.same_on_grids(atlas, {"trained": table, "untrained": same})
    # Seed 0: 1 and 3 about 2; seed 1: 1 and 4 about 2.5.
    assert found["value"] == pytest.approx(np.mean([0.5, 0.6])) and found["baseline"]["untrained"] == 0
    assert found["baseline"]["between seeds on the largest map"] == pytest.approx(
        4 / 3.5 - 1 if 4 / 3.5 - 1 > 0.2 else 0.2
    )
    quick = with_run(atlas, preset="quick")
    assert "10 x 10 and 20 x 20" in depth.same_on_grids(quick, {"trained": table, "untrained": same})
    wide = {10: table[4], 20: table[6], 30: same[4]}
    found = depth.same_on_grids(quick, {"trained": wide, "untrained": wide})
    assert found["value"] == pytest.approx(0.55) and found["note"] == "grids 10 x 10, 20 x 20"


def test_grids_on_which_centres_fall_on_one_unit_give_a_reason(atlas):
    none = {grid: dict.fromkeys(STAGES, np.zeros(2)) for grid in (10, 20)}
    with np.errstate(invalid="ignore"):
        assert isinstance(depth.same_on_grids(atlas, {"trained": none, "untrained": none}), str)


def test_maps_of_other_sizes(run, atlas):
    found = depth.grid_charts(atlas, [4, 6])
    for kind, i in itertools.product(depth.BOTH, range(2)):
        codes = atlas.codes(kind, i, "layer2")
        som = telescope.fit_som(codes, 4, 2.0, run.alpha, 2, run.batch_size, run.seeds[i])
        expected = maps.median_centers(som, telescope.best_units(som, codes, 4), atlas.labels)
        assert found[kind][4]["layer2"][i] == pytest.approx(expected)
        chart = atlas.charts[kind][i]["layer2"]
        assert found[kind][6]["layer2"][i] == pytest.approx(maps.median_centers(chart.som, chart.fitted, atlas.labels))


def test_condensing_and_expanding_by_hand(run, atlas, digits, q_codings):
    pixels = depth.pixel_distances(run, digits[0])
    flat = digits[0].tensors()[0].flatten(1)
    assert pixels.shape == (2, 1 + run.repeats)
    for seed, row in zip(run.seeds, pixels, strict=True):
        som = telescope.fit_som(flat, 6, 2.0, run.alpha, 2, run.batch_size, seed)
        expected = np.median(pdist(som.weights.double(), "cosine")) / telescope.mean_loss(som, flat)
        assert row[0] == pytest.approx(expected, rel=1e-2) and len(set(row.tolist())) == 1 + run.repeats
    found, smaller = depth.condense_then_expand(atlas, pixels, q_codings), {}
    for kind in depth.BOTH:
        q = {tap: [row[tap].relative_distance for row in atlas.charts[kind]] for tap in ("layer1", LAST)}
        smaller[kind] = min(geometric(np.divide(above, q["layer1"])) for above in (pixels[:, 0], q[LAST]))
    assert found["value"] == pytest.approx(smaller["trained"])
    assert found["twin"].value == pytest.approx(smaller["trained"] - smaller["untrained"])
    assert found["baseline"]["q, pixels"] == pytest.approx(geometric(pixels[:, 0])) and "q, conv1" in found["baseline"]
    assert found["ci"][0] < found["value"] < found["ci"][1]
    assert found["baseline"]["coding normalised"] == pytest.approx(found["value"])
    for coding, kinds in q_codings.items():
        first, last = kinds["trained"]["layer1"], kinds["trained"][LAST]
        expected = min(geometric(pixels[:, 0] / first), geometric(last / first))
        assert found["baseline"][f"coding {coding}"] == pytest.approx(expected)
    alike = {"raw": {"trained": {"layer1": np.array([0.0, 1.0]), LAST: np.array([1.0, 1.0])}}}
    assert "coding raw" not in depth.condense_then_expand(atlas, pixels, alike)["baseline"]


# TEL-18


def test_shared_units_by_hand():
    # Copies of one list for each stage, in which every repetition has some units of its own.
    units = [[whole(4, 60, seed=s) for s in range(3)] for _ in range(3)]
    for r, s in itertools.product(range(3), repeat=2):
        units[r][s][20 * r : 20 * r + 15] = whole(4, 15, seed=10 * r + s)
    rows = {stage: [Replicate(1.0, 1.0, units[r][s]) for r in range(3)] for s, stage in enumerate(STAGES)}

    def ami(a, b):
        return adjusted_mutual_info_score(a.tolist(), b.tolist())

    expected = []
    for r, other in ((0, 1), (1, 2), (2, 0)):
        within = [ami(units[r][s], units[other][s]) for s in range(3)]
        between = [ami(units[r][s], units[other][s + 1]) for s in range(2)]
        expected.append(np.mean([between[s] / np.mean(within[s : s + 2]) for s in range(2)]))
    assert depth._shared(rows, STAGES) == pytest.approx(expected)
    alone = [torch.zeros(60, dtype=torch.int64), units[0][0], units[1][1]]
    nothing = [Replicate(1.0, 1.0, own) for own in alone]
    assert np.isnan(depth._shared({**rows, "layer1": nothing, "layer2": nothing}, STAGES)[0])
    assert depth._ami(units[0][0], units[0][0]) == 1 and abs(depth._ami(units[0][0], units[2][2])) < 0.1


def test_perplexity_grows_with_the_pictures():
    units = torch.cat([whole(36, 80, 1), whole(36, 80, 1, seed=1)])
    log_perplexity = []
    for part in (units[:, 0], units[::2, 0]):
        share = np.unique(part.numpy(), return_counts=True)[1] / len(part)
        log_perplexity.append(-(share * np.log(share)).sum())
    found = depth._perplexity_growth(chart_of(units))
    assert found == pytest.approx(log_perplexity[0] - log_perplexity[1]) and found > 0
    assert depth._perplexity_growth(chart_of(torch.arange(36).repeat_interleave(2))) == pytest.approx(0)


def test_membership_needs_a_network_that_memorised(atlas):
    found = depth.membership(atlas)
    quotients = {k: np.mean([depth._shared(row, STAGES) for row in atlas.replicates[k]], 0) for k in depth.BOTH}
    assert found["value"] == pytest.approx(quotients["trained"].mean())
    assert found["twin"].value == pytest.approx((quotients["trained"] - quotients["untrained"]).mean())
    growth = {
        kind: np.mean([depth._perplexity_growth(row[LAST]) for row in atlas.charts[kind]])
        for kind in ("trained", "memorising")
    }
    assert found["also"]["perplexity_growth"] == pytest.approx(growth["trained"] - growth["memorising"])
    without = dataclasses.replace(atlas, charts={kind: atlas.charts[kind] for kind in depth.BOTH})
    assert "no network here that memorised" in depth.membership(without)


# TEL-15


def test_farther_is_a_count_of_pairs_and_mann_whitneys_u():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, 6, (2, 70)), rng.random((2, 70)) < 0.6, rng.integers(0, 3, (2, 70))], -1).astype(
        float
    )
    rows[:, rows.shape[1] // 2 :, 2] %= 3
    expected = []
    for one in rows:
        wins = pairs = 0
        for (a, good_a, label_a), (b, good_b, label_b) in itertools.product(one, one):
            if label_a == label_b and not good_a and good_b:
                wins, pairs = wins + (1 if a > b else 0.5 if a == b else 0), pairs + 1
        expected.append(wins / pairs)
    assert depth.farther(rows, 1) == pytest.approx(expected)
    assert depth.farther(rows.transpose(1, 0, 2), 0) == pytest.approx(expected)
    single = rows[0].copy()
    single[:, 2] = 1
    wrong, good = (single[single[:, 1] == flag, 0] for flag in (0, 1))
    test = mannwhitneyu(wrong, good)
    assert float(depth.farther(single, 0)) == pytest.approx(test.statistic / len(wrong) / len(good))
    single[:, 1] = 1
    assert np.isnan(depth.farther(single, 0))


def test_errors_lie_far_out_where_they_are_put_there(atlas):
    assert depth.errors_far_out(atlas, np.ones((2, 120), bool)).startswith("0 errors and 120 right answers")
    away = depth.picture_spread(atlas.charts["trained"][0][LAST], atlas.labels, atlas.unseen_labels)[0].numpy()
    right = np.ones(120, bool)
    for label in range(10):  # the farther half of each class
        mine = np.flatnonzero(atlas.unseen_labels.numpy() == label)
        right[mine[away[mine] > np.median(away[mine])]] = False
    rights = np.stack([right, right])
    found = depth.errors_far_out(atlas, rights)
    of_seed = []
    for charts in atlas.charts["trained"]:
        far = depth.picture_spread(charts[LAST], atlas.labels, atlas.unseen_labels)[0].numpy()
        of_seed.append(float(depth.farther(np.stack([far, right, atlas.unseen_labels.numpy()], -1), 0)))
    assert of_seed[0] == 1 and found["value"] == pytest.approx(np.mean(of_seed))
    assert found["baseline"]["shuffled split"] == pytest.approx(0.5, abs=0.15) and found["baseline"]["chance"] == 0.5
    # A network that is there once stands in every row.
    assert depth.errors_far_out(atlas, rights[:1])["value"] == pytest.approx(found["value"])


# TEL-19


def bare(run, codes, stages=("a", "b")):
    """An atlas of unseen codes alone."""
    none = {}
    return depth.Atlas(run, stages, "", torch.zeros(0), torch.zeros(0), none, codes, none, none)


def test_within_over_between_is_a_double_loop(run):
    labels = whole(3, 30)
    members = [{stage: draws(30, 15, seed=10 * i + j).abs().float() for j, stage in enumerate("ab")} for i in range(2)]
    found = depth.within_between(bare(run, {"trained": members}), "trained", labels, draws=4)
    assert found.shape == (2, 5)

    def quotient(codes, places):
        apart = cdist(codes, codes, "cosine")
        sums, counts = [0.0, 0.0], [0, 0]
        for i, j in itertools.product(places, places):
            if i != j:  # a picture that was drawn twice is no pair
                between = int(labels[i] != labels[j])
                sums[between], counts[between] = sums[between] + apart[i, j], counts[between] + 1
        return sums[0] / counts[0] / (sums[1] / counts[1])

    times = np.random.default_rng(run.seed).multinomial(30, np.full(30, 1 / 30), size=4)
    places = [list(range(30)), *(np.repeat(np.arange(30), row) for row in times)]
    for s, stage in enumerate("ab"):
        for draw, rows in enumerate(places):
            each = [quotient(maps.coded(member[stage], "normalised").numpy(), rows) for member in members]
            assert found[s, draw] == pytest.approx(np.mean(each), rel=1e-4)


def test_of_many_pictures_a_share_is_compared(run):
    labels, codes = whole(3, 50), draws(50, 15).abs().float()
    found = depth.within_between(bare(run, {"trained": [{"a": codes}]}, ("a",)), "trained", labels, draws=1, most=20)
    part = depth.within_between(bare(run, {"trained": [{"a": codes[::3]}]}, ("a",)), "trained", labels[::3], draws=1)
    assert found[0, 0] == pytest.approx(part[0, 0])


def test_closer_within_by_hand(atlas):
    nonlinear = {"PGD": np.array([[0.1, 0.5]]), "equal noise": np.array([[0.2, 0.2]])}
    found = depth.closer_within(atlas, nonlinear)
    quotients = {kind: depth.within_between(atlas, kind, atlas.unseen_labels, draws=1)[:, 0] for kind in depth.BOTH}
    assert found["value"] == pytest.approx(quotients["trained"][-1])
    assert found["twin"].value == pytest.approx(quotients["trained"][-1] - quotients["untrained"][-1])
    assert found["also"]["falls_with_depth"] == pytest.approx(np.polyfit(range(3), quotients["trained"], 1)[0])
    assert found["also"]["nonlinear_part_cl1"] == pytest.approx(0.3)
    assert found["baseline"]["shuffled labels"] == pytest.approx(1, abs=0.1)


# TEL-21, snapshots and pictures


def test_condensing_is_spearmans_correlation():
    rng = np.random.default_rng(0)
    q = {share: rng.random(3) + i for i, share in enumerate(("0 %", "50 %", "100 %"))}
    accuracy = {share: np.round(rng.random(3) - i, 1) for i, share in enumerate(q)}
    turned = {share: -rows for share, rows in q.items()}
    constant = {share: np.ones(3) for share in q}
    found = depth.condensing_helps(q, accuracy, 0, {"raw": turned, "z-scored": constant})
    assert found["baseline"]["coding raw"] == pytest.approx(-found["value"])
    assert "coding z-scored" not in found["baseline"]
    assert found["value"] == pytest.approx(
        spearmanr(np.concatenate(list(q.values())), np.concatenate(list(accuracy.values()))).statistic
    )
    # A table of critical values has 0.6 for nine pairs, one-sided at 5 %.
    assert found["baseline"]["order permuted, 5 % quantile"] == pytest.approx(-0.6, abs=0.04)
    assert found["baseline"]["q, 50 %"] == pytest.approx(q["50 %"].mean()) and found["note"] == "9 networks"


@pytest.mark.parametrize(("epochs", "due"), [(1, [-1, 0]), (5, [-1, 0, 1, 3, 4]), (30, [-1, 0, 1, 3, 7, 15, 29])])
def test_snapshots_at_powers_of_two_and_at_the_end(epochs, due):
    assert [epoch for epoch in range(-1, epochs) if map_views.snapshot_due(epoch, epochs)] == due


def test_a_snapshot_is_mapped_like_the_network_itself(run, atlas):
    codes = atlas.fitted["trained"][0]
    panels = map_views.forming([codes, atlas.fitted["untrained"][0]], atlas.labels, run, STAGES)
    for stage in STAGES:
        for number, kind in enumerate(depth.BOTH):
            chart = atlas.charts[kind][0][stage]
            assert panels["unit distance / loss"][stage][number] == pytest.approx(chart.relative_distance)
            assert panels["class spread / shuffled"][stage][number] == pytest.approx(
                spread_by_hand(chart, atlas.labels)
            )


def test_strange_pictures_lie_farther_from_the_map(run, atlas, networks, digits):
    inputs = digits[1].tensors()[0][:30]
    noise = map_views.random_pixels(inputs, 2)
    assert (
        noise[0].shape == inputs.shape
        and not torch.equal(*noise)
        and 0 <= float(noise[0].min()) < float(noise[0].max()) <= 1
    )
    codes = map_views.codes_of(networks["trained"], {"noise": noise, "same": [digits[0].tensors()[0]] * 2}, STAGES, run)
    found = map_views.strangeness(atlas, codes)
    assert set(found) == {"unseen", "noise", "same"}
    for stage in STAGES:
        assert found["same"][stage] == pytest.approx([1, 1], rel=1e-3)
        for i, charts in enumerate(atlas.charts["trained"]):
            part = maps.coded(codes["noise"][i][stage], run.coding).double().numpy()
            loss = cdist(part, charts[stage].som.weights.double().numpy(), "cosine").min(1).mean()
            assert found["noise"][stage][i] == pytest.approx(loss / charts[stage].loss, rel=1e-3)
    assert (found["noise"]["layer1"] > 1.5).all()


def test_tables_for_the_figures(atlas):
    table = map_views.spread_table(atlas)
    assert set(table) == {"trained", "trained, unseen", "untrained", "shuffled labels"}
    for name, kind, others in (("trained", "trained", None), ("trained, unseen", "trained", atlas.unseen_labels)):
        chart = atlas.charts[kind][1][LAST]
        centers = telescope.class_centers(chart.fitted, atlas.labels, 6, 10)
        units, labels = (chart.fitted, atlas.labels) if others is None else (chart.unseen, others)
        assert table[name][LAST][10:] == pytest.approx(telescope.class_spread(units, labels, centers, 6).numpy())
    assert map_views.chance_spread(atlas) == telescope.chance_spread(6, atlas.labels.bincount().tolist(), 4, 0)
    right = np.arange(120)[None] % 3 > 0
    parted = map_views.right_and_wrong(atlas, right)
    assert len(parted["right"][LAST]) == 2 * 80 and len(parted["wrong"][LAST]) == 2 * 40
    away = depth.picture_spread(atlas.charts["trained"][0][LAST], atlas.labels, atlas.unseen_labels)[0].numpy()
    assert parted["wrong"][LAST][:40] == pytest.approx(away[::3])


def test_what_alt_texts_say_is_counted(atlas):
    gaussian = depth.gaussian_charts(atlas)
    first = map_views.first_maps(atlas, gaussian)
    assert list(first) == ["trained", "untrained", "Gaussian codes"] and set(first["untrained"]) == set(STAGES)
    assert first["untrained"][LAST] is atlas.charts["untrained"][0][LAST]
    dense = map_views.densities(first)
    assert dense["Gaussian codes"]["layer1"].shape == (6, 6)
    line = map_views.densities({"a": {"b": chart_of(torch.tensor([0, 1, 1, 2]))}})["a"]["b"]
    assert line[0].tolist() == [25, 50, 25, 0, 0, 0] and not line[1:].any()
    chart = chart_of(torch.tensor([[3, 1], [3, 2], [4, 1]]))
    assert map_views.used(chart) == 2 and map_views.used(chart, torch.tensor([True, True, False])) == 1
    # About the corner, the units of the last column and of the last row come from beyond the border.
    units = torch.tensor([[0, 1], [5, 30]])
    crossed = map_views.crossing({"a": (units, torch.tensor([0.0, 0.0]), torch.zeros(2))}, 6)
    assert crossed == {"a": 0.5}
    sizes = np.array([[0.05, 0.1, np.nan, np.inf], [0.1, 0.1, np.inf, np.nan]])
    away = np.array([[1.0, 2, 99, 4], [3, 7, 6, 99]])
    flips = fragility.Flips(sizes, {"first stage": away}, torch.arange(4))
    assert map_views.flip_medians(flips, 0.1) == {"0.5": (1, 1), "1": (3, 3), "never": (5, 2)}
    away[0, 3] = np.inf  # no other class on the map
    assert map_views.flip_medians(flips, 0.1)["never"] == (6, 1)


def test_the_explorer_counts_by_hand(atlas, digits):
    found = map_views.explored(atlas, digits[0])["layer2"]
    chart, codes = atlas.charts["trained"][0]["layer2"], atlas.codes("trained", 0, "layer2")
    first = chart.fitted[:, 0].tolist()
    assert found["usage"].flatten().tolist() == [first.count(u) for u in range(36)]
    nearest = cdist(chart.som.weights.double().numpy(), codes.double().numpy(), "cosine").argmin(1)
    assert (found["picture"] == nearest).mean() > 0.9  # ties of float32 apart
    unit = max(range(36), key=first.count)
    mine = [int(atlas.labels[i]) for i, u in enumerate(first) if u == unit]
    words = dict(text.split(": ") for text in found["classes"].flatten()[unit].split(", "))
    assert all(int(count) == mine.count(int(name)) for name, count in words.items())
    assert list(map(int, words.values())) == sorted(map(mine.count, set(mine)), reverse=True)[:4]
    assert map_views.thumbnails(digits[0]).shape == (120, 8, 8)
    with pytest.raises(ValueError, match="^only pictures that come with the packages are shown$"):
        map_views.thumbnails(dataclasses.replace(digits[0], embedded=False))


# All of it together


def test_a_class_of_few_pictures_has_no_spread(atlas, relative, growths):
    few = torch.arange(120).clamp(max=3)  # one picture each of three classes
    assert depth.few_of_a_class(few) == "A class has 1 picture(s); a spread needs 5." and not depth.few_of_a_class(
        atlas.labels
    )
    poor = dataclasses.replace(atlas, labels=few, unseen_labels=few)
    rights = np.ones((2, 120), bool)
    reasons = [
        depth.clustered(poor, relative), depth.shrinking(poor, relative), depth.generalises(poor, relative, relative),
        depth.diverse_centers(poor, growths), depth.same_on_grids(poor, {}), depth.errors_far_out(poor, rights),
        depth.closer_within(poor, {}),
    ]  # fmt: skip
    assert reasons == ["A class has 1 picture(s); a spread needs 5."] * 7


def test_every_endpoint_can_be_judged(measured):
    registered = claims.of_chapter(CHAPTER)
    for claim, endpoint in measured.items():
        assert not isinstance(endpoint, str), f"{claim}: {endpoint}"
        scale = registered[claim]["scales"]["quick"]
        numbers = [
            endpoint["value"],
            *endpoint.get("ci", ()),
            *endpoint.get("also", {}).values(),
            *endpoint["baseline"].values(),
        ]
        assert all(map(math.isfinite, numbers)), claim
        assert not scale["twin"] or np.isfinite(endpoint["twin"].draws).all(), claim
        twin = endpoint["twin"].interval() if scale["twin"] else None
        verdict, _ = claims.judge(scale, endpoint["value"], endpoint.get("ci"), endpoint.get("also"), twin)
        assert verdict in claims.VERDICTS[:3]


@pytest.mark.parametrize("preset", ["quick", "imagenet", "paper"])
def test_every_scale_finds_its_second_conditions(atlas, measured, preset):
    if preset == "paper":
        measured = {**measured, "TEL-2": depth.plateau(with_run(atlas, preset=preset))}
        assert -1 <= measured["TEL-2"]["also"]["full_order"] <= 1
    for claim, endpoint in measured.items():
        scale = claims.of_chapter(CHAPTER)[claim]["scales"][preset]
        missing = {test["name"] for test in scale.get("also", ())} - set(endpoint.get("also", ()))
        assert not missing, f"{claim}: {missing}"
        assert not scale["twin"] or "twin" in endpoint, claim
        assert not scale.get("interval") or "ci" in endpoint, claim


def test_small_pictures_take_both_conditions(run, measured):
    spread, units = measured["TEL-5"], measured["TEL-7"]
    named = [dataclasses.replace(run, values={**run.values, "dataset": name}) for name in ("cifar10", "digits")]
    found = depth.on_small_pictures(named[0], spread, units)
    assert found["value"] == spread["value"] and found["also"] == {"code_growth": units["value"]}
    assert depth.on_small_pictures(named[0], "no spread", units) == "no spread"
    assert isinstance(depth.on_small_pictures(named[1], spread, units), str)


def test_the_same_run_gives_the_same_numbers(run, atlas, measured, networks, digits, q_codings):
    both = {kind: networks[kind] for kind in depth.BOTH}
    again = depth.survey(run, both, *digits, STAGES, "conv1")
    for kind, i, tap in itertools.product(depth.BOTH, range(2), ("input", "conv1", *STAGES)):
        assert torch.equal(again.charts[kind][i][tap].som.weights, atlas.charts[kind][i][tap].som.weights)
    for claim, endpoint in {
        "TEL-3": depth.uneven_use(again),
        "TEL-5": depth.shrinking(again, depth.spreads(again)),
        "TEL-17": depth.condense_then_expand(again, np.linspace(1, 2, 8).reshape(2, 4), q_codings),
    }.items():
        first = measured[claim]
        assert endpoint["value"] == first["value"] and endpoint.get("ci") == first.get("ci")
        assert endpoint["twin"].draws.tolist() == first["twin"].draws.tolist()
