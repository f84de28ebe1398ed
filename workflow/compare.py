"""Compare two results files of one chapter, such as those of a CPU and of a GPU: `compare.py A.json B.json`.

Says which verdicts differ, and which values differ by more than the tolerance. Exit status 0: every verdict is the same; 1: at
least one differs; 2: the two cannot be compared. Values alone change nothing of it: their distance is told, and the verdict is
what a value of a claim is for.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import repro

RELATIVE, ABSOLUTE = 0.05, 0.01
"""|a - b| <= ABSOLUTE + RELATIVE * max(|a|, |b|). Networks that are trained on two devices part in the last bits, and the steps
of training carry these apart."""
FREE = ("device", "out_dir", "progress", "threads", "run")
"""Parameters in which the two may differ."""
SHOWN = 20
"""Differing values that are named; the others are counted."""


class CompareError(ValueError):
    """One line that says why two files cannot be compared."""


def read(path: Path) -> dict[str, Any]:
    """A results file. Raises CompareError for one that is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not {row["id"]: row["verdict"] for row in content["claims"]}:
            raise CompareError(f"{path}: judges no claim")
        return {name: content[name] for name in ("chapter", "preset", "parameters", "claims", "metrics")}
    except OSError as error:
        raise CompareError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, CompareError):
            raise
        raise CompareError(f"{path}: not a results file: {type(error).__name__} {error}") from None


def refuse_others(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Raise CompareError unless both are runs of one chapter with the same parameters, but for those of `FREE`."""
    for name in ("chapter", "preset"):
        if first[name] != second[name]:
            raise CompareError(f"{name}: {first[name]} and {second[name]}: must be the same")
    before, now = first["parameters"], second["parameters"]
    for name in (before | now).keys() - set(FREE):
        if before.get(name) != now.get(name):
            raise CompareError(f"parameters: {name} = {before.get(name)!r} and {now.get(name)!r}: must be the same")


def verdicts(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each claim whose verdict differs, with both; 'missing' where a file does not have it. The claim about seconds is left out."""
    before, now = ({row["id"]: row["verdict"] for row in one["claims"]} for one in (first, second))
    for claim in before | now:
        was, value = before.get(claim, "missing"), now.get(claim, "missing")
        if was != value and claim != repro.TIMED:
            yield claim, was, value


def values(
    first: Mapping[str, Any], second: Mapping[str, Any], relative: float, absolute: float
) -> Iterator[tuple[str, Any, Any]]:
    """Each number of claims and metrics that differs by more than the tolerance, the farthest first; what is no number in both
    files, and differs, comes before all. Verdicts and notes, which are made from numbers, are left out.
    """
    found = []
    for where, was, value in repro.differences(repro.untimed(first), repro.untimed(second)):
        if where.rpartition(".")[2] in ("verdict", "note"):
            continue
        if not (number(was) and number(value)):
            found.append((math.inf, where, was, value))
            continue
        distance, allowed = abs(was - value), absolute + relative * max(abs(was), abs(value))
        if distance > allowed:
            found.append((distance / allowed if allowed else math.inf, where, was, value))
    for _, where, was, value in sorted(found, key=lambda one: -one[0]):
        yield where, was, value


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--relative", type=tolerance, default=RELATIVE, help=f"share of the larger value ({RELATIVE})")
    parser.add_argument("--absolute", type=tolerance, default=ABSOLUTE, help=f"added to it ({ABSOLUTE})")
    options = parser.parse_args(words)
    try:
        first, second = read(options.first), read(options.second)
        refuse_others(first, second)
    except CompareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    other = list(verdicts(first, second))
    for claim, was, value in other:
        print(f"verdict differs: {claim}: {was} | {value}")
    far = list(values(first, second, options.relative, options.absolute))
    for where, was, value in far[:SHOWN]:
        print(f"value differs: {where}: {was} | {value}{repro.relative(was, value)}")
    if len(far) > SHOWN:
        print(f"and {len(far) - SHOWN} values more")
    count = sum(1 for _ in repro.leaves(repro.untimed(first)))
    print(
        f"{first['chapter']} ({first['preset']}): {len(other)} of {len(first['claims'])} verdicts differ; {len(far)} of {count} "
        f"values differ by more than {options.absolute:g} + {options.relative:g} of the larger one"
    )
    return 1 if other else 0


def tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
