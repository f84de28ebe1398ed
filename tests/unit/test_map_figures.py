"""The drawings of chapter 03 show the numbers they are given, in order, and can be published."""

import base64
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from drawn import legend, style, ticks  # noqa: F401
from matplotlib.colors import to_hex
from PIL import Image

from innercodes import activations, data, map_figures, models, plots, telescope

GRID = (5, 6)
STAGES = ("input", "conv1", "layer1", "layer3")
SETS = ("fitted", "unseen")
KINDS = ("trained", "untrained", "memorising")


class Maps:
    """Maps of the stages of an untrained network, and where a few digits fall on them."""

    def __init__(self):
        torch.manual_seed(0)
        net = models.cifar_resnet(8, channels=1)
        self.pictures, self.labels, codes, self.units = {}, {}, {}, {}
        for name, split in zip(SETS, ("train", "test"), strict=True):
            digits = data.load("digits", split)
            self.pictures[name], self.labels[name] = digits.inputs[:90], digits.labels[:90]
            codes[name] = activations.collect(
                net, self.pictures[name].split(45), STAGES, activations.vector_codes, total=90
            )
        self.codes = codes["fitted"]
        self.soms = {stage: telescope.fit_som(self.codes[stage].clone(), GRID, 2.0, epochs=2) for stage in STAGES}
        for name in SETS:
            self.units[name] = {s: telescope.best_units(self.soms[s], codes[name][s], 4) for s in STAGES}
        self.centers = {
            s: telescope.class_centers(self.units["fitted"][s], self.labels["fitted"], GRID, 10) for s in STAGES
        }

    def examples(self, label, stages):
        here, units = self.labels["fitted"] == label, self.units["fitted"]
        return {s: (units[s][here], self.centers[s].modes[label], self.centers[s].centers[label]) for s in stages}

    def spreads(self):
        return {
            name: {
                s: telescope.center_offsets(self.units[name][s], self.labels[name], self.centers[s], GRID).numpy()
                for s in STAGES
            }
            for name in SETS
        }

    def densities(self):
        return {name: {s: telescope.density(self.units[name][s], GRID).numpy() for s in STAGES} for name in SETS}

    def explorer(self):
        found = {}
        for stage in STAGES:
            best = self.units["fitted"][stage][:, 0]
            closest = telescope.cosine_distances(self.soms[stage].weights, self.codes[stage]).argmin(-1)
            closest[7] = -1
            found[stage] = {
                "usage": telescope.usage(best, GRID).numpy(),
                "classes": np.array([[f"{row}: {column}" for column in range(6)] for row in range(5)]),
                "picture": closest.numpy(),
            }
        return found


@pytest.fixture(scope="module")
def maps():
    return Maps()


def seeds(*names, low=0.5):
    """Three numbers for each name, all different."""
    return {name: low + np.arange(3) / 10 + i for i, name in enumerate(names)}


