"""The coding lens (Marshall & Kirchner 2024): eigenspectra of activations, their power law, and the action of projections.

Eigenvalues are variances of principal components, largest first, with 1 / (N - 1). Alpha is the slope of log variance on log
rank: negative, and lower means steeper. A path is what projections of a response do over n frames in order, (n, d).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import blas, eigh
from scipy.stats import linregress, rankdata
from sklearn.linear_model import HuberRegressor
from torch import Tensor

from innercodes.activations import strided_columns

# Rows that are centred and multiplied at a time: small parts stay in the cache, and large ones are kept by the allocator.
CHUNK = 250
# Matrices up to this size are solved in double precision at once.
SMALL = 2000
# Up to so many components of larger matrices come from a Krylov space, without the covariance.
FEW = 200
# Single precision errs by about 3e-7 of the largest eigenvalue: it is trusted down to this share, an error of 5e-4.
SINGLE = 5e-4


@dataclass(frozen=True)
class Spectrum:
    """Variances of the principal components of `rows` activations of `columns` units.

    `eigenvalues` float64 (k,), largest first; `variance`, the sum over all components, also those left out; `vectors`
    (D, k), columns of length 1 whose largest entry is positive, and `mean` (D,), or None where not asked for. All on the CPU.
    """

    eigenvalues: Tensor
    variance: float
    rows: int
    columns: int
    vectors: Tensor | None = None
    mean: Tensor | None = None


@dataclass(frozen=True)
class PowerLaw:
    """A line through log variance against log rank: slope `alpha`, `intercept` at rank 1, R² and residuals in the window."""

    alpha: float
    intercept: float
    r2: float
    residuals: Tensor


def eigenspectrum(
    acts: Tensor | Iterable[Tensor], max_columns: int = 8000, max_components: int = 1000, *, vectors: bool = False
) -> Spectrum:
    """Variances of the leading principal components of activations ("Eigenspectrum analysis", Marshall & Kirchner 2024).

    `acts` is float (N, ...) on any device, or an iterable of batches (B, ...) that is read once; memory is then one batch
    and the covariance, in double precision. Rows are flattened and thinned to at most `max_columns` values, every s-th one.
    `max_components` is capped by min(N - 1, D).

    No sampling of components as in the paper's randomised PCA. In memory the way goes by size: the Gram matrix where N < D, else
    the covariance, in double precision where single would not do; few components of a large matrix come from its block
    Krylov space, to a relative error of 1e-5. Raises ValueError for fewer than two rows, constant activations and values that are
    not finite.
    """
    _at_least_one(max_columns=max_columns, max_components=max_components)
    if not isinstance(acts, Tensor):
        return _streamed(acts, max_columns, max_components, vectors)
    if acts.ndim < 2 or len(acts) < 2:
        raise ValueError(f"acts: shape {tuple(acts.shape)}, must be (N, ...) with at least 2 rows")
    acts = acts.detach()
    mean = _mean(acts, max_columns)
    rows, columns = len(acts), len(mean)
    wanted = min(max_components, rows - 1, columns)
    size = min(rows, columns)
    found = _krylov(_centred(acts, mean, max_columns), wanted) if size > SMALL and wanted <= FEW else None
    if found is None:
        double = acts.dtype == torch.float64 or size <= SMALL
        found = _dense(acts, mean, max_columns, wanted, torch.float64 if double else torch.float32, vectors)
        if not double and float(found[0][-1]) < SINGLE * float(found[0][0]):
            found = _dense(acts, mean, max_columns, wanted, torch.float64, vectors)
    return _spectrum(*found, rows, mean, vectors)


def _parts(acts: Tensor, max_columns: int) -> Iterator[Tensor]:
    """Thinned copies of a few rows at a time, in single precision unless the activations are double."""
    for part in acts.split(CHUNK):
        thinned = strided_columns(part, max_columns)
        yield thinned if thinned.dtype == torch.float64 else thinned.float()


def _mean(acts: Tensor, max_columns: int) -> Tensor:
    """The mean of each column, float64 (D,)."""
    total, first, constant = 0, None, True
    for part in _parts(acts, max_columns):
        first = part[:1].clone() if first is None else first
        constant = constant and bool((part == first).all())
        # Short sums in single precision, then in double: as exact as needed and ten times faster.
        total = total + sum(few.sum(0).double() for few in part.split(50))
    return _checked(total / len(acts), constant, len(acts))


def _centred(acts: Tensor, mean: Tensor, max_columns: int) -> Tensor:
    """A thinned copy without its mean, (N, D)."""
    parts = _parts(acts, max_columns)
    first = next(parts)
    mean = mean.to(first)
    copy = first.new_empty(len(acts), len(mean))
    torch.sub(first, mean, out=copy[: len(first)])
    for part, room in zip(parts, copy.split(CHUNK)[1:], strict=True):
        torch.sub(part, mean, out=room)
    return copy


def _checked(mean: Tensor, constant: bool, rows: int) -> Tensor:
    wrong = int((~mean.isfinite()).sum())
    if wrong:
        raise ValueError(f"acts: {wrong} of {len(mean)} columns have values that are not finite")
    if constant:
        raise ValueError(f"acts: all {rows} rows are alike, so they have no variance")
    return mean


def _add_products(total: Tensor, part: Tensor) -> None:
    """total += part^T part for part (n, size), in the upper triangle at least."""
    if total.device.type == "cpu":
        # Half of the products of a full matrix; scipy's view of the transpose is what BLAS calls lower.
        update = blas.ssyrk if total.dtype == torch.float32 else blas.dsyrk
        update(1.0, part.numpy().T, beta=1.0, c=total.numpy().T, overwrite_c=True, lower=True)
    else:
        total.addmm_(part.T, part)


def _dense(
    acts: Tensor, mean: Tensor, max_columns: int, wanted: int, kind: torch.dtype, vectors: bool
) -> tuple[Tensor, Tensor | None, float]:
    """Eigenvalues and, if asked for, vectors from the smaller of the two matrices of products; and the total variance."""
    rows, columns = len(acts), len(mean)
    gram = rows < columns
    total = torch.zeros((min(rows, columns),) * 2, dtype=kind, device=acts.device)
    if gram:
        centred = _centred(acts, mean, max_columns)
        for part in centred.split(CHUNK, dim=1):
            _add_products(total, part.T.to(kind).contiguous())
        if not vectors:
            del centred
    else:
        for part in _parts(acts, max_columns):
            _add_products(total, part.to(kind).sub_(mean.to(kind)))
    variance = float(total.diagonal().sum(dtype=torch.float64)) / (rows - 1)
    values, found = _solved(total.div_(rows - 1), wanted, vectors)
    if found is not None and gram:
        found = centred.to(found).T @ found
    return values, found, variance


def _solved(total: Tensor, wanted: int, vectors: bool) -> tuple[Tensor, Tensor | None]:
    """The largest eigenvalues, falling, of a symmetric matrix given by its upper triangle."""
    if not vectors:
        return torch.linalg.eigvalsh(total, UPLO="U").flip(0)[:wanted], None
    size = len(total)
    # A subset of the vectors, which torch does not offer.
    values, found = eigh(total.cpu().numpy().T, lower=True, subset_by_index=[size - wanted, size - 1])
    return torch.from_numpy(values[::-1].copy()), torch.from_numpy(found[:, ::-1].copy())


def _krylov(data: Tensor, wanted: int, tolerance: float = 3e-6, steps: int = 30) -> tuple[Tensor, Tensor, float] | None:
    """The largest eigenvalues of centred data (N, D), their vectors and the total variance; None where they do not settle.

    Rayleigh-Ritz values of a block Krylov space rise from step to step, and faster than geometrically: two rises bound what
    is still missing.
    """
    block = max(16, 2 * wanted // 3)  # narrow blocks reach further for the same number of products
    generator = torch.Generator().manual_seed(0)
    new = data.T @ torch.randn(len(data), block, generator=generator, dtype=data.dtype).to(data.device)
    basis, images, values, rise = new[:, :0], data[:, :0], None, None
    for _ in range(steps):
        if basis.shape[1] + block > min(data.shape) // 2:
            return None
        # Twice, since a single orthogonalisation loses digits against directions that are much stronger.
        for _ in range(2):
            new = torch.linalg.qr(new - basis @ (basis.T @ new)).Q
        image = data @ new
        basis, images = torch.cat([basis, new], 1), torch.cat([images, image], 1)
        if basis.shape[1] >= 4 * wanted:
            before, (values, turn) = values, _ritz(basis, images, wanted)
            if before is not None:
                last, rise = rise, float(((values - before).abs() / values).max())
                if last is not None and rise**2 / max(last - rise, rise) <= tolerance:
                    squares = sum(float(row.dot(row)) for row in data)
                    return values / (len(data) - 1), basis.double() @ turn, squares / (len(data) - 1)
        new = data.T @ image
    return None


def _ritz(basis: Tensor, images: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """Rayleigh-Ritz in double precision; a basis that is not quite orthonormal does no harm."""
    basis, images = basis.double(), images.double()
    lower = torch.linalg.cholesky(basis.T @ basis)
    half = torch.linalg.solve_triangular(lower, images.T @ images, upper=False)
    values, turn = torch.linalg.eigh(torch.linalg.solve_triangular(lower, half.T.contiguous(), upper=False))
    turn = torch.linalg.solve_triangular(lower.T, turn.flip(1)[:, :wanted], upper=True)
    return values.flip(0)[:wanted], turn


def _streamed(batches: Iterable[Tensor], max_columns: int, max_components: int, vectors: bool) -> Spectrum:
    """The covariance in one pass, about the mean of the first batch, so that nothing cancels."""
    rows, shift, first, constant = 0, None, None, True
    for batch in batches:
        part = strided_columns(batch.detach(), max_columns)
        if first is None:
            first, shift = part[:1], part.mean(0, dtype=torch.float64)
            total = torch.zeros(len(shift), len(shift), dtype=torch.float64, device=part.device)
            sums = torch.zeros_like(shift)
        constant = constant and bool((part == first).all())
        part = part.double().sub_(shift)
        _add_products(total, part)
        sums += part.sum(0)
        rows += len(part)
    if rows < 2:
        raise ValueError(f"acts: {rows} rows in all batches, must be at least 2")
    mean = _checked(shift + sums / rows, constant, rows)
    total.addr_(sums, sums, alpha=-1 / rows).div_(rows - 1)
    variance = float(total.trace())
    values, found = _solved(total, min(max_components, rows - 1, len(mean)), vectors)
    return _spectrum(values, found, variance, rows, mean, vectors)


def _spectrum(
    values: Tensor, found: Tensor | None, variance: float, rows: int, mean: Tensor, vectors: bool
) -> Spectrum:
    values = values.double().cpu()
    # What rounding leaves beyond the rank of the activations is no variance.
    noise = float(values[0]) * max(rows, len(mean)) * torch.finfo(torch.float64).eps
    values = torch.where(values > noise, values, 0.0)
    if not vectors:
        return Spectrum(values, variance, rows, len(mean))
    found = found.double().cpu()
    found = found / found.norm(dim=0).clamp(min=torch.finfo(torch.float64).tiny)
    largest = found.gather(0, found.abs().argmax(0, keepdim=True))
    return Spectrum(values, variance, rows, len(mean), found * largest.sign(), mean.cpu())


def power_law(eigenvalues: Tensor, window: tuple[int, int] = (10, 50)) -> PowerLaw:
    """Huber regression of log variance on log rank over the ranks of a window, from 1, both ends included.

    float (k,) to `PowerLaw`; scikit-learn's `HuberRegressor` at its defaults, as in the paper. Scale does not matter. Raises
    ValueError for a window that is none or goes past the spectrum, and for variances in it that are not above 0.
    """
    values = torch.as_tensor(eigenvalues).double().cpu().numpy()
    low, high = window
    if not 1 <= low <= high - 2:
        raise ValueError(f"window = {window}: must hold at least three ranks, from 1")
    if high > len(values):
        raise ValueError(f"window = {window}: the spectrum has {len(values)} variances")
    inside = values[low - 1 : high]
    wrong = np.flatnonzero(~((inside > 0) & np.isfinite(inside)))
    if len(wrong):
        raise ValueError(f"window = {window}: variance {low + wrong[0]} is {inside[wrong[0]]:.3g}, must be above 0")
    x, y = np.log(np.arange(low, high + 1)), np.log(inside)
    # Centred: the regression starts from 0, so that a shift, a scale of the variances, would otherwise change the last digits.
    middle = y.mean()
    line = linregress(x, y)
    slope, height = line.slope, line.intercept
    if np.abs(y - slope * x - height).max() > 1e-9:  # on an exact line Huber's scale is 0 and its search fails
        fit = HuberRegressor().fit(x[:, None], y - middle)
        slope, height = float(fit.coef_[0]), float(fit.intercept_ + middle)
    residuals = y - slope * x - height
    spread = ((y - middle) ** 2).sum()
    r2 = 1 - (residuals**2).sum() / spread if spread > 0 else 1.0
    return PowerLaw(float(slope), float(height), float(r2), torch.from_numpy(residuals))


def debiased_alpha(acts: Tensor, window: tuple[int, int] = (10, 50), seed: int = 0, max_columns: int = 8000) -> float:
    """Alpha without most of its bias from few rows: 2 alpha(all rows) - mean alpha of two random halves.

    Few rows flatten the window: the bias falls about as 1 / N, so that this extrapolates to many. `acts` is float (N, ...).
    Raises ValueError where a half has not more rows than the window's last rank.
    """
    if len(acts) < 2 * (window[1] + 1):
        raise ValueError(f"acts: {len(acts)} rows, must be at least {2 * (window[1] + 1)} for window {window}")
    order = torch.randperm(len(acts), generator=torch.Generator().manual_seed(seed)).to(acts.device)

    def alpha(rows: Tensor) -> float:
        return power_law(eigenspectrum(rows, max_columns, window[1]).eigenvalues, window).alpha

    halves = [alpha(acts[half]) for half in order.tensor_split(2)]
    return 2 * alpha(acts) - sum(halves) / 2


def power_spectrum_codes(rows: int, columns: int, alpha: float, seed: int = 0) -> Tensor:
    """Gaussian codes with independent columns of variance k^alpha, k = 1 ... columns: float32 (rows, columns).

    The first columns of a wider code of the same seed are those of a narrower one, if `rows` is a multiple of 16.
    """
    draws = torch.randn(columns, rows, generator=torch.Generator().manual_seed(seed))
    deviations = torch.arange(1, columns + 1, dtype=torch.float64).pow(alpha / 2).float()
    return (draws * deviations[:, None]).T.contiguous()


def moving_dot(frames: int = 100, size: int = 64, sigma: float = 0.05, channels: int = 3) -> Tensor:
    """A white Gaussian dot that goes once round on black: float32 (frames, channels, size, size) in [0, 1] (Figure 4a).

    `sigma` is its width as a share of the picture's; its path has a radius of a quarter and starts at the right, counter-clockwise.
    """
    _at_least_one(frames=frames, size=size, channels=channels)
    if not sigma > 0:
        raise ValueError(f"sigma = {sigma}: must be above 0")
    across, up = (0.5 + 0.25 * dot_position(frames)).unbind(-1)
    pixels = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    columns = (pixels - across[:, None]).square().div(-2 * sigma**2).exp()
    lines = (1 - pixels - up[:, None]).square().div(-2 * sigma**2).exp()
    return (lines[:, :, None] * columns[:, None, :]).float()[:, None].repeat(1, channels, 1, 1)


def dot_position(frames: int) -> Tensor:
    """Where the dot is: (cos t, sin t), t = 2 pi i / frames, float64 (frames, 2)."""
    t = 2 * math.pi * torch.arange(frames, dtype=torch.float64) / frames
    return torch.stack([t.cos(), t.sin()], -1)


def random_projections(acts: Tensor, draws: int = 1000, seed: int = 0, dimensions: int = 3) -> Tensor:
    """Random projections of activations, float (N, ...) to (draws, N, dimensions), in one product (eq. 4).

    Weights are N(0, 1 / m), m the number of values in a row.
    """
    flat = acts.flatten(1)
    weights = torch.randn(flat.shape[1], draws * dimensions, generator=torch.Generator().manual_seed(seed))
    paths = flat @ weights.to(flat).div_(math.sqrt(flat.shape[1]))
    return paths.view(len(flat), draws, dimensions).transpose(0, 1).contiguous()


def action(paths: Tensor, closed: bool = True) -> Tensor:
    """Half the sum of squared steps from frame to frame: float (..., n, d) to (...) (eq. 4).

    `closed` counts the step from the last frame to the first too, as for one whole revolution.
    """
    steps = paths - paths.roll(1, -2)
    return (steps if closed else steps[..., 1:, :]).square().sum((-2, -1)) / 2


def mean_action(acts: Tensor, dimensions: int = 3, closed: bool = True) -> Tensor:
    """The action's exact mean over all random projections of activations (N, ...), a scalar.

    Weights N(0, 1 / m) have <r r^T> = dimensions / m I, so it is dimensions / m times the action of the activations themselves.
    """
    flat = acts.flatten(1).double()
    return dimensions / flat.shape[1] * action(flat, closed)


def projected_energy(eigenvalues: Tensor, neurons: int, dimensions: int = 3) -> Tensor:
    """What eq. 4 gives: half the mean squared length of projected points about their mean, dimensions / (2 m) times the sum of eigenvalues.

    (k,) to a scalar, with all eigenvalues that are not 0. The paper prints 1/2 for dimensions / (2 m). This, not the action, is
    what grows without limit for alpha >= -1.
    """
    return dimensions / (2 * neurons) * eigenvalues.sum()


def explained_variance(paths: Tensor, targets: Tensor) -> Tensor:
    """R² of a linear fit, with intercept, of targets to each path: float (..., n, d) and (n, t) to float64 (...) (Figure 6d).

    The mean over targets. Paths may be constant or have columns that depend on each other. Raises ValueError for a constant target.
    """
    paths, targets = (x.double() - x.double().mean(-2, keepdim=True) for x in (paths, targets.to(paths.device)))
    squares = targets.square().sum(0)
    if targets.shape[-1] == 0 or not bool((squares > 0).all()):
        raise ValueError("targets: a constant target has no variance to explain")
    products = paths.mT @ targets
    inverse = torch.linalg.pinv(paths.mT @ paths, rtol=1e-11, hermitian=True)
    return ((products * (inverse @ products)).sum(-2) / squares).mean(-1)


def action_exponent(actions: Tensor | Sequence[float], frames: Tensor | Sequence[int]) -> float:
    """Slope of log action on log number of frames, (k,) and (k,): a roughness that has no scale; -1 for a smooth path."""
    actions, frames = (torch.as_tensor(x).double().cpu().numpy() for x in (actions, frames))
    if len(set(frames.tolist())) < 2 or not ((actions > 0).all() and (frames > 0).all()):
        raise ValueError(
            f"actions: {actions.tolist()} at frames {frames.tolist()}, must be above 0 at two numbers of frames"
        )
    return float(linregress(np.log(frames), np.log(actions)).slope)


def capacity_under_power_law(neurons: int, alpha: float, bits: float) -> float:
    """Capacity in bits of neurons whose spreads fall as i^alpha: C - |alpha| m log2(m / e) (eq. 3), C = m * bits.

    It holds where all spreads are above one level, 2^bits m^alpha >= 1; beyond it becomes too low and then negative.
    """
    _power_law_arguments(neurons, alpha, bits)
    return neurons * bits - abs(alpha) * neurons * math.log2(neurons / math.e)


def quantised_capacity(neurons: int, alpha: float, bits: float) -> float:
    """Entropy in bits of the quantised code whose unit i is uniform over the whole levels in its range 2^bits i^alpha.

    What eq. 3 approximates, counted: sum of log2 floor(2^bits i^alpha); a unit whose range is below one level holds nothing.
    """
    _power_law_arguments(neurons, alpha, bits)
    # A little up, since 2^bits i^alpha may be a whole number that rounding puts just below.
    levels = np.floor(2.0**bits * np.arange(1, neurons + 1) ** float(alpha) * (1 + 1e-12))
    return float(np.log2(np.maximum(levels, 1)).sum())


def partial_spearman(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Spearman correlation of x and y with the ranks of a third variable taken out, float (..., n) each to float64 (...).

    Ranks, residuals of their linear fit on the ranks of `given`, Pearson correlation. NaN where a residual is constant.
    """
    ranks = [rankdata(rows, axis=-1) for rows in np.broadcast_arrays(x, y, given)]
    x, y, z = (rows - rows.mean(-1, keepdims=True) for rows in ranks)
    square = (z * z).sum(-1, keepdims=True)
    unit = z / np.where(square > 0, square, 1)
    x, y = (rows - (rows * z).sum(-1, keepdims=True) * unit for rows in (x, y))
    lengths = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(lengths > 1e-9, (x * y).sum(-1) / np.where(lengths > 1e-9, lengths, 1), np.nan)


