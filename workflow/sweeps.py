"""Sweeps: a table of runs, every row checked before anything starts.

A sweep is a CSV file in UTF-8. The first row names the columns, each further row is a run. `chapter`, `preset` and `run`
name a file of presets/; every other column is a parameter. An empty cell leaves the preset's value. A row whose first cell
begins with '#' is a remark.
"""

import csv
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runs
from runs import Key, UsageError

from innercodes import parameters

WHICH = {"chapter": "", "preset": "quick", "run": "default"}
"""The columns that say which preset file a row begins with, and what an empty cell stands for."""


@dataclass(frozen=True)
class Row:
    """A run of a sweep. `number` is the row as a spreadsheet counts it, the header being row 1.

    `base` names the preset file, `key` the run itself: the same with a hash of its values, so that the order of rows does
    not matter, a new row repeats no old one, and two sweeps share the runs that they have in common.
    """

    number: int
    base: Key
    key: Key
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A checked table: its name, the parameters that are columns, and its rows."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def folder(self) -> Path:
        """Where its table and its page come, relative to the root."""
        return Path("_build/sweeps") / self.name

    def described(self) -> str:
        """What collecting needs, as JSON."""
        rows = [{"number": row.number, **vars(row.base), "folder": str(row.key.folder)} for row in self.rows]
        return json.dumps({"sweep": self.name, "columns": self.columns, "rows": rows}, ensure_ascii=False, indent=1)


def read(file: str, given: Mapping[str, str], here: bool = True) -> Sweep:
    """The sweep of a CSV file; `given` are parameters for all rows (PARAMS).

    `here` says that the runs take place on this machine: then its devices and its memory count too. Raises UsageError, one
    line with the row, for a file that is no such table, a row that is not allowed, or a run that stands there twice.
    """
    table = _table(file)
    head = [name.strip() for name in table[0][1]]
    columns = tuple(name for name in head if name not in WHICH)
    if clash := sorted(set(columns) & set(given)):
        raise UsageError(f"PARAMS: {clash[0]} is a column of {file}")
    found: list[Row] = []
    faults: list[str] = []
    for number, cells in table[1:]:
        try:
            row = _row(number, head, cells, given, here)
            if twin := next((r.number for r in found if r.key == row.key), 0):
                raise UsageError(f"the same run as row {twin}")
            found.append(row)
        except (UsageError, parameters.ParameterError) as error:
            faults.append(f"{file}, row {number}: {error}")
    if faults:
        more = f" (and {len(faults) - 1} more rows with a fault)" if len(faults) > 1 else ""
        raise UsageError(faults[0] + more)
    return Sweep(Path(file).stem, columns, tuple(found))


def _table(file: str) -> list[tuple[int, list[str]]]:
    """The rows that hold something, with their numbers; the first has the names of the columns."""
    path = Path(file).expanduser()
    stem = "ASCII letters, digits, '_', '-' and '.', not beginning with '.' or '-'"
    if path.suffix != ".csv" or "\0" in file or not path.is_file():
        raise UsageError(f"SWEEP = {file!r}: must be a .csv file that exists, such as {_example()}")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", path.stem):
        raise UsageError(f"SWEEP = {file!r}: the file's name must hold only {stem}")
    try:
        # A spreadsheet's byte order mark is no part of the first name.
        with path.open(encoding="utf-8-sig", newline="") as text:
            lines = list(enumerate(csv.reader(text, strict=True), 1))
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 at byte {error.start}: save it as CSV in UTF-8") from None
    except (csv.Error, OSError) as error:
        raise UsageError(f"{file}: not readable as CSV: {error}") from None
    table = [(n, cells) for n, cells in lines if any(map(str.strip, cells)) and not cells[0].lstrip().startswith("#")]
    head = [name.strip() for name in table[0][1]] if table else []
    if "chapter" not in head or len(table) < 2:
        raise UsageError(f"{file}: must have a row of names, 'chapter' among them, and a row for each run")
    if "" in head or len(set(head)) < len(head):
        twice = next(name for name in head if not name or head.count(name) > 1)
        raise UsageError(f"{file}: the column {twice!r} " + ("stands there twice" if twice else "has no name"))
    for number, cells in table:
        if len(cells) != len(head):
            raise UsageError(f"{file}, row {number}: has {len(cells)} cells; the first row names {len(head)} columns")
    return table


def _example() -> str:
    return next((f"sweeps/{path.name}" for path in sorted((runs.ROOT / "sweeps").glob("*.csv"))), "sweeps/mine.csv")


def _row(number: int, head: Sequence[str], cells: Sequence[str], given: Mapping[str, str], here: bool) -> Row:
    filled = {name: cell.strip() for name, cell in zip(head, cells, strict=True) if cell.strip()}
    which = {name: filled.pop(name, default) for name, default in WHICH.items()}
    base = Key(which["preset"], which["chapter"], which["run"])
    values = runs.values(base, {**given, **filled})
    check(base.chapter, values, here)
    counted = {name: value for name, value in values.items() if name not in ("out_dir", "run")}
    digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:8]
    key = Key(base.preset, base.chapter, f"{base.run}.{digest}")
    return Row(number, base, key, values | {"run": key.run})


def check(chapter: str, values: Mapping[str, Any], here: bool = True) -> None:
    """The check that the notebook will make, now. Raises ParameterError.

    Elsewhere than `here` only names, types and ranges are known: another machine has other devices and another memory.
    """
    declared = parameters.CHAPTERS[chapter]
    if here:
        parameters.check(chapter, {p.name: p.default for p in declared} | dict(values))
        return
    known = {p.name: p for p in declared}
    for name, value in values.items():
        if name not in known:
            raise parameters.ParameterError(f"{name}: {chapter} has no such parameter; it takes {', '.join(known)}")
        known[name].check(value)
