"""The data sets of the book: embedded ones that need no file, and real ones below `data_root`."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.cluster.hierarchy
import scipy.optimize
import sklearn.datasets
import torch
from torch import Tensor

from innercodes.parameters import ParameterError, refusal


@dataclass(frozen=True)
class Data:
    """Inputs float32 (N, ...), labels int64 (N,) and the name of each class.

    A table also has the name of each variable and, int64 (inputs,), the variable that each column of the inputs belongs to:
    a variable with categories has a column for each of them.
    """

    inputs: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    variables: tuple[str, ...] = ()
    owner: Tensor | None = None


def load(name: str, split: str = "train", root: str = "") -> Data:
    """The data set `name`; `split` is train or test, `root` the folder that holds the data sets on disk.

    tictactoe      all 958 boards at which a game of tic-tac-toe can end, made by the rules, x moves first; x = 1, o = -1,
                   blank = 0; class 1 = x has won. There is one split: the game has no other endings.
    digits         scikit-learn's 1797 handwritten digits, 8 x 8, values in [0, 1], ten classes.
    breast_cancer  scikit-learn's table of 569 tumours, 30 features; wine: 178 wines, 13 features, three classes.
    parity         ten bits, -1 or 1; class 1 = an odd number of ones. Test: all 1024 inputs. Train: 1000 of them, drawn once
                   with replacement.
    mnist3         MNIST digits as "3 or not", 32 x 32 (2 pixels of black around), values in [0, 1]; files in root/MNIST/raw.
    adult          census income, files root/tabular/adult.data.gz and adult.test.gz: 12 variables, class 1 = above 50,000.

    Features of tables are standardised by the training split; categories are one-hot with the training mean taken off, so
    that 0 everywhere means "unknown". Of digits, breast_cancer and wine every third sample of a class is in the test split.
    Raises ParameterError for an unknown name or split and for files that are missing or cannot be read.
    """
    loaders: dict[str, Callable[[], Data]] = {
        "tictactoe": _tictactoe,
        "digits": lambda: _digits(split),
        "breast_cancer": lambda: _sklearn_table(sklearn.datasets.load_breast_cancer(), split),
        "wine": lambda: _sklearn_table(sklearn.datasets.load_wine(), split),
        "parity": lambda: _parity(split),
        "mnist3": lambda: _mnist3(split, root),
        "adult": lambda: _adult(split, root),
    }
    if name not in loaders:
        raise refusal("dataset", name, "one of " + ", ".join(loaders))
    if split not in ("train", "test"):
        raise refusal("split", split, "train or test")
    return loaders[name]()


def _in_test(labels: np.ndarray) -> np.ndarray:
    """Every third sample of each class, bool (N,)."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[2::3]] = True
    return test


def _digits(split: str) -> Data:
    inputs, labels = sklearn.datasets.load_digits(return_X_y=True)
    part = _in_test(labels) == (split == "test")
    pictures = torch.tensor(inputs[part] / 16, dtype=torch.float32).unflatten(-1, (1, 8, 8))
    return Data(pictures, torch.tensor(labels[part]), tuple("0123456789"))


def _sklearn_table(table: sklearn.utils.Bunch, split: str) -> Data:
    test = _in_test(table.target)
    train = table.data[~test]
    inputs = (table.data[test == (split == "test")] - train.mean(0)) / train.std(0)
    return Data(
        torch.tensor(inputs, dtype=torch.float32),
        torch.tensor(table.target[test == (split == "test")]),
        tuple(map(str, table.target_names)),
        tuple(map(str, table.feature_names)),
        torch.arange(inputs.shape[1]),
    )


def _parity(split: str) -> Data:
    numbers = torch.arange(1024)
    if split == "train":
        numbers = numbers[torch.randint(1024, (1000,), generator=torch.Generator().manual_seed(0))]
    bits = numbers[:, None] >> torch.arange(10) & 1
    # With 0 and 1 a bit masked by 0 would be a real bit, and each 0 in the input a player that changes nothing. With -1 and
    # 1 the mask value 0 is neither and says nothing about the bit.
    inputs = 2.0 * bits - 1
    classes = ("an even number of ones", "an odd number of ones")
    return Data(inputs, bits.sum(-1) % 2, classes, tuple(f"bit {i + 1}" for i in range(10)), torch.arange(10))


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


ADULT = (
    "age", "workclass", "education-num", "marital-status", "occupation", "relationship", "race", "sex", "capital-gain",
    "capital-loss", "hours-per-week", "native-country",
)  # fmt: skip
"""The variables of the census table in its order, without fnlwgt (a sampling weight) and education (education-num in words)."""


