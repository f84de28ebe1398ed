"""The quiz of a chapter: questions in book/quizzes/*.yml, shown as plain HTML that needs no script and no network.

Each option is a disclosure: who opens it reads in words whether it is right, and why. It works by keyboard, with a screen
reader, from a file, and in a notebook.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from innercodes.provenance import ROOT

FOLDER = ROOT / "book" / "quizzes"


@dataclass(frozen=True)
class Option:
    """A possible answer, whether it is right, and what is said to who chooses it."""

    text: str
    right: bool
    feedback: str


@dataclass(frozen=True)
class Question:
    """A question with options, one of them right, and the place in the chapter or paper that settles it."""

    text: str
    options: tuple[Option, ...]
    source: str


def there(chapter: str, folder: Path = FOLDER) -> bool:
    """Whether a chapter has a quiz."""
    return (folder / f"{chapter}.yml").is_file()


def read(chapter: str, folder: Path = FOLDER) -> tuple[Question, ...]:
    """The questions of a chapter. Raises ValueError, naming file and question, for what is no quiz."""
    path = folder / f"{chapter}.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path.name}: must be a list of questions")
    return tuple(_question(entry, f"{path.name}, question {number}") for number, entry in enumerate(content, 1))


def _question(entry: object, where: str) -> Question:
    if not isinstance(entry, dict) or set(entry) != {"question", "options", "source"}:
        raise ValueError(f"{where}: must have question, options and source")
    options = []
    for option in entry["options"]:
        kind = [name for name in ("right", "wrong") if name in option]
        if len(kind) != 1 or set(option) != {kind[0], "because"}:
            raise ValueError(f"{where}: an option must have right or wrong, and because: {option}")
        options.append(Option(str(option[kind[0]]), kind[0] == "right", str(option["because"])))
    if len(options) < 3 or sum(option.right for option in options) != 1:
        raise ValueError(f"{where}: must have three options or more, one of them right")
    return Question(str(entry["question"]), tuple(options), str(entry["source"]))


def markup(chapter: str, folder: Path = FOLDER) -> str:
    """The quiz as HTML. Options with the same name close each other where the browser knows how."""
    parts = []
    for number, question in enumerate(read(chapter, folder), 1):
        name = f"quiz-{chapter}-{number}"
        options = "".join(
            f"<details name='{name}'><summary>{_inline(option.text)}</summary>"
            f"<p><strong>{'Right.' if option.right else 'Not right.'}</strong> {_inline(option.feedback)}</p></details>"
            for option in question.options
        )
        parts.append(f"<li><p>{_inline(question.text)}</p>{options}</li>")
    return (
        "<section class='ic-quiz' aria-label='Quiz'><p>Choose an answer by opening it: it says whether it is right, "
        f"and why.</p><ol>{''.join(parts)}</ol></section>"
    )


def _inline(text: str) -> str:
    """Text with `code` and *emphasis* as HTML."""
    shown = html.escape(" ".join(text.split()), quote=False)
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", shown)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", shown)
