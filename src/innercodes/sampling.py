"""Interactions of more players than 2^n masks allow: sampled masks, AND terms, and a sparse linear regression.

v(S) = v(empty) + sum of I(T) over the coalitions T inside S (Theorem 1, Ren et al. 2024) is linear in the dividends I(T).
Where only few of them are not zero, far fewer than 2^n outputs determine them.
"""

import itertools
import math
import warnings
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LassoCV, LinearRegression
from torch import Tensor

from innercodes.parameters import refusal

Coalition = tuple[int, ...]


@dataclass(frozen=True)
class SparseGame:
    """A game of few AND terms.

    `coalitions` with their `effects` float64 (terms,), strongest first; `empty` is the output of the empty coalition and
    `r2` the R^2 on masks that the fit did not see.
    """

    coalitions: tuple[Coalition, ...]
    effects: Tensor
    empty: float
    r2: float

    def predict(self, masks: Tensor) -> Tensor:
        """Outputs of masks, bool (m, n), as float64 (m,)."""
        return _columns(masks, self.coalitions) @ self.effects + self.empty


def sample_masks(n: int, size: int, seed: int) -> Tensor:
    """`size` different masks of `n` players, bool (size, n), True = shown; the first is empty and the second full.

    The other masks are spread evenly over the orders 1 ... n - 1, as far as an order has so many, and random within each.
    So a term of order k is on in about 1 of k + 1 masks; were every mask equally likely, it would be 1 of 2^k, and where
    n is large neither small nor large coalitions would ever be seen.
    Raises ParameterError for a size below n + 1, with which not every order is there, or above 2^n.
    """
    if n < 2:
        raise refusal("n_players", n, "at least 2")
    if not n + 1 <= size <= 2**n:
        raise refusal("n_masks", size, f"{n + 1} (one for each order) to 2^{n}, the masks of {n} players")
    generator = np.random.default_rng(seed)
    quotas = _quotas([math.comb(n, k) for k in range(1, n)], size - 2)
    masks = [np.zeros((1, n), bool), np.ones((1, n), bool)]
    masks += [_of_order(n, k, quota, generator) for k, quota in enumerate(quotas, start=1) if quota]
    return torch.from_numpy(np.concatenate(masks))


