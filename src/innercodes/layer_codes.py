"""What the layers of a network say to pictures and to a moving dot, as numbers: all that chapter 04 measures on networks.

Rows of numbers begin with that of all pictures; the others come from resampled ones, the same pictures for every network and
layer. Projections are resampled with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn
from tqdm.auto import tqdm

from innercodes import activations, spectra
from innercodes.maps import resample
from innercodes.parameters import Run
from innercodes.pictures import Pictures

BEND = (5, 200)
"""Ranks over which a spectrum is asked how far it leaves a line (COD-15)."""
COMPONENTS = 10
"""Principal components of the pictures that projections are asked to predict (COD-14)."""
READERS = 32
"""Neurons or projections that together read the known factors (COD-24)."""
READER_DRAWS, MIXED_DRAWS = 10, 2
"""Draws of such neurons and projections, and of those that read shuffled factors."""
COMPONENT_DRAWS = 200


@dataclass(frozen=True)
class LayerCode:
    """The code of one layer: `eigenvalues` (ranks,) of all pictures; else float64 (1 + repeats,), or one number of all pictures.

    alpha       slope of the spectrum, debiased; NaN where it ends within the window
    action      mean over projections of the dot's path, over the largest eigenvalue; `raw_action` as it is; `unordered` with
                the frames in random order
    position    R² of the dot's position from projections; `unordered_position` with the frames in random order
    components  R² of the pictures' principal components from projections of the pictures
    probe       accuracy of linear probes on other pictures, mean over the known factors; `mixed_probe` with shuffled labels
    bend        mean absolute residual of the spectrum from a line over the ranks of `BEND`; NaN where there are fewer
    readers     R² of known factors on other pictures from neurons, from projections, and from half of each, for each draw:
                (1 + repeats, draws, 3); NaN where fewer than `READERS` neurons vary, or no factor does; `mixed_readers`
                (draws, 3) with shuffled factors

    The probe is NaN where all pictures have one class. All numbers are NaN, `eigenvalues` 0, for a layer that never changes.
    """

    columns: int
    eigenvalues: np.ndarray
    alpha: np.ndarray
    action: np.ndarray
    raw_action: float
    unordered: float
    position: np.ndarray
    unordered_position: float
    components: np.ndarray
    probe: np.ndarray
    mixed_probe: float
    bend: np.ndarray
    readers: np.ndarray
    mixed_readers: np.ndarray


@dataclass(frozen=True)
class Stimuli:
    """What networks are shown: pictures with their known `factors`, int64 (N,) each, and the frames of a moving dot.

    `components` (N, COMPONENTS) are the pictures' own principal component scores, `rows` the places of each resampling.
    """

    pictures: Pictures
    factors: Mapping[str, Tensor]
    components: Tensor
    frames: Tensor
    position: Tensor
    rows: Sequence[Tensor]

    @property
    def targets(self) -> Tensor:
        """Every value of every factor as a column of 0 and 1, float32 (N, values)."""
        return torch.cat([torch.nn.functional.one_hot(f).float() for f in self.factors.values()], 1)


def stimuli(pictures: Pictures, factors: Mapping[str, Tensor], run: Run) -> Stimuli:
    """The pictures, a dot on a circle in frames of their size, and the resamplings of a run."""
    channels, *_, size = pictures[0][0].shape
    pixels = pixels_of(pictures, run)
    spectrum = spectra.eigenspectrum(pixels, run.columns, COMPONENTS, vectors=True)
    rows = [torch.arange(len(pictures)), *(resample(len(pictures), number) for number in range(run.repeats))]
    scores = (pixels - spectrum.mean) @ spectrum.vectors
    frames = spectra.moving_dot(run.frames, size, channels=channels)
    return Stimuli(pictures, factors, scores.float(), frames, spectra.dot_position(run.frames).float(), rows)


def pixels_of(pictures: Pictures, run: Run) -> Tensor:
    """At most `columns` values of each picture, float32 (N, columns)."""
    return torch.cat([activations.strided_columns(inputs, run.columns) for inputs, _ in pictures.batches()])


def survey(
    networks: Mapping[str, Sequence[nn.Module]], layers: Sequence[str], shown: Stimuli, run: Run
) -> dict[str, list[dict[str, LayerCode]]]:
    """The code of every layer of every network."""
    jobs = [(kind, network) for kind, members in networks.items() for network in members]
    found: dict[str, list[dict[str, LayerCode]]] = {kind: [] for kind in networks}
    with tqdm(jobs, unit="network", desc="codes", disable=not run.bars, mininterval=1) as bar:
        for kind, network in bar:
            found[kind].append(measure(network, layers, shown, run))
    return found


def said(network: nn.Module, layers: Sequence[str], inputs: Pictures | Tensor, run: Run) -> dict[str, Tensor]:
    """What layers say to inputs, at most `columns` values of each map: (N, columns)."""
    batches = inputs.batches(device=run.device) if isinstance(inputs, Pictures) else list(inputs.split(64))

    def thin(found: Tensor) -> Tensor:
        return activations.strided_columns(found, run.columns)

    return activations.collect(network, batches, layers, thin, device=run.device, folder=".")


def measure(network: nn.Module, layers: Sequence[str], shown: Stimuli, run: Run) -> dict[str, LayerCode]:
    """The code of each layer of a network, in one pass over the pictures and one over the frames."""
    pictures = said(network, layers, shown.pictures, run)
    dot = said(network, layers, shown.frames, run)
    return {layer: layer_code(pictures[layer], dot[layer], shown, run) for layer in layers}


def layer_code(acts: Tensor, dot: Tensor, shown: Stimuli, run: Run) -> LayerCode:
    """The code of one layer from what it says to the pictures (N, D) and to the frames (n, D)."""
    if any(bool((acts[rows] == acts[rows[0]]).all()) for rows in shown.rows):
        return _silent(acts.shape[1], run)
    all_ranks = [spectra.eigenspectrum(acts[rows], run.columns, BEND[1]) for rows in shown.rows]
    slopes = [slope(acts[rows], run) for rows in shown.rows]
    largest = np.array([float(one.eigenvalues[0]) for one in all_ranks])
    mixed = dot[torch.randperm(len(dot), generator=torch.Generator().manual_seed(0))]
    paths = spectra.random_projections(dot, run.projections, run.seed)
    actions = _resampled(spectra.action(paths).double(), run)
    order = torch.randperm(len(acts), generator=torch.Generator().manual_seed(1))
    targets = shown.targets
    bends = [_bend(one.eigenvalues) for one in all_ranks]
    return LayerCode(
        columns=acts.shape[1],
        eigenvalues=all_ranks[0].eigenvalues.numpy(),
        alpha=np.array(slopes),
        action=actions / largest,
        raw_action=float(actions[0]),
        unordered=float(spectra.mean_action(mixed)) / largest[0],
        position=_resampled(spectra.explained_variance(paths, shown.position).double(), run),
        unordered_position=float(
            spectra.explained_variance(spectra.random_projections(mixed, run.projections, run.seed), shown.position).mean()
        ),
        components=_components(acts, shown, run),
        probe=_probes(acts, list(shown.factors.values()), shown.rows),
        mixed_probe=float(_probes(acts, [labels[order] for labels in shown.factors.values()], shown.rows[:1])[0]),
        bend=np.array(bends),
        readers=_readers(acts, targets, shown.rows, run.seed, READER_DRAWS),
        mixed_readers=_readers(acts, targets[order], shown.rows[:1], run.seed, MIXED_DRAWS)[0],
    )  # fmt: skip


def _silent(columns: int, run: Run) -> LayerCode:
    """The code of a layer that says the same to all pictures of a resampling."""
    nan, rows = float("nan"), np.full(1 + run.repeats, np.nan)
    return LayerCode(
        columns=columns, eigenvalues=np.zeros(1), alpha=rows, action=rows, raw_action=nan, unordered=nan, position=rows,
        unordered_position=nan, components=rows, probe=rows, mixed_probe=nan, bend=rows,
        readers=np.full((1 + run.repeats, READER_DRAWS, 3), np.nan), mixed_readers=np.full((MIXED_DRAWS, 3), np.nan),
    )  # fmt: skip


def _bend(eigenvalues: Tensor) -> float:
    if len(eigenvalues) < BEND[1] or eigenvalues[BEND[1] - 1] <= 0:
        return float("nan")
    return float(spectra.power_law(eigenvalues, BEND).residuals.abs().mean())


def slope(acts: Tensor, run: Run) -> float:
    """Debiased alpha of activations (N, D); NaN where their spectrum ends within the window."""
    try:
        return spectra.debiased_alpha(acts, window(run), run.seed, run.columns)
    except ValueError:
        return float("nan")


def window(run: Run) -> tuple[int, int]:
    """The ranks of the power law."""
    first, last = map(int, run.window.split())
    return first, last


def _resampled(values: Tensor, run: Run) -> np.ndarray:
    """Mean over projections (draws,), and over resampled ones: float64 (1 + repeats,)."""
    means = [values.mean(), *(values[resample(len(values), number)].mean() for number in range(run.repeats))]
    return torch.stack(means).numpy()


def _halves(count: int) -> tuple[Tensor, Tensor]:
    """Every other picture to learn from, the rest to be asked."""
    return torch.arange(0, count, 2), torch.arange(1, count, 2)


def _components(acts: Tensor, shown: Stimuli, run: Run) -> np.ndarray:
    """Mean R² of the pictures' principal components from random projections of the code."""
    paths = spectra.random_projections(acts, min(run.projections, COMPONENT_DRAWS), run.seed)
    found = [
        float(spectra.explained_variance(paths[:, rows], shown.components[rows]).double().mean()) for rows in shown.rows
    ]
    return np.array(found)


