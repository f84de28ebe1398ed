"""Claims of chapter 04 on networks: each endpoint against its registered measure, written out in loops, on codes made by hand."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr
from scipy.stats import t as student

from innercodes import (
    autoencoders,
    claims,
    code_networks,
    coding_limits,
    eigenfilters,
    layer_codes,
    neurons,
    parameters,
    redundancy,
    scenes,
    spectra,
)
from innercodes.layer_codes import LayerCode
from innercodes.redundancy import Survey

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off",
    "device": "cpu",
    "repeats": 4,
    "bootstrap": 100,
    "frames": 20,
    "projections": 20,
    "columns": 200,
}
RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
KINDS = {rate: f"dropout {rate:g}" for rate in RATES}
LAYERS = tuple(f"layer {i}" for i in range(9))
REPEATS = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


def code_of(rng, **given):
    """A code of random numbers in the ranges that real ones have."""
    row = 1 + REPEATS
    values = {
        "columns": 200, "eigenvalues": np.arange(1.0, 201) ** -1.0, "alpha": rng.normal(-1, 0.3, row),
        "action": rng.uniform(0.1, 2, row), "raw_action": 1.0, "unordered": rng.uniform(2, 5), "position": rng.uniform(0, 1, row),
        "unordered_position": rng.uniform(0, 0.1), "components": rng.uniform(0, 1, row), "probe": rng.uniform(0.1, 0.9, row),
        "mixed_probe": rng.uniform(0.05, 0.15), "bend": rng.uniform(0.05, 0.3, row),
        "readers": rng.uniform(0, 0.6, (row, 5, 3)), "mixed_readers": rng.uniform(-0.1, 0.1, (2, 3)),
    }  # fmt: skip
    return LayerCode(**{**values, **given})


def survey_of(run, layers=LAYERS, seeds=3, kinds=KINDS, reference="dropout 0.4", seed=0, **given):
    """Random codes; `given` maps a field to a function of the kind, the seed's place and the layer's place."""
    rng = np.random.default_rng(seed)
    codes = {
        kind: [
            {
                layer: code_of(rng, **{name: make(kind, s, i) for name, make in given.items()})
                for i, layer in enumerate(layers)
            }
            for s in range(seeds)
        ]
        for kind in (*kinds.values(), "untrained")
    }
    return Survey(run, tuple(layers), kinds, reference, codes)


@pytest.fixture(scope="module")
def survey(run):
    return survey_of(run)


def over_seeds(survey, kind, name, statistic, column):
    """The mean over seeds of a statistic of the list of a measure over layers."""
    return np.mean(
        [statistic([getattr(seed[layer], name)[column] for layer in survey.layers]) for seed in survey.codes[kind]]
    )


def all_columns(compute):
    return np.array([compute(column) for column in range(1 + REPEATS)])


def t_interval(values, log=False):
    """Student's interval about the first value with the spread of the others."""
    rest = np.log(values[1:]) if log else values[1:]
    half = student.ppf(0.975, len(rest) - 1) * np.std(rest, ddof=1)
    return (values[0] * math.exp(-half), values[0] * math.exp(half)) if log else (values[0] - half, values[0] + half)


def check(found, values, twin=None, log=False):
    assert found["value"] == pytest.approx(values[0], abs=1e-12)
    # 2000 quantiles stand for the distribution, whose tails they cut a little.
    assert found["ci"] == pytest.approx(t_interval(values, log), rel=0.02, abs=0.02 * (found["ci"][1] - found["ci"][0]))
    if twin is None:
        assert "twin" not in found
    else:
        assert found["twin"].value == pytest.approx(values[0] - twin[0], abs=1e-12)
        own = t_interval(values - twin)
        assert found["twin"].interval() == pytest.approx(own, rel=0.02, abs=0.02 * (own[1] - own[0]))


# What the claims file says


def test_constants_are_the_registered_ones():
    found = claims.of_chapter(CHAPTER)
    words = {number: found[f"COD-{number}"]["measure"] for number in range(1, 27)}
    for number in (11, 12, 13, 15):
        assert f"dropout {redundancy.WITH}" in words[number] and "without" in words[number]
    assert (
        f"at least {redundancy.FEWEST_POINTS} points" in words[14]
        and f"at least {redundancy.FEWEST_POINTS} points" in words[19]
    )
    assert f"at least {redundancy.BREAK_POINTS} points" in words[25]
    assert f"at least {redundancy.FEWEST_POINTS} layers" in found["COD-9"]["scales"]["paper"]["measure"]
    low, high = redundancy.WINDOW.split()
    assert f"ranks {low} to {high}" in words[7] and f"ranks {low} to {high}" in words[8]
    listed = ", ".join(f"{rate:g}" for rate in redundancy.PAPER_RATES)
    assert listed in found["COD-11"]["scales"]["paper"]["measure"]
    assert "dropout 0.8" in found["COD-15"]["scales"]["paper"]["measure"]


