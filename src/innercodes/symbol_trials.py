"""What becomes of symbols when something is changed: a response, an attack, the region, a choice that the paper leaves open.

Tables as in `symbol_studies`, one row for each number that is drawn.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from pandas import DataFrame
from torch import Tensor, nn

from innercodes import codebook, regions, symbol_checks, symbol_survey, xmeans
from innercodes import symbols as lens
from innercodes.codebook import Codebook
from innercodes.parameters import Run, refusal
from innercodes.pictures import at_once
from innercodes.symbol_studies import RESAMPLES, interval, mean_of_asked
from innercodes.symbol_survey import BATCH, FITTED, GRID, MAPS_FROM, UNSEEN, Pool, Shown, Survey
from innercodes.symbol_warnings import FEWEST_ERRORS, paired_auroc

# The causal test: a symbol in the place of what the network said

REPLACEMENTS = ("own cells", "own symbol", "other symbol", "same norm, random direction")


def causal(
    survey: Survey, networks: Mapping[str, Sequence[nn.Module]], count: int = 100, resamples: int = RESAMPLES
) -> DataFrame:
    """How far a prediction's logit moves when a region's response is replaced: kind, stage, replacement, value, low, high.

    On `count` unseen pictures, drawn by the seed; the value is the mean absolute change of the logit of the class that the
    network itself predicts. Replacements, each cell its own: "own cells", the cell's mean response, which loses detail alone (none
    that matters, where the network takes the mean of the map next); "own symbol", the mean response of its symbol's cells in
    fitted pictures; "other symbol", drawn at random, and "same norm, random direction", both at that length. A symbol that no
    fitted cell with a response has gets the mean of all. Logits differ in size between kinds: compare within a kind. One pass of
    each network over the fitted pictures and eight over the `count` for each stage and seed; no fits.
    """
    run, everything = survey.run, survey.sets[UNSEEN]
    if count < 1:
        raise refusal("count", count, "at least 1")
    order = torch.randperm(len(everything.labels), generator=torch.Generator().manual_seed(run.seed))
    chosen = order[:count].sort().values
    shown = everything.subset(chosen)
    inputs = shown.pictures.tensors()[0]
    found = []
    for kind, members in networks.items():
        heard = [_mean_responses(survey, network) for network in members]
        for stage in survey.stages:
            changes: dict[str, list[np.ndarray]] = {name: [] for name in REPLACEMENTS}
            for row, seed in enumerate(run.seeds):
                member, code = row % len(members), survey.codes[kind][row][stage]
                predicted = survey.heard(kind, row, UNSEEN).logits[chosen].argmax(-1)
                vectors = _replacements(
                    heard[member][stage], code.symbols[FITTED], code.symbols[UNSEEN][chosen], code.count, seed
                )
                for name, part in vectors.items():
                    moved = _logit_changes(members[member], stage, inputs, shown.boxes, predicted, part, run.device)
                    changes[name].append(moved.abs().numpy())
            for name, rows in changes.items():
                if rows:
                    found.append((kind, stage, name, *interval(np.stack(rows), np.mean, run, resamples)))
    return DataFrame(found, columns=["kind", "stage", "replacement", "value", "low", "high"])


def _mean_responses(survey: Survey, network: nn.Module) -> dict[str, Tensor]:
    """The mean response of each cell of the fitted pictures, by stage float32 (N, 9, C); NaN for a cell without a place."""

    def pool(maps: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        return symbol_checks.cell_means(maps, symbol_checks.cell_places(boxes, maps.shape[-2:], size).to(maps.device))

    shown = survey.sets[FITTED]
    said = symbol_survey.responses(network, shown.pictures, shown.boxes, survey.stages, survey.run, pool=pool)
    return dict(said.vectors)


def _replacements(heard: Tensor, fitted: Tensor, symbols: Tensor, count: int, seed: int) -> dict[str, Tensor | None]:
    """What each replacement puts in the cells of some pictures, (B, 9, C); None: what the cells said.

    Symbols int64 (N, cells) of the fitted pictures, whose responses were `heard`, and (B, cells) of those at hand. A joined
    symbol, one for all cells, stands for all their vectors.
    """
    wide = heard.flatten(1).unflatten(1, (fitted.shape[1], -1))
    means = symbol_checks.symbol_means(wide, fitted, count)
    means = torch.where(means.isnan(), wide.flatten(0, 1).nanmean(0), means)
    own = means[symbols]
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(own.shape, generator=generator), dim=-1)
    made = {"own cells": None, "own symbol": own}
    if int((means.norm(dim=-1) > 0).sum()) > 1:
        made["other symbol"] = symbol_checks.swapped(symbols, means, seed)
    made["same norm, random direction"] = direction * own.norm(dim=-1, keepdim=True)
    return {
        name: None if part is None else part.flatten(1).unflatten(1, heard.shape[1:]) for name, part in made.items()
    }


def _logit_changes(
    network: nn.Module,
    stage: str,
    inputs: Tensor,
    boxes: Tensor,
    classes: Tensor,
    vectors: Tensor | None,
    device: torch.device,
) -> Tensor:
    """`symbol_checks.logit_change` of many pictures, float64 (N,)."""
    found = []
    for rows in torch.arange(len(inputs)).split(at_once(inputs, BATCH, device)):
        x = inputs[rows].to(device)

        def change(maps: Tensor, rows: Tensor = rows, size: tuple[int, ...] = tuple(x.shape[-2:])) -> Tensor:
            places = symbol_checks.cell_places(boxes[rows], maps.shape[-2:], size).to(maps.device)
            new = symbol_checks.cell_means(maps, places) if vectors is None else vectors[rows]
            return symbol_checks.replaced(maps, places, new)

        found.append(symbol_checks.logit_change(network, stage, x, classes[rows].to(device), change).cpu())
    return torch.cat(found)


# The attack on the symbols themselves


def evasions(
    survey: Survey,
    networks: Mapping[str, Sequence[nn.Module]],
    weights: Sequence[float],
    rows: Tensor,
    *,
    temperature: float = 1.0,
    log: bool = True,
    resamples: int = RESAMPLES,
) -> DataFrame:
    """PGD that also raises the score of its wrong answer, at each weight of it: weight, success, auroc, low, high.

    On the trained networks and unseen pictures at the places `rows`, with their clean boxes. `success` is the share of pictures
    that were right and are no more; the AUROC is SYM-7's, the last stage's score of right clean pictures against successful
    attacks, NaN where none succeeds. At weight 0 this is PGD. `temperature` and `log` as of `symbol_survey.attack`. One attack
    for each weight and seed; no fits.
    """
    run, shown = survey.run, survey.sets[UNSEEN].subset(rows)
    if not len(weights) or not all(0 <= weight < float("inf") for weight in weights):
        raise refusal("weights", list(weights), "numbers from 0 on, at least one")
    inputs, labels = shown.pictures.tensors()
    found = []
    for weight in weights:
        pairs, success = [], []
        for row, seed in enumerate(run.seeds):
            network = networks["trained"][row % len(networks["trained"])]
            objective = symbol_survey._evasion(survey, row, network, weight, temperature, log)
            hit = symbol_survey._adaptive(objective, inputs, labels, shown.boxes, run, seed)
            held = symbol_survey._held(hit, shown.pictures)
            said = symbol_survey.responses(network, held, shown.boxes, (survey.last,), run)
            code = survey.codes["trained"][row][survey.last]
            symbols = symbol_survey.place(code.codebook, said.vectors[survey.last])[1]
            right, attacked = survey.right(row)[rows], said.logits.argmax(-1)
            wrong = right & (attacked != labels)
            clean = survey.score("trained", row, survey.last, UNSEEN)[rows]
            scores = lens.expected_symbol_score(symbols, attacked, code.correlations)
            pair = (clean.masked_fill(~right, torch.nan), scores.masked_fill(~wrong, torch.nan))
            pairs.append(torch.stack(pair, -1).numpy())
            success.append(wrong.double().masked_fill(~right, torch.nan).numpy())
        share = mean_of_asked(mean_of_asked(np.stack(success), 1), 0)
        found.append((float(weight), float(share), *interval(np.stack(pairs), paired_auroc, run, resamples)))
    return DataFrame(found, columns=["weight", "success", "auroc", "low", "high"])


# Where the regions come from


def sources(
    survey: Survey,
    networks: Mapping[str, Sequence[nn.Module]],
    candidates: Mapping[str, regions.Source],
    known: Tensor | None = None,
    *,
    rows: int | None = None,
    margin: float = 0.0,
    pad: bool = False,
    refit: bool = False,
    resamples: int = RESAMPLES,
) -> DataFrame:
    """Sources of regions on the unseen pictures: source, overlap, coverage, accuracy_kept, symbol_accuracy, low, high.

    `overlap` is the mean intersection over union with the `known` boxes (N, 4), 0 where nothing is found, NaN where none are
    known; `coverage` the share of pictures whose region keeps its class, `accuracy_kept` the network's accuracy on these (SYM-1);
    `symbol_accuracy`, which the interval is of, that of last-stage symbols read in the region, on pictures with a region. They
    are read with the survey's codebook and map; with `refit` both are made anew from the source's regions of the fitted
    pictures, one fit for each source and seed, and then a source has to answer for both sets. Of the trained networks, of the
    first `rows` seeds, all by default. A source is asked once for each network, about all pictures at once.
    """
    run, shown = survey.run, survey.sets[UNSEEN]
    some = range(len(run.seeds) if rows is None else min(rows, len(run.seeds)))
    if not len(some):
        raise refusal("rows", rows, "at least 1")
    members = networks["trained"]
    inputs = shown.pictures.tensors()[0]
    found = []
    for name, source in candidates.items():
        asked: dict[int, tuple[Tensor, Tensor]] = {}
        overlaps, kept, right, named = [], [], [], []
        for row in some:
            member = row % len(members)
            if member not in asked:
                boxes = _boxes(source, inputs, survey.predictions(row, UNSEEN), run.device)
                asked[member] = boxes, _certified(members[member], inputs, boxes, margin, pad, run.device)
            boxes, sure = asked[member]
            kept.append(sure.double())
            right.append(survey.right(row).double().masked_fill(~sure, torch.nan))
            overlaps.append(np.nan if known is None else float(overlap(boxes, known).mean()))
            named.append(_read_at(survey, row, members[member], boxes, source if refit else None))
        accuracy = mean_of_asked(mean_of_asked(torch.stack(right).numpy(), 1), 0)
        ends = interval(torch.stack(named).numpy(), mean_of_asked, run, resamples)
        found.append((name, float(np.mean(overlaps)), float(torch.stack(kept).mean()), float(accuracy), *ends))
    columns = ["source", "overlap", "coverage", "accuracy_kept", "symbol_accuracy", "low", "high"]
    return DataFrame(found, columns=columns)


def overlap(boxes: Tensor, known: Tensor) -> Tensor:
    """Intersection over union of boxes float (N, 4), row by row: (N,); 0 where a row of the first is NaN."""
    if boxes.shape != known.shape or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"known: shape {tuple(known.shape)}, must be {tuple(boxes.shape)}, one box for each picture")
    both = (torch.minimum(boxes[:, 2:], known[:, 2:]) - torch.maximum(boxes[:, :2], known[:, :2])).clamp(min=0).prod(1)
    own, other = ((one[:, 2:] - one[:, :2]).prod(1) for one in (boxes, known))
    return (both / (own + other - both)).nan_to_num(0.0)


def _boxes(source: regions.Source, inputs: Tensor, predictions: Tensor, device: torch.device) -> Tensor:
    return source(inputs.to(device), predictions.to(device)).cpu().float()


def _certified(
    network: nn.Module, inputs: Tensor, boxes: Tensor, margin: float, pad: bool, device: torch.device
) -> Tensor:
    most = at_once(inputs, BATCH, device)
    parts = zip(inputs.split(most), boxes.split(most), strict=True)
    kept = [regions.certify(network, x.to(device), at.to(device), margin, pad=pad).kept.cpu() for x, at in parts]
    return torch.cat(kept)


def _read_at(survey: Survey, row: int, network: nn.Module, boxes: Tensor, source: regions.Source | None) -> Tensor:
    """Whether last-stage symbols in some boxes name each unseen picture rightly, float64 (N,); NaN without a box."""
    run, stage, labels = survey.run, (survey.last,), survey.labels
    answers = torch.full((len(labels),), torch.nan, dtype=torch.float64)
    rows = (~boxes.isnan().any(1)).nonzero()[:, 0]
    if not len(rows):
        return answers
    unseen = Shown(survey.sets[UNSEEN].pictures, boxes).subset(rows)
    vectors = symbol_survey.responses(network, unseen.pictures, unseen.boxes, stage, run).vectors[survey.last]
    if source is None:
        code = survey.codes["trained"][row][survey.last]
        symbols, correlations = symbol_survey.place(code.codebook, vectors)[1], code.correlations
    else:
        shown = survey.sets[FITTED]
        at = _boxes(source, shown.pictures.tensors()[0], survey.predictions(row, FITTED), run.device)
        there = (~at.isnan().any(1)).nonzero()[:, 0]
        fitted = Shown(shown.pictures, at).subset(there)
        heard = symbol_survey.responses(network, fitted.pictures, fitted.boxes, stage, run).vectors[survey.last]
        mapped = survey.mapped(row)[there]
        code = symbol_survey.code_stage(
            {FITTED: heard, UNSEEN: vectors}, fitted.labels, mapped, survey.classes, run, run.seeds[row]
        )
        symbols, correlations = code.symbols[UNSEEN], code.correlations
    answers[rows] = (lens.predict(symbols, correlations) == unseen.labels).double()
    return answers


# What the paper leaves open

ALGORITHMS = (*xmeans.BACKENDS, "k-means")
"""How clusters are found: X-means of one of the backends, or k-means at the number that the first one finds."""
EACH_ITS_OWN = "given symbol, given class"
"""The default reading of the map (A2): P(c | s) for the class, P(s | c) for the score. Another word is for both."""
CHOICES = (
    "neighbors", "min_dist", "layout_steps", "metric", "pooling", "joined", "kept", "algorithm", "map_from", "by"
)  # fmt: skip
FIT_CHOICES = CHOICES[:7]
"""A change of one of these asks for an embedding of its own."""
FREE_CHOICES = CHOICES[:3]
"""Numbers, which may have other values than these."""
ALTERNATIVES = {
    "neighbors": (5, 15, 50),
    "min_dist": (0.0, 0.1, 0.5),
    "layout_steps": (200, 500),
    "metric": codebook.METRICS,
    "pooling": regions.POOLINGS,
    "joined": (False, True),
    "kept": symbol_survey.KEPT,
    "algorithm": ALGORITHMS,
    "map_from": MAPS_FROM,
    "by": (EACH_ITS_OWN, *lens.READINGS),
}


def multiverse(
    survey: Survey,
    networks: Mapping[str, Sequence[nn.Module]],
    choices: Mapping[str, Sequence] = ALTERNATIVES,
    *,
    pairs: bool = False,
    fits: int = 9,
    rows: int = 1,
    fewest: int = FEWEST_ERRORS,
) -> DataFrame:
    """The last stage under other readings of the paper: a column for each of `CHOICES`, accuracy, errors_auroc, outside_auroc.

    The first row is the run's own choice. Then one choice differs at a time, and with `pairs` two, among the values in `choices`.
    Accuracy on unseen pictures (SYM-4), AUROC of the score against errors (SYM-5) and the smallest against an outside set
    (SYM-6), NaN where there are none, and below `fewest` errors; means over the first `rows` seeds of the trained networks.

    Other neighbours, distances, passes of the layout, metrics, poolings, or cells joined or not, ask for a fit of UMAP each, and
    each of its sets to be placed: with the default choices 9 for each seed. `fits` bounds them for a seed: what comes later and
    needs one more is left out, as are more neighbours than there are vectors. Another pooling asks for one pass of the network; the
    other choices are read on what is there.

    With `kept` "certified" every set loses the pictures whose region the network of the row does not certify, and is measured on
    the others; NaN where a class loses all. A run that has only these can not read "all".
    """
    run = survey.run
    own = _own(run)
    if own["kept"] != symbol_survey.KEPT[0]:
        choices = {name: values for name, values in choices.items() if name != "kept"}
    own |= {"algorithm": run.backend, "map_from": run.map_from, "by": EACH_ITS_OWN}
    room = len(survey.sets[FITTED].labels)
    universes, known = [], {_embedding_of(own)}
    for universe in _universes(own, choices, pairs):
        vectors = room if universe["joined"] else room * GRID * GRID
        if universe["neighbors"] < vectors and len(known | {_embedding_of(universe)}) <= 1 + fits:
            known.add(_embedding_of(universe))
            universes.append(universe)
    if rows < 1:
        raise refusal("rows", rows, "at least 1")
    measured = []
    for row in range(min(rows, len(run.seeds))):
        read = _reader(survey, networks["trained"][row % len(networks["trained"])], row, fewest)
        measured.append([read(universe) for universe in universes])
    columns = ["accuracy", "errors_auroc", "outside_auroc"]
    values = mean_of_asked(np.array(measured), 0)
    return DataFrame([u | dict(zip(columns, v, strict=True)) for u, v in zip(universes, values.tolist(), strict=True)])


def _own(run: Run) -> dict:
    """What the run itself takes of `FIT_CHOICES`."""
    return {
        name: symbol_survey.chosen(run, name) if name in symbol_survey.UNDECLARED else getattr(run, name)
        for name in FIT_CHOICES
    }


def _embedding_of(universe: Mapping) -> tuple:
    return tuple(universe[name] for name in FIT_CHOICES)


def _universes(own: Mapping, choices: Mapping[str, Sequence], pairs: bool) -> list[dict]:
    """The run's choice, those that differ in one thing, and those that differ in two, in this order."""
    for name, values in choices.items():
        if name not in CHOICES:
            raise refusal("choices", name, f"among {', '.join(CHOICES)}")
        allowed = ALTERNATIVES[name]
        wrong = [value for value in values if value not in allowed] if name not in FREE_CHOICES else []
        if wrong:
            raise refusal(f"choices, {name}", wrong[0], f"one of {', '.join(map(str, allowed))}")
    others = {name: [value for value in choices.get(name, ()) if value != own[name]] for name in CHOICES}
    found = [dict(own)]
    for size in (1, 2) if pairs else (1,):
        for names in itertools.combinations(CHOICES, size):
            for values in itertools.product(*(others[name] for name in names)):
                found.append(dict(own) | dict(zip(names, values, strict=True)))
    return found


