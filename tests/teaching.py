"""What book/teach.md says about a chapter: its part, its small run and its knobs."""

import re
import shlex

import runs

PAGE = (runs.ROOT / "book" / "teach.md").read_text(encoding="utf-8")


def part(chapter):
    return re.search(rf"^## {chapter[:2]} .*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[0]


def values(words):
    """The -p names and values of a command."""
    found = shlex.split(words)
    assert found[::3] == ["-p"] * (len(found) // 3) and len(found) % 3 == 0, words
    return dict(zip(found[1::3], found[2::3], strict=True))


def knobs(chapter):
    """The small run of a chapter, and what each row of its table changes."""
    small = re.search(r"The small run:\n`(.+)`", part(chapter))[1]
    return values(small), [values(row) for row in re.findall(r"^\| `(-p .+?)` \|", part(chapter), re.MULTILINE)]
