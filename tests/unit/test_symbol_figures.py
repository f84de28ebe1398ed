"""The drawings of chapter 01 show the numbers of their tables, the pictures what they are given, and all can be published."""

import dataclasses

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from drawn import check_published, check_texts, legend, line, lines, style, ticks  # noqa: F401
from matplotlib.colors import to_hex
from pandas import DataFrame

from innercodes import parts, plots, regions, symbol_checks, symbol_figures, symbol_views
from innercodes import symbols as lens

NONE = float("nan")
STAGES = ["layer1", "layer2", "layer3"]
KINDS = ("trained", "untrained")
RANDOM = np.random.default_rng(0)


def near(value):
    return {"value": value, "low": value - 0.02, "high": value + 0.03}


AUROCS = DataFrame(
    [
        {"question": q, "reader": "ESS", "kind": k, "stage": s, **near(0.5 + 0.1 * i + 0.05 * (k == "trained"))}
        for q in ("errors", "PGD", "noise")
        for k in KINDS
        for i, s in enumerate(STAGES)
    ]
    + [{"question": "errors", "reader": "agreement", "kind": "trained", "stage": None, **near(0.72)}]
    + [{"question": "errors", "reader": "max-softmax", "kind": "trained", "stage": None, **near(0.8)}]
)
SCORES = DataFrame(
    [
        {"kind": k, "seed": seed, "stage": s, "group": g, "score": score}
        for k in KINDS
        for seed in range(2)
        for i, s in enumerate(STAGES)
        for g, center in (("right", 0.3 + 0.1 * i), ("wrong", 0.1))
        for score in np.clip(RANDOM.normal(center, 0.05, 30), 0, 1)
    ]
)
SHOTS = DataFrame(
    [{"reader": r, "shots": n, **near(0.2 + 0.02 * n)} for r in ("symbols", "pixels, nearest mean") for n in (20, 1, 5)]
    + [{"reader": "chance", "shots": 1, "value": 0.125, "low": NONE, "high": NONE}]
)
MEANING = DataFrame(
    [
        {"kind": k, "stage": s, "truth": t, **near(0.1 * i + 0.2 * j), "purity": 0.5 + 0.1 * i}
        for k in KINDS
        for i, s in enumerate(STAGES)
        for j, t in enumerate(("class", "part", "texture"))
    ]
)
CLUSTERS = DataFrame(
    [
        {"kind": k, "seed": n, "stage": s, "count": 30 + 20 * i + n, "silhouette": 0.4 + 0.01 * n,
         "surrogate_count": 60 + n, "surrogate_silhouette": 0.3 + 0.01 * n}
        for k in KINDS for n in range(3) for i, s in enumerate(STAGES)
    ]
)  # fmt: skip
COUNTS = DataFrame(
    [
        {"kind": k, "count": n, "accuracy": v, "low": v - 0.02, "high": v + 0.02}
        for k, gain in (("trained", 0.2), ("untrained", 0.05))
        for n in (10, 100, 1000)
        for v in [gain * np.log10(n)]
    ]
)
PREDICTION = DataFrame(
    [
        {"kind": k, "stage": s, "reader": r, **near(0.2 + 0.1 * i + 0.05 * j)}
        for k in KINDS
        for i, s in enumerate(STAGES)
        for j, r in enumerate(("symbols", "PCA", "nearest mean"))
    ]
    + [{"kind": k, "stage": None, "reader": "network", **near(0.9)} for k in KINDS]
)
OWN = {"neighbors": 15, "joined": False, "by": "given symbol", "pooling": "max"}
MULTIVERSE = DataFrame(
    [
        OWN | {"accuracy": 0.5, "errors_auroc": 0.7, "outside_auroc": 0.6},
        OWN | {"neighbors": 30, "accuracy": 0.4, "errors_auroc": 0.8, "outside_auroc": 0.6},
        OWN | {"neighbors": 5, "accuracy": 0.6, "errors_auroc": 0.6, "outside_auroc": 0.6},
        OWN | {"joined": True, "accuracy": 0.45, "errors_auroc": NONE, "outside_auroc": 0.6},
        OWN | {"by": "phi", "accuracy": 0.55, "errors_auroc": 0.65, "outside_auroc": 0.6},
    ]
)
CAUSAL = DataFrame(
    [
        {"kind": k, "stage": s, "replacement": r, **near(1.0 + i + j)}
        for k in KINDS
        for i, s in enumerate(STAGES)
        for j, r in enumerate(("own symbol", "other symbol"))
    ]
)
COVERAGE = DataFrame(
    [
        row
        for k in KINDS
        for row in (
            *({"kind": k, "reader": "max-softmax", "coverage": c, "accuracy": 1 - 0.1 * c} for c in (1.0, 0.2, 0.6)),
            {"kind": k, "reader": "region keeps class", "coverage": 0.6, "accuracy": 0.95},
            {"kind": k, "reader": "random box", "coverage": 0.3, "accuracy": 0.91},
        )
    ]
)
SOURCES = DataFrame(
    {
        "source": ["known box", "whole picture", "felzenszwalb"], "overlap": [1.0, 0.3, NONE], "coverage": [0.6, 1.0, 0.4],
        "accuracy_kept": [0.93, 0.9, 0.92], "symbol_accuracy": [0.5, 0.4, 0.3], "low": [0.45, 0.35, 0.25], "high": [0.56, 0.46, 0.36],
    }
)  # fmt: skip
STABILITY = DataFrame(
    [
        {"kind": k, "between": b, "stage": s, "value": 0.4 + 0.1 * i + 0.02 * n}
        for k in KINDS
        for b in ("seeds", "networks")
        for i, s in enumerate(STAGES)
        for n in range(3)
    ]
)
GROWTH = DataFrame(
    [
        {"kind": k, "seed": n, "epoch": e, "value": gain * e + 0.01 * n}
        for k, gain in (("trained", 0.03), ("shuffled labels", 0.0))
        for n in range(3)
        for e in (8, 0, 1, 2, 4)
    ]
)
COSTS = DataFrame(
    {"step": ["region", "embedding", "bare pass"], "seconds": [0.001, 0.003, 0.0005], "share": [0.25, 0.75, NONE]}
)
EVASIONS = DataFrame(
    {"weight": [1.0, 0.0, 10.0], "success": [0.9, 0.95, 0.3], "auroc": [0.6, 0.8, 0.4], "low": [0.55, 0.75, 0.35],
     "high": [0.65, 0.85, 0.45]}
)  # fmt: skip
KEPT = DataFrame(
    [
        {"kind": k, "name": n, **near(v - 0.1 * i)}
        for i, k in enumerate(KINDS)
        for n, v in (("ant", 0.5), ("bee", 0.8), ("cat", 0.2))
    ]
)
HIT = DataFrame(
    [
        {"variant": v, "reader": r, **near(value)}
        for v, pair in (("clean", (0.5, 0.9)), ("PGD", (0.4, 0.1)))
        for r, value in zip(("layer1", "network"), pair, strict=True)
    ]
)
TABLES = {
    "keep_rates": KEPT,
    "under_attack": HIT,
    "aurocs": AUROCS, "scores": SCORES, "shots": SHOTS, "meaning": MEANING, "clusters": CLUSTERS, "counts": COUNTS,
    "prediction": PREDICTION, "multiverse": MULTIVERSE, "causal": CAUSAL, "coverage": COVERAGE, "sources": SOURCES,
    "stability": STABILITY, "growth": GROWTH, "costs": COSTS, "evasions": EVASIONS,
}  # fmt: skip

