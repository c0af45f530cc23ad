"""`mlops predict`: answers for rows in a file, or for rows given as JSON."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AllowMismatch, AsJson, examples, settings_from
from mlops.errors import ConfigurationError, cause_of
from mlops.records import strict
from mlops.settings import DEFAULT_DATASET, Settings

if TYPE_CHECKING:
    from mlops.datasets.dataset import Dataset
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
            "mlops predict flights.csv --dataset flights",
        ),
    )(predict)


def predict(
    rows: Annotated[
        str, typer.Argument(help="A parquet, CSV or JSON file, JSON text, or - for standard input.")
    ],
    model: Annotated[str, typer.Option(help="A version or alias.")] = "champion",
    taxi: Annotated[
        Optional[str], typer.Option(help="Taxi of a table of trips: green (the default) or yellow.")
    ] = None,
    allow_mismatch: AllowMismatch = False,
    as_json: AsJson = False,
) -> None:
    """Predict the rows of a file, or one row as JSON, each with an 80 % interval."""
    settings = settings_from(options={"allow_mismatch": allow_mismatch or None, "taxi": taxi})

    from mlops.registry.lookup import require_version

    require_version(settings, model)
    records = _records(rows, settings)

    from mlops.datasets.opening import dataset_of
    from mlops.registry.versions import Registry

    registry, dataset = Registry(settings), dataset_of(settings)
    if records is None:
        _score_file(rows, registry, model, dataset, settings, as_json)
        return
    loaded, info = registry.load(model)
    dataset.require(loaded.encoder, info.version)

    from mlops.inference.records import predict_records

    answers = predict_records(loaded, records, settings)
    for answer in answers:
        answer["model_version"] = info.version
        if info.synthetic:
            answer["synthetic"] = True
    unit = f" ({dataset.unit})" if dataset.unit else ""
    title, empty = f"{dataset.target}{unit}, by {info.title}", f"{rows} has no rows"
    show_rows(answers, as_json=as_json, title=title, empty=empty)


def _score_file(
    path: str,
    registry: "Registry",
    model: str,
    dataset: "Dataset",
    settings: Settings,
    as_json: bool,
) -> None:
    from mlops.data.files.folders import files_of
    from mlops.data.origins import require_scoring
    from mlops.inference.batch import score

    known = registry.get(model)
    if known is not None and known.origin is not None:
        asked = dataset.request_files(settings).origin(files_of(path))
        require_scoring(
            known.origin, asked, f"version {known.version}", allow=settings.allow_mismatch
        )
    loaded, info = registry.load(model)
    dataset.require(loaded.encoder, info.version)
    summary = score(
        loaded,
        [path],
        dataset,
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


def _records(rows: str, settings: Settings) -> list[dict[str, Any]] | None:
    """Return the rows of JSON; None if they are in a table.

    Raises:
        ConfigurationError: If there is no such file, or it holds something else.
    """
    is_text = rows == "-" or rows.lstrip()[:1] in ("{", "[")
    if is_text and (rows == "-" or not _exists(rows)):
        content = _from_json(sys.stdin.read() if rows == "-" else rows, "the text", settings)
    else:
        path = Path(rows)
        if not _exists(rows):
            raise ConfigurationError(
                f"{rows!r} is neither an existing file nor JSON", _write_like(settings)
            )
        if path.is_dir() or not rows.endswith(MEMORY_TYPES):
            return None
        content = _from_file(path, settings)
    records = content if isinstance(content, list) else [content]
    if not all(isinstance(record, dict) for record in records):
        raise ConfigurationError(
            "rows must be one JSON object or a list of them", _write_like(settings)
        )
    return records


def _exists(path: str) -> bool:
    with suppress(OSError, ValueError):  # of a text that is too long for a path, or no path at all
        return Path(path).exists()
    return False


def _from_file(path: Path, settings: Settings) -> Any:
    if not path.is_file():
        raise ConfigurationError(f"{path} is not a file", "write - to read standard input")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {cause_of(error)}", "save it as UTF-8"
        ) from error
    if path.suffix != ".jsonl":
        return _from_json(text, str(path), settings)
    lines = text.split("\n")
    return [
        _from_json(t, f"{path}, line {n}", settings) for n, t in enumerate(lines, 1) if t.strip()
    ]


def _from_json(text: str, place: str, settings: Settings) -> Any:
    try:
        return strict.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{place}: this is not valid JSON: {error}", _write_like(settings)
        ) from error


def _write_like(settings: Settings) -> str:
    """Return a hint with a record of the dataset."""
    if settings.dataset == DEFAULT_DATASET:
        return f"write e.g. '{ONE_TRIP}'"
    from mlops.datasets.declared.requests import RowForm
    from mlops.datasets.opening import declared_definition

    return f"write e.g. '{json.dumps(RowForm(declared_definition(settings)).example)}'"
