"""The one typed configuration: every knob, its default, its unit and its limits.

Order of precedence, last wins: the defaults below, environment variables (``MLOPS_SOURCE__KIND``),
command-line options and run-time variables of a pipeline (``source.kind`` or a short alias such as
``months``). Wherever text is given, lists are written with commas or as JSON. Every section is
strict and frozen; ``mlops config schema`` prints the JSON schema.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast, get_origin
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from mlops.data.locations import location_of, named_in
from mlops.data.months import parse_months
from mlops.errors import HINT, ConfigurationError, did_you_mean

# Dataset of the worked case, whose state lies in the home itself.
DEFAULT_DATASET: Final = "taxi"
# A dataset's name, and what its definition names itself: a folder's name on every system.
NAME: Final = r"^[a-z][a-z0-9_]*$"
# Of a source, instead of months.
ALL_MONTHS: Final = "all"
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


SectionType = TypeVar("SectionType", bound=Section)


def dataset_option(dataset: str) -> str:
    """Return what a command needs to work on a dataset: nothing for the default one."""
    return "" if dataset == DEFAULT_DATASET else f" --dataset {dataset}"


def _completed(section: SectionType, **defaults: Any) -> SectionType:
    """Return a section with other defaults, which count as given by nobody, as all defaults do."""
    given = section.model_fields_set
    own = {name: value for name, value in defaults.items() if name not in given}
    return cast(SectionType, type(section).model_construct(given, **{**dict(section), **own}))


Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]


class SourceSettings(Section):
    """The source that trips are read from."""

    kind: Literal["sample", "tlc", "path"] = Field(
        "sample", description="Source of trips: sample is synthetic, tlc official, path your files."
    )
    taxi: Literal["green", "yellow"] = Field("green", description="Fleet whose trips are read.")
    months: str = Field(
        "2023-12..2024-02",
        description="Months as YYYY-MM, a range a..b, or a list with commas; all (that there are)"
        " is another dataset's default.",
    )
    location: str = Field(
        "", description="Folder, URL or comma-separated files of the source path (s3:// as well)."
    )
    base_url: str = Field(
        "https://d37ci6vzurychx.cloudfront.net/trip-data",
        description="Address under which the source tlc finds the monthly files.",
    )
    timeout_seconds: float = Field(30, gt=0, description="Seconds that tlc waits for a read.")
    retries: int = Field(4, ge=0, description="Times that tlc repeats a download that failed.")
    sample_rows: int = Field(12_000, ge=100, description="Trips per month that sample generates.")
    sample_seed: int = Field(7, ge=0, description="Random seed of the trips that sample generates.")
    sample_drift: Share = Field(
        0.0, description="Strength of the drift in the last month of sample, from 0 to 1."
    )

    @property
    def series(self) -> str:
        """Which of the series of monthly files is read: it begins their names."""
        return self.taxi

    @field_validator("months")
    @classmethod
    def _months_are_months(cls, value: str) -> str:
        try:
            _ = value == ALL_MONTHS or parse_months(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("location")
    @classmethod
    def _location_is_absolute(cls, value: str) -> str:
        # It is remembered, and used later by processes that work in other folders.
        try:
            names = named_in(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return location_of(
            [n if "://" in n else str(Path(n).expanduser().absolute()) for n in names]
        )

    @property
    def month_list(self) -> tuple[str, ...]:
        """The months asked for, expanded; none where all are asked for that there are."""
        return () if self.months == ALL_MONTHS else parse_months(self.months)


Action = Literal["quarantine", "flag", "ignore"]
Clock = Literal["auto", "new_york", "utc"]


class ValidationSettings(Section):
    """The data contract: the rules that a trip must satisfy to be used for training."""

    clock: Clock = Field(
        "auto",
        description="How times in files are read: as instants (utc), as New York wall-clock times"
        " (new_york), or by whether they carry a zone, unless the trips contradict it (auto).",
    )
    min_minutes: float = Field(1, ge=0, description="Shortest valid duration of a trip in minutes.")
    max_minutes: float = Field(60, gt=0, description="Longest valid duration of a trip in minutes.")
    max_distance_miles: float = Field(100, gt=0, description="Longest plausible distance in miles.")
    max_speed_mph: float = Field(100, gt=0, description="Highest average speed in miles per hour.")
    max_passengers: int = Field(9, ge=1, description="Largest valid number of passengers.")
    max_bad_share: Share = Field(
        0.15, description="Share of quarantined rows above which a batch is refused."
    )
    min_rows: int = Field(
        1_000,
        ge=1,
        description="Fewest valid rows that a month, or a table without months, must have; of a"
        " declared dataset 100 by default.",
    )
    min_days_covered: Share = Field(0.9, description="Smallest share of a month's days with trips.")
    actions: dict[str, Action] = Field(
        default_factory=dict, description="Action by rule: quarantine, flag or ignore its rows."
    )


class WindowSettings(Section):
    """The periods of training, validation (search) and test (gate): divided by time only."""

    test_months: int = Field(1, ge=1, description="Months at the end that form the test window.")
    test_days: int = Field(
        0,
        ge=0,
        description="Days at the end that form the test window; 0 uses test_months, and of a"
        " declared dataset its own split.",
    )
    validation_days: int = Field(7, ge=1, description="Days before the test window for validation.")
    validation_start: date | None = Field(
        None, description="First day of the validation window; it overrides validation_days."
    )
    test_start: date | None = Field(
        None, description="First day of the test window; it overrides test_days and test_months."
    )


class FeatureSettings(Section):
    """The way in which the history of a route becomes features."""

    route_smoothing: float = Field(10, gt=0, description="Weight of a route's prior, in trips.")
    route_half_life_days: float = Field(60, gt=0, description="Days until a past trip counts half.")


class TrainingSettings(Section):
    """The candidates to train and the effort spent on each search."""

    families: Candidates = Field(
        (
            "global_mean",
            "group_median",
            "linear_regression",
            "lasso",
            "linear_svr",
            "random_forest",
            "extra_trees",
            "hist_gradient_boosting",
        ),
        description="Model families that the pipeline sklearn_training trains.",
    )
    objectives: Candidates = Field(
        ("squared_error", "absolute_error", "quantiles"),
        description="XGBoost objectives that the pipeline xgboost_training trains; a declared"
        " dataset's include trend_and_trees.",
    )
    max_evals: int = Field(8, ge=1, description="Largest number of search trials per candidate.")
    time_budget_seconds: float = Field(45, gt=0, description="Seconds of search per candidate.")
    no_progress_trials: int = Field(
        8, ge=1, description="Trials in a row without progress that end a search."
    )
    seed: int = Field(42, ge=0, description="Random seed of searches and models.")
    threads: int = Field(
        0, ge=0, description="Threads per candidate; 0 divides the cores by engine.workers."
    )
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Hyperparameters that are fixed, by candidate and name."
    )


class EvaluationSettings(Section):
    """The measurement of a model's latency."""

    latency_samples: int = Field(50, ge=1, description="Number of timed one-row predictions.")
    latency_warm_up: int = Field(5, ge=0, description="Untimed predictions before the timed ones.")


