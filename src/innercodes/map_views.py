"""What the figures of chapter 03 show: numbers read off an atlas of maps, and off maps of other pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import maps, telescope
from innercodes.depth import BOTH, Atlas, class_means, picture_spread, shuffled, shuffled_spread
from innercodes.fragility import FLIPS, Flips
from innercodes.maps import Codes, StageMap
from innercodes.parameters import Run
from innercodes.pictures import Pictures


def snapshot_due(epoch: int, epochs: int) -> bool:
    """Whether to look at a network in training after this epoch: before the first (-1), then at 1, 2, 4, 8 ... and the last."""
    done = epoch + 1
    return done == 0 or done & (done - 1) == 0 or done == epochs


def forming(
    snapshots: Sequence[Codes], labels: Tensor, run: Run, stages: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Unit distance over loss, and relative class spread, of each snapshot's codes: panel and stage to (snapshots,)."""
    apart, spread = ({stage: [] for stage in stages} for _ in range(2))
    for codes in snapshots:
        for stage in stages:
            own = maps.coded(codes[stage], run.coding)
            chart = maps.chart(own, own[:1], run, run.seed)
            apart[stage].append(chart.relative_distance)
            spread[stage].append(
                float(class_means(picture_spread(chart, labels)[0], labels).mean()) / shuffled_spread(chart, labels)
            )
    return {
        name: {stage: np.array(values) for stage, values in rows.items()}
        for name, rows in (("unit distance / loss", apart), ("class spread / shuffled", spread))
    }


def first_maps(atlas: Atlas, gaussian: Sequence[Mapping[str, StageMap]]) -> dict[str, dict[str, StageMap]]:
    """Each stage's map of the first seed: of the trained network, of its untrained twin and of Gaussian codes."""
    rows = {kind: atlas.charts[kind][0] for kind in BOTH} | {"Gaussian codes": gaussian[0]}
    return {kind: {stage: row[stage] for stage in atlas.stages} for kind, row in rows.items()}


def densities(charts: Mapping[str, Mapping[str, StageMap]]) -> dict[str, dict[str, np.ndarray]]:
    """Density of the best units on each map, times 100, by kind and stage; unsmoothed where they lie on one line."""
    return {kind: {stage: _density(chart) for stage, chart in row.items()} for kind, row in charts.items()}


def _density(chart: StageMap) -> np.ndarray:
    units, grid = chart.fitted[:, 0], chart.som.grid
    try:
        return telescope.density(units, grid).numpy()
    except ValueError:
        return 100 * telescope.usage(units, grid).double().numpy() / len(units)


def used(chart: StageMap, chosen: Tensor | None = None) -> int:
    """How many units are the best one of a fitted picture, of all or of those that `chosen` bool (N,) says."""
    units = chart.fitted[:, 0]
    return len((units if chosen is None else units[chosen]).unique())


def crossing(examples: Mapping[str, tuple[Tensor, Tensor, Tensor]], grid: int | tuple[int, int]) -> dict[str, float]:
    """The share of a class's best units that unfolding moves over the border, for each stage of `map_figures.unfolding`."""
    found = {}
    for stage, (units, mode, _) in examples.items():
        places = telescope.positions(units.flatten(), grid).double()
        moved = mode + telescope.offsets(places, mode, grid)
        found[stage] = float((moved != places).any(-1).double().mean())
    return found


def chance_spread(atlas: Atlas) -> float:
    """The spread of classes of the fitted pictures' sizes whose units lie anywhere on the run's maps, in grid units."""
    chart = atlas.charts["trained"][0][atlas.first]
    counts = atlas.labels.bincount()
    return telescope.chance_spread(chart.som.grid, counts[counts > 0].tolist(), chart.fitted.shape[1], atlas.run.seed)


def spread_table(atlas: Atlas) -> dict[str, dict[str, np.ndarray]]:
    """The spread of every class in grid units, all seeds together: set and stage to (classes * seeds,)."""
    mixed = shuffled(atlas.labels)
    sets = {
        "trained": ("trained", atlas.labels, None),
        "trained, unseen": ("trained", atlas.labels, atlas.unseen_labels),
        "untrained": ("untrained", atlas.labels, None),
        "shuffled labels": ("trained", mixed, None),
    }
    return {
        name: {
            stage: np.concatenate(
                [
                    class_means(picture_spread(charts[stage], labels, others)[0], labels if others is None else others)
                    for charts in atlas.charts[kind]
                ]
            )
            for stage in atlas.stages
        }
        for name, (kind, labels, others) in sets.items()
    }


