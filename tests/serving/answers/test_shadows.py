"""A shadow is never waited for: what it cannot keep up with is dropped and counted."""

from __future__ import annotations

import threading
import time

from prometheus_client import CollectorRegistry, Counter

from mlops.serving.answers.shadows import Shadows


def test_a_shadow_that_is_behind_is_spared_and_the_loss_is_counted() -> None:
    # given a shadow that hangs on its first request
    dropped = Counter("dropped", "", registry=CollectorRegistry())
    shadows, hanging, predicted = Shadows(dropped), threading.Event(), []
    shadows.cast(lambda: hanging.wait(10) and None)

    # when more requests come than may wait for it
    for number in range(300):
        shadows.cast(lambda number=number: predicted.append(number))

    # then the first of them are predicted once it goes on, and the others are counted
    assert dropped._value.get() == 300 - 255
    hanging.set()
    shadows._thread.shutdown(wait=True)
    assert predicted == list(range(255))


def test_one_that_fails_makes_room_for_the_next() -> None:
    dropped = Counter("dropped", "", registry=CollectorRegistry())
    shadows = Shadows(dropped)

    def fail() -> None:
        raise RuntimeError("a broken model")

    for _ in range(1_000):
        shadows.cast(fail)
        shadows._thread.submit(lambda: None).result()  # it is done before the next comes

    assert dropped._value.get() == 0


def test_at_the_end_the_prediction_in_progress_is_finished_and_the_rest_forgotten() -> None:
    dropped = Counter("dropped", "", registry=CollectorRegistry())
    shadows, begun, go_on, predicted = Shadows(dropped), threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        go_on.wait(60)
        predicted.append("first")

    shadows.cast(first)
    begun.wait(60)
    shadows.cast(lambda: predicted.append("second"))
    closing = threading.Thread(target=shadows.close)
    closing.start()
    while not shadows._thread._shutdown:
        time.sleep(0.01)
    with shadows._thread._shutdown_lock:  # the rest is forgotten by now
        go_on.set()
    closing.join()

    assert predicted == ["first"]
