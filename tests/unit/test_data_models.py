"""Data sets, networks, games and the two repairs."""

import gzip
import itertools
import json
import warnings

import numpy as np
import pytest
import sklearn.datasets
import torch
from safetensors.torch import save_file
from sklearn.preprocessing import StandardScaler

from innercodes import data, games, models, parameters
from innercodes.parameters import ParameterError


def test_tic_tac_toe_endings_equal_a_search_through_all_boards():
    """All 3^9 boards, kept when they are a legal end: counts of moves, at most one winner, and who moved last."""

    def lines(board, player):
        return [line for line in data.LINES if all(board[s] == player for s in line)]

    expected = {}
    for board in itertools.product((-1, 0, 1), repeat=9):
        x, o = board.count(1), board.count(-1)
        x_won, o_won = lines(board, 1), lines(board, -1)
        if x_won and not o_won and x == o + 1:
            # Both lines of a double win were finished by the last move, so they share a square.
            shared = set.intersection(*map(set, x_won))
            if shared:
                expected[board] = 1
        elif o_won and not x_won and x == o:
            expected[board] = 0
        elif not x_won and not o_won and x == 5 and o == 4:
            expected[board] = 0
    loaded = data.load("tictactoe")
    found = {tuple(map(int, board)): int(label) for board, label in zip(loaded.inputs, loaded.labels, strict=True)}
    assert found == expected and len(found) == 958 and sum(found.values()) == 626


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("nothing",), "dataset"),
        (("tictactoe", "middle"), "split"),
        (("mnist3",), "data_root"),
        (("mnist3", "train", "x"), "data_root"),
        (("adult", "train", ""), "data_root"),
        (("adult", "test", "x"), "data_root"),
    ],
)
def test_data_that_do_not_exist_are_refused(arguments, name):
    with pytest.raises(ParameterError, match=f"^{name} = "):
        data.load(*arguments)


def test_broken_files_are_named(tmp_path):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"\0\0\10\3not a picture")
    with pytest.raises(ParameterError, match="^data_root = .*MNIST/raw cannot be read"):
        data.load("mnist3", "train", str(tmp_path))


def test_the_digits_are_split_by_class_and_complete():
    train, test = data.load("digits", "train"), data.load("digits", "test")
    inputs, labels = sklearn.datasets.load_digits(return_X_y=True)
    whole = torch.cat([train.inputs, test.inputs]).flatten(1) * 16
    assert sorted(map(tuple, whole.tolist())) == sorted(map(tuple, inputs.tolist()))
    assert train.inputs.shape[1:] == (1, 8, 8) and float(train.inputs.max()) == 1
    for digit in range(10):
        assert int((test.labels == digit).sum()) == (labels == digit).sum() // 3


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_tables_are_standardised_by_their_training_split(name):
    table = getattr(sklearn.datasets, f"load_{name}")()
    train, test = data.load(name, "train"), data.load(name, "test")
    seen = {tuple(row): [] for row in table.data.tolist()}
    assert len(train.labels) + len(test.labels) == len(table.data) >= len(seen)
    third = np.zeros(len(table.target), dtype=bool)
    for label in set(table.target):
        for rank, row in enumerate(np.flatnonzero(table.target == label)):
            third[row] = rank % 3 == 2
    scaler = StandardScaler().fit(table.data[~third])
    torch.testing.assert_close(test.inputs, torch.tensor(scaler.transform(table.data[third])).float())
    torch.testing.assert_close(train.inputs.mean(0), torch.zeros(train.inputs.shape[1]), atol=1e-5, rtol=0)
    assert test.labels.tolist() == table.target[third].tolist()
    assert train.variables == tuple(table.feature_names) and train.owner.tolist() == list(range(len(train.variables)))


def test_parity_is_the_product_of_the_bits():
    every, drawn = data.load("parity", "test"), data.load("parity", "train")
    rows = set(map(tuple, every.inputs.tolist()))
    assert len(rows) == 1024 and set(every.inputs.unique().tolist()) == {-1, 1}
    for part in (every, drawn):
        # Ten bits: an odd number of 1 is an odd number of -1, and that is what the sign of the product says.
        assert torch.equal(part.labels, (part.inputs.prod(-1) < 0).long())
    sampled = list(map(tuple, drawn.inputs.tolist()))
    assert len(sampled) == 1000 > len(set(sampled)) and set(sampled) <= rows


