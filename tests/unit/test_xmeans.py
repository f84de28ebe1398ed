"""X-means against closed forms, brute force, k-means told the true number, and pyclustering."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from innercodes import xmeans


def rng(seed):
    return np.random.default_rng(seed)


def ball(n, d=3, seed=0):
    return torch.from_numpy(rng(seed).normal(size=(n, d)))


def blobs(seed, n, k, elongation, side, gauss=True):
    """Clusters of at least 50 points, of uneven size and width, stretched and turned, in a cube."""
    r = rng(seed)
    counts = 50 + r.multinomial(n - 50 * k, r.dirichlet(np.full(k, 2.0)))
    middles = r.uniform(0, side * (k / 100) ** (1 / 3), (k, 3))
    parts = []
    for count, middle in zip(counts, middles, strict=True):
        turn = np.linalg.qr(r.normal(size=(3, 3)))[0]
        axes = np.exp(r.uniform(0, np.log(elongation), 3))
        axes *= 0.35 * np.exp(0.25 * r.normal()) / axes.prod() ** (1 / 3)
        z = r.normal(size=(count, 3)) if gauss else r.uniform(-1.7, 1.7, (count, 3))
        parts.append(z * axes @ turn.T + middle)
    return torch.from_numpy(np.concatenate(parts)), np.repeat(np.arange(k), counts)


def apart(k, d=3, each=60, seed=0):
    """Blobs of unit width at corners 12 apart."""
    corners = 12 * np.stack(np.unravel_index(np.arange(k), (k,) if d == 1 else (4,) * d), 1)
    r = rng(seed)
    x = np.concatenate([r.normal(size=(each, d)) + corner for corner in corners])
    order = r.permutation(len(x))
    return torch.from_numpy(x[order]), np.repeat(np.arange(k), each)[order]


@pytest.mark.parametrize("d", [1, 3])
def test_bic_is_the_log_likelihood_less_the_penalty(d):
    x, labels = ball(40, d).numpy(), rng(1).integers(0, 3, 40)
    means = np.stack([x[labels == i].mean(0) for i in range(3)])
    squares = float(((x - means[labels]) ** 2).sum())
    counts = np.bincount(labels)
    cov = squares / (d * (40 - 3)) * np.eye(d)
    logs = [multivariate_normal.logpdf(x[i], means[j], cov) + np.log(counts[j] / 40) for i, j in enumerate(labels)]
    expected = np.sum(logs) - 3 * (d + 1) / 2 * np.log(40)
    assert xmeans.bic(torch.from_numpy(counts), squares, d) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="2 clusters of 2 points"):
        xmeans.bic(torch.ones(2), 1.0, 3)
    with pytest.raises(ValueError, match="above 0"):
        xmeans.bic(torch.tensor([3, 3]), 0.0, 3)


@pytest.mark.parametrize(("k", "d"), [(1, 3), (4, 3), (8, 3), (2, 1), (4, 2), (8, 5)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_blobs_far_apart_are_found_exactly(k, d, seed):
    x, truth = apart(k, d, seed=seed)
    found = xmeans.fit(x, seed)
    assert len(found.centers) == k and adjusted_rand_score(truth, found.labels) == 1
    assert found.centers.dtype == torch.float64 and found.labels.dtype == torch.int64
    means = torch.stack([x[found.labels == i].mean(0) for i in range(k)])
    torch.testing.assert_close(found.centers, means, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "n"),
    [("gauss", 100), ("gauss", 2000), ("long", 100), ("long", 2000), ("cube", 200), ("rod", 200), ("arc", 200)],
)
def test_one_hump_of_any_form_is_one_cluster(shape, n):
    r = rng(5)
    x = r.uniform(-1, 1, (n, 3)) if shape in ("cube", "rod") else r.normal(size=(n, 3))
    if shape in ("long", "rod"):
        x *= [8, 1, 0.3]
    if shape == "arc":
        angle = r.uniform(0, 1.0, n)
        x = np.stack([10 * np.cos(angle), 10 * np.sin(angle), np.zeros(n)], 1) + 0.8 * x
    for seed in range(3):
        assert len(xmeans.fit(torch.from_numpy(x), seed).centers) == 1


def test_it_never_collapses_and_counts_elongated_blobs():
    shares, quality = [], []
    for run, (k, elongation, side, gauss) in enumerate(
        [(50, 1, 15, 1), (50, 8, 18, 1), (80, 4, 15, 1), (80, 4, 18, 0), (70, 2, 12, 1), (60, 4, 30, 1), (80, 6, 22, 0)]
    ):
        x, truth = blobs(9000 + run, 5000, k, elongation, side, gauss)
        found = xmeans.fit(x, run)
        told = KMeans(k, random_state=run).fit(x.numpy()).labels_
        shares.append(len(found.centers) / k)
        quality.append(adjusted_rand_score(truth, found.labels) / adjusted_rand_score(truth, told))
    assert 0.85 <= np.median(shares) <= 1.15 and min(shares) >= 0.7 and max(shares) <= 1.35
    assert min(quality) >= 0.9 and np.median(quality) >= 0.95


@pytest.mark.parametrize("few", [0, 10**6])
@settings(max_examples=60)
@given(st.data())
def test_kmeans_takes_the_steps_of_lloyd(few, data):
    """By the bounds some points are not asked again: the centres are those of asking each point each time."""
    n, d, k, seed = (data.draw(st.integers(*span)) for span in ((1, 80), (1, 4), (1, 12), (0, 10**6)))
    x = rng(seed).normal(size=(n, d)) * 10.0 ** data.draw(st.integers(-6, 6))
    centers = rng(seed + 1).normal(size=(k, d)) * np.abs(x).max()
    steps, tolerance = data.draw(st.integers(1, 30)), data.draw(st.sampled_from([1e-12, 0.1])) * np.abs(x).max()
    expected = centers
    for _ in range(steps):
        labels = ((x[:, None] - expected) ** 2).sum(-1).argmin(1)
        moved = np.stack([x[labels == i].mean(0) for i in np.unique(labels)])
        done = len(moved) == len(expected) and np.abs(moved - expected).max() <= tolerance
        expected = moved
        if done:
            break
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xmeans, "FEW", few)
        found = xmeans._kmeans(x, centers, tolerance, steps)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * np.abs(x).max())


def test_the_nearest_two_are_the_same_by_a_tree_and_by_looking(monkeypatch):
    x, centers = ball(500).numpy(), ball(40, seed=1).numpy()
    found = xmeans._nearest(x, centers)
    monkeypatch.setattr(xmeans, "FEW", 0)
    tree = xmeans._nearest(x, centers)
    away = np.sort(np.linalg.norm(x[:, None] - centers, axis=-1), 1)
    np.testing.assert_array_equal(found[0], tree[0])
    for i in (1, 2):
        np.testing.assert_allclose(found[i], away[:, i - 1], rtol=1e-12)
        np.testing.assert_allclose(tree[i], away[:, i - 1], rtol=1e-12)
    assert xmeans._nearest(x, centers[:1])[2].min() == np.inf
    monkeypatch.undo()
    assert xmeans._nearest(x, centers[:1])[2].min() == np.inf


def test_merging_is_what_counts_long_clusters():
    r = rng(3)
    x = np.concatenate([r.normal(size=(300, 3)) * [10, 1, 1] + [0, 30 * i, 0] for i in range(5)])
    steps = xmeans._split(x - x.mean(0), r.random((len(x), 2)), 8, 1e-3, 1e-9)
    assert len(steps) >= 10  # spheres need more than one for each
    assert len(xmeans.fit(torch.from_numpy(x), 0).centers) == 5


def test_halves_are_joined_where_there_is_one_hump_only():
    x = ball(1000).numpy() * [3, 1, 1]
    halves = np.stack([x[x[:, 0] < 0].mean(0), x[x[:, 0] >= 0].mean(0)])
    np.testing.assert_allclose(xmeans._merge(x, halves, 10, 6, 1e-12, True), x.mean(0)[None], atol=1e-12)
    two = np.concatenate([x, x + np.array([0, 8, 0])])
    assert len(xmeans._merge(two, np.array([[0.0, 0, 0], [0, 8, 0]]), 10, 6, 1e-12, True)) == 2
    # Four quarters, so that scatter matrices of unions are used again.
    quarters = np.stack(
        [x[(x[:, 0] < 0) == p][(x[(x[:, 0] < 0) == p][:, 1] < 0) == q].mean(0) for p in (0, 1) for q in (0, 1)]
    )
    np.testing.assert_allclose(xmeans._merge(x, quarters, 10, 1, 1e-12, True), x.mean(0)[None], atol=1e-12)


def test_clusters_are_chosen_by_log_likelihood_less_the_penalty():
    x, labels = apart(4, 2, seed=3)
    x = x.numpy()
    x[labels == 2] *= [1, 0.05]  # one that is long
    expected, counts, scatters, pooled = 0, [], [], 0.2
    for i in range(4):
        mine = x[labels == i]
        n, scatter = len(mine), (mine - mine.mean(0)).T @ (mine - mine.mean(0))
        counts.append(n)
        scatters.append(scatter)
        bics = []
        for moments, parameters in ((scatter, 6), (np.eye(2) * np.trace(scatter) / 2, 4)):
            covariance = (moments + 4 * pooled * np.eye(2)) / (n + 4)
            logs = multivariate_normal.logpdf(mine, mine.mean(0), covariance) + np.log(2 * np.pi) + np.log(n)
            bics.append(logs.sum() - parameters / 2 * np.log(500))
        assert np.argmax(bics) == (0 if i == 2 else 1)
        expected += max(bics)
    found = xmeans._bic_of(np.array(counts, float), np.stack(scatters), pooled, 500)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_round_clusters_that_touch_are_not_joined(seed):
    x, truth = blobs(500 + seed, 8000, 120, 1, 12, gauss=False)
    told = KMeans(120, random_state=seed).fit(x.numpy()).labels_
    found = xmeans.fit(x, seed).labels
    assert adjusted_rand_score(truth, found) >= 0.9 * adjusted_rand_score(truth, told)


def test_the_cap_joins_what_costs_least():
    x, truth = apart(3, 1, each=50)
    x = torch.where(x > 18, x + 200, x)  # at 0, 12 and 224
    found = xmeans.fit(x, 0, most=2)
    assert len(found.centers) == 2 and adjusted_rand_score(truth == 2, found.labels) == 1


@pytest.mark.parametrize("backend", xmeans.BACKENDS)
@pytest.mark.parametrize("most", [1, 2, 5, 8, 9])
def test_most_is_a_hard_cap(most, backend):
    x, _ = apart(8)
    found = xmeans.fit(x, 0, most, backend=backend)
    assert 1 <= len(found.centers) <= min(most, 8) and (backend == "pyclustering" or len(found.centers) == min(most, 8))
    assert torch.equal(found.labels.unique(), torch.arange(len(found.centers)))


def test_the_cap_holds_where_many_clusters_must_go():
    x, _ = blobs(1, 5000, 80, 4, 30)
    assert len(xmeans.fit(x, 0, 10).centers) == 10 and len(xmeans.fit(x, 0, 37).centers) == 37


@pytest.mark.parametrize("backend", xmeans.BACKENDS)
def test_same_seed_same_bits_and_no_global_state(backend):
    x, _ = blobs(2, 5000, 60, 4, 12)
    torch.manual_seed(1)
    np.random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    runs = [xmeans.fit(x, seed, backend=backend) for seed in (0, 0, 1)]
    assert torch.equal(runs[0].centers, runs[1].centers) and torch.equal(runs[0].labels, runs[1].labels)
    assert not torch.equal(runs[0].centers, runs[2].centers)
    assert torch.equal(states[0], torch.get_rng_state()) and (states[1] == np.random.get_state()[1]).all()


@given(st.integers(0, 10**6), st.sampled_from([2.0**-30, 0.25, 2.0**40]))
@settings(max_examples=10)
def test_the_unit_does_not_matter(seed, unit):
    x, _ = blobs(seed, 300, 4, 4, 12)
    x = x - x.mean(0)
    plain, scaled = xmeans.fit(x, 3), xmeans.fit(x * unit, 3)
    assert torch.equal(plain.labels, scaled.labels)
    torch.testing.assert_close(plain.centers * unit, scaled.centers, rtol=1e-6, atol=1e-9 * unit)


def test_far_from_zero_the_same_clusters_are_found():
    x, truth = apart(8)
    found = xmeans.fit(x + 1e7, 0)
    assert len(found.centers) == 8 and adjusted_rand_score(truth, found.labels) == 1


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_assign_is_brute_force(n, k, d, seed):
    points, centers = ball(n, d, seed), ball(k, d, seed + 100)
    squares = (points[:, None] - centers).square().sum(-1)
    assert torch.equal(xmeans.assign(points, centers), squares.argmin(1))
    assert xmeans.assign(points.float(), centers.float()).dtype == torch.int64


def test_assign_takes_any_of_equally_near_and_nothing():
    centers = torch.tensor([[0.0], [1.0], [1.0]])
    assert xmeans.assign(torch.tensor([[0.5]]), centers).item() in (0, 1, 2)
    assert xmeans.assign(torch.tensor([[9.0]]), centers).item() in (1, 2)
    assert xmeans.assign(torch.empty(0, 1), centers).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_labels_are_the_nearest_centres_in_any_precision(dtype):
    x = blobs(4, 5000, 60, 4, 12)[0].to(dtype).requires_grad_()
    found = xmeans.fit(x, 0)
    assert torch.equal(found.labels, xmeans.assign(x, found.centers))
    assert len(found.labels.unique()) == len(found.centers) and not found.centers.requires_grad
    means = torch.stack([x.detach().double()[found.labels == i].mean(0) for i in range(len(found.centers))])
    assert (means - found.centers).abs().max() <= 2e-3 * float(x.detach().double().std())


def test_copies_of_points():
    x = ball(5, seed=8).repeat(30, 1)
    found = xmeans.fit(x, 0)
    assert len(found.centers) == 5 and torch.equal(found.labels, found.labels[:5].repeat(30))
    for same in (torch.full((40, 3), 7.3), torch.ones(1, 3)):
        for backend in xmeans.BACKENDS:
            found = xmeans.fit(same, 0, backend=backend)
            assert torch.equal(found.centers, same[:1].double()) and not found.labels.any()
    assert len(xmeans.fit(ball(2), 0).centers) == 1
    mixed = torch.cat([ball(200), torch.full((200, 3), 30.0)])
    assert len(xmeans.fit(mixed, 0).centers) == 2


def test_points_far_out_do_not_hide_the_rest():
    x, truth = apart(8)
    x = torch.cat([x, torch.tensor([[1e4, 0, 0], [0, -1e4, 0.0]])])
    found = xmeans.fit(x, 0)
    assert adjusted_rand_score(truth, found.labels[:-2]) == 1


def test_a_flat_or_single_dimension():
    x, truth = apart(4, 2)
    flat = torch.cat([x, torch.zeros(len(x), 1)], 1)
    assert adjusted_rand_score(truth, xmeans.fit(flat, 0).labels) == 1


def test_a_cut_ends_where_two_means_do():
    x = ball(500, seed=2).numpy() * [3, 1, 1]
    side = np.zeros(500, np.int64)
    ones = xmeans._cut(x, np.arange(500), side, np.array([0.3, 0.6]), 200, 0.0)
    assert ones == side.sum()
    means = np.stack([x[side == i].mean(0) for i in (0, 1)])
    np.testing.assert_array_equal(side, ((x[:, None] - means) ** 2).sum(-1).argmin(1))


def test_pyclustering_agrees_where_it_works():
    x, truth = apart(4, 3, seed=2)
    ours, theirs = (xmeans.fit(x, 2, backend=name) for name in xmeans.BACKENDS)
    assert adjusted_rand_score(ours.labels, theirs.labels) == 1 == adjusted_rand_score(truth, theirs.labels)
    order = xmeans.assign(theirs.centers, ours.centers)
    torch.testing.assert_close(ours.centers[order], theirs.centers, rtol=0, atol=1e-9)


GOOD = torch.zeros(10, 3)


@pytest.mark.parametrize(
    ("points", "settings", "message"),
    [
        (torch.zeros(0, 3), {}, "points: torch.float32 of shape (0, 3), must be floating-point (N, d)"),
        (torch.zeros(3), {}, "shape (3,)"),
        (torch.zeros(3, 0), {}, "shape (3, 0)"),
        (torch.zeros(3, 2, dtype=torch.int64), {}, "torch.int64"),
        (torch.tensor([[1.0], [torch.nan], [torch.inf]]), {}, "points: 2 values are not finite"),
        (torch.tensor([[1e200], [-1e200]], dtype=torch.float64), {}, "too large to be squared"),
        (GOOD, {"most": 0}, "most = 0: must be at least 1"),
        (GOOD, {"seed": -1}, "seed = -1: must be at least 0"),
        (GOOD, {"tolerance": 0.0}, "tolerance = 0.0: must be above 0"),
        (GOOD, {"tolerance": float("nan")}, "tolerance = nan"),
        (GOOD, {"tree_steps": 0}, "tree_steps = 0"),
        (GOOD, {"rounds": 0}, "rounds = 0"),
        (GOOD, {"stop": -0.1}, "stop = -0.1"),
        (GOOD, {"neighbors": 0}, "neighbors = 0"),
        (GOOD, {"backend": "sklearn"}, "backend = 'sklearn': must be one of innercodes, pyclustering"),
    ],
)
def test_what_is_refused(points, settings, message):
    with pytest.raises(ValueError) as error:
        xmeans.fit(points, **{"seed": 0, **settings})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_assign_refuses_other_shapes():
    for points, centers, message in (
        (torch.zeros(2, 3), torch.zeros(2, 2), r"points: shape \(2, 3\), must be \(N, 2\)"),
        (torch.zeros(2, 2), torch.zeros(0, 2), r"centers: .* shape \(0, 2\)"),
        (torch.full((2, 2), torch.nan), torch.zeros(1, 2), "points: 4 values are not finite"),
        (torch.zeros(2, 2), torch.full((1, 2), torch.inf), "centers: 2 values are not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            xmeans.assign(points, centers)
