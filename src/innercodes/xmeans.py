"""X-means: k-means that finds the number of clusters itself (Pelleg & Moore, ICML 2000), step 7 of Lee & Vijayan 2024.

A model of k spherical Gaussians with one shared variance, each point belonging to one of them, on N points in d dimensions has

    BIC = sum_i n_i log(n_i / N) - N d / 2 log(2 pi s^2) - d (N - k) / 2 - k (d + 1) / 2 log N

with s^2 = SS / (d (N - k)), SS the sum of squared distances to the centres (Pelleg & Moore, with the factor d that their s^2
lacks) and k (d + 1) free parameters: k - 1 weights, k d coordinates, one variance.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

# Variances below this share of the data's own count as zero: copies of one point have no finite likelihood.
TINY = 1e-12
# Centres up to which looking at all of them is faster than a tree.
FEW = 256
BACKENDS = ("innercodes", "pyclustering")


@dataclass(frozen=True)
class Clusters:
    """`centers` float64 (K, d), and `labels` int64 (N,), the nearest centre of each point; no cluster is empty."""

    centers: Tensor
    labels: Tensor


def fit(
    points: Tensor,
    seed: int,
    most: int = 1000,
    tolerance: float = 1e-3,
    backend: str = "innercodes",
    *,
    tree_steps: int = 8,
    rounds: int = 10,
    stop: float = 0.1,
    neighbors: int = 6,
) -> Clusters:
    """Clusters of float points (N, d), N >= 1, on any device: from 1 to `most`, a hard cap (step 7, Lee & Vijayan 2024).

    1. Split. Each region is cut in two by k-means (`tree_steps` at most, from 2 centres drawn as k-means++ does), down to a
       dozen points, and the tree is pruned from its leaves: two leaves become one where BIC prefers it. Asking only at the
       top would end the search there, as it often does in pyclustering: one cut through 200 blobs gains nothing. The
       penalty takes the size of the whole data, because a region of a dozen points is too small for BIC.
    2. Merge. Spheres cut a long cluster in pieces. As in Ishioka (2005), neighbours are joined where one cluster has the
       better BIC than two, once with a full covariance each and once with one variance each. The points keep their hard labels
       (the classification likelihood of Biernacki, Celeux & Govaert 2000): the two halves of a Gaussian then lose, those of
       a box draw level and the penalty decides. Covariances have the conjugate prior of Fraley & Raftery (2007), d + 2 points of the pooled
       variance, so that a few points have one too. Each cluster is compared with its `neighbors` nearest; mutually best
       pairs are joined until none gains, and the least harmful ones beyond that until `most` are left.
    3. K-means over all points from these centres, until none moves by more than `tolerance` times the standard deviation of
       the data. Steps 2 and 3 are repeated, `rounds` times at most, until they join no more than the share `stop`: joined
       cells of an even cloud have ragged borders, and look like two until k-means has straightened them.
    4. Choose. Full covariances find long clusters, and join round ones that touch; single variances cut long ones. Taken is
       what has the better BIC of the two, each cluster with the covariance that suits it (Fraley & Raftery 2002).

    Meant for few dimensions. Points all alike are one cluster; copies of a few points are a cluster each. Same seed, same
    bits. `backend="pyclustering"` is that library's search in C++ from 2 centres of k-means++, its tolerance in units of the
    points. Raises ValueError for points that are empty, not (N, d) or not finite, and for settings out of range.
    """
    _check_points("points", points)
    for name, value, fine, allowed in (
        ("seed", seed, seed >= 0, "at least 0"),
        ("most", most, most >= 1, "at least 1"),
        ("tolerance", tolerance, 0 < tolerance < math.inf, "above 0 and finite"),
        ("tree_steps", tree_steps, tree_steps >= 1, "at least 1"),
        ("rounds", rounds, rounds >= 1, "at least 1"),
        ("stop", stop, 0 <= stop <= 1, "from 0 to 1"),
        ("neighbors", neighbors, neighbors >= 1, "at least 1"),
        ("backend", backend, backend in BACKENDS, f"one of {', '.join(BACKENDS)}"),
    ):
        if not fine:
            raise ValueError(f"{name} = {value!r}: must be {allowed}")
    x = points.detach().cpu().double().numpy()
    middle = x.mean(0)
    x = np.ascontiguousarray(x - middle)  # far from 0 sums of squares lose their digits
    with np.errstate(over="ignore"):
        variance = float(np.square(x).mean())
    if not math.isfinite(variance):
        raise ValueError(f"points: values up to {np.abs(x).max():.3g} are too large to be squared")
    if (x == x[:1]).all():
        centers = np.zeros((1, x.shape[1]))
    elif backend == "pyclustering":
        centers = _pyclustering(x, seed, most, tolerance)
    else:
        floor, step = TINY * variance, tolerance * math.sqrt(variance)
        draws = np.random.default_rng(seed).random((len(x), 2))
        leaves = _kmeans(x, _split(x, draws, tree_steps, step, floor), step, 4)
        found = []
        for full in (True, False):
            centers = leaves
            for _ in range(rounds):
                before = len(centers)
                centers = _kmeans(x, _merge(x, centers, most, neighbors, floor, full), step, 100)
                if len(centers) > (1 - stop) * before:
                    break
            found.append(centers)
        moments = [_moments(x, centers, floor) for centers in found]
        prior = min(pooled for *_, pooled in moments)  # one for both, and one that leaves long clusters thin
        bics = [_bic_of(n, scatter, prior, len(x)) for n, _, scatter, _ in moments]
        centers = found[int(np.argmax(bics))]
    centers = torch.from_numpy(centers + middle).to(points.device)
    labels = assign(points, centers)
    while len(used := labels.unique()) < len(centers):
        centers = centers[used]
        labels = assign(points, centers)
    return Clusters(centers, labels)


def assign(points: Tensor, centers: Tensor) -> Tensor:
    """The nearest centre of each point, Euclidean, exact: float (N, d) and (K, d) to int64 (N,).

    Of two centres at the same distance either may be taken, always the same. Found with a k-d tree, so its memory grows with
    N + K only. Raises ValueError for tensors of another shape or with values that are not finite.
    """
    _check_points("centers", centers)
    if points.ndim != 2 or points.shape[1] != centers.shape[1]:
        raise ValueError(f"points: shape {tuple(points.shape)}, must be (N, {centers.shape[1]})")
    if not points.isfinite().all():
        raise ValueError(f"points: {int((~points.isfinite()).sum())} values are not finite")
    x, c = (t.detach().cpu().double().numpy() for t in (points, centers))
    return torch.from_numpy(KDTree(c).query(x)[1].astype(np.int64)).to(points.device)


def bic(counts: Tensor, squares: float, dimensions: int) -> float:
    """BIC of spherical Gaussians with one variance (Pelleg & Moore 2000): counts (k,), `squares` the sum of squared distances.

    Raises ValueError where the points are no more than the clusters, or lie on their centres: both have no finite BIC.
    """
    n = counts.double()
    total, k = float(n.sum()), len(n)
    if total <= k or not squares > 0:
        raise ValueError(
            f"counts, squares = {k} clusters of {total:g} points, {squares}: must leave a variance above 0"
        )
    return float(_bic(total, k, squares, float((n * n.log()).sum()), dimensions, 0.0, math.log(total)))


@numba.njit(cache=True)
def _bic(n, k, squares, entropy, d, floor, log_size):
    """BIC of k clusters of n points, `entropy` = sum n_i log n_i, with the penalty for a sample of size exp(log_size)."""
    variance = max(squares / (d * (n - k)), floor)
    fit = entropy - n * math.log(n) - n * d / 2 * math.log(2 * math.pi * variance)
    return fit - squares / (2 * variance) - k * (d + 1) / 2 * log_size


@numba.njit(cache=True)
def _cut(x, rows, side, draws, steps, tolerance):
    """2-means of x[rows]: writes `side`, 0 or 1 for each row; returns how many are on side 1. `draws` are 2 numbers in [0, 1)."""
    n, d = len(rows), x.shape[1]
    a, b = x[rows[int(draws[0] * n)]].copy(), np.empty(d)
    total = 0.0
    for i in range(n):
        for j in range(d):
            total += (x[rows[i], j] - a[j]) ** 2
    # The second centre as k-means++ draws it: with the square of its distance to the first.
    left = draws[1] * total
    for i in range(n):
        square = 0.0
        for j in range(d):
            square += (x[rows[i], j] - a[j]) ** 2
        if square > 0:
            b[:] = x[rows[i]]
            left -= square
            if left < 0:
                break
    sums, ones = np.empty((2, d)), 0
    for _ in range(steps):
        sums[:], ones, threshold = 0, 0, 0.0
        for j in range(d):
            threshold += (b[j] - a[j]) * (b[j] + a[j]) / 2
        for i in range(n):
            projected = 0.0
            for j in range(d):
                projected += x[rows[i], j] * (b[j] - a[j])
            side[i] = projected > threshold
            ones += side[i]
            for j in range(d):
                sums[side[i], j] += x[rows[i], j]
        if ones == 0 or ones == n:
            break
        moved = 0.0
        for j in range(d):
            first, second = sums[0, j] / (n - ones), sums[1, j] / ones
            moved = max(moved, abs(first - a[j]), abs(second - b[j]))
            a[j], b[j] = first, second
        if moved <= tolerance:
            break
    return ones


@numba.njit(cache=True)
def _split(x, draws, steps, tolerance, floor):
    """Centres (K, d) of the leaves that are left of a tree of cuts, pruned from its leaves."""
    size, d = x.shape
    order, side, held = np.arange(size), np.empty(size, np.int64), np.empty(size, np.int64)
    start, stop, child = np.zeros((3, 2 * size), np.int64)
    squares, means = np.zeros(2 * size), np.zeros((2 * size, d))
    stop[0], nodes, node = size, 1, 0
    while node < nodes:
        rows = order[start[node] : stop[node]]
        n = len(rows)
        for i in range(n):
            means[node] += x[rows[i]]
        means[node] /= n
        for i in range(n):
            for j in range(d):
                squares[node] += (x[rows[i], j] - means[node, j]) ** 2
        # Two clusters have 2 (d + 1) parameters: fewer points than that can not tell.
        if n > 2 * (d + 1) and squares[node] > n * d * floor:
            ones = _cut(x, rows, side, draws[nodes // 2], steps, tolerance)
            if 0 < ones < n:
                zero, one = 0, n - ones
                for i in range(n):
                    if side[i]:
                        held[one] = rows[i]
                        one += 1
                    else:
                        held[zero] = rows[i]
                        zero += 1
                rows[:] = held[:n]
                child[node] = nodes
                start[nodes], stop[nodes] = start[node], start[node] + n - ones
                start[nodes + 1], stop[nodes + 1] = start[node] + n - ones, stop[node]
                nodes += 2
        node += 1
    log_size = math.log(size)
    for node in range(nodes - 1, -1, -1):
        c = child[node]
        if c and not child[c] and not child[c + 1]:
            n, n_1 = float(stop[node] - start[node]), float(stop[c] - start[c])
            entropy = n_1 * math.log(n_1) + (n - n_1) * math.log(n - n_1)
            two = _bic(n, 2, squares[c] + squares[c + 1], entropy, d, floor, log_size)
            if two <= _bic(n, 1, squares[node], n * math.log(n), d, floor, log_size):
                child[node] = 0
    # A pruned node's descendants are still in the table: keep what can be reached from the root.
    reached = np.zeros(nodes, np.bool_)
    reached[0] = True
    for node in range(nodes):
        if reached[node] and child[node]:
            reached[child[node]] = reached[child[node] + 1] = True
    return means[:nodes][reached & (child[:nodes] == 0)]


@numba.njit(cache=True)
def _sums(x, labels, k):
    """Number of points and sum of the rows of x with each label: float64 (k,) and (k, columns)."""
    counts, sums = np.zeros(k), np.zeros((k, x.shape[1]))
    for i in range(len(x)):
        counts[labels[i]] += 1
        for j in range(x.shape[1]):
            sums[labels[i], j] += x[i, j]
    return counts, sums


@numba.njit(cache=True)
def _scan(x, columns):
    """`_nearest` by looking at each centre; `columns` are the centres, (d, K)."""
    d, k = columns.shape
    labels, own, other = np.empty(len(x), np.int64), np.empty(len(x)), np.empty(len(x))
    squares = np.empty(k)
    for row in range(len(x)):
        squares[:] = 0.0
        for j in range(d):
            for i in range(k):
                squares[i] += (x[row, j] - columns[j, i]) ** 2
        best, first, second = 0, math.inf, math.inf
        for i in range(k):
            if squares[i] < second:
                if squares[i] < first:
                    best, first, second = i, squares[i], first
                else:
                    second = squares[i]
        labels[row], own[row], other[row] = best, math.sqrt(first), math.sqrt(second)
    return labels, own, other


def _nearest(x: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest centre of each point, its distance, and that of the next, inf where there is none."""
    if len(centers) <= FEW:
        return _scan(x, np.ascontiguousarray(centers.T))
    far, found = KDTree(centers).query(x, k=2)
    return found[:, 0], far[:, 0], far[:, 1]


