"""What every drawn figure must be: publishable, small, and with no text on other text; and how tests read a figure."""

import json
import warnings

import matplotlib.pyplot as plt
import pytest

from innercodes import plots


@pytest.fixture(autouse=True)
def style():
    plots.style()
    yield
    plt.close("all")


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def lines(axes, label):
    return [one for one in axes.lines if one.get_label() == label]


def line(axes, label):
    """The one line of a label."""
    (found,) = lines(axes, label)
    return found


def check_published(draw, name, monkeypatch, characters):
    """`plots.show` takes the figure without a warning, in at most so many characters and in the page's own ink."""
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, raw, metadata: shown.append(data))
    with warnings.catch_warnings():
        # A sign that no font has, or a layout with no room, is a warning of matplotlib.
        warnings.simplefilter("error")
        plots.show(draw(), name, "A figure of a test.", "A figure.")
    (found,) = shown
    text = found.get("text/html") or json.dumps(found["application/vnd.plotly.v1+json"])
    assert len(text) < characters
    if "text/html" in found:
        # Nothing but the page's ink is black or white.
        assert "#000000" not in text and "#ffffff" not in text and plots.INK not in text


def check_texts(figure):
    """No text lies on other text or beyond the border."""
    figure.canvas.draw()
    renderer, size = figure.canvas.get_renderer(), figure.bbox
    boxes = []
    for axes in figure.axes:
        # Names of ticks beyond the axis exist, but are not drawn.
        axis = [axes.xaxis, axes.yaxis] if axes.axison else []
        names = [tick.label1 for one in axis for tick in one._update_ticks()]
        boxes += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *names]
    boxes += [text for one in figure.legends for text in one.get_texts()] + figure.texts
    boxes = [text for text in boxes if text.get_visible() and text.get_text().strip()]
    extents = [(text.get_text(), text.get_window_extent(renderer)) for text in boxes]
    for text, box in extents:
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < size.x1 + 1 and box.y1 < size.y1 + 1, text
    # The boxes of turned names overlap where the names do not.
    upright = [one for one, text in zip(extents, boxes, strict=True) if text.get_rotation() % 90 == 0]
    for i, (text, box) in enumerate(upright):
        for other, beside in upright[:i]:
            assert not box.overlaps(beside), (text, other)
