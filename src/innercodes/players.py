"""From a data set to a game: who the players of a sample are, and what the network gets to see when some are masked."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from innercodes import data, models
from innercodes.parameters import Run, refusal


@dataclass(frozen=True)
class Game:
    """Samples whose inputs are split into `n` players.

    `train` are the training samples, `inputs` (samples, ...) those to explain. `labels`, int64 (samples,), name the class
    whose output is explained; None stands for the network's own answer on the whole input.
    `masked(sample, masks)` gives the inputs of one sample under masks, bool (m, n) with True = shown, as (m, views, ...).
    The output of a mask is the mean over its views. `sizes` are the keyword arguments that the network's builder needs.
    `masking` makes such a function for other inputs of the same shape, with the same players; None where inputs are words.
    """

    train: data.Data
    inputs: Tensor
    labels: Tensor | None
    n: int
    masked: Callable[[int, Tensor], Tensor]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    player_names: tuple[str, ...] = ()
    masking: Callable[[Tensor], Callable[[int, Tensor], Tensor]] | None = None


def _tictactoe(run: Run) -> Game:
    """The nine squares are the players; a masked square holds `mask_value`, which is 'blank' at 0."""
    if run.n_players != 9:
        raise refusal("n_players", run.n_players, "9, the squares of the board")
    boards = data.load("tictactoe")
    train, picked = _picks(run, boards, boards, torch.arange(len(boards.labels)))
    inputs, labels = boards.inputs[picked].to(run.device), boards.labels[picked].to(run.device)
    owner = torch.arange(9, device=run.device)
    return _of_variables(
        run, train, inputs, labels, owner, tuple(f"square {i + 1}" for i in range(9)), {"inputs": 9, "outputs": 2}
    )


def _of_variables(
    run: Run,
    train: data.Data,
    inputs: Tensor,
    labels: Tensor,
    owner: Tensor,
    names: tuple[str, ...],
    sizes: dict[str, int],
) -> Game:
    """A game on vectors (samples, d): each input belongs to the player `owner`, int64 (d,), and holds `mask_value` if masked."""

    def masking(values: Tensor) -> Callable[[int, Tensor], Tensor]:
        return lambda sample, masks: torch.where(masks[:, owner], values[sample], run.mask_value)[:, None]

    return Game(train, inputs, labels, len(names), masking(inputs), sizes, names, masking)


def _table(run: Run) -> Game:
    """The first `n_players` variables are the players; all inputs of a masked one hold `mask_value`, and 0 is 'unknown'."""
    train, test = data.load(run.dataset, "train", run.data_root), data.load(run.dataset, "test", run.data_root)
    most = min(len(train.variables), MOST_VARIABLES)
    if run.n_players > most:
        raise refusal("n_players", run.n_players, f"at most {most}, the variables of {run.dataset} that can be players")
    kept = train.owner < run.n_players
    owner = train.owner[kept].to(run.device)
    train, picked = _picks(run, replace(train, inputs=train.inputs[:, kept]), test, torch.arange(len(test.labels)))
    inputs, labels = test.inputs[picked][:, kept].to(run.device), test.labels[picked].to(run.device)
    sizes = {"inputs": len(owner), "outputs": len(train.classes)}
    return _of_variables(run, train, inputs, labels, owner, test.variables[: run.n_players], sizes)


MOST_VARIABLES = 12
"""More variables of a table than this are not made players: 2^12 masks of every sample."""

BACKGROUNDS = torch.arange(1, 11) / 10
"""How strongly the pixels outside all parts are shown in each view: the authors' integrated background."""


def _mnist3(run: Run) -> Game:
    """The players are squares on the ink of a 3; the other pixels are background, never masked.

    Squares of 3 x 3 pixels are found by `data.ink_parts`; larger ones have the same centres.
    """
    size = getattr(run, "part_size", 3)
    if size not in (3, 5, 7):
        raise refusal("part_size", size, "3, 5 or 7, pixels of the side of a part")
    train, test = data.load("mnist3", "train", run.data_root), data.load("mnist3", "test", run.data_root)
    return _threes(run, train, test, 3, lambda parts: data.grown_parts(parts, size) if size > 3 else parts)


