"""The walk finds what differs and where, and nothing where nothing differs."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.datasets.taxi.features.encoding import FEATURES, LAYOUT
from mlops.reproduction.differences import differences
from mlops.training.families import family_of

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


def places(one: Any, two: Any) -> list[str]:
    return [difference.where for difference in differences(one, two, "it")]


@given(values)
def test_a_copy_differs_nowhere(value: Any) -> None:
    assert places(value, pickle.loads(pickle.dumps(value))) == []


def test_places_are_named_in_order() -> None:
    one = {"a": [1.0, 2.0], "b": {"c": "x"}, "d": None}
    two = {"a": [1.0, 2.5], "b": {"c": "y"}, "e": None}

    assert places(one, two) == ["it.a[1]", "it.b.c", "it.d", "it.e"]


def test_sets_have_no_order() -> None:
    one, two = {0, 8}, {8, 0}
    assert list(one) != list(two)  # they share a place, which goes to the first

    assert places({"names": one}, {"names": two}) == []
    assert places({"names": one}, {"names": {0, 9}}) == ["it.names[1]"]


def test_the_last_bit_counts_and_missing_numbers_are_equal() -> None:
    numbers = np.array([[1.0, np.nan], [2.0, 0.1]])
    other = numbers.copy()
    other[1, 1] = np.nextafter(0.1, 1)

    assert places(numbers, numbers.copy()) == []
    (found,) = differences(numbers, other, "table")
    assert (found.where, found.count) == ("table[1, 1]", 1)
    assert found.largest == pytest.approx(0, abs=1e-16) and found.largest > 0


def test_bytes_between_the_fields_of_a_record_mean_nothing() -> None:
    kind = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]})
    one, two = (np.frombuffer(bytes([1, pad, *[0] * 14]), kind) for pad in (7, 9))

    assert places(one, two) == []


def test_an_object_that_holds_itself_is_walked_once() -> None:
    loops = [[1], [1]]
    for loop in loops:
        loop.append(loop)  # type: ignore[arg-type]

    assert places(*loops) == []


@pytest.mark.parametrize(
    ("family", "where"),
    [
        ("random_forest", "estimators_[0]"),
        ("hist_gradient_boosting", "_predictors[0]"),
        ("squared_error", "trees[0]"),
        ("linear_regression", "coef_"),
        ("group_median", "medians_"),
    ],
)
def test_a_fit_repeats_itself_and_other_trips_show_in_a_tree_or_array(
    family: str, where: str
) -> None:
    # given features of trips, and the same with a few minutes changed
    random = np.random.default_rng(0)
    features = random.uniform(0, 7, (400, len(FEATURES))).astype(np.float32)
    minutes = features[:, 3] + random.normal(0, 1, 400)
    changed = minutes + (np.arange(400) < 50) * 5

    def fit(target: Any) -> Any:
        definition = family_of(family)
        return definition.build(definition.complete({}), LAYOUT, 7, 1).fit(features, target)

    # then what was stored and read is what is fitted again, and the change is found
    stored = pickle.loads(pickle.dumps(fit(minutes)))
    assert places(stored, fit(minutes)) == []
    assert any(where in place for place in places(stored, fit(changed)))
