"""`mlops run`: the main job, from raw rows to a gated champion and its predictions."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.markup import escape

from mlops.cli.display import RunDisplay, error_columns, show_rows, terminal
from mlops.cli.options import AllowMismatch, AsJson, SetOption, examples, overrides_from
from mlops.datasets.opening import dataset_of
from mlops.errors import CandidateFailureError, GateRefusalError
from mlops.settings import DEFAULT_DATASET, Settings, dataset_option, load_settings

REAL_MONTHS = "mlops run --source tlc --months 2024-01..2024-02"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "run",
        epilog=examples(
            "mlops run",
            "mlops run --source tlc --months 2024-01..2024-02",
            "mlops run --source path --location s3://bucket/trips --months 2024-01..2024-03",
            "mlops run --families lasso,random_forest --max-evals 20 --promote",
            "mlops run --train-data jan.parquet --validation-data feb.parquet",
            "mlops run --dataset flights --months 2013-01..2013-05",
            "mlops run --resume",
        ),
    )(run)


def run(
    source: Annotated[Optional[str], typer.Option(help="sample, tlc or path.")] = None,
    months: Annotated[Optional[str], typer.Option(help="E.g. 2024-01..2024-02.")] = None,
    taxi: Annotated[Optional[str], typer.Option(help="green or yellow.")] = None,
    location: Annotated[
        Optional[str],
        typer.Option(help="With --source path: folder, base URL or files."),
    ] = None,
    train_data: Annotated[Optional[Path], typer.Option(help="A file of training rows.")] = None,
    validation_data: Annotated[
        Optional[Path],
        typer.Option(help="A later file: its first half guides the search."),
    ] = None,
    test_data: Annotated[
        Optional[Path],
        typer.Option(help="A still later file for the gate. Default: the second half."),
    ] = None,
    families: Annotated[Optional[str], typer.Option(help="E.g. lasso,random_forest.")] = None,
    objectives: Annotated[Optional[str], typer.Option(help="E.g. squared_error.")] = None,
    max_evals: Annotated[Optional[int], typer.Option(help="Trials per candidate.")] = None,
    time_budget: Annotated[Optional[float], typer.Option(help="Seconds per search.")] = None,
    seed: Annotated[Optional[int], typer.Option(help="Seed of every random choice.")] = None,
    workers: Annotated[
        Optional[int], typer.Option(help="Number of blocks that run at the same time.")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Promote a winner that passes the gate to champion.")
    ] = False,
    allow_mismatch: AllowMismatch = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build the training set again.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last interrupted job.")
    ] = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Run the main job: prepare data, train all candidates, select a model and predict."""
    named = {
        "source": source,
        "months": months,
        "taxi": taxi,
        "location": location,
        "families": families,
        "objectives": objectives,
        "max_evals": max_evals,
        "time_budget": time_budget,
        "seed": seed,
        "workers": workers,
        "allow_mismatch": allow_mismatch or None,
    }
    overrides = overrides_from(set_, named)

    from mlops.orchestration.engine.engine import require_free
    from mlops.orchestration.triggers.admission import check_job

    if train_data is not None:
        from mlops.cli.explicit_data import source_of
        from mlops.training.choice import check_training

        settings = load_settings(overrides)
        check_training(settings.training)  # before files are read, which takes a while
        clock = settings.validation.clock
        overrides |= source_of(train_data, validation_data, test_data, taxi or "green", clock)
    if resume:
        from mlops.orchestration.jobs.journal import Journal

        overrides = {**Journal.read(load_settings(overrides)).variables, **overrides}
        promote = bool(overrides.pop("promote", False)) or promote
    settings = load_settings(overrides)
    check_job(settings)
    require_free(settings)
    console = terminal(stderr=as_json)
    console.print(f"[bold]Source:[/] {escape(dataset_of(settings).source_in_words(settings))}")
    started = time.monotonic()

    from mlops.orchestration.jobs.journal import begin_job, resume_command
    from mlops.orchestration.jobs.main_job import objection, run_main_job
    from mlops.registry.listing import find_version

    note = objection(settings, promote=promote)
    if note:
        console.print(f"[yellow]Note[/] {note} (--allow-mismatch permits it)")
    with begin_job(settings, {**overrides, "promote": promote}, resume=resume) as begun:
        console.print("[dim]loading Mage …[/]")
        job = run_main_job(settings, begun, RunDisplay(console), rebuild=rebuild)
    selection = job.results["model_selection"]
    judgement = selection.output("judge_challenger")
    registered = selection.output("register_challenger")
    scored = None
    if "batch_inference" in job.results:
        scored = job.results["batch_inference"].output("score_trips")
    seconds = time.monotonic() - started
    champion = find_version(settings, "champion")
    if as_json:
        content = {
            "seconds": seconds,
            "runs": {name: result.run_id for name, result in job.results.items()},
            "candidates": judgement["candidates"],
            "failed": job.failed_candidates,
            "verdict": judgement["verdict"],
            "registered": registered,
            "champion": champion and champion.version,
            "predictions": scored,
        }
        print(json.dumps(content, indent=1, default=str))
    else:
        _show_outcome(console, settings, judgement, registered, scored, seconds)
        if champion is not None and champion.version != registered["champion"]:
            console.print(
                f"[bold]Champion[/] is version {champion.version}, which was deployed or restored "
                "while this job ran (mlops deployments)"
            )
    if job.failed_candidates:
        causes = "; ".join(f"{name}: {why}" for name, why in job.failed_candidates.items())
        again = resume_command(settings)
        raise CandidateFailureError(
            f"{len(job.failed_candidates)} of the candidates failed, the others were compared: "
            f"{causes}",
            f"read the log and fix the cause; then train them again with: {again}",
        )
    if (promote or scored is None) and not judgement["verdict"]["passed"]:
        raise GateRefusalError(
            f"no new champion: {judgement['verdict']['summary']}",
            "see every rule with: mlops models --verdict"
            + dataset_option(settings.dataset)
            + "; then fix the data or extend the search",
        )


