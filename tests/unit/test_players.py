"""Who the players of each data set are, and what the network gets to see when some are masked."""

import gzip
import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

from innercodes import data, models, players
from innercodes.parameters import ParameterError, Run


def run(**changed) -> Run:
    values = {
        "dataset": "tictactoe", "model": "mlp5", "n_players": 9, "n_samples": 4, "train_size": 100, "mask_value": 0.0,
        "seed": 0, "data_root": "", "weights": "", "part_size": 3,
    }  # fmt: skip
    return Run("a chapter", values | changed, torch.device("cpu"), (0,), False)


WAYS = {
    "tictactoe": {"mask_value": 0.25},
    "breast_cancer": {"n_players": 6, "mask_value": -0.5},
    "wine": {"model": "resmlp5", "n_players": 10},
    "parity": {"model": "mlp3", "n_players": 10, "train_size": 1000},
    "digits": {"model": "cnn", "n_players": 5, "mask_value": 0.1},
    "mnist3": {"model": "lenet", "n_players": 8},
    "mnist3, larger parts": {"dataset": "mnist3", "model": "resnet20", "n_players": 8, "part_size": 7},
    "adult": {"n_players": 4, "train_size": 40},
    "imagenette": {"model": "timm/test_vit", "n_players": 6, "mask_value": 0.5},
    "motorbike": {"model": "pointnet"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Tiny files in the layout of the real data sets, with nothing of theirs in them."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    _write_mnist(root / "MNIST" / "raw")
    _write_census(root / "tabular", random)
    _write_pictures(root / "imagenette", random)
    _write_clouds(root / "pointclouds", random)
    return str(root)


def _write_mnist(folder):
    """The embedded digits, three times as large."""
    folder.mkdir(parents=True)
    for split, name in (("train", "train"), ("test", "t10k")):
        digits = data.load("digits", split)
        large = torch.nn.functional.interpolate(digits.inputs, size=(28, 28), mode="bilinear").mul(255).byte()
        header = np.array([0x803, len(large), 28, 28], dtype=">i4").tobytes()
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + large.numpy().tobytes())
        header = np.array([0x801, len(large)], dtype=">i4").tobytes()
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + digits.labels.byte().numpy().tobytes())


def _write_census(folder, random):
    folder.mkdir()
    columns = [*data.ADULT, "fnlwgt", "education", "classification"]
    for part in ("data", "test"):
        rows = [", ".join(columns)]
        for i in range(60):
            numbers = {"age", "education-num", "capital-gain", "capital-loss", "hours-per-week", "fnlwgt"}
            row = [str(random.integers(99)) if c in numbers else str(random.choice(list("abc?"))) for c in columns[:-1]]
            rows.append(", ".join([*row, (">50K", "<=50K")[i % 2]]))
        (folder / f"adult.{part}.gz").write_bytes(gzip.compress("\n".join(rows).encode()))


