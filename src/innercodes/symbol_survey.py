"""What the claims of chapter 01 are judged on, computed once: responses, codebooks, symbols and maps, attacks, second looks.

A network that is there once stands in every seed's row, each with a codebook of its own seed. The untrained twin lends its
symbols alone: predictions, and the pictures that build the map, are those of the trained network in the same row.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import activations, attacks, codebook, regions, symbol_checks, xmeans
from innercodes import symbols as lens
from innercodes.codebook import Codebook
from innercodes.parameters import Run, refusal
from innercodes.pictures import Pictures, at_once
from innercodes.symbols import CorrelationMap

BOTH = ("trained", "untrained")
FITTED, UNSEEN, NEW = "fitted", "unseen", "new"
MAPS_FROM = ("label and prediction agree", "label")
"""Which fitted pictures build the map (A4): those whose label the network predicts, or all."""
GRID, BATCH = 3, 64
SEVERAL = "At the paper's scale this claim is about several networks together; one run is one of them."
ELSEWHERE: dict[str, dict[str, str]] = {
    "quick": {},
    "imagenet": {},
    "paper": dict.fromkeys((f"SYM-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15)), SEVERAL),
}
"""Claims that one run of a preset can not judge, with the reason; their values are kept among the metrics."""


@dataclass(frozen=True)
class Shown:
    """Pictures, and the box of each one's object, float32 (N, 4) as in `regions`. Raises ValueError for another number."""

    pictures: Pictures
    boxes: Tensor

    def __post_init__(self):
        if self.boxes.shape != (len(self.pictures), 4):
            raise ValueError(f"boxes: shape {tuple(self.boxes.shape)}, must be ({len(self.pictures)}, 4)")

    @property
    def labels(self) -> Tensor:
        return self.pictures.labels

    def subset(self, rows: Tensor) -> "Shown":
        """Some of the pictures, by their places int (n,)."""
        return Shown(self.pictures.subset(rows), self.boxes[rows])

    def found(self) -> "Shown":
        """Those with a box: a source marks the others by NaN, and nothing can be read there."""
        return self.subset((~self.boxes.isnan().any(1)).nonzero()[:, 0])


@dataclass(frozen=True)
class Clock:
    """Seconds of named steps, added up; work that an accelerator was given is waited for."""

    device: torch.device | str = "cpu"
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = self.now()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - begun

    def now(self) -> float:
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


@dataclass(frozen=True)
class Said:
    """What a network says to N pictures: by stage the vectors of each region's cells, float32 (N, cells, C), and logits."""

    vectors: Mapping[str, Tensor]
    logits: Tensor


@dataclass(frozen=True)
class StageCode:
    """The codebook of one stage, its map, and by set of pictures where cells lie in the embedding and their symbols.

    `points` float32 (N, cells, components), `symbols` int64 (N, cells).
    """

    codebook: Codebook
    correlations: CorrelationMap
    points: Mapping[str, Tensor]
    symbols: Mapping[str, Tensor]

    @property
    def count(self) -> int:
        """How many symbols there are."""
        return len(self.codebook.centers)