HEAD = (
    "age, workclass, fnlwgt, education, education-num, marital-status, occupation, relationship, race, sex, "
    "capital-gain, capital-loss, hours-per-week, native-country, classification\n"
)
CENSUS = {
    "data": HEAD
    + """20, Private, 7, HS-grad, 9, a, b, c, d, Male, 0, 0, 40, e, <=50K
40, State, 8, HS-grad, 9, a, b, c, d, Female, 0, 5, 40, e, >50K
60, ?, 9, HS-grad, 12, a, b, c, d, Male, 10, 0, 40, ?, >50K
40, Private, 9, HS-grad, 10, a, b, c, d, Male, 10, 5, 40, e, <=50K
""",
    "test": HEAD
    + """30, Elsewhere, 7, HS-grad, 9, a, b, c, d, Female, 0, 0, 40, e, >50K.
40, Private, 7, HS-grad, 9, a, b, c, d, Female, 0, 0, 41, e, <=50K.
""",
}


def write_census(root, **changed):
    (root / "tabular").mkdir()
    for part, text in (CENSUS | changed).items():
        (root / "tabular" / f"adult.{part}.gz").write_bytes(gzip.compress(text.encode()))


def test_census_columns_are_scaled_and_unknown_values_are_zero(tmp_path):
    write_census(tmp_path)
    train, test = data.load("adult", "train", str(tmp_path)), data.load("adult", "test", str(tmp_path))
    assert train.variables == data.ADULT and len(data.ADULT) == 12 and train.labels.tolist() == [0, 1, 1, 0]
    assert test.labels.tolist() == [1, 0]

    def of(part, name):
        return part.inputs[:, part.owner == data.ADULT.index(name)]

    deviation = np.sqrt(200)  # of the ages 20, 40, 60, 40
    torch.testing.assert_close(of(train, "age")[:, 0], torch.tensor([-20, 0, 20, 0]) / deviation, check_dtype=False)
    torch.testing.assert_close(of(test, "age")[:, 0], torch.tensor([-10, 0]) / deviation, check_dtype=False)
    # Private 2 of 3 and State 1 of 3 of the known values; "?" and a value that was never seen are unknown.
    shares = torch.tensor([2 / 3, 1 / 3])
    private, state, unknown = torch.tensor([1.0, 0]) - shares, torch.tensor([0, 1.0]) - shares, torch.zeros(2)
    torch.testing.assert_close(of(train, "workclass"), torch.stack([private, state, unknown, private]))
    torch.testing.assert_close(of(test, "workclass"), torch.stack([unknown, private]))
    # Everybody in the training rows works 40 hours: a column without spread can say nothing, and must not be NaN or infinite.
    assert bool(torch.isfinite(train.inputs).all()) and bool(torch.isfinite(test.inputs).all())


def test_a_broken_census_is_named(tmp_path):
    write_census(tmp_path, test="age, workclass\n1, 2\n")
    with pytest.raises(ParameterError, match="^data_root = .*tabular/adult cannot be read"):
        data.load("adult", "test", str(tmp_path))


def test_balanced_takes_classes_evenly_and_without_repeats():
    labels = torch.tensor([0] * 90 + [1] * 10)
    for size, ones in ((10, 5), (20, 10), (50, 10), (100, 10)):
        picked = data.balanced(labels, size, torch.Generator().manual_seed(1))
        assert len(set(picked.tolist())) == size and int(labels[picked].sum()) == ones
    with pytest.raises(ParameterError, match="train_size = 101"):
        data.balanced(labels, 101, torch.Generator())


def test_ink_parts_are_squares_of_ink_that_do_not_overlap():
    pictures = torch.zeros(2, 1, 32, 32)
    pictures[0, 0, :, 15:18] = 1  # a stroke of 32 x 3 pixels has room for eight squares of 3
    pictures[1, 0, 10:13, 10:13] = 1  # one blob has not
    parts, fits = data.ink_parts(pictures, 8)
    assert fits.tolist() == [True, False]
    assert parts.shape == (2, 8, 32, 32) and int(parts[0].sum(0).max()) == 1
    for part in parts[0]:
        rows, columns = torch.nonzero(part, as_tuple=True)
        assert len(rows) == 9 and int(rows.max() - rows.min()) == 2 and int(columns.max() - columns.min()) == 2
        assert float(pictures[0, 0][part].mean()) >= 0.5


