"""The pictures, regions and networks of chapter 01: which there are, what is refused, the networks of the book, other domains."""

import dataclasses
import re

import pandas as pd
import pytest
import torch
from made_surveys import a_run, a_survey
from PIL import Image
from safetensors.torch import load_file
from tiny_detectors import save_dino, save_sam

from innercodes import models, parameters, parts, regions, symbol_networks, symbol_survey, twins
from innercodes.parameters import ParameterError
from innercodes.pictures import Pictures
from innercodes.symbol_networks import Material, Recipe
from innercodes.symbol_survey import BOTH, FITTED, NEW, UNSEEN, Restricted, Shown

CHAPTER = "01_symbols"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off", "device": "cpu", "n_seeds": 2, "shipped": False, "size": 32, "trained_on": 48, "epochs": 1,
    "fitted": 32, "unseen": 40, "beyond_known": 24, "retrained_epochs": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


@pytest.fixture(scope="module")
def material(run):
    return symbol_networks.show(run)


def same(one, other):
    other = other.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


# What networks are shown


def test_parts_come_with_their_boxes_and_truth(run, material):
    drawn = parts.load("test", 40, 0, 32)
    assert torch.equal(material.unseen.boxes, drawn.boxes) and torch.equal(material.known.masks, drawn.masks)
    assert torch.equal(material.unseen.pictures[3][0], drawn.pictures[3][0]) and len(material.learned) == 48
    assert (
        list(material.outside) == ["new combinations", "new parts"] and len(material.outside["new parts"].labels) == 24
    )
    assert set(material.new.labels.tolist()) <= set(range(5)) and material.new.pictures.names[0] == "".join(
        parts.load("new parts", 1, 0, 32).pictures.names[0]
    )


def test_sets_that_nobody_asks_for_are_left_out(run):
    found = symbol_networks.show(changed(run, outside="none", new="own"))
    assert found.outside == {} and found.new is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"outside": "dtd"}, "outside = 'dtd': must be auto or none"),
        ({"new": "dtd"}, "new = 'dtd': must be auto, own or none"),
        ({"regions": "detector"}, "regions = 'detector': must be another source"),
        ({"dataset": "nowhere"}, "regions = 'oracle': must be another source: nobody knows the boxes of nowhere"),
        ({"dataset": "nowhere", "regions": "full"}, "data_root"),
    ],
)
def test_what_cannot_be_shown_is_refused(run, values, words):
    with pytest.raises(ParameterError, match=words):
        symbol_networks.show(changed(run, **values))


def test_pictures_without_a_box_are_left_out_and_their_truth_with_them(run, monkeypatch):
    def odd(inputs, predictions):
        boxes = torch.tensor([[2.0, 2.0, 20.0, 20.0]]).repeat(len(inputs), 1)
        boxes[::2] = torch.nan
        return boxes

    monkeypatch.setattr(symbol_networks, "region_source", lambda run, names: odd)
    found = symbol_networks.show(changed(run, regions="center"))
    drawn = parts.load("test", 40, 0, 32)
    assert found.unseen.pictures.rows.tolist() == list(range(1, 40, 2)) and found.seconds > 0
    assert torch.equal(found.known.masks, drawn.masks[1::2]) and torch.equal(found.known.labels, found.unseen.labels)
    assert torch.equal(found.known.factors["place"], drawn.factors["place"][1::2])
    monkeypatch.setattr(symbol_networks, "region_source", lambda *_: lambda x, y: torch.full((len(x), 4), torch.nan))
    with pytest.raises(ParameterError, match="regions = 'center': must be a source that finds more: 0 of 32"):
        symbol_networks.show(changed(run, regions="center"))


