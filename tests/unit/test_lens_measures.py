"""The measurements of chapter 05 on networks of two small stages, each against a plain statement of it."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, rankdata
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LinearRegression
from sklearn.metrics import adjusted_mutual_info_score, roc_auc_score
from torch import nn

from innercodes import attacks, lens_networks, lens_studies, lenses, parameters, regions, sparse_units, spectra, symbols
from innercodes.lens_figures import SUMMARY
from innercodes.lens_networks import DROPOUT, KINDS, SHUFFLED, TRAINED, UNTRAINED, Family
from innercodes.lens_studies import LENSES, USUAL
from innercodes.pictures import Pictures
from innercodes.symbol_networks import Material
from innercodes.symbol_survey import FITTED, UNSEEN, Shown

CLASSES, SIDE, STAGES = 3, 16, ("front", "back")
TINY = {
    "progress": "off", "n_seeds": 2, "bootstrap": 100, "fitted": 45, "unseen": 75, "read": 30, "beyond_known": 12,
    "permutations": 19, "symbol_count": 5, "grid": 4, "sigma": 2.0, "som_epochs": 1, "batch_size": 10, "best_units": 3, "columns": 80,
    "window": "3 12", "frames": 12, "projections": 20, "repeats": 3, "n_players": 4, "samples": 6, "attack_size": 0.1,
    "attack_steps": 4, "attack_step": 0.5, "warned": 8, "units": 4, "active": 2, "sparse_steps": 20, "layout_steps": 20,
    "map_from": "label", "beyond": "none",
}  # fmt: skip
FEW_ERRORS, FEW_POINTS = 4, 4


class Small(nn.Module):
    """Two stages of 5 and 6 channels, and a head on channel means."""

    def __init__(self, seed):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.front = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.LeakyReLU(0.2))
            self.back = nn.Sequential(nn.Conv2d(5, 6, 3, padding=1, stride=2), nn.LeakyReLU(0.2))
            self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.head(self.back(self.front(x)).mean((2, 3)))


def drawn(count, seed, noise=0.45):
    """Noise with some more of one colour, the class, in the object's box."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    inputs = noise * torch.rand(count, 3, SIDE, SIDE, generator=generator) + 0.2
    corner = torch.randint(0, 5, (count, 2), generator=generator)
    for i, (y, x) in enumerate(corner.tolist()):
        inputs[i, labels[i], y : y + 11, x : x + 11] += 0.06
    names = tuple("abc")
    read = Pictures(lambda row: inputs[row], torch.arange(count), labels, names, names, embedded=True)
    return Shown(read, torch.cat([corner.flip(1), corner.flip(1) + 11], 1).float())


