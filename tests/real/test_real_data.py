"""Small runs on real data, where INNERCODES_DATA names the folder that holds the data sets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT

from innercodes import data

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


def test_the_mnist_run_works_at_a_tiny_size(tmp_path):
    words = "preset=imagenet run=mnist3 dataset=mnist3 model=lenet n_players=6 n_samples=8 train_size=400 epochs=15 n_seeds=2"
    words += f" learning_rate=0.05 bootstrap=100 progress=off show_examples=False data_root={DATA}"
    command = [str(Path(sys.executable).parent / "papermill"), str(ROOT / "notebooks" / "02_sparse_interactions.ipynb")]
    command += ["out.ipynb", "--no-progress-bar", *(w for word in words.split() for w in ("-p", *word.split("=", 1)))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    judged = {row["id"] for row in results["claims"] if row["value"] is not None}
    assert {"INT-1", "INT-3", "INT-5"} <= judged
    assert min(results["metrics"]["accuracy"]["trained"]) > 0.5
    # No picture of the data may be in an executed notebook.
    text = (tmp_path / "out.ipynb").read_text()
    assert "image/png" not in text and "<image" not in text
