"""The functional-telescope lens (Lee & Vijayan 2023): self-organising maps on a torus, and where inputs fall on them.

A unit is a number u in 0 ... m n - 1 and sits at row u // n, column u % n of an m x n grid whose borders are joined.
Positions are (row, column). CD is the cosine distance 1 - cos (eq. 2 of the paper); a vector of length 0 has CD 1 to all.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import gaussian_kde
from torch import Tensor
from tqdm.auto import tqdm

from innercodes import single_steps, spectra

# Below this length a vector counts as zero.
TINY = 1e-12
# Scales of the rows are folded into the weights before they get smaller than this.
SMALLEST_SCALE = 1e-2


@dataclass(frozen=True)
class SOM:
    """A trained map: `weights` (units, D), its `grid` (m, n), and the loss, mean smallest CD of the batch, of each step."""

    weights: Tensor
    grid: tuple[int, int]
    losses: Tensor


@dataclass(frozen=True)
class ClassCenters:
    """Where classes sit on a map.

    `modes` (classes, 2), the position chosen most often, about which the map is unfolded; `centers` (classes, 2), the mean of
    the unfolded positions, so it may lie outside of the grid. NaN for a class that has no input.
    """

    modes: Tensor
    centers: Tensor


def cosine_distances(a: Tensor, b: Tensor) -> Tensor:
    """CD of every pair (eq. 2): float (..., A, D) and (..., B, D) to (..., A, B), from 0 (parallel) to 2 (opposite)."""
    a, b = (x / x.norm(dim=-1, keepdim=True).clamp(min=TINY) for x in (a, b))
    return 1 - a @ b.mT


def fit_som(
    codes: Tensor,
    grid: int | tuple[int, int] = 20,
    sigma: float = 10.0,
    alpha: float = 0.1,
    epochs: int = 5,
    batch_size: int = 10,
    seed: int = 0,
    *,
    start: Tensor | None = None,
    order: Tensor | None = None,
    backend: str = "innercodes",
    progress: bool = False,
    watch: Callable[[int, Tensor], None] | None = None,
) -> SOM:
    """Train a self-organising map on a torus (section 2.3, eqs. 1 and 2): float codes (N, D) on any device to a `SOM`.

    For each batch B, with BMU u(x) the unit of smallest CD and d the distance on the torus (the paper writes a distance of
    vectors; its library, and any SOM, uses the grid's):

        W_v <- W_v + 1/|B| sum_x alpha(s) exp(-d(u(x), v)^2 / (2 sigma(s)^2 + 1e-5)) (x - W_v)

    where both alpha(s) and sigma(s) fall as exp(-5 s / T), s the codes seen before this batch and T = N * epochs. A last batch
    that is not full is averaged over its own size. Single codes on a CPU take compiled steps (`single_steps`). The start is
    N(0, 1), or `start` (units, D); `order` int (epochs, N) says which codes come when, else each epoch is a new permutation.
    `backend="quicksom"` takes the steps of that library, with the same start and order. `watch(epoch, weights)` is called after
    each epoch.

    Any number of codes from 1 will do, fewer than units and all alike included. Raises ValueError for codes that are empty, not
    (N, D) or not finite, and for settings out of range.
    """
    m, n = grid = _grid(grid)
    _check(codes, sigma, alpha, epochs, batch_size)
    generator = torch.Generator().manual_seed(seed)
    if start is None:
        start = torch.randn(m * n, codes.shape[1], generator=generator, dtype=codes.dtype)
    if start.shape != (m * n, codes.shape[1]):
        raise ValueError(f"start: shape {tuple(start.shape)}, must be ({m * n}, {codes.shape[1]})")
    if order is None:
        order = torch.stack([torch.randperm(len(codes), generator=generator) for _ in range(epochs)])
    if order.shape != (epochs, len(codes)):
        raise ValueError(f"order: shape {tuple(order.shape)}, must be ({epochs}, {len(codes)})")
    if backend not in BACKENDS:
        raise ValueError(f"backend = {backend!r}: must be one of {', '.join(BACKENDS)}")
    kind = BACKENDS[backend]
    compiled = codes.device.type == "cpu" and codes.dtype in (torch.float32, torch.float64)
    if kind is _Steps and batch_size == 1 and compiled:
        kind = _SingleSteps
    steps = kind(start.to(codes, copy=True), grid, sigma, alpha)
    losses = []
    with tqdm(total=order.numel(), disable=not progress, unit="code", desc=f"SOM {m} x {n}") as bar:
        for i, epoch in enumerate(order.to(codes.device)):
            seen = range(i * len(codes), (i + 1) * len(codes), batch_size)
            losses.append(
                steps.epoch(codes, epoch.split(batch_size), [math.exp(-5 * s / order.numel()) for s in seen], bar)
            )
            if watch is not None:
                watch(i, steps.weights())
    return SOM(steps.weights(), grid, torch.cat(losses))


class _Batches:
    """An epoch as batches that come one after the other."""

    def epoch(self, codes: Tensor, batches: Sequence[Tensor], decays: Sequence[float], bar: tqdm) -> Tensor:
        losses = []
        for batch, decay in zip(batches, decays, strict=True):
            losses.append(self(codes[batch], decay))
            bar.update(len(batch))
        return torch.stack(losses)


class _Steps(_Batches):
    """The rule as two matrix products for each batch.

    The weights are kept as W = a V, a scale for each unit, so that the decay of W by (1 - mean rate) touches only a. Norms are
    updated from the products that the step needs anyway. Both are made fresh before rounding can add up.
    """

    def __init__(self, start: Tensor, grid: tuple[int, int], sigma: float, alpha: float):
        self.v = start
        self.sigma, self.alpha = sigma, alpha
        self.squares = grid_distances(grid).to(start).square()
        self._fold()

    def _fold(self, scale: Tensor | None = None) -> None:
        if scale is not None:
            self.v *= scale[:, None]
        self.scale = torch.ones(len(self.v), dtype=self.v.dtype, device=self.v.device)
        self.norms = self.v.square().sum(-1)
        self.smallest, self.steps = 1.0, 0

    def weights(self) -> Tensor:
        return self.v * self.scale[:, None]

    def __call__(self, x: Tensor, decay: float) -> Tensor:
        rate = self.alpha * decay
        if self.smallest * (1 - rate) < SMALLEST_SCALE or self.steps == 100:
            self._fold(self.scale)
        dots = x @ self.v.T
        gram = x @ x.T
        lengths = gram.diagonal().clamp(min=TINY**2).sqrt()[:, None] * self.norms.clamp(min=TINY**2).sqrt()
        closest, units = (dots / lengths).max(-1)
        pull = rate * torch.exp(self.squares[units] / -(2 * (self.sigma * decay) ** 2 + 1e-5)) / len(x)
        kept = 1 - pull.sum(0)
        if rate > 1 - SMALLEST_SCALE:  # too large a step to be put off
            self._fold(self.scale * kept)
            self.v.addmm_(pull.T, x)
            self._fold()
        else:
            self.scale = self.scale * kept
            pull = pull / self.scale
            self.norms = self.norms + (pull * (2 * dots + gram @ pull)).sum(0)
            self.v.addmm_(pull.T, x)
            self.smallest *= 1 - rate
            self.steps += 1
        return 1 - closest.mean()


class _SingleSteps:
    """The rule for batches of one, compiled."""

    def __init__(self, start: Tensor, grid: tuple[int, int], sigma: float, alpha: float):
        self.v, self.sigma, self.alpha = start.contiguous(), sigma, alpha
        self.squares = grid_distances(grid).to(start).square()

    def weights(self) -> Tensor:
        return self.v.clone()

    def epoch(self, codes: Tensor, batches: Sequence[Tensor], decays: Sequence[float], bar: tqdm) -> Tensor:
        arrays = (t.numpy() for t in (self.v, codes.detach().contiguous(), torch.cat(list(batches))))
        found = single_steps.take(
            *arrays, np.array(decays), self.squares.numpy(), float(self.sigma), float(self.alpha), TINY
        )
        bar.update(len(batches))
        return torch.from_numpy(found)


class _Quicksom(_Batches):
    """The steps of the quicksom library, which holds (batch, units, D) differences."""

    def __init__(self, start: Tensor, grid: tuple[int, int], sigma: float, alpha: float):
        from quicksom.som import SOM as Library

        m, n = grid
        self.som = Library(
            m, n, start.shape[1], alpha=alpha, sigma=sigma, device=start.device, precompute=False, periodic=True,
            metric=lambda x, w: cosine_distances(x[:, 0], w), centroids=start,
        )  # fmt: skip
        # Its own table of distances is right for square grids alone, and float32: each row of it is right.
        rows = [self.som.get_bmu_distance_squares(place) for place in self.som.locations]
        self.som.distance_mat, self.som.precompute = torch.stack(rows).to(start), True

    def weights(self) -> Tensor:
        return self.som.centroids

    def __call__(self, x: Tensor, decay: float) -> Tensor:
        return self.som(x, learning_rate_op=decay)[1]


BACKENDS: dict[str, Callable] = {"innercodes": _Steps, "quicksom": _Quicksom}


def best_units(som: SOM, codes: Tensor, k: int = 10, chunk: int = 4096) -> Tensor:
    """The k best-matching units of each code, smallest CD first, ties to the lower unit: float (N, D) to int64 (N, k).

    No codes have no units, (0, k). Raises ValueError for another D than the map's, for codes that are not finite and for a k
    that the map does not have.
    """
    units = len(som.weights)
    if not 1 <= k <= units:
        raise ValueError(f"k = {k}: must be from 1 to {units}, the units of the map")
    _check_fit(som, codes)
    found = [
        cosine_distances(part, som.weights).sort(dim=-1, stable=True).indices[:, :k].clone()
        for part in codes.split(chunk)
    ]
    return torch.cat(found) if found else torch.empty(0, k, dtype=torch.int64, device=codes.device)


def mean_loss(som: SOM, codes: Tensor, chunk: int = 4096) -> float:
    """The mean smallest CD of codes (N, D) to a trained map, what its loss ends at.

    Raises ValueError for no codes at all, another D than the map's, and codes that are not finite.
    """
    _check_fit(som, codes)
    if not len(codes):
        raise ValueError(
            f"codes: shape {tuple(codes.shape)}, must be (N, {som.weights.shape[1]}) with at least one code"
        )
    closest = [cosine_distances(part, som.weights).amin(-1) for part in codes.split(chunk)]
    return float(torch.cat(closest).double().mean())


def positions(units: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """Units int (...) to positions int64 (..., 2), (row, column)."""
    n = _grid(grid)[1]
    return torch.stack([units // n, units % n], -1)


def offsets(a: Tensor, b: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """The shortest way on the torus from positions b (..., 2) to a (..., 2), each entry in [-m/2, m/2) (Figure 2)."""
    sizes = torch.tensor(_grid(grid), dtype=torch.float64, device=a.device)
    return (a.double() - b.double() + sizes / 2).remainder(sizes) - sizes / 2


def torus_distance(a: Tensor, b: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """Euclidean distance on the torus between positions (..., 2) and (..., 2), float64 (...)."""
    return offsets(a, b, grid).norm(dim=-1)


def grid_distances(grid: int | tuple[int, int]) -> Tensor:
    """Torus distance of every pair of units, float64 (units, units)."""
    m, n = _grid(grid)
    every = positions(torch.arange(m * n), grid)
    return torus_distance(every[:, None], every, grid)


def class_centers(units: Tensor, labels: Tensor, grid: int | tuple[int, int], classes: int) -> ClassCenters:
    """Class centres (section 2.4): BMUs int (N, k) and labels int (N,) of the training inputs to `ClassCenters`.

    The mode is the unit that a class chooses most often, ties to the lower unit. Every BMU moves to the copy nearest to it,
    and the centre is the mean of the moved ones.
    """
    m, n = _grid(grid)
    units = units.view(len(units), -1)
    repeated = labels[:, None].expand_as(units)
    counts = torch.zeros(classes, m * n, dtype=torch.int64, device=units.device)
    counts.view(-1).index_add_(0, (repeated * (m * n) + units).flatten(), torch.ones_like(units).flatten())
    most = counts == counts.amax(-1, keepdim=True)
    modes = positions(most.int().argmax(-1), grid).double()
    modes[counts.sum(-1) == 0] = torch.nan
    away = offsets(positions(units, grid), modes[repeated], grid)
    mean = torch.zeros(classes, 2, dtype=torch.float64, device=units.device)
    mean.index_add_(0, repeated.flatten(), away.flatten(0, 1))
    return ClassCenters(modes, modes + mean / counts.sum(-1, keepdim=True))


def center_offsets(units: Tensor, labels: Tensor, found: ClassCenters, grid: int | tuple[int, int]) -> Tensor:
    """Mean distance of each input's BMUs, unfolded, to the centre of its class: int (N, k), (N,) to float64 (N,)."""
    units = units.view(len(units), -1)
    modes, centers = found.modes[labels][:, None], found.centers[labels][:, None]
    return (modes + offsets(positions(units, grid), modes, grid) - centers).norm(dim=-1).mean(-1)


def class_spread(units: Tensor, labels: Tensor, found: ClassCenters, grid: int | tuple[int, int]) -> Tensor:
    """D_class (section 2.4): mean distance of a class's BMUs to its centre, float64 (classes,); NaN without inputs.

    For other inputs than those the centres come from (SOM-val), pass the centres of the training inputs.
    """
    away = center_offsets(units, labels, found, grid)
    sums, counts = (torch.zeros(len(found.modes), dtype=torch.float64, device=away.device) for _ in range(2))
    sums.index_add_(0, labels, away)
    return sums / counts.index_add_(0, labels, torch.ones_like(away))


def chance_spread(
    grid: int | tuple[int, int], counts: Sequence[int], k: int = 10, seed: int = 0, draws: int = 200
) -> float:
    """D_class where chance places the BMUs: each input's k different ones lie anywhere on the map. Mean over classes.

    Simulated: classes of as many inputs as `counts` says, each as often as makes `draws` classes in all. A class is measured
    from its own centre, so that one of few inputs is a little more compact. Raises ValueError where there are no inputs.
    """
    units = math.prod(_grid(grid))
    if not 1 <= k <= units:
        raise ValueError(f"k = {k}: must be from 1 to {units}, the units of the map")
    if not len(counts) or min(counts) < 1:
        raise ValueError(f"counts = {list(counts)}: must hold at least one class, each of at least one input")
    generator = torch.Generator().manual_seed(seed)
    found = []
    for count in list(counts) * -(-draws // len(counts)):
        placed = torch.rand(count, units, generator=generator).topk(k).indices
        labels = torch.zeros(count, dtype=torch.int64)
        found.append(class_spread(placed, labels, class_centers(placed, labels, grid, 1), grid))
    return float(torch.cat(found).mean())


def unit_distances(som: SOM) -> Tensor:
    """CD of every pair of units of a map, (units (units - 1) / 2,); empty for a single unit."""
    first, second = torch.triu_indices(len(som.weights), len(som.weights), 1)
    return cosine_distances(som.weights, som.weights)[first, second]


def center_units(found: ClassCenters, grid: int | tuple[int, int]) -> Tensor:
    """The unit nearest to each centre, int64 (classes,). Raises ValueError for a class without inputs."""
    missing = found.centers.isnan().any(-1).nonzero().flatten().tolist()
    if missing:
        raise ValueError(f"classes without inputs have no centre: {missing}")
    m, n = _grid(grid)
    nearest = found.centers.round().long().remainder(torch.tensor([m, n], device=found.centers.device))
    return nearest[:, 0] * n + nearest[:, 1]


def center_distances(som: SOM, found: ClassCenters, pairs: Tensor | None = None) -> Tensor:
    """CD of the weights at pairs of class centres, int (P, 2) of classes, all pairs by default, to (P,) (Figures 8, 10)."""
    weights = som.weights[center_units(found, som.grid)]
    if pairs is None:
        pairs = torch.triu_indices(len(weights), len(weights), 1, device=weights.device).T
    return cosine_distances(weights[pairs[:, :1]], weights[pairs[:, 1:]])[:, 0, 0]


def unit_shift(before: Tensor, after: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """How far the BMUs of each rank moved on the torus: int (N, k) and (N, k) to float64 (N, k) (Figure 11)."""
    return torus_distance(positions(before, grid), positions(after, grid), grid)


def usage(units: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """How often each unit is chosen, int64 (m, n)."""
    m, n = _grid(grid)
    return torch.bincount(units.flatten(), minlength=m * n).view(m, n)


def usage_entropy(units: Tensor, grid: int | tuple[int, int]) -> float:
    """Entropy of the units chosen, as a share of log(units): 1 when all are chosen equally often, 0 for a single one."""
    m, n = _grid(grid)
    share = usage(units, grid).double().flatten() / units.numel()
    return float(torch.special.entr(share).sum()) / math.log(m * n) if m * n > 1 else 0.0


def density(units: Tensor, grid: int | tuple[int, int]) -> Tensor:
    """Gaussian kernel density of the BMUs' positions, 100 times, float64 (m, n) (Figure 5; scipy's bandwidth; not periodic).

    Raises ValueError where the positions lie on a line or a point: they have no such density.
    """
    m, n = _grid(grid)
    at = positions(units.flatten(), grid).double().cpu()
    if len(at) < 3 or torch.linalg.matrix_rank(at - at.mean(0)) < 2:
        raise ValueError("units: all lie on one line of the map, so they have no density on it")
    every = positions(torch.arange(m * n), grid).double()
    return 100 * torch.from_numpy(gaussian_kde(at.T.numpy())(every.T.numpy())).view(m, n)


def explained_variance(codes: Tensor, axes: int = 30) -> Tensor:
    """Share of the variance of codes (N, D) along each of the first principal axes, float64 (axes,), exact (Figure 3).

    Axes beyond the rank explain 0. Raises ValueError for codes that are all alike or not finite.
    """
    _check_varied(codes)
    spectrum = spectra.eigenspectrum(codes, max_columns=codes.shape[1], max_components=axes)
    found = torch.zeros(axes, dtype=torch.float64)
    found[: len(spectrum.eigenvalues)] = spectrum.eigenvalues / spectrum.variance
    return found


def participation_ratio(codes: Tensor) -> float:
    """Effective number of dimensions of codes (N, D): squared sum of the variances over the sum of their squares, 1 to D.

    Raises ValueError for codes that are all alike or not finite.
    """
    _check_varied(codes)
    codes = codes - codes.mean(0)
    # The smaller of the two matrices of products: both have the same eigenvalues.
    products = (codes.T @ codes if codes.shape[0] >= codes.shape[1] else codes @ codes.T).double()
    return float(products.trace() ** 2 / products.square().sum())


def _check_varied(codes: Tensor) -> None:
    if codes.ndim != 2 or len(codes) < 2 or bool((codes == codes[:1]).all()):
        raise ValueError(f"codes: shape {tuple(codes.shape)}, must be (N, D) with at least two that differ")
    _check_finite(codes)


def _check_fit(som: SOM, codes: Tensor) -> None:
    if codes.ndim != 2 or codes.shape[1] != som.weights.shape[1]:
        raise ValueError(f"codes: shape {tuple(codes.shape)}, must be (N, {som.weights.shape[1]})")
    _check_finite(codes)


def _check_finite(codes: Tensor) -> None:
    if not codes.isfinite().all():
        raise ValueError(f"codes: {int((~codes.isfinite()).sum())} values are not finite")


def _grid(grid: int | tuple[int, int]) -> tuple[int, int]:
    m, n = (grid, grid) if isinstance(grid, int) else grid
    if min(m, n) < 1:
        raise ValueError(f"grid = {grid}: must have at least one row and one column")
    return m, n


def _check(codes: Tensor, sigma: float, alpha: float, epochs: int, batch_size: int) -> None:
    if codes.ndim != 2 or not codes.numel():
        raise ValueError(f"codes: shape {tuple(codes.shape)}, must be (N, D) with at least one code")
    _check_finite(codes)
    for name, value, fine, allowed in (
        ("sigma", sigma, sigma > 0, "above 0"),
        ("alpha", alpha, 0 < alpha <= 1, "above 0, at most 1"),
        ("epochs", epochs, epochs >= 1, "at least 1"),
        ("batch_size", batch_size, batch_size >= 1, "at least 1"),
    ):
        if not fine:
            raise ValueError(f"{name} = {value}: must be {allowed}")
