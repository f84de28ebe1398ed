"""What symbols are checked against: true parts, other codings of the same vectors, noise of the same spread, and the network.

The paper of the internal-symbols lens (Lee & Vijayan 2024) has no ground truth for what a symbol means. Here symbols
meet the true part of each cell, are put in the place of what the network said, and are attacked themselves.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, silhouette_samples
from torch import Tensor, nn

from innercodes import activations
from innercodes import symbols as lens
from innercodes.parameters import refusal
from innercodes.symbols import CorrelationMap

# Symbols against the true parts of scenes


@dataclass(frozen=True)
class PartMatch:
    """How well symbols follow the true parts: AMI and purity, and what each is by chance.

    `chance_information` is the mean AMI with the parts of whole pictures exchanged, so that cells keep their places,
    `chance_purity` the purity of random symbols of the same frequencies, `p` the p-value of the AMI.
    """

    information: float
    chance_information: float
    p: float
    purity: float
    chance_purity: float


def part_match(
    symbols: Tensor, parts: Tensor, permutations: int = 199, seed: int = 0, *, ground: bool = True
) -> PartMatch:
    """Symbols int64 (N, cells) against the part that each cell shows, int64 (N, cells), 0 the ground, at one stage.

    Without the `ground` its cells are left out: symbols that tell only object from ground then match nothing. Raises
    ValueError for shapes that differ, and where no cell is left.
    """
    if symbols.shape != parts.shape:
        raise ValueError(f"parts: shape {tuple(parts.shape)}, must be that of the symbols, {tuple(symbols.shape)}")
    if not bool((parts != 0).any()):
        raise ValueError("parts: all cells show the ground, must be at least one part")

    def counted(truth: Tensor) -> tuple[Tensor, Tensor]:
        kept = torch.ones_like(truth, dtype=torch.bool) if ground else truth != 0
        return symbols[kept][:, None], truth[kept][:, None]

    own = lens.information(*counted(parts))
    if ground:
        permuted = lens.permuted_information(symbols, parts, permutations, seed)
    else:
        # Another picture shows its ground elsewhere: other cells are left, and no part of the formula stays.
        moved = [lens.permuted_by_picture(parts, 1000 * seed + i) for i in range(permutations)]
        permuted = torch.tensor([lens.information(*counted(truth)) for truth in moved], dtype=torch.float64)
    kept, truth = counted(parts)
    return PartMatch(
        own,
        float(permuted.mean()),
        lens.permutation_p(own, permuted),
        lens.purity(kept, truth),
        lens.purity(lens.random_symbols(kept, seed), truth),
    )


# Are there clusters, how many, and the same ones again? (SYM-2, SYM-14, SYM-16)


def gaussian_surrogate(vectors: Tensor, seed: int, count: int | None = None) -> Tensor:
    """Draws from the Gaussian with the mean and covariance of vectors (N, D): float (count, D), N of them by default.

    A cloud without clusters, to be sent through the same steps (SYM-2). The covariance may have any rank.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(f"vectors: shape {tuple(vectors.shape)}, must be (N, D) with at least two")
    count = len(vectors) if count is None else count
    mean = vectors.double().mean(0)
    centred = vectors.double() - mean
    if len(centred) > centred.shape[1]:
        values, axes = torch.linalg.eigh(centred.T @ centred)
        # Rows whose products are those of the centred vectors, and no more of them than dimensions.
        centred = values.clamp(min=0).sqrt()[:, None] * axes.T
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, len(centred), generator=generator, dtype=torch.float64).to(centred)
    return (mean + normal @ centred / len(vectors) ** 0.5).to(vectors.dtype)


