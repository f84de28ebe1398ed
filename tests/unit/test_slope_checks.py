"""What a slope is held against, on codes whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from innercodes import code_networks, layer_codes, parameters, scenes, slope_checks, spectra
from innercodes.code_networks import Shown

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    given = {
        "progress": "off",
        "device": "cpu",
        "columns": 150,
        "frames": 16,
        "out_dir": str(tmp_path_factory.mktemp("out")),
    }
    return parameters.check(CHAPTER, DEFAULTS | given)


def test_shuffled_columns_keep_every_column_and_nothing_else():
    acts = (
        spectra.power_spectrum_codes(400, 60, -1.5)
        @ torch.linalg.qr(torch.randn(60, 60, generator=torch.Generator().manual_seed(0)))[0]
    )
    mixed = slope_checks.shuffled_columns(acts, 3)
    assert torch.equal(mixed.sort(0).values, acts.sort(0).values) and not torch.equal(mixed, acts)
    assert torch.equal(mixed, slope_checks.shuffled_columns(acts, 3))
    before, after = (torch.corrcoef(x.T) - torch.eye(60) for x in (acts, mixed))
    assert float(before.abs().mean()) > 2 * float(after.abs().mean())
    assert float(after.abs().max()) < 5 / 400**0.5


def test_gaussian_codes_have_the_covariance_in_the_mean():
    acts = torch.distributions.Exponential(1.0).sample((300, 8)).cumsum(1)
    drawn = torch.stack(
        [
            slope_checks.gaussian_codes(acts, seed).T @ slope_checks.gaussian_codes(acts, seed) / 300
            for seed in range(60)
        ]
    )
    assert torch.allclose(drawn.mean(0), torch.cov(acts.T), rtol=0.1, atol=0.02 * float(acts.var(0).max()))
    one = slope_checks.gaussian_codes(acts, 0)
    skew = ((one - one.mean(0)) ** 3).mean(0) / one.std(0) ** 3
    assert float(skew.abs().max()) < 0.6 < float((((acts - acts.mean(0)) ** 3).mean(0) / acts.std(0) ** 3)[0])


def test_random_columns_are_different_ones_and_all_where_there_are_few():
    acts = torch.arange(24.0).expand(5, 24).reshape(5, 2, 3, 4)
    found = slope_checks.random_columns(acts, 7, 0)
    assert found.shape == (5, 7) and len(found[0].unique()) == 7
    assert torch.equal(slope_checks.random_columns(acts, 100, 0), acts.flatten(1))
    assert not torch.equal(found, slope_checks.random_columns(acts, 7, 1))


def test_slopes_of_a_layer_and_of_what_shares_something_with_it(run):
    """The picture itself as the layer: each number again from its code."""
    fitted, others = scenes.load(20, 130, 0, 32)
    shown = Shown(fitted.pictures, others.pictures, others.factors)
    stimuli = layer_codes.stimuli(shown.others, shown.factors, run)
    network = nn.Sequential()
    network.picture = nn.Identity()
    network.forward = lambda x: network.picture(x)
    found = slope_checks.slopes(network, ["picture"], stimuli, run)
    pixels = shown.others.tensors()[0]
    thin = layer_codes.pixels_of(shown.others, run)
    codes = {
        slope_checks.LAYER: thin,
        slope_checks.RANDOM_COLUMNS: slope_checks.random_columns(pixels, 150, 0),
        slope_checks.GAUSSIAN: slope_checks.gaussian_codes(thin, 0),
        slope_checks.SHUFFLED: slope_checks.shuffled_columns(thin, 0),
    }
    assert list(found) == list(codes)
    for name, code in codes.items():
        assert found[name] == pytest.approx([spectra.debiased_alpha(code, (10, 50), 0, 150)], rel=1e-4), name
    assert found[slope_checks.SHUFFLED] > found[slope_checks.LAYER] + 0.3
    assert code_networks.short("picture") == "picture"


def test_fewer_rows_and_fewer_groups(run):
    acts = spectra.power_spectrum_codes(800, 150, -1.0)
    assert slope_checks.counts_of(800) == [100, 200, 400, 800]
    plain, debiased = slope_checks.by_count(acts, [40, 120, 400], run)
    assert np.isnan(plain[0]) and np.isnan(debiased[0])
    for place, count in ((1, 120), (2, 400)):
        assert debiased[place] == pytest.approx(spectra.debiased_alpha(acts[:count], (10, 50), 0, 150))
        curve = spectra.eigenspectrum(acts[:count], 150, 50).eigenvalues
        assert plain[place] == pytest.approx(spectra.power_law(curve).alpha)
    groups = torch.arange(200).repeat_interleave(4)
    assert np.array_equal(
        slope_checks.by_count(acts, [30, 100], run, groups), slope_checks.by_count(acts, [120, 400], run)
    )


def test_more_columns_are_kept_up_to_all_there_are(run, monkeypatch):
    _, others = scenes.load(20, 130, 0, 32)
    stimuli = layer_codes.stimuli(others.pictures, others.factors, run)
    network = nn.Sequential()
    network.picture = nn.Identity()
    network.forward = lambda x: network.picture(x)
    monkeypatch.setattr(slope_checks, "COLUMNS", (60, 300, 5000))
    found = slope_checks.by_columns(network, ["picture"], stimuli, run)
    pixels = others.pictures.tensors()[0].flatten(1)
    assert pixels.shape[1] == 3072
    expected = [spectra.debiased_alpha(pixels, (10, 50), 0, columns) for columns in (60, 300, 3072)]
    assert found.shape == (1, 3) and found[0] == pytest.approx(expected, rel=1e-4)
