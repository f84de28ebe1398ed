"""What becomes of symbols when something is changed, on a tiny network and pictures of parts, against each step done by hand."""

import dataclasses
import itertools
import types

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from innercodes import attacks, codebook, parts, pictures, regions, symbol_checks, symbol_survey, symbol_trials, xmeans
from innercodes import symbols as lens
from innercodes.parameters import ParameterError
from innercodes.symbol_survey import BOTH, FITTED, UNSEEN, Shown

STAGES = ("0", "2")
RUN = types.SimpleNamespace(
    seeds=(0, 1), seed=0, device=torch.device("cpu"), bars=False, bootstrap=50, neighbors=5, min_dist=0.1, layout_steps=200, most=12,
    pooling="max", joined=False, backend="innercodes", preset="quick", map_from="label and prediction agree",
    attack_size=0.1, attack_steps=3, attack_step=0.5,
)  # fmt: skip
ROWS = torch.tensor([3, 0, 5, 7, 9, 11, 12, 14, 2, 1, 4, 6, 8, 10, 13, 15, 16, 17])


def shown(kind, count, classes=4):
    """The pictures of the first classes among `count`."""
    made = parts.load(kind, count, 0, 32)
    some = (made.labels < classes).nonzero()[:, 0]
    inputs = torch.stack([made.pictures[int(row)][0] for row in some])
    names = tuple(map(str, range(classes)))
    held = pictures.Pictures(lambda row: inputs[row], torch.arange(len(some)), made.labels[some], names, names, True)
    return Shown(held, made.boxes[some])


def network(seed):
    made = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4)
    )
    generator = torch.Generator().manual_seed(seed)
    for p in made.parameters():
        nn.init.normal_(p, 0, 0.15, generator=generator)
    return made.eval()


