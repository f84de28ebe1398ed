"""How far symbols reach: each endpoint against a loop over pictures, seeds and networks, and against scikit-learn."""

import dataclasses

import numpy as np
import pytest
import torch
from made_surveys import CELLS, a_run, a_survey
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.neighbors import NearestCentroid

from innercodes import symbol_reach as reach
from innercodes import symbols as lens
from innercodes.codebook import Codebook
from innercodes.symbol_survey import BOTH, NEW, UNSEEN, Look
from innercodes.symbol_warnings import correctness


@pytest.fixture(scope="module")
def made():
    return a_survey()


def test_temporary_learning_by_loops(made):
    # A few counts give many equal scores, whose last bit decides.
    found = reach.temporary_learning(made, shots=3, draws=4)
    labels = made.sets[NEW].labels
    pixels = made.sets[NEW].pictures.tensors()[0].flatten(1).numpy()
    gains = {}
    for kind in BOTH:
        rows = []
        for row, seed in enumerate(made.run.seeds):
            code = made.codes[kind][row]["two"]
            counts = [[], []]
            for chosen in lens.examples(labels, 3, 4, seed):
                table = np.full((code.count, 5), 1e-6)
                np.add.at(table, (code.symbols[NEW][chosen], labels[chosen][:, None]), 1)
                table /= table.sum(1, keepdims=True)
                by_pixel = NearestCentroid().fit(pixels[chosen], labels[chosen]).predict(pixels)
                for names, out in zip(
                    (table[code.symbols[NEW].sort(-1).values].mean(1).argmax(-1), by_pixel), counts, strict=True
                ):
                    out.append(np.where(chosen, np.nan, (names == labels.numpy()) * 1.0))
            symbols, by_pixel = (np.nanmean(out, 0) for out in counts)
            rows.append((np.nanmean(symbols), np.nanmean(symbols - by_pixel)))
        gains[kind] = np.mean(rows, 0)
    assert found["value"] == pytest.approx(gains["trained"][1], abs=2e-3) == found["also"]["above_pixels"]
    assert found["twin"].value == pytest.approx(gains["trained"][1] - gains["untrained"][1], abs=4e-3)
    assert (
        found["also"]["times_chance"] == pytest.approx(5 * gains["trained"][0], abs=0.01) and gains["trained"][0] > 0.4
    )
    assert found["baseline"]["chance"] == 0.2
    # The marks beside it: the nearest mean of the examples' pixels, and of their pooled responses, one picture at a time.
    for name, of in (
        ("pixels", lambda row: pixels.astype(float)),
        ("pooled responses", lambda row: made.said["trained"][row][NEW].vectors["two"].double().flatten(1).numpy()),
    ):
        rates = []
        for row, seed in enumerate(made.run.seeds):
            vectors, answers = of(row), []
            for chosen in lens.examples(labels, 3, 4, seed).numpy():
                means = [vectors[chosen & (labels == c).numpy()].mean(0) for c in range(5)]
                named = np.array([np.argmin([np.square(v - m).sum() for m in means]) for v in vectors])
                answers.append(np.where(chosen, np.nan, named == labels.numpy()))
            rates.append([np.mean([a for a in one if not np.isnan(a)] or np.nan) for one in np.transpose(answers)])
        assert found["baseline"][name] == pytest.approx(np.nanmean(rates)), name


def test_temporary_learning_keeps_to_the_first_classes_and_asks_for_enough(made):
    found = reach.temporary_learning(made, shots=2, held_out=2, draws=3)
    assert found["baseline"]["chance"] == 0.5
    assert found["also"]["times_chance"] == pytest.approx(2 * found["baseline"]["accuracy, two"])
    assert isinstance(reach.temporary_learning(made, shots=10), str)
    assert not isinstance(reach.temporary_learning(made, shots=9, draws=20), str)
    assert isinstance(reach.temporary_learning(made, held_out=6), str)
    without = {name: part for name, part in made.sets.items() if name != NEW}
    assert isinstance(reach.temporary_learning(dataclasses.replace(made, sets=without)), str)


@pytest.fixture(scope="module")
def many():
    sizes = {"fitted": 120, "unseen": 400, "far": 10}
    weak = {"trained": (0.1, 0.2), "untrained": (0.1, 0.1)}
    return {"cnn": a_survey(sizes=sizes, seed=1), "vit": a_survey(sizes=sizes, seed=2, clear=weak, right=0.7)}


def test_architectures_by_loops(many):
    found = reach.architectures(many)
    each = {}
    for kind in BOTH:
        rows = [
            [4 * (one.named(kind, row, "two") == one.labels).double().mean() for one in many.values()]
            for row in range(3)
        ]
        each[kind] = np.array(rows)
    assert found["value"] == pytest.approx(each["trained"].min(1).mean())
    assert found["twin"].value == pytest.approx(each["trained"].min(1).mean() - each["untrained"].min(1).mean())
    assert found["baseline"]["accuracy over chance, cnn"] == pytest.approx(each["trained"][:, 0].mean())
    assert found["also"]["smallest_ess_auroc"] == min(correctness(one)["value"] for one in many.values())
    assert isinstance(reach.architectures({"cnn": many["cnn"]}), str)


