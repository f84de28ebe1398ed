"""The sparse autoencoder and the matching of units with parts: independent statements, planted dictionaries, brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from innercodes import sparse_units
from innercodes import symbols as lens
from innercodes.sparse_units import AUTOENCODER, UNITS, Matches, SparseAutoencoder


def planted(count=600, units=6, dimensions=12, seed=0):
    """Vectors that are one of a few directions each, and which."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(dimensions, units, generator=generator)).Q.T
    which = torch.randint(units, (count,), generator=generator)
    strength = 1 + torch.rand(count, 1, generator=generator)
    return strength * directions[which], which, directions


def by_hand(model, vector):
    """The code of one vector: every response in turn, then the largest ones kept."""
    x = [(float(v) - float(m)) / float(model.scale) for v, m in zip(vector, model.mean, strict=True)]
    answers = []
    for unit in range(len(model.bias)):
        total = float(model.bias[unit]) + sum(x[i] * float(model.encoder[i, unit]) for i in range(len(x)))
        answers.append(max(total, 0.0))
    kept = sorted(range(len(answers)), key=lambda i: -answers[i])[: model.active]
    return [answer if i in kept else 0.0 for i, answer in enumerate(answers)]


def test_codes_are_the_largest_responses():
    generator = torch.Generator().manual_seed(1)
    encoder = torch.randn(5, 7, generator=generator)
    parts = (torch.randn(7, generator=generator), torch.randn(7, 5, generator=generator))
    model = SparseAutoencoder(encoder, *parts, torch.randn(5, generator=generator), torch.tensor(1.7), 3)
    vectors = torch.randn(4, 5, generator=generator)
    expected = torch.tensor([by_hand(model, vector) for vector in vectors])
    torch.testing.assert_close(model.encode(vectors), expected, rtol=1e-4, atol=1e-5)
    whole = model.encode(vectors) @ model.decoder * 1.7 + model.mean
    torch.testing.assert_close(model.decode(model.encode(vectors)), whole)
    assert bool(((model.encode(vectors) > 0).sum(-1) <= 3).all())


def test_planted_directions_are_found_and_the_same_seed_gives_the_same_bits():
    vectors, which, directions = planted()
    model = sparse_units.train(vectors, 12, 2, 400, seed=3)
    assert sparse_units.missed(model, vectors) < 0.1
    assert (
        sparse_units.missed(model, vectors) < sparse_units.missed(sparse_units.train(vectors, 12, 2, 1, 3), vectors) / 3
    )
    torch.testing.assert_close(model.decoder.norm(dim=1), torch.ones(12))
    again = sparse_units.train(vectors, 12, 2, 400, seed=3)
    assert torch.equal(model.encoder, again.encoder)
    assert not torch.equal(model.encoder, sparse_units.train(vectors, 12, 2, 400, seed=4).encoder)
    for number in range(len(directions)):
        best = max(
            lens.auroc(answers[which == number], answers[which != number]) for answers in model.respond(vectors).T
        )
        assert best > 0.95


@pytest.mark.parametrize(
    ("vectors", "active", "message"),
    [
        (torch.ones(5, 3), 1, "vectors: shape"),
        (torch.rand(5, 3), 9, "active = 9: must be from 1 to 4"),
        (torch.rand(5, 3), 0, "active = 0"),
    ],
)
def test_bad_input_is_refused(vectors, active, message):
    with pytest.raises(ValueError, match=message):
        sparse_units.train(vectors, 4, active, 2, 0)


@pytest.mark.parametrize(("units", "expected"), [(1, (1, 1)), (7, (1, 7)), (16, (4, 4)), (32, (4, 8)), (60, (6, 10))])
def test_maps_are_as_square_as_they_can_be(units, expected):
    assert sparse_units.sides(units) == expected


