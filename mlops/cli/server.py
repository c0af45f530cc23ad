"""`mlops up`: Mage's editor, its scheduler and the MLflow UI, until Ctrl-C."""

from typing import Annotated

import typer

from mlops.cli.options import SetOption, examples, settings_from


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "up",
        epilog=examples(
            "mlops up",
            "mlops up --set server.mage_port=6790",
            "mlops up --reset-password",
        ),
    )(up)
    app.command("mlflow", epilog=examples("mlops mlflow --set server.mlflow_port=5001"))(mlflow)


def up(
    reset_password: Annotated[
        bool, typer.Option("--reset-password", help="Give the owner a new password and show it.")
    ] = False,
    set_: SetOption = None,
) -> None:
    """Start Mage (editor, triggers, dashboards) and the MLflow UI as one group; Ctrl-C stops all.

    Sign-in is on. The owner's password is generated at the first start and shown once. If one of
    the servers stops unexpectedly, it is restarted.
    """
    settings = settings_from(set_)

    from mlops.orchestration.servers.up import serve

    # A pipe holds back what is not flushed, and its reader waits for the addresses.
    serve(settings, say=lambda line: print(line, flush=True), reset_password=reset_password)


def mlflow(set_: SetOption = None) -> None:
    """Start MLflow's server alone, as `mlops up` does; Ctrl-C stops it.

    It answers only requests whose Host header names it, and accepts no files.
    """
    settings = settings_from(set_)

    from mlops.orchestration.servers.mlflow_server import run

    run(settings)