MADE = parts.load("test", 40, 0, 32)
GENERATOR = torch.Generator().manual_seed(0)
CELLS = parts.part_at(MADE.masks, MADE.boxes).flatten(1)
PART_NAMES = ["ground", *(part.name for part in parts.PARTS)]
MAP = lens.correlation_map(CELLS, MADE.labels, 20, 16)
PREDICTED = torch.arange(40) % 16
SECOND = torch.where(torch.arange(40) % 2 == 0, PREDICTED, (PREDICTED + 1) % 16)
CERTIFIED = regions.Certified(PREDICTED, SECOND, PREDICTED == SECOND)
POINTS = {stage: torch.randn(40, 9, 3, generator=GENERATOR) * (1 + i) for i, stage in enumerate(STAGES)}
CODES = {stage: (CELLS + i) % 20 for i, stage in enumerate(STAGES)}
NAMES = [f"class {number}" for number in range(16)]
PAGES = symbol_checks.intruders(CELLS, 0, 3)
VIEWS = {
    "pipeline": lambda: symbol_views.pipeline(
        MADE.pictures[3][0], MADE.boxes[3], torch.rand(9, 40), CELLS[3], MAP.given_symbol[CELLS[3]], MADE.pictures.classes
    ),
    "second-looks": lambda: symbol_views.second_looks(MADE.pictures, MADE.boxes, CERTIFIED, 3),
    "montage": lambda: symbol_views.montage(MADE.pictures, MADE.boxes, CELLS, CELLS, PART_NAMES, 4, 6),
    "intruders": lambda: symbol_views.intruder_page(MADE.pictures, MADE.boxes, PAGES),
    "maps": lambda: symbol_views.correlation_maps(dict.fromkeys(STAGES, MAP), MADE.pictures.classes),
    "embedding": lambda: symbol_views.embedding(POINTS, CODES, MADE.labels, NAMES, CELLS, PART_NAMES),
}  # fmt: skip
DRAWN = {
    name.replace("_", "-"): lambda name=name: getattr(symbol_figures, name)(TABLES[name]) for name in TABLES
} | VIEWS
STILL = [name for name in DRAWN if name != "embedding"]


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_published_and_stays_small(name, monkeypatch):
    check_published(DRAWN[name], name, monkeypatch, 250_000)


