"""The editions of the chapters: exercises in step with the package, no solution for students, checks that pass for teachers."""

import re

import assignments
import editions
import exercise_cells
import jupytext
import nbformat
import papermill
import pytest
import stage
from nbclient import NotebookClient
from tiny import TINY

from innercodes import exercises, provenance

ROOT = exercise_cells.ROOT
CHAPTERS = list(exercises.EXERCISES)
# What may stand in a task, a stub or a hint as well as in a solution.
TRIVIAL = re.compile(r"(\W|\d)*|return \w+|break|else:|import \w+|from innercodes import \w+")


def source(chapter):
    return (ROOT / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8")


def lines(text):
    return {line.strip() for line in text.splitlines()} - {""}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_are_in_step_with_the_package(chapter):
    text = source(chapter)
    assert exercise_cells.synced(chapter, text) == text, "run: python workflow/exercise_cells.py"
    found = [cell for cell in jupytext.reads(text, fmt="py:percent").cells if "exercise" in cell.metadata]
    wanted = [cell for cell in exercise_cells.cells(chapter) if cell.metadata]
    assert [(c.cell_type, c.source, c.metadata.exercise, c.metadata.tags) for c in found] == [
        (c.cell_type, c.source, c.metadata.exercise, c.metadata.tags) for c in wanted
    ]


def test_a_chapter_without_its_headings_is_refused():
    with pytest.raises(ValueError, match=r"notebooks/01_symbols.py: must have the headings"):
        exercise_cells.synced("01_symbols", "# %% [markdown]\n# ## The record\n")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_objectives_are_met_by_exercises(chapter):
    """Each thing that the reader can do afterwards names the exercises that ask for it, or says that the chapter shows it."""
    said = source(chapter).split("# After this chapter you can\n#\n", 1)[1].split("\n#\n", 1)[0]
    objectives = re.split(r"^# - ", said, flags=re.MULTILINE)[1:]
    numbers = [
        [int(n) for n in re.findall(r"\d+", " ".join(re.findall(r"\(exercises? ([^)]*)\)", o)))] for o in objectives
    ]
    assert len(objectives) >= 4 and all(numbers), objectives
    count = len(exercises.EXERCISES[chapter])
    assert {n for every in numbers for n in every} <= set(range(1, count + 1))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_are_no_part_of_the_source_hash(chapter, tmp_path):
    folder = tmp_path / "notebooks"
    (tmp_path / "src").symlink_to(ROOT / "src")
    folder.mkdir()
    path, text = folder / f"{chapter}.py", source(chapter)
    path.write_text(text, encoding="utf-8")
    before = provenance.source_hash(chapter, tmp_path)
    assert before == provenance.source_hash(chapter)
    stub = exercises.EXERCISES[chapter][-1].call
    path.write_text(text.replace(stub, stub + "  # changed"), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    assert provenance.source_hash(chapter, tmp_path) == before
    assert not any("exercises.check_" in code for code in provenance.code_cells(chapter))


def secrets(chapter):
    """Every line of code and every sentence that students must find themselves."""
    found = {}
    for exercise in exercises.EXERCISES[chapter]:
        code = lines(exercise.solution) - lines(exercise.stub)
        sentences = {s.strip() for s in re.split(r"(?<=[.:?]) ", " ".join(exercise.explanation.split()))}
        found |= {line: exercise.key for line in code if not TRIVIAL.fullmatch(line)}
        found |= {sentence: exercise.key for sentence in sentences if len(sentence) > 20}
    assert len(found) > 20
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_student_edition_holds_no_solution(chapter):
    notebook = editions.edition(chapter, "student")
    text = "\n".join(cell.source for cell in notebook.cells)
    flat = " ".join(text.split())
    told = {line: key for line, key in secrets(chapter).items() if " ".join(line.split()) in flat}
    assert told == {}
    assert "{dropdown}" not in text and "<summary>Solution" not in text and "<summary>Hint" in text
    for exercise in exercises.EXERCISES[chapter]:
        assert exercise.stub in [cell.source for cell in notebook.cells]
        assert exercise.call in text
    # The secrets are found where they are, so that the test above can fail.
    full = " ".join("\n".join(cell.source for cell in editions.edition(chapter, "instructor").cells).split())
    assert [line for line in secrets(chapter) if " ".join(line.split()) not in full] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_instructor_edition_says_more(chapter):
    notebook = editions.edition(chapter, "instructor")
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "## Teaching notes: " in notebook.cells[1].source
    for exercise in exercises.EXERCISES[chapter]:
        assert exercise.solution in [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert exercise.explanation in text and all(mistake.message in text for mistake in exercise.mistakes)
    assert "<details open><summary>Solution" in text and "{dropdown}" not in text


def test_editions_are_written_whole_and_alike(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    monkeypatch.setattr(editions, "BUILD", tmp_path / "editions")
    for part in ("notebooks", "book"):
        (tmp_path / part).symlink_to(ROOT / part)
    assert editions.main("student") == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "editions" / "student").iterdir()}
    assert sorted(first) == [f"{chapter}.ipynb" for chapter in CHAPTERS]
    assert editions.main("student") == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "editions" / "student").iterdir()} == first
    assert editions.main("teacher") == 2
    assert "error: edition = 'teacher': must be one of student, instructor" in capsys.readouterr().err


