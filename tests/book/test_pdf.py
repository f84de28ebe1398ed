"""The book as one file: nothing is lost or doubled when its pages become one, and Chromium prints it."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pdf
import pytest
import version
from bs4 import BeautifulSoup


@pytest.fixture(scope="module")
def whole(site: Path) -> BeautifulSoup:
    return BeautifulSoup(pdf.single(site, pdf.pages(), "Inner Codes"), "html.parser")


def test_each_page_is_there_in_the_order_of_the_contents(whole: BeautifulSoup) -> None:
    articles = [article.get("id") for article in whole.find_all("article")]
    assert articles[1:] == [pdf.slug(name) for name in pdf.pages()]
    assert articles[1] == "index" and "notebooks-02_sparse_interactions" in articles


def test_ids_are_unique_and_links_within_the_book_resolve(whole: BeautifulSoup, site: Path) -> None:
    ids = [tag["id"] for tag in whole.find_all(id=True)]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    # References of drawings to their glyphs, too.
    called = [tag[a] for tag in whole.find_all(True) for a in ("href", "xlink:href") if tag.get(a, "").startswith("#")]
    called += [f"#{name}" for name in re.findall(r"url\(#([^)]+)\)", str(whole))]
    assert len(called) > 100
    assert sorted({link for link in called if link[1:] not in set(ids)}) == []
    files = [tag[a] for tag in whole.find_all(True) for a in ("src", "href") if tag.get(a) and "://" not in tag[a]]
    missing = [name for name in files if name[0] != "#" and not (site.parent / name.partition("?")[0]).is_file()]
    assert missing == []


def test_the_version_is_that_of_the_tag(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.3.0"\n', encoding="utf-8")
    assert version.of(tmp_path) == "0.3.0"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "v0.4.1"]):
        subprocess.run([*git, *arguments], check=True)
    assert version.of(tmp_path) == "0.4.1"


def test_a_missing_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(pdf.PdfError, match=r"index\.html: not there: run `make book`"):
        pdf.single(tmp_path, ["index"], "Inner Codes")


def test_no_browser_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pdf.PdfError, match="no Chromium: set CHROMIUM"):
        pdf.browser()


def test_pages_are_printed(site: Path, tmp_path: Path, chromium: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages, because the whole takes minutes; with an outline, tags for screen readers, and links."""
    monkeypatch.setenv("CHROMIUM", chromium)
    (tmp_path / site.name).symlink_to(site)
    target = tmp_path / "book.pdf"
    pdf.make(tmp_path / site.name, target, ["index", "glossary"])
    content = target.read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert b"/Outlines" in content and b"/StructTreeRoot" in content
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 3
    assert list(tmp_path.glob("*.partial.*")) == []


def test_what_is_printed_is_seen(site: Path, tmp_path: Path, chromium: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles, which the theme hides in print; what WebGL draws, which is not printed; code without empty frames before it."""
    monkeypatch.setenv("CHROMIUM", chromium)
    (tmp_path / site.name).symlink_to(site)
    page = tmp_path / "book.html"
    page.write_text(
        pdf.single(tmp_path / site.name, ["notebooks/01_symbols", "glossary"], "Inner Codes"), encoding="utf-8"
    )
    script = """() => ({
        titles: [...document.querySelectorAll("article h1")].map((one) => one.offsetHeight > 0),
        pictures: [...document.querySelectorAll(".ic-plotly > img")].map((one) => one.naturalWidth > 300),
        webgl: document.querySelectorAll(".gl-container canvas, .gl-container svg").length,
        whole: [...document.querySelectorAll(".cell_input, .cell_input div, .cell_input pre")].filter((one) => {
          const { display, breakInside, overflowX } = getComputedStyle(one);
          return display === "flex" || breakInside === "avoid" || overflowX === "auto";
        }).length,
        folded: [...document.querySelectorAll(".tag_hide-input > details")].filter((one) => one.offsetHeight > 0).length,
        figures: [...document.querySelectorAll(".ic-figure")].every((one) => one.offsetHeight > 0),
    })"""
    with pdf.opened(page) as opened:
        opened.emulate_media(media="print")
        seen = opened.evaluate(script)
    assert seen["titles"] == [True] * 3
    assert seen["pictures"] and all(seen["pictures"]) and seen["webgl"] == 0
    assert seen["whole"] == seen["folded"] == 0 and seen["figures"]
