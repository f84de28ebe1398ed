"""The pictures, regions and networks that chapter 01 looks at, and networks watched while they learn."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor, nn

from innercodes import data, models, parts, pictures, regions, symbol_survey, text, twins
from innercodes.parameters import Run, refusal
from innercodes.parts import PartScenes
from innercodes.pictures import Pictures
from innercodes.symbol_reach import Hidden
from innercodes.symbol_survey import (
    BATCH,
    BOTH,
    FITTED,
    NEW,
    UNSEEN,
    Clock,
    Restricted,
    Said,
    Shown,
    Survey,
    code_stage,
    responses,
    survey,
)

PARTS = "parts"
AUTO, NONE, OWN = "auto", "none", "own"
OUTSIDE = ("new combinations", "new parts")
"""Outside sets of `parts` when the run says "auto"; classes of the second are those of temporary learning."""
NEW_CLASSES = 5
"""Classes of temporary learning, as SYM-9 fixed it."""
HUE_BINS = 8
"""Steps of the mean hue, the low-level factor of pictures whose parts are not known, as SYM-13 fixed it."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: passes over the pictures, learning rate at the start, pictures of a step."""

    epochs: int
    learning_rate: float
    batch: int


RECIPES = {"resnet8": Recipe(5, 0.1, 32), "vit48": Recipe(5, 0.03, 32)}
"""The networks that come with the book, as many passes for each; rates by the test accuracy of one trained network alone.

Twice as many passes leave the transformer so few errors that SYM-10 could not be asked.
"""
SHIPPED_SIZE, SHIPPED_ON, SHIPPED_SEED = 48, 5000, 0
"""Pixels, number and seed of the `parts` pictures that they were trained on, by workflow/checkpoints.py."""
WATCHED = "resnet8"
"""The one that comes after every epoch, and trained on shuffled labels."""


OTHER_REGION = "At this scale the claim is about {}; this run's regions are another source's."
SEVERAL_NETWORKS = ("SYM-10", "SYM-16", "SYM-18", "SYM-20")
OTHER_DOMAIN = "At this scale the claim is about {}, which this run does not read."


def elsewhere(run: Run) -> dict[str, str]:
    """Claims that a run can not judge whatever it measures, with the reason: claims/ names the regions, the data, the domain."""
    found = dict(symbol_survey.ELSEWHERE[run.preset])
    if run.preset == "paper":
        found |= dict.fromkeys(SEVERAL_NETWORKS, symbol_survey.SEVERAL)
    region = {"quick": ("oracle", "known boxes"), "imagenet": ("center", "the centre box")}.get(run.preset)
    if region and run.regions != region[0]:
        found["SYM-1"] = OTHER_REGION.format(region[1])
    if run.preset == "quick" and run.dataset != PARTS:
        found["SYM-13"] = "At this scale the claim is about pictures whose colours and textures are known."
    domain = {
        "quick": (("tictactoe", "breast_cancer", "wine"), "boards or tables"),
        "imagenet": (("sst2",), "an LSTM on SST-2"),
        "paper": ((), "a pretrained language model"),
    }[run.preset]
    if run.domain not in (*domain[0], NONE):
        found["SYM-19"] = OTHER_DOMAIN.format(domain[1])
    return found


# What networks are shown


@dataclass(frozen=True)
class Material:
    """The pictures of a run with their regions; `seconds` per picture is what the source of the regions took.

    `learned` are the pictures that networks are trained on here; `new` are pictures of new classes, None where classes of the
    set itself are to be held out; `known` are the unseen pictures with their true parts and boxes, None where nobody knows them.
    """

    learned: Pictures
    fitted: Shown
    unseen: Shown
    outside: Mapping[str, Shown]
    new: Shown | None
    known: PartScenes | None
    seconds: float

    @property
    def left_out(self) -> dict[str, Any]:
        """What a results file says of files that were skipped."""
        sets = (self.fitted, self.unseen, *self.outside.values(), *([self.new] if self.new else []))
        return pictures.left_out(self.learned, *(one.pictures for one in sets))