def _write_pictures(folder, random):
    classes = {"n01440764": 0, "n02102040": 217}
    for wnid in classes:
        (folder / "val" / wnid).mkdir(parents=True)
        for i in range(3):
            pixels = random.integers(0, 256, (180, 200, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "val" / wnid / f"{i}.JPEG")
    described = {wnid: {"index": index, "name": "a thing"} for wnid, index in classes.items()}
    (folder / "classes.json").write_text(json.dumps(described))


def _write_clouds(folder, random):
    folder.mkdir()
    clouds = {
        f"cloud{i}": random.normal(1, 0.2, (size, 3)).astype(np.float32)
        for i, size in enumerate((2300, 2800, 2500, 2600))
    }
    parts = {name: [list(range(part, len(cloud), 9)) for part in range(9)] for name, cloud in clouds.items()}
    np.savez(folder / "shapenet_motorbike.npz", **clouds)
    content = {"player_names": [f"part {i}" for i in range(9)], "players": parts}
    (folder / "shapenet_motorbike_players.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))


def game_of(name, root, **changed):
    return players.build(run(**{"dataset": name, "data_root": root} | WAYS[name] | changed))


@pytest.mark.parametrize("name", WAYS)
def test_a_game_fits_its_network(name, root):
    game = game_of(name, root)
    settings = run(**{"dataset": name} | WAYS[name])
    assert len(game.inputs) == 4 and game.n == settings.n_players == len(game.player_names)
    network = models.load(settings.model, 0, **game.sizes)
    masks = torch.rand(3, game.n) < 0.5
    with torch.no_grad():
        views = game.masked(1, masks)
        assert views.shape[0] == 3 and views.shape[2:] == game.inputs.shape[1:] and views.dtype == torch.float32
        logits = network(views.flatten(0, 1))
        if len(game.train.labels):
            assert network(game.train.inputs[:5]).shape == (5, len(game.train.classes))
    if game.labels is not None:
        assert game.labels.dtype == torch.int64 and game.labels.shape == (4,)
        assert int(game.labels.max()) < logits.shape[-1] == len(game.train.classes)


@pytest.mark.parametrize("name", WAYS)
def test_games_are_the_same_for_the_same_seed(name, root):
    first, second, other = game_of(name, root), game_of(name, root), game_of(name, root, seed=1)
    assert torch.equal(first.inputs, second.inputs) and torch.equal(first.train.inputs, second.train.inputs)
    assert not torch.equal(first.inputs, other.inputs) or name in ("imagenette", "motorbike")


@pytest.mark.parametrize("name", [name for name in WAYS if name not in ("digits", "mnist3", "mnist3, larger parts")])
def test_showing_all_players_shows_the_whole_input(name, root):
    game = game_of(name, root)
    for sample in range(4):
        everything = game.masked(sample, torch.ones(1, game.n, dtype=torch.bool))[0]
        assert torch.equal(everything, game.inputs[sample][None])


@pytest.mark.parametrize("name", ["tictactoe", "breast_cancer", "wine", "parity"])
def test_a_masked_variable_holds_the_mask_value(name, root):
    game = game_of(name, root)
    value = WAYS[name].get("mask_value", 0.0)
    masks = torch.rand(6, game.n, generator=torch.Generator().manual_seed(0)) < 0.5
    for sample, (m, mask) in itertools.product(range(4), enumerate(masks)):
        expected = [float(game.inputs[sample, i]) if shown else value for i, shown in enumerate(mask)]
        assert game.masked(sample, masks)[m, 0].tolist() == pytest.approx(expected)


def test_a_masked_column_of_the_census_is_masked_in_all_its_inputs(root):
    game = game_of("adult", root, mask_value=0.75)
    whole = data.load("adult", "test", root)
    assert game.player_names == ("age", "workclass", "education-num", "marital-status")
    owner = [int(o) for o in whole.owner if o < 4]
    assert game.sizes == {"inputs": len(owner), "outputs": 2} and owner.count(1) == 3
    mask = torch.tensor([[True, False, True, False]])
    for sample in range(4):
        shown = game.masked(sample, mask)[0, 0]
        for i, column in enumerate(owner):
            assert float(shown[i]) == (float(game.inputs[sample, i]) if column in (0, 2) else 0.75)


@pytest.mark.parametrize(
    ("name", "size", "grown"), [("digits", 2, 2), ("mnist3", 3, 3), ("mnist3, larger parts", 3, 7)]
)
def test_masked_parts_and_the_background_of_a_three(name, size, grown, root):
    """Pixel by pixel, as section 5 of the paper file says it."""
    value = 0.1
    game = game_of(name, root, mask_value=value)
    picture = game.inputs[2, 0]
    squares, fits = data.ink_parts(game.inputs, game.n, size)
    squares = data.matched_parts(squares)
    squares = data.grown_parts(squares, grown)[2] if grown > size else squares[2]
    assert bool(fits.all()) and int(game.labels.min()) == 1
    masks = torch.rand(3, game.n, generator=torch.Generator().manual_seed(0)) < 0.5
    views = game.masked(2, masks)
    assert views.shape[1] == 10
    for m, view in itertools.product(range(3), (0, 4, 9)):
        expected = torch.empty_like(picture)
        for pixel in itertools.product(*map(range, picture.shape)):
            here = float(picture[pixel])
            part = next((p for p in range(game.n) if squares[(p, *pixel)]), None)
            if part is None:
                expected[pixel] = value + (view + 1) / 10 * (here - value)
            else:
                expected[pixel] = here if masks[m, part] else value
        torch.testing.assert_close(views[m, view, 0], expected)


def test_large_parts_are_about_the_same_places(root):
    """The claim that size does not matter is judged on the same samples with the same number of players."""
    games = [game_of("mnist3", root, part_size=size) for size in (3, 5, 7)]
    assert all(torch.equal(game.inputs, games[0].inputs) for game in games)
    none = torch.zeros(1, 8, dtype=torch.bool)
    # The last view shows the background whole: what is hidden grows with the parts.
    hidden = [(game.masked(0, none)[0, -1, 0] != game.inputs[0, 0]) for game in games]
    assert bool((hidden[0] <= hidden[1]).all()) and bool((hidden[1] <= hidden[2]).all())
    assert int(hidden[0].sum()) < int(hidden[1].sum()) < int(hidden[2].sum())


def test_patches_of_a_picture(root):
    game = game_of("imagenette", root)  # 6 players: 2 rows and 3 columns
    assert game.inputs.shape[1:] == (3, 160, 160) and 0 <= float(game.inputs.min()) <= float(game.inputs.max()) <= 1
    assert sorted(game.labels.tolist()) == [0, 0, 217, 217] and len(game.train.labels) == 0
    assert "tench" in game.train.classes[0] and len(game.train.classes) == 1000
    shown = game.masked(3, torch.tensor([[False, True, False, False, False, True]]))[0, 0]
    for row, column in itertools.product(range(160), range(160)):
        visible = (row * 2 // 160, column * 3 // 160) in ((0, 1), (1, 2))
        expected = game.inputs[3, :, row, column] if visible else torch.full((3,), 0.5)
        assert torch.equal(shown[:, row, column], expected)
    assert game.player_names[5] == "row 2, column 3"


@pytest.mark.parametrize(
    ("n", "grid"), [(2, (1, 2)), (9, (3, 3)), (12, (3, 4)), (16, (4, 4)), (10, (2, 5)), (3, (1, 3))]
)
def test_grids_are_as_square_as_can_be(n, grid):
    assert players._grid(n) == grid


def test_masked_parts_of_a_motorbike_move_to_its_centre(root):
    game = game_of("motorbike", root)
    clouds, owner, _ = data.motorbikes(root)
    assert clouds.shape == (4, 2500, 3) and game.labels is None
    torch.testing.assert_close(clouds.mean(1), torch.zeros(4, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(clouds.norm(dim=-1).amax(-1), torch.ones(4))
    mask = torch.zeros(1, 9, dtype=torch.bool)
    mask[0, 4] = True
    shown = game.masked(2, mask)[0, 0]
    assert torch.equal(shown[owner[2] == 4], clouds[2][owner[2] == 4]) and not shown[owner[2] != 4].any()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"dataset": "nothing"}, "dataset"),
        ({"n_players": 8}, "n_players"),
        ({"model": "lenet"}, "model"),
        ({"n_samples": 959}, "n_samples"),
        ({"train_size": 959}, "train_size"),
        ({"dataset": "wine", "n_players": 13}, "n_players"),
        ({"dataset": "wine", "n_samples": 59}, "n_samples"),
        ({"dataset": "breast_cancer", "model": "timm/resnet18"}, "model"),
        ({"dataset": "parity", "model": "mlp3", "n_players": 11}, "n_players"),
        ({"dataset": "digits", "model": "cnn", "n_players": 9, "n_samples": 1}, "n_samples"),
        ({"dataset": "mnist3", "model": "lenet"}, "data_root"),
        ({"dataset": "mnist3", "model": "lenet", "part_size": 4}, "part_size"),
        ({"dataset": "adult"}, "data_root"),
        ({"dataset": "imagenette", "model": "timm/test_vit"}, "data_root"),
        ({"dataset": "imagenette", "model": "timm/test_vit", "n_players": 7}, "n_players"),
        ({"dataset": "imagenette", "model": "timm/test_nothing"}, "model"),
        ({"dataset": "imagenette", "model": "resnet20"}, "model"),
        ({"dataset": "motorbike", "model": "pointnet"}, "data_root"),
    ],
)  # fmt: skip
def test_games_that_do_not_fit_together_are_refused(changed, name):
    with pytest.raises(ParameterError, match=f"^{name} = ") as caught:
        players.build(run(**changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"dataset": "imagenette", "model": "timm/test_vit", "n_samples": 7}, "n_samples"),
        ({"dataset": "motorbike", "model": "pointnet", "n_samples": 5}, "n_samples"),
        ({"dataset": "motorbike", "model": "pointnet", "n_players": 8}, "n_players"),
        ({"dataset": "motorbike", "model": "pointnet", "mask_value": 0.5}, "mask_value"),
    ],
)
def test_what_the_files_do_not_hold_is_refused(changed, name, root):
    with pytest.raises(ParameterError, match=f"^{name} = "):
        players.build(run(data_root=root, **changed))


