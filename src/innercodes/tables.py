"""HTML tables, one look for notebooks and site."""

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Text that is markup already; every other text of a table is escaped."""


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], attributes: Iterable[str] = (), label: str = "table"
) -> str:
    """A table whose first column names its rows, in a box that scrolls by touch and keyboard, so that the page need not.

    `attributes` are those of each row's tag, and `label` names the box to screen readers.
    """
    titles = "".join(f"<th scope='col'>{_cell(cell)}</th>" for cell in head)
    extras = iter(attributes)
    body = "".join(
        f"<tr {next(extras, '')}><th scope='row'>{_cell(row[0])}</th>"
        # On a phone the rows become cards, and each cell says what it is.
        + "".join(
            f"<td data-label='{html.escape(t, quote=True)}'>{_cell(cell)}</td>"
            for t, cell in zip(head[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<div class='ic-scroll' tabindex='0' role='region' aria-label='{html.escape(label, quote=True)}'>"
        f"<table class='ic-table'><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(str(text))
