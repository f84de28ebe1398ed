"""The internal-symbols lens (Lee & Vijayan 2024): which symbols go with which classes, and what that map can tell.

Symbols come as int64 (N, cells): N pictures with one number in 0 ... K - 1 for each cell of their region. The paper gives its
formulas in words only, and its full text could not be had: steps are those of the book's reconstruction, and what is a reading
of ours is a keyword. A map is built from some pictures and read on others. Every score is high for what looks familiar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import entropy, mannwhitneyu, rankdata
from sklearn.covariance import LedoitWolf
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information
from torch import Tensor
from torch.nn.functional import embedding_bag

from innercodes.parameters import refusal
from innercodes.stats import Estimate

READINGS = ("given symbol", "given class", "joint", "phi")
"""What a correlation map may hold: P(c | s), P(s | c), P(s, c), or the phi coefficient of symbol and class."""


# The correlation map (step 8)


@dataclass(frozen=True)
class CorrelationMap:
    """Which symbols go with which classes, one row for each symbol and one column for each class.

    `counts` int64 (K, C), cells with this symbol in pictures of this class; `given_class` P(s | c), whose columns sum to one,
    and `given_symbol` P(c | s), whose rows do, float64 (K, C).
    """

    counts: Tensor
    given_class: Tensor
    given_symbol: Tensor

    def joint(self) -> Tensor:
        """P(s, c), the share of all cells: float64 (K, C)."""
        return self.counts.double() / self.counts.sum()

    def phi(self) -> Tensor:
        """Pearson's correlation over cells of "is this symbol" with "is in this class": float64 (K, C), from -1 to 1.

        0 for a symbol or class that no cell has, or that all have: it goes with nothing.
        """
        total = self.counts.sum().double()
        both = self.counts.double()
        symbols, classes = both.sum(1, keepdim=True), both.sum(0, keepdim=True)
        spread = (symbols * (total - symbols)).sqrt() * (classes * (total - classes)).sqrt()
        return torch.where(spread > 0, (total * both - symbols * classes) / spread.clamp(min=1), torch.zeros_like(both))

    def values(self, by: str) -> Tensor:
        """The map in one of `READINGS`, float64 (K, C)."""
        if by not in READINGS:
            raise refusal("by", by, f"one of {', '.join(READINGS)}")
        return {
            "given symbol": lambda: self.given_symbol,
            "given class": lambda: self.given_class,
            "joint": self.joint,
            "phi": self.phi,
        }[by]()


def correlation_map(
    symbols: Tensor, labels: Tensor, symbol_count: int, classes: int, smoothing: float = 1e-6
) -> CorrelationMap:
    """The map of symbols int64 (N, cells) and classes int64 (N,) (step 8, Lee & Vijayan 2024).

        P(s | c) = (n_sc + a) / sum_s' (n_s'c + a),    P(c | s) = (n_sc + a) / sum_c' (n_sc' + a)

    with n_sc the cells and a the `smoothing` of Laplace. Where nothing was seen nothing is known, at a = 0 too: a class without
    a picture has P(s | c) = 1 / K, a symbol without a cell P(c | s) = 1 / C. Raises ValueError for symbols and labels that do
    not fit each other or their numbers, for no picture at all, and for a negative smoothing.
    """
    check_symbols(symbols, symbol_count)
    _check_labels("labels", labels, len(symbols), classes)
    if not symbols.numel():
        raise ValueError(f"symbols: shape {tuple(symbols.shape)}, must hold at least one cell")
    if not 0 <= smoothing < float("inf"):
        raise ValueError(f"smoothing = {smoothing}: must be at least 0, and finite")
    places = symbols * classes + labels[:, None]
    counts = torch.bincount(places.flatten(), minlength=symbol_count * classes).view(symbol_count, classes)
    return CorrelationMap(counts, _shares(counts, 0, smoothing), _shares(counts, 1, smoothing))


def _shares(counts: Tensor, dim: int, smoothing: float) -> Tensor:
    """Smoothed counts over their sum along a dimension; the same share for each where the sum is 0."""
    # Whole numbers are summed first: the sum then does not depend on their order.
    total = counts.sum(dim, keepdim=True).double() + counts.shape[dim] * smoothing
    shares = (counts.double() + smoothing) / total.where(total > 0, torch.ones_like(total))
    return torch.where(total > 0, shares, 1 / counts.shape[dim])


# Predictions and scores (steps 9 to 12)


def class_scores(symbols: Tensor, correlations: CorrelationMap, by: str = "given symbol") -> Tensor:
    """Mean over the cells of P(c | s) (step 9, Lee & Vijayan 2024): int64 (N, cells) to float64 (N, C)."""
    table = correlations.values(by)
    check_symbols(symbols, len(table))
    if not len(symbols):
        return table.new_empty(0, table.shape[1])
    # In order, so that pictures with the same symbols in other cells tie to the last bit.
    return embedding_bag(symbols.sort(-1).values, table, mode="mean")


def predict(symbols: Tensor, correlations: CorrelationMap, by: str = "given symbol") -> Tensor:
    """The class of the highest score (step 9, Lee & Vijayan 2024), ties to the lower class: int64 (N, cells) to (N,)."""
    return class_scores(symbols, correlations, by).argmax(-1)


def expected_symbol_score(
    symbols: Tensor, predictions: Tensor, correlations: CorrelationMap, log: bool = False, by: str = "given class"
) -> Tensor:
    """ESS: mean over the cells of P(s | c), c what the network predicts (step 10, Lee & Vijayan 2024).

    Symbols int64 (N, cells) and predictions int64 (N,) to float64 (N,), in [0, 1]. With `log` the mean of log P(s | c), which
    a single odd cell can pull down; -inf where the map is not smoothed.
    """
    table = correlations.values(by)
    check_symbols(symbols, len(table))
    _check_labels("predictions", predictions, len(symbols), table.shape[1])
    likelihood = table[symbols, predictions[:, None]].sort(-1).values  # for ties, as above
    return (likelihood.log() if log else likelihood).mean(-1)


def combined(of_stages: Sequence[Tensor]) -> Tensor:
    """The sum over stages of scores of one shape, ESS (N,) or class scores (N, C) (step 10); their mean ranks the same."""
    return torch.stack(list(of_stages)).sum(0)


def agreement(stage_predictions: Tensor) -> Tensor:
    """The share of pairs of stages that name the same class (step 12): int64 (stages, N) to float64 (N,).

    Raises ValueError for fewer than two stages, which have no pairs.
    """
    if stage_predictions.ndim != 2 or len(stage_predictions) < 2:
        raise ValueError(f"stage_predictions: shape {tuple(stage_predictions.shape)}, must be (2 stages or more, N)")
    first, second = torch.triu_indices(len(stage_predictions), len(stage_predictions), 1)
    return (stage_predictions[first] == stage_predictions[second]).double().mean(0)


def shuffled_within(stage_predictions: Tensor, labels: Tensor, seed: int) -> Tensor:
    """What the stages say with pictures exchanged within each class, for every stage apart: int64 (stages, N) to the same.

    How often a stage says what of a class stays; that stages are right or wrong about the same picture goes.
    """
    _check_labels("labels", labels, stage_predictions.shape[-1])
    generator = torch.Generator().manual_seed(seed)
    places, shuffled = labels.argsort(stable=True), torch.empty_like(stage_predictions)
    for row, out in zip(stage_predictions, shuffled, strict=True):
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        out[places] = row[order[labels[order].argsort(stable=True)]]
    return shuffled


# Temporary learning (step 14)


@dataclass(frozen=True)
class KShot:
    """Were new pictures named rightly from a few examples? `right` float64 (draws, N): 1, 0, or NaN for the examples."""

    right: Tensor

    @property
    def accuracy(self) -> Tensor:
        """The share of pictures that were asked and named rightly, for each draw of examples: float64 (draws,)."""
        return self.right.nanmean(1)

    @property
    def by_picture(self) -> Tensor:
        """The same for each picture, over the draws that asked it, for `stats.bootstrap`: float64 (N,); NaN if none did."""
        return self.right.nanmean(0)


def examples(labels: Tensor, shots: int, draws: int, seed: int) -> Tensor:
    """Which pictures serve as examples, `shots` of each class: int64 (N,) to bool (draws, N).

    Every draw asks all other pictures. Raises ValueError for a class that has none left to ask.
    """
    _check_labels("labels", labels, labels.numel())
    if not len(labels):
        raise ValueError("labels: none, must be at least one")
    if shots < 1 or draws < 1:
        raise ValueError(f"shots = {shots}, draws = {draws}: must be at least 1")
    counts = torch.bincount(labels)
    few = ((counts > 0) & (counts <= shots)).nonzero().flatten().tolist()
    if few:
        raise ValueError(
            f"shots = {shots}: must be below the pictures of each class, and class {few[0]} has {counts[few[0]]}"
        )
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(draws, len(labels), dtype=torch.bool, device=labels.device)
    starts = counts.cumsum(0) - counts
    for row in chosen:
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        order = order[labels[order].argsort(stable=True)]
        ranks = torch.arange(len(labels), device=labels.device) - starts[labels[order]]
        row[order[ranks < shots]] = True
    return chosen


def k_shot(
    symbols: Tensor,
    labels: Tensor,
    shots: int,
    draws: int,
    seed: int,
    *,
    symbol_count: int,
    smoothing: float = 1e-6,
    by: str = "given symbol",
) -> KShot:
    """Temporary learning (step 14, Lee & Vijayan 2024): new classes read from a map of a few examples, nothing trained.

    Symbols int64 (N, cells) of pictures of Q new classes, labels int64 (N,) in 0 ... Q - 1. Each draw builds a temporary map
    (K, Q) from `shots` pictures of each class and asks it for all others. Chance is 1 / Q where classes are equally large.
    """
    check_symbols(symbols, symbol_count)
    _check_labels("labels", labels, len(symbols))
    chosen = examples(labels, shots, draws, seed)
    classes = int(labels.max()) + 1

    def ask(chosen: Tensor) -> Tensor:
        temporary = correlation_map(symbols[chosen], labels[chosen], symbol_count, classes, smoothing)
        return predict(symbols, temporary, by)

    return _asked(ask, labels, chosen)


def k_shot_means(vectors: Tensor, labels: Tensor, shots: int, draws: int, seed: int) -> KShot:
    """The baseline of `k_shot` on vectors (N, ...), pixels or pooled responses: the nearest class mean of the same examples."""
    chosen = examples(labels, shots, draws, seed)
    # A number that no picture has would be a class without a mean.
    known, numbers = labels.unique(return_inverse=True)

    def ask(chosen: Tensor) -> Tensor:
        means = class_means(vectors[chosen], numbers[chosen], len(known))
        return known[nearest_mean(vectors, means)]

    return _asked(ask, labels, chosen)


def _asked(ask: Callable[[Tensor], Tensor], labels: Tensor, chosen: Tensor) -> KShot:
    right = torch.stack([(ask(row) == labels).double() for row in chosen])
    return KShot(right.masked_fill(chosen, torch.nan))


def group_means(vectors: Tensor, groups: Tensor, count: int) -> Tensor:
    """The mean vector of each group: float (N, D) and int64 (N,) to (count, D); NaN for a group without a vector.

    Added up in a fixed order, so that every device gives the same bits each time.
    """
    sizes = torch.bincount(groups, minlength=count).tolist()
    return torch.stack([part.mean(0) for part in vectors[groups.argsort(stable=True)].split(sizes)])


def class_means(vectors: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The mean of each class's vectors: float (N, ...) and int64 (N,) to (classes, D). Each class needs a vector."""
    _check_labels("labels", labels, len(vectors), classes)
    missing = (torch.bincount(labels, minlength=classes) == 0).nonzero().flatten().tolist()
    if missing:
        raise ValueError(f"labels: must hold every class, and {missing} have no vector to take the mean of")
    return group_means(vectors.flatten(1), labels, classes)


