"""What the first half of a selection leaves for the second is read, or named if it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import DamagedFileError
from mlops.steps import model_selection


@pytest.mark.parametrize("content", [None, b"", b"\x80\x05 no whole pickle"])
def test_a_damaged_candidate_is_named_with_the_command_that_refits_it(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "lasso.model"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(DamagedFileError, match=r"lasso\.model") as found:
        model_selection._staged(str(file))

    assert found.value.hint.endswith("mlops pipeline run model_selection")
