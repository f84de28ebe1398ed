"""The codebook against scikit-learn's neighbours and PCA, and against umap-learn's own fitted object."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from innercodes import codebook, xmeans
from innercodes.codebook import Codebook
from innercodes.parameters import ParameterError

KINDS, WIDTH = 6, 12


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def data(n, seed):
    """Vectors of six kinds that lie far apart."""
    truth = torch.arange(n) % KINDS
    return 6 * draws(KINDS, WIDTH, seed=99)[truth] + draws(n, WIDTH, seed=seed), truth


@pytest.fixture(scope="module")
def fitted():
    # The kinds have no link between them, of which UMAP and scikit-learn would warn.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ImportWarning)
        return Codebook.fit(data(240, 0)[0], 3, steps=500)  # the library's own for so few


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99), st.sampled_from(codebook.METRICS), st.integers(1, 50))
def test_neighbours_are_those_of_brute_force(n, d, seed, metric, chunk):
    x, q, k = draws(n, d, seed=seed).double(), draws(7, d, seed=seed + 100).double(), min(5, n)
    distances, indices = codebook.nearest(x, k, q, metric, chunk)
    every = torch.from_numpy(pairwise_distances(q.numpy(), x.numpy(), metric=metric))
    torch.testing.assert_close(distances, every.sort(1).values[:, :k], rtol=0, atol=1e-7)
    torch.testing.assert_close(every.gather(1, indices), distances, rtol=0, atol=1e-7)


@pytest.mark.parametrize("metric", codebook.METRICS)
def test_every_vector_is_its_own_first_neighbour_even_among_copies(metric):
    x = draws(10, 4).repeat(3, 1) + 50  # far from 0, where a product alone has no digits left
    distances, indices = codebook.nearest(x, 4, metric=metric, chunk=7)
    assert torch.equal(indices[:, 0], torch.arange(30))
    assert torch.equal(indices[:, :3].sort(1).values, torch.arange(10).repeat(3)[:, None] + torch.tensor([0, 10, 20]))
    assert not distances[:, :3].any() and (distances[:, 3] > 0).all()
    assert (distances.diff(dim=1) >= 0).all()


def test_neighbours_in_float32_have_small_errors_far_from_zero():
    x = draws(200, 30) + 1000
    every = pairwise_distances(x.double().numpy())
    np.testing.assert_allclose(codebook.nearest(x, 10)[0].numpy(), np.sort(every, 1)[:, :10], rtol=1e-4)


def test_cosine_of_vectors_of_length_zero():
    x = torch.tensor([[1.0, 0], [0, 0], [0, 0], [-1, 0]])
    distances, indices = codebook.nearest(x, 4, metric="cosine")
    table = torch.zeros(4, 4).scatter(1, indices, distances)
    torch.testing.assert_close(table, torch.tensor([[0.0, 1, 1, 2], [1, 0, 0, 1], [1, 0, 0, 1], [2, 1, 1, 0]]))


def test_symbols_are_the_kinds_of_vectors(fitted):
    truth, (new, kinds) = data(240, 0)[1], data(60, 1)
    assert fitted.embedding.shape == (240, 3) and fitted.embedding.dtype == torch.float32
    assert fitted.symbols.dtype == torch.int64 and fitted.centers.shape == (KINDS, 3)
    assert adjusted_rand_score(truth, fitted.symbols) == 1
    read = fitted.read(new)
    assert read.dtype == torch.int64 and fitted.place(new).dtype == torch.float32
    assert torch.equal(read, torch.tensor([int(fitted.symbols[k]) for k in kinds]))


def test_vectors_of_the_fit_keep_their_places(fitted):
    x = data(240, 0)[0]
    assert torch.equal(fitted.place(x), fitted.embedding) and torch.equal(fitted.read(x.double()), fitted.symbols)
    fitted.place(x).zero_()
    assert fitted.embedding.any()


def test_a_vector_is_placed_as_if_it_came_alone(fitted):
    new = data(60, 1)[0]
    together = fitted.place(new)
    torch.testing.assert_close(fitted.place(new[7:8]), together[7:8], rtol=0, atol=1e-5)
    torch.testing.assert_close(fitted.place(new.flip(0)).flip(0), together, rtol=0, atol=1e-5)
    torch.testing.assert_close(fitted.place(torch.cat([new, 1.01 * new, new[:5]]))[:60], together, rtol=0, atol=1e-5)
    assert fitted.place(new[:0]).shape == (0, 3) and fitted.read(new[:0]).shape == (0,)


def test_places_are_those_of_the_umap_object_that_was_fitted(fitted, monkeypatch):
    """Its own transform, on the object that the fit left, against the one made again."""
    kept = []

    def keep(*settings, make=codebook._umap):
        kept.append(make(*settings))
        return kept[-1]

    monkeypatch.setattr(codebook, "_umap", keep)
    x, new = data(240, 0)[0], data(20, 2)[0]
    assert torch.equal(codebook.embed(x, 3, steps=500), fitted.embedding)  # same seed, same bits
    model = kept[0]
    # The same distances to the bit: UMAP's random numbers depend on the last bit of where a point starts.
    model._knn_search_index = codebook._Index(x, "euclidean")
    model.n_epochs = 300
    theirs = model.transform(torch.cat([new, x[:1]]).numpy())[:-1]
    np.testing.assert_array_equal(fitted.place(new).numpy(), theirs)


def test_another_seed_gives_another_embedding(fitted):
    assert not torch.equal(codebook.embed(data(240, 0)[0], 4, steps=500), fitted.embedding)


def test_saved_and_loaded_it_places_to_the_same_bits(fitted, tmp_path):
    path, new = tmp_path / "book.safetensors", data(60, 1)[0]
    fitted.save(path)
    loaded = Codebook.load(path)
    assert torch.equal(loaded.place(new), fitted.place(new)) and torch.equal(loaded.read(new), fitted.read(new))
    for name in Codebook.__dataclass_fields__:
        ours, theirs = getattr(fitted, name), getattr(loaded, name)
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype if torch.is_tensor(ours) else ours == theirs
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["settings"])["neighbors"] == 15 and "pickle" not in str(file.metadata())


def test_other_files_are_refused_without_their_folder(tmp_path, fitted):
    other, junk, part = (tmp_path / f"{name}.safetensors" for name in ("other", "junk", "part"))
    save_file({"a": torch.zeros(1)}, other)
    junk.write_bytes(b"\x80\x04 not one")
    save_file({"vectors": torch.zeros(1)}, part, {"format": codebook.FORMAT, "settings": "{}"})
    for path in (other, junk, part, tmp_path / "missing", tmp_path):
        with pytest.raises(ParameterError, match=f"path = '{path.name}': must be a file that Codebook.save") as error:
            Codebook.load(path)
        assert str(tmp_path.parent) not in str(error.value)


class Stub:
    """Takes the place of UMAP, whose compiling takes long."""

    precomputed_knn = (None, None, None)

    def fit_transform(self, x):
        self.seen = x
        return self.result


@pytest.mark.parametrize("metric", codebook.METRICS)
@pytest.mark.parametrize("start", codebook.STARTS)
def test_the_exact_start_hands_over_the_neighbours_and_the_other_does_not(start, metric, monkeypatch):
    stub, given = Stub(), []
    stub.result = np.zeros((30, 2))
    monkeypatch.setattr(codebook, "_umap", lambda *settings: given.append(settings) or stub)
    x = draws(30, 4).double()
    found = codebook.embed(x, 5, 7, 0.3, metric, 2, start, 40)
    assert found.dtype == torch.float32 and given == [(5, 7, 0.3, metric, 2)] and stub.seen.dtype == np.float32
    assert stub.n_epochs == 40
    if start == "umap":
        assert stub.precomputed_knn == (None, None, None)
        return
    indices, distances, index = stub.precomputed_knn
    every = np.sort(pairwise_distances(x.numpy(), metric=metric), 1)[:, :7]
    np.testing.assert_allclose(distances, every, atol=1e-5)
    assert index is None and indices.shape == (30, 7) and distances.dtype == np.float32


def test_the_settings_reach_the_library_and_it_runs_on_one_thread():
    found = codebook._umap(5, 7, 0.3, "cosine", 2).get_params()
    wanted = {"n_neighbors": 7, "min_dist": 0.3, "metric": "cosine", "n_components": 2, "random_state": 5, "n_jobs": 1}
    assert wanted.items() <= found.items() and found["transform_seed"] == 5


def test_a_vector_without_a_place_is_refused(monkeypatch):
    stub = Stub()
    stub.result = np.full((30, 3), np.nan)
    monkeypatch.setattr(codebook, "_umap", lambda *settings: stub)
    with pytest.raises(ValueError, match="vectors: 30 are opposite"):
        codebook.embed(draws(30, 4), 0, metric="cosine")


def test_the_fit_passes_on_what_the_clusters_need(monkeypatch):
    x = data(240, 0)[0]
    monkeypatch.setattr(codebook, "embed", lambda vectors, *settings: vectors[:, :3].contiguous())
    seen = {}

    def fit(points, seed, most, backend):
        seen.update(seed=seed, most=most, backend=backend)
        return xmeans.Clusters(points[:1].double(), torch.zeros(len(points), dtype=torch.int64))

    monkeypatch.setattr(xmeans, "fit", fit)
    found = Codebook.fit(x.double(), 8, 9, 0.2, "cosine", 3, most=11, backend="pyclustering")
    assert seen == {"seed": 8, "most": 11, "backend": "pyclustering"}
    assert (found.seed, found.neighbors, found.min_dist, found.metric) == (8, 9, 0.2, "cosine")
    assert found.vectors.dtype == torch.float32 and torch.equal(found.vectors, x)


def test_k_means_at_the_same_number_reads_the_same_places(fitted):
    found = codebook.kmeans_codebook(fitted, 0)
    assert torch.equal(found.embedding, fitted.embedding) and found.centers.shape == fitted.centers.shape
    theirs = KMeans(KINDS, random_state=0).fit(fitted.embedding.double().numpy())
    assert adjusted_rand_score(theirs.labels_, found.symbols) == 1
    new = data(60, 1)[0]
    assert torch.equal(found.place(new), fitted.place(new))
    assert torch.equal(found.read(new), xmeans.assign(fitted.place(new), found.centers))
    assert torch.equal(found.centers, codebook.kmeans_codebook(fitted, 0).centers)


def test_pca_in_place_of_umap():
    x, truth = data(240, 0)
    found = codebook.pca_codebook(x, 0)
    left, values, _ = torch.linalg.svd(x.double() - x.double().mean(0), full_matrices=False)
    scores = left[:, :3] * values[:3]
    signs = (scores * found.embedding).sum(0).sign()
    torch.testing.assert_close(found.embedding.double(), scores * signs, rtol=0, atol=1e-3)
    assert adjusted_rand_score(truth, found.symbols) >= 0.9
    assert torch.equal(found.read(x), found.symbols) and torch.equal(found.place(x), found.embedding)
    assert torch.equal(found.symbols, codebook.pca_codebook(x, 0).symbols)
    assert len(codebook.pca_codebook(x, 0, most=2).centers) == 2
    with pytest.raises(ValueError, match=r"vectors: shape \(3, 2\), must be \(M, 12\)"):
        found.read(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="components = 13: must be from 1 to 12"):
        codebook.pca_codebook(x, 0, 13)


GOOD = draws(30, 4)


@pytest.mark.parametrize(
    ("vectors", "settings", "message"),
    [
        (draws(15, 4), {}, "neighbors = 15: must be at most 14 for 15 vectors"),
        (draws(4, 4), {"neighbors": 3}, "components = 3: must be at most 2 for 4 vectors"),
        (torch.ones(30, 4), {}, "vectors: all 30 are alike"),
        (draws(4), {}, "vectors: torch.float32 of shape (4,), must be floating-point (N, D)"),
        (torch.zeros(0, 4), {}, "shape (0, 4)"),
        (torch.zeros(30, 4, dtype=torch.int64), {}, "torch.int64"),
        (torch.cat([GOOD, torch.full((1, 4), torch.nan)]), {}, "vectors: 4 values are not finite"),
        (
            torch.cat([GOOD.double(), torch.full((1, 4), 1e300, dtype=torch.float64)]),
            {},
            "vectors: 4 values are not finite in float32",
        ),
        (GOOD, {"neighbors": 1}, "neighbors = 1: must be at least 2"),
        (GOOD, {"min_dist": 1.5}, "min_dist = 1.5: must be from 0 to 1"),
        (GOOD, {"steps": 0}, "steps = 0: must be at least 1"),
        (GOOD, {"metric": "manhattan"}, "metric = 'manhattan': must be one of euclidean, cosine"),
        (GOOD, {"components": 0}, "components = 0"),
        (GOOD, {"start": "random"}, "start = 'random': must be one of exact, umap"),
        (GOOD, {"seed": -1}, "seed = -1"),
    ],
)
def test_what_is_refused(vectors, settings, message):
    with pytest.raises(ValueError) as error:
        Codebook.fit(vectors, **{"seed": 0, **settings})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_reading_refuses_another_width_and_what_is_not_finite(fitted):
    with pytest.raises(ValueError, match=r"vectors: shape \(5, 3\), must be \(M, 12\), the width of the fit"):
        fitted.read(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="vectors: 60 values are not finite"):
        fitted.place(torch.full((5, 12), torch.inf))


def test_umap_leaves_the_number_of_torchs_threads():
    """In a process of its own: numba starts its threads, and tells torch, once."""
    lines = [
        "import torch",
        "from innercodes import codebook",
        "torch.set_num_threads(1)",
        "seen, nearest = [], codebook.nearest",
        "codebook.nearest = lambda *a, **k: (seen.append(torch.get_num_threads()), nearest(*a, **k))[1]",
        "x = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))",
        "codebook.Codebook.fit(x[:100], 0).place(x[100:])",
        "print(seen, torch.get_num_threads())",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[1, 1] 1"
