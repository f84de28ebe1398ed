"""The networks of chapter 05: families of one architecture, each trained, untrained, on shuffled labels and with dropout."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from innercodes import activations, models, symbol_networks, twins
from innercodes.parameters import Run, refusal
from innercodes.symbol_networks import NONE, PARTS, Material, Recipe

TRAINED, UNTRAINED, SHUFFLED, DROPOUT = "trained", "untrained", "shuffled", "dropout"
KINDS = (TRAINED, UNTRAINED, SHUFFLED, DROPOUT)
RATE = 0.4
"""Share of the values of a stage that dropout silences in training: the rate at which chapter 04 looks."""


@dataclass(frozen=True)
class Family:
    """Networks of one architecture by kind, one per seed, or a single one that came with its weights; stages shallow to deep.

    `material` are the pictures as this architecture wants them.
    """

    name: str
    members: Mapping[str, Sequence[nn.Module]]
    stages: tuple[str, ...]
    material: Material

    @property
    def last(self) -> str:
        return self.stages[-1]

    @property
    def has_twins(self) -> bool:
        """Whether all of `KINDS` are there."""
        return set(KINDS) <= set(self.members)


def with_dropout(network: nn.Module, stages: Sequence[str], rate: float) -> nn.Module:
    """The network with dropout after each stage, changed in place; the names of its weights stay as they are.

    Every value of a stage's output is silenced with the probability `rate` while it trains. `stages` are children of the network
    that are sequences of blocks.
    """
    for name in stages:
        blocks = getattr(network, name)
        if not isinstance(blocks, nn.Sequential):
            raise refusal("retrained", type(network).__name__, "a network whose stages are sequences of blocks")
        setattr(network, name, nn.Sequential(*blocks, nn.Dropout(rate)).train(network.training))
    return network


def learn_with_dropout(
    name: str, seed: int, inputs: Tensor, labels: Tensor, recipe: Recipe, rate: float = RATE, bars: bool = False
) -> nn.Module:
    """The twin of `symbol_networks.learn` with dropout after each stage: same start, same batches, no dropout left.

    BatchNorm learns its statistics while values drop out and meets others afterwards (the variance shift of Li et al. 2019), so
    that they are set again without dropout, as chapter 04 does.
    """
    sizes = {"outputs": int(labels.max()) + 1, "channels": inputs.shape[1]}
    network = models.untrained(name, seed, "", inputs.device, **sizes)
    with torch.random.fork_rng(devices=[inputs.device] if inputs.device.type == "cuda" else []):
        torch.manual_seed(seed)  # dropout draws from here
        with_dropout(network, activations.stages(network), rate)
        models.train(network, inputs, labels, recipe.epochs, recipe.learning_rate, seed, recipe.batch, bars)
    plain = models.untrained(name, seed, "", inputs.device, **sizes)
    plain.load_state_dict(network.state_dict())
    return models.settle(plain, inputs[:: max(1, -(-len(inputs) // twins.SETTLED_ON))], 64)


def shipped_name(name: str) -> str:
    """What `models.checkpoint` calls a network of the book that was trained with dropout."""
    return f"parts_{name}_dropout"


def chosen_stages(network: nn.Module, run: Run) -> tuple[str, ...]:
    """The stages that are looked at: those that are named, or with "auto" all up to `most_stages`, of more the ends of equal parts."""
    if run.stages != "auto":
        return tuple(twins.chosen_stages(network, run.stages)[0])
    every, most = activations.stages(network), run.most_stages
    if len(every) <= most:
        return tuple(every)
    return tuple(every[-(-len(every) * part // most) - 1] for part in range(1, most + 1))


def families(run: Run, material: Material) -> list[Family]:
    """The families of a run: its own network first, then `beyond`, then `retrained`, which has all of `KINDS`.

    Where `retrained` names the run's own network they are one family. Shipped networks come with the book; others are read from
    weights, fetched, or trained here.
    Raises ParameterError as the builders of chapter 01 do.
    """
    alike = run.model == run.retrained and not run.weights and not run.pretrained
    own = _retrained(run, material) if alike else symbol_networks.build(run, material)
    built = {run.model: (own, material)}
    for name in () if run.beyond == NONE else run.beyond.split():
        changed = symbol_networks.other_run(run, name)
        # Another architecture may want its pictures prepared in another way.
        same = run.dataset == PARTS or twins.preparation(changed) == twins.preparation(run)
        others = material if same else symbol_networks.show(changed)
        built[name] = (symbol_networks.build(changed, others), others)
    if run.retrained != NONE and not alike:
        built[f"{run.retrained}, trained here"] = (_retrained(run, material), material)
    return [
        Family(name, members, chosen_stages(members[TRAINED][0], run), shown)
        for name, (members, shown) in built.items()
    ]


def _retrained(run: Run, material: Material) -> Mapping[str, Sequence[nn.Module]]:
    found = symbol_networks.courses(run, material)
    return {
        TRAINED: [one[-1] for one in found.networks],
        UNTRAINED: [one[0] for one in found.networks],
        SHUFFLED: list(found.shuffled),
        DROPOUT: _dropout(run, material),
    }


def _dropout(run: Run, material: Material) -> list[nn.Module]:
    if run.shipped and run.dataset == PARTS:
        name, sizes = shipped_name(run.retrained), {"outputs": len(material.fitted.pictures.classes), "channels": 3}
        return [
            models.load(run.retrained, seed, models.checkpoint(name, seed), run.device, **sizes) for seed in run.seeds
        ]
    learned = material.learned.subset(material.learned.spread(run.trained_on))
    inputs, labels = (part.to(run.device) for part in learned.tensors())
    recipe = Recipe(run.retrained_epochs, run.learning_rate, run.train_batch)
    return [learn_with_dropout(run.retrained, seed, inputs, labels, recipe, bars=run.bars) for seed in run.seeds]


def twin_family(found: Sequence[Family]) -> Family | None:
    """The family that has all of `KINDS`, if any."""
    return next((one for one in found if one.has_twins), None)


def on_pictures(run: Run, **changes: object) -> Run:
    """The run with what rooms of other chapters ask for beside this chapter's own parameters: fixed here, and some changed."""
    fixed = {
        "new": NONE, "segment_scale": 100.0, "segment_rule": "salient", "joined": False, "backend": "innercodes",
        "center": "mean", "negative": "zero", "noise_epochs": 0,
    }  # fmt: skip
    return dataclasses.replace(run, values={**fixed, **run.values, **changes})
