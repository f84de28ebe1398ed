"""One pass for all lenses, the stage-wise network and its families: each against a plain statement of it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pandas import DataFrame
from sklearn.linear_model import LogisticRegression
from torch import nn

from innercodes import (
    activations,
    interactions,
    lens_networks,
    lenses,
    maps,
    models,
    parameters,
    parts,
    regions,
    symbol_networks,
)
from innercodes.lens_networks import DROPOUT, KINDS, Family
from innercodes.parameters import ParameterError
from innercodes.symbol_survey import Shown

STAGES = ("layer1", "layer3")


def run_of(tmp_path, **changes):
    values = {p.name: p.default for p in parameters.CHAPTERS["05_four_lenses"]}
    values |= {"progress": "off", "out_dir": str(tmp_path), "n_seeds": 1, "columns": 80, "n_players": 4} | changes
    return lens_networks.on_pictures(parameters.check("05_four_lenses", values))


@pytest.fixture(scope="module")
def shown():
    drawn = parts.load("test", 20, 3, 32)
    return Shown(drawn.pictures, drawn.boxes)


@pytest.fixture(scope="module")
def network(shown):
    return models.settle(models.untrained("resnet8", 0, outputs=16, channels=3), shown.pictures.tensors()[0])


def test_one_pass_keeps_what_each_lens_would_take(network, shown, tmp_path):
    run = run_of(tmp_path)
    heard, logits = lenses.hear(network, shown, STAGES, run)
    inputs = shown.pictures.tensors()[0]
    whole = activations.collect(network, [inputs], STAGES, lambda found: found)
    for stage, found in whole.items():
        # Convolutions of other batches differ in the last bits.
        near = {"rtol": 1e-4, "atol": 1e-4}
        pooled = regions.cells(regions.roi_pool(found, shown.boxes, (32, 32), 3, "max"))
        torch.testing.assert_close(heard[stage].cells, pooled, **near)
        torch.testing.assert_close(heard[stage].parts, maps.stored("mean", "zero")(found), **near)
        torch.testing.assert_close(heard[stage].means, found.mean((2, 3)), **near)
        torch.testing.assert_close(heard[stage].columns, activations.strided_columns(found, 80), **near)
    with torch.inference_mode():
        torch.testing.assert_close(logits, network(inputs), rtol=1e-4, atol=1e-4)


def test_a_class_token_has_no_places(network, shown, tmp_path):
    with pytest.raises(ParameterError, match="stages = 'layer1:cls'"):
        lenses.hear(network, shown, ("layer1:cls",), run_of(tmp_path))


def test_other_pictures_keep_labels_and_boxes(shown):
    other = torch.rand(20, 3, 32, 32)
    found = lenses.held(other, shown)
    assert torch.equal(found.pictures.tensors()[0], other)
    assert torch.equal(found.labels, shown.labels) and torch.equal(found.boxes, shown.boxes)


@pytest.mark.parametrize("known", [(0, 1, 2, 3), (1, 3), (2,)])
def test_readouts_are_logistic_regressions(known):
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor(known)[torch.randint(len(known), (60,), generator=generator)]
    means = torch.randn(60, 5, generator=generator) * torch.tensor([1.0, 5, 0.1, 2, 1]) + labels[:, None]
    readout = lenses.read_out(means, labels, 4)
    logits = readout(means)
    assert logits.shape == (60, 4) and logits.dtype == torch.float64
    if len(known) == 1:
        assert bool((logits == 0).all())
        return
    scaled = (means.double() - means.double().mean(0)) / means.double().std(0, correction=0)
    fit = LogisticRegression(max_iter=1000).fit(scaled.numpy(), labels.numpy())
    expected = torch.from_numpy(fit.predict_proba(scaled.numpy()))
    torch.testing.assert_close(logits[:, list(known)].softmax(-1), expected, rtol=1e-6, atol=1e-9)


def test_a_channel_that_never_changes_does_no_harm():
    means = torch.cat([torch.randn(30, 2), torch.full((30, 1), 7.0)], 1)
    assert bool(lenses.read_out(means, torch.arange(30) % 3, 3)(means).isfinite().all())


@pytest.mark.parametrize(("n", "grid"), [(4, (2, 2)), (6, (2, 3)), (8, (2, 4)), (9, (3, 3)), (12, (3, 4))])
def test_patches_are_a_grid(n, grid):
    owner = lenses.patches((48, 48), n)
    for row, column in itertools.product(range(0, 48, 7), repeat=2):
        assert int(owner[row, column]) == row * grid[0] // 48 * grid[1] + column * grid[1] // 48
    assert owner.unique().tolist() == list(range(n))


@pytest.mark.parametrize("n", [5, 7, 10])
def test_thin_patches_are_refused(n):
    if n == 10:  # 2 x 5
        assert int(lenses.patches((40, 40), n).max()) == 9
        return
    with pytest.raises(ParameterError, match=f"n_players = {n}"):
        lenses.patches((48, 48), n)


def test_the_stage_wise_network_is_the_front_and_a_readout(network, shown, tmp_path):
    run = run_of(tmp_path)
    inputs, classes = shown.pictures.tensors()[0][:2], torch.tensor([3, 5])
    generator = torch.Generator().manual_seed(0)
    readouts = {
        stage: lenses.Readout(*(torch.randn(*shape, generator=generator).double() for shape in ((width, 16), (16,))))
        for stage, width in (("layer1", 16), ("layer3", 64))
    }
    found = lenses.stagewise_outputs(network, readouts, inputs, classes, run)
    for mask, picture in itertools.product((0, 5, 15), range(2)):
        seen = inputs[picture].clone()
        for patch in range(4):
            if not mask >> patch & 1:
                seen[:, patch // 2 * 16 : patch // 2 * 16 + 16, patch % 2 * 16 : patch % 2 * 16 + 16] = 0.5
        said = activations.collect(network, [seen[None]], STAGES, lambda maps: maps.mean((-2, -1)))
        for stage, readout in readouts.items():
            probability = readout(said[stage])[0].softmax(-1)[classes[picture]]
            expected = float((probability / (1 - probability)).log())
            assert float(found[stage][picture, mask]) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    total = interactions.harsanyi(found["layer3"]).sum(-1)
    torch.testing.assert_close(total, found["layer3"][:, -1])


def test_no_pictures_have_no_outputs(network, tmp_path):
    readout = lenses.Readout(torch.zeros(64, 16).double(), torch.zeros(16).double())
    none = torch.empty(0, 3, 32, 32)
    found = lenses.stagewise_outputs(
        network, {"layer3": readout}, none, torch.empty(0, dtype=torch.int64), run_of(tmp_path)
    )
    assert found["layer3"].shape == (0, 16)


# Networks


def test_dropout_changes_training_alone():
    plain = models.untrained("resnet8", 0, outputs=4, channels=3)
    dropping = lens_networks.with_dropout(
        models.untrained("resnet8", 0, outputs=4, channels=3), ["layer1", "layer2"], 0.5
    )
    assert list(plain.state_dict()) == list(dropping.state_dict())
    inputs = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(plain(inputs), dropping(inputs))
        dropping.train()
        for module in dropping.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        assert not torch.equal(dropping(inputs), dropping(inputs))
        whole = dropping.layer1[:-1](torch.rand(1, 16, 32, 32))
        assert 0.3 < float((dropping.layer1[-1](whole + 1) == 0).float().mean()) < 0.7


def test_a_network_without_blocks_is_refused():
    with pytest.raises(ParameterError, match="retrained = 'CifarResNet'"):
        lens_networks.with_dropout(models.untrained("resnet8", 0, outputs=4, channels=3), ["conv1"], 0.5)


def test_twins_with_dropout_have_the_start_and_leave_no_trace():
    drawn = parts.load("train", 48, 0, 32)
    inputs, labels = drawn.pictures.tensors()
    recipe = symbol_networks.Recipe(1, 0.05, 16)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same = (lens_networks.learn_with_dropout("resnet8", 1, inputs, labels, recipe) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    plain = symbol_networks.learn("resnet8", 1, inputs, labels, recipe)[-1]
    states = [network.state_dict() for network in (one, same, plain)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["layer3.0.conv2.weight"], states[2]["layer3.0.conv2.weight"])
    assert not any(isinstance(module, nn.Dropout) for module in one.modules()) and not one.training


@pytest.mark.parametrize(("most", "expected"), [(3, (0, 1, 2)), (4, (0, 1, 2)), (2, (1, 2))])
def test_of_many_stages_the_ends_of_equal_parts_are_taken(most, expected):
    network = models.untrained("resnet8", 0, outputs=4, channels=3)
    every = activations.stages(network)
    found = lens_networks.chosen_stages(network, SimpleNamespace(stages="auto", most_stages=most))
    assert found == tuple(every[i] for i in expected)
    named = SimpleNamespace(stages="layer1 layer3", most_stages=2)
    assert lens_networks.chosen_stages(network, named) == STAGES


def test_the_networks_of_the_book_have_all_twins(tmp_path):
    run = run_of(tmp_path, fitted=20, unseen=64, beyond_known=4, beyond="vit48", trained_on=64)
    material = symbol_networks.show(run)
    own, other = lens_networks.families(run, material)
    assert own.name == "resnet8" and other.name == "vit48"
    assert set(own.members) == set(KINDS) and own.has_twins and not other.has_twins
    assert lens_networks.twin_family([other, own]) is own and lens_networks.twin_family([other]) is None
    inputs, labels = material.unseen.pictures.tensors()
    assert models.accuracy(own.members[DROPOUT][0], inputs, labels) > 0.5
    assert own.last == "layer3" and isinstance(own, Family)


# Tables


def test_resamplings_begin_with_all():
    rows = lenses.resamplings(10, SimpleNamespace(repeats=3))
    assert len(rows) == 4 and rows[0].tolist() == list(range(10))
    assert all(torch.equal(row, maps.resample(10, i)) for i, row in enumerate(rows[1:]))


def test_a_silent_stage_has_no_spectrum(tmp_path):
    alpha, action = lenses._spectrum(torch.ones(120, 20), torch.rand(16, 20), run_of(tmp_path))
    assert np.isnan(alpha).all() and np.isnan(action).all()


def numbers(**more):
    rows = [
        {"family": f, "kind": k, "seed": s, "stage": stage, "value": 0.1 * i + s}
        for f in ("a", "b") for k in ("trained", "untrained") for s in (0, 1) for i, stage in enumerate(("x", "y"))
    ]  # fmt: skip
    return DataFrame(rows).assign(**more)


def test_the_summary_draws_means_over_seeds():
    from innercodes import lens_figures

    figure = lens_figures.summary(numbers(), {"value": "a lens"})
    axes = figure.axes[0]
    assert len(axes.lines) == 4
    for line in axes.lines:
        np.testing.assert_allclose(line.get_ydata(), [0.5, 0.6])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a x", "a y", "b x", "b y"]
    with pytest.raises(ValueError, match="must also have missing"):
        lens_figures.summary(numbers(), {"missing": "?"})


def test_other_figures_draw_their_numbers():
    from innercodes import lens_figures

    points = DataFrame(
        {"family": ["a", "b"], "kind": ["trained", "untrained"], "stage": ["x", "y"], "depth": [0.0, 1.0], "distance": [1.0, 2.0],
         "alpha": [-1.0, -0.5], "information": [0.3, 0.1]}
    )  # fmt: skip
    figure = lens_figures.scatter(points)
    assert [tuple(c.get_offsets()[0]) for c in figure.axes[0].collections] == [(1.0, -1.0), (2.0, -0.5)]
    sides = DataFrame(
        {"lens": ["p", "q"], "value": [0.5, np.nan], "low": [0.1, np.nan], "high": [0.9, np.nan], "predicted": [1, -1]}
    )
    figure = lens_figures.differences(sides)
    assert [text.get_text() for text in figure.axes[1].texts] == ["no number"]
    assert figure.axes[0].lines[1].get_xdata()[0] == 0.5
    told = DataFrame(
        {"question": ["e", "e"], "reader": ["r", "s"], "kind": ["trained", "trained"], "value": [0.7, 0.6], "low": [0.5, 0.5],
         "high": [0.8, 0.7]}
    )  # fmt: skip
    figure = lens_figures.dots(told, "question", "reader", "AUROC", 0.5)
    assert figure.axes[0].lines[1].get_xdata().tolist() == [0.7, 0.6]
    each = DataFrame({"reader": ["n", "m"], "part": ["disc", "disc"], "value": [0.9, 0.8]})
    assert len(lens_figures.parts(each).axes[0].lines) == 3
    orders = numbers(strength_1=0.75, strength_2=0.25)
    figure = lens_figures.order_strengths(orders, 2)
    assert len(figure.axes) == 2
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.75, 0.25])
    found = DataFrame(
        {"kind": ["trained"], "reader": ["neurons"], "stage": ["x"], "value": [0.7], "low": [0.6], "high": [0.8]}
    )
    assert figure and lens_figures.units(found).axes[0].get_title() == "trained"
