"""Links the first use of each term of the glossary in a chapter; the sources stay as they are."""

import re
from collections.abc import Sequence
from pathlib import Path

# What is left alone within a line: code and roles, formulas, links, citations and tags.
KEEP = r"(?:\{[\w:-]+\})?(`+).+?(?<!`)\1(?!`)|\$\$.+?\$\$|(?<!\\)\$[^$]+\$|!?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?|<[^>]+>|https?://\S+"
# Boxes whose content is prose like the rest of the page; what stands in any other fence is no prose, or a solution.
PROSE = {"admonition", "note", "tip", "warning", "important"}
# Everyday words that mean the term only in some company.
COMPANY = {
    "class spread": r"(?i:class spreads?)(?! over)",
    "order": r"(?:(?<=high )|(?<=low )|(?<=each ))orders?|order(?= \$)",
    "salient": r"(?i:salient)(?! segment)",
    "symbol": r"(?i:symbols?)(?! \d)",
}


def terms(glossary: str) -> list[str]:
    """The terms of a page with a `{glossary}` box, those with a common definition too."""
    box = re.search(r"^```\{glossary\}\n(.*?)^```", glossary, flags=re.MULTILINE | re.DOTALL)
    if box is None:
        raise ValueError("the glossary has no box ```{glossary}")
    return re.findall(r"^(\S.*?)\s*$", box[1], flags=re.MULTILINE)


def read(path: Path) -> list[str]:
    return terms(path.read_text(encoding="utf-8"))


def link(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """Markdown texts that belong together, in order, with a link to the glossary where each term is used first."""
    waiting = {name.lower(): name for name in names}
    return ["\n".join(_lines(text.split("\n"), waiting)) for text in texts]


def _lines(lines: Sequence[str], waiting: dict[str, str]) -> list[str]:
    done, fences, formula = [], [], False
    for line in lines:
        fence = re.match(r"\s*(`{3,}|:{3,}|~{3,})\s*(?:\{([\w:-]+)\})?", line)
        if line.strip() == "$$" or (line.startswith("$$") != line.rstrip().endswith("$$")):
            formula = not formula
        elif fence and fences and not fence[2] and fence[1].startswith(fences[-1][0]):
            fences.pop()
        elif fence:
            fences.append((fence[1], fence[2]))
        elif not formula and all(kind in PROSE for _, kind in fences) and not re.match(r"\s*(#|\||:|%|\(\S+\)=)", line):
            line = _line(line, waiting)
        done.append(line)
    return done


def _line(line: str, waiting: dict[str, str]) -> str:
    if not waiting:
        return line
    # A longer term wins over one that it holds.
    pattern = "|".join(_pattern(name) for name in sorted(waiting.values(), key=len, reverse=True))

    def replace(found: re.Match[str]) -> str:
        text = found["term"]
        if text is None:
            return found[0]
        name = next((waiting[form] for form in _singular(text) if form in waiting), None)
        if name is None:  # used a moment ago in this line
            return text
        del waiting[name.lower()]
        return f"{{term}}`{text} <{name}>`"

    return re.sub(rf"{KEEP}|(?P<term>{pattern})", replace, line)


def _pattern(name: str) -> str:
    # Small and capital letters alike, but an abbreviation only as it is written.
    word = re.escape(name) if name.isupper() else rf"(?i:{re.escape(name)}(?:s|es)?)"
    return rf"(?<![\w-])(?:{COMPANY.get(name, word)})(?![\w-])"


def _singular(text: str) -> list[str]:
    low = text.lower()
    return [low, *(low[: -len(end)] for end in ("s", "es") if low.endswith(end))]
