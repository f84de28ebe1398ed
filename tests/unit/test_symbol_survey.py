"""What the claims of chapter 01 are judged on, on a tiny network and pictures of parts, against each step done by hand."""

import dataclasses
import types

import pytest
import torch
from torch import nn

from innercodes import activations, attacks, parts, pictures, regions, symbol_checks, xmeans
from innercodes import symbol_survey as surveys
from innercodes import symbols as lens
from innercodes.codebook import Codebook
from innercodes.parameters import ParameterError
from innercodes.symbol_survey import BOTH, FITTED, NEW, UNSEEN, Shown

STAGES = ("0", "2")
RUN = types.SimpleNamespace(
    seeds=(0, 1), seed=0, device=torch.device("cpu"), bars=False, bootstrap=50, neighbors=5, min_dist=0.1, layout_steps=200, most=12,
    pooling="max", joined=False, backend="innercodes", preset="quick", map_from="label and prediction agree",
    attack_size=0.1, attack_steps=3, attack_step=0.5,
)  # fmt: skip


def shown(kind, count, classes=4):
    """The pictures of the first classes among `count`."""
    made = parts.load(kind, count, 0, 32)
    some = (made.labels < classes).nonzero()[:, 0]
    inputs = torch.stack([made.pictures[int(row)][0] for row in some])
    names = tuple(map(str, range(classes)))
    held = pictures.Pictures(lambda row: inputs[row], torch.arange(len(some)), made.labels[some], names, names, True)
    return Shown(held, made.boxes[some])


def network(seed, outputs=4):
    made = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, outputs)
    )
    generator = torch.Generator().manual_seed(seed)
    for p in made.parameters():
        nn.init.normal_(p, 0, 0.15, generator=generator)
    return made.eval()


@pytest.fixture(scope="module")
def sets():
    return {
        FITTED: shown("train", 110),
        UNSEEN: shown("test", 90),
        "far": shown("new parts", 24),
        NEW: shown("new combinations", 40),
    }


