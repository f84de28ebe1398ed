"""The count of endpoints that pass, against the claims file and against the endpoints themselves."""

import dataclasses

import numpy as np
import pytest
import torch

from innercodes import architectures, claims, depth, fragility, maps, models, parameters, pictures, stats, twins
from innercodes.parameters import ParameterError

CHAPTER = "03_functional_telescope"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "model": "resnet8", "epochs": 1, "n_seeds": 2, "progress": "off", "device": "cpu", "fitted": 80, "unseen": 40, "grid": 5,
    "sigma": 2.0, "alpha": 0.5, "som_epochs": 1, "best_units": 3, "repeats": 3, "bootstrap": 100, "attack_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("out"))
    return lambda **changed: parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": folder} | changed)


@pytest.fixture(scope="module")
def digits():
    return pictures.load("digits", "", 80, 40, 0)


@pytest.fixture(scope="module")
def networks(run_of, digits):
    return twins.build(run_of(), digits[0], kinds=depth.BOTH)


def attacked_on(run, networks, digits, stages):
    """Eight attacked pictures on these networks' maps."""
    atlas = depth.survey(run, networks, *digits, stages)
    inputs, labels = digits[1].subset(torch.arange(8)).tensors()
    return fragility.attack(networks, inputs, labels, torch.arange(8), atlas)


@pytest.fixture(scope="module")
def attacked(run_of, networks, digits):
    return attacked_on(run_of(), networks, digits, ["layer1", "layer3"])


def endpoint(value, ci=None, twin=None, also=None):
    """An endpoint as a chapter gives it; `twin` are the ends of the difference's interval."""
    made = {"value": value, "baseline": {}}
    made |= {} if ci is None else {"ci": ci}
    made |= {} if twin is None else {"twin": stats.Estimate(sum(twin) / 2, np.linspace(*twin, 1000))}
    return made | ({} if also is None else {"also": also})


# A single endpoint


def test_the_tests_are_those_that_were_registered():
    # The cases below stand on these; a claims file that changes has to change them as well.
    known = {"TEL-5": ("<=", 0.7, True, False), "TEL-7": (">", 1.0, False, True), "TEL-13": (">", 0.0, True, True)}
    assert set(architectures.COUNTED) == set(known)
    for claim, expected in known.items():
        for preset in ("quick", "imagenet"):
            scale = claims.of_chapter(CHAPTER)[claim]["scales"][preset]
            assert (scale["op"], scale["threshold"], scale["twin"], scale.get("interval", False)) == expected


@pytest.mark.parametrize(
    ("claim", "found", "good"),
    [
        ("TEL-5", endpoint(0.5, (0.4, 0.9), (-0.3, -0.1)), True),  # its interval is not asked for
        ("TEL-5", endpoint(0.7, (0.6, 0.8), (-0.3, -0.1)), True),
        ("TEL-5", endpoint(0.71, (0.6, 0.8), (-0.3, -0.1)), False),
        ("TEL-5", endpoint(0.5, (0.4, 0.6), (-0.3, 0.1)), False),  # the twin's interval holds 0
        ("TEL-5", endpoint(0.5, (0.4, 0.6), (0.1, 0.3)), False),  # the twin shrinks more
        ("TEL-7", endpoint(2.0, (1.1, 3.0)), True),
        ("TEL-7", endpoint(2.0, (1.1, 3.0), also={"raw_growth": 0.1, "every_coding": 0.1}), True),  # do not count here
        ("TEL-7", endpoint(2.0, (0.9, 3.0)), False),  # not the whole interval
        ("TEL-13", endpoint(0.2, (0.1, 0.3), (0.05, 0.2), {"last_over_first": 0.0}), True),
        ("TEL-13", endpoint(0.2, (-0.1, 0.3), (0.05, 0.2)), False),
        ("TEL-13", endpoint(0.2, (0.1, 0.3), (-0.05, 0.2)), False),
        ("TEL-13", endpoint(0.2, (0.1, 0.3), (-0.2, -0.05)), False),
        ("TEL-13", endpoint(float("nan"), (float("nan"),) * 2, (0.05, 0.2)), False),
    ],
)
def test_an_endpoint_passes_its_registered_test_and_beats_its_twin(run_of, claim, found, good):
    assert architectures.passes(run_of(), claim, found) is good


