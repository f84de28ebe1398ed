"""From a game and its networks to outputs: training with twins, and what every network says under every mask."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from innercodes import interactions, models, players
from innercodes.masking import fitting_chunk
from innercodes.parameters import Run, refusal
from innercodes.players import Game

SAME_SETTING = ("tictactoe", "mnist3", "sst2", "squad", "motorbike")
"""Data on which the paper's own networks were tried; runs on other data, and with stand-ins for its networks, are analogs."""

KINDS = ("trained", "untrained", "memorising")
# How the games of the panel are trained; chosen by the test accuracy of the trained network alone.
RECIPES: dict[str, dict[str, Any]] = {
    "tictactoe/resmlp5": {"n_players": 9, "train_size": 958, "epochs": 150, "learning_rate": 0.1},
    "digits/cnn": {"n_players": 5, "train_size": 1201, "epochs": 20, "learning_rate": 0.05},
    "digits/resnet8": {"n_players": 5, "train_size": 1201, "epochs": 5, "learning_rate": 0.1},
    "breast_cancer/mlp5": {"n_players": 10, "train_size": 380, "epochs": 100, "learning_rate": 0.05},
    "wine/mlp5": {"n_players": 10, "train_size": 120, "epochs": 200, "learning_rate": 0.05},
    "docstrings/lstm": {"n_players": 8, "train_size": 2000, "epochs": 40, "learning_rate": 1.0},
}


def load(run: Run) -> Game:
    """The game of a run. Raises ParameterError when data, network and players do not fit together."""
    return players.build(run)


def panel(run: Run) -> dict[str, Run]:
    """The runs of the panel's games, by name; each has the recipe of its game, and trains for no more than `epochs`."""
    names = [] if run.panel == "none" else run.panel.split()
    found = {}
    for name in names:
        if name not in RECIPES:
            raise refusal("panel", name, "games with a recipe: " + ", ".join(RECIPES))
        found[name] = variant(run, *name.split("/"))
    return found


def variant(run: Run, dataset: str, model: str, **changes: Any) -> Run:
    """The same run on another game, with that game's recipe."""
    recipe = RECIPES.get(f"{dataset}/{model}", {})
    values = {
        **run.values,
        "n_samples": run.panel_samples,
        "mask_value": 0.0,
        **recipe,
        **changes,
        "dataset": dataset,
        "model": model,
    }
    values["epochs"] = min(values["epochs"], run.epochs)
    return dataclasses.replace(run, values={**values, "weights": ""})


def train(game: Game, run: Run, kinds: Iterable[str] = KINDS) -> dict[str, list[nn.Module]]:
    """The networks of each kind, one per seed.

    trained     learned the training samples, or was read from `weights`, which is one network whatever the seeds
    untrained   the same start, no training; the statistics of BatchNorm are those of the samples
    memorising  the same start, trained in the same way on shuffled labels; none where there are no training samples

    Raises ParameterError when there is neither a file of weights nor data to train on.
    """
    size = len(game.train.labels)
    language_model = run.model.startswith("transformers/")
    if not size and not run.weights and not language_model:
        raise refusal("weights", run.weights, f"the weights of the network: {run.dataset} has no training samples here")
    given = bool(run.weights) or not size
    networks: dict[str, list[nn.Module]] = {kind: [] for kind in kinds if size or kind != "memorising"}
    for kind, members in networks.items():
        # A file with weights is one network, whatever the seeds.
        for seed in run.seeds[:1] if kind == "trained" and given else run.seeds:
            if language_model:
                members.append(_language_model(game, run, kind, seed))
            elif kind == "trained" and given:
                members.append(models.load(run.model, seed, run.weights, run.device, **game.sizes))
            else:
                network = models.untrained(run.model, seed, run.weights, run.device, **game.sizes)
                if kind == "untrained":
                    models.settle(network, game.train.inputs if size else game.inputs)
                else:
                    models.train(
                        network, game.train.inputs, labels_of(game, kind, seed), run.epochs, run.learning_rate, seed,
                        progress=run.bars,
                    )  # fmt: skip
                members.append(network)
    return networks