def test_architectures_need_the_same_pictures_and_enough_errors(many, made):
    with pytest.raises(ValueError, match="surveys: other: must have the unseen pictures"):
        reach.architectures(many | {"other": made})
    good = a_survey(sizes={"fitted": 120, "unseen": 400}, right=1.0, seed=3)
    assert reach.architectures(many | {"sure": good}).startswith("sure: ")


def test_kept_knowledge_by_loops(many):
    found = reach.kept_knowledge(many)
    ratios = []
    for one in many.values():
        own = [(one.said["trained"][row][UNSEEN].logits.argmax(-1) == one.labels).double().mean() for row in range(3)]
        ratios.append(
            [float((one.named("trained", row, "two") == one.labels).double().mean() / own[row]) for row in range(3)]
        )
    means = np.mean(ratios, 1)
    assert found["value"] == pytest.approx(abs(means[0] - means[1])) and found["value"] > 0.1
    assert found["ci"][0] < found["value"] < found["ci"][1]
    assert found["baseline"]["between seeds of one"] == pytest.approx(max(np.ptp(one) for one in ratios))
    assert [found["baseline"][name] for name in many] == pytest.approx(means)


def test_growth_is_a_rank_correlation_with_the_epoch():
    labels = torch.arange(60) % 4
    generator = torch.Generator().manual_seed(2)

    def symbols(share):
        told = torch.rand(60, CELLS, generator=generator) < share
        return labels[:, None].expand(60, CELLS).where(told, torch.randint(4, (60, CELLS), generator=generator))

    epochs = (-1, 0, 2, 5, 9)
    snapshots = [[symbols(share) for share in shares] for shares in ((0, 0.2, 0.5, 0.4, 0.8), (0, 0.1, 0.3, 0.5, 0.7))]
    shuffled = [symbols(0.0), symbols(0.0)]
    found = reach.growth(a_run((0, 1)), epochs, snapshots, shuffled, labels, draws=10)

    def ami(one):
        return adjusted_mutual_info_score(labels[:, None].expand(60, CELLS).flatten(), one.flatten())

    expected = np.mean([spearmanr(epochs, [ami(one) for one in seed]).statistic for seed in snapshots])
    assert found["value"] == pytest.approx(expected) and 0.8 < found["value"] < 1
    gap = np.mean([ami(seed[-1]) - ami(control) for seed, control in zip(snapshots, shuffled, strict=True)])
    assert found["also"]["above_shuffled_labels"] == pytest.approx(gap) and gap > 0.2
    assert found["ci"][0] <= found["value"]
    assert isinstance(reach.growth(a_run(), epochs[:4], [one[:4] for one in snapshots], shuffled, labels), str)
    with pytest.raises(ValueError, match="snapshots: must be 5"):
        reach.growth(a_run(), epochs, [one[:4] for one in snapshots], shuffled, labels)


def test_other_domain_reads_one_symbol_of_each_sample(monkeypatch):
    # In three dimensions the vectors are their own embedding.
    monkeypatch.setattr("innercodes.codebook.embed", lambda vectors, *_, **__: vectors)
    monkeypatch.setattr(Codebook, "place", lambda _, vectors: vectors)
    generator = torch.Generator().manual_seed(0)
    labels, unseen = torch.arange(90) % 3, torch.tensor([0] * 30 + [1] * 20 + [2] * 10)
    centers = 20 * torch.eye(3)

    def hidden(labels, told):
        random = torch.randint(3, labels.shape, generator=generator)
        where = labels.where(torch.rand(len(labels), generator=generator) < told, random)
        return centers[where] + torch.randn(len(labels), 3, generator=generator)

    networks = {
        kind: [reach.Hidden(hidden(labels, told), hidden(unseen, told)) for _ in range(3)]
        for kind, told in (("trained", 1.0), ("untrained", 0.0))
    }
    found = reach.other_domain(a_run(), networks, labels, unseen)
    assert found["value"] == pytest.approx(0.5) and found["baseline"]["share of the largest class"] == 0.5
    assert found["baseline"]["accuracy"] == 1 and found["baseline"]["accuracy, shuffled labels"] < 0.9
    assert found["twin"].interval()[0] > 0.3
    one = {kind: members[:1] for kind, members in networks.items()}
    assert reach.other_domain(a_run(), one, labels, unseen)["value"] == pytest.approx(0.5)


def test_cost_is_the_median_over_seeds_of_chain_over_bare_pass(made):
    looks = [Look(*[torch.zeros(1)] * 4, seconds) for seconds in (0.5, 0.25, 0.5)]
    found = reach.cost(made, looks, region_seconds=1.0)
    assert found["value"] == pytest.approx(1.25 + 2 + 0.5 + 4 + 1)
    assert sum(found["baseline"][f"share of {step}"] for step in reach.STEPS) == pytest.approx(1)
    assert found["baseline"]["share of embedding"] == pytest.approx(4 / 8.75)
    assert found["note"] == "8 to 10 over seeds"
