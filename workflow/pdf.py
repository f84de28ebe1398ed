"""Print the whole book, the pages of recorded runs left out, as one PDF by Chromium; called by `make pdf` once the site is built.

The pages of the site become one page: ids get the page's name before them, links within the book lead within the file.
"""

import contextlib
import html
import os
import posixpath
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import runs
import version
import yaml
from bs4 import BeautifulSoup, Tag

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = runs.ROOT
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Attributes that name an id of the same page.
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
# What every printed page needs stands in innercodes.css, below @media print; here is what makes pages a book.
STYLE = """
@page { size: A4; margin: 18mm 16mm; }
body { max-width: none; padding: 0; }
article { break-before: page; }
article.ic-title { break-before: auto; padding-top: 30vh; text-align: center; }
.bd-main .bd-content { margin-left: 0; }
.cell.tag_hide-input > details { display: none !important; }
.toctree-wrapper { display: none !important; }
"""
DRAW = """async () => {
  document.querySelectorAll("details").forEach((box) => box.open = true);
  await window.MathJax?.startup?.promise;
  for (const box of document.querySelectorAll(".ic-plotly")) {
    box.scrollIntoView();
    for (let i = 0; i < 600 && box.dataset.drawn !== "yes"; i++) await new Promise((r) => setTimeout(r, 100));
    if (box.dataset.drawn !== "yes") throw new Error("not drawn: " + box.getAttribute("aria-label"));
    // What WebGL draws is not printed: a picture stands in its place.
    if (!box.querySelector(".gl-container canvas, .gl-container svg")) continue;
    const picture = new Image();
    picture.src = await Plotly.toImage(box, {format: "png", width: box.clientWidth, height: box.clientHeight, scale: 2});
    await picture.decode();
    Plotly.purge(box);
    picture.style.width = "100%";
    box.replaceChildren(picture);
  }
}"""


class PdfError(RuntimeError):
    """One line that says what is missing."""


def pages() -> list[str]:
    """The pages of the book in the order of its contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


def single(site: Path, names: list[str], title: str) -> str:
    """All pages as one, to be put beside the folder of the site. Raises PdfError for a page that is not there."""
    bodies, head = [], ""
    for name in names:
        path = site / f"{name}.html"
        if not path.is_file():
            raise PdfError(f"{site.name}/{name}.html: not there: run `make book`")
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        if not head:
            sheets = page.select("head link[rel=stylesheet]")
            for sheet in sheets:
                sheet["href"] = _beside(site, name, sheet["href"])
            head = "".join(map(str, sheets))
        article = page.select_one("article.bd-article")
        for tag in article.find_all(src=True):
            tag["src"] = _beside(site, name, tag["src"])
        _localise(article, name, names)
        bodies.append(str(article))
    scripts = (
        '<script>window.MathJax = {options: {processHtmlClass: "tex2jax_process|mathjax_process|math|output_area"}}</script>'
        f'<script defer src="{site.name}/_static/mathjax/tex-mml-chtml.js"></script>'
        f'<script src="{site.name}/_static/innercodes.js"></script>'
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light" data-content_root="{site.name}/"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>{head}<style>{STYLE}</style>{scripts}</head><body>"
        f"<main id='main-content' class='bd-main'><div class='bd-content'><div class='bd-article-container'>"
        f"<article class='ic-title'><h1>{html.escape(title)}</h1><p>The site has more: recorded runs, and the code of every figure.</p>"
        f"</article>{''.join(bodies)}</div></div></main></body></html>"
    )


def _beside(site: Path, name: str, address: str) -> str:
    """The address of a page's file, as seen from beside the folder of the site."""
    if urlsplit(address).scheme:
        return address
    return posixpath.normpath(posixpath.join(site.name, posixpath.dirname(name), address))


def slug(name: str) -> str:
    return name.replace("/", "-")


def _localise(article: Tag, name: str, names: list[str]) -> None:
    """Make ids and links of a page fit the one page that holds all: a link that leads out of it becomes plain text."""
    for tag in article.find_all(True):
        if tag.has_attr("id"):
            tag["id"] = f"{slug(name)}--{tag['id']}"
        for attribute in REFERENCES:
            if tag.has_attr(attribute):
                tag[attribute] = " ".join(f"{slug(name)}--{one}" for one in str(tag[attribute]).split())
        for attribute in [a for a, value in tag.attrs.items() if isinstance(value, str) and "url(#" in value]:
            tag[attribute] = tag[attribute].replace("url(#", f"url(#{slug(name)}--")
        for attribute in ("href", "xlink:href"):
            if tag.has_attr(attribute):
                _turn(tag, attribute, name, names)
    article["id"] = slug(name)


def _turn(tag: Tag, attribute: str, name: str, names: list[str]) -> None:
    parts = urlsplit(tag[attribute])
    if parts.scheme or parts.netloc:
        return
    beside = posixpath.join(posixpath.dirname(name), unquote(parts.path))
    target = posixpath.normpath(beside) if parts.path else f"{name}.html"
    page = target.removesuffix(".html")
    if page in names and target.endswith(".html"):
        tag[attribute] = f"#{slug(page)}--{parts.fragment}" if parts.fragment else f"#{slug(page)}"
    elif tag.name == "a":
        del tag[attribute]


def browser() -> str:
    found = os.environ.get("CHROMIUM") or next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if not found:
        raise PdfError(f"no Chromium: set CHROMIUM, or install one of {', '.join(CHROMIUM)}")
    return found


@contextlib.contextmanager
def opened(page: Path) -> Iterator["Page"]:
    """A page in Chromium with its formulas and figures drawn. Raises PdfError when a script of it fails."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
        found = running.new_page(viewport={"width": 800, "height": 1100}, color_scheme="light")
        found.set_default_timeout(600_000)
        errors: list[str] = []
        found.on("pageerror", lambda error: errors.append(str(error)))
        found.goto(page.as_uri())
        found.evaluate(DRAW)
        if errors:
            raise PdfError(f"the page for print does not work: {errors[0]}")
        yield found
        running.close()


def printed(page: Path, target: Path) -> None:
    """Print a page. Raises PdfError when a script of it fails."""
    with opened(page) as found:
        partial = target.with_suffix(".partial.pdf")
        found.pdf(path=partial, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        partial.replace(target)


def make(site: Path, target: Path, names: list[str]) -> None:
    """Write the PDF of some pages of a site."""
    page = site.parent / "book.partial.html"
    page.write_text(single(site, names, f"Inner Codes {version.of(ROOT)}"), encoding="utf-8")
    try:
        printed(page, target)
    finally:
        page.unlink()


def main() -> int:
    target = ROOT / "_build" / f"inner-codes-{version.of(ROOT)}.pdf"
    try:
        make(ROOT / "_build" / "html", target, pages())
    except PdfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"the book: {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
