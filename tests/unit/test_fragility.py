"""Small changes and what they move, against networks whose answer is known in closed form."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from torch import nn

from innercodes import attacks, claims, depth, fragility, maps, models, parameters, pictures, telescope, twins
from innercodes.fragility import Attacked, Flips
from innercodes.maps import StageMap

CHAPTER = "03_functional_telescope"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "model": "resnet8", "epochs": 3, "n_seeds": 2, "progress": "off", "device": "cpu", "fitted": 120, "unseen": 60, "grid": 6,
    "sigma": 2.0, "alpha": 0.5, "som_epochs": 1, "best_units": 4, "repeats": 3, "bootstrap": 100,
    "attack_steps": 5, "attack_step": 0.3, "flip_steps": 5,
}  # fmt: skip
STAGES = ("layer1", "layer3")
VARIANTS = ("clean", "PGD", "equal noise", "uniform noise")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


@pytest.fixture(scope="module")
def digits(run):
    return pictures.load("digits", "", run.fitted, run.unseen, run.seed)


@pytest.fixture(scope="module")
def networks(run, digits):
    return twins.build(run, digits[0], kinds=("trained",))


@pytest.fixture(scope="module")
def atlas(run, networks, digits):
    return depth.survey(run, networks, *digits, STAGES, "conv1")


@pytest.fixture(scope="module")
def attacked(networks, digits, atlas):
    chosen = digits[1].spread(40)
    inputs, labels = digits[1].subset(chosen).tensors()
    return fragility.attack(networks, inputs, labels, chosen, atlas)


class Linear(nn.Module):
    """A linear network whose stage "first" is a linear map of the picture."""

    def __init__(self, outputs=3, side=4, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.linear = nn.Linear(5 * side * side, outputs)
        for p in self.parameters():
            nn.init.normal_(p, 0, 0.3, generator=generator)

    def forward(self, x):
        return self.linear(self.first(x).flatten(1))


class Bent(Linear):
    """The same with a ReLU after its stage's linear map, which makes the stage bent."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 5, 3, padding=1), nn.Tanh())
        for i, p in enumerate(self.parameters()):
            nn.init.normal_(p, 0, 0.3, generator=torch.Generator().manual_seed(i))


def pixels(count, side=4, low=0.3, high=0.7, seed=0):
    return low + (high - low) * torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


# Statistics by hand


def test_other_sizes_and_aims_take_their_own_number_of_steps(run, networks, attacked, atlas, monkeypatch):
    taken, climb = [], attacks._climb

    def counted(slope, inputs, size, steps, *rest, **more):
        taken.append(steps)
        return climb(slope, inputs, size, steps, *rest, **more)

    monkeypatch.setattr(attacks, "_climb", counted)
    run = changed(run, flip_steps=3, attack_steps=7)
    fragility.smallest_flips(networks["trained"][0], attacked.inputs, attacked.targets, run, 0)
    fragility.aimed(networks["trained"], attacked, dataclasses.replace(atlas, run=run))
    assert set(taken) == {3}
    taken.clear()
    fragility._variants(networks["trained"][0], attacked.inputs[:2], attacked.targets[:2], run, 0)
    assert taken == [7]


def test_the_distance_to_another_class_is_a_loop_over_units():
    generator = torch.Generator().manual_seed(0)
    som = telescope.SOM(torch.randn(20, 6, generator=generator), (4, 5), torch.empty(0))
    labels, units = (
        torch.arange(70) % 3,
        torch.randint(16, (70, 2), generator=generator),
    )  # four units without a picture
    chart = StageMap(som, 0.1, units, units[:0])
    asked, of = torch.randint(20, (25,), generator=generator), torch.arange(25) % 3
    first = units[:, 0].tolist()
    owner = {}
    for unit in set(first):
        counts = [sum(1 for u, y in zip(first, labels.tolist(), strict=True) if (u, y) == (unit, c)) for c in range(3)]
        owner[unit] = counts.index(max(counts))
    apart = cdist(som.weights.double(), som.weights.double(), "cosine")
    expected = [
        min(apart[u, v] for v in owner if owner[v] != y) for u, y in zip(asked.tolist(), of.tolist(), strict=True)
    ]
    found = fragility.class_distance(chart, labels, asked, of)
    assert found == pytest.approx(expected, abs=1e-6)
    alone = fragility.class_distance(chart, torch.zeros(70).long(), asked, torch.zeros(25).long())
    assert np.isinf(alone).all()  # there is no other class


