"""Quizzes: each chapter has one, its answers are told apart in words, and a broken file is refused by name."""

import pytest
import yaml
from bs4 import BeautifulSoup

from innercodes import exercises, quizzes

CHAPTERS = list(exercises.EXERCISES)
GOOD = {
    "question": "Two *and* two?",
    "source": "counting",
    "options": [
        {"right": "`4`", "because": "Count."},
        {"wrong": "5 < 6", "because": "One less."},
        {"wrong": "3", "because": "One more."},
    ],
}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_a_quiz(chapter):
    questions = quizzes.read(chapter)
    assert 5 <= len(questions) <= 8
    assert len({question.text for question in questions}) == len(questions)
    for question in questions:
        assert len({option.text for option in question.options}) == len(question.options)
        assert all(len(option.feedback) > 20 for option in question.options) and question.source
    # Nobody passes by always taking the same place, or the longest answer.
    places = [[option.right for option in question.options].index(True) for question in questions]
    assert max(places.count(place) for place in places) <= len(places) / 2 + 1
    longest = [max(question.options, key=lambda option: len(option.text)).right for question in questions]
    assert sum(longest) < len(longest)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_quiz_can_be_used_without_a_script(chapter):
    page = BeautifulSoup(quizzes.markup(chapter), "html.parser")
    questions = quizzes.read(chapter)
    assert not page.find_all(["script", "img", "link"]) and page.section["aria-label"] == "Quiz"
    assert len(page.select("ol > li")) == len(questions)
    for item, question in zip(page.select("ol > li"), questions, strict=True):
        shown = item.select("details")
        assert len(shown) == len(question.options) and len({one["name"] for one in shown}) == 1
        for one, option in zip(shown, question.options, strict=True):
            assert one.p.strong.text == ("Right." if option.right else "Not right.") and not one.has_attr("open")
            assert one.summary.text.strip()
    assert len({one["name"] for one in page.select("details")}) == len(questions)


def test_markup_is_escaped(tmp_path):
    (tmp_path / "q.yml").write_text(yaml.safe_dump([GOOD]))
    shown = quizzes.markup("q", tmp_path)
    assert "Two <em>and</em> two?" in shown and "<code>4</code>" in shown and "5 &lt; 6" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "question 1: must have question, options and source"),
        ({"options": GOOD["options"][:2]}, "three options or more, one of them right"),
        ({"options": GOOD["options"][1:] * 2}, "three options or more, one of them right"),
        ({"options": [*GOOD["options"], {"right": "4"}]}, "must have right or wrong, and because"),
    ],
)
def test_a_broken_quiz_is_refused(tmp_path, change, message):
    entry = {name: value for name, value in (GOOD | change).items() if value is not None}
    (tmp_path / "q.yml").write_text(yaml.safe_dump([entry]))
    with pytest.raises(ValueError, match=message):
        quizzes.read("q", tmp_path)
    (tmp_path / "q.yml").write_text("")
    with pytest.raises(ValueError, match=r"q.yml: must be a list of questions"):
        quizzes.read("q", tmp_path)
