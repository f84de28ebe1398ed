"""Eigenfilters against scikit-learn, and maps whose filters are waves of known frequency."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from torch import nn

from innercodes import claims, eigenfilters, parameters
from innercodes.layer_codes import Stimuli
from innercodes.pictures import Pictures

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    small = {"progress": "off", "device": "cpu", "bootstrap": 200, "out_dir": str(tmp_path_factory.mktemp("out"))}
    return parameters.check(CHAPTER, DEFAULTS | small)


def maps(count=120, channels=2, side=8, seed=0):
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(seed))


def waves(order, count=400, side=32, seed=0):
    """Maps that are sums of horizontal waves; the variances of the frequencies 1, 2 ... fall in a given order of ranks."""
    place = torch.arange(side) / side
    basis = torch.stack([torch.sin(2 * torch.pi * f * place).expand(side, side) for f in order])
    draws = torch.randn(count, len(order), generator=torch.Generator().manual_seed(seed))
    return torch.einsum("nf,fhw->nhw", draws * 0.8 ** torch.arange(len(order)), basis)[:, None]


def test_filters_are_principal_components_and_scores_those_of_the_pictures():
    found = eigenfilters.filters_of(maps(), 6)
    reference = PCA(6, svd_solver="full").fit(maps().flatten(1).double())
    assert found.maps.shape == (6, 2, 8, 8) and found.scores.shape == (120, 6)
    cosines = np.abs((found.maps.flatten(1).numpy() * reference.components_).sum(1))
    assert cosines == pytest.approx(1, abs=1e-6)
    expected = reference.transform(maps().flatten(1).double())
    assert np.abs(found.scores.numpy()) == pytest.approx(np.abs(expected), abs=1e-5)
    assert found.scores.mean(0).numpy() == pytest.approx(0, abs=1e-6)


def test_scores_do_not_depend_on_the_parts_they_come_in(monkeypatch):
    whole = eigenfilters.filters_of(maps(), 6)
    monkeypatch.setattr(eigenfilters.spectra, "CHUNK", 7)
    assert torch.allclose(eigenfilters.filters_of(maps(), 6).scores.abs(), whole.scores.abs(), atol=1e-5)


def test_a_network_is_read_without_thinning(run):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    inputs = torch.rand(90, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    pictures = Pictures(lambda i: inputs[i], torch.arange(90), torch.zeros(90, dtype=torch.int64), ("a",), ("a",))
    shown = Stimuli(pictures, {}, torch.zeros(90, 1), inputs, torch.zeros(90, 2), [])
    found = eigenfilters.eigenfilters(network, "0", shown, run, 5)
    assert found.maps.shape == (5, 4, 22, 22)
    with torch.no_grad():
        expected = eigenfilters.filters_of(network[0](inputs), 5)
    assert torch.allclose(found.maps, expected.maps, atol=1e-4)


def test_coarse_first_is_a_rank_correlation_over_filters(run):
    rng = np.random.default_rng(0)
    order = list(range(1, 13))
    nearly = [1, 2, 4, 3, 5, 6, 8, 7, 9, 10, 12, 11]
    filters = {
        "trained": [eigenfilters.filters_of(waves(order, seed=s), 12) for s in range(2)],
        "untrained": [eigenfilters.filters_of(waves(rng.permutation(order).tolist(), seed=9), 12)],
    }
    found = eigenfilters.coarse_first(filters, eigenfilters.filters_of(waves(nearly), 12), run)
    assert found["value"] == pytest.approx(1, abs=0.02)
    assert found["baseline"]["pixels"] == pytest.approx(spearmanr(order, nearly).statistic, abs=0.03)
    assert found["baseline"]["untrained"] < 0.8 and found["twin"].value == pytest.approx(
        found["value"] - found["baseline"]["untrained"]
    )
    falling = {"trained": [eigenfilters.filters_of(waves(order[::-1]), 12)], "untrained": filters["untrained"]}
    assert eigenfilters.coarse_first(falling, filters["trained"][0], run)["value"] == pytest.approx(-1, abs=0.02)
    claims.Results(run).take("COD-20", found)


def test_the_centroid_is_the_mean_frequency_weighted_with_power():
    one = eigenfilters.Eigenfilters(waves([3], 1) + 5, torch.zeros(1, 1))
    assert eigenfilters._centroids(one) == pytest.approx(3 / 32, rel=1e-4)


def test_overlap_is_that_of_what_ten_components_say_of_the_pictures(run):
    same = eigenfilters.filters_of(maps(200, 1, 8), 12)
    turned = maps(200, 1, 8).transpose(-1, -2)  # another grid, the same subspace of pictures
    other = eigenfilters.filters_of(maps(200, 1, 8, seed=5), 12)
    pair = {"trained": [same], "untrained": [other]}
    alike = eigenfilters.coarse_first(pair, eigenfilters.filters_of(turned, 12), run)["also"]["overlap_with_pixels"]
    assert alike == pytest.approx(1, abs=1e-6)
    apart = eigenfilters.coarse_first(pair, other, run)["also"]["overlap_with_pixels"]
    q = [np.linalg.qr(one.scores[:, :10].numpy())[0] for one in (same, other)]
    assert apart == pytest.approx((np.linalg.svd(q[0].T @ q[1])[1] ** 2).mean()) and apart < 0.3
    both = {"trained": [same, other], "untrained": [other]}
    assert eigenfilters.coarse_first(both, other, run)["also"]["overlap_with_pixels"] == pytest.approx((1 + apart) / 2)


def test_ranks_go_to_fifty(run):
    assert "rank (1 to 50)" in claims.of_chapter(CHAPTER)["COD-20"]["measure"]
    assert len(eigenfilters.filters_of(maps(80, 2, 8)).maps) == 50
