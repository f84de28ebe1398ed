"""Single neurons against random mixtures of them: which read known parts of pictures better, and is a neuron about one part?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from innercodes import activations, layer_codes
from innercodes.code_networks import UNTRAINED
from innercodes.layer_codes import Stimuli
from innercodes.parameters import Run
from innercodes.redundancy import Survey, estimate, measured


def tandem(survey: Survey) -> dict[str, Any] | str:
    """COD-24: R² of known factors from half neurons and half projections, minus the better of both alone; mean over layers and draws."""
    readers = {kind: survey.rows(kind, "readers") for kind in (survey.reference, UNTRAINED)}
    if not all(np.isfinite(rows).all() for rows in readers.values()):
        return f"A layer has fewer than {layer_codes.READERS} neurons that vary, or the pictures have a single class."
    own, twin = (gain(rows).mean((0, 1, 3)) for rows in readers.values())  # of (seeds, layers, 1 + repeats, draws)
    means = readers[survey.reference][:, :, 0].mean((0, 1, 2))
    return measured(
        own,
        twin,
        baseline={
            "untrained": float(twin[0]),
            "shuffled factors": float(gain(survey.rows(survey.reference, "mixed_readers")).mean()),
        }
        | {f"R², {name}": float(m) for name, m in zip(("neurons", "projections", "both"), means, strict=True)},
    )


def gain(rows: np.ndarray) -> np.ndarray:
    """What both together have above the better of neurons and projections: R² (..., 3) to (...)."""
    return rows[..., 2] - rows[..., :2].max(-1)


def selectivity(units: Tensor, factors: Mapping[str, Tensor]) -> np.ndarray:
    """AUROC, or 1 minus it where that is larger, with which each unit (N, units) tells each known part from all the rest.

    Parts are the values of all factors, int64 (N,) each: float64 (units, parts). A factor of two values is one part, since
    either tells the other; a factor of a single value is none.
    """
    ranks = rankdata(units.double().numpy(), axis=0)
    found = []
    for labels in factors.values():
        values = labels.unique()
        for value in values[: len(values) if len(values) > 2 else len(values) - 1]:
            inside = (labels == value).numpy()
            n, m = inside.sum(), (~inside).sum()
            area = (ranks[inside].sum(0) - n * (n + 1) / 2) / (n * m)
            found.append(np.maximum(area, 1 - area))
    return np.stack(found, 1) if found else np.empty((ranks.shape[1], 0))


def monosemantic(areas: np.ndarray) -> np.ndarray:
    """Which units tell one part with an AUROC of at least 0.9, and no second one with more than 0.7: bool (units,)."""
    # Two parts below all others, so that there is a second one.
    ordered = np.sort(np.pad(areas, ((0, 0), (2, 0))), 1)
    return (ordered[:, -1] >= 0.9) & (ordered[:, -2] <= 0.7)


def few_monosemantic(
    networks: Mapping[str, Sequence[nn.Module]], layer: str, shown: Stimuli, run: Run
) -> dict[str, Any] | str:
    """COD-26: share of monosemantic units (channel means) of the last stage; `networks` has "trained" and "untrained"."""
    if all(len(labels.unique()) < 2 for labels in shown.factors.values()):
        return "The pictures have a single class."
    units = {
        kind: [
            activations.collect(
                network,
                shown.pictures.batches(device=run.device),
                [layer],
                lambda m: m.mean((-2, -1)),
                device=run.device,
                folder=".",
            )[layer]
            for network in members
        ]
        for kind, members in networks.items()
    }
    draws = torch.Generator().manual_seed(run.seed)
    units["random projections"] = [
        one @ torch.randn(one.shape[1], one.shape[1], generator=draws) / one.shape[1] ** 0.5 for one in units["trained"]
    ]
    mixed = {
        name: labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(run.seed))]
        for name, labels in shown.factors.items()
    }
    share = {
        kind: [monosemantic(selectivity(one, shown.factors)) for one in members] for kind, members in units.items()
    }
    share["shuffled parts"] = [monosemantic(selectivity(one, mixed)) for one in units["trained"]]
    again = [
        np.mean([monosemantic(selectivity(one[rows], {n: f[rows] for n, f in shown.factors.items()})).mean() for one in units["trained"]])
        for rows in shown.rows
    ]  # fmt: skip
    own = estimate(np.array(again))
    best = np.mean([selectivity(one, shown.factors).max(1).mean() for one in units["trained"]])
    return {
        "value": own.value,
        "ci": own.interval(),
        "baseline": {kind: float(np.mean([s.mean() for s in members])) for kind, members in share.items() if kind != "trained"}
        | {"best AUROC of a unit, mean": float(best)},
    }  # fmt: skip