def endpoints(survey):
    growth = {"value": 0.0, "also": {"growth_when_flat": 0.3}, "baseline": {}}
    paper = survey.run.preset == "paper"
    return {
        "COD-7": redundancy.non_monotone(survey, -1.3, 0.0),
        "COD-8": redundancy.natural(np.array([-1.3, -1.31, -1.29, -1.3, -1.28]), -1.3, 0.0),
        "COD-9": redundancy.rougher_when_flat(survey, growth) if paper else growth,
        "COD-10": redundancy.smoother_with_depth(survey, 1.0),
        "COD-11": redundancy.steeper_with_dropout(survey),
        "COD-12": redundancy.smoother_with_dropout(survey),
        "COD-13": redundancy.tells_more_with_dropout(survey),
        "COD-14": redundancy.smooth_explains(survey, -0.9),
        "COD-15": redundancy.bent_by_dropout(survey),
        "COD-19": redundancy.redundant_reads_easily(survey),
        "COD-24": neurons.tandem(survey),
        "COD-25": redundancy.transition(survey),
    }


@pytest.mark.parametrize("preset", ["quick", "imagenet", "paper"])
def test_every_endpoint_has_what_its_scale_asks_for(run, preset):
    there = changed(run, preset=preset, dataset="scenes" if preset == "quick" else "cifar10")
    found = endpoints(survey_of(there, [f"layer {i}" for i in range(17)]))
    results = claims.Results(there)
    for claim, endpoint in found.items():
        assert isinstance(endpoint, dict), endpoint
        results.take(claim, endpoint)
    rows = {row["id"]: row for row in results.rows()}
    judged = {claim for claim in found if "not_tested" not in claims.of_chapter(CHAPTER)[claim]["scales"][preset]}
    assert {claim for claim in found if rows[claim]["value"] is not None} == judged
    assert all(rows[claim]["baseline"] for claim in judged - {"COD-9"})


@pytest.mark.parametrize("preset", ["quick", "imagenet", "paper"])
def test_one_seed_is_enough_to_compute(run, preset):
    found = endpoints(survey_of(changed(run, preset=preset), seeds=1))
    assert all(isinstance(endpoint, dict) for claim, endpoint in found.items() if (claim, preset) != ("COD-9", "paper"))


# Parts


@given(st.integers(3, 60))
def test_thirds_part_the_layers(count):
    early, middle, late = (list(range(count))[part] for part in redundancy.thirds(range(count)))
    assert early + middle + late == list(range(count)) and early and middle and late
    assert len(early) == len(late) == count // 3


def test_rows_and_labels_of_a_survey(survey):
    rows = survey.rows("dropout 0.6", "alpha")
    assert rows.shape == (3, 9, 5)
    assert rows[1, 4].tolist() == survey.codes["dropout 0.6"][1]["layer 4"].alpha.tolist()
    labelled = survey.by_layer("probe", [f"l{i}" for i in range(9)])
    assert labelled["untrained"]["l2"].tolist() == [seed["layer 2"].probe[0] for seed in survey.codes["untrained"]]
    assert survey.pair() == ("dropout 0.6", "dropout 0")
    assert dataclasses.replace(survey, kinds={0.4: "dropout 0.4"}).pair() is None


# COD-7 and COD-8


def late_fall(values):
    third = len(values) // 3
    return values[-1] - max(values[third : len(values) - third])


def test_non_monotone_is_the_last_alpha_minus_the_largest_of_the_middle_third(survey):
    found = redundancy.non_monotone(survey, -1.3, -0.1)
    own, twin = (
        all_columns(lambda c, kind=kind: over_seeds(survey, kind, "alpha", late_fall, c))
        for kind in ("dropout 0.4", "untrained")
    )
    check(found, own, twin)
    rise = over_seeds(survey, "dropout 0.4", "alpha", lambda values: max(values[3:6]) - values[0], 0)
    assert found["also"] == {"rise_before": pytest.approx(rise)}
    assert found["baseline"]["untrained"] == pytest.approx(twin[0]) and found["baseline"]["alpha, pixels"] == -1.3