class Parity(torch.nn.Module):
    """Says the class of the brightness, and something else of a crop that is brighter than a limit."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, inputs):
        bright = inputs.mean((1, 2, 3)) > self.limit
        return torch.nn.functional.one_hot(bright.long(), 16).float()


def test_certified_pictures_alone_are_kept(run, material):
    certified, members = changed(run, kept="certified"), [Parity(0.45).eval(), Parity(0.5).eval()]
    found = symbol_networks.kept(certified, {"trained": members}, material)
    everything = {"fitted": material.fitted, "unseen": material.unseen, **material.outside}
    for name, one in {"fitted": found.fitted, "unseen": found.unseen, **found.outside}.items():
        inputs = everything[name].pictures.tensors()[0]
        looks = [regions.certify(network, inputs, everything[name].boxes).kept for network in members]
        rows = (looks[0] & looks[1]).nonzero()[:, 0]
        assert 2 <= len(rows) < len(inputs)
        assert torch.equal(one.boxes, everything[name].boxes[rows])
        assert torch.equal(one.pictures.rows, everything[name].pictures.rows[rows])
        if name == "unseen":
            assert torch.equal(found.known.masks, material.known.masks[rows])
            assert torch.equal(found.known.factors["place"], material.known.factors["place"][rows])
    assert found.new is material.new and symbol_networks.kept(run, {}, material) is material
    # Another architecture is shown the same pictures.
    own = symbol_survey.Survey(certified, (), {FITTED: found.fitted, UNSEEN: found.unseen}, (), {}, {}, ())
    assert torch.equal(symbol_networks._alike(material, own).fitted.pictures.rows, found.fitted.pictures.rows)


def test_a_class_without_a_certified_region_is_refused_by_name(run, material):
    class Never(torch.nn.Module):
        def forward(self, inputs):
            return torch.nn.functional.one_hot(torch.full((len(inputs),), self.turn), 16).float()

    never = Never().eval()
    never.turn = 0

    def flip(module, arguments):
        never.turn = 1 - never.turn

    never.register_forward_pre_hook(flip)
    with pytest.raises(
        ParameterError, match="kept = 'certified': must be another choice: of the pictures fitted, 0 have"
    ):
        symbol_networks.kept(changed(run, kept="certified"), {"trained": [never]}, material)
    one = material.fitted.labels == int(material.fitted.labels[0])
    name = material.fitted.pictures.names[int(material.fitted.labels[0])]

    def certified(members, shown, *_):
        return ~one if shown is material.fitted else torch.ones(len(shown.labels), dtype=torch.bool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(symbol_survey, "certified", certified)
        with pytest.raises(ParameterError, match=re.escape(f"another choice: no region of {name} is certified")):
            symbol_networks.kept(changed(run, kept="certified"), {"trained": []}, material)


def folder(root, name, classes, split="test", count=8):
    for number, word in enumerate(classes):
        (root / name / split / word).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (36, 36), (30 * number, 90, 20 * i)).save(root / name / split / word / f"{i}.png")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "test"):
        folder(root, "own", ("a", "b", "c"), split)
    folder(root, "other", ("b", "d", "e", "f", "g", "h", "i"))
    return {"dataset": "own", "data_root": str(root), "regions": "center"}


def test_folders_serve_as_outside_and_new_classes_without_what_is_known(run, folders):
    found = symbol_networks.show(changed(run, **folders, outside="other", new="other", fitted=12, unseen=9))
    assert len(found.fitted.labels) == 12 and len(found.unseen.labels) == 9 and len(found.learned) == 24
    other = found.outside["other"].pictures
    assert {other.classes[label] for label in other.labels.tolist()} == {"d", "e", "f", "g", "h", "i"}
    assert len(other) == 24  # 48 pictures of strange classes, of which 24 are asked for
    assert found.new.labels.bincount().tolist() == [8] * 5 and found.known is None
    first = found.new.pictures[0][0]
    assert torch.allclose(first[0], torch.full((32, 32), 30 / 255), atol=1e-3)  # "d", not the known "b"
    assert torch.allclose(found.unseen.boxes[0], torch.tensor([4.8, 4.8, 27.2, 27.2]))


def test_a_detector_and_sam_say_where_the_object_is(run, tmp_path):
    """From folders of pictures, through the network that is asked first, to the regions of the chapter."""
    for split in ("train", "test"):
        folder(tmp_path, "own", ("tench", "dog"), split)
    detector, sam = save_dino(tmp_path / "dino"), save_sam(tmp_path / "sam")
    values = {
        "dataset": "own", "data_root": str(tmp_path), "regions": "detector", "detector": str(detector), "box_threshold": 0.0,
        "fitted": 8, "unseen": 6,
    }  # fmt: skip
    plain, fine = (changed(run, **values, segmenter=one) for one in ("none", str(sam)))
    found, tight = symbol_networks.show(plain), symbol_networks.show(fine)
    inputs = found.fitted.pictures.tensors()[0]
    nowhere = dataclasses.replace(found, fitted=Shown(found.fitted.pictures, torch.zeros(len(inputs), 4)))
    said = symbol_networks.build(plain, nowhere)["trained"][0](inputs).argmax(-1)
    names = found.fitted.pictures.names
    boxes = regions.detector(str(detector), names, 0.0)(inputs, said)
    torch.testing.assert_close(found.fitted.boxes, boxes)
    drawn = regions.segmented(regions.oracle(boxes), str(sam))(inputs, said)
    torch.testing.assert_close(tight.fitted.boxes, drawn)
    assert not torch.allclose(found.fitted.boxes, tight.fitted.boxes)
    torch.testing.assert_close(symbol_networks.region_source(fine, names)(inputs, said), drawn)
    assert len(found.unseen.labels) == len(tight.unseen.labels) == 6 and tight.seconds > 0


def test_outside_sets_must_have_strange_classes(run, folders):
    with pytest.raises(ParameterError, match="outside = 'own': must be folders of pictures with other classes"):
        symbol_networks.show(changed(run, **folders, outside="own"))
    with pytest.raises(ParameterError, match=r"new = 'other': must be own, none or among the outside sets \(none\)"):
        symbol_networks.show(changed(run, **folders, new="other"))


def test_sources_that_can_be_compared(run, material):
    names = list(symbol_networks.source_choices(run, material))
    assert names == ["known box", "centre, 0.7", "Felzenszwalb", "whole picture", "background", "random place"]
    blind = dataclasses.replace(material, known=None)
    assert list(symbol_networks.source_choices(run, blind)) == names[1:4]


# Low-level factors


def test_colour_and_texture_of_cells_by_looking_them_up(material):
    found = symbol_networks.low_level(material.unseen, material.known, 9)
    at = parts.part_at(material.known.masks, material.unseen.boxes).flatten(1)
    for picture, cell in ((0, 4), (7, 0), (30, 8)):
        number = int(at[picture, cell])
        wanted = (6, 6) if number == 0 else (
            list(parts.COLOURS).index(parts.PARTS[number - 1].colour),
            list(parts.PATTERNS).index(parts.PARTS[number - 1].pattern),
        )  # fmt: skip
        assert (int(found["colour"][picture, cell]), int(found["texture"][picture, cell])) == wanted
    assert symbol_networks.low_level(material.unseen, material.known, 1)["colour"].shape == (40,)


@pytest.mark.parametrize(
    ("colour", "step"), [((1, 0, 0), 0), ((1, 1, 0), 1), ((0, 1, 0), 2), ((0, 0, 1), 5), ((1, 0, 1), 6)]
)
def test_hues_around_the_circle(colour, step):
    """Against the angles of the six full colours, 60 degrees apart, in steps of 45."""
    picture = torch.zeros(3, 8, 8)
    picture[:, 2:6, 2:6] = torch.tensor(colour).float()[:, None, None]
    one = Pictures(lambda row: picture, torch.arange(1), torch.zeros(1).long(), ("a",), ("a",))
    shown = Shown(one, torch.tensor([[2.0, 2.0, 6.0, 6.0]]))
    assert symbol_networks.mean_hue(shown).tolist() == [step]
    assert list(symbol_networks.low_level(shown, None, 9)) == ["hue"]


# Networks


def test_networks_trained_here_are_those_of_the_recipe(run, material):
    found = symbol_networks.build(changed(run, train_batch=16), material)
    assert {kind: len(members) for kind, members in found.items()} == {"trained": 2, "untrained": 2}
    inputs, labels = material.learned.tensors()
    by_hand = models.untrained("resnet8", 1, outputs=16, channels=3)
    models.train(by_hand, inputs, labels, 1, 0.1, 1, 16)
    assert same(by_hand, found["trained"][1])
    assert torch.equal(found["untrained"][1].conv1.weight, models.untrained("resnet8", 1, outputs=16).conv1.weight)
    (last,) = symbol_networks.learn("resnet8", 1, inputs, labels, Recipe(1, 0.1, 16))
    assert same(by_hand, last)


def test_a_network_with_more_outputs_answers_with_the_classes_at_hand(material):
    shown = material.fitted.pictures
    names = ("n01440764", "n02102040")
    two = dataclasses.replace(shown, labels=shown.labels % 2, classes=names, names=names)
    few = dataclasses.replace(material, fitted=Shown(two, material.fitted.boxes))
    wide = models.load("resnet8", 0, outputs=1000)
    found = symbol_networks._answering(wide, few)
    x = shown[0][0][None]
    assert isinstance(found, Restricted) and torch.equal(found(x), wide(x)[:, [0, 217]])
    with pytest.raises(ParameterError, match="dataset = 2: must be a set whose classes the network's 7 outputs know"):
        symbol_networks._answering(models.load("resnet8", 0, outputs=7), few)


@pytest.mark.parametrize("name", symbol_networks.RECIPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_networks_of_the_book_know_the_parts(name, seed):
    """Above 70 % of pictures that they never saw; in half precision, and small."""
    path = models.checkpoint(symbol_networks.shipped_name(name), seed)
    assert {part.dtype for part in load_file(path).values()} <= {torch.float16, torch.int64}
    network = models.load(name, seed, path, outputs=16, channels=3)
    inputs, labels = parts.load("test", 160, 3, symbol_networks.SHIPPED_SIZE).pictures.tensors()
    assert models.accuracy(network, inputs, labels) > 0.7


def test_the_networks_of_a_course_learn_and_shuffled_ones_do_not(run):
    shipped = changed(run, shipped=True, size=48)
    material = symbol_networks.show(shipped)
    inputs, labels = material.unseen.pictures.tensors()
    course = symbol_networks.courses(shipped, material)
    assert course.epochs == (0, 1, 2, 3, 4, 5) and len(course.networks) == len(course.shuffled) == 2
    rates = [models.accuracy(network, inputs, labels) for network in course.networks[0]]
    assert rates[0] < 0.25 < rates[2] < rates[-1] + 0.1 and rates[-1] > 0.7
    assert models.accuracy(course.shuffled[0], inputs, labels) < 0.3
    built = symbol_networks.build(shipped, material)
    assert same(built["trained"][0], course.networks[0][-1]) and same(built["untrained"][1], course.networks[1][0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "resnet20"}, "model = 'resnet20': must be one of resnet8, vit48, or shipped = False"),
        ({"size": 32}, "size = 32: must be 48, or shipped = False"),
        ({"size": 48, "seed": 7}, "seed = 7: must be one of 0, 1, 2"),
    ],
)
def test_networks_that_do_not_come_with_the_book_are_refused(run, material, values, words):
    one = changed(run, shipped=True, **values)
    one = dataclasses.replace(one, seeds=(values.get("seed", 0),))
    with pytest.raises(ParameterError, match=words):
        symbol_networks.build(one, material)
    with pytest.raises(ParameterError, match="retrained = 'vit48': must be resnet8 or none"):
        symbol_networks.courses(changed(run, shipped=True, retrained="vit48"), material)


def test_a_course_trained_here_begins_at_the_start(run, material):
    course = symbol_networks.courses(changed(run, train_batch=16), material)
    assert course.epochs == (0, 1, 2) and [len(one) for one in course.networks] == [3, 3]
    start = models.untrained("resnet8", 0, outputs=16)
    assert torch.equal(course.networks[0][0].conv1.weight, start.conv1.weight)
    assert not same(course.networks[0][1], course.networks[0][2])
    inputs, labels = material.learned.tensors()
    mixed = models.untrained("resnet8", 1, outputs=16)
    models.train(mixed, inputs, twins.shuffled(labels, 1.0, 1), 2, 0.1, 1, 16)
    assert same(mixed, course.shuffled[1])
    assert symbol_networks.courses(changed(run, retrained="none"), material).startswith("This run does not watch")


def test_another_architecture_has_its_own_recipe(run):
    found = symbol_networks.other_run(changed(run, epochs=9, weights="mine", beyond_weights="its"), "vit48")
    assert (found.model, found.learning_rate, found.epochs, found.weights) == ("vit48", 0.03, 5, "its")
    assert symbol_networks.other_run(run, "vit48").epochs == 1 and found.stages == "auto"
    assert symbol_networks.other_surveys(changed(run, beyond="none"), None) == {}


def test_the_small_transformer():
    network = models.load("vit48", 0)
    stages, _ = twins.chosen_stages(network, "auto")
    assert stages == ["blocks.0", "blocks.1", "blocks.2"] and network.pos_embed.shape == (1, 37, 64)
    assert network(torch.zeros(2, 3, 48, 48)).shape == (2, 16)
    tokens = network.patch_embed(torch.rand(2, 3, 48, 48))
    assert tokens.shape == (2, 36, 64)
    # A token sees its place and not the far corner.
    picture = torch.rand(1, 3, 48, 48)
    moved = picture.clone()
    moved[..., 32:, 32:] = 0
    differs = (network.patch_embed(picture) != network.patch_embed(moved)).any(-1)[0].view(6, 6)
    assert bool(differs[5, 5]) and not bool(differs[:3].any())


# Surveys made from others


def test_held_out_classes_take_no_part_in_symbols():
    own = a_survey(a_run(seeds=(0, 1), neighbors=4), classes=5, sizes={FITTED: 50, UNSEEN: 40, "far": 10})
    found = symbol_networks.held_out(own, 3)
    assert set(found.sets) == {FITTED, UNSEEN, NEW} and found.outside == () and found.classes == 5
    assert int(found.sets[FITTED].labels.max()) == int(found.labels.max()) == 1
    assert found.sets[NEW].labels.unique().tolist() == [0, 1, 2]
    rows = (own.labels >= 2).nonzero()[:, 0]
    assert torch.equal(found.sets[NEW].labels, own.labels[rows] - 2)
    assert torch.equal(found.heard("trained", 0, NEW).logits, own.heard("trained", 0, UNSEEN).logits[rows])
    code = found.codes["untrained"][1]["two"]
    assert len(code.codebook.vectors) == 20 * 9 and not bool(code.correlations.counts[:, 2:].any())
    assert code.symbols[NEW].shape == (24, 9)
    assert symbol_networks.held_out(own).startswith("5 classes leave too few")


def test_networks_trained_apart_are_the_surveys_or_those_of_the_course():
    own = a_survey()
    apart = symbol_networks.retrained_symbols(own)
    assert [len(apart[kind]) for kind in BOTH] == [3, 3]
    assert torch.equal(apart["trained"][2], own.codes["trained"][2]["two"].symbols[UNSEEN])
    alone = dataclasses.replace(own, said={**own.said, "trained": own.said["trained"][:1]})
    assert len(symbol_networks.retrained_symbols(alone)["trained"]) == 1
    course = [[torch.full((2, 9), 10 * seed + epoch) for epoch in range(3)] for seed in range(3)]
    found = symbol_networks.retrained_symbols(alone, course)
    assert [int(one[0, 0]) for one in found["trained"]] == [2, 12, 22]
    assert [int(one[0, 0]) for one in found["untrained"]] == [0, 10, 20]


def test_symbols_of_a_course_take_what_the_survey_has(run, material, monkeypatch):
    own = a_survey()
    asked = []

    def last(run, network, material, seed):
        asked.append((network, seed))
        return torch.zeros(1, 9).long()

    monkeypatch.setattr(symbol_networks, "last_symbols", last)
    course = symbol_networks.Courses((0, 1, 2), [["a", "b", "c"], ["d", "e", "f"]], ["x", "y"])
    snapshots, mixed = symbol_networks.course_symbols(changed(run, shipped=True), course, material, own)
    assert asked == [("b", 0), ("e", 1), ("x", 0), ("y", 1)] and len(mixed) == 2
    assert torch.equal(snapshots[1][0], own.codes["untrained"][1]["two"].symbols[UNSEEN])
    assert torch.equal(snapshots[0][2], own.codes["trained"][0]["two"].symbols[UNSEEN])
    asked.clear()
    symbol_networks.course_symbols(run, course, material, own)
    assert len(asked) == 8


def test_the_attacker_takes_the_weight_that_hides_best_among_those_that_succeed():
    table = pd.DataFrame({"weight": [0.1, 1, 10, 100], "success": [0.9, 0.8, 0.6, 0.1], "auroc": [0.8, 0.6, 0.6, 0.2]})
    assert symbol_networks.strongest_weight(table) == 1
    assert symbol_networks.strongest_weight(table.assign(auroc=float("nan"))) == 0.1
    # Without a weight the symbols are not attacked: taken only where nothing else was tried.
    rare = pd.DataFrame({"weight": [0.0, 1.0, 10.0], "success": [1.0, 0.4, 0.3], "auroc": [0.7, 0.8, 0.75]})
    assert symbol_networks.strongest_weight(rare) == 10
    assert symbol_networks.strongest_weight(rare[:1]) == 0


# Other domains, and what a run can not judge


def test_boards_are_learned_and_asked_apart(run):
    found = symbol_networks.other_domain(changed(run, domain="tictactoe", domain_samples=300))
    assert found.labels.shape == (300,) and found.unseen_labels.shape == (300,)
    assert [len(found.hidden[kind]) for kind in BOTH] == [2, 2]
    one = found.hidden["trained"][0]
    assert one.fitted.shape == (300, 100) and one.unseen.shape == (300, 100) and float(one.fitted.min()) >= 0
    assert min(found.accuracy["trained"]) > 0.9 and not torch.equal(one.fitted, found.hidden["untrained"][0].fitted)
    learned, asked, _ = symbol_networks._samples(changed(run, domain="tictactoe", domain_samples=10**4))
    rows = {tuple(board) for board in learned.inputs.tolist()}
    assert len(rows) + len(asked.labels) == 958 and not rows & {tuple(board) for board in asked.inputs.tolist()}


def test_the_last_hidden_layer_is_what_the_last_linear_layer_reads():
    mlp = models.load("mlp5", 0)
    x = torch.rand(5, 9)
    found = symbol_networks._hidden(mlp, x)
    linear = [module for module in mlp if isinstance(module, torch.nn.Linear)]
    assert list(found) == [f"layer {i}" for i in range(1, len(linear))]
    with torch.no_grad():
        at = x
        for module, said in zip(linear, found.values(), strict=False):
            at = module(at).clamp(min=0)
            assert torch.allclose(said, at, atol=1e-6)
        assert torch.allclose(linear[-1](at), mlp(x), atol=1e-6)
    lstm = models.load("lstm", 0, vocabulary=20, outputs=3)
    words = torch.randint(20, (4, 7))
    found = symbol_networks._hidden(lstm, words)
    assert list(found) == ["layer 1", "layer 2"]
    with torch.no_grad():
        assert torch.allclose(lstm.head(found["layer 2"]), lstm(words), atol=1e-6)
        # The first layer alone, from its own weights.
        alone = torch.nn.LSTM(lstm.lstm.input_size, lstm.lstm.hidden_size, batch_first=True)
        weights = lstm.lstm.state_dict()
        alone.load_state_dict({name: weights[name] for name in alone.state_dict()})
        assert torch.allclose(found["layer 1"], alone(lstm.embedding(words))[0][:, -1], atol=1e-6)
    assert symbol_networks.other_domain(a_run(domain="none")).startswith("This run looks at pictures")


def test_claims_that_a_run_can_not_judge(run):
    assert symbol_networks.elsewhere(run) == {}
    found = symbol_networks.elsewhere(changed(run, regions="center", dataset="own", domain="sst2"))
    assert set(found) == {"SYM-1", "SYM-13", "SYM-19"} and "known boxes" in found["SYM-1"]
    real = symbol_networks.elsewhere(changed(run, preset="imagenet", regions="full", domain="wine"))
    assert set(real) == {"SYM-1", "SYM-19"} and "centre box" in real["SYM-1"] and "SST-2" in real["SYM-19"]
    assert symbol_networks.elsewhere(changed(run, preset="imagenet", regions="center", domain="none")) == {}
    paper = symbol_networks.elsewhere(changed(run, preset="paper", regions="detector", domain="none"))
    assert len(paper) == 17 and {"SYM-11", "SYM-17", "SYM-19", "SYM-21"} & set(paper) == set()


def test_a_material_is_plain(material):
    assert isinstance(material, Material) and symbol_survey.Shown is Shown