def squeezed(text):
    """Without what parts the lines of a cell in a notebook's file: blanks, escapes, quotes and commas."""
    return re.sub(r"\\[nt]|[\s\\\",]", "", text)


def test_the_files_for_students_hold_no_code_of_a_solution(tmp_path, monkeypatch):
    """Nor in metadata, outputs or attachments: searched is the text of the files that are given out."""
    monkeypatch.setattr(editions, "ROOT", tmp_path)
    monkeypatch.setattr(editions, "BUILD", tmp_path / "editions")
    for part in ("notebooks", "book"):
        (tmp_path / part).symlink_to(ROOT / part)
    texts = {}
    for name in editions.EDITIONS:
        assert editions.main(name) == 0
        files = [path for path in (tmp_path / "editions" / name).rglob("*") if path.is_file()]
        texts[name] = {path.name: squeezed(path.read_text(encoding="utf-8")) for path in files}
    for chapter in CHAPTERS:
        for exercise in exercises.EXERCISES[chapter]:
            whole = squeezed(exercise.solution)
            code = [
                squeezed(line)
                for line in lines(exercise.solution) - lines(exercise.stub)
                if not TRIVIAL.fullmatch(line)
            ]
            assert code
            assert [name for name, text in texts["student"].items() if whole in text] == [], exercise.key
            assert [line for line in code if line in texts["student"][f"{chapter}.ipynb"]] == [], exercise.key
            # Both are found where they are, so that the lines above can fail.
            assert all(text in texts["instructor"][f"{chapter}.ipynb"] for text in (whole, *code)), exercise.key


def exercise_part(chapter, name):
    """The code cells of an edition's exercises, which need nothing of the chapter."""
    return [c for c in editions.edition(chapter, name).cells if c.cell_type == "code" and "exercise" in c.metadata]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_run_in_a_fresh_kernel(chapter):
    """Stubs as they are, every check saying "not yet"; then filled in, every check passing."""
    student, instructor = (exercise_part(chapter, name) for name in editions.EDITIONS)
    cells = [*student, *instructor]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    NotebookClient(notebook, timeout=1200).execute()
    checks = [cell for cell in notebook.cells if cell.source.startswith("exercises.check_")]
    shown = [cell.outputs[0].data["text/plain"] for cell in checks]
    count = len(exercises.EXERCISES[chapter])
    assert len(shown) == 2 * count
    assert all(text.startswith("✗ not yet: nothing is filled in yet") for text in shown[:count]), shown
    assert all(text.startswith("✓ right") for text in shown[count:]), shown


