"""Data sets, networks, games and the two repairs."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

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


def test_the_networks_have_the_papers_shapes():
    assert models.mlp5()(torch.zeros(3, 9)).shape == (3, 2)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in models.mlp5()) == 5
    assert models.lenet()(torch.zeros(2, 1, 32, 32)).shape == (2, 2)
    assert sum(p.numel() for p in models.lenet(10).parameters()) == 61_706  # LeNet-5's count, with full connections


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
        ({"weights": __file__, "n_seeds": 2}, "n_seeds"),
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
