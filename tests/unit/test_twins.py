"""Twins differ in what they are said to differ in, and in nothing else."""

import copy
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from innercodes import models, parameters, pictures, twins
from innercodes.parameters import ParameterError

CHAPTER = "03_functional_telescope"
KINDS = ("trained", "untrained", "half", "memorising")
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}


@pytest.fixture
def run_of(tmp_path):
    def make(**changed):
        small = {"model": "resnet8", "epochs": 1, "n_seeds": 2, "progress": "off", "device": "cpu"}
        return parameters.check(CHAPTER, DEFAULTS | small | {"out_dir": str(tmp_path / "out")} | changed)

    return make


@pytest.fixture(scope="module")
def digits():
    return pictures.load("digits", "", 150, 40, 0)[0]


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def weights_of(network):
    return [p.detach() for p in network.parameters()]


@pytest.fixture
def saved(tmp_path):
    """A network for the digits in a file, with the description of how it is built."""

    def make(described=True):
        torch.manual_seed(5)
        network = models.cifar_resnet(8, 1, 10)
        save_file(network.state_dict(), tmp_path / "net.safetensors")
        if described:
            kwargs = {"depth": 8, "channels": 1, "outputs": 10}
            text = json.dumps({"library": "innercodes", "architecture": "cifar_resnet", "kwargs": kwargs})
            (tmp_path / "net.json").write_text(text)
        return network, str(tmp_path / "net.safetensors")

    return make


# Shuffled labels


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 99))
def test_shuffling_keeps_the_labels_and_moves_no_more_than_the_share(values, share, seed):
    labels = torch.tensor(values)
    mixed = twins.shuffled(labels, share, seed)
    assert labels.tolist() == values and mixed.sort().values.tolist() == sorted(values)
    assert int((mixed != labels).sum()) <= round(share * len(labels))
    assert torch.equal(mixed, twins.shuffled(labels, share, seed))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_about_the_share_of_the_labels_is_moved(share):
    labels = torch.arange(10_000)  # all differ, so that a label that moved is seen
    moved = [int((twins.shuffled(labels, share, seed) != labels).sum()) for seed in range(3)]
    # A random order of n leaves one in its place on average, with a variance of 1.
    assert all(share * 10_000 - 8 <= n <= share * 10_000 for n in moved)
    of_ten = labels % 10
    kept = float((twins.shuffled(of_ten, share, 0) == of_ten).double().mean())
    assert kept == pytest.approx(1 - 0.9 * share, abs=0.02)
    assert share == 0 or not torch.equal(twins.shuffled(labels, share, 0), twins.shuffled(labels, share, 1))


# What is built


def test_names_of_timm_may_be_given_without_timm(run_of):
    for given_name, expected in (
        ("resnet8", "resnet8"),
        ("vit8", "vit8"),
        ("resnet18", "timm/resnet18"),
        ("timm/resnet18",) * 2,
    ):
        assert twins.network_name(run_of(model=given_name)) == expected
    assert twins.preparation(run_of(model="resnet8")) is None
    assert twins.preparation(run_of(model="resnet18")).input_size == 224
    with pytest.raises(ParameterError, match="^model = 'nothing': must be one of"):
        twins.build(run_of(model="nothing"), pictures.load("digits", "", 20, 20, 0)[0])


def test_every_kind_has_a_network_for_each_seed_trained_by_the_recipe(run_of, digits):
    run = run_of(seed=3)
    built = twins.build(run, digits)
    assert tuple(built) == KINDS and all(len(members) == 2 for members in built.values())
    assert all(not n.training for members in built.values() for n in members)
    inputs, labels = digits.tensors()
    for kind, share in (("trained", 0.0), ("half", 0.5), ("memorising", 1.0)):
        for i, seed in enumerate((3, 4)):
            expected = models.untrained("resnet8", seed, outputs=10, channels=1)
            models.train(expected, inputs, twins.shuffled(labels, share, seed), 1, run.learning_rate, seed)
            assert same(built[kind][i], expected)
    assert not same(built["trained"][0], built["trained"][1]) and not same(built["trained"][0], built["half"][0])
    again = twins.build(run, digits)
    assert all(same(a, b) for kind in KINDS for a, b in zip(built[kind], again[kind], strict=True))


