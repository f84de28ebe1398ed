"""Small changes of the input and what they move: the attack claims of chapter 03.

Attacks work on pixels in [0, 1]; a network's normalisation is part of it. Arrays have a row per seed; a network that is there
once stands in every row.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from innercodes import activations, attacks, maps, stats, telescope
from innercodes.depth import BOTH, Atlas, few_of_a_class
from innercodes.maps import StageMap
from innercodes.parameters import Run
from innercodes.pictures import Pictures, at_once

FLIPS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Sizes of the attacks that look for the smallest one that flips a picture, in units of `attack_size`."""
CHUNK = 128


@dataclass(frozen=True)
class Attacked:
    """Pictures and what was made of them against some networks: inputs (n, C, H, W) and outputs to aim away from, int64 (n,), `rows` their
    places.

    `variants` has, for each kind and seed, the inputs under each perturbation; `right` whether the network is right on
    each, bool (n,); `units` the k best units of each at every stage, int64 (n, k).
    """

    networks: Mapping[str, Sequence[nn.Module]]
    inputs: Tensor
    targets: Tensor
    rows: Tensor
    variants: Mapping[str, Sequence[Mapping[str, Tensor]]]
    right: Mapping[str, Sequence[Mapping[str, np.ndarray]]]
    units: Mapping[str, Sequence[Mapping[str, Mapping[str, Tensor]]]]

    def shift(self, atlas: Atlas, kind: str, seed: int, variant: str, stage: str) -> np.ndarray:
        """How far the units of each rank moved, float64 (n, k)."""
        units, grid = self.units[kind][seed], atlas.charts[kind][seed][stage].som.grid
        return telescope.unit_shift(units["clean"][stage], units[variant][stage], grid).numpy()

    def relative_shift(self, atlas: Atlas, kind: str, variant: str) -> np.ndarray:
        """Shift of the first unit over the mean distance of random pairs of these pictures: (seeds, n, stages)."""
        found = []
        for seed in range(len(self.units[kind])):
            by_stage = []
            for stage in atlas.stages:
                units = self.units[kind][seed]["clean"][stage][:, 0]
                random = random_distance(units, atlas.charts[kind][seed][stage].som.grid)
                by_stage.append(self.shift(atlas, kind, seed, variant, stage)[:, 0] / random)
            found.append(np.stack(by_stage, -1))
        return np.stack(found)


def random_distance(units: Tensor, grid: tuple[int, int]) -> float:
    """Mean distance of two different pictures, whose units are int64 (n,); at least that of one step in one pair."""
    at = telescope.positions(units, grid)
    pairs = len(at) * (len(at) - 1)
    return max(float(telescope.torus_distance(at[:, None], at, grid).sum()), 2.0) / pairs


def attack(
    networks: Mapping[str, Sequence[nn.Module]], inputs: Tensor, targets: Tensor, rows: Tensor, atlas: Atlas
) -> Attacked:
    """PGD of the paper (steps of 0.02 of the size, 50 of them), uniform noise, and noise of PGD's L2 norm, on every network."""
    run = atlas.run
    variants = {
        kind: [_variants(net, inputs, targets, run, seed) for net, seed in zip(networks[kind], run.seeds, strict=False)]
        for kind in BOTH
    }
    right = {
        kind: [
            {name: is_right(net, x, targets) for name, x in made.items()}
            for net, made in zip(networks[kind], variants[kind], strict=True)
        ]
        for kind in BOTH
    }
    made = Attacked(networks, inputs, targets, rows, _each_seed(variants, run), _each_seed(right, run), {})
    return locate(made, atlas)


def locate(attacked: Attacked, atlas: Atlas) -> Attacked:
    """The same inputs on the maps of an atlas, which may be other maps of the same networks."""
    run, units = atlas.run, {}
    for kind in BOTH:
        members = attacked.networks[kind]
        said = [
            {
                name: maps.collect({kind: [net]}, _split(x, run), atlas.stages, run)[kind][0]
                for name, x in attacked.variants[kind][j].items()
            }
            for j, net in enumerate(members)
        ]
        units[kind] = [
            {
                name: {
                    stage: _units(
                        atlas.charts[kind][i][stage],
                        maps.coded(parts, run.coding, atlas.fitted[kind][i % len(members)][stage]),
                        run,
                    )
                    for stage, parts in codes.items()
                }
                for name, codes in said[i % len(members)].items()
            }
            for i in range(len(run.seeds))
        ]
    return dataclasses.replace(attacked, units=units)


