"""Terms are linked at their first use, in prose and nowhere else."""

import glossary_links
import pytest

NAMES = ["player", "coalition", "coalition mask", "BMU", "order", "R²", "stage"]


def linked(*texts: str) -> list[str]:
    return glossary_links.link(texts, NAMES)


def test_terms_are_read_with_those_that_share_a_definition():
    page = "# Glossary\n\n```{glossary}\none\nfirst\n  The number.\n\ntwo words\n  Another.\n```\n"
    assert glossary_links.terms(page) == ["one", "first", "two words"]
    with pytest.raises(ValueError, match="no box"):
        glossary_links.terms("# Glossary\n")


def test_the_first_use_in_a_chapter_is_linked_and_no_other():
    assert linked("A player and a player.", "Players.") == ["A {term}`player <player>` and a player.", "Players."]


def test_plurals_capitals_and_emphasis():
    assert linked("Stages of *players*.") == ["{term}`Stages <stage>` of *{term}`players <player>`*."]


def test_the_longer_term_wins():
    text = "A coalition mask of a coalition."
    assert linked(text) == ["A {term}`coalition mask <coalition mask>` of a {term}`coalition <coalition>`."]


def test_an_abbreviation_only_as_it_is_written():
    assert linked("bmu, BMU") == ["bmu, {term}`BMU <BMU>`"]


def test_part_of_a_word_is_no_term():
    assert linked("A backstage, a stage-wise network, multiplayer.") == [
        "A backstage, a stage-wise network, multiplayer."
    ]


def test_an_everyday_word_is_a_term_in_company_only():
    assert linked("In order to see: of high order.") == ["In order to see: of high {term}`order <order>`."]


@pytest.mark.parametrize(
    "text",
    [
        "# A player",
        "`player`",
        "{cite:t}`player`",
        "$player$",
        "a [player](x.md) and [player][1]",
        "<b title='player'>",
        "https://example.org/player",
        "```python\nplayer = 1\n```",
        "````{dropdown} Solution\nA player.\n\n```python\nplayer\n```\nA player.\n````",
        "$$\nplayer\n$$",
        "| player | 3 |",
        "(player)=",
        ":alt: player",
        "```{raw} html\nplayer\n```",
    ],
)
def test_what_is_left_alone(text):
    assert linked(text) == [text]
    # And the term is still waiting for its first use.
    assert linked(text, "A player.")[1] == "A {term}`player <player>`."


def test_boxes_of_prose_are_prose():
    text = "```{admonition} The player\n:class: tip\nA player.\n```\nA stage."
    assert linked(text) == [
        "```{admonition} The player\n:class: tip\nA {term}`player <player>`.\n```\nA {term}`stage <stage>`."
    ]