class GateSettings(Section):
    """The requirements that a challenger must meet to replace the champion."""

    max_rmse: float | None = Field(
        None,
        gt=0,
        description="Largest RMSE that may pass, in the unit of the target; empty: that of the"
        " dataset, which for taxi trips is 8 minutes.",
    )
    min_baseline_gain: float = Field(
        0.02, ge=0, description="Smallest RMSE gain over the best baseline; 0.02 means 2 %."
    )
    min_champion_gain: float = Field(
        0.0,
        gt=-1,
        lt=1,
        description="Relative RMSE gain over the champion that the whole bootstrap interval must"
        " exceed; 0 requires a significant gain, -0.01 tolerates a loss of at most 1 %.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the bootstrap interval.")
    bootstrap_samples: int = Field(500, ge=100, description="Resamples for the bootstrap interval.")
    max_slice_loss: float = Field(
        0.05, ge=0, description="Largest RMSE loss to the champion in a slice; 0.05 means 5 %."
    )
    min_slice_rows: int = Field(
        200, ge=1, description="Fewest rows of a slice that is judged, not only reported."
    )
    min_interval_coverage: Share = Field(
        0.70, description="Smallest share of answers within the 80 % prediction interval."
    )
    max_latency_ms: float = Field(
        100.0, gt=0, description="Largest median latency of a one-row prediction in milliseconds."
    )
    max_size_mb: float = Field(250.0, gt=0, description="Largest size of the model in megabytes.")