def learned(seed, shown, shuffled=False):
    network, (inputs, labels) = Small(seed), shown.pictures.tensors()
    if shuffled:
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One survey, and one attack, for all tests."""
    values = {p.name: p.default for p in parameters.CHAPTERS["05_four_lenses"]}
    values |= TINY | {"out_dir": str(tmp_path_factory.mktemp("out"))}
    run = lens_networks.on_pictures(parameters.check("05_four_lenses", values))
    fitted, unseen, outside = drawn(45, 0), drawn(75, 1), drawn(12, 2, noise=0.8)
    material = Material(fitted.pictures, fitted, unseen, {"other": outside}, None, None, 0.0)
    members = {
        TRAINED: [learned(seed, fitted) for seed in (0, 1)],
        UNTRAINED: [Small(seed).eval() for seed in (0, 1)],
        SHUFFLED: [learned(seed, fitted, shuffled=True) for seed in (0, 1)],
        DROPOUT: [learned(seed, fitted) for seed in (5, 6)],
    }
    family = Family("small", members, STAGES, material)
    found = lenses.survey([family], run)
    return SimpleNamespace(run=run, family=family, found=found, changes=lens_studies.attack(found))


@pytest.fixture(scope="module")
def warned(made):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lens_studies, "FEWEST_ERRORS", FEW_ERRORS)
        given = lens_studies.warnings(made.found, made.changes)
    assert not isinstance(given, str), given
    return given


# Plain statements


def response(network, stage, inputs):
    with torch.inference_mode():
        front = network.front(inputs)
        return front if stage == "front" else network.back(front)


def cells_of(network, stage, shown):
    found = response(network, stage, shown.pictures.tensors()[0])
    return regions.roi_pool(found, shown.boxes, (SIDE, SIDE), 3, "max").flatten(2).mT


def codes_of(found):
    """Maximum, mean, deviation and centre of mass of each channel, as the map of the view was fitted on them."""
    return found.parts[:, : 4 * found.cells.shape[-1]].double().numpy()


def cosine_distance(a, b):
    return 1 - (a / np.linalg.norm(a, axis=-1, keepdims=True)) @ (b / np.linalg.norm(b, axis=-1, keepdims=True)).T


def shift(a, b, grid):
    """The shortest way between two units on the torus: the nearest of nine copies."""
    (y, x), (v, u) = divmod(int(a), grid), divmod(int(b), grid)
    return min(np.hypot(v + i * grid - y, u + j * grid - x) for i, j in itertools.product((-1, 0, 1), repeat=2))


def class_centre(units, grid):
    """The mean of the copies of units that are nearest to the unit chosen most often."""
    mode = int(np.bincount(units, minlength=grid * grid).argmax())
    return np.mean([unfolded(unit, mode, grid) for unit in units], 0), mode


def unfolded(unit, mode, grid):
    """The copy of a unit nearest to another: steps from -grid / 2 on, its half not included."""
    (y, x), (v, u) = divmod(int(mode), grid), divmod(int(unit), grid)
    return np.array([y + (v - y + grid / 2) % grid - grid / 2, x + (u - x + grid / 2) % grid - grid / 2])


def interaction(outputs, players):
    """Inclusion and exclusion over all subsets."""
    found = np.zeros(2**players)
    for whole, part in itertools.product(range(2**players), repeat=2):
        if whole & part == part:
            found[whole] += (-1) ** bin(whole ^ part).count("1") * outputs[part]
    return found


def order(mask):
    return bin(mask).count("1")


def high_share(dividends):
    players = int(np.log2(len(dividends)))
    size = np.abs(dividends[1:])
    return sum(size[m - 1] for m in range(1, len(dividends)) if order(m) > players / 2) / size.sum()


def nearest(points, centers):
    return np.linalg.norm(points[:, None] - centers[None], axis=-1).argmin(1)


def symbols_of(code, cells):
    """The nearest centre to where each cell lies in the embedding."""
    points = code.codebook.place(cells.flatten(0, 1)).double().numpy()
    return nearest(points, code.codebook.centers.double().numpy()).reshape(cells.shape[:2])


def likelihoods(code, labels, classes):
    """P(s | c) counted from the fitted pictures."""
    counts = np.full((code.count, classes), 1e-6)
    for row, label in zip(code.symbols[FITTED].numpy(), labels.numpy(), strict=True):
        for symbol in row:
            counts[symbol, label] += 1
    return counts / counts.sum(0)


def partial(x, y, z):
    """Correlation of the residuals of ranks on those of a third number."""
    x, y, z = (rankdata(values) for values in (x, y, z))
    left = [values - LinearRegression().fit(z[:, None], values).predict(z[:, None]) for values in (x, y)]
    return pearsonr(*left).statistic


def views(made, kind=None):
    return [one for one in made.found.views if kind in (None, one.kind)]


# The table


def test_a_view_for_each_network_and_seed(made):
    assert [(one.kind, one.row) for one in made.found.views] == [(kind, row) for kind in KINDS for row in (0, 1)]
    for one in made.found.views:
        assert one.network is made.family.members[one.kind][one.row] and list(one.stages) == list(STAGES)
        inputs, labels = made.family.material.unseen.pictures.tensors()
        with torch.inference_mode():
            right = one.network(inputs).argmax(-1) == labels
        assert torch.equal(one.right, right)
    assert np.mean([float(one.right.float().mean()) for one in views(made, TRAINED)]) > 0.5


@pytest.fixture(scope="module")
def table(made):
    return lenses.table(made.found)


def of_table(made, table):
    """Each row of the table with its view and the view of its stage."""
    rows = list(table.itertuples())
    found = [(one, stage) for one in made.found.views for stage in STAGES]
    for row, (one, stage) in zip(rows, found, strict=True):
        assert (row.family, row.kind, row.seed, row.stage) == ("small", one.kind, made.run.seeds[one.row], stage)
        yield row, one, one.stages[stage]


def test_the_table_has_what_the_summary_shows(table):
    assert set(SUMMARY) <= set(table.columns) and len(SUMMARY) == 10
    assert np.isfinite(table[[name for name in SUMMARY if name != "exponent"]].to_numpy()).all()


def test_interactions_of_the_table(made, table):
    players = made.run.n_players
    for row, _, view in of_table(made, table):
        numbers = {name: [] for name in ("salient", "exponent", "high_order", "explained")}
        shares = []
        for outputs in view.outputs.numpy():
            found = interaction(outputs, players)
            size = np.abs(found[1:])
            numbers["salient"].append((size >= 0.05 * size.max()).sum() / len(size))
            numbers["high_order"].append(high_share(found))
            # 5 % of 15 interactions is one: the strongest, which every larger mask has.
            best = 1 + int(size.argmax())
            rebuilt = [found[0] + (found[best] if mask & best == best else 0) for mask in range(2**players)]
            numbers["explained"].append(
                1 - np.square(outputs - rebuilt).sum() / np.square(outputs - outputs.mean()).sum()
            )
            by_order = [
                [value for m, value in enumerate(np.abs(found)) if order(m) == k] for k in range(1, players + 1)
            ]
            strength = np.array([np.mean(values) for values in by_order])
            shares.append(strength / strength.sum())
            means = [
                np.mean([v for m, v in enumerate(outputs) if order(m) == k]) - outputs[0] for k in range(players + 1)
            ]
            if (np.diff(means) >= 0).all():
                numbers["exponent"].append(max(np.log(means[k] / means[1]) / np.log(k) for k in range(2, players + 1)))
        for name, values in numbers.items():
            # torch's median of an even number is the lower one in the middle.
            expected = np.sort(values)[(len(values) - 1) // 2] if values else np.nan
            assert getattr(row, name) == pytest.approx(expected, nan_ok=True), name
        middle = np.sort(shares, 0)[(len(shares) - 1) // 2]
        assert [getattr(row, f"strength_{k}") for k in range(1, players + 1)] == pytest.approx(list(middle))
    assert table["exponent"].notna().any()


def test_symbols_of_the_table(made, table):
    read, unseen = made.run.read, made.family.material.unseen
    random = np.random.default_rng(0)
    for row, one, view in of_table(made, table):
        labels = unseen.labels[:read].numpy()
        cells = view.equal.flatten().numpy()
        assert len(set(cells)) <= made.run.symbol_count and view.equal.shape == (read, 9)
        own = adjusted_mutual_info_score(np.repeat(labels, 9), cells)
        chance = [adjusted_mutual_info_score(np.repeat(random.permutation(labels), 9), cells) for _ in range(20)]
        # The chance level is the mean of a few permutations: that is how far it may be off.
        off = 4 * np.std(chance) * (1 / made.run.permutations + 1 / len(chance)) ** 0.5
        level = float(
            symbols.permuted_information(view.equal, unseen.labels[:read], made.run.permutations, made.run.seed).mean()
        )
        assert level == pytest.approx(np.mean(chance), abs=1.5 * off)
        assert row.information == pytest.approx((own - level) / (1 - level))
        said = cells_of(one.network, row.stage, unseen.subset(torch.arange(read)))
        assert np.array_equal(view.code.symbols[UNSEEN].numpy(), symbols_of(view.code, said))
        given = likelihoods(view.code, made.family.material.fitted.labels, CLASSES)
        named = one.logits.argmax(-1)[:read].numpy()
        scores = [
            given[symbols, name].mean() for symbols, name in zip(view.code.symbols[UNSEEN].numpy(), named, strict=True)
        ]
        assert row.score == pytest.approx(np.mean(scores)) and row.symbols == view.code.count
    trained, untrained = (table[table["kind"] == kind]["information"].mean() for kind in (TRAINED, UNTRAINED))
    assert trained > untrained


def test_maps_of_the_table(made, table):
    grid, labels = made.run.grid, made.family.material.fitted.labels.numpy()
    for row, one, view in of_table(made, table):
        weights = view.chart.som.weights.double().numpy()
        fitted, unseen = (codes_of(one.said[name][0][row.stage]) for name in (FITTED, UNSEEN))
        loss = cosine_distance(fitted, weights).min(1).mean()
        apart = cosine_distance(weights, weights)[np.triu_indices(len(weights), 1)]
        assert row.loss == pytest.approx(loss, rel=1e-3)
        assert row.unit_distance == pytest.approx(np.median(apart) / loss, rel=1e-3)
        units, own = view.chart.unseen.numpy(), view.chart.fitted.numpy()
        # Neighbours whose distance float32 can not tell apart may change places.
        ranked = np.take_along_axis(cosine_distance(unseen, weights), units, 1)
        assert ranked == pytest.approx(np.sort(cosine_distance(unseen, weights), 1)[:, : units.shape[1]], abs=1e-5)
        away = []
        for unit_row, label in zip(units, made.family.material.unseen.labels.numpy(), strict=True):
            centre, mode = class_centre(own[labels == label].ravel(), grid)
            away.append(np.mean([np.linalg.norm(unfolded(unit, mode, grid) - centre) for unit in unit_row]))
        assert row.class_spread == pytest.approx(np.mean(away))
        assert row.relative_spread == pytest.approx(np.mean(away) / view.shuffled_spread)


def test_spectra_of_the_table(made, table):
    run = made.run
    dot = spectra.moving_dot(run.frames, SIDE, channels=3)
    inputs = made.family.material.unseen.pictures.tensors()[0]
    for row, one, _ in of_table(made, table):
        said = [response(one.network, row.stage, part).flatten(1).double() for part in (inputs, dot)]
        # Every s-th value, so that at most `columns` are left.
        columns, frames = (part[:, :: -(-part.shape[1] // run.columns)].numpy() for part in said)
        steps = np.square(np.roll(frames, -1, 0) - frames).sum() / 2 * 3 / frames.shape[1]
        largest = np.linalg.eigvalsh(np.cov(columns.T))[-1]
        assert row.action == pytest.approx(steps / largest, rel=1e-3)
        own = spectra.debiased_alpha(torch.from_numpy(columns), (3, 12), run.seed, run.columns)
        assert row.alpha == pytest.approx(own, rel=1e-2)


# LENS-2


def test_diverse_and_telling_is_a_partial_correlation(made, monkeypatch):
    monkeypatch.setattr(lens_studies, "FEWEST_POINTS", FEW_POINTS)
    found = lens_studies.diverse_and_telling(made.found, 99)
    rows = {}
    for kind in (TRAINED, UNTRAINED):
        points = [
            (view.distance[0], lenses.information(view, made.family.material.unseen.labels[: made.run.read], made.run), view.depth)
            for one in views(made, kind) for view in one.stages.values()
        ]  # fmt: skip
        rows[kind] = partial(*np.transpose(points))
    assert found["value"] == pytest.approx(rows[TRAINED])
    assert found["baseline"]["untrained"] == pytest.approx(rows[UNTRAINED])
    assert found["twin"].value == pytest.approx(rows[TRAINED] - rows[UNTRAINED])
    labels = symbols.permuted_by_picture(made.family.material.unseen.labels[: made.run.read], made.run.seed)
    points = [
        (view.distance[0], lenses.information(view, labels, made.run), view.depth)
        for one in views(made, TRAINED) for view in one.stages.values()
    ]  # fmt: skip
    assert found["baseline"]["labels permuted"] == pytest.approx(partial(*np.transpose(points)))
    assert abs(found["baseline"]["stages exchanged"]) <= 1


def test_few_stages_are_a_reason(made):
    assert "4 stages of trained networks; the claim asks for 12" in lens_studies.diverse_and_telling(made.found)


# LENS-3


def changed_inputs(made, view, row):
    """Pictures before, under PGD, and under noise of the same size."""
    shown = made.family.material.unseen.subset(made.found.explained)
    inputs, labels = shown.pictures.tensors()
    attacked = made.changes.attacked[view.kind][row][0].pictures.tensors()[0]
    noisy = attacks.equal_noise(inputs, attacked, 1000 * made.run.seeds[row], 0, 1)
    return shown, inputs, labels, (attacked, noisy)


@pytest.mark.parametrize("kind", [TRAINED, UNTRAINED])
def test_attacks_stay_in_their_box_and_do_harm(made, kind):
    for row, view in enumerate(views(made, kind)):
        shown, inputs, labels, (attacked, noisy) = changed_inputs(made, view, row)
        again, said = made.changes.attacked[kind][row]
        assert float((attacked - inputs).abs().max()) <= made.run.attack_size + 1e-6
        assert float(attacked.min()) >= 0 and float(attacked.max()) <= 1
        assert torch.equal(again.labels, labels) and torch.equal(again.boxes, shown.boxes)
        # Four steps of half the box each, as TINY says; all six pictures are one batch.
        expected = attacks.pgd(view.network, inputs, labels, 0.1, 4, 1000 * made.run.seeds[row], 0, 1, step=0.05)
        torch.testing.assert_close(attacked, expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(
            (noisy - inputs).flatten(1).norm(dim=1), (attacked - inputs).flatten(1).norm(dim=1), rtol=2e-3, atol=0
        )
        with torch.inference_mode():
            torch.testing.assert_close(said[1], view.network(attacked), rtol=1e-4, atol=1e-4)
            losses = [
                float(nn.functional.cross_entropy(view.network(part), labels)) for part in (inputs, noisy, attacked)
            ]
        assert losses[2] > max(losses[:2])


@pytest.mark.parametrize("kind", [TRAINED, UNTRAINED])
def test_what_an_attack_moves(made, kind):
    """Cells whose symbol is another, ways on the torus, projections by an explicit product, interactions by inclusion."""
    run, grid = made.run, made.run.grid
    assert made.changes.moved[kind].shape == (2, run.samples, 2, len(LENSES), 2)
    for row, view in enumerate(views(made, kind)):
        shown, inputs, _, variants = changed_inputs(made, view, row)
        everything = made.family.material.unseen.pictures.tensors()[0]
        for number, (changed, (s, stage)) in itertools.product((0, 1), zip(variants, enumerate(STAGES), strict=True)):
            changed, one = variants[number], view.stages[stage]
            found = dict(zip(LENSES, made.changes.moved[kind][row, :, s, :, number].T, strict=True))
            cells = [cells_of(view.network, stage, lenses.held(part, shown)) for part in (inputs, changed)]
            old, new = (symbols_of(one.code, part) for part in cells)
            # A cell between two centres may fall to either in the last bits.
            assert np.abs(found["symbols"] - (old != new).mean(1)).max() <= 1 / 9 + 1e-9
            assert np.mean(found["symbols"]) == pytest.approx((old != new).mean(), abs=0.02)
            heard = lenses.hear(view.network, lenses.held(changed, shown), STAGES, run)[0][stage]
            weights = one.chart.som.weights.double().numpy()
            units = cosine_distance(codes_of(heard), weights).argsort(1)[:, : run.best_units]
            before = one.chart.unseen[made.found.explained].numpy()
            ways = [
                np.mean([shift(a, b, grid) for a, b in zip(*pair, strict=True)])
                for pair in zip(before, units, strict=True)
            ]
            assert found["telescope"] == pytest.approx(np.array(ways), abs=1e-9)
            maps = [response(view.network, stage, part).flatten(1).double() for part in (inputs, changed, everything)]
            maps = [part[:, :: -(-part.shape[1] // run.columns)].numpy() for part in maps]
            width = maps[0].shape[1]
            mixing = (
                torch.randn(width, run.projections * 3, generator=torch.Generator().manual_seed(run.seed))
                .double()
                .numpy()
            )
            ratios = []
            for draw in range(run.projections):
                matrix = mixing[:, 3 * draw : 3 * draw + 3] / np.sqrt(width)
                a, b, c = (part @ matrix for part in maps)
                ratios.append(np.linalg.norm(b - a, axis=1) / np.sqrt(np.square(c - c.mean(0)).sum(1).mean()))
            # The scale is that of all pictures; convolutions of other batches differ in the last bits.
            assert found["spectra"] == pytest.approx(np.mean(ratios, 0), rel=1e-3)
            readouts = {stage: one.readout}
            labels = shown.labels
            after = lenses.stagewise_outputs(view.network, readouts, changed, labels, run)[stage].numpy()
            pairs = [
                [interaction(part, run.n_players) for part in both]
                for both in zip(one.outputs.numpy(), after, strict=True)
            ]
            high = [mask for mask in range(2**run.n_players) if order(mask) > run.n_players / 2]
            expected = [np.abs(q - p)[high].sum() / np.abs(p[1:]).sum() for p, q in pairs]
            assert found["interactions"] == pytest.approx(np.array(expected), rel=1e-4)
    assert float(made.changes.moved[kind].min()) >= 0 and float(made.changes.moved[kind].mean()) > 0


def test_best_units_are_those_of_the_map(made):
    """Those of unseen pictures are what the survey stored; those of fitted ones in another order too."""
    view = views(made, TRAINED)[0]
    for stage in STAGES:
        assert torch.equal(
            lens_studies.best_units(view, stage, view.said[UNSEEN][0][stage], made.run), view.stages[stage].chart.unseen
        )
        back = lens_studies._subset(view.said[FITTED][0][stage], torch.arange(44, -1, -1))
        assert torch.equal(
            lens_studies.best_units(view, stage, back, made.run).flip(0), view.stages[stage].chart.fitted
        )


# LENS-4


def asked(made, row):
    """Of one row: places asked, their groups, the pictures and the trained network's logits, in the order of the scores."""
    view, unseen = views(made, TRAINED)[row], made.family.material.unseen
    right = view.right.tolist()
    chosen = sorted(
        place for wanted in (True, False)
        for place in [i for i, one in enumerate(right) if one == wanted][: made.run.warned]
    )  # fmt: skip
    hit = made.changes.attacked[TRAINED][row][0].pictures.tensors()[0]
    others = made.family.material.outside["other"].pictures.tensors()[0]
    inputs = torch.cat([unseen.pictures.tensors()[0][chosen], others, hit])
    boxes = torch.cat(
        [unseen.boxes[chosen], made.family.material.outside["other"].boxes, unseen.boxes[made.found.explained]]
    )
    with torch.inference_mode():
        logits = view.network(inputs)
    count = len(unseen.labels)
    places = [*chosen, *range(count, count + len(others) + len(hit))]
    groups = [0 if right[i] else 1 for i in chosen] + [2] * len(others)
    for i, said in zip(made.found.explained.tolist(), logits[-len(hit) :].argmax(-1).tolist(), strict=True):
        groups.append(3 if right[i] and said != int(unseen.labels[i]) else -1)
    return view, inputs, boxes, logits, np.array(places), np.array(groups)