@pytest.fixture(scope="module")
def networks(sets):
    """A trained network that stands in both rows, and two untrained ones."""
    trained = network(0)
    # On some of the pictures, so that it is wrong on others.
    inputs, labels = (part[:16] for part in sets[FITTED].pictures.tensors())
    optimizer = torch.optim.Adam(trained.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(trained(inputs), labels).backward()
        optimizer.step()
    return {"trained": [trained], "untrained": [network(1), network(2)]}


@pytest.fixture(scope="module")
def found(sets, networks):
    return surveys.survey(RUN, networks, sets[FITTED], sets[UNSEEN], STAGES, {"far": sets["far"]}, sets[NEW])


def by_hand(net, part, stage, size=3):
    maps = net[: int(stage) + 1](part.pictures.tensors()[0]).detach()
    return regions.roi_pool(maps, part.boxes, 32, size).flatten(2).mT


def test_responses_are_the_pooled_maps_of_one_pass(sets, networks, monkeypatch):
    monkeypatch.setattr(surveys, "BATCH", 7)  # the last batch is not full
    net, calls = networks["trained"][0], []
    count = net.register_forward_hook(lambda module, inputs, out: calls.append(len(out)))
    clock = surveys.Clock()
    said = surveys.responses(net, sets[UNSEEN].pictures, sets[UNSEEN].boxes, STAGES, RUN, clock=clock)
    count.remove()
    assert sum(calls) == len(sets[UNSEEN].labels) and max(calls) == 7
    for stage in STAGES:
        torch.testing.assert_close(said.vectors[stage], by_hand(net, sets[UNSEEN], stage), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(said.logits, net(sets[UNSEEN].pictures.tensors()[0]).detach(), rtol=1e-5, atol=1e-5)
    assert set(clock.seconds) == {"reading", "responses", "pooling"} and min(clock.seconds.values()) > 0


def test_joined_cells_and_means_are_pooled_as_the_run_says(sets, networks):
    net, part = networks["trained"][0], sets["far"]
    joined = types.SimpleNamespace(**vars(RUN) | {"joined": True})
    one = surveys.responses(net, part.pictures, part.boxes, ("2",), joined).vectors["2"]
    torch.testing.assert_close(one[:, 0], by_hand(net, part, "2").flatten(1), rtol=1e-5, atol=1e-5)
    mean = types.SimpleNamespace(**vars(RUN) | {"pooling": "mean"})
    maps = net[:3](part.pictures.tensors()[0]).detach()
    expected = regions.cells(regions.roi_pool(maps, part.boxes, 32, 3, "mean"))
    got = surveys.responses(net, part.pictures, part.boxes, ("2",), mean).vectors["2"]
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", ["0:cls", "input", "output"])
def test_stages_without_a_map_are_refused(sets, networks, stage):
    part = sets["far"]
    with pytest.raises(ParameterError, match="stages"):
        surveys.responses(networks["trained"][0], part.pictures, part.boxes, (stage,), RUN)


def test_pictures_and_boxes_go_together(sets):
    part = sets["far"]
    with pytest.raises(ValueError, match="boxes: shape"):
        Shown(part.pictures, part.boxes[1:])
    boxes = part.boxes.clone()
    boxes[1] = torch.nan
    kept = Shown(part.pictures, boxes).found()
    assert len(kept.labels) == len(part.labels) - 1 and torch.equal(kept.boxes[1], part.boxes[2])
    assert torch.equal(kept.pictures[1][0], part.pictures[2][0])


def test_a_restricted_network_answers_with_the_chosen_outputs(sets):
    whole, outputs = network(3, 7), torch.tensor([5, 0, 2, 6])
    small, inputs = surveys.Restricted(whole, outputs), sets["far"].pictures.tensors()[0]
    assert torch.equal(small(inputs), whole(inputs)[:, outputs]) and not small.training
    assert activations.stages(small) == activations.stages(whole)
    said = surveys.responses(small, sets["far"].pictures, sets["far"].boxes, ("2",), RUN)
    torch.testing.assert_close(said.vectors["2"], by_hand(whole, sets["far"], "2"), rtol=1e-5, atol=1e-5)


def test_the_codebook_is_fitted_on_the_fitted_set_alone_and_reads_the_others(found, sets, networks):
    net = networks["trained"][0]
    for row, seed in enumerate(RUN.seeds):
        code = found.codes["trained"][row]["2"]
        vectors = {name: by_hand(net, part, "2") for name, part in sets.items()}
        said = found.heard("trained", row, FITTED).vectors["2"].flatten(0, 1)
        book = Codebook.fit(said, seed, RUN.neighbors, RUN.min_dist, most=RUN.most)
        for name in ("embedding", "symbols", "centers", "vectors"):
            assert torch.equal(getattr(code.codebook, name), getattr(book, name))
        torch.testing.assert_close(said, vectors[FITTED].flatten(0, 1), rtol=1e-5, atol=1e-5)
        for name in sets:
            flat = found.heard("trained", row, name).vectors["2"].flatten(0, 1)
            assert torch.equal(code.symbols[name].flatten(), book.read(flat))
            assert torch.equal(
                xmeans.assign(code.points[name].flatten(0, 1), book.centers), code.symbols[name].flatten()
            )
    first, second = (found.codes["trained"][row]["2"].codebook.embedding for row in (0, 1))
    assert not torch.equal(first, second)  # one network, and a seed for each row
    assert found.heard("trained", 1, UNSEEN) is found.heard("trained", 0, UNSEEN)
    assert found.heard("untrained", 1, UNSEEN) is not found.heard("untrained", 0, UNSEEN)


def test_both_kinds_maps_come_from_pictures_that_the_trained_network_gets_right(found, sets, networks):
    inputs, labels = sets[FITTED].pictures.tensors()
    right = networks["trained"][0](inputs).argmax(-1) == labels
    assert 0 < int(right.sum()) < len(right)
    for kind in BOTH:
        code = found.codes[kind][0]["0"]
        expected = lens.correlation_map(code.symbols[FITTED][right], labels[right], code.count, 4)
        assert torch.equal(code.correlations.counts, expected.counts)
    score = lens.expected_symbol_score(
        found.codes["untrained"][1]["2"].symbols["far"], networks["trained"][0](sets["far"].pictures.tensors()[0]).argmax(-1),
        found.codes["untrained"][1]["2"].correlations,
    )  # fmt: skip
    assert torch.equal(found.score("untrained", 1, "2", "far"), score)


def test_which_pictures_build_the_map():
    predictions, labels = torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2])
    assert surveys.built_from(predictions, labels, "label and prediction agree").tolist() == [True, False, True]
    assert surveys.built_from(predictions, labels, "label").all()
    with pytest.raises(ParameterError, match="map_from = 'both'"):
        surveys.built_from(predictions, labels, "both")


