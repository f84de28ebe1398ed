"""From a data set and a network to a game: who the players are, how they are masked, and what the network then says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from innercodes import data, interactions, models
from innercodes.parameters import Run, refusal


@dataclass(frozen=True)
class Game:
    """Samples whose inputs are split into `n` players.

    `masked(sample, masks)` gives the inputs of one sample under masks, bool (m, n) with True = shown, as float32
    (m, views, ...). The output of a mask is the mean over its views.
    """

    train: data.Data
    inputs: Tensor
    labels: Tensor
    n: int
    masked: Callable[[int, Tensor], Tensor]


def load(run: Run) -> Game:
    """The game of a run. Raises ParameterError when data, network and players do not fit together."""
    builders = {"tictactoe": ("mlp5", _tictactoe), "mnist3": ("lenet", _mnist3)}
    model, build = builders[run.dataset]
    if run.weights and run.n_seeds > 1:
        raise refusal("n_seeds", run.n_seeds, "1 where weights are given: one file is one network")
    if run.model != model:
        raise refusal("model", run.model, f"{model}, the network for {run.dataset}")
    return build(run)


def _tictactoe(run: Run) -> Game:
    """The nine squares are the players; a masked square holds `mask_value`, which is 'blank' at 0."""
    if run.n_players != 9:
        raise refusal("n_players", run.n_players, "9, the squares of the board")
    boards = data.load("tictactoe")
    train, picked = _picks(run, boards, boards, torch.arange(len(boards.labels)))
    inputs, labels = boards.inputs[picked].to(run.device), boards.labels[picked].to(run.device)
    return Game(
        train, inputs, labels, 9, lambda sample, masks: torch.where(masks, inputs[sample], run.mask_value)[:, None]
    )


BACKGROUNDS = torch.arange(1, 11) / 10
"""How strongly the pixels outside all parts are shown in each view: the authors' integrated background."""


def _mnist3(run: Run) -> Game:
    """The players are squares of 3 x 3 pixels on the ink of a 3; the other pixels are background, never masked."""
    test = data.load("mnist3", "test", run.data_root)
    threes = torch.nonzero(test.labels == 1)[:, 0]
    threes = threes[data.ink_parts(test.inputs[threes], run.n_players)[1]]
    train, picked = _picks(run, data.load("mnist3", "train", run.data_root), test, threes)
    inputs, labels = test.inputs[picked].to(run.device), test.labels[picked].to(run.device)
    parts = data.ink_parts(test.inputs[picked], run.n_players)[0].to(run.device)
    backgrounds = BACKGROUNDS.to(run.device)[:, None, None]

    def masked(sample: int, masks: Tensor) -> Tensor:
        picture, squares = inputs[sample, 0], parts[sample]
        background = run.mask_value + backgrounds * (picture - run.mask_value)
        shown = torch.einsum("mn,nhw->mhw", masks.float(), squares.float()) > 0
        players = torch.where(shown, picture, run.mask_value)[:, None]
        return torch.where(squares.any(0), players, background)[:, :, None]

    return Game(train, inputs, labels, run.n_players, masked)


def _picks(run: Run, train: data.Data, test: data.Data, candidates: Tensor) -> tuple[data.Data, Tensor]:
    """The training samples, and the indices into `test` of the samples to explain, both drawn from the first seed."""
    generator = torch.Generator().manual_seed(run.seed)
    if run.n_samples > len(candidates):
        raise refusal(
            "n_samples", run.n_samples, f"at most {len(candidates)}, the samples of {run.dataset} with these players"
        )
    chosen = data.balanced(train.labels, run.train_size, generator)
    picked = candidates[torch.randperm(len(candidates), generator=generator)[: run.n_samples]].sort().values
    return data.Data(train.inputs[chosen].to(run.device), train.labels[chosen].to(run.device), train.classes), picked


def train(game: Game, run: Run) -> dict[str, list[nn.Module]]:
    """One network per seed, and beside each its two twins.

    trained     learned the training samples, or was read from `weights`
    untrained   the same start, no training
    memorising  the same start, trained in the same way on shuffled labels
    """
    networks: dict[str, list[nn.Module]] = {"trained": [], "untrained": [], "memorising": []}
    for seed in run.seeds:
        mixed = torch.randperm(len(game.train.labels), generator=torch.Generator().manual_seed(seed))
        for kind, labels in (
            ("trained", game.train.labels),
            ("untrained", None),
            ("memorising", game.train.labels[mixed.to(run.device)]),
        ):
            given = run.weights if kind == "trained" else ""
            network = models.load(run.model, seed, given, run.device)
            if labels is not None and not given:
                models.train(network, game.train.inputs, labels, run.epochs, run.learning_rate, seed, progress=run.bars)
            networks[kind].append(network)
    return networks


def outputs(game: Game, networks: Iterable[nn.Module], chunk: int = 512, progress: bool = False) -> Tensor:
    """The log-odds of the true class for every network, sample and mask, float64 (networks, samples, 2^n).

    `chunk` bounds how many masks of a sample are scored at once; memory beyond the result does not grow with 2^n.
    """
    return torch.stack([_outputs(game, network, chunk, progress) for network in networks])


def _outputs(game: Game, network: nn.Module, chunk: int, progress: bool) -> Tensor:
    rows = []
    for sample in tqdm(
        range(len(game.labels)), unit="sample", desc="masked outputs", mininterval=1, disable=not progress
    ):

        def score(masks: Tensor, sample: int = sample) -> Tensor:
            views = game.masked(sample, masks)
            logits = network(views.flatten(0, 1)).unflatten(0, views.shape[:2])
            return interactions.log_odds(logits.double(), game.labels[sample]).mean(1)

        rows.append(interactions.masked_outputs(score, game.n, chunk, game.inputs.device))
    return torch.stack(rows)


def shuffled(values: Tensor, seed: int) -> Tensor:
    """The same outputs in a random order of the masks, (..., 2^n): their values without their meaning."""
    order = torch.randperm(values.shape[-1], generator=torch.Generator().manual_seed(seed))
    return values[..., order.to(values.device)]
