"""Adversarial inputs within a box around each input, and the random control of the same size."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from innercodes.memory import Chunks


def pgd(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    size: float,
    steps: int,
    seed: int,
    low: float = -torch.inf,
    high: float = torch.inf,
    step: float | None = None,
) -> Tensor:
    """Projected gradient descent in the L-infinity norm (Madry et al. 2018): inputs (B, ...) to attacked inputs.

    A random start in the box of half-width `size`, then `steps` steps of length `step` (2.5 * size / steps by default) up the
    cross-entropy; every value stays within `size` of where it was and within [low, high]. Where a GPU runs out of memory, half as
    many inputs at once get their gradients, and a warning says so.
    """

    chunks = Chunks("inputs", max(len(inputs), 1))

    def slope(attacked: Tensor) -> Tensor:
        found = torch.empty_like(attacked)

        def fill(rows: slice) -> None:
            x = attacked[rows].requires_grad_(True)
            loss = nn.functional.cross_entropy(model(x), labels[rows], reduction="sum")
            (found[rows],) = torch.autograd.grad(loss, x)

        chunks.over(len(attacked), fill)
        return found

    return _climb(slope, inputs, size, steps, seed, low, high, step)


def ascend(
    objective: Callable[[Tensor], Tensor],
    inputs: Tensor,
    size: float,
    steps: int,
    seed: int,
    low: float = -torch.inf,
    high: float = torch.inf,
    step: float | None = None,
) -> Tensor:
    """The attack of `pgd` up any objective: inputs (B, ...) to a scalar, the sum of one term for each input. All go at once."""

    def slope(attacked: Tensor) -> Tensor:
        attacked.requires_grad_(True)
        (found,) = torch.autograd.grad(objective(attacked), attacked)
        return found

    return _climb(slope, inputs, size, steps, seed, low, high, step)


def _climb(
    slope: Callable[[Tensor], Tensor],
    inputs: Tensor,
    size: float,
    steps: int,
    seed: int,
    low: float,
    high: float,
    step: float | None,
) -> Tensor:
    """Steps along the signs of a slope, inputs (B, ...) to the same shape, within the box."""
    step = 2.5 * size / steps if step is None else step
    generator = torch.Generator().manual_seed(seed)
    start = (2 * torch.rand(inputs.shape, generator=generator) - 1).to(inputs) * size
    attacked = (inputs + start).clamp(low, high)
    for _ in range(steps):
        uphill = slope(attacked)
        with torch.no_grad():
            moved = attacked + step * uphill.sign()
            attacked = torch.minimum(torch.maximum(moved, inputs - size), inputs + size).clamp(low, high)
    return attacked.detach()


def uniform_noise(inputs: Tensor, size: float, seed: int, low: float = -torch.inf, high: float = torch.inf) -> Tensor:
    """The inputs with noise from U(0, size) on every value, within [low, high] (section 3.2, Lee & Vijayan 2023)."""
    generator = torch.Generator().manual_seed(seed)
    return (inputs + size * torch.rand(inputs.shape, generator=generator).to(inputs)).clamp(low, high)


def equal_noise(
    inputs: Tensor, attacked: Tensor, seed: int, low: float = -torch.inf, high: float = torch.inf
) -> Tensor:
    """The inputs with Gaussian noise of the attack's L2 norm for each sample: the random control of an attack.

    Where [low, high] cuts noise off, the rest grows until the norm is met to a part in a thousand, or 100 rounds are over.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = (attacked - inputs).flatten(1).norm(dim=1)
    noise = torch.randn(inputs.shape, generator=generator).to(inputs)
    shape = (-1, *[1] * (inputs.dim() - 1))
    for _ in range(100):
        found = noise.flatten(1).norm(dim=1)
        if bool(((found - wanted).abs() <= 1e-3 * wanted).all()):
            break
        noise = (inputs + noise * (wanted / found.clamp(min=1e-30)).view(shape)).clamp(low, high) - inputs
    return inputs + noise
