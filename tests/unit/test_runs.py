"""Recorded notebooks are stored small, and show the same pictures."""

from xml.etree import ElementTree

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import runs

from innercodes import plots


def stored(markup: str) -> str:
    output = nbformat.v4.new_output("display_data", {"text/html": markup})
    text = runs.compact(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])]))
    return nbformat.reads(text, 4).cells[0].outputs[0].data["text/html"]


def test_a_stored_drawing_has_the_same_elements_and_places(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, raw, metadata: shown.append(data["text/html"]))
    figure, axes = plt.subplots()
    axes.plot(np.linspace(0, 1, 50), np.random.default_rng(0).random(50), marker="o")
    axes.set_title("a  title")
    plots.show(figure, "line", "A line.", "A <em>line</em> <b>of</b> 0.12345 points.\n  New.")
    before = shown[0]
    after = stored(before)
    assert len(after) < 0.9 * len(before) and before.split("</svg>")[1] == after.split("</svg>")[1]
    trees = [ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6]) for text in (before, after)]
    old, new = (list(tree.iter()) for tree in trees)
    assert [one.tag for one in old] == [one.tag for one in new] and stored(after) == after
    for one, other in zip(old, new, strict=True):
        assert one.attrib.keys() == other.attrib.keys()
        for name, value in one.attrib.items():
            if name in ("d", "x", "y", "points"):
                pairs = zip(value.split(), other.get(name).split(), strict=True)
                assert all(a == b or abs(float(a) - float(b)) < 0.01 for a, b in pairs)
            else:
                assert value == other.get(name)
