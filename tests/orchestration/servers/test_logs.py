"""The logs of servers: every entry has its time, and nothing in them means nothing."""

from __future__ import annotations

import io
import logging
import os
import re
import socket
import struct
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from mlops.orchestration.servers import logs
from mlops.orchestration.servers.logs import TimedLines
from mlops.serving.answers.metrics import metrics_server

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def written(*pieces: str) -> str:
    below = io.StringIO()
    stream = TimedLines(below)
    for piece in pieces:
        stream.write(piece)
    return below.getvalue()


def test_what_is_printed_gets_the_time() -> None:
    assert re.fullmatch(
        TIME + "DBT library not installed.\n", written("DBT library ", "not installed.\n")
    )


def test_what_has_a_time_or_goes_on_is_left_as_it_is() -> None:
    for line in ("2026-11-28 15:44:26,659 INFO x\n", "[2026-11-28 15:44:41 +0000] [1] [INFO] x\n"):
        assert written(line) == line
    assert written("    File x, line 3\n") == "    File x, line 3\n"


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))))
def test_nothing_that_is_said_is_lost(lines: list[str]) -> None:
    found = written(*(f"{line}\n" for line in lines)).split("\n")[:-1]

    said = [line for line in lines if line.strip()]
    assert len(found) == len(said)
    assert all(after.endswith(before) for before, after in zip(said, found, strict=True))


def test_logging_and_printing_take_turns_by_whole_lines() -> None:
    below = io.StringIO()
    stream = TimedLines(below)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def log() -> None:
        for number in range(200):
            handler.emit(logging.makeLogRecord({"msg": f"one {number}", "levelno": 20}))

    def tell() -> None:
        for number in range(200):
            print("two", number, file=stream)

    threads = [threading.Thread(target=each) for each in (log, tell)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(below.getvalue().splitlines()) == 400
    assert all(re.match(TIME + r"(one|two) \d+$", line) for line in below.getvalue().splitlines())


def test_a_caller_who_hangs_up_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    registry = CollectorRegistry()
    for number in range(3_000):  # more than fits into a socket's buffer
        Gauge(f"a_gauge_{number}", "x" * 400, registry=registry)
    server = metrics_server("127.0.0.1", 0, registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = ("127.0.0.1", server.server_address[1])

    for _ in range(5):
        with socket.create_connection(address) as caller:
            caller.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            caller.recv(100)
            # Closed with a reset, while the answer is on its way.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/metrics") as response:
        assert b"a_gauge_2999" in response.read()
    server.shutdown()
    server.server_close()

    assert "Traceback" not in capfd.readouterr().err


def test_completion_imports_no_block_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    from mage_ai.autocomplete import utils

    from mlops.orchestration.web import completion

    monkeypatch.setattr(utils, "importlib", utils.importlib)
    completion.prepare()
    block = tmp_path / "data_loaders" / "loads.py"
    block.parent.mkdir()
    block.write_text("class Loads:\n    pass\n\nraise SystemExit('this block was run')\n")
    inside = tmp_path / ".venv/lib/python3.11/site-packages/mage_ai/data_preparation/variable_x.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("class Variable:\n    pass\n")
    monkeypatch.chdir(tmp_path)

    found = asyncio.run(utils.build_file_content_mapping([str(tmp_path)], []))

    assert {name: sorted(each["methods_for_class"]) for name, each in found.items()} == {
        str(block): ["Loads"],
        str(inside): ["Variable"],
    }
    assert capsys.readouterr().out == ""


def test_a_server_begins_with_timed_lines_and_without_announcements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.delenv("PYDEVD_DISABLE_FILE_VALIDATION", raising=False)
    talkative = [logging.getLogger(name) for name in ("alembic", "traitlets")]
    for logger in talkative:
        monkeypatch.setattr(logger, "level", logging.NOTSET)

    logs.begin()
    print("a line\n continued")
    print("trouble", file=sys.stderr, flush=True)

    first, second = out.getvalue().splitlines()
    assert first[:2] == "20" and first.endswith(" a line") and second == " continued"
    assert err.getvalue().endswith(" trouble\n") and err.getvalue()[:2] == "20"
    assert all(logger.level == logging.ERROR for logger in talkative)
    assert os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] == "1"
    assert sys.stdout.writable()


def test_what_is_flushed_is_flushed_below(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", buffering=1 << 16) as stream:
        timed = TimedLines(stream)
        timed.write("a line\n")
        assert (tmp_path / "log").stat().st_size == 0
        timed.flush()
        assert (tmp_path / "log").stat().st_size > 0
