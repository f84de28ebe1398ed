"""How far a fitted slope of a layer can be trusted: codes that share something with the layer, and fewer pictures or texts."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import activations, layer_codes, spectra
from innercodes.code_studies import slopes_of
from innercodes.layer_codes import Stimuli
from innercodes.parameters import Run

LAYER, RANDOM_COLUMNS, GAUSSIAN, SHUFFLED = "layer", "other columns", "Gaussian, same covariance", "columns shuffled"


def shuffled_columns(acts: Tensor, seed: int) -> Tensor:
    """Each column of activations (N, D) in a random order of its own: the same units, unrelated to each other."""
    generator = torch.Generator().manual_seed(seed)
    orders = torch.rand(acts.shape, generator=generator).argsort(0)
    return acts.gather(0, orders.to(acts.device))


def gaussian_codes(acts: Tensor, seed: int) -> Tensor:
    """Gaussian codes (N, D) whose true covariance is that of the activations (N, D), divided by N - 1."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(len(acts), len(acts), generator=generator).to(acts)
    return mixing @ (acts - acts.mean(0)) / (len(acts) - 1) ** 0.5


def random_columns(acts: Tensor, most: int, seed: int) -> Tensor:
    """At most so many values of activations (N, ...), drawn at random as in the authors' code: (N, columns)."""
    flat = acts.flatten(1)
    chosen = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed))[:most].sort().values
    return flat[:, chosen.to(flat.device)]


def slopes(network: nn.Module, layers: Sequence[str], shown: Stimuli, run: Run) -> dict[str, np.ndarray]:
    """Debiased alpha by layer of what a network says to all pictures, and of what shares something with it: (layers,) each."""
    said = layer_codes.said(network, layers, shown.pictures, run)
    drawn = activations.collect(
        network,
        shown.pictures.batches(device=run.device),
        layers,
        lambda found: random_columns(found, run.columns, run.seed),
        device=run.device,
        folder=".",
    )
    codes = {
        LAYER: said,
        RANDOM_COLUMNS: drawn,
        GAUSSIAN: {layer: gaussian_codes(acts, run.seed) for layer, acts in said.items()},
        SHUFFLED: {layer: shuffled_columns(acts, run.seed) for layer, acts in said.items()},
    }
    return {name: np.array([layer_codes.slope(acts[layer], run) for layer in layers]) for name, acts in codes.items()}


def counts_of(total: int) -> list[int]:
    """Numbers of pictures or texts at which a slope is looked at: an eighth, a quarter, a half, and all of them."""
    return [total // part for part in (8, 4, 2, 1)]


def by_count(
    acts: Tensor, counts: Sequence[int], run: Run, groups: Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fitted and debiased alpha of the first rows of activations (N, D): (counts,) each; NaN where ranks of the window are missing.

    `groups` int64 (N,), rising, counts groups of rows instead, such as the tokens of a text.
    """
    groups = torch.arange(len(acts)) if groups is None else groups
    window, plain, debiased = layer_codes.window(run), [], []
    for count in counts:
        some = acts[groups < count]
        debiased.append(layer_codes.slope(some, run))
        try:
            curve = spectra.eigenspectrum(some, run.columns, window[1]).eigenvalues
            plain.append(spectra.power_law(curve, window).alpha)
        except ValueError:
            plain.append(float("nan"))
    return np.array(plain), np.array(debiased)


COLUMNS = (125, 250, 500, 1000, 2000, 4000)
"""Values of a layer that are kept, to see what keeping few does."""


def by_columns(network: nn.Module, layers: Sequence[str], shown: Stimuli, run: Run) -> np.ndarray:
    """Debiased alpha of some layers with `COLUMNS` of their values, or all where there are fewer: (layers, numbers of columns)."""
    found = [
        slopes_of(network, layers, shown.pictures, dataclasses.replace(run, values={**run.values, "columns": columns}))
        for columns in COLUMNS
    ]
    return np.stack(found, 1)
