"""The tokens with which API triggers are started: from the environment, or made once and kept.

Each lies in a file of its own that only its owner can read; none is in git. The scheduler puts them
into Mage's database when it starts. To replace one, delete its file (or change the variable) and
start again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mlops.counting import counted
from mlops.errors import ConfigurationError
from mlops.orchestration.triggers.access import private_secret
from mlops.settings import Settings

VARIABLE: Final = "MLOPS_API_TOKEN"
MIN_LENGTH: Final = 16


def api_token(
    settings: Settings, pipeline: str, environment: Mapping[str, str] = os.environ
) -> str:
    """Return the token of a pipeline's API trigger, made at the first call.

    Raises:
        ConfigurationError: If the one in the environment is too easy to guess.
    """
    name = token_variable(pipeline, environment)
    if name is None:
        path = token_file(settings, pipeline)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return private_secret(path)
    if len(environment[name]) < MIN_LENGTH:
        raise ConfigurationError(
            f"{name}: a token of {counted(len(environment[name]), 'character')} is too easy to"
            " guess",
            f"choose at least {MIN_LENGTH}, or unset it to have one generated",
        )
    return environment[name]


def shell_expression(
    settings: Settings, pipeline: str, environment: Mapping[str, str] = os.environ
) -> str:
    """Return what a shell replaces by the token, so that a command can be shown without it."""
    name = token_variable(pipeline, environment)
    return f"${name}" if name else f"$(cat '{token_file(settings, pipeline)}')"


def token_variable(pipeline: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the environment variable that holds a pipeline's token, if one does."""
    own = f"{VARIABLE}_{re.sub(r'[^A-Z0-9]', '_', pipeline.upper())}"
    return next((name for name in (own, VARIABLE) if environment.get(name)), None)


def token_file(settings: Settings, pipeline: str) -> Path:
    """Return where a generated token lies."""
    return settings.home / "server" / "api_tokens" / pipeline
