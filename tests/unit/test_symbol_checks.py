"""Checks of symbols against known parts, known clusters, a network of one known layer, and gradients by differences."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kurtosis
from sklearn.metrics import adjusted_rand_score, silhouette_samples, silhouette_score
from torch import nn

from innercodes import attacks, stats, symbols
from innercodes import symbol_checks as checks
from innercodes.parameters import ParameterError


def integers(high, *shape, seed=0):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Parts


def scenes(n=150, seed=0):
    """Parts 0 (ground) ... 4 of nine cells, and symbols that know the part, only object from ground, or nothing."""
    parts = integers(4, n, 9, seed=seed) + 1
    parts[integers(3, n, 9, seed=seed + 1) == 0] = 0
    return parts, parts * 2 + integers(2, n, 9, seed=seed + 2), (parts > 0).long(), integers(10, n, 9, seed=seed + 3)


@pytest.mark.parametrize("ground", [True, False])
def test_symbols_that_know_the_part_and_symbols_that_know_nothing(ground):
    parts, knowing, _, blind = scenes()
    found = checks.part_match(knowing, parts, 39, ground=ground)
    kept = torch.ones_like(parts, dtype=torch.bool) if ground else parts > 0
    own = symbols.information(knowing[kept][:, None], parts[kept])
    assert found.information == own > 0.7 and found.purity == 1 and found.p == 1 / 40
    assert abs(found.chance_information) < 0.02 and found.chance_purity < 0.45
    nothing = checks.part_match(blind, parts, 39, ground=ground)
    assert abs(nothing.information) < 0.02 and nothing.p > 0.05
    assert nothing.purity == pytest.approx(nothing.chance_purity, abs=0.03)
    assert checks.part_match(blind, parts, 39, ground=ground) == nothing


def test_symbols_that_only_find_the_object_match_no_part_once_the_ground_is_left_out():
    parts, _, object_only, _ = scenes()
    assert checks.part_match(object_only, parts, 19).information > 0.4
    assert abs(checks.part_match(object_only, parts, 19, ground=False).information) < 0.02


def test_symbols_that_code_the_cell_alone_are_no_better_than_exchanged_pictures():
    parts = torch.arange(1, 10).expand(80, -1).clone()
    parts[integers(2, 80, 9) == 0] = 0
    place = torch.arange(9).expand(80, -1).contiguous()
    for ground in (True, False):
        found = checks.part_match(place, parts, 39, ground=ground)
        assert found.information > 0.3 and found.p > 0.05
        assert found.information == pytest.approx(found.chance_information, abs=0.05)


def test_parts_that_do_not_fit_are_refused():
    parts, knowing, _, _ = scenes(5)
    with pytest.raises(ValueError, match=r"^parts: shape \(5, 4\), must be that of the symbols, \(5, 9\)"):
        checks.part_match(knowing, parts[:, :4])
    with pytest.raises(ValueError, match="^parts: all cells show the ground"):
        checks.part_match(knowing, 0 * parts)


# Clusters


@pytest.mark.parametrize("n", [200, 12])  # more, and fewer than dimensions
def test_surrogate_has_mean_and_covariance_and_no_clusters(n):
    mixing = normal(20, 20, seed=5)
    vectors = (normal(n, 20) * 0.1 + 5 * integers(2, n, 1, seed=1)) @ mixing + 3
    drawn = checks.gaussian_surrogate(vectors, seed=0, count=40_000)
    scale = vectors.std(0).max()
    assert torch.allclose(drawn.mean(0), vectors.mean(0), atol=0.03 * float(scale))
    covariance, expected = drawn.T.cov(correction=0), vectors.T.cov(correction=0)
    assert torch.allclose(covariance, expected, atol=0.03 * float(expected.abs().max()))
    assert torch.linalg.matrix_rank(drawn - drawn.mean(0)) == torch.linalg.matrix_rank(vectors - vectors.mean(0))
    assert np.abs(kurtosis(drawn.numpy())).max() < 0.15 and np.abs(kurtosis(vectors.numpy())).max() > 0.5
    same = checks.gaussian_surrogate(vectors.float(), seed=0)
    assert same.shape == vectors.shape and same.dtype == torch.float32
    assert torch.equal(same, checks.gaussian_surrogate(vectors.float(), seed=0))
    assert not torch.equal(same, checks.gaussian_surrogate(vectors.float(), seed=1))
    with pytest.raises(ValueError, match=r"^vectors: shape \(1, 20\)"):
        checks.gaussian_surrogate(vectors[:1], 0)


def test_silhouette_is_scikit_learns_picture_by_picture():
    found = integers(4, 40, 9)
    points = normal(40, 9, 3) + 2 * found[..., None]
    values = checks.silhouettes(points, found)
    assert values.shape == (40,)
    assert float(values.mean()) == pytest.approx(silhouette_score(points.flatten(0, 1), found.flatten()))
    some = checks.silhouettes(points, found, most=15, seed=3)
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(3))[:15]
    expected = silhouette_samples(points[chosen].flatten(0, 1), found[chosen].flatten()).reshape(15, 9).mean(1)
    assert some.tolist() == pytest.approx(expected.tolist())
    assert torch.equal(checks.silhouettes(points, found, most=40), values)


def test_silhouette_without_clusters_is_zero():
    points = normal(5, 2, 3)
    for found in (torch.zeros(5, 2, dtype=torch.int64), torch.arange(10).view(5, 2)):
        assert checks.silhouettes(points, found).tolist() == [0] * 5
    with pytest.raises(ValueError, match="^points, symbols: shapes"):
        checks.silhouettes(points[0], found)
    with pytest.raises(ValueError, match="^most = 0"):
        checks.silhouettes(points, found, most=0)


def test_stability_is_the_mean_over_pairs():
    one = integers(5, 60, 9)
    noisy = [torch.where(integers(3, 60, 9, seed=s) == 0, integers(5, 60, 9, seed=s + 10), one) for s in range(3)]
    flat = [coding.flatten() for coding in noisy]
    expected = np.mean([adjusted_rand_score(a, b) for a, b in itertools.combinations(flat, 2)])
    assert checks.stability(noisy) == pytest.approx(expected) and 0.1 < expected < 0.9
    assert checks.stability([one, (one + 3) % 5]) == 1
    assert abs(checks.stability([one, symbols.random_symbols(one, 0)])) < 0.02
    for wrong in ([one], [one, one[:5]]):
        with pytest.raises(ValueError, match="^codings: shapes"):
            checks.stability(wrong)


def test_number_of_symbols_is_chosen_on_one_half_and_tested_on_the_other():
    labels, unseen_labels = torch.arange(240) % 8, torch.arange(120) % 8

    def code(count):
        # With 8 symbols or more each class has its own; with fewer, classes share.
        return tuple((part[:, None] % count).expand(-1, 9).contiguous() for part in (labels, unseen_labels))

    found = checks.choose_count(code, [16, 2, 8, 8, 4], labels, unseen_labels, 8, seed=0)
    assert found.counts == (2, 4, 8, 16) and found.chosen == 8  # of equals the fewer
    assert len(found.pictures) == 60 and len(found.pictures.unique()) == 60
    assert found.right.mean() == 1
    fitted, unseen = code(2)
    correlations = symbols.correlation_map(fitted, labels, 2, 8)
    expected = symbols.predict(unseen, correlations) == unseen_labels
    assert torch.equal(found.right_fewest, expected[found.pictures].double())
    rest = torch.ones(120, dtype=torch.bool)
    rest[found.pictures] = False
    assert float(found.accuracies[0]) == pytest.approx(float(expected[rest].double().mean()))
    assert found.accuracies[1] < 0.6 and found.accuracies[2:].tolist() == [1, 1]
    gain = stats.bootstrap(found.right.numpy(), found.right_fewest.numpy(), draws=200)
    assert gain.interval()[0] > 0


def test_the_choice_does_not_see_the_tested_half():
    labels = torch.arange(400) % 4
    found = checks.choose_count(
        lambda count: (labels[:, None] % count, integers(count, 400, 1, seed=count)), [4, 5, 6, 7], labels, labels, 4, 0
    )
    # Noise: the best of several is above chance where it was chosen, and at chance elsewhere.
    assert found.accuracies.max() > 0.25
    assert float(found.right.mean()) == pytest.approx(0.25, abs=0.07)


def test_counts_that_cannot_be_are_refused():
    labels = torch.zeros(4, dtype=torch.int64)
    for counts in ([], [0, 3]):
        with pytest.raises(ValueError, match=f"^counts = {re.escape(str(counts))}"):
            checks.choose_count(None, counts, labels, labels, 1, 0)
    with pytest.raises(ValueError, match="^unseen_labels: shape"):
        checks.choose_count(None, [2], labels, labels[:1], 1, 0)


# The causal test


@given(
    st.tuples(st.floats(-5, 20), st.floats(-5, 20), st.floats(0.5, 30), st.floats(0.5, 30)), st.integers(1, 9), st.integers(1, 9)
)  # fmt: skip
def test_places_lie_in_the_cell_that_holds_their_centre(box, h, w):
    x0, y0, wide, high = box
    boxes = torch.tensor([[x0, y0, x0 + wide, y0 + high]], dtype=torch.float64)
    places = checks.cell_places(boxes, (h, w), (18, 24), cells=3)
    assert places.shape == (1, h, w) and places.dtype == torch.int64
    by_hand = torch.full((h, w), -1)
    for i, j in itertools.product(range(h), range(w)):
        row, column = ((i + 0.5) * 18 / h - y0) / high * 3, ((j + 0.5) * 24 / w - x0) / wide * 3
        if min(abs(v - round(v)) for v in (row, column)) < 1e-9:
            return  # on a border: rounding decides
        if 0 <= row < 3 and 0 <= column < 3:
            by_hand[i, j] = int(row) * 3 + int(column)
    if (by_hand >= 0).any():
        assert torch.equal(places[0], by_hand)
    else:
        assert (places >= 0).sum() == 1 and places.max() == 4


def test_a_box_between_places_gets_the_one_it_lies_in():
    places = checks.cell_places(torch.tensor([[9.0, 1, 11, 3]]), (4, 4), 32)
    assert (places >= 0).nonzero().tolist() == [[0, 0, 1]] and places.max() == 4
    whole = checks.cell_places(torch.tensor([[0.0, 0, 32, 32]]), (6, 6), 32)
    assert whole[0, ::2, ::2].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for wrong in (torch.zeros(1, 4), torch.full((1, 4), torch.nan), torch.zeros(4)):
        with pytest.raises(ValueError, match="^boxes: shape"):
            checks.cell_places(wrong, (4, 4), 32)


def region(b=3, c=5, seed=0):
    boxes = torch.tensor([[0.0, 0, 32, 32], [4, 8, 20, 30], [9, 1, 11, 3]])[:b]
    return normal(b, c, 8, 8, seed=seed), checks.cell_places(boxes, (8, 8), 32)


def test_means_of_cells_and_of_symbols_by_hand():
    response, places = region()
    means = checks.cell_means(response, places)
    for i, cell in itertools.product(range(3), range(9)):
        inside = response[i][:, places[i] == cell]
        assert torch.allclose(means[i, cell], inside.mean(1), equal_nan=True)
    assert means.isnan().any(-1).sum() == 8  # the small box
    found = integers(4, 3, 9)
    by_symbol = checks.symbol_means(means, found, 5)
    for s in range(4):
        assert torch.allclose(by_symbol[s], means[found == s].nanmean(0))
    assert by_symbol[4].isnan().all()
    with pytest.raises(ValueError, match=r"^vectors: shape \(3, 9, 5\), must be \(3, 4, 'C'\)"):
        checks.symbol_means(means, found[:, :4], 5)


def test_replaced_changes_the_region_and_nothing_else():
    response, places = region()
    before = response.clone()
    vectors = normal(3, 9, 5, seed=2)
    found = checks.replaced(response, places, vectors)
    assert torch.equal(response, before)
    for i, r, c in itertools.product(range(3), range(8), range(8)):
        cell = int(places[i, r, c])
        assert torch.equal(found[i, :, r, c], response[i, :, r, c] if cell < 0 else vectors[i, cell])
    # The means of cells, put back, stay the means of cells; cells without a place may be NaN.
    means = checks.cell_means(response, places)
    again = checks.cell_means(checks.replaced(response, places, means), places)
    assert torch.allclose(again, means, equal_nan=True)
    vectors[0, 3] = torch.nan
    with pytest.raises(ValueError, match="^vectors: not finite at a cell that is replaced"):
        checks.replaced(response, places, vectors)


def test_swapped_is_another_symbol_of_equal_length():
    means = normal(6, 5).abs()
    means[4] = 0
    means[5] = torch.nan
    found = integers(4, 200, 9)
    other = checks.swapped(found, means, seed=0)
    assert torch.allclose(other.norm(dim=-1), means[found].norm(dim=-1))
    direction = other / other.norm(dim=-1, keepdim=True)
    drawn = (direction @ (means[:4] / means[:4].norm(dim=-1, keepdim=True)).T).argmax(-1)
    assert not (drawn == found).any()
    pairs = torch.bincount((found * 4 + drawn).flatten(), minlength=16).view(4, 4).double()
    share = pairs / pairs.sum(1, keepdim=True)
    assert torch.allclose(share[~torch.eye(4, dtype=torch.bool)], torch.tensor(1 / 3).double(), atol=0.08)
    assert torch.equal(other, checks.swapped(found, means, seed=0))
    assert checks.swapped(torch.tensor([[4]]), means, 0).tolist() == [[[0] * 5]]
    with pytest.raises(ValueError, match="^means: 1 symbols have a vector"):
        checks.swapped(found, means[3:], 0)


class Tokens(nn.Module):
    """A transformer's outside: a token in front, then one for each place of a 3 x 4 grid."""

    num_prefix_tokens = 1

    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Identity()
        self.patch_embed.grid_size = (3, 4)
        self.block = nn.Identity()

    def forward(self, x):
        front = x.mean((2, 3))[:, None] + 1
        tokens = self.block(torch.cat([front, x.flatten(2).mT], 1))
        return (tokens * torch.arange(1, 14, dtype=x.dtype)[:, None]).sum(1)