def test_at_the_scale_of_the_paper_the_levels_are_compared_too(run):
    survey = survey_of(changed(run, preset="paper"))
    also = redundancy.non_monotone(survey, -1.3, -0.1)["also"]
    mean = {i: over_seeds(survey, "dropout 0.4", "alpha", lambda values, i=i: values[i], 0) for i in (0, -1)}
    assert also["first_below"] == pytest.approx(mean[0]) and also["last_below"] == pytest.approx(mean[-1])
    assert also["middle_above"] == pytest.approx(over_seeds(survey, "dropout 0.4", "alpha", lambda v: max(v[3:6]), 0))


def test_three_layers_have_one_in_the_middle(run):
    steep = {0: -1.2, 1: -0.6, 2: -1.5}
    survey = survey_of(run, LAYERS[:3], alpha=lambda kind, s, i: np.full(5, -1.0 if kind == "untrained" else steep[i]))
    found = redundancy.non_monotone(survey, -1.3, -0.1)
    assert found["value"] == pytest.approx(-0.9) and found["ci"] == pytest.approx((-0.9, -0.9))
    assert found["also"]["rise_before"] == pytest.approx(0.6)
    assert found["twin"].value == pytest.approx(-0.9)


@given(st.lists(st.floats(-3, 0.5), min_size=4, max_size=8))
def test_natural_is_the_distance_from_minus_one_with_its_interval(alphas):
    found = redundancy.natural(np.array(alphas), -1.2, 0.0)
    low, high = found["ci"]
    assert found["value"] == abs(alphas[0] + 1) and low <= found["value"] + 1e-9 and found["value"] <= high + 1e-9
    inside = t_interval(np.array(alphas))
    if inside[0] < -1.001 and inside[1] > -0.999:
        assert low <= 0.05 * (inside[1] - inside[0])


def test_natural_pictures_keep_their_size_and_all_their_values(monkeypatch):
    """Not those that networks are shown: thinned ones have another slope."""
    codes = spectra.power_spectrum_codes(300, 3 * 12 * 12, -1.5, 1).view(300, 3, 12, 12)
    asked = []

    class Stored:
        def tensors(self):
            return codes, torch.zeros(300)

    def load(*given):
        asked.append(given)
        return None, Stored()

    monkeypatch.setattr(redundancy.pictures, "load", load)
    run = SimpleNamespace(
        dataset="x",
        data_root="there",
        trained_on=7,
        pictures=300,
        seed=3,
        window="10 50",
        columns=60,
        unreadable="skip",
    )
    rows = [torch.arange(300), torch.arange(0, 300, 2)]
    alphas, shuffled, noise = redundancy.natural_alphas(run, rows)
    assert asked == [("x", "there", 7, 300, 3, None, "skip")]
    assert alphas.tolist() == [spectra.debiased_alpha(codes[one], (10, 50), 3, 8000) for one in rows]
    assert alphas[0] == pytest.approx(-1.5, abs=0.1) and shuffled > alphas[0] and noise == pytest.approx(0, abs=0.2)


def test_shuffled_phases_keep_amplitudes_means_and_the_ties_of_channels():
    for side in (16, 15):
        pictures = torch.rand(3, 3, side, side + 2, generator=torch.Generator().manual_seed(side), dtype=torch.float64)
        found = redundancy.phase_shuffled(pictures, 0)
        before, after = (torch.fft.fft2(x) for x in (pictures, found))
        assert torch.allclose(before.abs(), after.abs(), atol=1e-5)
        assert torch.allclose(pictures.mean((-2, -1)), found.mean((-2, -1)), atol=1e-6)
        # The phase of one channel relative to another stays, that of a picture does not.
        assert torch.allclose(after[:, 0] * after[:, 1].conj(), before[:, 0] * before[:, 1].conj(), atol=1e-4)
        assert float(np.corrcoef(pictures.flatten(), found.flatten())[0, 1]) < 0.9
        assert torch.equal(found, redundancy.phase_shuffled(pictures, 0))
        assert not torch.equal(found, redundancy.phase_shuffled(pictures, 1))


def test_few_samples_flatten_and_debiasing_mends_it():
    plain, debiased = redundancy.biases(-0.7, 500, [200, 800], 0)
    assert plain[0] > plain[1] > -0.7
    assert abs(debiased[1] + 0.7) < 0.5 * abs(plain[1] + 0.7)
    # A half of 200 ends too near to rank 50 for it.
    assert debiased[0] > -0.6


def test_pixel_alphas_are_the_slopes_of_resampled_pictures(run):
    pixels = spectra.power_spectrum_codes(300, 150, -1, 0)
    rows = [torch.arange(300), torch.randint(300, (300,), generator=torch.Generator().manual_seed(0))]
    assert redundancy.pixel_alphas(pixels, rows, run).tolist() == [spectra.debiased_alpha(pixels[r]) for r in rows]