def test_costs_have_every_step(found):
    assert len(found.costs) == 2
    for row in found.costs:
        assert set(row) == {"responses", "pooling", "embedding", "clustering", "bare"} and min(row.values()) > 0


def test_bad_surveys_are_refused_by_name(sets, networks):
    wide = {kind: [network(0, 6)] for kind in BOTH}
    with pytest.raises(ValueError, match="networks: 6 outputs, must be 4"):
        surveys.survey(RUN, wide, sets[FITTED], sets[UNSEEN], STAGES)
    with pytest.raises(ValueError, match="outside: unseen"):
        surveys.survey(RUN, networks, sets[FITTED], sets[UNSEEN], STAGES, {"unseen": sets["far"]})
    with pytest.raises(ParameterError, match="map_from"):
        surveys._map(torch.zeros(2, 9, dtype=torch.int64), torch.zeros(2).long(), torch.zeros(2).bool(), 3, 4)


def test_second_looks_are_certify_on_all_pictures_at_once(found, sets, networks, monkeypatch):
    monkeypatch.setattr(surveys, "BATCH", 7)
    looks = surveys.second_looks(found, networks)
    inputs, labels = sets[UNSEEN].pictures.tensors()
    for row, seed in enumerate(RUN.seeds):
        net = networks["untrained"][row]
        own = regions.certify(net, inputs, sets[UNSEEN].boxes)
        elsewhere = regions.random_boxes(sets[UNSEEN].boxes, seed)(inputs, own.predictions)
        look = looks["untrained"][row]
        assert torch.equal(look.kept, own.kept) and torch.equal(look.right, own.predictions == labels)
        assert torch.equal(look.kept_at_random, regions.certify(net, inputs, elsewhere).kept)
        torch.testing.assert_close(look.confidence, net(inputs).softmax(-1).amax(-1).detach(), rtol=0, atol=1e-6)
    assert torch.equal(looks["trained"][0].right, found.right(0))


def test_surrogates_have_the_shape_of_the_fit_and_nothing_of_its_clusters(found):
    made = surveys.surrogates(dataclasses.replace(found, stages=("2",)), "trained")
    vectors = found.codes["trained"][1]["2"].codebook.vectors
    noise = symbol_checks.gaussian_surrogate(vectors, 1)
    book = Codebook.fit(noise, 1, RUN.neighbors, RUN.min_dist, most=RUN.most)
    points, symbols = made[1]["2"]
    assert torch.equal(points.flatten(0, 1), book.embedding) and torch.equal(symbols.flatten(), book.symbols)
    assert symbols.shape == found.codes["trained"][1]["2"].symbols[FITTED].shape


def test_other_seeds_read_the_first_networks_vectors(found):
    again = surveys.reseeded(found, "untrained", ("2",))["2"]
    assert torch.equal(again[0][UNSEEN], found.codes["untrained"][0]["2"].symbols[UNSEEN])
    vectors = found.heard("untrained", 0, FITTED).vectors["2"].flatten(0, 1)
    assert torch.equal(again[1][FITTED].flatten(), Codebook.fit(vectors, 1, 5, 0.1, most=12).symbols)
    assert not torch.equal(again[1][FITTED], found.codes["untrained"][1]["2"].symbols[FITTED])  # another network
    alone = surveys.reseeded(found, "trained", ("2",))["2"]
    assert [torch.equal(alone[i][FITTED], found.codes["trained"][i]["2"].symbols[FITTED]) for i in (0, 1)] == [
        True,
        True,
    ]


def test_poolings_are_passes_with_other_boxes(found, sets, networks):
    run = types.SimpleNamespace(**vars(RUN) | {"seeds": (1,)})
    few = dataclasses.replace(found, run=run, codes={kind: rows[1:] for kind, rows in found.codes.items()})
    net = networks["trained"][0]
    parts_of = surveys._elsewhere(few, net)
    wholes = torch.tensor([0.0, 0, 32, 32])
    for name in (FITTED, UNSEEN):
        region, whole, behind = parts_of[name].split((1, 9, 9), 1)
        part = sets[name]
        torch.testing.assert_close(region, by_hand(net, part, "2", 1), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            whole, by_hand(net, Shown(part.pictures, wholes.expand(len(part.labels), 4)), "2"), rtol=1e-5, atol=1e-5
        )
        boxes = regions.background(part.boxes)(part.pictures.tensors()[0], part.labels)
        torch.testing.assert_close(behind, by_hand(net, Shown(part.pictures, boxes), "2"), rtol=1e-5, atol=1e-5)
    right = surveys.poolings(few, networks)
    book = Codebook.fit(parts_of[FITTED][:, 0].contiguous(), 1, 5, 0.1, most=12)
    mapped, labels = few.mapped(0), sets[FITTED].labels
    table = lens.correlation_map(book.symbols[mapped, None], labels[mapped], len(book.centers), 4)
    named = lens.predict(book.read(parts_of[UNSEEN][:, 0])[:, None], table)
    assert right["trained"]["global region"][0].tolist() == (named == sets[UNSEEN].labels).double().tolist()
    assert set(right["untrained"]) == set(surveys.POOLINGS)


