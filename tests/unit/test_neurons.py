"""Single neurons against mixtures of them: areas under curves by scikit-learn, and units whose answer is known."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import nn

from innercodes import claims, layer_codes, maps, neurons, parameters
from innercodes.layer_codes import Stimuli
from innercodes.pictures import Pictures

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    small = {
        "progress": "off",
        "device": "cpu",
        "repeats": 4,
        "bootstrap": 100,
        "out_dir": str(tmp_path_factory.mktemp("out")),
    }
    return parameters.check(CHAPTER, DEFAULTS | small)


# Selectivity


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(3, 6))
def test_selectivity_is_the_area_under_the_curve_either_way(seed, values):
    rng = np.random.default_rng(seed)
    units = torch.from_numpy(rng.integers(0, 5, (40, 3)).astype(np.float32))  # with ties
    factors = {
        "one": torch.from_numpy(np.concatenate([np.arange(values), rng.integers(0, values, 40 - values)])),
        "two": torch.from_numpy(np.concatenate([np.arange(3), rng.integers(0, 3, 37)])),
    }
    expected = []
    for labels in factors.values():
        for part in range(int(labels.max()) + 1):
            areas = [roc_auc_score(labels == part, units[:, unit]) for unit in range(3)]
            expected.append([max(area, 1 - area) for area in areas])
    assert neurons.selectivity(units, factors) == pytest.approx(np.array(expected).T)


def test_a_factor_of_two_values_is_one_part():
    labels = torch.arange(30) % 2
    units = torch.stack([labels.float(), torch.randn(30, generator=torch.Generator().manual_seed(0))], 1)
    areas = neurons.selectivity(units, {"class": labels})
    assert areas.shape == (2, 1) and areas[0, 0] == 1
    # The other value is not a second part that the unit tells.
    assert neurons.monosemantic(areas).tolist() == [True, False]
    assert neurons.selectivity(units, {"class": torch.zeros(30)}).shape == (2, 0)


def test_a_monosemantic_unit_tells_one_part_and_no_second():
    assert "at least 0.9" in claims.of_chapter(CHAPTER)["COD-26"]["measure"]
    assert "more than 0.7" in claims.of_chapter(CHAPTER)["COD-26"]["measure"]
    areas = np.array(
        [[0.95, 0.6, 0.5], [0.9, 0.7, 0.5], [0.89, 0.5, 0.5], [0.95, 0.71, 0.5], [0.99, 0.99, 0.5], [0.5, 0.5, 1.0]]
    )
    assert neurons.monosemantic(areas).tolist() == [True, True, False, False, False, True]
    assert neurons.monosemantic(np.empty((3, 0))).tolist() == [False] * 3


# COD-26


class Means(nn.Module):
    """A stage whose channels are given columns of the pictures' pixels."""

    def __init__(self, channels):
        super().__init__()
        self.channels, self.stage = channels, nn.Identity()

    def forward(self, x):
        return self.stage(x[:, 0, 0][:, self.channels, None, None].expand(-1, -1, 2, 2)).mean((-2, -1))


@pytest.fixture(scope="module")
def planted(run):
    """Pictures whose first row says their part, or two parts, or nothing; the factor has eight values."""
    count = 800
    part = torch.arange(count) % 8
    noise = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5
    noise[:, 0, 0, 0] += (part == 2).float()  # about one part
    noise[:, 0, 0, 1] += ((part == 2) | (part == 3)).float()  # about two
    noise[:, 0, 0, 2] -= (part == 5).float()  # silent for one
    pictures = Pictures(lambda i: noise[i], torch.arange(count), part, tuple("abcdefgh"), tuple("abcdefgh"))
    rows = [torch.arange(count), *(maps.resample(count, i) for i in range(run.repeats))]
    return Stimuli(pictures, {"part": part}, torch.zeros(count, 1), noise, torch.zeros(count, 2), rows)


def test_the_share_of_monosemantic_units_is_counted(run, planted):
    networks = {"trained": [Means([0, 1, 2, 5]), Means([0, 1, 3, 5])], "untrained": [Means([3, 4, 5, 6])]}
    found = neurons.few_monosemantic(networks, "stage", planted, run)
    assert found["value"] == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert found["ci"][0] <= found["value"] <= found["ci"][1]
    assert found["baseline"]["untrained"] == 0 and found["baseline"]["shuffled parts"] == 0
    assert 0 <= found["baseline"]["random projections"] < 0.5
    areas = [neurons.selectivity(planted.frames[:, 0, 0, [i]], planted.factors).max() for i in (0, 1, 2, 5, 0, 1, 3, 5)]
    assert found["baseline"]["best AUROC of a unit, mean"] == pytest.approx(np.mean(areas))
    again = neurons.few_monosemantic(networks, "stage", planted, run)
    assert again == found
    claims.Results(run).take("COD-26", found)


def test_pictures_of_one_class_are_a_reason(run, planted):
    one = dataclasses.replace(planted, factors={"class": torch.zeros(800, dtype=torch.int64)})
    networks = {"trained": [Means([0, 1])], "untrained": [Means([3, 4])]}
    assert "single class" in neurons.few_monosemantic(networks, "stage", one, run)
    beside = dataclasses.replace(planted, factors={**planted.factors, **one.factors})
    assert neurons.few_monosemantic(networks, "stage", beside, run)["value"] == 0.5


def test_the_number_of_readers_is_the_registered_one():
    assert f"k = {layer_codes.READERS}" in claims.of_chapter(CHAPTER)["COD-24"]["measure"]
