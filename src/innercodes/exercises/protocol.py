"""What an exercise is, and how an answer is judged: by properties on fresh random input, not by the solution's numbers.

A test raises `NotYet` with one line for the student, or returns a sentence for a right answer. Nothing that a student
hands over, an untouched stub, a text, a function that stops, may end in a traceback.
"""

import html
import re
import secrets
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

DIFFICULTIES = ("warm-up", "easy", "medium", "hard", "open")
EDITIONS = ("reader", "student", "instructor")
UNTOUCHED = "nothing is filled in yet. Replace each `...` of the stub by your own."
UNKNOWN = "the check can not read this answer. Start again from the stub and keep its form."
LONGEST = 300
"""Characters of a message; more would not be read. An error text of a student's function is cut to a third of it."""


class NotYet(Exception):
    """A property that an answer lacks. Its text is what the student reads."""


@dataclass(frozen=True)
class Verdict:
    """Whether an answer passed, and one line about it. True where it passed; shown by notebooks and terminals alike."""

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"{'✓ right' if self.ok else '✗ not yet'}: {self.message}"

    def _repr_html_(self) -> str:
        shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.message, quote=False))
        shown = re.sub(r"\*(\w[\w ]*)\*", r"<em>\1</em>", shown)
        head = "✓ right" if self.ok else "✗ not yet"
        # A border in the colour of the text can be read on light and on dark pages.
        style = "border-left: 3px solid currentColor; padding-left: 0.8em"
        return f'<p role="status" style="{style}"><strong>{head}:</strong> {shown}</p>'


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: its name for the teacher, its code, and a part of the message that it must get."""

    name: str
    code: str
    message: str


@dataclass(frozen=True)
class Exercise:
    """A task with a stub, a test on fresh input, hints, a solution and typical wrong answers.

    `name` is what the stub defines and the check takes, a function or a value. `test(answer, generator)` raises `NotYet` or
    returns a sentence for a right answer; all its random input comes from the generator, and the states of torch's own one
    are fixed around it, for functions that draw. Code texts may use `torch` without importing it.
    """

    key: str
    chapter: str
    title: str
    difficulty: str
    minutes: int
    task: str
    name: str
    stub: str
    hints: tuple[str, ...]
    solution: str
    explanation: str
    mistakes: tuple[Mistake, ...]
    test: Callable[[Any, torch.Generator], str]

    def __post_init__(self) -> None:
        if self.difficulty not in DIFFICULTIES:
            raise ValueError(f"difficulty = {self.difficulty!r}: must be one of {', '.join(DIFFICULTIES)}")
        for field in ("task", "stub", "solution", "explanation"):
            object.__setattr__(self, field, _text(getattr(self, field)))
        object.__setattr__(self, "hints", tuple(_text(hint) for hint in self.hints))

    def check(self, answer: Any, seed: int | None = None) -> Verdict:
        """Judge an answer on fresh random input; the same `seed` gives the same input."""
        seed = secrets.randbits(31) if seed is None else seed
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            try:
                return Verdict(True, self.test(answer, torch.Generator().manual_seed(seed)))
            except NotYet as reason:
                return Verdict(False, _one_line(str(reason), LONGEST))
            except Exception:
                # An answer of a form that nobody thought of; the tests of the package forbid this for all known ones.
                return Verdict(False, UNKNOWN)

    def run(self, code: str) -> Any:
        """What a code text (stub, solution or mistake) defines under this exercise's name."""
        space: dict[str, Any] = {"torch": torch}
        exec(compile(_text(code), f"<{self.key}>", "exec"), space)
        return space[self.name]

    @property
    def call(self) -> str:
        """The line of a notebook that checks the answer."""
        return f"exercises.check_{self.key}({self.name})"

    def markdown(self, number: int | None = None, edition: str = "reader") -> str:
        """The text of a page, MyST: the task, then hints and, where the edition has one, the solution as dropdowns.

        reader: the solution folded. student: none. instructor: open, with the typical wrong answers and what they are told.
        """
        if edition not in EDITIONS:
            raise ValueError(f"edition = {edition!r}: must be one of {', '.join(EDITIONS)}")
        parts = [self.task_text(number)]
        if edition != "student":
            parts.append(self.solution_text(opened=edition == "instructor"))
        if edition == "instructor":
            parts.append(self.mistakes_text())
        return "\n\n".join(parts)

    def task_text(self, number: int | None = None) -> str:
        """The task with its hints, MyST."""
        head = self.title if number is None else f"{number}. {self.title}"
        names = ["Hint"] if len(self.hints) == 1 else [f"Hint {i}" for i in range(1, len(self.hints) + 1)]
        parts = [f"**{head}** ({self.difficulty}, {self.minutes} minutes).\n{self.task}"]
        return "\n\n".join(parts + [_dropdown(name, hint) for name, hint in zip(names, self.hints, strict=True)])

    def solution_text(self, opened: bool = False) -> str:
        """The solution with its explanation as a dropdown, MyST."""
        return _dropdown("Solution", f"{self.explanation}\n\n```python\n{self.solution}\n```", opened)

    def mistakes_text(self) -> str:
        """The typical wrong answers and what they are told as a dropdown, MyST."""
        lines = [f"- *{m.name}*: “… {m.message} …”" for m in self.mistakes]
        return _dropdown("Typical wrong answers, and what they are told", "\n".join(lines))


