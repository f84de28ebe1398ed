"""The built site for the tests of the book: its folder, its pages, and a browser."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pdf
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("INNERCODES_SITE") or ROOT / "_build" / "html")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
GENERATED = {"genindex.html", "search.html"}


def _pages_of(site: Path) -> list[str]:
    """The pages of a site, without the templates that the theme leaves among its static files."""
    found = (path.relative_to(site) for path in site.rglob("*.html"))
    return sorted(path.as_posix() for path in found if path.parts[0] != "_static")


def _drawn_by_night(site: Path) -> set[str]:
    """Pages of recorded runs but for the largest: in a browser that one stands for all, and these are drawn by night."""
    recorded = sorted(site.glob("results/*/*.html"), key=lambda path: path.stat().st_size)
    return {path.relative_to(site).as_posix() for path in recorded[:-1]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`page` is every page of the book; `any_page` also the index and the search page that Sphinx makes."""
    # Without a site one page is asked for all the same, and the fixture `site` says what is missing.
    pages = _pages_of(SITE) or ["index.html"]
    if "page" in metafunc.fixturenames:
        late = _drawn_by_night(SITE) if "browser" in metafunc.fixturenames else set()
        chosen = [
            pytest.param(page, marks=pytest.mark.nightly if page in late else ())
            for page in pages
            if page not in GENERATED
        ]
        metafunc.parametrize("page", chosen, scope="module")
    if "recorded" in metafunc.fixturenames:
        metafunc.parametrize("recorded", sorted(_drawn_by_night(SITE)), scope="module")
    if "any_page" in metafunc.fixturenames:
        metafunc.parametrize("any_page", pages, scope="module")


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site: $INNERCODES_SITE, or what `make book` left."""
    assert (SITE / "index.html").is_file(), f"no site in {SITE}: run `make book` first"
    return SITE


@pytest.fixture(scope="session")
def pages_of() -> Callable[[Path], list[str]]:
    """Lists the pages of a site."""
    return _pages_of


@pytest.fixture(scope="session")
def soup() -> Callable[[Path], BeautifulSoup]:
    """Reads a page; each is parsed once."""
    parsed: dict[Path, BeautifulSoup] = {}

    def read(path: Path) -> BeautifulSoup:
        if path not in parsed:
            parsed[path] = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        return parsed[path]

    return read


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, or fails where a browser is required."""
    try:
        return pdf.browser()
    except pdf.PdfError as missing:
        if os.environ.get("INNERCODES_REQUIRE_BROWSER") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def browser(site: Path, chromium: str) -> Iterator:
    """One Chromium for all tests of a module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()
