"""The networks of chapter 04: which there are, what they are shown, and what is refused before any work."""

import dataclasses

import pytest
import torch
from PIL import Image

from innercodes import autoencoders, code_networks, parameters, scenes, twins
from innercodes.parameters import ParameterError
from innercodes.pictures import Pictures

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off", "device": "cpu", "n_seeds": 2, "shipped": False, "width": 8, "size": 32, "rates": "0 0.6", "reference": 0.6,
    "trained_on": 100, "pictures": 110, "epochs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


@pytest.fixture(scope="module")
def shown(run):
    return code_networks.show(run)


@pytest.fixture(scope="module")
def networks(run, shown):
    return code_networks.build(run, shown)


def same(one, other):
    other = other.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


# Pictures


def test_scenes_come_with_their_factors(run, shown):
    fitted, others = scenes.load(100, 110, run.seed, 32)
    assert torch.equal(shown.others[7][0], others.pictures[7][0]) and torch.equal(
        shown.fitted[7][0], fitted.pictures[7][0]
    )
    assert set(shown.factors) == set(scenes.FACTORS) and len(shown.others) == 110


def folder(root, count, classes=("a", "b")):
    for split in ("train", "test"):
        for name in classes:
            (root / "own" / split / name).mkdir(parents=True)
            for i in range(count // len(classes)):
                Image.new("RGB", (40, 40), (i % 256, 90, 200)).save(root / "own" / split / name / f"{i}.png")


def test_a_folder_of_pictures_has_its_classes(run, tmp_path):
    folder(tmp_path, 120)
    found = code_networks.show(changed(run, dataset="own", data_root=str(tmp_path)))
    assert list(found.factors) == ["class"] and torch.equal(found.factors["class"], found.others.labels)
    assert found.others[0][0].shape == (3, 32, 32) and len(found.others) == 110 and len(found.fitted) == 100


def test_a_folder_with_few_pictures_is_refused(run, tmp_path):
    folder(tmp_path, 60)
    with pytest.raises(ParameterError, match="data_root: own holds 60 other pictures; a spectrum needs 100"):
        code_networks.show(changed(run, dataset="own", data_root=str(tmp_path)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "resnet8"}, "dataset = 'scenes'.*for the autoencoder"),
        ({"dataset": "digits"}, "dataset = 'digits'"),
        ({"dataset": "nowhere", "data_root": "/"}, "data_root"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(run, values, words):
    with pytest.raises(ParameterError, match=words):
        code_networks.show(changed(run, **values))


# Networks


def test_rates_and_names(run):
    assert code_networks.rates(changed(run, rates="0.6 0 0.40 0.4")) == [0, 0.4, 0.6]
    assert [code_networks.name_of(rate) for rate in (0.0, 0.4)] == ["dropout 0", "dropout 0.4"]


def test_there_is_a_network_for_each_rate_and_seed_and_a_twin_for_each_seed(run, networks):
    assert networks.kinds == {0.0: "dropout 0", 0.6: "dropout 0.6"} and networks.reference == "dropout 0.6"
    assert {kind: len(members) for kind, members in networks.members.items()} == {
        "dropout 0": 2,
        "dropout 0.6": 2,
        "untrained": 2,
    }
    assert networks.trained is networks.members["dropout 0.6"]
    every = [net for members in networks.members.values() for net in members]
    assert not any(same(a, b) for i, a in enumerate(every) for b in every[:i])
    assert not any(net.training for net in every)
    rates = {
        kind: {m.p for m in members[0].modules() if isinstance(m, torch.nn.Dropout)}
        for kind, members in networks.members.items()
    }
    assert rates["dropout 0"] == {0.0} and rates["dropout 0.6"] == {0.6}


def test_a_network_is_trained_as_one_would_by_hand(run, shown, networks):
    net = autoencoders.load(8, 0.6, 1, size=32)
    autoencoders.train(net, shown.fitted.tensors()[0], 1, run.learning_rate, 50, 1, "bce")
    assert same(net, networks.plain["dropout 0.6"][1])


def test_the_twin_has_the_same_start_and_the_statistics_of_the_pictures(run, shown, networks):
    start = autoencoders.load(8, 0.6, 0, size=32)
    twin = networks.members["untrained"][0]
    assert torch.equal(start.encoder.conv1.weight, twin.encoder.conv1.weight)
    with torch.no_grad():
        said = twin.encoder.conv1(shown.fitted.tensors()[0])
    assert torch.allclose(twin.encoder.bn1.running_mean, said.mean((0, 2, 3)), atol=1e-4)


def test_trained_networks_get_their_statistics_without_dropout(run, shown, networks):
    plain, settled = networks.plain["dropout 0.6"][0], networks.members["dropout 0.6"][0]
    with torch.no_grad():
        said = plain.encoder.conv1(shown.fitted.tensors()[0])
    assert torch.allclose(settled.encoder.bn1.running_mean, said.mean((0, 2, 3)), atol=1e-4)
    assert not torch.allclose(plain.encoder.bn1.running_mean, said.mean((0, 2, 3)), atol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), settled.parameters(), strict=True))
    assert set(networks.plain) == set(networks.kinds.values())


