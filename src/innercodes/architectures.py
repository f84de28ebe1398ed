"""Does the telescope hold beyond convolutional networks? TEL-22: three endpoints for each architecture."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from innercodes import claims, depth, fragility, maps, twins
from innercodes.depth import BOTH
from innercodes.parameters import Run, refusal
from innercodes.pictures import Pictures, outputs_of

COUNTED = ("TEL-5", "TEL-7", "TEL-13")


def best_coding(run: Run, unseen: Mapping[str, Sequence[maps.Codes]], stages: Sequence[str]) -> str:
    """The coding with the largest twin-relative growth of unit distance over loss, on pictures that judge nothing else."""
    ends = {kind: [{s: member[s] for s in (stages[0], stages[-1])} for member in unseen[kind]] for kind in BOTH}
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
    attacked: tuple[Tensor, Tensor, Tensor],
) -> dict[str, Any]:
    """TEL-5, TEL-7 and TEL-13 of one architecture: {"coding", "passed": {claim: bool}, "values": {claim: value}}.

    `attacked` are inputs, the outputs to aim away from, and places of the pictures that are attacked.
    """
    both = {kind: networks[kind] for kind in BOTH}
    coding = best_coding(run, maps.collect(both, others, stages, run), stages)
    run = dataclasses.replace(run, values={**run.values, "coding": coding})
    atlas = depth.survey(run, both, pictures, others, stages, stages[0])
    found = {
        "TEL-5": depth.shrinking(atlas, depth.spreads(atlas)),
        "TEL-7": depth.diverse_units(atlas, {coding: depth.growths_of(atlas, atlas.charts)}),
        "TEL-13": fragility.shift_grows(fragility.attack(both, *attacked, atlas), atlas),
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


def study(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    pictures: Pictures,
    others: Pictures,
    attacked: tuple[Tensor, Tensor, Tensor],
) -> dict[str, dict[str, Any]] | str:
    """`endpoints` of every network of `beyond`, or of the run's own if that is no convolutional one; else a reason."""
    trained = networks["trained"][0]
    if not any(isinstance(module, nn.Conv2d) and module.kernel_size != module.stride for module in trained.modules()):
        return {run.model: _studied(run, networks, pictures, others, attacked)}
    if run.beyond == "none":
        return "The run has convolutional networks alone."
    found = {}
    for name in run.beyond.split():
        if name not in RECIPES:
            raise refusal("beyond", name, "among " + ", ".join(RECIPES))
        recipe = {**RECIPES[name], "model": name, "weights": "", "pretrained": False, "stages": "auto"}
        batch = recipe.pop("train_batch")
        own = dataclasses.replace(run, values={**run.values, **recipe, "epochs": min(recipe["epochs"], run.epochs)})
        built = twins.build(own, pictures, kinds=BOTH, train_batch=batch)
        found[name] = _studied(own, built, pictures, others, attacked)
    return found


def _studied(
    run: Run,
    networks: Mapping[str, Sequence[nn.Module]],
    pictures: Pictures,
    others: Pictures,
    attacked: tuple[Tensor, Tensor, Tensor],
) -> dict[str, Any]:
    stages, _ = twins.chosen_stages(networks["trained"][0], run.stages)
    outputs = outputs_of(pictures, fragility.width(networks["trained"][0], pictures))
    right = fragility.right_on(networks["trained"], others, outputs, run)
    return endpoints(run, networks, pictures, others, stages, attacked) | {"accuracy": float(right.mean())}


def passes(run: Run, claim: str, endpoint: Mapping[str, Any]) -> bool:
    """Whether an endpoint passes its registered test and differs from the twin; its secondary conditions do not count here."""
    scale = {**claims.of_chapter(run.chapter)[claim]["scales"][run.preset], "also": []}
    twin = endpoint["twin"].interval() if "twin" in endpoint else None
    return claims.judge(scale, endpoint["value"], endpoint.get("ci"), {}, twin)[0] == "reproduced"


def beyond_convolutions(found: Mapping[str, Mapping[str, Any]], convolutional: Mapping[str, bool]) -> dict[str, Any]:
    """TEL-22: the number of endpoints that pass, smallest over architectures; that of the convolutional network beside it."""
    counts = {name: sum(row["passed"].values()) for name, row in found.items()}
    return {
        "value": min(counts.values()),
        "baseline": {f"passed, {name}": count for name, count in counts.items()}
        | {"passed, convolutional": sum(convolutional.values())},
        "note": "; ".join(f"{name}: {row['coding']}" for name, row in found.items()),
    }
