"""What a pipeline may be asked: refused here at once, before anything is loaded or recorded.

Every door asks: the command line, the POST of a trigger, the forms of the user interface. The
blocks look again at what they are given, with all that they have loaded by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from mlops.data.locations import holds_months, named_in, require_there
from mlops.data.months import parse_months
from mlops.data.windows import plan_windows
from mlops.datasets.catalogue import require_dataset
from mlops.datasets.declared.months import require_monthly
from mlops.datasets.declared.watched.order import require_order
from mlops.datasets.opening import declared_definition
from mlops.deployment import asking
from mlops.errors import ConfigurationError, SourceError, did_you_mean
from mlops.orchestration.jobs.stages import STAGES, wanted
from mlops.registry.lookup import require_champion
from mlops.settings import (
    ALIASES,
    DEFAULT_DATASET,
    YES,
    Settings,
    is_setting,
    load_settings,
    setting_names,
)
from mlops.training.choice import check_names, check_training, require_candidates
from mlops.training.families import OBJECTIVES, families

Variables = Mapping[str, Any]

FOLLOWS_FROM: Final = "monitoring_decision"  # the decision for which monitoring starts a run
_WHO: Final = ("reason", "by")


class PipelineInputs(NamedTuple):
    """What a run of a pipeline takes, besides any setting.

    Attributes:
        variables: Read by its blocks.
        sections: Of the settings that its blocks read: the editor lists them.
        of_trips: Whether its form asks for a taxi trip.
    """

    variables: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    of_trips: bool = False


PIPELINES: Final[Mapping[str, PipelineInputs]] = {
    "data_preparation": PipelineInputs((), ("source", "validation", "windows", "features")),
    "route_statistics": PipelineInputs((), ("features",)),
    "sklearn_training": PipelineInputs((), ("training",)),
    "xgboost_training": PipelineInputs((), ("training",)),
    "model_selection": PipelineInputs(("promote", "training_runs"), ("gate", "evaluation")),
    "batch_inference": PipelineInputs(("score_months",), ("source", "inference")),
    "predict": PipelineInputs(
        ("pickup_zone", "dropoff_zone", "trip_distance", "passenger_count", "pickup_at"),
        of_trips=True,
    ),
    "deployment": PipelineInputs(("version", "alias", *_WHO, *asking.SETTINGS), ("deployment",)),
    "rollback": PipelineInputs(
        ("to_version", *_WHO, FOLLOWS_FROM, "require_server"), ("deployment",)
    ),
    "monitoring": PipelineInputs((), ("monitoring", "source")),
    "retraining": PipelineInputs(
        ("force", *_WHO, FOLLOWS_FROM),
        ("retraining", "source", "training", "deployment"),
    ),
}
_NO: Final = (False, "false", "False", "0", 0, "", None)
_SWITCHES: Final = ("promote", "force")
# Mage writes these into the variables of the runs and triggers that it creates.
_OF_MAGE: Final = ("execution_date", "execution_partition")


def accepted_names(pipeline: str) -> tuple[str, ...]:
    """Return what a run of a pipeline may be given; nothing if somebody else built it."""
    if pipeline not in PIPELINES:
        return ()
    return (*PIPELINES[pipeline].variables, *ALIASES, *setting_names())


def check_run(pipeline: str, variables: Variables) -> Settings:
    """Make sure that a run of a pipeline can do what its variables ask for.

    Args:
        pipeline: Of this project; whatever else a person has built may be given anything.
        variables: As given by a person, a trigger or both.

    Returns:
        The settings that are in force in the run.

    Raises:
        MlopsError: Naming the variable, and what is accepted.
    """
    settings = check_variables(pipeline, variables)
    _CHECKS.get(pipeline, _nothing_more)(settings, variables)
    return settings


def check_variables(pipeline: str, variables: Variables) -> Settings:
    """Make sure that the names and values among a pipeline's variables are valid by themselves.

    Args and returns are those of `check_run`.

    Raises:
        ConfigurationError: Naming the variable, and what is accepted.
    """
    if pipeline in PIPELINES:
        _check_names(pipeline, variables)
    given = {**variables, **asking.settings_among(variables)}
    settings = load_settings(given, strict=False)
    require_dataset(settings.dataset)
    of_trips = pipeline in PIPELINES and PIPELINES[pipeline].of_trips
    if of_trips and settings.dataset != DEFAULT_DATASET:
        raise ConfigurationError(
            f"dataset: the form of the pipeline {pipeline} asks for a taxi trip, not for a row of"
            f" {settings.dataset}",
            f"ask for one row with: mlops predict JSON --dataset {settings.dataset}",
        )
    check_training(settings.training)
    _check_rules(settings)
    return settings


def check_job(settings: Settings) -> None:
    """Make sure that the main job can do what the settings ask for.

    Raises:
        MlopsError: Naming the setting, and what is accepted.
    """
    require_dataset(settings.dataset)
    check_training(settings.training)
    require_candidates(settings.training)
    _check_rules(settings)
    for stage in STAGES:
        for pipeline in wanted(stage, settings):
            if pipeline != "batch_inference":  # of a champion that the job itself may bring
                _CHECKS.get(pipeline, _nothing_more)(settings, {})


def check_backtest(settings: Settings) -> None:
    """Make sure that a replay of history can do what the settings ask for.

    Raises:
        MlopsError: Naming the setting, and what is accepted.
    """
    if settings.dataset != DEFAULT_DATASET:
        require_order(declared_definition(settings))
    check_names("backtest.families", settings.backtest.families, [*families(), *OBJECTIVES])
    _check_source(settings)


def _check_names(pipeline: str, variables: Variables) -> None:
    own = PIPELINES[pipeline].variables
    for name, value in variables.items():
        if name in own:
            if name in _SWITCHES and value not in (*YES, *_NO):
                raise ConfigurationError(
                    f"{name}: {value!r} is neither true nor false", "send true or false"
                )
            if isinstance(value, (dict, list)):
                raise ConfigurationError(f"{name}: give one value, not {value!r}", "send one")
        elif name not in _OF_MAGE and not is_setting(ALIASES.get(name, name)):
            meant = did_you_mean(name, accepted_names(pipeline))
            meant = f"{meant} " if meant else ""
            raise ConfigurationError(
                f"{name}: {pipeline} has no such variable",
                f"{meant}It accepts {', '.join((*own, *ALIASES))}"
                " and every setting of: mlops config show",
            )


def _check_rules(settings: Settings) -> None:
    if not settings.validation.actions:
        return
    # Both compute, unlike all else here.
    if settings.dataset == DEFAULT_DATASET:
        from mlops.datasets.taxi.contract.rules import rules_in_force

        rules_in_force(settings.validation)
    else:
        from mlops.datasets.declared.preparing.validating import declared_rules_in_force

        declared_rules_in_force(declared_definition(settings), settings.validation)


def _nothing_more(settings: Settings, variables: Variables) -> None:
    """Ask for nothing beyond settings that are valid."""


def _preparation(settings: Settings, variables: Variables) -> None:
    _check_source(settings)
    source = settings.source
    if settings.dataset != DEFAULT_DATASET:
        return  # its definition says how rows are divided
    if source.kind != "path" or holds_months(named_in(source.location), source.taxi):
        plan_windows(source.month_list, settings.windows)


def _check_source(settings: Settings, months: tuple[str, ...] = ()) -> None:
    """Look whether the rows can be there: what needs a network or a file's content, does not."""
    if settings.dataset != DEFAULT_DATASET:
        definition = declared_definition(settings)
        if settings.source.month_list:
            require_monthly(definition.source.location, settings.source.months, "source.months")
        return
    source, months = settings.source, months or settings.source.month_list
    if source.kind == "tlc" and months[-1] > f"{date.today():%Y-%m}":
        raise SourceError(
            f"source.months: {months[-1]} is in the future", "choose months in the past"
        )
    if source.kind == "path":
        require_there(source.location, source.taxi, months)


