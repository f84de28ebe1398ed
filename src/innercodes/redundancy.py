"""How redundant and how smooth codes are, by depth and dropout: the measured quantity of claims of chapter 04 on networks.

Each function takes a `Survey` and gives what `Results.take` wants, or the reason, as text, why a run can not measure the claim.
The claims' tests stand in claims/spectra.yml.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from innercodes import activations, layer_codes, pictures, spectra, stats
from innercodes.code_networks import ENCODER, UNTRAINED, Networks
from innercodes.layer_codes import LayerCode, Stimuli
from innercodes.parameters import Run, refusal

WITH, WITHOUT = 0.6, 0.0
"""The dropout rates that the claims on dropout compare below the scale `paper`, as claims/ fixed them."""
ONE_RATE = "The claim compares networks trained with and without dropout, which this run does not have."
PAPER_RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
NOT_ENCODER = "The claim is about autoencoders; the values of this network are among the metrics."
NOT_CIFAR = "At this scale the claim is about autoencoders on CIFAR-10; the values of these are among the metrics."
ON_ENCODERS = tuple(f"COD-{n}" for n in (7, 10, 11, 12, 13, 14, 15, 19, 20, 25))


WINDOW = "10 50"
"""Ranks of the power law at which claims on alpha are judged."""
ON_ALPHA = tuple(f"COD-{n}" for n in (7, 8, 11, 19, 25))
OTHER_WINDOW = f"The claim is judged at the window {WINDOW}; the values at this one are among the metrics."
RIDGE = "The claim asks a local language model for explanations; this run explains by regression on tokens."
NO_TOKEN_FEATURES = (
    "At this scale the claim is about GPT-2 XL with token features as targets, which this chapter does not read."
)
NO_SUPERCLASSES = "At this scale the claim is about ImageNet's superclasses and a pretrained network, which this chapter does not have."
SIZES = {"quick": (100, 10, 12), "imagenet": (400, 30, 12), "paper": (400, 30, 40)}
"""Features and hidden units of the toy model, and layers of the error-correcting network, as claims/ fixed them."""
SILENT = "A layer of some network gives no number: it says the same to all pictures, or to all frames."


def elsewhere(run: Run) -> dict[str, str]:
    """Claims that a run can not judge whatever it measures, with the reason."""
    # At the scale `paper` COD-9 is about networks too.
    more = ("COD-9",) if run.preset == "paper" else ()
    found = {"COD-17": RIDGE}
    if run.preset == "paper":
        found |= {"COD-24": NO_TOKEN_FEATURES, "COD-26": NO_SUPERCLASSES}
    features, hidden, depth = SIZES[run.preset]
    if run.toy_steps and (run.toy_features, run.toy_hidden) != (features, hidden):
        found |= dict.fromkeys(
            ("COD-1", "COD-2"), f"At this scale the claim is about {features} features and {hidden} hidden units."
        )
    if run.correcting_steps and run.correcting_depth != depth:
        found["COD-5"] = f"At this scale the claim is about {depth} layers."
    if run.window != WINDOW:
        found |= dict.fromkeys((*ON_ALPHA, *more), OTHER_WINDOW)
    if run.preset != "quick" and run.dataset != "cifar10":
        found |= dict.fromkeys((*ON_ENCODERS, *more), NOT_CIFAR)
    if run.model != ENCODER:
        found |= dict.fromkeys((*ON_ENCODERS, *more), NOT_ENCODER)
    return found


@dataclass(frozen=True)
class Survey:
    """The codes of all `layers`, shallow to deep, of networks by dropout rate and of untrained ones, a list entry per seed.

    `kinds` are the names of the trained ones by their rate; `reference` is the kind that claims on a single network look at.
    """

    run: Run
    layers: tuple[str, ...]
    kinds: Mapping[float, str]
    reference: str
    codes: Mapping[str, Sequence[Mapping[str, LayerCode]]]

    def rows(self, kind: str, name: str) -> np.ndarray:
        """A measure of every seed and layer, float64 (seeds, layers, ...)."""
        return np.array([[getattr(seed[layer], name) for layer in self.layers] for seed in self.codes[kind]], float)

    def each(self, kind: str, name: str, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """`measure`, which takes the layers' axis away, of each seed's (layers, 1 + repeats), averaged over seeds: (1 + repeats,)."""
        return np.mean([measure(seed) for seed in self.rows(kind, name)], 0)

    def by_layer(self, name: str, labels: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """A measure from all pictures, by kind and the label of each layer: (seeds,)."""
        return {kind: dict(zip(labels, self.rows(kind, name)[..., 0].T, strict=True)) for kind in self.codes}

    def pair(self) -> tuple[str, str] | None:
        """The kinds trained with and without dropout that are compared, if both are there."""
        return (self.kinds[WITH], self.kinds[WITHOUT]) if {WITH, WITHOUT} <= set(self.kinds) else None


def survey(networks: Networks, shown: Stimuli, run: Run) -> Survey:
    """The codes of a run's networks, in one pass of each over the pictures and one over the frames.

    Layers whose spectrum ends within the window in some network are left out. Raises ParameterError where none is left.
    """
    codes = layer_codes.survey(networks.members, networks.layers, shown, run)
    every = [seed for seeds in codes.values() for seed in seeds]
    kept = tuple(layer for layer in networks.layers if all(np.isfinite(seed[layer].alpha).all() for seed in every))
    if len(kept) < 3:
        raise refusal("window", run.window, f"one that the spectra of three layers reach; it is reached by {len(kept)}")
    return Survey(run, kept, networks.kinds, networks.reference, codes)


def thirds(layers: Sequence[Any]) -> tuple[slice, slice, slice]:
    """Early, middle and late third of the layers; what is left over is the middle's."""
    part = max(1, len(layers) // 3)
    return slice(0, part), slice(part, len(layers) - part), slice(len(layers) - part, len(layers))


def estimate(rows: np.ndarray, log: bool = False) -> stats.Estimate:
    """An estimate from (1 + repeats,), the first of all pictures; `log` for a quotient."""
    return stats.replicated(float(rows[0]), rows[1:], log)


def measured(rows: np.ndarray, twin: np.ndarray | None = None, log: bool = False, **more: Any) -> dict[str, Any] | str:
    """Value and interval of (1 + repeats,), and the difference from those of the twin; a reason where one is no number."""
    if not all(np.isfinite(one).all() for one in (rows, rows if twin is None else twin)) or (
        log and not (rows > 0).all()
    ):
        return SILENT
    own = estimate(rows, log)
    found = {"value": own.value, "ci": own.interval(), **more}
    return found if twin is None else found | {"twin": estimate(rows - twin)}


# COD-7, COD-8: the slope by depth


def _late_fall(alpha: np.ndarray) -> np.ndarray:
    return alpha[-1] - alpha[thirds(alpha)[1]].max(0)


def non_monotone(survey: Survey, pixels: float, random: float) -> dict[str, Any]:
    """COD-7: alpha of the last layer minus the largest of the middle third; alphas of pixels and of random codes beside it."""
    own = survey.each(survey.reference, "alpha", _late_fall)
    twin = survey.each(UNTRAINED, "alpha", _late_fall)
    alpha = survey.rows(survey.reference, "alpha")[..., 0].mean(0)
    middle = float(survey.each(survey.reference, "alpha", lambda rows: rows[thirds(rows)[1]].max(0))[0])
    secondary = {"rise_before": middle - float(alpha[0])}
    if survey.run.preset == "paper":
        secondary |= {"middle_above": middle, "last_below": float(alpha[-1]), "first_below": float(alpha[0])}
    return measured(
        own,
        twin,
        also=secondary,
        baseline={"untrained": float(twin[0]), "alpha, pixels": pixels, "alpha, random codes": random},
    )


def pixel_alphas(pixels: Tensor, rows: Sequence[Tensor], run: Run) -> np.ndarray:
    """Debiased alpha of pictures (N, columns) and of each resampling: float64 (1 + repeats,)."""
    return np.array([layer_codes.slope(pixels[one], run) for one in rows])


def biases(alpha: float, columns: int, counts: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fitted and debiased alpha of Gaussian codes of known alpha for several numbers of samples: (counts,) each."""
    codes = spectra.power_spectrum_codes(max(counts), columns, alpha, seed)
    plain = [spectra.power_law(spectra.eigenspectrum(codes[:n], columns, 50).eigenvalues).alpha for n in counts]
    return np.array(plain), np.array([spectra.debiased_alpha(codes[:n], seed=seed) for n in counts])


PIXEL_COLUMNS = 8000
"""Values of a picture that COD-8 keeps at most, the paper's number: thinning pixels, or enlarging them, changes their slope."""


def natural_alphas(run: Run, rows: Sequence[Tensor]) -> tuple[np.ndarray, float, float]:
    """Debiased alpha of the run's pictures at the size in which they are stored, with all their values; `rows` are resamplings.

    Float64 (1 + repeats,), and alpha of the pictures with shuffled phases and of white noise of the same size.
    """
    _, stored = pictures.load(run.dataset, run.data_root, run.trained_on, run.pictures, run.seed, None, run.unreadable)
    pixels = stored.tensors()[0]
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(run.seed))

    def fitted(values: Tensor) -> float:
        return spectra.debiased_alpha(values, layer_codes.window(run), run.seed, PIXEL_COLUMNS)

    return np.array([fitted(pixels[one]) for one in rows]), fitted(phase_shuffled(pixels, run.seed)), fitted(noise)


def natural(alphas: np.ndarray, shuffled: float, noise: float) -> dict[str, Any]:
    """COD-8: |alpha + 1| of the pictures; phase-shuffled pictures and white noise beside it."""
    own = estimate(alphas)
    low, high = own.interval()
    nearest = 0.0 if low <= -1 <= high else min(abs(low + 1), abs(high + 1))
    return {
        "value": abs(own.value + 1),
        "ci": (nearest, max(abs(low + 1), abs(high + 1))),
        "baseline": {"alpha": own.value, "alpha, phases shuffled": shuffled, "alpha, white noise": noise},
    }


def phase_shuffled(inputs: Tensor, seed: int) -> Tensor:
    """Pictures (N, C, H, W) with the amplitudes of their own Fourier coefficients and random phases, alike for all channels."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.fft.rfft2(torch.randn(len(inputs), 1, *inputs.shape[2:], generator=generator))
    turned = torch.fft.rfft2(inputs) * torch.exp(1j * noise.angle())
    # The mean keeps its sign.
    turned[..., 0, 0] = torch.fft.rfft2(inputs)[..., 0, 0]
    return torch.fft.irfft2(turned, s=inputs.shape[2:])


# COD-10: smoother with depth


def smoother_with_depth(survey: Survey, pixels: float) -> dict[str, Any] | str:
    """COD-10: action over largest eigenvalue, last layer over first; `pixels` is that of the frames themselves over the first layer."""
    kinds = (survey.reference, UNTRAINED)
    if not all((survey.rows(kind, "action")[:, [0, -1]] > 0).all() for kind in kinds):
        return SILENT
    both = {kind: np.exp(survey.each(kind, "action", lambda rows: np.log(rows[-1] / rows[0]))) for kind in kinds}
    first = survey.rows(survey.reference, "action")[..., 0].mean(0)[0]
    unordered = survey.rows(survey.reference, "unordered").mean(0)
    return measured(
        both[survey.reference],
        both[UNTRAINED],
        log=True,
        baseline={
            "untrained": float(both[UNTRAINED][0]),
            "frames in random order": float(unordered[-1] / unordered[0]),
            "pixels over first layer": float(pixels / first),
        },
    )


# COD-11, COD-12, COD-13, COD-15: with and without dropout


def _by_rate(survey: Survey, name: str) -> dict[float, np.ndarray]:
    """Mean over layers and seeds of a measure for each rate: (1 + repeats,)."""
    return {rate: survey.rows(kind, name).mean((0, 1)) for rate, kind in sorted(survey.kinds.items())}


def _over_rates(survey: Survey, name: str) -> dict[str, Any] | str:
    """At the scale `paper`: rank correlation of rate and measure over the paper's five rates."""
    means = _by_rate(survey, name)
    if not set(PAPER_RATES) <= set(means):
        return "The claim at this scale compares the rates 0, 0.2, 0.4, 0.6 and 0.8."
    rows = np.array([means[rate] for rate in PAPER_RATES])
    return {
        "value": rank_correlation(PAPER_RATES, rows[:, 0]),
        "baseline": {f"rate {rate}": float(row[0]) for rate, row in zip(PAPER_RATES, rows, strict=True)},
    }


def _seed_spread(survey: Survey, name: str, quotient: bool = False) -> float:
    """Largest difference, or quotient, of two seeds at the lower rate."""
    seeds = survey.rows(survey.kinds[WITHOUT], name)[..., 0].mean(1)
    return float(seeds.max() / seeds.min() if quotient else np.ptp(seeds))


def steeper_with_dropout(survey: Survey) -> dict[str, Any] | str:
    """COD-11: mean alpha over layers, with dropout 0.6 minus without."""
    if survey.run.preset == "paper":
        found = _over_rates(survey, "alpha")
        return found if isinstance(found, str) else found | {"also": {"at_20_percent": found["baseline"]["rate 0.2"]}}
    if survey.pair() is None:
        return ONE_RATE
    means = _by_rate(survey, "alpha")
    return measured(
        means[WITH] - means[WITHOUT],
        baseline={"between seeds": _seed_spread(survey, "alpha")} | _named(means),
    )


def smoother_with_dropout(survey: Survey) -> dict[str, Any] | str:
    """COD-12: mean action over layers, with dropout 0.6 over without."""
    if survey.run.preset == "paper":
        return _over_rates(survey, "action")
    if survey.pair() is None:
        return ONE_RATE
    means = _by_rate(survey, "action")
    spread = _seed_spread(survey, "action", quotient=True)
    return measured(means[WITH] / means[WITHOUT], log=True, baseline={"between seeds": spread} | _named(means))


def tells_more_with_dropout(survey: Survey) -> dict[str, Any] | str:
    """COD-13: mean R² of the dot's position over layers, with dropout 0.6 minus without."""
    depth = {kind: survey.each(kind, "position", _rank_with_depth)[0] for kind in (survey.reference, UNTRAINED)}
    rises = {"rises_with_depth": float(depth[survey.reference] - depth[UNTRAINED])}
    if survey.run.preset == "paper":
        found = _over_rates(survey, "position")
        return found if isinstance(found, str) else found | {"also": rises}
    if survey.pair() is None:
        return ONE_RATE
    means = _by_rate(survey, "position")
    mixed = survey.rows(survey.kinds[WITH], "unordered_position").mean()
    return measured(
        means[WITH] - means[WITHOUT],
        also=rises,
        baseline={"between seeds": _seed_spread(survey, "position"), "frames shuffled": float(mixed)}
        | {f"depth, {kind}": float(value) for kind, value in depth.items()}
        | _named(means),
    )


def _rank_with_depth(rows: np.ndarray) -> np.ndarray:
    """Spearman correlation of the number of the layer with each column of (layers, repeats); 0 where all layers are alike."""
    depth = np.arange(len(rows))
    return np.array([rank_correlation(depth, column) if np.ptp(column) > 0 else 0.0 for column in rows.T])


def _named(means: Mapping[float, np.ndarray]) -> dict[str, float]:
    return {f"rate {rate:g}": float(row[0]) for rate, row in means.items()}


def bent_by_dropout(survey: Survey) -> dict[str, Any] | str:
    """COD-15: mean absolute residual from a line, late third of the layers, strong dropout over none."""
    strong = 0.8 if survey.run.preset == "paper" else WITH
    if not {strong, WITHOUT} <= set(survey.kinds):
        return ONE_RATE
    bends = {rate: survey.rows(survey.kinds[rate], "bend").mean(0) for rate in (strong, WITHOUT)}
    early, _, late = thirds(survey.layers)
    if not all(np.isfinite(rows[part]).all() for rows in bends.values() for part in (early, late)):
        return f"A layer has fewer than {layer_codes.BEND[1]} components."
    at_start, at_end = (bends[strong][part].mean(0) / bends[WITHOUT][part].mean(0) for part in (early, late))
    by_seed = survey.rows(survey.kinds[WITHOUT], "bend")[:, late, 0].mean(1)
    return measured(
        at_end,
        log=True,
        also={"early_alike": float(abs(np.log(at_start[0])))},
        baseline={"between seeds": float(by_seed.max() / by_seed.min()), "early third": float(at_start[0])},
    )


# COD-9 at the scale `paper`, COD-14, COD-19, COD-25: over layers and rates


FEWEST_POINTS, BREAK_POINTS = 12, 30


def rougher_when_flat(survey: Survey, growth: Mapping[str, Any]) -> dict[str, Any] | str:
    """COD-9 at the scale `paper`: rank correlation of alpha and action over layers; `growth` of synthetic codes beside it.

    `growth` is that of `coding_limits`.
    """
    if len(survey.layers) < FEWEST_POINTS:
        return f"{len(survey.layers)} layers; the claim needs {FEWEST_POINTS}."

    def correlation(kind: str) -> np.ndarray:
        pairs = zip(survey.rows(kind, "alpha"), survey.rows(kind, "action"), strict=True)
        return np.mean([[rank_correlation(*both) for both in zip(x.T, y.T, strict=True)] for x, y in pairs], 0)

    own, twin = correlation(survey.reference), correlation(UNTRAINED)
    return measured(
        own,
        twin,
        also={"bounded_when_steep": growth["value"]} | growth["also"],
        baseline={"untrained": float(twin[0])} | growth["baseline"],
    )


def _points(survey: Survey, kinds: Sequence[str], name: str) -> np.ndarray:
    """A measure of every layer of each kind: (seeds, layers * kinds, 1 + repeats)."""
    return np.concatenate([survey.rows(kind, name) for kind in kinds], 1)


def _partial(survey: Survey, kinds: Sequence[str], x: str, y: str) -> np.ndarray:
    """Partial Spearman correlation of two measures given depth, mean over seeds: (1 + repeats,).

    Where depth alone sets the order of one of them nothing is left to correlate: 0.
    """
    depth = np.tile(np.arange(len(survey.layers)), len(kinds)).astype(float)
    ours = [np.moveaxis(_points(survey, kinds, name), -1, 1) for name in (x, y)]
    return np.nan_to_num(spectra.partial_spearman(*ours, np.broadcast_to(depth, ours[0].shape))).mean(0)


def _over_points(survey: Survey, x: str, y: str, **baseline: float) -> dict[str, Any] | str:
    kinds = list(survey.kinds.values())
    points = len(kinds) * len(survey.layers)
    if points < FEWEST_POINTS:
        return f"{points} layers and rates; the claim needs {FEWEST_POINTS}."
    own, twin = _partial(survey, kinds, x, y), _partial(survey, [UNTRAINED], x, y)
    return measured(own, twin, baseline={"untrained": float(twin[0])} | baseline, note=f"{points} points")


def smooth_explains(survey: Survey, no_network: float) -> dict[str, Any] | str:
    """COD-14: action against R² of the pictures' components given depth; `no_network` is the correlation for plain codes."""
    return _over_points(survey, "action", "components", **{"codes without a network": no_network})


def plain_codes(shown: Stimuli, run: Run, alphas: Sequence[float]) -> dict[str, np.ndarray]:
    """Codes without any network: the pictures' own components, scaled to a power law of each alpha.

    Action over largest eigenvalue, and R² of the pictures' components and of the dot's position: (alphas,) each.
    """
    pixels = layer_codes.pixels_of(shown.pictures, run)
    spectrum = spectra.eigenspectrum(pixels, run.columns, min(200, *(n - 1 for n in pixels.shape)), vectors=True)
    dot = activations.strided_columns(shown.frames, run.columns)
    found: dict[str, list[float]] = {"action": [], "components": [], "position": []}
    white = spectrum.vectors / spectrum.eigenvalues.sqrt().to(spectrum.vectors)
    for alpha in alphas:
        scale = torch.arange(1, white.shape[1] + 1).double().pow(alpha / 2).to(white)
        code, path = ((inputs - spectrum.mean) @ white * scale for inputs in (pixels, dot))
        draws = min(run.projections, layer_codes.COMPONENT_DRAWS)
        projected, moved = (spectra.random_projections(one, draws, run.seed) for one in (code, path))
        found["action"].append(float(spectra.mean_action(path)))
        found["components"].append(float(spectra.explained_variance(projected, shown.components).mean()))
        found["position"].append(float(spectra.explained_variance(moved, shown.position).mean()))
    return {name: np.array(values) for name, values in found.items()}


def redundant_reads_easily(survey: Survey) -> dict[str, Any] | str:
    """COD-19: accuracy of a linear probe against alpha given depth; probes of shuffled labels beside it."""
    kinds = list(survey.kinds.values())
    depth = np.tile(np.arange(len(survey.layers)), len(kinds)).astype(float)
    if not all(np.isfinite(survey.rows(kind, "probe")).all() for kind in survey.codes):
        return "A probe needs pictures of two classes and more."
    if not kinds:
        return _over_points(survey, "probe", "alpha")
    mixed, alpha = _points(survey, kinds, "mixed_probe"), _points(survey, kinds, "alpha")[..., 0]
    chance = np.nan_to_num(spectra.partial_spearman(mixed, alpha, np.broadcast_to(depth, alpha.shape))).mean()
    return _over_points(survey, "probe", "alpha", **{"shuffled labels": float(chance)})


def transition(survey: Survey) -> dict[str, Any] | str:
    """COD-25: distance of -1 from the interval of the break of log action on alpha, over layers and rates; seeds averaged."""
    kinds = list(survey.kinds.values())
    points = len(kinds) * len(survey.layers)
    if points < BREAK_POINTS:
        return f"{points} layers and rates; the claim needs {BREAK_POINTS}."
    if not all((_points(survey, [kind], "action") > 0).all() for kind in (*kinds, UNTRAINED)):
        return SILENT
    low, high, at = _break_interval(*break_points(survey, kinds), survey.run)
    baseline = {"break": at, "low": low, "high": high}
    for name, x, y in (("untrained", *break_points(survey, [UNTRAINED])), ("synthetic codes", *synthetic(survey.run))):
        baseline[f"break, {name}"] = _break_interval(x, y, survey.run)[2]
    return {"value": max(0.0, low + 1, -1 - high), "also": {"interval_width": high - low}, "baseline": baseline}


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman correlation of (n,) and (n,)."""
    return float(spearmanr(x, y).statistic)


def break_points(survey: Survey, kinds: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Alpha and log action over largest eigenvalue of every layer and kind, means over seeds."""
    return (
        _points(survey, kinds, "alpha")[..., 0].mean(0),
        np.log(_points(survey, kinds, "action")[..., 0]).mean(0),
    )


def synthetic(run: Run, columns: int = 1000, count: int = 31) -> tuple[np.ndarray, np.ndarray]:
    """Alpha and log action of Gaussian codes on a circle of frames, from alpha -2 to -0.3; the largest variance is 1.

    A smooth path needs a tuning: component k answers the frame with cos(2 pi j / n) and sin, j = ceil(k / 2).
    """
    alphas = np.linspace(-2, -0.3, count)
    return alphas, np.array([np.log(float(spectra.mean_action(circle_code(run.frames, columns, a)))) for a in alphas])


def circle_code(frames: int, columns: int, alpha: float) -> Tensor:
    """A code on a circle whose component k has the variance k^alpha and the frequency ceil(k / 2): float64 (frames, columns)."""
    rank = torch.arange(1, columns + 1).double()
    angle = 2 * torch.pi * torch.arange(frames).double()[:, None] / frames * (rank / 2).ceil()
    wave = torch.where(rank % 2 == 1, angle.cos(), angle.sin())
    return wave * (2 * rank**alpha).sqrt()


def _break_interval(x: np.ndarray, y: np.ndarray, run: Run) -> tuple[float, float, float]:
    """The 95 % interval of the break over resampled points, and the break of all."""
    rng = np.random.default_rng(run.seed)
    rows = rng.integers(len(x), size=(run.bootstrap, len(x)))
    low, high = np.nanquantile(spectra.break_point(x[rows], y[rows]), [0.025, 0.975])
    return float(low), float(high), float(spectra.break_point(x, y))
