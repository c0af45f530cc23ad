"""What is looked up without MLflow is what MLflow says, from its database and from its server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from mlops.errors import ConfigurationError, DamagedFileError
from mlops.registry.connection import connect, ensure_tracking
from mlops.registry.lookup import require_champion, require_version
from mlops.registry.standing import Standing, look_up
from mlops.registry.trail import Promotion, Trail
from mlops.settings import Settings, load_settings


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Four versions, one of them deleted; two aliases; tags of versions and of the model."""
    settings = load_settings({"home": str(tmp_path_factory.mktemp("lookup") / "home")})
    name = settings.tracking.model_name
    ensure_tracking(settings)
    client = connect(settings)
    for model in (name, "another-model"):
        client.create_registered_model(model, tags={"of": model})
    for number in "1234":
        client.create_model_version(name, "file:///nowhere", tags={"number": number})
    client.create_model_version("another-model", "file:///nowhere")
    client.delete_model_version(name, "2")
    client.set_registered_model_alias(name, "champion", "1")  # by whoever reaches MLflow
    Trail(settings).append(
        Promotion(
            version=3,
            previous=1,
            at=datetime.now(timezone.utc),
            reason="a test",
            by="test",
            source="file:///nowhere",
        )
    )
    client.set_registered_model_alias(name, "challenger", "4")
    return settings


@pytest.fixture(scope="module")
def remote(local: Settings) -> Iterator[Settings]:
    """The same registry behind MLflow's own server."""
    from mlflow.server import app
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(local.tracking_uri, local.tracking_uri, local.artifact_root)
    server = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield load_settings(
        {"home": str(local.home), "tracking.uri": f"http://127.0.0.1:{server.server_port}"}
    )
    server.shutdown()


@pytest.mark.parametrize("kept", ["local", "remote"])
def test_a_registry_is_told_as_it_stands(kept: str, request: pytest.FixtureRequest) -> None:
    settings = request.getfixturevalue(kept)

    standing = look_up(settings)
    assert standing is not None
    assert {number: version.tags for number, version in standing.versions.items()} == {
        number: {"number": str(number)} for number in (1, 3, 4)
    }
    assert standing.aliases == {"champion": 3, "previous_champion": 1, "challenger": 4}
    for exists in ("1", "3", "champion", "challenger"):
        require_version(settings, exists)
    for missing in ("2", "99", "nobody", "", "²"):
        with pytest.raises(ConfigurationError, match="there are 1, 3, 4, challenger"):
            require_version(settings, missing)


@pytest.mark.parametrize("kept", ["local", "remote"])
def test_a_model_that_nobody_registered_has_no_versions(
    kept: str, request: pytest.FixtureRequest
) -> None:
    settings = request.getfixturevalue(kept)
    other = load_settings(
        {
            "home": str(settings.home),
            "tracking.uri": settings.tracking.uri,
            "tracking.model_name": "never-registered",
        }
    )

    assert look_up(other) == Standing()
    with pytest.raises(ConfigurationError, match="no champion"):
        require_champion(other)


def test_a_fresh_home_has_no_versions_and_gets_no_database(tmp_path: Path) -> None:
    settings = load_settings({"home": str(tmp_path)})

    assert look_up(settings) == Standing()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "postgresql://nobody@127.0.0.1:9/x", "nothing://x"]
)
def test_what_cannot_be_asked_refuses_nothing(uri: str, tmp_path: Path) -> None:
    settings = load_settings({"home": str(tmp_path), "tracking.uri": uri})

    assert look_up(settings) is None
    require_version(settings, "5")
    require_champion(settings)


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"not a database" * 100)

    with pytest.raises(DamagedFileError, match=r"mlflow\.db"):
        look_up(load_settings({"home": str(tmp_path)}))