class ChannelsLast(nn.Module):
    output_fmt = "NHWC"

    def __init__(self):
        super().__init__()
        self.block = nn.Identity()

    def forward(self, x):
        weights = torch.arange(1, 13, dtype=x.dtype).view(3, 4, 1)
        return (self.block(x.permute(0, 2, 3, 1)) * weights).sum((1, 2))


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Identity()

    def forward(self, x):
        return self.block(x.flatten(1)) * 2


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.unused = nn.Identity(), nn.Identity()

    def forward(self, x):
        return (self.block(x) * torch.arange(1, 13, dtype=x.dtype).view(3, 4)).sum((2, 3))


@pytest.mark.parametrize("network", [Tokens(), ChannelsLast(), Flat(), Plain()], ids=lambda n: type(n).__name__)
def test_the_network_goes_on_from_the_changed_response(network):
    x = normal(2, 3, 3, 4)
    seen = []

    def change(maps):
        seen.append(maps.clone())
        return maps + torch.arange(maps.shape[-1], dtype=maps.dtype) + 1  # depends on the column

    before = network(x)
    with checks.replacing(network, "block", change):
        after = network(x)
    assert torch.equal(network(x), before)  # the hook is gone
    assert len(seen) == 1
    weights = torch.arange(1, 13, dtype=x.dtype).view(3, 4)
    columns = torch.arange(1, 5, dtype=x.dtype)
    if isinstance(network, Flat):
        assert seen[0].shape == (2, 36, 1, 1) and torch.allclose(after, before + 2)
    else:
        assert torch.equal(seen[0], x)
        # The token in front stays: the weights of the others are one more behind it.
        moved = ((weights + isinstance(network, Tokens)) * columns).sum()
        assert torch.allclose(after - before, moved.expand_as(after))
    change_of_logit = checks.logit_change(network, "block", x, torch.tensor([2, 0]), change)
    assert torch.allclose(change_of_logit, (after - before)[[0, 1], [2, 0]])