@dataclass(frozen=True)
class Survey:
    """Responses of every network and codes of every seed, by kind; `stages` shallow to deep, `outside` names of sets.

    `said` has an entry per network, set to `Said`; `codes` one per seed, stage to `StageCode`; `costs` one per seed, seconds
    per picture by step, of the trained networks.
    """

    run: Run
    stages: tuple[str, ...]
    sets: Mapping[str, Shown]
    outside: tuple[str, ...]
    said: Mapping[str, Sequence[Mapping[str, Said]]]
    codes: Mapping[str, Sequence[Mapping[str, StageCode]]]
    costs: Sequence[Mapping[str, float]]

    @property
    def first(self) -> str:
        return self.stages[0]

    @property
    def last(self) -> str:
        return self.stages[-1]

    @property
    def classes(self) -> int:
        return len(self.sets[FITTED].pictures.classes)

    @property
    def labels(self) -> Tensor:
        """Of the unseen pictures."""
        return self.sets[UNSEEN].labels

    @property
    def rows(self) -> range:
        return range(len(self.run.seeds))

    def heard(self, kind: str, row: int, name: str) -> Said:
        """What the network of a seed's row says to a set."""
        members = self.said[kind]
        return members[row % len(members)][name]

    def predictions(self, row: int, name: str) -> Tensor:
        """What the trained network of the row predicts, int64 (N,)."""
        return self.heard("trained", row, name).logits.argmax(-1)

    def right(self, row: int) -> Tensor:
        """Whether that is right on each unseen picture, bool (N,)."""
        return self.predictions(row, UNSEEN) == self.labels

    def mapped(self, row: int) -> Tensor:
        """Which fitted pictures build the map, bool (N,)."""
        return built_from(self.predictions(row, FITTED), self.sets[FITTED].labels, self.run.map_from)

    def named(self, kind: str, row: int, stage: str, name: str = UNSEEN) -> Tensor:
        """The class that the symbols of one stage predict (step 9), int64 (N,)."""
        code = self.codes[kind][row][stage]
        return lens.predict(code.symbols[name], code.correlations)

    def accuracy_rows(self, kind: str, stage: str) -> np.ndarray:
        """Whether symbols name each unseen picture rightly, float64 (seeds, N)."""
        return np.stack([(self.named(kind, row, stage) == self.labels).double().numpy() for row in self.rows])

    def score(self, kind: str, row: int, stage: str, name: str) -> Tensor:
        """The expected symbol score of a set (step 10), float64 (N,)."""
        code = self.codes[kind][row][stage]
        return lens.expected_symbol_score(code.symbols[name], self.predictions(row, name), code.correlations)


class Restricted(nn.Module):
    """A network that answers with some of its outputs alone, int64 (classes,): logits (B, classes), stages as they were.

    So a prediction is always one of the classes at hand, whatever else the network knows.
    """

    def __init__(self, network: nn.Module, outputs: Tensor):
        super().__init__()
        self.whole, self.network = network, activations.network_of(network)
        self.register_buffer("outputs", outputs)
        self.train(network.training)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.whole(inputs)[:, self.outputs]


def built_from(predictions: Tensor, labels: Tensor, map_from: str) -> Tensor:
    """Which pictures build the map, bool (N,), by one of `MAPS_FROM` (A4). Raises ParameterError for another word."""
    if map_from not in MAPS_FROM:
        raise refusal("map_from", map_from, f"one of {', '.join(MAPS_FROM)}")
    return predictions == labels if map_from == MAPS_FROM[0] else torch.ones_like(labels, dtype=torch.bool)


KEPT = ("all", "certified")
"""Pictures that symbols are built from and read on: all, or those whose region the second look certifies (step 2c)."""
UNDECLARED = {"metric": codebook.METRICS[0], "kept": KEPT[0]}
"""What a chapter that reads symbols without these parameters takes."""


def chosen(run: Run, name: str) -> str:
    """A choice of `UNDECLARED`, as the run has it."""
    return getattr(run, name, UNDECLARED[name])


Pool = Callable[[Tensor, Tensor, tuple[int, int]], Tensor]
"""Maps (B, C, h, w), boxes (B, 4) and the pictures' (H, W) to vectors (B, cells, C)."""


def responses(
    network: nn.Module,
    pictures: Pictures,
    boxes: Tensor,
    stages: Sequence[str],
    run: Run,
    *,
    pool: Pool | None = None,
    clock: Clock | None = None,
) -> Said:
    """The pooled vectors of every stage and the logits, in one pass (steps 3 to 5, Lee & Vijayan 2024).

    Boxes float (N, 4), one per picture. Maps are pooled as they appear, so that memory holds one batch and the vectors, and
    these go to a file where they are many (`activations.collect`). `pool` is `run.pooling` on 3 x 3 cells, and one vector of all
    with `run.joined`, by default. A `clock` gets the seconds of "reading", "responses" and "pooling". Errors are those of
    `regions.roi_pool` and `activations.collect`.
    """
    for stage in stages:
        if stage.endswith(activations.CLASS_TOKEN) or stage in (activations.INPUT, activations.OUTPUT):
            raise refusal(
                "stages", stage, "modules that say maps or tokens of the picture: a region is pooled from these"
            )
    Shown(pictures, boxes)
    clock = clock or Clock(run.device)
    pool = pool or pooling(run)

    def batches() -> Iterator[Tensor]:
        loader = iter(pictures.batches(BATCH, run.device))
        while True:
            with clock.step("reading"):
                batch = next(loader, None)
            if batch is None:
                return
            yield batch[0]

    def reduce(found: Tensor, inputs: Tensor, rows: slice) -> Tensor:
        with clock.step("pooling"):
            return pool(found, boxes[rows], tuple(inputs.shape[-2:]))

    before, begun = sum(clock.seconds.values()), clock.now()
    found = activations.collect(
        network, batches(), (*stages, activations.OUTPUT), reduce, total=len(pictures), device=run.device, folder=".",
        progress=run.bars, placed=True,
    )  # fmt: skip
    inside = sum(clock.seconds.values()) - before
    rest = clock.now() - begun - inside
    clock.seconds["responses"] = clock.seconds.get("responses", 0.0) + rest
    return Said({stage: found[stage] for stage in stages}, found[activations.OUTPUT])


