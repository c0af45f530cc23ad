"""The metrics of model versions, of the gate's verdicts and of deployments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, get_args

from prometheus_client import Metric

from mlops.deployment.states import FINAL, Kind
from mlops.observability.gauges import gauge, seconds_of, single
from mlops.observability.world import ObservedWorld

KINDS: Final = get_args(Kind)


def version_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield the champion, its errors on the test window, and the gate's verdicts."""
    champion = world.champion
    yield single(
        "mlops_model_champion_version",
        "Number of the champion version; 0 if there is none",
        champion.version if champion else 0,
    )
    verdicts = Counter(
        "passed" if version.verdict.passed else "refused"
        for version in world.versions
        if version.verdict
    )
    yield gauge(
        "mlops_model_gate_verdicts",
        "Registered versions by the gate's verdict",
        [({"verdict": verdict}, verdicts[verdict]) for verdict in ("passed", "refused")],
    )
    if champion is None:
        return
    receipt, evaluation = champion.receipt, champion.evaluation
    family = receipt.family if receipt else "unknown"
    learned_until = receipt.windows["test"].end if receipt else None
    yield gauge(
        "mlops_model_champion_info",
        "1 for the champion, with its version and family",
        [({"version": champion.version, "family": family}, 1)],
    )
    moments = {
        "promoted": ("Time at which the champion was promoted", champion.promoted_at),
        "registered": ("Time at which the champion was registered", champion.created_at),
        "learned_until": ("End of the champion's training set", world.instant(learned_until)),
    }
    for name, (meaning, at) in moments.items():
        yield single(f"mlops_model_champion_{name}_timestamp_seconds", meaning, seconds_of(at))
    if evaluation is not None:
        errors, interval = evaluation.metrics, evaluation.interval
        coverage = interval.coverage if interval else None
        for name, meaning, value in (
            ("rmse_minutes", "Root mean squared error", errors.rmse),
            ("mae_minutes", "Mean absolute error", errors.mae),
            ("bias_minutes", "Mean of predicted minus actual duration", errors.bias),
            ("coverage", "Share of rows within their prediction interval", coverage),
        ):
            yield single(f"mlops_model_offline_{name}", f"{meaning} in the test window", value)


def deployment_metrics(world: ObservedWorld) -> Iterator[Metric]:
    """Yield deployments and rollbacks, what is going on, and what waits for a person."""
    records = world.deployments
    counts = Counter((record.kind, record.state) for record in records if record.is_over)
    yield gauge(
        "mlops_model_deployments",
        "Deployments and rollbacks by outcome",
        [
            ({"kind": kind, "outcome": outcome}, counts[kind, outcome])
            for kind in KINDS
            for outcome in sorted(FINAL)
        ],
    )
    over = [record for record in records if record.is_over and record.steps]
    yield gauge(
        "mlops_model_last_deployment_timestamp_seconds",
        "Time at which the last deployment or rollback ended, with its outcome",
        [
            (
                {"kind": last.kind, "version": last.version, "outcome": last.state},
                seconds_of(last.steps[-1].at),
            )
            for last in over[:1]
        ],
    )
    yield gauge(
        "mlops_model_deployment_running_since_timestamp_seconds",
        "Start of a deployment that is in progress",
        [
            (
                {"deployment": record.id, "version": record.version, "state": record.state},
                seconds_of(record.started_at),
            )
            for record in records
            if not record.is_over
        ],
    )
    limits = world.settings.deployment
    yield single(
        "mlops_model_deployment_planned_seconds",
        "Planned duration of a deployment's shadow and canary",
        60 * (limits.canary_minutes + limits.shadow_minutes),
    )
    rollout = world.rollout
    yield gauge(
        "mlops_model_rollout_percent",
        "Percentage of requests sent to a version beside the champion",
        [({"version": rollout.version, "mode": rollout.mode}, rollout.percent)] if rollout else [],
    )
    waiting = world.pending_approval
    yield gauge(
        "mlops_model_approval_waiting_since_timestamp_seconds",
        "Time since which a version that passed the gate has been waiting for approval",
        [({"version": waiting.version}, seconds_of(waiting.requested_at))] if waiting else [],
    )
    retrainings = Counter(record.status for record in world.retrainings)
    yield gauge(
        "mlops_model_retrainings",
        "Retrainings by status",
        [({"status": status}, many) for status, many in sorted(retrainings.items())],
    )