def break_point(x: np.ndarray, y: np.ndarray, points: int = 200) -> np.ndarray:
    """Where two joined straight lines, fitted to y on x, meet: float (..., n) each to float64 (...).

    Least squares by a grid of `points` between the second smallest and the second largest x of each row. NaN where these are equal.
    """
    x, y = (np.asarray(rows, dtype=np.float64) for rows in np.broadcast_arrays(x, y))
    ordered = np.sort(x, axis=-1)
    low, high = ordered[..., 1:2], ordered[..., -2:-1]
    grid = low + (high - low) * np.linspace(0, 1, points)
    hinge = np.maximum(x[..., None, :] - grid[..., None], 0)
    centred = x - x.mean(-1, keepdims=True)
    square = (centred**2).sum(-1, keepdims=True)
    unit = centred / np.sqrt(np.where(square > 0, square, 1))

    def beside_the_line(rows: np.ndarray, unit: np.ndarray) -> np.ndarray:
        rows = rows - rows.mean(-1, keepdims=True)
        return rows - (rows * unit).sum(-1, keepdims=True) * unit

    hinge, y = beside_the_line(hinge, unit[..., None, :]), beside_the_line(y, unit)
    sizes = (hinge**2).sum(-1)
    gain = np.einsum("...gn,...n->...g", hinge, y) ** 2 / np.where(sizes > 1e-12 * square, sizes, np.inf)
    best = np.take_along_axis(grid, gain.argmax(-1)[..., None], -1)[..., 0]
    return np.where((high > low)[..., 0], best, np.nan)


