"""JSON that says two things of one name is refused, wherever in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.records import strict

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=3), inner)),
    max_leaves=8,
)


@given(values)
def test_json_without_repetitions_is_read_as_ever(value: object) -> None:
    assert strict.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": 2, "a": 1}', '[{"x": {"a": 1, "a": null}}]', '{"\\u0061": 1, "a": 2}']
)
def test_a_name_that_is_given_twice_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="'a' is given more than once"):
        strict.loads(text)