@pytest.mark.parametrize("name", STILL)
def test_no_text_lies_on_other_text_or_beyond_the_border(name):
    check_texts(DRAWN[name]())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_or_columns_is_refused(name):
    draw, table = getattr(symbol_figures, name), TABLES[name]
    needed = "accuracy" if name == "multiverse" else table.columns[0]
    with pytest.raises(ValueError, match=rf"^table: has .*, must also have {needed}$"):
        draw(table.drop(columns=needed))
    with pytest.raises(ValueError, match=r"^table: no number in "):
        draw(table.iloc[:0])


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"scores", "multiverse", "coverage", "stability"}))
def test_two_numbers_for_one_thing_are_refused(name):
    table = TABLES[name]
    twice = table.loc[[*table.index, 0]]
    with pytest.raises(ValueError, match=r"^table: two rows with .*: must be one$"):
        getattr(symbol_figures, name)(twice)


def test_aurocs_have_dots_with_intervals_and_baselines_as_lines():
    figure = DRAWN["aurocs"]()
    errors, pgd, noise = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["errors", "PGD", "noise"]
    assert legend(figure) == ["ESS", "ESS, untrained", "agreement", "max-softmax"]
    trained, untrained = line(errors, "ESS"), line(errors, "ESS, untrained")
    np.testing.assert_allclose(trained.get_ydata(), [0.55, 0.65, 0.75])
    np.testing.assert_allclose(untrained.get_ydata(), [0.5, 0.6, 0.7])
    # The kind shows without colour.
    assert untrained.get_markerfacecolor() == "none" != trained.get_markerfacecolor()
    assert list(np.round(trained.get_xdata())) == [0, 1, 2] and trained.get_xdata()[0] != untrained.get_xdata()[0]
    bars = errors.collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.53, 0.58], [0.63, 0.68], [0.73, 0.78]])
    # What is read of all stages together has a place of its own, and a baseline is a line with its band.
    assert ticks(noise.xaxis) == [*STAGES, "all"] and round(float(line(errors, "agreement").get_xdata()[0])) == 3
    assert set(line(errors, "max-softmax").get_ydata()) == {0.8}
    (band,) = errors.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.78, 0.83))
    assert not lines(pgd, "agreement") and not pgd.patches
    assert [one.get_ydata()[0] for one in errors.lines if one.get_linestyle() == ":"][:1] == [0.5]


def test_scores_are_densities_of_all_seeds():
    figure = DRAWN["scores"]()
    assert [axes.get_title() for axes in figure.axes] == [f"{s}, {k}" for k in KINDS for s in STAGES]
    assert legend(figure) == ["right", "wrong"]
    for axes in figure.axes:
        stage, kind = axes.get_title().split(", ")
        for group in ("right", "wrong"):
            x, y = line(axes, group).get_data()
            here = SCORES[(SCORES["kind"] == kind) & (SCORES["stage"] == stage) & (SCORES["group"] == group)]["score"]
            assert (x.min(), x.max()) == pytest.approx((here.min(), here.max()))
            assert x[y.argmax()] == pytest.approx(here.median(), abs=0.05)
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] >= max(one.get_ydata().max() for one in axes.lines)
    # One score alone is a line, and one that is not finite, as of an unsmoothed map, is left out.
    rows = [{"kind": "trained", "seed": 0, "stage": "a", "group": "g", "score": v} for v in [0.2] * 10 + [-np.inf]]
    (axes,) = symbol_figures.scores(DataFrame(rows)).axes
    assert list(line(axes, "g").get_xdata()) == [0.2, 0.2] and axes.get_title() == "a"


@pytest.mark.parametrize(("counts", "drawn"), [((9, 9), False), ((1, 1, 1), False), ((10, 3), True)])
def test_a_density_of_few_scores_is_not_drawn_but_counted(counts, drawn):
    few = [(seed, "few", i) for seed, count in enumerate(counts) for i in range(count)]
    many = [(seed, "many", i) for seed in range(len(counts)) for i in range(30)]
    rows = [{"kind": "trained", "seed": s, "stage": "a", "group": g, "score": 0.1 + 0.01 * i} for s, g, i in few + many]
    figure = symbol_figures.scores(DataFrame(rows))
    assert bool(lines(figure.axes[0], "few")) == drawn and lines(figure.axes[0], "many")
    assert legend(figure) == (["few", "many"] if drawn else ["many", f"few: {max(counts)}, not drawn"])