def test_groups_are_errors_strangers_and_what_an_attack_turned(made, warned):
    length = len(made.family.material.unseen.labels) + 12 + made.run.samples
    assert warned.groups.shape == (2, length)
    for row in (0, 1):
        *_, places, groups = asked(made, row)
        expected = np.full(length, -1)
        expected[places] = groups
        assert np.array_equal(warned.groups[row], expected)
        for part in warned.scores.values():
            for scores in part.values():
                assert np.array_equal(np.isnan(scores[row]), expected < 0)
        assert {0, 1, 2} <= set(groups)


def test_usual_scores_are_their_formulas(made, warned):
    fitted = made.family.material.fitted
    for row in (0, 1):
        view, inputs, _, logits, places, groups = asked(made, row)
        kept, logits = groups >= 0, logits.double().numpy()
        exps = np.exp(logits)
        expected = {"max-softmax": (exps / exps.sum(1, keepdims=True)).max(1), "energy": np.log(exps.sum(1))}
        means = response(view.network, "back", fitted.pictures.tensors()[0]).mean((2, 3)).double().numpy()
        asked_means = response(view.network, "back", inputs).mean((2, 3)).double().numpy()
        labels = fitted.labels.numpy()
        centres = np.stack([means[labels == c].mean(0) for c in range(CLASSES)])
        shared = np.linalg.inv(LedoitWolf(assume_centered=True).fit(means - centres[labels]).covariance_)
        gaps = asked_means[:, None] - centres
        expected["Mahalanobis"] = -np.einsum("ncd,de,nce->nc", gaps, shared, gaps).min(1)
        assert set(expected) == set(USUAL)
        for name, values in expected.items():
            found = warned.scores[TRAINED][name][row][places]
            assert found[kept] == pytest.approx(values[kept], rel=2e-3, abs=1e-4), name
        assert set(warned.scores[UNTRAINED]) == set(LENSES)