def _kmeans(x: np.ndarray, centers: np.ndarray, tolerance: float, steps: int) -> np.ndarray:
    """Lloyd's steps from these centres; a centre that loses all its points is dropped.

    The centres are asked again only for points whose own may no longer be the nearest, by the bounds of Hamerly (SDM 2010).
    """
    labels = np.zeros(len(x), np.int64)
    own, other = np.full(len(x), np.inf), np.zeros(len(x))  # at most so far from its centre, at least from the others
    for _ in range(steps):
        # A centre can not be farther than another when it is within half of the way to it.
        half = KDTree(centers).query(centers, k=2)[0][:, 1] / 2
        near = np.maximum(other, half[labels]) * (1 - 1e-9)  # a margin for the rounding of the bounds
        asked = np.flatnonzero(own >= near)
        own[asked] = np.sqrt(((x[asked] - centers[labels[asked]]) ** 2).sum(1))
        asked = asked[own[asked] >= near[asked]]
        labels[asked], own[asked], other[asked] = _nearest(x[asked], centers)
        counts, sums = _sums(x, labels, len(centers))
        used = counts > 0
        moved = sums[used] / counts[used, None]
        way = np.sqrt(((moved - centers[used]) ** 2).sum(1))
        done = used.all() and np.abs(moved - centers).max() <= tolerance
        centers = moved
        if done:
            break
        labels = (np.cumsum(used) - 1)[labels]
        own += way[labels]
        other -= way.max()
    return centers


