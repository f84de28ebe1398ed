"""Self-organising maps against quicksom, brute force and closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from scipy.stats import gaussian_kde
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from innercodes import telescope


def draws(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_hand(codes, start, order, grid, sigma, alpha, batch_size):
    """The rule, one unit and one code at a time."""
    m, n = grid
    w, total, seen, losses = start.clone(), order.numel(), 0, []
    for epoch in order:
        for batch in epoch.split(batch_size):
            decay = math.exp(-5 * seen / total)
            x = codes[batch]
            cds = torch.tensor(cdist(x.numpy(), w.numpy(), "cosine"))
            losses.append(cds.min(-1).values.mean())
            step = torch.zeros_like(w)
            for b, u in enumerate(cds.argmin(-1).tolist()):
                for v in range(m * n):
                    copies = itertools.product((-m, 0, m), (-n, 0, n))
                    square = min((u // n - v // n + i) ** 2 + (u % n - v % n + j) ** 2 for i, j in copies)
                    step[v] += alpha * decay * math.exp(-square / (2 * (sigma * decay) ** 2 + 1e-5)) * (x[b] - w[v])
            w = w + step / len(x)
            seen += len(batch)
    return w, torch.stack(losses)


@pytest.mark.parametrize(
    ("grid", "batch", "alpha"), [((3, 5), 4, 0.1), ((4, 2), 1, 1.0), ((1, 1), 7, 0.9), ((3, 3), 3, 0.995)]
)
def test_the_rule_on_any_grid_and_with_a_partial_last_batch(grid, batch, alpha):
    codes, start = draws(10, 6), draws(grid[0] * grid[1], 6, seed=1)
    order = torch.stack([torch.randperm(10, generator=torch.Generator().manual_seed(s)) for s in range(3)])
    som = telescope.fit_som(codes, grid, 2.0, alpha, 3, batch, start=start, order=order)
    weights, losses = by_hand(codes, start, order, grid, 2.0, alpha, batch)
    torch.testing.assert_close(som.weights, weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(som.losses, losses, rtol=0, atol=1e-12)
    assert torch.equal(start, draws(grid[0] * grid[1], 6, seed=1))  # not written to


@pytest.mark.parametrize(("grid", "batch"), [(6, 10), ((4, 7), 10), ((4, 7), 1)])
def test_same_weights_as_quicksom_over_200_steps(grid, batch):
    codes = draws(50 * batch, 40).relu() + 0.1 * draws(50 * batch, 40, seed=2)
    ours, theirs = (
        telescope.fit_som(codes, grid, 3.0, 0.1, 4, batch, seed=5, backend=name) for name in telescope.BACKENDS
    )
    assert len(ours.losses) == 200
    torch.testing.assert_close(ours.weights, theirs.weights, rtol=0, atol=1e-9)
    torch.testing.assert_close(ours.losses, theirs.losses, rtol=0, atol=1e-9)


def test_quicksom_itself_agrees_step_for_step():
    # The library's own fit, in float32, with its own loader: not through our backend.
    from quicksom.som import SOM

    codes, start = draws(60, 8, dtype=torch.float32), draws(25, 8, seed=3, dtype=torch.float32)
    library = SOM(
        5, 5, 8, alpha=0.1, sigma=2.0, n_epoch=3, sched="exp", periodic=True, centroids=start.clone(),
        metric=lambda x, w: 1 - torch.cosine_similarity(x.view(len(x), 1, -1), w, dim=-1),
    )  # fmt: skip
    loader = torch.utils.data.DataLoader([(i, code) for i, code in enumerate(codes)], batch_size=10)
    library.fit(
        loader, batch_size=10, num_workers=0, logfile=None, do_compute_all_dists=False, print_each=10**9, unfold=False
    )
    order = torch.arange(60).expand(3, 60)
    som = telescope.fit_som(codes, 5, 2.0, 0.1, 3, 10, start=start, order=order)
    torch.testing.assert_close(som.weights, library.centroids, rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch", [5, 1])
def test_float32_stays_close_over_thousands_of_steps(batch):
    codes = draws(400, 30).relu()
    start = torch.randn(16, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    order = torch.stack([torch.randperm(400, generator=torch.Generator().manual_seed(s)) for s in range(50)])
    exact = telescope.fit_som(codes, 4, 2.0, 0.1, 50, batch, start=start, order=order)
    single = telescope.fit_som(codes.float(), 4, 2.0, 0.1, 50, batch, start=start.float(), order=order)
    same = telescope.best_units(exact, codes, 1) == telescope.best_units(single, codes.float(), 1)
    assert same.double().mean() > 0.95
    assert single.losses[-400:].mean() == pytest.approx(float(exact.losses[-400:].mean()), rel=1e-2)


def test_same_seed_same_map_and_another_seed_another():
    codes = draws(50, 5)
    a, b, c = (telescope.fit_som(codes, 4, epochs=2, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.weights, b.weights) and not torch.equal(a.weights, c.weights)


def test_separated_directions_get_regions_of_their_own():
    directions = torch.eye(4, 16, dtype=torch.float64)
    labels = torch.arange(200) % 4
    codes = directions[labels] + 0.02 * draws(200, 16)
    som = telescope.fit_som(codes, 8, 4.0, 0.3, 20, 10)
    assert som.losses[-20:].mean() < 0.01 < som.losses[0]
    units = telescope.best_units(som, codes, 1)[:, 0]
    owners = [set(units[labels == c].tolist()) for c in range(4)]
    assert all(not a & b for a, b in itertools.combinations(owners, 2))
    near = telescope.cosine_distances(som.weights, som.weights)[telescope.grid_distances(8) == 1].mean()
    assert near < telescope.unit_distances(som).mean() / 2


@pytest.mark.parametrize("codes", [torch.ones(30, 4), torch.ones(1, 4), torch.zeros(5, 4)])
def test_constant_single_and_zero_codes_are_defined(codes):
    som = telescope.fit_som(codes.double(), 3, 1.0, 0.5, 60, 10)
    assert som.weights.isfinite().all()
    if codes.any():
        assert som.losses[-1] < 1e-6
    else:
        assert torch.equal(som.losses, torch.ones_like(som.losses))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": torch.zeros(0, 4)}, r"codes: shape \(0, 4\), must be"),
        ({"codes": torch.zeros(4)}, r"codes: shape \(4,\), must be"),
        ({"codes": torch.tensor([[1.0, torch.nan]])}, "codes: 1 values are not finite"),
        ({"grid": 0}, "grid = 0: must have"),
        ({"sigma": 0.0}, "sigma = 0.0: must be above 0"),
        ({"alpha": 1.5}, "alpha = 1.5: must be above 0, at most 1"),
        ({"epochs": 0}, "epochs = 0: must be at least 1"),
        ({"batch_size": 0}, "batch_size = 0: must be at least 1"),
        ({"backend": "minisom"}, "backend = 'minisom': must be one of innercodes, quicksom"),
        ({"start": torch.zeros(3, 2)}, r"start: shape \(3, 2\), must be \(400, 4\)"),
        ({"order": torch.zeros(1, 2)}, r"order: shape \(1, 2\), must be \(5, 8\)"),
    ],
)
def test_bad_input_is_refused_by_name(changed, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        telescope.fit_som(**{"codes": torch.ones(8, 4)} | changed)


def test_best_units_are_the_brute_force_ranking_and_distinct():
    som = telescope.SOM(draws(30, 7), (5, 6), torch.empty(0))
    codes = draws(40, 7, seed=1)
    found = telescope.best_units(som, codes, 10, chunk=7)
    ranking = np.argsort(cdist(codes.numpy(), som.weights.numpy(), "cosine"), axis=1)[:, :10]
    assert np.array_equal(found.numpy(), ranking)
    assert all(len(set(row)) == 10 for row in found.tolist())
    alike = telescope.SOM(torch.ones(30, 7), (5, 6), torch.empty(0))
    assert telescope.best_units(alike, torch.ones(1, 7), 3).tolist() == [[0, 1, 2]]
    assert telescope.best_units(som, codes[:0], 3).shape == (0, 3)
    closest = cdist(codes.numpy(), som.weights.numpy(), "cosine").min(1).mean()
    assert telescope.mean_loss(som, codes) == pytest.approx(closest, abs=1e-12)
    for k in (0, 31):
        with pytest.raises(ValueError, match=f"^k = {k}: must be from 1 to 30"):
            telescope.best_units(som, codes, k)
    with pytest.raises(ValueError, match=r"^codes: shape \(40, 6\), must be \(N, 7\)"):
        telescope.best_units(som, codes[:, :6])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_codes_that_are_not_finite_are_refused_by_name(bad):
    som, codes = telescope.SOM(draws(6, 3), (2, 3), torch.empty(0)), draws(4, 3)
    codes[2, 1] = bad
    for function in (
        lambda: telescope.best_units(som, codes, 2), lambda: telescope.mean_loss(som, codes),
        lambda: telescope.participation_ratio(codes), lambda: telescope.explained_variance(codes),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="^codes: 1 values are not finite$"):
            function()


def test_the_loss_of_no_codes_is_refused():
    som = telescope.SOM(draws(6, 3), (2, 3), torch.empty(0))
    with pytest.raises(ValueError, match=r"^codes: shape \(0, 3\), must be \(N, 3\) with at least one code"):
        telescope.mean_loss(som, draws(0, 3))
    with pytest.raises(ValueError, match=r"^codes: shape \(5, 2\), must be \(N, 3\)"):
        telescope.mean_loss(som, draws(5, 2))


def test_cosine_distance_of_parallel_orthogonal_opposite_and_zero():
    a = torch.tensor([[2.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 3.0], [-5.0, 0.0], [0.0, 0.0]])
    assert telescope.cosine_distances(a, b).tolist() == [[0, 1, 2, 1]]


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_torus_distance_is_the_shortest_over_all_copies(m, n, data):
    a, b = (torch.tensor([data.draw(st.integers(0, m - 1)), data.draw(st.integers(0, n - 1))]) for _ in range(2))
    copies = [b + torch.tensor([i * m, j * n]) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    shortest = min(float((a - copy).double().norm()) for copy in copies)
    assert float(telescope.torus_distance(a, b, (m, n))) == pytest.approx(shortest, abs=1e-12)
    assert float(telescope.torus_distance(b, a, (m, n))) == pytest.approx(shortest, abs=1e-12)


def test_torus_distances_of_a_map_of_20_by_20():
    every = telescope.grid_distances(20)
    assert float(every.max()) == pytest.approx(20 / math.sqrt(2))
    assert float(every.sum() / (400 * 399)) == pytest.approx(7.685, abs=5e-4)


def spread(units, labels, grid, classes):
    found = telescope.class_centers(units, labels, grid, classes)
    return telescope.class_spread(units, labels, found, grid)


def test_centres_and_spread_against_nine_copies_of_the_map():
    m, n, classes = 6, 8, 3
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (50,), generator=generator)
    units = torch.randint(m * n, (50, 4), generator=generator)
    found = telescope.class_centers(units, labels, (m, n), classes)
    spreads = telescope.class_spread(units, labels, found, (m, n))
    for c in range(classes):
        mine = units[labels == c].flatten().tolist()
        mode = max(range(m * n), key=lambda u, mine=mine: (mine.count(u), -u))
        home = np.array(divmod(mode, n))
        assert found.modes[c].tolist() == home.tolist()
        moved = []
        for u in mine:
            copies = [np.array([u // n + i * m, u % n + j * n]) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            # of two copies equally near, the upper and left one
            moved.append(min(copies, key=lambda p, home=home: (np.linalg.norm(p - home), *p)))
        centre = np.mean(moved, axis=0)
        assert np.allclose(found.centers[c], centre)
        assert float(spreads[c]) == pytest.approx(np.linalg.norm(moved - centre, axis=1).mean())


def test_spread_of_random_units_of_one_unit_and_across_the_border():
    generator = torch.Generator().manual_seed(0)
    units = torch.randint(400, (5000, 10), generator=generator)
    assert float(spread(units, torch.arange(5000) % 100, 20, 100).mean()) == pytest.approx(7.6, abs=0.1)
    assert spread(torch.full((7, 10), 33), torch.zeros(7, dtype=torch.long), 20, 1).tolist() == [0]
    blob = torch.tensor([[0, 1], [1, 20], [20, 21]])  # a 2 x 2 block in a corner
    rows, columns = blob // 20, blob % 20
    labels = torch.zeros(3, dtype=torch.long)
    for down, right in ((19, 19), (0, 19), (10, 3)):
        moved = (rows + down) % 20 * 20 + (columns + right) % 20
        torch.testing.assert_close(spread(moved, labels, 20, 1), spread(blob, labels, 20, 1))


@pytest.mark.parametrize(("m", "n", "count"), [(20, 20, 500), (20, 20, 50), (10, 10, 500), (6, 9, 30)])
def test_spread_by_chance_is_computed_for_the_map_and_the_units(m, n, count):
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        units = rng.integers(m * n, size=count)
        home = np.array(divmod(np.bincount(units).argmax(), n))
        steps = (np.stack(np.divmod(units, n), -1) - home + [m // 2, n // 2]) % [m, n] - [m // 2, n // 2]
        found.append(np.linalg.norm(steps - steps.mean(0), axis=1).mean())
    assert telescope.chance_spread((m, n), [count], k=1, draws=400) == pytest.approx(np.mean(found), rel=0.02)


def test_spread_by_chance_on_the_papers_map():
    assert telescope.chance_spread(20, [50], k=10) == pytest.approx(7.6, abs=0.05)
    assert telescope.chance_spread(20, [50], k=1) == pytest.approx(7.32, abs=0.05)


def test_spread_by_chance_has_different_units_and_a_seed():
    every = torch.arange(12).expand(3, 12)  # all units of the map: nothing is left to chance
    assert telescope.chance_spread((3, 4), [3], 12, draws=1) == pytest.approx(
        float(spread(every, torch.zeros(3, dtype=torch.long), (3, 4), 1))
    )
    one, same, other = (telescope.chance_spread(6, [4, 9], 2, seed) for seed in (0, 0, 1))
    assert one == same != other and one == pytest.approx(other, rel=0.1)
    for changed, message in (
        ({"k": 37}, "k = 37: must be from 1 to 36"), ({"counts": []}, r"counts = \[\]: must"), ({"counts": [3, 0]}, "counts = "),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{message}"):
            telescope.chance_spread(**{"grid": 6, "counts": [3], "k": 2} | changed)


def test_a_class_without_inputs_has_no_centre():
    units, labels = torch.tensor([[1], [2]]), torch.tensor([0, 2])
    found = telescope.class_centers(units, labels, 3, 3)
    assert found.centers.isnan().any(-1).tolist() == [False, True, False]
    assert telescope.class_spread(units, labels, found, 3).isnan().tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"^classes without inputs have no centre: \[1\]"):
        telescope.center_units(found, 3)


def test_distances_between_units_and_between_centres():
    som = telescope.SOM(draws(12, 5), (3, 4), torch.empty(0))
    pairs = pdist(som.weights.numpy(), "cosine")
    assert np.allclose(telescope.unit_distances(som), pairs)
    assert telescope.unit_distances(telescope.SOM(draws(1, 5), (1, 1), torch.empty(0))).shape == (0,)
    found = telescope.ClassCenters(torch.zeros(3, 2), torch.tensor([[-0.6, 4.2], [1.4, 1.0], [2.0, 2.9]]))
    assert telescope.center_units(found, (3, 4)).tolist() == [8, 5, 11]
    chosen = som.weights[[8, 5, 11]].numpy()
    assert np.allclose(telescope.center_distances(som, found), pdist(chosen, "cosine"))
    one = telescope.center_distances(som, found, torch.tensor([[2, 0]]))
    assert float(one) == pytest.approx(pdist(chosen[[2, 0]], "cosine")[0])


def test_shift_usage_entropy_and_density():
    before, after = torch.tensor([[0, 5]]), torch.tensor([[24, 5]])
    assert telescope.unit_shift(before, after, 5)[0].tolist() == pytest.approx([math.sqrt(2), 0])
    assert telescope.usage(torch.tensor([[0, 5], [5, 2]]), (2, 3)).tolist() == [[1, 0, 1], [0, 0, 2]]
    assert telescope.usage_entropy(torch.arange(9), 3) == pytest.approx(1)
    assert telescope.usage_entropy(torch.zeros(4, dtype=torch.long), 3) == 0
    assert telescope.usage_entropy(torch.zeros(4, dtype=torch.long), 1) == 0
    units = torch.randint(25, (60,), generator=torch.Generator().manual_seed(0))
    rows, columns = (units // 5).numpy(), (units % 5).numpy()
    kernel = gaussian_kde(np.stack([rows, columns]).astype(float))
    assert float(telescope.density(units, 5)[1, 3]) == pytest.approx(100 * kernel([1, 3])[0])
    for flat in (torch.tensor([0, 1, 2, 3]), torch.tensor([7, 7, 7])):
        with pytest.raises(ValueError, match="no density"):
            telescope.density(flat, 5)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (5, 40)])
def test_explained_variance_and_participation_against_scikit_learn(shape):
    codes = draws(*shape) * torch.linspace(3, 0.1, shape[1])
    ratios = PCA().fit(codes.numpy()).explained_variance_ratio_
    found = telescope.explained_variance(codes, 30)
    expected = np.zeros(30)
    expected[: min(30, len(ratios))] = ratios[:30]
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-9)
    single = telescope.explained_variance(codes.float() + 5, 30)
    assert single.tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    assert telescope.participation_ratio(codes) == pytest.approx(1 / (ratios**2).sum())


def test_codes_without_variance_have_no_axes():
    for codes in (torch.ones(9, 3), torch.ones(1, 3), torch.ones(0, 3)):
        for function in (telescope.explained_variance, telescope.participation_ratio):
            with pytest.raises(ValueError, match="^codes: shape .* at least two that differ"):
                function(codes)
    assert telescope.participation_ratio(torch.tensor([[0.0, 1.0], [0.0, 2.0]])) == pytest.approx(1)


@pytest.mark.parametrize(("spread", "same"), [(1.0, True), (0.03, False)])
def test_a_rounding_grows_into_another_map_where_codes_are_condensed(spread, same):
    """What chapter 03 says about its numbers: on another processor the maps of shallow stages are other ones."""
    pixels = torch.from_numpy(load_digits().data[:1000]).float() / 16
    codes = spread * pixels + (1 - spread)
    nudged = codes * (1 + 1e-7 * torch.randn(codes.shape, generator=torch.Generator().manual_seed(1)))
    one, other = (telescope.fit_som(given, 20, batch_size=1, epochs=20).weights for given in (codes, nudged))
    assert ((one - other).abs().mean() < 1e-3 * one.std()) == same
