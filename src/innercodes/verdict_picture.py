"""All verdicts on one source as a small picture, and what held up in words: made for the first page from the scorecard's rows."""

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from innercodes import claims

REPRODUCED, PARTLY, NOT, WAITING = claims.VERDICTS
STEP, MARK, GAP, LEFT, TOP = 12, 9, 10, 40, 13


@dataclass(frozen=True)
class Held:
    """Counts of the claims of one source. An effect may be judged in several runs; *partly* does not count as held."""

    claims: int
    exact: int
    """Exact statements that were judged, each in every run that could."""
    exact_held: int
    """Those reproduced in every run that judged them."""
    always: int
    """Effects reproduced in every run that judged them."""
    sometimes: int
    never: int
    waiting: int
    """Claims that no run judged."""

    @property
    def effects(self) -> int:
        return self.always + self.sometimes + self.never


def exact(claim: dict[str, Any]) -> bool:
    """Whether a claim is an identity, which data can not refute."""
    return any(scale.get("scope") == "identity" for scale in claim["scales"].values())


def held(rows: Sequence[dict[str, Any]]) -> Held:
    """What held up, from the scorecard's rows of one source."""
    verdicts: dict[str, list[str]] = {}
    identities = {row["claim"]["id"] for row in rows if exact(row["claim"])}
    for row in rows:
        verdicts.setdefault(row["claim"]["id"], [])
        if row["value"] is not None:
            verdicts[row["claim"]["id"]].append(row["verdict"])
    judged = {name: {v == REPRODUCED for v in found} for name, found in verdicts.items() if found}
    effects = Counter(
        "sometimes" if len(found) == 2 else "always" if True in found else "never"
        for name, found in judged.items()
        if name not in identities
    )
    theorems = [found for name, found in judged.items() if name in identities]
    return Held(
        claims=len(verdicts),
        exact=len(theorems),
        exact_held=sum(found == {True} for found in theorems),
        always=effects["always"],
        sometimes=effects["sometimes"],
        never=effects["never"],
        waiting=len(verdicts) - len(judged),
    )


def picture(rows: Sequence[dict[str, Any]], name: str) -> str:
    """A mark for each claim (from left to right) in each run (from top to bottom), as inline SVG with its size and words.

    Shape as well as colour says the verdict. Quick runs stand above recorded ones, exact statements left of effects.
    """
    columns = sorted({row["claim"]["id"]: row["claim"] for row in rows}.values(), key=lambda claim: not exact(claim))
    found = dict.fromkeys((row["run"]["preset"], row["run"]["run"]) for row in rows if row["value"] is not None)
    runs = sorted(found, key=lambda run: run[0] != "quick")
    if not runs:
        return ""
    verdicts = {(row["run"]["preset"], row["run"]["run"], row["claim"]["id"]): row for row in rows if row["run"]}
    theorems = sum(map(exact, columns))
    x = [LEFT + STEP * i + (GAP if theorems and i >= theorems else 0) for i in range(len(columns))]
    quick = sum(preset == "quick" for preset, _ in runs)
    y = [TOP + STEP * j + (GAP / 2 if quick and j >= quick else 0) for j in range(len(runs))]
    parts, words = [], []
    for j, (preset, run) in enumerate(runs):
        if j in (0, quick):
            parts.append(_text(0, y[j] + MARK - 1, "quick" if preset == "quick" else "larger"))
        count: Counter = Counter()
        for i, claim in enumerate(columns):
            row = verdicts.get((preset, run, claim["id"]))
            verdict = row["verdict"] if row else WAITING
            count[verdict] += 1
            parts.append(mark(verdict, x[i], y[j], f"{claim['id']}, {preset} · {run}: {verdict}"))
        words.append(f"{preset} {run}: " + ", ".join(f"{count[v]} {v}" for v in claims.VERDICTS if count[v]))
    heads = ([(0, "exact")] if theorems else []) + ([(theorems, "effects")] if theorems < len(columns) else [])
    parts += [_text(x[i], TOP - 4, head) for i, head in heads]
    width, height = x[-1] + STEP, y[-1] + STEP
    alt = f"Verdicts on the {len(columns)} claims of {name}, a mark for each claim in each run. {'; '.join(words)}."
    return (
        f"<svg class='ic-verdicts' role='img' aria-label='{html.escape(alt, quote=True)}' width='{width}' height='{height:g}' "
        f"viewBox='0 0 {width} {height:g}'>{''.join(parts)}</svg>"
    )


def mark(verdict: str, x: float = 0, y: float = 0, title: str = "") -> str:
    """The sign of a verdict: a full square, one half full, one with a cross, a dot."""
    kind = verdict.replace(" ", "-")
    frame = f"<rect x='{x + 0.6:g}' y='{y + 0.6:g}' width='{MARK - 1.2:g}' height='{MARK - 1.2:g}' class='ic-frame'/>"
    inside = {
        REPRODUCED: f"<rect x='{x:g}' y='{y:g}' width='{MARK}' height='{MARK}'/>",
        PARTLY: f"{frame}<path d='M{x:g} {y + MARK:g}h{MARK}v-{MARK}z'/>",
        NOT: f"{frame}<path class='ic-frame' d='m{x + 2.2:g} {y + 2.2:g} 4.6 4.6m0-4.6-4.6 4.6'/>",
        WAITING: f"<circle cx='{x + MARK / 2:g}' cy='{y + MARK / 2:g}' r='1.2'/>",
    }[verdict]
    return f"<g class='ic-{kind}'>{f'<title>{html.escape(title)}</title>' if title else ''}{inside}</g>"


def legend() -> str:
    """The four signs with their words."""
    signs = (
        f"<li><svg aria-hidden='true' width='{MARK + 3}' height='{MARK + 3}' viewBox='-1 -1 {MARK + 2} {MARK + 2}' "
        f"class='ic-verdicts'>{mark(verdict)}</svg> {verdict}</li>"
        for verdict in claims.VERDICTS
    )
    return f"<ul class='ic-legend'>{''.join(signs)}</ul>"


def _text(x: float, y: float, text: str) -> str:
    return f"<text x='{x:g}' y='{y:g}'>{text}</text>"
