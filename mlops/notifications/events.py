"""The events of this project that people are notified of: one function each, worded once.

None of them raises, and none takes longer than `notifications.timeout_seconds`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops.notifications.alerts import Alert
from mlops.notifications.delivery import Delivery
from mlops.notifications.incidents import append, notify, resolve
from mlops.settings import Settings

MONITORING: Final = "monitoring:"  # how the keys of incidents that monitoring found begin
REMEDIES: Final = ("retraining", "rollback")  # what it may have started for them


@dataclass(frozen=True)
class BlockFailure:
    """A block that failed by itself.

    Args:
        block: Its name.
        error: ``module.Class: message``, or why it was stopped.
        log: Its log.
    """

    block: str
    error: str
    log: Path


def run_failed(
    settings: Settings, pipeline: str, run_id: int, failures: Sequence[BlockFailure]
) -> Delivery:
    """Tell that a pipeline run failed; the same failure of a retry is the same incident.

    Args:
        settings: As for `notify`.
        pipeline: Its name.
        run_id: Mage's number of the run.
        failures: The blocks at fault, if any is known.
    """
    first = (
        failures[0] if failures else BlockFailure("", "no block reported an error", settings.logs)
    )
    where = f" in {first.block}" if first.block else ""
    facts = {"pipeline": pipeline, "run": str(run_id), "log": str(first.log)}
    if failures[1:]:
        facts["also failed"] = ", ".join(f.block for f in failures[1:])
    if pipeline in REMEDIES and (so_far := append(settings, MONITORING, f"run {run_id} failed")):
        facts["so far"] = so_far
    alert = Alert(
        kind="failure",
        incident=f"failure:{pipeline}:{first.block}:{_cause(first.error)}",
        title=f"{pipeline} failed{where}",
        text=first.error,
        facts=facts,
        link=_page_of(settings, pipeline, run_id),
        command=f"mlops pipeline resume {run_id}",
    )
    return notify(settings, alert)


def run_succeeded(settings: Settings, pipeline: str) -> None:
    """Tell that a pipeline that was failing works again; nothing if it was not."""
    resolve(settings, f"failure:{pipeline}:")


def run_late(settings: Settings, pipeline: str, run_id: int, sla_seconds: int) -> Delivery:
    """Tell that a run in progress takes longer than promised."""
    alert = Alert(
        kind="sla",
        incident=f"sla:{pipeline}:{run_id}",
        title=f"{pipeline} takes longer than {_duration(sla_seconds)}",
        text="It is still running.",
        facts={"pipeline": pipeline, "run": str(run_id), "promised": _duration(sla_seconds)},
        link=_page_of(settings, pipeline, run_id),
        command="mlops status",
    )
    return notify(settings, alert)


def promoted(
    settings: Settings,
    version: int,
    previous: int | None,
    reason: str,
    by: str,
    *,
    deployment: str = "",
) -> Delivery:
    """Tell that a version became champion.

    Args:
        settings: As for `notify`.
        version: The new champion.
        previous: The champion before it.
        reason: Why, as recorded.
        by: Who or what decided.
        deployment: Id of the deployment, if it was one; tells the same promotion from the next.
    """
    instead = f" instead of {previous}" if previous is not None else ""
    title = f"version {version} is champion{instead}"
    alert = Alert(
        kind="promotion",
        incident=f"promotion:{deployment or f'{previous}-{version}'}",
        title=title,
        text=reason,
        facts=_facts(by, deployment, {}, append(settings, MONITORING, title)),
        command="mlops rollback" if previous is not None else "",
    )
    return notify(settings, alert)


def rolled_back(
    settings: Settings,
    version: int,
    restored: int | None,
    reason: str,
    by: str,
    *,
    deployment: str = "",
) -> Delivery:
    """Tell that a version is champion no more; arguments as for `promoted`.

    Args:
        settings: As for `notify`.
        version: The version taken back.
        restored: The champion now; None if there was nothing to go back to.
        reason: Why.
        by: Who or what decided.
        deployment: Id of the deployment or rollback.
    """
    now = f": version {restored} is champion again" if restored is not None else ""
    title = f"version {version} was rolled back{now}"
    alert = Alert(
        kind="rollback",
        incident=f"rollback:{deployment or f'{version}-{restored}'}",
        title=title,
        text=reason,
        facts=_facts(by, deployment, {}, append(settings, MONITORING, title)),
        command=f"mlops deployments {deployment}" if deployment else "mlops models",
    )
    return notify(settings, alert)


def refused(
    settings: Settings,
    what: str,
    reason: str,
    by: str,
    *,
    deployment: str = "",
    facts: Mapping[str, str] | None = None,
) -> Delivery:
    """Tell that a model was refused, by the gate or by a deployment's checks.

    Args:
        settings: As for `notify`.
        what: The model: a family before it is registered, else ``version N``.
        reason: Why: the verdict's summary.
        by: What refused it.
        deployment: Id of the deployment, if it was one.
        facts: More of them.
    """
    title = f"{what} was refused"
    alert = Alert(
        kind="refused",
        incident=f"refused:{deployment or f'{by}:{what}:{reason}'}",
        title=title,
        text=reason,
        facts=_facts(by, deployment, facts, append(settings, MONITORING, title)),
        command=f"mlops deployments {deployment}" if deployment else "mlops models --verdict",
    )
    return notify(settings, alert)


def _page_of(settings: Settings, pipeline: str, run_id: int) -> str:
    return f"{settings.pages_url}/pipelines/{pipeline}/runs/{run_id}"


def _facts(
    by: str, deployment: str, facts: Mapping[str, str] | None, so_far: str
) -> dict[str, str]:
    known = {"by": by, "deployment": deployment, **(facts or {}), "so far": so_far}
    return {name: value for name, value in known.items() if value}


def _cause(error: str) -> str:
    """Return what the same failure has in common each time: no message, no numbers."""
    return re.sub(r"\d+", "#", error.partition(":")[0])


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:.0f} min"
