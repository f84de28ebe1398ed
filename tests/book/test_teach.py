"""The page for teachers: its minutes are those of the exercises, and its knobs are values that the chapters take."""

import re
import shlex

import pytest
import runs

from innercodes import exercises, parameters

PAGE = (runs.ROOT / "book" / "teach.md").read_text(encoding="utf-8")
CHAPTERS = list(exercises.EXERCISES)


def part(chapter):
    return re.search(rf"^## {chapter[:2]} .*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[0]


def values(words):
    """The -p names and values of a command."""
    found = shlex.split(words)
    assert found[::3] == ["-p"] * (len(found) // 3) and len(found) % 3 == 0, words
    return dict(zip(found[1::3], found[2::3], strict=True))


def knobs(chapter):
    """The small run of a chapter, and what each row of its table changes."""
    small = re.search(r"The small run:\n`(.+)`", part(chapter))[1]
    return values(small), [values(row) for row in re.findall(r"^\| `(-p .+?)` \|", part(chapter), re.MULTILINE)]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_minutes_are_those_of_the_exercises(chapter):
    *closed, last = (exercise.minutes for exercise in exercises.EXERCISES[chapter])
    row = re.search(rf"^\| {chapter[:2]} .*", PAGE, re.MULTILINE)[0]
    assert f"| {sum(closed)} minutes | {last} minutes |" in row


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_knobs_are_values_that_the_chapter_takes(chapter):
    declared = {p.name: p for p in parameters.CHAPTERS[chapter]}
    small, changes = knobs(chapter)
    assert len(changes) >= 3
    for changed in ({}, *changes):
        for name, text in (small | changed).items():
            value = runs._typed(declared[name], text)
            declared[name].check(value)
    for changed in changes:
        (name,) = changed
        # A knob that is at its value already shows nothing.
        before = small.get(name, str(declared[name].default))
        assert changed[name] != before, name


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_misconceptions_name_what_meets_them(chapter):
    rows = re.findall(r"^\| “?\"(.+?)\" \| (.+?) \|$", part(chapter), re.MULTILINE)
    assert len(rows) >= 4
    assert sum("xercise" in answer for _, answer in rows) >= 3
