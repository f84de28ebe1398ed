"""The hot paths of the interactions lens beside their peers: `python benchmarks/interactions.py [--out FILE] [--quick]`."""

import sys
from collections.abc import Iterator

import numpy as np
import ratios
import shapiq
import torch
from torch import Tensor, nn

from innercodes import interactions, masking, moebius

MODULES = "from innercodes import masking, moebius"


def transforms(quick: bool) -> Iterator[ratios.Row]:
    """Moebius transforms, finiteness check included, against a copy of the array on one thread."""
    copy = "x.clone(), one thread"
    for n, in_place, limits in ((20, False, (4.5, 2)), (24, True, (12, 5))):
        n = n - 8 if quick else n
        x = torch.randn(2**n, dtype=torch.float64)
        # Forth and back in turn: an array transformed in place one way only would soon overflow.
        signs = iter([-1, 1] * 1000)
        for threads, limit in zip((1, 2), limits, strict=True):
            yield ratios.compare(
                f"Moebius transform{' in place' if in_place else ''}, n = {n}",
                lambda x=x, s=signs, p=in_place: moebius.subsets(x, next(s), in_place=p, check=True),
                copy, x.clone, limit, threads, repeats=7 if in_place else 31,
            )  # fmt: skip
    for n in (8, 10, 12):
        x = torch.randn(2 ** (12 if quick else 20) >> n, 2**n, dtype=torch.float64)
        yield ratios.compare(
            f"Moebius transform, {len(x)} x 2^{n}", lambda x=x: moebius.subsets(x, -1, check=True), copy, x.clone, 15, repeats=31
        )  # fmt: skip
    x = torch.randn(2 ** (10 if quick else 20), dtype=torch.float64)
    yield ratios.compare(
        f"adjoint, n = {interactions.players(x)}", lambda: moebius.supersets(x, -1), copy, x.clone, repeats=31
    )
    error = float((interactions.reconstruct(interactions.harsanyi(x)) - x).abs().max() / x.abs().max())
    yield ratios.Row(
        f"round trip error, n = {interactions.players(x)}", peer="max |v|", ratio=error, limit=1e-12, ok=error <= 1e-12
    )


def exact_peers(quick: bool) -> Iterator[ratios.Row]:
    """The same dividends by other means; no limits."""
    for n in (5, 6) if quick else (10, 12):
        v = torch.randn(2**n, dtype=torch.float64)
        matrix = dense_matrix(n).double()
        assert torch.allclose(interactions.harsanyi(v), matrix @ v, atol=1e-9)
        yield ratios.compare(
            f"Harsanyi dividends, n = {n}",
            lambda v=v: interactions.harsanyi(v), "dense 2^n x 2^n matrix", lambda v=v, m=matrix: m @ v,
        )  # fmt: skip
    values, powers = v.numpy(), 2 ** np.arange(n)

    def by_shapiq() -> None:
        game = shapiq.ExactComputer(lambda masks: values[np.asarray(masks, dtype=int) @ powers], n_players=n)
        game("Moebius")

    yield ratios.compare(
        f"Harsanyi dividends, n = {n}", lambda: interactions.harsanyi(v), "shapiq's exact Moebius", by_shapiq, repeats=3
    )  # fmt: skip


def dense_matrix(n: int) -> Tensor:
    """The authors' signed subset matrix, float32 (2^n, 2^n): I = M v with M[S, T] = (-1)^(|S| - |T|) for T in S."""
    sizes, s = interactions.orders(n), torch.arange(2**n)
    inside = (s[None, :] & ~s[:, None]) == 0
    signs = 1 - 2 * ((sizes[:, None] - sizes[None, :]) % 2)
    return (inside * signs).float()