def test_grown_parts_belong_to_the_nearest_centre():
    pictures = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    parts, fits = data.ink_parts(pictures, 8)
    assert fits.all() and torch.equal(data.grown_parts(parts, 3), parts)
    grown = data.grown_parts(parts, 7)
    for b in range(3):
        centres = [torch.nonzero(part).double().mean(0) for part in parts[b]]
        for row, column in itertools.product(range(32), range(32)):
            reach = [max(abs(float(r) - row), abs(float(c) - column)) <= 3 for r, c in centres]
            far = [(float(r) - row) ** 2 + (float(c) - column) ** 2 for r, c in centres]
            owners = sorted((far[p], p) for p in range(8) if reach[p])[:1]
            assert torch.nonzero(grown[b, :, row, column])[:, 0].tolist() == [p for _, p in owners]


def test_ink_regions_nest_and_cover_the_ink():
    picture = data.load("digits", "test").inputs[3, 0]
    regions, groups = data.ink_regions(picture, 12)
    assert torch.equal(regions >= 0, picture > 0) and regions[regions >= 0].unique().tolist() == list(range(12))
    assert sorted(groups) == list(range(2, 13)) and groups[12].tolist() == list(range(12))
    for n in range(2, 12):
        assert groups[n].unique().tolist() == list(range(n))
        # Each group of the larger game lies in one of the smaller: the pairs are as many as the larger game's groups.
        assert len({(int(a), int(b)) for a, b in zip(groups[n + 1], groups[n], strict=True)}) == n + 1
    again = data.ink_regions(picture, 12)
    assert torch.equal(again[0], regions) and all(torch.equal(again[1][n], groups[n]) for n in groups)


def test_ink_regions_find_separate_blobs():
    picture = torch.zeros(20, 20)
    blobs = [(slice(1, 4), slice(1, 4)), (slice(15, 18), slice(2, 6)), (slice(8, 11), slice(15, 19))]
    for blob in blobs:
        picture[blob] = 1
    regions, groups = data.ink_regions(picture, 6)
    of_pixel = torch.where(regions >= 0, groups[3][regions.clamp(min=0)], -1)
    assert [of_pixel[blob].unique().tolist() for blob in blobs] == [[0], [2], [1]]  # by first row: top, right, bottom
    for finest in (1, 34):
        with pytest.raises(ValueError, match="finest"):
            data.ink_regions(picture, finest)


def test_the_networks_have_the_papers_shapes():
    assert models.mlp5()(torch.zeros(3, 9)).shape == (3, 2)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in models.mlp5()) == 5
    assert models.lenet()(torch.zeros(2, 1, 32, 32)).shape == (2, 2)
    assert sum(p.numel() for p in models.lenet(10).parameters()) == 61_706  # LeNet-5's count, with full connections


INPUTS = {
    "mlp3": (10,), "mlp5": (9,), "resmlp5": (9,), "lenet": (1, 32, 32), "cnn": (1, 8, 8), "pointnet": (20, 3), "vit8": (1, 8, 8),
    "rows_lstm": (1, 8, 8), "sentence_lstm": (4, 24, 8), "vit48": (3, 48, 48),
    **{f"resnet{depth}": (3, 8, 8) for depth in (8, 20, 32, 44, 56)}, "vgg13": (3, 32, 32), "vgg16": (3, 32, 32),
}  # fmt: skip


@pytest.mark.parametrize("name", models.NETWORKS)
def test_every_network_gives_its_outputs(name):
    network = models.load(name, 0, outputs=5)
    with torch.no_grad():
        assert network(torch.rand(2, *INPUTS[name])).shape == (2, 5) and not network.training


def test_cifar_resnets_have_the_papers_sizes():
    def size(depth):
        return sum(p.numel() for p in models.cifar_resnet(depth).parameters())

    # Counted by hand: 16, 32, 64 channels, 3 x 3 convolutions without bias, two numbers a channel for BatchNorm, and
    # no weights in the shortcuts (projections instead would add 2752). He et al. print 0.27 M, 0.46 M, 0.66 M and 0.85 M.
    def by_hand(b):
        stages = ((16, 16), (16, 32), (32, 64))
        blocks = sum(9 * c * k + 9 * k * k + 4 * k + (b - 1) * (18 * k * k + 4 * k) for c, k in stages)
        return 9 * 3 * 16 + 2 * 16 + blocks + 65 * 10

    assert [size(6 * b + 2) for b in (1, 3, 5, 7, 9)] == [by_hand(b) for b in (1, 3, 5, 7, 9)]
    assert size(20) == 269_722 and [round(size(d) / 1e6, 2) for d in (20, 32, 44, 56)] == [0.27, 0.46, 0.66, 0.85]
    layers = [m for m in models.cifar_resnet(20).modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 20
    for build, depth in ((models.cifar_resnet, 21), (models.vgg, 15)):
        with pytest.raises(ParameterError, match=f"^depth = {depth}"):
            build(depth)


def test_option_a_shortcuts_are_a_strided_convolution_with_an_identity():
    block = models.cifar_resnet(8).layer2[0].eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 16, 8, 8)
    kernel = torch.zeros(32, 16, 1, 1)
    kernel[torch.arange(16) + 8, torch.arange(16)] = 1
    with torch.no_grad():
        assert torch.equal(block(x), torch.nn.functional.conv2d(x, kernel, stride=2))


