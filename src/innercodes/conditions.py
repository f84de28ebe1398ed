"""The three conditions of the paper, the exponent that they hold with, and the bound that is proved from them.

Source: Ren, Gao, Shen & Zhang (ICLR 2024), section 3 and their published code.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from innercodes import moebius
from innercodes.coalitions import orders, players
from innercodes.parameters import refusal

TOLERANCE = 1e-9
"""Rises and falls below this share of the largest value are rounding."""


def by_order(values: Tensor) -> Tensor:
    """Sum over all coalitions of each order, (..., 2^n) to (..., n + 1)."""
    n = players(values)
    sums = values.new_zeros((*values.shape[:-1], n + 1))
    return sums.index_add(-1, orders(n, values.device), values)


def _mean_by_order(values: Tensor) -> Tensor:
    n = players(values)
    sizes = torch.tensor([math.comb(n, m) for m in range(n + 1)], dtype=values.dtype, device=values.device)
    return by_order(values) / sizes


def order_means(outputs: Tensor) -> Tensor:
    """Average centred output of each order, E over |S| = m of v(S) - v(empty): (..., 2^n) to (..., n + 1)."""
    return _mean_by_order(outputs - outputs[..., :1])


def order_strength(dividends: Tensor) -> Tensor:
    """Mean strength of each order, E over |S| = m of |I(S)|: (..., 2^n) to (..., n + 1)."""
    return _mean_by_order(dividends.abs())


def monotone(outputs: Tensor) -> Tensor:
    """Whether the order means never fall, bool (...): assumption 2."""
    means = order_means(outputs)
    return (means.diff(dim=-1) >= -TOLERANCE * means.abs().amax(-1, keepdim=True)).all(-1)


def exponent(outputs: Tensor, reference: str = "first") -> Tensor:
    """The smallest exponent p with which assumption 3 holds, (..., 2^n) to (...).

    "first" compares with order 1 alone, which is all that the proof needs: p = max over m >= 2 of log_m(u(m) / u(1)), u the
    order means. "all" takes the maximum over all pairs of orders. NaN where it is undefined: u(1) not positive, with
    "all" any u(m) not positive, or a single player.
    """
    if reference not in ("first", "all"):
        raise refusal("reference", reference, "first or all")
    means = order_means(outputs)[..., 1:]
    n = means.shape[-1]
    result = means.new_full(means.shape[:-1], -torch.inf)
    for low in range(1, n if reference == "all" else 2):
        for high in range(low + 1, n + 1):
            ratio = (means[..., high - 1] / means[..., low - 1]).clamp(min=0)
            result = torch.maximum(result, ratio.log() / math.log(high / low))
    positive = means[..., 0] > 0 if reference == "first" else (means > 0).all(-1)
    return torch.where(positive & (result > -torch.inf), result, torch.nan)


@dataclass(frozen=True)
class Bound:
    """The bound on the number of salient interactions of orders 1 to M, each field float64 (...) unless it says more.

    real     how many there are, also per order as `real_by_order` (..., M)
    bound    the proved bound on them (Theorem 3 with the bound on delta of Theorem 2), `bound_by_order` (..., M)
    markov   Markov's inequality on |I|, which needs no assumption
    delta    the constructed delta, and `delta_limit`, the bound on it
    exponent the p of `conditions.exponent`
    All but `real` and `markov` are NaN where the construction is undefined.
    """

    real: Tensor
    bound: Tensor
    markov: Tensor
    delta: Tensor
    delta_limit: Tensor
    exponent: Tensor
    real_by_order: Tensor
    bound_by_order: Tensor


def salience_bound(outputs: Tensor, max_order: int | None = None, threshold: float = 0.05) -> Bound:
    """Theorems 2 and 3 as the authors compute them, for outputs (..., 2^n) and orders up to M = `max_order` (n - 1).

    An interaction is salient when |I| >= `threshold` * max |I|. A^(k) / u(1) is written in base n: its digits below
    floor(p) stay as they are, the rest becomes n^(p + delta^(k)). Undefined, as in their code: u(1) not positive, no high
    digit in any order, lambda of size below 1e-8 or a logarithm of a negative number for every m_0, and an order whose
    interactions cancel exactly.
    """
    n = players(outputs)
    m = n - 1 if max_order is None else max_order
    if not 1 <= m <= n:
        raise refusal("max_order", max_order, f"a whole number from 1 to {n}")
    u = (outputs - outputs[..., :1]).double()
    dividends = moebius.subsets(u, sign=-1)
    dividends[..., 0] = 0
    strength = dividends.abs()
    tau = threshold * strength.amax(-1, keepdim=True)
    net, gross = by_order(dividends)[..., 1 : m + 1], by_order(strength)[..., 1 : m + 1]
    real = by_order(((strength >= tau) & (strength > 0)).double())[..., 1 : m + 1]
    first, p = order_means(u)[..., 1:2], exponent(u).unsqueeze(-1)

    # Base n without writing the digits down: what lies below n^floor(p), the fraction included, and the rest.
    ratio = net / first
    ratio[..., 0] = n  # A^(1) = n u(1), without rounding
    size, sign, base = ratio.abs(), ratio.sign(), n ** p.floor().clamp(min=0)
    low = torch.where(base > 1, size - (size / base + TOLERANCE).floor() * base, 0.0).clamp(min=0)
    high = torch.where(base > 1, (size / base + TOLERANCE).floor() * base, size)
    deltas = high.log() / math.log(n) - p  # minus infinity where there is no high digit
    delta = deltas.amax(-1, keepdim=True)
    powers = sign * n ** (deltas - delta)

    limit = torch.full_like(delta, torch.inf)
    for m0 in range(max(m, n - m), n + 1):
        weights = u.new_tensor([math.comb(m0, k) / math.comb(n, k) for k in range(1, m + 1)])
        slope = (weights * powers).sum(-1, keepdim=True)
        rest = (weights * sign * low).sum(-1, keepdim=True) / n**p
        inside = torch.where(slope > 0, (1 - rest) / slope, -rest / slope)
        found = torch.where((slope.abs() > 1e-8) & (inside > 0), inside.log() / math.log(n), torch.inf)
        limit = torch.minimum(limit, found)

    share = first * gross / net.abs()  # u(1) / |eta|
    each = share * (powers * n ** (p + limit) + sign * low).abs() / tau
    each = torch.where(gross > 0, each, 0.0)
    defined = torch.isfinite(limit) & torch.isfinite(delta) & torch.isfinite(each).all(-1, keepdim=True)
    each, delta, limit, p = (torch.where(defined, x, torch.nan) for x in (each, delta, limit, p))
    return Bound(
        real=real.sum(-1),
        bound=each.sum(-1),
        markov=(gross / tau).nan_to_num(0).sum(-1),
        delta=delta[..., 0],
        delta_limit=limit[..., 0],
        exponent=p[..., 0],
        real_by_order=real,
        bound_by_order=each,
    )
