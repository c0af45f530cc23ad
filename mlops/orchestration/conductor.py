"""What the engine does inside Mage. Import only after `environment.boot`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mage_ai.orchestration.db.models.schedules import PipelineRun

from mlops.errors import BusyError
from mlops.orchestration import marks, outcomes, products, runs
from mlops.orchestration.contract import Event, PipelineRequest, PipelineResult, StaleRun
from mlops.orchestration.drive import Drive
from mlops.settings import Settings


@dataclass(frozen=True)
class Conductor:
    """Creates, drives, resumes and describes runs; the methods are those of `Engine`.

    Args:
        settings: The engine's limits.
        project: The Mage project's root.
        emit: Told what happens.
    """

    settings: Settings
    project: Path
    emit: Callable[[Event], None]

    def run(self, requests: Sequence[PipelineRequest]) -> tuple[PipelineResult, ...]:
        """Run pipelines side by side; start none if one of them cannot run as asked."""
        runs.forget()
        for request in requests:
            runs.check(request, self.project)
        return self._drive([runs.create_run(request, self.project).id for request in requests])

    def resume(self, run_id: int, server_is_up: bool) -> PipelineResult:
        """Finish what is unfinished of a run, unless the server is driving it."""
        runs.forget()
        run = runs.get_run(run_id)
        if run.status == runs.RunStatus.COMPLETED:
            return self._describe(run)
        in_progress = run.status in (runs.RunStatus.INITIAL, runs.RunStatus.RUNNING)
        of_the_server = server_is_up and in_progress and not marks.is_marked(run)
        finished = {b.block_uuid for b in run.block_runs if b.status in runs.FINISHED}
        products.require_fresh(runs.load_pipeline(run.pipeline_uuid, self.project), finished)
        if of_the_server or not runs.take(run):
            raise BusyError(
                f"pipeline run {run_id}: the server's scheduler is driving it",
                "watch it in the user interface, or stop `mlops up` first",
            )
        runs.reopen(run)
        return self._drive([run_id])[0]

    def stale_runs(self) -> tuple[StaleRun, ...]:
        """Return the marked runs in progress; a child goes on with its parent, not by itself."""
        runs.forget()
        return tuple(
            StaleRun(run.id, run.pipeline_uuid, run.started_at.isoformat(timespec="seconds"))
            for run in runs.marked_runs()
            if marks.parent_of(run) is None
        )

    def product_is_fresh(self, name: str) -> bool:
        """Tell whether a product need not be built."""
        runs.forget()
        return products.product_is_fresh(products.load_product(name))

    def latest_build(self, name: str) -> PipelineResult | None:
        """Return a product's newest completed build."""
        runs.forget()
        run = products.latest_build(products.load_product(name))
        return None if run is None else self._describe(runs.get_run(run.id))

    def _drive(self, run_ids: Sequence[int]) -> tuple[PipelineResult, ...]:
        Drive(self.settings, self.emit).until_done(run_ids)
        runs.forget()
        return tuple(self._describe(runs.get_run(run_id)) for run_id in run_ids)

    def _describe(self, run: PipelineRun) -> PipelineResult:
        return outcomes.describe(run, self.project, self.settings.logs)