COLOURS = torch.rand(3, 30, 3, generator=torch.Generator().manual_seed(0))
EPOCHS = np.array([0, 1, 2, 4, 8])
DRAWN = {
    "colour-maps": lambda maps: map_figures.colour_maps(list(COLOURS), GRID, ["a", "b", "c"]),
    "unfolding": lambda maps: map_figures.unfolding(maps.examples(3, STAGES), GRID),
    "explained": lambda maps: map_figures.explained({
        kind: {s: telescope.explained_variance(maps.codes[s], 8).cumsum(0).numpy() ** (i + 1) for s in STAGES}
        for i, kind in enumerate(KINDS)
    }),
    "losses": lambda maps: map_figures.losses({
        k: {s: maps.soms[s].losses.numpy() * (i + 1) for s in STAGES} for i, k in enumerate(KINDS)
    }),
    "densities": lambda maps: map_figures.densities(maps.densities()),
    "many-densities": lambda maps: map_figures.densities({
        k: {f"blocks.{i}": row["conv1"] for i in range(12)} for k, row in maps.densities().items()
    }),
    "depth-panels": lambda maps: map_figures.depth_panels(
        {k: {side: seeds(*STAGES, low=i + float(side)) for side in ("4", "6")} for i, k in enumerate(KINDS[:2])}, "far"
    ),
    "class-maps": lambda maps: map_figures.class_maps(
        {name: {s: maps.units[name][s][:, 0] for s in STAGES[1:3]} for name in SETS},
        maps.labels, GRID, [3, 0, 8], ["three", "none", "eight"],
    ),
    "depth-boxes": lambda maps: map_figures.depth_boxes(maps.spreads(), "spread", line=2.0, line_label="by chance"),
    "depth-lines": lambda maps: map_figures.depth_lines({k: seeds(*STAGES) for k in KINDS}, "q", True, 1.0, "even"),
    "codings": lambda maps: map_figures.codings({"raw": {"trained": 3.0, "untrained": 0.9}, "other": {"untrained": 2.0}}),
    "forming": lambda maps: map_figures.forming(
        {"q": {s: EPOCHS * (i + 1.0) for i, s in enumerate(STAGES)}, "D": {"layer1": 1.0 - EPOCHS}}, EPOCHS
    ),
    "flips": lambda maps: map_figures.flips(
        np.arange(7.0), np.array([0.1, 0.2, 0.1, np.nan, 0.2, 0.1, np.inf]), [0.1, 0.2, 0.3], "times 2"
    ),
    "cut-bars": lambda maps: map_figures.cut_bars({k: seeds("one", "two") for k in KINDS}, "drop"),
    "noise-labels": lambda maps: map_figures.noise_labels(seeds("0 %", "50 %"), seeds("0 %", "50 %", low=0.1)),
    "explorer": lambda maps: map_figures.explorer(maps.explorer(), maps.pictures["fitted"][:, 0].numpy()),
    "explorer-alone": lambda maps: map_figures.explorer(maps.explorer()),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_published_and_stays_small(name, maps, monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, raw, metadata: shown.append(data))
    plots.show(DRAWN[name](maps), name, "A figure of maps.", "A figure.")
    (found,) = shown
    text = found.get("text/html") or json.dumps(found["application/vnd.plotly.v1+json"])
    assert len(text) < 250_000
    if "text/html" in found:
        # Nothing but the page's ink is black or white.
        assert "#000000" not in text and "#ffffff" not in text and plots.INK not in text


def test_colour_maps_show_the_weights(maps):
    figure = DRAWN["colour-maps"](maps)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    for axes, weights in zip(figure.axes, COLOURS, strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), weights.view(5, 6, 3).numpy(), rtol=1e-6)


