"""Eigenspectra against numpy, the power law against known slopes, actions and projections against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta
from scipy.stats import spearmanr
from sklearn.linear_model import HuberRegressor, LinearRegression

from innercodes import spectra
from innercodes.activations import strided_columns


def draws(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_numpy(acts):
    """All variances, largest first, from the whole covariance in double precision."""
    return np.linalg.eigvalsh(np.cov(acts.flatten(1).double().numpy().T))[::-1]


def codes(rows, columns, seed=0):
    """As a layer gives them: not negative, not about 0, a few directions strong."""
    strong = draws(rows, 5, seed=seed) @ draws(5, columns, seed=seed + 1)
    return (strong + 0.5 * draws(rows, columns, seed=seed + 2) + 1).relu()


@pytest.mark.parametrize("shape", [(90, 30), (30, 90), (40, 40), (2, 5), (5, 1)])
def test_spectrum_and_vectors_against_numpy(shape):
    acts = codes(*shape)
    found = spectra.eigenspectrum(acts, vectors=True)
    k = min(shape[0] - 1, shape[1])
    expected = np.atleast_1d(by_numpy(acts) if shape[1] > 1 else acts.var(0).numpy())
    assert found.eigenvalues.tolist() == pytest.approx(expected[:k].tolist(), rel=1e-9, abs=1e-12)
    assert found.variance == pytest.approx(float(acts.var(0).sum()), rel=1e-12)
    assert (found.rows, found.columns) == shape
    torch.testing.assert_close(found.mean, acts.mean(0))
    # What an eigenvector is: the covariance only scales it.
    covariance = torch.cov(acts.T).view(shape[1], shape[1])
    torch.testing.assert_close(covariance @ found.vectors, found.vectors * found.eigenvalues, atol=1e-9, rtol=0)
    torch.testing.assert_close(found.vectors.T @ found.vectors, torch.eye(k, dtype=torch.float64))
    assert (found.vectors.amax(0) >= -found.vectors.amin(0)).all()
    plain = spectra.eigenspectrum(acts, max_components=3)
    torch.testing.assert_close(plain.eigenvalues, found.eigenvalues[:3])
    assert plain.vectors is None and plain.mean is None and plain.variance == pytest.approx(found.variance)


@pytest.mark.parametrize("shape", [(400, 300), (300, 400)])
@pytest.mark.parametrize("vectors", [False, True])
def test_large_matrices_by_every_way(shape, vectors, monkeypatch):
    # The same ways as for thousands, at a size that a test can pay.
    monkeypatch.setattr(spectra, "SMALL", 100)
    monkeypatch.setattr(spectra, "FEW", 20)
    monkeypatch.setattr(spectra, "CHUNK", 70)
    ways = []
    for name in ("_krylov", "_dense"):
        way = getattr(spectra, name)
        monkeypatch.setattr(
            spectra,
            name,
            lambda *a, w=way, n=name: ways.append((n, *(x for x in a if isinstance(x, torch.dtype)))) or w(*a),
        )
    acts = spectra.power_spectrum_codes(*shape, -1.0).add_(3)
    expected = by_numpy(acts)
    for components, limit in ((5, 1e-5), (20, 1e-5), (100, 1e-3), (290, 1e-3)):
        found = spectra.eigenspectrum(acts, max_components=components, vectors=vectors)
        assert np.abs(found.eigenvalues.numpy() / expected[:components] - 1).max() < limit
        assert found.variance == pytest.approx(expected.sum(), rel=1e-6)
        if vectors:
            left = torch.cov(acts.double().T) @ found.vectors - found.vectors * found.eigenvalues
            assert float(left.norm(dim=0).max()) < 1e-3 * expected[0]
    assert ways == [
        ("_krylov",), ("_krylov",), ("_dense", torch.float32),
        # single precision alone would not hold the last ones
        ("_dense", torch.float32), ("_dense", torch.float64),
    ]  # fmt: skip


def test_steep_spectra_are_exact_to_the_last_component(monkeypatch):
    acts = spectra.power_spectrum_codes(500, 300, -3.0)
    expected = by_numpy(acts)
    monkeypatch.setattr(spectra, "SMALL", 100)
    found = spectra.eigenspectrum(acts).eigenvalues.numpy()
    assert found[-1] < 1e-7 * found[0] and np.abs(found / expected - 1).max() < 1e-3


def test_data_without_enough_directions_do_not_settle_but_are_right(monkeypatch):
    monkeypatch.setattr(spectra, "SMALL", 50)
    acts = draws(200, 4, dtype=torch.float32) @ draws(4, 150, seed=1, dtype=torch.float32)
    found = spectra.eigenspectrum(acts.double(), max_components=10).eigenvalues
    assert found[:4].tolist() == pytest.approx(by_numpy(acts)[:4].tolist(), rel=1e-5)
    assert found[4:].tolist() == pytest.approx([0] * 6, abs=1e-9 * float(found[0]))
    flat = torch.eye(200, 150)  # all alike: no component leads
    assert float(spectra.eigenspectrum(flat, max_components=10).eigenvalues[0]) == pytest.approx(1 / 199, rel=1e-5)


def test_streamed_batches_thinned_maps_and_large_means():
    acts = codes(90, 40).float().view(90, 10, 2, 2) + 1000
    batches = spectra.eigenspectrum(iter(acts.split(13)), max_columns=15, vectors=True)
    whole = spectra.eigenspectrum(acts, max_columns=15, vectors=True)
    thin = strided_columns(acts, 15)
    assert batches.columns == whole.columns == thin.shape[1] == 14
    assert batches.rows == 90
    for found in (batches, whole):
        assert found.eigenvalues.tolist() == pytest.approx(by_numpy(thin).tolist(), rel=1e-6)
        assert found.variance == pytest.approx(by_numpy(thin).sum(), rel=1e-6)
        torch.testing.assert_close(found.mean, thin.double().mean(0), rtol=1e-7, atol=0)
    torch.testing.assert_close(batches.vectors, whole.vectors, atol=1e-4, rtol=0)
    # With fewer rows than columns, in batches too.
    few = spectra.eigenspectrum(acts[:9].split(4))
    assert len(few.eigenvalues) == 8
    assert few.eigenvalues.tolist() == pytest.approx(by_numpy(acts[:9])[:8].tolist(), rel=1e-6)


def test_same_numbers_each_time_and_half_precision(monkeypatch):
    monkeypatch.setattr(spectra, "SMALL", 50)
    acts = spectra.power_spectrum_codes(300, 200, -1.0)
    first, second = (spectra.eigenspectrum(acts, max_components=12, vectors=True) for _ in range(2))
    assert torch.equal(first.eigenvalues, second.eigenvalues) and torch.equal(first.vectors, second.vectors)
    half = spectra.eigenspectrum(acts.half(), max_components=12).eigenvalues
    assert half.tolist() == pytest.approx(first.eigenvalues.tolist(), rel=1e-2)


@pytest.mark.parametrize(
    ("acts", "message"),
    [
        (torch.ones(1, 4), r"acts: shape \(1, 4\), must be \(N, ...\) with at least 2 rows"),
        (torch.ones(4), r"acts: shape \(4,\), must be"),
        (torch.ones(9, 4), "acts: all 9 rows are alike"),
        (torch.full((9, 4), 0.1), "acts: all 9 rows are alike"),
        (torch.tensor([[1.0, 2.0], [torch.nan, 1.0]]), "acts: 1 of 2 columns have values that are not finite"),
        (torch.tensor([[1.0, 2.0], [torch.inf, 1.0]]), "acts: 1 of 2 columns have values"),
    ],
)
def test_activations_without_a_spectrum_are_refused(acts, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        spectra.eigenspectrum(acts)
    if acts.ndim > 1 and len(acts) > 1:
        with pytest.raises(ValueError, match=f"^{message}"):
            spectra.eigenspectrum(acts.split(1))


def test_other_refusals_of_the_spectrum():
    with pytest.raises(ValueError, match="^acts: 1 rows in all batches, must be at least 2"):
        spectra.eigenspectrum([torch.ones(1, 3)])
    with pytest.raises(ValueError, match="^acts: 0 rows in all batches"):
        spectra.eigenspectrum([])
    for name in ("max_columns", "max_components"):
        with pytest.raises(ValueError, match=f"^{name} = 0: must be at least 1"):
            spectra.eigenspectrum(torch.rand(3, 3), **{name: 0})


@pytest.mark.parametrize("alpha", [-0.5, -1.0, -2.0])
def test_power_law_recovers_the_slope_of_synthetic_codes(alpha):
    acts = spectra.power_spectrum_codes(20_000, 200, alpha)
    torch.testing.assert_close(acts.var(0)[:3], torch.tensor([1.0, 2.0, 3.0]).pow(alpha), rtol=0.05, atol=0)
    values = spectra.eigenspectrum(acts).eigenvalues
    found = spectra.power_law(values)
    assert found.alpha == pytest.approx(alpha, abs=0.1)
    corrupted = values.clone()
    corrupted[[20, 35]] *= torch.tensor([30.0, 0.01], dtype=torch.float64)
    assert spectra.power_law(corrupted).alpha == pytest.approx(alpha, abs=0.1)
    # Least squares, by contrast, is not robust: the outliers matter.
    line = np.polyfit(np.log(np.arange(10, 51)), corrupted[9:50].log().numpy(), 1)
    assert abs(line[0] - alpha) > abs(spectra.power_law(corrupted).alpha - alpha)


def test_power_law_is_the_huber_regression_of_the_window():
    values = torch.from_numpy(by_numpy(codes(300, 80)).copy())
    found = spectra.power_law(values, (5, 60))
    x, y = np.log(np.arange(5, 61)), np.log(values.numpy()[4:60])
    direct = HuberRegressor().fit(x[:, None], y)
    assert found.alpha == pytest.approx(direct.coef_[0], abs=1e-4)
    assert found.intercept == pytest.approx(direct.intercept_, abs=1e-3)
    assert found.residuals.tolist() == pytest.approx((y - found.alpha * x - found.intercept).tolist(), abs=1e-12)
    assert found.r2 == pytest.approx(direct.score(x[:, None], y), abs=1e-4)


def test_power_law_of_an_exact_line_and_of_a_flat_spectrum():
    exact = 7 * torch.arange(1, 51, dtype=torch.float64) ** -1.3
    found = spectra.power_law(exact)
    assert found.alpha == pytest.approx(-1.3, abs=1e-9) and found.intercept == pytest.approx(math.log(7), abs=1e-9)
    assert found.r2 == pytest.approx(1) and float(found.residuals.abs().max()) < 1e-9
    flat = spectra.power_law(torch.full((50,), 2.0))
    assert flat.alpha == pytest.approx(0, abs=1e-12) and flat.r2 == 1


@settings(max_examples=25, deadline=None)
@given(st.floats(-12, 12), st.integers(0, 100))
def test_alpha_does_not_depend_on_the_scale_of_activations(power, seed):
    values = torch.arange(1, 61).double() ** -1 * (0.3 * draws(60, seed=seed)).exp()
    one, other = spectra.power_law(values), spectra.power_law(values * 10.0**power)
    assert other.alpha == pytest.approx(one.alpha, abs=1e-5)
    assert other.intercept - one.intercept == pytest.approx(power * math.log(10), abs=1e-4)


@pytest.mark.parametrize(
    ("values", "window", "message"),
    [
        (torch.ones(30), (10, 50), r"window = \(10, 50\): the spectrum has 30 variances"),
        (torch.ones(60), (0, 50), r"window = \(0, 50\): must hold at least three ranks, from 1"),
        (torch.ones(60), (10, 11), r"window = \(10, 11\): must hold at least three ranks"),
        (torch.tensor([3.0, 2.0, 1.0, 0.0]), (1, 4), r"window = \(1, 4\): variance 4 is 0, must be above 0"),
        (torch.tensor([3.0, torch.nan, 1.0]), (1, 3), r"window = \(1, 3\): variance 2 is nan, must be above 0"),
    ],
)
def test_windows_without_a_power_law_are_refused(values, window, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        spectra.power_law(values, window)


def test_variances_beyond_the_rank_are_zero_and_refused():
    acts = draws(100, 20, dtype=torch.float32) @ draws(20, 60, seed=1, dtype=torch.float32)
    values = spectra.eigenspectrum(acts.double() @ torch.eye(60, dtype=torch.float64)).eigenvalues
    assert (values[:20] > 0).all()
    exact = torch.cat([draws(100, 20), torch.zeros(100, 40)], 1)
    assert (spectra.eigenspectrum(exact).eigenvalues[20:] == 0).all()
    with pytest.raises(ValueError, match="variance 21 is 0, must be above 0"):
        spectra.power_law(spectra.eigenspectrum(exact).eigenvalues)


def test_debiased_alpha_is_nearer_to_the_truth_than_alpha():
    truth, window = -1.0, (10, 50)
    plain, better = [], []
    for seed in range(4):
        acts = spectra.power_spectrum_codes(600, 1000, truth, seed)
        plain.append(spectra.power_law(spectra.eigenspectrum(acts).eigenvalues, window).alpha)
        better.append(spectra.debiased_alpha(acts, window, seed))
    assert np.mean(plain) > truth + 0.05  # few rows flatten the window
    assert abs(np.mean(better) - truth) < 0.5 * abs(np.mean(plain) - truth)


def test_debiased_alpha_by_its_definition():
    acts = spectra.power_spectrum_codes(130, 80, -1.0, 3)
    order = torch.randperm(130, generator=torch.Generator().manual_seed(5))

    def alpha(rows):
        return spectra.power_law(torch.from_numpy(by_numpy(rows).copy()), (3, 30)).alpha

    expected = 2 * alpha(acts) - (alpha(acts[order[:65]]) + alpha(acts[order[65:]])) / 2
    assert spectra.debiased_alpha(acts, (3, 30), seed=5) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match=r"^acts: 101 rows, must be at least 102 for window \(10, 50\)"):
        spectra.debiased_alpha(acts[:101])


def test_wider_synthetic_codes_begin_with_the_narrower_ones():
    narrow, wide = (spectra.power_spectrum_codes(32, m, -0.7, 1) for m in (10, 25))
    assert torch.equal(wide[:, :10], narrow) and narrow.dtype == torch.float32
    assert not torch.equal(spectra.power_spectrum_codes(32, 10, -0.7, 2), narrow)


def test_the_dot_goes_round_once():
    frames = spectra.moving_dot(8, 101, 0.05, 2)
    assert frames.shape == (8, 2, 101, 101) and frames.dtype == torch.float32
    assert float(frames.min()) >= 0 and 0.95 < float(frames.max()) <= 1
    assert torch.equal(frames[:, 0], frames[:, 1])
    weights = frames[:, 0].double()
    at = (torch.arange(101, dtype=torch.float64) + 0.5) / 101
    across = (weights.sum(1) * at).sum(-1) / weights.sum((1, 2))
    down = (weights.sum(2) * at).sum(-1) / weights.sum((1, 2))
    # By its centre of mass it moves as dot_position says, up being up.
    mass = torch.stack([(across - 0.5) / 0.25, (0.5 - down) / 0.25], -1)
    torch.testing.assert_close(mass, spectra.dot_position(8), atol=1e-3, rtol=0)
    spread = (weights.sum(1) * (at - across[:, None]) ** 2).sum(-1) / weights.sum((1, 2))
    assert spread.sqrt().tolist() == pytest.approx([0.05] * 8, abs=1e-4)
    corners = torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)
    torch.testing.assert_close(spectra.dot_position(4), corners, atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="^frames = 0: must be at least 1"):
        spectra.moving_dot(0)
    with pytest.raises(ValueError, match=r"^sigma = 0.0: must be above 0"):
        spectra.moving_dot(sigma=0.0)


def test_projections_are_one_product_with_normal_weights():
    acts = draws(6, 4, 5)
    paths = spectra.random_projections(acts, 4000, 1, 3)
    assert paths.shape == (4000, 6, 3) and paths.is_contiguous()
    # Projections of unit vectors are the weights themselves: <r r^T> = 3 / m, independent, normal.
    weights = spectra.random_projections(torch.eye(8, dtype=torch.float64), 4000, 1, 3)
    second = torch.einsum("dik,djk->ij", weights, weights) / 4000
    torch.testing.assert_close(second, 3 / 8 * torch.eye(8, dtype=torch.float64), atol=0.02, rtol=0)
    assert float((weights**4).mean() / (weights**2).mean() ** 2) == pytest.approx(3, abs=0.1)
    columns = torch.einsum("dni,dnj->ij", weights, weights) / 4000
    torch.testing.assert_close(columns, torch.eye(3, dtype=torch.float64), atol=0.05, rtol=0)
    identity = spectra.random_projections(torch.eye(20, dtype=torch.float64).view(20, 4, 5), 4000, 1)
    torch.testing.assert_close(acts.flatten(1) @ identity, paths)
    assert torch.equal(paths, spectra.random_projections(acts, 4000, 1, 3))
    assert not torch.equal(paths, spectra.random_projections(acts, 4000, 2, 3))


@given(st.floats(0.1, 10), st.integers(3, 60), st.integers(0, 50))
def test_action_of_a_circle_under_rotation_and_scale(radius, frames, seed):
    circle = radius * spectra.dot_position(frames)
    whole = frames * (2 * radius * math.sin(math.pi / frames)) ** 2 / 2
    assert float(spectra.action(circle)) == pytest.approx(whole, rel=1e-9)
    assert float(spectra.action(circle, closed=False)) == pytest.approx(whole * (frames - 1) / frames, rel=1e-9)
    turned = circle @ torch.linalg.qr(draws(2, 2, seed=seed)).Q
    assert float(spectra.action(3 * turned + 1)) == pytest.approx(9 * whole, rel=1e-9)


def test_action_is_batched_and_its_mean_is_exact():
    acts = draws(20, 3, 5).cumsum(0)
    paths = spectra.random_projections(acts, 20_000, 3, 3)
    for closed in (True, False):
        actions = spectra.action(paths, closed)
        assert actions.shape == (20_000,)
        assert float(actions[7]) == pytest.approx(float(spectra.action(paths[7], closed)))
        error = float(actions.std()) / math.sqrt(20_000)
        assert abs(float(actions.mean() - spectra.mean_action(acts, 3, closed))) < 4 * error
    assert float(spectra.mean_action(acts, 1)) == pytest.approx(float(spectra.mean_action(acts, 3)) / 3)


def test_projected_energy_against_simulation_and_the_zeta_function():
    acts = spectra.power_spectrum_codes(400, 200, -1.5).double()
    acts = acts - acts.mean(0)
    values = spectra.eigenspectrum(acts).eigenvalues
    paths = spectra.random_projections(acts, 3000, 2)
    simulated = paths.square().sum((1, 2)) / 2 / 399
    error = float(simulated.std()) / math.sqrt(3000)
    assert abs(float(simulated.mean() - spectra.projected_energy(values, 200))) < 4 * error
    # The paper's number, for weights of variance 1 in one dimension, is half of zeta(-alpha).
    ideal = torch.arange(1, 10**6 + 1, dtype=torch.float64) ** -1.5
    assert float(spectra.projected_energy(ideal, 1, 1)) == pytest.approx(zeta(1.5) / 2, rel=1e-3)
    known = torch.arange(1, 401, dtype=torch.float64) ** -1
    assert float(spectra.projected_energy(known, 400)) == pytest.approx(0.02464, abs=5e-6)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_explained_variance_against_scikit_learn(dimensions):
    paths, targets = draws(5, 40, dimensions).cumsum(1), draws(40, 2, seed=1).cumsum(0)
    found = spectra.explained_variance(paths, targets)
    expected = [LinearRegression().fit(p, targets.numpy()).score(p, targets.numpy()) for p in paths.numpy()]
    assert found.tolist() == pytest.approx(expected, abs=1e-10)


def test_explained_variance_of_paths_without_full_rank():
    targets = spectra.dot_position(12)
    same = targets[:, :1].expand(12, 3)
    still = torch.ones(12, 3)
    found = spectra.explained_variance(
        torch.stack([same, still.double(), torch.cat([targets, targets[:, :1]], 1)]), targets
    )
    assert found.tolist() == pytest.approx([0.5, 0, 1], abs=1e-9)
    # Scale does not matter, nor does a shift.
    assert float(spectra.explained_variance(1e-6 * same + 1e-3, targets)) == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(ValueError, match="^targets: a constant target"):
        spectra.explained_variance(same, torch.ones(12, 2))


def test_action_exponent_of_smooth_and_of_rough_paths():
    frames = [50, 100, 200, 400]
    smooth = [float(spectra.action(spectra.dot_position(n))) for n in frames]
    assert spectra.action_exponent(smooth, frames) == pytest.approx(-1, abs=0.01)
    # A random walk of n steps of variance 1 / n has the same action for every n; white noise grows as n.
    rough = [float(spectra.action(draws(n, 500, seed=n), closed=False)) for n in frames]
    assert spectra.action_exponent(rough, frames) == pytest.approx(1, abs=0.02)
    assert spectra.action_exponent(5 * torch.tensor(frames).double() ** 0.4, torch.tensor(frames)) == pytest.approx(0.4)
    for actions, counts in (([1.0, 0.0], [1, 2]), ([1.0, 2.0], [5, 5])):
        with pytest.raises(ValueError, match="^actions: .* must be above 0 at two numbers of frames"):
            spectra.action_exponent(actions, counts)


@pytest.mark.parametrize("neurons", [512, 1024])
@pytest.mark.parametrize(("bits", "alpha"), [(12, -0.5), (16, -1.0)])
def test_capacity_against_the_quantised_code_and_stirling(neurons, bits, alpha):
    formula = spectra.capacity_under_power_law(neurons, alpha, bits)
    assert formula == pytest.approx(spectra.quantised_capacity(neurons, alpha, bits), rel=0.01)
    exact = neurons * bits + alpha * math.lgamma(neurons + 1) / math.log(2)
    assert formula == pytest.approx(exact, rel=0.01)


def test_capacity_outside_the_range_of_the_formula():
    # Counted one unit at a time, in whole numbers: 256 // i levels.
    counted = sum(math.log2(256 // i) for i in range(1, 257))
    assert spectra.quantised_capacity(1024, -1, 8) == pytest.approx(counted) and round(counted) == 287
    assert round(spectra.capacity_under_power_law(1024, -1, 8)) == -571
    assert round(-spectra.capacity_under_power_law(64, -1, 1e-9), 1) == 291.7  # the Stirling figures of the notes
    assert round(-spectra.capacity_under_power_law(512, -1, 1e-9), 1) == 3869.3
    for arguments, name in (((0, -1, 8), "neurons = 0"), ((9, 0.5, 8), "alpha = 0.5"), ((9, -1, 0), "bits = 0")):
        for function in (spectra.capacity_under_power_law, spectra.quantised_capacity):
            with pytest.raises(ValueError, match=f"^{name}: must be"):
                function(*arguments)


def test_partial_spearman_against_the_formula_of_three_correlations():
    generator = np.random.default_rng(0)
    x, y, z = generator.normal(size=(3, 6, 25))
    x, y = x + z, np.round(y - z, 1)  # with ties
    found = spectra.partial_spearman(x, y, z)
    for i in range(6):
        xy, xz, yz = (spearmanr(a[i], b[i]).statistic for a, b in ((x, y), (x, z), (y, z)))
        assert found[i] == pytest.approx((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)), abs=1e-10)
    assert float(spectra.partial_spearman(x[0], y[0], np.ones(25))) == pytest.approx(spearmanr(x[0], y[0]).statistic)
    assert np.isnan(spectra.partial_spearman(z[0], y[0], z[0]))
    shared = spectra.partial_spearman(x, y[0], z)
    assert shared.shape == (6,) and shared[0] == pytest.approx(found[0])


def test_break_point_of_joined_lines():
    x = np.sort(np.random.default_rng(1).uniform(-2, 0, size=(4, 60)), axis=1)
    breaks = np.array([-1.5, -1.0, -0.8, -0.5])
    y = 2 + 0.5 * x + 3 * np.maximum(x - breaks[:, None], 0)
    assert spectra.break_point(x, y).tolist() == pytest.approx(breaks.tolist(), abs=0.02)
    assert float(spectra.break_point(x[1], -y[1])) == pytest.approx(-1.0, abs=0.02)
    assert np.isnan(spectra.break_point(np.ones(9), np.arange(9.0)))


def test_break_point_is_the_best_of_plain_least_squares():
    generator = np.random.default_rng(2)
    x, y = generator.uniform(-2, 0, 30), generator.normal(size=30)
    low, high = np.sort(x)[[1, -2]]
    grid = np.linspace(low, high, 200)
    costs = []
    for t in grid:
        basis = np.stack([np.ones(30), x, np.maximum(x - t, 0)], 1)
        costs.append(np.square(y - basis @ np.linalg.lstsq(basis, y, rcond=None)[0]).sum())
    assert float(spectra.break_point(x, y)) == pytest.approx(grid[np.argmin(costs)])


def test_spatial_frequency_of_waves_and_of_sums():
    at = torch.arange(32, dtype=torch.float64)
    slow, fast = torch.cos(2 * math.pi * at * 2 / 32), torch.cos(2 * math.pi * at * 10 / 32)
    across, both = slow.expand(32, 32), slow[:, None] * fast
    found = spectra.spatial_frequency(torch.stack([across, across.T, both])[:, None] + 5)
    assert found.tolist() == pytest.approx([2 / 32, 2 / 32, math.hypot(2, 10) / 32], abs=1e-9)
    # Channels count by their power, here 1 to 9.
    mixed = torch.stack([across, 3 * fast.expand(32, 32)])
    assert float(spectra.spatial_frequency(mixed)) == pytest.approx((2 + 9 * 10) / 10 / 32)
    assert spectra.spatial_frequency(torch.ones(1, 4, 4)).isnan()


def test_overlap_of_subspaces():
    a, b = draws(30, 4), draws(30, 4, seed=1)
    assert float(spectra.subspace_overlap(a, a @ draws(4, 4, seed=2))) == pytest.approx(1)
    basis = torch.linalg.qr(torch.cat([a, b], 1)).Q
    assert float(spectra.subspace_overlap(basis[:, :4], basis[:, 4:])) == pytest.approx(0, abs=1e-12)
    assert float(spectra.subspace_overlap(basis[:, :4], basis[:, 1:5])) == pytest.approx(3 / 4)
    from scipy.linalg import subspace_angles

    expected = np.mean(np.cos(subspace_angles(a.numpy(), b.numpy())) ** 2)
    assert float(spectra.subspace_overlap(a, b)) == pytest.approx(expected)
    chance = np.mean([float(spectra.subspace_overlap(draws(30, 4, seed=i), a)) for i in range(10, 110)])
    assert chance == pytest.approx(4 / 30, abs=0.02)
    with pytest.raises(ValueError, match=r"^b: shape \(30, 3\), must be that of a, \(30, 4\)"):
        spectra.subspace_overlap(a, b[:, :3])
