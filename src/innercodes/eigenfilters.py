"""Principal components of a layer as pictures: are the first ones coarse, the later ones fine, and other than the pixels'?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import activations, spectra, stats
from innercodes.fragility import spearman
from innercodes.layer_codes import Stimuli
from innercodes.parameters import Run
from innercodes.redundancy import rank_correlation


@dataclass(frozen=True)
class Eigenfilters:
    """Leading eigenvectors of a layer as maps (count, C, H, W), and the scores of the pictures on them (N, count)."""

    maps: Tensor
    scores: Tensor


def eigenfilters(network: nn.Module, layer: str, shown: Stimuli, run: Run, count: int = 50) -> Eigenfilters:
    """The eigenfilters of a layer without thinning, from what it says to the pictures."""
    maps_ = activations.collect(
        network, shown.pictures.batches(device=run.device), [layer], lambda m: m, device=run.device, folder="."
    )[layer]
    return filters_of(maps_, count)


def filters_of(maps_: Tensor, count: int = 50) -> Eigenfilters:
    """The eigenfilters of maps (N, C, H, W)."""
    flat = maps_.flatten(1)
    spectrum = spectra.eigenspectrum(flat, flat.shape[1], count, vectors=True)
    # A few pictures at a time: the maps of many do not fit into memory in double precision.
    scores = torch.cat([(part - spectrum.mean) @ spectrum.vectors for part in flat.split(spectra.CHUNK)])
    return Eigenfilters(spectrum.vectors.T.unflatten(1, maps_.shape[1:]), scores)


def coarse_first(filters: Mapping[str, Sequence[Eigenfilters]], pixels: Eigenfilters, run: Run) -> dict[str, Any]:
    """COD-20: Spearman correlation of rank and spatial-frequency centroid of the first layer's eigenfilters.

    `filters` has "trained" and "untrained", one for each seed. Filters are resampled for the interval of the difference. The overlap with
    the pixels' components is that of the scores of the same pictures, since filters and pixels live on different grids.
    """
    rows = {
        kind: np.stack([np.stack([np.arange(len(one.maps)), _centroids(one)], -1) for one in members])
        for kind, members in filters.items()
    }
    found = stats.compare(rows, spearman, run.bootstrap, run.seed)
    overlap = [float(spectra.subspace_overlap(one.scores[:, :10], pixels.scores[:, :10])) for one in filters["trained"]]
    return found | {
        "also": {"overlap_with_pixels": float(np.mean(overlap))},
        "baseline": found["baseline"] | {"pixels": rank_correlation(np.arange(len(pixels.maps)), _centroids(pixels))},
    }


def _centroids(filters: Eigenfilters) -> np.ndarray:
    return spectra.spatial_frequency(filters.maps).double().numpy()