def pooling(run: Run, size: int = GRID) -> Pool:
    """The pooling of a run (steps 4 and 5)."""
    return lambda found, boxes, shape: regions.cells(
        regions.roi_pool(found, boxes, shape, size, run.pooling), run.joined
    )


def fit_codebook(vectors: Tensor, run: Run, seed: int, clock: Clock | None = None) -> Codebook:
    """`Codebook.fit` of float32 (M, C) with the run's settings, its two steps timed apart."""
    clock = clock or Clock()
    with clock.step("embedding"):
        metric = chosen(run, "metric")
        embedding = codebook.embed(vectors, seed, run.neighbors, run.min_dist, metric, steps=run.layout_steps)
    with clock.step("clustering"):
        found = xmeans.fit(embedding, seed, run.most, backend=run.backend)
    return Codebook(
        vectors.contiguous(), embedding, found.labels, found.centers, seed, run.neighbors, run.min_dist, metric
    )


def place(book: Codebook, vectors: Tensor, clock: Clock | None = None) -> tuple[Tensor, Tensor]:
    """Where vectors (N, cells, C) lie in the embedding, (N, cells, components), and their symbols, int64 (N, cells)."""
    clock = clock or Clock()
    flat = vectors.flatten(0, 1)
    with clock.step("embedding"):
        points = book.place(flat)
    with clock.step("clustering"):
        found = xmeans.assign(points, book.centers)
    return points.unflatten(0, vectors.shape[:2]), found.view(vectors.shape[:2])


def code_stage(
    vectors: Mapping[str, Tensor],
    labels: Tensor,
    mapped: Tensor,
    classes: int,
    run: Run,
    seed: int,
    clock: Clock | None = None,
) -> StageCode:
    """Codebook and map of one stage from the set "fitted" alone (A8), and the symbols of all sets, float32 (N, cells, C) each.

    `labels` and bool `mapped` (N,) are those of the fitted pictures, and say which build the map. The `clock` counts the fits,
    and the reading of "unseen".
    """
    book = fit_codebook(vectors[FITTED].flatten(0, 1), run, seed, clock)
    placed = {name: place(book, part, clock if name == UNSEEN else None) for name, part in vectors.items()}
    points, found = ({name: pair[i] for name, pair in placed.items()} for i in (0, 1))
    return StageCode(book, _map(found[FITTED], labels, mapped, len(book.centers), classes), points, found)


def _map(found: Tensor, labels: Tensor, mapped: Tensor, count: int, classes: int) -> CorrelationMap:
    if not bool(mapped.any()):
        raise refusal(
            "map_from", MAPS_FROM[0], "a network that is right on some fitted picture; 'label' asks for no prediction"
        )
    return lens.correlation_map(found[mapped], labels[mapped], count, classes)


