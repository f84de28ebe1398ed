"""Harsanyi interactions: every masked output of a network as an exact sum over coalitions of input variables.

Coalitions are numbered in binary: row `s` holds player `i` when bit `i` of `s` is set, so the last axis of every array
here has length 2^n, entry 0 is the empty coalition and entry 2^n - 1 the full input. All functions are batched over
leading dimensions and work on any floating dtype and device.

Source: Ren, Gao, Shen & Zhang (ICLR 2024), called "the paper" below.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from innercodes import moebius
from innercodes.and_or import AndOr, fit_and_or
from innercodes.coalitions import coalitions, orders, players
from innercodes.conditions import Bound, exponent, monotone, order_means, order_strength, salience_bound
from innercodes.masking import masked_outputs

# The whole lens under one name; the longer parts have rooms of their own.
__all__ = [
    "AndOr", "Bound", "coalitions", "explained", "exponent", "fit_and_or", "harsanyi", "high_order_share", "log_odds",
    "masked_outputs", "monotone", "or_interactions", "order_means", "order_strength", "orders", "players", "reconstruct",
    "salience_bound", "salient", "shapley", "shapley_interaction", "shapley_taylor", "strongest",
]  # fmt: skip


def harsanyi(outputs: Tensor, in_place: bool = False) -> Tensor:
    """Harsanyi dividends I(S) = sum over T in S of (-1)^(|S|-|T|) v(T), (..., 2^n) to (..., 2^n); eq. 1 of the paper.

    The outputs are not centred, so I(empty) = v(empty). With `in_place` they are overwritten. Raises ValueError for a
    length that is no power of two and for outputs that are not finite.
    """
    return moebius.subsets(outputs, sign=-1, in_place=in_place, check=True)


def reconstruct(dividends: Tensor) -> Tensor:
    """All masked outputs back from their dividends, v(S) = sum over T in S of I(T): Theorem 1, inverse of `harsanyi`."""
    return moebius.subsets(dividends)


def or_interactions(outputs: Tensor) -> Tensor:
    """OR interactions I_or(S) = -sum over T in S of (-1)^(|S|-|T|) v(N \\ T), zero for the empty set; Appendix D.2."""
    # The complement of coalition s is 2^n - 1 - s: the reversed axis.
    result = -harsanyi(outputs.flip(-1))
    result[..., 0] = 0
    return result


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """log p(y) / (1 - p(y)) of a softmax classifier: logits (..., C) and labels (...) to (...); section 2 of the paper.

    z_y minus the log-sum-exp of the other logits, which stays finite where p(y) rounds to 0 or 1.
    """
    labels = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    others = logits.scatter(-1, labels, -math.inf)
    return logits.gather(-1, labels).squeeze(-1) - torch.logsumexp(others, dim=-1)


def salient(dividends: Tensor, threshold: float = 0.05) -> Tensor:
    """Which interactions reach `threshold` times the strongest one, bool (..., 2^n); the empty set never does."""
    strength = dividends.abs()
    strength[..., 0] = 0
    largest = strength.amax(-1, keepdim=True)
    return (strength >= threshold * largest) & (strength > 0)


def strongest(dividends: Tensor, share: float) -> Tensor:
    """The strongest `share` of the 2^n - 1 interactions (rounded up), the empty set left out: bool (..., 2^n)."""
    players(dividends)
    strength = dividends[..., 1:].abs()
    top = strength.topk(math.ceil(share * strength.shape[-1]), dim=-1).indices + 1
    return torch.zeros_like(dividends, dtype=torch.bool).scatter_(-1, top, True)


def explained(outputs: Tensor, dividends: Tensor, keep: Tensor) -> Tensor:
    """R^2 over all 2^n masks of the outputs rebuilt from the kept interactions and v(empty) alone: (..., 2^n) to (...).

    Constant outputs have no variance to explain: NaN.
    """
    kept = torch.where(keep, dividends, 0)
    kept[..., 0] = outputs[..., 0]
    residual = (outputs - reconstruct(kept)).square().sum(-1)
    total = (outputs - outputs.mean(-1, keepdim=True)).square().sum(-1)
    return torch.where(total > 0, 1 - residual / total, torch.nan)


def high_order_share(dividends: Tensor) -> Tensor:
    """Share of the summed |I| that lies in orders above n / 2, the empty set left out: (..., 2^n) to (...)."""
    n = players(dividends)
    strength = dividends[..., 1:].abs()
    above = orders(n, dividends.device)[1:] > n / 2
    return (strength * above).sum(-1) / strength.sum(-1)


def _superset_sums(dividends: Tensor, weight: Callable[[int], float]) -> Tensor:
    """For every T: the sum over U containing T of weight(|U| - |T|) I(U), (..., 2^n) to (..., 2^n)."""
    n = players(dividends)
    order = orders(n, dividends.device)
    result = torch.zeros_like(dividends)
    for k in range(n + 1):
        of_order = torch.where(order == k, dividends, 0)
        above = moebius.supersets(of_order)
        weights = torch.tensor([weight(k - t) if k >= t else 0.0 for t in range(n + 1)], dtype=dividends.dtype)
        result += weights.to(dividends.device)[order] * above
    return result


def shapley(dividends: Tensor) -> Tensor:
    """Shapley values: every interaction shared out equally among its players, (..., 2^n) to (..., n); Theorem 4."""
    n = players(dividends)
    members = coalitions(n, dividends.device).to(dividends.dtype)
    shares = dividends / members.sum(-1).clamp(min=1)
    return shares @ members


def shapley_interaction(dividends: Tensor) -> Tensor:
    """Shapley interaction index of every non-empty coalition (0 for the empty one), (..., 2^n); Theorem 5."""
    result = _superset_sums(dividends, lambda extra: 1 / (extra + 1))
    result[..., 0] = 0
    return result


def shapley_taylor(dividends: Tensor, order: int) -> Tensor:
    """Shapley-Taylor index of a given order >= 1 for every coalition, (..., 2^n); Theorem 6.

    Below the order it is the dividend itself, at the order the larger interactions are shared out, above it is 0.
    """
    n = players(dividends)
    if not 1 <= order <= n:
        raise ValueError(f"order = {order}: must lie in 1 ... {n}, the number of players")
    size = orders(n, dividends.device)
    shared = _superset_sums(dividends, lambda extra: 1 / math.comb(extra + order, order))
    result = torch.where(size < order, dividends, torch.where(size == order, shared, 0))
    result[..., 0] = 0
    return result
