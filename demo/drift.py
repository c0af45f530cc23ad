"""The whole loop on real servers, in a folder of its own."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from demo.facts import DemoFacts
from demo.inbox import Inbox
from demo.plan import EMAIL, DemoSize, settings_for
from demo.servers import Servers, own_environment
from demo.story import Story
from mlops.errors import ConfigurationError
from mlops.orchestration.runs.lock import HomeLock
from mlops.orchestration.triggers.access import PASSWORD_VARIABLE

MARK: Final = "home-of-the-demonstration"


def perform(
    home: Path,
    size: DemoSize,
    say: Callable[[str], None] = print,
    linger: Callable[[], None] = lambda: None,
) -> tuple[DemoFacts, Inbox]:
    """Tell the story from the first training to the end of the alert.

    Args:
        home: Folder for everything; what an earlier demonstration left there goes first. It is
            left as it is at the end.
        size: How much of everything.
        say: Given each line for the person who watches.
        linger: Called at the end, while the servers still run.

    Returns:
        What happened, and the messages that arrived.

    Raises:
        ConfigurationError: If the folder holds something else.
        BusyError: If a demonstration is in progress there.
        MlopsError: If the loop does not close, with the last lines of the logs.
    """
    lock = HomeLock(_lock_file(home), "the demonstration of drift")
    lock.acquire()
    try:
        _make_anew(home)
        password = secrets.token_urlsafe(12)
        with own_environment(), Inbox() as inbox:
            given = settings_for(size, home, inbox.url)
            with Servers(home, given, {PASSWORD_VARIABLE: password}) as servers:
                story = Story(servers, inbox, size, say)
                story.learn()
                story.open_up(
                    (
                        f"{story.settings.mage_url}  sign in as {EMAIL}, password {password}",
                        f"http://127.0.0.1:{story.settings.server.mlflow_port}  MLflow",
                    )
                )
                story.be_quiet()
                story.close_the_bridge()
                story.learn_again()
                story.recover()
                story.summarize()
                linger()
                say("the servers stop …")
        return story.facts, inbox
    finally:
        lock.release()


def remove(home: Path) -> None:
    """Remove the folder of a demonstration, if it is one."""
    if (home / MARK).exists():
        shutil.rmtree(home)
        _lock_file(home).unlink(missing_ok=True)


def _make_anew(home: Path) -> None:
    if (home / MARK).exists():
        shutil.rmtree(home)
    elif home.exists() and any(home.iterdir()):
        raise ConfigurationError(
            f"{home}: this folder holds something else than a demonstration",
            "name another one: python -m demo --home FOLDER",
        )
    (home / "source").mkdir(parents=True)
    (home / MARK).touch()


def _lock_file(home: Path) -> Path:
    """Return the lock's file, beside the folder: it must outlive what is removed."""
    return home.with_name(f"{home.name}.lock")
