"""A report: the worst first, one sentence per subject, a summary a person can read."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from mlops.monitoring.findings.report import Finding, WindowReport, worst_first


def finding(subject: str, score: float | None, outcome: str, **more: Any) -> Finding:
    values: dict[str, Any] = {
        "kind": "drift",
        "subject": subject,
        "statistic": "psi",
        "value": 0.3,
        "reference": 0.0,
        "unit": "",
        "limit": 0.1,
        "score": score,
        "interval": None,
        "rows": 5_000,
        "outcome": outcome,
        "why": f"{subject} by {more.get('statistic', 'psi')}",
    }
    return Finding(**values | more)


def report(*findings: Finding) -> WindowReport:
    return WindowReport(
        window="w",
        version="7",
        start=datetime(2024, 2, 1),
        end=datetime(2024, 2, 3, 12),
        created_at=datetime(2024, 2, 4, tzinfo=timezone.utc),
        rows=5_000,
        refused=0,
        labelled=0,
        findings=worst_first(findings),
    )


def test_alarms_come_first_and_the_worst_of_them_at_the_top() -> None:
    found = report(
        finding("quiet", 1.0, "ok"),
        finding("odd", 6.0, "alarm"),
        finding("odder", 9.0, "alarm"),
        finding("impossible", None, "alarm", kind="stability"),
        finding("unknown", None, "unjudged"),
    )

    assert [f.subject for f in found.alarms] == ["impossible", "odder", "odd"]
    assert found.violated == {"drift", "stability"}
    assert found.worst("drift") == found.alarms[1]
    assert found.worst("quality") is None


def test_one_sentence_per_subject() -> None:
    found = report(finding("zone", 9.0, "alarm", statistic="js"), finding("zone", 6.0, "alarm"))

    assert found.reasons == ("zone by js",)


def test_summaries() -> None:
    quiet = report(finding("quiet", 1.0, "ok"))
    two = report(finding("zone", 9.0, "alarm"), finding("vendor", 6.0, "alarm"))

    when = "5,000 rows of 2024-02-01 00:00 to 2024-02-03 12:00"
    assert quiet.summary() == f"{when}: nothing unusual"
    assert two.summary() == f"{when}: zone by psi (and 1 more)"
