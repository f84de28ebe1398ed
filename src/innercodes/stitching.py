"""Model stitching (Bansal, Nakkiran & Barak 2021): the front of one network, a trained 1 x 1 convolution, the rest of another.

If early layers of different networks say the same (hypothesis in section 4.1 of Lee & Vijayan 2023), that costs no accuracy.
"""

import copy
import dataclasses
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from innercodes import activations, fragility, models, stats, twins
from innercodes.parameters import Run, refusal
from innercodes.pictures import Pictures, outputs_of

LARGER = "larger"


def cuts(front: nn.Module, back: nn.Module) -> list[str]:
    """The stages after which two networks can be joined, shallow to deep: layer1, layer2, layer3 of two CIFAR ResNets.

    Either may stand behind its normalisation. Raises ValueError for other networks and for two with different channels of input.
    """
    inner = [activations.network_of(network) for network in (front, back)]
    for network in inner:
        if not isinstance(network, models.CifarResNet):
            raise ValueError(f"{type(network).__name__} cannot be stitched: both networks must be CifarResNet")
    channels = [network.conv1.in_channels for network in inner]
    if channels[0] != channels[1]:
        raise ValueError(f"pictures of {channels[0]} and {channels[1]} channels: both networks must take the same ones")
    return activations.stages(inner[0])


class _Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def _parts(network: nn.Module) -> dict[str, nn.Module]:
    """The steps of a CIFAR ResNet, which one after the other are its forward pass; the first has its normalisation, if any."""
    inner = activations.network_of(network)
    first = [] if inner is network else [network.normalise]
    return {
        "first": nn.Sequential(*first, inner.conv1, inner.bn1, nn.ReLU()),
        **{name: inner.get_submodule(name) for name in activations.stages(inner)},
        "last": nn.Sequential(_Pool(), inner.linear),
    }


class Stitched(nn.Module):
    """`front` up to the stage `cut`, the `join`, a 1 x 1 convolution that starts at random, and `back` after that stage.

    Pictures (B, C, H, W), as the front takes them, to the logits of the back (B, outputs). Front and back are frozen copies, in
    evaluation mode whatever mode the whole is in. Raises ParameterError for a cut that is not among `cuts`.
    """

    def __init__(self, front: nn.Module, back: nn.Module, cut: str):
        super().__init__()
        allowed = cuts(front, back)
        if cut not in allowed:
            raise refusal("cut", cut, f"one of {', '.join(allowed)}")
        before, after = _parts(front), _parts(back)
        end = list(before).index(cut) + 1
        sizes = [parts[cut][-1].bn2.num_features for parts in (before, after)]
        self.front = _frozen(list(before.items())[:end])
        self.join = nn.Conv2d(*sizes, 1).to(next(front.parameters()))
        self.back = _frozen(list(after.items())[end:])
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.join(self.front(x)))

    def train(self, mode: bool = True) -> "Stitched":
        super().train(mode)
        self.front.eval()
        self.back.eval()
        return self


def _frozen(parts: Sequence[tuple[str, nn.Module]]) -> nn.Sequential:
    return copy.deepcopy(nn.Sequential(OrderedDict(parts))).requires_grad_(False)


