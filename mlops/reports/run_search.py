"""Sections of a training report on how the winner was found, and what it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from mlops.counting import counted
from mlops.reports.document import Block, Cell, Chart, DocumentTable, Fold, Text
from mlops.reports.facts import RunFacts
from mlops.reports.marks import Scale, bar
from mlops.reports.parts import params_fold

_SHOWN_FEATURES: Final = 10


def search(facts: RunFacts) -> Iterator[Block]:
    """Tell how the hyperparameters were found."""
    table = _trials(facts)
    if table.empty:
        return
    from mlops.drawing.reports import search_progress
    from mlops.reports.drawings import chart

    yield Text(
        f"The search ran {counted(len(table), 'trial')}. Each fits a candidate with other"
        " hyperparameters on the train window and measures it on the validation window; later"
        " trials look where earlier ones did well (tree-structured Parzen estimator)."
    )
    yield Chart(
        chart(search_progress(table, facts.words)),
        f"{facts.words.measured('Best RMSE on validation so far, by number of trials')}.",
    )
    winner = facts.insights.get(facts.selection.winner)
    if winner is not None and winner.trials:
        rows = tuple(
            (
                Cell(str(trial.number + 1)),
                Cell(facts.amounts.number(trial.rmse) if trial.rmse is not None else "failed"),
                Cell(f"{trial.seconds:.1f}"),
                Cell(", ".join(f"{k} {_short(v)}" for k, v in trial.params.items())),
            )
            for trial in winner.trials
        )
        columns = ("trial", facts.words.measured("RMSE"), "seconds", "hyperparameters")
        yield Fold(
            f"{counted(len(rows), 'trial')} of {facts.selection.winner}",
            (DocumentTable("Trials in order", columns, rows, frozenset({3})),),
        )
    yield params_fold(facts.selection.receipt.params)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _trials(facts: RunFacts) -> pd.DataFrame:
    """Return the best error so far of each trial of each family that was searched at all."""
    rows = []
    for name, insight in facts.insights.items():
        best = float("inf")
        for trial in insight.trials if len(insight.trials) > 1 else ():
            best = min(best, trial.rmse if trial.rmse is not None else best)
            if best < float("inf"):
                rows.append({"family": name, "number": trial.number + 1, "best": best})
    return pd.DataFrame(rows, columns=["family", "number", "best"])


def features(facts: RunFacts) -> Iterator[Block]:
    """Tell what the winner looks at."""
    insight, words = facts.insights.get(facts.selection.winner), facts.words
    found = insight.contributions if insight else None
    if found is None:
        return
    shown = list(found.means.items())[:_SHOWN_FEATURES]
    scale = Scale(0.0, max((value for _, value in shown), default=0.0) or 1.0)
    yield DocumentTable(
        f"The {len(shown)} inputs that move the winner's predictions most (exact Shapley values on"
        f" {words.count(found.rows)})",
        ("input", "name", words.measured("mean |contribution|")),
        tuple(
            (
                Cell(words.feature(name)),
                Cell(name, code=True),
                Cell(facts.amounts.number(value), mark=bar(value, scale)),
            )
            for name, value in shown
        ),
        frozenset({0, 1}),
    )