def survey(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    fitted: Shown,
    unseen: Shown,
    stages: Sequence[str],
    outside: Mapping[str, Shown] | None = None,
    new: Shown | None = None,
) -> Survey:
    """One pass of every network over every set, and a codebook, symbols and a map for each seed, kind and stage.

    Networks have one output per class of the fitted pictures (`Restricted`), and are in evaluation mode. Raises ValueError for
    another number of outputs, ParameterError for a network that is right on no fitted picture where the map needs some.
    """
    outside = dict(outside or {})
    sets = {FITTED: fitted, UNSEEN: unseen, **outside, **({NEW: new} if new else {})}
    if len(sets) != 2 + len(outside) + bool(new):
        raise ValueError(f"outside: {', '.join(outside)}: must be other names than {FITTED}, {UNSEEN}, {NEW}")
    classes = len(fitted.pictures.classes)
    clocks: dict[str, list[Clock]] = {kind: [Clock(run.device) for _ in networks[kind]] for kind in BOTH}
    said = {
        kind: [
            {
                name: responses(
                    network, part.pictures, part.boxes, stages, run, clock=clock if name in (FITTED, UNSEEN) else None
                )
                for name, part in sets.items()
            }
            for network, clock in zip(networks[kind], clocks[kind], strict=True)
        ]
        for kind in BOTH
    }
    for members in said.values():
        if (width := members[0][FITTED].logits.shape[1]) != classes:
            raise ValueError(f"networks: {width} outputs, must be {classes}, one per class: see Restricted")
    for network, clock in zip(networks["trained"], clocks["trained"], strict=True):
        _bare(network, unseen.pictures, run, clock)
    found = Survey(run, tuple(stages), sets, tuple(outside), said, {}, ())
    codes: dict[str, list[dict[str, StageCode]]] = {kind: [] for kind in BOTH}
    costs = []
    for kind in BOTH:
        for row, seed in enumerate(run.seeds):
            clock, heard = Clock(), {name: found.heard(kind, row, name) for name in sets}
            codes[kind].append(
                {
                    stage: code_stage(
                        {name: part.vectors[stage] for name, part in heard.items()},
                        fitted.labels, found.mapped(row), classes, run, seed, clock,
                    )
                    for stage in stages
                }
            )  # fmt: skip
            if kind == "trained":
                costs.append(
                    _cost(clocks[kind][row % len(networks[kind])], clock, len(fitted.labels), len(unseen.labels))
                )
    return replace(found, codes=codes, costs=costs)


def _cost(passes: Clock, fits: Clock, fitted: int, unseen: int) -> dict[str, float]:
    """Seconds per picture of each step, and of a bare pass."""
    steps = {name: passes.seconds[name] for name in ("responses", "pooling")} | fits.seconds
    return {name: seconds / (fitted + unseen) for name, seconds in steps.items()} | {
        "bare": passes.seconds["bare"] / unseen
    }


@torch.inference_mode()
def _bare(network: nn.Module, pictures: Pictures, run: Run, clock: Clock) -> None:
    for inputs, _ in pictures.batches(BATCH, run.device):
        with clock.step("bare"):
            network(inputs.to(run.device)).cpu()


# SYM-1: a second look


@torch.inference_mode()
def certified(members: Sequence[nn.Module], shown: Shown, run: Run, margin: float = 0.0, pad: bool = False) -> Tensor:
    """Which pictures have a region that every one of some networks certifies (step 2c), bool (N,)."""
    found, start = [], 0
    for inputs, _ in shown.pictures.batches(at_once(shown.pictures, BATCH, run.device)):
        x, boxes = inputs.to(run.device), shown.boxes[start : start + len(inputs)]
        looks = [regions.certify(one, x, boxes.to(x), margin, pad=pad).kept.cpu() for one in members]
        found.append(torch.stack(looks).all(0))
        start += len(inputs)
    return torch.cat(found)


@dataclass(frozen=True)
class Look:
    """On each unseen picture, (N,): is the network right, does the region keep its class, one at random of its size, max-softmax.

    `seconds` per picture is what the second look takes beside the first.
    """

    right: Tensor
    kept: Tensor
    kept_at_random: Tensor
    confidence: Tensor
    seconds: float


@torch.inference_mode()
def second_looks(
    found: Survey,
    networks: Mapping[str, Sequence[nn.Module]],
    margin: float = 0.0,
    pad: bool = False,
    shown: Shown | None = None,
) -> dict[str, list[Look]]:
    """Second-thought certification of the unseen pictures by every network, an entry per seed (step 2, Lee & Vijayan 2024).

    `shown` are the unseen pictures before any was discarded, where the survey has only those that are certified.
    """
    shown = shown or found.sets[UNSEEN]
    looks: dict[str, list[Look]] = {}
    for kind in BOTH:
        members = networks[kind]
        # Each row draws boxes of its own, though a network may stand in all.
        looks[kind] = [
            _look(members[row % len(members)], shown, found.run, seed, margin, pad)
            for row, seed in enumerate(found.run.seeds)
        ]
    return looks


