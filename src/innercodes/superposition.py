"""Toy models of superposition (Elhage et al. 2022) and what entropy says of them (eq. 1, Marshall & Kirchner 2024)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

# The learning rate ends at this share of its start.
LAST_RATE = 0.01


@dataclass(frozen=True)
class Toy:
    """Trained toy models, one for each sparsity (s,): `weights` (s, m, n), `biases` (s, n), and `losses` (s,).

    A loss is the mean squared error of an input summed over its features, the mean over the last tenth of the steps.
    """

    sparsities: Tensor
    weights: Tensor
    biases: Tensor
    losses: Tensor


def compression_ratio(sparsity: Tensor | float, entropy_bits: float) -> Tensor:
    """R, hidden units per feature that an optimal code needs: 1 - S + h(S) / H (eq. 1), elementwise, float64.

    `sparsity` S is the probability that a feature is 0, `entropy_bits` H the entropy of one that is not, h the binary entropy.
    R(0) = 1 and R(1) = 0; it is above 1 near S = 1 / (1 + 2^H), so not monotone.
    """
    if not entropy_bits > 0:
        raise ValueError(f"entropy_bits = {entropy_bits}: must be above 0")
    s = _sparsities(sparsity)
    uncertainty = -(torch.xlogy(s, s) + torch.xlogy(1 - s, 1 - s)) / np.log(2)
    return 1 - s + uncertainty / entropy_bits


def train(
    features: int,
    hidden: int,
    sparsities: Tensor,
    steps: int,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Toy:
    """Train x^ = ReLU(W^T W x + b), all importances 1, at every sparsity of (s,) at once: one batched model, Adam.

    A feature is 0 with probability S, else uniform on [0, 1]; each step draws a new batch. The learning rate falls as a half
    cosine to a hundredth. A sparsity may come more than once: its models then differ in start and data. Same seed and device,
    same numbers.
    """
    s = _sparsities(sparsities).flatten()
    for name, value in (("features", features), ("hidden", hidden), ("steps", steps), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} = {value}: must be at least 1")
    if not bool((s < 1).all()):
        raise ValueError("sparsities: must be below 1, a feature that is always 0 cannot be learned")
    start, device = torch.Generator().manual_seed(seed), torch.device(device)
    weights = (torch.randn(len(s), hidden, features, generator=start) * (2 / (hidden + features)) ** 0.5).to(device)
    biases = torch.zeros(len(s), 1, features, device=device)
    draws = torch.Generator(device).manual_seed(seed)
    density = (1 - s).float().to(device)[:, None, None]
    optimiser = torch.optim.Adam([weights, biases], lr=learning_rate)
    inputs = torch.empty(len(s), batch_size, features, device=device)
    total = torch.zeros(len(s), device=device)
    last = max(steps // 10, 1)
    for step in tqdm(range(steps), disable=not progress, unit="step", desc="toy models"):
        optimiser.param_groups[0]["lr"] = learning_rate * (
            LAST_RATE + (1 - LAST_RATE) * (1 + np.cos(np.pi * step / steps)) / 2
        )
        # One uniform number makes both the zero and the value.
        torch.rand(inputs.shape, generator=draws, device=device, out=inputs)
        inputs.sub_(1 - density).div_(density).relu_()
        loss, weights.grad, biases.grad = _gradients(weights, biases, inputs)
        optimiser.step()
        if step >= steps - last:
            total += loss
    return Toy(s, weights.cpu(), biases[:, 0].cpu(), (total / last).cpu())


def _gradients(weights: Tensor, biases: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of each model (s,) and its gradients, by hand: twice as fast as autograd, since most of the work is elementwise."""
    h = x @ weights.mT
    out = torch.baddbmm(biases, h, weights)
    active = out > 0
    error = out.relu_().sub_(x)
    loss = error.square().sum((1, 2)) / x.shape[1]
    error.mul_(active).mul_(2 / x.shape[1])
    by_weights = h.mT @ error + (error @ weights.mT).mT @ x
    return loss, by_weights, error.sum(1, keepdim=True)


def dimensions_per_feature(weights: Tensor) -> Tensor:
    """D* = m / ||W||_F^2 (Elhage et al. 2022): hidden units per represented feature, float (..., m, n) to (...)."""
    return weights.shape[-2] / weights.square().sum((-2, -1))


def feature_dimensionality(weights: Tensor) -> Tensor:
    """D_i = ||W_i||^2 / sum_j (W_i / ||W_i|| . W_j)^2 (Elhage et al. 2022): float (..., m, n) to (..., n), 0 for a feature left out.

    1 for a feature with a direction of its own, 1/2 for one of an antipodal pair.
    """
    products = (weights.mT @ weights).square()
    squares = weights.square().sum(-2)
    return squares.square() / products.sum(-1).clamp(min=torch.finfo(weights.dtype).tiny)


def plateaus(ratio: Tensor, dimensions: Tensor, tolerance: float = 0.05, factor: float = 1.3) -> int:
    """How many of the levels 1 and 1/2 hold a plateau of D* over 1 / (1 - S), (s,) and (s,) (COD-2).

    A plateau: two neighbouring points of the sweep, apart by a factor of at least `factor`, both within `tolerance` of the level.
    Raises ValueError for a sweep so fine that no two neighbours are that far apart: it could show no plateau.
    """
    order = torch.argsort(ratio)
    ratio, dimensions = ratio[order].double(), dimensions[order].double()
    apart = ratio[1:] / ratio[:-1] >= factor * (1 - 1e-9)
    if not bool(apart.any()):
        raise ValueError(
            f"ratio: no two neighbours of {len(ratio)} points are apart by a factor of {factor}, take fewer points"
        )
    near = [(dimensions - level).abs() <= tolerance for level in (1.0, 0.5)]
    return sum(bool((apart & close[1:] & close[:-1]).any()) for close in near)


def _sparsities(sparsity: Tensor | float) -> Tensor:
    s = torch.as_tensor(sparsity, dtype=torch.float64)
    if not bool(((s >= 0) & (s <= 1)).all()):
        raise ValueError(f"sparsity = {s.flatten().tolist()[:8]}: must be from 0 to 1")
    return s
