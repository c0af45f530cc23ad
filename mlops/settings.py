"""The one typed configuration: every knob, its default, its unit and its limits.

Order of precedence, last wins: the defaults below, environment variables (``MLOPS_SOURCE__KIND``),
command-line options and run-time variables of a pipeline (``source.kind`` or a short alias such as
``months``). Wherever text is given, lists are written with commas or as JSON. Every section is
strict and frozen; ``mlops config schema`` prints the JSON schema.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from mlops.data.months import parse_months
from mlops.errors import HINT, ConfigurationError, did_you_mean

PROJECT_ROOT = Path(os.environ.get("MLOPS_PROJECT", Path(__file__).resolve().parents[1]))


def _listed(value: Any) -> Any:
    """Turn ``a, b`` or ``["a", "b"]`` into a tuple."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return tuple(json.loads(value))
    return tuple(part.strip() for part in value.split(",") if part.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


def _candidates_listed(value: Any) -> Any:
    """Turn a list of candidates as text into a tuple; a text without any is a mistake."""
    listed = _listed(value)
    if isinstance(value, str) and not listed and not value.strip().startswith("["):
        raise ValueError("no name is given; write [] if none is meant")
    return listed


Candidates = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_candidates_listed)]
# What `mlops config show`, errors and logs must not disclose.
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)]
_SECRET = (SecretStr, tuple[SecretStr, ...])


class Section(BaseModel):
    """Base of every configuration section: no unknown keys, no mutation."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SourceSettings(Section):
    """Where trips come from."""

    kind: Literal["sample", "tlc", "path"] = Field(
        "sample", description="sample: generated; tlc: official monthly files; path: your files"
    )
    taxi: Literal["green", "yellow"] = "green"
    months: str = Field("2023-12..2024-02", description="YYYY-MM, a..b, or a comma-separated list")
    location: str = Field(
        "", description="path only: folder, base URL or comma-separated files (file://, s3://, …)"
    )
    base_url: str = Field(
        "https://d37ci6vzurychx.cloudfront.net/trip-data", description="tlc only: where months lie"
    )
    timeout_seconds: float = Field(30, gt=0, description="tlc only: per network read")
    retries: int = Field(4, ge=0, description="tlc only: attempts after the first, with backoff")
    sample_rows: int = Field(12_000, ge=100, description="sample only: trips per month")
    sample_seed: int = Field(7, ge=0, description="sample only")
    sample_drift: float = Field(
        0.0, ge=0, le=1, description="sample only: 0 none, 1 strong; grows over the last month"
    )

    @field_validator("months")
    @classmethod
    def _months_are_months(cls, value: str) -> str:
        try:
            parse_months(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("location")
    @classmethod
    def _location_is_absolute(cls, value: str) -> str:
        # It is remembered, and used later by processes that work in other folders.
        parts = (part.strip() for part in value.split(","))
        return ",".join(
            part if "://" in part else str(Path(part).expanduser().absolute())
            for part in parts
            if part
        )

    @property
    def month_list(self) -> tuple[str, ...]:
        """The months asked for, expanded."""
        return parse_months(self.months)


Action = Literal["quarantine", "flag", "ignore"]
Clock = Literal["auto", "new_york", "utc"]


class ValidationSettings(Section):
    """The data contract: what a trip must satisfy to be learned from."""

    clock: Clock = Field(
        "auto",
        description="What the times in files are. auto: instants if they carry a time zone, else"
        " New York wall-clock times; files that contradict it are refused. new_york: wall-clock"
        " times, whatever zone they carry. utc: instants, even if they carry no zone.",
    )
    min_minutes: float = Field(1, ge=0)
    max_minutes: float = Field(60, gt=0)
    max_distance_miles: float = Field(100, gt=0, description="beyond it the meter is wrong")
    max_speed_mph: float = Field(100, gt=0, description="average over the trip")
    max_passengers: int = Field(9, ge=1)
    max_bad_share: float = Field(0.15, ge=0, le=1, description="quarantined ÷ read; above: fail")
    min_rows: int = Field(1_000, ge=1, description="rows kept per month; below: fail")
    min_days_covered: float = Field(0.9, ge=0, le=1, description="share of a month's days present")
    actions: dict[str, Action] = Field(
        default_factory=dict,
        description="rule name → quarantine | flag | ignore; rules not named keep their default",
    )


class WindowSettings(Section):
    """How time is divided: train, validation (search), test (gate). Never random."""

    test_months: int = Field(1, ge=1, description="the last months are the test window")
    test_days: int = Field(
        0, ge=0, description="the last days are the test window; 0: as test_months says"
    )
    validation_days: int = Field(7, ge=1, description="days before the test window for the search")
    validation_start: date | None = Field(None, description="overrides validation_days")
    test_start: date | None = Field(None, description="overrides test_days and test_months")


class FeatureSettings(Section):
    """How history of a route becomes features."""

    route_smoothing: float = Field(
        10, gt=0, description="pseudo-trips that pull a route to its prior"
    )
    route_half_life_days: float = Field(60, gt=0, description="age at which a trip counts half")


class TrainingSettings(Section):
    """Which candidates are trained and how hard each is searched."""

    families: Candidates = (
        "global_mean",
        "route_median",
        "linear_regression",
        "lasso",
        "linear_svr",
        "random_forest",
        "extra_trees",
        "hist_gradient_boosting",
    )
    objectives: Candidates = ("squared_error", "absolute_error", "quantiles")
    max_evals: int = Field(8, ge=1, description="TPE trials per child")
    time_budget_seconds: float = Field(45, gt=0, description="search time per child")
    no_progress_trials: int = Field(8, ge=1, description="stop the search after this many in vain")
    seed: int = Field(42, ge=0)
    threads: int = Field(0, ge=0, description="per child; 0: cores ÷ workers")
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="family → fixed hyperparameters; they win over the search space",
    )


class EvaluationSettings(Section):
    """How a model's cost of serving is measured."""

    latency_samples: int = Field(50, ge=1, description="timed one-row predictions")
    latency_warm_up: int = Field(5, ge=0, description="untimed ones before")


