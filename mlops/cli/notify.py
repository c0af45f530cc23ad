"""`mlops notify`: do messages arrive?"""

import json
from typing import Annotated

import typer

from mlops.cli.display import show_rows
from mlops.cli.options import AsJson, SetOption, examples, settings_from
from mlops.errors import ConfigurationError, NotificationError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "notify",
        epilog=examples(
            "MLOPS_NOTIFICATIONS__SLACK_WEBHOOKS=https://… mlops notify --test",
            "MLOPS_NOTIFICATIONS__SMTP_URL=smtp://user:password@host:587 \\",
            "  MLOPS_NOTIFICATIONS__MAIL_TO=ops@example.org mlops notify --test",
        ),
    )(notify)


def notify(
    test: Annotated[
        bool, typer.Option("--test", help="Send one message to every channel that is configured.")
    ] = False,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """List the channels that alerts are sent to; with --test, send a message to each."""
    settings = settings_from(set_)

    from mlops.notifications.alerts import Alert
    from mlops.notifications.channels import channels_of
    from mlops.notifications.delivery import deliver

    channels = channels_of(settings.notifications)
    if not channels:
        raise ConfigurationError(
            "notifications: no channel is configured, so nobody is notified",
            "set one of notifications.smtp_url, slack_webhooks, teams_webhooks, webhooks",
        )
    if not test:
        show_rows([{"channel": channel.name} for channel in channels], as_json=as_json)
        return
    alert = Alert(
        kind="test",
        incident="test",
        title="a test of the notifications",
        text="If you can read this, alerts reach you.",
        facts={"environment": settings.environment, "home": str(settings.home)},
    )
    delivery = deliver(channels, alert, settings.notifications.timeout_seconds)
    rows = [
        {"channel": sent.channel, "delivered": sent.delivered, "detail": sent.detail}
        for sent in delivery.sent
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        show_rows(rows, as_json=False)
    failed = [sent.channel for sent in delivery.sent if not sent.delivered]
    if failed:
        raise NotificationError(
            f"{', '.join(failed)}: not delivered", "check the address, and that it can be reached"
        )