def test_spearman_with_ties_and_without_what_is_missing():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 6, (3, 40, 2)).astype(float)
    rows[0, ::7, 0], rows[1, 3, 1], rows[2, 5:9, 1] = np.nan, np.nan, np.inf  # infinite sizes are tied at the top
    expected = []
    for pairs in rows:
        kept = pairs[~np.isnan(pairs).any(1)]
        expected.append(spearmanr(kept[:, 0], np.minimum(kept[:, 1], 1e9)).statistic)
    assert fragility.spearman(rows, 1) == pytest.approx(expected)
    assert fragility.spearman(rows.transpose(1, 0, 2), 0) == pytest.approx(expected)
    assert fragility.spearman(rows[0], 0) == pytest.approx(expected[0])
    constant = rows.copy()
    constant[1, :, 0] = 2
    assert np.isnan(fragility.spearman(constant, 1)).tolist() == [False, True, False]
    assert np.isnan(fragility.spearman(np.full((5, 2), np.nan), 0))


def bare(run, units, variant_units, grid=(5, 5)):
    """An attack of pictures whose best units are given: {kind: (seeds, stages, n)} before and after."""
    stages = ("a", "b")
    som = telescope.SOM(torch.zeros(25, 2), grid, torch.empty(0))
    shape = next(iter(units.values())).shape
    charts = {
        kind: [{s: StageMap(som, 1.0, torch.zeros(1, 1), torch.zeros(1, 1)) for s in stages}] * shape[0]
        for kind in units
    }
    none = {}
    atlas = depth.Atlas(run, stages, "", torch.zeros(0), torch.zeros(0), none, none, charts, none)
    said = {
        kind: [
            {
                "clean": {s: units[kind][i, j][:, None] for j, s in enumerate(stages)},
                **{
                    name: {s: rows[kind][i, j][:, None] for j, s in enumerate(stages)}
                    for name, rows in variant_units.items()
                },
            }
            for i in range(shape[0])
        ]
        for kind in units
    }
    return Attacked(none, torch.zeros(0), torch.zeros(0), torch.zeros(0), none, none, said), atlas


def test_a_relative_shift_by_hand(run):
    before = torch.tensor([[[0, 6, 12], [0, 0, 24]]])  # of one seed: two stages, three pictures
    after = torch.tensor([[[0, 7, 12], [4, 0, 0]]])
    found, atlas = bare(run, {"trained": before}, {"PGD": {"trained": after}})
    # On a 5 x 5 torus: 0, 6 and 12 lie sqrt 2, sqrt 8 and sqrt 2 from each other; 24 lies sqrt 2 from 0.
    random = [(2 * 2**0.5 + 8**0.5) / 3, 2 * 2**0.5 / 3]
    expected = [[0, 1 / random[1]], [1 / random[0], 0], [0, 2**0.5 / random[1]]]
    assert found.relative_shift(atlas, "trained", "PGD")[0] == pytest.approx(np.array(expected))
    grid = telescope.grid_distances(5)
    each = [float(grid[a, b]) for a, b in itertools.permutations(range(0, 25, 3), 2)]
    assert fragility.random_distance(torch.arange(0, 25, 3), (5, 5)) == pytest.approx(np.mean(each))
    alike, atlas = bare(run, {"trained": before * 0 + 3}, {"PGD": {"trained": before * 0 + 3}})
    assert (alike.relative_shift(atlas, "trained", "PGD") == 0).all()


# The attacks


