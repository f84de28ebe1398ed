"""The hot paths of the telescope lens beside their peers: `python benchmarks/telescope.py [--out FILE] [--quick]`."""

import sys
from collections.abc import Iterator

import ratios
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from innercodes import activations, attacks, models, telescope

MODULES = "from innercodes import activations, models, telescope"


def codes_of(rows: int, columns: int) -> Tensor:
    """Codes as a layer gives them: not negative, a few directions strong, some noise."""
    return (torch.randn(rows, 20) @ torch.randn(20, columns) + 0.5 * torch.randn(rows, columns)).relu()


def maps_against_quicksom(quick: bool) -> Iterator[ratios.Row]:
    """The same steps, data, order and start; few steps of the peer, since it is slow and holds on to its memory."""
    sizes = ((5000, 2048, 50, 1 / 35), (5000, 2048, 10, 1 / 18), (10_000, 256, 10, 1 / 6), (10_000, 256, 1, 1 / 6))
    for rows, columns, batch, limit in (
        ((60, 16, 10, 1), (60, 16, 7, 1), (60, 8, 10, 1), (60, 16, 1, 1)) if quick else sizes
    ):
        codes, grid, steps = codes_of(rows, columns), 4 if quick else 20, 20
        start = torch.randn(grid * grid, columns)
        order = torch.randperm(rows)[None, : steps * batch]
        used = codes[order[0]]  # an epoch is all the codes there are
        order = torch.arange(len(used))[None]

        def fit(backend: str, x=used, n=batch, w=start, o=order, g=grid) -> telescope.SOM:
            return telescope.fit_som(x, g, epochs=1, batch_size=n, start=w, order=o, backend=backend)

        gap = float((fit("innercodes").weights - fit("quicksom").weights).abs().max())
        assert gap < 1e-2, f"the two maps differ: {gap:.2g}"
        yield ratios.compare(
            f"SOM {grid} x {grid}, {steps} steps, D = {columns}, batch {batch}",
            lambda f=fit: f("innercodes"), "quicksom", lambda f=fit: f("quicksom"), limit, repeats=5,
            note=f"at least {1 / limit:.3g}x faster; weights agree to {gap:.0e}",
        )  # fmt: skip


def maps_against_their_products(quick: bool) -> Iterator[ratios.Row]:
    """What a step must do at least: one product to find the units and one to move them."""
    units, columns, steps = (16, 16, 20) if quick else (400, 2048, 100)
    for batch, limit in ((10, 2.2), (50, 3.0)):
        codes, start = codes_of(steps * batch, columns), torch.randn(units, columns)
        order, pull = torch.arange(len(codes))[None], torch.rand(units, batch) / 1000
        side = round(units**0.5)

        def products(x=codes, w=start, p=pull, n=batch) -> Tensor:
            w = w.clone()
            for part in x.split(n):
                part @ w.T
                w.addmm_(p, part)
            return w

        yield ratios.compare(
            f"SOM {side} x {side}, {steps} steps, D = {columns}, batch {batch}",
            lambda x=codes, w=start, o=order, n=batch, s=side: telescope.fit_som(x, s, epochs=1, batch_size=n, start=w, order=o),
            "the two matrix products of a step", products, limit, repeats=7,
        )  # fmt: skip


def taps(quick: bool) -> Iterator[ratios.Row]:
    """One pass with the vector codes of all stages, against the pass alone."""
    import timm  # after innercodes, which repairs its import

    torch.manual_seed(0)
    side, rows = (32, 8) if quick else (224, 64)
    small = models.untrained("resnet20", 0, channels=1, outputs=10).eval()
    for name, model, pictures, batch, limit in (
        ("resnet18", timm.create_model("resnet18").eval(), torch.rand(rows, 3, side, side), 32, 1.05),
        ("CIFAR ResNet-20", small, torch.rand(rows * 8, 1, 32, 32), 128, 1.15),
    ):
        names = activations.stages(model)[-4:]

        def bare(m: nn.Module = model, x: Tensor = pictures, n: int = batch) -> Tensor:
            with torch.inference_mode():
                return torch.cat([m(part) for part in x.split(n)])

        yield ratios.compare(
            f"{len(names)} stages of {name}, {len(pictures)} pictures of {pictures.shape[-1]} px",
            lambda m=model, x=pictures, s=names, n=batch: activations.collect(m, x.split(n), s, activations.vector_codes),
            "a bare forward pass", bare, limit, repeats=7,
        )  # fmt: skip


