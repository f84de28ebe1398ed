"""Every exercise: its solution passes, its stub and typical mistakes get their message, nothing ends in a traceback."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test
from sklearn.metrics import mutual_info_score, roc_auc_score

from innercodes import (
    exercises,
    interactions,
    lens_studies,
    noisy_codes,
    regions,
    sparse_units,
    spectra,
    stats,
    superposition,
    symbol_checks,
    symbols,
    telescope,
)
from innercodes.exercises import protocol

SEEDS = range(8)
KEYS = sorted(exercises.BY_KEY)
CHAPTERS = ["01_symbols", "02_sparse_interactions", "03_functional_telescope", "04_coding_spectra", "05_four_lenses"]
VALUES = ("map_by_hand", "dividends_by_hand", "torus_by_hand", "pack_by_hand", "holm_by_hand")
FUNCTIONS = [key for key in KEYS if key not in VALUES]
MISTAKES = [(key, mistake.name) for key in KEYS for mistake in exercises.BY_KEY[key].mistakes]


def solution(key):
    return exercises.BY_KEY[key].run(exercises.BY_KEY[key].solution)


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def is_one_line(message):
    return 0 < len(message) <= protocol.LONGEST and "\n" not in message and "Traceback" not in message


@pytest.mark.parametrize("key", KEYS)
def test_the_solution_passes(key):
    answer = solution(key)
    found = [exercises.BY_KEY[key].check(answer, seed) for seed in SEEDS]
    assert [(seed, verdict) for seed, verdict in enumerate(found) if not verdict.ok] == []
    assert all(is_one_line(verdict.message) for verdict in found)


@pytest.mark.parametrize("key", KEYS)
def test_the_stub_is_named_as_such(key):
    exercise = exercises.BY_KEY[key]
    for seed in SEEDS:
        assert exercise.check(exercise.run(exercise.stub), seed) == exercises.Verdict(False, protocol.UNTOUCHED)


@pytest.mark.parametrize(("key", "name"), MISTAKES)
def test_a_typical_mistake_gets_its_message(key, name):
    exercise = exercises.BY_KEY[key]
    (mistake,) = (one for one in exercise.mistakes if one.name == name)
    answer = exercise.run(mistake.code)
    for seed in SEEDS:
        verdict = exercise.check(answer, seed)
        assert not verdict.ok and is_one_line(verdict.message)
        assert mistake.message and mistake.message in verdict.message, (seed, verdict.message)


def numbers_in(text):
    return [float(found.replace(",", "")) for found in re.findall(r"(?<![\w.])[-−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?", text)]


def flat(values):
    return torch.as_tensor(values).double().flatten().numpy()


@pytest.mark.parametrize(("key", "name"), [pair for pair in MISTAKES if pair[0] in FUNCTIONS])
def test_no_message_holds_the_right_number(key, name):
    exercise, right = exercises.BY_KEY[key], solution(key)
    (mistake,) = (one for one in exercise.mistakes if one.name == name)
    wrong, calls = exercise.run(mistake.code), []

    def spied(*arguments):
        calls.append(arguments)
        return wrong(*arguments)

    for seed in SEEDS[:5]:
        calls.clear()
        message = exercise.check(spied, seed).message
        given = np.concatenate([flat(argument) for argument in calls[-1]])
        own, truth = (flat(f(*calls[-1])) for f in (wrong, right))
        hidden = truth if own.shape != truth.shape else truth[~np.isclose(own, truth, rtol=1e-3)]
        # Small whole numbers count players, rows and layers in the text.
        shown = [x for x in numbers_in(message) if not (x == round(x) and abs(x) <= 30)]
        shown = [x for x in shown if not np.isclose(x, given, rtol=6e-3).any()]
        told = [x for x in shown if np.isclose(x, hidden, rtol=1e-3).any()]
        assert not told or np.isclose(told, own.mean(), rtol=6e-3).all(), (message, told)


@pytest.mark.parametrize("key", VALUES)
def test_no_message_holds_the_right_number_of_a_value(key):
    exercise = exercises.BY_KEY[key]
    right = np.array(solution(key), dtype=float).ravel()
    for mistake in exercise.mistakes:
        own = np.array(exercise.run(mistake.code), dtype=float).ravel()
        for seed in SEEDS:
            shown = numbers_in(exercise.check(exercise.run(mistake.code), seed).message)
            hidden = right[own != right]
            assert [x for x in shown if np.isclose(x, hidden, rtol=0.05).any()] == []


def stops(*arguments):
    raise RuntimeError("first line\nsecond line " + "long " * 200)


def leaves(*arguments):
    raise SystemExit


ODD = {
    "nothing": None,
    "dots": ...,
    "text": "a text",
    "bytes": b"bytes",
    "dictionary": {"a": 1},
    "set": {1, 2},
    "object": object(),
    "uneven": [1, [2, 3]],
    "words": ["a", "b"],
    "nan": torch.full((8,), math.nan),
    "infinite": math.inf,
    "complex": torch.zeros(8, dtype=torch.complex64),
    "half": torch.zeros(8, dtype=torch.float16),
    "bool": torch.zeros(8, dtype=torch.bool),
    "empty": torch.zeros(0),
    "large": np.zeros((3, 4, 5)),
    "gradient": [torch.zeros(1, requires_grad=True)],
    "module": math,
    "class": dict,
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("odd", ODD)
def test_a_wrong_type_gets_one_line(key, odd):
    for answer in (ODD[odd], lambda *arguments: ODD[odd]):
        verdict = exercises.BY_KEY[key].check(answer, 1)
        assert not verdict.ok and is_one_line(verdict.message)
        assert verdict.message != protocol.UNKNOWN, verdict


@pytest.mark.parametrize("key", FUNCTIONS)
def test_a_function_that_stops_gets_one_line(key):
    exercise = exercises.BY_KEY[key]
    verdict = exercise.check(stops, 1)
    assert (
        is_one_line(verdict.message) and "your function stops with RuntimeError: first line second" in verdict.message
    )
    assert "your function stops with SystemExit" in exercise.check(leaves, 1).message
    assert "your function stops with TypeError" in exercise.check(lambda: 1, 1).message
    assert "hand over the function itself" in exercise.check(3.0, 1).message


def test_kinds_of_odd_answers_are_named():
    check = exercises.check_dividends_by_hand
    assert check([1, 2, 3]).message == "this is the shape (3,); the shape (8,) is wanted."
    assert "this is a function; numbers are wanted" in check(len).message
    assert "complex numbers" in check(torch.zeros(8, dtype=torch.complex64)).message
    assert "half precision" in check(torch.zeros(8, dtype=torch.float16)).message
    assert "NaN or infinity" in check([math.nan] * 8).message
    assert "true and false" in check([True] * 8).message
    assert (
        "numbers other than 0 and 1"
        in exercises.check_forced_zeros(lambda x, value: 2.0 * torch.ones(2 ** len(x))).message
    )
    assert (
        exercises.check_dividends(lambda outputs: (_ for _ in ()).throw(NotImplementedError)).message
        == protocol.UNTOUCHED
    )


def test_any_kind_of_array_will_do():
    right = [4.0, 5, 2, 6, -3, 8, 0, -9]
    for answer in (right, tuple(right), np.array(right), torch.tensor(right), torch.tensor(right, requires_grad=True)):
        assert exercises.check_dividends_by_hand(answer)
    assert exercises.check_pack_by_hand(torch.tensor([0.13]))
    assert exercises.check_forced_zeros(lambda x, value: solution("forced_zeros")(x, value).long())
    # Single precision is good enough, and so is a function that writes into its input.
    assert exercises.check_dividends(lambda outputs: solution("dividends")(outputs.float()))
    assert exercises.check_torus_distance(lambda a, b, grid: solution("torus_distance")(a.float(), b.float(), grid))

    def careless(outputs):
        result = solution("dividends")(outputs)
        outputs.zero_()
        return result

    assert exercises.check_dividends(careless)


entries = st.recursive(
    st.none() | st.booleans() | st.integers(-20, 20) | st.floats() | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=9),
    max_leaves=12,
)


@settings(max_examples=60)
@given(entries, st.sampled_from(KEYS))
def test_no_answer_ends_in_a_traceback(answer, key):
    for given_in in (answer, lambda *arguments: answer):
        verdict = exercises.BY_KEY[key].check(given_in, 3)
        assert is_one_line(verdict.message) and verdict.message != protocol.UNKNOWN


@settings(max_examples=60)
@given(st.lists(st.integers(-20, 20), min_size=8, max_size=8))
def test_by_hand_accepts_the_right_numbers_alone(mine):
    right = solution("dividends_by_hand")
    assert bool(exercises.check_dividends_by_hand(mine)) == (mine == right)


@settings(max_examples=60)
@given(st.tuples(*[st.tuples(st.integers(-20, 20), st.integers(-20, 20))] * 2))
def test_the_torus_accepts_the_right_way_alone(mine):
    assert bool(exercises.check_torus_by_hand(mine)) == ([list(one) for one in mine] == solution("torus_by_hand"))


def nearly(key, how):
    """The solution with a slip too small for a message of its own, or in single precision."""
    right = solution(key)

    def single(*arguments):
        return right(*(x.float() if torch.is_tensor(x) and x.is_floating_point() else x for x in arguments))

    def one_pixel(response):
        # The largest but for the last pixel of each cell.
        cut = response.clone()
        cut[
            :,
            response.shape[1] // 3 - 1 :: response.shape[1] // 3,
            response.shape[2] // 3 - 1 :: response.shape[2] // 3,
        ] = -99
        return right(cut)

    return {
        "single": single,
        "one pixel": one_pixel,
        "soft": lambda response: right(response) + 1e-3,
        "smoothed": lambda read, said, counts: right(read, said, counts + 0.1),
        "eight cells": lambda read, said, counts: right(read[:, :8], said, counts),
        "median": lambda read, said, counts: (counts / counts.sum(0))[read, said[:, None]].median(1).values,
        "weighed": lambda read, said, counts: (
            (counts / counts.sum(0))[read, said[:, None]].sort(1).values * torch.linspace(0.9, 1.1, 9)
        ).mean(1),
        "wide": lambda weights, x, grid, rate, sigma: right(weights, x, grid, rate, 1.02 * sigma),
        "fast": lambda weights, x, grid, rate, sigma: right(weights, x, grid, 1.02 * rate, sigma),
        "along one side": lambda weights, x, grid, rate, sigma: right(weights, x, (grid[0], grid[1] // 2), rate, sigma),
        "lifted": lambda weights, x, grid, rate, sigma: right(weights, x, grid, rate, sigma) + 0.02 * (x - weights),
    }[how]


@pytest.mark.parametrize(
    ("key", "how"),
    [("pool_cells", how) for how in ("one pixel", "soft")]
    + [("symbol_score", how) for how in ("smoothed", "eight cells", "median", "weighed")]
    + [("som_step", how) for how in ("wide", "fast", "along one side", "lifted")],
)
def test_properties_leave_no_room_for_a_small_slip(key, how):
    found = [exercises.BY_KEY[key].check(nearly(key, how), seed) for seed in SEEDS]
    assert [seed for seed, verdict in enumerate(found) if verdict.ok] == []
    assert all(is_one_line(verdict.message) and verdict.message != protocol.UNKNOWN for verdict in found)


@pytest.mark.parametrize("key", ["pool_cells", "symbol_score", "som_step"])
def test_properties_take_single_precision(key):
    assert all(exercises.BY_KEY[key].check(nearly(key, "single"), seed) for seed in SEEDS)


def test_checks_are_fresh_and_repeatable():
    answer = exercises.BY_KEY["dropout_layers"].run("def dropout_layers(units, rate, layers):\n    return 1000, 1000")
    assert len({exercises.check_dropout_layers(answer).message for _ in range(5)}) > 1
    assert len({exercises.check_dropout_layers(answer, seed=7).message for _ in range(3)}) == 1
    before = torch.random.get_rng_state()
    exercises.check_relative_spread(solution("relative_spread"))
    assert torch.equal(before, torch.random.get_rng_state())


# Each closed form a second time: from the definition, by counting, or from the book's own functions


def test_the_map_by_hand_is_the_books():
    counted = torch.tensor([[0] * 6 + [0] * 2 + [1] * 4]).T
    chart = symbols.correlation_map(counted, torch.tensor([0] * 6 + [1] * 6), 2, 2, smoothing=0)
    scores = symbols.class_scores(torch.tensor([exercises.symbols.CELLS]), chart)[0]
    assert chart.counts.tolist() == [list(row) for row in exercises.symbols.SEEN]
    assert [round(float(score), 2) for score in scores] == solution("map_by_hand")
    assert exercises.check_map_by_hand(scores) and exercises.check_map_by_hand([0.5625, 0.4375])


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 10**6))
def test_nine_cells_are_the_books(a, b, channels, seed):
    response = draws(1, channels, 3 * a, 3 * b, seed=seed)
    # The book's pooling takes the last pixel of a box as inside.
    box = torch.tensor([[0.0, 0.0, 3 * b - 1, 3 * a - 1]])
    book = regions.cells(regions.roi_pool(response, box, (3 * a, 3 * b)))[0]
    torch.testing.assert_close(solution("pool_cells")(response[0]), book)


def test_a_surrogate_has_the_moments_of_the_books():
    vectors = draws(20000, 3, seed=1) @ draws(3, 3, seed=2) + 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = solution("surrogate")(vectors)
    book = symbol_checks.gaussian_surrogate(vectors, 0)
    torch.testing.assert_close(own.mean(0), book.mean(0), rtol=0, atol=0.08)
    torch.testing.assert_close(torch.cov(own.T), torch.cov(book.T), rtol=0.1, atol=0.1)


@given(st.integers(1, 6), st.integers(2, 6), st.integers(2, 4), st.integers(0, 10**6))
def test_the_symbol_score_is_the_books(pictures, count, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, 9, (count, classes), generator=generator)
    read = torch.randint(0, count, (pictures, 9), generator=generator)
    said = torch.randint(0, classes, (pictures,), generator=generator)
    cells = torch.cat([torch.full((int(counts[s, c]),), s * classes + c) for s in range(count) for c in range(classes)])
    chart = symbols.correlation_map(cells[:, None] // classes, cells % classes, count, classes, smoothing=0)
    book = symbols.expected_symbol_score(read, said, chart)
    torch.testing.assert_close(solution("symbol_score")(read, said, counts).double(), book, rtol=1e-5, atol=1e-6)


def test_information_is_that_of_a_library():
    generator = torch.Generator().manual_seed(0)
    read = torch.randint(0, 4, (50, 9), generator=generator)
    labels = torch.randint(0, 3, (50,), generator=generator)
    wanted = mutual_info_score(labels.repeat_interleave(9), read.flatten()) / math.log(2)
    assert exercises.symbols.bits(read, labels) == pytest.approx(wanted)
    # A cell for each picture: the chance level of independent cells, (K - 1) (C - 1) / (2 N ln 2) bits at large N.
    read, labels = (torch.randint(0, k, (3000,), generator=generator) for k in (5, 4))
    level = float(solution("chance_level")(read[:, None].expand(3000, 9), labels))
    assert level == pytest.approx(12 / (2 * 3000 * math.log(2)), rel=0.15)


def test_the_made_stages_are_what_the_task_says():
    for attacked in (True, False):
        named = exercises.symbols.made_stages(torch.Generator().manual_seed(0), attacked)
        assert named.shape == (400, 8) and int(named.min()) >= 0 and int(named.max()) < 16
        early, last = named[:, :-1], named[:, -1:]
        commonest = early.mode(1).values[:, None]
        assert float((early == commonest).double().mean() > 0.5) == attacked
        assert float((early == last).double().mean()) < 0.2


@given(st.integers(1, 5), st.integers(0, 10**6))
def test_dividends_are_the_books(n, seed):
    v = draws(2**n, seed=seed)
    torch.testing.assert_close(solution("dividends")(v), interactions.harsanyi(v))


@given(st.integers(1, 6), st.data())
def test_an_or_has_these_ands(n, data):
    members = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    outputs = interactions.coalitions(n)[:, members].any(-1).double()
    torch.testing.assert_close(solution("or_as_ands")(members, n).double(), interactions.harsanyi(outputs))


@given(st.integers(2, 6), st.integers(0, 10**6))
def test_the_exponent_is_the_books(n, seed):
    v = interactions.reconstruct(draws(2**n, seed=seed).abs()) + 3
    assert solution("exponent")(v) == pytest.approx(float(interactions.exponent(v)), rel=1e-9)


def test_the_exponent_of_a_printed_example_and_of_a_sum():
    # v = x1 x2 x3 + x1 x2 + x2 x3 + x2 + x3 of five players (appendix H of Ren et al. 2024, corrected).
    dividends = torch.zeros(32, dtype=torch.float64)
    dividends[[0b00010, 0b00100, 0b00011, 0b00110, 0b00111]] = 1
    assert solution("exponent")(interactions.reconstruct(dividends)) == pytest.approx(1.5693, abs=1e-4)
    assert solution("exponent")(interactions.orders(5).double()) == pytest.approx(1)


def test_the_ways_of_the_torus_by_hand():
    (down, right), farthest = solution("torus_by_hand")
    length = telescope.torus_distance(torch.tensor([2, 3]), torch.tensor([18, 17]), 20)
    assert math.hypot(down, right) == pytest.approx(float(length)) == pytest.approx(7.2, abs=0.02)
    reach = telescope.torus_distance(torch.tensor([2, 3]), torch.tensor(farthest), 20)
    assert float(reach) == pytest.approx(float(telescope.grid_distances(20).max())) == pytest.approx(14.14, abs=0.01)


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 10**6))
def test_torus_distance_is_the_books(m, n, seed):
    a, b = (torch.rand(2, 9, 2, generator=torch.Generator().manual_seed(seed)) * torch.tensor([m, n])).double()
    torch.testing.assert_close(solution("torus_distance")(a, b, (m, n)), telescope.torus_distance(a, b, (m, n)))


@given(st.integers(3, 30), st.integers(1, 8), st.integers(0, 10**6))
def test_participation_ratio_is_the_books(rows, size, seed):
    codes = draws(rows, size, seed=seed) @ draws(size, size, seed=seed + 1) + 2
    assert float(solution("participation_ratio")(codes)) == pytest.approx(telescope.participation_ratio(codes))


def test_a_step_of_a_map_is_the_books():
    weights, x = draws(20, 3, seed=1), draws(1, 3, seed=2)
    book = telescope.fit_som(x, (4, 5), sigma=1.3, alpha=0.4, epochs=1, batch_size=1, start=weights).weights
    torch.testing.assert_close(solution("som_step")(weights, x[0], (4, 5), 0.4, 1.3), book, rtol=0, atol=1e-4)


def test_the_spread_of_labels_without_meaning_is_1():
    places = torch.randint(20, (300, 2), generator=torch.Generator().manual_seed(0))
    assert float(solution("relative_spread")(places, torch.arange(300) % 10, (20, 20))) == pytest.approx(1, abs=0.1)
    # The numerator alone, beside the book's class spread.
    units, labels = places[:, :1] * 20 + places[:, 1:], torch.zeros(300, dtype=torch.int64)
    centers = telescope.class_centers(units, labels, 20, 1)
    space = {"torch": torch}
    exec(exercises.BY_KEY["relative_spread"].solution, space)
    own = space["spread"](places, labels, torch.tensor([20, 20]))
    assert float(own) == pytest.approx(float(telescope.class_spread(units, labels, centers, 20)[0]), rel=1e-4)


def test_packing_is_equation_1():
    wanted = float(superposition.compression_ratio(0.9, 16))
    assert wanted == pytest.approx(0.1293, abs=1e-4) and round(wanted, 2) == solution("pack_by_hand")
    assert exercises.check_pack_by_hand(wanted) and exercises.check_pack_by_hand(0.125)


def test_dropout_is_that_of_the_simulation():
    without, mended = solution("dropout_layers")(256, 0.2, 5)
    left = noisy_codes.uncoded(5, 0.2, 256, 2000) * 256
    assert without == pytest.approx(float(left[-1]), rel=0.02) and mended == pytest.approx(float(left[0]), rel=0.01)


@given(st.floats(-2.5, -0.3), st.integers(1, 8), st.integers(12, 30), st.integers(0, 10**6))
def test_a_made_spectrum_gives_its_slope(alpha, low, high, seed):
    variances = torch.arange(1, 31).double() ** alpha
    acts = protocol.made_codes(torch.Generator().manual_seed(seed), 40, variances)
    found = spectra.eigenspectrum(acts).eigenvalues
    torch.testing.assert_close(found, variances, rtol=1e-6, atol=1e-9)
    assert float(solution("spectrum_slope")(acts, low, high)) == pytest.approx(alpha, abs=1e-5)
    assert spectra.power_law(found, (low, high)).alpha == pytest.approx(alpha, abs=1e-3)


@given(st.floats(-3, 0), st.floats(-300, 300), st.integers(10, 5000), st.integers(1, 5000))
def test_a_bias_of_one_over_n_goes(alpha, bias, few, more):
    many = few + more
    found = solution("many_pictures")(few, alpha + bias / few, many, alpha + bias / many)
    assert found == pytest.approx(alpha, abs=1e-6)
    assert solution("many_pictures")(few, 3.0, 2 * few, 5.0) == pytest.approx(2 * 5.0 - 3.0)


@given(st.integers(2, 12), st.integers(1, 30), st.integers(1, 4), st.integers(0, 10**6))
def test_the_mean_action_is_the_books(frames, size, dimensions, seed):
    acts = draws(frames, size, seed=seed)
    wanted = dimensions / size * spectra.action(acts)
    torch.testing.assert_close(solution("mean_action")(acts, dimensions), wanted)


def test_third_moments_of_parities():
    generator = torch.Generator().manual_seed(0)
    words = exercises.spectra.words_of(generator, True)
    assert words.shape == (300, 31) and set(words.unique().tolist()) == {-1.0, 1.0}
    # 0.94^3 less what 300 messages scatter; the largest of 155 triples lies above it.
    assert 0.8 < float(solution("hidden_redundancy")(words)) < 0.95
    assert float(solution("hidden_redundancy")(exercises.spectra.words_of(generator, False))) == pytest.approx(
        0.22, abs=0.06
    )
    # Without noise the spectrum of the code is exactly flat.
    assert torch.allclose(noisy_codes.parity_code_spectrum(5), torch.tensor(0.25).double())


def test_holm_by_hand_is_the_books():
    p_values, wanted = exercises.lenses.P_VALUES, solution("holm_by_hand")
    assert exercises.lenses.adjusted(p_values) == pytest.approx(wanted)
    # Estimates with just these two-sided p-values: those that stay at 95 % are those whose interval leaves out 0.
    count = 2000
    estimates = {
        str(i): stats.Estimate(1.0, np.where(np.arange(count) < round(p * count / 2), -1.0, 1.0))
        for i, p in enumerate(p_values)
    }
    assert [one.p for one in estimates.values()] == pytest.approx(p_values)
    kept = [low > 0 for low, _ in (stats.holm(estimates)[name] for name in estimates)]
    assert kept == [p <= 0.05 for p in wanted] == [True, False, True, False, False]


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_what_depth_leaves_is_the_books(networks, seed):
    depth = torch.arange(5).repeat(networks).double() ** 2
    first, second = draws(2, 5 * networks, seed=seed).round(decimals=1) + depth / 20
    wanted = float(spectra.partial_spearman(first.numpy(), second.numpy(), depth.numpy()))
    if math.isfinite(wanted):
        assert float(solution("partial")(first, second, depth)) == pytest.approx(wanted, abs=1e-6)


def test_the_p_value_of_one_network_is_that_of_a_library():
    first, second = draws(2, 6, seed=3)
    wanted = permutation_test(
        (second.numpy(),), lambda x, axis: (first.numpy() * x).mean(axis), permutation_type="pairings", vectorized=True,
        n_resamples=np.inf, alternative="greater",
    ).pvalue  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = solution("exchanged_p")(first, second, torch.zeros(6, dtype=torch.int64), 20000)
    assert float(found) == pytest.approx(wanted, abs=0.02)


def test_planted_networks_have_the_p_value_that_was_asked_for():
    generator = torch.Generator().manual_seed(0)
    for wanted in (0.0005, 0.1, 0.35):
        first, second, network = exercises.lenses.networks_of(generator, wanted)
        every = exercises.lenses._arrangements(first, second, network)
        assert len(every) == 24**3
        assert float((every >= (first * second).mean() - 1e-9).double().mean()) == pytest.approx(wanted, abs=1e-3)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 10**6))
def test_the_gain_is_that_of_a_library(tasks, count, seed):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.cat([torch.arange(tasks + 1), torch.randint(0, tasks + 1, (40,), generator=generator)])
    scores, combined = draws(len(groups), count, seed=seed).round(decimals=1), draws(len(groups), seed=seed + 1)
    gains = []
    for task in range(1, tasks + 1):
        asked = (groups == 0) | (groups == task)
        areas = [roc_auc_score(groups[asked] == 0, s[asked]) for s in (combined, *scores.T)]
        gains.append(areas[0] - max(areas[1:]))
    assert float(solution("gain")(scores, combined, groups)) == pytest.approx(np.mean(gains), abs=1e-6)


def test_the_gain_is_the_books():
    # Four lenses that say nothing, so that the largest of the seven single scores is a usual one.
    groups = torch.arange(80) % 4
    usual = draws(80, 3) - (groups > 0)[:, None] * 1.0
    combined = draws(80, seed=1)
    columns = [groups.double()[:, None], torch.zeros(80, 4).double(), usual, combined[:, None].expand(-1, 3)]
    book = lens_studies.over_usual(torch.cat(columns, 1).numpy()[None], 1)
    assert float(solution("gain")(usual, combined, groups)) == pytest.approx(float(book[0]), abs=1e-9)


def test_made_changes_are_what_the_task_says():
    noise, attacked, first = exercises.lenses.made_changes(torch.Generator().manual_seed(0))
    for quantile in ("linear", "lower", "higher", "nearest", "midpoint"):
        threshold = noise.quantile(0.95, 0, interpolation=quantile)
        assert torch.equal(exercises.lenses._first_over(attacked, threshold), first)
        assert float((noise > threshold).double().mean()) <= 0.05
    assert {0, 4} <= set(first.min(1).values.tolist())


def test_units_are_asked_as_the_book_asks_them():
    generator = torch.Generator().manual_seed(0)
    directions = torch.eye(32, 24).double()
    cells, there = exercises.lenses.cells_of(generator, directions)
    own = exercises.lenses.tells(cells, there)
    half = len(there) // 2
    shown = there.long()
    areas = []
    for part in range(32):
        truth = shown[:, part][:, None]
        found = sparse_units.match(cells[:half, None], truth[:half], torch.tensor([1]))
        areas.append(sparse_units.held_out(cells[half:, None], truth[half:], found, np.ones((1, half)))[0, 0])
    assert own == pytest.approx(np.mean(areas), abs=1e-6)
    # The 24 parts with a neuron of their own are known, the others are not there at all.
    assert min(areas[:24]) > 0.99 and np.mean(areas[24:]) == pytest.approx(0.5, abs=0.05)


def test_textures_have_values_of_one_distribution():
    maps, labels = exercises.telescope.textures(torch.Generator().manual_seed(0), 30)
    assert maps.shape == (120, 3, 8, 8) and float((maps == 0).double().mean()) == pytest.approx(0.5, abs=0.02)
    means = [float(maps[labels == kind].mean()) for kind in range(4)]
    assert means == pytest.approx([1 / math.sqrt(2 * math.pi)] * 4, abs=0.02)


# What pages and notebooks take from an exercise


def test_the_registry_is_whole():
    assert list(exercises.EXERCISES) == CHAPTERS
    for chapter, every in exercises.EXERCISES.items():
        assert len(every) == 6 and {one.chapter for one in every} == {chapter}
        ranks = [exercises.DIFFICULTIES.index(one.difficulty) for one in every]
        assert ranks == sorted(ranks) and ranks[0] == 0 and ranks[-1] == 4
    assert len(exercises.BY_KEY) == 30
    for key, exercise in exercises.BY_KEY.items():
        assert len(exercise.mistakes) >= 3 and 1 <= len(exercise.hints) <= 2 and exercise.minutes > 0
        assert exercise.call == f"exercises.check_{key}({exercise.name})"
        check = getattr(exercises, f"check_{key}")
        assert check.__name__ in exercises.__all__ and exercise.title in check.__doc__
        assert check(solution(key), seed=1) == exercise.check(solution(key), 1)
        # What a student sees must not hold what the student has to find.
        for mistake in exercise.mistakes:
            assert mistake.code.strip() not in exercise.markdown(edition="student")


@pytest.mark.parametrize("key", KEYS)
def test_the_page_of_each_edition(key):
    exercise = exercises.BY_KEY[key]
    pages = {edition: exercise.markdown(3, edition) for edition in exercises.EDITIONS}
    first = f"**3. {exercise.title}** ({exercise.difficulty}, {exercise.minutes} minutes).\n"
    for edition, page in pages.items():
        assert page.startswith(first + exercise.task)
        assert all(hint in page for hint in exercise.hints)
        fences = re.findall(r"^(`{3,})(?=\S|$)", page, re.MULTILINE)
        assert len(fences) % 2 == 0
        assert (exercise.solution in page and exercise.explanation in page) == (edition != "student")
    assert ":open:" in pages["instructor"] and ":open:" not in pages["reader"]
    assert "Solution" not in pages["student"] and "{dropdown} Hint" in pages["student"]
    assert all(mistake.message in pages["instructor"] for mistake in exercise.mistakes)
    with pytest.raises(ValueError, match="edition = 'teacher': must be one of reader, student, instructor"):
        exercise.markdown(edition="teacher")


def test_a_verdict_shows_itself():
    good, bad = exercises.Verdict(True, "fine."), exercises.Verdict(False, "a `b` < *c d*.")
    assert good and not bad
    assert repr(good) == "✓ right: fine." and repr(bad) == "✗ not yet: a `b` < *c d*."
    shown = bad._repr_html_()
    assert "a <code>b</code> &lt; <em>c d</em>." in shown and 'role="status"' in shown and "✗ not yet" in shown


def test_an_unknown_difficulty_is_refused():
    with pytest.raises(ValueError, match="difficulty = 'harder'"):
        exercises.Exercise("k", "c", "t", "harder", 1, "", "x", "x = ...", (), "x = 1", "", (), lambda a, g: "")