def _look(network: nn.Module, shown: Shown, run: Run, seed: int, margin: float, pad: bool) -> Look:
    clock, start, parts = Clock(run.device), 0, []
    elsewhere = None
    for inputs, labels in shown.pictures.batches(BATCH, run.device):
        if elsewhere is None:
            # The boxes of all pictures at once: a row's place then does not depend on the batch.
            blank = torch.empty(1, 1, 1, 1).expand(len(shown.boxes), 1, *inputs.shape[-2:])
            elsewhere = regions.random_boxes(shown.boxes, seed)(blank, torch.zeros(len(shown.boxes), dtype=torch.int64))
        x, rows = inputs.to(run.device), slice(start, start + len(inputs))
        with clock.step("first"):
            confidence = lens.max_softmax(network(x)).cpu()
        with clock.step("both"):
            own = regions.certify(network, x, shown.boxes[rows].to(x), margin, pad=pad)
        random = regions.certify(network, x, elsewhere[rows].to(x), margin, pad=pad)
        parts.append((own.predictions.cpu() == labels, own.kept.cpu(), random.kept.cpu(), confidence))
        start += len(inputs)
    seconds = max(0.0, clock.seconds["both"] - clock.seconds["first"]) / len(shown.boxes)
    return Look(*(torch.cat(column) for column in zip(*parts, strict=True)), seconds)


# SYM-2, SYM-16: noise of the same spread, and other seeds


def surrogates(found: Survey, kind: str) -> list[dict[str, tuple[Tensor, Tensor]]]:
    """For each seed and stage a Gaussian cloud sent through the same steps: points (N, cells, 3) and symbols (N, cells)."""
    made = []
    for row, seed in enumerate(found.run.seeds):
        made.append({})
        for stage in found.stages:
            code = found.codes[kind][row][stage]
            shape = code.symbols[FITTED].shape
            book = fit_codebook(symbol_checks.gaussian_surrogate(code.codebook.vectors, seed), found.run, seed)
            made[-1][stage] = (book.embedding.unflatten(0, shape), book.symbols.view(shape))
    return made


def reseeded(found: Survey, kind: str, stages: Sequence[str]) -> dict[str, list[dict[str, Tensor]]]:
    """The symbols of the first network's same vectors under every seed: by stage and seed, set to int64 (N, cells)."""
    members = found.said[kind]
    vectors = {name: members[0][name].vectors for name in (FITTED, UNSEEN)}
    made: dict[str, list[dict[str, Tensor]]] = {}
    for stage in stages:
        made[stage] = []
        for row, seed in enumerate(found.run.seeds):
            if row % len(members) == 0:
                known = found.codes[kind][row][stage].symbols
                made[stage].append({name: known[name] for name in vectors})
                continue
            book = fit_codebook(vectors[FITTED][stage].flatten(0, 1), found.run, seed)
            made[stage].append({name: place(book, part[stage])[1] for name, part in vectors.items()})
    return made


# SYM-15: other places and grids

POOLINGS = ("3 x 3 region", "global region", "3 x 3 whole", "3 x 3 background")


def poolings(found: Survey, networks: Mapping[str, Sequence[nn.Module]]) -> dict[str, dict[str, np.ndarray]]:
    """Whether last-stage symbols from each of `POOLINGS` name the unseen pictures rightly: kind, name to float64 (seeds, N).

    One more pass of each network; the first is what the survey has.
    """
    run, counts = found.run, (1, GRID * GRID, GRID * GRID)
    right: dict[str, dict[str, np.ndarray]] = {}
    for kind in BOTH:
        parts = [_elsewhere(found, network) for network in networks[kind]]
        rows: dict[str, list[np.ndarray]] = {name: [] for name in POOLINGS[1:]}
        for row, seed in enumerate(run.seeds):
            halves = {name: part.split(counts, 1) for name, part in parts[row % len(parts)].items()}
            for number, pooled in enumerate(POOLINGS[1:]):
                vectors = {name: part[number] for name, part in halves.items()}
                if run.joined:
                    vectors = {name: part.flatten(1)[:, None] for name, part in vectors.items()}
                code = code_stage(vectors, found.sets[FITTED].labels, found.mapped(row), found.classes, run, seed)
                named = lens.predict(code.symbols[UNSEEN], code.correlations)
                rows[pooled].append((named == found.labels).double().numpy())
        right[kind] = {POOLINGS[0]: found.accuracy_rows(kind, found.last)}
        right[kind] |= {name: np.stack(values) for name, values in rows.items()}
    return right