@pytest.fixture(scope="module")
def networks():
    """A trained network that stands in both rows, right on some pictures and wrong on others, and two untrained ones."""
    trained = network(0)
    inputs, labels = (part[:16] for part in shown("train", 110).pictures.tensors())
    optimizer = torch.optim.Adam(trained.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(trained(inputs), labels).backward()
        optimizer.step()
    return {"trained": [trained], "untrained": [network(1), network(2)]}


@pytest.fixture(scope="module")
def found(networks):
    far = {"far": shown("new parts", 30)}
    return symbol_survey.survey(RUN, networks, shown("train", 110), shown("test", 90), STAGES, far)


def one_row(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1, where
    return table.iloc[0]


def logits_with(net, stage, inputs, change):
    """The rest of a pass from a changed response, without hooks."""
    at = int(stage) + 1
    with torch.no_grad():
        return net[at:](change(net[:at](inputs)))


def cell_of(box, place, side, size=32):
    """Row-major number of the cell that a place of a map lies in, or None outside of the box."""
    at = []
    for pixel, low, high in ((place[0], box[1], box[3]), (place[1], box[0], box[2])):
        share = ((pixel + 0.5) * size / side - low) / (high - low) * 3
        if not 0 <= share < 3:
            return None
        at.append(int(share))
    return at[0] * 3 + at[1]


def cells_by_hand(maps, boxes):
    """For each picture and cell the places in it."""
    side = maps.shape[-1]
    found = [[[] for _ in range(9)] for _ in boxes]
    for i, box in enumerate(boxes.double().tolist()):
        for place in itertools.product(range(side), repeat=2):
            cell = cell_of(box, place, side)
            if cell is not None:
                found[i][cell].append(place)
    return found


def test_causal_by_hand(found, networks):
    count = 8
    table = symbol_trials.causal(found, networks, count, resamples=20)
    assert len(table) == 2 * 2 * 4 and (table["value"] > 0).all()
    chosen = torch.randperm(len(found.labels), generator=torch.Generator().manual_seed(0))[:count].sort().values
    part, fitted = found.sets[UNSEEN].subset(chosen), found.sets[FITTED]
    inputs, everything = part.pictures.tensors()[0], fitted.pictures.tensors()[0]
    for kind, stage in itertools.product(BOTH, STAGES):
        values = {"own cells": [], "own symbol": [], "other symbol": []}
        for row, seed in enumerate(RUN.seeds):
            net, code = networks[kind][row % len(networks[kind])], found.codes[kind][row][stage]
            with torch.no_grad():
                maps, before = net[: int(stage) + 1](everything), net(inputs)
            sums, sizes = torch.zeros(code.count, maps.shape[1]), torch.zeros(code.count, 1)
            for i, cells in enumerate(cells_by_hand(maps, fitted.boxes)):
                for cell, places in enumerate(cells):
                    if places:
                        symbol = int(code.symbols[FITTED][i, cell])
                        sums[symbol] += torch.stack([maps[i, :, y, x] for y, x in places]).mean(0)
                        sizes[symbol] += 1
            assert bool((sizes > 0).all())
            means, symbols = sums / sizes, code.symbols[UNSEEN][chosen]
            other = symbol_checks.swapped(symbols, means, seed)

            def own(maps, i, cell, places):
                return torch.stack([maps[i, :, y, x] for y, x in places]).mean(0)

            new = {
                "own cells": own,
                "own symbol": lambda maps, i, cell, places, means=means, symbols=symbols: means[symbols[i, cell]],
                "other symbol": lambda maps, i, cell, places, other=other: other[i, cell],
            }
            for name, vector in new.items():

                def change(maps, vector=vector):
                    changed = maps.clone()
                    for i, cells in enumerate(cells_by_hand(maps, part.boxes)):
                        for cell, places in enumerate(cells):
                            for y, x in places:
                                changed[i, :, y, x] = vector(maps, i, cell, places)
                    return changed

                moved = logits_with(net, stage, inputs, change) - before
                values[name].append(moved.gather(1, before.argmax(-1)[:, None]).abs().mean())
        for name, each in values.items():
            row = one_row(table, kind=kind, stage=stage, replacement=name)
            assert row["value"] == pytest.approx(float(np.mean(each)), rel=1e-4)
            assert row["low"] <= row["value"] <= row["high"]
    with pytest.raises(ParameterError, match="count = 0"):
        symbol_trials.causal(found, networks, 0)


def test_replacements_have_the_length_of_the_own_symbol():
    generator = torch.Generator().manual_seed(0)
    heard, fitted = torch.rand(12, 9, 5, generator=generator), torch.randint(4, (12, 9), generator=generator)
    heard[0, 3] = torch.nan
    fitted[fitted == 3] = 0
    symbols = torch.randint(4, (6, 9), generator=generator)
    made = symbol_trials._replacements(heard, fitted, symbols, 4, 0)
    own = made["own symbol"]
    for name in ("other symbol", "same norm, random direction"):
        torch.testing.assert_close(made[name].norm(dim=-1), own.norm(dim=-1))
        assert not torch.allclose(made[name], own, atol=0.05)
    # No fitted cell has symbol 3.
    everything = heard.flatten(0, 1)
    torch.testing.assert_close(own[symbols == 3][0], everything[~everything.isnan().any(1)].mean(0))
    again = symbol_trials._replacements(heard, fitted, symbols, 4, 0)["same norm, random direction"]
    assert torch.equal(again, made["same norm, random direction"])
    # One symbol for a whole region stands for nine vectors.
    one = symbol_trials._replacements(heard[1:], fitted[1:, :1], symbols[:, :1] % 3, 3, 0)
    rows = (fitted[1:, 0] == 1).nonzero()[:, 0]
    torch.testing.assert_close(one["own symbol"][int((symbols[:, 0] % 3 == 1).nonzero()[0])], heard[1:][rows].mean(0))
    # With one symbol there is no other.
    alone = symbol_trials._replacements(heard, torch.zeros_like(fitted), torch.zeros_like(symbols), 1, 0)
    assert set(alone) == {"own cells", "own symbol", "same norm, random direction"}


def auroc(inside, outside):
    return roc_auc_score([1] * len(inside) + [0] * len(outside), np.concatenate([inside, outside]))


def test_evasion_at_weight_0_is_pgd(found, networks):
    net, part = networks["trained"][0], found.sets[UNSEEN].subset(ROWS)
    inputs, labels = part.pictures.tensors()
    table = symbol_trials.evasions(found, networks, (0, 5.0), ROWS, resamples=20)
    shares, values = [], []
    for row, seed in enumerate(RUN.seeds):
        hit = attacks.pgd(net, inputs, labels, 0.1, 3, 1000 * seed, 0, 1, step=0.05)
        with torch.no_grad():
            before, after, maps = net(inputs).argmax(-1), net(hit).argmax(-1), net[:3](hit)
        vectors = regions.cells(regions.roi_pool(maps, part.boxes, 32))
        code = found.codes["trained"][row]["2"]
        symbols = code.codebook.read(vectors.flatten(0, 1)).view(-1, 9)
        right = before == labels
        won = right & (after != labels)
        assert bool(won.any())
        clean = lens.expected_symbol_score(code.symbols[UNSEEN][ROWS], before, code.correlations)
        scores = lens.expected_symbol_score(symbols, after, code.correlations)
        shares.append(won.sum() / right.sum())
        values.append(auroc(clean[right], scores[won]))
    plain = one_row(table, weight=0.0)
    assert plain["success"] == pytest.approx(np.mean(shares)) and plain["auroc"] == pytest.approx(np.mean(values))
    assert plain["low"] <= plain["auroc"] <= plain["high"]
    assert plain["auroc"] < 1 and one_row(table, weight=5.0)["auroc"] != plain["auroc"]
    # The survey's own attack of this weight, in its words.
    adaptive = symbol_survey.attack(found, networks, ROWS, weight=5.0).own["trained"]
    won = [
        (one.logits["clean"].argmax(-1) == labels) & (one.logits["adaptive"].argmax(-1) != labels) for one in adaptive
    ]
    rights = [one.logits["clean"].argmax(-1) == labels for one in adaptive]
    share = np.mean([float(w.sum() / r.sum()) for w, r in zip(won, rights, strict=True)])
    assert one_row(table, weight=5.0)["success"] == pytest.approx(share)
    for wrong in ((), (-1.0,)):
        with pytest.raises(ParameterError, match="weights"):
            symbol_trials.evasions(found, networks, wrong, ROWS)


def test_the_overlap_is_intersection_over_union():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 2, 2], [0, 0, 2, 2], [torch.nan] * 4])
    known = torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 3], [2, 0, 4, 2], [0, 0, 2, 2]])
    assert symbol_trials.overlap(boxes, known).tolist() == pytest.approx([1, 1 / 7, 0, 0])
    with pytest.raises(ValueError, match="^known: shape"):
        symbol_trials.overlap(boxes, known[1:])