def _adult(split: str, root: str) -> Data:
    folder = Path(root).expanduser() / "tabular"
    files = [folder / f"adult.{part}.gz" for part in ("data", "test")]
    if not root or not all(file.is_file() for file in files):
        raise refusal("data_root", root, "the folder that holds tabular/adult.data.gz and tabular/adult.test.gz")
    try:
        train, test = (pd.read_csv(file, skipinitialspace=True, na_values="?") for file in files)
        chosen = train if split == "train" else test
        parts = [_column(train[name], chosen[name]) for name in ADULT]
        labels = chosen["classification"].str.startswith(">").to_numpy(dtype=np.int64)
    except (OSError, EOFError, KeyError, ValueError, AttributeError) as error:
        raise ParameterError(
            f"data_root = {root!r}: tabular/adult cannot be read: {' '.join(str(error).split())}"
        ) from None
    owner = torch.arange(len(parts)).repeat_interleave(torch.tensor([part.shape[1] for part in parts]))
    inputs = torch.tensor(np.concatenate(parts, 1), dtype=torch.float32)
    return Data(inputs, torch.tensor(labels), ("at most 50,000", "above 50,000"), ADULT, owner)


def _column(train: pd.Series, chosen: pd.Series) -> np.ndarray:
    """The inputs (N, columns) of one variable, scaled by the training rows; a missing or unseen value is 0, "unknown"."""
    if pd.api.types.is_numeric_dtype(train):
        scale = train.std(ddof=0) or 1.0  # a column without spread
        return ((chosen - train.mean()) / scale).fillna(0).to_numpy()[:, None]
    kinds = np.array(sorted(train.dropna().unique()))
    one_hot = (chosen.to_numpy()[:, None] == kinds).astype(np.float64)
    shares = train.value_counts(normalize=True)[kinds].to_numpy()
    return np.where(one_hot.any(1, keepdims=True), one_hot - shares, 0)


def imagenette(root: str, samples: int, generator: torch.Generator, size: int, crop: float, interpolation: str) -> Data:
    """Pictures drawn as evenly over the classes as they allow from root/imagenette/val/<wnid>/*.JPEG, with ImageNet's labels.

    float32 (samples, 3, size, size) with values in [0, 1]: shorter side resized to size / crop, then the centre is cut out.
    Labels are the indices of ImageNet-1k that root/imagenette/classes.json gives, and `classes` names all 1000 of these.
    Raises ParameterError for a folder without these files and for more samples than there are.
    """
    # Imported after the repair in _compat.
    from PIL import Image
    from timm.data import ImageNetInfo, create_transform

    folder = Path(root).expanduser() / "imagenette"
    if not root or not (folder / "val").is_dir() or not (folder / "classes.json").is_file():
        raise refusal("data_root", root, "the folder that holds imagenette/val and imagenette/classes.json")
    prepare = create_transform((3, size, size), interpolation=interpolation, crop_pct=crop, mean=(0,) * 3, std=(1,) * 3)
    try:
        described = json.loads((folder / "classes.json").read_text())
        files = sorted(file for wnid in described for file in (folder / "val" / wnid).glob("*.JPEG"))
        labels = torch.tensor([int(described[file.parent.name]["index"]) for file in files], dtype=torch.int64)
        picked = balanced(labels, samples, generator, "n_samples").sort().values
        pictures = torch.empty(samples, 3, size, size)
        for row, index in enumerate(picked):
            with Image.open(files[index]) as picture:
                pictures[row] = prepare(picture.convert("RGB"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(
            f"data_root = {root!r}: imagenette cannot be read: {' '.join(str(error).split())}"
        ) from None
    names = ImageNetInfo()
    return Data(pictures, labels[picked], tuple(names.index_to_description(i) for i in range(1000)))


def motorbikes(root: str, points: int = 2500) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """ShapeNet's motorbikes and their parts, from root/pointclouds/shapenet_motorbike.npz and ..._players.json.gz.

    Clouds float32 (99, points, 3), moved to have their mean at 0 and scaled to reach to distance 1; the part of every point,
    int64 (99, points); and the parts' names. Of a larger cloud as many points are kept, spread evenly over its list; a
    smaller one repeats some of its points, which a network that takes the maximum over points does not notice.
    """
    folder = Path(root).expanduser() / "pointclouds"
    files = folder / "shapenet_motorbike.npz", folder / "shapenet_motorbike_players.json.gz"
    if not root or not all(file.is_file() for file in files):
        raise refusal("data_root", root, "the folder that holds pointclouds/shapenet_motorbike.npz and its players")
    try:
        with gzip.open(files[1], "rt") as file:
            described = json.load(file)
        names, parts, clouds, owners = tuple(described["player_names"]), described["players"], [], []
        with np.load(files[0], allow_pickle=False) as archive:
            for key in sorted(archive.files):
                cloud, owner = archive[key], np.full(len(archive[key]), -1)
                for part, members in enumerate(parts[key]):
                    owner[members] = part
                if owner.min() < 0 or len(parts[key]) != len(names):
                    raise ValueError(f"the parts of {key} do not cover it")
                kept = np.arange(points) * len(cloud) // points
                centred = cloud[kept] - cloud[kept].mean(0)
                clouds.append(centred / np.linalg.norm(centred, axis=-1).max())
                owners.append(owner[kept])
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ParameterError(
            f"data_root = {root!r}: pointclouds cannot be read: {' '.join(str(error).split())}"
        ) from None
    return torch.tensor(np.stack(clouds), dtype=torch.float32), torch.tensor(np.stack(owners)), names


def balanced(labels: Tensor, size: int, generator: torch.Generator, name: str = "train_size") -> Tensor:
    """Indices of `size` samples drawn without replacement, as evenly over the classes as they allow: int64 (size,).

    `name` is the parameter that an error names.
    """
    if size > len(labels):
        raise refusal(name, size, f"at most {len(labels)}, the samples there are")
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


def matched_parts(parts: Tensor) -> Tensor:
    """The same parts, bool (B, n, H, W), numbered so that each sample's part i lies where the first sample's part i does.

    The assignment with the smallest sum of squared distances between centres, so that players correspond between samples.
    """
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in parts.shape[-2:]), indexing="ij")
    weight = parts / parts.sum((-2, -1), keepdim=True)
    centres = torch.stack([(weight * rows).sum((-2, -1)), (weight * columns).sum((-2, -1))], -1)
    distance = (centres[:1, :, None] - centres[:, None]).square().sum(-1)  # (B, n of the first, n of this one)
    order = [scipy.optimize.linear_sum_assignment(cost)[1] for cost in distance.numpy()]
    return torch.stack([own[torch.tensor(places)] for own, places in zip(parts, order, strict=True)])


