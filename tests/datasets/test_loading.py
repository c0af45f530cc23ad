"""A definition is read as it was written; every mistake in it is named with its line, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datasets.loading import (
    DefinitionError,
    as_yaml,
    load_definition,
    locate_definition,
    parse_definition,
)
from mlops.datasets.text import as_text, read_text

TEXT = (Path(__file__).parent / "flights.yaml").read_text(encoding="utf-8")
LINES = TEXT.splitlines()


def mistakes(text: str) -> dict[int, list[str]]:
    """Return what is reported of a text: messages by line."""
    with pytest.raises(DefinitionError) as refusal:
        parse_definition(text, "dataset.yaml")
    found: dict[int, list[str]] = {}
    for line in refusal.value.message.splitlines()[1:]:
        number, _, message = line.strip().removeprefix("line ").partition(": ")
        found.setdefault(int(number), []).append(message)
    return found


def line_of(start: str) -> int:
    return next(n for n, line in enumerate(LINES, 1) if line.strip().startswith(start))


def changed(*replacements: tuple[str, str]) -> str:
    text = TEXT
    for old, new in replacements:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def test_the_resolved_form_is_read_back_as_the_same_definition() -> None:
    definition = parse_definition(TEXT, "dataset.yaml")

    for defaults in (True, False):
        assert parse_definition(as_yaml(definition, defaults=defaults), "again") == definition
    assert "smoothing: 20" in as_yaml(definition)
    assert "smoothing" not in as_yaml(definition, defaults=False)


def test_a_location_is_relative_to_the_definition(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(TEXT, encoding="utf-8")

    located = locate_definition(tmp_path)

    assert located.definition.source.location == str(tmp_path / "flights_{month}.csv.gz")
    assert located.line(("features", "dep_delay", "unit")) == line_of("dep_delay")
    assert located.line(("features", "nothing")) == line_of("features:")
    remote = changed(('"flights_{month}.csv.gz"', '"s3://bucket/{month}.csv"'))
    (tmp_path / "dataset.yaml").write_text(remote, encoding="utf-8")
    assert load_definition(tmp_path).source.location == "s3://bucket/{month}.csv"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"dataset\.yaml: the definition cannot be read: No"):
        load_definition(tmp_path / "dataset.yaml")


def test_mistakes_of_form_do_not_hide_those_of_consistency() -> None:
    text = changed(
        ("{type: number, unit: minutes, meaning", "{typ: number, unit: minutes, meaning"),
        ("less: dep_delay", "less: dep_dely"),
        ("by: time", "by: tim"),
        ("prior: origin", "prior: orig"),
        ("carrier: carrier", "carrier: carier"),
    )

    found = mistakes(text)

    assert found == {
        line_of("dep_delay:"): ["features.dep_delay.typ: there is no such key; did you mean type?"],
        line_of("less:"): [
            "histories.route.less: 'dep_dely' is no number feature; did you mean dep_delay?"
        ],
        line_of("prior:"): [
            "histories.route.prior: orig is not in by: origin, dest; the broader group has some"
            " of its columns"
        ],
        line_of("split:"): ["split.by: 'tim' is not accepted; did you mean time?"],
        line_of("carrier: carrier"): [
            "slices.carrier.column: 'carier' is no category or flag; did you mean carrier?"
        ],
    }


@pytest.mark.parametrize(
    ("old", "new", "start", "message"),
    [
        ("features:", "feature:", "features:", "did you mean features?"),
        ("source:", "sauce:", "source:", "did you mean source?"),
        ("task: {kind: regression, target: arr_delay", "task: {target: 5", "task:", "a text"),
        ("task: {kind: regression", "task: {kind: banana", "task:", "write one of: regression"),
        ("  event: departed_at", "  evnt: departed_at", "event:", "did you mean event?"),
        ("  event: departed_at", "  event: [1]", "event:", "a text is needed"),
        (
            "{type: number, unit: minutes, meaning",
            "{type: banana, meaning",
            "dep_delay:",
            "number,",
        ),
        ("by: [origin, dest]", "by: 5", "by: [origin", "a list is needed"),
        ("split: {by: time, ", "split: {by: random, ", "split:", "needs a share, such as 0.2"),
        ("split: {by: time, ", "split: {by: group, ", "split:", "add group"),
        ("{by: time, validation: 7d", "{by: time, validation: x", "split:", "such as 30min"),
        ("test: 1 month", "test: 0d", "split:", "above zero"),
        ("test: 1 month", "test: 99999999999999999999d", "split:", "such as 30min"),
        ("half_life: 60d", "half_life: 2 months", "half_life", "months have no fixed length"),
        ("half_life: 60d", "half_life: 0d", "half_life", "must count for a while"),
        ("between: [-120, 1500]", "between: [-120]", "between", "two values are needed"),
        ("between: [-120, 1500]", "between: [5, 2]", "between", "5 is above 2"),
        ("between: [-120, 1500]", "between: [.inf, 2]", "between", "finite"),
        ("between: [-120, 1500]", "one_of: [yes, true]", "between", "a"),
        ("given: true", "given: yes", "- {name: carrier_known", "write true or false"),
        ("name: carrier_known", "name: delay_possible", "- {name: carrier_known", "called"),
        ("column: carrier, given: true", "column: carrier", "- {name: carrier_known", "forbids"),
        ("column: carrier, given", "column: carrier, whole", "- {name: carrier_known", "numbers"),
        ("floors: {rmse", "floors: {rmes", "floors:", "did you mean rmse?"),
        ("floors: {rmse: 40", "floors: {rmse: -1", "floors:", "a number above 0"),
        ("zone: America/New_York", "zone: America/NewYork", "zone:", "America/New_York?"),
        ("outcome: landed_at", "outcome: departed_at", "outcome:", "is the event"),
        ("origin: category", "arr_delay: number", "origin:", "known only afterwards"),
        ("flight: category", "carrier: category", "flight: category", "list it once"),
        ("hours_of: departed_at", "hours_of: carrier", "part of day", "is no time"),
        ("[departed_at.hour]", "[landed_at.hour]", "hour: {by", "departed_at.hour?"),
        ("[departed_at.hour]", "[flight]", "hour: {by", "is no category, flag or part"),
        ("{month}", "{moth}", "location:", "{moth} stands for nothing"),
        ("partition: month", "partition: none", "partition:", "write partition: month"),
        ("name: flights", "name: Flights", "name:", "use small letters"),
        ("name: flights", "name: flights\nderive: x", "title", "module:function"),
    ],
)
def test_each_mistake_has_its_line_and_says_what_to_write(
    old: str, new: str, start: str, message: str
) -> None:
    found = mistakes(changed((old, new)))

    assert message in " ".join(found[line_of(start)])


@pytest.mark.parametrize(
    ("old", "new", "others"),
    [
        # what depends on a wrong part is not reported as wrong, too
        ("time:\n  event: departed_at", "time:\n  event: 5", 0),
        ("{type: number, unit: minutes, meaning", "{type: banana, unit: minutes, meaning", 0),
        ("{by: time, validation: 7d", "{by: 5, validation: 7d", 0),
        ("between: [-120, 1500]", "between: a", 0),
        ("by: [origin, dest]", "by: 5", 0),
        ("features:", "banana:", 1),  # a key that is missing, and one that is none
    ],
)
def test_no_mistake_is_reported_that_follows_from_another(old: str, new: str, others: int) -> None:
    found = mistakes(changed((old, new)))

    assert sum(map(len, found.values())) == 1 + others, found


@pytest.mark.parametrize(
    ("raw", "line", "message"),
    [
        (TEXT.encode().replace(b"dest: category", b"dest: \xff"), line_of("dest:"), "UTF-8"),
        (TEXT.encode().replace(b"dest: c", b"dest: \0c"), line_of("dest:"), "character"),
        (
            TEXT.encode().replace(b"  dest: category", b"\tdest: category"),
            line_of("dest:"),
            "'\\t'",
        ),
        (TEXT.replace("dest: c", "dest: &a c").encode(), line_of("dest:"), "anchors"),
        (TEXT.replace("dest: c", "dest: *a #").encode(), line_of("dest:"), "aliases"),
        (TEXT.replace("dest: c", "dest: !!set c").encode(), line_of("dest:"), "tag"),
        (TEXT.replace("dest: c", "<<: c").encode(), line_of("dest:"), "plain word"),
        (TEXT.replace("dest: c", "? [a]\n  : c").encode(), line_of("dest:"), "plain word"),
        (TEXT.replace("dest: category", "dest: " + "[" * 9999).encode(), line_of("dest:"), "nest"),
        (TEXT.replace("dest: category", "dest: " + "1" * 9999).encode(), line_of("dest:"), "short"),
        (TEXT.replace("dest: category", "dest: {").encode(), line_of("dest:"), "not YAML"),
        ((TEXT + "---\na: 1\n").encode(), len(LINES) + 1, "not YAML"),
        (b"", 1, "no definition"),
        (b"- a", 1, "no definition"),
    ],
)
def test_text_that_is_no_plain_yaml_is_refused_with_its_line(
    raw: bytes, line: int, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "dataset.yaml"
    file.write_bytes(raw)

    with pytest.raises(DefinitionError) as refusal:
        load_definition(file)

    first = refusal.value.message.splitlines()[1]
    assert message in first
    near = {line, line + 1, line + 2} if message == "not YAML" else {line}  # where YAML notices it
    assert any(first.startswith(f"  line {each}: ") for each in near), first


def test_words_that_yaml_misreads_stay_text() -> None:
    rule = "column: carrier, one_of: [no, on, 1:30, 2024-01-01, 007, 1_000, 1e3, 0.5]"
    definition = parse_definition(changed(("column: carrier, given: true", rule)), "x")

    values = definition.rules[1].one_of
    assert values == ("no", "on", "1:30", "2024-01-01", "007", "1_000", 1000.0, 0.5)
    assert parse_definition(as_yaml(definition), "again") == definition


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inside: (
            st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3)
        ),
        max_leaves=8,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_back(values: Any, flow: bool) -> None:
    assert read_text(as_text(values, flow=flow).encode()).values == values


def test_a_value_that_stands_twice_is_written_out_twice() -> None:
    columns = ["a", "b"]

    assert read_text(as_text({"x": columns, "y": columns}).encode()).values["y"] == columns


DAMAGES = ("rename", "retype", "misspell", "repeat", "cut")
VALUES = ("5", "[]", "{}", "~", "true", "x", "0d", "99999999999999999999d", ".nan", "[[a]]")
WHERE = [n for n, line in enumerate(LINES) if ":" in line]


@given(st.sampled_from(WHERE), st.sampled_from(DAMAGES), st.data())
@settings(deadline=None, max_examples=80)
def test_any_single_damage_is_a_mistake_at_its_line_or_no_mistake(
    position: int, damage: str, data: st.DataObject
) -> None:
    # given a valid file with one damaged line
    line = LINES[position]
    indent = line[: len(line) - len(line.lstrip(" -"))]
    key, _, value = line[len(indent) :].partition(":")
    bad = {
        "rename": f"{indent}{key}x:{value}",
        "retype": f"{indent}{key}: {data.draw(st.sampled_from(VALUES))}",
        "misspell": f"{line[:-1]}x{line[-1]}",
        "repeat": f"{line}\n{indent.replace('-', ' ')}{key}: 5",
        "cut": line[: data.draw(st.integers(0, len(line)))],
    }[damage]

    # when it is read, nothing but a DefinitionError with existing lines comes out of it
    try:
        parse_definition("\n".join([*LINES[:position], bad, *LINES[position + 1 :]]), "file")
    except DefinitionError as refusal:
        lines = [
            int(each.split(":")[0].removeprefix("  line "))
            for each in refusal.message.splitlines()[1:]
            if each.startswith("  line ")
        ]
        assert lines
        assert all(1 <= each <= len(LINES) + 2 for each in lines)
        if damage == "repeat":
            assert lines[-1] in (position + 2, position + 3)  # YAML may notice it a line later


@pytest.mark.parametrize("position", WHERE)
def test_a_key_of_the_schema_that_is_renamed_is_named_with_its_line(position: int) -> None:
    line = LINES[position]
    key = line.strip(" -").partition(":")[0]
    free = {"carrier", "tailnum", "origin", "dest", "temp", "flight", "route", "hour", "dep_delay"}
    if key.startswith("{") or key in free | {"part of day", "scheduled_at"}:
        return  # a name of the user's own

    found = mistakes(
        "\n".join([*LINES[:position], line.replace(key, f"{key}x", 1), *LINES[position + 1 :]])
    )

    assert f"did you mean {key}?" in " ".join(found[position + 1])