def _split(inputs: Tensor, run: Run) -> list[Tensor]:
    return list(inputs.split(at_once(inputs, CHUNK, run.device)))


def _each_seed(rows: Mapping[str, Sequence[Any]], run: Run) -> dict[str, list[Any]]:
    """A list entry for each seed, where a network that is there once stands in all."""
    return {kind: [members[i % len(members)] for i in range(len(run.seeds))] for kind, members in rows.items()}


def _variants(network: nn.Module, inputs: Tensor, targets: Tensor, run: Run, seed: int) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {"clean": [], "PGD": [], "equal noise": [], "uniform noise": []}
    most = at_once(inputs, CHUNK)
    for number, (x, y) in enumerate(zip(inputs.split(most), targets.split(most), strict=True)):
        x, y, s = x.to(run.device), y.to(run.device), 1000 * seed + number
        hit = attacks.pgd(
            network, x, y, run.attack_size, run.attack_steps, s, 0, 1, step=run.attack_step * run.attack_size
        )
        for name, part in (
            ("clean", x),
            ("PGD", hit),
            ("equal noise", attacks.equal_noise(x, hit, s, 0, 1)),
            ("uniform noise", attacks.uniform_noise(x, run.attack_size, s, 0, 1)),
        ):
            found[name].append(part.cpu())
    return {name: torch.cat(parts) for name, parts in found.items()}


@torch.no_grad()
def answers(network: nn.Module, inputs: Tensor) -> Tensor:
    """The network's own output for each input, int64 (n,)."""
    device = next(network.parameters()).device
    return torch.cat([network(x.to(device)).argmax(-1).cpu() for x in inputs.split(CHUNK)])


def is_right(network: nn.Module, inputs: Tensor, targets: Tensor) -> np.ndarray:
    """Whether each answer is the target, bool (n,)."""
    return (answers(network, inputs) == targets.cpu()).numpy()


def _units(chart: StageMap, codes: Tensor, run: Run) -> Tensor:
    return telescope.best_units(chart.som, codes.to(run.device), chart.fitted.shape[1]).cpu()


@torch.no_grad()
def width(network: nn.Module, pictures: Pictures) -> int:
    """How many outputs a network has for such pictures."""
    device = next(network.parameters()).device
    return int(network(pictures[0][0][None].to(device)).shape[1])


def right_on(networks: Sequence[nn.Module], pictures: Pictures, outputs: Tensor | None) -> np.ndarray:
    """Whether each network is right on each picture, bool (networks, N); `outputs` says which output is which class."""
    if outputs is None:
        return np.zeros((len(networks), len(pictures)), dtype=bool)
    batches = pictures.batches(CHUNK, next(networks[0].parameters()).device)
    return np.stack([np.concatenate([is_right(one, x, outputs[y]) for x, y in batches]) for one in networks])


def accuracies_on(
    networks: Mapping[str, Sequence[nn.Module]], pictures: Pictures, outputs: Tensor | None
) -> dict[str, list[float]]:
    """The accuracy of every network on pictures, nothing where no output is known to be a class."""
    if outputs is None:
        return {}
    return {kind: right_on(members, pictures, outputs).mean(1).tolist() for kind, members in networks.items()}


def targets(network: nn.Module, inputs: Tensor, labels: Tensor, outputs: Tensor | None) -> Tensor:
    """The outputs to aim away from: those of the classes, or the network's own answers where no output is known to be a class."""
    return answers(network, inputs) if outputs is None else outputs[labels]


def accuracies(attacked: Attacked) -> dict[str, dict[str, float]]:
    """Mean accuracy of each kind under each perturbation."""
    return {
        kind: {name: float(np.mean([seed[name].mean() for seed in seeds])) for name in seeds[0]}
        for kind, seeds in attacked.right.items()
    }


def attack_destroys(attacked: Attacked, run: Run) -> dict[str, Any]:
    """TEL-11: accuracy on clean pictures minus that under PGD."""
    return _lost(attacked, "PGD", run)


def noise_is_harmless(attacked: Attacked, run: Run) -> dict[str, Any]:
    """TEL-12: absolute change of accuracy under uniform noise of the attack's size."""
    found = _lost(attacked, "uniform noise", run)
    low, high = found["ci"]
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return found | {"value": abs(found["value"]), "ci": (nearest, max(abs(low), abs(high)))}


