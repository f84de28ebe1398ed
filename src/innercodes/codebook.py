"""A codebook of symbols: UMAP to three dimensions, X-means there, and how a new vector is read (steps 6 and 7, A14, of
Lee & Vijayan 2024). Beside it the two baselines that share its reading interface: k-means at the same K, PCA for UMAP.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from innercodes import moebius, xmeans
from innercodes.parameters import refusal

METRICS = ("euclidean", "cosine")
STARTS = ("exact", "umap")
FORMAT = "innercodes codebook 1"
# UMAP's own number of steps for up to 10,000 new points. It takes 30 for more, and then a point's place would depend on
# how many others are placed with it.
PLACING_STEPS = 100
# UMAP's own number for more than 10,000 vectors. It takes 500 for fewer, which is most of the time of a small chapter.
LAYOUT_STEPS = 200


@dataclass(frozen=True)
class Codebook:
    """Symbols of the vectors it was fitted on, and what reading new ones needs.

    `vectors` float32 (N, D) it was fitted on; `embedding` float32 (N, components), their UMAP coordinates; `symbols` int64
    (N,) in 0 ... K - 1; `centers` float64 (K, components). All on the CPU.
    """

    vectors: Tensor
    embedding: Tensor
    symbols: Tensor
    centers: Tensor
    seed: int
    neighbors: int
    min_dist: float
    metric: str

    @classmethod
    def fit(
        cls,
        vectors: Tensor,
        seed: int,
        neighbors: int = 15,
        min_dist: float = 0.1,
        metric: str = "euclidean",
        components: int = 3,
        most: int = 1000,
        backend: str = "innercodes",
        start: str = "exact",
        steps: int = LAYOUT_STEPS,
    ) -> "Codebook":
        """Embed float vectors (N, D), any device, and find the clusters: `embed`, then `xmeans.fit`, whose errors stand."""
        embedding = embed(vectors, seed, neighbors, min_dist, metric, components, start, steps)
        found = xmeans.fit(embedding, seed, most, backend=backend)
        kept = _plain(vectors)
        return cls(kept, embedding, found.labels, found.centers, seed, neighbors, min_dist, metric)

    def place(self, vectors: Tensor) -> Tensor:
        """UMAP coordinates of vectors: float (M, D) to float32 (M, components), on the device of the vectors.

        The vectors of the fit, all of them in their order, get the places of the fit; anything else UMAP's transform, with exact
        neighbours. A vector is placed as if it came alone. Raises ValueError for another width or values that are not finite.
        """
        _check_new(vectors, self.vectors.shape[1])
        x = _plain(vectors)
        if torch.equal(x, self.vectors):
            return self.embedding.to(vectors.device, copy=True)
        if not len(x):
            return torch.empty(0, self.embedding.shape[1], device=vectors.device)
        # UMAP takes weights in relation to the largest of the batch. A vector of the fit has weight 1 to itself: with one in
        # every batch, the others do not matter.
        x = torch.cat([x, self.vectors[:1]])
        model = self._umap()
        with _threads_kept():
            return torch.from_numpy(model.transform(x.numpy())[:-1]).to(vectors.device)

    def read(self, vectors: Tensor) -> Tensor:
        """Symbols of vectors, the nearest centre in UMAP space (A14): float (M, D) to int64 (M,)."""
        return xmeans.assign(self.place(vectors), self.centers)

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, numbers and words as JSON in its header."""
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        settings = {name: getattr(self, name) for name in SETTINGS}
        save_file(tensors, path, {"format": FORMAT, "settings": json.dumps(settings)})

    @classmethod
    def load(cls, path: str | Path) -> "Codebook":
        """Read what `save` wrote; it places and reads to the same bits. Raises ParameterError for any other file."""
        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata() or {}
                if notes.get("format") != FORMAT:
                    raise ValueError
                settings = json.loads(notes["settings"])
                tensors = {name: file.get_tensor(name) for name in TENSORS}
            return cls(**tensors, **{name: settings[name] for name in SETTINGS})
        except (OSError, ValueError, KeyError, SafetensorError):
            raise refusal("path", Path(path).name, "a file that Codebook.save wrote") from None

    def _umap(self):
        """The fitted UMAP object, made again from what is kept: its transform needs no more than this."""
        from umap.umap_ import find_ab_params

        model = _umap(self.seed, self.neighbors, self.min_dist, self.metric, self.embedding.shape[1])
        model.n_epochs = 3 * PLACING_STEPS  # transform takes a third
        model._a, model._b = find_ab_params(model.spread, model.min_dist)
        model._initial_alpha = model.learning_rate
        model._disconnection_distance = np.inf
        model._n_neighbors = self.neighbors
        model._raw_data, model.embedding_ = self.vectors.numpy(), self.embedding.numpy()
        model._input_hash, model._small_data = None, False
        model._knn_search_index = _Index(self.vectors, self.metric)
        return model