def nearest_mean(vectors: Tensor, means: Tensor) -> Tensor:
    """The class of the nearest mean, Euclidean, ties to the lower class: float (N, ...) and (classes, D) to int64 (N,)."""
    return torch.cdist(vectors.flatten(1), means, compute_mode="donot_use_mm_for_euclid_dist").argmin(-1)


# Other scores of confidence


def max_softmax(logits: Tensor) -> Tensor:
    """The largest probability (Hendrycks & Gimpel 2017): float (N, C) to (N,), in [1 / C, 1]."""
    return logits.softmax(-1).amax(-1)


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T log sum exp(logit / T), minus the energy of Liu et al. 2020: float (N, C) to (N,)."""
    if not temperature > 0:
        raise ValueError(f"temperature = {temperature}: must be above 0")
    return temperature * (logits / temperature).logsumexp(-1)


def mahalanobis(features: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """Minus the squared Mahalanobis distance of others (M, D) to the nearest class mean of features (N, D) (Lee et al. 2018).

    All classes share one covariance, shrunk as Ledoit & Wolf (2004) do, so that fewer features than dimensions will do.
    Float64 (M,).
    """
    known, numbers = labels.unique(return_inverse=True)
    features, others = features.flatten(1).double(), others.flatten(1).double()
    means = class_means(features, numbers, len(known))
    shared = LedoitWolf(assume_centered=True).fit((features - means[numbers]).cpu().numpy())
    values, axes = np.linalg.eigh(shared.covariance_)
    if values[0] <= 0:
        raise ValueError("features: no spread about the class means, so that no distance can be told")
    whitening = torch.from_numpy(axes / np.sqrt(values)).to(features)
    return -torch.cdist(others @ whitening, means @ whitening).square().amin(-1)


# How well one group is told from another


def auroc(inside: Tensor, outside: Tensor) -> float:
    """The chance that a score from inside (n,) is above one from outside (m,), a tie counting one half."""
    for name, scores in (("inside", inside), ("outside", outside)):
        if scores.ndim != 1 or not len(scores) or bool(scores.isnan().any()):
            raise ValueError(f"{name}: shape {tuple(scores.shape)}, must be (n,) with at least one score, and no NaN")
    scores = torch.cat([inside.double(), outside.double()])
    return float(auroc_of_rows(score_rows(scores, torch.arange(len(scores), device=scores.device) < len(inside)), 0))


def score_rows(scores: Tensor, inside: Tensor) -> np.ndarray:
    """Scores (..., N) and which of them are inside, bool (..., N), as rows float64 (..., N, 2).

    `stats.bootstrap` takes (seeds, N, 2): a single seed needs that dimension too.
    """
    return torch.stack([scores.double(), inside.double()], -1).cpu().numpy()


def auroc_of_rows(rows: np.ndarray, axis: int) -> np.ndarray:
    """AUROC of rows (..., N, 2), score and 1 inside or 0 outside, along the axis of N: a statistic for `stats.bootstrap`.

    A NaN score is left out, so that seeds may differ in the pictures that they compare. NaN where one side has no score.
    """
    rows = np.moveaxis(rows, axis, -2)
    scores, counted = rows[..., 0], ~np.isnan(rows[..., 0])
    # What is left out goes above all others, where it changes no other rank.
    ranks = rankdata(np.where(counted, np.minimum(scores, np.finfo(np.float64).max), np.inf), axis=-1)
    inside = counted & (rows[..., 1] > 0.5)
    n = inside.sum(-1)
    m = counted.sum(-1) - n
    area = np.where(inside, ranks, 0).sum(-1) - n * (n + 1) / 2
    return np.where(n * m > 0, area / np.maximum(n * m, 1), np.nan)


def mann_whitney_p(inside: Tensor, outside: Tensor) -> float:
    """p-value of the one-sided Mann-Whitney test that scores inside (n,) are above those outside (m,), by scipy."""
    return float(mannwhitneyu(inside.cpu().numpy(), outside.cpu().numpy(), alternative="greater").pvalue)


def times_chance(right: Tensor, classes: int) -> Tensor:
    """Right answers (..., N) so that their mean is the accuracy over chance, 1 / classes: float64 (..., N)."""
    return right.double() * classes


def relative_accuracy(rows: np.ndarray, axis: int) -> np.ndarray:
    """Accuracy under attack over that on clean pictures, of rows (..., N, 2) of right answers: a statistic for `stats.bootstrap`.

    NaN where no clean picture is right.
    """
    attacked, clean = np.moveaxis(np.asarray(rows, np.float64).sum(axis, keepdims=True), -1, 0)
    share = np.where(clean > 0, attacked / np.where(clean > 0, clean, 1), np.nan)
    return np.squeeze(share, axis)


# Symbols and what pictures show


def information(symbols: Tensor, truth: Tensor) -> float:
    """Adjusted mutual information of symbols int64 (N, cells) and truth int64 (N,), or (N, cells) where cells differ.

    By scikit-learn: 0 by chance if cells were independent, 1 where either tells the other. Cells of one picture are not
    independent: `permuted_information` has the chance level that is right for them.
    """
    return float(adjusted_mutual_info_score(*_pairs(symbols, truth)))


def permuted_information(symbols: Tensor, truth: Tensor, permutations: int, seed: int) -> Tensor:
    """The same with the truth of whole pictures exchanged at random, what no knowledge gives: float64 (permutations,)."""
    if permutations < 1:
        raise ValueError(f"permutations = {permutations}: must be at least 1")
    first, second = (torch.from_numpy(one) for one in _pairs(symbols, truth))
    generator = torch.Generator().manual_seed(seed)
    second = second.view(symbols.shape)
    # Counts of each symbol and each class stay, and with them all of the formula but the mutual information itself.
    first, second = first.unique(return_inverse=True)[1], second.unique(return_inverse=True)[1]
    columns = int(second.max()) + 1
    size = (int(first.max()) + 1) * columns
    margins = contingency_matrix(first.numpy(), second.flatten().numpy(), sparse=True)
    expected = expected_mutual_information(margins, len(first))
    largest = (entropy(np.bincount(first)) + entropy(np.bincount(second.flatten()))) / 2
    if largest - expected < np.finfo(np.float64).eps:
        return torch.full((permutations,), information(symbols, truth), dtype=torch.float64)
    found = []
    for _ in range(permutations):
        moved = second[torch.randperm(len(second), generator=generator)].flatten()
        table = torch.bincount(first * columns + moved, minlength=size).view(-1, columns)
        found.append((mutual_info_score(None, None, contingency=table.numpy()) - expected) / (largest - expected))
    return torch.tensor(found, dtype=torch.float64)


def corrected_information(value: float, permuted: Tensor) -> float:
    """An AMI adjusted once more, for cells of one picture that go together: 0 at the mean of the permuted ones (P,), 1 at 1."""
    chance = float(permuted.mean())
    return (value - chance) / max(1 - chance, np.finfo(np.float64).eps)


def recentred(estimate: Estimate) -> Estimate:
    """An estimate whose draws are moved to have their mean at its value.

    Pictures drawn twice go together with themselves, so that each draw of a bootstrap has a larger AMI than the pictures
    have, often so that none is as low; how far draws spread stays right.
    """
    return Estimate(estimate.value, estimate.draws + (estimate.value - estimate.draws.mean()))


def permutation_p(value: float, permuted: Tensor) -> float:
    """p-value of a value among those of permutations (P,), itself counted: at least 1 / (P + 1)."""
    return (1 + int((permuted >= value).sum())) / (1 + len(permuted))


def class_over_factor(symbols: Tensor, labels: Tensor, factors: Sequence[Tensor]) -> float:
    """AMI of symbol and class minus that of symbol and the best matched low-level factor: SYM-13's quantity at one stage.

    Symbols int64 (N, cells), labels int64 (N,), factors int64 (N,) or (N, cells) each.
    """
    if not len(factors):
        raise ValueError("factors = []: must be at least one")
    return information(symbols, labels) - max(information(symbols, factor) for factor in factors)


def symbol_purity(symbols: Tensor, truth: Tensor, symbol_count: int) -> Tensor:
    """The share of each symbol's most frequent truth: int64 (N, cells) and (N,) or (N, cells) to float64 (K,).

    NaN for a symbol without a cell (SYM-11).
    """
    counts = _table(symbols, truth, symbol_count)
    return counts.amax(1) / counts.sum(1)


def purity(symbols: Tensor, truth: Tensor) -> float:
    """The share of cells whose truth is the most frequent one of their symbol, from the largest truth's share to 1."""
    counts = _table(symbols, truth, int(symbols.max()) + 1)
    return float(counts.amax(1).sum() / counts.sum())


