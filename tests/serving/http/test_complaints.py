"""Thousands of bad requests make a few lines of log."""

from __future__ import annotations

import logging
import socket
import threading
from types import SimpleNamespace

import pytest
import uvicorn

from mlops.serving.http import complaints as module
from mlops.serving.http.complaints import Complaints


@pytest.fixture
def uvicorn_log(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    logger = logging.getLogger("uvicorn.error")
    caplog.set_level(logging.INFO)
    return logger


def test_repeated_complaints_are_counted(
    uvicorn_log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    complaints = Complaints(seconds=3_600)
    uvicorn_log.addFilter(complaints)
    try:
        # Given a flood of bad requests, and among them something that matters
        for _ in range(1_000):
            uvicorn_log.warning("Invalid HTTP request received.")
        uvicorn_log.warning('No supported WebSocket library detected. Please use "pip install …"')
        uvicorn_log.error("Exception in ASGI application")
        uvicorn_log.info("Finished server process [%d]", 7)
        complaints.report()  # too early
        # Then the first of them and what matters are written, and no advice
        assert [record.getMessage() for record in caplog.records] == [
            "a request that is not HTTP was refused",
            "Exception in ASGI application",
            "Finished server process [7]",
        ]
        # And in the end how many there were, once
        complaints.report(at_once=True)
        complaints.report(at_once=True)
        assert "refused: 999 more times" in caplog.records[-1].getMessage()
        assert len(caplog.records) == 4
        # And the next flood begins with a line again
        uvicorn_log.warning("Invalid HTTP request received.")
        assert len(caplog.records) == 5
    finally:
        uvicorn_log.removeFilter(complaints)


def test_the_words_are_those_of_the_web_server(
    uvicorn_log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    # Given uvicorn as it is installed, with the filter
    complaints = Complaints(seconds=3_600)
    uvicorn_log.addFilter(complaints)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(lambda *_: None, lifespan="off", ws="none", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            # When it is sent what is not HTTP
            for _ in range(20):
                with socket.create_connection(listener.getsockname()) as client:
                    client.sendall(b"\x00nonsense\r\n\r\n")
                    client.settimeout(30)
                    while client.recv(1_000):
                        pass
        finally:
            server.should_exit = True
            thread.join()
            uvicorn_log.removeFilter(complaints)
    # Then it says so once
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("a request that is not HTTP was refused") == 1
    assert not [line for line in lines if "Invalid HTTP" in line]


def test_what_is_repeated_is_reported_when_its_time_is_over(
    uvicorn_log: logging.Logger,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    complaints = Complaints()
    uvicorn_log.addFilter(complaints)
    try:
        uvicorn_log.warning("once")
        for _ in range(3):
            uvicorn_log.warning("often")
        now[0] += 59.9
        complaints.report()
        assert [record.getMessage() for record in caplog.records] == ["once", "often"]
        now[0] += 0.1
        complaints.report()
        assert caplog.records[-1].getMessage() == "often: 2 more times in 60 s"
        assert len(caplog.records) == 3, "what came once is not said again"
    finally:
        uvicorn_log.removeFilter(complaints)