def test_variants_stay_in_their_box_and_in_the_range_of_pixels(run, networks, attacked):
    assert torch.equal(attacked.inputs, attacked.variants["trained"][0]["clean"])
    for kind, i in itertools.product(depth.BOTH, range(2)):
        made = attacked.variants[kind][i]
        assert tuple(made) == VARIANTS
        moved = {name: x - attacked.inputs for name, x in made.items()}
        assert all(float(x.min()) >= 0 and float(x.max()) <= 1 for x in made.values())
        assert float(moved["PGD"].abs().max()) <= 0.1 + 1e-6 and float(moved["PGD"].abs().max()) > 0.09
        assert float(moved["uniform noise"].min()) >= -1e-6 and 0.09 < float(moved["uniform noise"].max()) <= 0.1 + 1e-6
        norms = [moved[name].flatten(1).norm(dim=1) for name in ("PGD", "equal noise")]
        torch.testing.assert_close(*norms, rtol=3e-3, atol=0)
        network, y = networks[kind][i], attacked.targets
        with torch.no_grad():
            loss = {name: float(nn.functional.cross_entropy(network(x), y)) for name, x in made.items()}
            for name, x in made.items():
                assert attacked.right[kind][i][name].tolist() == (network(x).argmax(-1) == y).tolist()
        assert loss["PGD"] > max(loss["clean"], loss["equal noise"], loss["uniform noise"])
    assert not torch.equal(attacked.variants["trained"][0]["PGD"], attacked.variants["trained"][1]["PGD"])


def test_the_attack_has_the_steps_of_the_run(run, networks, attacked):
    expected = attacks.pgd(networks["trained"][1], attacked.inputs, attacked.targets, 0.1, 5, 1000, 0, 1, step=0.03)
    torch.testing.assert_close(attacked.variants["trained"][1]["PGD"], expected)


def test_units_are_those_of_the_changed_pictures(run, networks, attacked, atlas):
    for kind, i, name, stage in itertools.product(depth.BOTH, range(2), VARIANTS, STAGES):
        codes = maps.collect({kind: [networks[kind][i]]}, [attacked.variants[kind][i][name]], [stage], run)[kind][0][
            stage
        ]
        expected = telescope.best_units(atlas.charts[kind][i][stage].som, maps.coded(codes, run.coding), 4)
        assert torch.equal(attacked.units[kind][i][name][stage], expected)
        if name == "clean":  # places of the pictures among the unseen ones
            assert torch.equal(expected, atlas.charts[kind][i][stage].unseen[attacked.rows])


def test_a_network_that_is_there_once_stands_in_every_row(run, networks, attacked, digits):
    one = {"trained": networks["trained"][:1], "untrained": networks["untrained"]}
    small = depth.survey(run, one, *digits, STAGES, "conv1")
    found = fragility.attack(one, attacked.inputs[:6], attacked.targets[:6], attacked.rows[:6], small)
    assert [len(part["trained"]) for part in (found.variants, found.right, found.units)] == [2, 2, 2]
    assert found.variants["trained"][0] is found.variants["trained"][1]
    assert not torch.equal(found.units["trained"][0]["clean"]["layer1"], found.units["trained"][1]["clean"]["layer1"])


def test_the_same_attack_can_be_placed_on_other_maps(run, networks, attacked, atlas):
    raw = changed(run, coding="raw")
    charts = maps.charts({k: atlas.fitted[k] for k in depth.BOTH}, {k: atlas.unseen[k] for k in depth.BOTH}, raw)
    other = dataclasses.replace(atlas, run=raw, charts=charts)
    moved, anew = (
        fragility.locate(attacked, other),
        fragility.attack(networks, attacked.inputs, attacked.targets, attacked.rows, other),
    )
    for kind, i, name, stage in itertools.product(depth.BOTH, range(2), VARIANTS, STAGES):
        assert torch.equal(moved.units[kind][i][name][stage], anew.units[kind][i][name][stage])
    assert moved.variants is attacked.variants and moved.right is attacked.right
    same = fragility.locate(attacked, atlas).units["trained"][1]["PGD"]["layer3"]
    assert torch.equal(same, attacked.units["trained"][1]["PGD"]["layer3"])


def test_targets_are_the_classes_or_what_the_network_says(run, networks, attacked):
    network, labels = networks["trained"][0], attacked.targets
    outputs = torch.arange(10).flip(0)
    assert torch.equal(fragility.targets(network, attacked.inputs, labels, outputs), 9 - labels)
    with torch.no_grad():
        own = network(attacked.inputs).argmax(-1)
    assert torch.equal(fragility.targets(network, attacked.inputs, labels, None), own)


