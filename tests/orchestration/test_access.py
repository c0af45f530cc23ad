"""Secrets of the servers."""

import pytest

from mlops.errors import ConfigurationError
from mlops.orchestration.access import chosen_password, private_secret, protect_secrets


def test_a_secret_is_made_once_and_private(tmp_path):
    path = tmp_path / "server" / "jwt_secret"
    secret = private_secret(path)
    assert len(secret) >= 48 and private_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_that_was_opened_to_others_is_closed_again(tmp_path):
    path = tmp_path / "jwt_secret"
    secret = private_secret(path)
    path.chmod(0o644)
    assert private_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_password_is_chosen_by_a_person_or_not_at_all():
    assert chosen_password({}) is None
    assert chosen_password({"MLOPS_OWNER_PASSWORD": "correct horse"}) == "correct horse"
    for weak in ("", "admin"):
        with pytest.raises(ConfigurationError, match="MLOPS_OWNER_PASSWORD"):
            chosen_password({"MLOPS_OWNER_PASSWORD": weak})


def test_mages_keys_are_closed_to_others(tmp_path):
    key = tmp_path / "secrets" / "project" / "key"
    key.parent.mkdir(parents=True)
    key.write_text("key")
    key.chmod(0o644)
    protect_secrets(tmp_path)
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
