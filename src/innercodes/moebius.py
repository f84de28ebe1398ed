"""The subset Moebius transform, its inverse and their adjoints along the last axis: O(n 2^n), no 2^n x 2^n matrix."""

from collections.abc import Callable

import torch
from torch import Tensor

from innercodes.coalitions import players


def subsets(values: Tensor, sign: int = 1) -> Tensor:
    """Sums over all subsets, (..., 2^n): result[S] = sum over T in S of sign^(|S|-|T|) values[T].

    sign = -1 is the Moebius transform, sign = 1 its inverse, the zeta transform.
    """
    return _butterfly(values, lambda without, with_player: with_player.add_(without, alpha=sign))


def supersets(values: Tensor, sign: int = 1) -> Tensor:
    """Sums over all supersets, (..., 2^n), the adjoint of `subsets`: result[S] = sum over T containing S of sign^(|T|-|S|) values[T]."""
    return _butterfly(values, lambda without, with_player: without.add_(with_player, alpha=sign))


def _butterfly(values: Tensor, step: Callable[[Tensor, Tensor], None]) -> Tensor:
    result = values.clone(memory_format=torch.contiguous_format)
    for i in range(players(values)):
        pairs = result.view(-1, 2, 2**i)
        step(pairs[:, 0], pairs[:, 1])
    return result