class GateSettings(Section):
    """What a challenger must show before it may replace the champion."""

    max_rmse_minutes: float = Field(8.0, gt=0, description="absolute floor of quality")
    min_baseline_gain: float = Field(0.02, ge=0, description="relative, over the best baseline")
    min_champion_gain: float = Field(
        0.0,
        gt=-1,
        lt=1,
        description="relative RMSE gain over the champion that the whole bootstrap interval must "
        "exceed; 0: certainly better, -0.01: certainly less than 1 % worse",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the bootstrap interval")
    bootstrap_samples: int = Field(500, ge=100)
    max_slice_loss: float = Field(0.05, ge=0, description="relative RMSE loss allowed per slice")
    min_slice_rows: int = Field(200, ge=1, description="smaller slices are reported, not judged")
    min_interval_coverage: float = Field(0.70, ge=0, le=1, description="nominal is 0.80")
    max_latency_ms: float = Field(
        100.0, gt=0, description="median of one-row predictions, on a busy machine"
    )
    max_size_mb: float = Field(250.0, gt=0, description="of the artifact on disk")


class InferenceSettings(Section):
    """Batch scoring."""

    chunk_rows: int = Field(131_072, ge=1, description="rows in memory at a time")
    threads: int = Field(0, ge=0, description="0: all cores")


class TrackingSettings(Section):
    """Where experiments and model versions are recorded (MLflow)."""

    uri: str = Field("", description="tracking server or database; empty: SQLite under the home")
    artifacts: str = Field("", description="artifact root; empty: a folder under the home")
    experiment: str = "trip-duration"
    model_name: str = "trip-duration"


class EngineSettings(Section):
    """The headless engine."""

    workers: int = Field(2, ge=1, description="blocks running at the same time")
    lock_wait_seconds: float = Field(0, ge=0, description="how long to wait for another run")
    block_timeout_seconds: int = Field(3_600, ge=1)


class ServingSettings(Section):
    """`mlops serve`: the online server."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(8001, ge=1, le=65535)
    url: str = Field(
        "", description="where deployments reach the server; empty: http://127.0.0.1:PORT"
    )
    metrics_url: str = Field("", description="likewise for its metrics")
    workers: int = Field(1, ge=1, description="processes that answer requests")
    poll_seconds: float = Field(1.0, gt=0, description="how often the registry is asked")
    max_trips: int = Field(10_000, ge=1, description="trips in one request")
    max_connections: int = Field(
        2_000,
        ge=10,
        description="Connections that each worker keeps open; beyond that, the connection that has"
        " waited longest for a request is closed.",
    )
    max_body_bytes: int = Field(4_000_000, ge=1_000, description="of one request")
    max_days_ahead: int = Field(30, ge=0, description="a pickup later than that is refused")
    max_days_before: int = Field(
        366, ge=0, description="a pickup this long before the model's history ends is refused"
    )
    require_key: bool = Field(True, description="answer only to holders of an API key")
    key_hashes: Names = Field(
        (), description="SHA-256 of further API keys, beside those of `mlops keys`"
    )
    requests_per_second: float = Field(1_000, gt=0, description="rate limit per API key")
    burst: int = Field(2_000, ge=1, description="requests a key may make at once")


class PredictionLogSettings(Section):
    """Where the online server writes down its answers."""

    sink: Literal["parquet", "postgresql", "none"] = "parquet"
    database_url: SecretStr = Field(
        SecretStr(""), description="postgresql only: postgresql://user:password@host:port/database"
    )
    flush_seconds: float = Field(2.0, gt=0, description="at most this much is lost by a kill -9")
    queue_trips: int = Field(200_000, ge=1, description="waiting to be written; beyond: dropped")


class DeploymentSettings(Section):
    """How a version becomes champion, and when it is taken back."""

    policy: Literal["auto", "approve"] = Field(
        "approve", description="auto: retraining deploys what the gate lets pass; approve: asks"
    )
    require_server: bool = Field(
        False, description="fail without an online server; otherwise say so and skip the canary"
    )
    canary_percent: float = Field(10, gt=0, le=100)
    canary_minutes: float = Field(1, ge=0, description="0: no canary")
    shadow_minutes: float = Field(0, ge=0, description="before the canary; 0: no shadow")
    canary_min_requests: int = Field(
        50, ge=1, description="per version; the deployment sends probes when traffic is too thin"
    )
    max_error_share: float = Field(0.01, ge=0, le=1, description="over the champion's")
    max_latency_ratio: float = Field(2.0, gt=0, description="of the 95th percentiles")
    latency_floor_ms: float = Field(
        2.0, ge=0, description="a champion faster than this is compared as if it took this long"
    )
    smoke_requests: int = Field(20, ge=1, description="after the promotion, on the endpoint")
    swap_seconds: float = Field(20, gt=0, description="the server must follow within")


class RetrainingSettings(Section):
    """What a retraining learns from."""

    max_months: int = Field(
        13, ge=1, description="the training set grows to this many months, then the oldest go"
    )
    test_days: int = Field(
        7,
        ge=0,
        description="the last days of the newest month judge the challenger, the rest of it is"
        " learned from; 0: as windows say",
    )


class MonitoringSettings(Section):
    """What a window of trips is, when it is called abnormal, and what follows."""

    window_trips: int = Field(5_000, ge=1_000, description="a window is complete with so many, or")
    window_days: float = Field(
        7, gt=0, description="when it is so old, if it has at least min_window_trips"
    )
    min_window_trips: int = Field(1_000, ge=500, description="fewer trips than that say nothing")
    # The TLC publishes a month some two months after its end, three after its first trips.
    label_wait_days: float = Field(
        100, ge=0, description="windows younger than that are looked at again when labels arrive"
    )
    act: bool = Field(
        True, description="start what was decided; false: only tell which command would do it"
    )
    reference_days: int = Field(
        92, ge=30, description="a version is compared with this much history before its test ended"
    )
    false_alarms: float = Field(
        0.05, gt=0, lt=0.5, description="share of quiet windows that may raise any alarm"
    )
    min_psi: float = Field(
        0.1, ge=0, description="what is certain but smaller is reported, not alarmed: of PSI"
    )
    # What a shift of a normal distribution by 0.2 standard deviations makes of them: the smallest
    # effect worth a name in J. Cohen, "Statistical Power Analysis" (1988), section 2.2.
    min_ks: float = Field(0.08, ge=0, description="likewise: of the Kolmogorov–Smirnov distance")
    min_wasserstein: float = Field(
        0.15, ge=0, description="likewise: of the Wasserstein distance, in interquartile ranges"
    )
    min_share_change: float = Field(
        0.01, ge=0, description="likewise: of the share of rows that break a rule; and"
    )
    min_share_growth: float = Field(
        0.5, ge=0, description="likewise: of that share, relative to the usual one"
    )
    min_units_change: float = Field(
        0.1, ge=0, description="likewise: relative, of the ratio of distances to the usual ones"
    )
    min_error_change: float = Field(
        0.1, ge=0, description="likewise: of RMSE, MAE and bias, relative to the expected error"
    )
    min_coverage_change: float = Field(0.05, ge=0, description="likewise: of interval coverage")
    max_skew_share: float = Field(
        0.001, ge=0, le=1, description="of answers that training code computes differently"
    )
    min_clock_progress: float = Field(
        0.5, ge=0, le=1, description="pickup time that passes per time that passes"
    )
    max_model_age_days: float = Field(62, gt=0, description="since the last trip it learned from")
    max_cost_ratio: float = Field(
        2.0,
        gt=1,
        description="of CPU time per answer, memory and bundle size to those of the version before;"
        " latency and errors: as deployment says",
    )
    violations: int = Field(
        2, ge=1, description="a retraining starts when the latest and in all so many …"
    )
    windows: int = Field(3, ge=1, description="… of the last so many windows are violated")
    cool_down_hours: float = Field(
        72, ge=0, description="no second retraining within, and after a rollback neither of both"
    )
    rollback_days: float = Field(
        7, ge=0, description="a champion older than that is retrained, not rolled back"
    )


class ObservabilitySettings(Section):
    """What `mlops up` tells Prometheus of pipelines and models, and shows on dashboards."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9108, ge=1, le=65535)
    refresh_seconds: float = Field(
        15, ge=1, description="how often the tables behind dashboards and metrics are renewed"
    )
    public_url: str = Field(
        "", description="where people reach Mage's pages, for links in alerts; empty: as served"
    )


class BacktestSettings(Section):
    """`mlops backtest`: how history is replayed; what it trains is small on purpose."""

    initial_months: int = Field(
        2,
        ge=1,
        description="learned from before the replay goes live; of one, monitoring knows little",
    )
    label_delay_hours: float = Field(
        24, ge=0, description="from the end of a trip until its duration is known"
    )
    window_days: int = Field(7, ge=1, description="length of the windows that are monitored")
    families: Candidates = ("global_mean", "route_median", "squared_error")
    max_evals: int = Field(3, ge=1, description="TPE trials per family")
    time_budget_seconds: float = Field(120, gt=0, description="search time per family")
    drift_from: str = Field(
        "",
        description="sample only: YYYY-MM from which on every month has source.sample_drift;"
        " empty: only the last",
    )

    @field_validator("drift_from")
    @classmethod
    def _drift_from_is_a_month(cls, value: str) -> str:
        try:
            if value and parse_months(value) != (value,):
                raise ValueError("one month is needed, written YYYY-MM")
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return value


class NotificationSettings(Section):
    """Who is told of failures, delays, promotions, rollbacks and refused models, and how.

    Nothing configured: nobody. In the environment, e.g.
    ``MLOPS_NOTIFICATIONS__SLACK_WEBHOOKS=https://…,https://…``; try it with `mlops notify --test`.
    """

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="smtp[s]://user:password@host:port (percent-encoded); with smtp:// the"
        " connection is encrypted (STARTTLS) when the server offers it",
    )
    mail_from: str = "mlops@localhost"
    mail_to: Names = ()
    slack_webhooks: Secrets = Field((), description="URLs, comma-separated; Slack's format")
    teams_webhooks: Secrets = Field((), description="URLs, comma-separated; adaptive cards")
    webhooks: Secrets = Field((), description="URLs, comma-separated; the alert as JSON")
    timeout_seconds: float = Field(5, gt=0, description="all channels together")
    repeat_minutes: float = Field(
        60, ge=0, description="the same incident is told again only after this long"
    )