def _probes(acts: Tensor, factors: Sequence[Tensor], rows: Sequence[Tensor]) -> np.ndarray:
    """Mean accuracy over factors of ridge classifiers on the other half of the pictures, of each resampling.

    One penalty, by leaving one picture out, serves all factors; a factor that does not vary is left out, NaN where none varies.
    """
    learn, ask = _halves(len(acts))
    varying = [labels for labels in factors if len(labels[learn].unique()) > 1]
    if not varying:
        return np.full(len(rows), np.nan)
    inputs = activations.z_scored(acts, acts[learn]).double().numpy()
    signs = [2.0 * torch.nn.functional.one_hot(labels).numpy() - 1 for labels in varying]
    probe = RidgeCV(alphas=np.logspace(0, 4, 5)).fit(inputs[learn], np.concatenate(signs, 1)[learn])
    said = np.split(probe.predict(inputs[ask]), np.cumsum([part.shape[1] for part in signs])[:-1], axis=1)
    right = [one.argmax(1) == labels[ask].numpy() for one, labels in zip(said, varying, strict=True)]
    weights = _asked(rows, len(acts))
    return (weights @ np.mean(right, 0)) / weights.sum(1)


def _asked(rows: Sequence[Tensor], count: int) -> np.ndarray:
    """How often each asked picture is drawn by each resampling, float64 (1 + repeats, asked)."""
    _, ask = _halves(count)
    return np.stack([torch.bincount(one, minlength=count)[ask].double().numpy() for one in rows])


