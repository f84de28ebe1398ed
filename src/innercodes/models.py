"""The networks of the book: small ones trained here, and the loading of weights without pickle."""

import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from innercodes.parameters import ParameterError, refusal


def mlp5(inputs: int = 9, outputs: int = 2, hidden: int = 100) -> nn.Sequential:
    """Five linear layers with ReLU between them, the paper's MLP-5: (..., inputs) to logits (..., outputs)."""
    sizes = [inputs, hidden, hidden, hidden, hidden, outputs]
    layers: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet(outputs: int = 2) -> nn.Sequential:
    """LeNet-5 with ReLU and max-pooling: pictures (B, 1, 32, 32) to logits (B, outputs); LeCun et al. 1998."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, outputs),
    )  # fmt: skip


def polynomial(players: int, degree: int, seed: int, hidden: int = 16) -> Callable[[Tensor], Tensor]:
    """A network whose only non-linearity is a product: the sum over hidden units of `degree` linear maps multiplied.

    A polynomial of that degree in its inputs; masks (m, players) to outputs float64 (m,). Shown players have random values.
    """
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(degree, hidden, players, dtype=torch.float64, generator=generator)
    values = torch.randn(players, dtype=torch.float64, generator=generator)
    return lambda masks: ((masks.double() * values) @ maps.mT).prod(0).sum(-1)


NETWORKS = {"mlp5": mlp5, "lenet": lenet}


def load(name: str, seed: int, weights: str = "", device: torch.device | str = "cpu") -> nn.Module:
    """The network `name` in evaluation mode, freshly initialised from `seed` or with weights from a file.

    The file is safetensors or a plain PyTorch state dict; nothing in it is executed. Raises ParameterError for an unknown
    name and for weights that cannot be read or do not fit.
    """
    if name not in NETWORKS:
        raise refusal("model", name, "one of " + ", ".join(NETWORKS))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NETWORKS[name]()
    if weights:
        try:
            path = Path(weights).expanduser()
            state = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, weights_only=True, map_location="cpu")
            )
            model.load_state_dict(state)
        except Exception as error:  # each format has errors of its own, and all mean the same to the reader
            raise ParameterError(
                f"weights = {path.name!r}: not weights of {name}: {' '.join(str(error).split())[:200]}"
            ) from None
    return model.to(device).eval()


def train(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    epochs: int,
    learning_rate: float,
    seed: int,
    batch_size: int = 128,
    progress: bool = False,
) -> nn.Module:
    """Train a classifier in place and return it in evaluation mode; same seed and machine, same weights.

    The recipe of the paper's authors: SGD with momentum 0.9 and weight decay 5e-4, cross-entropy, batches drawn so that
    each class is equally likely, and a learning rate that falls along a logarithm to a tenth over the run.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = (1 / torch.bincount(labels).clamp(min=1).double())[labels].cpu()
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / max(epochs - 1, 1)))
    model.train()
    with tqdm(range(epochs), unit="epoch", desc=f"training, seed {seed}", mininterval=1, disable=not progress) as bar:
        for _ in bar:
            drawn = torch.multinomial(weights, len(labels), replacement=True, generator=generator).to(labels.device)
            for batch in drawn.split(batch_size):
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            schedule.step()
    return model.eval()


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor, chunk: int = 1024) -> float:
    """Share of inputs whose largest logit is the label's."""
    with torch.no_grad():
        right = [
            (model(x).argmax(-1) == y).sum() for x, y in zip(inputs.split(chunk), labels.split(chunk), strict=True)
        ]
    return float(torch.stack(right).sum()) / len(labels)
