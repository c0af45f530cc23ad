"""Only holders of a valid key come in, and only so often, whichever process they meet."""

from __future__ import annotations

import multiprocessing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import ConfigurationError, DamagedFileError
from mlops.serving.answers.errors import RequestError
from mlops.serving.http import access
from mlops.serving.http.access import Door, RateLimiter
from mlops.serving.http.keys import add_key, hash_of, key_file, revoke_keys
from mlops.settings import load_settings


def open_door(home: Path, **overrides: Any) -> Door:
    settings = load_settings({"home": str(home), **overrides})
    door = Door(settings, RateLimiter(settings.serving.requests_per_second, settings.serving.burst))
    door.reload()
    return door


def refused(door: Door, *headers: tuple[bytes, bytes]) -> int:
    with pytest.raises(RequestError) as caught:
        door.caller(headers)
    return caught.value.status


def test_a_key_opens_in_either_header(tmp_path: Path) -> None:
    _, token = add_key(tmp_path / "serving", "team")
    door = open_door(tmp_path)
    assert door.caller([(b"x-api-key", token.encode())]) == "team"
    assert door.caller([(b"authorization", b"Bearer " + token.encode())]) == "team"


def test_whatever_else_does_not(tmp_path: Path) -> None:
    _, token = add_key(tmp_path / "serving", "team")
    door = open_door(tmp_path)
    assert refused(door) == 401
    assert refused(door, (b"x-api-key", b"")) == 401
    assert refused(door, (b"x-api-key", token.encode()[:-1])) == 401
    assert refused(door, (b"x-api-key", hash_of(token).hex().encode())) == 401
    assert refused(door, (b"authorization", b"Basic " + token.encode())) == 401
    with pytest.raises(RequestError, match="the API key is missing"):
        door.caller([])
    with pytest.raises(RequestError, match="the API key is not valid"):
        door.caller([(b"x-api-key", b"mlops_")])


def test_keys_come_and_go_while_the_server_runs(tmp_path: Path) -> None:
    door = open_door(tmp_path)
    _, token = add_key(tmp_path / "serving", "team", days=1)
    header = (b"x-api-key", token.encode())
    assert refused(door, header) == 401

    door.reload()
    assert door.caller([header]) == "team"

    revoke_keys(tmp_path / "serving", "team")
    door.reload()
    assert refused(door, header) == 401


def test_a_key_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = add_key(tmp_path / "serving", "team", days=1)
    door = open_door(tmp_path)

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(timezone.utc) + timedelta(days=1, seconds=1)

    monkeypatch.setattr(access, "datetime", Tomorrow)
    assert refused(door, (b"x-api-key", token.encode())) == 401


def test_a_damaged_file_leaves_the_keys_in_force(tmp_path: Path) -> None:
    _, token = add_key(tmp_path / "serving", "team")
    door = open_door(tmp_path)
    key_file(tmp_path / "serving").write_text("{")
    with pytest.raises(DamagedFileError, match="create new keys with: mlops keys add"):
        door.reload()
    assert door.caller([(b"x-api-key", token.encode())]) == "team"


def test_hashes_in_the_settings_open_too(tmp_path: Path) -> None:
    hashes = [hash_of("a-token-from-elsewhere").hex()]
    door = open_door(tmp_path, **{"serving.key_hashes": hashes})
    assert door.caller([(b"x-api-key", b"a-token-from-elsewhere")]) == "configured-1"
    with pytest.raises(ConfigurationError, match=r"serving\.key_hashes"):
        open_door(tmp_path, **{"serving.key_hashes": ["a-token"]})


def test_without_the_need_for_a_key_everybody_enters(tmp_path: Path) -> None:
    door = open_door(tmp_path, **{"serving.require_key": False})
    assert door.caller([]) == ""
    assert door.caller([(b"x-api-key", b"stale")]) == ""


def test_keys_are_read_again_only_if_their_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_key(tmp_path / "serving", "team")
    door = open_door(tmp_path)
    read: list[Path] = []
    monkeypatch.setattr(access, "read_keys", lambda served: read.append(served) or ())

    door.reload()
    assert read == []
    add_key(tmp_path / "serving", "other")
    door.reload()
    door.reload()
    assert read == [tmp_path / "serving"]


