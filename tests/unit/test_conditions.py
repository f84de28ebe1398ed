"""Order means, exponent and bound against closed forms, a literal reading in base n, and the paper's own example."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from innercodes import conditions, interactions
from innercodes.parameters import ParameterError


def appendix_h() -> torch.Tensor:
    """The example of the paper's Appendix H: five inputs of value 1, baseline 0."""
    x = interactions.coalitions(5).double()
    return x[:, 0] * x[:, 1] * x[:, 2] + x[:, 0] * x[:, 1] + x[:, 1] * x[:, 2] + x[:, 1] + x[:, 2]


def test_the_example_of_appendix_h():
    v = appendix_h()
    means = conditions.order_means(v)
    torch.testing.assert_close(means, torch.tensor([0, 0.4, 1, 1.9, 3.2, 5], dtype=torch.float64))
    assert float(conditions.exponent(v)) == pytest.approx(1.5693, abs=1e-4)
    assert bool(conditions.monotone(v))
    bound = conditions.salience_bound(v, 3)
    assert bound.real_by_order.tolist() == [2, 2, 1] and float(bound.bound) >= 5
    assert float(bound.markov) == pytest.approx(100)


@pytest.mark.parametrize("power", [0.5, 1, 2, 3])
def test_the_exponent_of_powers_of_the_number_of_players(power):
    v = interactions.orders(7).double() ** power
    assert float(conditions.exponent(v)) == pytest.approx(power)
    assert float(conditions.exponent(v + 5, "all")) == pytest.approx(power)


def test_the_exponent_is_undefined_without_a_positive_first_order():
    assert math.isnan(conditions.exponent(-interactions.orders(3).double()))
    assert math.isnan(conditions.exponent(torch.tensor([0.0, 1.0])))
    with pytest.raises(ParameterError, match="reference = 'last'"):
        conditions.exponent(torch.zeros(4), "last")


@given(st.integers(2, 7), st.integers(0, 10**6))
def test_sums_and_means_by_order_are_those_of_a_loop(n, seed):
    values = torch.randn(3, 2**n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for k in range(n + 1):
        members = [s for s in range(2**n) if s.bit_count() == k]
        torch.testing.assert_close(conditions.by_order(values)[:, k], values[:, members].sum(-1))
        torch.testing.assert_close(conditions.order_strength(values)[:, k], values[:, members].abs().mean(-1))
        torch.testing.assert_close(conditions.order_means(values)[:, k], (values[:, members] - values[:, :1]).mean(-1))


def digits_by_hand(ratio: float, n: int, p: float) -> tuple[float, float]:
    """What lies below and from floor(p) on when |ratio| is written in base n; the fraction belongs to digit 0."""
    whole, fraction, digits = int(abs(ratio) + 1e-9), abs(ratio) - int(abs(ratio) + 1e-9), []
    while whole:
        digits.append(whole % n)
        whole //= n
    digits = [d for d in digits] or [0]
    digits[0] += fraction
    cut = max(math.floor(p), 0)
    return sum(d * n**i for i, d in enumerate(digits[:cut])), sum(d * n**i for i, d in enumerate(digits) if i >= cut)


def bound_by_hand(v: torch.Tensor, m: int) -> tuple[float, float, float]:
    """Constructed delta, its limit, and the bound, for one sample, with plain numbers (papers' section on the estimators)."""
    n = v.shape[-1].bit_length() - 1
    effects = interactions.harsanyi(v - v[0]).tolist()
    tau = 0.05 * max(map(abs, effects[1:]))
    u, p = conditions.order_means(v).tolist(), float(conditions.exponent(v))
    net = [sum(e for s, e in enumerate(effects) if s.bit_count() == k) for k in range(n + 1)]
    gross = [sum(abs(e) for s, e in enumerate(effects) if s.bit_count() == k) for k in range(n + 1)]
    ratios = {k: (n if k == 1 else net[k] / u[1]) for k in range(1, m + 1)}
    parts = {k: digits_by_hand(ratio, n, p) for k, ratio in ratios.items()}
    signs = {k: math.copysign(1, ratio) for k, ratio in ratios.items()}
    deltas = {k: math.log(high, n) - p for k, (_, high) in parts.items() if high > 0}
    delta = max(deltas.values())
    powers = {k: signs[k] * n ** (deltas[k] - delta) if k in deltas else 0.0 for k in ratios}
    limits = []
    for m0 in range(max(m, n - m), n + 1):
        weight = {k: math.comb(m0, k) / math.comb(n, k) for k in ratios}
        slope = sum(weight[k] * powers[k] for k in ratios)
        rest = sum(weight[k] * signs[k] * parts[k][0] for k in ratios) * n**-p
        inside = (1 - rest) / slope if slope > 0 else rest / -slope
        if abs(slope) >= 1e-8 and inside > 0:
            limits.append(math.log(inside, n))
    limit = min(limits)
    bound = sum(
        u[1] * gross[k] / (abs(net[k]) * tau) * abs(powers[k] * n ** (p + limit) + signs[k] * parts[k][0])
        for k in ratios
        if gross[k]
    )
    return delta, limit, bound


def polynomials(n: int, m: int, seed: int, count: int = 40) -> torch.Tensor:
    generator, size = torch.Generator().manual_seed(seed), interactions.orders(n)
    effects = torch.rand(count, 2**n, dtype=torch.float64, generator=generator) - 0.2
    sparse = torch.rand(effects.shape, generator=generator) < 0.4
    return interactions.reconstruct(effects * (sparse & (size <= m) & (size > 0)))


def test_the_bound_is_that_of_plain_arithmetic():
    checked = 0
    for n, m in itertools.product((4, 6, 8), (2, 3)):
        outputs = polynomials(n, m, n + m)
        found = conditions.salience_bound(outputs, m)
        for b in torch.nonzero(found.bound.isfinite() & conditions.monotone(outputs))[:, 0].tolist():
            expected = bound_by_hand(outputs[b], m)
            values = [float(x[b]) for x in (found.delta, found.delta_limit, found.bound)]
            assert values == pytest.approx(expected, rel=1e-6, abs=1e-9)
            checked += 1
    assert checked > 60


@given(st.integers(4, 8), st.integers(0, 10**6))
def test_the_theorems_hold_on_monotone_polynomials(n, seed):
    m = 2 + seed % (n - 2)
    outputs = polynomials(n, m, seed)
    bound = conditions.salience_bound(outputs, m)
    good = conditions.monotone(outputs) & bound.bound.isfinite()
    assert bool((bound.delta <= bound.delta_limit + 1e-9)[good].all())
    assert bool((bound.real_by_order <= bound.bound_by_order + 1e-9)[good].all())
    assert bool((bound.markov + 1e-9 >= bound.real).all())


def test_the_bound_names_what_it_can_not_take_and_leaves_out_what_is_undefined():
    with pytest.raises(ParameterError, match="max_order = 9: must be a whole number from 1 to 5"):
        conditions.salience_bound(appendix_h(), 9)
    falling = conditions.salience_bound(-appendix_h())
    assert math.isnan(falling.bound) and math.isnan(falling.delta) and float(falling.real) == 5
    assert math.isnan(conditions.salience_bound(torch.zeros(8)).bound)