def test_resmlp_without_its_middle_weights_is_a_network_of_two_layers():
    network, x = models.load("resmlp5", 0, inputs=6, outputs=3), torch.randn(4, 6)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in network) == 5
    for layer in network[2:5]:
        torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
    torch.testing.assert_close(network(x), network[5](torch.relu(network[0](x))))


def test_pointnet_does_not_see_order_or_repeats():
    network, clouds = models.load("pointnet", 0), torch.randn(2, 30, 3)
    expected = network(clouds)
    torch.testing.assert_close(network(clouds[:, torch.randperm(30)]), expected)
    torch.testing.assert_close(network(torch.cat([clouds, clouds[:, :7]], 1)), expected)


def test_settling_gives_every_batchnorm_the_statistics_of_the_data():
    network, x = (
        models.load("resnet8", 0, channels=1, outputs=2),
        3 + torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
    )
    weights = [p.clone() for p in network.parameters()]
    seen = {}
    norms = {n: m for n, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    for name, norm in norms.items():
        norm.register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o))
    assert models.settle(network, x) is network and not any(m.training for m in network.modules())
    with torch.no_grad():
        network(x)
    for name, norm in norms.items():
        # Not exact: while a batch is normalised by its variance over N, what is kept is that over N - 1, and N is 256 here.
        torch.testing.assert_close(seen[name].mean((0, 2, 3)), torch.zeros(len(norm.weight)), atol=0.02, rtol=0)
        torch.testing.assert_close(seen[name].var((0, 2, 3)), torch.ones(len(norm.weight)), atol=0.03, rtol=0)
        assert norm.momentum == 0.1
    assert all(torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True))
    # In chunks: the mean of the first layer is still that of all inputs, whatever was there before.
    models.settle(network, x, chunk=10)
    torch.testing.assert_close(network.bn1.running_mean, network.conv1(x).mean((0, 2, 3)), atol=0.05, rtol=0.05)
    with pytest.raises(ValueError, match="1 inputs"):
        models.settle(network, x[:1])
    plain = models.load("mlp5", 0)
    assert models.settle(plain, x[:1]) is plain


def test_training_takes_a_last_batch_of_one():
    models.train(
        models.load("pointnet", 0, outputs=2), torch.randn(5, 4, 3), torch.arange(5) % 2, 1, 0.01, 0, batch_size=4
    )


def test_the_twins_of_timm_are_no_identities():
    """Equal to timm's own zero_init_last=False, and without it every block would begin as its shortcut."""
    import timm  # after the repair in _compat

    torch.manual_seed(4)
    expected = timm.create_model("resnet18", zero_init_last=False, num_classes=7).state_dict()
    network = models.load("timm/resnet18", 4, outputs=7)
    found = network.network.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in found)
    x = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(timm.get_pretrained_cfg("resnet18").to_dict()[k])[:, None, None] for k in ("mean", "std"))
    torch.testing.assert_close(network(x), network.network((x - mean) / std))