def _text(text: str) -> str:
    return textwrap.dedent(text).strip("\n").rstrip()


def _one_line(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 2].rstrip() + " …"


def _dropdown(title: str, body: str, opened: bool = False) -> str:
    # A fence must be longer than those inside it.
    fence = "````" if "```" in body else "```"
    return f"{fence}{{dropdown}} {title}\n{':open:' + chr(10) * 2 if opened else ''}{body}\n{fence}"


# What tests are made of


def require(
    holds: bool,
    message: str,
    found: Tensor | None = None,
    typical: Iterable[tuple[Any, str]] = (),
    tolerance: float = 1e-4,
) -> None:
    """Raise `NotYet` where a property does not hold: with the message of the first typical mistake that gives `found`.

    `typical` pairs what a mistake gives, anything that becomes a tensor, with its message. It is asked only after a property
    failed, so that a right answer can not be taken for a mistake.
    """
    if holds:
        return
    if found is not None:
        for guess, reason in typical:
            if close(found, torch.as_tensor(guess, dtype=torch.float64), tolerance):
                raise NotYet(reason)
    raise NotYet(message)


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> bool:
    """Whether two tensors agree to a share of the larger of 1 and the largest entry. Single precision is good enough."""
    if found.shape != wanted.shape:
        return False
    scale = max(1.0, float(wanted.abs().max()) if wanted.numel() else 1.0)
    return bool(((found - wanted).abs() <= tolerance * scale).all())


def function(answer: Any) -> Callable:
    """The student's function, or `NotYet` for an untouched stub and for anything that can not be called."""
    if _untouched(answer):
        raise NotYet(UNTOUCHED)
    if not callable(answer):
        raise NotYet(f"hand over the function itself, by its name and without brackets; this is {_kind(answer)}.")
    return answer