def stitch(
    front: nn.Module,
    back: nn.Module,
    cut: str,
    inputs: Tensor,
    labels: Tensor,
    epochs: int,
    learning_rate: float,
    seed: int,
    batch_size: int = 128,
    progress: bool = False,
) -> Stitched:
    """Join two networks after the stage `cut` and train the join alone: Adam, cross-entropy; same seed and machine, same weights.

    Pictures (N, C, H, W), labels int64 (N,). The front says what it says once for all epochs; what is too much for memory
    lies in a file, see `activations.collect`. The given networks stay as they are. Raises what `Stitched` and `cuts` raise.
    """
    if len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} inputs and {len(labels)} labels: there must be one label for each input")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stitched = Stitched(front, back, cut)
    maps = _outputs(stitched.front, inputs)
    device = stitched.join.weight.device
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(stitched.join.parameters(), learning_rate)
    name = f"stitching after {cut}, seed {seed}"
    for _ in tqdm(range(epochs), unit="epoch", desc=name, mininterval=1, disable=not progress):
        for batch in torch.randperm(len(labels), generator=generator).split(batch_size):
            logits = stitched.back(stitched.join(maps[batch].to(device)))
            loss = nn.functional.cross_entropy(logits, labels[batch.to(labels.device)].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return stitched


def _outputs(model: nn.Module, inputs: Tensor, chunk: int = 512) -> Tensor:
    names = [activations.OUTPUT]
    return activations.collect(model, inputs.split(chunk), names, lambda maps: maps)[activations.OUTPUT]


def rights(
    larger: nn.Module,
    fronts: Mapping[str, nn.Module],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    epochs: int,
    learning_rate: float,
    seed: int,
    batch_size: int = 128,
    progress: bool = False,
) -> dict[str, dict[str, np.ndarray]]:
    """Which test pictures are right, for each kind of front and each cut into the larger network: bool (tests,) each.

    `fronts` are smaller networks by kind, such as "trained" and "untrained" (after `models.settle`); `train` and `test` are
    pictures and labels. Gives {kind: {cut: right}}, cuts shallow to deep, and as "alone" {"larger": right, kind: right}.
    """
    found = {
        kind: {
            cut: fragility.is_right(
                stitch(front, larger, cut, *train, epochs, learning_rate, seed, batch_size, progress),
                *test,
            )
            for cut in cuts(front, larger)
        }
        for kind, front in fronts.items()
    }
    return found | {
        "alone": {kind: fragility.is_right(network, *test) for kind, network in {LARGER: larger, **fronts}.items()}
    }


def exchangeable(found: Sequence[Mapping[str, Mapping[str, np.ndarray]]], draws: int, seed: int) -> dict[str, Any]:
    """TEL-20: accuracy of the larger network minus that of the stitched one, first cut; `found` has what `rights` gives per seed.

    The trained front beside the untrained one, with intervals over pictures; `grows_with_cut` is the last cut's drop minus
    the first's.
    """
    if not found:
        raise ValueError("found: no seed to judge")
    alone = {kind: np.stack([one["alone"][kind] for one in found]).astype(float) for kind in found[0]["alone"]}
    first, *_, last = found[0]["trained"]

    def drop(kind: str, cut: str) -> np.ndarray:
        return alone[LARGER] - np.stack([one[kind][cut] for one in found])

    judged = stats.compare({kind: drop(kind, first) for kind in ("trained", "untrained")}, draws=draws, seed=seed)
    return judged | {
        "also": {"grows_with_cut": float(drop("trained", last).mean()) - judged["value"]},
        "baseline": {
            "drop, untrained front": judged["baseline"]["untrained"],
            **{f"accuracy, {kind} alone": float(right.mean()) for kind, right in alone.items()},
        },
    }


STITCH_RATE = 0.03
"""Learning rate of the join, chosen where a network stitched into itself loses least."""


@dataclass(frozen=True)
class Study:
    """TEL-20 and the accuracy lost by each kind of front, cut and seed."""

    endpoint: dict[str, Any]
    drops: dict[str, dict[str, np.ndarray]]


def study(run: Run, networks: Mapping[str, Sequence[nn.Module]], pictures: Pictures, others: Pictures) -> Study | str:
    """Stitch the run's network and its `partner`, the smaller one in front; or a reason why this can not be done here.

    Joins learn on the first `stitch_samples` fitted pictures, spread over the classes, and are judged on the unseen ones.
    """
    if run.partner == "none":
        return "The run has no second network to stitch to."
    if not isinstance(activations.network_of(networks["trained"][0]), models.CifarResNet):
        return "Only CIFAR ResNets are stitched here."
    # Twins on shuffled labels are for the run's own network.
    own = {"model": run.partner, "weights": run.partner_weights, "pretrained": False, "noise_epochs": 0}
    values = {**run.values, **own}
    other = dataclasses.replace(run, values=values)
    pair = [networks, twins.build(other, pictures, kinds=("trained", "untrained"))]
    if not isinstance(activations.network_of(pair[1]["trained"][0]), models.CifarResNet):
        raise refusal("partner", run.partner, "none, or a CIFAR ResNet such as resnet8")
    smaller, larger = sorted(pair, key=lambda nets: sum(p.numel() for p in nets["trained"][0].parameters()))
    outputs = outputs_of(pictures, fragility.width(networks["trained"][0], pictures))
    if outputs is None:
        return "The folders' names do not say which output of the network is theirs."
    some = pictures.subset(pictures.spread(run.stitch_samples))
    train, test = ((inputs, outputs[labels]) for inputs, labels in (some.tensors(), others.tensors()))
    found = []
    for i, seed in enumerate(run.seeds):
        fronts = {kind: smaller[kind][i % len(smaller[kind])] for kind in ("trained", "untrained")}
        whole = larger["trained"][i % len(larger["trained"])]
        found.append(rights(whole, fronts, train, test, run.stitch_epochs, STITCH_RATE, seed, progress=run.bars))
    drops = {
        kind: {
            cut: np.array([one["alone"][LARGER].mean() - one[kind][cut].mean() for one in found])
            for cut in found[0][kind]
        }
        for kind in ("trained", "untrained")
    }
    return Study(exchangeable(found, run.bootstrap, run.seed), drops)
