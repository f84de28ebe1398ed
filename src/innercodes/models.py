"""The networks of the book: small ones trained here, timm's by name, and the loading of weights without pickle."""

import functools
import itertools
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from innercodes.parameters import ParameterError, refusal


def mlp5(inputs: int = 9, outputs: int = 2, hidden: int = 100) -> nn.Sequential:
    """Five linear layers with ReLU between them, the paper's MLP-5: (..., inputs) to logits (..., outputs)."""
    return _mlp([inputs, hidden, hidden, hidden, hidden, outputs])


def mlp3(inputs: int = 10, outputs: int = 2, hidden: int = 100) -> nn.Sequential:
    """Three hidden layers with ReLU, the paper's network for bit parity: (..., inputs) to logits (..., outputs)."""
    return _mlp([inputs, hidden, hidden, hidden, outputs])


def _mlp(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _ResidualLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x) + x)


def resmlp5(inputs: int = 9, outputs: int = 2, hidden: int = 100) -> nn.Sequential:
    """MLP-5 whose three middle layers add their input before the ReLU: (..., inputs) to logits (..., outputs).

    As in the code of Li & Zhang (2023), which the paper's ResMLP-5 comes from.
    """
    middle = [_ResidualLinear(hidden, hidden) for _ in range(3)]
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), *middle, nn.Linear(hidden, outputs))


def lenet(outputs: int = 2, channels: int = 1) -> nn.Sequential:
    """LeNet-5 with ReLU and max-pooling: pictures (B, channels, 32, 32) to logits (B, outputs); LeCun et al. 1998."""
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, outputs),
    )  # fmt: skip


def cnn(outputs: int = 2, channels: int = 1) -> nn.Sequential:
    """A small network for the 8 x 8 digits: pictures (B, channels, 8, 8) to logits (B, outputs)."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, outputs),
    )  # fmt: skip


class _Block(nn.Module):
    """Two convolutions and the option-A shortcut, which has no weights: subsample, and pad channels with zeros."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.stride, self.padding = stride, (after - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        pad = (0, 0, 0, 0, self.padding, self.padding)
        return torch.relu(y + nn.functional.pad(x[..., :: self.stride, :: self.stride], pad))


class CifarResNet(nn.Module):
    """The ResNets of He et al. 2015, section 4.2: `depth` = 6b + 2 layers in three stages of b blocks (16, 32, 64 channels)."""

    def __init__(self, depth: int = 20, channels: int = 3, outputs: int = 10):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise refusal("depth", depth, "6b + 2 with b blocks in each stage: 8, 14, 20, 32, 44, 56, 110")
        self.conv1, self.bn1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(_Block(16, 16, 1) for _ in range(blocks)))
        self.layer2 = nn.Sequential(*(_Block(32 if b else 16, 32, 1 if b else 2) for b in range(blocks)))
        self.layer3 = nn.Sequential(*(_Block(64 if b else 32, 64, 1 if b else 2) for b in range(blocks)))
        self.linear = nn.Linear(64, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((-2, -1)))


def cifar_resnet(depth: int = 20, channels: int = 3, outputs: int = 10) -> CifarResNet:
    """A CIFAR ResNet with option-A shortcuts: pictures (B, channels, H, W), 32 x 32 in the paper, to logits (B, outputs)."""
    return CifarResNet(depth, channels, outputs)


def vgg(depth: int = 13, channels: int = 3, outputs: int = 10) -> nn.Sequential:
    """VGG-13 or VGG-16 with BatchNorm for small pictures: (B, channels, 32, 32) to logits (B, outputs).

    Simonyan & Zisserman 2015, configurations B and D. One linear layer follows the convolutions, where the original has
    three that hold nearly all of its weights; the authors' code keeps these.
    """
    each = {13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3)}
    if depth not in each:
        raise refusal("depth", depth, "13 or 16")
    layers: list[nn.Module] = []
    for width, count in zip((64, 128, 256, 512, 512), each[depth], strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, outputs))


