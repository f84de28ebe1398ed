"""Formulas of the sparse-interactions lens against brute force, closed forms and another library."""

import itertools
import math

import numpy as np
import pytest
import shapiq
import torch
from hypothesis import given
from hypothesis import strategies as st

from innercodes import interactions, oracles


def game(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2**n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


seeds = st.integers(0, 10**6)
sizes = st.integers(1, 8)


def test_coalitions_are_numbered_in_binary():
    members = interactions.coalitions(5)
    assert members.dtype == torch.bool and members.shape == (32, 5)
    for s in range(32):
        assert sum(1 << i for i in range(5) if members[s, i]) == s
    assert interactions.orders(5).tolist() == [s.bit_count() for s in range(32)]


def test_coalitions_say_how_much_memory_they_would_need():
    with pytest.raises(MemoryError, match=r"n = 48 players need [\d,]+\.\d GiB"):
        interactions.coalitions(48)
    with pytest.raises(ValueError, match="n = 0"):
        interactions.coalitions(0)


@given(sizes, seeds)
def test_harsanyi_equals_the_alternating_sum(n, seed):
    v = game(n, seed)
    torch.testing.assert_close(interactions.harsanyi(v), oracles.harsanyi(v), rtol=0, atol=1e-12)


def test_harsanyi_equals_shapiq():
    n, v = 7, game(7, 3)
    powers = 2 ** np.arange(n)
    exact = shapiq.ExactComputer(lambda masks: v.numpy()[np.asarray(masks, dtype=int) @ powers], n_players=n)
    moebius = exact("Moebius")
    own = interactions.harsanyi(v)
    for size in range(1, n + 1):
        for group in itertools.combinations(range(n), size):
            assert float(own[sum(1 << i for i in group)]) == pytest.approx(moebius[group], abs=1e-12)


@given(sizes, seeds)
def test_reconstruct_undoes_harsanyi(n, seed):
    v = game(n, seed)
    back = interactions.reconstruct(interactions.harsanyi(v))
    assert float((back - v).abs().max()) <= 1e-12 * float(v.abs().max())


def test_leading_dimensions_and_dtypes_are_kept():
    v = torch.randn(3, 2, 16)
    result = interactions.harsanyi(v)
    assert result.shape == v.shape and result.dtype == torch.float32
    torch.testing.assert_close(result[2, 1], interactions.harsanyi(v[2, 1]))
    transposed = torch.randn(16, 4, dtype=torch.float64).T
    torch.testing.assert_close(interactions.harsanyi(transposed), interactions.harsanyi(transposed.contiguous()))


def test_the_input_is_left_alone():
    v = game(4)
    before = v.clone()
    interactions.harsanyi(v), interactions.reconstruct(v), interactions.salient(v), interactions.explained(v, v, v > 0)
    assert torch.equal(v, before)


@given(seeds)
def test_linearity(seed):
    v, w = game(5, seed), game(5, seed + 1)
    both = interactions.harsanyi(2 * v - 3 * w)
    torch.testing.assert_close(both, 2 * interactions.harsanyi(v) - 3 * interactions.harsanyi(w), rtol=0, atol=1e-11)


@given(seeds, st.integers(0, 4))
def test_a_dummy_player_is_in_no_interaction(seed, dummy):
    members = interactions.coalitions(5)
    v = game(5, seed)[torch.arange(32) & ~(1 << dummy)]
    assert float(interactions.harsanyi(v)[members[:, dummy]].abs().max()) == 0


@given(seeds)
def test_symmetry_and_recursion(seed):
    v, numbers = game(5, seed), torch.arange(32)
    swapped = numbers & ~3 | (numbers & 1) << 1 | (numbers & 2) >> 1
    torch.testing.assert_close(interactions.harsanyi(v[swapped]), interactions.harsanyi(v)[swapped], rtol=0, atol=1e-12)
    # Recursion: the dividend with player 4 is that of the game where 4 is always present minus that where it is absent.
    present, absent = interactions.harsanyi(v[16:]), interactions.harsanyi(v[:16])
    torch.testing.assert_close(interactions.harsanyi(v)[16:], present - absent, rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [0, 1, 3, 12])
def test_a_length_that_is_no_power_of_two_is_refused(length):
    with pytest.raises(ValueError, match="power of two"):
        interactions.harsanyi(torch.zeros(length))


def test_half_precision_does_not_overflow():
    assert float(interactions.harsanyi(torch.ones(2**17, dtype=torch.float16))[0]) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_not_finite_are_refused(bad):
    v = torch.zeros(8)
    v[5] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        interactions.harsanyi(v)


def test_the_papers_appendix_h():
    """v = x1 x2 x3 + x1 x2 + x2 x3 + x2 + x3 with five players, all 1, baseline 0 (with the table's slip corrected)."""
    x = interactions.coalitions(5).double()
    v = x[:, 0] * x[:, 1] * x[:, 2] + x[:, 0] * x[:, 1] + x[:, 1] * x[:, 2] + x[:, 1] + x[:, 2]
    dividends = interactions.harsanyi(v)
    assert set(torch.nonzero(dividends)[:, 0].tolist()) == {0b010, 0b100, 0b011, 0b110, 0b111}
    assert set(dividends[dividends != 0].tolist()) == {1.0}
    torch.testing.assert_close(interactions.order_means(v), torch.tensor([0, 0.4, 1, 1.9, 3.2, 5], dtype=torch.float64))


def test_or_is_one_or_term_and_all_and_terms():
    v = interactions.coalitions(6).any(-1).double()
    assert int((interactions.harsanyi(v)[1:].abs() == 1).sum()) == 63
    terms = interactions.or_interactions(v)
    assert terms[63] == 1 and float(terms[:63].abs().max()) == 0


@given(sizes, seeds)
def test_or_interactions_rebuild_the_outputs(n, seed):
    """v(S) - v(empty) is the sum of the OR terms of all groups that share a player with S."""
    v = game(n, seed)
    terms = interactions.or_interactions(v)
    for s in range(2**n):
        touching = sum(float(terms[t]) for t in range(1, 2**n) if t & s)
        assert touching == pytest.approx(float(v[s] - v[0]), abs=1e-10)


@pytest.mark.parametrize("n", range(2, 7))
def test_shapley_and_its_relatives_equal_their_definitions(n):
    v = game(n, n)
    dividends = interactions.harsanyi(v)
    torch.testing.assert_close(interactions.shapley(dividends), oracles.shapley(v), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        interactions.shapley_interaction(dividends), oracles.shapley_interaction(v), rtol=0, atol=1e-12
    )
    for order in range(1, n + 1):
        torch.testing.assert_close(
            interactions.shapley_taylor(dividends, order), oracles.shapley_taylor(v, order), rtol=0, atol=1e-12
        )


def test_efficiency():
    v = game(6)
    dividends = interactions.harsanyi(v)
    assert float(interactions.shapley(dividends).sum()) == pytest.approx(float(v[-1] - v[0]))
    for order in (1, 2, 3):
        assert float(interactions.shapley_taylor(dividends, order).sum()) == pytest.approx(float(v[-1] - v[0]))


@pytest.mark.parametrize("order", [0, 5, -1])
def test_an_order_without_players_is_refused(order):
    with pytest.raises(ValueError, match="order = "):
        interactions.shapley_taylor(game(4), order)


def test_log_odds_equals_the_definition():
    logits, labels = torch.randn(20, 4, dtype=torch.float64), torch.arange(20) % 4
    p = logits.softmax(-1).gather(-1, labels[:, None])[:, 0]
    torch.testing.assert_close(interactions.log_odds(logits, labels), torch.log(p / (1 - p)))


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_log_odds_stay_finite_for_large_logits(size):
    logits = torch.tensor([[size, 0.0, 1.0]])
    expected = size - math.log(1 + math.e)
    assert float(interactions.log_odds(logits, torch.tensor([0]))) == pytest.approx(expected, rel=1e-6)


@given(sizes, seeds)
def test_order_means_equal_the_mean_over_groups(n, seed):
    v = game(n, seed)
    for m, mean in enumerate(interactions.order_means(v).tolist()):
        groups = [sum(1 << i for i in group) for group in itertools.combinations(range(n), m)]
        assert mean == pytest.approx(float(np.mean([float(v[s] - v[0]) for s in groups])), abs=1e-12)


def test_salient_leaves_the_empty_set_out():
    dividends = torch.tensor([[100.0, 1.0, -0.05, 0.049], [5.0, 0.0, 0.0, 0.0]])
    assert interactions.salient(dividends).tolist() == [[False, True, True, False], [False] * 4]


def test_strongest_takes_the_share_rounded_up():
    dividends = torch.tensor([9.0, -3.0, 1.0, 2.0])
    assert interactions.strongest(dividends, 0.3).tolist() == [False, True, False, False]
    assert interactions.strongest(dividends, 0.34).tolist() == [False, True, False, True]
    assert interactions.strongest(dividends, 1.0).tolist() == [False, True, True, True]


@given(seeds)
def test_explained_variance(seed):
    v = game(4, seed)
    dividends = interactions.harsanyi(v)
    assert float(interactions.explained(v, dividends, torch.ones(16, dtype=torch.bool))) == pytest.approx(1)
    keep = torch.rand(16, generator=torch.Generator().manual_seed(seed)) < 0.5
    rebuilt = torch.stack(
        [
            v[0] + sum((dividends[t] for t in range(1, 16) if keep[t] and t & s == t), torch.tensor(0.0))
            for s in range(16)
        ]
    )
    expected = 1 - float(((v - rebuilt) ** 2).sum() / ((v - v.mean()) ** 2).sum())
    assert float(interactions.explained(v, dividends, keep)) == pytest.approx(expected, abs=1e-9)
    assert math.isnan(float(interactions.explained(torch.ones(4), torch.ones(4), torch.ones(4, dtype=torch.bool))))


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_masked_outputs_do_not_depend_on_the_chunk(chunk):
    weights = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    sizes_seen = []

    def score(masks):
        sizes_seen.append(len(masks))
        return weights @ masks.float().T

    result = interactions.masked_outputs(score, 5, chunk)
    torch.testing.assert_close(result, weights @ interactions.coalitions(5).float().T)
    assert max(sizes_seen) <= chunk and not result.requires_grad