def test_unfolding_moves_each_dot_next_to_the_mode(maps):
    examples = maps.examples(3, STAGES)
    figure = DRAWN["unfolding"](maps)
    upper, lower = figure.axes[:4], figure.axes[4:]
    assert [axes.get_title() for axes in upper] == list(STAGES)
    moved = 0
    for above, below, (units, mode, center) in zip(upper, lower, examples.values(), strict=True):
        places = telescope.positions(units.flatten(), GRID).double()
        unfolded = mode + telescope.offsets(places, mode, GRID)
        crossed = (unfolded != places).any(-1)
        moved += int(crossed.sum())
        for axes, at in ((above, places), (below, unfolded)):
            stays, moves = (np.asarray(cloud.get_offsets())[:, ::-1].round() for cloud in axes.collections)
            np.testing.assert_array_equal(stays, at[~crossed])
            np.testing.assert_array_equal(moves.reshape(-1, 2), at[crossed])
            border = axes.patches[0]
            assert (border.get_x(), border.get_y(), border.get_width(), border.get_height()) == (-0.5, -0.5, 6, 5)
            # All dots are inside the panel.
            (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
            dots = np.concatenate([cloud.get_offsets() for cloud in axes.collections])
            assert left < dots[:, 0].min() and dots[:, 0].max() < right
            assert top < dots[:, 1].min() and dots[:, 1].max() < bottom
        assert [line.get_label() for line in below.lines] == ["mode", "centre"]
        np.testing.assert_allclose([below.lines[1].get_ydata()[0], below.lines[1].get_xdata()[0]], center)
    assert moved, "no example crosses the border"


def test_explained_has_a_panel_for_each_kind_and_a_line_for_each_stage(maps):
    figure = DRAWN["explained"](maps)
    assert [axes.get_title() for axes in figure.axes] == list(KINDS)
    assert legend(figure) == list(STAGES)
    values = telescope.explained_variance(maps.codes["layer1"], 8).cumsum(0).numpy()
    line = figure.axes[1].lines[2]
    np.testing.assert_allclose(line.get_ydata(), values**2)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("steps", [1, 7, 5000])
def test_losses_keep_the_mean_in_few_points(log, steps):
    values = np.random.default_rng(0).uniform(1, 2, steps)
    line = map_figures.losses({"trained": {"input": values}}, log).axes[0].lines[0]
    x, y = line.get_xdata(), line.get_ydata()
    assert len(x) <= 200 and (np.diff(x) > 0).all()
    # Each point stands in the middle of the steps it is the mean of.
    ends = [0.0]
    for at in x:
        ends.append(2 * at - 1 - ends[-1])
    assert ends[-1] == pytest.approx(steps)
    assert np.sum(y * np.diff(ends)) == pytest.approx(values.sum())


def test_losses_have_a_panel_for_each_kind_on_one_scale(maps):
    figure = DRAWN["losses"](maps)
    assert [axes.get_title() for axes in figure.axes] == list(KINDS) and legend(figure) == list(STAGES)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    first, third = (axes.lines[2].get_ydata() for axes in (figure.axes[0], figure.axes[2]))
    np.testing.assert_allclose(third, 3 * first)


def test_densities_share_one_scale(maps):
    figure, given = DRAWN["densities"](maps), maps.densities()
    panels = np.array(figure.axes[:8]).reshape(2, 4)
    assert [axes.get_title() for axes in panels[0]] == list(STAGES)
    assert [axes.get_ylabel() for axes in panels[:, 0]] == list(SETS)
    for line, name in zip(panels, SETS, strict=True):
        for axes, stage in zip(line, STAGES, strict=True):
            np.testing.assert_allclose(axes.images[0].get_array(), given[name][stage])
    highest = max(axes.images[0].get_array().max() for axes in panels.flat)
    assert {axes.images[0].get_clim() for axes in panels.flat} == {(0, highest)}


def test_densities_of_many_stages_go_down(maps):
    panels = np.array(DRAWN["many-densities"](maps).axes[:24]).reshape(12, 2)
    assert [axes.get_title() for axes in panels[0]] == list(SETS)
    assert [axes.get_ylabel() for axes in panels[:, 0]] == [f"blocks.{i}" for i in range(12)]


def test_panels_of_lines_share_colours_and_scale(maps):
    figure = DRAWN["depth-panels"](maps)
    left, right = figure.axes
    assert [left.get_title(), right.get_title()] == ["trained", "untrained"] and legend(figure) == ["4", "6"]
    assert left.get_ylim() == right.get_ylim() and left.get_ylabel() == "far" and not right.get_ylabel()
    np.testing.assert_allclose(right.lines[0].get_ydata(), 5.1 + np.arange(4))
    assert [a.get_color() for a in left.lines] == [a.get_color() for a in right.lines]


def test_class_maps_show_the_pictures_of_each_class(maps):
    figure = DRAWN["class-maps"](maps)
    panels = np.array(figure.axes).reshape(4, 3)
    assert [axes.get_title() for axes in panels[0]] == ["three", "none", "eight"]
    rows = [f"{stage}\n{name}" for name in SETS for stage in STAGES[1:3]]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == rows
    for line, (name, stage) in zip(panels, [(n, s) for n in SETS for s in STAGES[1:3]], strict=True):
        for axes, label in zip(line, (3, 0, 8), strict=True):
            best = maps.units[name][stage][maps.labels[name] == label, 0]
            used, counts = best.unique(return_counts=True)
            (cloud,) = axes.collections
            np.testing.assert_array_equal(cloud.get_offsets()[:, ::-1], telescope.positions(used, GRID))
            order = np.argsort(counts.numpy(), kind="stable")
            assert (np.diff(cloud.get_sizes()[order]) >= 0).all()


def test_boxes_stand_at_their_stage_and_have_the_medians(maps):
    figure = DRAWN["depth-boxes"](maps)
    (axes,) = figure.axes
    assert ticks(axes.xaxis) == list(STAGES) and legend(figure) == [*SETS, "by chance"]
    drawn = sorted(
        (float(np.mean(line.get_xdata())), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_color() == plots.INK
    )
    spreads = maps.spreads()
    expected = [np.median(spreads[name][stage]) for stage in STAGES for name in SETS]
    np.testing.assert_allclose([y for _, y in drawn], expected)
    np.testing.assert_allclose([x for x, _ in drawn], [i + shift for i in range(4) for shift in (-0.2, 0.2)])


def test_boxes_leave_out_what_has_no_place():
    values = {"trained": {"input": np.array([np.nan, 0, -1, 2.0, 4.0]), "conv1": np.array([0.0])}}
    (axes,) = map_figures.depth_boxes(values, "spread", log=True).axes
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_color() == plots.INK]
    assert medians == [3] and axes.get_yscale() == "log" and ticks(axes.xaxis) == ["input", "conv1"]


def test_lines_are_means_over_seeds_with_their_span(maps):
    figure = DRAWN["depth-lines"](maps)
    (axes,) = figure.axes
    assert ticks(axes.xaxis) == list(STAGES) and axes.get_yscale() == "log" and legend(figure) == [*KINDS, "even"]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 0.6 + np.arange(4))
    band = axes.collections[1].get_paths()[0].vertices
    assert band[band[:, 0] == 2, 1].min() == pytest.approx(2.5) and band[:, 1].max() == pytest.approx(3.7)