def passed(network, stage, change, x):
    with checks.replacing(network, stage, change):
        return network(x)


def test_replacing_refuses_what_does_not_fit():
    network, x = Plain(), normal(2, 3, 3, 4)
    with pytest.raises(ParameterError, match="^stage = 'blocks': must be among block, unused"):
        passed(network, "blocks", lambda maps: maps, x)
    with pytest.raises(ValueError, match=r"^change: gave shape \(2, 3, 3, 1\), must be \(2, 3, 3, 4\)"):
        passed(network, "block", lambda maps: maps[..., :1], x)
    assert network(x).shape == (2, 3)  # the hook is gone after an error too
    with pytest.raises(ValueError, match="^stage 'unused' never runs"):
        passed(network, "unused", lambda maps: maps, x)


def small_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 4)).double()


def test_logit_change_is_the_rest_of_the_network_by_hand():
    network = small_network()
    network.train()
    boxes = torch.tensor([[8.0, 8, 56, 56]]).expand(20, 4)
    places = checks.cell_places(boxes, (8, 8), 64)
    x = normal(20, 1, 8, 8)
    response = network[:2](x).detach()
    classes = network(x).argmax(1)
    own = checks.cell_means(response, places)
    coarse = checks.logit_change(network, "1", x, classes, lambda maps: checks.replaced(maps, places, own))
    assert network.training
    by_hand = network[2:](checks.replaced(response, places, own)) - network(x)
    assert torch.allclose(coarse, by_hand.gather(1, classes[:, None])[:, 0])
    same = checks.logit_change(network, "1", x, classes, lambda maps: maps.clone())
    assert same.tolist() == [0] * 20 and coarse.abs().min() > 0


