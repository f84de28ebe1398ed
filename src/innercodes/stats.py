"""Intervals: the bootstrap over samples within seeds, and Holm's correction over the claims of a paper."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import t as student

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic, and its bootstrap distribution, float64 (draws,)."""

    value: float
    draws: np.ndarray

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The percentile interval at this confidence."""
        low, high = np.quantile(self.draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)

    @property
    def p(self) -> float:
        """Two-sided p-value of the statistic being 0: twice the smaller tail of the distribution, at least 1 / draws."""
        tail = min(np.mean(self.draws <= 0), np.mean(self.draws >= 0))
        return float(min(1, max(2 * tail, 1 / len(self.draws))))


def bootstrap(
    values: np.ndarray,
    twin: np.ndarray | None = None,
    statistic: Callable[..., np.ndarray] = np.mean,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The mean over seeds of a statistic over samples, with its interval over samples.

    `values` is (seeds, samples) or (seeds, samples, ...) for a statistic of several numbers per sample. With a `twin`, as
    many samples but any number of seeds, the estimate is the difference of the two means over seeds. Every draw takes the
    same samples for all seeds and for the twin: networks are compared on the same samples, and three seeds are too few
    to resample. `statistic(rows, axis=)` reduces the axis of the samples, as numpy's do; seeds for which it is NaN are
    left out of the mean.
    """
    groups = [np.asarray(rows, dtype=np.float64) for rows in (values, twin) if rows is not None]
    groups = [rows[None] if rows.ndim == 1 else rows for rows in groups]

    def estimate(picked: np.ndarray, axis: int) -> np.ndarray:
        # (..., samples) to the statistic of each draw; two means, then their difference: equal networks differ by exactly 0.
        means = [np.nanmean(statistic(rows[:, picked], axis=picked.ndim), axis=0) for rows in groups]
        return means[0] - means[1] if twin is not None else means[0]

    # scipy answers constant samples with a warning about its own interval, which is not the one used here; NaN is let
    # through to where it is judged.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picks = np.arange(groups[0].shape[1])
        result = scipy_bootstrap(
            (picks,), estimate, vectorized=True, n_resamples=draws, batch=100, method="percentile",
            rng=np.random.default_rng(seed),
        )  # fmt: skip
    found = result.bootstrap_distribution
    # With few values a draw can miss all of them. A handful of such draws says nothing; many say that there is no interval.
    kept = found[np.isfinite(found)]
    return Estimate(float(estimate(picks, 0)), kept if len(kept) >= 0.95 * len(found) else found)


def replicated(value: float, replicates: np.ndarray, log: bool = False, draws: int = 2000) -> Estimate:
    """An estimate whose error is the standard deviation of its values (R,) in R repetitions on resampled data.

    Its distribution is Student's t with R - 1 degrees of freedom about the value, on a logarithmic scale for a quotient: few
    repetitions give a wide interval. Repetitions cost a whole fit each, so that a percentile of them is out of reach.
    """
    replicates = np.log(replicates) if log else np.asarray(replicates, dtype=np.float64)
    spread = student.ppf((np.arange(draws) + 0.5) / draws, len(replicates) - 1) * replicates.std(ddof=1)
    return Estimate(value, value * np.exp(spread) if log else value + spread)


def nanmedian(rows: np.ndarray, axis: int) -> np.ndarray:
    """numpy's nanmedian along one axis, which it takes row by row in Python, in one sort."""
    ordered = np.moveaxis(np.sort(rows, axis=axis), axis, -1)  # NaN comes last
    count = np.isfinite(ordered).sum(-1, keepdims=True)
    low, high = (np.take_along_axis(ordered, np.maximum(i, 0), -1)[..., 0] for i in ((count - 1) // 2, count // 2))
    return np.where(count[..., 0] > 0, (low + high) / 2, np.nan)


def compare(
    values: Mapping[str, np.ndarray], statistic: Callable[..., np.ndarray] = np.mean, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """A statistic of the trained network beside its controls, as `claims.Results.judge` takes it.

    `values` holds "trained", "untrained" and any other control, each (seeds, samples): value and interval of the first,
    the difference from the second as `twin`, and the value of every control as `baseline`.
    """
    own = bootstrap(values["trained"], statistic=statistic, draws=draws, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a seed without any value is left out of the mean
        baseline = {
            name: float(np.nanmean(statistic(np.asarray(rows), axis=1)))
            for name, rows in values.items()
            if name != "trained"
        }
    return {
        "value": own.value,
        "ci": own.interval(),
        "twin": bootstrap(values["trained"], values["untrained"], statistic, draws, seed),
        "baseline": baseline,
    }


def holm(estimates: Mapping[str, Estimate]) -> dict[str, tuple[float, float]]:
    """Intervals of several estimates with Holm's step-down correction (Holm 1979).

    The smallest p-value is tested at 1 - 0.05 / m, the next at 1 - 0.05 / (m - 1), and so on. Once an interval holds 0
    all later ones are widened to hold it too, as the step-down stops there.
    """
    intervals, stopped = {}, False
    ranked = sorted(estimates.items(), key=lambda item: (item[1].p, item[0]))
    for rank, (name, estimate) in enumerate(ranked):
        level = (1 - CONFIDENCE) / (len(ranked) - rank)
        low, high = estimate.interval(1 - level)
        # The p-value is never below 1 / draws: with too few draws no interval is narrow enough to be believed.
        stopped = stopped or estimate.p > level or not (low > 0 or high < 0)
        intervals[name] = (min(low, 0.0), max(high, 0.0)) if stopped else (low, high)
    return intervals