def describe(path, **changed):
    """A file with weights and, beside it, the JSON that says how they are used."""
    content = {"library": "innercodes", "architecture": "cifar_resnet", "kwargs": {"depth": 8}, "strict": True}
    content |= {"input_size": 32, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    path.with_suffix(".json").write_text(json.dumps(content | changed))


def test_the_file_beside_the_weights_says_how_inputs_are_prepared(tmp_path):
    path = tmp_path / "w.pth"
    plain = models.load("resnet8", 1)
    torch.save(plain.state_dict(), path)
    describe(path)
    x = torch.rand(2, 3, 32, 32)
    expected = plain((x - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1))
    torch.testing.assert_close(models.load("resnet8", 2, str(path))(x), expected)
    assert models.preparation("resnet8", str(path)).input_size == 32 and models.preparation("resnet8") is None
    # The untrained twin prepares its inputs in the same way and never opens the weights.
    path.write_bytes(b"nothing")
    twin, start = models.untrained("resnet8", 2, str(path)), models.load("resnet8", 2)
    assert torch.equal(twin.network.conv1.weight, start.conv1.weight)
    torch.testing.assert_close(twin.normalise.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"kwargs": {"depth": 20}}, "model"),
        ({"library": "timm", "architecture": "resnet18", "kwargs": {}}, "model"),
        ({"kwargs": {"depth": 8, "colour": "red"}}, "weights"),
        ({"kwargs": [8]}, "weights"),
        ({"architecture": None, "library": None}, "model"),
        ({"input_size": "wide"}, "weights"),
        ({"std": [[]]}, "weights"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path, changed, name):
    path = tmp_path / "w.pth"
    torch.save(models.load("resnet8", 1).state_dict(), path)
    describe(path, **changed)
    with pytest.raises(ParameterError, match=f"^{name} = ") as caught:
        models.load("resnet8", 0, str(path))
    assert "\n" not in str(caught.value)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ParameterError, match="^weights = "):
        models.load("resnet8", 0, str(path))


def test_files_that_need_not_be_complete_may_lack_counters_only(tmp_path):
    path = tmp_path / "w.pth"
    whole = models.load("resnet8", 1).state_dict()
    describe(path, strict=False)
    torch.save({key: value for key, value in whole.items() if not key.endswith("num_batches_tracked")}, path)
    loaded = models.load("resnet8", 2, str(path)).network.state_dict()
    assert all(torch.equal(loaded[key], whole[key]) for key in whole)
    for broken in (
        {key: value for key, value in whole.items() if key != "linear.bias"},
        whole | {"more": torch.ones(1)},
    ):
        torch.save(broken, path)
        with pytest.raises(ParameterError, match="^weights = 'w.pth'"):
            models.load("resnet8", 2, str(path))