class ServerSettings(Section):
    """`mlops up`: Mage's server and the MLflow UI."""

    host: str = "127.0.0.1"
    mage_port: int = Field(6789, ge=1, le=65535)
    mlflow_host: str = Field(
        "127.0.0.1",
        description="Address on which MLflow listens. It has no sign-in: keep it out of networks.",
    )
    mlflow_port: int = Field(5000, ge=1, le=65535)
    mlflow_names: Names = Field(
        (),
        description="Host names by which MLflow may be asked, beside localhost and the host of"
        " server.public_url.",
    )
    database_url: str = Field("", description="Mage's database; empty: SQLite under the home")
    owner_email: str = "owner@mlops.local"
    sign_ins_per_minute: int = Field(20, ge=1, description="attempts per address")
    public_url: str = Field(
        "", description="where a reverse proxy shows Mage; its X-Forwarded-For is then believed"
    )
    scheduler_interval_seconds: float = Field(
        2, ge=1, description="how often triggers and queued runs are looked at"
    )


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix="MLOPS_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(PROJECT_ROOT / ".mlops", description="all state of the project lives here")
    environment: Literal["dev", "prod"] = Field(
        "dev", description="prod: schedules are active; dev: they wait to be switched on"
    )
    allow_mismatch: bool = Field(
        False,
        description="Let a model that learned from synthetic trips score real ones, and a model of "
        "one taxi score trips of the other or replace its champion.",
    )
    source: SourceSettings = SourceSettings()
    validation: ValidationSettings = ValidationSettings()
    windows: WindowSettings = WindowSettings()
    features: FeatureSettings = FeatureSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    inference: InferenceSettings = InferenceSettings()
    tracking: TrackingSettings = TrackingSettings()
    engine: EngineSettings = EngineSettings()
    serving: ServingSettings = ServingSettings()
    prediction_log: PredictionLogSettings = PredictionLogSettings()
    deployment: DeploymentSettings = DeploymentSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    observability: ObservabilitySettings = ObservabilitySettings()
    backtest: BacktestSettings = BacktestSettings()
    notifications: NotificationSettings = NotificationSettings()
    server: ServerSettings = ServerSettings()

    @field_validator("home", mode="before")
    @classmethod
    def _home_is_named(cls, value: Any) -> Any:
        if value == "":  # would be the current folder, whatever that is
            raise ValueError("empty: name a folder, or unset MLOPS_HOME for the default")
        return value

    @field_validator("home")
    @classmethod
    def _home_is_absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @property
    def store(self) -> Path:
        """Data products: immutable, content-addressed snapshots."""
        return self.home / "store"

    @property
    def cache(self) -> Path:
        """Downloaded source files with their checksums."""
        return self.home / "cache"

    @property
    def staging(self) -> Path:
        """Intermediate files between blocks of one pipeline run; safe to delete when idle."""
        return self.home / "staging"

    @property
    def predictions(self) -> Path:
        """Batch predictions."""
        return self.home / "predictions"

    @property
    def logs(self) -> Path:
        """One folder per pipeline run, one file per block; the servers' own under ``server``."""
        return self.home / "logs"

    @property
    def served(self) -> Path:
        """What the online server serves: compiled versions and which of them answer."""
        return self.home / "serving"

    @property
    def prediction_log_folder(self) -> Path:
        """What the online server answered, as parquet files by day."""
        return self.home / "prediction_log"

    @property
    def deployments(self) -> Path:
        """One record per deployment, with every step and decision."""
        return self.home / "deployments"

    @property
    def registry(self) -> Path:
        """What this home knows of registered models: digests, promotions and rollouts."""
        return self.home / "registry"

    @property
    def selections(self) -> Path:
        """What each model selection compared, and what came of it."""
        return self.home / "runs" / "selections"

    @property
    def monitored(self) -> Path:
        """What monitoring found: one file per window and per decision, and reference profiles."""
        return self.home / "monitoring"

    @property
    def observed(self) -> Path:
        """Small tables behind dashboards and metrics; safe to delete, they are made again."""
        return self.home / "observability"

    @property
    def reports(self) -> Path:
        """What `mlops report` wrote."""
        return self.home / "reports"

    @property
    def backtests(self) -> Path:
        """What `mlops backtest` found, one folder per replay, and what it can reuse."""
        return self.home / "backtests"

    @property
    def serving_url(self) -> str:
        """Where the online server answers."""
        return self.serving.url.rstrip("/") or f"http://127.0.0.1:{self.serving.port}"

    @property
    def serving_metrics_url(self) -> str:
        """Where the online server tells its metrics."""
        serving = self.serving
        return serving.metrics_url.rstrip("/") or f"http://127.0.0.1:{serving.metrics_port}"

    @property
    def mage_url(self) -> str:
        """Where Mage answers on this machine."""
        host = "127.0.0.1" if self.server.host in ("", "0.0.0.0") else self.server.host
        return f"http://{host}:{self.server.mage_port}"

    @property
    def pages_url(self) -> str:
        """Where people reach Mage's pages, for links."""
        public = self.observability.public_url or self.server.public_url
        return public.rstrip("/") or self.mage_url

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI in force."""
        return self.tracking.uri or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def artifact_root(self) -> str:
        """The MLflow artifact root in force."""
        return self.tracking.artifacts or (self.home / "mlflow" / "artifacts").as_uri()


# Short names for what people change most, on the command line and in a trigger's payload.
ALIASES: Mapping[str, str] = {
    "source": "source.kind",
    "taxi": "source.taxi",
    "months": "source.months",
    "location": "source.location",
    "families": "training.families",
    "objectives": "training.objectives",
    "max_evals": "training.max_evals",
    "time_budget": "training.time_budget_seconds",
    "seed": "training.seed",
    "workers": "engine.workers",
}


# What turns a switch among a run's variables on, from a form or a shell as well.
YES: Final = (True, "true", "True", "1", 1)


def load_settings(overrides: Mapping[str, Any] | None = None, *, strict: bool = True) -> Settings:
    """Build the configuration from defaults, environment and overrides.

    Args:
        overrides: Dotted names (``training.max_evals``) or aliases (``max_evals``) to values.
            Strings are accepted for every type; lists may be comma-separated strings.
        strict: Refuse unknown names. Blocks pass ``False`` because Mage adds names of its own;
            a dotted name is always refused when unknown.

    Raises:
        ConfigurationError: Naming the setting, its value, and what is accepted.
    """
    nested: dict[str, Any] = {}
    for name, value in (overrides or {}).items():
        path = ALIASES.get(name, name)
        if not is_setting(path):
            if "." in name or strict:
                meant = did_you_mean(name, (*setting_names(), *ALIASES))
                raise ConfigurationError(
                    f"{name}: there is no such setting",
                    meant or "list the settings with: mlops config show",
                )
            continue
        *parents, leaf = path.split(".")
        target = reduce(lambda node, key: node.setdefault(key, {}), parents, nested)
        target[leaf] = value
    try:
        # Overrides are merged over the environment's values section by section.
        return Settings(**nested)
    except SettingsError as error:
        raise ConfigurationError(
            f"environment: {error}", "write lists with commas, and mappings as JSON"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message, _, hint = first["msg"].removeprefix("Value error, ").partition(HINT)
        secret = _annotation(".".join(str(part) for part in first["loc"][:2])) in _SECRET
        got = "" if secret else f" (got {first.get('input')!r})"
        raise ConfigurationError(
            f"{name}: {message}{got}",
            hint or "see the accepted values with: mlops config schema",
        ) from (None if secret else error)


def setting_names(model: Any = None, prefix: str = "") -> tuple[str, ...]:
    """Return the dotted names of all settings."""
    names: list[str] = []
    for name, field in (model or Settings).model_fields.items():
        if _is_section(field.annotation):
            names += setting_names(field.annotation, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return tuple(names)


def is_setting(path: str) -> bool:
    """Tell whether a dotted path names a leaf of the configuration."""
    return _annotation(path) is not None


def _annotation(path: str) -> Any:
    """Return the type of the leaf at a dotted path, or None if there is no such leaf."""
    model: Any = Settings
    *parents, leaf = path.split(".")
    for part in parents:
        field = model.model_fields.get(part)
        if field is None or not _is_section(field.annotation):
            return None
        model = field.annotation
    field = model.model_fields.get(leaf)
    return None if field is None or _is_section(field.annotation) else field.annotation


def _is_section(annotation: Any) -> bool:
    # Python 3.10 takes tuple[str, ...] for a class and then refuses it as one.
    plain = isinstance(annotation, type) and get_origin(annotation) is None
    return plain and issubclass(annotation, BaseModel)
