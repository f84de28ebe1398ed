"""Tables of chapter 01 in words, for those who do not see their pictures."""

from collections.abc import Sequence

import pandas as pd


def listed(table: pd.DataFrame, value: str, names: Sequence[str], most: int = 40) -> str:
    """The numbers of a column with the words that say what they belong to: "trained layer1 0.31, trained layer2 0.42".

    Words that are missing, as the stage of what has none, are left out, and so are numbers that are none. Of more than `most`
    rows as many are named, spread evenly, and the rest counted.
    """
    found = table[table[value].notna()]
    rows = found.iloc[:: -(-len(found) // most)] if len(found) else found
    parts = [
        " ".join([*(str(word) for word in row[:-1] if pd.notna(word)), f"{row[-1]:.3g}"])
        for row in rows[[*names, value]].itertuples(index=False, name=None)
    ]
    rest = len(found) - len(rows)
    return ", ".join(parts) + (f", and {rest} more" if rest else "")


def by_group(table: pd.DataFrame, value: str, names: Sequence[str]) -> pd.DataFrame:
    """The median of a column for each group, in the order in which groups come: what a density is said to show."""
    return table.groupby(list(names), sort=False, as_index=False)[value].median()


def pick(table: pd.DataFrame, column: str, **where: object) -> str:
    """The mean of a column over the rows whose other columns are as said, in three digits; a dash where there is none."""
    rows = table
    for name, wanted in where.items():
        rows = rows[rows[name] == wanted]
    found = rows[column].dropna()
    return f"{found.mean():.3g}" if len(found) else "–"
