"""The slides in a real browser, opened as files: every one fits its screen, arrow keys lead through all, nobody is asked."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import runs
import slides
import stage
from remarks import OF_THE_BROWSER

CHAPTERS = runs.chapters()
WIDTH, HEIGHT = 1280, 720
# What stands out of the screen, by element; drawn formulas and figures keep copies out of sight for screen readers and for hovering.
OUTSIDE = """
() => {
  const slide = Reveal.getCurrentSlide();
  const own = "h1, h2, p, ul, ol, table, figure, figure > svg, figure > .ic-plotly, figcaption, mjx-container";
  return [...slide.querySelectorAll(own)].filter((one) => !one.closest("mjx-assistive-mml")).map((one) => {
    const box = one.getBoundingClientRect();
    const out = box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
    return out ? `${one.tagName} ${[box.left, box.top, box.right, box.bottom].map(Math.round)}` : "";
  }).filter(Boolean).concat(
    slide.scrollHeight > slide.clientHeight + 1 ? [`height ${slide.scrollHeight}`] : [],
    slide.scrollWidth > slide.clientWidth + 1 ? [`width ${slide.scrollWidth}`] : [],
  );
}
"""
READY = "Reveal.getCurrentSlide().dataset.ready === 'yes'"


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that `make slides` writes."""
    folder = tmp_path_factory.mktemp("decks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slides, "BUILD", folder / "slides")
        slides.write()
    yield folder / "slides"
    shutil.rmtree(folder)


def visit(browser, path: Path):
    """Open a deck, and keep what goes wrong on it."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(60_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda said: None if OF_THE_BROWSER.search(said.text) else wrong.append(f"{said.type}: {said.text}")
    )
    local = ("file:", "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(local) else wrong.append(request.url))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.goto(path.as_uri())
    page.wait_for_function(f"Reveal.isReady() && {READY}")
    return page, wrong


# A minute for each deck: the others at night.
@pytest.mark.parametrize(
    "chapter", [pytest.param(c, marks=() if c == CHAPTERS[1] else pytest.mark.nightly) for c in CHAPTERS]
)
def test_every_slide_fits_its_screen(browser, decks: Path, chapter: str) -> None:
    page, wrong = visit(browser, decks / f"{chapter}.html")
    count = page.evaluate("Reveal.getTotalSlides()")
    assert count >= 12
    outside = {}
    for number in range(count):
        page.wait_for_function(f"Reveal.getSlidePastCount() === {number} && {READY}")
        if found := page.evaluate(OUTSIDE):
            outside[number] = found
        size = float(page.evaluate("parseFloat(getComputedStyle(Reveal.getCurrentSlide()).fontSize)"))
        assert size >= 16, (number, size)
        assert page.locator("section.present mjx-merror").count() == 0
        page.keyboard.press("ArrowRight")
    assert outside == {}
    assert page.evaluate("Reveal.isLastSlide()")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"Reveal.getSlidePastCount() === {count - 2}")
    assert wrong == []
    page.context.close()


def test_what_is_too_large_is_made_to_fit_and_what_cannot_is_seen(browser, decks: Path, tmp_path: Path) -> None:
    """A wide table, a tall figure and long prose fit; a slide that nothing can save fails the test above."""
    row = "".join(f"<td>{'a wide cell ' * 4}</td>" for _ in range(8))
    svg = "<svg viewBox='0 0 100 4000' width='100pt' height='4000pt'><rect width='100' height='4000'/></svg>"
    tall = f"<figure class='ic-figure'>{svg}</figure>"
    every = {
        "table": slides.Slide("", "Wide", picture=f"<table><tbody><tr>{row}</tr></tbody></table>"),
        "figure": slides.Slide("", "Tall", prose=["Words. " * 40], picture=tall),
        "prose": slides.Slide("", "Long", prose=["Words and words. " * 130]),
        "hopeless": slides.Slide("", "Hopeless", prose=["Words and words. " * 900]),
    }
    for name in ("reveal", "mathjax", "plotly.min.js"):
        (tmp_path / name).symlink_to(decks / name)
    for one in every.values():
        one.first = True
    deck = slides.notebook(list(every.values()))
    (tmp_path / "made.html").write_text(slides.page(deck), encoding="utf-8")
    page, wrong = visit(browser, tmp_path / "made.html")
    for number, name in enumerate(every):
        page.wait_for_function(f"Reveal.getSlidePastCount() === {number} && {READY}")
        assert bool(page.evaluate(OUTSIDE)) == (name == "hopeless"), name
        page.keyboard.press("ArrowRight")
    assert wrong == []
    page.context.close()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_deck_has_the_argument_and_no_marks_of_the_book(chapter: str) -> None:
    deck = slides.deck(chapter)
    nbformat.validate(deck)
    text = "\n".join(cell.source for cell in deck.cells if cell.cell_type == "markdown")
    assert text.startswith("# " + chapter[:2])
    for heading in ("After this chapter you can", "Exercises", "Summary"):
        assert f"## {heading}\n" in text
    assert not re.findall(r"\{(?:cite|eq|ref|doc|dropdown|admonition)[:}`]|^:\w+:|```|\.md\)", text, re.MULTILINE)
    assert "Solution" not in text and "## Parameters" not in text
    # Nothing of an exercise but its title.
    for exercise in slides.exercises.EXERCISES[chapter]:
        assert exercise.title in text and exercise.task not in text and exercise.solution not in text
    again = slides.deck(chapter)
    assert again == deck


def test_figures_and_record_say_where_they_come_from() -> None:
    found = [one for chapter in CHAPTERS if (one := slides.source(chapter))]
    assert found
    for notebook, run in found:
        line = stage.provenance_text(run)
        figures = slides.figures_of(notebook, run)
        assert figures and all(line in shown for shown in figures.values())
        assert all(line in one.picture for one in slides.record(run))
        text = "\n".join(cell.source for cell in slides.deck(run["chapter"]).cells if cell.cell_type == "markdown")
        # Prose reads the quick run: beside another one it would be about other numbers.
        assert ("Figures and record are of the recorded run" in text) == (run["preset"] != "quick")
        assert ("was made with other code" in text) == run["stale"]


def test_every_claim_that_was_judged_stands_in_the_record() -> None:
    for chapter in CHAPTERS:
        if ran := slides.source(chapter):
            shown = "".join(one.picture for one in slides.record(ran[1]))
            ids = re.findall(r"<th scope='row'>([\w-]+)</th>", shown)
            known = slides.claims.of_chapter(chapter)
            assert ids == [row["id"] for row in ran[1]["claims"] if row["value"] is not None and row["id"] in known]


def test_prose_is_read_beside_the_quick_run_alone() -> None:
    chapter = "02_sparse_interactions"
    figures = {
        name: "<figure></figure>"
        for name in slides.SHOWN.findall((slides.ROOT / f"notebooks/{chapter}.py").read_text())
    }
    assert len(figures) > 10
    quick, recorded = (slides.slides(chapter, figures, read) for read in (True, False))
    assert [one.picture for one in quick if one.picture] == [one.picture for one in recorded if one.picture]
    assert len([one for one in quick if one.picture]) == len(figures)
    read = [one for one in quick if one.picture and one.letters > slides.BRIEF]
    assert len(read) > 5 and not [one for one in recorded if one.picture and one.letters > slides.BRIEF]


def test_text_is_cut_at_sentences_and_marks_become_words() -> None:
    assert slides.opening("One is short. " + "Two is long " * 30 + ". Three.") == "One is short."
    assert slides.opening("One.\nTwo? Three.") == "One. Two? Three."
    parts = ["Words.", "$$ a\n\n= b $$ (eq-a)", "```{admonition} Title\n:class: tip\none\n\ntwo\n```", "- x\n- y"]
    assert list(slides.blocks("\n\n".join(parts))) == parts
    names, numbers = {"a1": "Ann 2020", "b": "Bo et al. 2021"}, {"eq-a": "02.1"}
    said = slides.plain("By {cite:t}`a1` and {eq}`eq-a`, others {cite:p}`a1,b`: [here](../x.md#y).", numbers, names)
    assert said == "By Ann 2020 and (02.1), others (Ann 2020; Bo et al. 2021): here."
    assert slides.plain("$$ a $$ (eq-a)", numbers, names) == r"$$ a \tag{02.1} $$"
    assert slides.cited_names()["lee2023telescope"] == "Lee & Vijayan 2023"