def test_logit_change_leaves_batch_statistics_alone():
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(6 * 36, 4)).double().train()
    before = network[1].running_mean.clone()
    checks.logit_change(network, "0", normal(5, 1, 8, 8), torch.zeros(5, dtype=torch.int64), lambda maps: maps + 1)
    assert torch.equal(network[1].running_mean, before)


# The attack


def planted(k=6, c=4, dim=5, seed=0):
    """Means of symbols, a map in which symbols differ, and vectors that lie about the means."""
    means = 10 * normal(k, dim, seed=seed)
    correlations = symbols.correlation_map(integers(k, 40, 9, seed=seed), integers(c, 40, seed=seed + 1), k, c)
    found = integers(k, 12, 9, seed=seed + 2)
    return means, correlations, found, means[found] + normal(12, 9, dim, seed=seed + 3)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("by", ["given class", "joint"])
def test_soft_score_becomes_the_hard_one_as_the_temperature_falls(log, by):
    means, correlations, _, vectors = planted()
    nearest = torch.cdist(vectors, means).argmin(-1)
    predictions = integers(4, 12, seed=9)
    hard = symbols.expected_symbol_score(nearest, predictions, correlations, log, by)
    gaps = [
        float((checks.soft_symbol_score(vectors, means, correlations, predictions, t, log, by) - hard).abs().max())
        for t in (1e4, 100, 10, 0.01)
    ]
    assert gaps[0] > 1e-2 and gaps[-1] < 1e-12 and gaps == sorted(gaps, reverse=True)
    single = checks.soft_symbol_score(vectors.float(), means, correlations, predictions, 0.01, log, by)
    assert single.dtype == torch.float32 and torch.allclose(single.double(), hard, atol=1e-5)


