"""Tests of how results are laid out."""

from __future__ import annotations

import pytest

from benchmarks.report import Section, Table, document, judged, markdown_section, markdown_table


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    # Given a table with texts, numbers of any size and a gap
    table = Table(("step", "trips", "s"), [("read", 3_619_264, 0.123), ("write", 12, None)])
    # When it is laid out
    text = markdown_table(table)
    # Then every line is as wide, and numbers are readable
    assert text.splitlines() == [
        "| step  |     trips |    s |",
        "| ----- | --------: | ---: |",
        "| read  | 3,619,264 | 0.12 |",
        "| write |        12 |      |",
    ]


def test_floats_keep_about_three_digits() -> None:
    table = Table(("a", "b", "c"), [(1_234.5, 12.34, 1.234)])
    assert "| 1,234 | 12.3 | 1.23 |" in markdown_table(table)


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        markdown_table(Table(("a", "b"), [(1, 2, 3)]))


@pytest.mark.parametrize(
    ("value", "at_most", "text"),
    [
        (1.15, True, "≤ 1.15 met"),
        (1.16, True, "≤ 1.15 missed"),
        (1.16, False, "≥ 1.15 met"),
        (1.14, False, "≥ 1.15 missed"),
    ],
)
def test_an_aim_says_its_limit_and_whether_it_is_met(
    value: float, at_most: bool, text: str
) -> None:
    assert judged(value, 1.15, at_most=at_most) == text


def test_a_section_holds_its_method_tables_and_notes_in_that_order() -> None:
    section = Section("Loading", "How.", (Table(("a",), [(1,)]), Table(("b",), [(2,)])), ("Mind.",))
    text = markdown_section(section)
    places = [text.index(part) for part in ("## Loading", "How.", "|   a |", "|   b |", "- Mind.")]
    assert places == sorted(places)


def test_the_document_says_when_and_where_it_was_measured() -> None:
    text = document([Section("Loading", "How.", ())], minutes=3.21)
    for part in ("UTC", "cores usable", "commit", "3.2 minutes", "## Loading"):
        assert part in text
