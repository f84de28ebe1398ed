"""What codes can and can not do, whatever the network: the measured quantity of the claims of chapter 04 on formulas and toy models.

Each function gives what `Results.take` wants. The claims' tests stand in claims/spectra.yml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import linregress

from innercodes import error_correction, noisy_codes, spectra, stats, superposition
from innercodes.parameters import Run
from innercodes.superposition import Toy

# COD-1, COD-2: the toy model of superposition

HALF_PRECISION = 16
"""Bits of an input element, as in the paper."""
DENSE = 10.0
"""COD-1 looks at sparsities up to 1 / (1 - S) of this size."""


def sweep(points: int) -> np.ndarray:
    """Sparsities S with 1 / (1 - S) from 1 to 100 in equal factors, float64 (points,)."""
    return 1 - 1 / np.geomspace(1, 100, points)


TOY_BATCH, TOY_RATE = 128, 0.01
"""Batch and learning rate of toy models: longer training with them changes neither loss nor D* by more than 2 % at most sparsities."""


def toys(run: Run) -> list[Toy]:
    """A toy model for every sparsity of the sweep, for each seed; all of them are trained together."""
    sparsities = torch.from_numpy(sweep(run.toy_sparsities))
    every = superposition.train(
        run.toy_features, run.toy_hidden, sparsities.repeat(len(run.seeds)), run.toy_steps, TOY_BATCH, TOY_RATE,
        run.seed, run.device, run.bars,
    )  # fmt: skip
    parts = [field.split(len(sparsities)) for field in (every.weights, every.biases, every.losses)]
    return [Toy(sparsities, *fields) for fields in zip(*parts, strict=True)]


def dimensions(found: Sequence[Toy]) -> np.ndarray:
    """D* of every toy model, float64 (seeds, points)."""
    return np.stack([superposition.dimensions_per_feature(toy.weights).double().cpu().numpy() for toy in found])


def compression(measured: np.ndarray, run: Run) -> dict[str, Any]:
    """COD-1: slope of log D* on log(1 - S) up to 1 / (1 - S) = 10, mean over seeds; random weights beside it."""
    density = 1 - sweep(run.toy_sparsities)
    # A hair of room: the sweep may meet the limit but for rounding.
    dense = 1 / density <= DENSE * (1 + 1e-9)
    x = np.log(density[dense])
    slopes = np.array([linregress(x, np.log(row[dense])).slope for row in measured])
    predicted = superposition.compression_ratio(torch.from_numpy(1 - density), HALF_PRECISION).numpy()
    apart = np.abs(np.log(measured.mean(0) / predicted))[dense]
    found = {"value": float(slopes.mean())}
    if len(slopes) > 1:
        found["ci"] = stats.replicated(float(slopes.mean()), slopes / len(slopes) ** 0.5).interval()
    return found | {
        "also": {"largest_log_ratio": float(apart.max())},
        "baseline": {
            "slope, random weights": float(linregress(x, np.log(random_dimensions(run)[dense])).slope),
            "slope, equation 1": float(linregress(x, np.log(predicted[dense])).slope),
        },
    }


def random_dimensions(run: Run) -> np.ndarray:
    """D* of random weights that every sparsity shares, columns of length 1 on average: float64 (points,)."""
    generator = torch.Generator().manual_seed(run.seed)
    weights = torch.randn(run.toy_hidden, run.toy_features, generator=generator) / run.toy_hidden**0.5
    return np.full(run.toy_sparsities, float(superposition.dimensions_per_feature(weights)))


APART = 1.3
"""COD-2 compares neighbouring points of the sweep that are at least this factor apart."""


def sticky(measured: np.ndarray, run: Run) -> dict[str, Any] | str:
    """COD-2: at how many of the levels 1 and 1/2 the sweep has a plateau, from D* averaged over seeds."""
    if 100 ** (1 / (run.toy_sparsities - 1)) < APART:
        return f"{run.toy_sparsities} points of the sweep are closer than the factor {APART} that the claim asks for."
    ratio = torch.from_numpy(1 / (1 - sweep(run.toy_sparsities)))
    predicted = superposition.compression_ratio(1 - 1 / ratio, HALF_PRECISION)
    by_seed = {f"seed {seed}": row for seed, row in zip(run.seeds, torch.from_numpy(measured), strict=True)}
    return {
        "value": float(superposition.plateaus(ratio, torch.from_numpy(measured.mean(0)))),
        "baseline": {
            name: float(superposition.plateaus(ratio, row))
            for name, row in ({"equation 1": predicted} | by_seed).items()
        },
    }


# COD-3, COD-4, COD-21: noise and redundancy

RATE, LENGTH, CODE_RATE, LAYERS = 0.2, 256, 0.70, 20
"""Dropout, code length, rate and number of layers, as claims/ fixed them."""


def recovery(run: Run) -> dict[str, np.ndarray]:
    """Share of messages that each kind of code brings through 1 ... `LAYERS` layers of erasure: kind to (layers,)."""
    return {
        kind: np.asarray(noisy_codes.recovered(kind, LAYERS, RATE, LENGTH, CODE_RATE, run.messages, run.seed))
        for kind in ("none", "repetition", "linear once", "linear")
    }


def correction_pays_once(found: Mapping[str, np.ndarray], run: Run) -> dict[str, Any]:
    """COD-3: share of messages recovered after all layers by a random linear code that is corrected after each."""
    left = noisy_codes.uncoded(LAYERS, RATE, LENGTH, run.messages, run.seed)
    wanted = (1 - RATE) ** np.arange(1, LAYERS + 1)
    return {
        "value": float(found["linear"][-1]),
        "also": {"uncoded_decay": float(np.abs(np.asarray(left) - wanted).max())},
        "baseline": {"no code": float(found["none"][-1]), "repetition": float(found["repetition"][-1])},
    }


def redundancy_survives(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """COD-21: the same share minus the better of no redundancy and of the same code without correction in between."""
    last = {kind: float(curve[-1]) for kind, curve in found.items()}
    return {"value": last["linear"] - max(last["none"], last["linear once"]), "baseline": last}


@dataclass(frozen=True)
class Capacities:
    """Bounds and exact capacity in bits, float64 (rates, bits)."""

    rates: np.ndarray
    bits: np.ndarray
    low: np.ndarray
    high: np.ndarray
    exact: np.ndarray


def capacities() -> Capacities:
    """The dropout channel of 2^b symbols for b = 1 to 6 and D = 0.1 to 0.8: bounds, and the capacity by Blahut and Arimoto."""
    bits, rates = np.arange(1, 7), np.arange(1, 9) / 10
    bounds = np.array([[noisy_codes.dropout_bounds(int(b), float(d)) for b in bits] for d in rates])
    exact = [[noisy_codes.blahut_arimoto(noisy_codes.dropout_channel(int(b), float(d))) for b in bits] for d in rates]
    return Capacities(rates, bits, bounds[..., 0], bounds[..., 1], np.array(exact))


def within_bounds(found: Capacities) -> dict[str, Any]:
    """COD-4: the largest violation of either bound, in bits; 0 where none is violated."""
    worst = max(float((found.low - found.exact).max()), float((found.exact - found.high).max()))
    # Without dropout b bits pass: 6 bits and D = 0.8 stand for the rest.
    return {
        "value": max(worst, 0.0),
        "baseline": {"b = 6, no dropout": 6.0, "b = 6, D = 0.8": float(found.exact[-1, -1])},
    }


# COD-5: networks that correct errors

ARMS = ("with dropout", "without", "untrained")
PROBE_SAMPLES = 4000


def readable(run: Run) -> dict[str, np.ndarray]:
    """R² of a linear read-out of the input from every layer, dropout active: arm to float64 (seeds, layers, 1 + repeats).

    A repetition draws other inputs and other dropout.
    """
    found = {}
    for arm in ARMS:
        rows = []
        for seed in run.seeds:
            net = _arm(arm, seed, run).net
            rows.append(
                [error_correction.readable(net, RATE, PROBE_SAMPLES, r).tolist() for r in range(1 + run.repeats)]
            )
        found[arm] = np.moveaxis(np.array(rows), 1, -1)
    return found


def _arm(arm: str, seed: int, run: Run) -> error_correction.Trained:
    rate, steps = {
        "with dropout": (RATE, run.correcting_steps),
        "without": (0.0, run.correcting_steps),
        "untrained": (0.0, 0),
    }[arm]
    # The paper's batch and rate need ten times the steps.
    batch, learning_rate = (100, 1e-3) if run.preset == "paper" else (256, 3e-3)
    return error_correction.train(
        run.correcting_depth, rate, seed, steps, batch, learning_rate, device=run.device, progress=run.bars
    )


def learns_correction(found: Mapping[str, np.ndarray], run: Run) -> dict[str, Any]:
    """COD-5: R² at the last layer, trained with dropout minus trained without it; the twin is the untrained network."""
    last = {arm: rows[:, -1].mean(0) for arm, rows in found.items()}
    gap, twin = last["with dropout"] - last["without"], last["with dropout"] - last["untrained"]
    own = stats.replicated(float(gap[0]), gap[1:])
    measured = {
        "value": own.value,
        "ci": own.interval(),
        "twin": stats.replicated(float(twin[0]), twin[1:]),
        "baseline": {arm: float(rows[0]) for arm, rows in last.items()},
    }
    if run.preset != "paper":
        return measured
    nats = {
        arm: np.mean(
            [
                error_correction.mutual_information(_arm(arm, seed, run).net, run.correcting_depth, RATE, seed=seed)
                for seed in run.seeds
            ]
        )
        for arm in ("with dropout", "untrained")
    }
    return measured | {"also": {"mine_gap": float(nats["with dropout"] - nats["untrained"])}}


# COD-6, COD-9, COD-22: spectra and capacity

INSIDE = ((12, -0.5), (16, -1.0))
"""Bits and alpha at which equation 3 is checked, as claims/ fixed them; `OUTSIDE` is beyond its range."""
OUTSIDE = (8, -1.0, 1024)


def power_law_cost() -> dict[str, Any]:
    """COD-6: largest relative difference of equation 3 and the entropy of the quantised code, m = 512 and 1024."""
    apart = {}
    for bits, alpha in INSIDE:
        for neurons in (512, 1024):
            exact = spectra.quantised_capacity(neurons, alpha, bits)
            apart[bits, alpha, neurons] = abs(spectra.capacity_under_power_law(neurons, alpha, bits) / exact - 1)
    bits, alpha, neurons = OUTSIDE
    return {
        "value": max(apart.values()),
        "baseline": {
            "b = 8, alpha = -1, m = 1024, equation 3": spectra.capacity_under_power_law(neurons, alpha, bits),
            "the same, counted": spectra.quantised_capacity(neurons, alpha, bits),
        },
    }


SMALL, LARGE = 1000, 10_000
STEEP, FLAT = -1.5, -0.7


def variance_growth(run: Run) -> dict[str, Any] | str:
    """COD-9 below the scale `paper`, where `redundancy.rougher_when_flat` measures it and `growth` is a second test."""
    return "Judged on the layers of networks." if run.preset == "paper" else growth(run)


def growth(run: Run) -> dict[str, Any]:
    """Slope of log simulated variance of projections on log m, alpha -1.5; at -0.7 beside it; same draws at both m."""
    slopes = {alpha: _growth(alpha, run) for alpha in (STEEP, FLAT)}
    codes = spectra.power_spectrum_codes(4000, 400, -1.0, run.seed).double()
    paths = spectra.random_projections(codes, 200, run.seed)
    ranks = torch.arange(1, 401).double()
    return {
        "value": slopes[STEEP],
        "also": {"growth_when_flat": slopes[FLAT]},
        "baseline": {
            "growth, alpha -0.7": slopes[FLAT],
            "half squared length, m = 400, alpha -1, simulated": float(paths.square().sum(-1).mean() / 2),
            "the same by 3 / (2 m) sum of eigenvalues": float(spectra.projected_energy(1 / ranks, 400)),
        },
    }


def _growth(alpha: float, run: Run, samples: int = 512, draws: int = 128) -> float:
    """Slope of log variance of projections with unit-variance weights between m = 1000 and 10,000."""
    codes = spectra.power_spectrum_codes(samples, LARGE, alpha, run.seed)
    weights = torch.randn(LARGE, draws, generator=torch.Generator().manual_seed(run.seed + 1))
    variances = [float((codes[:, :m] @ weights[:m]).double().var(0).mean()) for m in (SMALL, LARGE)]
    return float(np.log(variances[1] / variances[0]) / np.log(LARGE / SMALL))


CODE_LENGTH, MESSAGE = 63, 6


def ideal(run: Run) -> dict[str, np.ndarray]:
    """Spectra of three codes of the same length: redundant and linear, redundant and binary, dense: (63,) each."""
    return {
        "linear code": np.asarray(noisy_codes.linear_code_spectrum(CODE_LENGTH, MESSAGE, run.seed)),
        "parity code": np.asarray(noisy_codes.parity_code_spectrum(MESSAGE)),
        "dense code": np.asarray(noisy_codes.dense_spectrum(CODE_LENGTH)),
    }


def step(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """COD-22: eigenvalue k + 1 over eigenvalue k of the linear code, k the length of a message."""
    linear, dense, parity = found["linear code"], found["dense code"], found["parity code"]
    return {
        "value": float(abs(linear[MESSAGE] / linear[MESSAGE - 1])),
        "also": {"dense_is_flat": float(dense.max() / dense.min() - 1)},
        "baseline": {"parity code, largest over smallest": float(parity.max() / parity.min())},
    }