TENSORS = ("vectors", "embedding", "symbols", "centers")
SETTINGS = ("seed", "neighbors", "min_dist", "metric")


@dataclass(frozen=True)
class PCACodebook:
    """As `Codebook`, with principal axes in place of UMAP: `mean` (D,) and `axes` (components, D), float32."""

    mean: Tensor
    axes: Tensor
    embedding: Tensor
    symbols: Tensor
    centers: Tensor

    def place(self, vectors: Tensor) -> Tensor:
        """Coordinates on the axes: float (M, D) to float32 (M, components). Errors as of `Codebook.place`."""
        _check_new(vectors, len(self.mean))
        return ((_plain(vectors) - self.mean) @ self.axes.T).to(vectors.device)

    def read(self, vectors: Tensor) -> Tensor:
        """Symbols of vectors, the nearest centre: float (M, D) to int64 (M,)."""
        return xmeans.assign(self.place(vectors), self.centers)


def kmeans_codebook(codebook: Codebook, seed: int) -> Codebook:
    """The baseline with k-means at the same K in the same UMAP space (section 5d), scikit-learn's with its defaults."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # with more threads its sums come in any order
        found = KMeans(len(codebook.centers), random_state=seed).fit(codebook.embedding.double().numpy())
    centers = torch.from_numpy(found.cluster_centers_)
    return replace(codebook, centers=centers, symbols=xmeans.assign(codebook.embedding, centers))


def pca_codebook(
    vectors: Tensor, seed: int, components: int = 3, most: int = 1000, backend: str = "innercodes"
) -> PCACodebook:
    """The baseline with PCA in place of UMAP (section 5d), scikit-learn's: float vectors (N, D). Errors as of `embed`."""
    from sklearn.decomposition import PCA

    _check_fit(vectors)
    if not 1 <= components <= min(vectors.shape):
        raise ValueError(
            f"components = {components}: must be from 1 to {min(vectors.shape)}, what {_shape(vectors)} allow"
        )
    x = _plain(vectors)
    found = PCA(components, random_state=seed).fit(x.numpy())
    mean, axes = (torch.from_numpy(np.array(part, np.float32)) for part in (found.mean_, found.components_))
    embedding = (x - mean) @ axes.T
    clusters = xmeans.fit(embedding, seed, most, backend=backend)
    return PCACodebook(mean, axes, embedding, clusters.labels, clusters.centers)


def embed(
    vectors: Tensor,
    seed: int,
    neighbors: int = 15,
    min_dist: float = 0.1,
    metric: str = "euclidean",
    components: int = 3,
    start: str = "exact",
    steps: int = LAYOUT_STEPS,
) -> Tensor:
    """UMAP coordinates of float vectors (N, D), N > `neighbors`, any device: float32 (N, components) on the CPU (step 6).

    The paper gives the three components; the rest are the library's defaults, but that the layout has `steps` passes whatever
    the number of vectors. `start="exact"` hands UMAP the exact nearest
    neighbours, found by matrix products, which saves it the compiling and the running of its own approximate search;
    `start="umap"` is the library as it comes. Same seed, same bits, in any process: UMAP then runs on one thread. Raises
    ValueError for vectors that are too few, all alike, not (N, D) or not finite in float32, and for settings out of range.
    """
    _check_fit(vectors)
    for name, value, fine, allowed in (
        ("seed", seed, 0 <= seed < 2**32, "from 0 to 2^32 - 1"),
        ("neighbors", neighbors, neighbors >= 2, "at least 2"),
        ("min_dist", min_dist, 0 <= min_dist <= 1, "from 0 to 1"),
        ("components", components, components >= 1, "at least 1"),
        ("steps", steps, steps >= 1, "at least 1"),
        ("metric", metric, metric in METRICS, f"one of {', '.join(METRICS)}"),
        ("start", start, start in STARTS, f"one of {', '.join(STARTS)}"),
    ):
        if not fine:
            raise ValueError(f"{name} = {value!r}: must be {allowed}")
    for name, value, spare in (("neighbors", neighbors, 1), ("components", components, 2)):
        if value > len(vectors) - spare:
            raise ValueError(f"{name} = {value}: must be at most {len(vectors) - spare} for {len(vectors)} vectors")
    model = _umap(seed, neighbors, min_dist, metric, components)
    model.n_epochs = steps
    if start == "exact":
        distances, indices = nearest(vectors.detach().float(), neighbors, metric=metric)
        model.precomputed_knn = (indices.cpu().numpy(), distances.cpu().numpy(), None)
    with _known_warnings(), _threads_kept():
        found = model.fit_transform(_plain(vectors).numpy())
    lost = int((~np.isfinite(found)).any(1).sum())
    if lost:
        raise ValueError(f"vectors: {lost} are opposite to all others and have no place under metric {metric!r}")
    return torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32))


