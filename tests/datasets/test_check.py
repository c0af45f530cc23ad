"""A check names whatever would spoil a model, with the part of the definition to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.checking.check import TableCheck, check_table
from mlops.datasets.loading import parse_definition
from mlops.datasets.text import as_text

N = 3_000


def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    minutes = np.sort(rng.integers(0, 60 * 24 * 60, N))
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min")
    x = rng.gamma(2, 2, N)
    target = (5 + 2 * x + rng.gamma(2, 2, N)).round(2)
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "at": at,
            "done": at + pd.to_timedelta(target, unit="min"),
            "x": x,
            "shop": rng.choice(["a", "b", "c"], N),
            "target": target,
        }
    )


DEFINITION: dict[str, Any] = {
    "name": "shops",
    "title": "How long?",
    "source": {"location": ""},
    "task": {"target": "target", "unit": "minutes"},
    "time": {"event": "at", "outcome": "done"},
    "key": ["id"],
    "features": {"x": {"type": "number"}, "shop": {"type": "category"}},
    "histories": {"shop": {"by": ["shop"]}},
    "split": {"by": "time", "validation": "7d", "test": "14d"},
    "rules": [{"name": "possible", "column": "target", "between": [0, 500]}],
}


def checked(tmp_path: Path, frame: pd.DataFrame, **changes: Any) -> TableCheck:
    file = tmp_path / "table.parquet"
    frame.to_parquet(file)
    content = {**DEFINITION, **changes, "source": {"location": str(file)}}
    content = {key: value for key, value in content.items() if value is not None}
    return check_table(parse_definition(as_text(content), "dataset.yaml"))


def test_a_good_definition_has_no_finding_but_notes(tmp_path: Path) -> None:
    result = checked(tmp_path, table())

    assert {finding.severity for finding in result.findings} == {"note"}
    assert not result.failed
    assert result.planted == 5
    assert result.rows == result.sampled == N


@pytest.mark.parametrize(
    ("change", "features", "path", "severity", "message"),
    [
        ({"u": lambda t: t.target * 3}, {"u": "number"}, "features.u", "error", "R² 1.000"),
        (
            {"u": lambda t: t.done.dt.hour},
            {"u": "number"},
            "features.u",
            "error",
            "is computed from",
        ),
        ({"u": lambda t: t.done}, {"u": "time"}, "features.u", "error", "R² 1.000"),
        (
            {"u": lambda t: t["at"] + pd.Timedelta(days=1)},
            {"u": "time"},
            "features.u",
            "warning",
            "later than at in 100%",
        ),
        (
            {"u": lambda t: t.groupby("shop").target.transform("mean")},
            {"u": "number"},
            "features.u",
            "error",
            "is the mean of the target",
        ),
        (
            {"u": lambda t: t.target + np.random.default_rng(0).normal(0, 0.9, N)},
            {"u": "number"},
            "features.u",
            "warning",
            "predicted by the target with R² 0.9",
        ),
        ({"u": lambda t: 3.0}, {"u": "number"}, "features.u", "warning", "always 3.0"),
        ({"u": lambda t: None}, {"u": "category"}, "features.u", "error", "has no value"),
        (
            {"x": lambda t: t.x.where(t.index % 5 > 0)},
            {},
            "features.x",
            "warning",
            "missing in 20.0% of the rows, but a request must give it",
        ),
        (
            {"u": lambda t: t.id.astype(str)},
            {"u": "category"},
            "features.u",
            "warning",
            "most are met once",
        ),
        (
            {"u": lambda t: t.id * 2.5},
            {"u": "number"},
            "features.u",
            "warning",
            "different in the test rows",
        ),
        ({"id": lambda t: t.id // 2}, {}, "key", "error", "50.00% of the rows repeat the id"),
        (
            {"target": lambda t: t.target.where(t.index % 2 == 1)},
            {},
            "task.target",
            "warning",
            "50.0%",
        ),
        ({"target": lambda t: 7.0}, {}, "task.target", "error", "always 7"),
        (
            {"target": lambda t: t.target // 10 % 3},
            {},
            "task.target",
            "warning",
            "only 3 different",
        ),
        ({"done": lambda t: t["at"]}, {}, "", "", ""),
        (
            {"done": lambda t: t.done - pd.Timedelta(hours=1)},
            {},
            "time.outcome",
            "error",
            "done is before at in",
        ),
        (
            {"at": lambda t: t["at"].where(t.index % 2 == 1)},
            {},
            "time.event",
            "error",
            "missing in 50.0%",
        ),
    ],
)
def test_each_fault_of_a_table_is_named_with_its_place(
    change: dict[str, Any],
    features: dict[str, str],
    path: str,
    severity: str,
    message: str,
    tmp_path: Path,
) -> None:
    frame = table()
    frame = frame.assign(**{name: of(frame) for name, of in change.items()})

    result = checked(tmp_path, frame, features={**DEFINITION["features"], **features})

    found = [f for f in result.findings if ".".join(map(str, f.path)) == path]
    if not path:
        assert not result.failed
        return
    assert any(f.severity == severity and message in f.message for f in found), result.findings
    assert all(f.remedy for f in found)
    assert result.failed == any(f.severity == "error" for f in result.findings)


@pytest.mark.parametrize(
    ("changes", "path", "severity", "message"),
    [
        ({"split": {"by": "time", "validation": "40d", "test": "40d"}}, "split", "error", "no day"),
        ({"split": {"by": "time", "test": "35d"}}, "split.test", "warning", "more rows judge"),
        (
            {"split": {"by": "random", "validation": 0.2, "test": 0.001}},
            "split.test",
            "warning",
            "an error measured on them says little",
        ),
        (
            {"rules": [{"name": "possible", "column": "x", "between": [3, None]}]},
            "rules.0",
            "error",
            "of the rows break the rule and are set aside",
        ),
        (
            {"rules": [{"name": "p", "column": "x", "between": [3, None], "otherwise": "flag"}]},
            "rules.0",
            "note",
            "are flagged",
        ),
        ({"key": None}, "name", "note", "no key"),
        (
            {"histories": {"m": {"by": ["at.minute_of_day", "at.day_of_year"]}}},
            "histories.m",
            "warning",
            "rows or fewer",
        ),
    ],
)
def test_each_fault_of_a_definition_is_named_with_its_place(
    changes: dict[str, Any], path: str, severity: str, message: str, tmp_path: Path
) -> None:
    result = checked(tmp_path, table(), **changes)

    found = [f for f in result.findings if ".".join(map(str, f.path)) == path]
    assert any(f.severity == severity and message in f.message for f in found), result.findings


def test_a_silent_detector_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a detector that finds nothing
    for module in ("future", "planting"):
        monkeypatch.setattr(f"mlops.datasets.checking.{module}.suspicion", lambda *_: None)

    result = checked(tmp_path, table())

    # then the planted columns show it
    missing = [f for f in result.findings if "a planted column was not found" in f.message]
    assert len(missing) == 5
    assert result.failed


def test_an_empty_table_is_an_error(tmp_path: Path) -> None:
    result = checked(tmp_path, table().head(0))

    assert result.failed
    assert result.findings[0].message == "the table has no rows"


def test_three_rows_are_checked_without_a_model(tmp_path: Path) -> None:
    result = checked(tmp_path, table().head(3))

    assert result.failed
    assert result.planted == 0


def test_a_history_that_knows_the_future_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given histories that learn from all rows, whenever their outcome was known
    def annotate(self: Any, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"shop_mean": frame.groupby("shop").target.transform("mean")})

    monkeypatch.setattr("mlops.datasets.checking.future.DatasetHistory.annotate", annotate)

    result = checked(tmp_path, table())

    [found] = [f for f in result.findings if f.path == ("histories", "shop")]
    assert found.severity == "error"
    assert "depends on what became known later" in found.message


def test_features_that_add_up_to_the_target_are_named(tmp_path: Path) -> None:
    frame = table()
    frame["rest"] = frame.target - frame.x

    result = checked(
        tmp_path,
        frame,
        features={"x": {"type": "number"}, "rest": {"type": "number"}},
        histories={},
    )

    named = {finding.path: finding.message for finding in result.findings}
    assert "x + rest" in named[("features", "x")] and "x + rest" in named[("features", "rest")]