def test_keep_rates_are_in_order_of_the_first_kind():
    figure = DRAWN["keep-rates"]()
    (axes,) = figure.axes
    assert ticks(axes.xaxis) == ["cat", "ant", "bee"] and legend(figure) == list(KINDS)
    np.testing.assert_allclose(line(axes, KINDS[0]).get_ydata(), [0.5, 0.8, 0.2])
    assert list(np.round(line(axes, KINDS[1]).get_xdata())) == [1, 2, 0]


def test_bars_under_attack_are_clean_beside_attacked():
    figure = DRAWN["under-attack"]()
    (axes,) = figure.axes
    assert ticks(axes.xaxis) == ["layer1", "network"] and legend(figure) == ["clean", "PGD"]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.5, 0.9, 0.4, 0.1])
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert list(np.round(middles)) == [0, 1, 0, 1] and middles[0] < 0 < middles[2]


def test_shots_are_in_order_with_chance_across():
    figure = DRAWN["shots"]()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and ticks(axes.xaxis) == ["1", "5", "20"]
    assert legend(figure) == ["symbols", "pixels, nearest mean", "chance"]
    np.testing.assert_allclose(line(axes, "symbols").get_xydata(), [[1, 0.22], [5, 0.3], [20, 0.6]])
    np.testing.assert_allclose(line(axes, "chance").get_xydata(), [[1, 0.125], [5, 0.125], [20, 0.125]])
    vertices = axes.collections[0].get_paths()[0].vertices
    assert sorted({round(y, 9) for x, y in vertices if x == 5}) == pytest.approx([0.28, 0.33])


@pytest.mark.parametrize(("measure", "expected"), [("value", [0.2, 0.3, 0.4]), ("purity", [0.5, 0.6, 0.7])])
def test_meaning_has_a_panel_for_each_kind(measure, expected):
    figure = symbol_figures.meaning(MEANING, measure)
    assert [axes.get_title() for axes in figure.axes] == list(KINDS) and legend(figure) == ["class", "part", "texture"]
    for axes in figure.axes:
        np.testing.assert_allclose(line(axes, "part").get_ydata(), expected)
        assert ticks(axes.xaxis) == STAGES
        bars = [bar for cloud in axes.collections for bar in cloud.get_segments()]
        assert len(bars) == (9 if measure == "value" else 0)
    with pytest.raises(ValueError, match=r"^measure = 'share': must be 'value' or 'purity'$"):
        symbol_figures.meaning(MEANING, "share")


def test_clusters_are_means_beside_their_surrogate():
    figure = DRAWN["clusters"]()
    number, silhouette = figure.axes
    assert legend(figure) == ["trained", "trained, surrogate", "untrained", "untrained, surrogate"]
    assert number.get_yscale() == "log" and silhouette.get_yscale() == "linear"
    np.testing.assert_allclose(line(number, "trained").get_ydata(), [31, 51, 71])
    np.testing.assert_allclose(line(number, "trained, surrogate").get_ydata(), [61, 61, 61])
    np.testing.assert_allclose(line(silhouette, "untrained, surrogate").get_ydata(), [0.31] * 3)
    dots = [one for one in number.lines if one.get_linestyle() == "None"]
    assert sorted(dots[0].get_ydata()) == [30, 31, 32, 50, 51, 52, 70, 71, 72]


def test_counts_are_on_a_log_axis():
    (axes,) = DRAWN["counts"]().axes
    assert axes.get_xscale() == "log" and ticks(axes.xaxis) == ["10", "100", "1000"]
    np.testing.assert_allclose(line(axes, "trained").get_xydata(), [[10, 0.2], [100, 0.4], [1000, 0.6]])


def test_the_network_is_a_line_across_all_stages():
    figure = DRAWN["prediction"]()
    for axes in figure.axes:
        network = line(axes, "network")
        assert set(network.get_ydata()) == {0.9} and network.get_color() == plots.INK
        np.testing.assert_allclose(line(axes, "PCA").get_ydata(), [0.25, 0.35, 0.45])
        assert axes.get_ylim()[0] == 0
    # A reader has its colour whatever else is drawn.
    few = symbol_figures.prediction(PREDICTION[PREDICTION["reader"] == "PCA"]).axes[0]
    assert line(few, "PCA").get_color() == line(figure.axes[0], "PCA").get_color()


