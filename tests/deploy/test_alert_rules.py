"""Every alert, by Prometheus' own unit tests: it fires on its fault, alone, then it is over."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from alert_cases import CASES, Case

PROMETHEUS = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARDS = PROMETHEUS.parent / "grafana" / "dashboards"
PROMTOOL = shutil.which("promtool")
GRAFANA = "https://grafana.example"
ALERTS = [
    rule
    for file in RULES
    for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
    for rule in group["rules"]
]

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool: install Debian's package prometheus"
)


def promtool(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@needs_promtool
def test_the_configuration_and_all_rules_are_valid() -> None:
    done = promtool("check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    for file in RULES:
        assert str(file.name) in done.stdout


@needs_promtool
@pytest.mark.parametrize("every", sorted({case.every for case in CASES}))
def test_every_alert_fires_alone_on_its_fault_and_resolves(tmp_path: Path, every: int) -> None:
    done = run_cases(tmp_path, every, [unit_test(case) for case in CASES if case.every == every])

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in ALERTS}
    assert len(ALERTS) == len({rule["alert"] for rule in ALERTS})


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_how_bad_where_to_look_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("error", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "dashboard", "command"}
    dashboards = {path.stem for path in DASHBOARDS.glob("*.json")}
    link = re.fullmatch(
        r"\{\{ \$externalLabels\.grafana \}\}/d/mlops-(\w+)(\?.*)?",
        rule["annotations"]["dashboard"],
    )
    assert link and link[1] in dashboards


@needs_promtool
@pytest.mark.parametrize("every", sorted({case.every for case in CASES}))
def test_what_an_alert_says_can_be_read(tmp_path: Path, every: int) -> None:
    """Promtool shows what it got where it is told to expect nothing."""
    cases = [case for case in CASES if case.every == every]
    asked = [
        {
            **unit_test(case),
            "promql_expr_test": [],
            "alert_rule_test": [
                {"eval_time": f"{case.fires}m", "alertname": case.alert, "exp_alerts": []}
            ],
        }
        for case in cases
    ]

    done = run_cases(tmp_path, every, asked)
    said = (done.stdout + done.stderr).split("alertname: ")[1:]

    assert len(said) == len(cases)
    for case, text in zip(cases, said, strict=True):
        assert text.startswith(case.alert), text
        assert not re.search(r"no value|error expanding|%!", text), text
        assert f"{GRAFANA}/d/mlops-" in text
        for words in case.says:
            assert words in text, text


def run_cases(
    folder: Path, every: int, tests: list[dict[str, Any]]
) -> subprocess.CompletedProcess[str]:
    path = folder / "cases.yml"
    content = {
        "rule_files": [str(file) for file in RULES],
        "evaluation_interval": f"{every}m",
        "tests": tests,
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return promtool("test", "rules", path)


def unit_test(case: Case) -> dict[str, Any]:
    """Return a case as promtool wants it."""

    def at(minute: int, others: int, own: int) -> list[dict[str, Any]]:
        firing = f'ALERTS{{alertstate="firing",alertname{{}}"{case.alert}"}}'
        return [
            {
                "expr": f"count({firing.replace('{}', sign)}) or vector(0)",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": many}],
            }
            for sign, many in (("=", own), ("!=", others))
        ]

    expected = [(minute, 0, 0) for minute in case.silent]
    expected += [(case.fires, 0, 1), (case.resolved, 0, 0)]
    return {
        "name": f"{case.alert} at {case.fires}",
        "interval": f"{case.every}m",
        "external_labels": {"grafana": GRAFANA},
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": [test for each in expected for test in at(*each)],
    }
