"""Networks that learn to correct errors (supplementary figure 1, Marshall & Kirchner 2024; COD-5).

A deep narrow tanh network copies three numbers while dropout destroys a part of every fourth layer. How much of the input a layer
still holds is read by a linear fit and estimated as mutual information (MINE, Belghazi et al. 2018).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn
from tqdm.auto import tqdm

SIZE = 3
"""Numbers in the input, uniform on [-1, 1], and in the output."""
EVERY = 4
"""Dropout comes after each so many layers."""
# The learning rate ends at this share of its start.
LAST_RATE = 0.01


class CorrectingNet(nn.Module):
    """`depth` tanh layers of `width` and a linear output of `SIZE`, started as Keras does (Glorot, biases 0) from `seed`.

    Dropout is an argument of a pass, not a mode: every network can be read at every rate, trained or not.
    """

    def __init__(self, depth: int = 40, width: int = 32, seed: int = 0):
        super().__init__()
        for name, value in (("depth", depth), ("width", width)):
            if value < 1:
                raise ValueError(f"{name} = {value}: must be at least 1")
        sizes = [SIZE, *[width] * depth, SIZE]
        self.layers = _linear_layers(sizes, torch.Generator().manual_seed(seed))

    def states(self, x: Tensor, rate: float = 0.0, generator: torch.Generator | None = None) -> list[Tensor]:
        """What each layer passes on, after dropout where it has one: float (N, 3) to `depth` tensors (N, width).

        After every 4th layer units become 0 with probability `rate`; the rest is not scaled up, as in the paper.
        """
        _check_rate(rate)
        found = []
        for i, layer in enumerate(self.layers[:-1]):
            x = torch.tanh(layer(x))
            if rate and (i + 1) % EVERY == 0:
                x = x * (torch.rand(x.shape, generator=generator, device=x.device) >= rate)
            found.append(x)
        return found

    def forward(self, x: Tensor, rate: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """Float (N, 3) to (N, 3)."""
        return self.layers[-1](self.states(x, rate, generator)[-1])


@dataclass(frozen=True)
class Trained:
    """A network, and the mean squared error of each step that it was trained for, (steps,)."""

    net: CorrectingNet
    losses: Tensor


def train(
    depth: int = 40,
    rate: float = 0.2,
    seed: int = 0,
    steps: int = 40_000,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    width: int = 32,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Trained:
    """Train a network to give back its input under dropout at `rate`; 0 is the arm "without", 0 `steps` the "untrained" one.

    Adam, with a learning rate that falls as a half cosine to a hundredth (the paper's is constant); new inputs in every step. All
    arms of a seed start from the same weights and see the same inputs. The defaults are the paper's sizes.
    """
    _check_rate(rate)
    for name, value, least in (("steps", steps, 0), ("batch_size", batch_size, 1)):
        if value < least:
            raise ValueError(f"{name} = {value}: must be at least {least}")
    device = torch.device(device)
    net = CorrectingNet(depth, width, seed).to(device)
    inputs, noise = (torch.Generator(device).manual_seed(2 * seed + i) for i in (0, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=learning_rate)
    losses = torch.empty(steps)
    for step in tqdm(range(steps), disable=not progress, unit="step", desc=f"{depth} layers, dropout {rate:g}"):
        optimiser.param_groups[0]["lr"] = learning_rate * (
            LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / steps)) / 2
        )
        x = _inputs(batch_size, inputs, device)
        loss = nn.functional.mse_loss(net(x, rate, noise), x)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses[step] = loss.detach()
    return Trained(net, losses)


@torch.no_grad()
def readable(net: CorrectingNet, rate: float, samples: int = 4096, seed: int = 0) -> Tensor:
    """R² with which a linear fit reads the input from each layer under dropout at `rate`, float64 (depth,).

    The fit is on one half of the samples, its score, the mean over the three inputs, on the other.
    """
    if samples < 4 * net.layers[-1].in_features:
        raise ValueError(f"samples = {samples}: must be at least {4 * net.layers[-1].in_features}, four for each unit")
    x, states = _sampled(net, rate, samples, seed)
    half = samples // 2
    scores = []
    for state in states:
        rows, targets = state.double().cpu().numpy(), x.double().cpu().numpy()
        fit = LinearRegression().fit(rows[:half], targets[:half])
        scores.append(fit.score(rows[half:], targets[half:]))
    return torch.tensor(scores, dtype=torch.float64)


def mutual_information(
    net: CorrectingNet,
    layer: int,
    rate: float,
    samples: int = 40_960,
    validation: int = 4096,
    epochs: Sequence[int] = (100, 50),
    seed: int = 0,
    progress: bool = False,
) -> float:
    """Mutual information, in nats, of the input and a layer (from 1) under dropout at `rate`, by `mine`; the paper's sizes."""
    if not 1 <= layer <= len(net.layers) - 1:
        raise ValueError(f"layer = {layer}: must be from 1 to {len(net.layers) - 1}")
    with torch.no_grad():
        x, states = _sampled(net, rate, samples + validation, seed)
    return mine(x, states[layer - 1], validation, epochs, seed=seed, progress=progress)


def mine(
    x: Tensor,
    z: Tensor,
    validation: int = 4096,
    epochs: Sequence[int] = (100, 50),
    learning_rates: Sequence[float] = (1e-4, 5e-6),
    batch_sizes: Sequence[int] = (1024, 2048),
    width: int = 64,
    last: int = 10,
    seed: int = 0,
    progress: bool = False,
) -> float:
    """A lower bound on the mutual information of x (N, a) and z (N, b), in nats (MINE, Belghazi et al. 2018).

    A critic T of three ReLU layers maximises the Donsker-Varadhan bound E T(x, z) - log E exp T(x, z'), z' a permutation, in phases of
    so many epochs each. The bound is taken on the last `validation` rows, which are not trained on; the result is its mean over the
    last 10 epochs. Columns are standardised, which changes no information.
    """
    if x.ndim != 2 or z.ndim != 2 or len(x) != len(z) or not 2 <= validation < len(x):
        raise ValueError(
            f"x, z: shapes {tuple(x.shape)} and {tuple(z.shape)}, must be (N, a) and (N, b), N above validation = {validation}"
        )
    x, z = (_standardised(rows.detach().float()) for rows in (x, z))
    start = torch.Generator().manual_seed(seed)
    layers = _linear_layers([x.shape[1] + z.shape[1], width, width, width, 1], start).to(x.device)

    def bound(a: Tensor, b: Tensor) -> Tensor:
        shuffled = b[torch.randperm(len(b), generator=start).to(b.device)]
        told = torch.cat([torch.cat([a, b], 1), torch.cat([a, shuffled], 1)])
        for layer in layers[:-1]:
            told = layer(told).relu()
        joint, apart = layers[-1](told).squeeze(1).chunk(2)
        return joint.mean() - apart.logsumexp(0) + math.log(len(a))

    known, bounds = len(x) - validation, []
    phases = list(zip(epochs, learning_rates, batch_sizes, strict=True))
    with tqdm(total=sum(epochs), disable=not progress, unit="epoch", desc="MINE") as bar:
        for count, rate, size in phases:
            optimiser = torch.optim.Adam(layers.parameters(), lr=rate)
            for _ in range(count):
                for rows in torch.randperm(known, generator=start).to(x.device).split(size):
                    loss = -bound(x[rows], z[rows])
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                with torch.no_grad():
                    bounds.append(float(bound(x[known:], z[known:])))
                bar.update()
    kept = bounds[-last:]
    return sum(kept) / len(kept)


def _linear_layers(sizes: Sequence[int], generator: torch.Generator) -> nn.ModuleList:
    layers = nn.ModuleList()
    for a, b in itertools.pairwise(sizes):
        layer = nn.utils.skip_init(nn.Linear, a, b)
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
        layers.append(layer)
    return layers


def _inputs(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand(count, SIZE, generator=generator, device=device) * 2 - 1


def _sampled(net: CorrectingNet, rate: float, samples: int, seed: int) -> tuple[Tensor, list[Tensor]]:
    device = net.layers[0].weight.device
    generator = torch.Generator(device).manual_seed(seed)
    x = _inputs(samples, generator, device)
    return x, net.states(x, rate, generator)


def _standardised(rows: Tensor) -> Tensor:
    return (rows - rows.mean(0)) / rows.std(0).clamp(min=1e-12)


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise ValueError(f"rate = {rate}: must be from 0 to below 1")
