"""`mlops pipeline run` and `mlops status`: single pipelines, and what ran."""

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.markup import escape

from mlops.cli.display import RunDisplay, show_rows, terminal
from mlops.cli.options import AsJson, SetOption, examples, parse_assignments, settings_from
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError
from mlops.orchestration.engine.interruption import interruptible
from mlops.settings import PROJECT_ROOT, load_settings

if TYPE_CHECKING:
    from mlops.orchestration.runs.contract import PipelineResult

# Most blocks need it, and each child would import it again.
PRELOAD = ("sklearn.utils",)

pipeline_app = typer.Typer(no_args_is_help=True, help="Run, resume or list pipelines.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(pipeline_app, name="pipeline")
    app.command(
        "status",
        epilog=examples(
            "mlops status",
            "mlops status --last 30 --json",
        ),
    )(status)


def pipeline_names() -> list[str]:
    """The project's pipelines, by name."""
    return sorted(path.parent.name for path in PROJECT_ROOT.glob("pipelines/*/metadata.yaml"))


@pipeline_app.command(
    "list",
    epilog=examples(
        "mlops pipeline list",
        "mlops pipeline list --json",
    ),
)
def list_pipelines(as_json: AsJson = False) -> None:
    """List all pipelines and what they do."""
    import yaml

    rows = []
    for name in pipeline_names():
        text = (PROJECT_ROOT / "pipelines" / name / "metadata.yaml").read_text(encoding="utf-8")
        rows.append({"pipeline": name, "what it does": yaml.safe_load(text)["description"]})
    show_rows(rows, as_json=as_json)


@pipeline_app.command(
    "run",
    epilog=examples(
        "mlops pipeline run data_preparation --var months=2024-01..2024-03",
        "mlops pipeline run sklearn_training --var families=lasso --var max_evals=20",
        "mlops pipeline run model_selection --var promote=true",
    ),
)
def run_pipeline(
    name: Annotated[str, typer.Argument(help="Name of a pipeline from: mlops pipeline list.")],
    var: Annotated[
        Optional[list[str]],
        typer.Option("--var", metavar="NAME=VALUE", help="A setting or run-time variable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run one pipeline to its end."""
    if name not in pipeline_names():
        raise ConfigurationError(
            f"there is no pipeline {name!r}", f"choose one of: {', '.join(pipeline_names())}"
        )
    variables = parse_assignments(var, "--var")

    from mlops.orchestration.engine.engine import Engine, PipelineRequest, require_free
    from mlops.orchestration.triggers.admission import check_run

    settings = check_run(name, variables)
    require_free(settings)
    console = terminal(stderr=as_json)
    display = RunDisplay(console)
    with interruptible(lambda: _again(name, var, display.runs)):
        engine = Engine(settings, on_event=display, preload=PRELOAD)
        (result,) = engine.run(PipelineRequest(name, variables))
    _show(result, as_json)


def _again(name: str, var: Sequence[str] | None, runs: Sequence[int]) -> str:
    """Return the command that continues a run, or starts it if there is none yet."""
    if runs:
        return f"mlops pipeline resume {runs[0]}"
    options = (part for assignment in var or () for part in ("--var", assignment))
    return shlex.join(["mlops", "pipeline", "run", name, *options])


@pipeline_app.command("resume", epilog=examples("mlops pipeline resume 12"))
def resume_pipeline(
    run: Annotated[int, typer.Argument(help="Number of the run; see: mlops status.")],
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Resume a run that was killed, cancelled or failed; finished blocks do not run again."""
    settings = settings_from(set_)

    from mlops.orchestration.engine.engine import Engine, require_free
    from mlops.orchestration.runs.history import require_run

    require_run(settings, run)
    require_free(settings)
    console = terminal(stderr=as_json)
    with interruptible(lambda: f"mlops pipeline resume {run}"):
        result = Engine(settings, on_event=RunDisplay(console), preload=PRELOAD).resume(run)
    _show(result, as_json)


def _show(result: "PipelineResult", as_json: bool) -> None:
    """Print how each block ended; raise if one failed."""
    from mlops.orchestration.runs.failures import require_success

    rows = [
        {
            "block": block.block,
            "status": block.status,
            "seconds": block.seconds,
            "log": str(block.log),
            "error": block.error,
        }
        for block in result.blocks
    ]
    if as_json:
        content = {
            "pipeline": result.pipeline,
            "run": result.run_id,
            "status": result.status,
            "blocks": rows,
        }
        print(json.dumps(content, indent=1, default=str))
    else:
        show_rows(
            rows, as_json=False, title=f"{result.pipeline}, run {result.run_id}: {result.status}"
        )
    require_success(result, f"mlops pipeline resume {result.run_id}")


def status(
    last: Annotated[int, typer.Option(help="Number of runs to show.")] = 12, as_json: AsJson = False
) -> None:
    """Show the training set in use and the last pipeline runs."""
    settings = load_settings()

    from mlops.data.store.manifests import current_training_set
    from mlops.orchestration.engine.changed_code import changed_code
    from mlops.orchestration.runs.history import recent_runs
    from mlops.orchestration.runs.liveness import with_interruptions
    from mlops.registry.lookup import champion_trouble

    runs = with_interruptions(settings, recent_runs(settings, last))
    manifest = current_training_set(settings)
    console = terminal(stderr=as_json)
    trouble = champion_trouble(settings)
    for line in filter(None, (changed_code(settings), trouble.in_one_line if trouble else "")):
        console.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)
    if not as_json:
        if manifest is None:
            console.print("training set: none yet; build it with: mlops run")
        else:
            extraction = manifest.extraction
            rows = dataset_of(settings).words.count(manifest.rows)
            console.print(
                f"training set {manifest.sha256[:12]}: {rows}, "
                f"{', '.join((str(extraction.origin), *extraction.months))}, "
                f"built {manifest.created_at:%Y-%m-%d %H:%M} UTC"
            )
    show_rows(runs, as_json=as_json, title="Last pipeline runs", empty="no pipeline has run yet")
