"""Secrets of the servers, and who may try to guess them how often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import ConfigurationError
from mlops.orchestration.triggers.access import (
    MAX_ADDRESSES,
    SignInLimit,
    chosen_password,
    client_address,
    private_secret,
)


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


def test_an_address_may_try_a_few_times_and_then_must_wait() -> None:
    clock = [0.0]
    limit = SignInLimit(per_minute=6, now=lambda: clock[0])

    assert [limit.wait_seconds("10.0.0.1") for _ in range(6)] == [0.0] * 6
    assert limit.wait_seconds("10.0.0.1") == pytest.approx(10)
    assert limit.wait_seconds("10.0.0.2") == 0.0  # others may

    clock[0] += 10
    assert limit.wait_seconds("10.0.0.1") == 0.0
    assert limit.wait_seconds("10.0.0.1") > 0


@given(per_minute=st.integers(1, 60), pauses=st.lists(st.floats(0, 90), min_size=1, max_size=150))
def test_never_more_attempts_than_the_burst_and_the_rate_allow(
    per_minute: int, pauses: list[float]
) -> None:
    clock = [0.0]
    limit = SignInLimit(per_minute, now=lambda: clock[0])

    passed = 0
    for pause in pauses:
        clock[0] += pause
        passed += limit.wait_seconds("somebody") == 0.0
        assert passed <= per_minute + clock[0] * per_minute / 60 + 1e-6


def test_addresses_that_may_try_again_are_forgotten() -> None:
    clock = [0.0]
    limit = SignInLimit(per_minute=1, now=lambda: clock[0])
    for number in range(MAX_ADDRESSES):
        limit.wait_seconds(str(number))

    clock[0] += 61
    limit.wait_seconds("the next")

    assert len(limit._full_at) == 1


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "behind_proxy", "address"),
    [
        ("192.0.2.1", "", False, "192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", False, "192.0.2.1"),  # anybody may write that
        ("192.0.2.1", "10.0.0.1", True, "10.0.0.1"),
        ("192.0.2.1", "6.6.6.6, 10.0.0.1", True, "10.0.0.1"),  # the last is our proxy's
        ("192.0.2.1", "nonsense", True, "192.0.2.1"),
        ("2001:db8::1", "", False, "2001:db8::/64"),
        ("2001:db8::ffff", "", False, "2001:db8::/64"),
    ],
)
def test_who_is_asking(peer: str, forwarded_for: str, behind_proxy: bool, address: str) -> None:
    assert client_address(peer, forwarded_for, behind_proxy) == address


@pytest.mark.parametrize("damage", [b"", b"short", b"\xff\xfe" * 40, b"a blank " * 9])
def test_a_damaged_secret_is_made_anew_and_an_empty_one_is_never_given(tmp_path, caplog, damage):
    path = tmp_path / "jwt_secret"
    private_secret(path)
    path.write_bytes(damage)

    secret = private_secret(path)

    assert len(secret) >= 48 and private_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in caplog.text