def show(run: Run) -> Material:
    """The pictures of a run, and the box of each by the run's source of regions; a picture without a box is left out.

    A source is asked about the class that the trained network of the first seed predicts, where it asks at all (A4). Raises
    ParameterError for folders that are missing, for regions that nobody knows, and where too few pictures have a box.
    """
    return _of_parts(run) if run.dataset == PARTS else _of_folder(run)


def outside_names(run: Run) -> tuple[str, ...]:
    """The sets of pictures of none of the known classes. Raises ParameterError for kinds that `parts` does not have."""
    if run.outside == NONE:
        return ()
    if run.dataset != PARTS:
        return () if run.outside == AUTO else tuple(run.outside.split())
    if run.outside != AUTO:
        raise refusal("outside", run.outside, "auto or none: the parts bring their own")
    return OUTSIDE


def _of_parts(run: Run) -> Material:
    if run.regions == "detector":
        raise refusal("regions", run.regions, "another source: a detector has no names for the classes of parts")
    if run.new not in (AUTO, OWN, NONE):
        raise refusal("new", run.new, f"{AUTO}, {OWN} or {NONE}: the parts bring their own")
    learned = parts.load("train", run.trained_on, run.seed, run.size)
    drawn = {
        name: parts.load(kind, count, run.seed, run.size)
        for name, kind, count in (
            (FITTED, "train", run.fitted),
            (UNSEEN, "test", run.unseen),
            *((kind, kind, run.beyond_known) for kind in outside_names(run)),
            *([(NEW, OUTSIDE[1], run.beyond_known)] if run.new == AUTO else []),
        )
    }
    clock = Clock()
    shown = {name: _boxed(run, part.pictures, part.boxes, clock) for name, part in drawn.items()}
    seconds = clock.seconds.get("region", 0.0) / sum(len(part.pictures) for part in drawn.values())
    known = _like(drawn[UNSEEN], shown[UNSEEN])
    outside = {name: shown[name] for name in outside_names(run)}
    new = shown[NEW].subset((shown[NEW].labels < NEW_CLASSES).nonzero()[:, 0]) if NEW in shown else None
    return Material(learned.pictures, shown[FITTED], shown[UNSEEN], outside, new, known, seconds)


def _like(drawn: PartScenes, shown: Shown) -> PartScenes:
    """What is known of the pictures that were kept; all come in the order of their rows."""
    rows = shown.pictures.rows
    factors = {name: values[rows] for name, values in drawn.factors.items()}
    return PartScenes(shown.pictures, drawn.labels[rows], drawn.boxes[rows], drawn.masks[rows], factors)


def _of_folder(run: Run) -> Material:
    if run.regions == "oracle":
        raise refusal("regions", run.regions, f"another source: nobody knows the boxes of {run.dataset}")
    prepared = twins.preparation(run) or models.Preparation(run.size)
    fitted, unseen = pictures.load(
        run.dataset, run.data_root, run.fitted, run.unseen, run.seed, prepared, run.unreadable
    )
    learned = fitted
    if not (run.weights or run.pretrained):
        learned, _ = pictures.load(run.dataset, run.data_root, run.trained_on, 1, run.seed, prepared, run.unreadable)
    others = {name: _strangers(run, name, fitted.classes, prepared) for name in outside_names(run)}
    others = {name: one.subset(one.spread(run.beyond_known)) for name, one in others.items()}
    clock, asked = Clock(run.device), None
    if run.regions == "detector":
        nowhere = Shown(fitted, torch.zeros(len(fitted), 4))
        asked = build(run, Material(learned, nowhere, nowhere, {}, None, None, 0.0))["trained"][0]
    every = {FITTED: fitted, UNSEEN: unseen, **others}
    if run.new not in (AUTO, OWN, NONE):
        if run.new not in others:
            raise refusal("new", run.new, f"{OWN}, {NONE} or among the outside sets {' '.join(others) or '(none)'}")
        every[NEW] = _first_classes(_strangers(run, run.new, fitted.classes, prepared))
    names = fitted.names
    shown = {name: _boxed(run, part, None, clock, asked, names) for name, part in every.items()}
    seconds = clock.seconds.get("region", 0.0) / sum(map(len, every.values()))
    return Material(
        learned, shown[FITTED], shown[UNSEEN], {name: shown[name] for name in others}, shown.get(NEW), None, seconds
    )


