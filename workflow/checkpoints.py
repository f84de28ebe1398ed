"""Trains the networks that come with the book: bit parity, seeds 0, 1 and 2, with true and with shuffled labels.

    python workflow/checkpoints.py

writes src/innercodes/checkpoints/*.safetensors and prints the accuracy of each. Same machine and versions, same files.
"""

import time

import torch
from safetensors.torch import save_file

from innercodes import data, models

SEEDS = (0, 1, 2)
EPOCHS = 6250  # of 8 batches each: the paper's 50,000 iterations
LEARNING_RATE = 0.01


def main() -> None:
    torch.set_num_threads(1)
    train, every = data.load("parity", "train"), data.load("parity", "test")
    models.CHECKPOINTS.mkdir(exist_ok=True)
    for seed in SEEDS:
        # The twin of the other games: the same start, the same recipe, the labels in another order.
        mixed = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(seed))
        for name, labels in (("parity_mlp", train.labels), ("parity_mlp_memorising", train.labels[mixed])):
            started = time.perf_counter()
            network = models.load("mlp3", seed)
            models.train(network, train.inputs, labels, EPOCHS, LEARNING_RATE, seed)
            path = models.CHECKPOINTS / f"{name}-{seed}.safetensors"
            save_file(network.state_dict(), path)
            path.chmod(0o644)  # safetensors writes for the owner alone
            print(
                f"{name}-{seed}: {models.accuracy(network, train.inputs, labels):.1%} of the training samples, "
                f"{models.accuracy(network, every.inputs, every.labels):.1%} of all 1024 inputs, "
                f"{time.perf_counter() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