class InferenceSettings(Section):
    """The resources of batch scoring."""

    chunk_rows: int = Field(131_072, ge=1, description="Number of rows that are scored at a time.")
    threads: int = Field(0, ge=0, description="Threads for batch scoring; 0 uses all cores.")


class TrackingSettings(Section):
    """The MLflow server that records experiments and model versions."""

    uri: str = Field(
        "", description="MLflow server or database; empty means SQLite in the home folder."
    )
    artifacts: str = Field("", description="Root of MLflow's artifacts; empty means in the home.")
    experiment: str = Field(
        "trip-duration",
        description="MLflow experiment that holds the runs; another dataset's has its name.",
    )
    model_name: str = Field(
        "trip-duration",
        description="Name of the model in MLflow's registry; another dataset's has its name.",
    )


class EngineSettings(Section):
    """The engine that runs pipelines without Mage's server."""

    workers: int = Field(2, ge=1, description="Number of blocks that run at the same time.")
    lock_wait_seconds: float = Field(
        0, ge=0, description="Seconds to wait for another run to end before exit code 7."
    )
    block_timeout_seconds: int = Field(
        3_600, ge=1, description="Time in seconds after which a running block is stopped."
    )


class ServingSettings(Section):
    """The online server, started by `mlops serve`."""

    host: str = Field("127.0.0.1", description="Address on which the online server listens.")
    port: Port = Field(8000, description="Port on which the online server answers requests.")
    metrics_host: str = Field("127.0.0.1", description="Address at which metrics are published.")
    metrics_port: Port = Field(8001, description="Port at which metrics are published.")
    url: str = Field(
        "", description="Server's address for deployments; empty means 127.0.0.1 and serving.port."
    )
    metrics_url: str = Field(
        "", description="Address of the server's metrics; empty means serving.metrics_port."
    )
    workers: int = Field(1, ge=1, description="Number of processes that answer requests.")
    poll_seconds: float = Field(1.0, gt=0, description="Seconds between looks at the registry.")
    max_trips: int = Field(10_000, ge=1, description="Largest number of trips in one request.")
    max_connections: int = Field(
        2_000, ge=10, description="Open connections per worker; beyond it the longest idle closes."
    )
    max_body_bytes: int = Field(4_000_000, ge=1_000, description="Largest request body in bytes.")
    max_days_ahead: int = Field(30, ge=0, description="Latest pickup in days from now.")
    max_days_before: int = Field(
        366, ge=0, description="Earliest pickup in days before the end of the model's history."
    )
    require_key: bool = Field(True, description="Whether requests must carry a valid API key.")
    key_hashes: Names = Field((), description="SHA-256 of API keys beside those of `mlops keys`.")
    requests_per_second: float = Field(1_000, gt=0, description="Sustained rate limit per API key.")
    burst: int = Field(2_000, ge=1, description="Requests that an API key may send at once.")


class PredictionLogSettings(Section):
    """The log in which the online server records its answers."""

    sink: Literal["parquet", "postgresql", "none"] = Field(
        "parquet", description="Destination of the prediction log; none keeps no log."
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="Used by postgresql: postgresql://user:password@host:port/name."
    )
    flush_seconds: float = Field(
        2.0, gt=0, description="Seconds between writes; a killed server loses that much."
    )
    queue_trips: int = Field(
        200_000, ge=1, description="Trips that may wait to be logged; any others are dropped."
    )


