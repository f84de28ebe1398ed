"""Steepness and damage by an attack, on networks whose answer is known."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from innercodes import (
    attacks,
    code_attacks,
    layer_codes,
    models,
    parameters,
    pictures,
    spectra,
)  # fmt: skip
from innercodes.code_attacks import Classifiers
from innercodes.code_networks import Networks
from innercodes.layer_codes import LayerCode
from innercodes.redundancy import Survey

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off", "device": "cpu", "n_seeds": 2, "bootstrap": 100, "frames": 16, "projections": 20,
    "classifiers": "resnet8", "classifier_epochs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def code_with(alpha):
    row, nan = np.full(4, alpha), float("nan")
    return LayerCode(10, np.ones(1), row, row, nan, nan, row, nan, row, row, nan, row, row, row)


# Damage


class Linear(nn.Module):
    """An encoder that is a matrix."""

    def __init__(self, scale=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(scale * torch.randn(3 * 8 * 8, 5, generator=generator))

    def encode(self, x):
        return x.flatten(1) @ self.matrix, None


def test_damage_is_how_far_the_code_moves_over_the_distance_of_two_pictures(run):
    inputs = 0.3 + 0.4 * torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    network = Linear()
    found = code_attacks.damage(network, inputs, run, 3)
    before = network.encode(inputs)[0].detach()

    def moved(x):
        return (network.encode(x)[0] - before).square().sum()

    hit = attacks.ascend(moved, inputs, 8 / 255, 10, 3, 0, 1)
    assert float((hit - inputs).abs().max()) <= 8 / 255 + 1e-6 and float(hit.min()) >= 0 and float(hit.max()) <= 1
    far = (network.encode(hit)[0] - before).norm(dim=1).mean().detach()
    apart = np.mean([float((before[i] - before[j]).norm()) for i in range(6) for j in range(i)])
    assert found == pytest.approx(float(far) / apart, rel=1e-5)
    assert code_attacks.damage(Linear(7.0), inputs, run, 3) == pytest.approx(found, rel=1e-4)  # free of scale
    noise = attacks.uniform_noise(inputs, 8 / 255, 0)
    assert float((network.encode(noise)[0].detach() - before).norm(dim=1).mean()) < float(far)


def test_a_point_for_each_network(run, monkeypatch):
    alpha = {"dropout 0": [-1.0, -1.2], "dropout 0.6": [-1.4, -1.8]}
    codes = {kind: [{"a": code_with(a), "b": code_with(a - 0.1)} for a in row] for kind, row in alpha.items()}
    kinds = {0.0: "dropout 0", 0.6: "dropout 0.6"}
    harm = {"dropout 0": [0.5, 0.6], "dropout 0.6": [0.4, 0.1]}
    members = {kind: list(zip(row, run.seeds, strict=True)) for kind, row in harm.items()}

    def damage(network, inputs, run, seed):
        assert network[1] == seed
        return network[0]

    monkeypatch.setattr(code_attacks, "damage", damage)
    networks = Networks(members, kinds, "dropout 0", ("a", "b"), "b")
    found = code_attacks.steep_is_robust(Survey(run, ("a", "b"), kinds, "dropout 0", codes), networks, torch.zeros(1))
    points = [a - 0.05 for row in alpha.values() for a in row]
    assert np.concatenate(list(found.alpha.values())) == pytest.approx(points)
    assert {kind: row.tolist() for kind, row in found.damage.items()} == harm
    assert found.correlation == pytest.approx(spearmanr(points, [0.5, 0.6, 0.4, 0.1]).statistic)
    assert found.interval[0] <= found.correlation <= found.interval[1]


# Classifiers


@pytest.fixture(scope="module")
def digits():
    return pictures.load("digits", "", 1201, 596, 0, None)


@pytest.fixture(scope="module")
def found(run):
    return code_attacks.classifiers(run)


def test_classifiers_are_those_of_chapter_three(run, digits, found):
    """The same recipe, taken step by step, gives the same slopes, actions and accuracies."""
    fitted, others = digits
    assert list(found.alpha) == ["resnet8", "resnet8, untrained"] and list(found.accuracy) == ["resnet8"]
    assert all(values.shape == (2, 3) for values in (*found.alpha.values(), *found.action.values()))
    network = models.load("resnet8", 1, "", "cpu", channels=1, outputs=10)
    start = models.untrained("resnet8", 1, "", "cpu", channels=1, outputs=10)
    twin = models.settle(start, fitted.subset(torch.arange(0, 1201, 3)).tensors()[0], 64)
    models.train(network, *fitted.tensors(), 1, 0.1, 1)
    frames = spectra.moving_dot(16, 8, channels=1)
    for label, net in (("resnet8", network), ("resnet8, untrained", twin)):
        said = layer_codes.said(net, ["layer1", "layer2", "layer3"], others, run)
        dot = layer_codes.said(net, ["layer1", "layer2", "layer3"], frames, run)
        slopes = [spectra.debiased_alpha(acts, (10, 50), 0, 500) for acts in said.values()]
        assert found.alpha[label][1] == pytest.approx(slopes, rel=1e-5)
        for number, stage in enumerate(said):
            centred = said[stage].double() - said[stage].double().mean(0)
            largest = float(torch.linalg.matrix_norm(centred, 2) ** 2 / (len(centred) - 1))
            steps = dot[stage].double().diff(dim=0, append=dot[stage][:1].double())
            expected = 3 / 2 * float(steps.square().sum()) / dot[stage].shape[1] / largest
            assert found.action[label][1, number] == pytest.approx(expected, rel=1e-4)


def test_classifiers_are_attacked_where_they_are_right(run, digits, found):
    _, others = digits
    inputs, labels = others.subset(others.spread(200)).tensors()
    network = models.load("resnet8", 0, "", "cpu", channels=1, outputs=10)
    models.train(network, *digits[0].tensors(), 1, 0.1, 0)
    assert found.accuracy["resnet8"][0] == pytest.approx(models.accuracy(network, inputs, labels))
    hit = attacks.pgd(network, inputs, labels, 0.1, 50, 0, 0, 1)
    assert found.attacked["resnet8"][0] == pytest.approx(models.accuracy(network, hit, labels))


def test_accuracy_lost_is_held_against_the_mean_slope(run):
    alpha = {"a": np.array([[-1.0, -1.2], [-1.4, np.nan]]), "b": np.array([[-2.0, -2.2], [-1.6, -1.8]])}
    right, left = (
        {"a": np.array([0.9, 0.8]), "b": np.array([1.0, 0.9])},
        {"a": np.array([0.5, 0.1]), "b": np.array([0.9, 0.7])},
    )
    cases = Classifiers(alpha | {"a, untrained": alpha["b"]}, alpha | {"a, untrained": alpha["b"]}, right, left)
    found = code_attacks.steep_classifiers(cases, run)
    assert np.concatenate(list(found.alpha.values())) == pytest.approx([-1.1, -1.4, -2.1, -1.7])
    assert np.concatenate(list(found.damage.values())) == pytest.approx([0.4, 0.7, 0.1, 0.2])
    assert found.correlation == pytest.approx(spearmanr([-1.1, -1.4, -2.1, -1.7], [0.4, 0.7, 0.1, 0.2]).statistic)
    rows = code_attacks.table(cases)
    assert rows["a"] == pytest.approx({
        "alpha, first": -1.2, "alpha, last": -1.2, "action, first": -1.2, "action, last": -1.2, "accuracy": 0.85, "attacked": 0.3
    })  # fmt: skip
    assert np.isnan(rows["a, untrained"]["accuracy"]) and rows["a, untrained"]["alpha, first"] == pytest.approx(-1.8)