def test_right_answers_and_width(run, networks, digits):
    inputs, labels = digits[1].tensors()
    found = fragility.right_on(networks["trained"], digits[1], torch.arange(10))
    with torch.no_grad():
        expected = [(network(inputs).argmax(-1) == labels).tolist() for network in networks["trained"]]
    assert found.tolist() == expected
    accuracy = fragility.accuracies_on(networks, digits[1], torch.arange(10))
    assert accuracy["trained"] == pytest.approx(np.mean(expected, 1)) and set(accuracy) == set(networks)
    assert fragility.accuracies_on(networks, digits[1], None) == {}
    assert not fragility.right_on(networks["trained"], digits[1], None).any()
    assert fragility.width(networks["trained"][0], digits[0]) == 10


# TEL-11 to TEL-14


def rights(clean, **variants):
    """An attack of which only right answers are known: (seeds, n) for each perturbation."""
    rows = {"clean": clean, **variants}
    per_seed = [{name: np.array(row[i], bool) for name, row in rows.items()} for i in range(len(clean))]
    return Attacked({}, torch.zeros(0), torch.zeros(0), torch.zeros(0), {}, {"trained": per_seed}, {})


def test_an_attack_destroys_what_it_takes(run):
    found = fragility.attack_destroys(rights([[1, 1, 1, 0], [1, 1, 1, 1]], PGD=[[0, 0, 1, 0], [1, 0, 0, 0]]), run)
    assert found["value"] == pytest.approx(np.mean([0.5, 0.75])) and found["ci"][0] <= found["value"] <= found["ci"][1]
    assert found["baseline"] == pytest.approx({"accuracy, clean": 0.875, "accuracy, PGD": 0.25})


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_is_harmful_in_both_directions(run, sign):
    rng = np.random.default_rng(0)
    low, high = np.zeros((2, 200)), (rng.random((2, 200)) < 0.3).astype(float)
    parts = {"clean": low, "uniform noise": high} if sign > 0 else {"clean": high, "uniform noise": low}
    found = fragility.noise_is_harmless(rights(parts.pop("clean"), **parts), run)
    assert found["value"] == pytest.approx(high.mean())
    # Standard error of a mean over pictures, each the mean of two seeds.
    error = high.mean(0).std() / 200**0.5
    assert found["ci"] == pytest.approx((high.mean() - 1.96 * error, high.mean() + 1.96 * error), abs=error)
    assert 0 < found["ci"][0] < found["value"] < found["ci"][1]


def test_harmless_noise_has_an_interval_from_zero(run):
    clean = np.arange(100)[None] % 2
    found = fragility.noise_is_harmless(rights(clean, **{"uniform noise": 1 - clean}), run)
    assert found["value"] == 0 and found["ci"][0] == 0 < found["ci"][1] < 0.4


def random_units(seed, *shape, high=25):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def test_growing_shifts_by_hand(run):
    before = {kind: random_units(i, 2, 2, 30) for i, kind in enumerate(depth.BOTH)}
    after = {
        name: {kind: random_units(5 + 2 * j + i, 2, 2, 30) for i, kind in enumerate(depth.BOTH)}
        for j, name in enumerate(VARIANTS[1:])
    }
    found, atlas = bare(run, before, after)
    shift = {
        (k, n): found.relative_shift(atlas, k, n).mean(1) for k in depth.BOTH for n in VARIANTS[1:]
    }  # (seeds, stages)
    excess = {kind: (shift[kind, "PGD"] - shift[kind, "equal noise"]).mean(0) for kind in depth.BOTH}
    grown = fragility.shift_grows(found, atlas)
    assert grown["value"] == pytest.approx(excess["trained"][1] - excess["trained"][0])
    assert grown["twin"].value == pytest.approx(grown["value"] - (excess["untrained"][1] - excess["untrained"][0]))
    first, last = shift["trained", "PGD"].mean(0)
    assert grown["also"] == pytest.approx({"last_over_first": last / first})
    moved = fragility.noise_moves_little(found, atlas)
    assert moved["value"] == pytest.approx(shift["trained", "uniform noise"].max(1).mean())
    grid = telescope.grid_distances(5).numpy()
    by_stage = [grid[before["trained"][:, s], after["uniform noise"]["trained"][:, s]] for s in range(2)]
    assert moved["also"]["median_shift"] == pytest.approx(max(np.median(rows) for rows in by_stage))


