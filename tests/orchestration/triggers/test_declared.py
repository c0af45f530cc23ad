"""Triggers in code: what is written, what is found wrong, which token starts them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops.cli.triggers import api_commands, trigger_rows
from mlops.errors import ConfigurationError
from mlops.orchestration.triggers import declared as triggers
from mlops.orchestration.triggers import lint as trigger_lint
from mlops.orchestration.triggers import tokens
from mlops.orchestration.triggers.admission import check_variables
from mlops.orchestration.triggers.cron import is_cron, next_time
from mlops.orchestration.triggers.declared import (
    TRIGGERS,
    Trigger,
    project_triggers,
    read,
    write,
    yaml_of,
)
from mlops.settings import PROJECT_ROOT, load_settings

NIGHTLY = Trigger(
    pipeline="prepare", name="nightly", kind="time", cron="30 4 * * *", description="Every night."
)
ON_REQUEST = Trigger(pipeline="prepare", name="api", kind="api", description="On request.")
Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a maker of a project with one pipeline and the triggers given."""

    def make(*defined: Trigger, dynamic: bool = False) -> Path:
        folder = tmp_path / "pipelines" / "prepare"
        folder.mkdir(parents=True)
        block = {"uuid": "a", **({"configuration": {"dynamic": True}} if dynamic else {})}
        (folder / "metadata.yaml").write_text(yaml.safe_dump({"blocks": [block]}))
        if defined:
            write(tmp_path, defined)
        return tmp_path

    return make


def problems(folder: Path, *defined: Trigger) -> list[str]:
    return [*trigger_lint.problems_of(defined, folder), *trigger_lint.problems_of_files(folder)]


def test_the_tracked_files_are_what_the_code_would_write() -> None:
    for path in PROJECT_ROOT.glob(triggers.FILES):
        defined = [trigger for trigger in TRIGGERS if trigger.pipeline == path.parent.name]
        assert path.read_text() == yaml_of(defined), path
    trigger_lint.check(PROJECT_ROOT)


def test_everything_can_be_started_by_a_request_and_nothing_by_itself_in_development() -> None:
    pipelines = {path.parent.name for path in PROJECT_ROOT.glob("pipelines/*/metadata.yaml")}
    assert {t.pipeline for t in TRIGGERS if t.kind == "api"} == pipelines
    assert all(trigger.environments == ("prod",) for trigger in TRIGGERS if trigger.cron)


def test_a_dataset_that_asks_for_schedules_has_its_own(project: Project) -> None:
    folder = project()
    for name, content in {"sales": "schedules: true", "tips": "{}", "bad": "a: ["}.items():
        (folder / "datasets" / name).mkdir(parents=True)
        (folder / "datasets" / name / "dataset.yaml").write_text(content)

    added = project_triggers(folder)[len(TRIGGERS) :]

    assert {(t.pipeline, t.name, t.cron) for t in added} == {
        (t.pipeline, f"{t.name}_sales", t.cron) for t in TRIGGERS if t.cron
    }
    for trigger in added:
        check_variables(trigger.pipeline, {**trigger.variables, "dataset": "taxi"})
        assert trigger.variables["dataset"] == "sales"
    (folder / "datasets" / "sales" / "dataset.yaml").write_text("schedules: false")
    assert project_triggers(folder) == TRIGGERS


def test_good_definitions_have_no_problem(project: Project) -> None:
    assert problems(project(NIGHTLY, ON_REQUEST), NIGHTLY, ON_REQUEST) == []


def test_writing_twice_changes_nothing_and_removes_only_what_it_wrote(project: Project) -> None:
    folder = project(NIGHTLY)
    other = folder / "pipelines" / "other" / "triggers.yaml"
    other.parent.mkdir()
    other.write_text("triggers: []\n")
    assert write(folder, [NIGHTLY]) == []
    (removed,) = write(folder, [])
    assert removed.parent.name == "prepare" and not removed.exists()
    assert other.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cron": "61 4 * * *"}, "'61 4 * * *' is not a cron expression"),
        ({"cron": "every night"}, "'every night' is not a cron expression"),
        ({"cron": ""}, "a time trigger needs a cron expression"),
        ({"kind": "api"}, "only a time trigger"),
        ({"pipeline": "unheard_of"}, "there is no pipelines/unheard_of"),
    ],
)
def test_a_wrong_definition_is_named(
    project: Project, changes: dict[str, str], message: str
) -> None:
    wrong = NIGHTLY.model_copy(update=changes)
    assert any(message in problem for problem in problems(project(), wrong))


