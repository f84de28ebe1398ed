"""Pictures with classes, read one at a time: embedded digits, and folders of files below `data_root`.

Nothing but the batch at hand is in memory, whatever the number of pictures.
"""

import json
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from innercodes import data, models
from innercodes.parameters import ParameterError, refusal

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
SPLITS = ("train", "val", "test")
REFUSE, SKIP = "refuse", "skip"
NAMED = 10
"""Bad files that an error or a warning names; the others are counted."""
KEPT = 100
"""Bad files whose names a results file keeps."""
CPU = torch.device("cpu")
# Values of the pictures that a CPU takes at once. With 6 pictures of 224 pixels a gradient of MobileNetV2 takes 0.44 of the
# time that it takes with 128, and a sixteenth of the memory; one of ViT-tiny 0.86 and an eighteenth.
CACHED = 2**20


@dataclass(frozen=True)
class Pictures(Dataset):
    """Pictures float32 (C, H, W) in [0, 1], read by number, and the number of the class of each.

    `names` are the classes' names, as in `classes` their folders' names; `embedded` says that the pictures come with the
    packages and may be shown. `skipped` are the files of the whole set that were left out: <data set>/<split>/<class>/<file>.
    """

    read: Callable[[int], Tensor]
    rows: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    names: tuple[str, ...]
    embedded: bool = False
    skipped: tuple[str, ...] = ()

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
    unreadable: str = REFUSE,
) -> tuple[Pictures, Pictures]:
    """The pictures that maps are fitted on, and others: at most `fitted` and `unseen`, drawn as evenly over classes as they allow.

    `dataset` is "digits", which comes with scikit-learn, or a folder `root/<dataset>` of folders <split>/<class>/ with
    pictures. The first come from its train split, the others from val or test; of a set with a single split every third picture
    of a shuffled list is one of the others. `prepared` says how files become inputs; without it they are taken as they are.
    Every file is looked at first, not decoded (`fault`). With `unreadable` "refuse" one line names and counts the bad ones; "skip"
    leaves them out before anything is drawn, warns, and notes them in `skipped`. What only decoding shows stops at that file.
    Raises ParameterError for a folder that is missing, empty or unlike this, and for files that cannot be read.
    """
    if dataset == "digits" and prepared is not None:
        raise refusal(
            "dataset", dataset, "a folder of pictures: this network prepares its inputs, and digits are as they are"
        )
    if dataset == "digits":
        parts = [_embedded(data.load("digits", split)) for split in ("train", "test")]
    else:
        parts = _splits(dataset, root, prepared, seed, unreadable)
    drawn = []
    for part, most in zip(parts, (fitted, unseen), strict=True):
        generator = torch.Generator().manual_seed(seed)
        picked = data.balanced(part.labels, min(most, len(part)), generator).sort().values
        drawn.append(part.subset(picked))
    return drawn[0], drawn[1]


def _embedded(found: data.Data) -> Pictures:
    numbers = torch.arange(len(found.labels))
    return Pictures(lambda row: found.inputs[row], numbers, found.labels, found.classes, found.classes, embedded=True)


def _splits(dataset: str, root: str, prepared: models.Preparation | None, seed: int, unreadable: str) -> list[Pictures]:
    folder = Path(root).expanduser() / dataset
    here = [split for split in SPLITS if (folder / split).is_dir()]
    if not root or not here:
        raise refusal("data_root", root, f"the folder that holds {dataset}/train, {dataset}/val or {dataset}/test")
    used = here if len(here) == 1 else ["train", here[1]] if "train" in here else ["val", "test"]
    listed = {split: _listed(folder, split) for split in used}
    if len({tuple(by_class) for by_class in listed.values()}) > 1:
        raise ParameterError(f"data_root: {dataset}/{used[0]} and {dataset}/{used[1]} hold different classes")
    bad = {
        file: why
        for by_class in listed.values()
        for files in by_class.values()
        for file in files
        if (why := fault(file))
    }
    if bad:
        _told(dataset, {_shown(folder, file): why for file, why in bad.items()}, unreadable)
    found = []
    for split, by_class in listed.items():
        good = {name: [file for file in files if file not in bad] for name, files in by_class.items()}
        if not any(good.values()):
            raise ParameterError(f"data_root: {dataset}/{split} holds no picture that can be read")
        found.append(replace(_folder(folder, good, prepared), skipped=tuple(_shown(folder, file) for file in bad)))
    if len(found) == 2:
        return found
    (one,) = found
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(seed))
    if len(one) < 3:
        raise ParameterError(f"data_root: {dataset}/{used[0]} holds {len(one)} pictures: too few to keep some apart")
    other = torch.arange(len(one)) % 3 == 2
    return [one.subset(order[~other]), one.subset(order[other])]


