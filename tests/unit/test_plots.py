"""Figures are published with their words, in ink that follows the page."""

import re

import matplotlib.pyplot as plt
import plotly.express as px
import pytest

from innercodes import plots, tables


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "display", lambda data, raw, metadata: calls.append((data, metadata)))
    return calls


def drawing():
    plots.style()
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], label="a line")
    axes.set_title("title")
    axes.legend()
    return figure


def test_a_figure_takes_the_pages_ink_and_has_its_words(shown):
    plots.show(drawing(), "a-line", 'A line that "rises" & rises.', "A <line>.")
    (data, metadata), markup = shown[0], shown[0][0]["text/html"]
    assert "currentColor" in markup and "#010203" not in markup and "<?xml" not in markup
    assert 'role="img" aria-label="A line that &quot;rises&quot; &amp; rises."' in markup
    assert "A &lt;line&gt;." in markup
    assert metadata["innercodes"]["figure"] == "a-line" and data["text/plain"].startswith("A line")


def test_the_same_figure_is_the_same_text_and_two_share_no_id(shown):
    plots.show(drawing(), "one", "One line that rises.", "One.")
    plots.show(drawing(), "two", "One line that rises.", "One.")
    first, second = (data["text/html"] for data, _ in shown)
    ids = [set(re.findall(r'\bid="([^"]+)"', markup)) for markup in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    plain = [re.sub(r"f\d+-", "", markup) for markup in (first, second)]
    assert plain[0] == plain[1]


def test_a_plotly_figure_travels_as_json(shown):
    plots.style()
    plots.show(px.scatter(x=[1, 2], y=[3, 4]), "dots", "Two dots that rise.", "Dots.")
    figure = shown[0][0]["application/vnd.plotly.v1+json"]
    assert figure["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert figure["data"][0]["marker"]["color"] == plots.PALETTE[0]


@pytest.mark.parametrize(
    ("name", "alt", "caption"),
    [("", "a", "c"), ("n", " ", "c"), ("n", "a", ""), ("With Space", "a", "c"), ("ü", "a", "c")],
)
def test_a_figure_without_its_words_is_refused(name, alt, caption):
    with pytest.raises(ValueError):
        plots.show(drawing(), name, alt, caption)


def test_tables_escape_all_but_markup():
    markup = tables.table(("a<b", "c"), [("<i>", tables.Html("<b>bold</b>"))], ["data-x='1'"])
    assert "a&lt;b" in markup and "&lt;i&gt;" in markup and "<b>bold</b>" in markup and "<tr data-x='1'>" in markup
