"""A small project with one version, windows as monitoring stores them, and a reader of pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.wording import DatasetWords
from mlops.monitoring.findings.policy import Champion, Decision, WindowOutcome
from mlops.monitoring.findings.records import DecisionRecord, WindowRecord
from mlops.monitoring.findings.report import Finding, WindowReport
from mlops.registry.versions import VersionInfo
from mlops.settings import Settings, load_settings

# What somebody may type where a reason or a name is asked for.
HOSTILE = "</style></td><script>alert('x')</script><img src=http://evil.example/a onerror=x>&\"'"
START = datetime(2024, 3, 1, tzinfo=timezone.utc)

_VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})
# Where a browser would fetch something from.
_LOADING = frozenset({"src", "href", "xlink:href", "data", "action", "poster", "srcset", "style"})


@dataclass
class Page(HTMLParser):
    """What is in a page, as a browser would take it apart."""

    html: str
    open_tags: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open_tags]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)
        if tag not in _VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open_tags or self.open_tags.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] == "style":
            self.loads += re.findall(r"url\([^)]*\)|@import[^;]*", data)
        else:
            self.texts.append(data)

    def _look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name.startswith("on"):
                self.problems.append(f"<{tag} {name}>")
            if name in _LOADING and value:
                local = value.startswith("#") or (
                    name == "style" and not re.search(r"url\((?!#)", value)
                )
                self.targets += [value[1:]] if value.startswith("#") else []
                self.loads += [] if local else [f"{tag} {name}={value}"]

    @property
    def text(self) -> str:
        """Everything that is read, in order."""
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="session")
def read_page() -> Callable[[str], Page]:
    """Return a reader that takes a page apart and holds it to being whole and self-contained."""

    def read(html: str) -> Page:
        page = Page(html)
        assert page.problems == []
        assert page.loads == []
        assert len(page.ids) == len(set(page.ids))
        assert set(page.targets) <= set(page.ids)
        assert "script" not in page.tags
        return page

    return read


@dataclass(frozen=True)
class Project:
    """A home in which the steps of `model_selection` have run once."""

    settings: Settings
    variables: dict[str, Any]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a home with one selection and one version, made by the real steps without Mage."""
    from mlops.steps import candidates, data_preparation, model_selection, training

    variables: dict[str, Any] = {
        "home": str(tmp_path_factory.mktemp("project")),
        "source.sample_rows": 2_000,
        "source.months": "2024-01..2024-02",
        "training.max_evals": 2,
        "training.families": "global_mean",
        "training.objectives": "squared_error",
        "pipeline_run_id": 7,
    }
    extraction = data_preparation.extract(variables)
    validated = data_preparation.validate(extraction, variables)
    manifest = data_preparation.publish(data_preparation.build(validated, variables), variables)
    routes = data_preparation.publish_route_statistics([manifest], variables)
    for fan in (training.families, training.objectives):
        for item in fan([manifest], [routes], variables)[0]:
            assert training.tune_and_train(item, variables)["status"] == "finished"
    items, _ = candidates.newest_candidates([manifest], [routes], variables)
    reports = [candidates.refit_and_evaluate(item, variables) for item in items]
    judgement = model_selection.judge_candidates(reports, variables)
    registered = model_selection.register(json.loads(json.dumps(judgement)), variables)
    assert registered["version"] == 1, registered
    return Project(load_settings(variables, strict=False), variables)


