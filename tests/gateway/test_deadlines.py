"""How long a connection may take for what, to the second, by a clock that the tests move."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from mlops.gateway.connections import MAX_HEAD_BYTES, BoundedServer, ConnectionLimits

LIMITS = ConnectionLimits(connections=2, head_seconds=10, body_seconds=20, send_seconds=30)
KEEP_ALIVE = 75  # seconds; the connection itself waits five more
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


class Handle:
    """Stands for a task or a timer."""

    def add_done_callback(self, callback: Any) -> None:
        """Nothing runs here, so that nothing is ever done."""

    def cancel(self) -> None:
        """Nothing runs here."""


class Clock:
    """An event loop that runs nothing; its time is the test's."""

    now = 100.0

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Any, **options: Any) -> Handle:
        coroutine.close()
        return Handle()

    def call_later(self, *arguments: Any) -> Handle:
        return Handle()


@dataclass
class Wire:
    """A transport: what was written to it, and how much of that nobody has taken yet."""

    written: bytes = b""
    unsent: int = 0
    state: str = "open"
    paused: list[str] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def is_closing(self) -> bool:
        return self.state != "open"

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        self.paused.append("pause")

    def resume_reading(self) -> None:
        self.paused.append("resume")


@dataclass
class Peer:
    """One connection and its clock."""

    server: BoundedServer
    clock: Clock = field(default_factory=Clock)
    wire: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        self.it = self.server._connection(
            config=self.server.config,
            server_state=self.server.server_state,
            app_state={},
            _loop=self.clock,
        )
        self.it.connection_made(self.wire)

    @property
    def waits(self) -> bool:
        return self.it in self.server.waiting

    def send(self, data: bytes) -> None:
        self.it.data_received(data)

    def respond(self) -> None:
        """Let the application complete its response."""
        self.it.cycle.response_started = self.it.cycle.response_complete = True
        self.it.on_response_complete()

    def checked_after(self, seconds: float) -> str:
        """Return what became of the connection when so many seconds have passed."""
        self.clock.now += seconds
        self.it.check()
        return self.wire.state

    def is_ended_after(self, seconds: float) -> bool:
        """Tell whether a check ends it then, and none before."""
        before = self.checked_after(seconds - 0.001)
        return (before, self.checked_after(0.001)) == ("open", "closed")


@pytest.fixture
def server() -> BoundedServer:
    config = uvicorn.Config(
        lambda: None, lifespan="off", ws="none", log_config=None, timeout_keep_alive=KEEP_ALIVE
    )
    config.load()
    return BoundedServer(config, LIMITS)


def test_a_head_has_its_time_from_the_connection_on_and_from_its_first_byte(
    server: BoundedServer,
) -> None:
    silent, late = Peer(server), Peer(server)
    late.clock.now += 9
    late.send(b"GET / HTTP/1.1\r\n")

    for peer in (silent, late):
        assert peer.waits and peer.is_ended_after(10)
        assert b" 408 " in peer.wire.written and not peer.waits


def test_a_body_has_its_time_from_the_end_of_its_head(server: BoundedServer) -> None:
    peer = Peer(server)
    peer.clock.now += 9
    peer.send(POST + b"ab")

    assert not peer.waits and peer.is_ended_after(20)
    assert b" 408 " in peer.wire.written


@pytest.mark.parametrize("request_", [GET, POST + b"abc"])
def test_an_answer_may_be_computed_as_long_as_it_takes(
    server: BoundedServer, request_: bytes
) -> None:
    peer = Peer(server)
    peer.send(request_)

    for _ in range(5):
        assert peer.checked_after(40) == "open" and not peer.waits
    peer.respond()
    # and then the connection may rest, and be used again
    assert peer.waits and peer.checked_after(KEEP_ALIVE + 4.9) == "open"
    peer.send(request_)
    peer.respond()
    assert peer.is_ended_after(KEEP_ALIVE + 5)


