"""Pictures with classes, read one at a time: embedded digits, and folders of files below `data_root`.

Nothing but the batch at hand is in memory, whatever the number of pictures.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from innercodes import data, models
from innercodes.parameters import ParameterError, refusal

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
SPLITS = ("train", "val", "test")
CPU = torch.device("cpu")
# Values of the pictures that a CPU takes at once. With 6 pictures of 224 pixels a gradient of MobileNetV2 takes 0.44 of the
# time that it takes with 128, and a sixteenth of the memory; one of ViT-tiny 0.86 and an eighteenth.
CACHED = 2**20


@dataclass(frozen=True)
class Pictures(Dataset):
    """Pictures float32 (C, H, W) in [0, 1], read by number, and the number of the class of each.

    `names` are the classes' names, as in `classes` their folders' names; `embedded` says that the pictures come with the
    packages and may be shown.
    """

    read: Callable[[int], Tensor]
    rows: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    names: tuple[str, ...]
    embedded: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.read(int(self.rows[index])), int(self.labels[index])

    def subset(self, rows: Tensor) -> "Pictures":
        """Some of the pictures, by their places int (n,)."""
        return replace(self, rows=self.rows[rows], labels=self.labels[rows])

    def spread(self, most: int) -> Tensor:
        """Places of at most so many pictures, as evenly over the classes as they allow, in order."""
        picked = data.balanced(self.labels, min(most, len(self)), torch.Generator().manual_seed(0))
        return picked.sort().values

    def batches(self, size: int = 64, device: torch.device = CPU) -> DataLoader:
        """The pictures in their order, (inputs, labels) for each batch: at most `size`, and `at_once` for a network on a device."""
        return DataLoader(self, at_once(self, size, device))

    def tensors(self) -> tuple[Tensor, Tensor]:
        """All pictures and labels in memory: float32 (N, C, H, W), int64 (N,)."""
        return torch.stack([self.read(int(row)) for row in self.rows]), self.labels


def at_once(inputs: Pictures | Tensor, most: int, device: torch.device = CPU) -> int:
    """How many of the inputs, a tensor (N, ...) or pictures, go through a network together: at most `most`.

    Fewer on a CPU where they are large: what a layer says to all of them is then still in the cache when the next one asks.
    Attacks leave the device out: each batch draws its random start, and the starts are to be the same on every device.
    """
    if device.type != "cpu" or not len(inputs):
        return most
    first = inputs[0] if isinstance(inputs, Tensor) else inputs[0][0]
    return max(1, min(most, CACHED // max(first.numel(), 1)))


def load(
    dataset: str,
    root: str,
    fitted: int,
    unseen: int,
    seed: int,
    prepared: models.Preparation | None = None,
) -> tuple[Pictures, Pictures]:
    """The pictures that maps are fitted on, and others: at most `fitted` and `unseen`, drawn as evenly over classes as they allow.

    `dataset` is "digits", which comes with scikit-learn, or a folder `root/<dataset>` of folders <split>/<class>/ with
    pictures. The first come from its train split, the others from val or test; of a set with a single split every third picture
    of a shuffled list is one of the others. `prepared` says how files become inputs; without it they are taken as they are.
    Raises ParameterError for a folder that is missing, empty or unlike this.
    """
    if dataset == "digits" and prepared is not None:
        raise refusal(
            "dataset", dataset, "a folder of pictures: this network prepares its inputs, and digits are as they are"
        )
    if dataset == "digits":
        parts = [_embedded(data.load("digits", split)) for split in ("train", "test")]
    else:
        parts = _splits(dataset, root, prepared, seed)
    drawn = []
    for part, most in zip(parts, (fitted, unseen), strict=True):
        generator = torch.Generator().manual_seed(seed)
        picked = data.balanced(part.labels, min(most, len(part)), generator).sort().values
        drawn.append(part.subset(picked))
    return drawn[0], drawn[1]


def _embedded(found: data.Data) -> Pictures:
    numbers = torch.arange(len(found.labels))
    return Pictures(lambda row: found.inputs[row], numbers, found.labels, found.classes, found.classes, embedded=True)


def _splits(dataset: str, root: str, prepared: models.Preparation | None, seed: int) -> list[Pictures]:
    folder = Path(root).expanduser() / dataset
    here = [split for split in SPLITS if (folder / split).is_dir()]
    if not root or not here:
        raise refusal("data_root", root, f"the folder that holds {dataset}/train, {dataset}/val or {dataset}/test")
    if len(here) == 1:
        one = _folder(folder, here[0], prepared)
        order = torch.randperm(len(one), generator=torch.Generator().manual_seed(seed))
        if len(one) < 3:
            raise ParameterError(
                f"data_root: {dataset}/{here[0]} holds {len(one)} pictures: too few to keep some apart"
            )
        other = torch.arange(len(one)) % 3 == 2
        return [one.subset(order[~other]), one.subset(order[other])]
    if "train" not in here:
        here = ["val", "test"]
    first, second = (_folder(folder, split, prepared) for split in here[:2])
    if first.classes != second.classes:
        raise ParameterError(f"data_root: {dataset}/{here[0]} and {dataset}/{here[1]} hold different classes")
    return [first, second]


def _folder(folder: Path, split: str, prepared: models.Preparation | None) -> Pictures:
    # Imported after the repair in _compat.
    from PIL import Image
    from timm.data import create_transform
    from torchvision.transforms import ToTensor

    classes = tuple(sorted(path.name for path in (folder / split).iterdir() if path.is_dir() and path.name[0] != "."))
    files, labels = [], []
    for number, name in enumerate(classes):
        inside = sorted(path for path in (folder / split / name).iterdir() if path.suffix.lower() in SUFFIXES)
        files += inside
        labels += [number] * len(inside)
    if not files:
        raise ParameterError(f"data_root: {folder.name}/{split} holds no folders with pictures ({', '.join(SUFFIXES)})")
    transform = ToTensor()
    if prepared is not None:
        size = prepared.input_size
        transform = create_transform(
            (3, size, size),
            interpolation=prepared.interpolation,
            crop_pct=prepared.crop_pct,
            mean=(0,) * 3,
            std=(1,) * 3,
        )

    def read(row: int) -> Tensor:
        try:
            with Image.open(files[row]) as picture:
                return transform(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise ParameterError(f"data_root: {folder.name}/{split}: a picture cannot be read: {error}") from None

    return Pictures(read, torch.arange(len(files)), torch.tensor(labels), classes, _names(folder, classes))


def _names(folder: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    described = _described(folder)
    return tuple(str(described.get(name, {}).get("name", name)) for name in classes)


def _described(folder: Path) -> dict[str, dict]:
    """What `classes.json` of a data set says of its folders: {folder: {"name": words}}."""
    file = folder / "classes.json"
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): dict(entry) for name, entry in found.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ParameterError(f"data_root: {folder.name}/classes.json cannot be used: {error}") from None


def outputs_of(pictures: Pictures, outputs: int) -> Tensor | None:
    """The output of a network that stands for each class, int64 (classes,), None where nothing says which.

    As many outputs as classes: in the order of the folders. ImageNet's 1000 outputs: by the WordNet ids that the folders are
    named after.
    """
    from timm.data import ImageNetInfo

    if outputs == len(pictures.classes):
        return torch.arange(outputs)
    known = {name: index for index, name in enumerate(ImageNetInfo().label_names())} if outputs == 1000 else {}
    if not all(name in known for name in pictures.classes):
        return None
    return torch.tensor([known[name] for name in pictures.classes])