def test_networks_stay_as_training_left_them_on_request(run, shown, monkeypatch):
    monkeypatch.setattr(autoencoders, "train", lambda *_: None)
    found = code_networks.build(changed(run, settle=False), shown)
    assert all(found.members[kind] == found.plain[kind] for kind in found.plain)


def test_layers_are_the_stem_and_the_ends_of_blocks_or_every_relu(run, shown, networks):
    every = autoencoders.layers(networks.trained[0])
    assert len(every) == 19 and networks.last == every[16] == "encoder.layer4.1.act2.0"
    assert networks.layers == (every[0], *(every[i] for i in range(2, 17, 2)))
    names = [code_networks.short(layer) for layer in every]
    assert names[:4] == ["stem", "layer1.0 a", "layer1.0", "layer1.1 a"] and names[16] == "layer4.1"
    assert len(set(names)) == 19
    # They run in this order.
    order, hooks = [], []
    for name, module in networks.trained[0].named_modules():
        if name in every:
            hooks.append(module.register_forward_hook(lambda *_, name=name: order.append(name)))
    with torch.no_grad():
        networks.trained[0](shown.others[0][0][None])
    assert order == every
    [hook.remove() for hook in hooks]


def test_every_layer_on_request(run, shown, monkeypatch):
    monkeypatch.setattr(autoencoders, "train", lambda *_: None)
    found = code_networks.build(changed(run, layers="every"), shown)
    assert len(found.layers) == 19 and found.last == found.layers[16]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"reference": 0.4}, "reference = 0.4: must be among the rates 0 0.6"),
        ({"pretrained": True}, "pretrained = True: must be left alone"),
        ({"weights": "a.safetensors"}, "weights = 'a.safetensors': must be left alone"),
        ({"widths": "8 9"}, "widths = '8 9': must be even numbers from 8"),
        ({"shipped": True}, "shipped = True: must be False"),
        ({"shipped": True, "width": 12, "size": 64, "rates": "0 0.3", "reference": 0.3}, "rate = 0.3"),
    ],
)
def test_networks_that_do_not_come_with_the_book_are_refused(run, shown, values, words):
    with pytest.raises(ParameterError, match=words):
        code_networks.build(changed(run, **values), shown)


def test_networks_of_the_book_are_read(run, shown, monkeypatch):
    asked = []

    def shipped(rate, seed, device):
        asked.append((rate, seed))
        return autoencoders.load(8, rate, seed, size=32)

    monkeypatch.setattr(autoencoders, "shipped", shipped)
    monkeypatch.setattr(autoencoders, "untrained", lambda width, rate, seed, some, size: shipped(rate, seed, ""))
    there = changed(run, shipped=True, width=autoencoders.SHIPPED_WIDTH, size=64)
    found = code_networks.build(there, shown)
    assert (
        asked[:4] == [(rate, seed) for rate in (0.0, 0.6) for seed in (0, 1)] and len(found.members["untrained"]) == 2
    )


def test_one_network_of_another_kind(run, monkeypatch):
    one = changed(run, model="resnet8", dataset="digits", epochs=1)
    shown = code_networks.show(one)
    assert isinstance(shown.others, Pictures)
    found = code_networks.build(one, shown)
    assert (
        found.kinds == {}
        and found.reference == "trained"
        and len(found.trained) == len(found.members["untrained"]) == 2
    )
    assert found.layers == ("layer1", "layer2", "layer3") and found.last == "layer3"
    assert [code_networks.short(layer) for layer in found.layers] == list(found.layers)
    assert same(
        found.trained[0], twins.build(changed(one, noise_epochs=0), shown.fitted, kinds=("trained",))["trained"][0]
    )
