"""The AND-OR fit: its two solvers against the linear programme's exact optimum, against each other and on planted games."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from innercodes import and_or, endpoints, interactions
from innercodes.and_or import fit_and_or
from innercodes.parameters import ParameterError


def games(n: int, count: int = 4, terms: int = 4) -> torch.Tensor:
    return torch.stack([endpoints.planted(n, terms, 0.04, seed)[0] for seed in range(count)])


def optimum(u: torch.Tensor, noise: float, mode: str = "pq") -> float:
    """The smallest L1 norm by linear programming, with dense matrices: u (2^n,) with u[0] = 0."""
    size = len(u)
    # Column T of M is the Moebius transform of the game that is 1 at T only.
    m = interactions.harsanyi(torch.eye(size, dtype=torch.float64)).T.numpy()
    reverse = -m[:, ::-1].copy()
    reverse[0] = 0
    y, band = u.numpy(), noise * abs(float(u[-1]))
    zero, one = np.zeros((size, size)), np.eye(size)
    # Unknown: gamma, noise, and the sizes of the AND and OR terms.
    if mode == "q":
        and_rows, or_rows, at = np.hstack([zero, -m]), np.hstack([zero, zero]), (m @ y, 0 * y)
    else:
        and_rows, or_rows = np.hstack([m, -m / 2]), np.hstack([-reverse, -reverse / 2])
        at = (m @ y / 2, reverse @ y / 2)
    rows = [
        np.hstack([sign * part, -one if k == 0 else zero, zero if k == 0 else -one])
        for k, part in enumerate((and_rows, or_rows))
        for sign in (1, -1)
    ]
    limits = np.concatenate([-sign * at[k] for k in (0, 1) for sign in (1, -1)])
    box = [(None, None)] * size + [(-band, band)] * size + [(0, None)] * (2 * size)
    box[0] = box[size] = (0, 0)
    cost = np.concatenate([np.zeros(2 * size), np.ones(2 * size)])
    return linprog(cost, A_ub=np.vstack(rows), b_ub=limits, bounds=box, method="highs").fun


@pytest.mark.parametrize(("mode", "noise"), [("pq", 0.04), ("p", 0.0), ("q", 0.04)])
def test_admm_comes_within_one_percent_of_the_exact_optimum(mode, noise):
    outputs = games(6)
    fit = fit_and_or(outputs, 2000, mode=mode, solver="admm")
    exact = torch.tensor([optimum(u, noise, mode) for u in outputs])
    assert bool((fit.after >= exact * (1 - 1e-6)).all()) and bool((fit.after <= exact * 1.01).all())


def test_the_descent_comes_down_and_admm_below_it():
    outputs = games(7)
    descent, exact = fit_and_or(outputs), fit_and_or(outputs, solver="admm")
    assert bool((descent.after < 0.6 * descent.before).all())
    assert bool((exact.after <= descent.after * 1.001).all())
    torch.testing.assert_close(descent.before, exact.before)


@pytest.mark.parametrize("solver", ["sgd", "admm"])
@pytest.mark.parametrize("mode", ["pq", "p", "q"])
def test_a_split_adds_up_to_the_outputs(solver, mode):
    outputs = games(6) + 3
    fit = fit_and_or(outputs, 200, mode=mode, solver=solver)
    ors = fit.or_.sum(-1, keepdim=True) - interactions.reconstruct(fit.or_).flip(-1)
    rebuilt = outputs[:, :1] + interactions.reconstruct(fit.and_) + ors + fit.noise
    torch.testing.assert_close(rebuilt, outputs)
    band = 0.04 * (outputs[:, -1:] - outputs[:, :1]).abs() * (mode != "p")
    assert bool((fit.noise.abs() <= band + 1e-12).all()) and bool((fit.noise[:, 0] == 0).all())
    assert not fit.or_[:, 0].any() and not fit.or_[:, interactions.orders(6) == 1].any()
    assert fit.terms.shape == (4, 128) and (mode != "q" or not fit.or_.any())


@pytest.mark.parametrize("split", [True, False])
def test_the_compiled_descent_is_the_one_written_with_torch(split):
    outputs = games(5)
    u = outputs / outputs.abs().amax(-1, keepdim=True)
    limit = (0.04 * u[:, -1:].abs()).expand_as(u).clone()
    limit[:, 0] = 0
    rates = 1e-3 * 0.1 ** np.linspace(0, 1, 60)
    for a, b in zip(
        and_or._descend(u, limit, rates, 0.9, split), and_or._descend_numba(u, limit, rates, 0.9, split), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_fit_scales_with_the_outputs_and_takes_any_batch():
    outputs = games(5).view(2, 2, 32)
    fit, larger = fit_and_or(outputs, 100), fit_and_or(1000 * outputs, 100)
    assert fit.and_.shape == (2, 2, 32) and fit.after.shape == (2, 2)
    torch.testing.assert_close(larger.and_, 1000 * fit.and_)
    alone = fit_and_or(outputs[1, 0], 100)
    torch.testing.assert_close(alone.or_, fit.or_[1, 0])
    single = fit_and_or(outputs.float(), 100)
    assert single.and_.dtype == torch.float32
    assert not fit_and_or(torch.full((8,), 2.5), 10).terms.any()


@pytest.mark.parametrize("solver", ["sgd", "admm"])
def test_the_number_of_threads_changes_no_bit(solver):
    outputs, before = games(6), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fit_and_or(outputs, 50, solver=solver)
        torch.set_num_threads(2)
        two = fit_and_or(outputs, 50, solver=solver)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one.terms, two.terms) and torch.equal(one.noise, two.noise)


def test_pure_ands_and_pure_ors_are_recovered():
    members = interactions.coalitions(6)
    both = (members[:, :3].all(-1).double() * 2 + members[:, 2:].any(-1).double()).expand(1, -1)
    fit = fit_and_or(both, mode="p", solver="admm")
    and_, or_ = torch.zeros(64), torch.zeros(64)
    and_[0b000111], or_[0b111100] = 2, 1
    torch.testing.assert_close(fit.and_[0].float(), and_, rtol=0, atol=0.02)
    torch.testing.assert_close(fit.or_[0].float(), or_, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "x"}, "mode = 'x': must be one of pq, p, q"),
        ({"solver": "lp"}, "solver = 'lp': must be one of sgd, admm"),
        ({"iterations": 0}, "iterations = 0: must be a number of at least 1"),
        ({"noise": -0.1}, "noise = -0.1"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
    ],
)
def test_bad_values_are_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        fit_and_or(torch.zeros(8), **arguments)


def test_bad_outputs_are_refused():
    with pytest.raises(ValueError, match="power of two"):
        fit_and_or(torch.zeros(6))
    with pytest.raises(ValueError, match="NaN or infinity"):
        fit_and_or(torch.tensor([0.0, torch.nan]))


def test_torch_keeps_its_threads():
    """numba's first parallel kernel sets OpenMP's number of threads, which torch would take over."""
    code = "import torch; torch.set_num_threads(1); from innercodes.and_or import fit_and_or; fit_and_or(torch.randn(2, 8), 2); "
    code += "fit_and_or(torch.randn(2, 8), 2, solver='admm'); print(torch.get_num_threads())"
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=free)
    assert done.stdout.strip() == "1"
