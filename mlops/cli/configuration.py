"""`mlops config`: the configuration in force and its schema."""

import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from mlops.cli.display import show_rows
from mlops.cli.options import AsJson, SetOption, examples, settings_from
from mlops.errors import ConfigurationError, did_you_mean
from mlops.settings import Settings, setting_names

config_app = typer.Typer(no_args_is_help=True, help="Show the configuration and its schema.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(config_app, name="config")


@config_app.command(
    "show",
    epilog=examples(
        "mlops config show",
        "mlops config show training",
        "mlops config show training.seed",
        "MLOPS_TRAINING__SEED=7 mlops config show training --json",
    ),
)
def show(
    set_: SetOption = None,
    section: Annotated[str, typer.Argument(help="Only this section or setting.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show every setting in force, after environment and options."""
    settings = settings_from(set_)
    wanted = section.split(".") if section else []
    rows = [
        row for row in _rows(settings, "") if row["setting"].split(".")[: len(wanted)] == wanted
    ]
    if not rows:
        names = {*setting_names(), *(name.partition(".")[0] for name in setting_names())}
        raise ConfigurationError(
            f"there is no section or setting {section!r}",
            did_you_mean(section, names) or "list all of them with: mlops config show",
        )
    if as_json:
        content: Any = settings.model_dump(mode="json")
        for name in wanted:
            content = content[name]
        print(json.dumps(content, indent=1))
        return
    show_rows(
        rows,
        as_json=False,
        title="Settings (environment: MLOPS_ + the name in capitals, with __ for each dot)",
    )


@config_app.command(
    "schema",
    epilog=examples(
        "mlops config schema > schema.json",
    ),
)
def schema() -> None:
    """Print the JSON schema of the configuration: types, limits, defaults, descriptions."""
    print(json.dumps(Settings.model_json_schema(), indent=1))


def _rows(model: BaseModel, prefix: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            rows += _rows(value, f"{prefix}{name}.")
            continue
        path = f"{prefix}{name}"
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        rows.append(
            {
                "setting": path,
                "value": shown,
                "meaning": info.description or "",
            }
        )
    return rows
