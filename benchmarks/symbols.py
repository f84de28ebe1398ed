"""X-means and UMAP's exact start beside their peers: `python benchmarks/symbols.py [--out FILE] [--quick]`."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import ratios
import torch
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from innercodes import codebook, xmeans


def blobs(
    seed: int, points: int, k: int, elongation: float, side: float, even: bool = False
) -> tuple[Tensor, np.ndarray]:
    """Clusters of at least 50 points in 3-D, of uneven size, stretched and turned; `side` is the edge of a cube for 100."""
    random = np.random.default_rng(seed)
    counts = 50 + random.multinomial(points - 50 * k, random.dirichlet(np.full(k, 2.0)))
    parts = []
    for count in counts:
        turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
        axes = np.exp(random.uniform(0, np.log(elongation), 3))
        axes *= 0.35 * np.exp(0.25 * random.normal()) / axes.prod() ** (1 / 3)
        z = random.uniform(-1.7, 1.7, (count, 3)) if even else random.normal(size=(count, 3))
        parts.append(z * axes @ turn.T + random.uniform(0, side * (k / 100) ** (1 / 3), 3))
    return torch.from_numpy(np.concatenate(parts)), np.repeat(np.arange(k), counts)


def clusters_found(quick: bool) -> Iterator[ratios.Row]:
    """Runs over data sets and seeds, against k-means that is told the true number."""
    random = np.random.default_rng(2024)
    runs, sizes = (3, [700]) if quick else (50, [5000, 10_000, 20_000, 50_000])
    counts, losses = [], []
    for run in range(runs):
        points = int(random.choice(sizes))
        k = 5 if quick else int(np.exp(random.uniform(np.log(50), np.log(min(800, points / 62)))))
        elongation, side = float(random.choice([1, 2, 4, 8])), float(random.choice([12, 15, 18, 22, 30]))
        x, truth = blobs(run, points, k, elongation, side, even=bool(random.random() < 0.3))
        found = xmeans.fit(x, run)
        told = KMeans(k, random_state=run).fit(x.numpy()).labels_
        counts.append(len(found.centers) / k)
        losses.append(adjusted_rand_score(truth, told) / max(adjusted_rand_score(truth, found.labels), 1e-9))
    middle, worst = statistics.median(counts), max(losses)
    yield ratios.Row(
        f"X-means, clusters found in {runs} runs, median", peer="true number", ratio=middle, limit=1.15,
        ok=0.85 <= middle <= 1.15, note=f"from {min(counts):.2f} to {max(counts):.2f}; at least 0.85",
    )  # fmt: skip
    yield ratios.Row(
        f"X-means, fewest clusters in {runs} runs (inverse)", peer="true number", ratio=1 / min(counts), limit=2.0,
        ok=min(counts) >= 0.5, note="never collapsed",
    )  # fmt: skip
    for name, value, limit in (("worst", worst, 1 / 0.9), ("median", statistics.median(losses), 1 / 0.95)):
        yield ratios.Row(
            f"adjusted Rand index of k-means told k, {name} of {runs} runs", peer="of X-means", ratio=value,
            limit=limit, ok=value <= limit,
        )  # fmt: skip


def xmeans_against_pyclustering(quick: bool) -> Iterator[ratios.Row]:
    """The same data, at the first seed for which pyclustering's search goes on to the blobs."""
    sizes = ((20_000, 200, 4, 25), (20_000, 60, 4, 25), (50_000, 50, 6, 18))
    tiny = ((400, 4, 2, 60), (300, 4, 2, 60), (400, 5, 2, 60))
    for points, k, elongation, side in tiny if quick else sizes:
        x, truth = blobs(k, points, k, elongation, side)
        for seed in range(12):
            theirs = xmeans.fit(x, seed, backend="pyclustering")
            if len(theirs.centers) > k / 2:
                break
        name = f"X-means, {points} points, {k} blobs"
        if len(theirs.centers) <= k / 2:
            yield ratios.Row(name, peer="pyclustering (C++)", limit=1 / 3, note="skipped: it collapses at 12 seeds")
            continue
        ours = xmeans.fit(x, seed)
        scores = [adjusted_rand_score(truth, found.labels) for found in (ours, theirs)]
        yield ratios.compare(
            name, lambda s=seed, x=x: xmeans.fit(x, s), "pyclustering (C++)",
            lambda s=seed, x=x: xmeans.fit(x, s, backend="pyclustering"), 1 / 3, repeats=3,
            note=f"k = {len(ours.centers)} / {len(theirs.centers)}; ARI {scores[0]:.2f} / {scores[1]:.2f}",
        )  # fmt: skip