def test_an_answer_must_be_taken_bit_by_bit(server: BoundedServer) -> None:
    peer = Peer(server)
    peer.send(GET)
    peer.it.cycle.response_started = True
    for unsent in (900, 600, 300):
        peer.wire.unsent = unsent
        assert peer.checked_after(30) == "open"
    assert peer.checked_after(29.9) == "open"
    assert peer.checked_after(0.1) == "aborted"
    assert peer.wire.written == b""


def test_one_who_has_not_taken_the_last_answer_is_given_the_time_of_a_reader(
    server: BoundedServer,
) -> None:
    peer = Peer(server)
    peer.send(GET)
    peer.wire.unsent = 500
    peer.respond()

    assert peer.checked_after(29.9) == "open"
    assert peer.checked_after(0.1) == "open", "he was seen for the first time"
    assert peer.checked_after(30) == "aborted"


def test_an_answer_before_the_end_of_its_body_leaves_the_body_its_time(
    server: BoundedServer,
) -> None:
    peer = Peer(server)
    peer.send(POST + b"a")
    peer.respond()
    assert not peer.waits
    # When the rest arrives, then the connection waits for the next request
    peer.send(b"bc")
    assert peer.waits and peer.is_ended_after(KEEP_ALIVE + 5)
    # And when it does not, it is ended
    slow = Peer(server)
    slow.send(POST + b"a")
    slow.respond()
    assert slow.is_ended_after(20)


def test_who_is_refused_hears_it_once_and_is_not_listened_to_any_more(
    server: BoundedServer,
) -> None:
    peer = Peer(server)
    peer.send(b"no HTTP\r\n\r\n")
    peer.it.refuse(503)
    peer.send(GET)
    assert peer.wire.written.count(b"HTTP/1.1") == 1 and b" 400 " in peer.wire.written
    assert peer.it.cycle is None and not peer.waits
    # and has the time of a reader to take it
    peer.wire.unsent = 90
    assert peer.checked_after(29.9) == "closed" and peer.it._unsent > 90
    assert peer.checked_after(0.1) == "closed" and peer.it._unsent == 90
    assert peer.checked_after(30) == "aborted"


@pytest.mark.parametrize("started", [False, True])
def test_what_is_still_computed_for_who_is_refused_goes_nowhere(
    server: BoundedServer, started: bool
) -> None:
    peer = Peer(server)
    peer.send(POST + b"a")
    cycle = peer.it.cycle
    cycle.response_started = started

    peer.it.refuse(408)

    assert cycle.disconnected and cycle.message_event.is_set()
    assert (b" 408 " in peer.wire.written) == (not started)
    finished = Peer(server)
    finished.send(GET)
    finished.respond()
    finished.it.refuse(408)
    assert not finished.it.cycle.disconnected and b" 408 " in finished.wire.written


def test_each_head_is_measured_by_itself(server: BoundedServer) -> None:
    peer = Peer(server)
    begin = b"GET / HTTP/1.1\r\nCookie: "
    for _ in range(3):
        peer.send(begin + b"x" * (MAX_HEAD_BYTES - len(begin)))
        assert peer.wire.written == b""
        peer.send(b"\r\n\r\n")
        peer.respond()
    peer.send(begin + b"x" * (MAX_HEAD_BYTES - len(begin) + 1))
    assert b" 431 " in peer.wire.written


def test_the_oldest_makes_room_even_if_it_is_the_newest(server: BoundedServer) -> None:
    answered, waiting = Peer(server), Peer(server)
    answered.send(GET)

    third = Peer(server)

    assert [peer.wire.state for peer in (answered, waiting, third)] == ["open", "closed", "open"]
    waiting.it.connection_lost(None)
    third.send(GET)
    fourth = Peer(server)
    assert b" 503 " in fourth.wire.written
    fourth.it.connection_lost(None)
    third.it.connection_lost(None)
    assert not server.waiting and server.server_state.connections == {answered.it}


def test_connections_are_looked_at_once_a_second(
    server: BoundedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, looks = Peer(server), []
    monkeypatch.setattr(peer.it, "check", lambda: looks.append(counter))

    for counter in range(40):  # uvicorn ticks ten times a second
        asyncio.run(server.on_tick(counter))

    assert looks == [0, 10, 20, 30]
