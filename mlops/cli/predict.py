"""`mlops predict`: minutes for trips in a file, or for one trip given as JSON."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AllowMismatch, AsJson, examples, settings_from
from mlops.errors import ConfigurationError, cause_of
from mlops.records import strict
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.registry.versions import Registry

ONE_TRIP = '{"pickup_at": "2024-03-01T08:30:00", "pickup_zone": 74, "dropoff_zone": 166}'
MEMORY_TYPES = (".json", ".jsonl")
_LONGEST_PATH = 4_096


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
        str, typer.Argument(help="A parquet, CSV or JSON file, JSON text, or - for standard input.")
    ],
    model: Annotated[str, typer.Option(help="A version or alias.")] = "champion",
    taxi: Annotated[str, typer.Option(help="Taxi of a table: green or yellow.")] = "green",
    allow_mismatch: AllowMismatch = False,
    as_json: AsJson = False,
) -> None:
    """Predict durations in minutes, with an 80 % interval."""
    settings = settings_from(options={"allow_mismatch": allow_mismatch or None})

    from mlops.registry.lookup import require_version

    require_version(settings, model)
    records = _records(trips)

    from mlops.registry.versions import Registry

    registry = Registry(settings)
    if records is None:
        _score_file(trips, registry, model, taxi, settings, as_json)
        return
    loaded, info = registry.load(model)

    from mlops.inference.batch import predict_records

    rows = predict_records(loaded, records)
    for row in rows:
        row["model_version"] = info.version
        if info.synthetic:
            row["synthetic"] = True
    title, empty = f"Minutes, by {info.title}", f"{trips} has no trips"
    show_rows(rows, as_json=as_json, title=title, empty=empty)


def _score_file(
    path: str, registry: "Registry", model: str, taxi: str, settings: Settings, as_json: bool
) -> None:
    from mlops.data.files.folders import files_of
    from mlops.data.origins import TripOrigin, is_synthetic, require_scoring
    from mlops.inference.batch import score

    known = registry.get(model)
    if known is not None and known.origin is not None:
        trips = TripOrigin(taxi, any(is_synthetic(file) for file in files_of(path)))
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
        model_id=info.model_id,
        run_id="command-line",
        synthetic_model=info.synthetic,
    )
    if as_json:
        print(summary.model_dump_json(indent=1))
    else:
        terminal().print(summary.summary, markup=False)


def _records(trips: str) -> list[dict[str, Any]] | None:
    """Return the trips of JSON; None if they are in a table.

    Raises:
        ConfigurationError: If there is no such file, or it holds something else.
    """
    is_text = trips == "-" or trips.lstrip()[:1] in ("{", "[")
    if is_text and not (trips != "-" and len(trips) < _LONGEST_PATH and Path(trips).exists()):
        content = _from_json(sys.stdin.read() if trips == "-" else trips, "the text")
    else:
        path = Path(trips)
        if not path.exists():
            raise ConfigurationError(
                f"{trips!r} is neither an existing file nor JSON", f"write e.g. '{ONE_TRIP}'"
            )
        if path.is_dir() or not trips.endswith(MEMORY_TYPES):
            return None
        content = _from_file(path)
    rows = content if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(
            "trips must be one JSON object or a list of them", f"write e.g. '{ONE_TRIP}'"
        )
    return rows


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"{path} is not a file", "write - to read standard input")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {cause_of(error)}", "save it as UTF-8"
        ) from error
    if path.suffix != ".jsonl":
        return _from_json(text, str(path))
    lines = text.split("\n")
    return [_from_json(t, f"{path}, line {n}") for n, t in enumerate(lines, 1) if t.strip()]


def _from_json(text: str, place: str) -> Any:
    try:
        return strict.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{place}: this is not valid JSON: {error}", f"write e.g. '{ONE_TRIP}'"
        ) from error