class DeploymentSettings(Section):
    """The steps by which a version becomes champion, and the limits that undo them."""

    policy: Literal["auto", "approve"] = Field(
        "approve", description="Whether what passed the gate is deployed (auto) or waits (approve)."
    )
    require_server: bool = Field(
        False, description="Whether to fail without an online server, or only skip the canary."
    )
    canary_percent: float = Field(10, gt=0, le=100, description="Canary's percentage of requests.")
    canary_minutes: float = Field(1, ge=0, description="Canary's length in minutes; 0 skips it.")
    shadow_minutes: float = Field(
        0, ge=0, description="Duration of the shadow before the canary in minutes; 0 skips it."
    )
    canary_min_requests: int = Field(
        50, ge=1, description="Fewest requests per version; a deployment adds probes if needed."
    )
    max_error_share: Share = Field(
        0.01, description="Share of failures by which a canary may exceed the champion."
    )
    max_latency_ratio: float = Field(
        2.0, gt=0, description="Largest ratio of 95th latency percentiles, canary to champion."
    )
    latency_floor_ms: float = Field(
        2.0, ge=0, description="Milliseconds that a faster champion is compared with."
    )
    smoke_requests: int = Field(20, ge=1, description="Test requests after the promotion.")
    swap_seconds: float = Field(
        20, gt=0, description="Seconds in which the server must follow a new rollout."
    )


class RetrainingSettings(Section):
    """The data that a retraining uses."""

    max_months: int = Field(
        13, ge=1, description="Months trained on; the oldest are dropped first."
    )
    test_days: int = Field(
        7,
        ge=0,
        description="Days at the end that judge the challenger; 0 means as in windows, and of a"
        " declared dataset, whose default it is, as its split says.",
    )


class MonitoringSettings(Section):
    """The windows that are monitored, the changes that raise an alarm, and the actions taken."""

    window_trips: int = Field(5_000, ge=1_000, description="Trips that make a window complete.")
    window_days: float = Field(
        7, gt=0, description="Age in days that completes a window of min_window_trips."
    )
    min_window_trips: int = Field(1_000, ge=500, description="Fewest trips that a window may have.")
    # The TLC publishes a month some two months after its end, three after its first trips.
    label_wait_days: float = Field(
        100, ge=0, description="Age in days up to which windows are measured again with labels."
    )
    act: bool = Field(True, description="Whether to start actions, or only name their commands.")
    reference_days: int = Field(
        92, ge=30, description="Days up to the end of the test window in a reference profile."
    )
    false_alarms: float = Field(
        0.05, gt=0, lt=0.5, description="Share of quiet windows that may raise an alarm."
    )
    min_psi: float = Field(0.1, ge=0, description="Smallest PSI that raises an alarm.")
    # What a shift of a normal distribution by 0.2 standard deviations makes of them: the smallest
    # effect worth a name in J. Cohen, "Statistical Power Analysis" (1988), section 2.2.
    min_ks: float = Field(0.08, ge=0, description="Smallest KS distance that raises an alarm.")
    min_wasserstein: float = Field(
        0.15, ge=0, description="Wasserstein distance in interquartile ranges that raises an alarm."
    )
    min_share_change: float = Field(
        0.01, ge=0, description="Change in the share of rows violating a rule that raises an alarm."
    )
    min_share_growth: float = Field(
        0.5, ge=0, description="Relative change in the share violating a rule that raises an alarm."
    )
    min_units_change: float = Field(
        0.1, ge=0, description="Smallest relative change in distances that raises an alarm."
    )
    min_error_change: float = Field(
        0.1, ge=0, description="Relative change in RMSE, MAE or bias that raises an alarm."
    )
    min_coverage_change: float = Field(
        0.05, ge=0, description="Smallest change in interval coverage that raises an alarm."
    )
    max_skew_share: Share = Field(
        0.001, description="Largest share of answers that training code computes differently."
    )
    min_clock_progress: Share = Field(
        0.5, description="Smallest ratio of pickup time to real time that passes in a window."
    )
    max_model_age_days: float = Field(
        62, gt=0, description="Days since the model's last training trip."
    )
    max_cost_ratio: float = Field(
        2.0, gt=1, description="Largest ratio of CPU, memory or bundle size to the version before."
    )
    violations: int = Field(
        2, ge=1, description="Violated windows, the latest included, that start a retraining."
    )
    windows: int = Field(3, ge=1, description="Latest windows in which violations are counted.")
    cool_down_hours: float = Field(
        72, ge=0, description="Hours from a retraining to the next, or from a rollback to either."
    )
    rollback_days: float = Field(
        7, ge=0, description="Days after its promotion in which a champion may be rolled back."
    )