class PointNet(nn.Module):
    """The classification network of Qi et al. 2017 without its two alignment networks (T-Nets)."""

    def __init__(self, outputs: int = 16):
        super().__init__()
        layers: list[nn.Module] = []
        for size_in, size_out in itertools.pairwise((3, 64, 64, 64, 128, 1024)):
            layers += [nn.Conv1d(size_in, size_out, 1), nn.BatchNorm1d(size_out), nn.ReLU()]
        self.points = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU(),
            nn.Linear(512, 256), nn.Dropout(0.3), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, outputs),
        )  # fmt: skip

    def forward(self, clouds: Tensor) -> Tensor:
        return self.head(self.points(clouds.mT).amax(-1))


def pointnet(outputs: int = 16) -> PointNet:
    """PointNet without T-Nets: point clouds (B, points, 3) to logits (B, outputs), in whatever order the points are."""
    return PointNet(outputs)


def polynomial(players: int, degree: int, seed: int, hidden: int = 16) -> Callable[[Tensor], Tensor]:
    """A network whose only non-linearity is a product: the sum over hidden units of `degree` linear maps multiplied.

    A polynomial of that degree in its inputs; masks (m, players) to outputs float64 (m,). Shown players have random values.
    """
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(degree, hidden, players, dtype=torch.float64, generator=generator)
    values = torch.randn(players, dtype=torch.float64, generator=generator)
    return lambda masks: ((masks.double() * values) @ maps.mT).prod(0).sum(-1)


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp3": mlp3,
    "mlp5": mlp5,
    "resmlp5": resmlp5,
    "lenet": lenet,
    "cnn": cnn,
    **{f"resnet{depth}": functools.partial(cifar_resnet, depth) for depth in (8, 20, 32, 44, 56)},
    **{f"vgg{depth}": functools.partial(vgg, depth) for depth in (13, 16)},
    "pointnet": pointnet,
}
"""The networks of this book by name. Beside them `load` knows "timm/<architecture>", "lstm" and "transformers/<folder>"."""


def vit8(outputs: int = 10, channels: int = 1) -> nn.Module:
    """timm's vision transformer, small, for the 8 x 8 digits: pictures (B, channels, 8, 8) to logits (B, outputs).

    Four blocks of width 64 with four heads; 16 patches of 2 x 2 pixels and the class token. The start is Xavier's (Glorot &
    Bengio 2010), as in MoCo v3: timm's own, whose weights have a standard deviation of 0.02 at any width, learns nothing by
    `train` at this width.
    """
    from timm.models import VisionTransformer

    return VisionTransformer(
        img_size=8, patch_size=2, in_chans=channels, num_classes=outputs,
        embed_dim=64, depth=4, num_heads=4, mlp_ratio=2, weight_init="moco",
    )  # fmt: skip


NETWORKS["vit8"] = vit8


