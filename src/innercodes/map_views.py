"""What the figures of chapter 03 show: numbers read off an atlas of maps, and off maps of other pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from innercodes import maps, telescope
from innercodes.depth import Atlas, class_means, picture_spread, shuffled, shuffled_spread
from innercodes.maps import Codes
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


def densities(atlas: Atlas) -> dict[str, np.ndarray]:
    """Density of the best units on each trained map of the first seed, times 100; unsmoothed where they lie on one line."""
    found = {}
    for stage in atlas.stages:
        chart = atlas.charts["trained"][0][stage]
        units, grid = chart.fitted[:, 0], chart.som.grid
        try:
            found[stage] = telescope.density(units, grid).numpy()
        except ValueError:
            found[stage] = 100 * telescope.usage(units, grid).double().numpy() / len(units)
    return found


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
