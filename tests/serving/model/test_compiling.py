"""An artifact that is broken, hostile or endless ends only the process that loads it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from mlops.errors import MlopsError
from mlops.registry.trust import trust
from mlops.registry.versions import VersionInfo
from mlops.serving.model import compiling
from mlops.serving.model.compiling import compile_apart
from mlops.serving.processes.follower import bundles_folder
from mlops.settings import Settings


def info_of(source: str) -> VersionInfo:
    return VersionInfo(
        version=1,
        aliases=(),
        run_id="run-1",
        source=source,
        created_at=datetime(2024, 3, 1, tzinfo=timezone.utc),
        promoted_at=None,
        promotion_reason="",
        promoted_by="",
        receipt=None,
        evaluation=None,
        verdict=None,
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a pickle", "complete model"),
        # A pickle that ends the process that loads it: os._exit(3).
        (b"cposix\n_exit\n(I3\ntR.", "code 3"),
        (b"", "complete model"),
    ],
)
def test_hostile_artifacts_end_only_the_child(tmp_path: Path, content: bytes, said: str) -> None:
    source = tmp_path / "model"
    (source / "data").mkdir(parents=True)
    (source / "data" / "trip_duration_model").write_bytes(content)
    settings = Settings(home=tmp_path / "home")
    trust(settings, source.as_uri(), content)
    target = bundles_folder(settings) / "v1"
    with pytest.raises(MlopsError, match=said):
        compile_apart(settings, info_of(source.as_uri()), target)
    assert not target.exists()


def test_an_artifact_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "model"
    (source / "data").mkdir(parents=True)
    content = b"ctime\nsleep\n(I600\ntR."
    (source / "data" / "trip_duration_model").write_bytes(content)
    monkeypatch.setattr(compiling, "COMPILE_SECONDS", 1)
    settings = Settings(home=tmp_path / "home")
    trust(settings, source.as_uri(), content)
    with pytest.raises(MlopsError, match="more than 1 s"):
        compile_apart(settings, info_of(source.as_uri()), bundles_folder(settings) / "v1")


@pytest.mark.parametrize("known", [None, b"another"], ids=["never logged", "changed since"])
def test_code_in_an_artifact_that_is_not_ours_never_runs(
    tmp_path: Path, known: bytes | None
) -> None:
    # Given a pickle that would leave a trace
    source, trace = tmp_path / "model", tmp_path / "trace"
    (source / "data").mkdir(parents=True)
    code = f"cposix\nmkdir\n(S{str(trace)!r}\ntR.".encode()
    (source / "data" / "trip_duration_model").write_bytes(code)
    settings = Settings(home=tmp_path / "home")
    if known is not None:
        trust(settings, source.as_uri(), known)
    with pytest.raises(MlopsError, match="not loaded") as refused:
        compile_apart(settings, info_of(source.as_uri()), bundles_folder(settings) / "v1")
    assert "mlops adopt 1" in refused.value.hint
    assert not trace.exists()
