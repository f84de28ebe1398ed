"""Drawings as pages and records hold them: what is seen, in fewer bytes."""

import base64
import io
import re

import numpy as np
from PIL import Image


def lean(markup: str) -> str:
    """Markup whose drawings hold no more than what is seen, a third smaller."""
    return re.sub(r"<svg .*?</svg>", _lean, markup, flags=re.DOTALL)


def _lean(drawing: re.Match[str]) -> str:
    """An SVG drawing without comments, indentation and names that nobody calls, the others short, its paths to a hundredth
    of a point: nobody sees less.
    """
    text = re.sub(r"<!--.*?-->|(?<=>)\s+(?=<)", "", drawing[0], flags=re.DOTALL)
    called = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    # What stands before the first hyphen tells the figures of a page apart.
    short = {name: f"{name.partition('-')[0]}-{i:x}" for i, name in enumerate(called)}
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", text)
    text = re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + short[found[2]], text)
    text = re.sub(r"(?<=data:image/png;base64,)[^\"]*", _packed, text)
    text = re.sub(r' style="[^"]*"', lambda found: re.sub(r"(?<=[:;]) ", "", found[0]), text)
    text = text.replace("<use xlink:href=", "<use href=")
    text = re.sub(r'(<use [^>]*)transform="translate\(([-\d.]+) 0\)"', r'\1x="\2"', text)
    text = re.sub(
        r' (?:d|x|y|points)="[^"]*"|translate\([^)]*\)',
        lambda found: re.sub(r"\s*\n\s*", " ", re.sub(r"(\.\d\d)\d+", r"\1", found[0])),
        text,
    )
    return re.sub(r'(?<= d=")[^"]*', _short, text)


def _short(path: re.Match[str]) -> str:
    """A path without zeros at the end of a number, blanks beside a letter, and letters that repeat the last one."""
    text = re.sub(r"(\.\d*?)0+(?!\d)", r"\1", path[0])
    text = re.sub(r"\.(?!\d)", "", text)
    text = re.sub(r"\s*([A-Za-z])\s*", r"\1", text)
    text = re.sub(r"([LQC])[^A-Za-z]*(?:\1[^A-Za-z]*)+", lambda run: run[1] + run[0][1:].replace(run[1], " "), text)
    return text.replace(" -", "-").strip()


def _packed(encoded: re.Match[str]) -> str:
    """A PNG with a palette or without what says that nothing is transparent, the same pixels: matplotlib spends four bytes on
    each.
    """
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(encoded[0]))).convert("RGBA"))
    colours, index = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) <= 256:
        picture = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8))
        picture.putpalette(colours.tobytes(), "RGBA")
    else:
        picture = Image.fromarray(pixels if colours[:, 3].min() < 255 else pixels[..., :3])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return min(encoded[0], base64.b64encode(file.getvalue()).decode(), key=len)