def test_a_multiverse_is_sorted_with_its_choices_below():
    figure = DRAWN["multiverse"]()
    above, below = figure.axes
    values = np.concatenate([cloud.get_offsets() for cloud in above.collections])
    np.testing.assert_allclose(values[values[:, 0].argsort()][:, 1], [0.4, 0.45, 0.5, 0.55, 0.6])
    # A choice that never varies has no row.
    rows = [
        "neighbors: 5",
        "neighbors: 15",
        "neighbors: 30",
        "joined: no",
        "joined: yes",
        "by: given symbol",
        "by: phi",
    ]
    assert ticks(below.yaxis) == rows
    squares = [one for one in below.lines if one.get_marker() == "s"]
    assert {int(one.get_ydata()[0]): list(one.get_xdata()) for one in squares} == {
        0: [5], 1: [2, 3, 4], 2: [1], 3: [1, 3, 4, 5], 4: [2], 5: [1, 2, 3, 5], 6: [4],
    }  # fmt: skip
    (default,) = above.collections[1].get_offsets()
    assert tuple(default) == (3, 0.5) and legend(figure) == ["the default"]
    other = symbol_figures.multiverse(MULTIVERSE, "errors_auroc", OWN | {"by": "phi"}).axes[0]
    assert len(other.collections[0].get_offsets()) == 3 and tuple(other.collections[1].get_offsets()[0]) == (2, 0.65)


def test_a_multiverse_needs_a_choice_and_a_known_measure():
    with pytest.raises(ValueError, match=r"^measure = 'speed': must be one of accuracy, errors_auroc, outside_auroc$"):
        symbol_figures.multiverse(MULTIVERSE, "speed")
    with pytest.raises(ValueError, match=r"^table: no choice varies among 1 rows"):
        symbol_figures.multiverse(MULTIVERSE[:1])
    with pytest.raises(ValueError, match=r"^default: colour: must be columns of the table"):
        symbol_figures.multiverse(MULTIVERSE, default={"colour": 1})


def test_causal_panels_have_scales_of_their_own():
    table = CAUSAL.copy()
    table.loc[table["kind"] == "untrained", ["value", "low", "high"]] *= 0.01
    trained, untrained = symbol_figures.causal(table).axes
    assert trained.get_ylim()[1] > 4 > 0.1 > untrained.get_ylim()[1] and trained.get_ylim()[0] == 0
    np.testing.assert_allclose(line(trained, "other symbol").get_ydata(), [2, 3, 4])


def test_coverage_has_the_curve_in_order_and_dots():
    figure = DRAWN["coverage"]()
    assert [axes.get_title() for axes in figure.axes] == list(KINDS)
    axes = figure.axes[0]
    np.testing.assert_allclose(line(axes, "max-softmax").get_xydata(), [[0.2, 0.98], [0.6, 0.94], [1, 0.9]])
    dot = line(axes, "region keeps class")
    assert dot.get_linestyle() == "None" and dot.get_xydata().tolist() == [[0.6, 0.95]]


def test_sources_have_four_numbers_and_say_what_is_unknown():
    figure = DRAWN["sources"]()
    overlap, *_, symbols = figure.axes
    assert ticks(overlap.yaxis) == list(SOURCES["source"]) and overlap.yaxis_inverted()
    assert [texts(axes) for axes in figure.axes] == [["unknown"], [], [], []] and overlap.texts[0].get_position()[
        1
    ] == 2
    for axes, name in zip(figure.axes, ("overlap", "coverage", "accuracy_kept", "symbol_accuracy"), strict=True):
        np.testing.assert_allclose(axes.lines[0].get_xdata(), SOURCES[name])
    spans = [bar[:, 0].tolist() for bar in symbols.collections[1].get_segments()]
    assert spans == [[0.45, 0.56], [0.35, 0.46], [0.25, 0.36]]
    nowhere = symbol_figures.sources(SOURCES.assign(overlap=NONE))
    assert texts(nowhere.axes[0]) == ["unknown"] * 3


def test_stability_has_a_dot_for_each_pair():
    figure = symbol_figures.stability(STABILITY, 0.6)
    assert [axes.get_title() for axes in figure.axes] == ["between seeds", "between networks"]
    assert legend(figure) == ["0.6 asked for", *KINDS]
    axes = figure.axes[0]
    x, y = line(axes, "trained").get_data()
    assert len(y) == 9 and list(np.round(x)) == [0] * 3 + [1] * 3 + [2] * 3
    means = [bar[0, 1] for bar in axes.collections[0].get_segments()]
    np.testing.assert_allclose(means, [0.42, 0.52, 0.62])
    assert legend(DRAWN["stability"]()) == list(KINDS)