class ObservabilitySettings(Section):
    """The metrics for Prometheus and the dashboards that `mlops up` provides."""

    metrics_host: str = Field("127.0.0.1", description="Address at which metrics are published.")
    metrics_port: Port = Field(9108, description="Port at which metrics are published.")
    refresh_seconds: float = Field(15, ge=1, description="Seconds between refreshes of the tables.")
    public_url: str = Field(
        "", description="Address of Mage's pages in alerts; empty means server.public_url."
    )


class BacktestSettings(Section):
    """The replay of history by `mlops backtest`, whose trainings are small on purpose."""

    initial_months: int = Field(2, ge=1, description="Months that train the first model.")
    label_delay_hours: float = Field(
        24,
        ge=0,
        description="Hours until an answer is known, unless its dataset declares a longer delay.",
    )
    window_days: int = Field(7, ge=1, description="Length of the monitored windows in days.")
    families: Candidates = Field(
        ("global_mean", "group_median", "squared_error"),
        description="Candidates that each training of the replay compares.",
    )
    max_evals: int = Field(3, ge=1, description="Largest number of search trials per candidate.")
    time_budget_seconds: float = Field(120, gt=0, description="Seconds of search per candidate.")
    drift_from: str = Field(
        "", description="First month (YYYY-MM) of source.sample_drift; empty means the last."
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
    """The recipients of messages about failures, delays, promotions, rollbacks and refused models.

    By default nobody is notified. Set them in the environment, for example
    ``MLOPS_NOTIFICATIONS__SLACK_WEBHOOKS=https://…,https://…``; try it with `mlops notify --test`.
    """

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Mail server, written as smtp[s]://user:password@host:port (percent-encoded);"
        " with smtp:// the connection is encrypted (STARTTLS) when the server offers it.",
    )
    mail_from: str = Field("mlops@localhost", description="Sender's address of mail messages.")
    mail_to: Names = Field((), description="Addresses that mail messages are sent to.")
    slack_webhooks: Secrets = Field((), description="Slack webhook URLs, separated by commas.")
    teams_webhooks: Secrets = Field((), description="Teams webhook URLs, separated by commas.")
    webhooks: Secrets = Field((), description="URLs that receive alerts as JSON, comma-separated.")
    timeout_seconds: float = Field(5, gt=0, description="Seconds for all channels together.")
    repeat_minutes: float = Field(60, ge=0, description="Minutes until an incident is sent again.")


class ServerSettings(Section):
    """Mage's server and MLflow's pages, started by `mlops up`."""

    host: str = Field("127.0.0.1", description="Address on which Mage's server listens.")
    mage_port: Port = Field(6789, description="Port on which Mage's server listens.")
    mlflow_host: str = Field(
        "127.0.0.1", description="Address on which MLflow, which has no sign-in, listens."
    )
    mlflow_port: Port = Field(5000, description="Port on which MLflow listens.")
    names: Names = Field(
        (), description="Host names of Mage and MLflow besides localhost and the public URLs'."
    )
    database_url: str = Field("", description="Mage's database; empty means SQLite in the home.")
    owner_email: str = Field("owner@mlops.local", description="Mail address of Mage's owner.")
    sign_ins_per_minute: int = Field(20, ge=1, description="Sign-in attempts a minute per address.")
    public_url: str = Field(
        "", description="Address of Mage's reverse proxy, whose X-Forwarded-For is trusted."
    )
    scheduler_interval_seconds: float = Field(
        2, ge=1, description="Interval in seconds at which triggers and queued runs are checked."
    )