def silhouettes(points: Tensor, symbols: Tensor, most: int | None = None, seed: int = 0) -> Tensor:
    """Mean silhouette of each picture's cells in the embedding: points (N, cells, D), symbols int64 (N, cells) to float64 (n,).

    The silhouette takes time and memory in the square of the cells, so that at most `most` pictures, drawn by the seed, are
    compared with each other. 0 where all cells have one symbol, or each its own: there is no cluster to be in.
    """
    if points.ndim != 3 or points.shape[:2] != symbols.shape or not symbols.numel():
        raise ValueError(
            f"points, symbols: shapes {tuple(points.shape)}, {tuple(symbols.shape)}, must be (N, cells, D), (N, cells)"
        )
    if most is not None and most < 1:
        raise ValueError(f"most = {most}: must be at least 1")
    if most is not None and most < len(points):
        chosen = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))[:most].to(points.device)
        points, symbols = points[chosen], symbols[chosen]
    kinds = len(symbols.unique())
    if not 2 <= kinds < symbols.numel():
        return torch.zeros(len(symbols), dtype=torch.float64)
    values = silhouette_samples(points.flatten(0, 1).double().cpu().numpy(), symbols.flatten().cpu().numpy())
    return torch.from_numpy(values).view(symbols.shape).mean(1)


def stability(codings: Sequence[Tensor]) -> float:
    """Adjusted Rand index of symbols of the same cells, int64 (N, cells) each, mean over pairs of codings (SYM-2, SYM-16)."""
    if len(codings) < 2 or any(one.shape != codings[0].shape for one in codings):
        raise ValueError(f"codings: shapes {[tuple(one.shape) for one in codings]}, must be two or more of one shape")
    flat = [one.flatten().cpu().numpy() for one in codings]
    return float(np.mean([adjusted_rand_score(a, b) for a, b in itertools.combinations(flat, 2)]))


@dataclass(frozen=True)
class CountChoice:
    """A number of symbols chosen on one half of the pictures and tested on the other (SYM-14).

    `accuracies` float64 (counts,) on the half that chose; on the other half, pictures int64 (n,), the right answers with the
    `chosen` number and with the `fewest`, float64 (n,).
    """

    counts: tuple[int, ...]
    accuracies: Tensor
    chosen: int
    pictures: Tensor
    right: Tensor
    right_fewest: Tensor


def choose_count(
    code: Callable[[int], tuple[Tensor, Tensor]],
    counts: Sequence[int],
    labels: Tensor,
    unseen_labels: Tensor,
    classes: int,
    seed: int,
    *,
    smoothing: float = 1e-6,
    by: str = "given symbol",
) -> CountChoice:
    """Choose the number of symbols by accuracy on one half of the unseen pictures, ties to the fewer (experiment 2).

    `code(K)` gives symbols in 0 ... K - 1 of the fitted pictures, int64 (N, cells), which build the map with their `labels`,
    and of the unseen ones, (M, cells). The fewest of `counts` is what the chosen one is held against.
    """
    counts = tuple(sorted(set(counts)))
    if not counts or counts[0] < 1:
        raise ValueError(f"counts = {list(counts)}: must be at least one number, each at least 1")
    if len(unseen_labels) < 2:
        raise ValueError(f"unseen_labels: shape {tuple(unseen_labels.shape)}, must be at least two, to have halves")
    right = []
    for count in counts:
        fitted, unseen = code(count)
        correlations = lens.correlation_map(fitted, labels, count, classes, smoothing)
        right.append((lens.predict(unseen, correlations, by) == unseen_labels).double().cpu())
    answers = torch.stack(right)
    order = torch.randperm(len(unseen_labels), generator=torch.Generator().manual_seed(seed))
    half = len(order) // 2
    choosing, tested = order[:half].sort().values, order[half:].sort().values
    accuracies = answers[:, choosing].mean(1)
    best = int(accuracies.argmax())
    return CountChoice(counts, accuracies, counts[best], tested, answers[best, tested], answers[0, tested])


# The causal test: a symbol in the place of what the network said