# COD-10 to COD-13 and COD-15


def test_smoother_with_depth_is_the_last_action_over_the_first(survey):
    found = redundancy.smoother_with_depth(survey, 3.0)
    own, twin = (
        all_columns(
            lambda c, kind=kind: math.exp(over_seeds(survey, kind, "action", lambda v: math.log(v[-1] / v[0]), c))
        )
        for kind in ("dropout 0.4", "untrained")
    )
    assert found["value"] == pytest.approx(own[0]) and found["twin"].value == pytest.approx(own[0] - twin[0])
    assert found["ci"] == pytest.approx(t_interval(own, log=True), rel=0.05)
    first = np.mean([seed["layer 0"].action[0] for seed in survey.codes["dropout 0.4"]])
    assert found["baseline"]["pixels over first layer"] == pytest.approx(3.0 / first)
    ends = [
        np.mean([seed[layer].unordered for seed in survey.codes["dropout 0.4"]]) for layer in ("layer 0", "layer 8")
    ]
    assert found["baseline"]["frames in random order"] == pytest.approx(ends[1] / ends[0])


def mean_over(survey, rate, name):
    return all_columns(lambda c: over_seeds(survey, survey.kinds[rate], name, np.mean, c))


def test_dropout_claims_compare_the_two_rates(survey):
    alpha, action, position = (
        {rate: mean_over(survey, rate, name) for rate in RATES} for name in ("alpha", "action", "position")
    )
    check(redundancy.steeper_with_dropout(survey), alpha[0.6] - alpha[0.0])
    check(redundancy.smoother_with_dropout(survey), action[0.6] / action[0.0], log=True)
    told = redundancy.tells_more_with_dropout(survey)
    check(told, position[0.6] - position[0.0])
    rises = [
        over_seeds(survey, kind, "position", lambda values: spearmanr(range(9), values).statistic, 0)
        for kind in ("dropout 0.4", "untrained")
    ]
    assert told["also"] == {"rises_with_depth": pytest.approx(rises[0] - rises[1])}
    shuffled = [seed[layer].unordered_position for seed in survey.codes["dropout 0.6"] for layer in survey.layers]
    assert told["baseline"]["frames shuffled"] == pytest.approx(np.mean(shuffled))
    seeds = [np.mean([seed[layer].alpha[0] for layer in LAYERS]) for seed in survey.codes["dropout 0"]]
    assert redundancy.steeper_with_dropout(survey)["baseline"]["between seeds"] == pytest.approx(
        max(seeds) - min(seeds)
    )


def test_five_rates_are_ranked_at_the_scale_of_the_paper(run):
    survey = survey_of(changed(run, preset="paper"))
    for endpoint, name in (
        (redundancy.steeper_with_dropout, "alpha"),
        (redundancy.smoother_with_dropout, "action"),
        (redundancy.tells_more_with_dropout, "position"),
    ):
        found = endpoint(survey)
        means = [mean_over(survey, rate, name)[0] for rate in RATES]
        assert found["value"] == pytest.approx(spearmanr(RATES, means).statistic)
    at_20 = redundancy.steeper_with_dropout(survey)["also"]["at_20_percent"]
    assert at_20 == pytest.approx(mean_over(survey, 0.2, "alpha")[0])
    few = dataclasses.replace(survey, kinds={rate: KINDS[rate] for rate in (0.0, 0.4, 0.6)})
    for endpoint in (
        redundancy.steeper_with_dropout,
        redundancy.smoother_with_dropout,
        redundancy.tells_more_with_dropout,
    ):
        assert "0, 0.2, 0.4, 0.6 and 0.8" in endpoint(few)


@pytest.mark.parametrize(("preset", "strong"), [("quick", 0.6), ("imagenet", 0.6), ("paper", 0.8)])
def test_bends_of_the_late_third_are_compared(run, preset, strong):
    survey = survey_of(changed(run, preset=preset))

    def part(rate, layers, column):
        return np.mean([seed[layer].bend[column] for seed in survey.codes[KINDS[rate]] for layer in layers])

    found = redundancy.bent_by_dropout(survey)
    late = all_columns(lambda c: part(strong, LAYERS[6:], c) / part(0.0, LAYERS[6:], c))
    check(found, late, log=True)
    early = part(strong, LAYERS[:3], 0) / part(0.0, LAYERS[:3], 0)
    assert found["also"] == {"early_alike": pytest.approx(abs(math.log(early)))}


