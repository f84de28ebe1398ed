"""A survey of symbols made by hand, without networks and embeddings: what the endpoints of chapter 01 are tested on."""

import types

import torch

from innercodes import symbols as lens
from innercodes.codebook import Codebook
from innercodes.pictures import Pictures
from innercodes.symbol_survey import BOTH, FITTED, NEW, UNSEEN, Said, Shown, StageCode, Survey

STAGES, CELLS, SIDE = ("one", "two"), 9, 12
CLEAR = {"trained": (0.2, 0.5), "untrained": (0.15, 0.1)}
"""How often a cell's symbol tells the class, by stage."""


def a_run(seeds=(0, 1, 2), **values):
    return types.SimpleNamespace(
        **{
            "seeds": seeds, "seed": seeds[0], "device": torch.device("cpu"), "bars": False, "bootstrap": 60, "neighbors": 5,
            "min_dist": 0.1, "layout_steps": 200, "most": 20, "pooling": "max", "joined": False, "backend": "innercodes", "preset": "quick",
            "map_from": "label and prediction agree", "attack_size": 0.1, "attack_steps": 3, "attack_step": 0.5,
        }
        | values
    )  # fmt: skip


def some_pictures(count, classes, generator, embedded=True):
    inputs = torch.rand(count, 3, SIDE, SIDE, generator=generator)
    names = tuple(f"class {number}" for number in range(classes))
    labels = torch.arange(count) % classes
    pictures = Pictures(lambda row: inputs[row], torch.arange(count), labels, names, names, embedded)
    return Shown(pictures, torch.tensor([[2.0, 2.0, 10.0, 10.0]]).expand(count, 4).clone())


def a_survey(run=None, classes=4, sizes=None, counts=(6, 9), clear=CLEAR, right=0.6, seed=0):
    """Symbols in which the class shows as often as `clear` says, and trained networks that are right as often as `right`."""
    run = run or a_run()
    generator = torch.Generator().manual_seed(seed)
    sizes = sizes or {FITTED: 80, UNSEEN: 60, "far": 40, "near": 44, NEW: 50}
    sets = {name: some_pictures(size, 5 if name == NEW else classes, generator) for name, size in sizes.items()}

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    def chosen(high, *shape):
        return torch.randint(high, shape, generator=generator)

    def says(name, shown, kind):
        labels = shown.labels % classes
        wanted = labels.where(
            uniform(len(labels)) < (right if kind == "trained" else 0.1), chosen(classes, len(labels))
        )
        logits = uniform(len(labels), classes) + torch.nn.functional.one_hot(wanted, classes) * (
            1 + uniform(len(labels), 1)
        )
        vectors = {
            stage: uniform(len(labels), CELLS, 5) + 0.3 * torch.nn.functional.one_hot(labels, 5)[:, None]
            for stage in STAGES
        }
        return Said(vectors, logits)

    def code(kind, stage, members):
        number = STAGES.index(stage)
        count, centers = counts[number], 8 * uniform(counts[number], 3).double()
        symbols, points = {}, {}
        for name, shown in sets.items():
            known = name in (FITTED, UNSEEN, NEW)
            told = uniform(len(shown.labels), CELLS) < (clear[kind][number] if known else 0)
            symbols[name] = (shown.labels[:, None] % count).where(told, chosen(count, len(shown.labels), CELLS))
            points[name] = (centers[symbols[name]] + 0.3 * uniform(*symbols[name].shape, 3)).float()
        said = members[FITTED]
        book = Codebook(
            said.vectors[stage].flatten(0, 1), points[FITTED].flatten(0, 1), symbols[FITTED].flatten(), centers, 0, 5, 0.1, "euclidean"
        )  # fmt: skip
        labels = sets[FITTED].labels
        mapped = trained_logits[FITTED].logits.argmax(-1) == labels if run.map_from != "label" else labels >= 0
        return StageCode(
            book, lens.correlation_map(symbols[FITTED][mapped], labels[mapped], count, classes), points, symbols
        )

    said = {kind: [{name: says(name, shown, kind) for name, shown in sets.items()} for _ in run.seeds] for kind in BOTH}
    codes = {kind: [] for kind in BOTH}
    for kind in BOTH:
        for row in range(len(run.seeds)):
            trained_logits = said["trained"][row]
            codes[kind].append({stage: code(kind, stage, said[kind][row]) for stage in STAGES})
    outside = tuple(name for name in sets if name not in (FITTED, UNSEEN, NEW))
    steps = {"responses": 2.0, "pooling": 0.5, "clustering": 1.0, "bare": 1.0}
    costs = [steps | {"embedding": 3.0 + row} for row in range(len(run.seeds))]
    return Survey(run, STAGES, sets, outside, said, codes, costs)