def _lost(attacked: Attacked, variant: str, run: Run) -> dict[str, Any]:
    lost = np.stack([seed["clean"].astype(float) - seed[variant] for seed in attacked.right["trained"]])
    estimate = stats.bootstrap(lost, draws=run.bootstrap, seed=run.seed)
    shares = accuracies(attacked)["trained"]
    return {
        "value": estimate.value,
        "ci": estimate.interval(),
        "baseline": {f"accuracy, {name}": value for name, value in shares.items()},
    }


def shift_grows(attacked: Attacked, atlas: Atlas) -> dict[str, Any]:
    """TEL-13: relative shift under PGD minus under noise of equal norm, last stage minus first."""
    run = atlas.run
    pgd = {kind: attacked.relative_shift(atlas, kind, "PGD") for kind in BOTH}
    noise = {kind: attacked.relative_shift(atlas, kind, "equal noise") for kind in BOTH}
    rows = {kind: (pgd[kind] - noise[kind])[..., -1] - (pgd[kind] - noise[kind])[..., 0] for kind in BOTH}
    found = stats.compare(rows, np.mean, run.bootstrap, run.seed)
    first, last = pgd["trained"].mean((0, 1))[[0, -1]]
    if first == 0:  # as if one picture had moved, by one step of the map
        units = [
            (seed["clean"][atlas.first][:, 0], atlas.charts["trained"][i][atlas.first].som.grid)
            for i, seed in enumerate(attacked.units["trained"])
        ]
        first = np.mean([1 / random_distance(*one) for one in units]) / pgd["trained"][..., 0].size
    means = {"PGD": pgd["trained"].mean((0, 1)), "equal noise": noise["trained"].mean((0, 1))}
    return found | {
        "also": {"last_over_first": float(last / first)},
        "baseline": found["baseline"]
        | {f"{name}, {s}": float(m) for name, row in means.items() for s, m in zip(atlas.stages, row, strict=True)},
    }


def noise_moves_little(attacked: Attacked, atlas: Atlas) -> dict[str, Any]:
    """TEL-14: relative shift under uniform noise, largest over stages."""
    run = atlas.run
    rows = {kind: attacked.relative_shift(atlas, kind, "uniform noise") for kind in BOTH}
    found = stats.compare(rows, _largest_mean, run.bootstrap, run.seed)
    medians = [
        np.median([attacked.shift(atlas, "trained", seed, "uniform noise", stage) for seed in range(len(run.seeds))])
        for stage in atlas.stages
    ]
    pgd = attacked.relative_shift(atlas, "trained", "PGD").mean((0, 1)).max()
    return found | {
        "also": {"median_shift": float(max(medians))},
        "baseline": found["baseline"] | {"PGD, largest over stages": float(pgd), "random picture pairs": 1.0},
    }


def _largest_mean(rows: np.ndarray, axis: int) -> np.ndarray:
    return rows.mean(axis).max(-1)


# TEL-16: does a small distance in the first layer go with a small attack?


