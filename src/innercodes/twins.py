"""The networks of a chapter on pictures: trained, and twins that learned nothing, or noise."""

import copy
import functools
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from innercodes import activations, models
from innercodes.parameters import ParameterError, Run, refusal
from innercodes.pictures import Pictures

SETTLED_ON = 512
"""Pictures that give the statistics of an untrained network's BatchNorm."""

NOISE = {"trained": 0.0, "half": 0.5, "memorising": 1.0}
"""Share of the training labels that are shuffled, for each kind of network that is trained here."""


def network_name(run: Run) -> str:
    """The run's network as `models.load` knows it: a name of timm's may be given without "timm/"."""
    import timm

    plain = run.model not in models.NETWORKS and timm.is_model(run.model)
    return f"timm/{run.model}" if plain else run.model


def preparation(run: Run) -> models.Preparation | None:
    """How the run's network wants its pictures."""
    return models.preparation(network_name(run), run.weights)


def build(
    run: Run,
    pictures: Pictures,
    watch: Callable[[nn.Module, int], None] | None = None,
    kinds: Collection[str] = ("untrained", *NOISE),
    train_batch: int = 128,
) -> dict[str, list[nn.Module]]:
    """The networks of each kind, one per seed; of weights from a file or hub there is one trained network.

    trained     learned the pictures, or has its weights from a file or from timm's hub
    untrained   the same start, no training; BatchNorm has the statistics of the pictures
    half        trained in the same way, half of the labels shuffled
    memorising  trained in the same way, all labels shuffled

    The last two are left out where the trained one is given and `noise_epochs` is 0; else "fresh" is their twin on true labels.
    `watch(network, epoch)` sees the first seed's training on true labels.
    Raises ParameterError for a network and weights that do not fit.
    """
    sizes = network_sizes(run, pictures)
    inputs = pictures.subset(_some(pictures, SETTLED_ON)).tensors()[0].to(run.device)
    given = [_given(run, sizes)] if run.weights or run.pretrained else []
    twins = [models.untrained(network_name(run), seed, run.weights, run.device, **sizes) for seed in run.seeds]
    _check_fit([*given, *twins], inputs[:2], run)
    untrained = [models.settle(network, inputs, 64) for network in twins]
    if not given:
        found = noisy(run, pictures, run.epochs, kinds, watch, train_batch)
        return {"trained": found.pop("trained"), "untrained": untrained, **found}
    found = noisy(run, pictures, run.noise_epochs, NOISE, watch) if run.noise_epochs else {}
    renamed = {"fresh" if kind == "trained" else kind: members for kind, members in found.items()}
    return {"trained": given, "untrained": untrained, **renamed}


@torch.no_grad()
def _check_fit(networks: Sequence[nn.Module], inputs: Tensor, run: Run) -> None:
    shape = " x ".join(map(str, inputs.shape[1:]))
    for network in networks:
        try:
            network(inputs)
        except (RuntimeError, AssertionError, ValueError):
            raise refusal(
                "model", run.model, f"a network, and weights, for pictures of {shape}, those of {run.dataset}"
            ) from None


def noisy(
    run: Run,
    pictures: Pictures,
    epochs: int,
    kinds: Collection[str],
    watch: Callable[[nn.Module, int], None] | None = None,
    train_batch: int = 128,
) -> dict[str, list[nn.Module]]:
    """Networks of the kinds of `NOISE` trained here, one of each per seed."""
    inputs, labels = (part.to(run.device) for part in pictures.tensors())
    found: dict[str, list[nn.Module]] = {kind: [] for kind in NOISE if kind in kinds}
    for kind, share in [(kind, NOISE[kind]) for kind in found]:
        for seed in run.seeds:
            network = models.untrained(network_name(run), seed, "", run.device, **_own_sizes(run, pictures))
            seen = None
            if watch and kind == "trained" and seed == run.seed:
                watch(models.settle(copy.deepcopy(network), inputs[_some(pictures, SETTLED_ON)]), -1)
                seen = functools.partial(watch, network)
            mixed = shuffled(labels, share, seed)
            models.train(network, inputs, mixed, epochs, run.learning_rate, seed, train_batch, run.bars, seen)
            found[kind].append(network)
    return found


def shuffled(labels: Tensor, share: float, seed: int) -> Tensor:
    """The labels int64 (N,) with a share of them, drawn at random, in a random order among themselves."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))].to(labels.device)
    mixed = labels.clone()
    mixed[chosen] = labels[chosen[torch.randperm(len(chosen), generator=generator).to(labels.device)]]
    return mixed


def _some(pictures: Pictures, most: int) -> Tensor:
    """Places of at most so many pictures, spread evenly over the list."""
    return torch.arange(0, len(pictures), max(1, -(-len(pictures) // most)))


def _own_sizes(run: Run, pictures: Pictures) -> dict[str, Any]:
    """What a network that is trained on the pictures is built with."""
    sizes: dict[str, Any] = {"outputs": len(pictures.classes)}
    return sizes if network_name(run).startswith("timm/") else sizes | {"channels": len(pictures[0][0])}


def network_sizes(run: Run, pictures: Pictures) -> dict[str, Any]:
    """What the run's network is built with: given weights bring their own sizes."""
    return {} if run.weights or run.pretrained else _own_sizes(run, pictures)


def _given(run: Run, sizes: Mapping[str, Any]) -> nn.Module:
    name = network_name(run)
    if not run.pretrained:
        return models.load(name, run.seed, run.weights, run.device, **sizes)
    if run.weights or not name.startswith("timm/"):
        raise refusal("pretrained", run.pretrained, "False, unless the network is one of timm's and `weights` is empty")
    import timm

    try:
        network = timm.create_model(name.removeprefix("timm/"), pretrained=True)
    except Exception as error:  # of the hub: no network, no such weights, a broken file
        raise ParameterError(
            f"pretrained = True: {name} could not be fetched: {' '.join(str(error).split())[:200]}"
        ) from None
    prepared = preparation(run)
    wrapped = nn.Sequential(OrderedDict(normalise=models.Normalise(prepared.mean, prepared.std), network=network))
    return wrapped.to(run.device).eval()


def chosen_stages(network: nn.Module, wanted: str) -> tuple[list[str], str]:
    """The stages that are looked at, shallow to deep, and the stem before them.

    `wanted` is "auto" or names with blanks between them. Auto: all stages up to four; of more, the ends of four equal parts.
    The stem is the stage before the first one, or the first layer of all; the first stage itself where nothing comes before.
    Raises ParameterError for names that the network lacks.
    """
    every = activations.stages(network)
    names = every if len(every) <= 4 else [every[-(-len(every) * part // 4) - 1] for part in (1, 2, 3, 4)]
    if wanted != "auto":
        names = wanted.split()
        modules = dict(activations.network_of(network).named_modules())
        for name in names:
            module = name.removesuffix(activations.CLASS_TOKEN)
            if not module or module not in modules:
                raise refusal("stages", name, f"among {', '.join(every)} or another module's name")
        if len(names) < 2 or len(set(names)) < len(names):
            raise refusal("stages", wanted, "auto, or two and more different names with blanks between them")
    earlier = every[: every.index(names[0])] if names[0] in every else []
    children = [name for name, _ in activations.network_of(network).named_children()]
    top = names[0].partition(".")[0].removesuffix(activations.CLASS_TOKEN)
    first = children[: children.index(top)][:1] or names[:1]
    return names, (earlier[-1:] or first)[0]