def pgd(quick: bool) -> Iterator[ratios.Row]:
    """The attack beside the forward passes and input gradients that it can not do without."""
    network = models.untrained("resnet8" if quick else "resnet20", 0, channels=3, outputs=10).eval()
    inputs, steps = torch.rand(8 if quick else 128, 3, 32, 32), 2 if quick else 10
    labels = torch.zeros(len(inputs), dtype=torch.int64)

    def gradients() -> Tensor:
        x = inputs.clone()
        for _ in range(steps):
            x.requires_grad_(True)
            loss = nn.functional.cross_entropy(network(x), labels, reduction="sum")
            (slope,) = torch.autograd.grad(loss, x)
            x = x.detach()
        return slope

    yield ratios.compare(
        f"PGD, {steps} steps on {len(inputs)} pictures, CIFAR ResNet-20",
        lambda: attacks.pgd(network, inputs, labels, 0.01, steps, 0, 0, 1),
        "forward passes and input gradients", gradients, 1.05, repeats=7,
    )  # fmt: skip


def axes(quick: bool) -> Iterator[ratios.Row]:
    """Explained variance of the first 30 axes."""
    rows, columns, components = (100, 40, 30) if quick else (10_000, 2048, 1000)
    codes = codes_of(rows, columns)

    def theirs() -> PCA:
        return PCA(components, svd_solver="randomized", random_state=0).fit(codes.numpy())

    gap = float(
        (telescope.explained_variance(codes) - torch.from_numpy(theirs().explained_variance_ratio_[:30])).abs().max()
    )
    yield ratios.compare(
        f"explained variance, {rows} x {columns}", lambda: telescope.explained_variance(codes),
        f"randomised PCA, {components} components", theirs, 0.2, repeats=3, note=f"they agree to {gap:.0e}",
    )  # fmt: skip
    exact = torch.linalg.eigvalsh(torch.cov(codes.double().T)).flip(0)[:30] / codes.double().var(0).sum()
    error = float((telescope.explained_variance(codes) - exact).abs().max())
    yield ratios.Row("explained variance, error", peer="1", ratio=error, limit=1e-4, ok=error <= 1e-4)


def memory(quick: bool) -> Iterator[ratios.Row]:
    """Peak memory must not grow with the number of steps or pictures beyond the results."""
    steps, pictures = (200, 500) if quick else (25_000, 10_000)
    maps = f"""
        x = torch.rand(1000, 64)
        telescope.fit_som(x, 5, epochs=1, batch_size=10)
        before, size = peak(), 25 * 64 * 4 * {steps}
        telescope.fit_som(x, 5, epochs={steps} // 100, batch_size=10)
        added = peak() - before"""
    passes = f"""
        m = models.untrained("resnet8", 0, channels=1, outputs=4)
        names, batches = ["layer1", "layer3"], lambda n: (torch.rand(50, 1, 32, 32) for _ in range(n // 50))
        collect = lambda n: activations.collect(m, batches(n), names, activations.vector_codes, total=n)
        collect({pictures} // 10)
        before, size = peak(), {pictures} * 20 * 32 * 32 * 4
        kept = collect({pictures})
        added = peak() - before - sum(t.nbytes for t in kept.values())"""
    yield ratios.memory(f"memory added by {steps} steps of a SOM", MODULES, maps, "the weights of all these steps", 0.2)
    yield ratios.memory(
        f"memory added from {pictures // 10} to {pictures} pictures", MODULES, passes, "the maps of all of them", 0.02
    )


SECTIONS = (maps_against_quicksom, maps_against_their_products, taps, pgd, axes, memory)

if __name__ == "__main__":
    sys.exit(ratios.main("telescope", SECTIONS, ("quicksom", "scikit-learn", "timm")))
