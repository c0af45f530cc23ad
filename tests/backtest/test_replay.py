"""The replay: faithful to time, shared between policies, and resumable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.backtest import training
from mlops.backtest.history import Clock, History, content_sha256
from mlops.backtest.replay import Replay
from mlops.backtest.results import ReplayStep
from mlops.backtest.scoring import predictions_of
from mlops.backtest.training import Training, model_of, read_training
from mlops.datasets.taxi.dataset import TaxiTrips
from mlops.datasets.taxi.features.encoding import FeatureEncoder
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET
from mlops.errors import ConfigurationError, GateRefusalError
from mlops.settings import Settings, load_settings

NOVEMBER, DECEMBER, JANUARY = (
    datetime(2023, 11, 1),
    datetime(2023, 12, 1),
    datetime(2024, 1, 1),
)
DELAY = timedelta(hours=24)
WATCHING = TaxiTrips().watching(load_settings())


@pytest.fixture
def trips(small_history: History) -> pd.DataFrame:
    """All that was recorded: what only a test may look at."""
    return small_history._rows.copy()


def decided(step: ReplayStep) -> dict[str, Any]:
    """What a step did, but for wall time."""
    return step.model_dump(exclude={"training_seconds"})


def assert_same_model(key: str, one: Replay, other: Replay, probe: pd.DataFrame) -> None:
    """Both replays trained it by themselves, and it answers bit for bit the same."""
    mine, theirs = (
        model_of(read_training(key, r.store), r.settings, r.store) for r in (one, other)
    )
    pd.testing.assert_frame_equal(mine.predict(probe), theirs.predict(probe), check_exact=True)


def test_each_month_is_answered_by_the_champion_of_its_first_day(monthly: Any) -> None:
    replay, steps = monthly

    assert [(s.policy, s.month) for s in steps] == [
        (policy, month) for policy in ("never", "monthly") for month in replay.months[1:]
    ]
    for step in steps:
        start = datetime.fromisoformat(f"{step.month}-01")
        assert step.champion_at <= start
        assert step.learned_until < step.champion_at
        assert step.live.rows <= step.requests
        assert step.live.rmse > step.live.mae > 0
    assert [s.age_months for s in steps if s.policy == "never"] == [0, 1, 2]
    assert not any(s.challenger for s in steps if s.policy == "never")


def test_a_promoted_challenger_answers_next_and_a_refused_one_does_not(monthly: Any) -> None:
    _, steps = monthly
    own = [step for step in steps if step.policy == "monthly"]

    for step, following in pairwise(own):
        assert step.retrain and step.challenger
        assert following.champion == (step.challenger if step.promoted else step.champion)
    # A world that changed for good in December, and a model that learned from it.
    assert own[1].promoted
    never = [step for step in steps if step.policy == "never"]
    assert own[2].live.rmse < never[2].live.rmse


def test_after_the_last_month_nothing_is_trained(monthly: Any) -> None:
    _, steps = monthly

    assert steps[-1].retrain and steps[-1].challenger is None and steps[-1].training_seconds == 0


@pytest.mark.parametrize(
    ("policy", "drift", "performance", "retrains"),
    [
        ("on_drift", True, False, True),
        ("on_drift", False, True, False),
        ("on_performance", False, True, True),
        ("on_performance", True, False, False),
    ],
)
def test_policies_ask_their_own_signal(
    make_replay: Callable[..., Replay],
    monthly: Any,
    policy: str,
    drift: bool,
    performance: bool,
    retrains: bool,
) -> None:
    from mlops.backtest.policies import policy_of

    _, steps = monthly
    signals = steps[0].signals.model_copy(
        update={
            "drift": steps[0].signals.drift.model_copy(update={"alarm": drift}),
            "performance": steps[0].signals.performance.model_copy(update={"alarm": performance}),
        }
    )

    assert policy_of(policy)(signals).retrain is retrains


def test_new_champions_are_made_known_to_monitoring_on_the_day_of_their_training(
    monthly: Any,
) -> None:
    replay, steps = monthly

    promoted = [step.challenger for step in steps if step.promoted]
    adopted = dict(replay.watcher.adopted)
    assert set(adopted) == {steps[0].champion, *promoted}
    assert all(read_training(key, replay.store).at == at for key, at in adopted.items())


def test_policies_share_trainings_and_a_second_call_trains_nothing(
    monthly: Any, make_replay: Callable[..., Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    replay, steps = monthly
    folder = replay.store._folder
    done = len(list((folder / "trainings").glob("*.json")))
    assert done == 1 + sum(step.challenger is not None for step in steps)
    monkeypatch.setattr(training, "tune", _never)
    again = make_replay(folder=folder)

    # On_drift under constant alarm decides as monthly does, so it needs no training of its own.
    again.watcher.drift = True
    more = again.run(["monthly", "on_drift"])

    assert [decided(s) for s in more[:3]] == [decided(s) for s in steps[3:]]
    assert [s.champion for s in more[3:]] == [s.champion for s in steps[3:]]


def _never(*arguments: Any, **options: Any) -> Any:
    raise AssertionError("this was trained before")


def test_a_killed_replay_goes_on_and_ends_as_if_it_had_not_been(
    monthly: Any,
    make_replay: Callable[..., Replay],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, steps = monthly
    whole, trained = training.tune, []

    def tune(family: str, *arguments: Any) -> Any:
        trained.append(family)
        if len(trained) == 8:  # in the middle of the third training
            raise KeyboardInterrupt
        return whole(family, *arguments)

    monkeypatch.setattr(training, "tune", tune)
    with pytest.raises(KeyboardInterrupt):
        make_replay(folder=tmp_path).run(["never", "monthly"])
    found = make_replay(folder=tmp_path).run(["never", "monthly"])

    assert [decided(step) for step in found] == [decided(step) for step in steps]
    assert len(trained) == 8 + 3  # only the training that was cut off is repeated


def test_what_happens_later_changes_nothing_before(
    monthly: Any, make_replay: Callable[..., Replay], trips: pd.DataFrame
) -> None:
    """Given another future from January on, When replayed, Then all until then is bit-identical."""
    replay, steps = monthly
    later = (trips["pickup_at"] >= JANUARY).to_numpy()
    random = np.random.default_rng(0)
    trips.loc[later, TARGET] = random.uniform(1, 60, later.sum())
    trips.loc[later, "trip_distance"] = 1.0
    lasting = pd.to_timedelta(trips[TARGET], unit="min").astype("timedelta64[us]")
    trips.loc[later, "dropoff_at"] = trips["pickup_at"] + lasting
    other = make_replay(history=History(trips, WATCHING, DELAY))

    found = other.run(["never", "monthly"])

    for step, same in zip(steps, found, strict=True):
        if step.month < "2023-12":
            assert decided(same) == decided(step)
        elif step.month == "2023-12":
            assert same.champion == step.champion
            assert same.challenger == step.challenger  # the key names data, windows, parameters
        else:
            assert same.champion == step.champion
            assert same.live != step.live
    key = next(step.challenger for step in found if step.month == "2023-12" and step.challenger)
    probe = trips.loc[~later, list(REQUEST_COLUMNS)]
    mine, theirs = (
        model_of(read_training(key, r.store), r.settings, r.store) for r in (replay, other)
    )
    pd.testing.assert_frame_equal(mine.predict(probe), theirs.predict(probe), check_exact=True)


def test_columns_that_know_the_future_change_no_prediction(
    monthly: Any,
    make_replay: Callable[..., Replay],
    trips: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given the true duration beside each request, When replayed, Then nobody ever sees it."""
    replay, steps = monthly
    planted = trips.assign(true_minutes=trips[TARGET], estimated_minutes=trips[TARGET])
    encode, seen = FeatureEncoder.encode, set()

    def spy(self: FeatureEncoder, frame: Any, *, history: bool = False) -> Any:
        seen.update((name, history) for name in frame)
        return encode(self, frame, history=history)

    monkeypatch.setattr(FeatureEncoder, "encode", spy)
    other = make_replay(history=History(planted, WATCHING, DELAY))

    found = other.run(["never", "monthly"])

    assert [decided(step) for step in found] == [decided(step) for step in steps]
    for step in found:
        champion = read_training(step.champion, other.store)
        end = other.history.clock(datetime(2024, 3, 1))
        ours, theirs = (
            predictions_of(champion, end, step.month, r.settings, r.store) for r in (replay, other)
        )
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    names = {name for name, _ in seen}
    assert not names & {"true_minutes", "estimated_minutes"}


