"""Slow, literal statements of definitions, against which the fast formulas are held in chapters and tests.

Nothing above `gaps` shares code with what it checks. Outputs are float64 (2^n,) in binary order: bit i of the index = player i.
"""

import itertools
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from innercodes import interactions


def _discrete_derivative(outputs: Tensor, coalition: int, context: int) -> float:
    """Sum over parts L of the coalition of (-1)^(|T|-|L|) v(S with L), T the coalition and S the context."""
    total, part = 0.0, coalition
    while True:
        sign = (-1) ** (coalition.bit_count() - part.bit_count())
        total += sign * float(outputs[context | part])
        if part == 0:
            return total
        part = (part - 1) & coalition


def _contexts(n: int, coalition: int) -> list[int]:
    return [s for s in range(2**n) if s & coalition == 0]


def harsanyi(outputs: Tensor) -> Tensor:
    """Dividends by the alternating sum over all subsets, O(3^n); eq. 1 of Ren et al. 2024."""
    return torch.tensor([_discrete_derivative(outputs, s, 0) for s in range(len(outputs))], dtype=torch.float64)


def shapley(outputs: Tensor) -> Tensor:
    """Shapley values as the mean marginal contribution over all n! orders of arrival; Shapley 1953."""
    n = len(outputs).bit_length() - 1
    values = torch.zeros(n, dtype=torch.float64)
    for order in itertools.permutations(range(n)):
        present = 0
        for player in order:
            values[player] += outputs[present | 1 << player] - outputs[present]
            present |= 1 << player
    return values / math.factorial(n)


def shapley_interaction(outputs: Tensor) -> Tensor:
    """Shapley interaction index by weighted discrete derivatives, 0 for the empty set; Grabisch & Roubens 1999."""
    n = len(outputs).bit_length() - 1
    values = torch.zeros(2**n, dtype=torch.float64)
    for coalition in range(1, 2**n):
        t = coalition.bit_count()
        for s in _contexts(n, coalition):
            k = s.bit_count()
            weight = math.factorial(k) * math.factorial(n - k - t) / math.factorial(n - t + 1)
            values[coalition] += weight * _discrete_derivative(outputs, coalition, s)
    return values


def shapley_taylor(outputs: Tensor, order: int) -> Tensor:
    """Shapley-Taylor index, 0 for the empty set; Sundararajan, Dhamdhere & Agarwal 2020, section 2.

    Below the order: the discrete derivative at the empty set. At the order: the derivative at the players who come before
    the first member of the coalition, averaged over all n! orders of arrival. Above: 0.
    """
    n = len(outputs).bit_length() - 1
    values = torch.zeros(2**n, dtype=torch.float64)
    known: dict[tuple[int, int], float] = {}
    for coalition in range(1, 2**n):
        if coalition.bit_count() < order:
            values[coalition] = _discrete_derivative(outputs, coalition, 0)
        elif coalition.bit_count() == order:
            total = 0.0
            for arrivals in itertools.permutations(range(n)):
                before = 0
                for player in arrivals:
                    if coalition >> player & 1:
                        break
                    before |= 1 << player
                if (coalition, before) not in known:
                    known[coalition, before] = _discrete_derivative(outputs, coalition, before)
                total += known[coalition, before]
            values[coalition] = total / math.factorial(n)
    return values


def gaps(generators: Iterable[torch.Generator]) -> dict[str, float]:
    """The largest difference of the fast indices from the definitions here, on random games with two to six players."""
    largest = dict.fromkeys(("shapley", "shapley_interaction", "shapley_taylor"), 0.0)
    for generator, n in itertools.product(generators, range(2, 7)):
        outputs = torch.randn(2**n, dtype=torch.float64, generator=generator)
        dividends = interactions.harsanyi(outputs)
        found = [
            ("shapley", interactions.shapley(dividends) - shapley(outputs)),
            ("shapley_interaction", interactions.shapley_interaction(dividends) - shapley_interaction(outputs)),
        ]
        for order in range(1, n + 1):
            found.append(
                ("shapley_taylor", interactions.shapley_taylor(dividends, order) - shapley_taylor(outputs, order))
            )
        for name, gap in found:
            largest[name] = max(largest[name], float(gap.abs().max()))
    return largest