def spatial_frequency(filters: Tensor) -> Tensor:
    """Mean spatial frequency of filters, in cycles per pixel: float (..., C, H, W) to float64 (...) (Figure 3d).

    Radial frequencies weighted with the power, summed over channels; the constant part is left out. NaN for constant filters.
    """
    power = torch.fft.fft2(filters.double()).abs().square().sum(-3)
    power[..., 0, 0] = 0
    down, across = (torch.fft.fftfreq(n, dtype=torch.float64, device=filters.device) for n in filters.shape[-2:])
    radius = (down[:, None].square() + across.square()).sqrt()
    return (power * radius).sum((-2, -1)) / power.sum((-2, -1))


def subspace_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared cosine of the principal angles of two spans, columns (D, k) and (D, k): 1 for the same, about k / D by chance."""
    if a.shape != b.shape:
        raise ValueError(f"b: shape {tuple(b.shape)}, must be that of a, {tuple(a.shape)}")
    a, b = (torch.linalg.qr(x.double()).Q for x in (a, b))
    return (a.T @ b).square().sum() / a.shape[1]


def _at_least_one(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} = {value}: must be at least 1")


def _power_law_arguments(neurons: int, alpha: float, bits: float) -> None:
    _at_least_one(neurons=neurons)
    if not alpha < 0:
        raise ValueError(f"alpha = {alpha}: must be below 0")
    if not bits > 0:
        raise ValueError(f"bits = {bits}: must be above 0")