def call(
    answer: Callable, *arguments: Any, shape: tuple[int | None, ...], example: str, truths: bool = False
) -> Tensor:
    """What a student's function gives, float64 of this shape (None: any length), or bool with `truths`.

    It gets copies, so that one that writes into its input does no harm. `example` says what it was called on.
    """
    copies = [value.clone() if isinstance(value, Tensor) else value for value in arguments]
    try:
        found = answer(*copies)
    except NotImplementedError:
        raise NotYet(UNTOUCHED) from None
    except (Exception, SystemExit) as error:
        text = _one_line(f"{type(error).__name__}: {error}", LONGEST // 3)
        raise NotYet(f"{example}, your function stops with {text}") from None
    if _untouched(found):
        raise NotYet(UNTOUCHED)
    return numbers(found, shape, f"{example}, your function gives", truths)


def numbers(answer: Any, shape: tuple[int | None, ...], example: str = "this is", truths: bool = False) -> Tensor:
    """A student's numbers as float64 of this shape, or as bool with `truths`; `NotYet` for anything else.

    Tensors of any device, arrays and lists will do, and for a single number a tensor of one entry.
    """
    if _untouched(answer):
        raise NotYet(UNTOUCHED)
    wanted = "true and false" if truths else "numbers"
    try:
        if isinstance(answer, Tensor):
            found = answer.detach().cpu()
        elif isinstance(answer, str | bytes | dict | set) or callable(answer):
            raise TypeError
        else:
            found = torch.from_numpy(np.array(answer))
    except (TypeError, ValueError, RuntimeError):
        # What numpy can not put into a table of numbers: texts, lists of unequal length, objects.
        raise NotYet(f"{example} {_kind(answer)}; {wanted} are wanted.") from None
    if found.is_complex():
        raise NotYet(f"{example} complex numbers; real ones are wanted.")
    if found.dtype in (torch.float16, torch.bfloat16):
        raise NotYet(f"{example} numbers of half precision, which lose digits. Keep the dtype of the input.")
    if found.dtype == torch.bool and not truths:
        raise NotYet(f"{example} true and false; {wanted} are wanted.")
    found = found.clone() if found.dtype == torch.bool else found.double()
    if not shape and found.numel() == 1:
        found = found.reshape(())
    if len(found.shape) != len(shape) or any(b is not None and a != b for a, b in zip(found.shape, shape, strict=True)):
        raise NotYet(f"{example} {_sizes(tuple(found.shape))}; {_sizes(shape)} is wanted.")
    if found.dtype != torch.bool and not found.isfinite().all():
        raise NotYet(f"{example} NaN or infinity. Is there a division by 0, or a logarithm of 0?")
    if truths and found.dtype != torch.bool:
        if not bool(((found == 0) | (found == 1)).all()):
            raise NotYet(f"{example} numbers other than 0 and 1; true and false are wanted.")
        found = found.bool()
    return found


def _untouched(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_untouched(part) for part in value)
    return value is None or value is Ellipsis


def _kind(value: Any) -> str:
    if isinstance(value, str | bytes):
        return "a text"
    if isinstance(value, list | tuple):
        return "a list that is no table of numbers"
    if callable(value):
        return "a function"
    if isinstance(value, Tensor | np.ndarray):
        return "an array"
    return "a number" if isinstance(value, int | float | complex) else f"a thing of type {type(value).__name__}"


def _sizes(shape: tuple[int | None, ...]) -> str:
    if not shape:
        return "a single number"
    inside = ", ".join("any" if size is None else str(size) for size in shape)
    return f"the shape ({inside}{',' if len(shape) == 1 else ''})"


# Random input


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Standard normal numbers, float64 of this shape."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def between(generator: torch.Generator, low: float, high: float) -> float:
    """A uniform number from `low` to `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def whole(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def rotation(generator: torch.Generator, size: int) -> Tensor:
    """A random orthogonal matrix, float64 (size, size)."""
    return torch.linalg.qr(normal(generator, size, size)).Q


def made_codes(generator: torch.Generator, rows: int, variances: Tensor) -> Tensor:
    """Codes whose principal variances, with 1 / (N - 1), are exactly these: float64 (k,) to (rows, k), k < rows.

    Turned at random, and about a random mean that is not 0.
    """
    size = len(variances)
    draws = normal(generator, rows, size)
    # Columns of a centred matrix span centred directions only, so that the mean of the result is the one added here.
    axes = torch.linalg.qr(draws - draws.mean(0)).Q
    spread = axes * (variances * (rows - 1)).sqrt()
    return spread @ rotation(generator, size) + 3 * variances.max().sqrt() * normal(generator, size)