def cell_places(boxes: Tensor, shape: tuple[int, int], size: int | tuple[int, int], cells: int = 3) -> Tensor:
    """The cell of a region that each place of a response lies in: boxes (B, 4) to int64 (B, h, w), -1 outside of the box.

    Boxes are x0, y0, x1, y1 in pixels of inputs of this `size` (height, width), the response has `shape` (h, w), and cells are
    numbered row by row. A place counts by its centre. A box too small to hold one gets the place that holds the box's centre,
    as its middle cell.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not bool((boxes[:, 2:] > boxes[:, :2]).all()):
        raise ValueError(f"boxes: shape {tuple(boxes.shape)}, must be (B, 4) with x1 above x0, y1 above y0 and no NaN")
    boxes = boxes.double()
    sides = (size, size) if isinstance(size, int) else size
    at, nearest = [], []
    for count, side, low, high in zip(shape, sides, boxes[:, [1, 0]].T, boxes[:, [3, 2]].T, strict=True):
        centers = (torch.arange(count, dtype=torch.float64, device=boxes.device) + 0.5) * side / count
        inside = (centers - low[:, None]) / (high - low)[:, None] * cells
        at.append(torch.where((inside >= 0) & (inside < cells), inside.floor().long(), -1))
        nearest.append(((low + high) / 2 * count / side).floor().long().clamp(0, count - 1))
    rows, columns = at[0][:, :, None], at[1][:, None, :]
    places = torch.where((rows >= 0) & (columns >= 0), rows * cells + columns, -1)
    empty = (places < 0).flatten(1).all(1).nonzero().flatten()
    places[empty, nearest[0][empty], nearest[1][empty]] = cells * cells // 2
    return places


def cell_means(response: Tensor, places: Tensor, cells: int = 9) -> Tensor:
    """The mean response vector of each cell of a region: (B, C, h, w) and `cell_places` to (B, cells, C).

    NaN for a cell without a place.
    """
    chosen = torch.nn.functional.one_hot(places.flatten(1) + 1, cells + 1)[..., 1:].to(response)
    return chosen.mT @ response.flatten(2).mT / chosen.sum(1)[..., None]


def symbol_means(vectors: Tensor, symbols: Tensor, symbol_count: int) -> Tensor:
    """The mean response vector of each symbol: (N, cells, C) and int64 (N, cells) to (K, C); NaN for a symbol without one.

    A cell whose vector is NaN, since no place lies in it, is left out.
    """
    if vectors.shape[:2] != symbols.shape:
        raise ValueError(f"vectors: shape {tuple(vectors.shape)}, must be {(*symbols.shape, 'C')}")
    kept = ~vectors.isnan().any(-1)
    return lens.group_means(vectors[kept], symbols[kept], symbol_count)


def swapped(symbols: Tensor, means: Tensor, seed: int) -> Tensor:
    """For each cell the mean response of another symbol, drawn at random, at the length of its own symbol's.

    Symbols int64 (B, cells) and means (K, C) to (B, cells, C): as large a change of another direction.
    """
    lengths = means.norm(dim=-1)
    usable = (lengths > 0).nonzero().flatten()  # NaN is not above 0
    if len(usable) < 2:
        raise ValueError(f"means: {len(usable)} symbols have a vector that is not zero, must be at least two")
    position = torch.zeros(len(means), dtype=torch.int64, device=means.device)
    position[usable] = torch.arange(len(usable), device=means.device)
    steps = torch.randint(1, len(usable), symbols.shape, generator=torch.Generator().manual_seed(seed))
    other = usable[(position[symbols] + steps.to(symbols.device)) % len(usable)]
    return means[other] * (lengths[symbols] / lengths[other])[..., None]


def replaced(response: Tensor, places: Tensor, vectors: Tensor) -> Tensor:
    """A response (B, C, h, w) with every place of a region set to the vector of its cell, (B, cells, C); the rest as it was.

    `places` int64 (B, h, w) from `cell_places`; `vectors` are the symbols' means `means[symbols]`, those `swapped`, or the
    cells' own means, which lose detail only. Raises ValueError for a vector that is needed but not finite.
    """
    index = places.flatten(1).clamp(min=0)[..., None].expand(-1, -1, response.shape[1])
    new = vectors.to(response).gather(1, index).mT.unflatten(-1, places.shape[1:])
    inside = places[:, None] >= 0
    if not bool((new.isfinite() | ~inside).all()):
        raise ValueError(
            "vectors: not finite at a cell that is replaced, must be finite (a symbol without a response?)"
        )
    return torch.where(inside, new, response)


@contextlib.contextmanager
def replacing(network: nn.Module, stage: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While this holds, the network goes on from a changed response of one stage.

    `change` takes the stage's map (B, C, h, w) and gives one of the same shape; tokens of a transformer come as a map, and those
    in front of the picture's stay as they are. Raises ParameterError for a stage that the network does not have, ValueError
    for another shape, and for a stage that never ran.
    """
    inner, runs = activations.network_of(network), []

    def hook(_module: nn.Module, _inputs: object, out: Tensor) -> Tensor:
        before = activations.as_map(out, inner)
        after = change(before)
        if after.shape != before.shape:
            raise ValueError(f"change: gave shape {tuple(after.shape)}, must be {tuple(before.shape)}")
        runs.append(stage)
        return _as_said(after, out, before)

    with _hooked(network, stage, hook):
        yield
    if not runs:
        raise ValueError(f"stage {stage!r} never runs in a pass")