def _elsewhere(found: Survey, network: nn.Module) -> dict[str, Tensor]:
    """Last-stage vectors of fitted and unseen pictures: one of the region, 9 of the picture, 9 of the background, (N, 19, C)."""

    def pool(maps: Tensor, boxes: Tensor, shape: tuple[int, int]) -> Tensor:
        blank = torch.empty(1, 1, 1, 1).expand(len(boxes), 1, *shape)
        none = torch.zeros(len(boxes), dtype=torch.int64)
        places = (
            (boxes, 1), (regions.full(blank, none), GRID), (regions.background(boxes.cpu())(blank, none), GRID)
        )  # fmt: skip
        return torch.cat(
            [regions.cells(regions.roi_pool(maps, at, shape, size, found.run.pooling)) for at, size in places], 1
        )

    return {
        name: responses(
            network, found.sets[name].pictures, found.sets[name].boxes, (found.last,), found.run, pool=pool
        ).vectors[found.last]
        for name in (FITTED, UNSEEN)
    }


# SYM-7, SYM-8: attacks


@dataclass(frozen=True)
class Attacked:
    """Attacked pictures of one row: variant and stage to symbols int64 (n, cells), variant to logits (n, classes).

    Variants are "clean", "PGD", "equal noise", "adaptive", the attack that also raises the score, and, where there is a source,
    "own region", PGD with the box of the attacked prediction; `boxed` bool (n,) says where the source found one.
    """

    symbols: Mapping[str, Mapping[str, Tensor]]
    logits: Mapping[str, Tensor]
    boxed: Tensor | None = None


@dataclass(frozen=True)
class Attacks:
    """What came of attacks on some unseen pictures, an entry per seed: `rows` int64 (n,) their places, and `labels`.

    `own` by kind, each network attacked itself; `lent` the trained network's pictures read with the twin's symbols, its logits.
    """

    rows: Tensor
    labels: Tensor
    own: Mapping[str, Sequence[Attacked]]
    lent: Sequence[Attacked]


def attack(
    found: Survey,
    networks: Mapping[str, Sequence[nn.Module]],
    rows: Tensor,
    source: regions.Source | None = None,
    *,
    weight: float = 1.0,
    temperature: float = 1.0,
    log: bool = True,
) -> Attacks:
    """PGD on every network (step 13, Lee & Vijayan 2024), noise of its L2 norm, and the attack on the symbols themselves.

    `rows` are places of unseen pictures, whose clean boxes are used throughout. `weight`, `temperature` in units of
    `symbol_checks.typical_gap`, and `log` are those of `symbol_checks.evasion`, at the last stage. The twin has "clean" and "PGD"
    alone, and lends its last stage.
    """
    run, shown = found.run, found.sets[UNSEEN].subset(rows)
    inputs, labels = shown.pictures.tensors()
    last = (found.last,)

    def read(
        kind: str, row: int, network: nn.Module, changed: Tensor, stages: Sequence[str], boxes: Tensor = shown.boxes
    ) -> tuple[dict[str, Tensor], Tensor]:
        said, codes = responses(network, _held(changed, shown.pictures), boxes, stages, run), found.codes[kind][row]
        return {stage: place(codes[stage].codebook, said.vectors[stage])[1] for stage in stages}, said.logits

    made = {
        kind: [
            _hit(network, inputs, labels, run, seed) for network, seed in zip(networks[kind], run.seeds, strict=False)
        ]
        for kind in BOTH
    }
    own: dict[str, list[Attacked]] = {kind: [] for kind in BOTH}
    lent = []
    for kind in BOTH:
        for row, seed in enumerate(run.seeds):
            member = row % len(networks[kind])
            network, changed = networks[kind][member], made[kind][member]
            codes = found.codes[kind][row]
            clean = {stage: codes[stage].symbols[UNSEEN][rows] for stage in found.stages}
            symbols, logits = {"clean": clean}, {"clean": found.heard(kind, row, UNSEEN).logits[rows]}
            symbols["PGD"], logits["PGD"] = read(kind, row, network, changed["PGD"], found.stages)
            boxed = None
            if kind == "trained":
                name = "equal noise"
                symbols[name], logits[name] = read(kind, row, network, changed[name], found.stages)
                objective = _evasion(found, row, network, weight, temperature, log)
                hit = _adaptive(objective, inputs, labels, shown.boxes, run, seed)
                symbols["adaptive"], logits["adaptive"] = read(kind, row, network, hit, last)
                if source is not None:
                    boxes = source(changed["PGD"], logits["PGD"].argmax(-1)).cpu()
                    boxed = ~boxes.isnan().any(1)
                    boxes = torch.where(boxed[:, None], boxes, shown.boxes)
                    name = "own region"
                    symbols[name], logits[name] = read(kind, row, network, changed["PGD"], last, boxes)
                twin = networks["untrained"][row % len(networks["untrained"])]
                seen, _ = read("untrained", row, twin, changed["PGD"], last)
                before = found.codes["untrained"][row][found.last].symbols[UNSEEN][rows]
                lent.append(
                    Attacked({"clean": {found.last: before}, "PGD": seen}, {n: logits[n] for n in ("clean", "PGD")})
                )
            own[kind].append(Attacked(symbols, logits, boxed))
    return Attacks(rows, labels, own, lent)


