"""Which model may be asked about which trips, and which may replace which."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.origins import TripOrigin, is_synthetic, replacement, require_scoring
from mlops.datasets.taxi.sample.generator import generate_month
from mlops.datasets.taxi.sample.schema import MARKED_COLUMN
from mlops.datasets.taxi.sources import extract
from mlops.errors import ConfigurationError
from mlops.settings import load_settings

TAXIS = st.builds(TripOrigin, st.sampled_from(["green", "yellow"]), st.booleans(), st.just("taxi"))
TABLES = st.builds(TripOrigin, st.just(""), st.booleans(), st.sampled_from(["flights", "bikes"]))
ORIGINS = st.one_of(TAXIS, TABLES)


@given(learned=ORIGINS, trips=ORIGINS)
def test_a_model_scores_its_own_dataset_and_real_trips_only_if_it_knows_some(
    learned: TripOrigin, trips: TripOrigin
) -> None:
    same = (learned.taxi, learned.dataset) == (trips.taxi, trips.dataset)
    fit = same and (not learned.synthetic or trips.synthetic)
    require_scoring(learned, trips, "version 3", allow=True)
    if fit:
        require_scoring(learned, trips, "version 3", allow=False)
        return
    with pytest.raises(ConfigurationError, match=r"^version 3 learned from") as refused:
        require_scoring(learned, trips, "version 3", allow=False)
    assert str(learned) in refused.value.message and str(trips) in refused.value.message
    train = f"--taxi {trips.taxi}" if trips.taxi else f"--dataset {trips.dataset}"
    assert "--allow-mismatch" in refused.value.hint and train in refused.value.hint


@given(challenger=ORIGINS, champion=ORIGINS)
def test_only_a_model_of_real_trips_replaces_one_of_synthetic_trips_unasked(
    challenger: TripOrigin, champion: TripOrigin
) -> None:
    assert replacement(challenger, None, allow=False) is None
    found = replacement(challenger, champion, allow=False)
    if challenger == champion:
        assert found is None
        return
    same = (challenger.taxi, challenger.dataset) == (champion.taxi, champion.dataset)
    first_real = same and champion.synthetic
    assert found is not None and found.allowed == first_real
    assert str(challenger) in found.why and str(champion) in found.why
    allowed = replacement(challenger, champion, allow=True)
    assert allowed is not None and allowed.allowed


def test_generated_files_stay_synthetic_wherever_they_are_copied_to(tmp_path: Path) -> None:
    generated = generate_month("2024-01", 200, 7)
    files = {
        name: tmp_path / f"{name}"
        for name in ("2024-01.parquet", "saved-2024-01.parquet", "2024-01.csv", "2024-01.csv.gz")
    }
    marked, saved, text, compressed = files.values()
    pq.write_table(generated, marked)
    # What pandas saves again has no metadata of ours: the rows still say it, or one of them
    frame = generated.to_pandas()
    frame.tail(150).to_parquet(saved)
    frame.to_csv(text, index=False)
    frame.to_csv(compressed, index=False)
    # And the rows of what has neither do not
    bare, plain_text = tmp_path / "bare-2024-01.parquet", tmp_path / "bare-2024-01.csv"
    frame.assign(**{MARKED_COLUMN: "N"}).to_parquet(bare)
    frame.drop(columns=MARKED_COLUMN).to_csv(plain_text, index=False)
    assert not is_synthetic(tmp_path / "missing.parquet")

    for file in (*files.values(), bare, plain_text):
        expected = file not in (bare, plain_text)
        assert is_synthetic(file) == expected
        asked = {"home": tmp_path / "home", "source": "path", "location": str(file)}
        extraction = extract(load_settings({**asked, "months": "2024-01"}))
        assert extraction.origin == TripOrigin("green", expected)