def grown_parts(parts: Tensor, size: int) -> Tensor:
    """Squares of an odd side, bool (B, n, H, W), made `size` pixels wide about the same centres; no two of them overlap.

    A pixel that several large squares reach belongs to the nearest centre (ties: to the first part). So the same samples
    with the same n players can be compared at several sizes, where squares that must not touch would soon find no room.
    """
    height, width = parts.shape[-2:]
    weight = parts / parts.sum((-2, -1), keepdim=True)
    rows, columns = torch.arange(height, device=parts.device), torch.arange(width, device=parts.device)
    down = rows[:, None] - (weight.sum(-1) @ rows.to(weight.dtype))[..., None, None]
    right = columns - (weight.sum(-2) @ columns.to(weight.dtype))[..., None, None]
    reached = torch.maximum(down.abs(), right.abs()) <= size / 2
    distance = torch.where(reached, down.square() + right.square(), torch.inf)
    nearest = torch.zeros_like(reached).scatter_(1, distance.argmin(1, keepdim=True), True)
    return reached & nearest


def ink_regions(picture: Tensor, finest: int) -> tuple[Tensor, dict[int, Tensor]]:
    """Split all ink of a picture (H, W) into regions, and merge them step by step: one sample with 2 ... `finest` players.

    Returns the region of each pixel, int64 (H, W), -1 where there is no ink (value 0), and for every n from 2 to `finest`
    the group of each region in the game with n players, int64 (finest,). Each game is made from the next larger one by
    merging two of its groups: Ward's clustering of pixel positions. Regions and groups are numbered in raster order.
    Raises ValueError for a picture with fewer pixels of ink than regions.
    """
    ink = torch.nonzero(picture > 0).cpu().numpy()
    if not 2 <= finest <= len(ink):
        raise ValueError(f"finest = {finest}: must lie in 2 ... {len(ink)}, the pixels of ink")
    merges = scipy.cluster.hierarchy.linkage(ink.astype(np.float64), "ward")
    cuts = scipy.cluster.hierarchy.cut_tree(merges, range(2, finest + 1))
    finest_of_pixel, first = _in_raster_order(cuts[:, -1])
    regions = torch.full(picture.shape, -1, dtype=torch.int64)
    regions[tuple(ink.T)] = torch.tensor(finest_of_pixel)
    return regions, {n: torch.tensor(_in_raster_order(cuts[first, n - 2])[0]) for n in range(2, finest + 1)}


def _in_raster_order(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group numbers (N,) renamed by where each comes first, int64, and the index of the first member of each new group."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[group], first[order]
