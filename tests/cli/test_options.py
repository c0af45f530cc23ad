"""Options become settings, or a message that names the option."""

from __future__ import annotations

import pytest

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
