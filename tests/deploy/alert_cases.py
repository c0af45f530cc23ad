"""For every alert: a fault as Prometheus would see it, when it is told, and when it is over.

Times are minutes from 1970, which is where promtool's clock starts; values are written as promtool
expands them (``0x4 1x4``: five zeros, five ones; ``_`` is no sample, ``stale`` ends a series).
"""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTE, HOUR, DAY = 1, 60, 24 * 60


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        alert: That is to fire.
        series: Name with labels, to values.
        every: Minutes between the values, and between looks at the rules.
        silent: Minutes at which nothing may fire, before the fault or before it lasts long enough.
        fires: Minute at which exactly this alert fires.
        resolved: Minute at which nothing fires any more.
        says: What a person must be able to read in it.
    """

    alert: str
    series: dict[str, str]
    silent: tuple[int, ...]
    fires: int
    resolved: int
    every: int = MINUTE
    says: tuple[str, ...] = field(default=())


def champion(name: str) -> str:
    """Return a metric of monitoring, which has no labels of its own."""
    return f"mlops_model_{name}"


CASES = (
    Case(
        "PipelineFailed",
        {
            'mlops_pipeline_last_failure_timestamp_seconds{pipeline="retraining"}': "_x4 300x30",
            'mlops_pipeline_last_success_timestamp_seconds{pipeline="retraining"}': "60x14 900x20",
            # A deployment refuses by failing.
            'mlops_pipeline_last_failure_timestamp_seconds{pipeline="deployment"}': "60x35",
        },
        silent=(3,),
        fires=10,
        resolved=20,
        says=("retraining failed", "5m 0s ago"),
    ),
    Case(
        "PipelineFailed",
        # One that never succeeded fails as well.
        {'mlops_pipeline_last_failure_timestamp_seconds{pipeline="monitoring"}': "_x1 60x9 stale"},
        silent=(0,),
        fires=5,
        resolved=20,
        says=("monitoring failed",),
    ),
    Case(
        "PipelineLate",
        {
            'mlops_pipeline_running_since_timestamp_seconds{pipeline="rollback"}': "0x9 stale",
            'mlops_pipeline_promised_seconds{pipeline="rollback"}': "120x30",
            'mlops_pipeline_running_since_timestamp_seconds{pipeline="retraining"}': "0x30",
            'mlops_pipeline_promised_seconds{pipeline="retraining"}': "14400x30",
        },
        silent=(1, 2),
        fires=5,
        resolved=20,
        says=("rollback takes longer", "5m 0s"),
    ),
    Case(
        "PipelineOverdue",
        {
            'mlops_pipeline_interval_seconds{pipeline="batch_inference"}': "86400x80",
            'mlops_pipeline_scheduled_since_timestamp_seconds{pipeline="batch_inference"}': "0x80",
            # It succeeds after a day, and then not before the fourth.
            'mlops_pipeline_last_success_timestamp_seconds{pipeline="batch_inference"}': (
                "_x23 86400x72 345600x10"
            ),
        },
        every=HOUR,
        silent=(25 * HOUR, 71 * HOUR),
        fires=74 * HOUR,
        resolved=98 * HOUR,
        says=("batch_inference has not succeeded for 2d 2h",),
    ),
    Case(
        "PipelineOverdue",
        {
            'mlops_pipeline_interval_seconds{pipeline="monitoring"}': "3600x30",
            'mlops_pipeline_scheduled_since_timestamp_seconds{pipeline="monitoring"}': "0x30",
            'mlops_pipeline_last_success_timestamp_seconds{pipeline="monitoring"}': "_x19 12000x10",
        },
        every=10 * MINUTE,
        silent=(100, 130),
        fires=180,
        resolved=210,
        says=("monitoring has not succeeded for 3h",),
    ),
    Case(
        "DataProductOld",
        {
            'mlops_data_product_published_timestamp_seconds{product="training_set"}': (
                "0x359 1296000x20"
            )
        },
        every=HOUR,
        silent=(13 * DAY,),
        fires=14 * DAY + 3 * HOUR,
        resolved=15 * DAY + HOUR,
        says=("data product training_set", "14d 3h"),
    ),
    Case(
        "ChampionMissing",
        {champion("champion_version"): "0x20 1x20"},
        silent=(0, 14),
        fires=16,
        resolved=22,
    ),
    Case(
        "LiveErrorHigh",
        {
            champion("live_rmse_minutes"): "4.1x4 7.25x9 4.2x10",
            champion("live_rmse_limit_minutes"): "5.5x30",
            champion("live_rmse_expected_minutes"): "4x30",
            champion('alarm_since_timestamp_seconds{kind="performance"}'): "86400x30",
        },
        silent=(3,),
        fires=8,
        resolved=16,
        says=("7.25 minutes", "5.50", "4.00", "1970-01-02"),
    ),
    Case(
        "InputDrift",
        {
            champion('alarms{kind="drift"}'): "0x4 3x9 0x10",
            champion('drift_psi{feature="trip_distance"}'): "0.01x4 0.62x9 0.01x10",
            champion('drift_psi_limit{feature="trip_distance"}'): "0.1x30",
            champion('drift_psi{feature="vendor_id"}'): "0.02x30",
            champion('drift_psi_limit{feature="vendor_id"}'): "0.1x30",
            champion('alarm_since_timestamp_seconds{kind="drift"}'): "86400x30",
        },
        silent=(3,),
        fires=8,
        resolved=16,
        says=("limits: 3", "trip_distance: 0.62", "1970-01-02"),
    ),
    Case(
        "ModelStale",
        {champion("staleness_days"): "61x4 70x9 8x10", champion("staleness_limit_days"): "62x30"},
        silent=(3,),
        fires=8,
        resolved=16,
        says=("70 days", "62 days"),
    ),
    Case(
        "WindowAlarm",
        {
            champion('alarms{kind="quality"}'): "0x4 2x9 0x10",
            champion('alarms{kind="performance"}'): "0x30",
            champion('alarm_since_timestamp_seconds{kind="quality"}'): "86400x30",
        },
        silent=(3,),
        fires=8,
        resolved=16,
        says=("alarm: quality", "limits: 2", "1970-01-02"),
    ),
    Case(
        "MonitoringNotRunning",
        {champion("last_monitoring_timestamp_seconds"): "0x52 190800x20"},
        every=HOUR,
        silent=(47 * HOUR,),
        fires=50 * HOUR,
        resolved=54 * HOUR,
        says=("2d 2h",),
    ),
    Case(
        "MonitoringNotRunning",
        {champion("champion_promoted_timestamp_seconds"): "0x52 190800x20"},
        every=HOUR,
        silent=(47 * HOUR,),
        fires=50 * HOUR,
        resolved=54 * HOUR,
    ),
    Case(
        "MonitoringBehind",
        {
            'mlops_serving_answers_total{version="3",role="champion"}': "0+1000x50",
            champion("window_size_trips"): "5000x50",
            champion("served_until_timestamp_seconds"): "0x39 144000x10",
            champion("last_monitoring_timestamp_seconds"): "0+3600x50",  # it looks, in vain
        },
        every=HOUR,
        silent=(20 * HOUR,),
        fires=30 * HOUR,
        resolved=42 * HOUR,
        says=("not monitored: at least 5",),
    ),
    Case(
        "DecisionNotCarriedOut",
        {
            champion("decision_problem"): "0x4 1x9 0x10",
            champion('decision{step="retrain"}'): "1x30",
            champion('decision{step="ok"}'): "0x30",
            champion("last_decision_timestamp_seconds"): "86400x30",
        },
        silent=(3,),
        fires=8,
        resolved=16,
        says=("decision is: retrain", "1970-01-02"),
    ),
    Case(
        "DeploymentFailed",
        {
            champion(
                'last_deployment_timestamp_seconds{kind="deployment",version="4",outcome="refused"}'
            ): "_x4 300x5 stale",
            champion(
                'last_deployment_timestamp_seconds{kind="deployment",version="5",outcome="kept"}'
            ): "_x11 720x20",
        },
        silent=(3,),
        fires=8,
        resolved=14,
        says=("version 4", "refused", "3m 0s"),
    ),
    Case(
        "DeploymentFailed",
        {
            champion(
                'last_deployment_timestamp_seconds{kind="rollback",version="1",outcome="unproven"}'
            ): "0x30"
        },
        every=HOUR,
        silent=(),
        fires=23 * HOUR,
        resolved=25 * HOUR,
    ),
    Case(
        "CanaryTooLong",
        {
            champion(
                'deployment_running_since_timestamp_seconds{deployment="d",version="4",'
                'state="watching"}'
            ): "0x80 stale",
            champion("deployment_planned_seconds"): "60x200",
        },
        silent=(62,),
        fires=70,
        resolved=90,
        says=("version 4", "watching for 1h 10m", "mlops deployments d"),
    ),
    Case(
        "ApprovalWaiting",
        {champion('approval_waiting_since_timestamp_seconds{version="6"}'): "0x80 stale"},
        every=HOUR,
        silent=(71 * HOUR,),
        fires=74 * HOUR,
        resolved=82 * HOUR,
        says=("version 6", "3d 2h", "mlops approve 6"),
    ),
    Case(
        "ServingDown",
        {'up{job="serving",instance="s"}': "1x4 0x9 1x10"},
        silent=(4, 5),
        fires=7,
        resolved=16,
        says=("s has not answered",),
    ),
    Case(
        "ServingErrors",
        {
            'mlops_serving_requests_total{job="serving",status="500"}': "0x9 0+10x19 200x20",
            'mlops_serving_requests_total{job="serving",status="200"}': "0+100x60",
        },
        silent=(9, 11),
        fires=20,
        resolved=40,
        says=("% of the requests fail",),
    ),
    Case(
        "ModelErrors",
        {'mlops_serving_errors_total{version="4",role="canary",error="exception"}': ("0x9 3x30")},
        silent=(9,),
        fires=11,
        resolved=20,
        says=("version 4 (canary)",),
    ),
    Case(
        "ServingSlow",
        {
            'mlops_serving_seconds_bucket{role="champion",le="0.05"}': (
                "0+100x9 1000x19 1000+100x30"
            ),
            'mlops_serving_seconds_bucket{role="champion",le="0.2"}': "0+100x60",
            'mlops_serving_seconds_bucket{role="champion",le="+Inf"}': "0+100x60",
            # A slow shadow makes nobody wait.
            'mlops_serving_seconds_bucket{role="shadow",le="0.05"}': "0x60",
            'mlops_serving_seconds_bucket{role="shadow",le="+Inf"}': "0+900x60",
        },
        silent=(9, 13),
        fires=25,
        resolved=45,
        says=("ms (95th percentile)",),
    ),
    Case(
        "PredictionLogDropping",
        {"mlops_serving_log_dropped_total": "0x9 40x40"},
        silent=(9,),
        fires=12,
        resolved=25,
        says=("loses answers",),
    ),
    Case(
        "RegistryNotFollowed",
        {"mlops_serving_follower_problem": "0x4 1x14 0x10"},
        silent=(3, 8),
        fires=15,
        resolved=22,
    ),
    Case(
        "OldChampionServed",
        {
            'mlops_model_champion_info{version="3"}': "1x4 stale",
            'mlops_model_champion_info{version="4"}': "_x4 1x40",
            'mlops_serving_model_info{version="3",role="champion"}': "1x19 0x20",
            'mlops_serving_model_info{version="4",role="champion"}': "_x19 1x20",
            'mlops_serving_model_info{version="4",role="canary"}': "1x40",
            'up{job="serving",instance="s"}': "1x40",
        },
        silent=(3, 8),
        fires=15,
        resolved=22,
        says=("champion 4",),
    ),
    Case(
        "ObserverDown",
        {'up{job="observer",instance="o"}': "1x4 0x9 1x10"},
        silent=(4, 6),
        fires=8,
        resolved=16,
        says=("o has not answered",),
    ),
    Case(
        "ObserverStuck",
        {"mlops_observer_refresh_timestamp_seconds": "0x9 600x4"},
        silent=(3, 5),
        fires=8,
        resolved=11,
        says=("8m 0s ago",),
    ),
    Case(
        "ObserverProblem",
        {'mlops_observer_problem{part="runs_by_day"}': "1x19 stale"},
        silent=(5, 9),
        fires=15,
        resolved=22,
        says=("runs_by_day",),
    ),
)
