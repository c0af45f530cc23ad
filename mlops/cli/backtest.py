"""`mlops backtest`: what a policy of retraining would have done to history."""

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AsJson, SetOption, examples, settings_from
from mlops.errors import ConfigurationError
from mlops.settings import DEFAULT_DATASET

if TYPE_CHECKING:
    from mlops.backtest.results import BacktestResult

ALL = ("never", "monthly", "on_drift", "on_performance")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "backtest",
        epilog=examples(
            "mlops backtest --from 2023-10 --to 2024-02 --source tlc",
            "mlops backtest --from 2023-10 --to 2024-02 --source path --location months/",
            "mlops backtest --from 2013-01 --to 2013-06 --dataset flights",
            "mlops backtest --policy never --policy on_drift --set source.sample_drift=0.8",
        ),
    )(backtest)


def backtest(
    first: Annotated[
        Optional[str], typer.Option("--from", help="First month of data, YYYY-MM.")
    ] = None,
    last: Annotated[Optional[str], typer.Option("--to", help="Last month to replay.")] = None,
    policy: Annotated[
        Optional[list[str]],
        typer.Option(help=f"{', '.join(ALL)}; repeat for several. Default: all."),
    ] = None,
    source: Annotated[Optional[str], typer.Option(help="sample, tlc or path.")] = None,
    location: Annotated[
        Optional[str], typer.Option(help="With --source path: folder or URL.")
    ] = None,
    set_: SetOption = None,
    as_json: AsJson = False,
) -> None:
    """Replay history month by month, and compare retraining policies.

    The first months (backtest.initial_months) train the first model. In each later month the
    champion of the day predicts, labels arrive, monitoring measures, the policy decides whether to
    train a challenger, and the gate judges it. No step sees its future. Run the same command again
    to continue an interrupted replay.
    """
    ends = [each for each in (first, last) if each is not None]
    months = f"{ends[0]}..{ends[-1]}" if ends else None
    settings = settings_from(
        set_, {"source.kind": source, "source.location": location, "source.months": months}
    )

    from mlops.datasets.declared.months import with_months
    from mlops.orchestration.triggers.admission import check_backtest
    from mlops.registry.remembered import source_in_force

    check_backtest(settings)
    found = source_in_force(settings)
    settings = found.settings
    terminal(stderr=True).print(found.summary, markup=False)
    if settings.dataset != DEFAULT_DATASET:
        settings = with_months(settings)
    listed = settings.source.month_list
    if len(listed) < 2:
        raise ConfigurationError(
            "nothing is left to replay: "
            + (
                f"the only month is {listed[0]}, which trains a model"
                if listed
                else "no month is named"
            ),
            "name at least two months with --from and --to",
        )

    from mlops.backtest.run import backtest as run

    with redirect_stdout(sys.stderr):  # progress; the result alone is the output
        result, folder = run(settings, listed[0], listed[-1], policy or ALL)
    if as_json:
        print(json.dumps({"folder": str(folder), **result.model_dump(mode="json")}, indent=1))
        return
    _show(result)
    terminal().print(f"tables and chart: {folder}")


def _show(result: "BacktestResult") -> None:
    from mlops.backtest.summary import excess_by_age, step_rows

    unit, of_unit = (f"{result.unit}; ", f", {result.unit}") if result.unit else ("", "")
    show_rows(
        [
            {**row, "gate": row["gate"].split(":")[0]}
            for row in step_rows(result.steps, result.plural)
        ],
        as_json=False,
        title=f"Month by month ({unit}windows in chronological order, x: violated)",
    )
    show_rows([t.model_dump() for t in result.totals], as_json=False, title="Policies")
    found = {(aged.policy, aged.age_months): aged.rmse for aged in result.staleness}
    ages = sorted({age for _, age in found})
    curves = [
        {"policy": t.policy, **{f"{age} months old": found.get((t.policy, age)) for age in ages}}
        for t in result.totals
    ]
    show_rows(curves, as_json=False, title=f"Live RMSE by age of the model{of_unit}")
    excess = {f"{age} months old": f"{e:+.1%}" for age, e in excess_by_age(result.aging).items()}
    show_rows([excess], as_json=False, title="RMSE above that of the newest model, same month")