def test_sources_of_regions_by_hand(found, networks):
    part = found.sets[UNSEEN]
    inputs, labels = part.pictures.tensors()
    calls = []

    def shy(x, predictions):
        """The known box, where the prediction is an even class."""
        calls.append(len(x))
        boxes = part.boxes.clone()
        boxes[predictions % 2 == 1] = torch.nan
        return boxes

    candidates = {"known": regions.oracle(part.boxes), "whole": regions.full, "shy": shy}
    table = symbol_trials.sources(found, networks, candidates, part.boxes, resamples=20)
    assert table["source"].tolist() == list(candidates) and calls == [len(labels)]  # one network, asked once
    own = one_row(table, source="known")
    assert own["overlap"] == pytest.approx(1)
    assert own["symbol_accuracy"] == pytest.approx(found.accuracy_rows("trained", "2").mean())
    assert own["low"] < own["symbol_accuracy"] < own["high"]
    net = networks["trained"][0]
    right = found.right(0)
    sure = regions.certify(net, inputs, part.boxes).kept
    assert own["coverage"] == pytest.approx(sure.double().mean())
    assert own["accuracy_kept"] == pytest.approx(right[sure].double().mean())
    whole = one_row(table, source="whole")
    assert whole["coverage"] == 1 and whole["accuracy_kept"] == pytest.approx(right.double().mean())
    area = (part.boxes[:, 2:] - part.boxes[:, :2]).prod(1) / 32**2
    assert whole["overlap"] == pytest.approx(float(area.mean()), rel=1e-5)
    with torch.no_grad():
        maps = net[:3](inputs)
    everywhere = regions.cells(regions.roi_pool(maps, torch.tensor([[0.0, 0, 32, 32]]).expand(len(labels), 4), 32))
    books = [found.codes["trained"][row]["2"] for row in (0, 1)]
    symbols = [code.codebook.read(everywhere.flatten(0, 1)).view(-1, 9) for code in books]
    named = [lens.predict(one, code.correlations) == labels for one, code in zip(symbols, books, strict=True)]
    assert whole["symbol_accuracy"] == pytest.approx(float(torch.stack(named).double().mean()))
    even = found.predictions(0, UNSEEN) % 2 == 0
    some = one_row(table, source="shy")
    assert some["coverage"] == pytest.approx(float((sure & even).double().mean()))
    assert some["overlap"] == pytest.approx(float(even.double().mean()))
    answers = found.accuracy_rows("trained", "2")[:, even.numpy()]
    assert some["symbol_accuracy"] == pytest.approx(answers.mean())
    unknown = symbol_trials.sources(found, networks, {"known": candidates["known"]}, rows=1, resamples=5).iloc[0]
    assert np.isnan(unknown["overlap"])
    assert unknown["symbol_accuracy"] == pytest.approx(found.accuracy_rows("trained", "2")[0].mean())
    with pytest.raises(ParameterError, match="rows = 0"):
        symbol_trials.sources(found, networks, candidates, rows=0)