def test_a_kind_has_one_colour_everywhere(maps):
    alone = map_figures.depth_lines({"memorising": seeds("input"), "attack": seeds("input")}, "q").axes[0].lines
    among = DRAWN["depth-lines"](maps).axes[0].lines
    assert alone[0].get_color() == among[2].get_color() == plots.PALETTE[2]
    assert [line.get_color() for line in among[:2]] == list(plots.PALETTE[:2])
    names = ["trained", "untrained", "memorising", "half", "attack", "noise"]
    assert [look["color"] for look in map_figures.looks(names).values()] == list(plots.PALETTE)
    assert len({to_hex(look["color"]) for look in map_figures._depth(f"blocks.{i}" for i in range(12)).values()}) == 12


def test_names_of_many_stages_are_turned():
    many = map_figures.depth_lines({"trained": seeds(*(f"blocks.{i}" for i in range(12)))}, "q").axes[0]
    few = map_figures.depth_lines({"trained": seeds(*STAGES)}, "q").axes[0]
    assert many.get_xticklabels()[0].get_rotation() > 0 and few.get_xticklabels()[0].get_rotation() == 0


def test_codings_are_dots_on_their_lines(maps):
    figure = DRAWN["codings"](maps)
    (axes,) = figure.axes
    assert ticks(axes.yaxis) == ["raw", "other"] and legend(figure) == ["trained", "untrained"]
    trained, untrained, one = axes.lines
    assert list(trained.get_xdata()) == [3.0] and list(untrained.get_xdata()) == [0.9, 2.0]
    assert list(np.round(untrained.get_ydata())) == [0, 1] and list(one.get_xdata()) == [1, 1]


def test_forming_has_a_panel_for_each_quantity(maps):
    figure = DRAWN["forming"](maps)
    left, right = figure.axes
    assert [left.get_ylabel(), right.get_ylabel()] == ["q", "D"] and legend(figure) == list(STAGES)
    np.testing.assert_array_equal(left.lines[3].get_ydata(), 4 * EPOCHS)
    np.testing.assert_array_equal(right.lines[0].get_xdata(), EPOCHS)
    # A stage has its colour in all panels, also where others are missing.
    assert left.lines[2].get_color() == right.lines[0].get_color()
    assert ticks(left.xaxis)[0] == "0" and ticks(left.xaxis)[-1] == "8"


def test_flips_count_the_pictures_of_each_size(maps):
    (axes,) = DRAWN["flips"](maps).axes
    assert ticks(axes.xaxis) == ["0.1\n(3)", "0.2\n(2)", "0.3\n(0)", "none\n(1)"]
    dots = [sorted(cloud.get_offsets()[:, 1].tolist()) for cloud in axes.collections]
    assert dots == [[0, 2, 5], [1, 4], [], [6]]
    assert [line.get_ydata()[0] for line in axes.lines if line.get_color() == plots.INK] == [2, 2.5, 6]