def test_a_spectrum_that_ends_before_rank_200_has_no_bend(run):
    none = np.full(5, np.nan)
    late = survey_of(run, bend=lambda kind, s, i: none if (kind, s, i) == ("dropout 0.6", 1, 8) else np.ones(5))
    assert "200 components" in redundancy.bent_by_dropout(late)
    middle = survey_of(run, bend=lambda kind, s, i: none if i == 4 else np.full(5, 0.1))
    assert redundancy.bent_by_dropout(middle)["value"] == pytest.approx(1)


def test_without_the_two_rates_there_is_a_reason(run):
    one = survey_of(run, kinds={0.4: "dropout 0.4"})
    for endpoint in (
        redundancy.steeper_with_dropout,
        redundancy.smoother_with_dropout,
        redundancy.tells_more_with_dropout,
        redundancy.bent_by_dropout,
    ):
        assert endpoint(one) == redundancy.ONE_RATE
    assert "9 layers and rates" in redundancy.transition(one) and "12" in redundancy.smooth_explains(one, -0.9)


def test_a_single_network_gets_reasons_and_no_traceback(run):
    alone = survey_of(changed(run, preset="imagenet"), kinds={}, reference="trained")
    alone = dataclasses.replace(alone, codes={**alone.codes, "trained": alone.codes["untrained"][:1]})
    found = {
        claim: endpoint(alone)
        for claim, endpoint in (
            ("COD-11", redundancy.steeper_with_dropout),
            ("COD-12", redundancy.smoother_with_dropout),
            ("COD-13", redundancy.tells_more_with_dropout),
            ("COD-14", lambda s: redundancy.smooth_explains(s, -0.9)),
            ("COD-15", redundancy.bent_by_dropout),
            ("COD-19", redundancy.redundant_reads_easily),
            ("COD-25", redundancy.transition),
        )
    }
    assert all(isinstance(reason, str) for reason in found.values()), found
    assert isinstance(neurons.tandem(alone), dict) and isinstance(redundancy.non_monotone(alone, -1.3, 0.0), dict)


# COD-9, COD-14, COD-19 and COD-25


def partial_by_residuals(x, y, depth):
    """Correlation of what is left of ranks after a straight line on the ranks of depth."""
    ranks = [rankdata(values) for values in (x, y, depth)]
    left = [values - np.polyval(np.polyfit(ranks[2], values, 1), ranks[2]) for values in ranks[:2]]
    return pearsonr(*left).statistic


@pytest.mark.parametrize(("claim", "x", "y"), [("COD-14", "action", "components"), ("COD-19", "probe", "alpha")])
def test_over_layers_and_rates_depth_is_taken_out(survey, claim, x, y):
    def partial(kinds, column):
        found = []
        for seed in range(3):
            points = [(survey.codes[kind][seed][layer], i) for kind in kinds for i, layer in enumerate(LAYERS)]
            values = [[getattr(code, name)[column] for code, _ in points] for name in (x, y)]
            found.append(partial_by_residuals(*values, [i for _, i in points]))
        return np.mean(found)

    result = (
        redundancy.smooth_explains(survey, -0.9) if claim == "COD-14" else redundancy.redundant_reads_easily(survey)
    )
    own = all_columns(lambda c: partial(list(KINDS.values()), c))
    check(result, own, all_columns(lambda c: partial(["untrained"], c)))
    assert result["note"] == "45 points"


def test_depth_alone_is_no_correlation(run):
    by_depth = survey_of(
        run, action=lambda kind, s, i: np.full(5, 9.0 - i), components=lambda kind, s, i: np.full(5, i / 10)
    )
    assert redundancy.smooth_explains(by_depth, -0.9)["value"] == 0
    flat = survey_of(run, mixed_probe=lambda kind, s, i: 0.1)
    assert redundancy.redundant_reads_easily(flat)["baseline"]["shuffled labels"] == 0


def test_one_class_is_a_reason(run):
    one = survey_of(run, probe=lambda kind, s, i: np.full(5, np.nan), mixed_probe=lambda kind, s, i: np.nan)
    assert "two classes" in redundancy.redundant_reads_easily(one)


