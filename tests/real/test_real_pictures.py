"""Chapter 03 on real pictures and weights, as small as it goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from tiny import ROOT, TINY

from innercodes import fragility, models, pictures

DATA = os.environ.get("INNERCODES_DATA", "")
pytestmark = pytest.mark.skipif(not DATA, reason="INNERCODES_DATA names no folder with data sets")
CHAPTER = "03_functional_telescope"
SMALL = TINY[CHAPTER] | {
    "fitted": 60,
    "unseen": 40,
    "attack_samples": 10,
    "partner": "none",
    "beyond": "none",
    "preset": "imagenet",
}


def test_an_imagenet_network_knows_the_pictures_of_a_folder():
    name, weights = "timm/mobilenetv2_100", str(Path(DATA, "weights", "mobilenetv2_100.pth"))
    prepared = models.preparation(name, weights)
    own, others = pictures.load("imagenette", DATA, 60, 60, 0, prepared)
    assert (len(own), len(others), len(own.classes)) == (60, 60, 10) and "tench" in own.names
    assert torch.equal(torch.bincount(own.labels), torch.full((10,), 6))
    network = models.load(name, 0, weights)
    outputs = pictures.outputs_of(others, fragility.width(network, others))
    inputs, labels = others.tensors()
    assert inputs.shape[1:] == (3, 224, 224) and float(inputs.min()) >= 0 and float(inputs.max()) <= 1
    # README of the weights: 0.73 of all; 60 pictures are few.
    assert models.accuracy(network, inputs, outputs[labels]) > 0.6


def test_one_split_is_shared_without_overlap():
    own, others = pictures.load("imagenet-sample", DATA, 10_000, 10_000, 0)
    assert len(own) + len(others) == 1000 and not set(own.rows.tolist()) & set(others.rows.tolist())
    assert torch.equal(pictures.outputs_of(own, 1000), torch.arange(1000))


def papermill(folder: Path, **parameters):
    words = [word for name, value in parameters.items() for word in ("-p", name, str(value))]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "papermill"), str(ROOT / "notebooks" / f"{CHAPTER}.ipynb"), "out.ipynb", *words],
        cwd=folder, capture_output=True, text=True, check=False, timeout=1200, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "runs" / "results.json").read_text()), nbformat.read(folder / "out.ipynb", as_version=4)


def kinds_of_output(notebook):
    return {kind for cell in notebook.cells for output in cell.get("outputs", ()) for kind in output.get("data", {})}


def test_given_weights_on_cifar(tmp_path):
    found, notebook = papermill(
        tmp_path, **SMALL | {"dataset": "cifar10", "model": "resnet20", "data_root": DATA, "attack_size": 0.0039, "beside": "cifar100"},
        weights=str(Path(DATA, "weights", "cifar10_resnet20.pth")),
    )  # fmt: skip
    rows = {row["id"]: row for row in found["claims"]}
    assert rows["TEL-10"]["value"] == rows["TEL-5"]["value"] is not None
    assert "accuracy" in found["metrics"] and found["metrics"]["accuracy"]["trained"][0] > 0.8
    # No picture of the data may be in the notebook: figures are drawings, and the only images in them are scatter plots.
    assert "image/png" not in kinds_of_output(notebook) and "image/jpeg" not in kinds_of_output(notebook)
    assert "data:image/png;base64" not in json.dumps([c for c in notebook.cells if "explorer" in c.source])


@pytest.mark.nightly
def test_a_network_and_a_folder_never_seen_before(tmp_path):
    found, _ = papermill(
        tmp_path,
        **SMALL
        | {"dataset": "dtd", "model": "mobilenetv3_small_050", "data_root": DATA, "epochs": 1, "show_examples": False},
    )
    assert sum(row["value"] is not None for row in found["claims"]) >= 10
    assert len(found["metrics"]["stages"]) >= 3