def test_growth_has_seeds_and_their_mean():
    figure = DRAWN["growth"]()
    (axes,) = figure.axes
    np.testing.assert_allclose(line(axes, "trained").get_xydata(), [[e, 0.03 * e + 0.01] for e in (0, 1, 2, 4, 8)])
    thin = [one for one in axes.lines if one.get_linewidth() < 1]
    assert len(thin) == 6 and list(thin[0].get_xdata()) == [0, 1, 2, 4, 8]
    assert (
        ticks(axes.xaxis)[0] == "0"
        and ticks(axes.xaxis)[-1] == "8"
        and legend(figure) == ["trained", "shuffled labels"]
    )


def test_costs_are_bars_with_their_share():
    (axes,) = DRAWN["costs"]().axes
    assert texts(axes) == ["1 ms, 25 %", "3 ms, 75 %", "0.5 ms"] and ticks(axes.yaxis) == list(COSTS["step"])
    assert [bar.get_width() for bar in axes.patches] == [1, 3, 0.5]
    assert [bar.get_hatch() for bar in axes.patches] == ["", "", "///"]


def test_evasions_are_by_weight():
    figure = DRAWN["evasions"]()
    (axes,) = figure.axes
    np.testing.assert_allclose(
        line(axes, "AUROC of clean against attacked").get_xydata(), [[0, 0.8], [1, 0.6], [10, 0.4]]
    )
    np.testing.assert_allclose(line(axes, "share of attacks that succeed").get_ydata(), [0.95, 0.9, 0.3])
    assert ticks(axes.xaxis) == ["0", "1", "10"] and len(axes.collections) == 1


def test_names_of_long_stages_are_turned():
    long = MEANING.replace({s: f"blocks.{i}.attention" for i, s in enumerate(STAGES)})
    assert symbol_figures.meaning(long).axes[0].get_xticklabels()[0].get_rotation() > 0
    assert DRAWN["meaning"]().axes[0].get_xticklabels()[0].get_rotation() == 0


# Pictures


def outlined(axes):
    """Left, upper, width and height of each frame on a picture."""
    return [
        (*one.get_xy(), one.get_width(), one.get_height())
        for one in axes.patches
        if to_hex(one.get_edgecolor()) == symbol_views.LIGHT
    ]


def test_the_pipeline_goes_from_cells_to_their_mean():
    shown, strips, chips, heat, mean = DRAWN["pipeline"]().axes
    x0, y0, x1, y1 = MADE.boxes[3].tolist()
    cells = outlined(shown)
    assert cells[0] == pytest.approx((x0, y0, (x1 - x0) / 3, (y1 - y0) / 3))
    assert (cells[-1][0] + cells[-1][2], cells[-1][1] + cells[-1][3]) == pytest.approx((x1, y1)) and len(cells) == 9
    assert texts(shown) == [str(number) for number in range(1, 10)] and texts(chips) == [
        str(s) for s in CELLS[3].tolist()
    ]
    # Cells of one symbol have one colour.
    colours = {text: to_hex(patch.get_facecolor()) for text, patch in zip(texts(chips), chips.patches, strict=True)}
    again = [to_hex(patch.get_facecolor()) for patch in chips.patches]
    assert again == [colours[text] for text in texts(chips)]
    assert strips.images[0].get_array().shape == (9, 32)
    rows = MAP.given_symbol[CELLS[3]].numpy()
    np.testing.assert_allclose(heat.images[0].get_array(), rows)
    np.testing.assert_allclose([bar.get_height() for bar in mean.patches], rows.mean(0))
    filled = [number for number, bar in enumerate(mean.patches) if bar.get_facecolor()[3] > 0]
    assert filled == [int(lens.predict(CELLS[3:4], MAP))]


def test_the_pipeline_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"^vectors, map_rows, box: shapes .* must be \(9, D\), \(9, 16\), \(4,\)$"):
        symbol_views.pipeline(
            MADE.pictures[3][0], MADE.boxes[3], torch.rand(9, 4), CELLS[3], MAP.given_symbol[:3], NAMES
        )
    with pytest.raises(ValueError, match=r"^cells = 8: must be a square number$"):
        symbol_views.pipeline(
            MADE.pictures[3][0], MADE.boxes[3], torch.rand(8, 4), CELLS[3][:8], MAP.given_symbol[:8], NAMES
        )


