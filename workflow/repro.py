"""Rebuild a recorded run from its provenance, and say which number differs if one does."""

import json
import math
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import runs
from runs import Key, UsageError

from innercodes import parameters

TIMED = "SYM-21"
"""The claim about seconds, which no two runs share."""
SHOWN = 20
"""Differing values that are named; the others are counted."""


def prepared(key: Key, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record of a run, and the parameters that make it again.

    A record names paths by their last part and a hash of the content, so `given` says where they are here. Raises
    UsageError, one line, for a record that does not exist, a path that is missing or holds something else, and for any
    other parameter: a run with other values is not this one.
    """
    path = runs.ROOT / "results" / f"{key}.json"
    if key.chapter not in runs.chapters() or not path.is_file() or ".." in str(key):
        known = sorted(f"{p.parent.name}/{p.stem}" for p in (runs.ROOT / "results").glob("*/*--*.json"))
        raise UsageError(f"{key}: must be a recorded run: {', '.join(known) or 'there is none'}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        values, held = dict(record["parameters"]), dict(runs.paths(record))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path.relative_to(runs.ROOT)}: not a record: {type(error).__name__} {error}") from None
    for name in given:
        if name not in held or name == "out_dir":
            raise UsageError(f"PARAMS: {name} is not free; the record asks for {', '.join(held) or 'no path'}")
    for name, was in held.items():
        if name not in given:
            raise UsageError(f"PARAMS: {name} is missing: the record was made with {was}")
        values[name] = str(Path(given[name]).expanduser().absolute())
        if (found := runs.content_of(values[name])) != was:
            raise UsageError(f"PARAMS: {name} = {given[name]!r} is {found}; the record was made with {was}")
    for parameter in parameters.CHAPTERS[key.chapter]:
        if parameter.name not in values:
            raise UsageError(f"{path.relative_to(runs.ROOT)}: has no {parameter.name}, which the chapter takes today")
    return record, values | {"out_dir": "."}


def report(key: Key, record: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    """Say what differs between a record and the same run made again; 0 when no number does."""
    differing = list(differences(untimed(record), untimed(found)))
    before, now = record["provenance"], found["provenance"]
    for name in ("source_hash", "claims_hash", "lock_hash", "hardware", "packages"):
        if before.get(name) != now.get(name):
            words = "" if name == "packages" else f": {before.get(name)} then, {now.get(name)} now"
            print(f"note: {name} is another one{words}", file=sys.stderr)
    for where, was, value in differing[:SHOWN]:
        print(f"differs: {where}: {was} in the record, {value} now{relative(was, value)}", file=sys.stderr)
    if differing:
        more = f", {len(differing) - SHOWN} of them not shown" if len(differing) > SHOWN else ""
        print(f"error: {key}: {len(differing)} values differ from the record{more}", file=sys.stderr)
        if before.get("source_hash") != now.get("source_hash"):
            print(f"       its code was that of `git checkout {shlex.quote(before['commit'])}`", file=sys.stderr)
        return 1
    count = sum(1 for _ in leaves(untimed(found)))
    print(f"{key}: all {count} values are those of the record, to the last bit")
    return 0


def untimed(results: Mapping[str, Any]) -> dict[str, Any]:
    """What a run measured: claims by their id, without the one about seconds, and metrics."""
    return {
        "claims": {row["id"]: row for row in results["claims"] if row["id"] != TIMED},
        "metrics": results["metrics"],
    }


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that is no dict and no list, with the names that lead to it."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{where}[{place}]")
    else:
        yield where, value


def differences(before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each place at which two results are not the same, with both values; 'nothing' where one has none."""
    old, new = dict(leaves(before)), dict(leaves(now))
    for where in old | new:
        was, value = old.get(where, "nothing"), new.get(where, "nothing")
        # 1 and True, 1 and 1.0 are equal to Python; a number stays a number in JSON.
        if was != value or isinstance(was, bool) != isinstance(value, bool):
            yield where, was, value


def relative(was: Any, value: Any) -> str:
    """The distance of two numbers as a share of the first."""
    if (
        not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in (was, value))
        or not was
    ):
        return ""
    return f" ({(value - was) / abs(was):+.2g} of it)"
