"""Trees mean the same after conversion: every split, every missing value, whatever their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.serving.model.trees import Tree, constant_tree, merged_booster, strictly_below

FEATURES = 3
float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(limit=st.floats(allow_nan=False), value=float32)
def test_below_the_converted_limit_is_at_most_the_limit(limit: float, value: float) -> None:
    converted = strictly_below(np.array([limit]))[0]
    assert converted.dtype == np.float32
    if abs(value) < 3e38:  # beyond, no float32 is large enough to be below of
        assert (np.float32(value) < converted) == (value <= limit)


@given(limit=float32)
def test_a_limit_that_is_a_float32_still_counts_as_below(limit: float) -> None:
    if abs(limit) < 3e38:
        assert np.float32(limit) < strictly_below(np.array([limit]))[0]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Grow a random tree whose nodes are numbered at random, but for the root."""
    left, right = [-1], [-1]
    for _ in range(draw(st.integers(0, 7))):
        leaf = draw(st.sampled_from([i for i, child in enumerate(left) if child < 0]))
        left[leaf], right[leaf] = len(left), len(left) + 1
        left += [-1, -1]
        right += [-1, -1]
    size = len(left)
    names = [0, *(1 + i for i in draw(st.permutations(range(size - 1))))]
    small = st.integers(-3, 3)

    def drawn(strategy: st.SearchStrategy[float]) -> np.ndarray:
        return np.array(draw(st.lists(strategy, min_size=size, max_size=size)))

    def renamed(children: list[int]) -> np.ndarray:
        moved = np.full(size, -1, np.int32)
        moved[names] = [names[child] if child >= 0 else -1 for child in children]
        return moved

    return Tree(
        left=renamed(left),
        right=renamed(right),
        feature=drawn(st.integers(0, FEATURES - 1)).astype(np.int32),
        threshold=drawn(small).astype(np.float32),
        missing_left=drawn(st.booleans()).astype(bool),
        value=drawn(small).astype(np.float32),
        cover=np.ones(size, np.float32),
    )


def walked(tree: Tree, row: list[float]) -> float:
    node = 0
    while tree.left[node] >= 0:
        value = row[tree.feature[node]]
        below = tree.missing_left[node] if np.isnan(value) else value < tree.threshold[node]
        node = tree.left[node] if below else tree.right[node]
    return float(tree.value[node])


values = st.one_of(st.integers(-4, 4).map(float), st.just(float("nan")))


@given(
    outputs=st.lists(st.lists(trees(), min_size=1, max_size=3), min_size=1, max_size=3),
    rows=st.lists(st.lists(values, min_size=FEATURES, max_size=FEATURES), min_size=1, max_size=5),
)
def test_a_booster_predicts_what_walking_its_trees_gives(
    outputs: list[list[Tree]], rows: list[list[float]]
) -> None:
    booster = merged_booster(outputs, FEATURES)

    found = booster.inplace_predict(np.array(rows, np.float32), strict_shape=True)

    expected = [[sum(walked(t, row) for t in group) for group in outputs] for row in rows]
    np.testing.assert_array_equal(found, expected)


def test_constants_add_up() -> None:
    booster = merged_booster([[constant_tree(2.0), constant_tree(3.0).plus(4.0)]], FEATURES)
    assert booster.inplace_predict(np.zeros((1, FEATURES), np.float32)) == pytest.approx(9)