def quotient(run, moved, count):
    """`last_over_first` where so many of the pictures move at the first stage, by a step, and all do at the last."""
    before = torch.arange(count).expand(1, 2, count) % 25
    after = before.clone()
    after[0, 0, :moved] += 1
    after[0, 1] = (after[0, 1] + 1) % 25
    units = {kind: before for kind in depth.BOTH}
    found, atlas = bare(run, units, {name: {kind: after for kind in depth.BOTH} for name in ("PGD", "equal noise")})
    return fragility.shift_grows(found, atlas)["also"]["last_over_first"], found.relative_shift(
        atlas, "trained", "PGD"
    )[0]


def test_a_first_stage_that_does_not_move_has_a_finite_quotient(run):
    value, shifts = quotient(run, 0, 20)
    assert shifts[:, 0].max() == 0 and shifts[:, 1].min() > 0 and np.isfinite(value) and value > 2


@pytest.mark.parametrize("moved", [0, 1])
def test_the_least_shift_is_one_picture_by_one_step(run, moved):
    value, shifts = quotient(run, moved, 20)
    _, one = quotient(run, 1, 20)
    assert value == pytest.approx(shifts[:, 1].mean() / one[:, 0].mean())


# TEL-16


def test_flips_of_a_linear_network_come_at_the_margin_over_the_norm(run):
    network, inputs = Linear(outputs=2), pixels(60, low=0.48, high=0.52)
    with torch.no_grad():
        network.linear.bias -= network(inputs).median(0).values  # so that both answers occur
        logits, basis = network(inputs), network(torch.eye(16).view(16, 1, 4, 4)) - network(torch.zeros(1, 1, 4, 4))
    right = logits.argmax(-1)
    margin = (logits[:, 0] - logits[:, 1]).abs()
    needed = (margin / (basis[:, 0] - basis[:, 1]).abs().sum()).numpy()  # L-infinity against L1
    run = changed(run, attack_size=float(np.median(needed)) / 1.5, flip_steps=10)
    sizes = np.array(fragility.FLIPS) * run.attack_size
    assert sizes.max() < 0.4  # no pixel reaches 0 or 1
    expected = np.array([min([s for s in sizes if s > n], default=np.inf) for n in needed])
    found = fragility.smallest_flips(network, inputs, right, run, 0)
    assert found == pytest.approx(expected) and len(set(found)) > 4
    wrong = fragility.smallest_flips(network, inputs, 1 - right, run, 0)
    assert wrong == pytest.approx(np.full(60, sizes[0]))  # what is wrong already needs nothing


def test_a_network_that_cannot_flip_needs_an_infinite_size(run):
    network = Linear(outputs=2)
    nn.init.zeros_(network.linear.weight)
    network.linear.bias.data = torch.tensor([1.0, 0.0])
    assert np.isinf(fragility.smallest_flips(network, pixels(5), torch.zeros(5).long(), run, 0)).all()


def test_flips_of_the_attacked_pictures(run, networks, attacked, atlas):
    found = fragility.flips(networks["trained"], attacked, atlas, attacked.targets)
    assert found.sizes.shape == (2, 40) and torch.equal(found.pictures, attacked.rows)
    for i in range(2):
        right = attacked.right["trained"][i]["clean"]
        assert np.isnan(found.sizes[i]).tolist() == (~right).tolist()
        sizes = fragility.smallest_flips(networks["trained"][i], attacked.inputs, attacked.targets, run, run.seeds[i])
        assert found.sizes[i][right] == pytest.approx(sizes[right])
        for name, kind, stage in (
            ("first stage", "trained", "layer1"),
            ("last stage", "trained", "layer3"),
            ("untrained", "untrained", "layer1"),
        ):
            units = attacked.units[kind][i]["clean"][stage][:, 0]
            expected = fragility.class_distance(atlas.charts[kind][i][stage], atlas.labels, units, attacked.targets)
            assert found.distances[name][i].tolist() == expected.tolist()
        with torch.no_grad():
            top = networks["trained"][i](attacked.inputs).double().softmax(-1).sort(-1).values
        assert found.distances["max-softmax margin"][i] == pytest.approx((top[:, -1] - top[:, -2]).numpy())