def test_an_endpoint_without_its_twin_can_not_be_judged(run_of):
    with pytest.raises(ValueError, match="untrained twin"):
        architectures.passes(run_of(), "TEL-5", endpoint(0.5, (0.4, 0.6)))
    with pytest.raises(ValueError, match="whole interval"):
        architectures.passes(run_of(), "TEL-7", endpoint(2.0))


# The count


def row(coding, *passed):
    return {"coding": coding, "passed": dict(zip(architectures.COUNTED, passed, strict=False)), "values": {}}


def test_the_architecture_with_the_fewest_counts(run_of):
    found = {
        "a": row("raw", True, True, True),
        "b": row("z-scored", False, True, False),
        "c": row("raw", True, True, False),
    }
    judged = architectures.beyond_convolutions(run_of(), found, {"TEL-5": True, "TEL-7": False, "TEL-13": True})
    assert judged["value"] == 1
    assert judged["baseline"] == {"passed, a": 3, "passed, b": 1, "passed, c": 2, "passed, convolutional": 2}
    assert judged["note"].split("; ")[1] == "b (z-scored): TEL-7"
    # An endpoint that could not be measured does not pass.
    assert architectures.beyond_convolutions(run_of(), {"a": row("raw", True)}, {})["value"] == 1
    none = architectures.beyond_convolutions(run_of(), {"a": row("raw", False, False)}, {})
    assert none["value"] == 0 and none["note"] == "a (raw): none"
    scale = claims.of_chapter(CHAPTER)["TEL-22"]["scales"]["quick"]
    assert claims.judge(scale, judged["value"])[0] == "not reproduced"
    assert (
        claims.judge(scale, architectures.beyond_convolutions(run_of(), {"a": row("raw", True, True)}, {})["value"])[0]
        == "reproduced"
    )


def test_one_architecture_of_several_can_refute_but_not_confirm(run_of):
    run = run_of(preset="imagenet")
    reason = architectures.beyond_convolutions(run, {"vit": row("raw", True, True, False)}, {})
    assert reason.startswith("2 of 3 endpoints pass for vit") and "\n" not in reason
    two = {"vit": row("raw", True, True, False), "lstm": row("raw", True, True, True)}
    assert architectures.beyond_convolutions(run, two, {})["value"] == 2
    refuted = architectures.beyond_convolutions(run, {"vit": row("raw", True, False, False)}, {"TEL-5": True})
    assert refuted["value"] == 1 and refuted["baseline"] == {"passed, vit": 1}


# The coding


def test_the_coding_with_the_largest_growth_over_the_twin_is_taken(run_of, monkeypatch):
    # Last over first: trained and untrained. The largest growth alone is raw's, the largest over the twin that without centre.
    growth = {"normalised": (4, 2), "raw": (9, 8), "without centre": (3, 1), "z-scored": (1, 1)}
    asked = []

    class Fake:
        def __init__(self, relative_distance):
            self.relative_distance = relative_distance

    def charts(fitted, unseen, run, coding):
        assert fitted is unseen and all(set(member) == {"a", "c"} for members in fitted.values() for member in members)
        asked.append((coding, run.seeds))
        return {
            kind: [{"a": Fake(2.0), "c": Fake(2.0 * g)}] for kind, g in zip(depth.BOTH, growth[coding], strict=True)
        }

    monkeypatch.setattr(maps, "charts", charts)
    codes = {kind: [dict.fromkeys("abc", torch.zeros(4, 10))] * 2 for kind in depth.BOTH}
    assert architectures.best_coding(run_of(), codes, ["a", "b", "c"]) == "without centre"
    assert sorted(asked) == sorted((coding, (0,)) for coding in maps.CODINGS)


