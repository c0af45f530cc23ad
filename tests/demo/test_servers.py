"""Processes of the demonstration: what is said when they fail, and that none outlives it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import requests

from demo.inbox import Inbox
from demo.servers import Servers, free_ports, own_environment
from mlops.errors import MlopsError, ServerError


def servers(home: Path) -> Servers:
    serving, metrics = free_ports(2)
    return Servers(home, {"serving.port": serving, "serving.metrics_port": metrics}, {})


def test_ports_are_different_free_and_never_given_to_outgoing_connections() -> None:
    ports = free_ports(50)

    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
    assert len(set(ports)) == 50
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    assert max(ports) < (int(given.read_text().split()[0]) if given.exists() else 49_152)


def test_a_port_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr("demo.servers._PORTS", range(port, port + 1))

    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ServerError, match=f"fewer than 1 ports are free in {port}..{port}"),
    ):
        free_ports(1)


def test_a_server_that_ends_by_itself_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with servers(tmp_path) as started:
        started.start("serve", "--no-such-option")

        with pytest.raises(ServerError) as raised:
            started.wait_for("the online server", lambda: None)

    assert "waiting for the online server: mlops serve ended with code 2" in raised.value.message
    assert "no-such-option" in raised.value.hint


def test_what_does_not_come_in_time_is_named(tmp_path: Path) -> None:
    with servers(tmp_path) as started, pytest.raises(ServerError) as raised:
        started.wait_for("rain", lambda: None, seconds=0)

    assert raised.value.message == "rain: not within 0 s"


def test_no_server_outlives_the_context(tmp_path: Path) -> None:
    with servers(tmp_path) as started:
        started.start("serve")
        url = f"{started.settings.serving_url}/healthz"
        started.wait_for("the online server", lambda: answers(url) or None)

    assert not answers(url)


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with servers(tmp_path) as started, pytest.raises(MlopsError) as raised:
        started.run("reproduce", "7")

    assert "no version '7'" in raised.value.message


def test_the_settings_of_whoever_watches_reach_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_TRAINING__SEED", "99")

    with own_environment(), servers(tmp_path) as started:
        shown = started.run("config", "show")
        assert started.settings.training.seed != 99

    assert shown["training"]["seed"] == started.settings.training.seed
    assert shown["home"] == str(tmp_path)
    assert os.environ["MLOPS_TRAINING__SEED"] == "99"


def test_the_inbox_keeps_what_is_posted_by_incident() -> None:
    with Inbox() as inbox:
        for incident, kind in (("monitoring:model", "monitoring"), ("run:7", "failure")):
            requests.post(inbox.url, json={"incident": incident, "kind": kind}, timeout=30)

    assert [message["kind"] for message in inbox.of("monitoring:")] == ["monitoring"]
    assert inbox.of("monitoring:", "recovered") == []


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except requests.RequestException:
        return False
