"""What chapter 04 adds to the paper, on networks and codes whose answer is known."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from innercodes import autoencoders, code_networks, code_studies, layer_codes, parameters, scenes, spectra
from innercodes.code_networks import Shown
from innercodes.layer_codes import LayerCode
from innercodes.redundancy import Survey

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off", "device": "cpu", "n_seeds": 2, "bootstrap": 100, "columns": 150, "frames": 16, "projections": 20,
    "repeats": 3, "size": 32, "widths": "8", "growing_epochs": 3, "reference": 0.6,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


@pytest.fixture(scope="module")
def pictures(run):
    """Few pictures to learn and 130 others."""
    fitted, others = scenes.load(60, 130, 0, 32)
    shown = Shown(fitted.pictures, others.pictures, others.factors)
    return shown, layer_codes.stimuli(shown.others, shown.factors, run)


def code_with(eigenvalues, alpha=-1.0):
    row, nan = np.full(4, alpha), float("nan")
    return LayerCode(10, np.asarray(eigenvalues), row, row, nan, nan, row, nan, row, row, nan, row, row, row)


def survey_of(run, codes, layers, kinds=None):
    return Survey(run, tuple(layers), kinds or {}, next(iter(codes)), codes)


# Roughness


class Still(nn.Module):
    """One stage that is the picture, one that is a hash of it, and one that never changes."""

    def __init__(self):
        super().__init__()
        self.smooth, self.rough, self.dead = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x):
        self.dead(torch.zeros_like(x))
        return self.rough(torch.sin(1e6 * self.smooth(x)))


def test_a_smooth_path_has_the_exponent_minus_one_and_a_jagged_one_one(run, pictures):
    survey = survey_of(run, {"trained": []}, ["smooth", "rough"])
    found = code_studies.action_exponents(survey, [Still(), Still()], pictures[1], [200, 400, 800])
    assert found["smooth"].shape == (2,) and found["smooth"] == pytest.approx(-1, abs=0.02)
    assert found["rough"] == pytest.approx(1, abs=0.15)


# Windows


def test_alpha_of_several_windows_is_the_mean_over_seeds_and_layers(run):
    ranks = np.arange(1, 61.0)
    laws = [[-0.5, -1.0], [-1.5, -2.0]]
    codes = {"trained": [{layer: code_with(ranks**a) for layer, a in zip("ab", row, strict=True)} for row in laws]}
    found = code_studies.by_window(survey_of(run, codes, "ab"), [(5, 30), (10, 50), (20, 100)])
    assert found["trained"]["5 to 30"] == pytest.approx(-1.25) and found["trained"]["10 to 50"] == pytest.approx(-1.25)
    assert np.isnan(found["trained"]["20 to 100"])
    bent = np.where(ranks < 10, ranks**-0.1, 10**0.9 * ranks**-1.0)
    one = code_studies.by_window(survey_of(run, {"trained": [{"a": code_with(bent)}]}, "a"), [(2, 8), (10, 50)])
    assert one["trained"]["2 to 8"] == pytest.approx(-0.1) and one["trained"]["10 to 50"] == pytest.approx(-1)


# A spectrum in training


@pytest.mark.parametrize(
    ("epochs", "looks"), [(1, [0, 1]), (3, [0, 1, 2, 3]), (8, [0, 1, 2, 4, 8]), (10, [0, 1, 2, 4, 8, 10])]
)
def test_looks_are_at_powers_of_two_and_the_end(run, epochs, looks):
    assert code_studies.snapshots(changed(run, growing_epochs=epochs)) == looks


def test_slopes_of_a_network_are_those_of_its_layers(run, pictures):
    net = autoencoders.untrained(8, 0.6, 0, pictures[0].fitted.tensors()[0], 32)
    layers = autoencoders.layers(net)[:3]
    found = code_studies.slopes_of(net, layers, pictures[1].pictures, run)
    said = layer_codes.said(net, layers, pictures[1].pictures, run)
    assert found.tolist() == [spectra.debiased_alpha(said[layer], (10, 50), run.seed, run.columns) for layer in layers]
    assert np.isnan(code_studies.slopes_of(net, layers, pictures[1].pictures, changed(run, window="10 140"))).all()


def test_growing_looks_at_a_network_as_it_learns(run, pictures, monkeypatch):
    looked = []

    def slopes(network, names, stimuli, run):
        looked.append((tuple(names), network.encoder.conv1.weight.clone(), network.training))
        with torch.no_grad():
            said = network.encoder.conv1(pictures[0].fitted.tensors()[0]).mean((0, 2, 3))
        # Statistics without dropout, each time.
        assert torch.allclose(network.encoder.bn1.running_mean, said, atol=1e-4)
        return np.array([-1.0, -2.0, np.nan])

    monkeypatch.setattr(code_studies, "slopes_of", slopes)
    found = code_studies.growing(changed(run, widths="8 10"), *pictures)["alpha"]
    assert list(found) == ["width 8", "width 10"]
    assert all(row == pytest.approx(-1.5) and len(row) == len(code_studies.snapshots(run)) for row in found.values())
    start = autoencoders.untrained(8, 0.6, 0, pictures[0].fitted.tensors()[0], 32).encoder.conv1.weight
    assert torch.equal(looked[0][1], start) and not torch.equal(looked[1][1], start)
    assert not any(training for *_, training in looked)
    every = autoencoders.layers(autoencoders.load(8, 0.6, 0, size=32))
    assert looked[0][0] == tuple(every[::2]) and code_networks.short(every[0]) == "stem"


# Other networks of the same layers


def test_slopes_of_other_networks_by_kind_and_layer(run, pictures):
    nets = [autoencoders.untrained(8, 0.6, seed, pictures[0].fitted.tensors()[0], 32) for seed in (0, 1)]
    layers = autoencoders.layers(nets[0])[:2]
    found = code_studies.slopes_by_kind({"x": nets}, survey_of(run, {"x": []}, layers), pictures[1], ["one", "two"])
    expected = [code_studies.slopes_of(net, layers, pictures[1].pictures, run) for net in nets]
    assert [found["x"][label].tolist() for label in ("one", "two")] == np.transpose(expected).tolist()
