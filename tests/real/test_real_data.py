"""Small runs on real data, where INNERCODES_DATA names the folder that holds the data sets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import ROOT

from innercodes import data, models, players
from innercodes.parameters import Run

DATA = os.environ.get("INNERCODES_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="INNERCODES_DATA names no folder with data sets")


def test_mnist_is_read_whole():
    train, test = data.load("mnist3", "train", DATA), data.load("mnist3", "test", DATA)
    # The counts of threes are printed in every description of MNIST.
    assert (len(train.labels), int(train.labels.sum())) == (60_000, 6_131)
    assert (len(test.labels), int(test.labels.sum())) == (10_000, 1_010)
    assert test.inputs.shape[1:] == (1, 32, 32) and float(test.inputs.max()) == 1.0
    assert float(test.inputs[..., :2, :].max()) == 0


def test_parts_cover_ink_on_nearly_every_three():
    test = data.load("mnist3", "test", DATA)
    threes = test.inputs[test.labels == 1]
    parts, fits = data.ink_parts(threes, 8)
    assert float(fits.float().mean()) > 0.95
    ink = (parts.any(1) * threes[:, 0]).sum((1, 2)) / parts.any(1).sum((1, 2))
    assert float(ink[fits].min()) > 0.3


def test_larger_parts_share_the_samples_of_the_small_ones():
    """Of squares that do not overlap, eight of 7 x 7 pixels fit on no three; about the same centres they all do."""
    threes = data.load("mnist3", "test", DATA)
    threes = threes.inputs[threes.labels == 1]
    assert [int(data.ink_parts(threes, 8, size)[1].sum()) for size in (3, 5, 7)] == [1002, 143, 0]
    parts, fits = data.ink_parts(threes, 8)
    covered = []
    for size in (3, 5, 7):
        grown = data.grown_parts(parts[fits], size)
        assert int(grown.sum(1).max()) == 1 and int(grown.sum((-2, -1)).min()) >= 9
        covered.append(float(threes[fits, 0][grown.any(1)].sum() / threes[fits].sum()))
    assert covered[0] < covered[1] < covered[2] and covered[2] > 0.9


def run(**changed) -> Run:
    values = {"n_samples": 10, "train_size": 5000, "mask_value": 0.0, "seed": 0, "data_root": DATA, "weights": ""}
    return Run("a chapter", values | changed, torch.device("cpu"), (0,), False)


def test_the_census_is_learned():
    game = players.build(run(dataset="adult", model="mlp5", n_players=12))
    network = models.train(models.load("mlp5", 0, **game.sizes), game.train.inputs, game.train.labels, 10, 0.05, 0)
    test = data.load("adult", "test", DATA)
    assert (len(test.labels), int(test.labels.sum())) == (16_281, 3_846)
    right = [
        models.accuracy(network, test.inputs[test.labels == c][:, test.owner < 12], test.labels[test.labels == c])
        for c in (0, 1)
    ]
    assert sum(right) / 2 > 0.8  # of both classes alike: "at most 50,000" for everybody gives 0.5


@pytest.mark.parametrize("depth", [20, 56])
def test_cifar_weights_load_and_classify(depth):
    folder = Path(DATA, "cifar10", "test")
    files = [
        (label, file) for label, kind in enumerate(sorted(folder.iterdir())) for file in sorted(kind.iterdir())[:20]
    ]
    pictures = torch.stack([torch.tensor(np.array(Image.open(file))).permute(2, 0, 1) / 255 for _, file in files])
    labels = torch.tensor([label for label, _ in files])
    network = models.load(f"resnet{depth}", 0, str(Path(DATA, "weights", f"cifar10_resnet{depth}.pth")))
    assert len(labels) == 200 and models.accuracy(network, pictures, labels) > 0.9


@pytest.mark.parametrize("name", ["mobilenetv2_100", "vit_tiny_patch16_224"])
def test_imagenet_networks_know_what_they_see(name):
    """Through a game, as a chapter does: prepared as the file beside the weights says, all 1000 classes as candidates."""
    weights = str(Path(DATA, "weights", f"{name}.pth"))
    game = players.build(run(dataset="imagenette", model=f"timm/{name}", n_players=9, n_samples=40, weights=weights))
    network = models.load(f"timm/{name}", 0, weights, **game.sizes)
    assert models.accuracy(network, game.inputs, game.labels, chunk=20) > 0.6
    assert game.labels.bincount()[game.labels.unique()].tolist() == [4] * 10
    twin = models.settle(models.untrained(f"timm/{name}", 0, weights, **game.sizes), game.inputs[:10])
    assert models.accuracy(twin, game.inputs, game.labels, chunk=20) < 0.2
    blank = game.masked(0, torch.zeros(1, 9, dtype=torch.bool))
    assert blank.shape == (1, 1, 3, 224, 224) and not blank.any()


def test_motorbikes_go_through_a_network_with_random_weights():
    """The path of the paper scale, for which no weights are at hand: this says that it runs, and nothing of the effect."""
    game = players.build(run(dataset="motorbike", model="pointnet", n_players=9, n_samples=99))
    assert game.inputs.shape == (99, 2500, 3) and game.player_names[0] == "gas tank"
    network = models.settle(models.untrained("pointnet", 0, **game.sizes), game.inputs[:16])
    masks = torch.eye(9, dtype=torch.bool)
    with torch.no_grad():
        logits = network(game.masked(5, masks).flatten(0, 1))
    assert logits.shape == (9, 16) and bool(torch.isfinite(logits).all()) and float(logits.std(0).max()) > 0


WEIGHTS = Path(DATA, "weights", "vit_tiny_patch16_224.pth")
SMALL = "n_samples=8 n_seeds=2 epochs=2 train_size=400 mask_passes=1 fit_iterations=20 planted=3 fine_samples=0 attack_steps=2"
SMALL += " all_part_sizes=False panel=none bootstrap=100 progress=off show_examples=False attack_samples=4"
RUNS = {
    "mnist3": "dataset=mnist3 model=lenet n_players=6 epochs=15 learning_rate=0.05 all_part_sizes=True attack_size=0.1",
    "sst2-lstm": "dataset=sst2 model=lstm n_players=8",
    "tinystories": f"dataset=tinystories model=transformers/stories260K n_players=8 n_samples=3 weights={DATA}/lm/stories260K",
    "imagenette-vit-tiny": "dataset=imagenette model=timm/vit_tiny_patch16_224 n_players=4 mask_value=0.5 n_samples=3 "
    f"weights={WEIGHTS}",
}
JUDGED = {"mnist3": {"INT-2", "INT-12", "INT-27"}, "sst2-lstm": {"INT-13"}}


@pytest.mark.nightly
@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_works_at_a_tiny_size(tmp_path, name):
    values = dict(word.split("=", 1) for word in f"{SMALL} {RUNS[name]} preset=imagenet run={name}".split())
    values["data_root"] = DATA
    command = [str(Path(sys.executable).parent / "papermill"), str(ROOT / "notebooks" / "02_sparse_interactions.ipynb")]
    command += ["out.ipynb", "--no-progress-bar", *(w for pair in values.items() for w in ("-p", *pair))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    judged = {row["id"] for row in results["claims"] if row["value"] is not None}
    assert {"INT-1", "INT-3", "INT-5", "INT-11", "INT-19"} | JUDGED.get(name, set()) <= judged
    # No claim is left without a reason.
    assert not [row["id"] for row in results["claims"] if "not judged" in row["note"]]
    if name == "mnist3":
        assert min(results["metrics"]["accuracy"]["trained"]) > 0.5
    # No picture of the data may be in an executed notebook.
    text = (tmp_path / "out.ipynb").read_text()
    assert "image/png" not in text and "<image" not in text