def test_the_best_coding_of_real_codes_by_hand(run_of, networks, digits):
    run = run_of()
    codes = maps.collect({kind: networks[kind] for kind in depth.BOTH}, digits[1], ["layer1", "layer3"], run)
    grown = {}
    for coding in maps.CODINGS:
        q = {}
        for kind in depth.BOTH:
            for stage in ("layer1", "layer3"):
                own = maps.coded(codes[kind][0][stage], coding)
                q[kind, stage] = maps.chart(own, own, run, run.seeds[0]).relative_distance
        grown[coding] = (q["trained", "layer3"] / q["trained", "layer1"]) / (
            q["untrained", "layer3"] / q["untrained", "layer1"]
        )
    assert architectures.best_coding(run, codes, ["layer1", "layer3"]) == max(grown, key=grown.get)


# All together


def test_endpoints_are_those_of_the_chapter_on_first_and_last_stage(run_of, networks, digits, attacked):
    run = run_of()
    found = architectures.endpoints(run, networks, *digits, ["layer1", "layer2", "layer3"], attacked)
    ends = ["layer1", "layer3"]
    assert found["coding"] == architectures.best_coding(run, maps.collect(networks, digits[1], ends, run), ends)
    coded = dataclasses.replace(run, values={**run.values, "coding": found["coding"]})
    atlas = depth.survey(coded, networks, *digits, ends)
    shrinking = depth.shrinking(atlas, depth.spreads(atlas))
    q = {
        kind: np.log([c["layer3"].relative_distance / c["layer1"].relative_distance for c in atlas.charts[kind]]).mean()
        for kind in depth.BOTH
    }
    anew = fragility.attack(networks, attacked.inputs, attacked.targets, attacked.rows, atlas)
    growing = fragility.shift_grows(anew, atlas)
    expected = {"TEL-5": shrinking["value"], "TEL-7": np.exp(q["trained"] - q["untrained"]), "TEL-13": growing["value"]}
    assert found["values"] == pytest.approx(expected)
    for claim, one in (("TEL-5", shrinking), ("TEL-13", growing)):
        assert found["passed"][claim] is architectures.passes(run, claim, one)
    assert set(found["passed"]) == set(architectures.COUNTED)


def test_what_cannot_be_measured_is_left_out(run_of, networks, digits, attacked):
    labels = (torch.arange(80) % 9).index_fill(0, torch.tensor([0]), 9)  # one picture of the class 9
    few = dataclasses.replace(digits[0], labels=labels)
    found = architectures.endpoints(run_of(), networks, few, digits[1], ["layer1", "layer3"], attacked)
    assert set(found["passed"]) == set(found["values"]) == {"TEL-7", "TEL-13"}


def test_networks_beyond_are_trained_by_their_recipes(run_of, networks, digits, attacked, monkeypatch):
    built = {}
    build = twins.build

    def watched(run, own, **settings):
        built[run.model] = (run.values, settings)
        return build(run, own, **settings)

    monkeypatch.setattr(twins, "build", watched)
    run = run_of(epochs=2, beyond="rows_lstm vit8")
    found = architectures.study(run, networks, *digits, attacked)
    assert list(found) == ["rows_lstm", "vit8"]
    for name, row in found.items():
        values, settings = built[name]
        recipe = architectures.RECIPES[name]
        assert (
            values["learning_rate"] == recipe["learning_rate"] and values["epochs"] == 2 and values["stages"] == "auto"
        )
        assert settings["train_batch"] == recipe["train_batch"] and set(settings["kinds"]) == set(depth.BOTH)
        assert (
            set(row["values"]) == set(architectures.COUNTED)
            and 0 <= row["accuracy"] <= 1
            and row["coding"] in maps.CODINGS
        )
        assert all(np.isfinite(value) for value in row["values"].values())
    judged = architectures.beyond_convolutions(run, found, {})
    assert judged["value"] == min(sum(row["passed"].values()) for row in found.values())


