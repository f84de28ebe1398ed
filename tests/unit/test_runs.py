"""Recorded notebooks are stored small, and show the same pictures."""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import runs
from fontTools.pens.recordingPen import RecordingPen
from fontTools.svgLib.path import parse_path
from PIL import Image

from innercodes import plots


def stored(markup: str) -> str:
    output = nbformat.v4.new_output("display_data", {"text/html": markup})
    text = runs.compact(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])]))
    return nbformat.reads(text, 4).cells[0].outputs[0].data["text/html"]


def lines(path: str) -> list:
    pen = RecordingPen()
    parse_path(path, pen)
    return pen.value


def pixels(link: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2]))).convert("RGBA"))


@pytest.mark.parametrize("colours", [4, 10_000])
def test_a_stored_drawing_has_the_same_elements_and_places(monkeypatch, colours):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, raw, metadata: shown.append(data["text/html"]))
    figure, axes = plt.subplots()
    axes.plot(np.linspace(0, 1, 50), np.random.default_rng(0).random(50), marker="o")
    axes.set_title("a  title")
    rng = np.random.default_rng(1)
    axes.imshow(
        rng.integers(colours, size=(40, 40)), cmap="viridis", alpha=rng.random((40, 40)).round(), interpolation="none"
    )
    plots.show(figure, "line", "A line.", "A <em>line</em> <b>of</b> 0.12345 points.\n  New.")
    before = shown[0]
    after = stored(before)
    assert len(after) < 0.9 * len(before) and before.split("</svg>")[1] == after.split("</svg>")[1]
    trees = [ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6]) for text in (before, after)]
    old, new = (list(tree.iter()) for tree in trees)
    assert [one.tag for one in old] == [one.tag for one in new] and stored(after) == after
    names = {}
    for one, other in zip(old, new, strict=True):
        for name in one.attrib:
            value, kept = one.get(name), other.get(name, other.get("href"))
            if name == "d":
                assert [step for step, _ in lines(value)] == [step for step, _ in lines(kept)]
                ends = (np.array([end for _, ends in lines(text) for end in ends]) for text in (value, kept))
                np.testing.assert_allclose(*ends, atol=0.01)
            elif name == "transform" and name not in other.attrib:
                # A shift along x says the same.
                assert float(re.fullmatch(r"translate\(([-\d.]+) 0\)", value)[1]) == pytest.approx(
                    float(other.get("x")), abs=0.01
                )
            elif name in ("x", "y", "points", "transform"):
                pairs = zip(*(re.split(r"[\s(),]+", text.strip("() \n")) for text in (value, kept)), strict=True)
                assert all(a == b or abs(float(a) - float(b)) < 0.01 for a, b in pairs)
            elif found := re.search(r"(?:^|url\()#([^)]+)", value):
                # Other names for the same elements, still the figure's own.
                called = re.search(r"#([^)]+)", kept)[1]
                assert called.partition("-")[0] == found[1].partition("-")[0]
                assert names.setdefault(found[1], called) == called
            elif name.endswith("href"):
                assert value.startswith("data:image/png;base64,") and len(kept) < len(value)
                assert np.array_equal(pixels(value), pixels(kept))
            elif name == "style":
                assert re.split("[;:] ?", value) == re.split("[;:]", kept)
            elif name != "id":
                assert value == kept
    assert len(set(names.values())) == len(names) > 10
    ids = [{one.get("id"): i for i, one in enumerate(tree)} for tree in (old, new)]
    assert all(ids[0][before] == ids[1][after] for before, after in names.items())
