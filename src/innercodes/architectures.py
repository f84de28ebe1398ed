"""Does the telescope hold beyond convolutional networks? TEL-22: three endpoints for each architecture."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from innercodes import claims, depth, fragility, maps, sentences, twins
from innercodes.depth import BOTH
from innercodes.parameters import Run, refusal
from innercodes.pictures import Pictures, outputs_of

COUNTED = ("TEL-5", "TEL-7", "TEL-13")


def best_coding(run: Run, unseen: Mapping[str, Sequence[maps.Codes]], stages: Sequence[str]) -> str:
    """The coding with the largest twin-relative growth of unit distance over loss, on pictures that judge nothing else.

    The first seed alone is asked.
    """
    run = dataclasses.replace(run, seeds=run.seeds[:1])
    ends = {kind: [{s: unseen[kind][0][s] for s in (stages[0], stages[-1])}] for kind in BOTH}
    growth = {}
    for coding in maps.CODINGS:
        charts = maps.charts(ends, ends, run, coding)
        grown = {
            kind: np.mean(
                [np.log(c[stages[-1]].relative_distance / c[stages[0]].relative_distance) for c in charts[kind]]
            )
            for kind in BOTH
        }
        growth[coding] = grown["trained"] - grown["untrained"]
    return max(growth, key=growth.get)


def endpoints(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    pictures: Pictures,
    others: Pictures,
    stages: Sequence[str],
    attacked: fragility.Attacked,
) -> dict[str, Any]:
    """TEL-5, TEL-7 and TEL-13 of one architecture: {"coding", "passed": {claim: bool}, "values": {claim: value}}.

    `attacked` are the pictures that are attacked; attacks on other networks than these are made anew.
    """
    both = {kind: networks[kind] for kind in BOTH}
    stages = [stages[0], stages[-1]]
    coding = best_coding(run, maps.collect(both, others, stages, run), stages)
    run = dataclasses.replace(run, values={**run.values, "coding": coding})
    atlas = depth.survey(run, both, pictures, others, stages)
    if attacked.networks is networks:
        on_maps = fragility.locate(attacked, atlas)
    else:
        on_maps = fragility.attack(both, attacked.inputs, attacked.targets, attacked.rows, atlas)
    found = {
        "TEL-5": depth.shrinking(atlas, depth.spreads(atlas)),
        "TEL-7": depth.diverse_units(atlas, {coding: depth.growths_of(atlas, atlas.charts)}),
        "TEL-13": fragility.shift_grows(on_maps, atlas),
    }
    measured = {claim: endpoint for claim, endpoint in found.items() if not isinstance(endpoint, str)}
    return {
        "coding": coding,
        "passed": {claim: passes(run, claim, endpoint) for claim, endpoint in measured.items()},
        "values": {claim: endpoint["value"] for claim, endpoint in measured.items()},
    }


RECIPES: dict[str, dict[str, Any]] = {
    "vit8": {"epochs": 20, "learning_rate": 0.01, "train_batch": 32},
    "rows_lstm": {"epochs": 20, "learning_rate": 0.5, "train_batch": 16},
}
"""How networks of other architectures are trained on the digits; chosen by the test accuracy of the trained network alone."""
# The one that reads sentences: chosen by its accuracy on training sentences kept apart.
RECIPES["sentence_lstm"] = {"epochs": 5, "learning_rate": 0.1, "train_batch": 16}
SENTENCES_READ_BY, SENTENCES = "sentence_lstm", 20_000
"""The network that learns SST-2, and on how many of its phrases at most."""


def study(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    pictures: Pictures,
    others: Pictures,
    attacked: fragility.Attacked,
) -> dict[str, dict[str, Any]] | str:
    """`endpoints` of every network of `beyond`; or of the run's own if that is no convolutional one; else a reason.

    The networks of `beyond` learn the run's pictures. "sentence_lstm", which may also stand beside the run's own, learns SST-2
    from `data_root`, and its sentences are attacked. Raises ParameterError for other names and networks that do not fit.
    """
    trained, names, found = networks["trained"][0], run.beyond.split(), {}
    if not any(isinstance(module, nn.Conv2d) and module.kernel_size != module.stride for module in trained.modules()):
        found[run.model] = _studied(run, networks, pictures, others, attacked)
        names = [name for name in names if name == SENTENCES_READ_BY]
    elif run.beyond == "none":
        return "The run has convolutional networks alone."
    for name in names:
        if name not in RECIPES:
            raise refusal("beyond", name, "among " + ", ".join(RECIPES))
        recipe = {**RECIPES[name], "model": name, "weights": "", "pretrained": False, "stages": "auto"}
        batch = recipe.pop("train_batch")
        own = dataclasses.replace(run, values={**run.values, **recipe, "epochs": min(recipe["epochs"], run.epochs)})
        shown, unseen, hit = pictures, others, attacked
        if name == SENTENCES_READ_BY:
            shown, unseen = sentences.sst2(run, SENTENCES, run.unseen)
            hit = _to_attack(attacked, unseen)
        built = twins.build(own, shown, kinds=BOTH, train_batch=batch)
        found[name] = _studied(own, built, shown.subset(shown.spread(run.fitted)), unseen, hit)
    return found


def _to_attack(attacked: fragility.Attacked, others: Pictures) -> fragility.Attacked:
    """As many of other pictures, spread over their classes."""
    chosen = others.spread(len(attacked.rows))
    inputs, labels = others.subset(chosen).tensors()
    return dataclasses.replace(attacked, networks={}, inputs=inputs, targets=labels, rows=chosen)


def _studied(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    pictures: Pictures,
    others: Pictures,
    attacked: fragility.Attacked,
) -> dict[str, Any]:
    stages, _ = twins.chosen_stages(networks["trained"][0], run.stages)
    outputs = outputs_of(pictures, fragility.width(networks["trained"][0], pictures))
    right = fragility.right_on(networks["trained"], others, outputs)
    return endpoints(run, networks, pictures, others, stages, attacked) | {"accuracy": float(right.mean())}


def passes(run: Run, claim: str, endpoint: Mapping[str, Any]) -> bool:
    """Whether an endpoint passes its registered test and differs from the twin; its secondary conditions do not count here."""
    scale = {**claims.of_chapter(run.chapter)[claim]["scales"][run.preset], "also": []}
    twin = endpoint["twin"].interval() if "twin" in endpoint else None
    return claims.judge(scale, endpoint["value"], endpoint.get("ci"), {}, twin)[0] == "reproduced"


def beyond_convolutions(
    run: Run, found: Mapping[str, Mapping[str, Any]], convolutional: Mapping[str, bool]
) -> dict[str, Any] | str:
    """TEL-22: the number of endpoints that pass, smallest over architectures; that of the convolutional network beside it.

    Beyond the quick scale a run may hold one of the two architectures that the claim is about. Where that one falls short the
    smallest does too; where it does not, nothing follows, and the reason is given.
    """
    counts = {name: sum(row["passed"].values()) for name, row in found.items()}
    least = claims.of_chapter(run.chapter)["TEL-22"]["scales"][run.preset]["threshold"]
    if run.preset != "quick" and len(counts) < 2 and min(counts.values()) >= least:
        return (
            f"{min(counts.values())} of 3 endpoints pass for {next(iter(counts))}; the claim asks for a transformer and a "
            "recurrent network, and the other one is not run."
        )
    words = [
        f"{name} ({row['coding']}): {', '.join(c for c, good in row['passed'].items() if good) or 'none'}"
        for name, row in found.items()
    ]
    return {
        "value": min(counts.values()),
        "baseline": {f"passed, {name}": count for name, count in counts.items()}
        | ({"passed, convolutional": sum(convolutional.values())} if run.preset == "quick" else {}),
        "note": "; ".join(words),
    }
