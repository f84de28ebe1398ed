"""One look for all figures, readable on light and on dark pages, and the one function that publishes them."""

import html
import io
import itertools
import json
import re
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import plotly.express as px
import plotly.graph_objects as go
import seaborn as sns
from IPython.display import display

# Okabe & Ito's colours, which stay distinct for the colour-blind, in shades that have contrast on white and on black.
PALETTE = ("#3b8fd0", "#d9730d", "#159a78", "#c75b9b", "#8f7ee6", "#8a8f98")

# Ink in this colour takes the colour of the page's text: one picture serves light and dark.
INK = "#010203"
_ids = itertools.count()


def style() -> None:
    """Set the look of seaborn, matplotlib and Plotly Express. Call once at the top of a chapter."""
    px.defaults.color_discrete_sequence = list(PALETTE)
    sns.set_theme(
        context="notebook",
        font_scale=0.8,
        style="ticks",
        palette=list(PALETTE),
        rc={
            "figure.figsize": (5.2, 3.4), "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
            "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlecolor": INK,
            "xtick.color": INK, "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "axes.grid": True,
            "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "patch.edgecolor": "none",
            "svg.fonttype": "path", "svg.hashsalt": "innercodes", "figure.constrained_layout.use": True,
        },
    )  # fmt: skip


def show(figure: Any, name: str, alt: str, caption: str) -> None:
    """Publish a matplotlib or Plotly figure.

    `name` is its id within the chapter, `alt` says in words what the figure shows, `caption` can be read alone. The site
    adds where the numbers come from. Raises ValueError when one of them is missing.
    """
    for label, text in (("name", name), ("alt", alt), ("caption", caption)):
        if not text.strip():
            raise ValueError(f"a figure needs its {label}")
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"name = {name!r}: must hold only small letters, digits and '-'")
    metadata = {"innercodes": {"figure": name, "alt": alt, "caption": caption}}
    if isinstance(figure, go.Figure):
        figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
        display(
            {"application/vnd.plotly.v1+json": json.loads(figure.to_json()), "text/plain": alt},
            raw=True,
            metadata=metadata,
        )
        return
    label = f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" '
    picture = _svg(figure).replace("<svg ", label, 1)
    plt.close(figure)
    markup = f"<figure class='ic-figure'>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>"
    display({"text/html": markup, "text/plain": alt}, raw=True, metadata=metadata)


def _svg(figure: matplotlib.figure.Figure) -> str:
    """The figure as inline SVG whose ink takes the page's text colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = re.sub(r"^.*?(?=<svg )", "", buffer.getvalue(), flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Two figures of a page must not share an id: glyphs and clip paths would be mixed up.
    prefix = f"f{next(_ids)}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", svg)
    return svg.replace(INK, "currentColor")