@given(st.integers(0, 10_000))
def test_weighted_area_is_that_of_repeated_cells(seed):
    random = np.random.default_rng(seed)
    scores = random.integers(0, 5, 30).astype(float)
    inside = random.random(30) < 0.4
    weights = random.integers(0, 3, (4, 30))
    found = sparse_units.weighted_auroc(scores, inside, weights)
    for area, weight in zip(found, weights, strict=True):
        repeated, side = np.repeat(scores, weight), np.repeat(inside, weight)
        if side.all() or not side.any():
            assert np.isnan(area)
            continue
        pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in repeated[side] for b in repeated[~side]]
        assert area == pytest.approx(np.mean(pairs))


def test_units_are_chosen_as_brute_force_would():
    generator = torch.Generator().manual_seed(2)
    values = torch.randint(0, 6, (20, 3, 5), generator=generator).float()
    truth = torch.randint(0, 3, (20, 3), generator=generator)
    values[..., 2] = -(truth == 1).float() * 10 + values[..., 2]
    found = sparse_units.match(values, truth, torch.tensor([1, 2]))
    for part, unit, sign in zip((1, 2), found.units.tolist(), found.signs.tolist(), strict=True):
        areas = [lens.auroc(values[..., u][truth == part], values[..., u][truth != part]) for u in range(5)]
        assert abs(areas[unit] - 0.5) == pytest.approx(max(abs(a - 0.5) for a in areas))
        assert sign == (1 if areas[unit] >= 0.5 else -1)
    assert found.units[0] == 2 and found.signs[0] == -1
    areas = sparse_units.held_out(values, truth, found, np.ones((1, 20), dtype=int))
    assert areas.shape == (1, 2)
    assert areas[0, 0] == pytest.approx(lens.auroc(-values[..., 2][truth == 1], -values[..., 2][truth != 1]))


def made(gains, twin=0.0):
    """Matches of two rows, two stages, 50 draws and three parts in which each kind of units has its own mean."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.01, (51, 3))
    noise[0] = 0

    def area(kind, unit):
        gain = gains.get(unit, 0) if kind == "trained" else twin * (unit == AUTOENCODER)
        return np.full((2, 2, 51, 3), 0.6 + gain) + noise * (unit == AUTOENCODER)

    areas = {kind: {unit: area(kind, unit) for unit in UNITS} for kind in ("trained", "untrained")}
    return Matches(("a", "b"), torch.tensor([1, 2, 5]), areas, {unit: np.full((2, 2, 1, 3), 0.52) for unit in UNITS})


def test_the_best_other_kind_is_what_counts():
    found = sparse_units.best_units(made({AUTOENCODER: 0.2, "neurons": 0.05, "symbols": 0.15}))
    assert found["value"] == pytest.approx(0.05)
    assert found["ci"][0] < 0.05 < found["ci"][1] and found["ci"][0] > 0
    assert found["twin"].value == pytest.approx(0.05)
    assert found["baseline"]["symbols"] == pytest.approx(0.75) and found["baseline"]["untrained"] == pytest.approx(0)
    assert found["baseline"]["autoencoder, shuffled parts"] == pytest.approx(0.52)
    lost = sparse_units.best_units(made({"random projections": 0.3}, twin=0.1))
    assert lost["value"] == pytest.approx(-0.3) and lost["twin"].value == pytest.approx(-0.4)


def test_no_part_is_a_reason():
    empty = made({})
    empty = Matches(empty.stages, torch.empty(0, dtype=torch.int64), empty.areas, empty.shuffled)
    assert isinstance(sparse_units.best_units(empty), str)


def test_tables_have_the_means():
    found = made({AUTOENCODER: 0.2})
    table = sparse_units.table(found)
    row = table[(table["kind"] == "trained") & (table["reader"] == AUTOENCODER) & (table["stage"] == "b")].iloc[0]
    assert row["value"] == pytest.approx(0.8) and row["low"] < 0.8 < row["high"]
    assert set(table["kind"]) == {"trained", "untrained", "shuffled parts"}
    parts = sparse_units.by_part(found, ["x", "y", "z", "u", "v"])
    assert list(parts["part"].unique()) == ["x", "y", "v"] and len(parts) == 3 * len(UNITS)