class Settings(BaseSettings):
    """The whole configuration of the project."""

    model_config = SettingsConfigDict(
        env_prefix="MLOPS_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(PROJECT_ROOT / ".mlops", description="Folder of all the project's state.")
    dataset: str = Field(
        DEFAULT_DATASET, description="Name of the dataset that is worked on: mlops dataset list."
    )
    environment: Literal["dev", "prod"] = Field(
        "dev", description="Whether schedules are active (prod) or start switched off (dev)."
    )
    allow_mismatch: bool = Field(
        False, description="Whether a model may score real trips or a taxi it did not learn from."
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

    @field_validator("dataset")
    @classmethod
    def _dataset_is_a_name(cls, value: str) -> str:
        if re.fullmatch(NAME, value) is None:
            raise ValueError(
                f"{value!r} is no name of a dataset{HINT}use small letters, digits and _, a letter"
                " first; list the datasets with: mlops dataset list"
            )
        return value

    @field_validator("source")
    @classmethod
    def _trips_have_months(cls, value: SourceSettings, info: ValidationInfo) -> SourceSettings:
        if info.data.get("dataset") == DEFAULT_DATASET and value.months == ALL_MONTHS:
            raise ValueError("months: trips have no last month; name months such as 2024-01")
        return value

    @field_validator("source", "validation", "training", "tracking", "retraining")
    @classmethod
    def _completed_by_dataset(cls, value: SectionType, info: ValidationInfo) -> SectionType:
        """Give other datasets than the worked case defaults of their own."""
        dataset = info.data.get("dataset", DEFAULT_DATASET)
        if dataset == DEFAULT_DATASET:
            return value
        defaults: dict[str, dict[str, Any]] = {
            "source": {"months": ALL_MONTHS},
            "validation": {"min_rows": 100},
            "training": {"objectives": (*TrainingSettings().objectives, "trend_and_trees")},
            "tracking": {"experiment": dataset, "model_name": dataset},
            "retraining": {"test_days": 0},
        }
        return _completed(value, **defaults[str(info.field_name)])

    def working_on(self, dataset: str) -> Settings:
        """Return the same configuration for another dataset of the home.

        Raises:
            ConfigurationError: If what was given suits only this one.
        """
        if dataset == self.dataset:
            return self
        return _settings_of(self.model_dump(exclude_unset=True) | {"dataset": dataset})

    @property
    def state(self) -> Path:
        """What belongs to the dataset alone; Mage, MLflow, logs and locks belong to the home."""
        if self.dataset == DEFAULT_DATASET:
            return self.home
        return self.home / "datasets" / self.dataset

    @property
    def store(self) -> Path:
        """Data products: immutable, content-addressed snapshots."""
        return self.state / "store"

    @property
    def cache(self) -> Path:
        """Downloaded source files with their checksums."""
        return self.state / "cache"

    @property
    def staging(self) -> Path:
        """Intermediate files between blocks of one pipeline run; safe to delete when idle."""
        return self.state / "staging"

    @property
    def predictions(self) -> Path:
        """Batch predictions."""
        return self.state / "predictions"

    @property
    def logs(self) -> Path:
        """One folder per pipeline run, one file per block; the servers' own under ``server``."""
        return self.home / "logs"

    @property
    def served(self) -> Path:
        """What the online server serves: compiled versions and which of them answer."""
        return self.state / "serving"

    @property
    def prediction_log_folder(self) -> Path:
        """What the online server answered, as parquet files by day."""
        return self.state / "prediction_log"

    @property
    def deployments(self) -> Path:
        """One record per deployment, with every step and decision."""
        return self.state / "deployments"

    @property
    def registry(self) -> Path:
        """What this home knows of registered models: digests, promotions and rollouts."""
        return self.state / "registry"

    @property
    def runs(self) -> Path:
        """What the main job, selections and retrainings decided; nothing of Mage's own."""
        return self.state / "runs"

    @property
    def selections(self) -> Path:
        """What each model selection compared, and what came of it."""
        return self.runs / "selections"

    @property
    def last_verdict(self) -> Path:
        """The gate's verdict on the model that was selected last."""
        return self.runs / "last_verdict.json"

    @property
    def retrainings(self) -> Path:
        """One record per retraining."""
        return self.runs / "retraining"

    @property
    def monitored(self) -> Path:
        """What monitoring found: one file per window and per decision, and reference profiles."""
        return self.state / "monitoring"

    @property
    def incidents(self) -> Path:
        """What people were notified of: one file per incident that is not over."""
        return self.state / "notifications"

    @property
    def observed(self) -> Path:
        """Small tables behind dashboards and metrics; safe to delete, they are made again."""
        return self.state / "observability"

    @property
    def reports(self) -> Path:
        """What `mlops report` wrote."""
        return self.state / "reports"

    @property
    def backtests(self) -> Path:
        """What `mlops backtest` found, one folder per replay, and what it can reuse."""
        return self.state / "backtests"

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
    def host_names(self) -> frozenset[str]:
        """Host names at which Mage's server and MLflow answer, besides those of the loopback."""
        server = self.server
        urls = (server.public_url, self.observability.public_url)
        public = (urlsplit(url).hostname or "" for url in urls)
        return frozenset({*server.names, server.host, server.mlflow_host, *public} - {""})

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
    _check_environment()
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
    # Overrides are merged over the environment's values section by section.
    return _settings_of(nested)


def _settings_of(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except SettingsError as error:
        raise ConfigurationError(
            f"environment: {error}", "write lists with commas, and mappings as JSON"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        message, _, hint = first["msg"].removeprefix("Value error, ").partition(HINT)
        secret = _annotation(".".join(str(part) for part in first["loc"][:2])) in _SECRET
        given = first.get("input")
        is_named = isinstance(given, str) and repr(given) in message
        got = "" if secret or is_named else f" (got {given!r})"
        raise ConfigurationError(
            f"{name}: {message}{got}",
            hint or "see the accepted values with: mlops config schema",
        ) from (None if secret else error)


def _check_environment() -> None:
    """Refuse variables that are meant as settings but name none, which would be ignored.

    A section is followed by two underscores. What has none may belong to something else (a token, a
    test): it is refused only if it spells a setting with one, or nearly a setting without section.
    """
    spelled = {name.replace(".", "__"): name for name in setting_names()}
    single = {name.replace(".", "_"): written for written, name in spelled.items()}
    single |= {alias: name.replace(".", "__") for alias, name in ALIASES.items()}
    plain = [name for name in Settings.model_fields if name in spelled]
    for variable in os.environ:
        prefix, name = variable[:6].upper(), variable[6:].lower()
        if prefix != "MLOPS_" or name in spelled or name in Settings.model_fields:
            continue
        if "__" in name:
            if any(name.startswith(f"{mapping}__") for mapping in spelled):
                continue  # an entry of a mapping
            close = difflib.get_close_matches(name, spelled, n=1, cutoff=0.7)
        elif name in single:
            close = [single[name]]
        else:
            close = difflib.get_close_matches(name, plain, n=1, cutoff=0.8)
            if not close:
                continue
        raise ConfigurationError(
            f"environment variable {variable}: there is no such setting",
            f"did you mean MLOPS_{close[0].upper()}?"
            if close
            else "list the settings with: mlops config show; or unset it",
        )


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
