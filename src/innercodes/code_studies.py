"""Chapter 04 beyond the paper: roughness in the number of frames, other windows, and how a spectrum forms in training."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from innercodes import autoencoders, layer_codes, models, spectra
from innercodes.code_networks import TWIN_PICTURES, Shown
from innercodes.layer_codes import Stimuli
from innercodes.parameters import Run
from innercodes.pictures import Pictures
from innercodes.redundancy import Survey


def action_exponents(
    survey: Survey, networks: Sequence[nn.Module], shown: Stimuli, counts: Sequence[int]
) -> dict[str, np.ndarray]:
    """Exponent of the action in the number of frames, by layer: (networks,). A smooth path has -1, unrelated frames have 1."""
    channels, *_, size = shown.frames.shape[1:]
    films = [spectra.moving_dot(count, size, channels=channels) for count in counts]
    found: dict[str, list[float]] = {layer: [] for layer in survey.layers}
    for network in networks:
        answers = [layer_codes.said(network, survey.layers, film, survey.run) for film in films]
        for layer in survey.layers:
            actions = [float(spectra.mean_action(one[layer])) for one in answers]
            found[layer].append(spectra.action_exponent(actions, counts))
    return {layer: np.array(values) for layer, values in found.items()}


def by_window(survey: Survey, windows: Sequence[tuple[int, int]]) -> dict[str, dict[str, float]]:
    """Alpha as fitted, mean over layers and seeds, over several windows of ranks: kind and window to a number.

    NaN where some layer has fewer components.
    """
    found: dict[str, dict[str, float]] = {}
    for kind, seeds in survey.codes.items():
        for first, last in windows:
            curves = [seed[layer].eigenvalues for seed in seeds for layer in survey.layers]
            long = all(len(curve) >= last and curve[last - 1] > 0 for curve in curves)
            fits = [spectra.power_law(curve, (first, last)).alpha if long else np.nan for curve in curves]
            found.setdefault(kind, {})[f"{first} to {last}"] = float(np.mean(fits))
    return found


def slopes_by_kind(
    members: Mapping[str, Sequence[nn.Module]], survey: Survey, stimuli: Stimuli, labels: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Debiased alpha of each layer of some networks: kind and label to (seeds,)."""
    found = {}
    for kind, networks in members.items():
        rows = np.stack([slopes_of(network, survey.layers, stimuli.pictures, survey.run) for network in networks], 1)
        found[kind] = dict(zip(labels, rows, strict=True))
    return found


def growing(run: Run, shown: Shown, stimuli: Stimuli) -> dict[str, dict[str, np.ndarray]]:
    """Mean alpha over layers while autoencoders of several widths learn, at the reference rate: "alpha" and width to (epochs,).

    Looked at before the first pass and after 1, 2, 4 ... of `growing_epochs`, which `snapshots` lists.
    """
    pictures = shown.fitted.subset(torch.arange(min(GROWING, len(shown.fitted)))).tensors()[0].to(run.device)
    found: dict[str, np.ndarray] = {}
    for width in map(int, run.widths.split()):
        network = autoencoders.untrained(width, run.reference, run.seed, pictures, run.size)
        names, alphas = autoencoders.layers(network)[::2], []

        def look(epoch: int, network: nn.Module = network, names: Sequence[str] = names, alphas: list = alphas) -> None:
            if epoch + 1 in snapshots(run):
                # As the networks that are judged; the start has these statistics already.
                seen = models.settle(copy.deepcopy(network), pictures[:TWIN_PICTURES]) if run.settle else network
                alphas.append(np.nanmean(slopes_of(seen, names, stimuli.pictures, run)))

        look(-1)
        autoencoders.train(
            network, pictures, run.growing_epochs, run.learning_rate, 50, run.seed, run.loss, run.bars, look
        )
        found[f"width {width}"] = np.array(alphas)
    return {"alpha": found}


GROWING = 1000
"""Pictures on which networks are watched while they learn."""


def snapshots(run: Run) -> list[int]:
    """The passes after which a network in training is looked at: 0, 1, 2, 4 ... and the last."""
    powers = [2**i for i in range(run.growing_epochs.bit_length())]
    return sorted({0, *(p for p in powers if p <= run.growing_epochs), run.growing_epochs})


def slopes_of(network: nn.Module, layers: Sequence[str], pictures: Pictures, run: Run) -> np.ndarray:
    """Debiased alpha of each layer from all pictures, (layers,); NaN where the spectrum ends within the window."""
    acts = layer_codes.said(network, layers, pictures, run)
    return np.array([layer_codes.slope(rows, run) for rows in acts.values()])
