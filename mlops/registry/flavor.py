"""The model as MLflow stores it: a standard pyfunc folder around the project's own artifact.

MLflow's tools can serve and inspect it through `_load_pyfunc`; the project itself unwraps the
native model, which spares each prediction the schema checks and copies of the pyfunc layer.
Reference: MLflow's documentation of ``mlflow.pyfunc``, "custom loader module".
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

import mlops
from mlops.datasets.answers import ANSWER
from mlops.datasets.taxi.trips import DROPOFF_ZONE, PICKUP_AT, PICKUP_ZONE, REQUEST_COLUMNS
from mlops.registry.connection import replaced

if TYPE_CHECKING:
    from mlops.datasets.dataset import Encoder
    from mlops.datasets.declared.encoding import TableEncoder
    from mlops.training.artifact import TabularModel

_ARTIFACT: Final = "trip_duration_model"
# Beyond these a request may leave columns out.
_NEEDED: Final = (PICKUP_AT, PICKUP_ZONE, DROPOFF_ZONE)
_SPEC_TYPES: Final = {"datetime64[us]": "datetime", "int32": "integer", "float64": "double"}
_DECLARED_TYPES: Final = {"time": "datetime", "category": "string"}  # numbers and flags: double


def write_model(
    model: TabularModel, folder: Path, packages: Mapping[str, str], **identity: Any
) -> None:
    """Write a model folder that MLflow understands.

    Requirements are stated and the signature is that of every request, so nothing needs to be
    inferred: inference would start a second Python and predict through a web server.

    Args:
        model: The model, raw request columns in.
        folder: Where to; must not exist.
        packages: Name to version of what the model needs to run.
        **identity: Passed to ``mlflow.models.Model``: ids of the run and the model.
    """
    import mlflow.pyfunc
    from mlflow.models import Model
    from mlflow.utils import environment

    with (
        tempfile.TemporaryDirectory() as temporary,
        # The requirements are what is installed; comparing would read every installed package.
        replaced(environment, "warn_dependency_requirement_mismatches", lambda requirements: None),
    ):
        native = Path(temporary) / _ARTIFACT
        model.save(native)
        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module=__name__,
            data_path=str(native),
            mlflow_model=Model(**identity),
            signature=signature(model.encoder),
            input_example=example(model.encoder),
            pip_requirements=[f"{name}=={version}" for name, version in packages.items()],
            # The loader is this package: it must be installed where the model is served.
            metadata={"mlops_version": mlops.__version__},
        )


def artifact_bytes(folder: Path) -> bytes:
    """Return the pickled native model in a folder written by `write_model`; nothing is loaded."""
    return (folder / "data" / _ARTIFACT).read_bytes()


def unpickled(content: bytes, source: str) -> TabularModel:
    """Return a native model from its bytes, which runs whatever code they hold.

    Args:
        content: That `mlops.registry.trust` has verified.
        source: Where it is from, for errors.
    """
    from mlops.training.artifact import TabularModel

    return TabularModel.loads(content, source)


def _load_pyfunc(data_path: str) -> TabularModel:
    """Load what MLflow's own tools call for prediction: an object with ``predict(frame)``.

    They verify nothing: the project itself never comes here.
    """
    return unpickled(Path(data_path).read_bytes(), data_path)


def signature(encoder: Encoder | None = None) -> Any:
    """Return the MLflow signature: request columns in, a prediction with its interval out.

    Args:
        encoder: Of the model; None for one of taxi trips.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    table = _table_of(encoder)
    if table is None:
        inputs = [
            ColSpec(_SPEC_TYPES[kind], name, required=name in _NEEDED)
            for name, kind in REQUEST_COLUMNS.items()
        ]
    else:
        inputs = [
            ColSpec(_DECLARED_TYPES.get(column.type, "double"), name, required=not column.optional)
            for name, column in table.definition.request_columns.items()
        ]
    return ModelSignature(Schema(inputs), Schema([ColSpec("double", c) for c in ANSWER]))


def example(encoder: Encoder | None = None) -> pd.DataFrame:
    """Return one plausible request.

    Args:
        encoder: Of the model; None for one of taxi trips, whose example is a Friday evening from
            East Harlem to Midtown.
    """
    table = _table_of(encoder)
    if table is not None:
        from mlops.datasets.declared.golden import golden_rows

        rows = golden_rows(table)
        place = int(rows.isna().sum(axis=1).argmin())
        return rows.iloc[[place]].reset_index(drop=True)
    values = ["2024-01-19 17:45:00", 74, 161, 3.2, 1.0, 1.0, 1.0, 2.0]
    frame = pd.DataFrame([dict(zip(REQUEST_COLUMNS, values, strict=True))])
    return frame.astype(REQUEST_COLUMNS)


def _table_of(encoder: Encoder | None) -> TableEncoder | None:
    """Return the encoder of a declared dataset, None if it is one of trips."""
    from mlops.datasets.declared.encoding import TableEncoder

    return encoder if isinstance(encoder, TableEncoder) else None