def test_flat_layers_are_rougher_at_the_scale_of_the_paper(run):
    growth = {"value": 0.01, "also": {"growth_when_flat": 0.3}, "baseline": {"a": 1.0}}
    many = survey_of(run, [f"layer {i}" for i in range(17)])

    def correlation(kind, column):
        return np.mean([
            spearmanr(*[[getattr(seed[layer], name)[column] for layer in many.layers] for name in ("alpha", "action")]).statistic
            for seed in many.codes[kind]
        ])  # fmt: skip

    found = redundancy.rougher_when_flat(many, growth)
    own, twin = (all_columns(lambda c, kind=kind: correlation(kind, c)) for kind in ("dropout 0.4", "untrained"))
    check(found, own, twin)
    assert found["also"] == {"bounded_when_steep": 0.01, "growth_when_flat": 0.3} and found["baseline"]["a"] == 1
    assert "9 layers" in redundancy.rougher_when_flat(survey_of(run), growth)


def broken(at, kind, s, i):
    """Codes whose log action bends at an alpha."""
    rng = np.random.default_rng(sum(map(ord, kind)) * 100 + i)
    alpha = rng.uniform(-2, 0)
    return alpha, math.exp(0.2 * alpha + 6 * max(alpha - at, 0) + 0.05 * rng.normal())


@pytest.mark.parametrize(("at", "distance"), [(-1.0, 0.0), (-0.4, 0.6), (-1.6, 0.6)])
def test_the_transition_is_how_far_the_break_is_from_minus_one(run, at, distance):
    survey = survey_of(
        run,
        alpha=lambda kind, s, i: np.full(5, broken(at, kind, s, i)[0]),
        action=lambda kind, s, i: np.full(5, broken(at, kind, s, i)[1]),
    )
    found = redundancy.transition(survey)
    low, high = found["baseline"]["low"], found["baseline"]["high"]
    assert found["baseline"]["break"] == pytest.approx(at, abs=0.1) and low <= at + 0.1 and high >= at - 0.1
    assert found["value"] == pytest.approx(max(0, low + 1, -1 - high)) and found["value"] == pytest.approx(
        distance, abs=0.15
    )
    assert found["also"] == {"interval_width": pytest.approx(high - low)}
    assert {"break, untrained", "break, synthetic codes"} <= set(found["baseline"])
    assert redundancy.transition(survey) == found


def test_break_points_are_means_over_seeds(survey):
    x, y = redundancy.break_points(survey, ["dropout 0", "dropout 0.6"])
    points = [(kind, layer) for kind in ("dropout 0", "dropout 0.6") for layer in LAYERS]
    for number, (kind, layer) in enumerate(points):
        assert x[number] == pytest.approx(np.mean([seed[layer].alpha[0] for seed in survey.codes[kind]]))
        assert y[number] == pytest.approx(np.mean([math.log(seed[layer].action[0]) for seed in survey.codes[kind]]))


def test_a_layer_that_ignores_the_dot_is_a_reason(run):
    still = survey_of(run, action=lambda kind, s, i: np.zeros(5) if (kind, i) == ("dropout 0", 0) else np.ones(5))
    assert redundancy.transition(still) == redundancy.SILENT
    assert isinstance(redundancy.smoother_with_depth(still, 1.0), dict)  # the reference has no such layer
    all_still = survey_of(run, action=lambda kind, s, i: np.zeros(5))
    for endpoint in (
        lambda s: redundancy.smoother_with_depth(s, 1.0),
        redundancy.smoother_with_dropout,
        redundancy.transition,
    ):
        with np.errstate(all="ignore"):
            assert endpoint(all_still) == redundancy.SILENT
    alike = survey_of(run, position=lambda kind, s, i: np.full(5, 0.3))
    assert redundancy.tells_more_with_dropout(alike)["also"] == {"rises_with_depth": 0}


# COD-24, whose room is neurons


def test_both_together_minus_the_better_of_each_draw(run):
    survey = survey_of(run)

    def gain(kind, column):
        found = []
        for seed in survey.codes[kind]:
            for layer in survey.layers:
                for single, mixed, both in seed[layer].readers[column]:
                    found.append(both - max(single, mixed))
        return np.mean(found)

    found = neurons.tandem(survey)
    check(found, all_columns(lambda c: gain("dropout 0.4", c)), all_columns(lambda c: gain("untrained", c)))
    parts = np.mean([seed[layer].readers[0] for seed in survey.codes["dropout 0.4"] for layer in survey.layers], (0, 1))
    assert [found["baseline"][f"R², {name}"] for name in ("neurons", "projections", "both")] == pytest.approx(parts)
    mixed = [
        np.mean(neurons.gain(seed[layer].mixed_readers))
        for seed in survey.codes["dropout 0.4"]
        for layer in survey.layers
    ]
    assert found["baseline"]["shuffled factors"] == pytest.approx(np.mean(mixed))


