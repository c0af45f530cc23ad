"""`mlops config`: the configuration in force and its schema."""

import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from mlops.cli.display import show_rows
from mlops.cli.options import AsJson, SetOption, examples, settings_from
from mlops.settings import Settings

config_app = typer.Typer(no_args_is_help=True, help="The configuration: values and schema.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(config_app, name="config")


@config_app.command(
    "show",
    epilog=examples(
        "mlops config show",
        "mlops config show training",
        "MLOPS_TRAINING__SEED=7 mlops config show training --json",
    ),
)
def show(
    set_: SetOption = None,
    section: Annotated[str, typer.Argument(help="Only this section, e.g. training")] = "",
    as_json: AsJson = False,
) -> None:
    """Every setting in force, after environment and options."""
    settings = settings_from(set_)
    if as_json:
        content = settings.model_dump(mode="json")
        print(json.dumps(content[section] if section else content, indent=1))
        return
    rows = [row for row in _rows(settings, "") if row["setting"].startswith(section)]
    show_rows(
        rows,
        as_json=False,
        title="Settings (environment: MLOPS_ + the name in capitals, with __ for each dot)",
        empty=f"there is no section {section!r}",
    )


@config_app.command(
    "schema",
    epilog=examples(
        "mlops config schema > schema.json",
    ),
)
def schema() -> None:
    """The JSON schema of the configuration: types, limits, defaults, meanings."""
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