def test_the_untrained_twin_is_the_start_of_the_trained_one(run_of, digits):
    run = run_of(learning_rate=1e-8)  # a step so short that the start can still be seen
    built = twins.build(run, digits)
    for i, seed in enumerate(run.seeds):
        start = models.untrained("resnet8", seed, outputs=10, channels=1)
        fresh, trained = weights_of(built["untrained"][i]), weights_of(built["trained"][i])
        assert all(torch.equal(a, b) for a, b in zip(weights_of(start), fresh, strict=True))
        assert max(float((a - b).abs().max()) for a, b in zip(fresh, trained, strict=True)) < 1e-5
        # BatchNorm has the statistics of the pictures: what the first one gives has mean 0 and deviation 1.
        network = built["untrained"][i]
        with torch.no_grad():
            out = network.bn1(network.conv1(digits.tensors()[0]))
        assert float(out.mean((0, 2, 3)).abs().max()) < 0.1 and float((out.std((0, 2, 3)) - 1).abs().max()) < 0.1


def test_only_the_kinds_that_are_asked_for_are_trained(run_of, digits):
    assert tuple(twins.build(run_of(n_seeds=1), digits, kinds=("trained", "untrained"))) == ("trained", "untrained")


def test_the_size_of_a_batch_is_passed_on(run_of, digits):
    inputs, labels = digits.tensors()
    (network,) = twins.build(run_of(n_seeds=1), digits, kinds=("trained",), train_batch=32)["trained"]
    expected = models.untrained("resnet8", 0, outputs=10, channels=1)
    assert same(network, models.train(expected, inputs, labels, 1, 0.1, 0, 32))


def test_watching_sees_the_start_and_every_epoch_and_changes_nothing(run_of, digits):
    run, seen = run_of(epochs=2), []

    def watch(network, epoch):
        seen.append((epoch, network.training, copy.deepcopy(network)))

    built = twins.build(run, digits, watch, kinds=("trained", "half"))
    assert [(epoch, training) for epoch, training, _ in seen] == [(-1, False), (0, False), (1, False)]
    plain = twins.build(run, digits, kinds=("trained", "half"))
    assert all(same(a, b) for kind in plain for a, b in zip(built[kind], plain[kind], strict=True))
    start, first, last = (network for _, _, network in seen)
    fresh = models.untrained("resnet8", 0, outputs=10, channels=1)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(start), weights_of(fresh), strict=True))
    assert same(last, built["trained"][0]) and not same(first, last) and not same(start, first)