def kept(run: Run, networks: "Networks", material: Material) -> Material:
    """The material without the pictures whose region a trained network of the run does not certify (step 2c), if `kept` says so.

    Fitted, unseen and outside pictures, so that no set is chosen in another way than those it is compared with. Pictures of new
    classes stay: no network has an answer for them. Raises ParameterError for a class of which no fitted picture is left, and for
    a set of which fewer than two are.
    """
    if run.kept == symbol_survey.KEPT[0]:
        return material

    def left(name: str, shown: Shown) -> Tensor:
        rows = symbol_survey.certified(networks["trained"], shown, run, run.margin, run.pad).nonzero()[:, 0]
        if len(rows) < 2:
            raise refusal(
                "kept", run.kept, f"another choice: of the pictures {name}, {len(rows)} have a certified region"
            )
        return rows

    rows = {name: left(name, shown) for name, shown in ((FITTED, material.fitted), (UNSEEN, material.unseen))}
    fitted, unseen = material.fitted.subset(rows[FITTED]), material.unseen.subset(rows[UNSEEN])
    lost = sorted(set(material.fitted.labels.tolist()) - set(fitted.labels.tolist()))
    if lost:
        name = fitted.pictures.names[lost[0]]
        raise refusal("kept", run.kept, f"another choice: no region of {name} is certified")
    known = material.known
    if known is not None:
        some = rows[UNSEEN]
        factors = {name: values[some] for name, values in known.factors.items()}
        known = PartScenes(unseen.pictures, known.labels[some], known.boxes[some], known.masks[some], factors)
    outside = {name: shown.subset(left(name, shown)) for name, shown in material.outside.items()}
    return dataclasses.replace(material, fitted=fitted, unseen=unseen, outside=outside, known=known)


def _alike(material: Material, own: Survey) -> Material:
    """The material with the fitted and unseen pictures of a survey alone: another network would certify others."""

    def those(shown: Shown, name: str) -> Shown:
        return shown.subset(torch.isin(shown.pictures.rows, own.sets[name].pictures.rows).nonzero()[:, 0])

    return dataclasses.replace(material, fitted=those(material.fitted, FITTED), unseen=those(material.unseen, UNSEEN))


def _strangers(run: Run, name: str, known: Sequence[str], prepared: models.Preparation) -> Pictures:
    """All pictures of an outside set that are kept apart from training there, none of a known class."""
    first, found = pictures.load(name, run.data_root, 10**7, 10**7, run.seed, prepared, run.unreadable)
    if first.read is found.read:  # one split, which was cut in two: nobody trains on an outside set, so all will do
        order = torch.cat([first.rows, found.rows]).argsort()
        labels = torch.cat([first.labels, found.labels])[order]
        found = dataclasses.replace(found, rows=torch.cat([first.rows, found.rows])[order], labels=labels)
    strange = torch.tensor([word not in known for word in found.classes])[found.labels]
    if not bool(strange.any()):
        raise refusal("outside", name, f"folders of pictures with other classes than {run.dataset}")
    return found.subset(strange.nonzero()[:, 0])


def _first_classes(found: Pictures) -> Pictures:
    """The pictures of the first `NEW_CLASSES` classes that there are, numbered from 0."""
    numbers = found.labels.unique(return_inverse=True)[1]
    chosen = (numbers < NEW_CLASSES).nonzero()[:, 0]
    return dataclasses.replace(found.subset(chosen), labels=numbers[chosen])


def region_source(run: Run, names: Sequence[str] = (), boxes: Tensor | None = None) -> regions.Source:
    """The run's source of regions (step 2a, Lee & Vijayan 2024); `names` of the classes for a detector, `boxes` if known."""
    if run.regions == "oracle":
        return regions.oracle(boxes)
    if run.regions == "detector":
        found = regions.detector(run.detector, names, run.box_threshold, run.text_threshold, run.device)
        return found if run.segmenter == NONE else regions.segmented(found, run.segmenter, run.device)
    return {
        "full": lambda: regions.full,
        "center": lambda: regions.center(run.center_share),
        "felzenszwalb": lambda: regions.felzenszwalb(run.segment_scale, rule=run.segment_rule),
    }[run.regions]()


