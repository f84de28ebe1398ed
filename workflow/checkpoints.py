"""Trains the networks that come with the book, each with seeds 0, 1 and 2.

    python workflow/checkpoints.py [parity|autoencoders|parts|dropout]

parity        bit parity, with true and with shuffled labels
autoencoders  autoencoders of scenes, with four dropout rates; half precision; about a minute and a half each
parts         classifiers of pictures with known parts: a ResNet after each epoch, and on shuffled labels, and a transformer;
              half precision; about a minute each
dropout       the ResNet of `parts` once more, with dropout after each stage; half precision; about a minute each

writes src/innercodes/checkpoints/*.safetensors and prints how well each does. Without an argument, all. Same machine and
versions, same files.
"""

import argparse
import time

import torch
from safetensors.torch import save_file

from innercodes import autoencoders, data, lens_networks, models, parts, scenes, symbol_networks

SEEDS = (0, 1, 2)
EPOCHS = 6250  # of 8 batches each: the paper's 50,000 iterations
LEARNING_RATE = 0.01

SCENES = 4000  # to train on, and as many others to test with
AUTOENCODER_EPOCHS = 20  # the paper's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="?", choices=TRAINED)
    which = parser.parse_args().which
    torch.set_num_threads(1)
    models.CHECKPOINTS.mkdir(exist_ok=True)
    for name in [which] if which else TRAINED:
        TRAINED[name]()


def parity() -> None:
    train, every = data.load("parity", "train"), data.load("parity", "test")
    for seed in SEEDS:
        # The twin of the other games: the same start, the same recipe, the labels in another order.
        mixed = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(seed))
        for name, labels in (("parity_mlp", train.labels), ("parity_mlp_memorising", train.labels[mixed])):
            started = time.perf_counter()
            network = models.load("mlp3", seed)
            models.train(network, train.inputs, labels, EPOCHS, LEARNING_RATE, seed)
            _save(network.state_dict(), f"{name}-{seed}")
            print(
                f"{name}-{seed}: {models.accuracy(network, train.inputs, labels):.1%} of the training samples, "
                f"{models.accuracy(network, every.inputs, every.labels):.1%} of all 1024 inputs, "
                f"{time.perf_counter() - started:.0f} s",
                flush=True,
            )


def train_autoencoders() -> None:
    fitted, unseen = (part.pictures.tensors()[0] for part in scenes.load(SCENES, SCENES, seed=0))
    print(
        "autoencoders, nats a picture; the mean picture: "
        f"{autoencoders.mean_picture_loss(fitted, fitted):.1f} on the training scenes, "
        f"{autoencoders.mean_picture_loss(fitted, unseen):.1f} on unseen ones",
        flush=True,
    )
    for seed in SEEDS:
        for rate in autoencoders.SHIPPED_RATES:
            started = time.perf_counter()
            network = autoencoders.load(autoencoders.SHIPPED_WIDTH, rate, seed)
            losses = autoencoders.train(network, fitted, AUTOENCODER_EPOCHS, seed=seed)
            name = f"{autoencoders.shipped_name(rate)}-{seed}"
            _save(autoencoders.packed(network), name)
            seconds = time.perf_counter() - started
            rounded = autoencoders.shipped(rate, seed)  # as its readers will have it
            plain = [autoencoders.mean_loss(rounded, part) for part in (fitted, unseen)]
            models.settle(rounded, fitted)
            settled = [autoencoders.mean_loss(rounded, part) for part in (fitted, unseen)]
            print(
                f"{name}: {losses[0]:.1f} in the first epoch, {losses[-1]:.1f} in the last, with dropout; without, on the "
                f"training and on unseen scenes, {plain[0]:.1f} and {plain[1]:.1f}, settled {settled[0]:.1f} and "
                f"{settled[1]:.1f}; {seconds:.0f} s",
                flush=True,
            )


def train_on_parts() -> None:
    count, size, seed = symbol_networks.SHIPPED_ON, symbol_networks.SHIPPED_SIZE, symbol_networks.SHIPPED_SEED
    fitted, unseen = (parts.load(kind, count, seed, size).pictures.tensors() for kind in ("train", "test"))
    for name, recipe in symbol_networks.RECIPES.items():
        for seed in SEEDS:
            for shuffled in (False, True)[: 1 + (name == symbol_networks.WATCHED)]:
                started = time.perf_counter()
                after = symbol_networks.learn(name, seed, *fitted, recipe, float(shuffled))
                if name == symbol_networks.WATCHED and not shuffled:
                    for epoch, network in enumerate(after[:-1], 1):
                        _save(_half(network), f"{symbol_networks.shipped_name(name, epoch)}-{seed}")
                plain = symbol_networks.shipped_name(name, shuffled=shuffled)
                _save(_half(after[-1]), f"{plain}-{seed}")
                sizes = {"outputs": len(parts.COMBINATIONS["train"]), "channels": 3}
                rounded = models.load(
                    name, seed, models.checkpoint(plain, seed), **sizes
                )  # as its readers will have it
                print(
                    f"{plain}-{seed}: {models.accuracy(rounded, *fitted):.1%} of the training pictures, "
                    f"{models.accuracy(rounded, *unseen):.1%} of as many unseen ones, {time.perf_counter() - started:.0f} s",
                    flush=True,
                )


def train_with_dropout() -> None:
    count, size, seed = symbol_networks.SHIPPED_ON, symbol_networks.SHIPPED_SIZE, symbol_networks.SHIPPED_SEED
    fitted, unseen = (parts.load(kind, count, seed, size).pictures.tensors() for kind in ("train", "test"))
    name = symbol_networks.WATCHED
    for seed in SEEDS:
        started = time.perf_counter()
        network = lens_networks.learn_with_dropout(name, seed, *fitted, symbol_networks.RECIPES[name])
        network.load_state_dict(_half(network))  # as its readers will have it
        _save(_half(network), f"{lens_networks.shipped_name(name)}-{seed}")
        print(
            f"{lens_networks.shipped_name(name)}-{seed}: {models.accuracy(network, *fitted):.1%} of the training pictures, "
            f"{models.accuracy(network, *unseen):.1%} of as many unseen ones, {time.perf_counter() - started:.0f} s",
            flush=True,
        )


def _half(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights in half precision; counters as they are."""
    return {name: part.half() if part.is_floating_point() else part for name, part in network.state_dict().items()}


def _save(state: dict[str, torch.Tensor], name: str) -> None:
    path = models.CHECKPOINTS / f"{name}.safetensors"
    save_file(state, path)
    path.chmod(0o644)  # safetensors writes for the owner alone


TRAINED = {
    "parity": parity,
    "autoencoders": train_autoencoders,
    "parts": train_on_parts,
    "dropout": train_with_dropout,
}


if __name__ == "__main__":
    main()
