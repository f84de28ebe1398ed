"""What the papers claim, how we judge it, and the one file that a run leaves behind.

`claims/*.yml` fixes every test before the run. `Results` collects the measured values of a chapter, judges them and writes
`results.json` in one atomic step, with the provenance of the run.
"""

import datetime
import functools
import html
import json
import math
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import yaml

from innercodes import provenance, stats
from innercodes.parameters import PRESETS, Run
from innercodes.tables import Html, table

VERDICTS = ("reproduced", "partly", "not reproduced", "not tested here")

_TEXT = {"type": "string", "minLength": 1}
_TEST = {
    "op": {"enum": ["<", "<=", ">", ">=", "within"]},
    "threshold": {
        "oneOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}]
    },
    "measure": _TEXT,
}
_TESTED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["scope", "op", "threshold", "twin"],
    "properties": {
        **_TEST,
        "scope": {"enum": ["identity", "same-setting", "analog"]},
        "twin": {"type": "boolean"},
        "interval": {"type": "boolean"},
        "also": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "measure", "op", "threshold"],
                "properties": {"name": _TEXT, **_TEST},
            },
        },
    },
}
_NOT_TESTED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["not_tested"],
    "properties": {"not_tested": _TEXT},
}
_SCALE = {"if": {"type": "object", "required": ["not_tested"]}, "then": _NOT_TESTED, "else": _TESTED}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["paper", "claims"],
    "properties": {
        "paper": {
            "type": "object",
            "additionalProperties": False,
            "required": ["key", "authors", "title", "chapter"],
            "properties": {name: _TEXT for name in ("key", "authors", "title", "chapter")},
        },
        "claims": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "statement", "where", "paper_says", "measure", "baseline", "kind", "scales"],
                "properties": {
                    **{name: _TEXT for name in ("statement", "where", "paper_says", "measure", "baseline", "seen")},
                    "id": {"type": "string", "pattern": "^(SYM|INT|TEL|COD|LENS)-X?[0-9]+$"},
                    "kind": {"enum": ["identity", "effect", "quote"]},
                    "scales": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": list(PRESETS),
                        "properties": {preset: _SCALE for preset in PRESETS},
                    },
                },
            },
        },
    },
}


class ClaimsError(ValueError):
    """One line that names the claims file, the line in it and what is wrong."""


def read(path: Path) -> dict[str, Any]:
    """One claims file, checked. Raises ClaimsError with the line of the first fault: unknown or missing keys, wrong types,
    a duplicate id, or a scale with neither a test nor a reason why it is not tested.
    """
    path = Path(path)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClaimsError(f"{path.name}: not readable as YAML: {' '.join(str(error).split())}") from None
    if node is None:
        raise ClaimsError(f"{path.name}, line 1: the file is empty")
    _refuse_repeated_keys(path, node)
    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(content), key=_deepest)
    if fault is not None:
        raise ClaimsError(f"{path.name}, line {_line(node, fault.absolute_path)}: {fault.message}")
    seen: dict[str, int] = {}
    for index, claim in enumerate(content["claims"]):
        line = _line(node, ["claims", index])
        if claim["id"] in seen:
            raise ClaimsError(f"{path.name}, line {line}: {claim['id']} stands in line {seen[claim['id']]} already")
        seen[claim["id"]] = line
        for preset, scale in claim["scales"].items():
            for test in (scale, *scale.get("also", ())):
                if "op" not in test:
                    continue
                limits = test["threshold"] if isinstance(test["threshold"], list) else [test["threshold"]]
                if (
                    len(limits) != 1 + (test["op"] == "within")
                    or limits != sorted(limits)
                    or not all(map(math.isfinite, limits))
                ):
                    raise ClaimsError(
                        f"{path.name}, line {_line(node, ['claims', index, 'scales', preset])}: {claim['id']} at {preset}: "
                        "'within' takes two numbers, the smaller first, every other test one"
                    )
    return content