def test_second_looks_show_both_and_leave_out_what_has_no_box():
    boxes = MADE.boxes.clone()
    boxes[:30] = torch.nan
    figure = symbol_views.second_looks(MADE.pictures, boxes, CERTIFIED, 4)
    above, below = figure.axes[:8], figure.axes[8:]
    assert [axes.get_title().split("\n")[0] for axes in above] == ["kept"] * 4 + ["rejected"] * 4
    for top, bottom in zip(above, below, strict=True):
        kept, first = top.get_title().split("\n")
        assert (first == bottom.get_xlabel()) == (kept == "kept")
        (frame,) = outlined(top)
        x0, y0, x1, y1 = boxes[30:].T
        (at,) = (torch.stack([x0, y0, x1 - x0, y1 - y0], 1) == torch.tensor(frame)).all(1).nonzero()
        row = 30 + int(at)
        assert first == f"class {PREDICTED[row]}" and bottom.get_xlabel() == f"class {SECOND[row]}"
        inside = regions.crop(MADE.pictures[row][0][None], boxes[row : row + 1], 32)[0]
        np.testing.assert_allclose(bottom.images[0].get_array(), inside.permute(1, 2, 0) * 255, atol=0.51)
    with pytest.raises(ValueError, match=r"^boxes: all NaN"):
        symbol_views.second_looks(MADE.pictures, boxes * torch.nan, CERTIFIED)


def test_a_montage_outlines_cells_of_the_symbol():
    figure = symbol_views.montage(MADE.pictures, MADE.boxes, CELLS, CELLS, PART_NAMES, 4, 6, 32)
    totals = CELLS.flatten().bincount()
    order = totals.argsort(descending=True, stable=True)[:4].tolist()
    assert len(figure.axes) == 4
    crops = regions.crop(MADE.pictures.tensors()[0], MADE.boxes, 32).permute(0, 2, 3, 1) * 255
    for axes, symbol in zip(figure.axes, order, strict=True):
        label = axes.get_ylabel().replace("\n", " ")
        assert label == f"symbol {symbol}, {totals[symbol]} cells 100 % {PART_NAMES[symbol]}"
        strip, seen = axes.images[0].get_array(), []
        frames = outlined(axes)
        assert len(frames) == 6
        for i, (x, y, width, _) in enumerate(frames):
            start = 34 * i
            tile = np.asarray(strip[:, start : start + 32, :3], dtype=float)
            (row,) = np.flatnonzero((np.abs(crops.numpy() - tile) < 1).all((1, 2, 3)))
            column, line_ = round((x - start) / width), round(y / width)
            assert CELLS[row, 3 * line_ + column] == symbol
            seen.append(row)
        # Each region is of another picture while there are some.
        assert len(set(seen)) == min(6, int((symbol == CELLS).any(1).sum()))


def test_the_share_of_a_symbol_is_that_of_its_cells():
    labels = torch.zeros(40, dtype=torch.int64)
    labels[0] = 1
    symbols = torch.zeros(40, 9, dtype=torch.int64)
    (axes,) = symbol_views.montage(MADE.pictures, MADE.boxes, symbols, labels, ["a", "b"]).axes
    assert axes.get_ylabel() == "symbol 0, 360 cells\n98 % a"


def test_pages_show_their_regions_and_fold_the_answer():
    figure = DRAWN["intruders"]()
    assert [axes.get_ylabel() for axes in figure.axes] == ["page 1", "page 2", "page 3"]
    assert [texts(axes) for axes in figure.axes] == [["a", "b", "c", "d"], [], []]
    for page, axes in enumerate(figure.axes):
        for i, (x, y, width, _) in enumerate(outlined(axes)):
            assert 3 * round(y / width) + round((x - 34 * i) / width) == PAGES.cells[page, i]
    answers = symbol_views.intruder_answers(PAGES)
    assert answers.startswith("<details><summary>") and answers.count("<li>") == 3
    first = f"<li>{'abcd'[PAGES.intruder[0]]}: the others have symbol {PAGES.symbol[0]}, its cell has symbol {PAGES.other[0]}</li>"
    assert first in answers


@pytest.mark.parametrize("name", ["second_looks", "montage", "intruder_page"])
def test_only_pictures_that_may_be_shown_are_shown(name):
    hidden = dataclasses.replace(MADE.pictures, embedded=False)
    rest = {"second_looks": (CERTIFIED,), "montage": (CELLS, CELLS, PART_NAMES), "intruder_page": (PAGES,)}[name]
    with pytest.raises(ValueError, match=r"^pictures: only those that come with the packages are shown$"):
        getattr(symbol_views, name)(hidden, MADE.boxes, *rest)
    with pytest.raises(ValueError, match=r"^boxes, symbols: must be one for each of 40 pictures$"):
        getattr(symbol_views, name)(MADE.pictures, MADE.boxes[:3], *rest)