def test_a_source_that_finds_nothing_has_no_accuracy(found, networks):
    nothing = {"nothing": lambda inputs, predictions: torch.full((len(inputs), 4), torch.nan)}
    row = symbol_trials.sources(found, networks, nothing, found.sets[UNSEEN].boxes).iloc[0]
    assert row["overlap"] == 0 and row["coverage"] == 0
    assert row[["accuracy_kept", "symbol_accuracy", "low", "high"]].isna().all()


def test_a_source_may_have_a_codebook_of_its_own(found, networks):
    table = symbol_trials.sources(found, networks, {"whole": regions.full}, rows=1, refit=True, resamples=5)
    net, sets = networks["trained"][0], [found.sets[name] for name in (FITTED, UNSEEN)]
    vectors = []
    for part in sets:
        with torch.no_grad():
            maps = net[:3](part.pictures.tensors()[0])
        whole = torch.tensor([[0.0, 0, 32, 32]]).expand(len(part.labels), 4)
        vectors.append(regions.cells(regions.roi_pool(maps, whole, 32)))
    book = codebook.Codebook.fit(vectors[0].flatten(0, 1), 0, 5, 0.1, most=12)
    mapped = found.right(0).new_tensor((found.predictions(0, FITTED) == sets[0].labels).tolist())
    seen = book.symbols.view(-1, 9)[mapped]
    correlations = lens.correlation_map(seen, sets[0].labels[mapped], len(book.centers), 4)
    named = lens.predict(book.read(vectors[1].flatten(0, 1)).view(-1, 9), correlations)
    assert table.iloc[0]["symbol_accuracy"] == pytest.approx(float((named == found.labels).double().mean()))


def measured(found, symbols, mapped, count, by_class="given symbol", by_score="given class"):
    """Accuracy and both AUROCs of some symbols of the first seed."""
    labels = found.sets[FITTED].labels
    correlations = lens.correlation_map(symbols[FITTED][mapped], labels[mapped], count, 4)
    named = lens.predict(symbols[UNSEEN], correlations, by_class) == found.labels
    scores = {
        name: lens.expected_symbol_score(symbols[name], found.predictions(0, name), correlations, by=by_score)
        for name in (UNSEEN, "far")
    }
    right = found.right(0)
    return [
        float(named.double().mean()),
        auroc(scores[UNSEEN][right], scores[UNSEEN][~right]),
        auroc(scores[UNSEEN], scores["far"]),
    ]


MEASURES = ["accuracy", "errors_auroc", "outside_auroc"]


