"""The drawings of chapter 04 show the numbers they are given, and can be published."""

import numpy as np
import plotly.graph_objects as go
import pytest
from drawn import check_published, check_texts, legend, line, style, ticks  # noqa: F401
from matplotlib.colors import to_hex

from innercodes import code_figures, plots

RANDOM = np.random.default_rng(0)
DENSITY = np.geomspace(1, 100, 13)
MEASURED = DENSITY**-0.8 * RANDOM.uniform(0.9, 1.1, (3, 13))
PREDICTED = {"R, 16 bits": DENSITY**-0.95, "1 − S": 1 / DENSITY}
DIMENSIONS = np.clip(RANDOM.normal(1.2 / DENSITY[:, None], 0.03, (13, 100)), 0, 1)
HAND = [
    ("no redundancy", np.array([1, 0, 1]), np.array([1, -1, 1]), "1 ? 1"),
    ("repetition", np.array([1, 1, 1]), np.array([1, -1, 1]), "1"),
    ("parity check", np.array([1, 0, 1]), np.array([1, -1, 1]), "1 0, corrected"),
]
LAYERS = np.arange(1, 21)
RATES = (0.1, 0.2, 0.4, 0.6, 0.8)
LEFT = {f"D = {rate:g}": (1 - rate) ** LAYERS for rate in RATES}
CORRECTED = {f"D = {rate:g}": np.full(20, 1 - rate) for rate in RATES}
SIMULATED = {name: values + 0.01 for name, values in LEFT.items()}
RECOVERED = {
    "no redundancy": 0.8**LAYERS / 3,
    "repetition": np.exp(-LAYERS / 3.0),
    "linear, corrected": np.full(20, 0.999),
    "linear, corrected once": np.where(LAYERS < 2, 1.0, 0.0),
}
BITS = np.arange(1, 7)
HIGH = (1 - np.array(RATES)[:, None]) * BITS
LOW = HIGH + (1 - np.array(RATES)[:, None]) * np.log2(1 - 2.0**-BITS)
EXACT = 0.3 * LOW + 0.7 * HIGH
NAMES = (
    ["pixels", "act1"] + [f"layer{i}.{j}.act{k}" for i in range(1, 5) for j in (0, 1) for k in (1, 2)] + ["fc1", "fc2"]
)
LONG = np.arange(1, 1001)
SPECTRA = {name: (3.0 + i) * LONG ** (-0.6 - 0.05 * i) for i, name in enumerate(NAMES)}
LINES = {name: (-0.6 - 0.05 * i, np.log(3.0 + i)) for i, name in enumerate(NAMES)}
BY_RATE = {
    layer: {f"dropout {rate:g}": 2 * LONG ** (-0.8 - rate) for rate in (0, 0.4, 0.6, 0.8)}
    for layer in ("early: act1", "middle: layer2.1.act2", "late: fc1")
}
COUNTS = np.array([250, 500, 1000, 2000, 4000])
CURVES = {
    "power law −1": -1 + 50 / COUNTS,
    "power law −1, debiased": np.array([np.nan, -0.98, -0.99, -1, -1]),
    "layer1": -0.7 + 90 / COUNTS,
    "layer1, debiased": np.array([np.nan, -0.65, -0.68, -0.69, -0.7]),
}
RANKS = (1, 2, 3, 5, 10, 20, 50)
FILTERS = {
    name: RANDOM.normal(size=(7, size, size)) for name, size in (("trained", 32), ("untrained", 32), ("pixels", 64))
}
SMOOTH = np.sin(np.arange(64) / 9)[:, None] * np.cos(np.arange(64) / 7) / 2 + 0.5
SCENES = {name: np.broadcast_to(SMOOTH, (6, 3, 64, 64)) for name in ("scenes", "dropout 0", "dropout 0.8", "untrained")}
TURN = np.linspace(0, 2 * np.pi, 100, endpoint=False)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN), 0 * TURN], 1)
PATHS = {
    name: CIRCLE + RANDOM.normal(size=(100, 3)) * rough
    for name, rough in zip(("pixels", "act1", "layer2.1", "layer4.1", "fc1"), (0.9, 0.4, 0.2, 0.1, 0.02), strict=True)
}
X = {f"dropout {rate:g}": RANDOM.uniform(-1.6, -0.4, 17) for rate in (0, 0.4, 0.6, 0.8)}
Y = {name: np.exp(2 * values + RANDOM.normal(size=17) / 3) for name, values in X.items()}
CLOUD = {"trained": RANDOM.normal(size=4000), "untrained": RANDOM.normal(size=4000) + 1}
NOISE = {name: RANDOM.normal(size=4000) for name in CLOUD}
SCORES = {"neurons": RANDOM.normal(0.3, 0.05, (12, 200)), "projections": RANDOM.normal(0.1, 0.05, (12, 200))}
ALPHA = {"trained": RANDOM.uniform(-0.9, -0.5, 12), "random weights": RANDOM.uniform(-0.4, -0.2, 12)}
BELOW, ABOVE = {"trained": ALPHA["trained"] - 0.05}, {"trained": ALPHA["trained"] + 0.08}
TOKENS = [
    " Return",
    " the",
    " mean",
    " of",
    " $x$",
    " and",
    "\n",
    " eigen",
    "values",
    " 漢",
    " internationalisation",
    ",",
] * 5
ALPHAS = np.round(np.arange(-0.5, -2.05, -0.25), 2)
SLOPES = np.arange(1, 201) ** ALPHAS[:, None]
TURNS = np.stack([CIRCLE[:, :2] * 3 + rough * RANDOM.normal(size=(100, 2)) for rough in np.linspace(3, 0, len(ALPHAS))])
DRAWN = {
    "survival-by-hand": lambda: code_figures.survival_by_hand(HAND),
    "compression": lambda: code_figures.compression(DENSITY, MEASURED, PREDICTED),
    "feature-dimensions": lambda: code_figures.feature_dimensions(DENSITY, DIMENSIONS),
    "capacities": lambda: code_figures.capacities(LAYERS, LEFT, CORRECTED, SIMULATED),
    "survival": lambda: code_figures.survival(LAYERS, RECOVERED),
    "dropout-capacity": lambda: code_figures.dropout_capacity(BITS, RATES, LOW, HIGH, EXACT),
    "ideal-spectra": lambda: code_figures.ideal_spectra(
        {"linear code": np.repeat([1.0, 0], [4, 3]), "all parities": np.ones(7), "dense": np.ones(4)}
    ),
    "spectra-by-depth": lambda: code_figures.spectra_by_depth(SPECTRA, LINES, (10, 50)),
    "spectra-by-rate": lambda: code_figures.spectra_by_rate(BY_RATE),
    "bias": lambda: code_figures.bias(COUNTS, CURVES, {"power law −1": -1.0}),
    "eigenfilters": lambda: code_figures.eigenfilters(FILTERS, RANKS),
    "pictures": lambda: code_figures.pictures(SCENES),
    "paths": lambda: code_figures.paths(PATHS),
    "scatter": lambda: code_figures.scatter(
        X, Y, "α", "action / largest variance", logy=True, vline=-1.0, band=(-1.2, -0.8), vline_label="α = −1", band_label="break"
    ),
    "scatter-cloud": lambda: code_figures.scatter(CLOUD, NOISE, "action", "variance explained"),
    "scores-by-layer": lambda: code_figures.scores_by_layer(SCORES),
    "alphas-by-layer": lambda: code_figures.alphas_by_layer(ALPHA, BELOW, ABOVE),
    "response": lambda: code_figures.response(TOKENS, np.sin(np.arange(60) / 4)),
    "explorer": lambda: code_figures.explorer(ALPHAS, SLOPES, TURNS),
}  # fmt: skip
STILL = [name for name in DRAWN if name != "explorer"]