def candidate_rows(candidates: list[Mapping[str, Any]], winner: str) -> list[dict[str, Any]]:
    """The final table: one row per candidate, the best validation RMSE first."""
    rows = []
    for report in candidates:
        metrics = report.get("metrics") or {}
        rows.append(
            {
                "candidate": report["family"],
                "": "◀ winner" if report["family"] == winner else _mark(report),
                "validation_RMSE": report.get("validation_rmse"),
                "test_RMSE": metrics.get("rmse"),
                **error_columns(metrics),
                "trials": report.get("trials"),
                "seconds": report.get("seconds"),
            }
        )
    return rows


def _mark(report: Mapping[str, Any]) -> str:
    error = str(report.get("error") or "")
    return f"✗ failed: {error.splitlines()[0]}" if error else str(report.get("note", ""))


def _show_outcome(
    console: Console,
    settings: Settings,
    judgement: Mapping[str, Any],
    registered: Mapping[str, Any],
    scored: Mapping[str, Any] | None,
    seconds: float,
) -> None:
    sample = settings.source.kind == "sample" and settings.dataset == DEFAULT_DATASET
    words = dataset_of(settings).words
    synthetic = f" (synthetic {words.rows})" if sample else ""
    of_unit = f" in {words.unit}" if words.unit else ""
    console.print()
    show_rows(
        candidate_rows([*judgement["candidates"], *judgement["untrained"]], judgement["winner"]),
        as_json=False,
        title=f"Candidates{synthetic}: errors{of_unit} on the untouched test window",
        console=console,
    )
    verdict = judgement["verdict"]
    colour = "green" if verdict["passed"] else "yellow"
    console.print(f"[bold {colour}]Gate[/] {verdict['summary']}")
    console.print(f"[bold]Registry[/] {registered['summary']}")
    predictions = "none, because there is no champion yet"
    if scored:
        predictions = scored["summary"]
    elif registered["champion"] is not None:
        other = f"version {registered['champion']}, the champion, was trained on other {words.rows}"
        predictions = f"none, because {other}"
    console.print(f"[bold]Predictions[/] {predictions}")
    console.print(f"[bold]Time[/] {seconds:.0f} s")
    console.print()
    of = dataset_option(settings.dataset)
    console.print(
        f"Look closer:  mlops models{of} · mlops status{of} · mlops up (Mage and MLflow pages)"
    )
    if sample:
        console.print(f"The real months:  {REAL_MONTHS}")