def _held(inputs: Tensor, like: Pictures) -> Pictures:
    return replace(like, read=lambda row: inputs[row], rows=torch.arange(len(inputs)))


def _hit(network: nn.Module, inputs: Tensor, labels: Tensor, run: Run, seed: int) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {"PGD": [], "equal noise": []}
    most = at_once(inputs, BATCH)
    for number, (x, y) in enumerate(zip(inputs.split(most), labels.split(most), strict=True)):
        x, y, s = x.to(run.device), y.to(run.device), 1000 * seed + number
        step = run.attack_step * run.attack_size
        hit = attacks.pgd(network, x, y, run.attack_size, run.attack_steps, s, 0, 1, step=step)
        found["PGD"].append(hit.cpu())
        found["equal noise"].append(attacks.equal_noise(x, hit, s, 0, 1).cpu())
    return {name: torch.cat(parts) for name, parts in found.items()}


Objective = Callable[[Tensor, Tensor, tuple[int, int]], Callable[[Tensor], Tensor]]


def _evasion(found: Survey, row: int, network: nn.Module, weight: float, temperature: float, log: bool) -> Objective:
    """From labels, boxes and the pictures' (H, W) to what the attack on the symbols of one row climbs."""
    code, run = found.codes["trained"][row][found.last], found.run
    vectors = found.heard("trained", row, FITTED).vectors[found.last]
    means = symbol_checks.symbol_means(vectors, code.symbols[FITTED], code.count)
    # Vectors that are all at their means would leave no scale.
    gap = max(symbol_checks.typical_gap(vectors, means), float(vectors.var()) * 1e-3, 1e-12)
    pool = pooling(run)

    def objective(labels: Tensor, boxes: Tensor, shape: tuple[int, int]) -> Callable[[Tensor], Tensor]:
        return symbol_checks.evasion(
            network, found.last, lambda maps: pool(maps, boxes, shape), means, code.correlations, labels,
            temperature * gap, weight, log,
        )  # fmt: skip

    return objective


def _adaptive(objective: Objective, inputs: Tensor, labels: Tensor, boxes: Tensor, run: Run, seed: int) -> Tensor:
    found, most = [], at_once(inputs, BATCH)
    for number, (x, y, at) in enumerate(zip(*(part.split(most) for part in (inputs, labels, boxes)), strict=True)):
        climb = objective(y.to(run.device), at, tuple(x.shape[-2:]))
        step = run.attack_step * run.attack_size
        hit = attacks.ascend(
            climb, x.to(run.device), run.attack_size, run.attack_steps, 1000 * seed + number, 0, 1, step
        )
        found.append(hit.cpu())
    return torch.cat(found)


def judged(found: dict[str, Any], reason: str) -> dict[str, Any] | str:
    """An endpoint, or the reason where a number of it is none: `claims.Results` takes nothing but finite ones.

    A secondary value that is None was not asked, and stays so.
    """
    also = [number for number in found.get("also", {}).values() if number is not None]
    numbers = [found["value"], *(found.get("ci") or ()), *also]
    twin = found.get("twin")
    if not np.isfinite(numbers).all() or (twin is not None and not np.isfinite(twin.draws).all()):
        return reason
    known = {name: float(value) for name, value in found.get("baseline", {}).items() if np.isfinite(value)}
    return found | {"baseline": known}