def nearest(
    vectors: Tensor, k: int, queries: Tensor | None = None, metric: str = "euclidean", chunk: int = 1024
) -> tuple[Tensor, Tensor]:
    """The k nearest of vectors (N, D) to each of queries (M, D), nearest first: distances (M, k) and int64 (M, k).

    Without queries, the neighbours of the vectors themselves, each being its own first. Matrix products find them; their
    distances are then taken anew from the differences, so copies have distance 0. Two at the same distance up to the rounding
    of the product may come in either order at rank k. `cosine` is 1 - cos; a vector of length 0 is at 1 from all but its like.
    """
    x = vectors
    q = x if queries is None else queries
    if metric == "cosine":
        x, q = _directions(x), _directions(q)
    else:
        middle = x.mean(0, dtype=torch.float64).to(x)  # the further from 0, the more digits the product loses
        x, q = x - middle, q - middle
    squares = x.square().sum(1)
    distances, indices = [], []
    for i, part in enumerate(q.split(chunk)):
        scores = torch.addmm(squares, part, x.T, alpha=-2)
        if queries is None:
            rows = torch.arange(len(part), device=x.device)
            scores[rows, i * chunk + rows] = -torch.inf
        found = scores.topk(k, largest=False).indices
        del scores
        pieces = zip(found.split(64), part.split(64), strict=True)  # differences of a whole chunk would not fit a cache
        exact = torch.cat([(x[some] - at[:, None]).square().sum(-1) for some, at in pieces])
        exact, order = exact.sort(stable=True)  # a vector stays before its copies
        distances.append(exact / 2 if metric == "cosine" else exact.sqrt())
        indices.append(found.gather(1, order))
    return torch.cat(distances), torch.cat(indices)


def _directions(x: Tensor) -> Tensor:
    """Rows of length 1, with a coordinate of its own for rows of length 0: half their squared distance is 1 - cos."""
    lengths = x.norm(dim=1, keepdim=True)
    zero = lengths == 0
    return torch.cat([x / lengths.masked_fill(zero, 1), zero.to(x)], 1)


@contextmanager
def _threads_kept() -> Iterator[None]:
    """numba, which UMAP runs on, starts its threads and makes torch take as many: with all cores busy that is ten times slower."""
    threads = torch.get_num_threads()
    with moebius.torch_threads():
        torch.set_num_threads(threads)
        yield


class _Index:
    """Exact neighbours where UMAP's transform expects the index of its own search."""

    _angular_trees = False

    def __init__(self, vectors: Tensor, metric: str):
        self.vectors, self.metric = vectors, metric

    def query(self, x: np.ndarray, k: int, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        distances, indices = nearest(self.vectors, k, torch.from_numpy(x), self.metric)
        return indices.numpy(), distances.numpy()


def _umap(seed: int, neighbors: int, min_dist: float, metric: str, components: int):
    from umap import UMAP  # seconds of compiling, so only where it is used

    return UMAP(
        n_neighbors=neighbors, n_components=components, min_dist=min_dist, metric=metric, random_state=seed,
        transform_seed=seed, n_jobs=1,
    )  # fmt: skip


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Three that say nothing new: our index is not UMAP's, and groups without a link between them are placed one by one."""
    with warnings.catch_warnings():
        for message in (
            r"precomputed_knn\[2\] \(knn_search_index\) is not an NNDescent object",
            r"Graph is not fully connected, spectral embedding may not work as expected",
            r"Embedding a total of \d+ separate connected components",
        ):
            warnings.filterwarnings("ignore", message)
        yield


def _plain(vectors: Tensor) -> Tensor:
    return vectors.detach().cpu().float().contiguous()


def _shape(vectors: Tensor) -> str:
    return f"vectors of shape {tuple(vectors.shape)}"


def _check_new(vectors: Tensor, width: int) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(f"vectors: shape {tuple(vectors.shape)}, must be (M, {width}), the width of the fit")
    _check_finite(vectors)


def _check_fit(vectors: Tensor) -> None:
    if vectors.ndim != 2 or not vectors.numel() or not vectors.is_floating_point():
        raise ValueError(f"vectors: {vectors.dtype} of shape {tuple(vectors.shape)}, must be floating-point (N, D)")
    _check_finite(vectors)
    if bool((vectors == vectors[:1]).all()):
        raise ValueError(f"vectors: all {len(vectors)} are alike, must be at least two that differ")


def _check_finite(vectors: Tensor) -> None:
    finite = vectors.float().isfinite()
    if not finite.all():
        raise ValueError(f"vectors: {int((~finite).sum())} values are not finite in float32")