def _xgboost(settings: Settings, variables: Variables) -> None:
    if not settings.training.objectives:
        raise ConfigurationError(
            "training.objectives is empty, so there is nothing to train",
            "name at least one, e.g. objectives=squared_error",
        )


def _batch(settings: Settings, variables: Variables) -> None:
    asked = variables.get("score_months")
    last = settings.source.month_list[-1:]
    months = parse_months(str(asked), "score_months") if asked else last
    _check_source(settings, months)
    if asked and settings.dataset != DEFAULT_DATASET:
        require_monthly(declared_definition(settings).source.location, str(asked))
    require_champion(settings)


def _predict(settings: Settings, variables: Variables) -> None:
    from mlops.inference.requests import parse_requests
    from mlops.steps.playground import trip_or_example

    parse_requests([trip_or_example(variables)], settings)
    require_champion(settings)


def _monitoring(settings: Settings, variables: Variables) -> None:
    if settings.dataset != DEFAULT_DATASET:
        require_order(declared_definition(settings))


def _retraining(settings: Settings, variables: Variables) -> None:
    require_candidates(settings.training)


_CHECKS: Final[Mapping[str, Callable[[Settings, Variables], None]]] = {
    "data_preparation": _preparation,
    "xgboost_training": _xgboost,
    "batch_inference": _batch,
    "predict": _predict,
    "deployment": asking.check_deployment,
    "rollback": asking.check_rollback,
    "monitoring": _monitoring,
    "retraining": _retraining,
}
