"""Which candidates a training is asked for: refused here before any work begins, and completed.

Checking a name loads no library, so that every door can do it at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from mlops.errors import ConfigurationError, did_you_mean
from mlops.settings import TrainingSettings
from mlops.training.families import FAMILIES, OBJECTIVES, families, family_of


def check_training(training: TrainingSettings) -> None:
    """Make sure that everything that a training names exists, once.

    Raises:
        ConfigurationError: Naming the setting, the name, and the names that are accepted.
    """
    check_names("training.families", training.families, families())
    check_names("training.objectives", training.objectives, OBJECTIVES)
    for name, params in training.overrides.items():
        check_names("training.overrides", [name], [*families(), *OBJECTIVES])
        family_of(name).complete(params)


def check_names(setting: str, names: Sequence[str], known: Collection[str]) -> None:
    """Make sure that each name is known and given once.

    Args:
        setting: Where they were given.
        names: What was given.
        known: What is accepted.

    Raises:
        ConfigurationError: Naming the first that is not.
    """
    accepted = f"choose from {', '.join(known)}"
    for name, count in Counter(names).items():
        if name not in known:
            raise ConfigurationError(
                f"{setting}: there is no {name!r}",
                f"{did_you_mean(name, known)} {accepted}".strip(),
            )
        if count > 1:
            raise ConfigurationError(
                f"{setting}: {name!r} is named {count} times", "name each candidate once"
            )


def require_candidates(training: TrainingSettings) -> None:
    """Make sure that something is trained that the gate can let pass.

    Raises:
        ConfigurationError: If nothing but baselines is asked for.
    """
    if all(family_of(name).baseline for name in (*training.families, *training.objectives)):
        learners = [family.name for family in FAMILIES.values() if not family.baseline]
        raise ConfigurationError(
            "training.families, training.objectives: only baselines would be trained, and the gate "
            "refuses a model that does not beat them",
            f"name a family ({', '.join(learners)}) or an objective ({', '.join(OBJECTIVES)})",
        )


def families_to_train(training: TrainingSettings) -> tuple[str, ...]:
    """Return the families that are asked for, else all, with every baseline."""
    if "families" in training.model_fields_set:
        return with_baselines(training.families)
    own = [name for name in families() if name not in FAMILIES]
    return with_baselines([*training.families, *own])


def with_baselines(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names with every baseline: they are cheap, and the gate compares with the best."""
    baselines = [family.name for family in families().values() if family.baseline]
    return tuple(dict.fromkeys([*names, *baselines]))
