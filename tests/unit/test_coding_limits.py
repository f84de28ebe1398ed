"""Claims of chapter 04 on formulas and toy models, against loops and closed forms."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from innercodes import claims, coding_limits, error_correction, noisy_codes, parameters, superposition
from innercodes.coding_limits import Capacities

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off", "device": "cpu", "n_seeds": 2, "repeats": 3, "toy_features": 12, "toy_hidden": 3, "toy_sparsities": 9,
    "toy_steps": 5, "correcting_depth": 4, "correcting_steps": 5, "messages": 60,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


def test_constants_are_the_registered_ones():
    words = {claim["id"]: claim["measure"] for claim in claims.of_chapter(CHAPTER).values()}
    limits = coding_limits
    assert (
        f"1 / (1 - S) <= {limits.DENSE:g}" in words["COD-1"] and f"factor of at least {limits.APART}" in words["COD-2"]
    )
    also = claims.of_chapter(CHAPTER)["COD-1"]["scales"]["quick"]["also"][0]["measure"]
    assert f"H = {limits.HALF_PRECISION} bits" in also
    assert f"after {limits.LAYERS} erasure layers (D = {limits.RATE})" in words["COD-3"]
    assert f"length {limits.LENGTH} and rate {limits.CODE_RATE:.2f}" in words["COD-3"]
    assert f"D = {limits.RATE}, length {limits.LENGTH}" in words["COD-21"] and "rate 0.70" in words["COD-21"]
    for bits, alpha in limits.INSIDE:
        assert f"({bits}, {alpha:g})" in words["COD-6"]
    assert f"alpha = {limits.STEEP}" in words["COD-9"] and "m = 1000 and 10,000" in words["COD-9"]
    assert (limits.SMALL, limits.LARGE) == (1000, 10_000)
    assert f"alpha = {limits.FLAT}" in claims.of_chapter(CHAPTER)["COD-9"]["scales"]["quick"]["also"][0]["measure"]
    bits, alpha, neurons = limits.OUTSIDE
    assert f"(b = {bits}, alpha = {alpha:g}, m = {neurons})" in claims.of_chapter(CHAPTER)["COD-6"]["baseline"]


# COD-1 and COD-2


def test_the_sweep_goes_from_one_to_a_hundred_in_equal_factors():
    ratio = 1 / (1 - coding_limits.sweep(9))
    assert ratio[0] == pytest.approx(1) and ratio[-1] == pytest.approx(100)
    assert ratio[1:] / ratio[:-1] == pytest.approx(100 ** (1 / 8))


def test_toys_and_their_dimensions(run):
    toys = coding_limits.toys(run)
    found = coding_limits.dimensions(toys)
    assert len(toys) == 2 and found.shape == (2, 9)
    assert found[1, 4] == pytest.approx(3 / float(toys[1].weights[4].square().sum()), rel=1e-5)
    assert np.array_equal(found, coding_limits.dimensions(coding_limits.toys(run)))
    assert not np.array_equal(found[0], found[1])


@pytest.mark.parametrize("slope", [1.0, 0.67])
def test_compression_is_a_slope_up_to_ten(run, slope):
    density = 1 - coding_limits.sweep(9)
    rows = np.stack([density**slope, 1.2 * density ** (slope + 0.1)])
    rows[:, density < 0.099] = 7  # beyond ten nothing counts
    found = coding_limits.compression(rows, run)
    assert found["value"] == pytest.approx(slope + 0.05)
    inside = density >= 0.1 - 1e-9
    assert inside.sum() == 5  # ten itself is a point of this sweep
    expected = superposition.compression_ratio(torch.from_numpy(1 - density), 16).numpy()
    assert found["also"]["largest_log_ratio"] == pytest.approx(np.abs(np.log(rows.mean(0) / expected))[inside].max())
    assert found["ci"][0] < found["value"] < found["ci"][1]
    assert found["baseline"]["slope, random weights"] == pytest.approx(0, abs=1e-9)
    assert 0.8 < found["baseline"]["slope, equation 1"] < 1
    alone = coding_limits.compression(rows[:1], run)
    assert alone["value"] == pytest.approx(slope) and "ci" not in alone
    claims.Results(run).take("COD-1", alone)


def test_random_weights_have_columns_of_length_one_on_average(run):
    wide = changed(run, toy_features=400, toy_hidden=30)
    assert coding_limits.random_dimensions(wide) == pytest.approx(30 / 400, rel=0.05)


def test_plateaus_are_two_neighbours_at_a_level(run):
    smooth = 1 - coding_limits.sweep(9)
    both = smooth.copy()
    both[:2], both[3:5] = (0.98, 1.03), (0.52, 0.46)
    lonely = smooth.copy()
    lonely[[0, 2]], lonely[3:5] = 1.0, (0.5, 0.56)
    lonely[1] = 0.8
    cases = {(both.tobytes()): 2, (lonely.tobytes()): 0}
    for row in (both, lonely):
        found = coding_limits.sticky(np.stack([row, row]), run)
        assert found["value"] == cases[row.tobytes()] == found["baseline"]["seed 1"]
        assert found["baseline"]["equation 1"] == 0
    # The mean over seeds counts, not each.
    assert coding_limits.sticky(np.stack([both + 0.2, both - 0.2]), run)["value"] == 2


def test_a_sweep_too_fine_for_plateaus_is_a_reason(run):
    rows = np.ones((2, 19))
    assert "19 points" in coding_limits.sticky(rows, changed(run, toy_sparsities=19))
    assert coding_limits.sticky(rows[:, :18], changed(run, toy_sparsities=18))["value"] == 1


# COD-3, COD-4 and COD-21


def test_recovery_of_four_codes(run):
    found = coding_limits.recovery(run)
    assert all(curve.shape == (20,) and (np.diff(curve) <= 0).all() for curve in found.values())
    assert found["linear"][-1] > 0.9 and found["linear once"][-1] == 0
    assert found["linear"][0] == found["linear once"][0]
    paid = coding_limits.correction_pays_once(found, run)
    assert paid["value"] == found["linear"][-1] and paid["baseline"] == {
        "no code": found["none"][-1],
        "repetition": found["repetition"][-1],
    }
    left = np.asarray(noisy_codes.uncoded(20, 0.2, 256, 60, run.seed))
    assert paid["also"]["uncoded_decay"] == pytest.approx(max(abs(left[n] - 0.8 ** (n + 1)) for n in range(20)))


def test_redundancy_is_held_against_the_better_of_two():
    curves = {"none": [0.9, 0.1], "repetition": [1.0, 0.8], "linear once": [1.0, 0.3], "linear": [1.0, 0.95]}
    found = coding_limits.redundancy_survives({kind: np.array(curve) for kind, curve in curves.items()})
    assert found["value"] == pytest.approx(0.95 - 0.3)


def test_the_capacity_lies_between_its_bounds():
    found = coding_limits.capacities()
    assert found.bits.tolist() == [1, 2, 3, 4, 5, 6] and found.rates == pytest.approx(np.arange(0.1, 0.81, 0.1))
    assert found.exact.shape == (8, 6)
    for i, rate in enumerate(found.rates):
        for j, bits in enumerate(found.bits):
            assert found.high[i, j] == pytest.approx((1 - rate) * bits)
            assert found.low[i, j] == pytest.approx((1 - rate) * (bits + math.log2(1 - 2.0**-bits)))
    # A Z-channel of one bit has a closed form.
    assert found.exact[4, 0] == pytest.approx(math.log2(1 + 0.5 * 0.5), abs=1e-8)
    assert coding_limits.within_bounds(found)["value"] <= 1e-6


def test_a_violation_of_either_bound_is_found():
    def worst(exact):
        one = np.array([[exact]])
        found = Capacities(np.array([0.5]), np.array([1]), np.array([[0.4]]), np.array([[0.5]]), one)
        return coding_limits.within_bounds(found)["value"]

    assert worst(0.45) == 0 and worst(0.3) == pytest.approx(0.1) and worst(0.7) == pytest.approx(0.2)


# COD-5


def test_arms_are_read_at_the_same_dropout(run, monkeypatch):
    trained, read = [], []

    def train(depth, rate, seed, steps, *_, **__):
        trained.append((depth, rate, seed, steps))
        return error_correction.Trained((rate, seed, steps), torch.zeros(0))

    def readable(net, rate, samples, seed):
        read.append((rate, seed))
        return torch.full((4,), net[0] + 0.01 * net[1] + 0.001 * seed, dtype=torch.float64)

    monkeypatch.setattr(error_correction, "train", train)
    monkeypatch.setattr(error_correction, "readable", readable)
    found = coding_limits.readable(run)
    assert trained == [(4, rate, seed, steps) for rate, steps in ((0.2, 5), (0.0, 5), (0.0, 0)) for seed in (0, 1)]
    assert {rate for rate, _ in read} == {0.2} and {seed for _, seed in read} == {0, 1, 2, 3}
    assert all(rows.shape == (2, 4, 4) for rows in found.values())
    assert found["with dropout"][1, 2] == pytest.approx([0.21, 0.211, 0.212, 0.213])


def test_the_paper_scale_trains_as_the_paper_does(run, monkeypatch):
    told = []
    monkeypatch.setattr(
        error_correction, "train", lambda depth, rate, seed, steps, *rest, **_: told.append((depth, *rest))
    )
    coding_limits._arm("with dropout", 0, changed(run, preset="paper"))
    assert told == [(4, 100, 1e-3)]


def test_correction_is_the_gap_to_training_without_dropout(run):
    rng = np.random.default_rng(0)
    found = {arm: rng.uniform(0, 1, (2, 4, 4)) for arm in coding_limits.ARMS}
    last = {arm: rows[:, 3].mean(0) for arm, rows in found.items()}
    result = coding_limits.learns_correction(found, run)
    assert result["value"] == pytest.approx(last["with dropout"][0] - last["without"][0])
    assert result["twin"].value == pytest.approx(last["with dropout"][0] - last["untrained"][0])
    assert result["baseline"] == {arm: pytest.approx(rows[0]) for arm, rows in last.items()} and "also" not in result
    claims.Results(run).take("COD-5", result)


def test_small_networks_are_trained_and_read(run):
    found = coding_limits.readable(changed(run, n_seeds=1))
    assert set(found) == set(coding_limits.ARMS) and all(np.isfinite(rows).all() for rows in found.values())
    again = coding_limits.readable(changed(run, n_seeds=1))
    assert all(np.array_equal(found[arm], again[arm]) for arm in found)


def test_the_paper_scale_adds_mutual_information(run, monkeypatch):
    told = {(0.2, 5): 2.4, (0.0, 0): 0.3}
    monkeypatch.setattr(
        error_correction,
        "train",
        lambda depth, rate, seed, steps, *_, **__: error_correction.Trained((rate, steps), torch.zeros(0)),
    )
    monkeypatch.setattr(
        error_correction, "mutual_information", lambda net, layer, rate, seed: told[net] + (layer - 4) + rate - 0.2
    )
    paper = changed(run, preset="paper")
    found = coding_limits.learns_correction({arm: np.ones((2, 4, 4)) for arm in coding_limits.ARMS}, paper)
    assert found["also"] == {"mine_gap": pytest.approx(2.1)}
    claims.Results(paper).take("COD-5", found)


# COD-6, COD-9 and COD-22


def test_the_cost_of_a_power_law_is_held_against_a_count():
    worst = 0
    for bits, alpha in ((12, -0.5), (16, -1.0)):
        for neurons in (512, 1024):
            counted = sum(math.log2(max(1, math.floor(2**bits * i**alpha + 1e-9))) for i in range(1, neurons + 1))
            formula = neurons * bits - abs(alpha) * neurons * math.log2(neurons / math.e)
            worst = max(worst, abs(formula - counted) / counted)
    found = coding_limits.power_law_cost()
    assert found["value"] == pytest.approx(worst)
    assert found["baseline"]["b = 8, alpha = -1, m = 1024, equation 3"] == pytest.approx(-571, abs=1)
    assert found["baseline"]["the same, counted"] == pytest.approx(287, abs=1)


def test_the_variance_grows_with_the_sum_of_the_eigenvalues(run):
    ranks = np.arange(1, 10_001.0)
    for alpha in (-1.5, -0.7):
        sums = [(ranks[:m] ** alpha).sum() for m in (1000, 10_000)]
        assert coding_limits._growth(alpha, run) == pytest.approx(math.log10(sums[1] / sums[0]), abs=0.01)


def test_growth_below_and_at_the_scale_of_the_paper(run, monkeypatch):
    monkeypatch.setattr(coding_limits, "_growth", lambda alpha, run: 0.3 if alpha > -1 else 0.01)
    found = coding_limits.variance_growth(run)
    assert found["value"] == 0.01 and found["also"] == {"growth_when_flat": 0.3} and found == coding_limits.growth(run)
    simulated, exact = (value for name, value in found["baseline"].items() if "growth" not in name)
    assert exact == pytest.approx(1.5 / 400 * (1 / np.arange(1, 401)).sum())
    assert simulated == pytest.approx(exact, rel=0.1)
    assert isinstance(coding_limits.variance_growth(changed(run, preset="paper")), str)
    claims.Results(run).take("COD-9", found)


def test_ideal_spectra_have_a_step_or_none(run):
    found = coding_limits.ideal(run)
    assert all(spectrum.shape == (63,) for spectrum in found.values())
    assert found["linear code"][:6] == pytest.approx(1) and found["linear code"][6:] == pytest.approx(0, abs=1e-12)
    assert found["dense code"] == pytest.approx(1) and found["parity code"].max() == pytest.approx(
        found["parity code"].min()
    )
    result = coding_limits.step(found)
    assert result["value"] <= 1e-9 and result["also"]["dense_is_flat"] <= 1e-9
    sloped = {**found, "linear code": np.linspace(1, 0.1, 63), "dense code": np.linspace(2, 1, 63)}
    wrong = coding_limits.step(sloped)
    assert wrong["value"] == pytest.approx(sloped["linear code"][6] / sloped["linear code"][5])
    assert wrong["also"]["dense_is_flat"] == pytest.approx(1)


@pytest.mark.parametrize("preset", ["quick", "imagenet", "paper"])
def test_every_endpoint_has_what_its_scale_asks_for(run, preset):
    there = changed(run, preset=preset)
    results = claims.Results(there)
    recovered = coding_limits.recovery(there)
    rows = np.random.default_rng(0).uniform(0.1, 1, (2, 9))
    for claim, endpoint in {
        "COD-1": coding_limits.compression(rows, there),
        "COD-2": coding_limits.sticky(rows, there),
        "COD-3": coding_limits.correction_pays_once(recovered, there),
        "COD-6": coding_limits.power_law_cost(),
        "COD-21": coding_limits.redundancy_survives(recovered),
        "COD-22": coding_limits.step(coding_limits.ideal(there)),
    }.items():
        results.take(claim, endpoint)
        assert next(row for row in results.rows() if row["id"] == claim)["value"] is not None
