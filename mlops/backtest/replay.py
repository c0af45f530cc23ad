"""The replay: month by month, each policy with its own champion, all under one clock.

A month under one policy is a step. The champion of its beginning answers its requests; at its end
the labels that have arrived are looked at, the policy decides, and a challenger may be trained,
judged and promoted. Each step is one file under the hash of all that it depends on, so a killed
replay continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlops import progress
from mlops.backtest.history import Clock, History, content_sha256
from mlops.backtest.policies import policy_of
from mlops.backtest.results import ReplayStep
from mlops.backtest.scoring import live_performance, predictions_of
from mlops.backtest.store import Store, key_of
from mlops.backtest.training import Training, months_known, pass_gate, read_training, train
from mlops.backtest.watching import Watcher
from mlops.counting import counted
from mlops.data.months import month_bounds, months_between
from mlops.datasets.opening import dataset_of
from mlops.errors import ConfigurationError, GateRefusalError
from mlops.settings import Settings


@dataclass(frozen=True)
class Replay:
    """Everything that belongs to one call.

    Attributes:
        history: What happened.
        months: All of them, consecutive.
        settings: The configuration.
        store: What can be reused.
        watcher: Looks at windows of rows.
    """

    history: History
    months: tuple[str, ...]
    settings: Settings
    store: Store
    watcher: Watcher

    def run(self, policies: Sequence[str]) -> list[ReplayStep]:
        """Replay every month after the first ones under every policy.

        Returns:
            The steps, policy by policy, in order of time.

        Raises:
            ConfigurationError: If a policy does not exist, or there is no month to replay.
            GateRefusalError: If the gate refuses the very first model: nothing would answer.
        """
        for name in policies:
            policy_of(name)
        initial = self.settings.backtest.initial_months
        if len(self.months) <= initial:
            raise ConfigurationError(
                f"of {counted(len(self.months), 'month')}, none is left to replay: the first model"
                f" is trained on {initial}",
                "move --from or --to, or lower backtest.initial_months",
            )
        clock = self.history.clock(month_bounds(self.months[initial])[0])
        champions = dict.fromkeys(policies, self._first_champion(clock))
        steps: dict[str, list[ReplayStep]] = {policy: [] for policy in policies}
        for month in self.months[initial:]:
            clock.advance(month_bounds(month)[1])
            present = content_sha256(clock.observed(datetime.min, clock.now))
            for policy in policies:
                step = self._step(policy, month, champions[policy], clock, present)
                if step.promoted and step.challenger:
                    champions[policy] = read_training(step.challenger, self.store)
                steps[policy].append(step)
                progress.report(f"{month} {policy}: {_in_words(step)}", live_rmse=step.live.rmse)
        return [step for of_policy in steps.values() for step in of_policy]

    def _first_champion(self, clock: Clock) -> Training:
        challenger = train(clock, self._months_at(clock.now), self.settings, self.store)
        verdict = pass_gate(challenger, None, self.settings, self.store)
        if not verdict.passed:
            raise GateRefusalError(
                f"the gate refused the first model, so nothing can predict: {verdict.summary}",
                "train on more months (backtest.initial_months), or check the limits in gate.*",
            )
        self.watcher.adopt(challenger.training, clock)
        return challenger.training

    def _step(
        self, policy: str, month: str, champion: Training, clock: Clock, present: str
    ) -> ReplayStep:
        """Return a month under a policy: as it was found before, or played now.

        ``present`` is the hash of all that the clock shows.
        """
        start, end = month_bounds(month)
        settled = self.history.settled(start, end)
        key = key_of(
            *("step", policy, month, self._is_last(month), champion.key),
            present,
            content_sha256(settled.observed(start, end)),
            self._relevant_settings(),
        )
        return self.store.remembered(
            "steps", key, ReplayStep, lambda: self._play(policy, month, champion, clock, settled)
        )

    def _play(
        self, policy: str, month: str, champion: Training, clock: Clock, settled: Clock
    ) -> ReplayStep:
        start, end = month_bounds(month)
        predictions = predictions_of(champion, clock, month, self.settings, self.store)
        signals = self.watcher.look(champion, clock, start)
        decision = policy_of(policy)(signals)
        step = ReplayStep(
            policy=policy,
            month=month,
            champion=champion.key,
            champion_at=champion.at,
            learned_until=champion.learned_until,
            age_months=months_between(champion.at, start),
            requests=len(predictions),
            # Only for the record: what was decided above knows nothing of it.
            live=live_performance(
                predictions, settled.finished(start), dataset_of(self.settings).target
            ),
            signals=signals,
            retrain=decision.retrain,
            reason=decision.reason,
        )
        if not decision.retrain or self._is_last(month):
            return step
        challenger = train(clock, self._months_at(end), self._when_retraining(), self.store)
        verdict = pass_gate(challenger, champion, self.settings, self.store)
        if verdict.passed:
            self.watcher.adopt(challenger.training, clock)
        outcome = {
            "challenger": challenger.training.key,
            "challenger_rmse": challenger.training.test_rmse,
            "training_seconds": challenger.training.seconds,
            "verdict": verdict.summary,
            "promoted": verdict.passed,
        }
        return step.model_copy(update=outcome)

    def _months_at(self, now: datetime) -> tuple[str, ...]:
        return months_known(self.months, now, self.settings.retraining.max_months)

    def _when_retraining(self) -> Settings:
        """Return the settings with the windows that the retraining pipeline gives its runs."""
        windows = self.settings.windows
        days = self.settings.retraining.test_days or windows.test_days
        return self.settings.model_copy(
            update={"windows": windows.model_copy(update={"test_days": days})}
        )

    def _is_last(self, month: str) -> bool:
        """Tell whether nothing would be answered by a model trained after this month."""
        return month == self.months[-1]

    def _relevant_settings(self) -> dict[str, object]:
        names = (
            "validation windows features training evaluation gate retraining monitoring backtest"
        )
        return self.settings.model_dump(mode="json", include=set(names.split()))


def _in_words(step: ReplayStep) -> str:
    if not step.retrain:
        return "stays"
    if step.challenger is None:
        return "would retrain"
    return "retrained, promoted" if step.promoted else "retrained, refused"
