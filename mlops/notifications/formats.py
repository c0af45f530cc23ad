"""One alert in the words of each channel. Pure."""

from __future__ import annotations

from typing import Any, Final

from mlops.notifications.alerts import Alert, Severity

_COLOURS: Final[dict[Severity, str]] = {
    "info": "#2e7d32",
    "warning": "#ed6c02",
    "error": "#c62828",
}
_TEAMS_COLOURS: Final[dict[Severity, str]] = {
    "info": "Good",
    "warning": "Warning",
    "error": "Attention",
}


def as_text(alert: Alert) -> str:
    """Return an alert as the body of a mail."""
    width = max((len(name) for name in alert.facts), default=0)
    facts = "\n".join(f"{name:<{width}}  {value}" for name, value in alert.facts.items())
    act = f"What to do:\n    {alert.command}" if alert.command else ""
    when = f"{alert.at:%Y-%m-%d %H:%M:%S %Z}"
    return "\n\n".join(part for part in (alert.text, facts, act, alert.link, when) if part) + "\n"


def as_json(alert: Alert) -> dict[str, Any]:
    """Return an alert as it is, for programs."""
    content: dict[str, Any] = alert.model_dump(mode="json")
    return content


def as_slack(alert: Alert) -> dict[str, Any]:
    """Return an alert as a message of Slack's incoming webhooks.

    Attachments rather than blocks, because what imitates Slack (Mattermost, Discord, Rocket.Chat)
    knows only those. Format: https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
    """
    lines = [_escaped(alert.text)]
    if alert.command:
        lines.append(f"What to do: `{_escaped(alert.command)}`")
    attachment = {
        "fallback": _escaped(alert.title),
        "color": _COLOURS[alert.severity],
        "text": "\n".join(line for line in lines if line),
        "fields": [
            {"title": _escaped(name), "value": _escaped(value), "short": len(value) < 40}
            for name, value in alert.facts.items()
        ],
        "footer": "mlops",
        "ts": int(alert.at.timestamp()),
        "mrkdwn_in": ["text"],
    }
    if alert.link:
        attachment |= {"title": _escaped(alert.title), "title_link": alert.link}
    return {"text": f"*{_escaped(alert.title)}*", "attachments": [attachment]}


def _escaped(text: str) -> str:
    """Escape what Slack would read as markup, or as a mention of somebody.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_teams(alert: Alert) -> dict[str, Any]:
    """Return an alert as an adaptive card, which Teams' workflows and connectors both take.

    Format: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
    """
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": alert.title,
            "weight": "Bolder",
            "size": "Medium",
            "color": _TEAMS_COLOURS[alert.severity],
            "wrap": True,
        }
    ]
    if alert.text:
        body.append({"type": "TextBlock", "text": alert.text, "wrap": True})
    facts = [{"title": name, "value": value} for name, value in alert.facts.items()]
    if alert.command:
        facts.append({"title": "what to do", "value": alert.command})
    if facts:
        body.append({"type": "FactSet", "facts": facts})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if alert.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Look", "url": alert.link}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}