def test_no_label_reaches_a_model_that_answers(
    make_replay: Callable[..., Replay], monthly: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay, steps = monthly
    shown: list[set[str]] = []
    whole = training.TabularModel.predict

    def spy(self: Any, frame: pd.DataFrame) -> pd.DataFrame:
        shown.append(set(frame))
        return whole(self, frame)

    monkeypatch.setattr(training.TabularModel, "predict", spy)
    champion = read_training(steps[0].champion, replay.store)
    for path in replay.store.path("predictions", "x", "").parent.glob("*.parquet"):
        path.unlink()

    predictions_of(
        champion, replay.history.clock(DECEMBER), "2023-11", replay.settings, replay.store
    )

    assert shown == [set(REQUEST_COLUMNS)]


def test_a_distance_that_encodes_the_duration_in_the_future_teaches_nothing(
    monthly: Any, make_replay: Callable[..., Replay], trips: pd.DataFrame
) -> None:
    """Given distances that betray the duration from December on, but not before.

    When December is answered, Then the model does not know how to read them: it is bit for bit the
    one trained on honest distances, and its answers only got worse.
    """
    replay, steps = monthly
    later = (trips["pickup_at"] >= DECEMBER).to_numpy()
    trips.loc[later, "trip_distance"] = trips.loc[later, TARGET].clip(0.1, 90)
    other = make_replay(history=History(trips, WATCHING, DELAY))

    found = other.run(["never", "monthly"])

    honest, planted = ([s for s in each if s.month == "2023-12"] for each in (steps, found))
    for mine, theirs in zip(honest, planted, strict=True):
        assert theirs.champion == mine.champion
        assert theirs.live.rmse > mine.live.rmse
    november = [s for s in found if s.month == "2023-11"]
    assert [decided(s) for s in november] == [decided(s) for s in steps if s.month == "2023-11"]
    key = november[0].champion
    probe = trips.loc[~later, list(REQUEST_COLUMNS)]
    mine, theirs = (
        model_of(read_training(key, r.store), r.settings, r.store) for r in (replay, other)
    )
    pd.testing.assert_frame_equal(mine.predict(probe), theirs.predict(probe), check_exact=True)


def test_trainings_learn_only_from_what_had_arrived(
    monthly: Any, make_replay: Callable[..., Replay]
) -> None:
    replay, steps = monthly

    for key in {step.champion for step in steps}:
        done = read_training(key, replay.store)
        clock: Clock = replay.history.clock(done.at)
        known = clock.finished()
        assert done.data_sha256 == content_sha256(known)
        assert (known["dropoff_at"] + DELAY <= done.at).all()
        assert done.rows == (known["pickup_at"] < done.learned_until).sum()
        assert done.test_rows == (known["pickup_at"] >= done.learned_until).sum()


def test_only_the_last_months_are_learned_from_when_so_configured(
    make_replay: Callable[..., Replay], small_settings: Settings
) -> None:
    shorter = small_settings.model_copy(
        update={
            "retraining": small_settings.retraining.model_copy(update={"max_months": 1}),
        }
    )
    replay = make_replay(settings=shorter)

    steps = replay.run(["monthly"])

    months = [read_training(s.challenger, replay.store).months for s in steps if s.challenger]
    assert months == [("2023-11",), ("2023-12",)]


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        ({"backtest": {"initial_months": 4}}, ConfigurationError, "initial_months"),
        ({"windows": {"test_start": datetime(2023, 12, 1).date()}}, ConfigurationError, "date"),
        ({"gate": {"max_rmse": 0.1}}, GateRefusalError, "gate refused the first model"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    make_replay: Callable[..., Replay],
    small_settings: Settings,
    monthly: Any,
    change: dict[str, dict[str, Any]],
    error: type[Exception],
    named: str,
) -> None:
    sections = {
        name: getattr(small_settings, name).model_copy(update=values)
        for name, values in change.items()
    }
    folder = monthly[0].store._folder  # the trainings are there
    replay = make_replay(settings=small_settings.model_copy(update=sections), folder=folder)

    with pytest.raises(error, match=named):
        replay.run(["never"])


def test_an_unknown_policy_is_named(make_replay: Callable[..., Replay]) -> None:
    with pytest.raises(ConfigurationError, match="sometimes"):
        make_replay().run(["sometimes"])


def test_a_training_record_survives_json(monthly: Any) -> None:
    replay, steps = monthly
    done = read_training(steps[0].champion, replay.store)

    assert Training.model_validate_json(done.model_dump_json()) == done