# What a process does between having its vectors and having the embedding; each side imports what it needs.
FIRST_CALL = """
import sys, time
import numpy as np, torch
torch.set_num_threads(1)
x = torch.from_numpy(np.load(sys.argv[1]))
start = time.perf_counter()
if sys.argv[3] == "ours":
    from innercodes import codebook
    found = codebook.embed(x, int(sys.argv[4]), int(sys.argv[5])).numpy()
else:
    import umap
    model = umap.UMAP(
        int(sys.argv[5]), n_components=3, random_state=int(sys.argv[4]), n_jobs=1, n_epochs=int(sys.argv[6])
    )
    found = model.fit_transform(x.numpy())
print(time.perf_counter() - start)
np.save(sys.argv[2], found)
"""


def umap_first_calls(quick: bool) -> Iterator[ratios.Row]:
    """The first embedding in a process, compiling included: all of this in processes of their own."""
    rows, columns, kinds, neighbors, turns = (30, 8, 3, 3, 1) if quick else (5000, 2304, 60, 15, 2)
    truth = torch.arange(rows) % kinds
    hidden = 3 * torch.randn(kinds, 20)[truth] + torch.randn(rows, 20)
    x = (hidden @ torch.randn(20, columns) + 0.5 * torch.randn(rows, columns)).relu()
    # One thread on both sides. Without compiling, which is what a test would wait for, a tiny run still runs every line.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    environment |= {"NUMBA_DISABLE_JIT": "1"} if quick else {}
    seconds: dict[str, list[float]] = {"ours": [], "umap-learn": []}
    found: dict[str, list[np.ndarray]] = {"ours": [], "umap-learn": []}
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npy", Path(folder) / "made.npy"
        np.save(given, x.numpy())

        def call(side: str, seed: int) -> tuple[float, np.ndarray]:
            settings = [str(given), str(made), side, str(seed), str(neighbors), str(codebook.LAYOUT_STEPS)]
            command = [sys.executable, "-W", "ignore", "-c", FIRST_CALL, *settings]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            return float(done.stdout), np.load(made)

        for _ in range(turns):
            for side in seconds:
                spent, embedding = call(side, 0)
                seconds[side].append(spent)
                found[side].append(embedding)
        again = found["ours"][1] if turns > 1 else call("ours", 0)[1]
        found["ours"] = [found["ours"][0], call("ours", 1)[1]]
        found["umap-learn"] = found["umap-learn"][:1]
    ours, theirs = (statistics.median(seconds[side]) for side in seconds)
    yield ratios.Row(
        f"UMAP with exact neighbours, first call, {rows} x {columns}", ours, "umap-learn", theirs, ours / theirs, 0.35,
        ours <= 0.35 * theirs, note=f"median of {turns}; imports and compiling included",
    )  # fmt: skip
    differing = float((found["ours"][0] != again).mean())
    yield ratios.Row(
        "values that differ in another process", peer="all values", ratio=differing, limit=0.0, ok=not differing
    )
    trust = {
        side: [trustworthiness(x.numpy(), e, n_neighbors=min(15, rows // 2 - 1)) for e in values]
        for side, values in found.items()
    }
    k = {side: [len(xmeans.fit(torch.from_numpy(e), 0).centers) for e in values] for side, values in found.items()}
    lost = (1 - statistics.mean(trust["ours"])) / (1 - statistics.mean(trust["umap-learn"]))
    yield ratios.Row(
        "1 - trustworthiness, exact neighbours", peer="umap-learn", ratio=lost, limit=1.1, ok=lost <= 1.1,
        note=f"trustworthiness {trust['ours'][0]:.4f} / {trust['umap-learn'][0]:.4f}",
    )  # fmt: skip
    share = statistics.mean(k["ours"]) / statistics.mean(k["umap-learn"])
    yield ratios.Row(
        "clusters after it, exact neighbours", peer="umap-learn", ratio=share, limit=1.1, ok=0.9 <= share <= 1.1,
        note=f"k = {k['ours']} / {k['umap-learn']}, true {kinds}",
    )  # fmt: skip


SECTIONS = (clusters_found, xmeans_against_pyclustering, umap_first_calls)

if __name__ == "__main__":
    sys.exit(ratios.main("symbols", SECTIONS, ("numba", "pyclustering", "scikit-learn", "umap-learn")))