def test_soft_score_is_the_mix_by_hand_and_leaves_symbols_without_a_mean_out():
    means, correlations, _, vectors = planted()
    vectors = vectors + 1000  # far from 0, where squares lose digits
    means = means + 1000
    means[2] = torch.nan
    predictions = integers(4, 12, seed=9)
    found = checks.soft_symbol_score(vectors, means, correlations, predictions, 50.0)
    kept = [0, 1, 3, 4, 5]
    for i in range(12):
        cells = []
        for v in vectors[i]:
            closeness = np.array([-float((v - means[s]).square().sum()) / 50 for s in kept])
            weights = np.exp(closeness - closeness.max())
            weights /= weights.sum()
            cells.append(weights @ correlations.given_class[kept, predictions[i]].numpy())
        assert float(found[i]) == pytest.approx(np.mean(cells), rel=1e-9)
    logs = checks.soft_symbol_score(vectors[:, :1], means, correlations, predictions, 50.0, log=True)
    assert torch.allclose(logs, checks.soft_symbol_score(vectors[:, :1], means, correlations, predictions, 50.0).log())
    for name, arguments in (("temperature", (means, 0.0)), ("means", (means * torch.nan, 1.0))):
        with pytest.raises(ValueError, match=f"^{name}"):
            checks.soft_symbol_score(vectors, arguments[0], correlations, predictions, arguments[1])


