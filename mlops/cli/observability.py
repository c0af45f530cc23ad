"""`mlops observe`: tables for dashboards and metrics for Prometheus, without `mlops up`."""

import logging
import signal
import threading

import typer

from mlops.cli.options import SetOption, examples, settings_from


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "observe",
        epilog=examples(
            "mlops observe",
            "mlops observe --set observability.refresh_seconds=60",
        ),
    )(observe)


def observe(set_: SetOption = None) -> None:
    """Watch pipelines and models for Prometheus and the dashboards, until Ctrl-C.

    `mlops up` includes this. Use the command on a machine where `mlops up` does not run.
    """
    settings = settings_from(set_)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    from mlops.observability.observer import observe as watch

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    where = settings.observability
    watch(
        settings,
        stop,
        lambda: print(
            f"metrics http://{where.metrics_host}:{where.metrics_port}/metrics", flush=True
        ),
    )