# The edition for instructors is run whole by tests/chapters/test_chapters.py.
@pytest.mark.nightly
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_whole_student_edition_runs_from_top_to_bottom(chapter, tmp_path):
    wanted = TINY[chapter] | {"out_dir": str(tmp_path)}
    notebook = editions.edition(chapter, "student")
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    done = papermill.execute_notebook(notebook, None, wanted, kernel_name="python3", progress_bar=False)
    checks = [cell for cell in done.cells if cell.source.startswith("exercises.check_")]
    shown = [cell.outputs[0].data["text/plain"] for cell in checks]
    assert [text.startswith("✗ not yet: nothing is filled in yet") for text in shown] == [True] * len(
        exercises.EXERCISES[chapter]
    )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_page_shows_untouched_stubs_and_the_quiz(chapter, tmp_path):
    """Whatever ran, with or without the exercises of today: outputs go to the cells that made them."""
    ran = jupytext.reads(source(chapter), fmt="py:percent")
    ran.cells = [cell for cell in ran.cells if cell.cell_type == "code"]
    for number, cell in enumerate(ran.cells):
        text = f"output {number}" if "exercise" not in cell.metadata else "an old exercise"
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/plain": text})]
        cell.metadata.pop("tags", None)
        cell.metadata["papermill"] = {"duration": 0.25}
    old = tmp_path / "old.ipynb"
    nbformat.write(ran, old)
    before = provenance.source_hash(chapter)
    live = {"page": "", "claims": [], "stale": False}
    page = stage.chapter_page(chapter, old, live, [])
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code] == [cell.source for cell in ran.cells]
    for number, cell in enumerate(code):
        shown = [output.data["text/plain"] for output in cell.outputs]
        if "exercise" not in cell.metadata:
            assert shown == [f"output {number}"]
        elif cell.source.startswith("exercises.check_"):
            assert len(shown) == 1 and "not yet: nothing is filled in yet" in shown[0]
        else:
            assert shown == []
    texts = [cell.source for cell in page.cells if cell.cell_type == "markdown"]
    assert sum("ic-quiz" in text for text in texts) == 1
    assert [text for text in texts if text.startswith("## Quiz")]
    timed = dict(re.findall(r"^## (.+)\n\n\*(about \d+ minutes? to read.*)\*$", "\n".join(texts), re.MULTILINE))
    sections = re.findall(r"^# ## (.+)$", source(chapter), re.MULTILINE)
    assert list(timed) == [name for name in sections if name not in ("Parameters", "Exercises", "The record")]
    assert sum("this run: " in line for line in timed.values()) >= len(timed) // 2
    assert provenance.source_hash(chapter) == before


def test_a_section_says_how_long_it_takes(tmp_path):
    """Seconds of the run, added up over the cells of a section; minutes of its prose; neither where it makes no sense."""
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    prose = "A word and $x + y$ another. " * 50
    cells = [
        markdown(f"# Title\n\n{prose}"),
        markdown("## Parameters\n\nChoose."),
        code("a = 1"),
        markdown(f"(label)=\n## Long\n\n{prose}"),
        code("b = 2"),
        markdown(f"### Within\n\n{prose}\n\n$$\n{'many symbols ' * 300}\n$$\n\n```python\n{'many names ' * 300}\n```"),
        code("c = 3"),
        markdown("## Short\n\nA [link](https://example.org/with/many/words) or two."),
        code("d = 4"),
        markdown("## Prose alone\n\nOne word."),
        markdown("## The record\n\nA table."),
        code("e = 5"),
        markdown("## Untold\n\nOne word."),
        code("f = 6"),
    ]
    code_cells = [cell for cell in cells if cell.cell_type == "code"]
    seconds = dict(zip(map(id, code_cells), (50, 100.2, 31.3, 0.4, 7, None), strict=True))
    stage.add_minutes(cells, seconds)
    heads = [cell.source for cell in cells if cell.source.startswith(("#", "(label)"))]
    told = {found[1]: found[2] for text in heads if (found := re.search(r"^## (.+)\n\n\*(.+)\*\n\n", text, re.M))}
    # Four words, fifty times, twice, and one in a heading: 401 words are three minutes.
    assert told == {
        "Long": "about 3 minutes to read · this run: 2 min",
        "Short": "about 1 minute to read · this run: less than 1 s",
        "Prose alone": "about 1 minute to read",
        "Untold": "about 1 minute to read",
    }
    assert heads[2].startswith("(label)=\n## Long\n\n*about") and heads[2].endswith(prose)
    assert stage.words(prose) == 200 and [stage.duration(s) for s in (0.99, 34.6, 119.4, 150)] == [
        "less than 1 s", "35 s", "119 s", "2 min",
    ]  # fmt: skip


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_assignment_has_a_question_for_each_exercise(chapter):
    notebook = assignments.assignment(chapter)
    nbformat.validate(notebook)
    raw = [cell.source for cell in notebook.cells if cell.cell_type == "raw"]
    assert raw[0].startswith("# ASSIGNMENT CONFIG")
    names = [re.search(r"name: (\w+)", text)[1] for text in raw if text.startswith("# BEGIN QUESTION")]
    assert names == [exercise.key for exercise in exercises.EXERCISES[chapter]]
    for word in ("QUESTION", "PROMPT", "SOLUTION", "TESTS"):
        assert sum(text.startswith(f"# BEGIN {word}") for text in raw) == len(names)
        assert sum(text == f"# END {word}" for text in raw) == len(names)


def test_prose_names_exercises_that_exist():
    for path in [ROOT / "book" / "teach.md", *(ROOT / "notebooks" / f"{chapter}.py" for chapter in CHAPTERS)]:
        numbers = re.findall(r"\b[Ee]xercises? (\d+)", path.read_text(encoding="utf-8"))
        assert {int(number) for number in numbers} <= set(range(1, 7)), path.name
