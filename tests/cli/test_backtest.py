"""`mlops backtest` from the outside: exit codes, clean output, files where it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.cli import main
from mlops.registry.connection import connect
from mlops.settings import load_settings

SMALL = (
    *("--set", "source.sample_rows=4500", "--set", "backtest.initial_months=2"),
    *("--set", "backtest.families=global_mean,group_median,linear_regression"),
    *("--set", "backtest.max_evals=1", "--set", "gate.max_rmse=60"),
    *("--set", "gate.max_latency_ms=60000", "--set", "training.threads=1"),
)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["backtest", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def recorded_policies(home: Path) -> set[str]:
    """Look into MLflow: the nested runs of the one replay."""
    settings = load_settings({"home": str(home)})
    client = connect(settings)
    experiment = client.get_experiment_by_name("trip-duration-backtests").experiment_id
    parent, *nested = sorted(
        client.search_runs([experiment]), key=lambda run: "mlflow.parentRunId" in run.data.tags
    )
    for run in nested:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        history = client.get_metric_history(run.info.run_id, "live_rmse")
        assert [metric.step for metric in history] == [0, 1]
    return {run.data.params["policy"] for run in nested}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--from", "2023-13", "--to", "2024-01"], "2023-13"),
        (["--from", "2024-02", "--to", "2024-01"], "backwards"),
        (["--from", "2024-02"], "the only month is 2024-02"),
        (["--policy", "sometimes", "--from", "2023-10", "--to", "2024-01"], "on_performance"),
        (["--from", "", "--to", ""], "source.months"),
        (["--set", "backtest.drift_from=soon"], "drift_from"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))

    code, _, err = call(capsys, *arguments)

    assert code == 2
    assert named in err


def test_the_json_is_the_only_output_and_the_files_are_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))

    span = ("--from", "2023-10", "--to", "2024-01", "--policy", "never", "--policy", "monthly")
    code, out, err = call(capsys, *span, *SMALL, "--json")

    assert code == 0
    found = json.loads(out)
    assert [t["policy"] for t in found["totals"]] == ["never", "monthly"]
    assert {step["month"] for step in found["steps"]} == {"2023-12", "2024-01"}
    folder = Path(found["folder"])
    assert folder.is_relative_to(tmp_path / "backtests")
    names = {"backtest.json", "steps.parquet", "totals.parquet", "staleness.parquet"}
    assert names | {"aging.parquet", "chart.svg", "chart.png"} == {p.name for p in folder.iterdir()}
    assert "2024-01 never" in err
    assert recorded_policies(tmp_path) == {"never", "monthly"}

    code, out, _ = call(capsys, *span, *SMALL)  # everything is known: a table, at once

    assert code == 0
    assert str(folder) in out and "mean live rmse" in " ".join(out.split())
