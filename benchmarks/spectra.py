"""The hot paths of the coding lens beside their peers: `python benchmarks/spectra.py [--out FILE] [--quick]`."""

import math
import sys
from collections.abc import Iterator

import numpy as np
import ratios
import torch
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from torch import Tensor

from innercodes import spectra

MODULES = "from threadpoolctl import threadpool_limits; from innercodes import spectra; threadpool_limits(1)"
FEW = 50


def exact(codes: Tensor) -> np.ndarray:
    """All variances, largest first, by numpy in double precision; the covariance is made in parts for lack of room."""
    mean, rows = codes.mean(0, dtype=torch.float64), len(codes)
    total = torch.zeros(codes.shape[1], codes.shape[1], dtype=torch.float64)
    for part in codes.split(1000):
        centred = part.double() - mean
        total.addmm_(centred.T, centred)
    return np.linalg.eigvalsh(total.div_(rows - 1).numpy())[::-1]


def pca(codes: Tensor, components: int) -> np.ndarray:
    """The paper's way."""
    return PCA(components, svd_solver="randomized", random_state=0).fit(codes.numpy()).explained_variance_


def spectrum(quick: bool) -> Iterator[ratios.Row]:
    """Time and errors of the spectrum against the paper's randomised PCA; one thread on both sides."""
    rows, columns, components = (300, 200, 100) if quick else (10_000, 8000, 1000)
    codes = spectra.power_spectrum_codes(rows, columns, -1.0, 0)
    true, peer = exact(codes), f"randomised PCA, {components} components"
    theirs = np.abs(pca(codes, components) / true[:components] - 1).max()
    for wanted, limit, error_limit in ((components, 1.0, 1e-3), (FEW, 0.15, 1e-5)):
        found = spectra.eigenspectrum(codes, max_components=wanted).eigenvalues.numpy()
        error = float(np.abs(found / true[:wanted] - 1).max())
        name = f"spectrum, {rows} x {columns}, ranks 1 to {wanted}"
        yield ratios.compare(
            name, lambda k=wanted: spectra.eigenspectrum(codes, max_components=k),
            peer, lambda: pca(codes, components), limit, repeats=1 if quick else 3,
        )  # fmt: skip
        yield ratios.Row(
            f"{name}, largest relative error", peer="1", ratio=error, limit=error_limit, ok=error <= error_limit,
            note=f"the peer errs by {theirs:.1g} over its {components}",
        )  # fmt: skip


def memory(quick: bool) -> Iterator[ratios.Row]:
    """Peak memory beyond the activations."""
    rows, columns, components = (300, 200, 100) if quick else (10_000, 8000, 1000)
    for wanted in (components, FEW):
        # The library's own first use is not counted; the codes are made in place, so that the peak before is theirs.
        code = f"""
            x = torch.empty({rows}, {columns}).normal_(generator=torch.Generator().manual_seed(0))
            x.mul_(torch.arange(1, {columns} + 1).float().rsqrt_())
            spectra.eigenspectrum(x[:100])
            before, size = peak(), 6e8
            spectra.eigenspectrum(x, max_components={wanted})
            added = peak() - before"""
        yield ratios.memory(
            f"memory of the spectrum, {rows} x {columns}, ranks 1 to {wanted}", MODULES, code, "0.6 GB", 1.0
        )


def projections(quick: bool) -> Iterator[ratios.Row]:
    """Random projections of a hundred frames and their actions, all in one product against one by one."""
    frames, neurons, draws = (10, 32, 20) if quick else (100, 2048, 1000)
    codes = spectra.power_spectrum_codes(frames, neurons, -1.0, 0)

    def at_once() -> Tensor:
        return spectra.action(spectra.random_projections(codes, draws, 0))

    def one_by_one() -> Tensor:
        generator, found = torch.Generator().manual_seed(0), []
        for _ in range(draws):
            path = codes @ (torch.randn(neurons, 3, generator=generator) / math.sqrt(neurons))
            found.append(0.5 * (path - path.roll(1, 0)).square().sum())
        return torch.stack(found)

    gap = float((at_once().mean() / one_by_one().mean() - 1).abs())
    yield ratios.compare(
        f"{draws} random projections and actions, m = {neurons}", at_once, "a loop", one_by_one, 1 / 5, repeats=5,
        note=f"at least 5x faster; means agree to {gap:.0e}, drawn apart",
    )  # fmt: skip


SECTIONS = (spectrum, memory, projections)

if __name__ == "__main__":
    # scipy and numpy have thread pools of their own, which torch does not set.
    with threadpool_limits(1):
        sys.exit(ratios.main("spectra", SECTIONS, ("scikit-learn", "scipy", "threadpoolctl")))
