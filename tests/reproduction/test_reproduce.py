"""A version is reproduced to the last bit; each kind of tampering is found where it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlops.cli import build_app
from mlops.registry.receipts import Receipt
from mlops.registry.versions import Registry
from mlops.reproduction.findings import DATA, ENVIRONMENT, INTERVAL, MODEL, PREDICTIONS, STAGES
from mlops.reproduction.reproduce import reproduce

Tamper = Callable[..., None]


def receipt_of(home: Any) -> Receipt:
    info = Registry(home.settings).get(1)
    assert info is not None and info.receipt is not None
    return info.receipt


def outcomes(found: Any) -> dict[str, str]:
    return {stage.name: stage.outcome for stage in found.stages}


@pytest.fixture(params=["linear", "boosted"])
def home(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_a_version_is_made_again_bit_for_bit_and_nothing_is_changed(home: Any) -> None:
    before = home.contents()

    found = reproduce("champion", home.settings)

    assert found.matches, found.summary
    assert found.lacking == ()
    assert list(outcomes(found)) == list(STAGES)
    assert home.contents() == before
    assert len(Registry(home.settings).versions()) == 1


def test_another_number_of_threads_is_told_and_changes_nothing_here(boosted: Any) -> None:
    found = reproduce(1, boosted.settings, threads=1)

    assert "threads: 2 recorded, 1 here" in found.stages[0].summary
    assert found.matches, found.summary


def test_another_package_is_found_in_the_environment(boosted: Any, tampered: Tamper) -> None:
    packages = {**receipt_of(boosted).packages, "numpy": "1.0.0"}
    tampered(packages=packages)

    found = reproduce(1, boosted.settings)

    assert found.first_difference is not None and found.first_difference.name == ENVIRONMENT
    assert "numpy: 1.0.0 recorded" in found.first_difference.summary
    assert found.matches and "in another environment" in found.summary


@pytest.mark.parametrize("change", ["seed", "params"])
def test_another_seed_or_parameter_is_found_in_the_fit(
    change: str, home: Any, tampered: Tamper
) -> None:
    receipt = receipt_of(home)
    of_family = {"linear_svr": {"epsilon": 1.5}, "squared_error": {"learning_rate": 0.2}}
    changes = {"seed": 9, "params": {**receipt.params, **of_family[receipt.family]}}
    tampered(**{change: changes[change]})

    found = reproduce(1, home.settings)

    assert not found.matches
    assert outcomes(found)[DATA] == "same"
    assert outcomes(found)[MODEL] == "differs"
    fit = found.stages[STAGES.index(MODEL)].summary
    assert {"seed": "9 rebuilt", "params": next(iter(of_family[receipt.family]))}[change] in fit


def test_another_model_of_quantiles_is_found_in_the_interval(
    boosted: Any, tampered: Tamper
) -> None:
    origin = receipt_of(boosted).interval
    assert origin is not None and origin.family == "quantiles"
    params = {**origin.params, "max_depth": 2}
    tampered(interval=origin.model_copy(update={"params": params}))

    found = reproduce(1, boosted.settings)

    assert outcomes(found)[MODEL] == "same"
    assert outcomes(found)[INTERVAL] == "differs"
    predictions = found.stages[STAGES.index(PREDICTIONS)]
    assert predictions.outcome == "differs" and "by at most" in predictions.summary


@pytest.fixture
def without_data(linear: Any) -> Iterator[Path]:
    """Take the training set out of the store while a test runs; yield where it was."""
    folder = linear.training_set
    aside = folder.parents[1] / "aside"
    shutil.move(folder, aside)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(aside, folder)


def test_a_training_set_that_is_gone_is_built_from_its_source(
    linear: Any, without_data: Path
) -> None:
    found = reproduce(1, linear.settings)

    data = found.stages[STAGES.index(DATA)]
    assert data.outcome == "same" and "rebuilt from its source" in data.summary
    assert found.matches
    assert not without_data.exists()


def test_a_damaged_training_set_is_not_believed(linear: Any, without_data: Path) -> None:
    # given a training set in the store whose trips somebody changed
    import pandas as pd

    shutil.copytree(without_data.parents[1] / "aside", without_data)
    part = next(without_data.glob("part-*.parquet"))
    trips = pd.read_parquet(part)
    trips.loc[5, "duration_minutes"] += 1
    trips.to_parquet(part, index=False)

    found = reproduce(1, linear.settings)

    data = found.stages[STAGES.index(DATA)]
    assert data.outcome == "same" and "damaged" in data.summary


def test_data_of_another_source_differ_and_the_source_is_named(
    linear: Any, without_data: Path, tampered: Tamper
) -> None:
    recipe = receipt_of(linear).recipe
    tampered(recipe={**recipe, "source": {**recipe["source"], "sample_seed": 8}})

    found = reproduce(1, linear.settings)

    data = found.stages[STAGES.index(DATA)]
    assert data.outcome == "differs"
    assert data.summary.startswith("training set: ")
    assert "green 2024-01 (synthetic sample)" in data.summary
    assert outcomes(found)[MODEL] == "differs"


def test_data_that_cannot_be_had_end_it_there(
    linear: Any, without_data: Path, tampered: Tamper
) -> None:
    recipe = receipt_of(linear).recipe
    gone = {**recipe["source"], "kind": "path", "location": "/nowhere"}
    tampered(recipe={**recipe, "source": gone})

    found = reproduce(1, linear.settings)

    assert outcomes(found)[DATA] == "differs"
    assert "/nowhere" in found.summary
    assert set(list(outcomes(found).values())[2:]) == {"not reached"}


def test_an_old_receipt_is_tried_and_says_what_it_lacks(
    boosted: Any, linear: Any, tampered: Tamper
) -> None:
    old: dict[str, Any] = {"threads": 0, "cpu": "", "sources": (), "recipe": {}, "interval": None}
    tampered(**old)

    for home in (linear, boosted):
        found = reproduce(1, home.settings)

        assert found.lacking == tuple(old)
        assert outcomes(found)[MODEL] == "same"
        assert outcomes(found)[INTERVAL] == "not reached"
        assert not found.matches


def test_the_command_says_it_in_words_in_json_and_by_its_exit_code(
    linear: Any, tampered: Tamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(linear.settings.home))
    call = CliRunner(mix_stderr=False).invoke

    same = call(build_app(), ["reproduce", "champion", "--json"])
    tampered(seed=9)
    other = call(build_app(), ["reproduce", "champion"])

    assert same.exit_code == 0, same.stderr
    assert json.loads(same.stdout)["matches"] is True
    assert other.exit_code == 13
    assert "was not reproduced: fitted model" in " ".join(other.stdout.split())
