"""Ctrl-C without Mage: whatever a library makes of it, the end is one error with a way on."""

from __future__ import annotations

import signal
import threading

import pytest

from mlops.errors import InterruptionError
from mlops.orchestration.engine.interruption import interruptible


def test_ctrl_c_becomes_an_interruption_and_the_handler_is_put_back() -> None:
    former = signal.getsignal(signal.SIGINT)

    with pytest.raises(InterruptionError) as stopped, interruptible(lambda: "go on"):
        signal.raise_signal(signal.SIGINT)

    assert stopped.value.hint == "continue with: go on"
    assert signal.getsignal(signal.SIGINT) is former


def test_an_error_that_a_library_makes_of_it_is_one_too() -> None:
    with pytest.raises(InterruptionError) as stopped, interruptible(lambda: "go on"):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("half a module") from None

    assert isinstance(stopped.value.__cause__, ImportError)


def test_other_errors_and_an_interruption_that_says_more_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match="wrong"), interruptible(lambda: "go on"):
        raise ValueError("wrong")
    with pytest.raises(InterruptionError, match="said before"), interruptible(lambda: "go on"):
        raise InterruptionError("said before", "another way")
    asked: list[str] = []
    with interruptible(lambda: asked.append("never") or ""):
        pass
    assert asked == []


def test_in_another_thread_signals_are_left_alone() -> None:
    former, passed = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interruptible(lambda: "go on"):
            passed.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert passed == [former] == [signal.getsignal(signal.SIGINT)]
