"""A location names what it was written for, whatever is in the names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.data.locations import location_of, named_in, require_there
from mlops.errors import ConfigurationError, SourceError
from mlops.settings import load_settings

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1)


@given(st.lists(NAMES.map("/data/{}".format), min_size=1, max_size=4))
def test_names_of_files_are_read_as_they_were_written(names: list[str]) -> None:
    assert named_in(location_of(names)) == names
    assert named_in(load_settings({"location": location_of(names)}).source.location) == [
        str(Path(name)) for name in names
    ]


def test_a_file_address_is_looked_at_and_an_address_elsewhere_is_not(tmp_path: Path) -> None:
    require_there("s3://bucket/trips", "green", ["2024-01"])
    with pytest.raises(SourceError, match="no green data for 2024-01"):
        require_there(tmp_path.as_uri(), "green", ["2024-01"])
    with pytest.raises(SourceError, match="away"):
        require_there(f"{tmp_path.as_uri()}/away", "green", [])


def test_half_a_list_is_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"^source\.location: '\[.*is not a JSON list"):
        load_settings({"location": '["a.parquet", '})
