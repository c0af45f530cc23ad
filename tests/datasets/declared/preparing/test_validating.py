"""Rows that break rules are set aside with their reasons; nothing stale is taken for fresh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.data.references import ValidatedTrips
from mlops.datasets.declared.preparing.extracting import extract
from mlops.datasets.declared.preparing.validating import validate
from mlops.datasets.definition import DatasetDefinition
from mlops.errors import ConfigurationError, DataQualityError
from mlops.settings import Settings
from tests.datasets.declared.deliveries import deliveries
from tests.datasets.declared.preparing.conftest import rows_of_days, written

Configured = Callable[..., Settings]


def validated(settings: Settings, definition: DatasetDefinition | None = None) -> ValidatedTrips:
    definition = definition or deliveries()
    return validate(definition, extract(definition, settings), settings)


def bad_rows() -> pd.DataFrame:
    """Return rows of which the first four break rules."""
    rows = rows_of_days()
    rows.loc[0, "weight"] = 51.0
    rows.loc[1, ["weight", "minutes"]] = [None, None]
    rows.loc[2, "order"] = rows.loc[3, "order"]
    rows.loc[4, "quoted"] = 0.5  # flagged only
    return rows


def test_rows_are_kept_or_set_aside_with_reasons(configured: Configured, tmp_path: Path) -> None:
    written(tmp_path / "files", bad_rows())

    found = validated(configured())

    quality = found.quality
    assert (quality.rows_read, quality.rows_quarantined) == (240, 3)
    counts = {rule.rule: rule.rows for rule in quality.rules if rule.rows}
    assert counts == {
        **{"weight_wrong": 2, "target_missing": 1, "duplicate": 1, "quoted_fraction": 1}
    }
    aside = pd.read_parquet(quality.quarantine_uri or "")
    assert aside["reasons"].tolist() == [
        "weight_wrong",
        "target_missing; weight_wrong",
        "duplicate",
    ]
    assert set(aside["source_file"]) == {"deliveries_2024-02.csv"}
    rows = pd.concat([pd.read_parquet(part.uri) for part in found.parts])
    assert len(rows) == 237 == sum(part.rows for part in found.parts)
    assert rows["courier"].isna().all() and rows["city"].dtype == object
    assert rows["ordered_at"].dtype == "datetime64[us]"
    # Nothing was staged of a bad batch that could be built upon.
    with pytest.raises(DataQualityError, match=r"0\.8% of the rows with a target are bad.*\n.*\n"):
        validated(configured(validation__max_bad_share=0.005))


def test_rows_without_a_target_are_set_aside_but_not_bad(
    configured: Configured, tmp_path: Path
) -> None:
    rows = rows_of_days()
    rows.loc[::2, deliveries().task.target] = None
    written(tmp_path / "files", rows)

    quality = validated(configured(validation__max_bad_share=0.0)).quality

    assert quality.rows_quarantined == len(rows[::2]) > 0.4 * quality.rows_read


def test_limits_on_volume_and_coverage(configured: Configured) -> None:
    with pytest.raises(DataQualityError, match="2024-02: 49 rows kept, fewer than min_rows = 50"):
        validated(configured(validation__min_rows=50))
    with pytest.raises(DataQualityError, match="2024-02: 14% of the days have rows"):
        validated(configured(validation__min_days_covered=0.5))


def test_actions_of_the_settings_win_but_for_what_cannot_be_learned_from(
    configured: Configured, tmp_path: Path
) -> None:
    written(tmp_path / "files", bad_rows())

    def changed(**actions: str) -> dict[str, Any]:
        quality = validated(configured(validation__actions=actions)).quality
        return {rule.rule: rule.action for rule in quality.rules}

    assert changed(weight_wrong="flag", quoted_fraction="quarantine") == {
        **changed(),
        "weight_wrong": "flag",
        "quoted_fraction": "quarantine",
    }
    assert "duplicate" not in changed(duplicate="ignore")
    with pytest.raises(ConfigurationError, match="deliveries has no rule 'speed'"):
        changed(speed="flag")
    with pytest.raises(ConfigurationError, match="target_missing cannot be changed to flag"):
        changed(target_missing="flag")


def test_staged_rows_are_found_again_by_all_that_they_depend_on(
    configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def staged(definition: DatasetDefinition | None = None, **changes: Any) -> str:
        return validated(configured(**changes), definition).parts[0].uri

    first = staged()
    assert staged() == first
    others = [
        staged(validation__max_bad_share=0.2),
        staged(deliveries(rules="[]")),
        staged(months="2024-02"),
    ]
    written(tmp_path / "files", bad_rows())
    others.append(staged())
    assert len({first, *others}) == 5
    # And with the bytes of before, what was staged then
    written(tmp_path / "files", rows_of_days())
    monkeypatch.setattr("mlops.datasets.declared.preparing.validating.iter_frames", None)
    assert staged() == first


def test_rows_of_any_time_are_one_part_and_say_which_months_they_cover(
    configured: Configured, tmp_path: Path
) -> None:
    rows_of_days().to_csv(tmp_path / "all.csv", index=False)

    found = validated(configured(location=str(tmp_path / "all.csv")))

    assert [part.rows for part in found.parts] == [240]
    assert found.extraction.months == ("2024-02", "2024-03")
