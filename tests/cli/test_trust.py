"""What counts as champion and which models are loaded: each command says it, and adopt changes it.

Whoever can write to MLflow can move the alias `champion` there, and a home from before digests and
promotions were kept knows neither. Nobody is left with less than the commands that help.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from mlops.cli import main
from mlops.drawing.overview import draw_champion
from mlops.observability.overview_tables import champion as champion_table
from mlops.observability.world import ObservedWorld
from mlops.registry.connection import connect
from mlops.registry.versions import Registry
from mlops.serving.model.compilation import compile_model
from mlops.serving.processes.follower import RegistryFollower
from mlops.settings import Settings, load_settings

TRIP = json.dumps({"pickup_at": "2024-02-10T08:30:00", "pickup_zone": 74, "dropoff_zone": 166})


class Ended(NamedTuple):
    code: int
    said: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, make_champion: Callable[[Path], None]
) -> Path:
    home = tmp_path_factory.mktemp("trust") / "home"
    make_champion(home)
    return home


@pytest.fixture
def settings(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return a home with a champion, version 1, whose files lie where other tests leave them."""
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    monkeypatch.setenv("MLOPS_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "1000")
    return load_settings()


@pytest.fixture
def run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        printed = capsys.readouterr()
        return Ended(int(end.value.code or 0), printed.out + printed.err)

    return call


def doctors_word(run: Run) -> dict[str, Any]:
    return next(c for c in json.loads(run("doctor", "--json").said) if c["check"] == "champion")


def tile(settings: Settings) -> str:
    return str(draw_champion(champion_table(ObservedWorld(settings))))


def server_says(settings: Settings) -> str:
    def make(settings: Settings, info: Any, bundle: Path) -> None:  # forks nothing, as others do
        compile_model(Registry(settings).load(info.version)[0], info.version).save(bundle)

    return RegistryFollower(settings, Registry, make).step().problem


def move_alias(settings: Settings) -> None:
    """Register a version 2 and call it champion, as anybody who reaches MLflow can."""
    client, name = connect(settings), settings.tracking.model_name
    client.create_model_version(name, "file:///elsewhere/model")
    client.set_registered_model_alias(name, "champion", "2")


def test_without_a_stranger_nobody_speaks_of_the_alias(settings: Settings, run: Run) -> None:
    assert doctors_word(run)["details"] == "version 1"
    assert "alias" not in run("status").said
    assert "Alias" not in tile(settings)
    assert server_says(settings) == ""


def test_an_alias_that_was_moved_is_named_with_what_counts_and_what_to_do(
    settings: Settings, run: Run
) -> None:
    move_alias(settings)

    said = doctors_word(run)
    assert said["result"] == "warn" and "names version 2" in said["details"]
    assert "version 1 stays champion" in said["details"]
    for words in (run("status").said, said["what_to_do"], tile(settings), server_says(settings)):
        assert "mlops adopt 2 &amp;&amp;" in words or "mlops adopt 2 &&" in words
        assert "to correct the alias: mlops deploy 1" in words
    assert json.loads(run("predict", TRIP, "--json").said)[0]["model_version"] == 1


def test_a_home_from_before_promotions_were_kept_says_how_to_go_on(
    settings: Settings, run: Run
) -> None:
    # Given what an earlier version of the project left: an alias, and nothing under `registry`
    shutil.rmtree(settings.registry)

    predicted = run("predict", TRIP)
    assert predicted.code == 8
    for words in (
        *(run("status").said, doctors_word(run)["what_to_do"], predicted.said),
        *(tile(settings), server_says(settings)),
    ):
        assert "to trust version 1: mlops adopt 1" in words
        assert words.count("mlops deploy 1") == 1

    # When that is done, then it serves
    assert run("adopt", "1", "--yes").code == 0
    Registry(settings).promote(1, "as deploy does", "ann")
    assert run("predict", TRIP).code == 0
    assert doctors_word(run)["details"] == "version 1"


def test_a_champion_whose_digest_is_gone_is_not_loaded_and_says_so(
    settings: Settings, run: Run
) -> None:
    shutil.rmtree(settings.registry / "artifacts")

    predicted = run("predict", TRIP)
    assert predicted.code == 15
    for words in (
        *(run("status").said, doctors_word(run)["what_to_do"], predicted.said),
        *(tile(settings), server_says(settings)),
    ):
        assert "mlops adopt 1" in words
    assert run("adopt", "champion", "--yes").code == 0
    assert run("predict", TRIP).code == 0
    assert server_says(settings) == ""


def test_a_version_that_does_not_exist_cannot_be_adopted(run: Run) -> None:
    for wrong in ("7", "nobody"):
        ended = run("adopt", wrong, "--yes")
        assert ended.code == 2
        assert f"there is no version '{wrong}'; there are 1" in ended.said


def test_nothing_is_trusted_before_somebody_has_confirmed(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(settings.registry / "artifacts")
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))

    ended = run("adopt", "1")

    assert ended.code == 130 and "registered 20" in ended.said
    assert not (settings.registry / "artifacts").exists()


def test_a_version_whose_files_changed_is_loaded_only_once_adopted_again(
    settings: Settings, run: Run
) -> None:
    source = urlsplit(Registry(settings).require(1).source).path
    pickle = Path(source) / "data" / "trip_duration_model"
    before = pickle.read_bytes()
    try:
        pickle.write_bytes(before + b"appended, which pickle does not read")
        refused = run("predict", TRIP)
        assert refused.code == 15
        assert "is not the one that was logged" in refused.said
        assert "trust it: mlops adopt 1" in refused.said

        adopted = run("adopt", "1", "--yes")
        assert adopted.code == 0 and "next: mlops deploy 1" in adopted.said
        assert run("predict", TRIP).code == 0

        # And when they change once more, or are gone, then its digest tells
        pickle.write_bytes(before)
        assert run("predict", TRIP).code == 15
        pickle.unlink()
        gone = run("adopt", "1", "--yes")
        assert gone.code == 8 and "Traceback" not in gone.said
    finally:
        pickle.write_bytes(before)
