"""Models in and out of MLflow's artifact store, and the small files beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import DamagedFileError
from mlops.records.files import R, read_record, report
from mlops.registry.connection import connect, registry_errors
from mlops.registry.receipts import Receipt
from mlops.registry.trust import TrustedArtifact, require_trusted, trust, verified
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel


def log_model(
    settings: Settings,
    client: Any,
    experiment: str,
    run: str,
    model: TabularModel,
    receipt: Receipt,
    tags: Mapping[str, str],
) -> str:
    """Log a model as an output of a run, and remember its digest.

    Args:
        settings: Name the home that will trust it.
        client: From `mlops.registry.connection.connect`.
        experiment: Id of the run's experiment.
        run: Id of the run.
        model: The fitted model.
        receipt: Where it comes from; names it and the packages it needs.
        tags: Put on the logged model.

    Returns:
        Its URI, ``models:/m-…``.
    """
    from mlflow.entities import LoggedModelOutput

    from mlops.registry.flavor import artifact_bytes, write_model

    logged = client.create_logged_model(
        experiment, name=receipt.family, source_run_id=run, tags=dict(tags)
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        write_model(
            model,
            folder,
            receipt.packages,
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            run_id=run,
        )
        trust(settings, logged.artifact_location, artifact_bytes(folder))
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return f"models:/{logged.model_id}"


def location_of(settings: Settings, uri: str) -> str:
    """Return the folder of the logged model that a URI (``models:/m-…``) names.

    Raises:
        RegistryError: If it cannot be found.
    """
    with registry_errors(settings):
        logged = connect(settings).get_logged_model(uri.removeprefix("models:/"))
    return str(logged.artifact_location)


def load_folder(settings: Settings, location: str) -> TabularModel:
    """Load the native model from the folder that `log_model` wrote, wherever that lies.

    Every registered or logged model is loaded here, after its bytes were verified.

    Raises:
        RegistryError: If it cannot be found or read.
        UntrustedArtifactError: If it is not what was logged, or was logged elsewhere.
        DamagedFileError: If what is known of it is damaged.
    """
    from mlops.registry.flavor import unpickled

    known = require_trusted(settings, location)
    return unpickled(verified(known, _content(settings, location)), location)


def accept_folder(settings: Settings, location: str, by: str) -> TrustedArtifact:
    """Trust the model in a folder from now on, as it is; nothing is loaded.

    Raises:
        RegistryError: If it cannot be found or read.
    """
    return trust(settings, location, _content(settings, location), by)


def _content(settings: Settings, location: str) -> bytes:
    from mlops.registry.flavor import artifact_bytes

    client = connect(settings)
    with registry_errors(settings), tempfile.TemporaryDirectory() as temporary:
        return artifact_bytes(_fetch(client, location, temporary))


def read_logged(client: Any, run_id: str, name: str, kind: type[R]) -> R:
    """Return a record that a run logged; raises what MLflow raises.

    Raises:
        DamagedFileError: If the file is damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        location = f"{client.get_run(run_id).info.artifact_uri}/{name}"
        way_out = "restore {path} from a backup, or train that model again: mlops run"
        return read_record(_fetch(client, location, temporary), kind, way_out)


def find_logged(client: Any, run_id: str, name: str, kind: type[R]) -> R | None:
    """Return a record that a run logged; None if there is none, or if it is damaged: logged."""
    from mlflow.exceptions import MlflowException

    try:
        return read_logged(client, run_id, name, kind)
    except DamagedFileError as error:
        report(error)
    except (MlflowException, OSError):
        pass
    return None


def _fetch(client: Any, location: str, temporary: str) -> Path:
    """Return a local path of an artifact: itself if it is local, else a copy in ``temporary``."""
    import mlflow.artifacts

    local = location.startswith(("file:", "/"))
    return Path(
        mlflow.artifacts.download_artifacts(
            artifact_uri=location,
            dst_path=None if local else temporary,
            tracking_uri=client.tracking_uri,
        )
    )