def _listed(folder: Path, split: str) -> dict[str, list[Path]]:
    """The files of each class of a split, in order."""
    classes = sorted(path.name for path in (folder / split).iterdir() if path.is_dir() and path.name[0] != ".")
    found = {
        name: sorted(path for path in (folder / split / name).iterdir() if path.suffix.lower() in SUFFIXES)
        for name in classes
    }
    if not any(found.values()):
        raise ParameterError(f"data_root: {folder.name}/{split} holds no folders with pictures ({', '.join(SUFFIXES)})")
    return found


def _shown(folder: Path, file: Path) -> str:
    """A file of a data set as <data set>/<split>/<class>/<file>, on one line whatever its name holds."""
    name = file.relative_to(folder.parent).as_posix()
    return name if name.isprintable() else ascii(name)


def _told(dataset: str, bad: Mapping[str, str], unreadable: str) -> None:
    """Refuse a set for its bad files, or warn that they are left out: one line, which counts all and names the first."""
    named = ", ".join(f"{name} ({why})" for name, why in list(bad.items())[:NAMED])
    more = f", and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    count = "1 file that cannot" if len(bad) == 1 else f"{len(bad)} files that cannot"
    if unreadable != SKIP:
        raise ParameterError(
            f"data_root: {dataset} holds {count} be read: {named}{more}; unreadable = 'skip' leaves them out"
        )
    warnings.warn(f"{dataset}: left out {count} be read: {named}{more}", stacklevel=4)


def left_out(*found: Pictures) -> dict[str, Any]:
    """What a results file says of files that were skipped: how many, and the names of the first `KEPT`, each once."""
    names = list(dict.fromkeys(name for one in found for name in one.skipped))
    return {"files": len(names), "names": names[:KEPT]}


def fault(file: Path) -> str:
    """Why a file is no whole picture, in a few words, or "". Its header is read, and its end compared with what the format says.

    A file with an unusual end is decoded, since bytes after a picture do no harm. What is wrong within a file, such as a flipped
    bit, is found by decoding alone.
    """
    # Imported after the repair in _compat.
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if not _ended(file, picture.format or ""):
                picture.convert("RGB")
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        return _why(file, error)
    return ""


# Of decoders that meet nonsense; a decompression bomb is an Exception of its own (PIL.Image.DecompressionBombError).
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error)


def _ended(file: Path, kind: str) -> bool:
    """Whether the last bytes are those that the format ends with."""
    with file.open("rb") as stream:
        size = file.stat().st_size
        head = stream.read(12)
        stream.seek(max(size - 12, 0))
        tail = stream.read()
    if kind in ("JPEG", "MPO"):
        return tail.endswith(b"\xff\xd9")
    if kind == "PNG":
        return tail == b"\0\0\0\0IEND\xae\x42\x60\x82"
    if kind == "WEBP":
        return size >= 8 + int.from_bytes(head[4:8], "little")
    return kind == "BMP" and size >= int.from_bytes(head[2:6], "little") > 14


def _why(file: Path, error: BaseException) -> str:
    """An error of a decoder in words that name no folder of this machine."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not a picture" if file.stat().st_size else "empty"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).replace(str(file), file.name)[:200] or type(error).__name__


def _folder(folder: Path, listed: Mapping[str, list[Path]], prepared: models.Preparation | None) -> Pictures:
    # Imported after the repair in _compat.
    from PIL import Image
    from timm.data import create_transform
    from torchvision.transforms import ToTensor

    classes = tuple(listed)
    files = [file for inside in listed.values() for file in inside]
    labels = [number for number, inside in enumerate(listed.values()) for _ in inside]
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
        except (*UNREADABLE, Image.DecompressionBombError) as error:
            raise ParameterError(
                f"data_root: {_shown(folder, files[row])} cannot be read: {_why(files[row], error)}"
            ) from None

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