def _digits(run: Run) -> Game:
    """As mnist3 with the small embedded digits: squares of 2 x 2 pixels on the ink of a 3."""
    train, test = (
        replace(part, labels=(part.labels == 3).long(), classes=("not a 3", "3"))
        for part in (data.load("digits", "train"), data.load("digits", "test"))
    )
    return _threes(run, train, test, 2, lambda parts: parts)


def _threes(run: Run, train: data.Data, test: data.Data, size: int, grow: Callable[[Tensor], Tensor]) -> Game:
    """The game of the threes in `test` that have room for all squares of `size` pixels; `grow` makes these the parts."""
    threes = torch.nonzero(test.labels == 1)[:, 0]
    threes = threes[data.ink_parts(test.inputs[threes], run.n_players, size)[1]]
    train, picked = _picks(run, train, test, threes)
    inputs, labels = test.inputs[picked].to(run.device), test.labels[picked].to(run.device)
    parts = grow(data.matched_parts(data.ink_parts(test.inputs[picked], run.n_players, size)[0])).to(run.device)
    backgrounds = BACKGROUNDS.to(run.device)[:, None, None]

    def masking(pictures: Tensor) -> Callable[[int, Tensor], Tensor]:
        def masked(sample: int, masks: Tensor) -> Tensor:
            picture, squares = pictures[sample, 0], parts[sample]
            background = run.mask_value + backgrounds * (picture - run.mask_value)
            shown = torch.einsum("mn,nhw->mhw", masks.float(), squares.float()) > 0
            players = torch.where(shown, picture, run.mask_value)[:, None]
            return torch.where(squares.any(0), players, background)[:, :, None]

        return masked

    names = tuple(f"part {i + 1}" for i in range(run.n_players))
    return Game(train, inputs, labels, run.n_players, masking(inputs), {"channels": 1, "outputs": 2}, names, masking)


def _imagenette(run: Run) -> Game:
    """The players are the patches of a grid over the picture; a masked patch has `mask_value` in all channels.

    0.5 is the mean of pictures for networks whose weights say so. There are no training samples: the network comes with
    weights for all 1000 classes of ImageNet, and the label is the picture's class among these.
    """
    rows, columns = _grid(run.n_players)
    prepared = models.preparation(run.model, run.weights)
    if prepared is None:
        raise refusal("weights", run.weights, "a file beside which a JSON file gives input_size, mean and std")
    pictures = data.imagenette(
        run.data_root, run.n_samples, torch.Generator().manual_seed(run.seed),
        prepared.input_size, prepared.crop_pct, prepared.interpolation,
    )  # fmt: skip
    inputs, labels = pictures.inputs.to(run.device), pictures.labels.to(run.device)
    side = torch.arange(prepared.input_size, device=run.device)
    row, column = side * rows // len(side), side * columns // len(side)
    patch = row[:, None] * columns + column

    def masking(values: Tensor) -> Callable[[int, Tensor], Tensor]:
        return lambda sample, masks: torch.where(masks[:, patch][:, None], values[sample], run.mask_value)[:, None]

    return Game(
        data.Data(inputs[:0], labels[:0], pictures.classes), inputs, labels, run.n_players, masking(inputs),
        {"outputs": 1000}, tuple(f"row {r + 1}, column {c + 1}" for r in range(rows) for c in range(columns)), masking,
    )  # fmt: skip


def _grid(n: int) -> tuple[int, int]:
    """Rows and columns of n patches, as square as possible; long thin patches are refused."""
    rows = max(r for r in range(1, math.isqrt(n) + 1) if n % r == 0)
    if n // rows > 3 * rows:
        raise refusal("n_players", n, "rows x columns of patches that are not thin, such as 9, 12 or 16")
    return rows, n // rows


