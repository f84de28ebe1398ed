"""The rule of the self-organising map for single codes on a CPU, compiled: there a step of a few hundred units is too small for
matrix products, whose calls would take longer than their sums."""

import math

import numba
import numpy as np

# A pull below this moves no digit of a weight.
SMALLEST_PULL = 1e-30


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def take(weights, codes, order, decays, squares, sigma, alpha, tiny):
    """One pass of batches of one (eqs. 1 and 2, Lee & Vijayan 2023): moves `weights` (units, D), returns the loss of each step.

    Arrays of one float type: `codes` (N, D), which come in `order` int64 (steps,), `decays` float64 (steps,), exp(-5 s / T),
    `squares` (units, units), squared distances on the torus. A length below `tiny` counts as zero.
    """
    units, columns = weights.shape
    losses, pulls = np.empty(len(order), weights.dtype), np.empty(units, weights.dtype)
    for step in range(len(order)):
        x = codes[order[step]]
        length = x[0] * 0
        for j in range(columns):
            length += x[j] * x[j]
        closest, winner = -math.inf, 0
        for v in range(units):
            dot, norm = x[0] * 0, x[0] * 0
            for j in range(columns):
                dot += weights[v, j] * x[j]
                norm += weights[v, j] * weights[v, j]
            likeness = dot / (max(math.sqrt(length), tiny) * max(math.sqrt(norm), tiny))
            if likeness > closest:
                closest, winner = likeness, v
        losses[step] = 1 - closest
        rate, width = alpha * decays[step], 2 * (sigma * decays[step]) ** 2 + 1e-5
        for v in range(units):
            pulls[v] = rate * math.exp(-squares[winner, v] / width)
        for v in range(units):
            if pulls[v] > SMALLEST_PULL:
                for j in range(columns):
                    weights[v, j] += pulls[v] * (x[j] - weights[v, j])
    return losses