def test_luck_of_the_draw_is_no_gain(run):
    # Neurons win in one draw and projections in the other; half of each is as good as their mean.
    draws = np.broadcast_to(np.array([[0.5, 0.3, 0.4], [0.3, 0.5, 0.4]]), (5, 2, 3))
    found = neurons.tandem(survey_of(run, readers=lambda kind, s, i: draws))
    assert found["value"] == pytest.approx(-0.1)


def test_layers_without_readers_are_a_reason(run):
    narrow = survey_of(run, readers=lambda kind, s, i: np.full((5, 2, 3), np.nan if i == 3 else 0.1))
    assert "32 neurons" in neurons.tandem(narrow)


# Codes without a network


def test_a_code_on_a_circle_has_the_variances_it_claims():
    code = redundancy.circle_code(200, 60, -1.3)
    assert code.mean(0).numpy() == pytest.approx(0, abs=1e-9)
    assert (code.square().mean(0)).numpy() == pytest.approx(np.arange(1, 61) ** -1.3, rel=1e-9)
    gram = (code.T @ code / 200).numpy()
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-9
    turns = np.abs(np.fft.rfft(code.numpy(), axis=0)).argmax(0)
    assert turns.tolist() == [math.ceil(k / 2) for k in range(1, 61)]


def test_synthetic_codes_are_rougher_where_flatter(run):
    alphas, actions = redundancy.synthetic(run, 200, 7)
    assert (np.diff(alphas) > 0).all() and (np.diff(actions) > 0).all()
    expected = math.log(float(spectra.mean_action(redundancy.circle_code(run.frames, 200, alphas[3]))))
    assert actions[3] == pytest.approx(expected)


def test_plain_codes_are_the_pictures_components_with_another_law(run):
    _, others = scenes.load(1, 150, 0, 32)
    shown = layer_codes.stimuli(others.pictures, others.factors, run)
    found = redundancy.plain_codes(shown, run, [-0.5, -3.0])
    assert all(values.shape == (2,) and np.isfinite(values).all() for values in found.values())
    assert found["action"][0] > found["action"][1]
    # A steep law keeps little but the first components, of which a projection tells more.
    assert found["components"][1] > found["components"][0]


# A run from pictures to verdicts


def test_real_networks_are_surveyed_and_judged(run, monkeypatch):
    monkeypatch.setattr(autoencoders, "train", lambda *_: None)
    tiny = changed(
        run,
        shipped=False,
        width=8,
        size=32,
        rates="0 0.6",
        reference=0.6,
        trained_on=100,
        pictures=240,
        n_seeds=1,
        repeats=3,
        columns=120,
    )
    tiny = dataclasses.replace(tiny, seeds=(0,))
    shown = code_networks.show(tiny)
    networks = code_networks.build(tiny, shown)
    stimuli = layer_codes.stimuli(shown.others, shown.factors, tiny)
    survey = redundancy.survey(networks, stimuli, tiny)
    assert len(survey.layers) >= 8 and set(survey.codes) == {"dropout 0", "dropout 0.6", "untrained"}
    results = claims.Results(tiny)
    for claim, endpoint in endpoints(survey).items():
        results.take(claim, endpoint)
    pair = {"trained": networks.trained, "untrained": networks.members["untrained"]}
    results.take("COD-26", neurons.few_monosemantic(pair, networks.last, stimuli, tiny))
    filters = {
        kind: [eigenfilters.eigenfilters(net, networks.layers[0], stimuli, tiny, 20) for net in members]
        for kind, members in pair.items()
    }
    plain = eigenfilters.filters_of(shown.others.tensors()[0], 20)
    results.take("COD-20", eigenfilters.coarse_first(filters, plain, tiny))
    judged = {row["id"]: row for row in results.rows() if row["value"] is not None}
    assert {"COD-7", "COD-10", "COD-11", "COD-12", "COD-13", "COD-14", "COD-19", "COD-20", "COD-24", "COD-26"} <= set(
        judged
    )
    # These networks differ in their dropout alone, which is off: no difference may appear.
    assert [judged[claim]["value"] for claim in ("COD-11", "COD-12", "COD-13")] == [0, 1, 0]
    assert "200 components" in next(row for row in results.rows() if row["id"] == "COD-15")["note"]


# Surveys that leave out what cannot be judged


def fake_networks(monkeypatch, codes, layers):
    monkeypatch.setattr(layer_codes, "survey", lambda members, names, shown, run: codes)
    return redundancy.Networks({}, KINDS, "dropout 0.4", tuple(layers), layers[-1])