def band(collection, x):
    """The ends of a filled band at one x."""
    vertices = np.concatenate([path.vertices for path in collection.get_paths()])
    here = vertices[np.isclose(vertices[:, 0], x), 1]
    return here.min(), here.max()


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_published_and_stays_small(name, monkeypatch):
    check_published(DRAWN[name], name, monkeypatch, 150_000)


@pytest.mark.parametrize("name", STILL)
def test_no_text_lies_on_other_text_or_beyond_the_border(name):
    check_texts(DRAWN[name]())


def test_neurons_by_hand_say_their_bits():
    (axes,) = DRAWN["survival-by-hand"]().axes
    texts = [text.get_text() for text in axes.texts]
    assert len(axes.patches) == 18
    expected = []
    for name, sent, received, read in HAND:
        bits = ["×" if bit < 0 else str(bit) for bit in (*sent, *received)]
        expected += [name, *bits, "", "", read]
    assert texts == [*expected, "sent", "received", "read"]
    # The bits of a row stand in its circles from left to right; one that is erased has a dashed circle.
    for row, (_, sent, received, _) in enumerate(HAND):
        circles = axes.patches[6 * row : 6 * row + 6]
        centers = np.array([circle.center for circle in circles])
        assert (np.diff(centers[:, 0]) > 0.9).all() and len(set(centers[:, 1])) == 1 and centers[0, 1] > row - 0.01
        assert [circle.get_linestyle() != "-" for circle in circles] == [bit < 0 for bit in (*sent, *received)]
        assert [circle.get_fill() and circle.get_facecolor()[3] > 0 for circle in circles] == [
            bit == 1 for bit in (*sent, *received)
        ]


