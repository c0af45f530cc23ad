"""What would keep triggers from working, found before it does: one bad one stops them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from mlops.errors import ConfigurationError
from mlops.orchestration.triggers.cron import is_cron
from mlops.orchestration.triggers.declared import (
    FILES,
    Trigger,
    file_of,
    project_triggers,
    read,
    yaml_of,
)
from mlops.orchestration.triggers.tokens import api_token
from mlops.settings import PROJECT_ROOT, Settings


def check(project: Path = PROJECT_ROOT) -> None:
    """Make sure that no trigger can stop the others, or start what nobody meant.

    Raises:
        ConfigurationError: Naming every problem.
    """
    ours = project.resolve() == PROJECT_ROOT.resolve()
    problems = [
        *(problems_of(project_triggers(project), project) if ours else ()),
        *problems_of_files(project),
    ]
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ConfigurationError(
            f"triggers:\n{listed}",
            "correct mlops/orchestration/triggers/declared.py or `schedules` of a dataset, then:"
            " mlops triggers --write",
        )


def make_tokens(settings: Settings, project: Path) -> None:
    """Make the token of each API trigger, or refuse the one given in the environment.

    Raises:
        ConfigurationError: Naming the variable.
    """
    for path in project.glob(FILES):
        if any(entry["schedule_type"] == "api" for entry in read(path)):
            api_token(settings, path.parent.name)


def problems_of(triggers: Sequence[Trigger], project: Path) -> Iterator[str]:
    """Yield what is wrong with definitions, and where the files differ from them."""
    counts = Counter((trigger.pipeline, trigger.name) for trigger in triggers)
    for (pipeline, name), count in counts.items():
        if count > 1:
            yield f"{pipeline}/{name}: defined {count} times"
    for trigger in triggers:
        where = f"{trigger.pipeline}/{trigger.name}"
        metadata = file_of(project, trigger.pipeline).with_name("metadata.yaml")
        if not metadata.exists():
            yield f"{where}: there is no pipelines/{trigger.pipeline}"
        elif _fans_out(metadata) and not trigger.allow_blocks_to_fail:
            yield f"{where}: one failing child would kill the others: allow_blocks_to_fail"
        if (trigger.kind == "time") != bool(trigger.cron):
            yield f"{where}: a time trigger needs a cron expression, and only a time trigger"
        elif trigger.cron and not is_cron(trigger.cron):
            yield f"{where}: {trigger.cron!r} is not a cron expression"
    for path in sorted({*project.glob(FILES), *(file_of(project, t.pipeline) for t in triggers)}):
        wanted = [trigger for trigger in triggers if trigger.pipeline == path.parent.name]
        relative = path.relative_to(project)
        if not path.exists():
            yield f"{relative}: is missing"
            continue
        text = path.read_text(encoding="utf-8")
        unknown = {entry["name"] for entry in read(path)} - {trigger.name for trigger in wanted}
        for name in sorted(unknown):
            yield f"{relative}: {name!r} is not defined in code"
        if not unknown and text != yaml_of(wanted):
            yield f"{relative}: differs from the code"


def problems_of_files(project: Path) -> Iterator[str]:
    """Yield what in the files would harm: Mage takes an invalid one for a reason to sync none."""
    for path in sorted(project.glob(FILES)):
        for entry in read(path):
            where = f"{path.relative_to(project)}: {entry['name']!r}"
            interval = entry.get("schedule_interval")
            if entry.get("schedule_type") == "time" and not is_cron(str(interval)):
                yield f"{where}: {interval!r} is not a cron expression"
            if entry.get("status") == "active" and not entry.get("last_enabled_at"):
                yield f"{where}: without last_enabled_at Mage rewrites the file"
            if entry.get("token"):
                yield f"{where}: a token must not be in a file that git tracks"


def _fans_out(metadata: Path) -> bool:
    blocks = yaml.safe_load(metadata.read_text(encoding="utf-8")).get("blocks") or []
    return any((block.get("configuration") or {}).get("dynamic") for block in blocks)