def test_the_multiverse_by_hand(found, networks, monkeypatch):
    fits, embed = [], codebook.embed
    monkeypatch.setattr(codebook, "embed", lambda *args, **more: fits.append(args[1:]) or embed(*args, **more))
    choices = {
        "neighbors": (5, 8), "pooling": ("max", "mean"), "joined": (False, True), "algorithm": ("innercodes", "k-means"),
        "map_from": symbol_survey.MAPS_FROM, "by": ("phi",),
    }  # fmt: skip
    table = symbol_trials.multiverse(found, networks, choices, fewest=1)
    assert list(table.columns) == [*symbol_trials.CHOICES, *MEASURES] and len(table) == 1 + 6 and len(fits) == 3
    code, mapped = found.codes["trained"][0]["2"], found.mapped(0)
    default = table.iloc[0]
    own = {
        name: getattr(RUN, name) for name in ("neighbors", "min_dist", "layout_steps", "pooling", "joined", "map_from")
    }
    assert default[list(own)].to_dict() == own and default["by"] == symbol_trials.EACH_ITS_OWN
    assert default["algorithm"] == "innercodes"
    assert default[MEASURES].tolist() == pytest.approx(measured(found, code.symbols, mapped, code.count))
    by_phi = measured(found, code.symbols, mapped, code.count, "phi", "phi")
    assert one_row(table, by="phi")[MEASURES].tolist() == pytest.approx(by_phi)
    everything = torch.ones_like(mapped)
    by_label = measured(found, code.symbols, everything, code.count)
    assert one_row(table, map_from="label")[MEASURES].tolist() == pytest.approx(by_label)
    book = codebook.kmeans_codebook(code.codebook, 0)
    symbols = {n: xmeans.assign(p.flatten(0, 1), book.centers).view(-1, 9) for n, p in code.points.items()}
    assert one_row(table, algorithm="k-means")[MEASURES].tolist() == pytest.approx(
        measured(found, symbols, mapped, code.count)
    )
    net = networks["trained"][0]

    def fitted(pooling="max", joined=False, neighbors=5):
        vectors = {}
        for name in (FITTED, UNSEEN, "far"):
            part = found.sets[name]
            said = symbol_survey.responses(
                net, part.pictures, part.boxes, ("2",), types.SimpleNamespace(**vars(RUN) | {"pooling": pooling, "joined": joined})
            )  # fmt: skip
            vectors[name] = said.vectors["2"]
        book = codebook.Codebook.fit(vectors[FITTED].flatten(0, 1), 0, neighbors, 0.1, most=12)
        symbols = {name: book.read(part.flatten(0, 1)).view(part.shape[:2]) for name, part in vectors.items()}
        return measured(found, symbols, mapped, len(book.centers))

    for choice in ({"pooling": "mean"}, {"joined": True}, {"neighbors": 8}):
        assert one_row(table, **choice)[MEASURES].tolist() == pytest.approx(fitted(**choice))