def smallest_flips(network: nn.Module, inputs: Tensor, targets: Tensor, run: Run, seed: int) -> np.ndarray:
    """The smallest PGD size of `FLIPS` that makes the network wrong, float64 (n,); infinite where none does."""
    found, most = np.full(len(inputs), np.inf), at_once(inputs, CHUNK)
    for number, share in enumerate(FLIPS):
        left = np.flatnonzero(np.isinf(found))
        if not len(left):
            break
        for k, part in enumerate(np.array_split(left, -(-len(left) // most))):
            x, y = inputs[part].to(run.device), targets[part].to(run.device)
            start = 1000 * seed + len(FLIPS) * k + number
            hit = attacks.pgd(network, x, y, share * run.attack_size, run.flip_steps, start, 0, 1)
            found[part[is_right(network, hit.cpu(), targets[part]) == 0]] = share * run.attack_size
    return found


def class_distance(chart: StageMap, labels: Tensor, units: Tensor, of: Tensor) -> np.ndarray:
    """CD from each picture's unit to the nearest unit that most often serves another class, (n,); `units` (n,), `of` its class.

    Units that no fitted picture uses belong to no class.
    """
    classes = int(labels.max()) + 1
    counts = torch.zeros(len(chart.som.weights), classes)
    counts.index_put_((chart.fitted[:, 0], labels), torch.ones(len(labels)), accumulate=True)
    owner = torch.where(counts.sum(1) > 0, counts.argmax(1), -1)
    weights = chart.som.weights.cpu()
    apart = telescope.cosine_distances(weights[units], weights)
    other = (owner[None] >= 0) & (owner[None] != of[:, None])
    return apart.masked_fill(~other, torch.inf).amin(1).double().numpy()


def spearman(rows: np.ndarray, axis: int) -> np.ndarray:
    """Spearman correlation of the two columns of rows (..., N, 2); pictures with NaN are left out."""
    rows = np.moveaxis(rows, axis, -2)
    flat = rows.reshape(-1, *rows.shape[-2:])
    found = []
    for pairs in flat:
        kept = pairs[~np.isnan(pairs).any(1)]
        ranks = rankdata(kept, axis=0) if len(kept) > 2 else np.zeros((1, 2))
        spread = ranks.std(0)
        found.append(np.nan if (spread == 0).any() else np.corrcoef(ranks.T)[0, 1])
    return np.array(found).reshape(rows.shape[:-2])


@dataclass(frozen=True)
class Flips:
    """The smallest attack that flips each picture, (seeds, n), NaN where the clean one is wrong, and what it is held against."""

    sizes: np.ndarray
    distances: dict[str, np.ndarray]
    pictures: Tensor


def flips(networks: Sequence[nn.Module], attacked: Attacked, atlas: Atlas, labels: Tensor) -> Flips:
    """TEL-16's two quantities for the attacked pictures, whose classes are `labels`, and those of its controls."""
    run = atlas.run
    sizes = []
    for i, seed in enumerate(run.seeds):
        network = networks[i % len(networks)]
        if i < len(networks):
            found = smallest_flips(network, attacked.inputs, attacked.targets, run, seed)
            found[~attacked.right["trained"][i]["clean"]] = np.nan
        sizes.append(found)
    distances: dict[str, list[np.ndarray]] = {}
    for i in range(len(run.seeds)):
        for name, kind, stage in (
            ("first stage", "trained", atlas.first), ("last stage", "trained", atlas.last), ("untrained", "untrained", atlas.first)
        ):  # fmt: skip
            units = attacked.units[kind][i]["clean"][stage][:, 0]
            distances.setdefault(name, []).append(
                class_distance(atlas.charts[kind][i][stage], atlas.labels, units, labels)
            )
        distances.setdefault("max-softmax margin", []).append(
            _margin(networks[i % len(networks)], attacked.inputs, run)
        )
    return Flips(np.stack(sizes), {name: np.stack(rows) for name, rows in distances.items()}, attacked.rows)


@torch.no_grad()
def _margin(network: nn.Module, inputs: Tensor, run: Run) -> np.ndarray:
    """Largest minus second largest probability."""
    found = [network(x.to(run.device)).double().softmax(-1).topk(2).values.cpu() for x in _split(inputs, run)]
    top = torch.cat(found)
    return (top[:, 0] - top[:, 1]).numpy()


def distance_protects(found: Flips, atlas: Atlas) -> dict[str, Any] | str:
    """TEL-16: rank correlation of the CL1 distance to another class and the smallest attack that flips the picture."""
    if missing := few_of_a_class(atlas.labels):
        return missing
    if int((~np.isnan(found.sizes)).sum(1).min()) < 20:
        return "Fewer than 20 pictures that the network gets right."
    rows = {
        name: np.stack([np.where(np.isfinite(apart), apart, np.nan), found.sizes], -1)
        for name, apart in found.distances.items()
    }
    if bool((np.nanmin(found.sizes, 1) == np.nanmax(found.sizes, 1)).any()):
        return "All pictures flip at the same size of the attack."
    named = {"trained": rows.pop("first stage"), "untrained": rows.pop("untrained"), **rows}
    result = stats.compare(named, spearman, min(atlas.run.bootstrap, 500), atlas.run.seed)
    return result | {"note": f"{int((~np.isnan(found.sizes)).sum(1).min())} pictures"}


# TEL-19: is the first stage linear on such small changes?


@contextlib.contextmanager
def _saying(network: nn.Module, stage: str) -> Iterator[Callable[[Tensor], Tensor]]:
    """A function from inputs to what a stage says to them, (n, ...); `:cls` is a class token."""
    inner, tap = activations.network_of(network), {}
    token = stage.endswith(activations.CLASS_TOKEN)

    def keep(_module: nn.Module, _inputs: Any, out: Tensor) -> None:
        tap["said"] = activations.class_token(out, inner) if token else out

    def said(x: Tensor) -> Tensor:
        network(x)
        return tap["said"]

    hook = dict(inner.named_modules())[stage.removesuffix(activations.CLASS_TOKEN)].register_forward_hook(keep)
    try:
        yield said
    finally:
        hook.remove()


def nonlinear_share(network: nn.Module, stage: str, inputs: Tensor, changed: Tensor, run: Run) -> np.ndarray:
    """||f(x+d) - f(x) - Jd|| / ||f(x+d) - f(x)|| of each picture, f what a stage says: float64 (n,).

    Jd comes from forward differentiation. A change that moves nothing has the share 0.
    """
    found = []
    # The fused kernels of attention and of recurrent layers have no forward derivative.
    attention = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())
    plain = torch.backends.mkldnn.flags(enabled=False) if recurrent else contextlib.nullcontext()
    with _saying(network, stage) as said, attention, plain, torch.no_grad():
        for x, y in zip(_split(inputs, run), _split(changed, run), strict=True):
            x, y = x.to(run.device), y.to(run.device)
            before, linear = torch.func.jvp(said, (x,), (y - x,))
            moved = said(y) - before
            size = moved.flatten(1).norm(dim=1)
            rest = (moved - linear).flatten(1).norm(dim=1)
            found.append(torch.where(size > 0, rest / size.clamp(min=1e-30), torch.zeros_like(size)).double().cpu())
    return torch.cat(found).numpy()


def nonlinear_shares(
    networks: Sequence[nn.Module], attacked: Attacked, stage: str, run: Run, most: int = 64
) -> dict[str, np.ndarray]:
    """That share at one stage under PGD and equal noise: (networks, pictures) each."""
    return {
        name: np.stack(
            [
                nonlinear_share(net, stage, attacked.inputs[:most], attacked.variants["trained"][i][name][:most], run)
                for i, net in enumerate(networks)
            ]
        )
        for name in ("PGD", "equal noise")
    }


# Attacks aimed at a stage: can the same size move the first one?


def stage_attack(network: nn.Module, stage: str, inputs: Tensor, run: Run, seed: int) -> Tensor:
    """Inputs changed within the attack's size so that what a stage says moves as far as it can, in parts of its own length."""
    found = []
    with _saying(network, stage) as said:
        for number, x in enumerate(inputs.split(at_once(inputs, CHUNK))):
            x = x.to(run.device)
            with torch.no_grad():
                before = said(x).flatten(1).clone()
            scale = before.square().sum(1).clamp(min=1e-12)

            def moved(changed: Tensor, before: Tensor = before, scale: Tensor = scale) -> Tensor:
                return ((said(changed).flatten(1) - before).square().sum(1) / scale).sum()

            hit = attacks.ascend(moved, x, run.attack_size, run.flip_steps, 1000 * seed + number, 0, 1)
            found.append(hit.cpu())
    return torch.cat(found)


def aimed(networks: Sequence[nn.Module], attacked: Attacked, atlas: Atlas) -> dict[str, dict[str, np.ndarray]]:
    """Relative shift of the first unit at every stage when PGD aims at the answer, the first stage or the last.

    Goal and stage to (seeds,), and under "accuracy" the share of pictures still right.
    """
    run, found = atlas.run, {}
    goals = {"the answer": None, atlas.first: atlas.first, atlas.last: atlas.last}
    for goal, stage in goals.items():
        rows: dict[str, list[float]] = {name: [] for name in (*atlas.stages, "accuracy")}
        for i, (network, seed) in enumerate(zip(networks, run.seeds, strict=False)):
            changed = attacked.variants["trained"][i]["PGD"]
            if stage is not None:
                changed = stage_attack(network, stage, attacked.inputs, run, seed)
            codes = maps.collect({"trained": [network]}, _split(changed, run), atlas.stages, run)["trained"][0]
            rows["accuracy"].append(float(is_right(network, changed, attacked.targets).mean()))
            for j in range(i, len(run.seeds), len(networks)):
                for name in atlas.stages:
                    chart, fitted = atlas.charts["trained"][j][name], atlas.fitted["trained"][i][name]
                    after = _units(chart, maps.coded(codes[name], run.coding, fitted), run)[:, 0]
                    before = attacked.units["trained"][j]["clean"][name][:, 0]
                    moved = telescope.unit_shift(before, after, chart.som.grid).mean()
                    rows[name].append(float(moved) / random_distance(before, chart.som.grid))
        found[goal] = {name: np.array(values) for name, values in rows.items()}
    return found