def test_protection_is_a_rank_correlation_with_reasons_where_there_is_none(run, atlas):
    rng = np.random.default_rng(0)
    sizes = rng.choice([0.1, 0.2, 0.5, np.inf], (2, 40))
    sizes[:, :6] = np.nan
    apart = {name: rng.random((2, 40)) for name in ("first stage", "last stage", "untrained", "max-softmax margin")}
    apart["first stage"][0, 10] = np.inf  # no other class on the map
    found = fragility.distance_protects(Flips(sizes, apart, torch.arange(40)), atlas)
    expected = []
    for i in range(2):
        kept = ~np.isnan(sizes[i]) & np.isfinite(apart["first stage"][i])
        expected.append(spearmanr(apart["first stage"][i][kept], np.minimum(sizes[i][kept], 9)).statistic)
    assert found["value"] == pytest.approx(np.mean(expected)) and found["note"] == "34 pictures"
    assert set(found["baseline"]) == {"untrained", "last stage", "max-softmax margin"}
    few = np.where(np.arange(40) < 19, 0.1, np.nan)[None].repeat(2, 0)
    assert fragility.distance_protects(Flips(few, apart, torch.arange(40)), atlas).startswith("Fewer than 20")
    same = np.full((2, 40), 0.5)
    assert fragility.distance_protects(Flips(same, apart, torch.arange(40)), atlas).startswith("All pictures flip")
    poor = dataclasses.replace(atlas, labels=torch.arange(120).clamp(max=3))
    assert fragility.distance_protects(Flips(sizes, apart, torch.arange(40)), poor).startswith("A class has 1")


# TEL-19


def test_a_linear_stage_has_no_share_that_is_not_linear(run):
    inputs = pixels(5)
    moved = inputs + 0.2 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))
    assert fragility.nonlinear_share(Linear(), "first", inputs, moved, run) == pytest.approx(np.zeros(5), abs=1e-5)
    assert (fragility.nonlinear_share(Bent(), "first", inputs, inputs, run) == 0).all()


def share_by_differences(stage, inputs, moved, step=1e-5):
    """The share from a Jacobian of central differences, one pixel at a time, in double precision."""
    found = []
    with torch.no_grad():
        for x, y in zip(inputs.double(), moved.double(), strict=True):
            columns = torch.eye(x.numel(), dtype=torch.float64).view(-1, *x.shape) * step
            jacobian = (stage(x + columns) - stage(x - columns)).flatten(1) / (2 * step)
            change = (stage(y[None]) - stage(x[None])).flatten()
            found.append(float((change - (y - x).flatten() @ jacobian).norm() / change.norm()))
    return found


def test_the_share_is_that_of_a_jacobian_of_differences(run):
    inputs = pixels(6)
    moved = inputs + 0.1 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))
    network = Bent()
    found = fragility.nonlinear_share(network, "first", inputs, moved, run)
    assert not network.first._forward_hooks
    assert found == pytest.approx(share_by_differences(network.double().first, inputs, moved), rel=2e-3)
    assert found.min() > 1e-3


@pytest.mark.parametrize("name", ["vit8", "resnet8"])
def test_the_share_of_real_networks(run, name):
    network = models.load(name, 0, outputs=10, channels=1)
    inputs = pixels(3, 8)
    moved = inputs + 0.05 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(1))
    stage = twins.chosen_stages(network, "auto")[0][0]
    found = fragility.nonlinear_share(network, stage, inputs, moved, run)
    network, said = network.double(), {}
    dict(network.named_modules())[stage].register_forward_hook(lambda _m, _i, out: said.update(out=out))

    def map_of(x):
        network(x)
        return said["out"]

    assert found == pytest.approx(share_by_differences(map_of, inputs, moved), rel=2e-2)


def test_the_share_of_a_recurrent_network(run):
    network = models.load("rows_lstm", 0, outputs=10, channels=1)
    assert len(fragility.nonlinear_share(network, "layer1", pixels(2, 8), pixels(2, 8, seed=1), run)) == 2


def test_shares_of_both_perturbations(run, networks, attacked):
    found = fragility.nonlinear_shares(networks["trained"], attacked, "layer1", run, most=7)
    assert set(found) == {"PGD", "equal noise"} and found["PGD"].shape == (2, 7)
    expected = fragility.nonlinear_share(
        networks["trained"][1], "layer1", attacked.inputs[:7], attacked.variants["trained"][1]["PGD"][:7], run
    )
    assert found["PGD"][1] == pytest.approx(expected) and found["equal noise"].min() > 0 and found["PGD"].max() < 1


