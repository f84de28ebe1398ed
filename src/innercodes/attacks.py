"""Adversarial inputs within a box around each input, and the random control of the same size."""

import torch
from torch import Tensor, nn


def pgd(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    size: float,
    steps: int,
    seed: int,
    low: float = -torch.inf,
    high: float = torch.inf,
) -> Tensor:
    """Projected gradient descent in the L-infinity norm (Madry et al. 2018): inputs (B, ...) to attacked inputs.

    A random start in the box of half-width `size`, then `steps` steps of 2.5 * size / steps up the cross-entropy; every
    value stays within `size` of where it was and within [low, high].
    """
    generator = torch.Generator().manual_seed(seed)
    start = (2 * torch.rand(inputs.shape, generator=generator) - 1).to(inputs) * size
    attacked = (inputs + start).clamp(low, high)
    for _ in range(steps):
        attacked.requires_grad_(True)
        loss = nn.functional.cross_entropy(model(attacked), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, attacked)
        with torch.no_grad():
            moved = attacked + 2.5 * size / steps * slope.sign()
            attacked = torch.minimum(torch.maximum(moved, inputs - size), inputs + size).clamp(low, high)
    return attacked.detach()


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
