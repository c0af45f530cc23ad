"""The tables of the benchmark are what they claim to be, and its search keeps the best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.table_problems import flights, generated, houses
from benchmarks.tables import searched
from mlops.training.families import OBJECTIVES


def test_generated_tables_have_rows_to_learn_from_and_to_judge_on(tmp_path: Path) -> None:
    patients, invented = generated(tmp_path)

    assert len(patients.learning) + len(patients.judging) == 442
    for problem in (patients, invented):
        assert 0.1 < problem.validation.mean() < 0.3
        assert problem.learning[problem.target].notna().all()
        assert not set(problem.learning.index) & set(problem.judging.index)


def test_houses_have_gaps_and_rare_districts() -> None:
    invented = houses(2_000)

    assert invented["age"].isna().any() and invented["heating"].isna().any()
    assert (invented["district"].value_counts() == 1).sum() > 20
    assert invented.equals(houses(2_000)), "the same in every run"


def test_the_search_returns_what_judged_best() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 3)).astype(np.float32)
    target = np.where(features[:, 0] > 0, 5.0, -5.0) + features[:, 1]
    train, held_out = (features[:400], target[:400]), (features[400:], target[400:])

    params, trials = searched(OBJECTIVES["trend_and_trees"], train, held_out, seconds=0.5)

    assert trials >= 1
    assert set(params) == set(OBJECTIVES["trend_and_trees"].defaults)
    assert 0 < params["rounds"] <= 600


@pytest.mark.real_data
def test_every_flight_with_a_known_arrival_is_judged(real_data: Path) -> None:
    problem = flights(real_data / "flights")

    assert len(problem.judging) == 27_075
    assert problem.learning["departed_at"].is_monotonic_increasing
    assert problem.judging["dest_week_mean"].notna().all()