@torch.inference_mode()
def _boxed(
    run: Run,
    found: Pictures,
    known: Tensor | None,
    clock: Clock,
    asked: nn.Module | None = None,
    names: Sequence[str] = (),
) -> Shown:
    """Pictures with their boxes by the run's source, without those for which it finds none."""
    if run.regions == "oracle":
        return Shown(found, known)
    source, boxes = region_source(run, names), []
    for inputs, labels in found.batches(BATCH, run.device):
        x = inputs.to(run.device)
        predictions = asked(x).argmax(-1) if asked is not None else labels.to(run.device)
        with clock.step("region"):
            boxes.append(source(x, predictions).cpu())
    shown = Shown(found, torch.cat(boxes)).found()
    if len(shown.boxes) < max(2, len(found) // 10):
        raise refusal(
            "regions", run.regions, f"a source that finds more: {len(shown.boxes)} of {len(found)} pictures have a box"
        )
    return shown


def source_choices(run: Run, material: Material) -> dict[str, regions.Source]:
    """The sources that can be compared on the unseen pictures: the known boxes, and two controls from them, where they are known."""
    found: dict[str, regions.Source] = {}
    if material.known is not None:
        found["known box"] = regions.oracle(material.known.boxes)
    found |= {
        f"centre, {run.center_share:g}": regions.center(run.center_share),
        "Felzenszwalb": regions.felzenszwalb(run.segment_scale, rule=run.segment_rule),
        "whole picture": regions.full,
    }
    if material.known is not None:
        found["background"] = regions.background(material.known.boxes)
        found["random place"] = regions.random_boxes(material.known.boxes, run.seed)
    return found


def low_level(shown: Shown, known: PartScenes | None, cells: int) -> dict[str, Tensor]:
    """The low-level factors of SYM-13 for pictures with regions: of known parts colour and pattern, else the region's hue.

    Known parts: of the part that covers most of each of nine cells, int64 (N, 9), the last number for the ground; with one
    cell of the whole region, (N,). Hue: the mean hue of the region in `HUE_BINS` steps, int64 (N,).
    """
    if known is None:
        return {"hue": mean_hue(shown)}
    at = parts.part_at(known.masks, shown.boxes, 3 if cells > 1 else 1).flatten(1)
    at = at if cells > 1 else at[:, 0]
    table = {"colour": (parts.COLOUR_OF, len(parts.COLOURS)), "texture": (parts.PATTERN_OF, len(parts.PATTERNS))}
    return {name: _numbered(values[at], count) for name, (values, count) in table.items()}


def _numbered(values: Tensor, ground: int) -> Tensor:
    return torch.where(values < 0, ground, values)


def mean_hue(shown: Shown) -> Tensor:
    """The direction of a region's mean colour around the grey axis, in `HUE_BINS` equal steps: int64 (N,)."""
    found = []
    for row, box in enumerate(shown.boxes):
        x0, y0, x1, y1 = (int(edge) for edge in (*box[:2].floor(), *box[2:].ceil()))
        red, green, blue = shown.pictures[row][0][:, max(y0, 0) : y1, max(x0, 0) : x1].mean((1, 2)).double()
        angle = torch.atan2(3**0.5 * (green - blue), 2 * red - green - blue)
        found.append(int(angle.remainder(2 * torch.pi) / (2 * torch.pi) * HUE_BINS) % HUE_BINS)
    return torch.tensor(found)


# Networks

Networks = dict[str, list[nn.Module]]


def build(run: Run, material: Material) -> Networks:
    """The networks of a run by kind, "trained" and "untrained", with one output per class; of given weights one trained.

    Shipped ones for `parts` come with the book; others are trained on the pictures `learned`, or read, or fetched, and the twins'
    BatchNorm has the statistics of these. Raises ParameterError for networks that do not come with the book, and for one whose
    outputs nobody can match with the classes.
    """
    if run.shipped and run.dataset == PARTS and not (run.weights or run.pretrained):
        return _shipped(run, material)
    values = {**run.values, "noise_epochs": 0}
    built = twins.build(
        dataclasses.replace(run, values=values), material.learned, kinds=BOTH, train_batch=run.train_batch
    )
    return {kind: [_answering(network, material) for network in built[kind]] for kind in BOTH}


def _answering(network: nn.Module, material: Material) -> nn.Module:
    """The network with the outputs of the classes at hand alone."""
    shown = material.fitted.pictures
    device = next(network.parameters()).device
    with torch.inference_mode():
        width = int(network(shown[0][0][None].to(device)).shape[1])
    outputs = pictures.outputs_of(shown, width)
    if outputs is None:
        raise refusal("dataset", len(shown.classes), f"a set whose classes the network's {width} outputs know")
    if width == len(shown.classes):
        return network
    return Restricted(network, outputs.to(device))


def _shipped(run: Run, material: Material) -> Networks:
    if run.model not in RECIPES:
        raise refusal("model", run.model, f"one of {', '.join(RECIPES)}, or shipped = False")
    if run.size != SHIPPED_SIZE:
        raise refusal("size", run.size, f"{SHIPPED_SIZE}, or shipped = False")
    read = [_read(run, run.model, shipped_name(run.model), seed) for seed in run.seeds]
    return {"trained": read, "untrained": _starts(run, run.model, material)}


def _sizes() -> dict[str, int]:
    return {"outputs": len(parts.COMBINATIONS["train"]), "channels": 3}


def _read(run: Run, model: str, name: str, seed: int) -> nn.Module:
    return models.load(model, seed, models.checkpoint(name, seed), run.device, **_sizes())


def _starts(run: Run, model: str, material: Material) -> list[nn.Module]:
    """The starts of the shipped networks, with BatchNorm's statistics."""
    learned = material.learned
    some = torch.arange(0, len(learned), max(1, -(-len(learned) // twins.SETTLED_ON)))
    inputs = learned.subset(some).tensors()[0].to(run.device)
    return [models.settle(models.untrained(model, seed, "", run.device, **_sizes()), inputs, 64) for seed in run.seeds]


def other_run(run: Run, name: str) -> Run:
    """The run with another architecture in the place of its own, trained by its recipe where it has one (SYM-10, SYM-20)."""
    values = {**run.values, "model": name, "weights": run.beyond_weights, "stages": AUTO, "beyond": NONE}
    if name in RECIPES:
        recipe = RECIPES[name]
        values |= {"learning_rate": recipe.learning_rate, "train_batch": recipe.batch}
        values["epochs"] = min(recipe.epochs, run.epochs)
    return dataclasses.replace(run, values=values)


def other_surveys(run: Run, own: Survey) -> dict[str, Survey]:
    """Surveys of the architectures of `beyond`, at their last stage, on the pictures of the run's own.

    They may want their pictures prepared in another way. Raises ParameterError where they leave other pictures with a box.
    """
    found = {}
    for name in () if run.beyond == NONE else run.beyond.split():
        changed = other_run(run, name)
        material = show(changed)
        if run.kept != symbol_survey.KEPT[0]:
            material = _alike(material, own)
        if not torch.equal(material.unseen.labels, own.labels):
            raise refusal("regions", run.regions, "a source that finds boxes in the same pictures for every network")
        networks = build(changed, material)
        stages, _ = twins.chosen_stages(networks["trained"][0], AUTO)
        found[name] = survey(changed, networks, material.fitted, material.unseen, stages[-1:])
    return found


# Classes that the symbols were not built from


def held_out(found: Survey, classes: int = NEW_CLASSES) -> Survey | str:
    """The survey as if its last classes had not been there: codebooks and maps of the others, these as the set "new".

    For data without classes of another kind (SYM-9). The network may know them, the symbols do not. No picture is shown again. A
    reason, as text, where too few classes are left.
    """
    kept = found.classes - classes
    if kept < 2:
        return f"{found.classes} classes leave too few to build symbols from when {classes} are held out."
    places = {
        FITTED: (FITTED, found.sets[FITTED].labels < kept),
        UNSEEN: (UNSEEN, found.labels < kept),
        NEW: (UNSEEN, found.labels >= kept),
    }
    places = {name: (source, mask.nonzero()[:, 0]) for name, (source, mask) in places.items()}
    sets = {name: found.sets[source].subset(rows) for name, (source, rows) in places.items()}
    fresh = sets[NEW].pictures
    sets[NEW] = Shown(dataclasses.replace(fresh, labels=fresh.labels - kept), sets[NEW].boxes)
    said = {
        kind: [
            {
                name: Said({stage: part[rows] for stage, part in one[source].vectors.items()}, one[source].logits[rows])
                for name, (source, rows) in places.items()
            }
            for one in members
        ]
        for kind, members in found.said.items()
    }
    plain = dataclasses.replace(found, sets=sets, outside=(), said=said, codes={})
    codes = {
        kind: [
            {
                stage: code_stage(
                    {name: plain.heard(kind, row, name).vectors[stage] for name in sets},
                    sets[FITTED].labels, plain.mapped(row), found.classes, found.run, seed,
                )
                for stage in (found.first, found.last)
            }
            for row, seed in enumerate(found.run.seeds)
        ]
        for kind in BOTH
    }  # fmt: skip
    return dataclasses.replace(plain, codes=codes, stages=(found.first, found.last))


# Networks while they learn


def learn(
    name: str, seed: int, inputs: Tensor, labels: Tensor, recipe: Recipe, share: float = 0.0, bars: bool = False
) -> list[nn.Module]:
    """A network of `models` after each epoch of its training, with this share of the labels shuffled.

    Inputs float (N, C, H, W) and labels int64 (N,), on the device that the network is to live on.
    """
    sizes = {"outputs": int(labels.max()) + 1, "channels": inputs.shape[1]}
    network = models.untrained(name, seed, "", inputs.device, **sizes)
    after: list[nn.Module] = []

    def keep(epoch: int) -> None:
        after.append(copy.deepcopy(network))

    mixed = twins.shuffled(labels, share, seed)
    models.train(network, inputs, mixed, recipe.epochs, recipe.learning_rate, seed, recipe.batch, bars, keep)
    return after


def shipped_name(name: str, epoch: int | None = None, shuffled: bool = False) -> str:
    """What `models.checkpoint` calls a network of the book: trained, after so many epochs, or on shuffled labels."""
    return f"parts_{name}" + ("_shuffled" if shuffled else "" if epoch is None else f"_after{epoch}")


@dataclass(frozen=True)
class Courses:
    """Networks of every seed while they learned: `epochs` from 0 on, `networks` after each of them, the first the start.

    `shuffled` learned shuffled labels for as long.
    """

    epochs: tuple[int, ...]
    networks: Sequence[Sequence[nn.Module]]
    shuffled: Sequence[nn.Module]


def courses(run: Run, material: Material) -> Courses | str:
    """The network `retrained` of every seed after each epoch (SYM-16, SYM-18), shipped or trained here; else a reason."""
    name = run.retrained
    if name == NONE:
        return "This run does not watch networks while they learn."
    if run.shipped and run.dataset == PARTS:
        if name != WATCHED:
            raise refusal("retrained", name, f"{WATCHED} or {NONE}, or shipped = False")
        recipe = RECIPES[name]
        late = [shipped_name(name, epoch) for epoch in range(1, recipe.epochs)] + [shipped_name(name)]
        starts = _starts(run, name, material)
        rows = [
            [start, *(_read(run, name, one, seed) for one in late)]
            for start, seed in zip(starts, run.seeds, strict=True)
        ]
        mixed = [_read(run, name, shipped_name(name, shuffled=True), seed) for seed in run.seeds]
        return Courses(tuple(range(recipe.epochs + 1)), rows, mixed)
    learned = material.learned.subset(material.learned.spread(run.trained_on))
    inputs, labels = (part.to(run.device) for part in learned.tensors())
    recipe = Recipe(run.retrained_epochs, run.learning_rate, run.train_batch)
    rows, mixed = [], []
    for seed in run.seeds:
        after = learn(name, seed, inputs, labels, recipe, bars=run.bars)
        start = models.untrained(name, seed, "", run.device, outputs=int(labels.max()) + 1, channels=inputs.shape[1])
        rows.append([models.settle(start, inputs[: twins.SETTLED_ON], 64), *after])
        mixed.append(learn(name, seed, inputs, labels, recipe, 1.0, run.bars)[-1])
    return Courses(tuple(range(recipe.epochs + 1)), rows, mixed)


def course_symbols(
    run: Run, found: Courses, material: Material, own: Survey
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Last-stage symbols of the unseen pictures, int64 (N, cells): of each seed and epoch, and of each seed's shuffled labels.

    What the run's own survey has of the same networks, the first and the last of the shipped ones, is taken from there.
    """
    same = run.shipped and run.dataset == PARTS and run.model == run.retrained
    snapshots = []
    for row, (seed, members) in enumerate(zip(run.seeds, found.networks, strict=True)):
        known = {}
        if same:
            ends = {0: "untrained", len(members) - 1: "trained"}
            known = {at: own.codes[kind][row][own.last].symbols[UNSEEN] for at, kind in ends.items()}
        snapshots.append(
            [
                known[at] if at in known else last_symbols(run, network, material, seed)
                for at, network in enumerate(members)
            ]
        )
    mixed = [last_symbols(run, one, material, seed) for seed, one in zip(run.seeds, found.shuffled, strict=True)]
    return snapshots, mixed


def retrained_symbols(own: Survey, snapshots: Sequence[Sequence[Tensor]] | None = None) -> dict[str, list[Tensor]]:
    """Last-stage symbols of networks trained apart, by kind, for SYM-16: the survey's own, or of `course_symbols` the ends."""
    if len(own.said["trained"]) > 1 or snapshots is None:
        members = {kind: range(len(own.said[kind])) for kind in BOTH}
        return {kind: [own.codes[kind][row][own.last].symbols[UNSEEN] for row in members[kind]] for kind in BOTH}
    return {kind: [one[at] for one in snapshots] for kind, at in (("trained", -1), ("untrained", 0))}


def last_symbols(run: Run, network: nn.Module, material: Material, seed: int) -> Tensor:
    """Last-stage symbols of the unseen pictures, int64 (N, cells), from a codebook of the fitted ones."""
    stage = twins.chosen_stages(network, AUTO)[0][-1]
    said = {
        name: responses(network, shown.pictures, shown.boxes, (stage,), run).vectors[stage]
        for name, shown in ((FITTED, material.fitted), (UNSEEN, material.unseen))
    }
    labels = material.fitted.labels
    code = code_stage(said, labels, torch.ones_like(labels, dtype=torch.bool), int(labels.max()) + 1, run, seed)
    return code.symbols[UNSEEN]


def strongest_weight(table: DataFrame) -> float:
    """The weight of `symbol_trials.evasions` that an attacker on symbols takes, above 0 where one is: at 0 none is attacked.

    The lowest AUROC among those that succeed half as often as the most successful one, ties to the smaller weight.
    """
    raising = table[table["weight"] > 0]
    table = raising if len(raising) else table
    able = table[table["auroc"].notna() & (table["success"] >= table["success"].max() / 2)]
    if not len(able):
        return float(table["weight"].iloc[0])
    return float(able.sort_values(["auroc", "weight"], kind="stable")["weight"].iloc[0])


# Other domains


DOMAINS: dict[str, Recipe] = {
    "tictactoe": Recipe(200, 0.1, 128),
    "breast_cancer": Recipe(100, 0.1, 128),
    "wine": Recipe(100, 0.1, 128),
    "docstrings": Recipe(40, 1.0, 128),
    "sst2": Recipe(10, 1.0, 128),
}
"""Boards and tables for an MLP, sentences for an LSTM (SYM-19), with the training of chapter 02."""
SENTENCES = {"docstrings": (4, 10), "sst2": (10, 80)}
"""Words that a sentence has at least, half of those it may have, and how many are learned for each that is asked."""


@dataclass(frozen=True)
class Domain:
    """Samples of another domain and what the hidden layers of networks say to them, by layer, shallow to deep, and kind.

    `accuracy` by kind and seed is that of the networks.
    """

    layers: Mapping[str, Mapping[str, Sequence[Hidden]]]
    labels: Tensor
    unseen_labels: Tensor
    accuracy: Mapping[str, Sequence[float]]

    @property
    def hidden(self) -> Mapping[str, Sequence[Hidden]]:
        """What the last hidden layers say, by kind."""
        return list(self.layers.values())[-1]


def other_domain(run: Run) -> Domain | str:
    """Networks of another domain, an MLP or an LSTM for every seed and their untrained twins (SYM-19); else a reason.

    At most `domain_samples` samples are fitted, and as many asked; of a set with one split every third sample of a class is kept
    apart from training.
    """
    if run.domain == NONE:
        return "This run looks at pictures alone."
    learned, asked, sizes = _samples(run)
    recipe = DOMAINS[run.domain]
    name = "lstm" if run.domain in SENTENCES else "mlp5"
    shown = data.Data(learned.inputs[: run.domain_samples], learned.labels[: run.domain_samples], learned.classes)
    layers: dict[str, dict[str, list[Hidden]]] = {}
    accuracy: dict[str, list[float]] = {kind: [] for kind in BOTH}
    for seed in run.seeds:
        for kind in BOTH:
            network = models.untrained(name, seed, "", run.device, **sizes)
            if kind == "trained":
                models.train(
                    network, learned.inputs, learned.labels, recipe.epochs, recipe.learning_rate, seed, recipe.batch, run.bars
                )  # fmt: skip
            said = [_hidden(network, part.inputs) for part in (shown, asked)]
            for layer in said[0]:
                of_kind = layers.setdefault(layer, {one: [] for one in BOTH})[kind]
                of_kind.append(Hidden(*(one[layer].cpu() for one in said)))
            accuracy[kind].append(models.accuracy(network, asked.inputs, asked.labels))
    return Domain(layers, shown.labels.cpu(), asked.labels.cpu(), accuracy)


def _samples(run: Run) -> tuple[data.Data, data.Data, dict[str, Any]]:
    """What networks of the domain learn and what they are asked, on the run's device, and what they are built with."""
    generator = torch.Generator().manual_seed(run.seed)
    if run.domain in SENTENCES:
        words, share = SENTENCES[run.domain]
        values = {
            "dataset": run.domain, "n_players": words, "n_samples": run.domain_samples, "train_size": share * run.domain_samples,
            "mask_value": 0.0,
        }  # fmt: skip
        game = getattr(text, run.domain)(dataclasses.replace(run, values={**run.values, **values}))
        return game.train, data.Data(game.inputs, game.labels, game.train.classes), dict(game.sizes)
    if run.domain == "tictactoe":
        boards = data.load("tictactoe")
        apart = data._in_test(boards.labels.numpy())
        learned, asked = (
            data.Data(boards.inputs[rows], boards.labels[rows], boards.classes)
            for rows in (torch.from_numpy(part.nonzero()[0]) for part in (~apart, apart))
        )
    else:
        learned, asked = (data.load(run.domain, split) for split in ("train", "test"))
    order = torch.randperm(len(learned.labels), generator=generator)
    rows = torch.randperm(len(asked.labels), generator=generator)[: run.domain_samples]
    mixed = (
        data.Data(part.inputs[some].to(run.device), part.labels[some].to(run.device), part.classes)
        for part, some in ((learned, order), (asked, rows))
    )
    return *mixed, {"inputs": learned.inputs.shape[1], "outputs": len(learned.classes)}


@torch.inference_mode()
def _hidden(network: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """What each hidden layer of an MLP says, or of an LSTM at its last word, shallow to deep: (N, D) each.

    The last one is what the last linear layer reads.
    """
    found: dict[str, list[Tensor]] = {}
    for part in inputs.split(1024):
        if isinstance(network, nn.Sequential):
            said = []
            for module in network[:-1]:
                part = module(part)
                if not isinstance(module, nn.Linear):
                    said.append(part)
        else:
            said = list(network.lstm(network.embedding(part))[1][0])  # the state of each layer after the last word
        for number, one in enumerate(said, 1):
            found.setdefault(f"layer {number}", []).append(one)
    return {name: torch.cat(parts) for name, parts in found.items()}
