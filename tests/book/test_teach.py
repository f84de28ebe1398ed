"""The page for teachers: its minutes are those of the exercises, and its knobs are values that the chapters take."""

import ast
import re

import pytest
import runs
from teaching import PAGE, knobs, part

from innercodes import exercises, parameters

CHAPTERS = list(exercises.EXERCISES)


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


def table(text):
    """The rows of the knobs: the command, what to predict, seconds, what to compare."""
    head, _, *rows = re.search(r"^\| Change \|.*\n(?:\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    assert head == "| Change | Predict | Seconds | Compare |"
    return [re.split(r" *\| *", row)[1:-1] for row in rows]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_knob_takes_no_longer_than_a_break(chapter):
    rows = table(part(chapter))
    assert [row[0] for row in rows] == [f"`{words}`" for words in re.findall(r"^\| `(-p .+?)` \|", part(chapter), re.M)]
    for change, _, seconds, _ in rows:
        assert re.fullmatch(r"\d+", seconds) and 0 < int(seconds) <= 90, (change, seconds)


def headings(chapter):
    return re.findall(r"^# ##+ (.+)$", (runs.ROOT / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8"), re.M)


def meets(chapter, answer):
    """What an answer sends students to: exercises by number, and sections whose figure it names."""
    numbers = [
        int(n) for found in re.findall(r"\b[Ee]xercises? ([\d, and]+)", answer) for n in re.findall(r"\d+", found)
    ]
    figures = re.findall(r"figure of “(.+?)”", answer)
    assert set(numbers) <= set(range(1, len(exercises.EXERCISES[chapter]) + 1)), answer
    assert set(figures) <= set(headings(chapter)), answer
    return numbers + figures


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_misconceptions_name_what_meets_them(chapter):
    said = re.search(r"^\*\*Misconceptions\.\*\*\n\n.*\n.*\n((?:\|.*\n)+)", part(chapter), re.MULTILINE)[1]
    rows = [re.fullmatch(r"\| \"(.+?)\" \| (.+?) \|", row) for row in said.splitlines()]
    assert len(rows) >= 4 and all(rows), said
    assert [row[1] for row in rows if not meets(chapter, row[2])] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_projects_have_parameters_to_begin_with(chapter):
    said = re.search(r"^\*\*Projects\.\*\* (.+?)\n\n", part(chapter), re.MULTILINE | re.DOTALL)[1]
    projects = " ".join(said.split()).split(" · ")
    assert len(projects) >= 3
    declared = {p.name: p for p in parameters.CHAPTERS[chapter]}
    for project in projects:
        found = re.findall(r"`(\w+) = ([^`]+)`", project)
        assert found, project
        for name, text in found:
            assert name in declared, (project, name)
            value = ast.literal_eval(text)
            declared[name].check(value)


def test_the_page_knows_its_chapters():
    """The plan of weeks has every chapter, the optional week the last one, with a line on what to skip."""
    plan = re.search(r"^## Six weeks\n(.+?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)[1]
    weeks = dict(re.findall(r"^\| (\d)(?:, optional)? \| (.+) \|$", plan, re.MULTILINE))
    assert list(weeks) == list("1234567")
    assert all(any(f"{chapter[:2]}: " in week for week in weeks.values()) for chapter in CHAPTERS)
    assert "| 7, optional | 05: " in plan
    skipped = plan.partition("Leave out, if time is short")[2]
    assert all(f"in {chapter[:2]} " in skipped for chapter in CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_a_chapter_needs_has_links(chapter):
    """The line "You need" leads to what it names, not to the glossary alone."""
    text = (runs.ROOT / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8")
    said = re.search(r"^# (You need.+?)\n(?:#?\n|# %%)", text, re.MULTILINE | re.DOTALL)[1]
    assert "](../glossary.md)" in said
    links = [link for link in re.findall(r"\[[^\]]+\]\(([^)]+)\)", said) if link != "../glossary.md"]
    assert links
    for link in links:
        assert link.startswith("https://") or (runs.ROOT / "notebooks" / link).is_file(), link
    if chapter.startswith("05"):
        assert [link[:2] for link in links] == [name[:2] for name in CHAPTERS if name != chapter]