@pytest.mark.parametrize("log", [False, True])
def test_soft_score_has_the_gradient_of_differences(log):
    means, correlations, _, vectors = planted()
    predictions = integers(4, 2, seed=9)
    vectors = vectors[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: checks.soft_symbol_score(v, means, correlations, predictions, 80.0, log), vectors
    )


def test_typical_gap_is_the_median_squared_distance():
    means, _, _, vectors = planted()
    means[1] = torch.nan
    by_hand = [min(float((v - m).square().sum()) for m in means if not m.isnan().any()) for v in vectors.flatten(0, 1)]
    assert checks.typical_gap(vectors, means) == pytest.approx(sorted(by_hand)[(len(by_hand) - 1) // 2])


def pooled(maps):
    return nn.functional.adaptive_avg_pool2d(maps, 3).flatten(2).mT


@pytest.fixture(scope="module")
def attacked():
    """A network, its pictures, symbols that are nearest means in response space, their map, and both attacks."""
    network = small_network().eval()
    x = normal(60, 1, 8, 8).sigmoid()
    labels = network(x).argmax(1)
    vectors = pooled(network[:2](x)).detach()
    # Symbols about 12 of the vectors themselves.
    means = vectors.flatten(0, 1)[integers(540, 12)]
    correlations = symbols.correlation_map(torch.cdist(vectors, means).argmin(-1), labels, 12, 4)
    gap = checks.typical_gap(vectors, means)
    hits = {}
    for weight in (0.0, 1.0):
        objective = checks.evasion(network, "1", pooled, means, correlations, labels, gap, weight)
        hits[weight] = attacks.ascend(objective, x, 0.1, 20, seed=0, low=0, high=1)
    return network, x, labels, means, correlations, gap, hits


def score_of(network, x, means, correlations):
    found = torch.cdist(pooled(network[:2](x)).detach(), means).argmin(-1)
    return symbols.expected_symbol_score(found, network(x).argmax(1), correlations, log=True)


def test_without_weight_the_attack_is_pgd(attacked):
    network, x, labels, *_, hits = attacked
    assert torch.equal(hits[0.0], attacks.pgd(network, x, labels, 0.1, 20, seed=0, low=0, high=1))
    assert not network[1]._forward_hooks


def test_objective_is_cross_entropy_and_the_score_of_the_likeliest_wrong_class(attacked):
    network, x, labels, means, correlations, gap, hits = attacked
    for inputs, log in ((x, True), (hits[0.0], False)):
        value = checks.evasion(network, "1", pooled, means, correlations, labels, gap, 2.0, log)(inputs)
        logits = network(inputs)
        wrong = torch.stack(
            [row.argsort(descending=True)[int(row.argmax() == y)] for row, y in zip(logits, labels, strict=True)]
        )
        score = checks.soft_symbol_score(pooled(network[:2](inputs)), means, correlations, wrong, gap, log)
        expected = nn.functional.cross_entropy(logits, labels, reduction="none") + 2 * score
        assert value.item() == pytest.approx(expected.sum().item())


def test_the_attack_raises_the_hard_score_and_still_succeeds(attacked):
    network, x, labels, means, correlations, _, hits = attacked
    plain, strong = hits[0.0], hits[1.0]
    for hit in (plain, strong):
        assert (hit - x).abs().max() <= 0.1 + 1e-12
    wrong = [(network(hit).argmax(1) != labels).double().mean() for hit in (plain, strong)]
    assert wrong[0] > 0.5 and wrong[1] > 0.5 * wrong[0]
    both = (network(plain).argmax(1) != labels) & (network(strong).argmax(1) != labels)
    gain = (score_of(network, strong, means, correlations) - score_of(network, plain, means, correlations))[both]
    assert gain.mean() > 0.1


# A page for people


@settings(max_examples=30)
@given(st.integers(0, 50), st.integers(3, 6), st.sampled_from([1, 4, 9]))
def test_pages_have_one_intruder(seed, shown, cells):
    found = integers(8, 60, cells, seed=seed) * integers(2, 60, 1, seed=seed + 1)
    pages = checks.intruders(found, seed, 20, shown)
    assert pages.pictures.shape == pages.cells.shape == (20, shown)
    for page in range(20):
        pictures, symbol, at = pages.pictures[page], pages.symbol[page], int(pages.intruder[page])
        assert len(pictures.unique()) == shown
        seen = found[pictures, pages.cells[page]]
        assert [bool(s == symbol) for s in seen] == [i != at for i in range(shown)]
        assert seen[at] == pages.other[page]
        assert not (found[pictures[at]] == symbol).any()


def test_pages_are_the_seeds_and_positions_and_symbols_even():
    found = integers(5, 300, 1)
    pages, again, other = (checks.intruders(found, seed, 400) for seed in (0, 0, 1))
    for name in ("pictures", "cells", "intruder", "symbol", "other"):
        assert torch.equal(getattr(pages, name), getattr(again, name))
    assert not torch.equal(pages.pictures, other.pictures)
    assert torch.bincount(pages.symbol).tolist() == [80] * 5
    assert (torch.bincount(pages.intruder, minlength=4) - 100).abs().max() < 30
    assert len(pages.pictures.unique()) > 250


def test_a_page_that_cannot_be_made_has_a_reason():
    reason = "No symbol is in at least {} pictures and missing from another one."
    assert checks.intruders(torch.zeros(9, 2, dtype=torch.int64), 0, 1) == reason.format(3)
    assert checks.intruders(torch.arange(9)[:, None], 0, 1) == reason.format(3)
    pairs = torch.tensor([0, 0, 1, 1])[:, None]  # each in two pictures: enough for pages of three, not of four
    assert not isinstance(checks.intruders(pairs, 0, 1, shown=3), str)
    assert checks.intruders(pairs, 0, 1) == reason.format(3)
    with pytest.raises(ValueError, match="^shown = 2, count = 1"):
        checks.intruders(torch.zeros(9, 2, dtype=torch.int64), 0, 1, shown=2)
    with pytest.raises(ValueError, match="^symbols: torch.float32"):
        checks.intruders(torch.zeros(9, 2), 0, 1)
