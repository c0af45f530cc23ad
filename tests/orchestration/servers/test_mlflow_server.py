"""Whoever can write to MLflow cannot run code here: the attack by plain HTTP, from end to end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.servers import free_ports
from mlops.errors import UntrustedArtifactError
from mlops.registry.models import load_folder
from mlops.registry.versions import Registry, VersionInfo
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.serving.model.compiling import bundle_info
from mlops.serving.processes.follower import RegistryFollower, bundles_folder
from mlops.settings import Settings, load_settings

PATIENCE = 120.0  # seconds, on a machine that others use
MODEL = "trip-duration"


@dataclass
class Stranger:
    """Talks to MLflow's server by HTTP, under any name."""

    port: int

    def ask(
        self, method: str, path: str, content: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        body = content if isinstance(content, bytes | None) else json.dumps(content)
        sent = {"Content-Type": "application/json", "Host": f"127.0.0.1:{self.port}", **headers}
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, {"text": text.decode(errors="replace")}

    def post(self, end: str, **content: Any) -> dict[str, Any]:
        status, answer = self.ask("POST", f"/api/2.0/mlflow/{end}", content)
        assert status == 200, answer
        return answer


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, make_champion: Callable[[Path], None]
) -> Settings:
    home = tmp_path_factory.mktemp("home")
    make_champion(home)
    return load_settings({"home": str(home)})


@pytest.fixture(scope="module")
def stranger(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("where it runs")
    log = folder.with_name("mlflow.log")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlops.cli", "mlflow", "--set", f"server.mlflow_port={port}"],
        cwd=folder,
        env={**os.environ, "MLOPS_HOME": str(settings.home)},
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    stranger = Stranger(port)
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        try:
            if stranger.ask("GET", "/health")[0] == 200:
                break
        except OSError:
            time.sleep(0.1)
    yield stranger
    process.terminate()
    assert process.wait(PATIENCE) in (0, -signal.SIGTERM), log.read_text()
    assert list(folder.iterdir()) == []  # whatever was sent, nothing lies where it ran


def compile_here(settings: Settings, info: VersionInfo, target: Path) -> None:
    """Make a bundle as the server does, but in this process: it has trained, so it cannot fork."""
    compile_model(load_folder(settings, info.source), info.version, bundle_info(info)).save(target)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
def test_pages_of_other_sites_cannot_talk_to_mlflow(
    stranger: Stranger, headers: dict[str, str]
) -> None:
    for method, path, content in (
        ("GET", "/", None),
        ("GET", f"/api/2.0/mlflow/registered-models/get?name={MODEL}", None),
        ("POST", "/api/2.0/mlflow/experiments/create", {"name": "theirs"}),
    ):
        status, answer = stranger.ask(method, path, content, **headers)
        assert status == 403, (path, answer)


def test_mlflow_takes_no_files(stranger: Stranger, settings: Settings) -> None:
    run = stranger.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    before = sorted(settings.home.rglob("*"))
    for method, path in (
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/evil/model.pkl"),
        ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/0/evil/model.pkl"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=."),
        ("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=model.pkl"),
        ("POST", f"/ajax-api/2.0/mlflow/upload-artifact/?run_uuid={run}&path=model.pkl"),
        ("GET", "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=http://127.0.0.1"),
    ):
        assert stranger.ask(method, path, b"{}" if method != "GET" else None)[0] == 403, path
    # Nor a form that any site's page may send without asking
    status, _ = stranger.ask(
        "POST", "/api/2.0/mlflow/experiments/create", b"{}", **{"Content-Type": "text/plain"}
    )
    assert status == 415
    assert sorted(settings.home.rglob("*")) == before


def test_pages_still_show_what_lies_in_the_artifact_root(
    stranger: Stranger, settings: Settings
) -> None:
    champion = Registry(settings).champion()
    assert champion is not None
    status, answer = stranger.ask(
        "GET", f"/get-artifact?path=registration.json&run_uuid={champion.run_id}"
    )
    assert (status, "verdict" in answer) == (200, True)


def test_a_pickle_that_a_stranger_registers_as_champion_never_runs(
    stranger: Stranger, settings: Settings, tmp_path: Path
) -> None:
    # Given a champion that is served
    follower = RegistryFollower(settings, Registry, compile_here)
    before = follower.step()
    served = before.champion
    assert served is not None, before.problem
    # When a user of this machine registers a pickle of his own and sets the alias
    trace = tmp_path / "trace"
    experiment = stranger.post(
        "experiments/create", name="theirs", artifact_location=(tmp_path / "evil").as_uri()
    )["experiment_id"]
    run = stranger.post("runs/create", experiment_id=experiment)["run"]["info"]
    folder = Path(run["artifact_uri"].removeprefix("file://")) / "model"
    (folder / "data").mkdir(parents=True)
    pickle = f"cposix\nmkdir\n(S{str(trace)!r}\ntR.".encode()
    (folder / "data" / "trip_duration_model").write_bytes(pickle)
    version = stranger.post(
        "model-versions/create",
        name=MODEL,
        source=f"{run['artifact_uri']}/model",
        run_id=run["run_id"],
    )["model_version"]["version"]
    for alias in ("champion", "challenger", "previous_champion"):
        stranger.post("registered-models/alias", name=MODEL, alias=alias, version=version)
    tag = {"name": MODEL, "key": "mlops.rollout", "value": json.dumps({"version": version})}
    stranger.post("registered-models/set-tag", **tag)
    # Then the server keeps what it serves and says why
    state = follower.step()
    assert state.champion == served
    assert f"names version {version}" in state.problem and "mlops adopt" in state.problem
    assert state.rollout is None
    CompiledModel.load(bundles_folder(settings) / served.bundle)
    # And nobody loads it: not as champion, not by number, not to promote it
    registry = Registry(settings)
    assert registry.load("champion")[1].version == served.version
    for load in (
        lambda: registry.load(version),
        lambda: registry.load("challenger"),
        lambda: registry.promote(version, "because", "a stranger"),
    ):
        with pytest.raises(UntrustedArtifactError, match="not logged from this home"):
            load()
    assert not trace.exists()
