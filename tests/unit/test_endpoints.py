"""The measured quantity of each claim against loops, other libraries and cases whose answer is known."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from innercodes import data, endpoints, interactions, stats
from innercodes.and_or import AndOr


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def fit_of(and_: torch.Tensor, or_: torch.Tensor) -> AndOr:
    norm = and_.abs().sum(-1)
    return AndOr(and_, or_, torch.zeros_like(and_), norm, norm)


def test_the_salient_share_counts_each_term_once():
    and_, or_ = torch.zeros(1, 8), torch.zeros(1, 8)
    and_[0, 0] = 100  # the empty set is no interaction
    and_[0, 1], and_[0, 3], and_[0, 7], or_[0, 5], or_[0, 6] = 2, 1, 0.05, -1, 0.2
    # 7 AND terms and 7 OR terms, three of which are AND terms as well; 0.05 is below 5 % of 2.
    assert float(endpoints.salient_share(fit_of(and_, or_))) == pytest.approx(4 / 11)
    full = torch.ones(8)
    or_full = torch.where(interactions.orders(3) > 1, full, 0)
    assert float(endpoints.salient_share(fit_of(full[None], or_full[None]))) == 1


def test_the_sparsity_ratio_takes_the_smaller_twin():
    shares = {"trained": np.full((2, 9), 0.1), "untrained": np.full((3, 9), 0.4), "memorising": np.full((2, 9), 0.2)}
    found = endpoints.sparsity(shares, {"trained": 0.3}, 100, 0)
    assert found["value"] == pytest.approx(0.5) and found["ci"] == pytest.approx((0.5, 0.5))
    assert found["also"] == {"share_salient": pytest.approx(0.1)}
    assert "no twin" in endpoints.sparsity({"trained": shares["trained"], "untrained": shares["untrained"]}, {}, 100, 0)


def test_high_orders_are_those_from_five_on():
    order = interactions.orders(6)
    and_ = torch.where(order == 1, 2.0, torch.where(order >= 5, 0.5, 9.0)).expand(1, 4, -1).double()
    or_ = torch.where(order >= 5, 0.1, 0.0).expand(1, 4, -1).double()
    found = endpoints.high_orders({"trained": fit_of(and_, or_), "untrained": fit_of(and_, or_)}, 100, 0)
    assert found["value"] == pytest.approx(0.3 / 2) and found["twin"].value == 0
    few = torch.ones(1, 4, 16, dtype=torch.float64)
    assert "order 5" in endpoints.high_orders({"trained": fit_of(few, few)}, 100, 0)


def test_the_advantage_is_mann_whitneys_u():
    generator = np.random.default_rng(0)
    counts, rises = generator.integers(0, 9, (2, 90)).astype(float), (generator.random((2, 90)) < 0.4).astype(float)
    found = endpoints.more_when_falling(
        {"trained": counts, "untrained": counts}, {"trained": rises, "untrained": rises}, 100, 0
    )
    expected, p = [], []
    for count, flag in zip(counts, rises, strict=True):
        falling, rising = count[flag == 0], count[flag == 1]
        test = mannwhitneyu(falling, rising, alternative="greater")
        expected.append(test.statistic / (len(falling) * len(rising)))
        p.append(test.pvalue)
    assert found["value"] == pytest.approx(np.mean(expected)) and found["also"]["mann_whitney_p"] == max(p)
    # Within a class: the pairs of each class counted one by one.
    labels = generator.integers(0, 2, 90)
    kinds = [dict.fromkeys(("trained", "untrained"), rows) for rows in (counts, rises)]
    wins = [
        np.mean([(a > b) + (a == b) / 2 for a, f, c in zip(count, flag, labels, strict=True) if not f
                 for b, g, d in zip(count, flag, labels, strict=True) if g and c == d])
        for count, flag in zip(counts, rises, strict=True)
    ]  # fmt: skip
    assert endpoints.more_when_falling(*kinds, 100, 0, labels)["baseline"]["within a class"] == pytest.approx(
        np.mean(wins)
    )
    assert "within a class" not in endpoints.more_when_falling(*kinds, 100, 0, np.zeros(90))["baseline"]
    # One class falls, the other does not: nothing can be compared.
    apart = [kinds[0], dict.fromkeys(kinds[1], np.tile(labels, (2, 1)).astype(float))]
    assert "within a class" not in endpoints.more_when_falling(*apart, 100, 0, labels)["baseline"]
    none = np.ones_like(rises)
    assert "Fewer than 20" in endpoints.more_when_falling(
        {"trained": counts, "untrained": counts}, {"trained": none, "untrained": none}, 100, 0
    )


def test_small_exponents_of_sums_are_one():
    # An additive game of positive effects: monotone, p = 1.
    outputs = interactions.coalitions(5).double() @ random(5, 3 * 30).abs() + 0
    outputs = outputs.T.reshape(3, 30, 32)
    kinds = dict.fromkeys(("trained", "untrained", "memorising"), outputs)
    p = endpoints.exponents(kinds | {"shuffled": random(3, 30, 32)})
    found = endpoints.small_exponent(p, 100, 0)
    assert found["value"] == pytest.approx(1) and found["also"]["gap_to_shuffled"] == 0
    assert found["also"]["toy_linear"] < 1e-12 and found["also"]["toy_quadratic"] < 1e-12
    assert "Fewer than 20" in endpoints.small_exponent({k: rows[:, :5] for k, rows in p.items()}, 100, 0)


def test_a_bound_that_says_nothing_is_counted_as_such():
    additive = (interactions.coalitions(5).double() @ random(5, 40).abs()).T[None]
    kinds = {"trained": additive, "untrained": additive}
    bounds = {kind: interactions.salience_bound(v) for kind, v in kinds.items()}
    rises = {kind: endpoints.array(interactions.monotone(v)) for kind, v in kinds.items()}
    found = endpoints.bound_says_something(bounds, rises, 5, 100, 0)
    expected = (bounds["trained"].bound < 31)[bounds["trained"].bound.isfinite()].double().mean()
    assert found["value"] == pytest.approx(float(expected)) and found["also"]["bound_holds"] == 1
    falling = {kind: np.zeros_like(flags) for kind, flags in rises.items()}
    assert "Fewer than 20" in endpoints.bound_says_something(bounds, falling, 5, 100, 0)


def test_lines_are_told_from_other_triples_as_sklearn_does():
    boards = data.load("tictactoe").inputs[::40]
    effects = random(2, len(boards), 512)
    found = endpoints.line_auroc(boards, {"trained": effects, "untrained": effects}, 100, 0)
    expected = np.full((2, len(boards)), np.nan)
    for seed, b in itertools.product(range(2), range(len(boards))):
        groups = [g for g in itertools.combinations(range(9), 3) if all(boards[b, s] == 1 for s in g)]
        truth = [g in data.LINES for g in groups]
        if 0 < sum(truth) < len(truth):
            scores = [abs(float(effects[seed, b, sum(1 << s for s in g)])) for g in groups]
            expected[seed, b] = roc_auc_score(truth, scores)
    assert found["value"] == pytest.approx(np.nanmean(expected))


def test_transfer_is_the_mean_share_of_a_loop():
    effects = random(2, 20, 32) ** 3
    found = endpoints.transfer({"trained": effects, "untrained": effects}, 100, 0)
    ratios, stability = [], []
    for network in effects:
        often = interactions.salient(network, 0.1)[:, 1:]
        picked = often[:10].sum(0).topk(3).indices.tolist()
        ratios.append(
            np.mean([np.mean([s in picked for s in torch.nonzero(row)[:, 0].tolist()]) for row in often[10:]])
        )
        clear = interactions.salient(network, 0.05)[:, 1:]
        for s in picked:
            up, down = (
                int((clear[:, s] & (network[:, s + 1] > 0)).sum()),
                int((clear[:, s] & (network[:, s + 1] < 0)).sum()),
            )
            stability.append(max(up, down) / (up + down))
    assert found["value"] == pytest.approx(np.mean(ratios))
    assert found["also"]["sign_stability"] == pytest.approx(np.mean(stability))
    assert found["baseline"]["random terms"] == pytest.approx(3 / 31)


def test_a_planted_game_is_what_it_says():
    outputs, terms, noise = endpoints.planted(5, 3, 0.04, 7)
    members = interactions.coalitions(5)
    for s in range(32):
        total = 0.0
        for t in range(1, 32):
            inside, touched = bool((members[t] <= members[s]).all()), bool((members[t] & members[s]).any())
            total += float(terms[t]) * inside + float(terms[32 + t]) * touched
        assert float(outputs[s] - noise[s]) == pytest.approx(total)
    assert 4 <= int((terms != 0).sum()) <= 6 and float(noise[0]) == 0
    assert float(endpoints.support_f1(terms[None], terms[None])) == 1
    assert float(endpoints.support_f1(torch.ones(1, 64) * (torch.arange(64) > 0), terms[None])) < 0.3


def test_the_planted_recovery_has_its_rows_and_controls():
    found, chart = endpoints.planted_recovery(6, "admm", 300, 0.04, 0, 100)
    assert set(chart) == {"no fit", "descent", "this chapter's fit", "pure noise"}
    assert chart["this chapter's fit"]["F1"] == pytest.approx(found["value"])
    assert found["value"] > chart["no fit"]["F1"] + 0.3 and 0 < chart["pure noise"]["L1, after / before"] < 1


def test_the_identity_of_the_bound_holds_on_polynomials():
    proof = endpoints.bound_identity([torch.Generator().manual_seed(0)], games=70)
    assert proof["delta"] <= 1e-9 and proof["count"] <= 1e-9 and 0 < proof["kept"] <= proof["tried"]


def test_merged_players_act_together():
    v = random(2, 16)
    groups = torch.tensor([0, 1, 1, 0])
    merged = endpoints.merged(v, groups)
    assert merged.shape == (2, 4)
    for s in range(4):
        fine = sum(1 << i for i, g in enumerate(groups.tolist()) if s >> g & 1)
        assert torch.equal(merged[:, s], v[:, fine])


@pytest.mark.parametrize(("law", "gain"), [(lambda n: n**2, 1), (lambda n: np.exp(0.5 * n), -1)])
def test_scaling_finds_the_law_and_its_slope(law, gain):
    sizes = [6, 8, 10, 12, 14]
    generator = np.random.default_rng(0)
    counts = np.stack([law(np.array(sizes)) * generator.uniform(0.9, 1.1, 5) for _ in range(12)])[None]
    p = np.full((1, 12), 1.2)
    found = endpoints.scaling({"trained": counts, "untrained": counts}, sizes, {"trained": p, "untrained": p}, 100, 0)
    assert math.copysign(1, found["also"]["bic_gain"]) == gain
    if gain > 0:
        assert found["value"] == pytest.approx(2 - 1.2, abs=0.1)
    missing = {"trained": p * np.nan, "untrained": p}
    assert "Fewer than five" in endpoints.scaling({"trained": counts, "untrained": counts}, sizes, missing, 100, 0)


def test_the_shift_of_an_attack_is_a_difference_of_shares():
    clean = {kind: random(2, 6, 32, seed=i) for i, kind in enumerate(("trained", "untrained", "memorising"))}
    hit = {kind: random(2, 6, 32, seed=9 + i) for i, kind in enumerate((*clean, "noise"))}

    def share(row):
        sizes = [abs(float(x)) for x in row]
        return sum(x for s, x in enumerate(sizes) if s.bit_count() > 2.5) / sum(sizes[1:])

    found = endpoints.attack_shift(clean, hit, 100, 0)
    expected = np.mean(
        [share(a) - share(b) for a, b in zip(hit["trained"].flatten(0, 1), clean["trained"].flatten(0, 1), strict=True)]
    )
    assert found["value"] == pytest.approx(expected)
    noise = np.mean(
        [share(a) - share(b) for a, b in zip(hit["noise"].flatten(0, 1), clean["trained"].flatten(0, 1), strict=True)]
    )
    assert found["baseline"]["noise"] == pytest.approx(noise)


def test_all_terms_explain_everything_after_the_fit():
    v = random(1, 5, 32)
    fit = interactions.fit_and_or(v, 200, mode="p", solver="admm")
    assert endpoints.explained_after_fit({"trained": v}, {"trained": fit}, 1.0)["trained"] == pytest.approx(1)


def test_a_statistic_of_several_numbers_per_sample_can_be_resampled():
    values = np.random.default_rng(0).normal(size=(3, 50, 2))

    def slope(rows, axis):
        x, y = rows[..., 0], rows[..., 1]
        return (x * y).mean(axis) / (x**2).mean(axis)

    estimate = stats.bootstrap(values, statistic=slope, draws=300)
    assert estimate.value == pytest.approx(
        np.mean([(r[:, 0] * r[:, 1]).mean() / (r[:, 0] ** 2).mean() for r in values])
    )
    low, high = estimate.interval()
    assert low < estimate.value < high and high - low < 0.6


def test_part_sizes_are_compared_on_a_log_scale():
    shares = {
        size: {"trained": np.full((2, 5), part), "untrained": np.full((2, 5), 0.4)}
        for size, part in ((3, 0.1), (5, 0.2), (7, 0.05))
    }
    found = endpoints.alike_in_size(shares, 100, 0)
    assert found["value"] == pytest.approx(math.log10(4)) and found["also"]["share_against_twin"] == pytest.approx(0.5)


def test_the_median_without_nan_is_numpys():
    rows = np.random.default_rng(0).normal(size=(3, 4, 11))
    rows[rows > 0.4] = np.nan
    rows[1, 2] = np.nan
    for axis in (0, 1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(stats.nanmedian(rows, axis), np.nanmedian(rows, axis))