@pytest.mark.parametrize("name", ["timm/nothing_like_that", "timm/", "timm/hf-hub:someone/something", "resnet18"])
def test_unknown_architectures_are_refused_without_asking_a_hub(name):
    with pytest.raises(ParameterError, match="^model = "):
        models.load(name, 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_parity_networks_that_come_with_the_book(seed):
    """What workflow/checkpoints.py printed: all training samples right, and every sample of shuffled labels that can be."""
    train, every = data.load("parity", "train"), data.load("parity", "test")
    network = models.load("mlp3", 9, models.checkpoint("parity_mlp", seed))
    assert models.accuracy(network, train.inputs, train.labels) == 1
    assert models.accuracy(network, every.inputs, every.labels) > 0.97
    mixed = train.labels[torch.randperm(1000, generator=torch.Generator().manual_seed(seed))]
    votes: dict[tuple, list[int]] = {}
    for row, label in zip(train.inputs.tolist(), mixed.tolist(), strict=True):
        votes.setdefault(tuple(row), []).append(label)
    # Inputs that were drawn twice can have both labels: the larger part of each is all that can be known.
    best = sum(max(v.count(0), v.count(1)) for v in votes.values()) / 1000
    memorising = models.load("mlp3", 9, models.checkpoint("parity_mlp_memorising", seed))
    assert best - 0.01 < models.accuracy(memorising, train.inputs, mixed) <= best < 0.86


def test_checkpoints_that_do_not_exist_are_refused():
    with pytest.raises(ParameterError, match="^seed = 7: must be one of 0, 1, 2"):
        models.checkpoint("parity_mlp", 7)


def test_training_is_repeatable_and_learns():
    boards = data.load("tictactoe")

    def trained(seed):
        network = models.load("mlp5", seed)
        return models.train(network, boards.inputs, boards.labels, epochs=30, learning_rate=0.1, seed=seed)

    first, second, other = trained(1), trained(1), trained(2)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    assert (
        models.accuracy(first, boards.inputs, boards.labels)
        > 0.95
        > models.accuracy(models.load("mlp5", 1), boards.inputs, boards.labels)
    )
    assert not first.training


def test_training_can_be_watched_without_changing_it():
    boards = data.load("tictactoe")
    plain, watched, seen = models.load("mlp5", 1), models.load("mlp5", 1), []
    models.train(plain, boards.inputs, boards.labels, 3, 0.1, 1)
    models.train(
        watched, boards.inputs, boards.labels, 3, 0.1, 1, watch=lambda epoch: seen.append((epoch, watched.training))
    )
    assert seen == [(0, False), (1, False), (2, False)]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


def test_loading_does_not_touch_the_global_generator():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    models.load("mlp5", 7)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_back(tmp_path, suffix):
    network, path = models.load("lenet", 1), tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(network.state_dict(), path)
    loaded = models.load("lenet", 2, str(path))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


class Harmful:
    def __reduce__(self):
        return (warnings.warn, ("code in a checkpoint was run",))


def test_weights_that_do_not_fit_or_hold_code_are_refused(tmp_path):
    other, torn, code = tmp_path / "other.pth", tmp_path / "torn.safetensors", tmp_path / "code.pth"
    torch.save(models.load("mlp5", 0).state_dict(), other)
    torn.write_bytes(b"\1\2\3")
    torch.save({"0.weight": Harmful()}, code)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in (other, torn, code, tmp_path / "missing.pth"):
            with pytest.raises(ParameterError, match=f"^weights = '{path.name}'") as caught:
                models.load("lenet", 0, str(path))
            assert "\n" not in str(caught.value)
    with pytest.raises(ParameterError, match="^model = "):
        models.load("resnet99", 0)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_polynomial_network_has_its_degree(degree):
    """Along a line the (degree + 1)-th difference of a polynomial vanishes and the degree-th does not."""
    network = models.polynomial(4, degree, seed=0)
    ramp = torch.arange(8)[:, None] * torch.ones(4)
    values = network(ramp).numpy()
    assert (
        np.abs(np.diff(values, degree + 1)).max() < 1e-9 * np.abs(values).max() < np.abs(np.diff(values, degree)).max()
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the check of parameters makes out_dir


def run(**changed) -> parameters.Run:
    chapter = "02_sparse_interactions"
    values = {p.name: p.default for p in parameters.CHAPTERS[chapter]} | {"n_samples": 5, "epochs": 1, "n_seeds": 1}
    return parameters.check(chapter, values | changed)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"n_players": 8}, "n_players"),
        ({"model": "lenet"}, "model"),
        ({"n_samples": 959}, "n_samples"),
        ({"train_size": 959}, "train_size"),
        ({"dataset": "mnist3", "model": "lenet"}, "data_root"),
    ],
)
def test_games_that_do_not_fit_together_are_refused(changed, name):
    with pytest.raises(ParameterError, match=f"^{name} = "):
        games.load(run(**changed))


def test_outputs_of_a_game_equal_one_forward_pass_per_mask():
    settings = run(mask_value=0.25)
    game = games.load(settings)
    network = games.train(game, settings)["trained"]
    v = games.outputs(game, network, chunk=100)
    assert v.shape == (1, 5, 512) and v.dtype == torch.float64
    for sample, mask in ((0, 0), (3, 0b101010101), (4, 511)):
        board = torch.tensor([float(game.inputs[sample, i]) if mask >> i & 1 else 0.25 for i in range(9)])
        p = network[0](board).detach().double().softmax(-1)[game.labels[sample]]
        assert float(v[0, sample, mask]) == pytest.approx(float(torch.log(p / (1 - p))), rel=1e-5)


def test_twins_share_the_start_and_shuffling_keeps_the_values():
    settings = run()
    game = games.load(settings)
    networks = games.train(game, settings)
    start = models.load("mlp5", 0)
    same = [torch.equal(a, b) for a, b in zip(start.parameters(), networks["untrained"][0].parameters(), strict=True)]
    assert all(same) and set(networks) == {"trained", "untrained", "memorising"}
    v = torch.randn(2, 3, 8)
    mixed = games.shuffled(v, 0)
    assert not torch.equal(mixed, v) and torch.equal(mixed.sort(-1).values, v.sort(-1).values)


def test_torchvision_and_pyclustering_work_after_the_repairs():
    import timm
    from pyclustering.cluster.xmeans import xmeans
    from torchvision.transforms import v2

    assert timm.create_model("resnet18", num_classes=3).eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    assert v2.CenterCrop(4)(torch.zeros(3, 8, 8)).shape == (3, 4, 4)
    points = np.concatenate([np.random.default_rng(0).normal(c, 0.1, (50, 2)) for c in (0, 5, 10)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = xmeans(points, initial_centers=None, kmax=10, ccore=False)
        model.process()
    assert len(model.get_clusters()) >= 2
