"""Which version answers is a pure function: stable, of the right share, and it ends by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.registry.rollout import Rollout
from mlops.serving.answers.routing import Lineup, in_share
from mlops.serving.model.compiled import CompiledModel


@pytest.mark.parametrize("percent", [1, 10, 50, 90])
@pytest.mark.parametrize("name", ["{}", "req-{:08d}", "{:032x}"])
def test_the_share_is_kept_whatever_ids_look_like(percent: float, name: str) -> None:
    number = 20_000
    inside = sum(in_share(name.format(i), percent) for i in range(number))
    # Five standard deviations of a binomial distribution.
    tolerance = 5 * (number * percent / 100 * (1 - percent / 100)) ** 0.5
    assert abs(inside - number * percent / 100) < tolerance


@given(name=st.text(), low=st.floats(0, 100), high=st.floats(0, 100))
def test_a_growing_share_keeps_who_is_in_it(name: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert in_share(name, low) <= in_share(name, high)
    assert in_share(name, 100)
    assert not in_share(name, 0)


@pytest.mark.parametrize("name", ["", "r-1", "zürich"])
def test_the_share_of_an_id_is_its_hash_whoever_computes_it(name: str) -> None:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    percent = int.from_bytes(digest, "big") % 1_000_000 / 10_000

    assert not in_share(name, percent - 0.00005)
    assert in_share(name, percent + 0.00005)


def test_a_rollout_ends_by_itself(
    small_compiled: tuple[CompiledModel, ...], make_rollout: Callable[..., Rollout]
) -> None:
    from mlops.serving.answers.routing import Version

    def version(model: Any) -> Version:
        return Version(model.version, "", model, make_rollout().started_at)

    champion, beside = map(version, small_compiled[:2])
    running = Lineup(champion, make_rollout(percent=100), beside)
    over = Lineup(champion, make_rollout(percent=100, minutes=-1), beside)
    assert running.rolled_out("any") == (beside, "canary")
    assert over.rolled_out("any") is None
    assert [role for _, role in running.versions] == ["champion", "canary"]
    assert [role for _, role in over.versions] == ["champion"]
    assert Lineup(champion, make_rollout(percent=100), None).rolled_out("any") is None
