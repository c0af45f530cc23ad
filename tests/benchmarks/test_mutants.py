"""The table of mutants: a package's row is replaced, a new package's is added."""

from __future__ import annotations

from pathlib import Path

from benchmarks.mutants.__main__ import PACKAGES, score, with_row

TABLE = "# Scores\n\n| Package |\n|---|\n"


def test_a_package_is_scored_by_what_its_tests_notice() -> None:
    outcomes = {"a": "killed", "b": "timeout", "c": "survived", "d": "untested"}

    row = score("mlops/records", outcomes)

    assert row.startswith("| `mlops/records` | ")
    assert row.endswith(" | 4 | 2 | 1 | 2 | 50.0 % |")
    sample = score("mlops/records", {**outcomes, "e": "left out"})
    assert sample.endswith(" | 4 of 5 | 2 | 1 | 2 | 50.0 % |")


def test_a_row_takes_the_place_of_the_packages_last_one() -> None:
    table = with_row(with_row(f"{TABLE}\nWhat survives.\n", "| `a` | 1 |"), "| `b` | 2 |")

    assert table == f"{TABLE}| `a` | 1 |\n| `b` | 2 |\n\nWhat survives.\n"
    assert with_row(table, "| `a` | 3 |") == table.replace("| `a` | 1 |", "| `a` | 3 |")
    assert with_row(table, "| `c` | 4 |") == table.replace("| 2 |\n", "| 2 |\n| `c` | 4 |\n")


def test_what_is_mutated_and_what_should_notice_are_there() -> None:
    root = Path(__file__).parents[2]
    for package in PACKAGES.values():
        assert all(list(root.glob(pattern)) for pattern in package.sources), package
        assert all(list(root.glob(tests)) for tests in package.tests), package
