"""Any sequence of deploy, fail, roll back, crash and resume leaves one champion, which loads."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mlops.deployment.records import Records
from mlops.errors import MlopsError
from mlops.registry.versions import Registry

EXAMPLES = int(os.environ.get("MLOPS_TEST_EXAMPLES", "6"))  # each takes a second

outcomes = st.sampled_from([True, True, False])
maybe = st.sampled_from([True, False, None])
lives = st.one_of(st.none(), st.integers(0, 22))  # writes before the process dies


@pytest.fixture
def machine(with_champion: Any, makers: Any) -> Any:
    """A registry with version 1 as champion, to which anything happens."""

    class Deployments(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.folder = tempfile.TemporaryDirectory()
            self.office = makers.Office(makers.copy_of(with_champion, Path(self.folder.name)))
            self.trail = Registry(self.office.settings).trail()
            self.killed: tuple[str, int] | None = None  # a run, and the version it deploys

        def teardown(self) -> None:
            self.folder.cleanup()

        def attempt(self, work: Any, life: int | None) -> str:
            """Do work that may fail or die; say how it ended."""
            try:
                if life is None:
                    work()
                else:
                    with makers.dying_after(life):
                        work()
            except makers.Crash:
                return "died"
            except MlopsError:
                return "failed"
            return "done"

        @rule(
            version=st.sampled_from(makers.GOOD),
            artifact=outcomes,
            canary=maybe,
            smoke=maybe,
            life=lives,
        )
        def deploy(
            self, version: int, artifact: bool, canary: bool | None, smoke: bool | None, life: Any
        ) -> None:
            office, before = self.office, self.office.champion
            office.world = makers.ToldWorld(artifact, canary, smoke)
            run = office.new_run()
            end = self.attempt(lambda: office.deploy(version, run=run), life)
            self.killed = (run, version) if end == "died" else None
            if end == "done":
                assert office.champion == version
            if end == "failed" and not artifact:
                assert office.champion != version or before == version

        @precondition(lambda self: self.killed is not None)
        @rule()
        def resume(self) -> None:
            run, version = self.killed
            self.killed = None
            if self.attempt(lambda: self.office.deploy(version, run=run), None) == "done":
                assert self.office.champion == version

        @rule(to=st.one_of(st.none(), st.sampled_from(makers.GOOD)), life=lives)
        def roll_back(self, to: int | None, life: int | None) -> None:
            office, before = self.office, self.office.champion
            office.world = makers.ToldWorld()
            end = self.attempt(lambda: office.roll_back(to), life)
            if end == "done":
                # a killed run finds its place taken
                self.killed = None
                assert office.champion == (to or office.champion)
            if end == "failed":
                assert office.champion == before

        @rule(version=st.sampled_from((4, 5, 6, 99)))
        def deploy_what_may_not_be(self, version: int) -> None:
            before = self.office.champion
            assert self.attempt(lambda: self.office.deploy(version), None) == "failed"
            assert self.office.champion == before

        @invariant()
        def one_champion_that_loads(self) -> None:
            registry = Registry(self.office.settings)
            model, info = registry.load("champion")
            champions = [v for v in registry.versions() if "champion" in v.aliases]
            assert [v.version for v in champions] == [info.version]
            assert info.version in makers.GOOD
            assert model.rows > 0

        @invariant()
        def the_trail_only_grows_and_hangs_together(self) -> None:
            registry = Registry(self.office.settings)
            trail = registry.trail()
            assert trail[-len(self.trail) :] == self.trail
            self.trail = trail
            assert trail[0].version == self.office.champion
            for later, earlier in pairwise(trail):
                assert later.previous == earlier.version != later.version
            if self.office.ledger().claims.holder() is None:
                previous = registry.get("previous_champion")
                assert (previous.version if previous else None) == trail[0].previous

        @invariant()
        def nobody_is_left_at_work(self) -> None:
            """Only what died may leave a claim, a rollout or an unfinished record behind."""
            claim = self.office.ledger().claims.holder()
            unfinished = [
                r for r in Records(self.office.settings.deployments).all() if not r.is_over
            ]
            assert {record.id for record in unfinished} <= {claim.deployment if claim else ""}
            rollout = Registry(self.office.settings).rollout()
            assert rollout is None or (claim and rollout.deployment == claim.deployment)

    return Deployments


def test_any_sequence_leaves_one_champion_that_loads(machine: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=7,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