def test_compression_is_a_mean_over_seeds_with_its_span():
    figure = DRAWN["compression"]()
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert legend(figure) == ["measured D*", *PREDICTED]
    measured = line(axes, "measured D*")
    np.testing.assert_allclose(measured.get_xdata(), DENSITY)
    np.testing.assert_allclose(measured.get_ydata(), MEASURED.mean(0))
    assert band(axes.collections[0], DENSITY[4]) == pytest.approx((MEASURED[:, 4].min(), MEASURED[:, 4].max()))
    for name, values in PREDICTED.items():
        np.testing.assert_allclose(line(axes, name).get_ydata(), values)
    dotted = [one.get_ydata()[0] for one in axes.lines if one.get_linestyle() == ":"]
    assert dotted == [1, 0.5] and [text.get_text() for text in axes.texts] == ["plateau 1", "plateau 1/2"]
    # One seed alone is drawn too.
    alone = code_figures.compression(DENSITY, MEASURED[0], {}).axes[0]
    np.testing.assert_allclose(line(alone, "measured D*").get_ydata(), MEASURED[0])


def test_feature_dimensions_stand_at_their_sparsity():
    values = DIMENSIONS.copy()
    values[2, :5] = np.nan
    (axes,) = code_figures.feature_dimensions(DENSITY, values).axes
    assert len(axes.collections) == 13
    for i, cloud in enumerate(axes.collections):
        x, y = cloud.get_offsets().T
        np.testing.assert_allclose(y, values[i][~np.isnan(values[i])])
        # Clouds of neighbours do not mix.
        assert np.abs(np.log(x / DENSITY[i])).max() < np.log(DENSITY[1] / DENSITY[0]) / 2
        assert cloud.get_rasterized()
    few = code_figures.feature_dimensions(DENSITY[:2], DIMENSIONS[:2, :50]).axes[0]
    assert not few.collections[0].get_rasterized()


def test_capacities_share_their_axis_and_colours():
    figure = DRAWN["capacities"]()
    without, corrected = figure.axes
    assert without.get_ylim() == corrected.get_ylim() and legend(figure) == list(LEFT)
    for name in LEFT:
        np.testing.assert_allclose(line(without, name).get_ydata(), LEFT[name])
        np.testing.assert_allclose(line(corrected, name).get_ydata(), CORRECTED[name])
        assert line(without, name).get_color() == line(corrected, name).get_color()
    dots = [one for one in without.lines if one.get_linestyle() == "None" and len(one.get_xdata())]
    for one, name in zip(dots, SIMULATED, strict=True):
        np.testing.assert_allclose(one.get_xydata(), np.stack([LAYERS, SIMULATED[name]], 1))
        assert one.get_color() == line(without, name).get_color()
    assert without.get_title() == "no correction (dots: simulated)"
    assert code_figures.capacities(LAYERS, LEFT, CORRECTED, {}).axes[0].get_title() == "no correction"


