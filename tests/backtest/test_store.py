"""What a replay has stored and is damaged is calculated again, or named with what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from mlops.backtest import training as training_module
from mlops.backtest.history import History
from mlops.backtest.scoring import predictions_of
from mlops.backtest.store import Store
from mlops.backtest.training import model_of, read_training, train
from mlops.errors import DamagedFileError
from mlops.settings import Settings, load_settings

DAMAGES: tuple[Callable[[Path], object], ...] = (
    lambda file: file.write_bytes(file.read_bytes()[:-100]),  # truncated
    lambda file: file.write_bytes(b""),
    lambda file: file.write_bytes(file.read_bytes()[::-1]),  # garbled
    Path.unlink,
)


@pytest.fixture(scope="module")
def settings(small_settings: Settings) -> Settings:
    few = {"backtest.families": "global_mean", "windows.test_days": 7, "training.threads": 1}
    return load_settings({"home": small_settings.home, **few, "backtest.max_evals": 1})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".json", ".model", ".parquet"])
def test_damaged_results_are_calculated_again(
    suffix: str,
    damage: Callable[[Path], object],
    small_history: History,
    settings: Settings,
    store: Store,
) -> None:
    def look() -> list[object]:
        clock = small_history.clock(datetime(2023, 11, 2))
        training = train(clock, ("2023-10",), settings, store).training
        clock.advance(datetime(2023, 12, 1))
        answers = predictions_of(training, clock, "2023-11", settings, store)
        return [training.model_dump(exclude={"seconds"}), answers.to_dict()]

    before = look()
    for file in store.path("", "", "").rglob(f"*{suffix}"):
        damage(file)

    assert look() == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_later_step_names_the_damaged_model_and_how_to_start_over(
    damage: Callable[[Path], object], small_history: History, settings: Settings, store: Store
) -> None:
    clock = small_history.clock(datetime(2023, 11, 2))
    training = train(clock, ("2023-10",), settings, store).training
    model = store.path("trainings", training.key, ".model")
    damage(model)
    training_module._load_model.cache_clear()
    with pytest.raises(DamagedFileError, match=model.name) as found:
        model_of(training, settings, store)
    assert str(store.path("", "", "")) in found.value.hint

    record = store.path("trainings", training.key, ".json")
    record.write_text("{")
    with pytest.raises(DamagedFileError, match=record.name):
        read_training(training.key, store)