def test_the_start_that_is_watched_is_settled_on_pictures_of_all_classes(run_of, monkeypatch):
    monkeypatch.setattr(twins, "SETTLED_ON", 8)
    labels = torch.arange(40) // 4  # a folder's pictures are sorted by class
    own = pictures.Pictures(
        lambda row: torch.full((1, 8, 8), float(row // 4)),
        torch.arange(40),
        labels,
        tuple("abcdefghij"),
        tuple("abcdefghij"),
    )
    settled_on, settle = [], models.settle
    monkeypatch.setattr(models, "settle", lambda net, x, *rest: settled_on.append(x) or settle(net, x, *rest))
    twins.build(run_of(n_seeds=1), own, lambda network, epoch: None, kinds=("trained",))
    assert len(settled_on) == 2 and all(float(x.max()) > 5 for x in settled_on)


# Weights that are given


def test_given_weights_make_one_trained_network_and_no_noise_twins(run_of, digits, saved):
    network, file = saved()
    run = run_of(weights=file)
    built = twins.build(run, digits, watch=lambda *_: pytest.fail("nothing is trained here"))
    assert {kind: len(members) for kind, members in built.items()} == {"trained": 1, "untrained": 2}
    assert same(built["trained"][0], network) and not built["trained"][0].training
    assert twins.network_sizes(run, digits) == {}
    for seed, fresh in zip(run.seeds, built["untrained"], strict=True):
        start = models.untrained("resnet8", seed, outputs=10, channels=1)
        assert all(torch.equal(a, b) for a, b in zip(weights_of(start), weights_of(fresh), strict=True))


def test_noise_twins_beside_given_weights_have_one_on_true_labels(run_of, digits, saved):
    network, file = saved()
    seen = []
    built = twins.build(run_of(weights=file, noise_epochs=1, epochs=7), digits, lambda _, epoch: seen.append(epoch))
    counts = {"trained": 1, "untrained": 2, "fresh": 2, "half": 2, "memorising": 2}
    assert {kind: len(members) for kind, members in built.items()} == counts and seen == [-1, 0]
    assert same(built["trained"][0], network)
    alone = twins.build(run_of(epochs=1), digits)
    for kind, name in (("fresh", "trained"), ("half", "half"), ("memorising", "memorising")):
        assert all(same(a, b) for a, b in zip(built[kind], alone[name], strict=True))


def test_weights_of_another_network_are_refused(run_of, digits, saved):
    _, file = saved()
    with pytest.raises(ParameterError, match="^model = 'resnet20': must be resnet8, which the weights are for$"):
        twins.build(run_of(weights=file, model="resnet20"), digits)


@pytest.mark.parametrize("pretrained", [False, True])
def test_what_does_not_fit_the_pictures_is_one_clear_line(run_of, digits, saved, pretrained):
    # Without its description the network is built for three channels; the same for pretrained = True of a network not timm's.
    changed = {"pretrained": True} if pretrained else {"weights": saved(described=False)[1]}
    with pytest.raises(ParameterError, match="^(pretrained|weights) = "):
        twins.build(run_of(**changed), digits)


# Weights from the hub


class Grey(nn.Module):
    """What the hub would send: a tiny network for colour pictures."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 1000)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def test_a_hub_that_cannot_be_reached_is_one_line(run_of, monkeypatch):
    import timm

    def fail(*_args, **_kwargs):
        raise OSError("no route\n to host " + "x" * 900)

    run = run_of(model="resnet18", pretrained=True)
    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(
        ParameterError, match="^pretrained = True: timm/resnet18 could not be fetched: no route to host"
    ) as caught:
        twins._given(run, {})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_network_from_the_hub_normalises_by_itself(run_of, monkeypatch):
    import timm

    sent = Grey()
    asked = []

    def create(name, pretrained, num_classes=1000):
        asked.append((name, pretrained))
        return sent if pretrained else Grey()

    monkeypatch.setattr(timm, "create_model", create)
    names = tuple(map(str, range(1000)))
    own = pictures.Pictures(lambda row: torch.rand(3, 8, 8), torch.arange(4), torch.arange(4), names, names)
    built = twins.build(run_of(model="resnet18", pretrained=True), own)
    assert {kind: len(members) for kind, members in built.items()} == {"trained": 1, "untrained": 2}
    assert asked.count(("resnet18", True)) == 1
    x = torch.rand(2, 3, 8, 8)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        torch.testing.assert_close(built["trained"][0](x), sent((x - mean) / std))


def test_only_networks_of_timm_without_a_file_can_be_fetched(run_of, saved):
    for changed in ({}, {"model": "resnet18", "weights": saved()[1]}):
        with pytest.raises(
            ParameterError, match="^pretrained = True: must be False, unless the network is one of timm's"
        ):
            twins._given(run_of(pretrained=True, **changed), {})


# Stages


def test_up_to_four_stages_are_taken_as_they_are():
    assert twins.chosen_stages(models.load("resnet8", 0), "auto") == (["layer1", "layer2", "layer3"], "conv1")
    assert twins.chosen_stages(models.load("vit8", 0), "auto") == ([f"blocks.{i}" for i in range(4)], "patch_embed")
    wrapped = models.load("timm/resnet18", 0)
    assert twins.chosen_stages(wrapped, "auto") == (
        [f"layer{i}" for i in range(1, 5)],
        "act1",
    )  # of act1, layer1 ... layer4


@pytest.mark.parametrize("count", range(5, 14))
def test_of_more_stages_the_ends_of_four_equal_parts_are_taken(count):
    network = nn.Sequential(*(nn.Identity() for _ in range(count)))
    names, stem = twins.chosen_stages(network, "auto")
    # The end of a part is the first stage at which so many quarters of all stages are behind.
    ends = [min(i for i in range(count) if 4 * (i + 1) >= part * count) for part in (1, 2, 3, 4)]
    assert names == [str(i) for i in ends] and stem == str(ends[0] - 1) and names[-1] == str(count - 1)


def test_names_can_be_given(run_of):
    network = models.load("resnet20", 0)
    assert twins.chosen_stages(network, "layer1 layer3") == (["layer1", "layer3"], "conv1")
    assert twins.chosen_stages(network, "layer2 layer3") == (["layer2", "layer3"], "layer1")
    assert twins.chosen_stages(network, "layer1.0 layer2.1.conv2") == (["layer1.0", "layer2.1.conv2"], "conv1")
    vit = models.load("vit8", 0)
    assert twins.chosen_stages(vit, "blocks.0:cls blocks.3:cls") == (["blocks.0:cls", "blocks.3:cls"], "patch_embed")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("layer1 layer9", "stages = 'layer9': must be among layer1, layer2, layer3 or another module's name"),
        ("layer1 input", "stages = 'input': must be among"),
        ("layer1", "stages = 'layer1': must be auto, or two and more different names"),
        ("layer1 layer2 layer1", "stages = 'layer1 layer2 layer1': must be auto, or two and more different names"),
    ],
)
def test_wrong_names_are_refused(wanted, message):
    with pytest.raises(ParameterError, match=f"^{message}") as caught:
        twins.chosen_stages(models.load("resnet8", 0), wanted)
    assert "\n" not in str(caught.value)


def test_the_suffix_alone_is_no_name():
    with pytest.raises(ParameterError, match="^stages = ':cls': must be among"):
        twins.chosen_stages(models.load("vit8", 0), ":cls blocks.1")
