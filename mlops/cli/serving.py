"""`mlops serve` and `mlops keys`: the online server, and who may ask it."""

import logging
from datetime import datetime, timezone
from typing import Annotated, Optional

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AsJson, SetOption, examples, settings_from
from mlops.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "serve",
        epilog=examples(
            "mlops serve",
            "mlops serve --workers 2 --port 8080",
            "mlops serve --set serving.host=0.0.0.0 --set serving.max_trips=50000",
        ),
    )(serve)
    keys = typer.Typer(help="API keys of the online server.", no_args_is_help=True)
    keys.command("add", epilog=examples("mlops keys add batch-team --days 90"))(add)
    keys.command("list")(list_)
    keys.command("revoke", epilog=examples("mlops keys revoke batch-team", "mlops keys revoke 2"))(
        revoke
    )
    app.add_typer(keys, name="keys")


def serve(
    workers: Annotated[Optional[int], typer.Option(help="Processes that answer requests.")] = None,
    port: Annotated[Optional[int], typer.Option()] = None,
    set_: SetOption = None,
) -> None:
    """Answer predictions over HTTP with the champion, until Ctrl-C.

    A promotion takes effect within seconds, without a restart. Callers need an API key; the first
    one is generated at the first start and shown once.
    """
    settings = settings_from(set_, {"serving.workers": workers, "serving.port": port})
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    logging.getLogger("mlops").setLevel(logging.INFO)

    from mlops.serving.processes.supervisor import serve as run

    run(settings, lambda line: print(line, flush=True))


def add(
    name: Annotated[str, typer.Argument(help="Name of the caller, for the prediction log.")],
    days: Annotated[
        Optional[float], typer.Option(help="Days until the key expires.", show_default="never")
    ] = None,
) -> None:
    """Create a key and show it once.

    To rotate a key, add a new one, let the caller switch to it, and revoke the old one.
    """
    from mlops.serving.http.keys import add_key

    key, token = add_key(load_settings().served, name, days)
    print(token)
    until = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "without end"
    terminal(stderr=True).print(f"key {key.number} for {name}, {until}; it is shown only once")


def list_(as_json: AsJson = False) -> None:
    """List all keys that were ever created, without their secret values."""
    from mlops.serving.http.keys import read_keys

    now = datetime.now(timezone.utc)
    rows = [
        {
            "number": key.number,
            "name": key.name,
            "valid": key.is_valid(now),
            "created": f"{key.created_at:%Y-%m-%d %H:%M}",
            "expires": f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "",
            "revoked": f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "",
        }
        for key in read_keys(load_settings().served)
    ]
    show_rows(rows, as_json=as_json, empty="no key yet; create one with: mlops keys add NAME")


def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME|NUMBER", help="Caller or number of a key.")],
) -> None:
    """Revoke keys; servers refuse them within a second."""
    from mlops.serving.http.keys import revoke_keys

    for key in revoke_keys(load_settings().served, name):
        print(f"revoked key {key.number} of {key.name}")