def test_a_name_given_twice_and_children_that_would_kill_each_other_are_named(
    project: Project,
) -> None:
    found = problems(project(dynamic=True), ON_REQUEST, ON_REQUEST)
    assert any("prepare/api: defined 2 times" in problem for problem in found)
    assert any("allow_blocks_to_fail" in problem for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("token: null", "token: secret", "a token must not be in a file"),
        ("last_enabled_at: 2024-01-01 00:00:00", "x: 1", "without last_enabled_at"),
        ("30 4 * * *", "30 25 * * *", "'30 25 * * *' is not a cron expression"),
        ("sla: 3600", "sla: 7200", "differs from the code"),
        ("name: nightly", "name: by_hand", "'by_hand' is not defined in code"),
    ],
)
def test_a_file_changed_by_hand_is_named(
    project: Project, old: str, new: str, message: str
) -> None:
    folder = project(NIGHTLY)
    path = folder / "pipelines" / "prepare" / "triggers.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert any(message in problem for problem in problems(folder, NIGHTLY))


@pytest.mark.parametrize("text", ["- a\n- b", "triggers: 3", "triggers: [{status: active}]", "{"])
def test_a_file_that_holds_no_triggers_is_refused_by_name(project: Project, text: str) -> None:
    path = project(NIGHTLY) / "pipelines" / "prepare" / "triggers.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"prepare/triggers\.yaml"):
        read(path)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_a_daily_trigger_is_due_within_a_day_at_its_time(
    minute: int, hour: int, moment: datetime
) -> None:
    after = moment.replace(tzinfo=timezone.utc)
    due = next_time(f"{minute} {hour} * * *", after)
    assert (due.minute, due.hour, due.tzinfo) == (minute, hour, timezone.utc)
    assert 0 < (due - after).total_seconds() <= 86_400


@pytest.mark.parametrize(("text", "valid"), [("@daily", True), ("@often", False), ("", False)])
def test_names_of_intervals(text: str, valid: bool) -> None:
    assert is_cron(text) is valid


def test_tokens_are_made_once_private_and_different(tmp_path: Path) -> None:
    settings = load_settings({"home": str(tmp_path)})
    first = tokens.api_token(settings, "deployment", {})
    assert len(first) >= 32 and first == tokens.api_token(settings, "deployment", {})
    assert first != tokens.api_token(settings, "rollback", {})
    path = tokens.token_file(settings, "deployment")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_token_in_the_environment_wins_the_pipelines_own_first(tmp_path: Path) -> None:
    settings = load_settings({"home": str(tmp_path)})
    given = {"MLOPS_API_TOKEN": "a" * 20, "MLOPS_API_TOKEN_BATCH_INFERENCE": "b" * 20}
    assert tokens.api_token(settings, "batch_inference", given) == "b" * 20
    assert tokens.api_token(settings, "rollback", given) == "a" * 20
    assert tokens.shell_expression(settings, "rollback", given) == "$MLOPS_API_TOKEN"
    assert not tokens.token_file(settings, "rollback").exists()
    with pytest.raises(ConfigurationError, match="MLOPS_API_TOKEN: a token of 5 characters"):
        tokens.api_token(settings, "rollback", {"MLOPS_API_TOKEN": "short"})


def test_before_the_first_start_triggers_are_listed_without_a_database(tmp_path: Path) -> None:
    settings = load_settings({"home": str(tmp_path)})
    assert [row["trigger"] for row in trigger_rows(settings)] == [t.name for t in TRIGGERS]
    assert {row["state"] for row in trigger_rows(settings)} == {"unknown"}
    assert api_commands(settings) == {}
    assert list(tmp_path.iterdir()) == []


def test_check_leaves_other_projects_definitions_alone(project: Project) -> None:
    folder = project(NIGHTLY)
    trigger_lint.check(folder)
    path = folder / "pipelines" / "prepare" / "triggers.yaml"
    path.write_text(path.read_text().replace("30 4", "30 99"))
    with pytest.raises(ConfigurationError, match="30 99"):
        trigger_lint.check(folder)
