"""The internal-symbols lens against counting by hand, scikit-learn, pytorch-ood, scipy and closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from scipy.stats import mannwhitneyu
from sklearn.covariance import LedoitWolf
from sklearn.metrics import adjusted_mutual_info_score, matthews_corrcoef, roc_auc_score
from sklearn.neighbors import NearestCentroid

from innercodes import stats, symbols
from innercodes.parameters import ParameterError

# After our package, which repairs the torchvision that it needs.
from pytorch_ood.detector import EnergyBased, MaxSoftmax  # isort: skip
from pytorch_ood.metrics import AUROC  # isort: skip

K, C = 7, 4


def integers(high, *shape, seed=0):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some(n=40, cells=9, seed=0, k=K, c=C):
    return integers(k, n, cells, seed=seed), integers(c, n, seed=seed + 1)


def by_class(n, c, k, cells=9, known=0.8, seed=0):
    """Symbols of which a share belongs to the class and the rest says nothing, and the classes."""
    labels = torch.arange(n) % c
    own = labels[:, None] * (k // c) + integers(k // c, n, cells, seed=seed)
    kept = torch.rand(n, cells, generator=torch.Generator().manual_seed(seed + 1)) < known
    return torch.where(kept, own, integers(k, n, cells, seed=seed + 2)), labels


# The map


def test_map_is_counting_by_hand():
    found, labels = some()
    correlations = symbols.correlation_map(found, labels, K, C, smoothing=0.3)
    for s, c in itertools.product(range(K), range(C)):
        count = sum(row.tolist().count(s) for row, label in zip(found, labels, strict=True) if label == c)
        of_class = 9 * int((labels == c).sum())
        of_symbol = int((found == s).sum())
        assert correlations.counts[s, c] == count
        assert float(correlations.given_class[s, c]) == pytest.approx((count + 0.3) / (of_class + 0.3 * K), rel=1e-14)
        assert float(correlations.given_symbol[s, c]) == pytest.approx((count + 0.3) / (of_symbol + 0.3 * C), rel=1e-14)
        assert float(correlations.joint()[s, c]) == pytest.approx(count / found.numel(), rel=1e-14)
        cells = labels[:, None].expand_as(found).flatten() == c
        correlation = matthews_corrcoef(cells.numpy(), (found.flatten() == s).numpy())
        assert float(correlations.phi()[s, c]) == pytest.approx(correlation, abs=1e-12)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 12), st.integers(1, 9), st.sampled_from([0.0, 1e-6, 1.0]))
def test_shares_sum_to_one_also_where_nothing_was_seen(k, c, n, cells, smoothing):
    found, labels = some(n, cells, seed=n, k=k, c=c)
    correlations = symbols.correlation_map(found, labels, k, c, smoothing)
    assert torch.allclose(correlations.given_class.sum(0), torch.ones(c, dtype=torch.float64))
    assert torch.allclose(correlations.given_symbol.sum(1), torch.ones(k, dtype=torch.float64))
    assert correlations.phi().abs().max() <= 1 + 1e-12


@pytest.mark.parametrize("smoothing", [0.0, 1e-6])
def test_a_class_without_a_picture_and_a_symbol_without_a_cell_say_nothing(smoothing):
    found = torch.tensor([[0, 1], [1, 1]])
    correlations = symbols.correlation_map(found, torch.tensor([0, 2]), 4, 3, smoothing)
    assert correlations.given_class[:, 1].tolist() == [0.25] * 4
    assert correlations.given_symbol[3].tolist() == pytest.approx([1 / 3] * 3)
    assert correlations.phi()[3].tolist() == [0] * 3 and correlations.phi()[:, 1].tolist() == [0] * 4
    asked = torch.tensor([[3, 3]])
    assert symbols.class_scores(asked, correlations).tolist()[0] == pytest.approx([1 / 3] * 3)
    assert float(symbols.expected_symbol_score(asked, torch.tensor([1]), correlations)) == 0.25
    assert float(symbols.expected_symbol_score(asked, torch.tensor([0]), correlations)) < 1e-6


def test_smoothing_is_small_by_default():
    exact, smoothed = (symbols.correlation_map(*some(), K, C, *a) for a in ((0.0,), ()))
    assert 0 < (exact.given_class - smoothed.given_class).abs().max() < 1e-6


# Predictions and scores


@pytest.mark.parametrize("by", symbols.READINGS)
def test_scores_are_the_mean_over_cells(by):
    correlations = symbols.correlation_map(*some(), K, C)
    asked, predictions = some(11, 5, seed=3)
    scores = symbols.class_scores(asked, correlations, by)
    ess = symbols.expected_symbol_score(asked, predictions, correlations, by=by)
    table = correlations.values(by)
    for i, row in enumerate(asked.tolist()):
        by_hand = [sum(float(table[s, c]) for s in row) / 5 for c in range(C)]
        assert scores[i].tolist() == pytest.approx(by_hand)
        assert int(symbols.predict(asked, correlations, by)[i]) == int(np.argmax(by_hand))
        assert float(ess[i]) == pytest.approx(by_hand[predictions[i]])


def test_the_paper_reads_classes_given_symbols_and_scores_given_classes():
    correlations = symbols.correlation_map(*some(), K, C)
    asked, predictions = some(5, seed=3)
    scores = symbols.class_scores(asked, correlations)
    assert torch.equal(scores, symbols.class_scores(asked, correlations, "given symbol"))
    ess = symbols.expected_symbol_score(asked, predictions, correlations)
    assert torch.allclose(ess, correlations.given_class[asked, predictions[:, None]].mean(1))
    logs = symbols.expected_symbol_score(asked, predictions, correlations, log=True)
    assert torch.allclose(logs, correlations.given_class[asked, predictions[:, None]].log().mean(1))
    assert torch.all(logs <= ess.log() + 1e-12) and not torch.allclose(logs, ess.log())  # Jensen


@settings(max_examples=30)
@given(st.integers(0, 100))
def test_other_names_for_symbols_change_nothing(seed):
    found, labels = some(seed=seed)
    asked, predictions = some(20, seed=seed + 50)
    names = torch.randperm(K, generator=torch.Generator().manual_seed(seed))
    one = symbols.correlation_map(found, labels, K, C)
    other = symbols.correlation_map(names[found], labels, K, C)
    assert torch.allclose(symbols.class_scores(asked, one), symbols.class_scores(names[asked], other), atol=1e-14)
    assert torch.equal(
        symbols.expected_symbol_score(asked, predictions, one),
        symbols.expected_symbol_score(names[asked], predictions, other),
    )
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(symbols.class_scores(asked, one), symbols.class_scores(asked[:, order], one))
    ess = symbols.expected_symbol_score(asked, predictions, one)
    assert torch.equal(ess, symbols.expected_symbol_score(asked[:, order], predictions, one))


def test_score_is_one_where_classes_own_a_symbol_and_one_in_k_for_uniform_symbols():
    labels = torch.arange(12) % C
    owned = labels[:, None].expand(-1, 9).contiguous()
    correlations = symbols.correlation_map(owned, labels, C, C, 0.0)
    assert symbols.expected_symbol_score(owned, labels, correlations).tolist() == [1] * 12
    assert symbols.expected_symbol_score(owned, labels, correlations, log=True).tolist() == [0] * 12
    assert torch.equal(symbols.predict(owned, correlations), labels)
    assert symbols.expected_symbol_score(owned, (labels + 1) % C, correlations).tolist() == [0] * 12
    uniform = torch.arange(9)[None].expand(12, -1).contiguous()
    correlations = symbols.correlation_map(uniform, labels, 9, C)
    score = symbols.expected_symbol_score(uniform, labels, correlations)
    assert score.tolist() == pytest.approx([1 / 9] * 12)


def test_phi_ranks_classes_as_shares_do_for_one_symbol_of_balanced_classes_only():
    found, labels = by_class(80, C, 12, known=0.5)
    correlations = symbols.correlation_map(found, labels, 12, C)
    for row, other in zip(correlations.phi(), correlations.given_symbol, strict=True):
        assert torch.allclose(torch.corrcoef(torch.stack([row, other])), torch.ones(2, 2, dtype=torch.float64))
    # Over cells, and with classes of other sizes, the two readings weigh symbols differently.
    uneven = torch.cat([torch.arange(20), torch.arange(0, 80, C)])
    correlations = symbols.correlation_map(found[uneven], labels[uneven], 12, C)
    assert not torch.equal(correlations.phi().argmax(1), correlations.given_symbol.argmax(1))


def test_ties_go_to_the_lower_class_and_no_picture_is_fine():
    correlations = symbols.correlation_map(torch.tensor([[0], [1]]), torch.tensor([0, 1]), 3, 3)
    assert symbols.predict(torch.tensor([[2], [1]]), correlations).tolist() == [0, 1]
    assert symbols.class_scores(torch.empty(0, 9, dtype=torch.int64), correlations).shape == (0, 3)
    empty = torch.empty(0, dtype=torch.int64)
    assert symbols.expected_symbol_score(empty.view(0, 9), empty, correlations).shape == (0,)


def test_stages_are_added_and_agree_in_pairs():
    scores = [normal(5, seed=s) for s in range(3)]
    assert torch.allclose(symbols.combined(scores), scores[0] + scores[1] + scores[2])
    votes = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 2], [0, 1, 3, 2]])
    assert symbols.agreement(votes).tolist() == pytest.approx([1, 2 / 6, 0, 3 / 6])
    votes = integers(3, 5, 30)
    by_hand = [np.mean([a == b for a, b in itertools.combinations(column.tolist(), 2)]) for column in votes.T]
    assert symbols.agreement(votes).tolist() == pytest.approx(by_hand)
    for wrong in (votes[:1], votes[0]):
        with pytest.raises(ValueError, match="^stage_predictions: shape"):
            symbols.agreement(wrong)


def test_shuffle_within_class_keeps_what_each_stage_says_of_each_class():
    labels = integers(3, 300)
    right = torch.rand(300, generator=torch.Generator().manual_seed(1)) < 0.5
    votes = torch.where(right, labels, (labels + 1) % 3).expand(3, -1).contiguous()  # all stages fail together
    before = votes.clone()
    mixed = symbols.shuffled_within(votes, labels, 0)
    assert torch.equal(votes, before) and torch.equal(mixed, symbols.shuffled_within(votes, labels, 0))
    for stage, c in itertools.product(range(3), range(3)):
        assert torch.equal(mixed[stage, labels == c].sort().values, votes[stage, labels == c].sort().values)
    assert not torch.equal(mixed[0], mixed[1])
    assert symbols.agreement(votes).mean() == 1
    assert float(symbols.agreement(mixed).mean()) == pytest.approx(0.5, abs=0.05)
    other = symbols.shuffled_within(votes, labels, 1)
    assert not torch.equal(mixed, other)


# Temporary learning


def test_examples_are_so_many_of_each_class_and_fairly_drawn():
    labels = torch.tensor([0] * 6 + [1] * 4 + [3] * 5)[torch.randperm(15, generator=torch.Generator().manual_seed(0))]
    chosen = symbols.examples(labels, 3, 2000, seed=0)
    assert chosen.shape == (2000, 15) and chosen.dtype == torch.bool
    for c in (0, 1, 3):
        assert torch.all(chosen[:, labels == c].sum(1) == 3)
        share = chosen[:, labels == c].double().mean(0)
        assert torch.allclose(share, torch.full_like(share, 3 / int((labels == c).sum())), atol=0.05)
    assert torch.equal(chosen, symbols.examples(labels, 3, 2000, seed=0))
    assert not torch.equal(chosen, symbols.examples(labels, 3, 2000, seed=1))


def test_k_shot_is_a_map_of_the_examples_asked_for_the_others():
    found, labels = by_class(60, 5, 20, known=0.6)
    result = symbols.k_shot(found, labels, 4, 6, seed=2, symbol_count=20)
    chosen = symbols.examples(labels, 4, 6, seed=2)
    assert torch.equal(result.right.isnan(), chosen)
    for d in range(6):
        temporary = symbols.correlation_map(found[chosen[d]], labels[chosen[d]], 20, 5)
        asked = ~chosen[d]
        right = symbols.predict(found[asked], temporary) == labels[asked]
        assert torch.equal(result.right[d, asked], right.double())
        assert float(result.accuracy[d]) == pytest.approx(float(right.double().mean()))
    assert float(result.by_picture.nanmean()) == pytest.approx(float(result.accuracy.mean()), abs=0.02)
    assert result.accuracy.mean() > 0.6
    again = symbols.k_shot(found, labels, 4, 6, seed=2, symbol_count=20)
    assert torch.equal(result.right.nan_to_num(), again.right.nan_to_num())


def test_k_shot_of_nothing_is_chance_and_more_shots_are_better():
    found, labels = by_class(500, 5, 20, known=0.3)
    blind = symbols.k_shot(symbols.random_symbols(found, 0), labels, 5, 20, 0, symbol_count=20)
    assert float(blind.accuracy.mean()) == pytest.approx(0.2, abs=0.03)
    few, many = (symbols.k_shot(found, labels, shots, 20, 0, symbol_count=20).accuracy.mean() for shots in (2, 50))
    assert many > few > 0.3


def test_k_shot_by_nearest_means_is_scikit_learns_on_the_same_examples():
    labels = torch.tensor([0, 2, 5])[torch.arange(60) % 3]  # numbers need not follow each other
    vectors = normal(60, 2, 3) + labels.double()[:, None, None] / 2
    result = symbols.k_shot_means(vectors, labels, 4, 5, seed=2)
    chosen = symbols.examples(labels, 4, 5, seed=2)
    assert torch.equal(result.right.isnan(), chosen)
    for d in range(5):
        model = NearestCentroid().fit(vectors[chosen[d]].flatten(1), labels[chosen[d]])
        score = model.score(vectors[~chosen[d]].flatten(1), labels[~chosen[d]])
        assert float(result.accuracy[d]) == pytest.approx(score)


def test_group_means_and_nearest_means():
    vectors, groups = normal(30, 4), integers(5, 30) + 1
    means = symbols.group_means(vectors, groups, 7)
    assert means.isnan().all(1).tolist() == [True, False, False, False, False, False, True]
    for g in range(1, 6):
        assert torch.allclose(means[g], vectors[groups == g].mean(0))
    assert torch.equal(symbols.class_means(vectors, groups - 1, 5), means[1:6])
    assert symbols.nearest_mean(vectors, means[1:6]).tolist() == [
        min(range(5), key=lambda c, v=v: float((v - means[c + 1]).norm())) for v in vectors
    ]
    with pytest.raises(ValueError, match=r"^labels: must hold every class, and \[0, 6\] have no vector"):
        symbols.class_means(vectors, groups, 7)


# Other scores


def test_confidence_of_logits_is_that_of_pytorch_ood():
    logits = 3 * normal(20, 6).float()
    assert torch.allclose(symbols.max_softmax(logits), -MaxSoftmax.score(logits))
    for t in (1.0, 2.5):
        assert torch.allclose(symbols.energy(logits, t), -EnergyBased.score(logits, t), atol=1e-6)
    assert torch.equal(symbols.energy(logits), symbols.energy(logits, 1.0))
    with pytest.raises(ValueError, match="^temperature = 0: must be above 0"):
        symbols.energy(logits, 0)


@pytest.mark.parametrize("n", [90, 12])  # more, and fewer than dimensions
def test_mahalanobis_is_scipys_with_the_shared_covariance(n):
    mixing = normal(15, 15, seed=5)
    labels = torch.tensor([0, 2, 5])[torch.arange(n) % 3]
    features = normal(n, 15) @ mixing + 2 * labels[:, None]
    others = normal(8, 15, seed=1) @ mixing
    means = {int(c): features[labels == c].mean(0) for c in labels.unique()}
    centred = torch.stack([f - means[int(c)] for f, c in zip(features, labels, strict=True)])
    inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(centred.numpy()).covariance_)
    by_hand = [-min(scipy_mahalanobis(x, mean, inverse) ** 2 for mean in means.values()) for x in others.numpy()]
    assert symbols.mahalanobis(features, labels, others).tolist() == pytest.approx(by_hand, rel=1e-6)
    with pytest.raises(ValueError, match="^features: no spread"):
        symbols.mahalanobis(torch.ones(9, 3), torch.zeros(9, dtype=torch.int64), torch.ones(1, 3))


# AUROC


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_auroc_is_the_share_of_pairs_scikit_learns_and_pytorch_oods(inside, outside):
    area = symbols.auroc(torch.tensor(inside).double(), torch.tensor(outside).double())
    assert area == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a in inside for b in outside]), abs=1e-12)
    truth = [1] * len(inside) + [0] * len(outside)
    assert area == pytest.approx(roc_auc_score(truth, inside + outside), abs=1e-12)
    assert area == pytest.approx(1 - symbols.auroc(torch.tensor(outside), torch.tensor(inside)), abs=1e-12)
    metric = AUROC()  # outlier scores, and negative labels outside
    metric.update(-torch.tensor(inside + outside).double(), torch.tensor(truth) - 1)
    assert area == pytest.approx(float(metric.compute()["AUROC"]), abs=1e-6)


def test_auroc_at_its_ends_and_with_infinite_scores():
    low, high = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])
    assert symbols.auroc(high, low) == 1 and symbols.auroc(low, high) == 0 and symbols.auroc(low, low) == 0.5
    inf = torch.inf
    assert symbols.auroc(torch.tensor([inf, 0.0]), torch.tensor([-inf, 0.0])) == (4 - 0.5) / 4
    for name, arguments in (
        ("inside", (torch.tensor([torch.nan]), low)), ("outside", (low, low[:0])), ("inside", (low[:, None], low))
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{name}: shape"):
            symbols.auroc(*arguments)


def test_auroc_along_any_axis_without_what_is_left_out():
    scores = integers(6, 3, 4, 50).double()
    inside = integers(2, 3, 4, 50, seed=1).bool()
    scores[integers(5, 3, 4, 50, seed=2) == 0] = torch.nan
    inside[0, 0] = True  # nothing outside
    scores[2, 3, 7], inside[2, 3, 7] = torch.inf, True  # above all, and above what is left out
    rows = symbols.score_rows(scores, inside)
    found = symbols.auroc_of_rows(rows, axis=2)
    assert np.array_equal(found, symbols.auroc_of_rows(np.moveaxis(rows, 2, 0), axis=0), equal_nan=True)
    for i, j in itertools.product(range(3), range(4)):
        kept = ~scores[i, j].isnan()
        if (i, j) == (0, 0):
            assert np.isnan(found[i, j])
        else:
            pair = (scores[i, j, kept & inside[i, j]], scores[i, j, kept & ~inside[i, j]])
            assert found[i, j] == pytest.approx(symbols.auroc(*pair), abs=1e-12)


def test_auroc_is_a_statistic_for_the_bootstrap():
    scores = torch.stack([torch.cat([normal(150, seed=s) + 1, normal(50, seed=s + 9)]) for s in range(3)])
    inside = torch.arange(200).expand(3, -1) < 150
    rows = symbols.score_rows(scores, inside)
    estimate = stats.bootstrap(rows, statistic=symbols.auroc_of_rows, draws=300)
    by_seed = [symbols.auroc(s[:150], s[150:]) for s in scores]
    assert estimate.value == pytest.approx(np.mean(by_seed))
    low, high = estimate.interval()
    # The normal theory of Hanley & McNeil 1982 for one seed; three seeds of the same design are narrower.
    a = by_seed[0]
    error = math.sqrt((a * (1 - a) + 149 * (a / (2 - a) - a * a) + 49 * (2 * a * a / (1 + a) - a * a)) / (150 * 50))
    assert 2 * 1.96 * error / math.sqrt(3) * 0.7 < high - low < 2 * 1.96 * error * 1.1
    paired = stats.bootstrap(rows, rows, symbols.auroc_of_rows, draws=20)
    assert paired.value == 0 and not paired.draws.any()


def test_mann_whitney_is_one_sided():
    high, low = normal(40) + 1.5, normal(30, seed=1)
    assert symbols.mann_whitney_p(high, low) == mannwhitneyu(high.numpy(), low.numpy(), alternative="greater").pvalue
    assert symbols.mann_whitney_p(high, low) < 0.05 < 0.95 < symbols.mann_whitney_p(low, high)


def test_accuracy_over_chance_and_under_attack():
    right = torch.tensor([True, False, True, True])
    assert float(symbols.times_chance(right, 10).mean()) == 7.5
    clean, attacked = np.array([1, 1, 0, 1, 1]), np.array([1, 0, 1, 0, 0])
    rows = np.stack([attacked, clean], -1)
    assert symbols.relative_accuracy(rows, axis=0) == 0.5
    many = np.stack([rows, rows[::-1], np.stack([attacked, 0 * clean], -1)])
    assert np.array_equal(symbols.relative_accuracy(many, axis=1), [0.5, 0.5, np.nan], equal_nan=True)
    estimate = stats.bootstrap(many[:2], statistic=symbols.relative_accuracy, draws=50)
    assert estimate.value == 0.5


# Information and purity


def test_information_is_scikit_learns_over_cells():
    found, labels = by_class(50, C, 12, known=0.5)
    expected = adjusted_mutual_info_score(labels.repeat_interleave(9).numpy(), found.flatten().numpy())
    assert symbols.information(found, labels) == pytest.approx(expected, abs=1e-12)
    assert symbols.information(found, labels[:, None].expand(-1, 9)) == pytest.approx(expected, abs=1e-12)
    assert symbols.information(found, found) == pytest.approx(1)
    factors = [labels, found[:, 0] % 2]
    best = max(symbols.information(found, factor) for factor in factors)
    classes = labels // 2
    assert symbols.class_over_factor(found, classes, factors) == pytest.approx(
        symbols.information(found, classes) - best
    )
    with pytest.raises(ValueError, match=r"^factors = \[\]"):
        symbols.class_over_factor(found, labels, [])


@pytest.mark.parametrize("by_cell", [False, True])
def test_permuted_information_is_that_of_permuted_pictures(by_cell):
    found, truth = by_class(40, C, 12, known=0.5)
    truth = 3 * truth + 5  # numbers need not follow each other
    if by_cell:
        truth = truth[:, None] + integers(2, 40, 9, seed=8)
    values = symbols.permuted_information(found, truth, 30, seed=4)
    generator = torch.Generator().manual_seed(4)
    by_hand = [symbols.information(found, truth[torch.randperm(40, generator=generator)]) for _ in range(30)]
    assert values.tolist() == pytest.approx(by_hand, abs=1e-12)
    assert values.tolist() == symbols.permuted_information(found, truth, 30, seed=4).tolist()


def test_cells_that_go_together_lift_the_chance_level_of_information():
    labels = torch.arange(200) % 4
    alike = integers(20, 200, 1).expand(-1, 9)  # nine times the same symbol, which says nothing
    value, permuted = symbols.information(alike, labels), symbols.permuted_information(alike, labels, 99, 0)
    assert value > 0.03 and permuted.mean() > 0.03
    assert abs(symbols.corrected_information(value, permuted)) < 0.03
    assert symbols.permutation_p(value, permuted) > 0.05
    coded, labels = by_class(200, 4, 20, known=0.5)
    permuted = symbols.permuted_information(coded, labels, 99, 0)
    assert symbols.permutation_p(symbols.information(coded, labels), permuted) == 1 / 100
    assert symbols.corrected_information(1.0, permuted) == 1
    assert symbols.corrected_information(float(permuted.mean()), permuted) == 0
    assert symbols.permutation_p(0.0, torch.tensor([-1.0, 0.0, 1.0])) == 3 / 4


def test_permuted_information_of_one_symbol_is_that_of_one_symbol():
    one = torch.zeros(5, 9, dtype=torch.int64)
    assert symbols.permuted_information(one, torch.arange(5), 2, 0).tolist() == [0, 0]
    assert symbols.permuted_information(one, one[:, 0], 2, 0).tolist() == [1, 1]


def test_p_of_symbols_that_say_nothing_is_even():
    ps = []
    for seed in range(40):
        alike = integers(6, 30, 1, seed=seed).expand(-1, 9)
        labels = integers(3, 30, seed=seed + 1000)
        ps.append(
            symbols.permutation_p(
                symbols.information(alike, labels), symbols.permuted_information(alike, labels, 39, seed)
            )
        )
    assert np.mean(ps) == pytest.approx(0.5, abs=0.15) and np.mean(np.array(ps) <= 0.1) < 0.25


def test_purity_by_hand_and_of_random_symbols():
    found = torch.tensor([[0, 0, 1], [0, 1, 1], [3, 3, 1]])
    truth = torch.tensor([4, 4, 9])
    assert symbols.symbol_purity(found, truth, 5).nan_to_num(-1).tolist() == pytest.approx([1, 3 / 4, -1, 1, -1])
    assert symbols.purity(found, truth) == pytest.approx(8 / 9)
    assert symbols.purity(found, found % 2) == 1
    found, labels = by_class(400, 4, 20)
    assert symbols.purity(found, labels) > 0.7
    blind = symbols.random_symbols(found, 0)
    assert 0.25 < symbols.purity(blind, labels) < 0.35
    assert torch.equal(torch.bincount(blind.flatten()), torch.bincount(found.flatten()))
    assert not torch.equal(blind, symbols.random_symbols(found, 1))


def test_labels_are_permuted_by_picture():
    rows = torch.arange(30).view(10, 3)
    mixed = symbols.permuted_by_picture(rows, 0)
    assert not torch.equal(mixed, rows) and torch.equal(mixed[mixed[:, 0].argsort()], rows)


# Statistics for the bootstrap


def test_information_gain_is_the_difference_of_two_stages():
    last, labels = by_class(60, C, 12, known=0.8)
    first, _ = by_class(60, C, 12, known=0.2, seed=5)
    rows = symbols.information_rows(labels, first, last)
    expected = symbols.information(last, labels) - symbols.information(first, labels)
    assert symbols.information_gain(rows, 0) == pytest.approx(expected) and expected > 0.3
    stacked = np.stack([rows, rows[::-1]])
    assert symbols.information_gain(stacked, 1) == pytest.approx([expected, expected])
    estimate = stats.bootstrap(stacked, statistic=symbols.information_gain, draws=10)
    assert estimate.value == pytest.approx(expected) and estimate.draws.shape == (10,)


def test_along_any_axis():
    rows = normal(2, 3, 8, 5).numpy()
    found = symbols.along(lambda table: table[:, 0].max() + table[:, 4].sum())(rows, axis=2)
    assert np.allclose(found, rows[..., 0].max(2) + rows[..., 4].sum(2))
    assert np.allclose(symbols.along(np.mean)(np.moveaxis(rows, 2, 0), axis=0), rows.mean((2, 3)))


def test_draws_of_information_are_too_high_and_recentred():
    labels = torch.arange(100) % 4
    rows = symbols.information_rows(labels, integers(20, 100, 9))[None]
    statistic = symbols.along(
        lambda t: symbols.information(torch.from_numpy(t[:, 1:]).long(), torch.from_numpy(t[:, 0]).long())
    )
    estimate = stats.bootstrap(rows, statistic=statistic, draws=40)
    assert estimate.draws.min() > estimate.value  # the fault that `recentred` repairs
    moved = symbols.recentred(estimate)
    assert moved.value == estimate.value and moved.draws.mean() == pytest.approx(estimate.value)
    assert moved.draws.std() == pytest.approx(estimate.draws.std())


# What is refused


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"symbols": torch.zeros(4, 9)}, r"symbols: torch.float32 \(4, 9\), must be torch.int64 \(N, cells\)"),
        ({"symbols": torch.zeros(4, dtype=torch.int64)}, r"symbols: torch.int64 \(4,\), must be"),
        ({"symbols": torch.zeros(4, 0, dtype=torch.int64)}, r"symbols: torch.int64 \(4, 0\), must be"),
        ({"symbols": torch.full((4, 9), 3)}, r"symbols: from 3 to 3, must be in 0 \.\.\. 2"),
        ({"symbols": torch.full((4, 9), -1)}, "symbols: from -1 to -1, must be in"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"labels: torch.int64 \(3,\), must be torch.int64 \(4,\)"),
        ({"labels": torch.zeros(4)}, "labels: torch.float32"),
        ({"labels": torch.full((4,), 2)}, r"labels: from 2 to 2, must be in 0 \.\.\. 1"),
        ({"symbol_count": 0}, "symbol_count = 0: must be at least 1"),
        ({"classes": 0}, "classes = 0: must be at least 1"),
        ({"smoothing": -1.0}, "smoothing = -1.0: must be at least 0"),
        ({"smoothing": math.nan}, "smoothing = nan: must be at least 0"),
        (
            {"symbols": torch.zeros(0, 9, dtype=torch.int64), "labels": torch.zeros(0, dtype=torch.int64)},
            r"symbols: shape \(0, 9\), must hold at least one cell",
        ),
    ],
)
def test_bad_input_to_the_map_is_refused_by_name(changed, message):
    good = {"symbols": torch.zeros(4, 9, dtype=torch.int64), "labels": torch.zeros(4, dtype=torch.int64)}
    with pytest.raises(ValueError, match=f"^{message}"):
        symbols.correlation_map(**good | {"symbol_count": 3, "classes": 2} | changed)


def test_other_bad_input_is_refused_by_name():
    found, labels = some()
    correlations = symbols.correlation_map(found, labels, K, C)
    with pytest.raises(ParameterError, match="^by = 'pearson': must be one of given symbol, given class, joint, phi"):
        symbols.predict(found, correlations, by="pearson")
    with pytest.raises(ValueError, match=r"^symbols: from 0 to 7, must be in 0 \.\.\. 6"):
        symbols.class_scores(torch.arange(8)[None], correlations)
    with pytest.raises(ValueError, match=r"^predictions: from 4 to 4, must be in 0 \.\.\. 3"):
        symbols.expected_symbol_score(found[:1], torch.tensor([4]), correlations)
    with pytest.raises(ValueError, match=r"^truth: shape \(3,\), must be \(40,\) or \(40, 9\)"):
        symbols.information(found, labels[:3])
    with pytest.raises(ValueError, match="^symbols: shape"):
        symbols.information(found[:0], labels[:0])
    with pytest.raises(ValueError, match="^permutations = 0"):
        symbols.permuted_information(found, labels, 0, 0)
    few = torch.tensor([0, 0, 0, 1, 1])
    with pytest.raises(ValueError, match="^shots = 2: must be below the pictures of each class, and class 1 has 2"):
        symbols.examples(few, 2, 1, 0)
    with pytest.raises(ValueError, match="^shots = 0, draws = 1: must be at least 1"):
        symbols.k_shot(found[:5], few, 0, 1, 0, symbol_count=K)
    with pytest.raises(ValueError, match="^labels: none"):
        symbols.examples(few[:0], 1, 1, 0)
