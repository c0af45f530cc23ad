"""What the main job does before Mage is loaded and after it has ended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.data.origins import TripOrigin
from mlops.errors import BusyError, GateRefusalError, InterruptionError
from mlops.orchestration.jobs import main_job
from mlops.orchestration.jobs.journal import Journal, begin_job
from mlops.orchestration.jobs.main_job import MainJobResult, objection, run_main_job
from mlops.orchestration.runs.contract import BlockResult, PipelineResult
from mlops.orchestration.runs.lock import HomeLock
from mlops.orchestration.runs.naming import ENGINE_LOCK
from mlops.settings import Settings, load_settings
from mlops.steps.model_selection import _reason_to_promote

REAL, SYNTHETIC = TripOrigin("green", False), TripOrigin("green", True)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_job, "Engine", killed)
    monkeypatch.setattr(main_job, "ensure_tracking", lambda settings: None)
    return load_settings()


def start(settings: Settings, **variables: Any) -> None:
    with begin_job(settings, variables, resume=False) as job:
        run_main_job(settings, job, lambda event: None)


def test_a_job_killed_while_mage_loads_can_be_resumed(settings: Settings) -> None:
    with pytest.raises(InterruptionError, match="mlops run --resume"):
        start(settings, months="2024-01..2024-02")
    journal = Journal.read(settings)
    assert journal.variables == {"months": "2024-01..2024-02"} and not journal.runs


def test_a_second_job_leaves_the_journal_of_the_one_at_work_alone(settings: Settings) -> None:
    with pytest.raises(InterruptionError):
        start(settings, seed=1)
    lock = HomeLock(settings.home / ENGINE_LOCK, "mlops run")
    lock.acquire()
    try:
        with pytest.raises(BusyError):
            start(settings, seed=2)
    finally:
        lock.release()
    assert Journal.read(settings).variables == {"seed": 1}


def test_what_cannot_replace_the_champion_is_said_before_work_begins(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = SimpleNamespace(version=3, origin=REAL)
    monkeypatch.setattr(main_job, "find_version", lambda settings, alias: champion)
    assert "version 3 is champion and learned from real trips" in objection(settings, promote=False)
    with pytest.raises(GateRefusalError, match="synthetic trips of green taxis cannot replace it"):
        objection(settings, promote=True)
    assert not objection(load_settings({"allow_mismatch": True}), promote=True)
    champion.origin = SYNTHETIC
    assert not objection(load_settings({"source": "tlc"}), promote=True)
    assert objection(load_settings({"source": "tlc", "taxi": "yellow"}), promote=False)


@pytest.mark.parametrize(
    ("origin", "compared", "learned", "asked", "reason"),
    [
        (None, None, REAL, False, "the first model that passed the gate"),
        (REAL, 3, REAL, False, ""),
        (REAL, 3, REAL, True, "--promote"),
        (REAL, 2, REAL, True, ""),  # another became champion meanwhile
        (REAL, None, REAL, True, ""),  # likewise: there was none when the gate judged
        (SYNTHETIC, 3, REAL, False, "the first model of real rows that passed the gate"),
        (SYNTHETIC, 3, TripOrigin("yellow", False), False, ""),
        (SYNTHETIC, 3, SYNTHETIC, False, ""),
    ],
)
def test_a_winner_is_promoted_at_once_only_for_a_reason(
    origin: TripOrigin | None,
    compared: int | None,
    learned: TripOrigin,
    asked: bool,
    reason: str,
) -> None:
    champion: Any = origin and SimpleNamespace(version=3, origin=origin, synthetic=origin.synthetic)
    judged: Any = SimpleNamespace(champion=compared, receipt=SimpleNamespace(origin=learned))
    assert _reason_to_promote(judged, champion, {"promote": asked}) == reason


def result(pipeline: str, *blocks: tuple[str, str, str]) -> PipelineResult:
    found = tuple(
        BlockResult(name, status, 1.0, error, Path("log"))  # type: ignore[arg-type]
        for name, status, error in blocks
    )
    failed = any(block.status != "completed" for block in found)
    status = "failed" if failed else "completed"
    return PipelineResult(pipeline, 1, status, 1.0, found, lambda block: None)


def test_only_candidates_whose_collector_went_on_count_as_survived() -> None:
    reported = "mlops.errors.CandidateFailureError: ValueError: no data"
    lasso = ("tune_and_train:lasso", "failed", reported)
    done = ("collect_candidates", "completed", "")
    training = result("sklearn_training", lasso, done)
    assert training.survived and not training.succeeded
    assert MainJobResult({"sklearn_training": training}).failed_candidates == {
        "sklearn_training, tune_and_train:lasso": "ValueError: no data"
    }
    assert not result("sklearn_training", done).survived
    assert not result("sklearn_training", lasso, ("collect", "upstream_failed", "")).survived
    assert not result("sklearn_training", lasso, ("collect", "failed", "ValueError: x")).survived