class _Rows(nn.LSTM):
    """An LSTM layer that says its output sequence alone: (B, T, inputs) to (B, T, hidden). So it can be a stage."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]


class RowsLSTM(nn.Module):
    """Three LSTM layers that read pictures (B, channels, H, width) row by row, and a linear layer after the last row."""

    def __init__(self, outputs: int = 10, channels: int = 1, width: int = 8, hidden: int = 64):
        super().__init__()
        self.layer1 = _Rows(channels * width, hidden, batch_first=True)
        self.layer2 = _Rows(hidden, hidden, batch_first=True)
        self.layer3 = _Rows(hidden, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2).flatten(2)
        return self.linear(self.layer3(self.layer2(self.layer1(rows)))[:, -1])


def rows_lstm(outputs: int = 10, channels: int = 1, width: int = 8, hidden: int = 64) -> RowsLSTM:
    """An LSTM for pictures that are `width` pixels wide: (B, channels, H, width), 8 x 8 for the digits, to logits (B, outputs)."""
    return RowsLSTM(outputs, channels, width, hidden)


NETWORKS["rows_lstm"] = rows_lstm


class _ConvolvedPatches(nn.Module):
    """Three strided convolutions in the place of cut-out patches: (B, channels, H, W) to tokens (B, H / 8 * W / 8, width)."""

    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **_: Any):
        super().__init__()
        self.patch_size, self.grid_size = (patch_size, patch_size), (img_size // patch_size, img_size // patch_size)
        self.num_patches, layers = self.grid_size[0] * self.grid_size[1], []
        for size_in, size_out in itertools.pairwise((in_chans, embed_dim // 4, embed_dim // 2, embed_dim)):
            layers += [nn.Conv2d(size_in, size_out, 3, 2, 1, bias=False), nn.BatchNorm2d(size_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(2).mT


def vit48(outputs: int = 16, channels: int = 3) -> nn.Module:
    """timm's vision transformer, small, for pictures of 48 x 48 pixels: (B, channels, 48, 48) to logits (B, outputs).

    Three blocks of width 64 with four heads, on 36 tokens of 8 x 8 pixels and the class token. A few convolutions make the
    tokens (Xiao et al. 2021): cut-out patches learn next to nothing from some thousand pictures. The start is as in `vit8`.
    """
    from timm.models import VisionTransformer

    return VisionTransformer(
        img_size=48, patch_size=8, in_chans=channels, num_classes=outputs, embed_dim=64, depth=3, num_heads=4, mlp_ratio=2,
        weight_init="moco", embed_layer=_ConvolvedPatches,
    )  # fmt: skip


NETWORKS["vit48"] = vit48


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes an input: side in pixels, how it was resized and cropped, and the channels' mean and std."""

    input_size: int
    crop_pct: float = 1.0
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


