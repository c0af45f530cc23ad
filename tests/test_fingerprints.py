"""Whatever determines a result is part of its key, and what is kept is in the table of keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import fingerprints
from mlops.backtest import store as backtest_store
from mlops.data.references import TrainingSetManifest, TripPart, ValidatedTrips
from mlops.data.store import publications, statistics
from mlops.datasets.taxi.features import build, products
from mlops.datasets.taxi.sources import sample
from mlops.fingerprints import PACKAGE, of_code, of_values
from mlops.inference import batch
from mlops.registry.catalogue import VersionInfo
from mlops.serving.processes import follower
from mlops.settings import FeatureSettings, Settings, SourceSettings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3)
    ),
    max_leaves=8,
)
TABLE = (fingerprints.__doc__ or "").replace("\\\n", "")


@given(JSON, JSON)
def test_two_values_have_the_same_hash_only_if_they_are_the_same(
    one: object, other: object
) -> None:
    # repr tells 1 from True and from 1.0, as JSON does
    assert (of_values(one) == of_values(other)) == (canonical(one) == canonical(other))


def canonical(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{sorted((name, canonical(item)) for name, item in value.items())}}}"
    return repr([canonical(item) for item in value]) if isinstance(value, list) else repr(value)


def test_values_keep_their_places_and_mappings_have_no_order() -> None:
    assert of_values("a", "b") != of_values("b", "a") != of_values(["b", "a"])
    assert of_values({"a": 1, "b": 2}) == of_values({"b": 2, "a": 1})


def test_times_are_plain_and_objects_are_not() -> None:
    assert of_values(date(2024, 1, 1)) != of_values(datetime(2024, 1, 1))
    with pytest.raises(TypeError, match="cannot be part of a key"):
        of_values(object())


def test_any_change_of_a_source_changes_the_hash_of_its_folder_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = of_code("data"), of_code("training"), of_code()
    edited = {**fingerprints.sources(), "data/months.py": "edited"}
    monkeypatch.setattr(fingerprints, "sources", lambda: edited)
    assert of_code("data") != before[0]
    assert of_code("training") == before[1]
    assert of_code() != before[2]
    with pytest.raises(KeyError, match="no such source"):
        of_code("data/nonesuch.py")


def test_a_source_that_changes_under_the_process_is_named_until_it_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    files = [tmp_path / name for name in ("a.py", "folder/b.py")]
    for file in files:
        file.write_text("x = 1\n")
    monkeypatch.setattr(fingerprints, "PACKAGE", tmp_path)
    imported = fingerprints.sources_on_disk()
    monkeypatch.setattr(fingerprints, "sources", lambda: imported)
    assert fingerprints.changed_sources() == ()

    # When they are edited, added and removed, then they are named, and others are not
    files[1].write_text("x = 2\n")
    (tmp_path / "new.py").touch()
    (tmp_path / "new.txt").touch()
    assert fingerprints.changed_sources() == ("folder/b.py", "new.py")
    files[0].unlink()
    assert fingerprints.changed_sources() == ("a.py", "folder/b.py", "new.py")

    # When they are as they were, at another time, then none is
    for file in files:
        file.write_text("x = 1\n")
    (tmp_path / "new.py").unlink()
    assert fingerprints.changed_sources() == ()


# Free of decisions about data: errors, messages, where things lie.
NEUTRAL = {
    *("errors.py", "progress.py", "settings.py", "cores.py", "counting.py", "fingerprints.py"),
    "extensions.py",  # what it loads is part of every key
    *(
        "records/files.py",
        "records/atomic.py",
        "records/digests.py",
        "records/parquet.py",
        "data/references.py",
        "data/__init__.py",
        "__init__.py",
    ),
}


def imported(module: str) -> set[str]:
    """Return the sources of the library that a module imports, also through others."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlops"):
                for name in [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]:
                    path = name.removeprefix("mlops").strip(".").replace(".", "/")
                    waiting += [
                        f for f in (f"{path}.py", f"{path}/__init__.py") if (PACKAGE / f).is_file()
                    ]
    return found - NEUTRAL


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("datasets/taxi/sample/generator.py", sample._CODE),
        ("datasets/taxi/contract/validation.py", ("data", "datasets/taxi")),
        ("datasets/taxi/features/build.py", publications.CODE),
        ("datasets/taxi/features/products.py", publications.CODE),
        ("datasets/declared/preparing/validating.py", publications.CODE),
        ("datasets/declared/preparing/building.py", publications.CODE),
        ("datasets/declared/preparing/freezing.py", publications.CODE),
        ("data/store/snapshots.py", publications.CODE),
        ("inference/batch.py", batch._CODE),
        ("training/artifact.py", batch._CODE),
    ],
)
def test_the_code_of_a_key_holds_all_that_the_result_is_made_by(
    module: str, code: tuple[str, ...]
) -> None:
    covered = {
        f for f in fingerprints.sources() if any(f == c or f.startswith(f"{c}/") for c in code)
    }
    assert imported(module) - covered == set()


