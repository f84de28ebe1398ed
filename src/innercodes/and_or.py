"""The AND-OR split of a network's outputs with removal of small noise: Appendix D.2 of Ren et al. 2024.

The centred outputs u are written as u = u_and + u_or + noise, with u_and = (u - noise) / 2 + gamma and
u_or = (u - noise) / 2 - gamma. The fit makes the AND interactions of u_and and the OR interactions of u_or small in L1
norm, with the noise inside a narrow band: a convex problem. Two solvers: the authors' sub-gradient descent ("sgd"), and
the alternating direction method of multipliers ("admm", Boyd et al. 2011), which comes much closer to the optimum.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from innercodes import moebius
from innercodes.coalitions import orders, players
from innercodes.parameters import refusal

SOLVERS = {"sgd": 10_000, "admm": 1000}
"""Solvers of the fit, and how many iterations they take unless told."""


@dataclass(frozen=True)
class AndOr:
    """AND and OR interactions, the noise taken away, and the L1 norm before and after: (..., 2^n) and (...).

    OR interactions of order 1 are part of the AND ones, with which they coincide; both are 0 for the empty set.
    """

    and_: Tensor
    or_: Tensor
    noise: Tensor
    before: Tensor
    after: Tensor

    @property
    def terms(self) -> Tensor:
        """AND terms, then OR terms, as one axis (..., 2 * 2^n)."""
        return torch.cat([self.and_, self.or_], -1)


def fit_and_or(
    outputs: Tensor,
    iterations: int | None = None,
    learning_rate: float | None = None,
    noise: float = 0.04,
    mode: str = "pq",
    solver: str = "sgd",
    momentum: float = 0.9,
) -> AndOr:
    """Split outputs (..., 2^n) into AND and OR interactions, all samples at once.

    mode "pq" splits and removes noise, "p" only splits, "q" only removes noise and has AND interactions alone: the modes of
    the authors' code. The noise stays within `noise` * |v(N) - v(empty)|.

    solver "sgd" is the authors': sub-gradients with momentum from 0, the rate log-spaced from `learning_rate` (None:
    0.003 / 2^n) down to a tenth, 10 000 iterations unless told. solver "admm" needs no rate and fewer iterations (1000),
    each of which costs about three of the other.

    Each sample is divided by its largest |v(S) - v(empty)| before the fit and multiplied by it after, so that networks
    with large and with small outputs are fitted alike; the authors do not, and `learning_rate` is in these units.
    Raises ParameterError for a value that is not allowed, ValueError for outputs that are not finite or no power of two.
    """
    n = players(outputs)
    for name, value, choices in (("mode", mode, ("pq", "p", "q")), ("solver", solver, tuple(SOLVERS))):
        if value not in choices:
            raise refusal(name, value, f"one of {', '.join(choices)}")
    iterations = SOLVERS[solver] if iterations is None else iterations
    learning_rate = 0.003 / 2**n if learning_rate is None else learning_rate
    for name, value, least in (("iterations", iterations, 1), ("noise", noise, 0), ("learning_rate", learning_rate, 0)):
        if not least <= value < math.inf:
            raise refusal(name, value, f"a number of at least {least}")
    if not torch.isfinite(outputs.sum(dtype=torch.float64)):
        raise ValueError("the outputs hold NaN or infinity; every masked output must be finite")
    centred = outputs - outputs[..., :1]
    scale = centred.abs().amax(-1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1)
    u = (centred / scale).reshape(-1, 2**n)
    limit = torch.zeros_like(u) if mode == "p" else (noise * u[:, -1:].abs()).expand_as(u).clone()
    limit[:, 0] = 0
    split = mode != "q"
    if solver == "admm":
        gamma, epsilon = _admm(u, limit, iterations, split)
    else:
        rates = learning_rate * 0.1 ** np.linspace(0, 1, iterations)
        compiled = u.device.type == "cpu" and u.dtype in (torch.float32, torch.float64)
        gamma, epsilon = (_descend_numba if compiled else _descend)(u, limit, rates, momentum, split)
    before = _norm(*_interactions(u, torch.zeros_like(u), torch.zeros_like(u), split))
    and_, or_ = _interactions(u, gamma, epsilon, split)
    after = _norm(and_, or_)
    single = orders(n, u.device) == 1
    and_, or_ = torch.where(single, and_ + or_, and_), torch.where(single, 0, or_)
    whole = [(x.reshape(outputs.shape) * scale) for x in (and_, or_, epsilon)]
    norms = [(x.reshape(outputs.shape[:-1]) * scale[..., 0]) for x in (before, after)]
    return AndOr(*whole, *norms)


def _interactions(u: Tensor, gamma: Tensor, epsilon: Tensor, split: bool) -> tuple[Tensor, Tensor]:
    """AND and OR interactions at a point of the fit; without a split all of it is AND."""
    if not split:
        return moebius.subsets(u - epsilon, sign=-1), torch.zeros_like(u)
    half = (u - epsilon) / 2
    or_ = -moebius.subsets((half - gamma).flip(-1), sign=-1)
    or_[:, 0] = 0
    return moebius.subsets(half + gamma, sign=-1), or_


def _norm(and_: Tensor, or_: Tensor) -> Tensor:
    return and_.abs().sum(-1) + or_.abs().sum(-1)


def _descend(u: Tensor, limit: Tensor, rates: np.ndarray, momentum: float, split: bool) -> tuple[Tensor, Tensor]:
    """The descent with torch, on any device: (B, 2^n) to gamma and noise."""
    gamma, epsilon = torch.zeros_like(u), torch.zeros_like(u)
    speed_gamma, speed_epsilon = torch.zeros_like(u), torch.zeros_like(u)
    for rate in rates.tolist():
        and_, or_ = _interactions(u, gamma, epsilon, split)
        by_and = moebius.supersets(and_.sign(), sign=-1)
        by_or = -moebius.supersets(or_.sign(), sign=-1).flip(-1)
        speed_gamma.mul_(momentum).add_(by_and - by_or)
        speed_epsilon.mul_(momentum).sub_((by_and + by_or) / 2 if split else by_and)
        if split:
            gamma.sub_(speed_gamma, alpha=rate)
            gamma[:, 0] = 0
        epsilon.sub_(speed_epsilon, alpha=rate)
        torch.minimum(torch.maximum(epsilon, -limit, out=epsilon), limit, out=epsilon)
    return gamma, epsilon


def _descend_numba(u: Tensor, limit: Tensor, rates: np.ndarray, momentum: float, split: bool) -> tuple[Tensor, Tensor]:
    """The same descent, one sample after the other, all in the cache."""
    gamma, epsilon = torch.zeros_like(u), torch.zeros_like(u)
    kind = u.numpy().dtype.type
    with moebius.torch_threads():
        _kernel(
            u.contiguous().numpy(), limit.numpy(), rates.astype(kind), kind(momentum), split,
            gamma.numpy(), epsilon.numpy(),
        )  # fmt: skip
    return gamma, epsilon


# Indices are unsigned: with signed ones numba looks for negative indices in every loop, and nothing becomes a vector.
_U = np.uintp


@numba.njit(cache=True, inline="always")
def _moebius(x):
    for i in range(63):
        half = _U(1) << _U(i)
        if half >= x.size:
            break
        for t in range(_U(x.size) >> _U(i + 1)):
            low = t << _U(i + 1)
            high = low + half
            for c in range(half):
                x[high + c] -= x[low + c]


@numba.njit(cache=True, inline="always")
def _adjoint(x):
    for i in range(63):
        half = _U(1) << _U(i)
        if half >= x.size:
            break
        for t in range(_U(x.size) >> _U(i + 1)):
            low = t << _U(i + 1)
            high = low + half
            for c in range(half):
                x[low + c] -= x[high + c]


@numba.njit(cache=True, parallel=True)
def _kernel(u, limit, rates, momentum, split, gamma, epsilon):
    size = u.shape[1]
    for b in numba.prange(u.shape[0]):
        and_, or_ = np.empty_like(u[b]), np.zeros_like(u[b])
        speed_gamma, speed_epsilon = np.zeros_like(u[b]), np.zeros_like(u[b])
        g, e, bound, own = gamma[b], epsilon[b], limit[b], u[b]
        for rate in rates:
            if split:
                for s in range(_U(size)):
                    half = (own[s] - e[s]) / 2
                    and_[s] = half + g[s]
                    # OR interactions are the negative AND interactions of the reversed outputs.
                    or_[_U(size - 1) - s] = g[s] - half
                _moebius(or_)
                or_[0] = 0
                for s in range(_U(size)):
                    or_[s] = np.sign(or_[s])
                _adjoint(or_)
            else:
                for s in range(_U(size)):
                    and_[s] = own[s] - e[s]
            _moebius(and_)
            for s in range(_U(size)):
                and_[s] = np.sign(and_[s])
            _adjoint(and_)
            for s in range(_U(size)):
                by_or = -or_[_U(size - 1) - s]
                if split:
                    speed_gamma[s] = momentum * speed_gamma[s] + (and_[s] - by_or)
                    g[s] -= rate * speed_gamma[s]
                    by_noise = (and_[s] + by_or) / 2
                else:
                    by_noise = and_[s]
                speed_epsilon[s] = momentum * speed_epsilon[s] - by_noise
                e[s] = min(max(e[s] - rate * speed_epsilon[s], -bound[s]), bound[s])
            g[0] = 0


# ADMM. In player coordinates every map here is a Kronecker power of a 2 x 2 matrix: the AND interactions of w are M w, the
# OR interactions of y are R y. MOEBIUS and FLIP are those matrices; BASIS makes both normal matrices diagonal at once,
# BASIS^T (M^T M) BASIS = diag(RATIOS) and BASIS^T (R^T R) BASIS = 1, so that least squares over both are solved exactly.
_MOEBIUS = np.array([[1.0, 0.0], [-1.0, 1.0]])
_REVERSED = _MOEBIUS @ np.array([[0.0, 1.0], [1.0, 0.0]])
_RATIOS, _BASIS = scipy.linalg.eigh(_MOEBIUS.T @ _MOEBIUS, _REVERSED.T @ _REVERSED)
# Chosen by the L1 norm reached on planted games with 6 to 10 players.
_PENALTY, _BOX_PENALTY, _RELAXATION, _CONJUGATE_STEPS = 10.0, 100.0, 1.6, 2


def _admm(u: Tensor, limit: Tensor, iterations: int, split: bool) -> tuple[Tensor, Tensor]:
    """The fit by ADMM in double precision: (B, 2^n) to gamma and noise.

    minimise |a|_1 + |b|_1 + [q in the band] with a = M w, b = R (u - e - w), q = e, over w (which is u_and) and the noise e.
    """
    work = u.double().cpu().contiguous()
    band = limit.double().cpu().contiguous()
    ratios = np.ones(1)
    for _ in range(players(u)):
        ratios = np.concatenate([ratios * _RATIOS[0], ratios * _RATIOS[1]])
    both, noise = torch.empty_like(work), torch.empty_like(work)
    with moebius.torch_threads():
        _admm_kernel(
            work.numpy(),
            band.numpy(),
            iterations,
            split,
            ratios,
            _BASIS,
            np.linalg.inv(_BASIS),
            both.numpy(),
            noise.numpy(),
        )
    gamma = both - (work - noise) / 2
    gamma[:, 0] = 0
    return gamma.to(u), noise.to(u)


@numba.njit(cache=True, inline="always")
def _kronecker(x, a00, a01, a10, a11):
    for i in range(63):
        half = _U(1) << _U(i)
        if half >= x.size:
            break
        for t in range(_U(x.size) >> _U(i + 1)):
            first = t << _U(i + 1)
            second = first + half
            for c in range(half):
                low, high = x[first + c], x[second + c]
                x[first + c] = a00 * low + a01 * high
                x[second + c] = a10 * low + a11 * high


@numba.njit(cache=True, inline="always")
def _shrink(x, threshold):
    return np.sign(x) * max(abs(x) - threshold, 0.0)


@numba.njit(cache=True, parallel=True)
def _admm_kernel(u, limit, iterations, split, ratios, basis, inverse, both, noise):
    size = u.shape[1]
    # S = M^T M (M^T M + R^T R)^-1 R^T R; without a split there is no OR part, and S = M^T M.
    middle = ratios / (1 + ratios) if split else ratios
    for row in numba.prange(u.shape[0]):
        own, bound = u[row], limit[row]
        a, b, q, e = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
        dual_a, dual_b, dual_q = np.zeros(size), np.zeros(size), np.zeros(size)
        residual, direction, product = np.empty(size), np.empty(size), np.empty(size)
        w, rest, goal = np.empty(size), np.zeros(size), np.empty(size)
        for _ in range(iterations):
            for s in range(_U(size)):
                w[s] = a[s] - dual_a[s]
                # R^-1 is minus the inverse Moebius transform, reversed.
                goal[s] = b[s] - dual_b[s]
            _kronecker(w, 1.0, 0.0, 1.0, 1.0)
            if split:
                _kronecker(goal, 1.0, 0.0, 1.0, 1.0)
                for s in range(_U(size)):
                    rest[s] = -goal[_U(size - 1) - s]
            # The noise: conjugate gradients on (S + box penalty) e = S (u - rest - w) + box penalty (q - dual).
            for s in range(_U(size)):
                residual[s] = own[s] - rest[s] - w[s] - e[s]
            _apply(residual, middle, basis, inverse)
            squared = 0.0
            for s in range(_U(size)):
                residual[s] += _BOX_PENALTY * (q[s] - dual_q[s] - e[s])
                direction[s] = residual[s]
                squared += residual[s] * residual[s]
            for _ in range(_CONJUGATE_STEPS):
                product[:] = direction
                _apply(product, middle, basis, inverse)
                along = 0.0
                for s in range(_U(size)):
                    product[s] += _BOX_PENALTY * direction[s]
                    along += direction[s] * product[s]
                if along <= 0:
                    break
                step, new = squared / along, 0.0
                for s in range(_U(size)):
                    e[s] += step * direction[s]
                    residual[s] -= step * product[s]
                    new += residual[s] * residual[s]
                for s in range(_U(size)):
                    direction[s] = residual[s] + new / squared * direction[s]
                squared = new
            if split:
                for s in range(_U(size)):
                    goal[s] = own[s] - e[s] - rest[s]
                _kronecker(w, inverse[0, 0], inverse[0, 1], inverse[1, 0], inverse[1, 1])
                _kronecker(goal, inverse[0, 0], inverse[0, 1], inverse[1, 0], inverse[1, 1])
                for s in range(_U(size)):
                    w[s] = (ratios[s] * w[s] + goal[s]) / (1 + ratios[s])
                _kronecker(w, basis[0, 0], basis[0, 1], basis[1, 0], basis[1, 1])
            else:
                for s in range(_U(size)):
                    w[s] = own[s] - e[s]
            for s in range(_U(size)):
                product[s] = w[s]
                direction[_U(size - 1) - s] = w[s] + e[s] - own[s]
            _moebius(product)
            if split:
                _moebius(direction)
            for s in range(_U(size)):
                relaxed = _RELAXATION * product[s] + (1 - _RELAXATION) * a[s] + dual_a[s]
                a[s] = _shrink(relaxed, 1 / _PENALTY)
                dual_a[s] = relaxed - a[s]
                if split:
                    relaxed = _RELAXATION * direction[s] + (1 - _RELAXATION) * b[s] + dual_b[s]
                    # The empty OR term is none: it costs nothing.
                    b[s] = _shrink(relaxed, 1 / _PENALTY) if s else relaxed
                    dual_b[s] = relaxed - b[s]
                relaxed = _RELAXATION * e[s] + (1 - _RELAXATION) * q[s] + dual_q[s]
                q[s] = min(max(relaxed, -bound[s]), bound[s])
                dual_q[s] = relaxed - q[s]
        noise[row] = q
        both[row] = w


@numba.njit(cache=True, inline="always")
def _apply(x, middle, basis, inverse):
    """x to inverse^T (middle * (inverse x)), Kronecker powers of 2 x 2 matrices."""
    _kronecker(x, inverse[0, 0], inverse[0, 1], inverse[1, 0], inverse[1, 1])
    for s in range(x.size):
        x[s] *= middle[s]
    _kronecker(x, inverse[0, 0], inverse[1, 0], inverse[0, 1], inverse[1, 1])
