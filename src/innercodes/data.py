"""The data sets of the book: embedded ones that need no file, and real ones below `data_root`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from innercodes.parameters import ParameterError, refusal


@dataclass(frozen=True)
class Data:
    """Inputs float32 (N, ...), labels int64 (N,) and the name of each class."""

    inputs: Tensor
    labels: Tensor
    classes: tuple[str, ...]


def load(name: str, split: str = "train", root: str = "") -> Data:
    """The data set `name`; `split` is train or test, `root` the folder that holds the data sets on disk.

    tictactoe  all 958 boards at which a game of tic-tac-toe can end, made by the rules, x moves first; x = 1, o = -1,
               blank = 0; class 1 = x has won. There is one split: the game has no other endings.
    mnist3     MNIST digits as "3 or not", 32 x 32 (2 pixels of black around), values in [0, 1]; files in root/MNIST/raw.

    Raises ParameterError for an unknown name or split and for files that are missing.
    """
    loaders = {"tictactoe": _tictactoe, "mnist3": lambda: _mnist3(split, root)}
    if name not in loaders:
        raise refusal("dataset", name, "one of " + ", ".join(loaders))
    if split not in ("train", "test"):
        raise refusal("split", split, "train or test")
    return loaders[name]()


LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
"""The eight winning lines of tic-tac-toe; squares are numbered row by row."""


def _won(board: tuple[int, ...], player: int) -> bool:
    return any(all(board[square] == player for square in line) for line in LINES)


def _tictactoe() -> Data:
    ended, open_boards = set(), {(0,) * 9}
    for move in range(9):
        player = 1 if move % 2 == 0 else -1
        reached = {
            (*board[:square], player, *board[square + 1 :])
            for board in open_boards
            for square in range(9)
            if board[square] == 0
        }
        open_boards = {board for board in reached if not _won(board, player) and 0 in board}
        ended |= reached - open_boards
    boards = sorted(ended)
    return Data(
        torch.tensor(boards, dtype=torch.float32),
        torch.tensor([int(_won(board, 1)) for board in boards]),
        ("x has not won", "x has won"),
    )


def _mnist3(split: str, root: str) -> Data:
    # Imported after the repair in _compat.
    from torchvision.datasets import MNIST

    folder = Path(root).expanduser()
    if not root or not (folder / "MNIST" / "raw").is_dir():
        raise refusal("data_root", root, "the folder that holds MNIST/raw with the four idx files")
    try:
        mnist = MNIST(folder, train=split == "train")
    except (RuntimeError, ValueError, OSError) as error:
        raise ParameterError(
            f"data_root = {root!r}: MNIST/raw cannot be read: {' '.join(str(error).split())}"
        ) from None
    pictures = torch.nn.functional.pad(mnist.data[:, None].float() / 255, (2, 2, 2, 2))
    return Data(pictures, (mnist.targets == 3).long(), ("not a 3", "3"))


def balanced(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Indices of `size` samples drawn without replacement, as evenly over the classes as they allow: int64 (size,)."""
    if size > len(labels):
        raise refusal("train_size", size, f"at most {len(labels)}, the samples there are")
    order = torch.randperm(len(labels), generator=generator)
    # Rank of each sample within its class: taking the lowest ranks first balances the classes.
    ranks = torch.empty_like(order)
    for label in labels.unique():
        members = order[labels[order] == label]
        ranks[members] = torch.arange(len(members))
    return order[torch.argsort(ranks[order], stable=True)[:size]]


def ink_parts(pictures: Tensor, n: int, size: int = 3) -> tuple[Tensor, Tensor]:
    """Split the ink of each picture into `n` squares of `size` pixels that do not overlap, far from each other.

    Pictures (B, 1, H, W) to the parts, bool (B, n, H, W), and whether the picture has room for all of them, bool (B,).
    The paper marked its parts by hand; ours are chosen by farthest-point sampling among the squares with at least half
    the ink of the fullest one, first the fullest (ties: the first in raster order).
    """
    ink = torch.nn.functional.avg_pool2d(pictures, size, stride=1)[:, 0]
    batch, height, width = ink.shape
    rows, columns = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
    # Squares overlap exactly when the Chebyshev distance of their corners is below their size.
    apart = torch.maximum((rows[:, None] - rows).abs(), (columns[:, None] - columns).abs())
    ink = ink.flatten(1)
    allowed = ink >= 0.5 * ink.amax(-1, keepdim=True)
    corner = ink.argmax(-1)
    nearest = torch.full_like(ink, torch.inf)
    parts, fits = torch.zeros((batch, n, *pictures.shape[-2:]), dtype=torch.bool), torch.ones(batch, dtype=torch.bool)
    for part in range(n):
        for b, (row, column) in enumerate(zip(rows[corner], columns[corner], strict=True)):
            parts[b, part, row : row + size, column : column + size] = True
        nearest = torch.minimum(nearest, torch.where(allowed, apart[corner], -1).to(ink.dtype))
        distance, corner = nearest.max(-1)
        if part < n - 1:
            fits &= distance >= size
    return parts, fits
