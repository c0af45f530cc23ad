"""A sum or product that gives the target is found among many columns; a model's terms are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datasets.checking.formulas import exact_formula

N = 1_000
Columns = dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]


def columns(seed: int = 0) -> Columns:
    """Number columns without a relation between them; one of them has gaps."""
    rng = np.random.default_rng(seed)
    gaps = rng.normal(50, 9, N)
    gaps[::3] = np.nan
    return {
        "registered": rng.poisson(60, N).astype(float),
        "casual": rng.poisson(15, N).astype(float),
        "price": rng.lognormal(3, 0.6, N).round(2),
        "speed": rng.uniform(5, 90, N),
        "temperature": rng.normal(10, 8, N),
        "gaps": gaps,
    }


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (lambda c: c["casual"] + c["registered"], "registered + casual"),
        (lambda c: c["registered"] - c["casual"] + c["price"], "registered + price - casual"),
        (lambda c: (c["price"] * c["registered"]).round(2), "registered × price"),
        (lambda c: 60 * c["price"] / c["speed"], "price / speed"),
        (lambda c: (1.19 * c["price"] / c["speed"]).round(3), "price / speed"),
    ],
)
def test_a_formula_that_gives_the_target_is_found(formula: object, text: str) -> None:
    known = columns()

    found = exact_formula(known, formula(known))  # type: ignore[operator]

    assert found is not None and found.text == text
    assert found.reason == f"is part of a formula that gives the target exactly: {text}"


def test_a_few_rows_may_differ_but_not_many() -> None:
    known = columns()
    target = known["casual"] + known["registered"]

    target[:5] += 40
    assert exact_formula(known, target) is not None
    target[:50] += 40
    assert exact_formula(known, target) is None


@given(st.integers(0, 10_000), st.floats(0.3, 0.8), st.floats(0.05, 1))
@settings(max_examples=20, deadline=None)
def test_what_a_model_has_to_learn_is_no_formula(seed: int, weight: float, noise: float) -> None:
    known = columns(seed)
    rng = np.random.default_rng(seed)
    weighted = known["registered"] + weight * known["casual"]
    noisy = known["registered"] + known["price"] + rng.normal(0, noise, N)

    assert exact_formula(known, weighted) is None
    assert exact_formula(known, noisy) is None
    assert exact_formula(known, np.where(known["casual"] > 15, known["price"], 3.0)) is None


def test_one_column_is_no_formula_and_few_rows_prove_none() -> None:
    known = columns()

    assert exact_formula(known, known["price"]) is None
    assert exact_formula({"price": known["price"]}, known["price"]) is None
    few = {name: values[:50] for name, values in known.items()}
    assert exact_formula(few, few["casual"] + few["registered"]) is None
