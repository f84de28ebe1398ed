"""A network stitched into itself by an identity is itself; training moves the join and nothing else."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from innercodes import data, models, parameters, stitching
from innercodes.parameters import ParameterError

CUTS = ["layer1", "layer2", "layer3"]


def settled(name, seed, **sizes):
    """A network with random weights whose BatchNorm does something."""
    sizes = {"outputs": 10, "channels": 1} | sizes
    pictures = torch.rand(64, sizes["channels"], 8, 8, generator=torch.Generator().manual_seed(9))
    return models.settle(models.load(name, seed, **sizes), pictures)


def behind_normalisation(network):
    wrapped = nn.Sequential()
    wrapped.add_module("normalise", models.Normalise([0.3], [0.5]))
    wrapped.add_module("network", network)
    return wrapped.eval()


def pictures_of(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 8, 8, generator=generator), torch.randint(10, (count,), generator=generator)


@pytest.fixture(scope="module")
def digits():
    return {
        split: (found.inputs, found.labels) for split in ("train", "test") for found in [data.load("digits", split)]
    }


@pytest.fixture(scope="module")
def trained(digits):
    network = models.load("resnet8", 0, outputs=10, channels=1)
    return models.train(network, *digits["train"], 8, 0.1, 0)


@pytest.mark.parametrize("wrap", [lambda network: network, behind_normalisation])
@pytest.mark.parametrize("cut", CUTS)
def test_a_network_stitched_into_itself_by_an_identity_is_itself(cut, wrap):
    network, (pictures, _) = wrap(settled("resnet20", 0)), pictures_of(20)
    assert stitching.cuts(network, network) == CUTS
    stitched = stitching.Stitched(network, network, cut)
    nn.init.dirac_(stitched.join.weight)
    nn.init.zeros_(stitched.join.bias)
    with torch.no_grad():
        assert torch.equal(stitched(pictures), network(pictures))
        nn.init.zeros_(stitched.join.weight)
        assert not torch.equal(stitched(pictures), network(pictures))


@pytest.mark.parametrize("cut", CUTS)
def test_the_front_says_what_a_hook_sees_and_the_back_goes_on_from_there(cut):
    front, back, (pictures, _) = behind_normalisation(settled("resnet8", 0)), settled("resnet20", 1), pictures_of(6)
    stitched = stitching.Stitched(front, back, cut)
    seen = {}
    front.network.get_submodule(cut).register_forward_hook(lambda _m, _i, out: seen.update(maps=out))

    def replace(_module, _inputs, _out):
        weight, bias = stitched.join.weight[:, :, 0, 0], stitched.join.bias
        return torch.einsum("oc,bchw->bohw", weight, seen["maps"]) + bias[:, None, None]

    back.get_submodule(cut).register_forward_hook(replace)
    with torch.no_grad():
        front(pictures)
        torch.testing.assert_close(stitched(pictures), back(pictures))  # whatever came before the hook is lost


def test_training_moves_the_join_alone_and_depends_on_the_seed():
    front, back = behind_normalisation(settled("resnet8", 0)), settled("resnet20", 1)
    front.train()  # whatever mode the given networks are in
    before = [copy.deepcopy(network.state_dict()) for network in (front, back)]
    pictures, labels = pictures_of(100)
    begun, once, again, other = (
        stitching.stitch(front, back, "layer2", pictures, labels, epochs, 0.01, seed, batch_size=32)
        for epochs, seed in ((0, 3), (2, 3), (2, 3), (2, 4))
    )
    for network, kept in zip((front, back), before, strict=True):
        state = network.state_dict()
        assert state.keys() == kept.keys() and all(torch.equal(state[key], kept[key]) for key in kept)
        assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert front.training and not back.training
    moved = {key for key, value in once.state_dict().items() if not torch.equal(value, begun.state_dict()[key])}
    assert moved == {"join.weight", "join.bias"}
    assert [name for name, p in once.named_parameters() if p.requires_grad] == ["join.weight", "join.bias"]
    assert all(torch.equal(a, b) for a, b in zip(once.join.parameters(), again.join.parameters(), strict=True))
    assert not torch.equal(once.join.weight, other.join.weight)


def test_front_and_back_stay_in_evaluation_mode():
    network, (pictures, _) = settled("resnet8", 0), pictures_of(10)
    stitched = stitching.Stitched(network, network, "layer1")
    expected = stitched(pictures)
    assert torch.equal(stitched.train()(pictures), expected)
    assert stitched.training and not any(m.training for half in (stitched.front, stitched.back) for m in half.modules())


def test_the_join_follows_the_gradient_that_reaches_it():
    """One step of Adam from its start moves each weight by the learning rate against the sign of its gradient."""
    front, back, (pictures, labels) = settled("resnet8", 0), settled("resnet20", 1), pictures_of(40)
    begun, moved = (stitching.stitch(front, back, "layer3", pictures, labels, epochs, 1e-3, 0) for epochs in (0, 1))
    nn.functional.cross_entropy(begun(pictures), labels).backward()
    slope = begun.join.weight.grad
    step = (moved.join.weight - begun.join.weight).detach()
    clear = slope.abs() > 1e-5
    assert clear.float().mean() > 0.5
    torch.testing.assert_close(step[clear], -1e-3 * slope[clear].sign(), rtol=0.01, atol=0)


def test_what_cannot_be_stitched_is_refused_by_name():
    network, (pictures, labels) = settled("resnet8", 0), pictures_of(4)
    with pytest.raises(ValueError, match="^Sequential cannot be stitched: .* CifarResNet$"):
        stitching.cuts(models.load("cnn", 0, outputs=10), network)
    with pytest.raises(ValueError, match="^RowsLSTM cannot be stitched"):
        stitching.Stitched(network, models.load("rows_lstm", 0), "layer1")
    with pytest.raises(ValueError, match="^pictures of 1 and 3 channels"):
        stitching.cuts(network, settled("resnet8", 0, channels=3))
    with pytest.raises(ParameterError, match="^cut = 'layer4': must be one of layer1, layer2, layer3$"):
        stitching.stitch(network, network, "layer4", pictures, labels, 1, 0.01, 0)
    with pytest.raises(ValueError, match="^4 inputs and 3 labels"):
        stitching.stitch(network, network, "layer1", pictures, labels[:3], 1, 0.01, 0)


def test_a_trained_network_learns_to_go_through_a_random_join(trained, digits):
    alone = models.accuracy(trained, *digits["test"])
    stitched = stitching.stitch(trained, trained, "layer1", *digits["train"], 10, 0.01, 0)
    begun = stitching.stitch(trained, trained, "layer1", *digits["train"], 0, 0.01, 0)
    assert alone > 0.9 and models.accuracy(begun, *digits["test"]) < alone - 0.2
    assert models.accuracy(stitched, *digits["test"]) > alone - 0.02


def test_rights_are_those_of_each_network_and_each_stitch(trained, digits):
    untrained = settled("resnet8", 5)
    train, test = (tuple(values[:200] for values in digits[split]) for split in ("train", "test"))
    fronts = {"trained": trained, "untrained": untrained}
    found = stitching.rights(trained, fronts, train, test, 1, 0.01, 2)
    assert list(found) == ["trained", "untrained", "alone"]
    assert list(found["trained"]) == list(found["untrained"]) == CUTS
    for kind, network in {"larger": trained, **fronts}.items():
        assert found["alone"][kind].dtype == bool and found["alone"][kind].shape == (200,)
        assert found["alone"][kind].mean() == pytest.approx(models.accuracy(network, *test))
    stitched = stitching.stitch(untrained, trained, "layer2", *train, 1, 0.01, 2)
    with torch.no_grad():
        assert found["untrained"]["layer2"].tolist() == (stitched(test[0]).argmax(-1) == test[1]).tolist()


def flags(text):
    return np.array([letter == "1" for letter in text.replace(" ", "")])


def test_exchangeable_by_hand():
    found = [
        {
            "trained": {"layer1": flags("11110 11100"), "layer2": flags("00000 00000"), "layer3": flags("11000 00000")},
            "untrained": {"layer1": flags("10000 00000"), "layer2": flags("11111 11111"), "layer3": flags("00000 00000")},
            "alone": {"larger": flags("11111 11100"), "trained": flags("11111 00000"), "untrained": flags("10000 00000")},
        },
        {
            "trained": {"layer1": flags("11111 11111"), "layer2": flags("00000 00000"), "layer3": flags("11111 00000")},
            "untrained": {"layer1": flags("11000 00000"), "layer2": flags("11111 11111"), "layer3": flags("00000 00000")},
            "alone": {"larger": flags("11111 11110"), "trained": flags("11111 11000"), "untrained": flags("00000 00000")},
        },
    ]  # fmt: skip
    judged = stitching.exchangeable(found, 500, 0)
    # Drops at the first cut: 0.8 - 0.7 and 0.9 - 1.0; untrained 0.8 - 0.1 and 0.9 - 0.2; at the last 0.8 - 0.2 and 0.9 - 0.5.
    assert judged["value"] == pytest.approx(0.0) and judged["ci"][0] <= 0 <= judged["ci"][1]
    assert judged["twin"].value == pytest.approx(0.0 - 0.7) and judged["twin"].interval()[1] < 0
    assert judged["also"] == pytest.approx({"grows_with_cut": 0.5})
    assert judged["baseline"] == pytest.approx(
        {
            "drop, untrained front": 0.7,
            "accuracy, larger alone": 0.85,
            "accuracy, trained alone": 0.6,
            "accuracy, untrained alone": 0.05,
        }
    )
    # Pictures are drawn, the same for both seeds: the mean over seeds of a picture's drops is 1, -1 or 0, each over 2.
    per_picture = np.mean([one["alone"]["larger"] * 1.0 - one["trained"]["layer1"] for one in found], 0)
    assert per_picture.tolist() == [0, 0, 0, 0, 0.5, 0, 0, 0, 0, -0.5]
    generator = np.random.default_rng(1)
    means = generator.choice(per_picture, (20000, 10)).mean(1)
    low, high = stitching.exchangeable(found, 20000, 0)["ci"]
    assert [low, high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.011)
    with pytest.raises(ValueError, match="^found: "):
        stitching.exchangeable([], 500, 0)


def test_the_partner_has_no_twins_on_noise(monkeypatch):
    """Only its trained and untrained networks are stitched, so no others are trained."""
    values = {p.name: p.default for p in parameters.CHAPTERS["03_functional_telescope"]}
    run = parameters.check("03_functional_telescope", values | {"noise_epochs": 4, "partner": "resnet8"})
    asked = {}

    def build(other, *_, **more):
        asked.update(other.values, **more)
        raise InterruptedError

    monkeypatch.setattr(stitching.twins, "build", build)
    with pytest.raises(InterruptedError):
        stitching.study(run, {"trained": [models.load("resnet20", 0)]}, None, None)
    assert (
        asked["noise_epochs"] == 0 and asked["model"] == "resnet8" and set(asked["kinds"]) == {"trained", "untrained"}
    )
