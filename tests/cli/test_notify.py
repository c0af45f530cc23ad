"""`mlops notify --test` says per channel whether a message arrives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_nobody_to_tell_is_a_wrong_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("notify", "--test") == 2
    assert "no channel is configured" in capsys.readouterr().err


def test_each_channel_and_its_result_are_shown(
    web: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given one channel that works and one that does not
    web.answers["/hush"] = [404]
    monkeypatch.setenv("MLOPS_NOTIFICATIONS__SLACK_WEBHOOKS", web.url("/good"))
    monkeypatch.setenv("MLOPS_NOTIFICATIONS__WEBHOOKS", web.url("/hush"))
    # When they are only listed, then nothing is sent
    assert run("notify", "--json") == 0
    channels = [row["channel"] for row in json.loads(capsys.readouterr().out)]
    assert channels == [f"slack 127.0.0.1:{web.port}", f"webhook 127.0.0.1:{web.port}"]
    assert web.received == []
    # When they are tried, then each result is shown, and the exit code says that one failed
    assert run("notify", "--test") == 11
    out, err = capsys.readouterr()
    assert "answered 404" in out and "not delivered" in err and "hush" not in out + err
    assert len(web.bodies("/good")) == 1
    # When all work, then that is success
    monkeypatch.delenv("MLOPS_NOTIFICATIONS__WEBHOOKS")
    assert run("notify", "--test", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["delivered"] is True