def test_broken_files_are_named(tmp_path):
    (tmp_path / "imagenette" / "val" / "n01440764").mkdir(parents=True)
    (tmp_path / "imagenette" / "val" / "n01440764" / "0.JPEG").write_bytes(b"no picture")
    (tmp_path / "imagenette" / "classes.json").write_text('{"n01440764": {"index": 0}}')
    (tmp_path / "pointclouds").mkdir()
    for name in ("shapenet_motorbike.npz", "shapenet_motorbike_players.json.gz"):
        (tmp_path / "pointclouds" / name).write_bytes(b"nothing")
    for changed in ({"dataset": "imagenette", "model": "timm/test_vit"}, {"dataset": "motorbike", "model": "pointnet"}):
        with pytest.raises(ParameterError, match=r"^data_root = .* cannot be read"):
            players.build(run(data_root=str(tmp_path), n_samples=1, **changed))


def test_every_network_of_a_data_set_can_be_built():
    for name, (_, networks) in players.BUILDERS.items():
        for network in networks:
            if not network.endswith("/") and network != "lstm":
                assert network in models.NETWORKS, name


def test_parts_correspond_between_samples():
    """The assignment to the first sample's parts is the best of all n! ones, and only the numbering changes."""
    digits = data.load("digits", "test")
    parts = data.ink_parts(digits.inputs[digits.labels == 3][:12], 5, 2)[0]
    matched = data.matched_parts(parts)
    assert torch.equal(matched[0], parts[0]) and torch.equal(matched.sum(1), parts.sum(1))

    def centres(part):
        return torch.nonzero(part).double().mean(0)

    goal = torch.stack([centres(part) for part in parts[0]])
    for before, after in zip(parts, matched, strict=True):
        own = torch.stack([centres(part) for part in before])
        costs = [float((own[list(order)] - goal).square().sum()) for order in itertools.permutations(range(len(goal)))]
        found = torch.stack([centres(part) for part in after])
        assert float((found - goal).square().sum()) == pytest.approx(min(costs))


def test_a_game_can_be_played_on_other_inputs(root):
    game = game_of("mnist3", root)
    masks = torch.ones(1, game.n, dtype=torch.bool)
    moved = game.masking(game.inputs + 0.1)
    assert torch.equal(game.masking(game.inputs)(1, masks), game.masked(1, masks))
    torch.testing.assert_close(moved(1, masks)[0, -1], game.inputs[1] + 0.1)