def coding_table(
    codings: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], pixels: np.ndarray
) -> dict[str, dict[str, float]]:
    """q of the pixels and, by kind and stage, under every coding, means over seeds of `depth.coding_distances`."""
    means = {
        coding: {f"{kind}, {stage}": float(q.mean()) for kind, row in kinds.items() for stage, q in row.items()}
        for coding, kinds in codings.items()
    }
    return {coding: {"pixels": float(pixels[:, 0].mean())} | row for coding, row in means.items()}


def flip_medians(flips: Flips, size: float) -> dict[str, tuple[float, int]]:
    """Median distance to another class at the first stage and number of pictures, for each smallest attack in units of `size`.

    Sizes at which no picture flips are left out; the last are the pictures that no attack flips. As in the figure, pictures on
    a map without another class, whose distance is infinite, do not count.
    """
    known = ~np.isnan(flips.sizes) & np.isfinite(flips.distances["first stage"])
    sizes, away = flips.sizes[known] / size, flips.distances["first stage"][known]
    groups = {f"{share:g}": np.isclose(sizes, share) for share in FLIPS} | {"never": np.isinf(sizes)}
    return {name: (float(np.median(away[one])), int(one.sum())) for name, one in groups.items() if one.any()}


def right_and_wrong(atlas: Atlas, right: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Distance of unseen pictures to the centre of their class, those the network gets right and wrong, all seeds."""
    found: dict[str, dict[str, np.ndarray]] = {"right": {}, "wrong": {}}
    for stage in atlas.stages:
        away = [picture_spread(c[stage], atlas.labels, atlas.unseen_labels)[0].numpy() for c in atlas.charts["trained"]]
        together = np.concatenate(away)
        good = np.concatenate([right[i % len(right)] for i in range(len(away))])
        found["right"][stage], found["wrong"][stage] = together[good], together[~good]
    return found


def random_pixels(inputs: Tensor, count: int) -> list[Tensor]:
    """Pictures of uniform noise, as many and as large as `inputs`: one set for each of `count` networks."""
    return [torch.rand(inputs.shape, generator=torch.Generator().manual_seed(number)) for number in range(count)]


def codes_of(
    networks: Sequence[nn.Module], inputs: Mapping[str, Sequence[Tensor]], stages: Sequence[str], run: Run
) -> dict[str, list[Codes]]:
    """Codes of sets of inputs, each with one tensor for each network."""
    return {
        name: [
            maps.collect({name: [network]}, list(own.split(64)), stages, run)[name][0]
            for network, own in zip(networks, rows, strict=True)
        ]
        for name, rows in inputs.items()
    }


def strangeness(atlas: Atlas, others: Mapping[str, Sequence[Codes]]) -> dict[str, dict[str, np.ndarray]]:
    """Mean distance to the best unit over that of the fitted pictures, trained maps: name and stage to (seeds,).

    `others` holds codes of other pictures for each trained network.
    """
    rows = {"unseen": atlas.unseen["trained"]} | dict(others)
    return {
        name: {
            stage: np.array(
                [
                    telescope.mean_loss(
                        charts[stage].som,
                        maps.coded(
                            members[i % len(members)][stage],
                            atlas.run.coding,
                            atlas.fitted["trained"][i % len(members)][stage],
                        ).to(atlas.run.device),
                    )
                    / charts[stage].loss
                    for i, charts in enumerate(atlas.charts["trained"])
                ]
            )
            for stage in atlas.stages
        }
        for name, members in rows.items()
    }


def explored(atlas: Atlas, pictures: Pictures) -> dict[str, dict[str, Any]]:
    """What the explorer shows of the first seed's trained maps: use, class counts and the closest picture of each unit."""
    found = {}
    for stage in atlas.stages:
        chart = atlas.charts["trained"][0][stage]
        m, n = chart.som.grid
        codes = atlas.codes("trained", 0, stage)
        nearest = telescope.cosine_distances(chart.som.weights.cpu(), codes).argmin(1)
        words = np.full(m * n, "", dtype=object)
        for unit in range(m * n):
            counts = torch.bincount(atlas.labels[chart.fitted[:, 0] == unit], minlength=len(pictures.names))
            top = counts.argsort(descending=True, stable=True)[:4]
            words[unit] = ", ".join(f"{pictures.names[c]}: {int(counts[c])}" for c in top if counts[c])
        found[stage] = {
            "usage": telescope.usage(chart.fitted[:, 0], chart.som.grid).numpy(),
            "classes": words.reshape(m, n),
            "picture": nearest.numpy(),
        }
    return found


def thumbnails(pictures: Pictures) -> np.ndarray:
    """Embedded pictures in grey, (N, H, W). Raises ValueError for others: they are not to be shown."""
    if not pictures.embedded:
        raise ValueError("only pictures that come with the packages are shown")
    return pictures.tensors()[0].mean(1).numpy()
