"""Entropy against counting, the toy model against autograd and closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from innercodes import superposition

SPARSITIES = 1 - 1 / torch.logspace(0, 2, 5, dtype=torch.float64)


def test_compression_at_its_limits_and_at_one_half():
    s = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    assert superposition.compression_ratio(s, 16).tolist() == pytest.approx([1, 0.5 + 1 / 16, 0])
    assert float(superposition.compression_ratio(0.25, 32)) == pytest.approx(0.75 + entropy([0.25, 0.75], base=2) / 32)
    assert superposition.compression_ratio(s[None], 16).shape == (1, 3)


@given(st.integers(1, 12), st.floats(0.01, 0.99))
def test_compression_is_the_entropy_of_a_zeroed_symbol(bits, sparsity):
    # A symbol of its own for the zero, and 2^bits equally likely ones.
    p = [sparsity, *[(1 - sparsity) / 2**bits] * 2**bits]
    assert float(superposition.compression_ratio(sparsity, bits)) == pytest.approx(entropy(p, base=2) / bits, abs=1e-9)


def test_compression_exceeds_its_line_by_at_most_one_over_h_and_is_not_monotone():
    s = torch.linspace(0, 1, 1001, dtype=torch.float64)
    excess = superposition.compression_ratio(s, 16) - (1 - s)
    assert float(excess.max()) == pytest.approx(1 / 16) and int(excess.argmax()) == 500 and (excess >= 0).all()
    one_bit = superposition.compression_ratio(s, 1)
    assert float(s[one_bit.argmax()]) == pytest.approx(1 / 3, abs=1e-3) and float(one_bit.max()) == pytest.approx(
        1.585, abs=1e-3
    )


def test_dimensions_of_orthonormal_antipodal_and_missing_features():
    orthonormal = torch.eye(4, 9)
    assert float(superposition.dimensions_per_feature(orthonormal)) == 1
    assert superposition.feature_dimensionality(orthonormal).tolist() == [1] * 4 + [0] * 5
    pairs = torch.cat([torch.eye(4), -torch.eye(4)], 1)
    assert float(superposition.dimensions_per_feature(pairs)) == 0.5
    assert superposition.feature_dimensionality(pairs).tolist() == pytest.approx([0.5] * 8)
    angles = 2 * math.pi * torch.arange(5, dtype=torch.float64) / 5
    pentagon = torch.stack([angles.cos(), angles.sin()])
    assert superposition.feature_dimensionality(pentagon).tolist() == pytest.approx([2 / 5] * 5)
    both = torch.stack([orthonormal, torch.cat([pairs, torch.zeros(4, 1)], 1)])
    assert superposition.dimensions_per_feature(both).tolist() == [1, 0.5]
    assert superposition.feature_dimensionality(both).shape == (2, 9)


def test_feature_dimensionality_by_the_formula_one_feature_at_a_time():
    w = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i in range(7):
        unit = w[:, i] / w[:, i].norm()
        expected = w[:, i].square().sum() / sum((unit @ w[:, j]) ** 2 for j in range(7))
        assert float(superposition.feature_dimensionality(w)[i]) == pytest.approx(float(expected))


def test_gradients_by_hand_are_those_of_autograd():
    generator = torch.Generator().manual_seed(0)
    w, b, x = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((2, 3, 6), (2, 1, 6), (2, 8, 6))
    )
    x = x.relu()
    kept = x.clone()
    loss, by_w, by_b = superposition._gradients(w, b, x)
    w.requires_grad_(True), b.requires_grad_(True)
    plain = (x - torch.relu(torch.einsum("smn,sbm->sbn", w, torch.einsum("smn,sbn->sbm", w, x)) + b)).square()
    plain = plain.sum(-1).mean(-1)
    plain.sum().backward()
    torch.testing.assert_close(loss, plain.detach())
    torch.testing.assert_close(by_w, w.grad)
    torch.testing.assert_close(by_b, b.grad)
    assert torch.equal(x, kept)


def test_dense_features_reach_the_optimum_of_principal_components():
    # Nothing is ever 0, so that the best is linear: the n - m directions left out keep their variance 1 / 12.
    toy = superposition.train(8, 3, torch.zeros(2), 3000, 128, 1e-2)
    assert toy.losses.tolist() == pytest.approx([5 / 12] * 2, rel=0.05)
    assert superposition.dimensions_per_feature(toy.weights).tolist() == pytest.approx([1, 1], abs=0.05)


def test_sparse_features_share_dimensions():
    toy = superposition.train(20, 5, SPARSITIES, 600, 128, 1e-2, seed=1)
    found = superposition.dimensions_per_feature(toy.weights)
    assert toy.weights.shape == (5, 5, 20) and toy.biases.shape == (5, 20) and toy.losses.shape == (5,)
    assert torch.equal(toy.sparsities, SPARSITIES)
    assert (found[:4].diff() < -0.05).all() and float(found[-1]) < 0.25
    # All features 0 is what an untrained model may answer at best: E x^2 = (1 - S) / 3 each.
    assert (toy.losses < 20 * (1 - SPARSITIES) / 3).all()


def test_inputs_have_the_sparsity_and_the_values_they_should(monkeypatch):
    seen = []
    true = superposition._gradients
    monkeypatch.setattr(superposition, "_gradients", lambda w, b, x: seen.append(x.clone()) or true(w, b, x))
    superposition.train(50, 2, torch.tensor([0.0, 0.9]), 3, 400)
    dense, sparse = torch.stack(seen).unbind(1)
    assert (dense > 0).double().mean() > 0.999 and float(dense.mean()) == pytest.approx(0.5, abs=0.01)
    assert float((sparse == 0).double().mean()) == pytest.approx(0.9, abs=0.01)
    kept = sparse[sparse > 0]
    assert float(kept.mean()) == pytest.approx(0.5, abs=0.02) and float(kept.var()) == pytest.approx(1 / 12, abs=0.01)
    assert not torch.equal(seen[0], seen[1])


def test_same_seed_same_model_and_each_sparsity_its_own():
    first, second, other = (superposition.train(10, 2, torch.tensor([0.5, 0.5]), 20, 32, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.weights, second.weights) and torch.equal(first.losses, second.losses)
    assert not torch.equal(first.weights, other.weights) and not torch.equal(first.weights[0], first.weights[1])


def test_plateaus_are_counted():
    ratio = torch.tensor([1, 1.4, 2.0, 2.8, 4.0])
    count = superposition.plateaus
    assert count(ratio, torch.tensor([1.0, 0.96, 0.7, 0.52, 0.47])) == 2
    assert count(ratio.flip(0), torch.tensor([1.0, 0.96, 0.7, 0.52, 0.47]).flip(0)) == 2
    assert count(ratio, torch.tensor([1.0, 0.9, 0.7, 0.52, 0.47])) == 1
    assert count(ratio, torch.tensor([1.0, 0.9, 0.5, 0.3, 0.5])) == 0  # not neighbours
    assert count(torch.tensor([1, 1.1, 1.2, 1.25, 1.7]), torch.tensor([0.5, 0.5, 0.5, 0.5, 0.1])) == 0  # too near
    with pytest.raises(ValueError, match=r"^ratio: no two neighbours of 20 points are apart by a factor of 1.3"):
        count(torch.logspace(0, 2, 20), torch.ones(20))
    # The sweep of 13 points has steps of 1.4678, one of exactly 1.3 counts too.
    assert count(torch.tensor([1, 1.3], dtype=torch.float64), torch.tensor([0.98, 1.02])) == 1
    ratio = torch.logspace(0, 2, 13, dtype=torch.float64)
    assert count(ratio, superposition.compression_ratio(1 - 1 / ratio, 16)) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": 0}, "features = 0: must be at least 1"),
        ({"hidden": 0}, "hidden = 0: must be at least 1"),
        ({"steps": 0}, "steps = 0: must be at least 1"),
        ({"batch_size": 0}, "batch_size = 0: must be at least 1"),
        ({"sparsities": torch.tensor([1.0])}, "sparsities: must be below 1"),
        ({"sparsities": torch.tensor([-0.5])}, r"sparsity = \[-0.5\]: must be from 0 to 1"),
    ],
)
def test_bad_settings_are_refused(changed, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        superposition.train(**{"features": 4, "hidden": 2, "sparsities": torch.zeros(1), "steps": 1} | changed)
    with pytest.raises(ValueError, match="^entropy_bits = 0: must be above 0"):
        superposition.compression_ratio(0.5, 0)