def test_survival_has_a_line_for_each_code():
    figure = DRAWN["survival"]()
    (axes,) = figure.axes
    assert legend(figure) == list(RECOVERED)
    for name, values in RECOVERED.items():
        np.testing.assert_allclose(line(axes, name).get_xydata(), np.stack([LAYERS, values], 1))
    assert len({str(one.get_markevery()) for one in axes.lines}) > 1


def test_dropout_capacity_is_what_lies_below_the_upper_bound():
    figure = DRAWN["dropout-capacity"]()
    (axes,) = figure.axes
    names = [f"D = {rate:g}" for rate in RATES]
    assert legend(figure) == ["upper bound", *names, "exact"]
    dots = [one for one in axes.lines if one.get_linestyle() == "None" and len(one.get_xdata())]
    for i, name in enumerate(names):
        np.testing.assert_allclose(line(axes, name).get_ydata(), (LOW - HIGH)[i])
        np.testing.assert_allclose(dots[i].get_ydata(), (EXACT - HIGH)[i])
        assert dots[i].get_color() == line(axes, name).get_color()
    assert axes.get_yscale() == "symlog" and ticks(axes.yaxis)[-1] == "0"
    # A capacity above the upper bound, which would be an error elsewhere, is not hidden.
    broken = code_figures.dropout_capacity(BITS, RATES, LOW, HIGH, HIGH + 0.1).axes[0]
    assert broken.get_ylim()[1] > 0.09