def _table(symbols: Tensor, truth: Tensor, symbol_count: int) -> Tensor:
    """Cells of each symbol and truth, float64 (K, truths)."""
    check_symbols(symbols, symbol_count)
    spread = _spread(symbols, truth).flatten().unique(return_inverse=True)[1]
    columns = int(spread.max()) + 1
    found = torch.bincount(symbols.flatten() * columns + spread, minlength=symbol_count * columns)
    return found.view(symbol_count, columns).double()


def _spread(symbols: Tensor, truth: Tensor) -> Tensor:
    """The truth of each cell, (N, cells), from that of the picture where it is (N,)."""
    if symbols.ndim != 2 or not symbols.numel():
        raise ValueError(f"symbols: shape {tuple(symbols.shape)}, must be (N, cells) with at least one cell")
    if truth.shape not in (symbols.shape[:1], symbols.shape):
        raise ValueError(f"truth: shape {tuple(truth.shape)}, must be ({len(symbols)},) or {tuple(symbols.shape)}")
    return (truth[:, None] if truth.ndim == 1 else truth).expand_as(symbols)


def _pairs(symbols: Tensor, truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Symbol and truth of each cell, int64 (N cells,) each."""
    return symbols.flatten().cpu().numpy(), _spread(symbols, truth).flatten().cpu().numpy()


# Controls


def permuted_by_picture(labels: Tensor, seed: int) -> Tensor:
    """Labels (N, ...) of whole pictures in random order."""
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)]


def random_symbols(symbols: Tensor, seed: int) -> Tensor:
    """Symbols (N, cells) that say nothing and are exactly as frequent: each in any cell of any picture."""
    return permuted_by_picture(symbols.flatten(), seed).view_as(symbols)


def along(function: Callable[[np.ndarray], float]) -> Callable[..., np.ndarray]:
    """A statistic for `stats.bootstrap` from a function of rows (N, columns): one call for each draw."""

    def statistic(rows: np.ndarray, axis: int) -> np.ndarray:
        rows = np.moveaxis(rows, axis, -2)
        found = [function(one) for one in rows.reshape(-1, *rows.shape[-2:])]
        return np.array(found, dtype=np.float64).reshape(rows.shape[:-2])

    return statistic


def information_rows(labels: Tensor, *stages: Tensor) -> np.ndarray:
    """Labels int64 (N,) and the symbols (N, cells) of some stages as rows float64 (N, 1 + stages x cells).

    `stats.bootstrap` takes those of several seeds stacked, (seeds, N, ...), and of one as `rows[None]`.
    """
    return torch.cat([labels[:, None], *stages], 1).double().cpu().numpy()


def information_gain(rows: np.ndarray, axis: int) -> np.ndarray:
    """AMI with the class at the last of two stages minus that at the first, of `information_rows` (SYM-3).

    A statistic for `stats.bootstrap`; each draw takes twice the time of `information`. See `recentred`.
    """

    def gain(table: np.ndarray) -> float:
        table = torch.from_numpy(table).long()
        first, last = table[:, 1:].chunk(2, 1)
        return information(last, table[:, 0]) - information(first, table[:, 0])

    return along(gain)(rows, axis)


# Checks


def check_symbols(symbols: Tensor, symbol_count: int) -> None:
    """Raises ValueError unless symbols are int64 (N, cells) in 0 ... K - 1."""
    if symbol_count < 1:
        raise ValueError(f"symbol_count = {symbol_count}: must be at least 1")
    if symbols.ndim != 2 or symbols.dtype != torch.int64 or not symbols.shape[1]:
        raise ValueError(f"symbols: {symbols.dtype} {tuple(symbols.shape)}, must be torch.int64 (N, cells)")
    _check_range("symbols", symbols, symbol_count)


def _check_labels(name: str, labels: Tensor, count: int, classes: int | None = None) -> None:
    if classes is not None and classes < 1:
        raise ValueError(f"classes = {classes}: must be at least 1")
    if labels.shape != (count,) or labels.dtype != torch.int64:
        raise ValueError(f"{name}: {labels.dtype} {tuple(labels.shape)}, must be torch.int64 ({count},)")
    _check_range(name, labels, classes)


def _check_range(name: str, values: Tensor, count: int | None) -> None:
    if not values.numel():
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or (count is not None and high >= count):
        allowed = "at least 0" if count is None else f"in 0 ... {count - 1}"
        raise ValueError(f"{name}: from {low} to {high}, must be {allowed}")