def small_cnn() -> nn.Module:
    """1 -> 16 -> 32 -> 32 channels of 3 x 3 convolutions on 32 x 32 pictures, random weights."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for wide_in, wide_out in ((1, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(wide_in, wide_out, 3, padding=1), nn.BatchNorm2d(wide_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()


def masked_inference(quick: bool) -> Iterator[ratios.Row]:
    """Streaming 2^n masked pictures through a small network."""
    n = 5 if quick else 12
    network, picture = small_cnn(), torch.randn(1, 1, 32, 32)
    part = torch.arange(32 * 32).view(32, 32) * n // (32 * 32)

    def masked(masks: Tensor) -> Tensor:
        return torch.where(masks[:, part].unsqueeze(1), picture, 0.0)

    def score(masks: Tensor) -> Tensor:
        return network(masked(masks))[:, 0]

    chunk = masking.fitting_chunk(score, n)
    prepared = masked(interactions.coalitions(n)).split(chunk)

    def plain() -> Tensor:
        with torch.no_grad():
            return torch.cat([network(inputs)[:, 0] for inputs in prepared])

    assert torch.allclose(plain(), masking.masked_outputs(score, n), atol=1e-6)
    note = f"small CNN, the chunk chosen is {chunk}"
    yield ratios.compare(
        f"masked outputs, n = {n}", lambda: masking.masked_outputs(score, n), "inference on inputs masked before, same chunk",
        plain, 1.05, repeats=7, note=note,
    )  # fmt: skip
    yield ratios.compare(
        f"masked outputs, n = {n}", lambda: masking.masked_outputs(score, n), "chunks of 1024",
        lambda: masking.masked_outputs(score, n, 1024), 1 / 1.7, repeats=3, note=f"{note}; at least 1.7x faster",
    )  # fmt: skip


def memory(quick: bool) -> Iterator[ratios.Row]:
    """Peak memory, each in a process of its own: what the call adds to the array it is given or returns."""
    n = 16 if quick else 24
    in_place = f"""
        moebius.subsets(torch.zeros(2**17, dtype=torch.float64), in_place=True)
        x = torch.ones(2**{n}, dtype=torch.float64)
        before, size = peak(), x.nbytes
        moebius.subsets(x, sign=-1, in_place=True, check=True)
        added = size + peak() - before"""
    streamed = f"""
        score = lambda masks: masks.sum(-1, dtype=torch.float64)
        masking.masked_outputs(score, 14)
        before, size = peak(), 8 * 2**{n}
        masking.masked_outputs(score, {n})
        added = peak() - before"""
    yield ratios.memory(f"memory of the transform in place, n = {n}", MODULES, in_place, "the array", 1.05)
    yield ratios.memory(f"memory of masked outputs, n = {n}", MODULES, streamed, "the result", 1.1)


def and_or_fits(quick: bool) -> Iterator[ratios.Row]:
    """The sub-gradient fit, float32, same updates and same loss on both sides: the authors' dense products as the peer."""
    # samples, n, iterations, limit. One sample at a time is how the authors run it.
    sizes = ((1, 10, 400, 1 / 20), (1, 12, 100, 1 / 60), (1000, 10, 5, 1 / 2.5), (250, 12, 5, 1 / 8))
    tiny = ((1, 5, 20, 1), (1, 6, 20, 1), (3, 6, 20, 1), (2, 5, 20, 1))
    for samples, n, iterations, limit in tiny if quick else sizes:
        # Each output is its own player sums plus noise: neither a sparse game nor a random one.
        weights = torch.randn(samples, n)
        outputs = (weights @ interactions.coalitions(n).float().T).tanh() + 0.1 * torch.randn(samples, 2**n)
        matrices = dense_matrix(n), -dense_matrix(n).flip(-1)
        matrices[1][0] = 0  # the empty OR interaction is none
        ours = interactions.fit_and_or(outputs, iterations).after
        theirs = dense_fit(outputs, iterations, *matrices)
        gap = float(((ours - theirs).abs() / theirs).max())
        assert gap < 1e-3, f"the two fits end in different losses: {gap:.2g}"
        yield ratios.compare(
            f"AND-OR fit, {samples} x 2^{n}, {iterations} iterations",
            lambda v=outputs, i=iterations: interactions.fit_and_or(v, i), "dense 2^n x 2^n products",
            lambda v=outputs, i=iterations, m=matrices: dense_fit(v, i, *m), limit, repeats=3,
            note=f"at least {1 / limit:.3g}x faster; losses agree to {gap:.0e}",
        )  # fmt: skip


def dense_fit(outputs: Tensor, iterations: int, to_and: Tensor, to_or: Tensor) -> Tensor:
    """The updates of `fit_and_or` at its defaults by dense products: (B, 2^n) to the final L1 norms (B,)."""
    rates = 0.003 / outputs.shape[-1] * 0.1 ** np.linspace(0, 1, iterations)
    centred = outputs - outputs[:, :1]
    scale = centred.abs().amax(-1, keepdim=True)
    u = centred / scale
    limit = (0.04 * u[:, -1:].abs()).expand_as(u).clone()
    limit[:, 0] = 0
    gamma, noise, speed_gamma, speed_noise = (torch.zeros_like(u) for _ in range(4))

    def terms() -> tuple[Tensor, Tensor]:
        half = (u - noise) / 2
        return (half + gamma) @ to_and.T, (half - gamma) @ to_or.T

    for rate in rates.tolist():
        and_, or_ = terms()
        by_and, by_or = and_.sign() @ to_and, or_.sign() @ to_or
        speed_gamma.mul_(0.9).add_(by_and - by_or)
        speed_noise.mul_(0.9).sub_((by_and + by_or) / 2)
        gamma.sub_(speed_gamma, alpha=rate)
        gamma[:, 0] = 0
        noise.sub_(speed_noise, alpha=rate)
        torch.minimum(torch.maximum(noise, -limit, out=noise), limit, out=noise)
    and_, or_ = terms()
    return (and_.abs().sum(-1) + or_.abs().sum(-1)) * scale[:, 0]


SECTIONS = (transforms, exact_peers, masked_inference, memory, and_or_fits)

if __name__ == "__main__":
    sys.exit(ratios.main("interactions", SECTIONS, ("numba", "shapiq")))
