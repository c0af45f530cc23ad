"""Options become settings, or a message that names the option."""

from __future__ import annotations

import pytest

from mlops.cli import main
from mlops.cli.options import overrides_from, parse_assignments, settings_from
from mlops.errors import ConfigurationError


def test_assignments_keep_text_and_parse_json() -> None:
    parsed = parse_assignments(
        ["months=2024-01", 'training.overrides={"lasso": {"alpha": 1}}', "promote=true"], "--var"
    )

    assert parsed == {
        "months": "2024-01",
        "training.overrides": {"lasso": {"alpha": 1}},
        "promote": True,
    }


@pytest.mark.parametrize("text", ["nothing", "=3"])
def test_assignment_without_name_or_value_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--set"):
        parse_assignments([text], "--set")


def test_named_options_win_and_missing_ones_are_not_overrides() -> None:
    overrides = overrides_from(["training.seed=3"], {"training.seed": 4, "months": None})

    assert overrides == {"training.seed": 4}
    assert settings_from(["training.seed=3"]).training.seed == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["monitor", ""], "WINDOW"),
        (["models", ""], "VERSION"),
        (["report", "model", ""], "NAME"),
        (["deployments", ""], "ID"),
        (["predict", ""], "ROWS"),
        (["deploy", "1", "--reason", ""], "--reason"),
        (["dataset", "init", "", "--target", "x"], "FILES"),
        (["dataset", "init", "x.csv", "--target", ""], "--target"),
    ],
)
def test_what_is_given_empty_is_refused_not_taken_as_omitted(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)

    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert named in said
    assert "it is empty" in said