def test_the_multiverse_reads_cosine_and_certified_pictures_alone(found, networks):
    run = types.SimpleNamespace(**vars(RUN) | {"margin": 0.0, "pad": True})
    table = symbol_trials.multiverse(
        dataclasses.replace(found, run=run), networks, {"metric": ("cosine",), "kept": symbol_survey.KEPT}, fewest=1
    )
    assert table["metric"].tolist() == ["euclidean", "cosine", "euclidean"]
    assert table["kept"].tolist() == ["all", "all", "certified"]
    net, mapped = networks["trained"][0], found.mapped(0)
    heard = {name: found.heard("trained", 0, name) for name in (FITTED, UNSEEN, "far")}

    def by_hand(rows, metric):
        book = codebook.Codebook.fit(heard[FITTED].vectors["2"][rows[FITTED]].flatten(0, 1), 0, 5, 0.1, metric, most=12)
        symbols = {n: book.read(one.vectors["2"][rows[n]].flatten(0, 1)).view(-1, 9) for n, one in heard.items()}
        part = mapped[rows[FITTED]]
        labels = found.sets[FITTED].labels[rows[FITTED]][part]
        correlations = lens.correlation_map(symbols[FITTED][part], labels, len(book.centers), 4)
        named = lens.predict(symbols[UNSEEN], correlations) == found.labels[rows[UNSEEN]]
        said = {n: heard[n].logits.argmax(-1)[rows[n]] for n in heard}
        score = {n: lens.expected_symbol_score(symbols[n], said[n], correlations) for n in (UNSEEN, "far")}
        right = said[UNSEEN] == found.labels[rows[UNSEEN]]
        return [
            float(named.double().mean()), auroc(score[UNSEEN][right], score[UNSEEN][~right]), auroc(score[UNSEEN], score["far"])
        ]  # fmt: skip

    everything = {name: torch.arange(len(found.sets[name].labels)) for name in heard}
    assert table[MEASURES].iloc[1].tolist() == pytest.approx(by_hand(everything, "cosine"))
    kept = {}
    for name, part in ((name, found.sets[name]) for name in heard):
        looked = regions.certify(net, part.pictures.tensors()[0], part.boxes, 0.0, pad=True)
        kept[name] = looked.kept.nonzero()[:, 0]
        assert len(kept[name])
    assert set(found.sets[FITTED].labels[kept[FITTED]].tolist()) == {0, 1, 2, 3}
    assert len(kept[FITTED]) < len(found.sets[FITTED].labels) and len(kept[UNSEEN]) < len(found.labels)
    assert table[MEASURES].iloc[2].tolist() == pytest.approx(by_hand(kept, "euclidean"))
    # A run that holds certified pictures alone has nothing else to read.
    only = dataclasses.replace(found, run=types.SimpleNamespace(**vars(run) | {"kept": "certified"}))
    assert symbol_trials.multiverse(only, networks, {"kept": symbol_survey.KEPT})["kept"].tolist() == ["certified"]


def test_the_multiverse_is_bounded(found, networks, monkeypatch):
    fits, embed = [], codebook.embed
    monkeypatch.setattr(codebook, "embed", lambda *args, **more: fits.append(args[1:]) or embed(*args, **more))
    choices = {"neighbors": (5, 8, 10**6), "min_dist": (0.5,), "map_from": ("label",), "by": ("joint", "phi")}
    table = symbol_trials.multiverse(found, networks, choices, pairs=True, fits=1, rows=2)
    # Both seeds have one fit more; the other distance would ask for a second one, as would both together.
    assert [one[1] for one in fits] == [8, 8] and set(table["min_dist"]) == {0.1}
    kinds = table[["neighbors", "map_from", "by"]]
    assert len(table) == 1 + 4 + 5 and not kinds.duplicated().any()
    fits.clear()
    none = symbol_trials.multiverse(found, networks, choices, fits=0)
    assert not fits and len(none) == 1 + 3
    two = symbol_trials.multiverse(found, networks, {}, rows=2)
    assert two["accuracy"].tolist() == pytest.approx([found.accuracy_rows("trained", "2").mean()])
    wrong = int((~found.right(0)).sum())
    for fewest, there in ((wrong, True), (wrong + 1, False)):
        table = symbol_trials.multiverse(found, networks, {}, fewest=fewest)
        assert np.isfinite(table["errors_auroc"].iloc[0]) == there and np.isfinite(table["outside_auroc"].iloc[0])
    without = dataclasses.replace(found, outside=())
    assert np.isnan(symbol_trials.multiverse(without, networks, {})["outside_auroc"].iloc[0])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"components": (2,)}, "choices = 'components'"),
        ({"metric": ("hamming",)}, "choices, metric = 'hamming'"),
        ({"kept": ("none",)}, "choices, kept = 'none'"),
        ({"pooling": ("median",)}, "choices, pooling = 'median'"),
        ({"algorithm": ("mean shift",)}, "choices, algorithm = 'mean shift'"),
        ({"by": ("phi", "chi")}, "choices, by = 'chi'"),
    ],
)
def test_unknown_choices_are_refused_by_name(found, networks, choices, message):
    with pytest.raises(ParameterError, match=message):
        symbol_trials.multiverse(found, networks, choices)
    with pytest.raises(ParameterError, match="rows = 0"):
        symbol_trials.multiverse(found, networks, {}, rows=0)