def test_a_bundle_is_named_by_model_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(version: int = 1, run_id: str = "run", source: str = "here") -> str:
        return follower.bundle_name(
            VersionInfo.model_construct(version=version, run_id=run_id, source=source)
        )

    names = [named(), named(version=2), named(run_id="other"), named(source="there")]
    edited = {**fingerprints.sources(), "serving/model/kernels.py": "edited"}
    monkeypatch.setattr(fingerprints, "sources", lambda: edited)
    assert len({*names, named()}) == 5


def test_the_keys_of_replays_change_with_their_inputs_and_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = backtest_store.key_of("training", datetime(2024, 1, 1), {"a": 1})
    assert backtest_store.key_of("training", datetime(2024, 1, 2), {"a": 1}) != before
    assert backtest_store.key_of("training", datetime(2024, 1, 1), {"a": 2}) != before
    edited = {**fingerprints.sources(), "training/tuning.py": "edited"}
    monkeypatch.setattr(fingerprints, "sources", lambda: edited)
    assert backtest_store.key_of("training", datetime(2024, 1, 1), {"a": 1}) != before


def edited(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    sources = {**fingerprints.sources(), file: "edited"}
    monkeypatch.setattr(fingerprints, "sources", lambda: sources)


def other_features() -> list[dict[str, float]]:
    """Return a change of each setting of the features."""
    return [{name: value + 1} for name, value in FeatureSettings().model_dump().items()]


def test_generated_months_are_kept_by_all_that_they_are_drawn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(**changes: object) -> str:
        asked = {"months": "2024-01..2024-01", "sample_rows": 500, **changes}
        (file,) = sample.fetch(SourceSettings.model_validate(asked), tmp_path)
        return file.uri

    places = [
        place(),
        place(months="2024-02..2024-02"),
        *(place(**change) for change in ({"sample_rows": 501}, {"sample_seed": 8})),
        *(place(**change) for change in ({"sample_drift": 0.5}, {"taxi": "yellow"})),
    ]
    monkeypatch.setattr(sample, "calibration_version", lambda: "another")
    places.append(place())
    edited(monkeypatch, "datasets/taxi/sample/schema.py")
    places.append(place())
    assert len({*places}) == len(places)
    assert place() == places[-1]


def test_staged_features_are_kept_by_all_that_they_are_built_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key(uri: str = "/staging/validated-1/clean/2024-01.parquet", **changes: float) -> str:
        part = TripPart(month="2024-01", uri=uri, rows=1)
        settings = Settings(features=FeatureSettings(**changes))
        return build._key(ValidatedTrips.model_construct(parts=(part,)), settings)

    keys = [key(), key("/staging/validated-2/clean/2024-01.parquet")]
    keys += [key(**change) for change in other_features()]
    for file in ("datasets/taxi/contract/rules.py", "datasets/taxi/features/routes.py"):
        edited(monkeypatch, file)
        keys.append(key())
    assert len({*keys}) == len(keys) > 4
    assert key() == keys[-1]


def test_route_statistics_are_named_by_all_that_they_are_computed_from(
    make_manifest: Callable[[int], TrainingSetManifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_written(product: str, sha256: str, *_: object) -> Path:
        return Path(product) / sha256

    monkeypatch.setattr(statistics, "publish_folder", nothing_written)

    def name(training_set: str = "ab" * 32, **changes: float) -> str:
        manifest = make_manifest(1).model_copy(update={"sha256": training_set})
        settings = Settings(features=FeatureSettings(**changes))
        return products.publish_route_statistics(manifest, settings).sha256

    names = [name(), name("cd" * 32), *(name(**change) for change in other_features())]
    for file in ("datasets/taxi/clock.py", "datasets/taxi/features/sums.py"):
        edited(monkeypatch, file)
        names.append(name())
    assert len({*names}) == len(names) > 4
    assert name() == names[-1]


def test_every_key_is_in_the_table() -> None:
    listed = set(re.findall(r"\| (\S+\.py) \|", TABLE))
    assert all((PACKAGE / name).is_file() for name in listed)
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\b(of_values|of_code)\(", path.read_text(encoding="utf-8"))
    } - {"fingerprints.py", "registry/standing.py", "registry/receipts.py", "registry/trail.py"}
    assert users <= listed


def test_every_folder_of_the_home_is_in_the_table_or_holds_records() -> None:
    folders = {
        name
        for name, member in vars(Settings).items()
        if isinstance(member, property)
        and member.fget
        and member.fget.__annotations__["return"] == "Path"
    }
    assert folders
    missing = {name for name in folders if not re.search(rf"(\| {name} \||`{name}`)", TABLE)}
    assert missing == set()