def test_cuts_are_means_with_their_span(maps):
    figure = DRAWN["cut-bars"](maps)
    (axes,) = figure.axes
    assert ticks(axes.xaxis) == ["one", "two"] and legend(figure) == list(KINDS)
    np.testing.assert_allclose(axes.lines[2].get_ydata(), [0.6, 1.6])
    np.testing.assert_allclose(axes.collections[2].get_segments()[1][:, 1], [1.5, 1.7])
    assert list(axes.lines[3].get_ydata()) == [0, 0]
    x = np.array([line.get_xdata() for line in axes.lines[:3]])
    assert (np.diff(x, axis=0) > 0.1).all() and list(x.round().mean(0)) == [0, 1]


def test_a_dot_for_each_network(maps):
    figure = DRAWN["noise-labels"](maps)
    clean, noisy = figure.axes[0].collections
    np.testing.assert_allclose(clean.get_offsets(), [[0.5, 0.1], [0.6, 0.2], [0.7, 0.3]])
    np.testing.assert_allclose(noisy.get_offsets()[0], [1.5, 1.1])
    assert legend(figure) == ["0 %", "50 %"]
    # Far units are diverse codes: "homogeneity" would be the opposite.
    assert figure.axes[0].get_xlabel() == "diversity q at CL1 (unit distance / loss)"
    assert to_hex(clean.get_facecolor()[0]) == plots.PALETTE[0] and to_hex(noisy.get_facecolor()[0]) == plots.PALETTE[3]


def test_the_explorer_switches_stages(maps):
    figure, given = DRAWN["explorer"](maps), maps.explorer()
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == [f"stage: {stage}" for stage in STAGES]
    for i, (button, stage) in enumerate(zip(menu.buttons, STAGES, strict=True)):
        shown = [trace for trace, here in zip(figure.data, button.args[0]["visible"], strict=True) if here]
        assert [type(trace) for trace in shown] == [go.Heatmap, go.Image, go.Heatmap]
        assert {trace.name for trace in shown} == {stage} and shown[2].opacity == 0
        assert {trace.visible for trace in shown} == {i == 0}
        np.testing.assert_array_equal(shown[0].z, given[stage]["usage"])
        assert shown[0].text[4][2] == shown[2].text[4][2] == "of class 4: 2"
    assert len(map_figures.explorer(given).data) == len(STAGES)


def test_the_mosaic_shows_the_closest_pictures(maps):
    figure, given, pictures = DRAWN["explorer"](maps), maps.explorer(), maps.pictures["fitted"][:, 0].numpy()
    image = figure.data[4]
    assert image.name == "conv1"
    address, text = image.source.split(",")
    assert address == "data:image/png;base64"
    mosaic = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
    assert mosaic.shape == (5 * 8, 6 * 8, 2)
    for unit, picture in enumerate(given["conv1"]["picture"]):
        row, column = divmod(unit, 6)
        tile = mosaic[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        if picture < 0:
            assert unit == 7 and not tile.any()
        else:
            assert (tile[..., 1] == 255).all()
            ground = tile[..., 0].max()
            np.testing.assert_allclose(tile[..., 0], ground + pictures[picture] * (20.0 - ground), atol=0.51)
    # Pixels in units of the map: its first and last one end at the map's border.
    assert image.x0 - image.dx / 2 == -0.5 and image.y0 + (39.5) * image.dy == pytest.approx(4.5)


def test_the_explorer_of_a_large_map_stays_small():
    generator = np.random.default_rng(0)
    one = {
        "usage": generator.integers(0, 90, (20, 20)),
        "classes": np.full((20, 20), "3: 12, 5: 2, 8: 1, 9: 1"),
        "picture": generator.integers(0, 50, 400),
    }
    figure = map_figures.explorer({f"layer{i}": one for i in range(5)}, generator.integers(0, 17, (50, 8, 8)))
    assert len(figure.to_json()) < 400_000