def _language_model(game: Game, run: Run, kind: str, seed: int) -> nn.Module:
    """A causal language model with the embedding that stands for a masked word learned on the samples."""
    # Only these networks need the libraries for text.
    from innercodes import language

    if kind == "trained":
        network, _ = language.load(run.model, run.weights, run.device)
    else:
        network = language.untrained(run.model, run.weights, seed, run.device)
    language.learn_mask_embedding(
        network, game, run.mask_passes, seed, learning_rate=run.mask_learning_rate, progress=run.bars
    )
    return network


def accuracies(game: Game, networks: Mapping[str, list[nn.Module]]) -> dict[str, list[float]]:
    """Share of the explained samples on which each network is right; nothing where networks explain their own answers."""
    if game.labels is None:
        return {}
    return {kind: [models.accuracy(net, game.inputs, game.labels) for net in nets] for kind, nets in networks.items()}


def labels_of(game: Game, kind: str, seed: int) -> Tensor:
    """The training labels of a kind of network: the memorising twin gets them in a random order of its seed."""
    labels = game.train.labels
    if kind != "memorising":
        return labels
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)]


def outputs(game: Game, networks: Iterable[nn.Module], chunk: int | None = None, progress: bool = False) -> Tensor:
    """The log-odds of the explained class for every network, sample and mask, float64 (networks, samples, 2^n).

    `chunk` bounds how many masks of a sample are scored at once; memory beyond the result does not grow with 2^n.
    """
    return torch.stack([_outputs(game, network, chunk, progress) for network in networks])


def _outputs(game: Game, network: nn.Module, chunk: int | None, progress: bool) -> Tensor:
    # One chunk for all samples: they are of one size, and looking for it costs two calls of the network.
    chunk = chunk or fitting_chunk(score(game, network, 0), game.n, game.inputs.device)
    rows = []
    for sample in tqdm(
        range(len(game.inputs)), unit="sample", desc="masked outputs", mininterval=1, disable=not progress
    ):
        rows.append(interactions.masked_outputs(score(game, network, sample), game.n, chunk, game.inputs.device))
    return torch.stack(rows)


def score(game: Game, network: nn.Module, sample: int, double: bool = False):
    """What `masked_outputs` calls: masks (m, n) to the mean log-odds over the views, float64 (m,).

    With `double` the network itself is taken to compute in float64, and gets such inputs.
    """
    label = answer(game, network, sample) if game.labels is None else game.labels[sample]

    def scores(masks: Tensor) -> Tensor:
        views = game.masked(sample, masks)
        views = views.double() if double and views.is_floating_point() else views
        logits = network(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        return interactions.log_odds(logits.double(), label).mean(1)

    return scores


@torch.no_grad()
def answer(game: Game, network: nn.Module, sample: int) -> Tensor:
    """The network's own class for the whole input."""
    whole = torch.ones(1, game.n, dtype=torch.bool, device=game.inputs.device)
    return network(game.masked(sample, whole).flatten(0, 1)).mean(0).argmax()


def shuffled(values: Tensor, seed: int) -> Tensor:
    """The same outputs, each sample's in a random order of its own, (..., 2^n): their values without their meaning."""
    order = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed)).argsort(-1)
    return values.gather(-1, order.to(values.device))


def fits(outputs: Mapping[str, Tensor], run: Run, mode: str = "pq") -> dict[str, interactions.AndOr]:
    """The AND-OR fit of the first `fit_samples` samples of every kind."""
    return {
        kind: interactions.fit_and_or(
            v[:, : run.fit_samples], run.fit_iterations, noise=run.noise_band, mode=mode, solver=run.fit_solver
        )
        for kind, v in outputs.items()
    }


def classes(game: Game) -> tuple[np.ndarray, tuple[str, ...]]:
    """The class of every sample that a reader wants apart, int64 (samples,), and the names of the classes.

    Where there are more classes than panels in a figure, or none, all samples are one.
    """
    names = game.train.classes
    if game.labels is None or not 1 < len(names) <= 4:
        return np.zeros(len(game.inputs), dtype=np.int64), ("all samples",)
    return game.labels.cpu().numpy(), names


def player_names(game: Game) -> list[str]:
    """The names of the players, as short as numbers where the game gives none."""
    return list(game.player_names) or [str(i + 1) for i in range(game.n)]
