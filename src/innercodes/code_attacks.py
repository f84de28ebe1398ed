"""Chapter 04 beyond the paper: is a network with steeper spectra damaged less by an attack? Autoencoders, and chapter 03's classifiers."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import activations, architectures, attacks, fragility, layer_codes, pictures, spectra, stats, twins
from innercodes.code_networks import UNTRAINED, Networks
from innercodes.code_studies import slopes_of
from innercodes.parameters import Run
from innercodes.redundancy import Survey

DAMAGE_SIZE, DAMAGE_STEPS = 8 / 255, 10


@dataclass(frozen=True)
class Fragile:
    """Mean alpha and damage of each trained network, (networks,), their rank correlation and its interval over networks."""

    alpha: dict[str, np.ndarray]
    damage: dict[str, np.ndarray]
    correlation: float
    interval: tuple[float, float]


def damage(network: nn.Module, inputs: Tensor, run: Run, seed: int) -> float:
    """How far an attack moves the code of an autoencoder: mean distance from mu, over that of two random pictures.

    PGD of half-width 8/255 in 10 steps climbs the distance.
    """
    inputs = inputs.to(run.device)
    with torch.no_grad():
        before = network.encode(inputs)[0]

    def moved(changed: Tensor) -> Tensor:
        return (network.encode(changed)[0] - before).square().sum()

    hit = attacks.ascend(moved, inputs, DAMAGE_SIZE, DAMAGE_STEPS, seed, 0, 1)
    with torch.no_grad():
        far = (network.encode(hit)[0] - before).norm(dim=1).mean()
    return float(far / torch.nn.functional.pdist(before).mean())


def steep_is_robust(survey: Survey, networks: Networks, inputs: Tensor) -> Fragile:
    """Does a steeper spectrum go with less damage? A point for each trained autoencoder."""
    run = survey.run
    hits = {
        kind: np.array([damage(net, inputs, run, seed) for net, seed in zip(networks.members[kind], run.seeds, strict=True)])
        for kind in networks.kinds.values()
    }  # fmt: skip
    return _fragile({kind: survey.rows(kind, "alpha")[..., 0].mean(1) for kind in hits}, hits, run)


def _fragile(alpha: dict[str, np.ndarray], hits: dict[str, np.ndarray], run: Run) -> Fragile:
    rows = np.stack([np.concatenate(list(values.values())) for values in (alpha, hits)], -1)
    estimate = stats.bootstrap(rows[None], statistic=fragility.spearman, draws=run.bootstrap, seed=run.seed)
    return Fragile(alpha, hits, estimate.value, estimate.interval())


@dataclass(frozen=True)
class Classifiers:
    """Classifiers of the digits of chapter 03 by name, and their untrained twins by name and "untrained".

    `alpha` and `action` (over the largest variance) are float64 (seeds, stages), NaN where a spectrum ends within the window;
    `accuracy` and `attacked` the trained ones' share of right answers to unseen digits, before and after the attack: (seeds,).
    """

    alpha: dict[str, np.ndarray]
    action: dict[str, np.ndarray]
    accuracy: dict[str, np.ndarray]
    attacked: dict[str, np.ndarray]


CONVOLUTIONAL: dict[str, Any] = {"epochs": 30, "learning_rate": 0.1, "train_batch": 128}
"""How chapter 03 trains its convolutional networks at the quick scale."""
ATTACK_SIZE, ATTACK_STEPS, ATTACKED = 0.1, 50, 200
"""Chapter 03's attack."""


def classifiers(run: Run) -> Classifiers:
    """The networks named by `classifiers`, trained on the digits as in chapter 03, through the spectral lens and under its attack."""
    fitted, others = pictures.load("digits", "", 1201, 596, run.seed, None)
    found = Classifiers({}, {}, {}, {})
    for name in run.classifiers.split():
        recipe = {**CONVOLUTIONAL, **architectures.RECIPES.get(name, {})}
        batch = recipe.pop("train_batch")
        recipe["epochs"] = min(recipe["epochs"], run.classifier_epochs)
        values = {**run.values, **recipe, "model": name, "weights": "", "pretrained": False, "noise_epochs": 0}
        built = twins.build(dataclasses.replace(run, values=values), fitted, kinds=("trained",), train_batch=batch)
        for kind, label in (("trained", name), (UNTRAINED, f"{name}, {UNTRAINED}")):
            codes = [_stages(network, others, run) for network in built[kind]]
            found.alpha[label], found.action[label] = (np.array(part) for part in zip(*codes, strict=True))
        hits = [_attacked(net, others, seed, run) for net, seed in zip(built["trained"], run.seeds, strict=True)]
        found.accuracy[name], found.attacked[name] = (np.array(part) for part in zip(*hits, strict=True))
    return found


def _stages(network: nn.Module, shown: pictures.Pictures, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Alpha and action over the largest variance of every stage: (stages,) each."""
    stages = activations.stages(network)
    frames = spectra.moving_dot(run.frames, shown[0][0].shape[-1], channels=len(shown[0][0]))
    dot, said = (layer_codes.said(network, stages, inputs, run) for inputs in (frames, shown))
    actions = [
        float(spectra.mean_action(dot[stage]) / spectra.eigenspectrum(said[stage], run.columns, 1).eigenvalues[0])
        for stage in stages
    ]
    return slopes_of(network, stages, shown, run), np.array(actions)


def _attacked(network: nn.Module, shown: pictures.Pictures, seed: int, run: Run) -> tuple[float, float]:
    """Share of right answers before and after chapter 03's attack, on some of the pictures."""
    some = shown.subset(shown.spread(ATTACKED)).tensors()
    inputs, labels = (part.to(run.device) for part in some)
    hit = attacks.pgd(network, inputs, labels, ATTACK_SIZE, ATTACK_STEPS, seed, 0, 1)
    before, after = (fragility.is_right(network, x, labels).mean() for x in (inputs, hit))
    return float(before), float(after)


def steep_classifiers(found: Classifiers, run: Run) -> Fragile:
    """Does a steeper spectrum, in the mean over stages, go with less accuracy lost? A point for each trained classifier."""
    lost = {name: found.accuracy[name] - found.attacked[name] for name in found.accuracy}
    return _fragile({name: np.nanmean(found.alpha[name], 1) for name in lost}, lost, run)


def table(found: Classifiers) -> dict[str, dict[str, float]]:
    """Means over seeds by name: alpha and action of the first and the last stage, and accuracy before and after the attack."""
    rows: dict[str, dict[str, float]] = {}
    for name in found.alpha:
        alpha, action = (np.nanmean(values[name], 0) for values in (found.alpha, found.action))
        rows[name] = {
            "alpha, first": float(alpha[0]),
            "alpha, last": float(alpha[-1]),
            "action, first": float(action[0]),
            "action, last": float(action[-1]),
            "accuracy": _mean(found.accuracy, name),
            "attacked": _mean(found.attacked, name),
        }
    return rows


def _mean(values: Mapping[str, np.ndarray], name: str) -> float:
    return float(values[name].mean()) if name in values else float("nan")