def test_maps_are_sorted_by_class_without_empty_symbols():
    symbols = torch.tensor([[0, 0, 1, 4], [4, 4, 4, 1], [2, 2, 2, 1]])
    found = lens.correlation_map(symbols, torch.tensor([0, 1, 2]), 5, 3, 0.0)
    figure = symbol_views.correlation_maps({"layer4": found}, ["a", "b", "c"])
    axes = figure.axes[0]
    assert axes.get_title() == "layer4\n4 symbols" and axes.get_xlabel() == "class"
    expected = found.given_symbol[[0, 1, 4, 2]].numpy()
    np.testing.assert_allclose(axes.images[0].get_array(), expected)
    assert figure.axes[1].get_xlabel() == "P(class | symbol)"
    phi = symbol_views.correlation_maps({"layer4": found}, ["a", "b", "c"], "phi").axes[0].images[0]
    assert phi.get_clim()[0] == -phi.get_clim()[1]
    with pytest.raises(ValueError, match=r"^class_names: 2, must be 3, the classes of layer4$"):
        symbol_views.correlation_maps({"layer4": found}, ["a", "b"])
    with pytest.raises(ValueError, match=r"^maps = \{\}: must be at least one stage$"):
        symbol_views.correlation_maps({}, ["a"])


def test_the_embedding_switches_stage_and_colour():
    figure = DRAWN["embedding"]()
    (menu,) = figure.layout.updatemenus
    labels = [button.label for button in menu.buttons]
    assert labels == [f"{stage}, coloured by {how}" for how in ("symbol", "class", "part") for stage in STAGES]
    shown = [button.args[0]["visible"] for button in menu.buttons]
    assert [trace.visible for trace in figure.data] == shown[0] and all(map(sum, np.array(shown).T))
    # Every view shows every point once, at the same places for each colour.
    for button, visible in zip(menu.buttons, shown, strict=True):
        traces = [trace for trace, here in zip(figure.data, visible, strict=True) if here]
        assert all(isinstance(trace, go.Scatter3d) for trace in traces)
        placed = np.concatenate([np.stack([trace.x, trace.y, trace.z], 1) for trace in traces]).astype(float)
        stage = button.label.split(",")[0]
        given = POINTS[stage].reshape(-1, 3).double()
        middle, reach = (given.amax(0) + given.amin(0)) / 2, float((given.amax(0) - given.amin(0)).max()) / 2
        expected = ((given - middle) / reach * 10000).round().numpy()
        np.testing.assert_array_equal(placed[np.lexsort(placed.T)], expected[np.lexsort(expected.T)])
        looks = [(trace.marker.color, trace.marker.symbol) for trace in traces]
        assert len(set(looks)) == len(looks)
    by_class = {trace.name: len(trace.x) for trace, here in zip(figure.data, shown[3], strict=True) if here}
    counts = MADE.labels.bincount(minlength=16)
    assert by_class == {f"class {i}": 9 * int(n) for i, n in enumerate(counts) if n}
    most = [trace for trace, here in zip(figure.data, shown[0], strict=True) if here]
    assert (
        most[0].name == f"symbol {int(CODES['layer1'].flatten().bincount().argmax())}"
        and most[-1].name == "other symbols"
    )


def test_the_embedding_thins_and_may_lack_parts():
    figure = symbol_views.embedding(POINTS, CODES, MADE.labels, NAMES, most=100, named=3)
    first = [trace for trace in figure.data if trace.visible]
    assert len(first) == 4 and sum(len(trace.x) for trace in first) == 99
    assert len(figure.layout.updatemenus[0].buttons) == 6
    assert symbol_views.embedding(POINTS, CODES, MADE.labels, NAMES, most=100, named=3).to_json() == figure.to_json()


def test_the_embedding_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"^points, symbols: stages .* must be the same, at least one$"):
        symbol_views.embedding(POINTS, {"layer1": CELLS}, MADE.labels, NAMES)
    with pytest.raises(ValueError, match=r"^points, symbols: layer2: shapes .* must be \(40, 9, 3\), \(40, 9\)$"):
        symbol_views.embedding(POINTS | {"layer2": torch.rand(40, 9, 2)}, CODES, MADE.labels, NAMES)
    with pytest.raises(ValueError, match=r"^classes, parts: must be \(40,\) and \(40, 9\)"):
        symbol_views.embedding(POINTS, CODES, MADE.labels[:3], NAMES)
    with pytest.raises(ValueError, match=r"^most = 8: must be at least 9, the cells of one picture$"):
        symbol_views.embedding(POINTS, CODES, MADE.labels, NAMES, most=8)
