"""The networks of chapter 04 and the pictures they are shown: autoencoders by dropout rate, or any one network, and their twins."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from innercodes import activations, autoencoders, models, pictures, scenes, twins
from innercodes.parameters import ParameterError, Run, refusal
from innercodes.pictures import Pictures

ENCODER, UNTRAINED = "autoencoder", "untrained"
TWIN_PICTURES = 512
"""Pictures that give the statistics of an untrained autoencoder's BatchNorm."""


@dataclass(frozen=True)
class Shown:
    """Pictures that networks learn, if they learn here, and others with what is known of each, int64 (N,) for each factor."""

    fitted: Pictures
    others: Pictures
    factors: Mapping[str, Tensor]

    @property
    def left_out(self) -> dict[str, Any]:
        """What a results file says of files that were skipped."""
        return pictures.left_out(self.fitted, self.others)


@dataclass(frozen=True)
class Networks:
    """Networks by kind, one per seed: `kinds` names the trained ones by dropout rate, and "untrained" are their twins.

    `reference` is the kind that claims on one network look at; `layers` are the names of its layers, shallow to deep, and
    `last` is the deepest that still gives maps. `plain` has the trained autoencoders as training left them.
    """

    members: Mapping[str, Sequence[nn.Module]]
    kinds: Mapping[float, str]
    reference: str
    layers: tuple[str, ...]
    last: str
    plain: Mapping[str, Sequence[nn.Module]] = field(default_factory=dict)

    @property
    def trained(self) -> Sequence[nn.Module]:
        """The networks that claims on one network look at."""
        return self.members[self.reference]


def show(run: Run) -> Shown:
    """The run's pictures, sized as its network wants them. Raises ParameterError for a folder that is missing or too small."""
    if run.dataset == "scenes":
        if run.model != ENCODER:
            raise refusal("dataset", run.dataset, f"a folder of pictures: scenes are for the {ENCODER}")
        fitted, others = scenes.load(run.trained_on, run.pictures, run.seed, run.size)
        return Shown(fitted.pictures, others.pictures, others.factors)
    prepared = models.Preparation(run.size) if run.model == ENCODER else twins.preparation(run)
    fitted, others = pictures.load(
        run.dataset, run.data_root, run.trained_on, run.pictures, run.seed, prepared, run.unreadable
    )
    if len(others) < 100:
        raise ParameterError(
            f"data_root: {run.dataset} holds {len(others)} other pictures; a spectrum needs 100 and more"
        )
    return Shown(fitted, others, {"class": others.labels})


def rates(run: Run) -> list[float]:
    """The dropout rates of a run, smallest first."""
    return sorted({float(word) for word in run.rates.split()})


def name_of(rate: float) -> str:
    """How networks of a rate are called in tables and pictures."""
    return f"dropout {rate:g}"


def build(run: Run, shown: Shown) -> Networks:
    """The networks of a run, trained, read or fetched, and as many untrained twins as there are seeds.

    BatchNorm learns its statistics while units drop out, and meets other ones when dropout is off (the variance shift of Li et al. 2019).
    So, unless `settle` is off, the statistics of trained autoencoders are set again without dropout, as those of their twins are.
    Raises ParameterError for a reference that is not among the rates, and for networks that do not come with the book.
    """
    if run.model != ENCODER:
        return _one(run, shown)
    for name in ("weights", "pretrained"):
        if getattr(run, name):
            raise refusal(
                name, getattr(run, name), f"left alone for the {ENCODER}, which is trained here or comes with the book"
            )
    if run.reference not in rates(run):
        raise refusal("reference", run.reference, f"among the rates {run.rates}")
    # Used by the last study of a run: a refusal there would come too late.
    if any(width < 8 or width % 2 for width in map(int, run.widths.split())):
        raise refusal("widths", run.widths, "even numbers from 8 on")
    if run.shipped and (run.dataset, run.width, run.size) != ("scenes", autoencoders.SHIPPED_WIDTH, 64):
        raise refusal(
            "shipped", run.shipped, f"False, unless scenes of 64 pixels go into width {autoencoders.SHIPPED_WIDTH}"
        )
    kinds = {rate: name_of(rate) for rate in rates(run)}
    learned = None if run.shipped else shown.fitted.tensors()[0].to(run.device)
    plain = {name: [_autoencoder(run, rate, seed, learned) for seed in run.seeds] for rate, name in kinds.items()}
    some = shown.fitted.subset(shown.fitted.spread(TWIN_PICTURES)).tensors()[0].to(run.device)
    members = {
        name: [models.settle(copy.deepcopy(one), some) if run.settle else one for one in networks]
        for name, networks in plain.items()
    }
    members[UNTRAINED] = [autoencoders.untrained(run.width, run.reference, seed, some, run.size) for seed in run.seeds]
    taps = autoencoders.layers(members[UNTRAINED][0])
    maps = [name for name in taps if name.startswith("encoder.")]
    layers = taps if run.layers == "every" else [maps[0], *maps[2::2]]
    return Networks(members, kinds, name_of(run.reference), tuple(layers), maps[-1], plain)


def _autoencoder(run: Run, rate: float, seed: int, learned: Tensor | None) -> nn.Module:
    if learned is None:
        return autoencoders.shipped(rate, seed, run.device)
    network = autoencoders.load(run.width, rate, seed, size=run.size, device=run.device)
    autoencoders.train(network, learned, run.epochs, run.learning_rate, 50, seed, run.loss, run.bars)
    return network


def _one(run: Run, shown: Shown) -> Networks:
    """One network of `models` or timm, and its untrained twins; all its stages are layers."""
    built = twins.build(
        dataclasses.replace(run, values={**run.values, "noise_epochs": 0}), shown.fitted, kinds=("trained",)
    )
    stages = activations.stages(built["trained"][0])
    return Networks(
        {"trained": built["trained"], UNTRAINED: built[UNTRAINED]}, {}, "trained", tuple(stages), stages[-1]
    )


def short(layer: str) -> str:
    """A layer's name without what all of them share: "encoder.layer1.0.act2.0" to "layer1.0"; the stem is "stem"."""
    plain = layer.removeprefix("encoder.").removesuffix(".0")
    if plain == "act1":
        return "stem"
    return plain.removesuffix(".act2").replace(".act1", " a") if layer.startswith("encoder.") else layer