@pytest.mark.parametrize(
    ("hashes", "named"),
    [
        (["ab" * 32, "ab" * 31 + "a"], "number 2"),
        (["AB" * 32], "number 1"),
        (["ab" * 33], "number 1"),
        ([f"{number:064x}" for number in range(4_097)], "4097 are too many"),
    ],
)
def test_a_hash_that_is_none_and_too_many_are_refused(hashes: list[str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        access.configured_keys(load_settings({"serving.key_hashes": hashes}))


def test_configured_keys_are_counted_apart_from_those_of_the_file() -> None:
    hashes = [f"{number:064x}" for number in range(4_096)]
    found = access.configured_keys(load_settings({"serving.key_hashes": hashes}))

    assert [key.number for key in found] == list(range(4_096, 8_192))
    assert [found[0].name, found[-1].name] == ["configured-1", "configured-4096"]
    limiter = RateLimiter(1, 1)
    assert limiter.wait_seconds(found[-1].number) == 0
    assert limiter.wait_seconds(1) == 0


def test_the_first_header_with_a_key_counts_and_blanks_do_not(tmp_path: Path) -> None:
    _, token = add_key(tmp_path / "serving", "team")
    door = open_door(tmp_path)
    bearer = (b"authorization", b"bEaReR   " + token.encode() + b" ")
    assert door.caller([(b"host", b"x"), bearer]) == "team"
    assert refused(door, (b"x-api-key", b"no"), bearer) == 401
    assert door.caller([(b"authorization", b"Basic x"), (b"x-api-key", token.encode())]) == "team"


def test_a_token_comes_back_after_its_interval_and_a_pause_fills_the_burst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(access, "time", SimpleNamespace(monotonic=lambda: now[0]))
    limiter = RateLimiter(4, 3)

    assert [limiter.wait_seconds(5) for _ in range(4)] == [0, 0, 0, pytest.approx(0.25)]
    now[0] += 0.25
    assert [limiter.wait_seconds(5) for _ in range(2)] == [0, pytest.approx(0.25)]
    now[0] += 60
    assert [limiter.wait_seconds(5) > 0 for _ in range(4)] == [False, False, False, True]


def test_each_key_has_its_own_limit(tmp_path: Path) -> None:
    tokens = [add_key(tmp_path / "serving", name)[1].encode() for name in ("a", "b")]
    door = open_door(tmp_path, **{"serving.requests_per_second": 0.01, "serving.burst": 2})
    assert [door.caller([(b"x-api-key", tokens[0])]) for _ in range(2)] == ["a", "a"]
    with pytest.raises(RequestError) as caught:
        door.caller([(b"x-api-key", tokens[0])])
    assert caught.value.status == 429
    assert 0 < int(caught.value.headers["Retry-After"]) <= 100
    assert door.caller([(b"x-api-key", tokens[1])]) == "b"


@given(
    waits=st.lists(st.floats(0, 2), max_size=60),
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 10),
)
def test_never_more_than_the_burst_and_the_rate_allow(
    waits: list[float], rate: float, burst: int
) -> None:
    clock = 100.0
    limiter = RateLimiter(rate, burst)
    passed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access.time, "monotonic", lambda: clock)
        for wait in waits:
            clock += wait
            left = limiter.wait_seconds(7)
            if left == 0:
                passed.append(clock)
            else:
                # Exactly as long as it says, and not shorter.
                assert limiter.wait_seconds(7) == pytest.approx(left)
    for start in range(len(passed)):
        for end in range(start, len(passed)):
            allowed = burst + rate * (passed[end] - passed[start])
            assert end - start + 1 <= allowed + 1e-6


def test_processes_share_a_limit() -> None:
    limiter = RateLimiter(0.001, 3)
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        child = context.Process(target=limiter.wait_seconds, args=(1,))
        child.start()
        child.join()
    assert limiter.wait_seconds(1) > 0
    assert limiter.wait_seconds(2) == 0
