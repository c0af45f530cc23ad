"""What the engine does inside Mage. Import only after `environment.boot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mage_ai.orchestration.db.models.schedules import PipelineRun

from mlops.errors import BusyError
from mlops.orchestration.engine.drive import Drive
from mlops.orchestration.products import builds as products
from mlops.orchestration.runs import marks, outcomes
from mlops.orchestration.runs import tables as runs
from mlops.orchestration.runs.contract import Event, PipelineRequest, PipelineResult, StaleRun
from mlops.settings import Settings


@dataclass(frozen=True)
class Conductor:
    """Creates, drives, resumes and describes runs; the methods are those of `Engine`.

    Args:
        settings: The engine's limits.
        project: The Mage project's root.
        emit: Called with each event.
    """

    settings: Settings
    project: Path
    emit: Callable[[Event], None]

    def run(self, requests: Sequence[PipelineRequest]) -> tuple[PipelineResult, ...]:
        """Run pipelines side by side; start none if one of them cannot run as asked."""
        runs.forget()
        for request in requests:
            runs.load_pipeline(request.pipeline, self.project)
        return self._drive([runs.create_run(request, self.project).id for request in requests])

    def resume(
        self, run_id: int, server_is_up: bool, variables: Mapping[str, Any]
    ) -> PipelineResult:
        """Finish what is unfinished of a run, unless the server is driving it."""
        runs.forget()
        run = runs.get_run(run_id)
        outcomes.require_outputs(run, self.project)
        if run.status == runs.RunStatus.COMPLETED:
            return self._describe(run)
        in_progress = run.status in runs.IN_PROGRESS
        of_the_server = server_is_up and in_progress and not marks.is_marked(run)
        if of_the_server or not runs.take(run):
            raise BusyError(
                f"pipeline run {run_id}: the server's scheduler is driving it",
                "watch it in the user interface, or stop `mlops up` first",
            )
        if variables:
            run.update(variables={**(run.variables or {}), **variables})
        runs.reopen(run)
        return self._drive([run_id])[0]

    def cancel(self, run_id: int) -> None:
        """Cancel a run of a killed engine."""
        runs.forget()
        run = runs.get_run(run_id)
        if run.status == runs.RunStatus.RUNNING and marks.is_marked(run):
            runs.cancel(run, runs.load_pipeline(run.pipeline_uuid, self.project))
            runs.close(run)

    def stale_runs(self) -> tuple[StaleRun, ...]:
        """Return the marked runs in progress; a child continues with its parent, not by itself."""
        runs.forget()
        return tuple(
            StaleRun(run.id, run.pipeline_uuid, run.started_at.isoformat(timespec="seconds"))
            for run in runs.marked_runs()
            if marks.parent_of(run) is None
        )

    def product_is_fresh(self, name: str) -> bool:
        """Tell whether a product need not be built."""
        runs.forget()
        return products.fresh_build(products.load_product(name), self.settings) is not None

    def build_in_progress(self, name: str) -> int | None:
        """Return the run that is building a product."""
        runs.forget()
        run = products.build_in_progress(products.load_product(name), self.settings)
        return None if run is None else int(run.id)

    def wait_for(self, run_id: int) -> None:
        """Return once somebody else's build has ended, or nobody drives it any more."""
        products.wait_for_build(run_id, self.settings)

    def _drive(self, run_ids: Sequence[int]) -> tuple[PipelineResult, ...]:
        Drive(self.settings, self.emit).until_done(run_ids)
        runs.forget()
        return tuple(self._describe(runs.get_run(run_id)) for run_id in run_ids)

    def _describe(self, run: PipelineRun) -> PipelineResult:
        return outcomes.describe(run, self.project, self.settings.logs)
