"""Chapter 03 at the paper's scale: its presets and networks, with random weights and a few small pictures."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from innercodes import depth, models, parameters, pictures, twins

CHAPTER = "03_functional_telescope"
PRESETS = Path(__file__).resolve().parents[2] / "presets" / "paper"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
# Numbers of a code, four for each channel: "ResNet18 codes have 256, 512, 1024, 2048 dimensions".
WIDTHS = {
    "resnet18": (256, 512, 1024, 2048),
    "resnet50": (1024, 2048, 4096, 8192),
    "vgg19": (256, 512, 1024, 2048),
    "densenet121": (1024, 2048, 4096, 4096),
}
SMALL = {
    "pretrained": False, "dataset": "set", "n_seeds": 1, "device": "cpu", "progress": "off", "grid": 4, "grids": "3 4", "sigma": 2.0,
    "som_epochs": 1, "best_units": 3, "repeats": 3, "surrogates": 3, "bootstrap": 100,
}  # fmt: skip


def given(name):
    return yaml.safe_load((PRESETS / f"{CHAPTER}--{name}.yml").read_text())


def test_every_preset_of_the_paper_is_tested():
    assert {path.stem.partition("--")[2] for path in PRESETS.glob(f"{CHAPTER}--*.yml")} == set(WIDTHS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, noise = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in "ab":
            (root / "set" / split / kind).mkdir(parents=True)
            for i in range(6):
                Image.fromarray(noise.integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(
                    root / "set" / split / kind / f"{i}.png"
                )
    return root


@pytest.mark.parametrize("name", WIDTHS)
def test_codes_and_maps_of_the_papers_networks(name, folder, tmp_path):
    run = parameters.check(
        CHAPTER, DEFAULTS | given(name) | SMALL | {"data_root": str(folder), "out_dir": str(tmp_path)}
    )
    assert (run.fitted, run.unseen, run.attack_samples) == (50_000, 50_000, 500)
    assert run.attack_size == pytest.approx(1 / 255) and run.batch_size == (50 if name == "densenet121" else 10)
    prepared = twins.preparation(run)
    assert prepared.input_size == 224
    own, others = pictures.load("set", str(folder), 12, 12, 0, dataclasses.replace(prepared, input_size=64))
    # Nearly all weights of VGG19 are in the layers after its stages.
    sizes = {"outputs": 2} | ({"mlp_ratio": 0.01} if name == "vgg19" else {})
    inputs = own.tensors()[0]
    trained, untrained = (
        models.settle(models.untrained(twins.network_name(run), seed, **sizes), inputs) for seed in (0, 1)
    )
    names, stem = twins.chosen_stages(trained, run.stages)
    atlas = depth.survey(run, {"trained": [trained], "untrained": [untrained]}, own, others, names, stem)
    found = {stage: atlas.codes("trained", 0, stage) for stage in names}
    assert tuple(codes.shape[1] for codes in found.values()) == WIDTHS[name]
    # No stage repeats another.
    assert len({tuple(codes[0, : codes.shape[1] // 4].topk(20).values.tolist()) for codes in found.values()}) == 4
    q = depth.coding_distances(atlas, depth.coding_charts(atlas))
    assert all(row[stage] > 0 for kinds in q.values() for row in kinds.values() for stage in row)
    assert -1 <= depth.plateau(atlas)["also"]["full_order"] <= 1