def _as_said(after: Tensor, out: Tensor, before: Tensor) -> Tensor:
    """A map in the form in which the stage said it, what `activations.as_map` took apart."""
    if out.ndim == 4:
        return after if before is out else after.permute(0, 2, 3, 1)
    if out.ndim == 3:
        tokens = after.flatten(2).mT
        return torch.cat([out[:, : out.shape[1] - tokens.shape[1]], tokens], 1)
    return after[..., 0, 0]


@contextlib.contextmanager
def _hooked(network: nn.Module, stage: str, hook: Callable) -> Iterator[None]:
    inner = activations.network_of(network)
    modules = dict(inner.named_modules())
    if not stage or stage not in modules:
        raise refusal("stage", stage, f"among {', '.join(activations.stages(network))} or another module's name")
    handle = modules[stage].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def logit_change(
    network: nn.Module, stage: str, inputs: Tensor, classes: Tensor, change: Callable[[Tensor], Tensor]
) -> Tensor:
    """How far the logit of a class moves when a stage's response is changed: inputs (B, ...), int64 (B,) to float64 (B,)."""
    was_training = network.training
    network.eval()
    try:
        before = network(inputs)
        with replacing(network, stage, change):
            after = network(inputs)
    finally:
        network.train(was_training)
    return (after - before).gather(1, classes[:, None])[:, 0].double()


# An attack on the symbols themselves (SYM-7)


def soft_symbol_score(
    vectors: Tensor,
    means: Tensor,
    correlations: CorrelationMap,
    predictions: Tensor,
    temperature: float,
    log: bool = False,
    by: str = "given class",
) -> Tensor:
    """The expected symbol score with soft symbols, which has a gradient: vectors (B, cells, C), means (K, C) to (B,).

    A cell belongs to symbol s by softmax(-||v - mean_s||² / T), and has the score of its symbols at that mix. As T falls this
    becomes `symbols.expected_symbol_score` of the nearest means in the space of responses; the symbols themselves are
    nearest centres in the embedding, which has no gradient. A symbol without a mean (NaN) takes no part.
    """
    if not temperature > 0:
        raise ValueError(f"temperature = {temperature}: must be above 0")
    known = ~means.isnan().any(-1)
    if not bool(known.any()):
        raise ValueError("means: all NaN, must be at least one symbol with a mean")
    means, table = means[known].to(vectors), correlations.values(by)[known].to(vectors)
    # ||v||² is the same for every symbol, and differences are small beside the lengths: both are taken out.
    middle = means.mean(0)
    vectors, means = vectors - middle, means - middle
    closeness = (2 * vectors @ means.T - means.square().sum(-1)) / temperature
    if log:
        # Without leaving logarithms: a symbol that is far and a class that never has it would both be log 0.
        likelihood = table.log().T[predictions][:, None]
        return (closeness.log_softmax(-1) + likelihood).logsumexp(-1).mean(-1)
    return (closeness.softmax(-1) * table.T[predictions][:, None]).sum(-1).mean(-1)


def typical_gap(vectors: Tensor, means: Tensor) -> float:
    """Median squared distance of vectors (..., C) to the nearest mean (K, C): the scale on which a temperature counts."""
    known = means[~means.isnan().any(-1)].to(vectors)
    return float(torch.cdist(vectors.flatten(0, -2), known).amin(-1).square().median())


