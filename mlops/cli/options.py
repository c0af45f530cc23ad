"""Options that several commands share, and how they become settings."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Optional

import typer

from mlops.datasets.catalogue import require_dataset
from mlops.errors import ConfigurationError
from mlops.settings import Settings, load_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AllowMismatch = Annotated[
    bool,
    typer.Option(
        "--allow-mismatch",
        help="Let a model score rows of another origin than those it learned from.",
    ),
]
SetOption = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting, e.g. training.seed=7."),
]


def examples(*lines: str) -> str:
    """Lay examples out as a command's epilog, one per line."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


def parse_assignments(assignments: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Turn ``name=value`` texts into a mapping; values that are JSON are parsed as such.

    Raises:
        ConfigurationError: If one has no ``=``.
    """
    parsed: dict[str, Any] = {}
    for assignment in assignments or ():
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise ConfigurationError(
                f"{option} {assignment!r}: a name and a value are needed",
                f"write it as {option} name=value, e.g. {option} training.max_evals=5",
            )
        parsed[name.strip()] = _value(text)
    return parsed


def _value(text: str) -> Any:
    if text[:1] in "[{" or text in ("true", "false", "null"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def settings_from(
    assignments: Sequence[str] | None = None, options: Mapping[str, Any] | None = None
) -> Settings:
    """Build the settings from ``--set`` texts and named options (None: not given)."""
    return load_settings(overrides_from(assignments, options))


def overrides_from(
    assignments: Sequence[str] | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Merge ``--set`` texts and named options into one mapping of overrides, checked."""
    given = {name: value for name, value in (options or {}).items() if value is not None}
    overrides = {**parse_assignments(assignments, "--set"), **given}
    settings = load_settings(overrides)
    require_dataset(settings.dataset)
    source = settings.source
    # Blocks and later commands work in other folders.
    absolute = {"location": source.location, "source.location": source.location}
    return {name: absolute.get(name, value) for name, value in overrides.items()}