# Attacks aimed at a stage


def relative_motion(network, stage, before, after):
    said = []
    hook = dict(network.named_modules())[stage].register_forward_hook(lambda _m, _i, out: said.append(out.flatten(1)))
    with torch.no_grad():
        network(before), network(after)
    hook.remove()
    return ((said[1] - said[0]).norm(dim=1) / said[0].norm(dim=1)).numpy()


@pytest.mark.parametrize("name", ["resnet8", "vit8"])
def test_an_attack_on_a_stage_moves_it_farther_than_noise(run, networks, digits, name):
    inputs = digits[1].tensors()[0][:12]
    network = networks["trained"][0] if name == "resnet8" else models.load("vit8", 0, outputs=10, channels=1)
    stage = twins.chosen_stages(network, "auto")[0][0]
    hit = fragility.stage_attack(network, stage, inputs, run, 0)
    assert (
        float((hit - inputs).abs().max()) <= run.attack_size + 1e-6 and float(hit.min()) >= 0 and float(hit.max()) <= 1
    )
    noise = attacks.equal_noise(inputs, hit, 0, 0, 1)
    moved = [relative_motion(network, stage, inputs, x) for x in (hit, noise)]
    assert (moved[0] > 0.95 * moved[1]).all() and moved[0].mean() > 1.1 * moved[1].mean()
    assert torch.equal(hit, fragility.stage_attack(network, stage, inputs, run, 0))
    assert not any(module._forward_hooks for module in network.modules())


def test_aims_by_hand(run, networks, attacked, atlas):
    found = fragility.aimed(networks["trained"], attacked, atlas)
    assert list(found) == ["the answer", *STAGES] and all(set(row) == {*STAGES, "accuracy"} for row in found.values())
    answer = attacked.relative_shift(atlas, "trained", "PGD").mean(1)  # (seeds, stages)
    for j, stage in enumerate(STAGES):
        assert found["the answer"][stage] == pytest.approx(answer[:, j])
    shares = [seed["PGD"].mean() for seed in attacked.right["trained"]]
    assert found["the answer"]["accuracy"] == pytest.approx(shares)
    hit = fragility.stage_attack(networks["trained"][1], "layer1", attacked.inputs, run, run.seeds[1])
    codes = maps.collect({"now": [networks["trained"][1]]}, [hit], STAGES, run)["now"][0]
    for stage in STAGES:
        chart = atlas.charts["trained"][1][stage]
        after = telescope.best_units(chart.som, maps.coded(codes[stage], run.coding), 1)[:, 0]
        before = attacked.units["trained"][1]["clean"][stage][:, 0]
        grid = telescope.grid_distances(6)
        random = [float(grid[a, b]) for a, b in itertools.permutations(before.tolist(), 2)]
        assert found["layer1"][stage][1] == pytest.approx(float(grid[before, after].mean()) / np.mean(random))


def test_every_endpoint_can_be_judged(run, attacked, atlas):
    registered = claims.of_chapter(CHAPTER)
    for claim, endpoint in {
        "TEL-11": fragility.attack_destroys(attacked, run),
        "TEL-12": fragility.noise_is_harmless(attacked, run),
        "TEL-13": fragility.shift_grows(attacked, atlas),
        "TEL-14": fragility.noise_moves_little(attacked, atlas),
    }.items():
        scale = registered[claim]["scales"]["quick"]
        twin = endpoint["twin"].interval() if scale["twin"] else None
        numbers = [
            endpoint["value"],
            *endpoint["ci"],
            *endpoint.get("also", {}).values(),
            *endpoint["baseline"].values(),
        ]
        assert np.isfinite(numbers).all()
        assert (
            claims.judge(scale, endpoint["value"], endpoint["ci"], endpoint.get("also"), twin)[0] in claims.VERDICTS[:3]
        )
    shares = fragility.accuracies(attacked)
    assert shares["trained"]["clean"] == pytest.approx(
        np.mean([seed["clean"].mean() for seed in attacked.right["trained"]])
    )
