"""Tables in words."""

import numpy as np
import pandas as pd

from innercodes.symbol_words import by_group, listed, pick

TABLE = pd.DataFrame(
    {
        "kind": ["trained", "trained", "untrained", "untrained"],
        "stage": ["one", None, "one", "two"],
        "value": [0.12345, 2.0, np.nan, 0.5],
    }
)


def test_numbers_are_listed_with_the_words_they_belong_to():
    assert listed(TABLE, "value", ("kind", "stage")) == "trained one 0.123, trained 2, untrained two 0.5"
    assert listed(TABLE, "value", ("stage",), most=2) == "one 0.123, two 0.5, and 1 more"
    assert listed(TABLE.iloc[:0], "value", ("kind",)) == ""


def test_medians_of_groups_in_their_order():
    found = by_group(TABLE.assign(value=[3.0, 1.0, 5.0, 7.0]), "value", ("kind",))
    assert found["kind"].tolist() == ["trained", "untrained"] and found["value"].tolist() == [2.0, 6.0]


def test_one_number_is_picked_or_a_dash():
    assert pick(TABLE, "value", kind="trained", stage="one") == "0.123"
    assert pick(TABLE, "value", kind="trained") == "1.06"  # the mean of both
    assert pick(TABLE, "value", stage="three") == pick(TABLE, "value", kind="untrained", stage="one") == "–"