def _moments(x: np.ndarray, centers: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Counts (k,), means (k, d) and scatter matrices (k, d, d) of the points nearest to each centre, and their pooled variance."""
    size, d = x.shape
    labels, *_ = _nearest(x, centers)
    n, sums = _sums(x, labels, len(centers))
    n, sums, labels = n[n > 0], sums[n > 0], (np.cumsum(n > 0) - 1)[labels]
    means = sums / n[:, None]
    away = x - means[labels]
    scatter = _sums((away[:, :, None] * away[:, None]).reshape(size, d * d), labels, len(n))[1].reshape(-1, d, d)
    pooled = max(scatter.trace(axis1=1, axis2=2).sum() / (d * max(size - len(n), 1)), floor)
    return n, means, scatter, pooled


def _likelihood(n: np.ndarray, scatter: np.ndarray, pooled: float, full: bool) -> np.ndarray:
    """Log-likelihood of each cluster as a Gaussian, without the terms that are the same for two clusters and for their union."""
    d = scatter.shape[-1]
    weight = d + 2
    if full:
        covariance = (scatter + weight * pooled * np.eye(d)) / (n + weight)[:, None, None]
        fits = np.einsum("kij,kji->k", np.linalg.inv(covariance), scatter)
        return n * np.log(n) - n / 2 * np.linalg.slogdet(covariance)[1] - fits / 2
    squares = scatter.trace(axis1=1, axis2=2)
    variance = (squares / d + weight * pooled) / (n + weight)
    return n * np.log(n) - n * d / 2 * np.log(variance) - squares / (2 * variance)


def _parameters(d: int, full: bool) -> float:
    """Of one cluster: weight, mean, covariance."""
    return 1 + d + (d * (d + 1) / 2 if full else 1)


def _bic_of(n: np.ndarray, scatter: np.ndarray, pooled: float, size: int) -> float:
    """BIC of hard clusters, but for what is the same for all: each as a long or a round Gaussian, whichever is better."""
    d = scatter.shape[-1]
    long, round_ = (
        _likelihood(n, scatter, pooled, full) - _parameters(d, full) / 2 * math.log(size) for full in (True, False)
    )
    return float(np.maximum(long, round_).sum())


def _merge(x: np.ndarray, centers: np.ndarray, most: int, neighbors: int, floor: float, full: bool) -> np.ndarray:
    """Means of the clusters that are left when neighbours have been joined, at most `most`."""
    n, means, scatter, pooled = _moments(x, centers, floor)
    parameters = _parameters(x.shape[1], full)
    while len(n) > 1:
        k = len(n)
        near = KDTree(means).query(means, k=min(neighbors + 1, k))[1]
        first = np.repeat(np.arange(k), near.shape[1])
        pairs = np.unique(np.sort(np.stack([first, near.ravel()], 1), axis=1), axis=0)
        a, b = pairs[pairs[:, 0] < pairs[:, 1]].T
        both = n[a] + n[b]
        apart = means[a] - means[b]
        joint = scatter[a] + scatter[b] + (n[a] * n[b] / both)[:, None, None] * apart[:, :, None] * apart[:, None]
        own = _likelihood(n, scatter, pooled, full)
        # Spheres cut where a cluster is not quite round: joined more readily, by the size of the whole data as in the split.
        log_size = np.log(both) if full else math.log(len(x))
        gain = _likelihood(both, joint, pooled, full) - own[a] - own[b] + parameters / 2 * log_size
        best = np.full(k, -np.inf)
        np.maximum.at(best, a, gain)
        np.maximum.at(best, b, gain)
        # A pair in which each is the other's best; of equal gains the first, so that none is in two pairs.
        mutual = np.flatnonzero((gain == best[a]) & (gain == best[b]))
        mutual = mutual[np.argsort(-gain[mutual], kind="stable")]
        taken, chosen = np.zeros(k, bool), []
        for i in mutual:
            wanted = gain[i] > 0 or k - len(chosen) > most
            if wanted and not taken[a[i]] and not taken[b[i]]:
                taken[a[i]] = taken[b[i]] = True
                chosen.append(i)
        if not chosen:
            break
        into, gone = a[chosen], b[chosen]
        means[into] = (n[into, None] * means[into] + n[gone, None] * means[gone]) / both[chosen, None]
        n[into], scatter[into] = both[chosen], joint[chosen]
        n, means, scatter = (np.delete(t, gone, axis=0) for t in (n, means, scatter))
    return means


def _pyclustering(x: np.ndarray, seed: int, most: int, tolerance: float) -> np.ndarray:
    from pyclustering.cluster.xmeans import xmeans
    from sklearn.cluster import kmeans_plusplus

    start = kmeans_plusplus(x, min(2, most), random_state=seed)[0]
    # Its C++ core takes seed 0 for "by the clock".
    search = xmeans(x.tolist(), start.tolist(), most, tolerance, ccore=True, random_state=seed + 1)
    return np.array(search.process().get_centers())


def _check_points(name: str, points: Tensor) -> None:
    if points.ndim != 2 or not points.numel() or not points.is_floating_point():
        shape = f"{points.dtype} of shape {tuple(points.shape)}"
        raise ValueError(f"{name}: {shape}, must be floating-point (N, d) with at least one row and one column")
    if not points.isfinite().all():
        raise ValueError(f"{name}: {int((~points.isfinite()).sum())} values are not finite")