def evasion(
    network: nn.Module,
    stage: str,
    read: Callable[[Tensor], Tensor],
    means: Tensor,
    correlations: CorrelationMap,
    labels: Tensor,
    temperature: float,
    weight: float = 1.0,
    log: bool = True,
    by: str = "given class",
) -> Callable[[Tensor], Tensor]:
    """The objective, for `attacks.ascend`, of an attack that also raises the expected symbol score of its wrong answer.

    Cross-entropy of the true `labels` int64 (B,) plus `weight` times the soft score, or its logarithm, of the likeliest wrong
    class. `read` takes the stage's map (B, C, h, w) to the vectors (B, cells, C) that symbols are read from, with a gradient.
    """

    def objective(inputs: Tensor) -> Tensor:
        said = {}

        def keep(_module: nn.Module, _inputs: object, out: Tensor) -> None:
            said["map"] = activations.as_map(out, activations.network_of(network))

        with _hooked(network, stage, keep):
            logits = network(inputs)
        wrong = logits.detach().scatter(1, labels[:, None], -torch.inf).argmax(1)
        score = soft_symbol_score(read(said["map"]), means, correlations, wrong, temperature, log, by)
        return nn.functional.cross_entropy(logits, labels, reduction="sum") + weight * score.sum()

    return objective


# A page for people (SYM-17)


@dataclass(frozen=True)
class Intruders:
    """Pages of regions, all but one of one symbol: which picture and which of its cells is shown where.

    `pictures` and `cells` int64 (pages, shown), `intruder` int64 (pages,), the position of the one that does not belong,
    `symbol` and `other` int64 (pages,), the symbol of the page and that of its intruder.
    """

    pictures: Tensor
    cells: Tensor
    intruder: Tensor
    symbol: Tensor
    other: Tensor


def intruders(symbols: Tensor, seed: int, count: int, shown: int = 4) -> Intruders | str:
    """Pages to find the intruder on, chance 1 / shown (SYM-17): symbols int64 (N, cells) to `Intruders`.

    Each page shows different pictures. `shown` - 1 have its symbol in the cell that is shown, the intruder has it in none of its
    cells. Symbols take turns in random order. A reason, as text, where no symbol has enough pictures.
    """
    if shown < 3 or count < 1:
        raise ValueError(f"shown = {shown}, count = {count}: must be at least 3 and 1")
    symbols = symbols.cpu()
    lens.check_symbols(symbols, int(symbols.max()) + 1 if symbols.numel() else 1)
    # One row for each symbol, true for the pictures that have it.
    having = torch.zeros(int(symbols.max()) + 1 if symbols.numel() else 1, len(symbols), dtype=torch.bool)
    having[symbols, torch.arange(len(symbols))[:, None]] = True
    fit = (having.sum(1) >= shown - 1) & (~having).any(1)
    usable = fit.nonzero().flatten()
    if not len(usable):
        return f"No symbol is in at least {shown - 1} pictures and missing from another one."
    generator = torch.Generator().manual_seed(seed)

    def draw(among: Tensor, how_many: int) -> Tensor:
        return among[torch.randperm(len(among), generator=generator)[:how_many]]

    turns = torch.cat([draw(usable, len(usable)) for _ in range(-(-count // len(usable)))])[:count]
    pages = []
    for symbol in turns:
        own = draw(having[symbol].nonzero().flatten(), shown - 1)
        own_cells = torch.cat([draw((symbols[row] == symbol).nonzero().flatten(), 1) for row in own])
        strange = draw((~having[symbol]).nonzero().flatten(), 1)
        cell = torch.randint(symbols.shape[1], (1,), generator=generator)
        at = int(torch.randint(shown, (1,), generator=generator))
        pictures = torch.cat([own[:at], strange, own[at:]])
        cells = torch.cat([own_cells[:at], cell, own_cells[at:]])
        pages.append((pictures, cells, torch.tensor(at), symbol, symbols[strange[0], cell[0]]))
    return Intruders(*(torch.stack(column) for column in zip(*pages, strict=True)))
