"""The whole loop: real servers, drifted traffic, and a project that mends itself.

The story checks each step itself and says what went wrong with the last lines of the logs; here is
what it must add up to, seen from outside: records, registry and the messages that arrived.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.drift import MARK, perform, remove
from demo.facts import DemoFacts
from demo.inbox import Inbox
from demo.plan import SMALL
from mlops.deployment.records import Records
from mlops.errors import ConfigurationError
from mlops.monitoring.findings.records import read_decisions, read_windows
from mlops.orchestration.runs.history import recent_runs, runs_with_variables
from mlops.registry.versions import Registry
from mlops.retraining.records import all_records
from mlops.settings import Settings, load_settings

# The story waits for each step by itself; a machine may be very busy.
pytestmark = pytest.mark.timeout(1_200)


@dataclass(frozen=True)
class Told:
    """A story that has been told, and its home."""

    facts: DemoFacts
    inbox: Inbox
    settings: Settings
    lines: list[str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The whole loop, told once. Servers are up only meanwhile."""
    home = tmp_path_factory.mktemp("loop") / "demo"
    lines: list[str] = []
    facts, inbox = perform(home, SMALL, lines.append)
    return Told(facts, inbox, load_settings({"home": str(home)}), lines)


@pytest.mark.mage
def test_the_error_rises_when_the_world_changes_and_falls_when_it_was_learned(told: Told) -> None:
    facts = told.facts

    assert facts.quiet == pytest.approx(facts.offline, rel=0.15)
    assert facts.drifted > 1.5 * facts.quiet
    assert facts.recovered < 0.8 * facts.drifted
    said = "\n".join(told.lines)
    assert f"{facts.drifted:.2f}" in said and f"{facts.recovered:.2f}" in said


@pytest.mark.mage
def test_monitoring_decided_it_and_its_trigger_started_it(told: Told) -> None:
    decisions = read_decisions(told.settings)
    started = [record for record in decisions if record.started]

    assert [record.decision.step for record in decisions] == ["ok", "retrain", "ok"]
    (decided,) = started
    assert decided.started == "retraining" and decided.problem == ""
    begun = decided.decision.at
    given = dict(runs_with_variables(told.settings, "retraining", begun))
    assert given[decided.started_run or 0]["by"] == "monitoring"
    (retraining,) = all_records(told.settings)
    assert retraining.trigger == "api" and retraining.status == "completed"
    assert {run["status"] for run in recent_runs(told.settings, 50)} == {"completed"}


@pytest.mark.mage
def test_the_gate_the_canary_and_the_promotion_followed(told: Told) -> None:
    registry = Registry(told.settings)
    champion = registry.champion()
    deployment = Records(told.settings.deployments).newest(lambda record: True)

    assert champion is not None and champion.version == told.facts.second
    assert champion.verdict is not None and champion.verdict.passed
    assert [change.version for change in registry.trail()] == [
        told.facts.second,
        told.facts.first,
    ]
    assert deployment is not None and deployment.state == "kept"
    assert "canary_passed" in [step.event for step in deployment.steps]
    assert set(told.facts.answered) == {told.facts.first, told.facts.second}


@pytest.mark.mage
def test_windows_of_either_version_say_the_same_story(told: Told) -> None:
    windows = read_windows(told.settings)
    harmed = Counter(w.version for w in windows if "performance" in w.report.violated)

    assert {window.origin for window in windows} == {"served"}
    assert all(window.labelled for window in windows)
    assert set(harmed) == {told.facts.first} and harmed[told.facts.first] >= 3


@pytest.mark.mage
def test_people_were_told_once_and_told_when_it_was_over(told: Told) -> None:
    about = told.inbox.of("monitoring:model")

    assert [message["kind"] for message in about] == ["monitoring", "recovered"]
    assert "retraining" in about[0]["text"]
    assert about[0]["link"].startswith("http://127.0.0.1:")
    counts = Counter((m["kind"], m["incident"]) for m in told.inbox.messages)
    assert set(counts.values()) == {1}
    titles = [message["title"] for message in told.inbox.messages]
    assert f"version {told.facts.second} is champion instead of {told.facts.first}" in titles
    assert "is champion" in about[1]["facts"]["so far"]


def test_another_folder_is_never_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")

    with pytest.raises(ConfigurationError, match="something else"):
        perform(folder, SMALL)
    remove(folder)

    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_demonstrations_folder_is_removed(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    (home / MARK).touch()

    remove(home)

    assert not home.exists()
