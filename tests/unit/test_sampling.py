"""Interactions from sampled masks: the masks, the AND terms, and the sparse regression."""

import itertools
import math

import pytest
import torch

from innercodes import interactions, sampling
from innercodes.coalitions import coalitions
from innercodes.parameters import ParameterError


def planted(n, terms, max_order, seed):
    """A random game of few AND terms: coalitions with effects of at least 0.2, and what it says on masks by brute force."""
    generator = torch.Generator().manual_seed(seed)
    chosen = set()
    while len(chosen) < terms:
        order = int(torch.randint(1, max_order + 1, (), generator=generator))
        chosen.add(tuple(sorted(torch.randperm(n, generator=generator)[:order].tolist())))
    effects = torch.randn(terms, dtype=torch.float64, generator=generator)
    game = dict(zip(sorted(chosen), (effects + 0.2 * effects.sign()).tolist(), strict=True))

    def output(masks):
        sums = [1.5 + sum(e for c, e in game.items() if all(mask[i] for i in c)) for mask in masks.tolist()]
        return torch.tensor(sums, dtype=torch.float64)

    return game, output


@pytest.mark.parametrize(("n", "size"), [(20, 1000), (20, 21), (30, 2000), (5, 32), (5, 20), (2, 3), (10, 1000)])
def test_sampled_masks_are_different_and_hold_every_order(n, size):
    masks = sampling.sample_masks(n, size, seed=1)
    assert masks.shape == (size, n) and masks.dtype == torch.bool
    assert not masks[0].any() and masks[1].all()
    assert len(masks.unique(dim=0)) == size
    counts = masks.sum(-1).bincount(minlength=n + 1).tolist()
    assert min(counts) >= 1
    # As many of each order as of any other, unless the order has no more: none may be left out for another.
    for k, count in enumerate(counts[1:-1], start=1):
        assert count == math.comb(n, k) or count >= max(counts[1:-1]) - 1


def test_sampled_masks_depend_on_the_seed_alone_and_are_fair_to_players():
    masks = sampling.sample_masks(20, 4000, seed=0)
    assert torch.equal(masks, sampling.sample_masks(20, 4000, seed=0))
    assert not torch.equal(masks, sampling.sample_masks(20, 4000, seed=1))
    # Every player is shown in half of the masks: standard error 0.008.
    assert float((masks.double().mean(0) - 0.5).abs().max()) < 0.04


def test_features_are_the_products_of_the_players():
    masks = sampling.sample_masks(6, 40, seed=0)
    design, terms = sampling.features(masks, 3)
    assert terms == tuple(c for k in (1, 2, 3) for c in itertools.combinations(range(6), k))
    assert design.dtype == torch.float64 and design.shape == (40, 6 + 15 + 20)
    for column, term in zip(design.T, terms, strict=True):
        assert column.tolist() == [float(all(mask[i] for i in term)) for mask in masks.tolist()]


@pytest.mark.parametrize(("terms", "seed"), [(10, 0), (10, 1), (25, 2)])
def test_a_planted_game_of_20_players_is_recovered_exactly(terms, seed):
    game, output = planted(20, terms, 3, seed)
    masks = sampling.sample_masks(20, 1200, seed)
    found = sampling.fit(masks, output(masks), 3, seed=seed)
    # 1200 of 1,048,576 masks and 1350 candidate terms.
    large = {c: e for c, e in zip(found.coalitions, found.effects.tolist(), strict=True) if abs(e) > 1e-6}
    assert large == pytest.approx(game, abs=1e-9)
    assert found.empty == pytest.approx(1.5, abs=1e-9) and found.r2 > 1 - 1e-12
    strengths = found.effects.abs().tolist()
    assert strengths == sorted(strengths, reverse=True)
    other = sampling.sample_masks(20, 100, seed + 10)
    assert torch.allclose(found.predict(other), output(other), atol=1e-8)


def test_effects_are_the_exact_dividends_at_12_players():
    game, output = planted(12, 12, 4, seed=3)
    exact = interactions.harsanyi(output(coalitions(12)))
    masks = sampling.sample_masks(12, 800, seed=0)
    found = sampling.fit(masks, output(masks), 4)
    estimate = torch.zeros_like(exact)
    for coalition, effect in zip(found.coalitions, found.effects, strict=True):
        estimate[sum(2**i for i in coalition)] = effect
    estimate[0] = found.empty
    assert torch.allclose(estimate, exact, atol=1e-8) and set(game) <= set(found.coalitions)


def test_noise_costs_accuracy_and_few_wrong_terms():
    game, output = planted(20, 10, 2, seed=4)
    masks = sampling.sample_masks(20, 800, seed=0)
    noise = 0.1 * torch.randn(800, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = sampling.fit(masks, output(masks) + noise, 2)
    estimate = dict(zip(found.coalitions, found.effects.tolist(), strict=True))
    assert set(game) <= set(estimate) and len(estimate) <= 15
    assert max(abs(estimate[c] - e) for c, e in game.items()) < 0.1
    assert 0.9 < found.r2 < 1


def test_pure_noise_is_not_explained():
    masks = sampling.sample_masks(16, 400, seed=0)
    noise = torch.randn(400, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert sampling.fit(masks, noise, 2).r2 < 0.1


def test_a_term_above_the_largest_order_shows_in_r2():
    masks = sampling.sample_masks(9, 300, seed=0)
    output = masks[:, :6].all(-1).double() * 3 + masks[:, 7].double()
    assert sampling.fit(masks, output, 2).r2 < 0.99 < sampling.fit(masks, output, 6, penalty=0.01).r2


def test_constant_outputs_have_no_terms():
    masks = sampling.sample_masks(8, 60, seed=0)
    found = sampling.fit(masks, torch.full((60,), 2.0), 2)
    assert found.coalitions == () and found.empty == pytest.approx(2) and math.isnan(found.r2)
    assert torch.allclose(found.predict(masks), torch.full((60,), 2.0).double())


def test_what_cannot_be_fitted_is_refused():
    masks = sampling.sample_masks(8, 60, seed=0)
    outputs = masks.double().sum(-1)
    for arguments, name in [
        ((masks[:10], outputs[:10], 2), "n_masks"),
        ((masks, outputs, 0), "max_order"),
        ((masks, outputs, 9), "max_order"),
        ((masks, outputs, 2, 0.0), "penalty"),
        ((masks, outputs, 2, "lots"), "penalty"),
    ]:
        with pytest.raises(ParameterError, match=f"^{name} = "):
            sampling.fit(*arguments)
    with pytest.raises(ValueError, match="one for each mask"):
        sampling.fit(masks, outputs[:-1], 2)
    with pytest.raises(ValueError, match="NaN"):
        sampling.fit(masks, outputs * torch.nan, 2)
    for n, size, name in [(1, 2, "n_players"), (8, 8, "n_masks"), (8, 257, "n_masks")]:
        with pytest.raises(ParameterError, match=f"^{name} = "):
            sampling.sample_masks(n, size, 0)
    with pytest.raises(MemoryError, match="max_order = 20"):
        sampling.features(torch.ones(100_000, 40, dtype=torch.bool), 20)