def _quotas(room: list[int], total: int) -> list[int]:
    """`total` spread over places as evenly as the room of each allows, the rest over the middle ones first."""
    quotas, smallest_first = [0] * len(room), sorted(range(len(room)), key=lambda i: (room[i], -i))
    for done, i in enumerate(smallest_first):
        quotas[i] = min(room[i], total // (len(room) - done))
        total -= quotas[i]
    return quotas


def _of_order(n: int, order: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` different random coalitions of one order, bool (count, n)."""
    if 2 * count > math.comb(n, order):
        members = np.array(list(itertools.combinations(range(n), order)))
        members = members[generator.permutation(len(members))[:count]]
        masks = np.zeros((count, n), bool)
        np.put_along_axis(masks, members, True, axis=1)
        return masks
    masks = np.zeros((0, n), bool)
    # At most half of the coalitions are asked for, so that about every second draw is new until the end.
    while len(masks) < count:
        places = generator.random((count, n)).argsort(-1)
        masks = np.concatenate([masks, places < order])
        masks = masks[np.sort(np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)[1])]
    return masks[:count]


def features(masks: Tensor, max_order: int) -> tuple[Tensor, tuple[Coalition, ...]]:
    """The AND terms of masks, bool (m, n): float64 (m, terms), and the coalition of each column, orders 1 to `max_order`.

    A column is 1 where all players of its coalition are shown. Raises ParameterError for an order that is out of range
    and MemoryError for terms that do not fit.
    """
    n = masks.shape[-1]
    if not 1 <= max_order <= n:
        raise refusal("max_order", max_order, f"1 to {n}, the number of players")
    terms = sum(math.comb(n, k) for k in range(1, max_order + 1))
    # The regression works on a copy.
    needed, free = 2 * 8 * terms * len(masks), psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"max_order = {max_order}: {terms:,d} AND terms of {n} players on {len(masks):,d} masks need "
            f"{needed / 2**30:,.1f} GiB; {free / 2**30:,.1f} GiB are free"
        )
    coalitions = tuple(c for k in range(1, max_order + 1) for c in itertools.combinations(range(n), k))
    return _columns(masks, coalitions), coalitions


FEWEST = 30
"""Masks that a fit takes at least: 5 folds and the held-out fifth need some each."""


def fit(masks: Tensor, outputs: Tensor, max_order: int, penalty: float | str = "cv", seed: int = 0) -> SparseGame:
    """The few AND terms up to `max_order` that explain outputs, float (m,), of masks, bool (m, n).

    The adaptive lasso (Zou 2006) on four fifths of the masks: a lasso picks candidates, a second one, in which each
    candidate's penalty is divided by its least-squares effect, drops those that only helped others, and least squares on
    what is left gives effects that no penalty shrinks. `penalty` is the lasso's alpha in units of the outputs' standard
    deviation, or "cv": chosen by 5-fold cross-validation in both steps. The other fifth of the masks, random by `seed`, gives `r2`.

    Raises ParameterError for too few masks, a `max_order` out of range and a penalty that is not positive; ValueError for
    outputs of another length, or that are not finite.
    """
    if len(masks) < FEWEST:
        raise refusal("n_masks", len(masks), f"at least {FEWEST}")
    if penalty != "cv" and not (isinstance(penalty, float | int) and 0 < penalty < math.inf):
        raise refusal("penalty", penalty, "cv, or a number above 0")
    if outputs.shape != masks.shape[:1]:
        raise ValueError(
            f"outputs {tuple(outputs.shape)} of masks {tuple(masks.shape)}: there must be one for each mask"
        )
    if not torch.isfinite(outputs).all():
        raise ValueError("the outputs hold NaN or infinity; every masked output must be finite")
    design, coalitions = features(masks, max_order)
    x, y = design.numpy(), outputs.cpu().double().numpy()
    order = np.random.default_rng(seed).permutation(len(y))
    seen, held_out = order[len(y) // 5 :], order[: len(y) // 5]

    kept = _lasso(x[seen], y[seen], penalty)
    if len(kept):
        scale = np.abs(LinearRegression().fit(x[seen][:, kept], y[seen]).coef_)
        kept = kept[_lasso(x[seen][:, kept] * scale, y[seen], penalty)]
    # With a column of ones, so that there may be no term at all.
    solution = np.linalg.lstsq(np.column_stack([np.ones(len(seen)), x[seen][:, kept]]), y[seen])[0]
    residual = y[held_out] - x[held_out][:, kept] @ solution[1:] - solution[0]
    spread = np.square(y[held_out] - y[held_out].mean()).sum()
    strongest = np.argsort(-np.abs(solution[1:]), kind="stable")
    return SparseGame(
        tuple(coalitions[kept[i]] for i in strongest),
        torch.from_numpy(solution[1:][strongest]),
        float(solution[0]),
        float(1 - np.square(residual).sum() / spread) if spread > 0 else math.nan,
    )


def _lasso(x: np.ndarray, y: np.ndarray, penalty: float | str) -> np.ndarray:
    """The columns that a lasso keeps, int64 (kept,)."""
    spread = y.std()
    if spread == 0:
        return np.zeros(0, np.int64)
    # At the smallest penalties of the path it need not converge: only the choice of columns is used.
    lasso = LassoCV(alphas=50, max_iter=2000, tol=1e-3) if penalty == "cv" else Lasso(penalty, max_iter=20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.flatnonzero(lasso.fit(x, y / spread).coef_)


def _columns(masks: Tensor, coalitions: tuple[Coalition, ...]) -> Tensor:
    """One column a coalition: whether all of its players are shown, float64 (m, terms)."""
    shown = masks.cpu().double()
    columns = shown.new_empty((len(shown), len(coalitions)))
    for i, coalition in enumerate(coalitions):
        columns[:, i] = shown[:, list(coalition)].prod(-1)
    return columns