def _reader(
    survey: Survey, network: nn.Module, row: int, fewest: int
) -> Callable[[Mapping], tuple[float, float, float]]:
    """Accuracy, AUROC against errors and against what is outside, of one choice; embeddings are made once and kept."""
    run, seed, last = survey.run, survey.run.seeds[row], survey.last
    names, labels = (FITTED, UNSEEN, *survey.outside), survey.sets[FITTED].labels
    predicted, right = {name: survey.predictions(row, name) for name in names}, survey.right(row)
    usual, everything = _own(run), {name: torch.arange(len(survey.sets[name].labels)) for name in names}
    places = {usual["kept"]: everything}
    heard: dict[str, dict[str, Tensor]] = {
        run.pooling: {name: survey.heard("trained", row, name).vectors[last] for name in names}
    }
    code = survey.codes["trained"][row][last]
    own = _embedding_of(usual)
    placed: dict[tuple, tuple[Codebook, dict[str, Tensor]]] = {
        own: (code.codebook, {name: code.points[name] for name in names})
    }

    def left(kept: str) -> dict[str, Tensor]:
        """The places of the pictures of each set that are read."""
        if kept not in places:
            places[kept] = {
                name: symbol_survey.certified([network], survey.sets[name], run, run.margin, run.pad).nonzero()[:, 0]
                for name in names
            }
        return places[kept]

    def embedded(universe: Mapping) -> tuple[Codebook, dict[str, Tensor]]:
        key = _embedding_of(universe)
        if key not in placed:
            neighbors, min_dist, steps, metric, how, joined, kept = key
            if how not in heard:
                heard[how] = {name: _pooled(survey, network, name, how) for name in names}
            cells = 1 if joined else GRID * GRID
            some = left(kept)
            vectors = {name: part[some[name]].flatten(1).unflatten(1, (cells, -1)) for name, part in heard[how].items()}
            flat = vectors[FITTED].flatten(0, 1).contiguous()
            points = codebook.embed(flat, seed, neighbors, min_dist, metric, steps=steps)
            clusters = xmeans.fit(points, seed, run.most, backend=run.backend)
            book = Codebook(flat, points, clusters.labels, clusters.centers, seed, neighbors, min_dist, metric)
            placed[key] = (book, {name: symbol_survey.place(book, part)[0] for name, part in vectors.items()})
        return placed[key]

    def read(universe: Mapping) -> tuple[float, float, float]:
        some = left(universe["kept"])
        fitted, vectors = labels[some[FITTED]], len(some[FITTED]) * (1 if universe["joined"] else GRID * GRID)
        lost = set(labels.tolist()) - set(fitted.tolist())
        if lost or not all(len(some[name]) for name in names) or vectors <= universe["neighbors"]:
            return (np.nan,) * 3
        book, points = embedded(universe)
        centers = _centers(book, universe["algorithm"], run.backend, run.most)
        symbols = {
            name: xmeans.assign(part.flatten(0, 1), centers).view(part.shape[:2]) for name, part in points.items()
        }
        said = {name: predicted[name][some[name]] for name in names}
        mapped = symbol_survey.built_from(said[FITTED], fitted, universe["map_from"])
        if not bool(mapped.any()):
            return (np.nan,) * 3
        correlations = lens.correlation_map(symbols[FITTED][mapped], fitted[mapped], len(centers), survey.classes)
        by_class, by_score = universe["by"].split(", ") if universe["by"] == EACH_ITS_OWN else [universe["by"]] * 2
        named = lens.predict(symbols[UNSEEN], correlations, by_class)
        scores = {
            name: lens.expected_symbol_score(symbols[name], said[name], correlations, by=by_score) for name in names[1:]
        }
        fine = right[some[UNSEEN]]
        split = bool(fine.any()) and int((~fine).sum()) >= max(fewest, 1)
        wrong = lens.auroc(scores[UNSEEN][fine], scores[UNSEEN][~fine]) if split else np.nan
        outside = [lens.auroc(scores[UNSEEN], scores[name]) for name in survey.outside]
        right_by_symbols = named == survey.labels[some[UNSEEN]]
        return float(right_by_symbols.double().mean()), wrong, min(outside, default=np.nan)

    return read


def _pooled(survey: Survey, network: nn.Module, name: str, how: str) -> Tensor:
    """Last-stage vectors of a set with another pooling, float32 (N, 9, C)."""
    pool: Pool = lambda maps, boxes, size: regions.cells(regions.roi_pool(maps, boxes, size, GRID, how))  # noqa: E731
    shown, stage = survey.sets[name], (survey.last,)
    return symbol_survey.responses(network, shown.pictures, shown.boxes, stage, survey.run, pool=pool).vectors[stage[0]]


def _centers(book: Codebook, algorithm: str, backend: str, most: int) -> Tensor:
    """The symbols' centres by one of `ALGORITHMS` in an embedding, float64 (K, components)."""
    if algorithm == backend:
        return book.centers
    if algorithm == "k-means":
        return codebook.kmeans_codebook(book, book.seed).centers
    return xmeans.fit(book.embedding, book.seed, most, backend=algorithm).centers
