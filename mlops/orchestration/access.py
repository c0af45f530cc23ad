"""Who may enter the user interface: secrets made once, kept in files only their owner can read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from mlops.errors import ConfigurationError

PASSWORD_VARIABLE = "MLOPS_OWNER_PASSWORD"
MIN_PASSWORD_LENGTH = 10


def private_secret(path: Path) -> str:
    """Return the secret stored at ``path``, made at the first call (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
    else:
        with os.fdopen(file, "w") as stream:
            stream.write(secrets.token_urlsafe(48))
    return path.read_text()


def chosen_password(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the owner's password given in the environment, or ``None``.

    Raises:
        ConfigurationError: If it is too short or a password everybody tries first.
    """
    password = environment.get(PASSWORD_VARIABLE)
    if password is not None and len(password) < MIN_PASSWORD_LENGTH:
        raise ConfigurationError(
            f"{PASSWORD_VARIABLE}: a password of {len(password)} characters is too easy to guess",
            f"choose at least {MIN_PASSWORD_LENGTH} characters, or unset it to have one generated",
        )
    return password


def protect_secrets(data_folder: Path) -> None:
    """Close Mage's folder of encryption keys to others: Mage writes the keys world-readable."""
    folder = data_folder / "secrets"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