@pytest.fixture(scope="session")
def trips(sample_history: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Return finished trips of a month."""
    return sample_history("2024-01", rows=3_000)


@pytest.fixture(scope="session")
def predicted(trips: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return minutes with bounds that hold about 80 % of durations."""
    actual = trips["duration_minutes"].to_numpy()
    middle = actual * np.random.default_rng(0).lognormal(0, 0.3, len(actual))
    return np.column_stack([middle, 0.7 * middle, 1.45 * middle])


@pytest.fixture(scope="session")
def words() -> DatasetWords:
    """Return how people speak of trips."""
    return TaxiTrips().words


@pytest.fixture(scope="session")
def hostile() -> str:
    """Return what somebody may type to break a page."""
    return HOSTILE


@pytest.fixture(scope="session")
def by_hand() -> VersionInfo:
    """Return a version that somebody registered by hand."""
    return VersionInfo(
        version=5,
        aliases=("champion",),
        run_id="",
        source="/somewhere",
        created_at=START,
        promoted_at=START,
        promotion_reason=HOSTILE,
        promoted_by=HOSTILE,
        receipt=None,
        evaluation=None,
        verdict=None,
    )


def finding(kind: str, subject: str, statistic: str, **more: Any) -> Finding:
    values: dict[str, Any] = {
        "value": 0.05,
        "reference": 0.0,
        "unit": "",
        "limit": 0.1,
        "score": 1.0,
        "interval": None,
        "rows": 5_000,
        "outcome": "ok",
        "why": f"{subject} {statistic}",
        **more,
    }
    return Finding(kind=kind, subject=subject, statistic=statistic, **values)


@pytest.fixture(scope="session")
def make_window() -> Callable[..., WindowRecord]:
    """Return a maker of windows: quiet, or with alarms; labelled, or not."""

    def make(number: int = 0, *, alarming: bool = False, labelled: bool = True) -> WindowRecord:
        outcome = "alarm" if alarming else "ok"
        rmse = 6.0 if alarming else 4.0
        errors = [
            finding(
                "performance", subject, statistic, value=value, reference=usual, unit=unit,
                limit=limit, interval=(value - 0.1, value + 0.1), outcome=outcome,
            )
            for subject in ("all rows", "hour: night", "hour: evening", "pickup borough: Bronx")
            for statistic, value, usual, unit, limit in (
                ("rmse", rmse, 4.0, "min", 4.4),
                ("mae", rmse - 1.5, 2.5, "min", 2.75),
                ("bias", -1.0 if alarming else 0.1, 0.0, "min", -0.4),
                ("coverage", 0.7 if alarming else 0.8, 0.8, "%", 0.75),
            )
        ]  # fmt: skip
        findings = [
            finding(
                "drift", "pickup_zone", "psi", value=0.3 if alarming else 0.02, outcome=outcome
            ),
            finding("drift", "pickup_zone", "js", value=0.01, limit=None, outcome="unjudged"),
            finding("drift", "trip_distance", "ks", value=0.04),
            finding("quality", "missing vendor_id", "share", value=0.0, unit="%", limit=0.01),
            finding("stability", "predictions", "infinite", value=0.0, unit="trips", limit=0.0),
        ]
        start = START + timedelta(days=number)
        end = start + timedelta(days=1)
        return WindowRecord(
            window=f"v1-served-{start:%Y%m%dT%H%M}",
            origin="served",
            version=1,
            start=start,
            end=end,
            trips=5_000,
            labelled=4_000 if labelled else 0,
            report=WindowReport(
                window=f"v1-served-{start:%Y%m%dT%H%M}",
                version="1",
                start=start.replace(tzinfo=None),
                end=end.replace(tzinfo=None),
                created_at=end,
                rows=5_000,
                refused=3,
                labelled=4_000 if labelled else 0,
                findings=(*errors, *findings) if labelled else tuple(findings),
            ),
        )

    return make


@pytest.fixture(scope="session")
def decide() -> Callable[..., DecisionRecord]:
    """Return a maker of decisions to retrain because of windows."""

    def make(*windows: WindowRecord, problem: str = "") -> DecisionRecord:
        return DecisionRecord(
            decision=Decision(
                step="retrain",
                at=windows[-1].end,
                reasons=("2 of the last 3 windows show a change of drift",
                         *windows[-1].report.reasons),
                champion=Champion(version="1", promoted_at=START),
                windows=tuple(WindowOutcome.of(w.report, w.end) for w in windows),
            ),
            run_id=4,
            started="" if problem else "retraining",
            started_run=None if problem else 12,
            problem=problem,
            command="mlops retrain",
        )  # fmt: skip

    return make