def preparation(name: str, weights: str = "") -> Preparation | None:
    """What the network `name` expects of its pictures: as the JSON file beside the weights says, else timm's default.

    None for a network without either: it takes inputs as they are. Raises ParameterError for a file that cannot be used.
    """
    described = _described(name, weights)
    if described is None and name.startswith("timm/"):
        _builder(name)  # an unknown architecture is refused by name
        described = _timm_config(name)
    if described is None or "mean" not in described:
        return None
    try:
        number = described["input_size"]
        return Preparation(
            int(number if isinstance(number, int) else number[-1]),
            float(described.get("crop_pct", 1.0)),
            str(described.get("interpolation", "bilinear")),
            tuple(map(float, described["mean"])),
            tuple(map(float, described["std"])),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _bad_weights(weights, f"its JSON file lacks or garbles {error}") from None


class Normalise(nn.Module):
    """Subtract the mean of each channel and divide by its standard deviation: pictures (B, C, H, W) with values in [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        # Not part of the state dict, so that files with weights fit as they are.
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def sentence_lstm(outputs: int = 2, channels: int = 4, width: int = 8, hidden: int = 64) -> nn.Sequential:
    """An LSTM for sentences as `sentences.as_pictures` shows them, float (B, 4, words, 8) in [0, 1]: its values are spread first."""
    spread = Normalise((0.5,) * channels, (0.2,) * channels)
    return nn.Sequential(OrderedDict(normalise=spread, network=RowsLSTM(outputs, channels, width, hidden)))


NETWORKS["sentence_lstm"] = sentence_lstm


def load(name: str, seed: int, weights: str = "", device: torch.device | str = "cpu", **sizes: Any) -> nn.Module:
    """The network `name` in evaluation mode, freshly initialised from `seed` or with weights from a file.

    `name` is one of `NETWORKS`, "timm/<architecture>", or "lstm" or "transformers/<...>", which the language module makes.
    `sizes` go to the network's builder: `inputs`, `outputs`, `channels`, ... A transformer needs none, and has no use for
    the seed: it always comes with weights.
    The file is safetensors or a plain PyTorch state dict; nothing in it is executed. A JSON file of the same name beside
    it says how the network is built and how its inputs are prepared: the returned network then normalises by itself and
    takes pictures in [0, 1]. Raises ParameterError for an unknown name and for weights that cannot be read or do not fit.
    """
    if name.startswith("transformers/"):
        from innercodes import language

        return language.load(name, weights, device)[0].eval()
    network = _fresh(name, seed, weights, sizes)
    if weights:
        path = Path(weights).expanduser()
        described = _described(name, weights) or {}
        try:
            state = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, weights_only=True, map_location="cpu")
            )
            _inner(network).load_state_dict(_filled(state, network, bool(described.get("strict", True))))
        except Exception as error:  # each format has errors of its own, and all mean the same to the reader
            raise _bad_weights(weights, f"not weights of {name}: {' '.join(str(error).split())[:200]}") from None
    return network.to(device).eval()


def untrained(name: str, seed: int, weights: str = "", device: torch.device | str = "cpu", **sizes: Any) -> nn.Module:
    """The untrained twin of `load` with the same arguments: built and preparing its inputs in the same way, weights random.

    Of the file with weights only the JSON beside it is read. A network with BatchNorm must still be given its statistics
    by `settle`; its residual blocks do not start as identities, which some libraries arrange and which breaks the twin.
    """
    if name.startswith("transformers/"):
        from innercodes import language

        return language.untrained(name, weights, seed, device).eval()
    return _fresh(name, seed, weights, sizes).to(device).eval()


def settle(model: nn.Module, inputs: Tensor, chunk: int = 512) -> nn.Module:
    """Set the running statistics of every BatchNorm by one pass over `inputs`; returns the model in evaluation mode.

    Only BatchNorm sees its batch, all other layers work as in evaluation. Statistics are averaged over chunks of at most
    `chunk` inputs, each taken evenly from the whole so that sorted data do no harm; at least two inputs are needed.
    Without BatchNorm nothing happens. Used for untrained networks, whose statistics are otherwise 0 and 1.
    """
    norms = [module for module in model.eval().modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return model
    if len(inputs) < 2:
        raise ValueError(f"{len(inputs)} inputs: BatchNorm needs at least 2 to have a variance")
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over all chunks
        norm.train()
    parts = math.ceil(len(inputs) / chunk)
    with torch.no_grad():
        for part in range(parts):
            model(inputs[part::parts])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


CHECKPOINTS = Path(__file__).parent / "checkpoints"


def checkpoint(name: str, seed: int) -> str:
    """Path of a network that comes with the book, for `load`; raises ParameterError where there is none for the seed.

    All are made by workflow/checkpoints.py, which says what each name stands for.
    """
    path = CHECKPOINTS / f"{name}-{seed}.safetensors"
    if not path.is_file():
        shipped = sorted(int(p.stem.rsplit("-", 1)[1]) for p in CHECKPOINTS.glob(f"{name}-*.safetensors"))
        raise refusal(
            "seed", seed, f"one of {', '.join(map(str, shipped))}: the networks '{name}' that come with the book"
        )
    return str(path)


def _fresh(name: str, seed: int, weights: str, sizes: dict[str, Any]) -> nn.Module:
    """A network with random weights, behind its normalisation where it has one."""
    build, described = _builder(name), _described(name, weights) or {}
    prepared = preparation(name, weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = build(**{**described.get("kwargs", {}), **sizes})
        except TypeError as error:
            if not described:
                raise
            raise _bad_weights(weights, f"its JSON file does not describe {name}: {error}") from None
    if prepared is None:
        return network
    return nn.Sequential(OrderedDict(normalise=Normalise(prepared.mean, prepared.std), network=network))


def _builder(name: str) -> Callable[..., nn.Module]:
    if name in NETWORKS:
        return NETWORKS[name]
    if name == "lstm":
        from innercodes import language  # which only chapters on language need

        return language.lstm
    if name.startswith("timm/"):
        import timm

        if timm.is_model(name.removeprefix("timm/")):
            return functools.partial(_timm, name.removeprefix("timm/"))
        raise refusal("model", name, "timm/ and the name of an architecture of timm, such as timm/resnet18")
    raise refusal("model", name, f"one of {', '.join(NETWORKS)}, lstm, timm/<architecture> or transformers/<name>")


def _timm(architecture: str, outputs: int = 1000, **kwargs: Any) -> nn.Module:
    import timm

    network = timm.create_model(architecture, pretrained=False, num_classes=outputs, **kwargs)
    for module in network.modules():
        # timm starts the last BatchNorm of a residual block at 0 (zero_init_last); 1 keeps the block from being an identity.
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine and not module.weight.any():
            nn.init.ones_(module.weight)
    return network


def _timm_config(name: str) -> dict[str, Any] | None:
    import timm

    config = timm.get_pretrained_cfg(name.removeprefix("timm/"), allow_unregistered=True)
    return config and config.to_dict()


def _described(name: str, weights: str) -> dict[str, Any] | None:
    """The JSON file beside the weights, None where there is none; ParameterError unless it describes the network `name`."""
    path = Path(weights).expanduser().with_suffix(".json") if weights else None
    if path is None or not path.is_file():
        return None
    try:
        described = json.loads(path.read_text())
        library, architecture = described["library"], described["architecture"]
        kwargs = described.setdefault("kwargs", {})
        known = f"resnet{kwargs.get('depth')}" if architecture == "cifar_resnet" else architecture
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad_weights(weights, f"its JSON file cannot be used: {type(error).__name__} {error}") from None
    known = known if library == "innercodes" else f"{library}/{architecture}"
    if known != name:
        raise refusal("model", name, f"{known}, which the weights are for")
    if library == "innercodes":
        kwargs.pop("depth", None)  # the name has it
    return described


def _bad_weights(weights: str, why: str) -> ParameterError:
    return ParameterError(f"weights = {Path(weights).name!r}: {' '.join(why.split())}")


def _inner(network: nn.Module) -> nn.Module:
    """The network without the normalisation in front of it."""
    return network.network if isinstance(network, nn.Sequential) and hasattr(network, "network") else network


def _filled(state: dict[str, Tensor], network: nn.Module, strict: bool) -> dict[str, Tensor]:
    """Where a file need not be complete, add what it may lack: counters of batches, which evaluation does not use."""
    if strict:
        return state
    own = _inner(network).state_dict()
    return {key: value for key, value in own.items() if key.endswith("num_batches_tracked")} | state


def train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    epochs: int,
    learning_rate: float,
    seed: int,
    batch_size: int = 128,
    progress: bool = False,
    watch: Callable[[int], None] | None = None,
) -> nn.Module:
    """Train a classifier in place and return it in evaluation mode; same seed and machine, same weights.

    `watch(epoch)` is called after each epoch, with the model in evaluation mode.

    The recipe of the paper's authors: SGD with momentum 0.9 and weight decay 5e-4, cross-entropy, batches drawn so that
    each class is equally likely, and a learning rate that falls along a logarithm to a tenth over the run.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = (1 / torch.bincount(labels).clamp(min=1).double())[labels].cpu()
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / max(epochs - 1, 1)))
    model.train()
    with tqdm(range(epochs), unit="epoch", desc=f"training, seed {seed}", mininterval=1, disable=not progress) as bar:
        for epoch in bar:
            drawn = torch.multinomial(weights, len(labels), replacement=True, generator=generator).to(labels.device)
            for batch in drawn.split(batch_size):
                if len(batch) == 1 < len(drawn):
                    continue  # BatchNorm has no variance of one sample
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            schedule.step()
            if watch is not None:
                model.eval()
                watch(epoch)
                model.train()
    return model.eval()


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor, chunk: int = 1024) -> float:
    """Share of inputs whose largest logit is the label's."""
    with torch.no_grad():
        right = [
            (model(x).argmax(-1) == y).sum() for x, y in zip(inputs.split(chunk), labels.split(chunk), strict=True)
        ]
    return float(torch.stack(right).sum()) / len(labels)
