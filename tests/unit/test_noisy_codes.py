"""Capacity against closed forms, erasure decoding against brute force, exact spectra against counting."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from innercodes import noisy_codes


def entropy(p):
    return float(-sum(x * math.log2(x) for x in p if x > 0))


def test_capacity_of_textbook_channels():
    symmetric = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
    assert noisy_codes.blahut_arimoto(symmetric) == pytest.approx(1 - entropy([0.1, 0.9]), abs=1e-8)
    erasure = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.3, 0.7]], dtype=torch.float64)
    assert noisy_codes.blahut_arimoto(erasure) == pytest.approx(0.7, abs=1e-8)
    p = 0.35  # the Z channel
    z = torch.tensor([[1.0, 0.0], [p, 1 - p]], dtype=torch.float64)
    expected = math.log2(1 + (1 - p) * p ** (p / (1 - p)))
    assert noisy_codes.blahut_arimoto(z) == pytest.approx(expected, abs=1e-8)
    assert noisy_codes.blahut_arimoto(torch.full((3, 2), 0.5)) == pytest.approx(0, abs=1e-8)
    assert noisy_codes.blahut_arimoto(torch.eye(8)) == pytest.approx(3, abs=1e-8)


@pytest.mark.parametrize("bits", [1, 2, 5])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_capacity_against_a_search_over_one_number(bits, rate):
    # By symmetry all symbols but 0 are sent equally often, so that only the probability of 0 is left to choose.
    others = 2**bits - 1

    def information(q):
        received = [q + (1 - q) * rate, *[(1 - q) * (1 - rate) / others] * others]
        return entropy(received) - (1 - q) * entropy([rate, 1 - rate])

    best = -minimize_scalar(lambda q: -information(q), bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).fun
    found = noisy_codes.blahut_arimoto(noisy_codes.dropout_channel(bits, rate))
    assert found == pytest.approx(best, abs=1e-8)
    low, high = noisy_codes.dropout_bounds(bits, rate)
    assert low - 1e-9 <= found <= high + 1e-9
    # The lower bound is what the uniform code over the other symbols achieves.
    assert low == pytest.approx((1 - rate) * math.log2(others), abs=1e-12)
    assert high == pytest.approx((1 - rate) * bits)


def test_the_dropout_channel_row_by_row():
    channel = noisy_codes.dropout_channel(2, 0.25)
    assert channel.tolist() == [[1, 0, 0, 0], [0.25, 0.75, 0, 0], [0.25, 0, 0.75, 0], [0.25, 0, 0, 0.75]]


def test_bad_channels_are_refused():
    for channel in (torch.ones(2, 2), torch.tensor([[1.5, -0.5]]), torch.ones(2)):
        with pytest.raises(ValueError, match="^channel: shape .* rows that sum to 1"):
            noisy_codes.blahut_arimoto(channel)
    with pytest.raises(ValueError, match=r"^steps = 1: the capacity lies in"):
        noisy_codes.blahut_arimoto(noisy_codes.dropout_channel(2, 0.5), steps=1)
    for bits, rate, message in ((0, 0.5, "bits = 0: must be above 0"), (2, 1.5, "rate = 1.5: must be from 0 to 1")):
        for function in (noisy_codes.dropout_bounds, noisy_codes.dropout_channel):
            with pytest.raises(ValueError, match=f"^{message}"):
                function(bits, rate)


def test_symbols_without_correction_decay_by_a_power_law():
    left = noisy_codes.uncoded(12, 0.2, 500, 400, seed=3)
    expected = 0.8 ** torch.arange(1, 13, dtype=torch.float64)
    error = (expected * (1 - expected) / (500 * 400)).sqrt()
    assert bool(((left - expected).abs() < 5 * error).all()) and (left.diff() < 0).all()
    assert torch.equal(left, noisy_codes.uncoded(12, 0.2, 500, 400, seed=3))
    assert noisy_codes.uncoded(3, 0.0, 5, 5).tolist() == [1, 1, 1]
    assert noisy_codes.uncoded(3, 1.0, 5, 5).tolist() == [0, 0, 0]


@given(st.integers(1, 7), st.integers(0, 5), st.integers(0, 1000))
def test_words_of_a_linear_code_pass_its_checks(message, extra, seed):
    generator, checks = noisy_codes.linear_code(message + extra, message, seed)
    assert generator.shape == (message, message + extra) and checks.shape == (extra, message + extra)
    assert not ((generator.int() @ checks.int().T) % 2).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 1000))
def test_erasures_are_mended_just_where_one_message_fits(message, extra, seed):
    # The decoder's test on the parity checks against looking through all messages.
    length = message + extra
    generator, checks = noisy_codes.linear_code(length, message, seed)
    words = torch.tensor(list(itertools.product([0, 1], repeat=message))) @ generator.long() % 2
    erased = torch.rand(20, length, generator=torch.Generator().manual_seed(seed)) < 0.4
    found = noisy_codes._independent(noisy_codes._packed(checks.T), erased.numpy(), extra)
    for pattern, mended in zip(erased, found, strict=True):
        seen = {tuple(word[~pattern].tolist()) for word in words}
        assert mended == (len(seen) == len(words))


def rank(rows):
    """Rank over GF(2) of bool rows, as Python integers."""
    basis = []
    for number in (int("".join("1" if x else "0" for x in row), 2) for row in rows.tolist()):
        for b in basis:
            number = min(number, number ^ b)
        if number:
            basis.append(number)
    return len(basis)


def test_long_codes_against_the_rank_of_the_surviving_columns():
    # More than one machine word of checks, near the limit, so that both answers occur.
    generator, checks = noisy_codes.linear_code(256, 179, 4)
    erased = torch.zeros(60, 256, dtype=torch.bool)
    for i, row in enumerate(erased):
        row[torch.randperm(256, generator=torch.Generator().manual_seed(i))[: 74 + i % 5]] = True
    found = noisy_codes._independent(noisy_codes._packed(checks.T), erased.numpy(), 77)
    expected = [rank(generator[:, ~row].T) == 179 for row in erased]
    assert found.tolist() == expected and 0 < sum(expected) < 60


def test_shares_recovered_against_their_probabilities():
    layers = torch.arange(1, 7)
    none = noisy_codes.recovered("none", 6, 0.1, 10, trials=20_000)
    assert none.tolist() == pytest.approx((0.9 ** (10 * layers)).tolist(), abs=0.015)
    # 10 symbols for 7 bits: three of them twice; mended after each layer.
    twice = noisy_codes.recovered("repetition", 6, 0.1, 10, 0.7, trials=20_000)
    assert twice.tolist() == pytest.approx(((0.9**4 * 0.99**3) ** layers).tolist(), abs=0.015)
    # One parity bit: mended where at most one is lost, each time anew or all at once.
    each = noisy_codes.recovered("linear", 6, 0.1, 10, 0.9, trials=20_000, seed=1)
    code = noisy_codes.linear_code(10, 9, 1)[1].sum().item()
    one = 0.9**10 + code * 0.1 * 0.9**9  # a bit that no check holds is lost with its symbol
    assert each.tolist() == pytest.approx((one**layers).tolist(), abs=0.015)
    once = noisy_codes.recovered("linear once", 6, 0.1, 10, 0.9, trials=20_000, seed=1)
    left = 0.9**layers
    assert once.tolist() == pytest.approx((left**10 + code * (1 - left) * left**9).tolist(), abs=0.015)


def test_a_random_code_survives_where_the_others_do_not():
    shares = {kind: noisy_codes.recovered(kind, 20, 0.2, trials=300) for kind in noisy_codes.KINDS}
    # No code of 179 bits survives a loss of more than 77 of 256 symbols.
    assert float(shares["linear"][-1]) <= binom.cdf(77, 256, 0.2) ** 20 + 0.01
    assert float(shares["linear"][-1]) > 0.97
    assert float(shares["linear once"][0]) > 0.99 and float(shares["linear once"][-1]) == 0
    assert float(shares["none"][0]) == 0 and float(shares["repetition"][0]) == 0
    # A repetition code gets there at a rate near 0.12 alone.
    assert float(noisy_codes.recovered("repetition", 20, 0.2, code_rate=0.12, trials=300)[-1]) > 0.97
    assert float(noisy_codes.recovered("repetition", 20, 0.2, code_rate=0.2, trials=300)[-1]) < 0.9
    assert all(bool((rows.diff() <= 0).all()) for rows in shares.values())
    assert torch.equal(shares["linear"], noisy_codes.recovered("linear", 20, 0.2, trials=300))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "turbo"}, "kind = 'turbo': must be one of none, repetition, linear, linear once"),
        ({"rate": -0.1}, "rate = -0.1: must be from 0 to 1"),
        ({"code_rate": 0.0}, "code_rate = 0.0: must leave 1 to 256 message bits, leaves 0"),
        ({"code_rate": 1.1}, "code_rate = 1.1: must leave"),
    ],
)
def test_bad_codes_are_refused(changed, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        noisy_codes.recovered(**{"kind": "linear", "layers": 2, "rate": 0.2} | changed)


def test_ideal_spectra_step_and_flat():
    step = noisy_codes.linear_code_spectrum(40, 15, seed=2)
    assert step.tolist() == pytest.approx([1.0] * 15 + [0.0] * 25, abs=1e-12)
    assert not torch.equal(step, noisy_codes.linear_code_spectrum(40, 15, seed=3))  # from the matrix, not typed in
    flat = noisy_codes.dense_spectrum(40)
    assert flat.tolist() == pytest.approx([1.0] * 40, abs=1e-12)


@pytest.mark.parametrize("message", [1, 2, 5])
def test_parities_are_redundant_and_flat(message):
    words = []
    for bits in itertools.product([0, 1], repeat=message):
        words.append(
            [
                sum(bits[i] for i in chosen) % 2
                for r in range(1, message + 1)
                for chosen in itertools.combinations(range(message), r)
            ]
        )
    covariance = np.cov(np.array(words, dtype=float).T, bias=True)
    assert np.allclose(covariance, np.eye(2**message - 1) / 4)
    assert noisy_codes.parity_code_spectrum(message).tolist() == pytest.approx([0.25] * (2**message - 1), abs=1e-12)
    with pytest.raises(ValueError, match="^message = 0: must be from 1 to 12"):
        noisy_codes.parity_code_spectrum(0)


def test_the_discrete_logarithm_code():
    table = noisy_codes.discrete_log_table(101, 2)
    assert table.tolist() == [pow(2, x, 101) for x in range(100)] and sorted(table.tolist()) == list(range(1, 101))
    for prime, base, message in (
        (100, 2, "prime = 100: must be an odd prime"),
        (2, 1, "prime = 2: must be an odd prime"),
        (7, 2, "base = 2: must be a primitive root modulo 7"),
        (7, 7, "base = 7: must be a primitive root modulo 7"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            noisy_codes.discrete_log_table(prime, base)


def test_a_linear_reader_gets_the_message_from_its_bits_alone():
    from_message, from_code = noisy_codes.linear_readout(1019, 2)
    assert from_message == pytest.approx(1, abs=1e-12)
    # About what ten random bits explain of a thousand numbers.
    x = np.arange(1018)
    chance = []
    for seed in range(20):
        bits = np.random.default_rng(seed).integers(0, 2, (1018, 10))
        basis = np.c_[np.ones(1018), bits]
        left = x - basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
        chance.append(1 - left.var() / x.var())
    assert from_code < 2 * max(chance) < 0.1
    bits = np.array([[v >> i & 1 for i in range(10)] for v in noisy_codes.discrete_log_table(1019, 2).tolist()])
    basis = np.c_[np.ones(1018), bits]
    left = x - basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    assert from_code == pytest.approx(1 - left.var() / x.var(), abs=1e-10)
