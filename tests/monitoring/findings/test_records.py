"""Windows on record: many can be read at little cost, and say the same of what matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.monitoring.findings.alerting import streak_of
from mlops.monitoring.findings.deciding import is_judged
from mlops.monitoring.findings.measurements import ALL_ROWS
from mlops.monitoring.findings.records import WindowRecord, find_window, read_windows, write_window
from mlops.monitoring.findings.report import Finding
from mlops.settings import Settings, load_settings

Maker = Callable[..., WindowRecord]
KINDS = ("drift", "quality", "performance", "skew")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path})


def with_more(record: WindowRecord) -> WindowRecord:
    """Let each kind judge nine more subjects, all quieter, and one that nobody can judge."""

    def more(finding: Finding, number: int) -> Finding:
        outcome = "unjudged" if number == 9 else "ok"
        return finding.model_copy(update={"subject": f"other {number}", "outcome": outcome})

    findings = record.report.findings
    others = tuple(more(finding, number) for number in range(10) for finding in findings)
    report = record.report.model_copy(update={"findings": (*findings, *others)})
    return record.model_copy(update={"report": report})


@pytest.fixture
def records(settings: Settings, make_window: Maker) -> tuple[WindowRecord, ...]:
    found = [
        with_more(make_window(0, "performance", quiet=KINDS)),
        with_more(make_window(1, "drift", "quality")),
        with_more(make_window(2, version=12)),
        with_more(make_window(3, quiet=KINDS)),
    ]
    for record in found:
        write_window(settings, record)
    return tuple(found)


def test_an_outline_says_all_that_is_decided_on(
    settings: Settings, records: tuple[WindowRecord, ...]
) -> None:
    outlines = read_windows(settings, whole=0)

    for outline, record in zip(outlines, records, strict=True):
        assert len(outline.report.findings) < len(record.report.findings) / 4
        assert outline.report.alarms == record.report.alarms
        assert outline.report.violated == record.report.violated
        assert outline.report.reasons == record.report.reasons
        for kind in KINDS:
            assert outline.report.worst(kind) == record.report.worst(kind)
            assert is_judged(outline, frozenset({kind})) == is_judged(record, frozenset({kind}))
        overall = [f for f in record.report.findings if f.subject == ALL_ROWS]
        assert [f for f in outline.report.findings if f.subject == ALL_ROWS] == overall
        # and all but the findings is as it was
        report = outline.report.model_copy(update={"findings": record.report.findings})
        assert outline.model_copy(update={"report": report}) == record
    streaks = [streak_of(windows, "performance") for windows in (outlines[:3], records[:3])]
    assert streaks[0] is not None and streaks[1] is not None
    assert streaks[0].alarms == streaks[1].alarms


@pytest.mark.parametrize("whole", [None, 0])
def test_findings_that_were_stored_under_a_former_name_are_read(
    settings: Settings, records: tuple[WindowRecord, ...], whole: int | None
) -> None:
    # given windows as they were written when the kind of a finding was called its family
    expected = read_windows(settings, whole=whole)
    for path in (settings.monitored / "windows").iterdir():
        text = path.read_text()
        assert text.count('"kind":') == text.count('"why":') > 0
        path.write_text(text.replace('"kind":', '"family":'))

    assert read_windows(settings, whole=whole) == expected


def test_the_latest_come_whole(settings: Settings, records: tuple[WindowRecord, ...]) -> None:
    assert read_windows(settings) == records
    assert read_windows(settings, whole=9) == records

    found = read_windows(settings, whole=2)

    assert [window.window for window in found] == [record.window for record in records]
    assert found[2:] == records[2:]
    assert all(found[n] != records[n] for n in (0, 1))


def test_those_of_one_version_are_found_without_reading_the_others(
    settings: Settings, records: tuple[WindowRecord, ...], caplog: pytest.LogCaptureFixture
) -> None:
    # Given a damaged window of another version
    broken = settings.monitored / "windows" / "v1-served-20240301T000000.json"
    broken.write_text("{}", encoding="utf-8")

    assert read_windows(settings, 12) == records[2:3]
    assert [window.window for window in read_windows(settings, 12, whole=0)] == [records[2].window]
    assert not caplog.records

    # then only who looks at all of them meets it, and is told
    assert len(read_windows(settings, whole=0)) == len(records)
    assert "v1-served-20240301T000000.json: the file is damaged" in caplog.text
    assert "it is left out" in caplog.text and "with: mlops monitor;" in caplog.text


def test_one_window_is_found_by_its_name(
    settings: Settings, records: tuple[WindowRecord, ...]
) -> None:
    assert find_window(settings, records[1].window) == records[1]
    assert find_window(settings, "v9-served-20240301T000000") is None
    assert find_window(settings, "") is None
    # a name is no way to other files
    (settings.monitored / "elsewhere.json").write_text(records[0].model_dump_json())
    assert find_window(settings, "../elsewhere") is None


def test_windows_of_another_model_of_that_number_are_left_out(
    settings: Settings, make_window: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given version 3 of the registry, and windows with it, with another model, and of before
    monkeypatch.setattr("mlops.monitoring.findings.records.model_ids", lambda settings: {3: "this"})
    models = ["this", "another", ""]
    for hour, model in enumerate(models):
        write_window(settings, make_window(hour).model_copy(update={"model_id": model}))
    gone = make_window(5, version=9).model_copy(update={"model_id": "of a version that is gone"})
    write_window(settings, gone)

    assert [window.model_id for window in read_windows(settings, 3)] == ["this", ""]
    assert [window.model_id for window in read_windows(settings)] == ["this", "", gone.model_id]