def test_layers_without_a_slope_are_left_out_of_all_networks(run, survey, monkeypatch):
    holed = survey_of(run, alpha=lambda kind, s, i: np.full(5, np.nan if (kind, s, i) == ("untrained", 2, 5) else -1.0))
    found = redundancy.survey(fake_networks(monkeypatch, holed.codes, LAYERS), None, run)
    assert found.layers == (*LAYERS[:5], *LAYERS[6:]) and found.kinds == KINDS
    none = survey_of(run, alpha=lambda kind, s, i: np.full(5, np.nan if i > 1 else -1.0))
    with pytest.raises(parameters.ParameterError, match="window = '10 50'.*reached by 2"):
        redundancy.survey(fake_networks(monkeypatch, none.codes, LAYERS), None, run)


def test_what_a_run_cannot_judge(run):
    networks = {f"COD-{n}" for n in (7, 10, 11, 12, 13, 14, 15, 19, 20, 25)}
    assert set(redundancy.elsewhere(run)) == {"COD-17"}
    assert networks < set(redundancy.elsewhere(changed(run, model="resnet8")))
    assert set(redundancy.elsewhere(changed(run, window="5 30"))) == {
        "COD-7",
        "COD-8",
        "COD-11",
        "COD-19",
        "COD-25",
        "COD-17",
    }
    cifar = changed(run, preset="imagenet", dataset="cifar10", toy_features=400, toy_hidden=30)
    assert set(redundancy.elsewhere(cifar)) == {"COD-17"}
    assert set(redundancy.elsewhere(changed(cifar, dataset="imagenette"))) == networks | {"COD-17"}
    paper = changed(cifar, preset="paper", correcting_depth=40)
    assert set(redundancy.elsewhere(paper)) == {"COD-17", "COD-24", "COD-26"}
    for values in ({"window": "5 30"}, {"dataset": "imagenette"}, {"model": "resnet8"}):
        assert "COD-9" in redundancy.elsewhere(changed(paper, **values))


def test_toys_of_another_size_are_not_judged(run):
    words = claims.of_chapter(CHAPTER)
    for preset, (features, hidden, depth) in redundancy.SIZES.items():
        for claim, text in (
            ("COD-1", f"n = {features} and m = {hidden}"),
            ("COD-2", f"n = {features} and m = {hidden}"),
            ("COD-5", f"after {depth} tanh layers"),
        ):
            assert text in words[claim]["scales"][preset].get("measure", words[claim]["measure"])
        right = changed(run, preset=preset, toy_features=features, toy_hidden=hidden, correcting_depth=depth)
        judged = {"COD-1", "COD-2", "COD-5"}
        assert not judged & set(redundancy.elsewhere(right))
        assert judged & set(redundancy.elsewhere(changed(right, toy_hidden=7))) == {"COD-1", "COD-2"}
        assert judged & set(redundancy.elsewhere(changed(right, correcting_depth=7))) == {"COD-5"}
        none = changed(right, toy_hidden=7, toy_steps=0, correcting_depth=7, correcting_steps=0)
        assert not judged & set(redundancy.elsewhere(none))


def test_an_estimate_is_the_first_number_with_the_spread_of_the_others():
    rows = np.array([2.0, 1.0, 3.0, 2.5, 1.5])
    assert redundancy.estimate(rows).interval() == pytest.approx(t_interval(rows), rel=0.02)
    assert redundancy.measured(rows)["value"] == 2
    for wrong in (np.nan, np.inf):
        assert redundancy.measured(np.array([wrong, 1, 2])) == redundancy.SILENT
        assert redundancy.measured(np.ones(3), np.array([1, wrong, 2])) == redundancy.SILENT
    assert redundancy.measured(np.array([1.0, 0.0, 2.0]), log=True) == redundancy.SILENT
    first, second = (redundancy.measured(rows, rows * 0.5) for _ in range(2))
    assert first["twin"].draws.tolist() == second["twin"].draws.tolist()


def test_the_growth_of_synthetic_codes_fits_the_scale_of_the_paper(run, monkeypatch):
    monkeypatch.setattr(coding_limits, "_growth", lambda alpha, run: 0.3 if alpha > -1 else 0.01)
    many = survey_of(changed(run, preset="paper", dataset="cifar10"), [f"layer {i}" for i in range(17)])
    results = claims.Results(many.run)
    results.take("COD-9", coding_limits.variance_growth(many.run))
    results.take("COD-9", redundancy.rougher_when_flat(many, coding_limits.growth(many.run)))
    row = next(row for row in results.rows() if row["id"] == "COD-9")
    assert row["also"] == {"bounded_when_steep": 0.01, "growth_when_flat": 0.3} and row["value"] is not None
