"""Marks: whose run it is, read off what Mage's record may hold."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.orchestration.runs import marks


def run(metrics: dict[str, Any] | None) -> Any:
    return SimpleNamespace(metrics=metrics)


@pytest.mark.parametrize("metrics", [None, {}, {"other": 1}])
def test_a_run_without_a_mark_is_the_servers(metrics: dict[str, Any] | None) -> None:
    assert not marks.is_marked(run(metrics))
    assert marks.driver(run(metrics)) == {}
    assert marks.unmarked(run(metrics)) == (metrics or {})
    assert marks.parent_of(run(metrics)) is None


def test_a_marked_run_is_its_engines_until_the_mark_is_taken_off() -> None:
    mark = marks.our_mark()
    marked = run({**mark, "other": 1, marks.PARENT: "7"})

    assert mark == {marks.MARK: {"pid": os.getpid()}}
    assert marks.is_marked(marked)
    assert marks.driver(marked) == mark
    assert marks.unmarked(marked) == {"other": 1, marks.PARENT: "7"}
    assert marks.parent_of(marked) == 7