def test_ideal_spectra_are_steps():
    figure = DRAWN["ideal-spectra"]()
    assert [axes.get_title() for axes in figure.axes] == ["linear code", "all parities", "dense"]
    values, edges, _ = figure.axes[0].patches[1].get_data()
    np.testing.assert_array_equal(values, [1, 1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(edges, np.arange(8) + 0.5)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_spectra_are_over_their_largest_with_the_fit_in_the_window():
    figure = DRAWN["spectra-by-depth"]()
    (axes,) = figure.axes
    assert legend(figure)[1] == "act1: α = −0.65" and len(legend(figure)) == len(NAMES)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    curves, fits = axes.lines[::2], axes.lines[1::2]
    for i, (name, curve, fit) in enumerate(zip(NAMES, curves, fits, strict=True)):
        ranks, values = curve.get_data()
        assert len(ranks) <= 200 and ranks[0] == 1 and ranks[-1] == 1000
        np.testing.assert_allclose(values, SPECTRA[name][ranks - 1] / SPECTRA[name][0])
        # These spectra are power laws: the fit lies on the curve.
        np.testing.assert_allclose(fit.get_xdata(), [10, 50])
        np.testing.assert_allclose(fit.get_ydata(), np.array([10.0, 50]) ** (-0.6 - 0.05 * i), rtol=1e-6)
        assert fit.get_color() == plots.INK
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (10, 50)
    assert len({to_hex(curve.get_color()) for curve in curves}) > 15


def test_spectra_leave_out_what_a_log_axis_has_not():
    figure = code_figures.spectra_by_depth({"a": np.array([4.0, 2.0, 0.0])}, {}, (1, 2))
    (curve,) = figure.axes[0].lines
    np.testing.assert_array_equal(curve.get_xydata(), [[1, 1], [2, 0.5]])
    assert legend(figure) == ["a"]


def test_a_panel_for_each_layer_and_a_line_for_each_rate():
    figure = DRAWN["spectra-by-rate"]()
    assert [axes.get_title() for axes in figure.axes] == list(BY_RATE)
    rates = list(BY_RATE["late: fc1"])
    assert legend(figure) == rates
    for axes, curves in zip(figure.axes, BY_RATE.values(), strict=True):
        for rate, values in curves.items():
            drawn = line(axes, rate)
            np.testing.assert_allclose(drawn.get_ydata(), values[drawn.get_xdata() - 1] / values[0])
        assert len({str(one._dash_pattern) for one in axes.lines}) == 4
    # A rate keeps its colour where a panel lacks another one.
    part = {"a": BY_RATE["late: fc1"], "b": {rates[2]: LONG**-1.0}}
    first, second = code_figures.spectra_by_rate(part).axes
    assert second.lines[0].get_color() == line(first, rates[2]).get_color()


def test_debiased_curves_are_dashed_in_the_colour_of_their_own():
    figure = DRAWN["bias"]()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and legend(figure) == [*CURVES, "truth"]
    assert ticks(axes.xaxis) == ["250", "500", "1000", "2000", "4000"]
    for name, values in CURVES.items():
        np.testing.assert_array_equal(line(axes, name).get_ydata(), values)
    for name in ("power law −1", "layer1"):
        plain, dashed = line(axes, name), line(axes, f"{name}, debiased")
        assert plain.get_linestyle() == "-" and dashed.get_linestyle() == "--"
        assert plain.get_color() == dashed.get_color()
    assert line(axes, "layer1").get_color() != line(axes, "power law −1").get_color()
    dotted = [one for one in axes.lines if one.get_linestyle() == ":" and len(one.get_ydata())]
    assert [(one.get_ydata()[0], one.get_color()) for one in dotted] == [(-1, line(axes, "power law −1").get_color())]


def test_each_eigenfilter_has_its_own_scale():
    figure = DRAWN["eigenfilters"]()
    panels = np.array(figure.axes).reshape(3, 7)
    assert [axes.get_title() for axes in panels[0]] == [str(rank) for rank in RANKS]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == list(FILTERS)
    for row, maps in zip(panels, FILTERS.values(), strict=True):
        for axes, values in zip(row, maps, strict=True):
            (image,) = axes.images
            if len(values) > 40:
                values = values.reshape(32, 2, 32, 2).mean((1, 3))
            np.testing.assert_allclose(image.get_array(), values, atol=1e-12)
            assert image.get_clim() == pytest.approx((-np.abs(values).max(), np.abs(values).max()))
    # A map of zeros, of a dead unit, has the colour of 0.
    image = code_figures.eigenfilters({"a": np.zeros((1, 4, 4))}, [1]).axes[0].images[0]
    assert image.get_clim() == (-1, 1)


@pytest.mark.parametrize("frames", [100, 24, 7])
def test_a_path_is_drawn_whole_and_closed(frames):
    rows = {name: path[:frames] for name, path in PATHS.items()}
    figure = code_figures.paths(rows)
    panels = figure.axes[: len(rows)]
    assert [axes.get_title() for axes in panels] == list(rows)
    for axes, path in zip(panels, rows.values(), strict=True):
        (lines,) = axes.collections
        pieces = lines.get_segments()
        joined = np.concatenate([pieces[0][:1], *(piece[1:] for piece in pieces)])
        np.testing.assert_allclose(joined, np.concatenate([path[:, :2], path[:1, :2]]))
        assert len(pieces) == min(frames, 24) == len({tuple(colour) for colour in lines.get_colors()})
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < joined[:, 0].min() and joined[:, 0].max() < right
        assert bottom < joined[:, 1].min() and joined[:, 1].max() < top
        assert right - left == pytest.approx(top - bottom)


def test_a_path_that_stands_still_can_be_drawn():
    (axes, _) = code_figures.paths({"dead": np.zeros((10, 3))}).axes
    assert axes.get_xlim() == (-1, 1)


def test_scatter_draws_each_group_the_line_and_the_band():
    figure = DRAWN["scatter"]()
    (axes,) = figure.axes
    assert legend(figure) == ["break", "α = −1", *X]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    for cloud, name in zip(axes.collections, X, strict=True):
        np.testing.assert_allclose(cloud.get_offsets(), np.stack([X[name], Y[name]], 1))
        assert not cloud.get_rasterized()
    assert len({to_hex(cloud.get_facecolor()[0]) for cloud in axes.collections}) == 4
    assert list(axes.lines[0].get_xdata()) == [-1, -1]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == pytest.approx((-1.2, -0.8))
    cloud = DRAWN["scatter-cloud"]().axes[0]
    assert all(group.get_rasterized() for group in cloud.collections) and not cloud.patches and not cloud.lines
    both = code_figures.scatter(Y, X, "x", "y", logx=True).axes[0]
    assert (both.get_xscale(), both.get_yscale()) == ("log", "linear")


def test_scores_are_means_with_an_interval_over_draws():
    scores = {kind: values.copy() for kind, values in SCORES.items()}
    scores["neurons"][4, :10] = np.nan
    figure = code_figures.scores_by_layer(scores)
    (axes,) = figure.axes
    assert legend(figure) == list(SCORES)
    for one, cloud, values in zip(axes.lines, axes.collections, scores.values(), strict=True):
        np.testing.assert_array_equal(one.get_xdata(), np.arange(1, 13))
        np.testing.assert_allclose(one.get_ydata(), [row[~np.isnan(row)].mean() for row in values])
        inside = np.sort(values[4][~np.isnan(values[4])])
        low, high = band(cloud, 5)
        assert np.mean((inside >= low) & (inside <= high)) == pytest.approx(0.95, abs=0.01)
        assert np.mean(inside < low) == pytest.approx(np.mean(inside > high), abs=0.01)


def test_alphas_have_their_interval_and_the_line_at_minus_one():
    figure = DRAWN["alphas-by-layer"]()
    (axes,) = figure.axes
    for name, values in ALPHA.items():
        np.testing.assert_allclose(line(axes, name).get_ydata(), values)
    (cloud,) = axes.collections
    assert band(cloud, 3) == pytest.approx((ALPHA["trained"][2] - 0.05, ALPHA["trained"][2] + 0.08))
    assert [one.get_ydata()[0] for one in axes.lines if one.get_linestyle() == ":"] == [-1]


def test_a_response_has_a_place_for_each_token():
    values = np.sin(np.arange(60) / 4)
    panels = DRAWN["response"]().axes
    assert len(panels) == 4
    np.testing.assert_allclose(np.concatenate([axes.lines[0].get_ydata() for axes in panels]), values)
    shown = [text for axes in panels for text in ticks(axes.xaxis)]
    assert len(shown) == 60
    assert shown[:7] == ["·Return", "·the", "·mean", "·of", "·$x$", "·and", "↵"]
    assert shown[9] == "·□" and shown[10] == "·internat…"
    assert not any(label.get_parse_math() for axes in panels for label in axes.get_xticklabels())
    assert [len(axes.lines[0].get_ydata()) for axes in code_figures.response(["a"] * 17, np.ones(17)).axes] == [9, 8]


@pytest.mark.parametrize("count", [0, 3])
def test_a_response_needs_as_many_values_as_tokens(count):
    with pytest.raises(ValueError, match=rf"^tokens = {count} of them for .* values: must be as many, at least 1$"):
        code_figures.response(["a"] * count, np.ones(2 * count))


def test_the_explorer_switches_alphas():
    figure = DRAWN["explorer"]()
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == [f"α = {alpha:g}".replace("-", "−") for alpha in ALPHAS]
    assert not figure.layout.sliders
    for i, button in enumerate(menu.buttons):
        spectrum, path = (t for t, here in zip(figure.data, button.args[0]["visible"], strict=True) if here)
        assert isinstance(spectrum, go.Scatter) and {spectrum.name, path.name} == {button.label}
        assert {spectrum.visible, path.visible} == {i == 0}
        ranks = np.array(spectrum.x)
        np.testing.assert_allclose(spectrum.y, SLOPES[i][ranks - 1], rtol=1e-3)
        # The path: the same form, in a box of its own size.
        x, y = np.array(path.x), np.array(path.y)
        closed = np.concatenate([TURNS[i], TURNS[i][:1]])
        scale = np.ptp(closed, axis=0).max() / 2
        np.testing.assert_allclose(
            np.diff(np.stack([x, y], 1), axis=0) * scale, np.diff(closed, axis=0), atol=1e-3 * scale
        )
        assert max(np.abs(x).max(), np.abs(y).max()) == pytest.approx(1, abs=1e-3)
        assert len(path.marker.color) == len(x)
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)" and figure.layout.font.color == code_figures.GREY


def test_pictures_stand_side_by_side_in_their_rows():
    rows = {"a": np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) / 60, "b": np.zeros((2, 3, 4, 5))}
    figure = code_figures.pictures(rows)
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "b"]
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert drawn.shape == (4, 10, 3)
    assert np.allclose(drawn[:, 5:], rows["a"][1].clip(0, 1).transpose(1, 2, 0))
    assert not np.asarray(figure.axes[1].images[0].get_array()).any()
