"""`mlops predict`: minutes for trips in a file, or for one trip given as JSON."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AllowMismatch, AsJson, examples, settings_from
from mlops.errors import ConfigurationError
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.registry.versions import Registry

ONE_TRIP = '{"pickup_at": "2024-03-01T08:30:00", "pickup_zone": 74, "dropoff_zone": 166}'
MEMORY_TYPES = (".json", ".jsonl")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "predict",
        epilog=examples(
            "mlops predict trips.parquet",
            "mlops predict trips.json --json",
            f"mlops predict '{ONE_TRIP}'",
        ),
    )(predict)


def predict(
    trips: Annotated[
        str, typer.Argument(help="A parquet or JSON file, JSON text, or - for standard input.")
    ],
    model: Annotated[str, typer.Option(help="A version or alias.")] = "champion",
    taxi: Annotated[str, typer.Option(help="Column names of a parquet file.")] = "green",
    allow_mismatch: AllowMismatch = False,
    as_json: AsJson = False,
) -> None:
    """Predict durations in minutes, with an 80 % interval."""
    settings = settings_from(options={"allow_mismatch": allow_mismatch or None})

    from mlops.registry.versions import Registry

    registry = Registry(settings)
    if trips.endswith(".parquet"):
        _score_file(trips, registry, model, taxi, settings, as_json)
        return
    loaded, info = registry.load(model)

    from mlops.inference.batch import predict_records

    rows = predict_records(loaded, _records(trips))
    for row in rows:
        row["model_version"] = info.version
        if info.synthetic:
            row["synthetic"] = True
    show_rows(rows, as_json=as_json, title=f"Minutes, by {info.title}")


def _score_file(
    path: str, registry: "Registry", model: str, taxi: str, settings: Settings, as_json: bool
) -> None:
    from mlops.data.origins import TripOrigin, is_synthetic, require_scoring
    from mlops.inference.batch import score

    if not Path(path).exists():
        raise ConfigurationError(f"{path} does not exist", "check the path of the file")
    known = registry.get(model)
    if known is not None and known.origin is not None:
        trips = TripOrigin(taxi, is_synthetic(path))
        require_scoring(
            known.origin, trips, f"version {known.version}", allow=settings.allow_mismatch
        )
    loaded, info = registry.load(model)
    summary = score(
        loaded,
        [path],
        taxi,
        settings,
        model_version=info.version,
        run_id="command-line",
        synthetic_model=info.synthetic,
    )
    if as_json:
        print(summary.model_dump_json(indent=1))
    else:
        terminal().print(summary.summary)


def _records(trips: str) -> list[dict[str, Any]]:
    content: Any
    if trips == "-":
        text = sys.stdin.read()
    elif trips.endswith(MEMORY_TYPES):
        if not Path(trips).exists():
            raise ConfigurationError(f"{trips} does not exist", "check the path of the file")
        text = Path(trips).read_text(encoding="utf-8")
    else:
        text = trips
    try:
        if trips.endswith(".jsonl"):
            content = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            content = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(
            f"trips are neither a .parquet or .json file nor JSON text: {error}",
            f"write e.g. '{ONE_TRIP}'",
        ) from error
    rows = content if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(
            "trips must be one JSON object or a list of them", f"write e.g. '{ONE_TRIP}'"
        )
    return rows