def _motorbike(run: Run) -> Game:
    """The nine parts of a motorbike are the players; the points of a masked one move to the centre of the cloud.

    There are no training samples: the other 15 kinds of objects are not part of the data.
    """
    clouds, owner, names = data.motorbikes(run.data_root)
    if run.n_players != len(names):
        raise refusal("n_players", run.n_players, f"{len(names)}, the parts of a motorbike")
    if run.mask_value != 0:
        raise refusal("mask_value", run.mask_value, "0: masked points move to the centre of the cloud, which is at 0")
    if run.n_samples > len(clouds):
        raise refusal("n_samples", run.n_samples, f"at most {len(clouds)}, the motorbikes there are")
    picked = (
        torch.randperm(len(clouds), generator=torch.Generator().manual_seed(run.seed))[: run.n_samples].sort().values
    )
    inputs, owner = clouds[picked].to(run.device), owner[picked].to(run.device)

    def masked(sample: int, masks: Tensor) -> Tensor:
        return torch.where(masks[:, owner[sample], None], inputs[sample], 0.0)[:, None]

    none = data.Data(inputs[:0], torch.zeros(0, dtype=torch.int64, device=run.device), ())
    # The paper's 16 classes have no order that we know of: what the network says itself is explained.
    return Game(none, inputs, None, run.n_players, masked, {"outputs": 16}, names)


def _picks(run: Run, train: data.Data, test: data.Data, candidates: Tensor) -> tuple[data.Data, Tensor]:
    """The training samples, and the indices into `test` of the samples to explain, both drawn from the first seed.

    The samples stay in random order, so that the first few of them, which costly studies take, are a fair choice.
    """
    generator = torch.Generator().manual_seed(run.seed)
    if run.n_samples > len(candidates):
        raise refusal(
            "n_samples", run.n_samples, f"at most {len(candidates)}, the samples of {run.dataset} with these players"
        )
    chosen = data.balanced(train.labels, run.train_size, generator)
    picked = candidates[torch.randperm(len(candidates), generator=generator)[: run.n_samples]]
    return data.Data(train.inputs[chosen].to(run.device), train.labels[chosen].to(run.device), train.classes), picked


def _text(run: Run) -> Game:
    # The players of sentences have a room of their own, which imports this one.
    from innercodes import text

    return getattr(text, run.dataset)(run)


BUILDERS: dict[str, tuple[Callable[[Run], Game], tuple[str, ...]]] = {
    "tictactoe": (_tictactoe, ("mlp5", "resmlp5")),
    "breast_cancer": (_table, ("mlp5", "resmlp5")),
    "wine": (_table, ("mlp5", "resmlp5")),
    "adult": (_table, ("mlp5", "resmlp5")),
    "parity": (_table, ("mlp3",)),
    "digits": (_digits, ("cnn", "resnet8", "resnet20")),
    "mnist3": (_mnist3, ("lenet", "resnet20", "resnet32", "resnet44", "vgg13", "vgg16")),
    "imagenette": (_imagenette, ("timm/",)),
    "motorbike": (_motorbike, ("pointnet",)),
    "docstrings": (_text, ("lstm",)),
    "sst2": (_text, ("lstm",)),
    "tinystories": (_text, ("transformers/",)),
    "squad": (_text, ("transformers/",)),
}
"""For each data set the function that makes its game, and the networks that take its inputs; `timm/` means all of timm's."""


def build(run: Run) -> Game:
    """The game of a run. Raises ParameterError when data, network and players do not fit together."""
    if run.dataset not in BUILDERS:
        raise refusal("dataset", run.dataset, "one of " + ", ".join(BUILDERS))
    builder, networks = BUILDERS[run.dataset]
    if not any(run.model == name or (name.endswith("/") and run.model.startswith(name)) for name in networks):
        allowed = ", ".join(name + "<name>" if name.endswith("/") else name for name in networks)
        raise refusal("model", run.model, f"{allowed}: the networks for {run.dataset}")
    return builder(run)
