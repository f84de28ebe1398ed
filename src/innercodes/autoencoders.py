"""The variational autoencoder of Marshall & Kirchner 2024: a ResNet-18 with dropout after every ReLU, and a small decoder.

Sizes follow one `width`, the channels of the first stage of the ResNet: 64 in the paper. All else is in proportion to it.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from innercodes import models
from innercodes.parameters import ParameterError, refusal

KINDS = ("bce", "mse")
SMALLEST_SIZE = 16

SHIPPED_WIDTH = 12
SHIPPED_RATES = (0.0, 0.4, 0.6, 0.8)
"""Width and dropout rates of the networks that come with the book, trained on `scenes` by workflow/checkpoints.py."""


class Autoencoder(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] to their reconstruction (B, 3, H, W) and to mu and logvar, each (B, 4 width).

    In evaluation mode the code is mu; in training it is drawn from the normal distribution that mu and logvar describe.
    Dropout with probability `rate` follows every ReLU of the ResNet, none follows those of the linear layers, as in the
    authors' code. `size` is the side of the pictures that `decode` makes when it is given a code alone.
    """

    def __init__(self, width: int = 64, rate: float = 0.2, size: int = 64):
        super().__init__()
        if width < 8 or width % 2:
            raise refusal("width", width, "an even number from 8 on; 64 is the paper's")
        if not 0 <= rate < 1:
            raise refusal("rate", rate, "from 0 to below 1")
        if size < SMALLEST_SIZE:
            raise refusal("size", size, f"at least {SMALLEST_SIZE}")
        self.size, hidden, latent = size, 16 * width, 4 * width
        self.encoder = _resnet(width, rate)
        self.hidden = nn.Sequential(*_linear(8 * width, hidden), *_linear(hidden, hidden))
        self.mu, self.logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        # 64, 32 and 8 channels at the paper's width.
        channels = [max(8, width // part) for part in (1, 2, 8)]
        self.decoder = nn.Sequential(
            *_linear(latent, hidden), *_linear(hidden, 16 * channels[0]), nn.Unflatten(1, (channels[0], 4, 4)),
            nn.ConvTranspose2d(channels[0], channels[1], 3, 2), nn.BatchNorm2d(channels[1], momentum=0.01), nn.ReLU(),
            nn.ConvTranspose2d(channels[1], channels[2], 3, 2), nn.BatchNorm2d(channels[2], momentum=0.01), nn.ReLU(),
            nn.ConvTranspose2d(channels[2], 3, 3, 2), nn.BatchNorm2d(3, momentum=0.01), nn.Sigmoid(),
        )  # fmt: skip

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) to mu and logvar, the logarithm of the variance: each (B, 4 width)."""
        found = self.hidden(self.encoder(x))
        return self.mu(found), self.logvar(found)

    def decode(self, code: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Codes (B, 4 width) to pictures (B, 3, *size) in [0, 1]; the decoder's own 39 x 39 pixels are interpolated."""
        return nn.functional.interpolate(self.decoder(code), size or (self.size, self.size), mode="bilinear")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        code = mu + torch.randn_like(mu) * (logvar / 2).exp() if self.training else mu
        return self.decode(code, tuple(x.shape[-2:])), mu, logvar


def _linear(size_in: int, size_out: int) -> tuple[nn.Module, ...]:
    return nn.Linear(size_in, size_out), nn.BatchNorm1d(size_out, momentum=0.01), nn.ReLU()


def _resnet(width: int, rate: float) -> nn.Module:
    """timm's ResNet-18 without its classifier: (B, 3, H, W) to (B, 8 width); at width 64 its keys are those of `resnet18`."""
    from timm.models.resnet import BasicBlock, ResNet  # after the repair in _compat

    def activation(inplace: bool = True) -> nn.Module:
        return nn.Sequential(nn.ReLU(inplace=inplace), nn.Dropout(rate))

    # timm's single stem convolution always has 64 channels; its deep stem has as many as one asks for, and is replaced.
    network = ResNet(
        BasicBlock, (2, 2, 2, 2), num_classes=0, channels=tuple(width * 2**stage for stage in range(4)),
        stem_type="deep", stem_width=width // 2, act_layer=activation, zero_init_last=False,
    )  # fmt: skip
    network.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    return network


def layers(model: Autoencoder) -> list[str]:
    """Names of the encoder's ReLUs in the order they run: 17 of the ResNet (stem, two a block), then two of linear layers.

    For `activations.collect`: the ResNet's give maps (B, C, H, W), before dropout, the linear layers' give (B, C).
    """
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ReLU) and name.split(".")[0] in ("encoder", "hidden")
    ]


def loss(reconstruction: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, kind: str = "bce") -> Tensor:
    """Reconstruction error plus Kullback-Leibler divergence from N(0, 1), summed for each picture, their mean: a scalar.

    Pictures (B, C, H, W), mu and logvar (B, L), in nats for "bce", binary cross-entropy (the authors' code); "mse" is the squared
    error (the paper's text). The divergence is -1/2 sum(1 + log sigma² - mu² - sigma²).
    """
    if kind == "bce":
        error = nn.functional.binary_cross_entropy(reconstruction, x, reduction="sum")
    elif kind == "mse":
        error = nn.functional.mse_loss(reconstruction, x, reduction="sum")
    else:
        raise refusal("kind", kind, f"one of {', '.join(KINDS)}")
    divergence = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
    return (error + divergence) / len(x)