def _readers(acts: Tensor, targets: Tensor, rows: Sequence[Tensor], seed: int, draws: int) -> np.ndarray:
    """R² on other pictures of targets (N, t) from `READERS` neurons, as many projections, or half of each (COD-24).

    Float64 (resamplings, draws, 3); NaN where fewer neurons vary than are asked for, or no target does.
    """
    learn, ask = _halves(len(acts))
    generator = torch.Generator().manual_seed(seed)
    varying = (acts[learn].std(0) > 0).nonzero().flatten()
    targets = targets.double()
    targets = targets - targets[learn].mean(0)
    weights = torch.from_numpy(_asked(rows, len(acts)))
    totals = weights @ targets[ask].square().sum(1)
    if len(varying) < READERS or not bool((totals > 0).all()):
        return np.full((len(rows), draws, 3), np.nan)
    half, centred, found = READERS // 2, (acts - acts[learn].mean(0)).double(), []
    for _ in range(draws):
        units = varying[torch.randperm(len(varying), generator=generator)[:READERS]]
        mixing = torch.randn(acts.shape[1], READERS, generator=generator, dtype=torch.float64) / acts.shape[1] ** 0.5
        neurons, projections = centred[:, units], centred @ mixing
        for inputs in (neurons, projections, torch.cat([neurons[:, :half], projections[:, :half]], 1)):
            scaled = activations.z_scored(inputs, inputs[learn]).numpy()
            reader = RidgeCV(alphas=np.logspace(-2, 4, 7)).fit(scaled[learn], targets[learn].numpy())
            missed = targets[ask] - torch.from_numpy(reader.predict(scaled[ask]))
            found.append(1 - (weights @ missed.square().sum(1)) / totals)
    return torch.stack(found, -1).unflatten(-1, (draws, 3)).numpy()