def test_a_name_that_has_no_recipe_is_refused(run_of, networks, digits, attacked):
    with pytest.raises(
        ParameterError, match="^beyond = 'mlp5': must be among vit8, rows_lstm, sentence_lstm$"
    ) as caught:
        architectures.study(run_of(beyond="mlp5"), networks, *digits, attacked)
    assert "\n" not in str(caught.value)
    reason = architectures.study(run_of(beyond="none"), networks, *digits, attacked)
    assert reason == "The run has convolutional networks alone."


def test_a_network_that_is_no_convolutional_one_stands_for_itself(run_of, digits, monkeypatch):
    run = run_of(model="vit8", beyond="vit8 rows_lstm")
    own = {kind: [models.load("vit8", seed, outputs=10, channels=1)] for seed, kind in enumerate(depth.BOTH)}
    asked = []

    def endpoints(run, networks, own, others, stages, attacked):
        asked.append((networks, tuple(stages)))
        return {"coding": "raw", "passed": {}, "values": {}}

    monkeypatch.setattr(architectures, "endpoints", endpoints)
    found = architectures.study(run, own, *digits, None)
    assert list(found) == ["vit8"] and asked == [(own, ("blocks.0", "blocks.1", "blocks.2", "blocks.3"))]
    inputs, labels = digits[1].tensors()
    assert found["vit8"]["accuracy"] == pytest.approx(models.accuracy(own["trained"][0], inputs, labels))


def test_a_network_that_reads_sentences_brings_its_own_data(run_of, networks, digits, attacked, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    words = torch.rand(2, 4, 24, 8, generator=generator)  # a sentence is made of one class's word or the other's
    labels = torch.arange(820) % 2
    inputs = (words[labels] + 0.1 * torch.randn(820, 4, 24, 8, generator=generator)).clip(0, 1)
    reads = pictures.Pictures(inputs.__getitem__, torch.arange(820), labels, ("bad", "good"), ("bad", "good"))
    asked = {}

    def sst2(run, learned, unseen):
        asked["sizes"] = learned, unseen
        return reads.subset(torch.arange(800)), reads.subset(torch.arange(800, 820))

    def attack(both, hit, targets, rows, atlas):
        asked["attacked"] = hit.shape, targets.tolist(), rows.tolist()
        return made(both, hit, targets, rows, atlas)

    made = fragility.attack
    monkeypatch.setattr(architectures.sentences, "sst2", sst2)
    monkeypatch.setattr(fragility, "attack", attack)
    run = run_of(beyond="sentence_lstm", epochs=5)
    found = architectures.study(run, networks, *digits, attacked)
    assert list(found) == ["sentence_lstm"] and asked["sizes"] == (architectures.SENTENCES, run.unseen)
    shape, targets, rows = asked["attacked"]
    assert shape == (8, 4, 24, 8) and targets == [row % 2 for row in rows] and sum(targets) == 4
    assert found["sentence_lstm"]["accuracy"] >= 0.9 and set(found["sentence_lstm"]["values"]) == set(
        architectures.COUNTED
    )
    # Beside a network that is no convolutional one; the claim is about both.
    own = {kind: [models.load("vit8", seed, outputs=10, channels=1)] for seed, kind in enumerate(depth.BOTH)}
    monkeypatch.setattr(architectures, "_studied", lambda run, *_: {"model": run.model})
    both = architectures.study(run_of(model="vit8", beyond="sentence_lstm rows_lstm"), own, *digits, attacked)
    assert both == {"vit8": {"model": "vit8"}, "sentence_lstm": {"model": "sentence_lstm"}}


def test_an_attack_is_made_anew_for_other_networks_and_placed_anew_for_the_same(
    run_of, networks, digits, attacked, monkeypatch
):
    calls = []
    for name in ("attack", "locate"):
        function = getattr(fragility, name)
        monkeypatch.setattr(fragility, name, lambda *args, f=function, n=name: calls.append(n) or f(*args))
    architectures.endpoints(run_of(), networks, *digits, ["layer1", "layer3"], attacked)
    assert calls == ["locate"]
    architectures.endpoints(run_of(), dict(networks), *digits, ["layer1", "layer3"], attacked)
    assert calls == ["locate", "attack", "locate"]