def train(
    model: Autoencoder,
    pictures: Tensor,
    epochs: int,
    learning_rate: float = 1e-3,
    batch_size: int = 50,
    seed: int = 0,
    kind: str = "bce",
    progress: bool = False,
    watch: Callable[[int], None] | None = None,
) -> list[float]:
    """Train on pictures (N, 3, H, W) in place, by Adam; the mean loss of the batches of each epoch, dropout and sampling active.

    The defaults are the authors' settings. Same seed, machine and versions, same weights. The model ends in evaluation mode;
    `watch(epoch)` is called after each epoch, in that mode too. Raises ValueError for fewer than two pictures or a batch
    size below 2: BatchNorm has no variance of one sample. For the same reason a last batch of one picture is left out.

    With dropout, the statistics that BatchNorm learns are not those of evaluation, where nothing is dropped ("variance
    shift", Li et al. 2019), so that the loss without dropout can be the higher one. `models.settle(model, pictures)` measures
    them anew without dropout; the paper does not mention such a step.
    """
    if len(pictures) < 2:
        raise ValueError(f"pictures: {len(pictures)}, must be at least 2")
    if batch_size < 2:
        raise ValueError(f"batch_size = {batch_size}: must be at least 2")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    cards = [pictures.device] if pictures.device.type == "cuda" else []
    losses = []
    # Dropout and the sampling of the code take the global generator, which is given back as it was.
    with torch.random.fork_rng(devices=cards):
        torch.manual_seed(seed)
        for epoch in tqdm(range(epochs), unit="epoch", desc=f"autoencoder, seed {seed}", disable=not progress):
            model.train()
            order = torch.randperm(len(pictures), generator=generator).to(pictures.device)
            total = torch.zeros((), dtype=torch.float64, device=pictures.device)
            seen = 0
            for batch in order.split(batch_size):
                if len(batch) < 2:
                    continue
                x = pictures[batch]
                value = loss(*_outputs(model, x), kind)
                optimizer.zero_grad(set_to_none=True)
                value.backward()
                optimizer.step()
                total += value.detach() * len(batch)
                seen += len(batch)
            losses.append(float(total) / seen)
            model.eval()
            if watch is not None:
                watch(epoch)
    model.eval()
    return losses


def _outputs(model: Autoencoder, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The arguments of `loss`: reconstruction, input, mu, logvar."""
    reconstruction, mu, logvar = model(x)
    return reconstruction, x, mu, logvar


def mean_loss(model: Autoencoder, pictures: Tensor, kind: str = "bce", chunk: int = 250) -> float:
    """The mean loss over pictures (N, 3, H, W) with mu as code and without dropout, to compare with `mean_picture_loss`."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return sum(float(loss(*_outputs(model, x), kind)) * len(x) for x in pictures.split(chunk)) / len(pictures)
    finally:
        model.train(was_training)


def mean_picture_loss(fitted: Tensor, pictures: Tensor, kind: str = "bce", chunk: int = 250) -> float:
    """What a model without a code reaches: the mean of `fitted` (N, 3, H, W) as reconstruction of each of the pictures."""
    mean = fitted.double().mean(0).to(pictures)
    none = pictures.new_zeros(1, 1)  # mu = 0 and log sigma² = 0 have no divergence
    parts = (float(loss(mean.expand_as(x), x, none, none, kind)) * len(x) for x in pictures.split(chunk))
    return math.fsum(parts) / len(pictures)


def load(
    width: int,
    rate: float,
    seed: int,
    weights: str = "",
    size: int = 64,
    device: torch.device | str = "cpu",
    pretrained: str = "",
) -> Autoencoder:
    """An autoencoder in evaluation mode: freshly initialised from `seed`, or with `weights` of all its parts from a file.

    `pretrained` is a file with the weights of a resnet18 of timm or torchvision, for the encoder at width 64; its classifier
    is left out. Both files are safetensors; half precision becomes float32. Raises ParameterError for weights that cannot be
    read or do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Autoencoder(width, rate, size)
    for name, file, part in (("pretrained", pretrained, model.encoder), ("weights", weights, model)):
        if file:
            _fill(part, name, file)
    return model.to(device).eval()


def _fill(part: nn.Module, name: str, file: str) -> None:
    try:
        state = load_file(Path(file).expanduser())
        if name == "pretrained":
            state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        # Files may lack the counters of batches, which evaluation does not use.
        counters = {key: value for key, value in part.state_dict().items() if key.endswith("num_batches_tracked")}
        part.load_state_dict(counters | state)
    except Exception as error:  # a file can be wrong in many ways, and all mean the same to the reader
        wanted = "a resnet18 of width 64" if name == "pretrained" else "this autoencoder, its width included"
        why = " ".join(str(error).split())[:200]
        raise ParameterError(f"{name} = {Path(file).name!r}: not safetensors weights of {wanted}: {why}") from None


def untrained(width: int, rate: float, seed: int, pictures: Tensor, size: int = 64) -> Autoencoder:
    """The untrained twin of `load`: random weights, BatchNorm statistics set by one pass over pictures (N, 3, H, W).

    On the device of the pictures. No residual block starts as an identity.
    """
    return models.settle(load(width, rate, seed, size=size, device=pictures.device), pictures)


def shipped_name(rate: float) -> str:
    """The name of the networks with this dropout rate for `models.checkpoint`: "autoencoder_60" for 0.6."""
    return f"autoencoder_{round(100 * rate)}"


def shipped(rate: float, seed: int, device: torch.device | str = "cpu") -> Autoencoder:
    """A trained autoencoder that comes with the book, for scenes of 64 x 64; ParameterError for another rate or seed."""
    if rate not in SHIPPED_RATES:
        raise refusal("rate", rate, f"one of {', '.join(map(str, SHIPPED_RATES))}: networks that come with the book")
    return load(SHIPPED_WIDTH, rate, seed, models.checkpoint(shipped_name(rate), seed), device=device)


def packed(model: Autoencoder) -> dict[str, Tensor]:
    """The state dict as it is shipped: float16, without the counters of batches."""
    return {
        key: value.half().contiguous()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