def _refuse_repeated_keys(path: Path, node: yaml.Node) -> None:
    """YAML lets the last of two equal keys win; here that would be a test that nobody sees."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ClaimsError(f"{path.name}, line {key.start_mark.line + 1}: {key.value!r} stands twice")
            seen.add(key.value)
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(path, value)


def _deepest(error: jsonschema.ValidationError) -> tuple[int, int]:
    return (len(error.absolute_path), 0)


def _line(node: yaml.Node, path: Any) -> int:
    for step in path:
        if isinstance(node, yaml.MappingNode):
            node = next(value for key, value in node.value if key.value == step)
        else:
            node = node.value[step]
    return node.start_mark.line + 1


@functools.cache
def papers(folder: Path = provenance.ROOT / "claims") -> tuple[dict[str, Any], ...]:
    """All claims files in the order of their chapters. Raises ClaimsError when an id stands in two of them."""
    files = sorted(
        (read(path) for path in sorted(folder.glob("*.yml"))), key=lambda content: content["paper"]["chapter"]
    )
    ids = [claim["id"] for content in files for claim in content["claims"]]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ClaimsError(f"{twice[0]}: stands in two claims files")
    return tuple(files)


def of_chapter(chapter: str) -> dict[str, dict[str, Any]]:
    """The claims that a chapter judges, by id."""
    return {
        claim["id"]: claim
        for content in papers()
        if content["paper"]["chapter"] == chapter
        for claim in content["claims"]
    }


def holds(test: Mapping[str, Any], value: float) -> bool:
    """Whether a value passes a test with `op` and `threshold`. NaN passes none."""
    threshold = test["threshold"]
    if test["op"] == "within":
        return threshold[0] <= value <= threshold[1]
    return {"<": value < threshold, "<=": value <= threshold, ">": value > threshold, ">=": value >= threshold}[
        test["op"]
    ]


def test_text(test: Mapping[str, Any]) -> str:
    """A test in words, such as '≥ 0.9'."""
    if test["op"] == "within":
        low, high = test["threshold"]
        return f"= {low:g}" if low == high else f"{low:g} … {high:g}"
    return f"{test['op'].replace('<=', '≤').replace('>=', '≥')} {test['threshold']:g}"


def judge(
    scale: Mapping[str, Any],
    value: float,
    ci: tuple[float, float] | None = None,
    also: Mapping[str, float | None] | None = None,
    twin: tuple[float, float] | None = None,
) -> tuple[str, str]:
    """The verdict on a measured value and its reason, by the test of one claim at one scale.

    not reproduced  the primary test fails
    partly          it holds, but a secondary condition fails or could not be asked (its value is None), or trained minus
                    untrained twin (`twin`, an interval) holds 0 or has the wrong sign
    reproduced      all of it holds
    """
    expected = {test["name"] for test in scale.get("also", ())}
    if set(also or {}) != expected:
        raise ValueError(f"secondary values {sorted(also or {})} were given; the claim asks for {sorted(expected)}")
    if scale["twin"] and twin is None:
        raise ValueError("this claim is judged against an untrained twin: give the difference as `twin`")
    if scale.get("interval") and ci is None:
        raise ValueError("this claim is judged on its whole interval: give `ci`")
    if not all(holds(scale, v) for v in (ci if scale.get("interval") else (value,))):
        return "not reproduced", f"needed {test_text(scale)}"
    for test in scale.get("also", ()):
        if also[test["name"]] is not None and not holds(test, also[test["name"]]):
            return "partly", f"{test['name']} = {also[test['name']]:.3g}, needed {test_text(test)}"
    if scale["twin"]:
        low, high = twin
        clear = {"<": high < 0, ">": low > 0, "w": low > 0 or high < 0}[scale["op"][0]]
        if not clear:
            return "partly", f"also in an untrained network: trained minus untrained is {low:.3g} … {high:.3g}"
    # What nobody asked did not fail, and did not hold either.
    if unasked := [test["name"] for test in scale.get("also", ()) if also[test["name"]] is None]:
        return "partly", f"{', '.join(unasked)} could not be asked"
    return "reproduced", ""


class Results:
    """The values of one run. `judge` takes them, `write` judges all together and leaves `<out_dir>/results.json`."""

    def __init__(self, run: Run, analog: bool = False):
        """`analog` says that this run's data or network only stand in for the paper's, whatever its claims file says."""
        self.run = run
        self.metrics: dict[str, Any] = {}
        self._analog = analog
        self._skipped: dict[str, str] = {}
        self._claims = of_chapter(run.chapter)
        self._measured: dict[str, dict[str, Any]] = {}
        self._code = provenance.of_code(run.chapter)
        self._started, self._clock = datetime.datetime.now(datetime.UTC), time.perf_counter()

    def judge(
        self,
        claim_id: str,
        value: float,
        ci: tuple[float, float] | None = None,
        baseline: Any = None,
        twin: stats.Estimate | None = None,
        also: Mapping[str, float | None] | None = None,
        note: str = "",
    ) -> "Measured":
        """Take the value of a claim. `baseline` is the number (or a dict of numbers) that stands beside it; `twin` the
        difference trained minus untrained. A secondary value is None where the run could not ask it. What is returned shows
        itself in the notebook.
        """
        scale = self._scale(claim_id)
        if "not_tested" in scale:
            raise ValueError(f"{claim_id} is not tested at {self.run.preset}: {scale['not_tested']}")
        # A chapter gives all its secondary values; each scale has its own conditions.
        names = [test["name"] for test in scale.get("also", ())]
        also = {name: value for name, value in (also or {}).items() if name in names}
        numbers = [
            value,
            *(ci or ()),
            *(extra for extra in (also or {}).values() if extra is not None),
            *(baseline.values() if isinstance(baseline, Mapping) else ()),
        ]
        numbers += [baseline] if isinstance(baseline, int | float) else []
        if not all(map(math.isfinite, numbers)) or (twin and not np.isfinite(twin.draws).all()):
            raise ValueError(
                f"{claim_id}: not a number or infinite, among value, interval, baseline and twin: {numbers}"
            )
        judge(
            scale, value, ci, also, (0, 0) if twin else None
        )  # fails here, beside the cell, when something is missing
        self._measured[claim_id] = {
            "value": float(value), "ci": ci, "baseline": baseline, "twin": twin, "also": dict(also or {}), "note": note,
        }  # fmt: skip
        return Measured(claim_id, self._claims[claim_id], scale, self._measured[claim_id])

    def skip(self, claim_id: str, reason: str) -> "Skipped":
        """Leave a claim untested in this run, with the reason; a claim that its file does not test keeps that reason."""
        self._skipped[claim_id] = self._scale(claim_id).get("not_tested", reason)
        return Skipped(claim_id, self._claims[claim_id], self._skipped[claim_id])

    def take(self, claim_id: str, endpoint: Mapping[str, Any] | str, note: str = "") -> "Measured | Skipped":
        """Judge an endpoint, the arguments of `judge`, or skip the claim when it is a reason why there is none."""
        if isinstance(endpoint, str) or "not_tested" in self._scale(claim_id):
            return self.skip(claim_id, endpoint if isinstance(endpoint, str) else "")
        notes = (endpoint.get("note", ""), note)
        return self.judge(claim_id, **{**endpoint, "note": "; ".join(filter(None, notes))})

    def _scale(self, claim_id: str) -> Mapping[str, Any]:
        if claim_id not in self._claims:
            raise ValueError(f"{claim_id} is not a claim of {self.run.chapter}")
        return self._claims[claim_id]["scales"][self.run.preset]

    def rows(self) -> list[dict[str, Any]]:
        """Every claim of the chapter with its verdict; the twin differences are corrected together, after Holm."""
        corrected = stats.holm(
            {
                claim_id: measured["twin"]
                for claim_id, measured in self._measured.items()
                if self._claims[claim_id]["scales"][self.run.preset]["twin"]
            }
        )
        rows = []
        for claim_id, claim in self._claims.items():
            scale, measured = claim["scales"][self.run.preset], self._measured.get(claim_id)
            row: dict[str, Any] = {"id": claim_id, "value": None, "ci": None, "baseline": None, "verdict": VERDICTS[-1]}
            if measured is None:
                row["note"] = scale.get("not_tested", self._skipped.get(claim_id, "not judged by this chapter yet"))
            else:
                twin = corrected.get(claim_id)
                verdict, reason = judge(scale, measured["value"], measured["ci"], measured["also"], twin)
                row["scope"] = "analog" if self._analog and scale["scope"] == "same-setting" else scale["scope"]
                row.update({name: measured[name] for name in ("value", "ci", "baseline")}, verdict=verdict)
                row["note"] = "; ".join(text for text in (reason, measured["note"]) if text)
                row.update({name: extra for name, extra in (("also", measured["also"]), ("twin", twin)) if extra})
            rows.append(row)
        return rows

    def write(self) -> Path:
        """Write `<out_dir>/results.json` in one step: a reader sees the old file or the whole new one."""
        content = {
            "chapter": self.run.chapter,
            "preset": self.run.preset,
            "run": self.run.run,
            "parameters": dict(self.run.values),
            "provenance": provenance.of_run(self.run, self._code, self._started, time.perf_counter() - self._clock),
            "claims": self.rows(),
            "metrics": _finite(self.metrics),
        }
        path = Path(self.run.out_dir).expanduser() / "results.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        return path

    def _repr_html_(self) -> str:
        return record_table(self.rows(), self._claims, self.run.preset)


class Measured:
    """A measured claim as the notebook shows it: value, interval, baseline and the test it has to pass."""

    def __init__(self, claim_id: str, claim: Mapping[str, Any], scale: Mapping[str, Any], measured: Mapping[str, Any]):
        self._parts = claim_id, claim, scale, measured

    def _repr_html_(self) -> str:
        claim_id, claim, scale, measured = self._parts
        text = f"{value_text(measured['value'], measured['ci'])}; needed {test_text(scale)}"
        if measured["baseline"] is not None:
            text += f"; baseline {baseline_text(measured['baseline'])}"
        # The site finds this element by its data attribute and adds the verdict.
        return (
            f"<div class='ic-claim' data-claim='{claim_id}'><strong>{claim_id}</strong> {html.escape(claim['statement'])} "
            f"<details><summary>Measured: {html.escape(text)}</summary>"
            f"{html.escape(scale.get('measure', claim['measure']))} Baseline: {html.escape(claim['baseline'])}.</details></div>"
        )

    def __repr__(self) -> str:
        claim_id, _, scale, measured = self._parts
        return f"{claim_id}: {value_text(measured['value'], measured['ci'])}; needed {test_text(scale)}"


class Skipped:
    """A claim that this run leaves untested, as the notebook shows it."""

    def __init__(self, claim_id: str, claim: Mapping[str, Any], reason: str):
        self._parts = claim_id, claim, reason

    def _repr_html_(self) -> str:
        claim_id, claim, reason = self._parts
        return (
            f"<div class='ic-claim' data-claim='{claim_id}'><strong>{claim_id}</strong> {html.escape(claim['statement'])} "
            f"<p>Not tested in this run: {html.escape(reason)}</p></div>"
        )

    def __repr__(self) -> str:
        return f"{self._parts[0]}: not tested in this run: {self._parts[2]}"


def number_text(value: float) -> str:
    """Three significant digits; whole numbers and long fractions stay readable."""
    value += 0.0  # no minus before a zero
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        text = f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"
    else:
        text = f"{value:.1e}"
    return text.replace("-", "−")


def value_text(value: float | None, ci: Any = None) -> str:
    """A value with its interval, such as '0.97 [0.96, 0.98]'; a dash for none."""
    if value is None:
        return "–"
    interval = f" [{number_text(ci[0])}, {number_text(ci[1])}]" if ci else ""
    return number_text(value) + interval


def baseline_text(baseline: Any) -> str:
    """A baseline: a number, a text, or several named numbers."""
    if baseline is None:
        return "–"
    if isinstance(baseline, Mapping):
        return ", ".join(f"{name} {number_text(value)}" for name, value in baseline.items())
    return baseline if isinstance(baseline, str) else number_text(baseline)


def record_table(
    rows: list[dict[str, Any]], claims: Mapping[str, Mapping[str, Any]], preset: str, anchors: bool = False
) -> str:
    """The record of a run as an HTML table: the paper's number, ours with interval, baseline, verdict and why.

    With `anchors` each row has its claim as id, for pages without the cells that judge.
    """
    head = ("Claim", "What is claimed", "Paper", "Here", "Needed", "Baseline", "Verdict")
    judged: list[list[str]] = []
    waiting: list[list[str]] = []
    for row in rows:
        claim = claims.get(row["id"])
        if claim is None:  # a record of an older claims file
            continue
        scale = claim["scales"][preset]
        cells = judged if row["value"] is not None else waiting
        cells.append([
            Html(f"<span id='{row['id']}'>{row['id']}</span>") if anchors else row["id"],
            claim["statement"],
            claim["paper_says"],
            value_text(row["value"], row["ci"]),
            test_text(scale) if "op" in scale else "–",
            baseline_text(row["baseline"]),
            Html(verdict_badge(row["verdict"]) + html.escape(f": {row['note']}" if row["note"] else "")),
        ])  # fmt: skip
    return (
        table(head, judged, label="record of the claims that were judged")
        + f"<details><summary>{len(waiting)} claims are not judged in this run</summary>"
        + table(head, waiting, label="claims that were not judged")
        + "</details>"
    )


def verdict_badge(verdict: str) -> Html:
    """A verdict as a word, with a class for its colour."""
    return Html(f"<span class='ic-verdict ic-{verdict.replace(' ', '-')}'>{verdict}</span>")


def _finite(values: Any) -> Any:
    """Numbers that JSON does not know (a median of nothing, say) as null: the last cell must not lose a run to one of them."""
    if isinstance(values, Mapping):
        return {name: _finite(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is never seen half-written, not even after a crash."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
