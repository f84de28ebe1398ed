"""What a layer's code is, number by number, against scikit-learn and loops; and layers that have none."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import HuberRegressor, LinearRegression, RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from innercodes import activations, claims, layer_codes, maps, parameters, scenes, spectra
from innercodes.pictures import Pictures

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off",
    "device": "cpu",
    "columns": 260,
    "frames": 16,
    "projections": 20,
    "repeats": 3,
    "bootstrap": 100,
}
COUNT = 300


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


@pytest.fixture(scope="module")
def shown(run):
    return stimuli_of(run)


def stimuli_of(run, count=COUNT):
    _, others = scenes.load(1, count, 0, 32)
    return layer_codes.stimuli(others.pictures, others.factors, run)


def power_law_acts(alpha, columns=260, rows=COUNT, seed=0):
    """Activations of a known law in random directions, with the classes a little apart."""
    codes = spectra.power_spectrum_codes(rows, columns, alpha, seed)
    turn = torch.linalg.qr(torch.randn(columns, columns, generator=torch.Generator().manual_seed(seed + 1))).Q
    return codes @ turn


@pytest.fixture(scope="module")
def acts():
    return power_law_acts(-1.2)


@pytest.fixture(scope="module")
def dot(run):
    return torch.randn(run.frames, 260, generator=torch.Generator().manual_seed(7)).cumsum(0)


@pytest.fixture(scope="module")
def code(run, shown, acts, dot):
    return layer_codes.layer_code(acts, dot, shown, run)


def huber(acts, first, last):
    """Slope and residuals of log variance on log rank, by numpy and scikit-learn."""
    values = np.linalg.eigvalsh(np.cov(acts.double().numpy().T))[::-1]
    x, y = np.log(np.arange(first, last + 1))[:, None], np.log(values[first - 1 : last])
    fit = HuberRegressor(tol=1e-9, max_iter=1000).fit(x, y - y.mean())
    return fit.coef_[0], y - y.mean() - fit.predict(x)


# The stimuli


def test_the_stimuli_are_those_of_the_paper(run, shown):
    pixels = torch.stack([shown.pictures[i][0].flatten() for i in range(COUNT)])
    stride = -(-pixels.shape[1] // run.columns)
    thinned = layer_codes.pixels_of(shown.pictures, run)
    assert torch.equal(thinned, pixels[:, ::stride]) and thinned.shape[1] <= run.columns
    scores = PCA(layer_codes.COMPONENTS, svd_solver="full").fit_transform(thinned.double())
    match = np.abs(np.corrcoef(scores.T, shown.components.T)[: layer_codes.COMPONENTS, layer_codes.COMPONENTS :])
    assert np.diag(match) == pytest.approx(1, abs=1e-6)
    assert shown.components.std(0).numpy() == pytest.approx(scores.std(0, ddof=1), rel=1e-4)
    assert shown.frames.shape == (run.frames, 3, 32, 32)
    assert shown.position.square().sum(1) == pytest.approx(1, abs=1e-6)
    assert len(shown.rows) == 1 + run.repeats and torch.equal(shown.rows[0], torch.arange(COUNT))
    assert all(torch.equal(rows, maps.resample(COUNT, i)) for i, rows in enumerate(shown.rows[1:]))


def test_targets_have_a_column_for_each_value(shown):
    assert shown.targets.shape == (COUNT, sum(scenes.FACTORS.values()))
    at = 0
    for name, values in scenes.FACTORS.items():
        assert torch.equal(shown.targets[:, at : at + values].argmax(1), shown.factors[name])
        assert (shown.targets[:, at : at + values].sum(1) == 1).all()
        at += values


# Each number against an independent statement


def test_constants_are_the_registered_ones():
    words = {claim["id"]: claim["measure"] for claim in claims.of_chapter(CHAPTER).values()}
    first, last = layer_codes.BEND
    assert f"ranks {first} to {last}" in words["COD-15"] and f"k = {layer_codes.READERS}" in words["COD-24"]


def test_alpha_is_two_alpha_of_all_minus_alpha_of_half(run, acts, code, shown):
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(run.seed))
    halves = [huber(acts[half], 10, 50)[0] for half in order.tensor_split(2)]
    assert code.alpha[0] == pytest.approx(2 * huber(acts, 10, 50)[0] - np.mean(halves), abs=2e-3)
    assert code.alpha.shape == (1 + run.repeats,) and len(set(code.alpha)) == 1 + run.repeats
    again = layer_codes.slope(acts[shown.rows[2]], run)
    assert code.alpha[2] == again


def test_debiased_alpha_finds_the_law_that_few_pictures_flatten(run):
    acts = power_law_acts(-0.7, 260, 600)
    plain, debiased = spectra.power_law(spectra.eigenspectrum(acts).eigenvalues).alpha, layer_codes.slope(acts, run)
    assert abs(debiased + 0.7) < plain + 0.7
    assert debiased < plain


def test_action_is_half_the_squared_steps_of_a_closed_path_over_the_largest_variance(run, acts, dot, code):
    paths = spectra.random_projections(dot, run.projections, run.seed).double().numpy()
    each = []
    for path in paths:
        steps = [path[(i + 1) % len(path)] - path[i] for i in range(len(path))]
        each.append(sum(float(step @ step) for step in steps) / 2)
    largest = [
        np.linalg.eigvalsh(np.cov(acts[rows].double().numpy().T))[-1] for rows in (slice(None), maps.resample(COUNT, 1))
    ]
    assert code.raw_action == pytest.approx(np.mean(each), rel=1e-4)
    assert code.action[0] == pytest.approx(np.mean(each) / largest[0], rel=1e-4)
    drawn = np.array(each)[maps.resample(run.projections, 1).numpy()]
    assert code.action[2] == pytest.approx(drawn.mean() / largest[1], rel=1e-4)
    assert code.unordered > 2 * code.action[0]  # a random walk in a random order is rougher


def test_position_is_the_r2_of_a_linear_fit_to_projections(run, dot, code, shown):
    def told(frames):
        paths = spectra.random_projections(frames, run.projections, run.seed).double().numpy()
        return [LinearRegression().fit(path, shown.position).score(path, shown.position) for path in paths]

    assert code.position[0] == pytest.approx(np.mean(told(dot)), abs=1e-5)
    mixed = dot[torch.randperm(len(dot), generator=torch.Generator().manual_seed(0))]
    assert code.unordered_position == pytest.approx(np.mean(told(mixed)), abs=1e-5)
    assert code.unordered_position < code.position[0]


def test_components_are_the_r2_of_the_pictures_components(run, acts, code, shown):
    paths = spectra.random_projections(acts, run.projections, run.seed).double().numpy()
    for place in (0, 3):
        rows = shown.rows[place].numpy()
        wanted = shown.components.double().numpy()[rows]
        scores = [LinearRegression().fit(path[rows], wanted).score(path[rows], wanted) for path in paths]
        assert code.components[place] == pytest.approx(np.mean(scores), abs=1e-5)


def test_the_probe_is_a_ridge_classifier_asked_on_other_pictures(run, shown):
    labels = shown.pictures.labels
    acts = torch.randn(COUNT, 60, generator=torch.Generator().manual_seed(3))
    acts[:, :10] += 2.5 * torch.nn.functional.one_hot(labels, 10)
    found = layer_codes._probes(acts, [labels], shown.rows)
    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(0, 4, 5)))
    probe.fit(acts[::2].double(), labels[::2])
    right = np.zeros(COUNT)
    right[1::2] = probe.predict(acts[1::2].double()) == labels[1::2].numpy()
    assert found[0] == right[1::2].mean()
    asked = [i for i in shown.rows[2].tolist() if i % 2]
    assert found[2] == pytest.approx(right[asked].mean())
    assert 0.3 < found[0] < 1
    mixed = layer_codes._probes(acts, [labels[torch.randperm(COUNT)]], shown.rows[:1])
    assert mixed[0] < 0.25
    # Several factors are read by one classifier; one that does not vary is left out.
    two, none = labels % 2, torch.zeros_like(labels)
    both = layer_codes._probes(acts, [labels, two, none], shown.rows)
    signs = [2.0 * torch.nn.functional.one_hot(part).numpy() - 1 for part in (labels, two)]
    ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(0, 4, 5)))
    ridge.fit(acts[::2].double(), np.concatenate(signs, 1)[::2])
    said = ridge.predict(acts[1::2].double())
    hits = [said[:, :10].argmax(1) == labels[1::2].numpy(), said[:, 10:].argmax(1) == two[1::2].numpy()]
    assert both[0] == pytest.approx(np.mean(hits))


def test_bend_is_the_mean_residual_of_a_line_over_ranks_5_to_200(acts, code):
    assert code.bend[0] == pytest.approx(np.abs(huber(acts, 5, 200)[1]).mean(), abs=2e-3)
    stepped = acts.double() @ torch.linalg.eigh(acts.double().T @ acts.double()).eigenvectors.flip(1)
    stepped[:, 30:] *= 0.05
    assert layer_codes._bend(spectra.eigenspectrum(stepped).eigenvalues) > 2 * code.bend[0]


def test_bend_needs_200_components_and_no_more(run, shown, dot):
    exact = power_law_acts(-1, 200)
    assert np.isfinite(layer_codes.layer_code(exact, dot[:, :200], shown, run).bend[0])
    exact[:, 7] = 1.0
    found = layer_codes.layer_code(exact, dot[:, :200], shown, run)
    assert np.isnan(found.bend).all() and np.isfinite(found.alpha).all()


def by_hand(acts, targets, units, mixing, weights=None):
    """R² on odd pictures of a ridge regression learned on even ones: neurons, projections, half of each."""
    acts, targets = acts.double().numpy(), targets.double().numpy()
    centred = acts - acts[::2].mean(0)
    neurons, projections = centred[:, units], centred @ mixing
    found = []
    for inputs in (neurons, projections, np.hstack([neurons[:, :16], projections[:, :16]])):
        fit = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 4, 7))).fit(inputs[::2], targets[::2])
        asked = slice(1, None, 2) if weights is None else weights
        missed = ((targets[asked] - fit.predict(inputs[asked])) ** 2).sum()
        found.append(1 - missed / ((targets[asked] - targets[::2].mean(0)) ** 2).sum())
    return found


def test_readers_are_32_neurons_32_projections_or_16_of_each(shown):
    acts = power_law_acts(-0.8, 50)
    acts[:, 5] = 3.0  # a dead neuron is never drawn
    found = layer_codes._readers(acts, shown.targets, shown.rows, 4, 2)
    generator = torch.Generator().manual_seed(4)
    alive = [unit for unit in range(50) if unit != 5]
    for draw in range(2):
        units = [alive[i] for i in torch.randperm(49, generator=generator)[:32]]
        mixing = torch.randn(50, 32, generator=generator, dtype=torch.float64).numpy()
        assert found[0, draw] == pytest.approx(by_hand(acts, shown.targets, units, mixing), abs=1e-6)
        asked = [i for i in shown.rows[1].tolist() if i % 2]
        assert found[1, draw] == pytest.approx(by_hand(acts, shown.targets, units, mixing, asked), abs=1e-6)


def test_readers_read_what_is_there_and_nothing_else(run, shown):
    noise = torch.randn(COUNT, 60, generator=torch.Generator().manual_seed(0))
    targets = noise[:, :5] @ torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    every = layer_codes._readers(noise[:, :32], targets, shown.rows, 0, 3)
    # 32 of 32 neurons, and as many mixtures of them, hold all; half of each does so too but for the draw.
    assert every[..., 0].min() > 0.99 and every[..., 1].min() > 0.9
    nothing = layer_codes._readers(
        noise, torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(2)), shown.rows, 0, 3
    )
    assert np.abs(nothing).max() < 0.3
    assert nothing.mean() < 0.05


# Layers and data that have no such number


def test_a_narrow_layer_has_no_slope_and_no_readers(run, shown, dot):
    found = layer_codes.layer_code(power_law_acts(-1, 30), dot[:, :30], shown, run)
    assert np.isnan(found.alpha).all() and np.isnan(found.bend).all() and np.isnan(found.readers).all()
    assert np.isfinite(found.action).all() and np.isfinite(found.probe).all() and len(found.eigenvalues) == 30


def test_dead_units_end_a_spectrum(run, shown, dot):
    acts = power_law_acts(-1)
    acts[:, 40:] = 0.5
    assert np.isnan(layer_codes.layer_code(acts, dot, shown, run).alpha).all()


def test_a_constant_layer_has_no_code(run, shown, dot, acts, code):
    for constant in (torch.zeros(COUNT, 260), acts[:1].expand(COUNT, -1)):
        found = layer_codes.layer_code(constant, dot, shown, run)
        for field in dataclasses.fields(found):
            value = np.asarray(getattr(found, field.name))
            if field.name not in ("columns", "eigenvalues"):
                assert np.isnan(value).all() and value.shape == np.shape(getattr(code, field.name)), field.name


def test_a_layer_that_does_not_see_the_dot_has_no_action(run, shown, acts):
    found = layer_codes.layer_code(acts, torch.ones(run.frames, 260), shown, run)
    assert (found.action == 0).all() and (found.position == 0).all() and np.isfinite(found.alpha).all()


def test_activations_that_are_not_finite_are_refused(run, shown, acts, dot):
    broken = acts.clone()
    broken[3, 4] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        layer_codes.layer_code(broken, dot, shown, run)


def test_pictures_of_one_class_have_no_probe(run, shown, acts, dot):
    pictures = dataclasses.replace(shown.pictures, labels=torch.full((COUNT,), 3))
    alone = dataclasses.replace(shown, pictures=pictures, factors={"class": pictures.labels})
    found = layer_codes.layer_code(acts, dot, alone, run)
    assert np.isnan(found.probe).all() and np.isnan(found.mixed_probe) and np.isnan(found.readers).all()
    assert np.isfinite(found.alpha).all() and np.isfinite(found.components).all()


# Networks


class Net(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 5, 3), nn.Conv2d(6, 70, 9)
        for i, p in enumerate(self.parameters()):
            nn.init.normal_(p, 0, 0.2, generator=torch.Generator().manual_seed(10 * seed + i))

    def forward(self, x):
        return self.second(self.first(x).relu()).flatten(1)


def test_a_survey_has_the_code_of_each_layer_of_each_network(run, shown):
    networks = {"trained": [Net(0), Net(1)], "untrained": [Net(2)]}
    found = layer_codes.survey(networks, ["first", "second"], shown, run)
    assert {kind: len(members) for kind, members in found.items()} == {"trained": 2, "untrained": 1}
    inputs = shown.pictures.tensors()[0]
    with torch.no_grad():
        first = networks["trained"][1].first(inputs).flatten(1)
        seen = networks["trained"][1].first(shown.frames).flatten(1)
    stride = -(-first.shape[1] // run.columns)
    expected = layer_codes.layer_code(first[:, ::stride], seen[:, ::stride], shown, run)
    got = found["trained"][1]["first"]
    assert got.columns == expected.columns <= run.columns
    assert got.alpha == pytest.approx(expected.alpha, abs=1e-4) and got.action == pytest.approx(
        expected.action, rel=1e-4
    )
    assert not np.array_equal(got.alpha, found["trained"][0]["first"].alpha)


def test_the_same_seed_gives_the_same_numbers(run, shown):
    first, second = (layer_codes.measure(Net(), ["second"], shown, run)["second"] for _ in range(2))
    for field in dataclasses.fields(first):
        assert np.array_equal(getattr(first, field.name), getattr(second, field.name), equal_nan=True), field.name
    other = dataclasses.replace(run, values={**run.values, "seed": 1})
    assert layer_codes.measure(Net(), ["second"], shown, other)["second"].raw_action != first.raw_action


def test_what_layers_say_is_the_same_for_pictures_and_their_tensor(run, shown):
    few = shown.pictures.subset(torch.arange(70))
    from_pictures = layer_codes.said(Net(), ["second"], few, run)["second"]
    from_tensor = layer_codes.said(Net(), ["second"], few.tensors()[0], run)["second"]
    assert isinstance(few, Pictures) and torch.equal(from_pictures, from_tensor) and from_tensor.shape[0] == 70
    assert torch.equal(from_tensor, activations.strided_columns(from_tensor, run.columns))
