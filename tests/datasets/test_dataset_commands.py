"""`mlops dataset` as a person types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.cli import main
from mlops.datasets.catalogue import definition_file, definition_files
from mlops.datasets.listing import months_there, summary
from mlops.datasets.loading import load_definition
from mlops.datasets.schema import keys_at, reference
from mlops.errors import ConfigurationError
from mlops.settings import PROJECT_ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a working directory with a table of 400 sales."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": rng.choice(["a", "b"], 400), "x": rng.normal(size=400)})
    frame["amount"] = frame.x + (frame.shop == "a") + rng.normal(size=400)
    frame.to_parquet(tmp_path / "sales.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlops.datasets.catalogue.PROJECT_ROOT", tmp_path / "nowhere")
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["dataset", *arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_a_definition_is_written_once_checked_shown_and_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # when a definition is guessed
    code, output, _ = call(capsys, "init", "sales.parquet", "--target", "amount")
    assert code == 0
    assert "R² alone" in output
    assert "0 errors" in output
    file = folder / "datasets" / "sales" / "dataset.yaml"
    text = file.read_text(encoding="utf-8")
    assert "location: ../../sales.parquet" in text
    assert "# check:" in text

    # then it is not overwritten unless a person says so
    code, _, errors = call(capsys, "init", "sales.parquet", "--target", "x")
    assert code == 2
    assert "exists already" in errors
    assert file.read_text(encoding="utf-8") == text
    code, output, _ = call(capsys, "init", "sales.parquet", "--target", "x", "--force", "--json")
    assert code == 0
    assert [each["column"] for each in json.loads(output)["columns"]] == ["shop", "x", "amount"]
    assert load_definition(file).task.target == "x"

    # and it is found by its name and by its path
    assert call(capsys, "check", "sales")[0] == 0
    assert call(capsys, "check", "datasets/sales")[0] == 0
    code, output, _ = call(capsys, "show", "sales")
    assert code == 0
    assert "target: x" in output
    assert "smoothing" not in output and "unseen" not in output
    assert "unseen: other" in call(capsys, "show", "sales", "--all")[1]
    code, output, _ = call(capsys, "list", "--json")
    [row] = [row for row in json.loads(output) if row["dataset"] == "sales"]
    assert row["rows"] == 400
    assert row["task"] == "regression of x"


def test_a_table_that_a_run_would_refuse_is_named_by_the_check(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = call(capsys, "init", "sales.parquet", "--target", "amount")[1]
    assert "the table has 400 rows" not in output  # a declared table may be small

    monkeypatch.setenv("MLOPS_VALIDATION__MIN_ROWS", "401")
    output = call(capsys, "check", "sales")[1]
    assert "the table has 400 rows" in output and "validation.min_rows" in output

    monkeypatch.delenv("MLOPS_VALIDATION__MIN_ROWS")
    pd.read_parquet("sales.parquet")[:99].to_parquet("sales.parquet")
    assert "fewer than 100 valid ones" in " ".join(call(capsys, "check", "sales")[1].split())


def test_an_error_of_the_table_is_code_4_with_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "init", "sales.parquet", "--target", "amount")
    file = folder / "datasets" / "sales" / "dataset.yaml"
    frame = pd.read_parquet("sales.parquet")
    frame.assign(x=frame.amount * 2).to_parquet("sales.parquet")
    line = next(n for n, each in enumerate(file.read_text().splitlines(), 1) if "  x:" in each)

    code, output, errors = call(capsys, "check", "sales")

    assert code == 4
    assert f"dataset.yaml:{line}" in output
    assert "x predicts the target on its own with R² 1.000" in output
    assert "1 error in the definition or table" in errors
    code, output, _ = call(capsys, "check", "sales", "--json")
    assert code == 4
    findings = json.loads(output)
    assert findings["findings"][0]["line"] == line


def test_a_wrong_definition_is_code_2_with_all_mistakes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "init", "sales.parquet", "--target", "amount")
    file = folder / "datasets" / "sales" / "dataset.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("type: number", "typ: number").replace("split:", "splt:"))

    code, _, errors = call(capsys, "check", "sales")

    assert code == 2
    assert "did you mean type?" in errors
    assert "did you mean split?" in errors
    assert "2 mistakes" in call(capsys, "list", "--json")[1]


def test_an_unknown_dataset_is_named_with_the_nearest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "init", "sales.parquet", "--target", "amount")

    code, _, errors = call(capsys, "show", "sale")

    assert code == 2
    assert "did you mean sales?" in errors


def test_the_working_directory_hides_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, here = tmp_path / "project", tmp_path / "here"
    for place, names in ((project, ("a", "b")), (here, ("b",))):
        for name in names:
            (place / "datasets" / name).mkdir(parents=True)
            (place / "datasets" / name / "dataset.yaml").touch()
    monkeypatch.setattr("mlops.datasets.catalogue.PROJECT_ROOT", project)
    monkeypatch.chdir(here)

    files = definition_files()

    assert files["a"].is_relative_to(project)
    assert files["b"].is_relative_to(here)
    assert definition_file("a") == files["a"]
    with pytest.raises(ConfigurationError, match="no dataset and no file c"):
        definition_file("c")


def test_months_are_those_of_files_that_are_there(tmp_path: Path) -> None:
    for name in ("t_2024-02.csv", "t_2024-01.csv", "t_2024-13.csv", "u_2024-03.csv"):
        (tmp_path / name).touch()

    assert months_there(str(tmp_path / "t_{month}.csv")) == ("2024-01", "2024-02")
    assert months_there(str(tmp_path / "t.csv")) == ()
    assert months_there("s3://bucket/{month}.csv") == ()


def test_a_list_shows_a_definition_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text("name: A\n")

    title = summary("a", tmp_path / "dataset.yaml")["title"]

    assert re.fullmatch(r"has \d+ mistakes; what to correct: mlops dataset check a", title)


def test_a_definition_that_exists_is_kept_before_any_row_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(capsys, "init", "sales.parquet", "--target", "amount")
    monkeypatch.setattr("mlops.datasets.guessing.sampling.open_table", None)

    for name in ((), ("--name", "sales")):
        code, _, errors = call(capsys, "init", "sales.parquet", "--target", "amount", *name)
        assert (code, "exists already" in errors) == (2, True)


def test_monthly_files_that_are_not_there_are_named_with_the_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, "init", "sales.parquet", "--target", "amount")
    file = folder / "datasets" / "sales" / "dataset.yaml"
    text = file.read_text(encoding="utf-8")
    assert "location: ../../sales.parquet" in text
    monthly = "'../../sales_{month}.parquet', partition: month"
    file.write_text(text.replace("../../sales.parquet", monthly))
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "location:" in each)

    code, _, errors = call(capsys, "check", "sales")

    assert code == 3, errors
    assert f"line {line}: source.location: there is no file {folder}/sales_{{month}}.parquet" in (
        " ".join(errors.split())
    )
    assert "--months" in call(capsys, "check", "sales", "--months", "")[2]


def test_the_reference_is_the_one_that_the_repository_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, output, _ = call(capsys, "schema")

    assert code == 0
    assert output == reference()
    shown = (PROJECT_ROOT / "datasets" / "README.md").read_text(encoding="utf-8")
    assert shown == output, "write it again: mlops dataset schema > datasets/README.md"
    for key in ("half_life", "decimal", "zone", "quantiles_of"):
        assert f"| `{key}` |" in output


def test_the_keys_of_each_part_are_read_off_the_types() -> None:
    assert "title" in keys_at(())
    assert keys_at(("features",)) == []  # names of the user's own
    assert "unseen" in keys_at(("features", "carrier"))
    assert "outcome" in keys_at(("time",))
    assert "half_life" in keys_at(("histories", "route"))
    assert "between" in keys_at(("rules", 0))
    assert keys_at(("floors",)) == ["rmse", "mae"]
    assert keys_at(("name", "x")) == []