def test_attacks_are_read_with_the_clean_box_and_the_sources(found, sets, networks):
    rows = torch.tensor([3, 0, 5, 7])

    def source(inputs, predictions):
        boxes = torch.tensor([8.0, 8, 24, 24]).repeat(len(inputs), 1)
        boxes[1] = torch.nan
        return boxes

    made = surveys.attack(found, networks, rows, source)
    net, shown = networks["trained"][0], sets[UNSEEN].subset(rows)
    inputs, labels = shown.pictures.tensors()
    hit = attacks.pgd(net, inputs, labels, 0.1, 3, 0, 0, 1, step=0.05)
    noise = attacks.equal_noise(inputs, hit, 0, 0, 1)
    assert torch.equal(made.labels, labels) and torch.equal(made.rows, rows)

    def read(kind, row, stage, changed, boxes=shown.boxes, reader=None):
        pics = dataclasses.replace(shown.pictures, read=lambda i: changed[i], rows=torch.arange(4))
        vectors = by_hand(reader or net, Shown(pics, boxes), stage)
        return found.codes[kind][row][stage].codebook.read(vectors.flatten(0, 1)).view(4, 9)

    for row in (0, 1):
        own = made.own["trained"][row]
        for stage in STAGES:
            assert torch.equal(own.symbols["clean"][stage], found.codes["trained"][row][stage].symbols[UNSEEN][rows])
            assert torch.equal(own.symbols["PGD"][stage], read("trained", row, stage, hit))
            assert torch.equal(own.symbols["equal noise"][stage], read("trained", row, stage, noise))
        torch.testing.assert_close(own.logits["PGD"], net(hit).detach(), rtol=1e-5, atol=1e-5)
        boxes = source(hit, None)
        boxes[1] = shown.boxes[1]
        assert torch.equal(own.symbols["own region"]["2"], read("trained", row, "2", hit, boxes))
        assert own.boxed.tolist() == [True, False, True, True]
        twin = networks["untrained"][row]
        assert torch.equal(made.lent[row].symbols["PGD"]["2"], read("untrained", row, "2", hit, reader=twin))
        assert torch.equal(made.lent[row].logits["PGD"], own.logits["PGD"])
        theirs = attacks.pgd(twin, inputs, labels, 0.1, 3, 1000 * row, 0, 1, step=0.05)
        assert torch.equal(
            made.own["untrained"][row].symbols["PGD"]["0"], read("untrained", row, "0", theirs, reader=twin)
        )
    assert not torch.equal(made.own["trained"][0].logits["adaptive"], made.own["trained"][0].logits["PGD"])


def test_the_attack_on_symbols_climbs_the_score_of_its_wrong_answer(found, sets, networks):
    net, part = networks["trained"][0], sets[UNSEEN]
    inputs, labels = part.pictures.tensors()
    code, fitted = found.codes["trained"][0]["2"], found.heard("trained", 0, FITTED).vectors["2"]
    means = symbol_checks.symbol_means(fitted, code.symbols[FITTED], code.count)
    gap = symbol_checks.typical_gap(fitted, means)

    def soft(weight):
        climb = surveys._evasion(found, 0, net, weight, 1.0, True)
        hit = surveys._adaptive(climb, inputs, labels, part.boxes, RUN, 0)
        assert bool(((hit - inputs).abs() <= 0.1 + 1e-6).all())
        wrong = net(hit).detach().scatter(1, labels[:, None], -torch.inf).argmax(1)
        vectors = regions.cells(regions.roi_pool(net[:3](hit).detach(), part.boxes, 32))
        return symbol_checks.soft_symbol_score(vectors, means, code.correlations, wrong, gap, log=True).mean()

    assert soft(5.0) > soft(0.0) + 0.05