@pytest.mark.parametrize("kind", [TRAINED, UNTRAINED])
def test_lens_scores_are_their_formulas(made, warned, kind):
    """At the last stage, and of the class that the trained network names, whoever lends the lens."""
    run, fitted = made.run, made.family.material.fitted
    for row in (0, 1):
        _, inputs, boxes, logits, places, groups = asked(made, row)
        view, named, kept = views(made, kind)[row], logits.argmax(-1).numpy(), groups >= 0
        one = view.stages["back"]
        scores = {name: warned.scores[kind][name][row][places][kept] for name in LENSES}
        pooled = regions.roi_pool(response(view.network, "back", inputs), boxes, (SIDE, SIDE), 3, "max").flatten(2).mT
        given, symbols = likelihoods(one.code, fitted.labels, CLASSES), symbols_of(one.code, pooled)
        expected = np.array([given[cells, name].mean() for cells, name in zip(symbols, named, strict=True)])
        assert np.median(np.abs(scores["symbols"] - expected[kept])) < 1e-9
        assert scores["symbols"].mean() == pytest.approx(expected[kept].mean(), rel=0.02)
        shown = Shown(
            Pictures(inputs.__getitem__, torch.arange(len(inputs)), torch.from_numpy(named), tuple("abc"), ()), boxes
        )
        heard = lenses.hear(view.network, shown, STAGES, run)[0]["back"]
        units = cosine_distance(codes_of(heard), one.chart.som.weights.double().numpy()).argsort(1)[:, : run.best_units]
        away = []
        for own, name in zip(units, named, strict=True):
            centre, mode = class_centre(one.chart.fitted[fitted.labels == int(name)].numpy().ravel(), run.grid)
            away.append(np.mean([np.linalg.norm(unfolded(unit, mode, run.grid) - centre) for unit in own]))
        assert scores["telescope"] == pytest.approx(-np.array(away)[kept])
        outputs = lenses.stagewise_outputs(view.network, {"back": one.readout}, inputs, torch.from_numpy(named), run)[
            "back"
        ]
        shares = np.array([high_share(interaction(part, run.n_players)) for part in outputs.numpy()])
        assert scores["interactions"] == pytest.approx(-shares[kept], rel=1e-3)
        maps = [
            response(view.network, "back", part).flatten(1).double() for part in (fitted.pictures.tensors()[0], inputs)
        ]
        maps = [part[:, :: -(-part.shape[1] // run.columns)].numpy() for part in maps]
        values, axes = np.linalg.eigh(np.cov(maps[0].T))
        ranks = slice(2, 12)
        components = (maps[1] - maps[0].mean(0)) @ axes[:, ::-1][:, ranks]
        spread = -(components**2 / values[::-1][ranks]).mean(1)
        assert scores["spectra"] == pytest.approx(spread[kept], rel=1e-2)


def test_areas_of_warnings_are_those_of_scikit_learn(made, warned):
    rows = lens_studies.warning_rows(warned, TRAINED)
    areas = lens_studies.task_areas(rows, 1)
    for row, (task, (i, name)) in itertools.product((0, 1), itertools.product((1, 2), enumerate((*LENSES, *USUAL)))):
        asked_here = np.isin(warned.groups[row], (0, task))
        expected = roc_auc_score(warned.groups[row][asked_here] == 0, warned.scores[TRAINED][name][row][asked_here])
        assert areas[row, task - 1, i] == pytest.approx(expected)


def test_few_errors_and_no_strangers_are_reasons(made):
    assert "wrong predictions; the claim asks for 50" in lens_studies.warnings(made.found, made.changes)
    bare = SimpleNamespace(run=made.run, first=SimpleNamespace(material=SimpleNamespace(outside={})))
    assert lens_studies.warnings(bare, made.changes) == lens_studies.NO_OUTSIDE


# LENS-5, LENS-6


def test_symbols_that_stay_when_units_are_silenced(made):
    run, shown = made.run, made.family.material.unseen.subset(torch.arange(made.run.read))
    for view in (views(made, TRAINED)[1], views(made, DROPOUT)[0]):
        same = []
        for stage, one in view.stages.items():
            found = response(view.network, stage, shown.pictures.tensors()[0])
            generator = torch.Generator().manual_seed(run.seeds[view.row])
            silent = torch.rand(found.shape[1:], generator=generator) < run.silenced
            assert 0.1 < float(silent.float().mean()) < 0.3
            pooled = regions.roi_pool(found.masked_fill(silent, 0), shown.boxes, (SIDE, SIDE), 3, "max").flatten(2).mT
            same.append((symbols_of(one.code, pooled) == one.code.symbols[UNSEEN].numpy()).mean(1))
        kept = lens_studies.unchanged(view, run)
        assert kept.shape == (run.read,) and 0 < kept.mean() < 1
        assert kept == pytest.approx(np.mean(same, 0), abs=1 / 18 + 1e-9)
        assert kept.mean() == pytest.approx(np.mean(same), abs=0.01)


def test_dropout_sides_are_differences_of_the_views(made):
    found = lens_studies.dropout_sides(made.found, made.family)
    numbers = {name: {} for name in LENSES}
    for kind in (TRAINED, DROPOUT):
        own = [list(one.stages.values()) for one in views(made, kind)]
        numbers["spectra"][kind] = [np.mean([view.alpha[0] for view in row]) for row in own]
        numbers["telescope"][kind] = [np.mean([view.distance[0] for view in row]) for row in own]
        numbers["symbols"][kind] = [lens_studies.unchanged(one, made.run).mean() for one in views(made, kind)]
        numbers["interactions"][kind] = [
            np.mean([high_share(interaction(out, made.run.n_players)) for view in row for out in view.outputs.numpy()])
            for row in own
        ]
    signs = {"spectra": -1, "telescope": -1, "symbols": 1, "interactions": -1}
    assert list(found) == list(LENSES)
    for name, (difference, sign, between) in found.items():
        plain, other = numbers[name][TRAINED], numbers[name][DROPOUT]
        assert difference.value == pytest.approx(np.mean(other) - np.mean(plain)), name
        assert sign == signs[name] and between == pytest.approx(abs(plain[0] - plain[1])), name
    # Resampled maps and spectra: the spread of the difference of means over stages and rows.
    draws = [
        np.mean([[view.alpha for view in one.stages.values()] for one in views(made, kind)], (0, 1))[1:]
        for kind in (DROPOUT, TRAINED)
    ]
    low, high = found["spectra"][0].interval()
    assert (low + high) / 2 == pytest.approx(found["spectra"][0].value) and high > low
    # Student's t with two degrees of freedom: 4.303 deviations to each side.
    assert (high - low) / 2 == pytest.approx(4.303 * np.std(draws[0] - draws[1], ddof=1), rel=0.03)
    assert lens_studies.dropout_sides(made.found, None) == lens_studies.NO_TWINS


def test_main_numbers_are_those_of_the_last_stage(made):
    found = lens_studies.main_numbers(made.found, made.family)
    labels = made.family.material.unseen.labels[: made.run.read]
    expected = {name: {} for name in LENSES}
    for kind in (TRAINED, UNTRAINED, SHUFFLED):
        last = [one.stages["back"] for one in views(made, kind)]
        expected["spectra"][kind] = [view.alpha[0] for view in last]
        expected["symbols"][kind] = [lenses.information(view, labels, made.run) for view in last]
        expected["telescope"][kind] = [float(view.spread.mean()) / view.shuffled_spread for view in last]
        expected["interactions"][kind] = [float(view.explained.mean()) for view in last]
    assert list(found) == list(LENSES)
    for name, part in found.items():
        own = expected[name]
        assert set(part["differences"]) == {UNTRAINED, SHUFFLED}
        for kind in own:
            assert part["values"][kind] == pytest.approx(np.mean(own[kind])), (name, kind)
            if kind != TRAINED:
                difference = part["differences"][kind]
                assert difference.value == pytest.approx(np.mean(own[TRAINED]) - np.mean(own[kind])), (name, kind)
                assert difference.interval()[0] <= difference.value <= difference.interval()[1]
        assert part["between"] == pytest.approx(abs(own[TRAINED][0] - own[TRAINED][1])), name
    assert lens_studies.main_numbers(made.found, None) == lens_studies.NO_TWINS


# LENS-7


def test_responses_of_units(made):
    run = made.run
    shown = made.family.material.unseen.subset(torch.arange(run.read))
    for stage, channels in (("front", 5), ("back", 6)):
        view = views(made, TRAINED)[0]
        found = sparse_units.responses(view, stage, run)
        assert list(found) == list(sparse_units.UNITS)
        assert all(part.shape == (run.read, 9, run.units) for part in found.values())
        cells = cells_of(view.network, stage, shown)
        # Each neuron is one channel, none twice.
        far = (found["neurons"][..., None] - cells[..., None, :]).abs().amax((0, 1))
        taken = far.argmin(1).tolist()
        assert float(far.amin(1).max()) < 1e-5 and len(set(taken)) == run.units < channels and taken == sorted(taken)
        drawn_here = torch.randperm(channels, generator=torch.Generator().manual_seed(run.seeds[view.row]))[: run.units]
        assert taken == drawn_here.sort().values.tolist()
        # What projections say is linear in the cells, and no channel by itself.
        flat, said = cells.flatten(0, 1).double(), found["random projections"].flatten(0, 1).double()
        mixing = torch.linalg.lstsq(flat, said).solution
        torch.testing.assert_close(flat @ mixing, said, rtol=1e-3, atol=1e-3)
        assert bool(((mixing.abs() > 1e-3).sum(0) > 1).all())
        # A map's unit responds by cosine, a symbol by its distance in the embedding: minus it, so never above 0.
        assert float(found["SOM units"].max()) <= 1e-6 and float(found["SOM units"].min()) >= -2
        assert float(found["symbols"].max()) <= 0 and float(found[sparse_units.AUTOENCODER].min()) >= 0
        nearest_symbol = found["symbols"].argmax(-1)
        points, centres = view.stages[stage].code.points[UNSEEN].double(), []
        for unit in range(run.units):
            own = points[nearest_symbol == unit]
            if len(own):
                centres.append(own.mean(0))
        # k-means on fitted cells: unseen ones lie about its centres, nearer than about their common mean.
        assert len(centres) > 1
        assert float(found["symbols"].amax(-1).mean()) > -float((points - points.mean((0, 1))).norm(dim=-1).mean())


def test_truths_are_parts_or_else_classes(made):
    run, unseen = made.run, made.family.material.unseen
    found = sparse_units.truths(made.family, run)
    assert found.tolist() == [[int(label) + 1] * 9 for label in unseen.labels[: run.read]]
    masks = torch.zeros(len(unseen.labels), SIDE, SIDE, dtype=torch.uint8)
    for i, (x, y, *_) in enumerate(unseen.boxes.long().tolist()):
        # The first row of cells shows part 2, their last cell part 5; the rest is ground.
        masks[i, y : y + 4, x : x + 11] = 2
        masks[i, y + 8 : y + 11, x + 8 : x + 11] = 5
    material = SimpleNamespace(known=SimpleNamespace(masks=masks), unseen=unseen)
    found = sparse_units.truths(SimpleNamespace(material=material), run)
    assert found.tolist() == [[2, 2, 2, 0, 0, 0, 0, 0, 5]] * run.read


def test_matches_choose_on_one_half_and_ask_the_other(made):
    run = made.run
    found = sparse_units.matches(made.found)
    labels = made.family.material.unseen.labels[: run.read].numpy()
    assert found.parts.tolist() == [1, 2, 3] and found.stages == STAGES
    for kind in (TRAINED, UNTRAINED):
        for row, view in enumerate(views(made, kind)):
            for s, stage in enumerate(STAGES):
                for unit, values in sparse_units.responses(view, stage, run).items():
                    areas = found.areas[kind][unit]
                    assert areas.shape == (2, 2, 1 + run.bootstrap, 3)
                    learn, ask = (values[start::2].flatten(0, 1).numpy() for start in (0, 1))
                    for p in range(CLASSES):
                        own, other = (np.repeat(labels[start::2] == p, 9) for start in (0, 1))
                        by_unit = [roc_auc_score(own, column) for column in learn.T]
                        best = int(np.abs(np.array(by_unit) - 0.5).argmax())
                        area = roc_auc_score(other, ask[:, best] if by_unit[best] >= 0.5 else -ask[:, best])
                        assert areas[row, s, 0, p] == pytest.approx(area, abs=1e-6), (kind, stage, unit)
    assert all(part.shape == (2, 2, 1, 3) for part in found.shuffled.values())
    # Whole pictures exchange their parts: what is left is chance.
    assert np.mean([part.mean() for part in found.shuffled.values()]) == pytest.approx(0.5, abs=0.1)
