"""`mlops dataset`: describe your own table, check the description, and look at it."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from mlops.cli.display import show_rows, terminal
from mlops.cli.options import AsJson, examples
from mlops.counting import counted
from mlops.errors import ConfigurationError, DataQualityError, SourceError

if TYPE_CHECKING:
    from mlops.datasets.checking.check import TableCheck
    from mlops.datasets.loading import LocatedDefinition

dataset_app = typer.Typer(
    no_args_is_help=True, help="Describe a table of your own, and check the description."
)
Dataset = Annotated[
    str, typer.Argument(metavar="NAME|PATH", help="Name of a dataset, or path of its definition.")
]
Months = Annotated[
    Optional[str],
    typer.Option(help="Months to read, YYYY-MM or a range with `..`. Default: all there are."),
]
_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(dataset_app, name="dataset")


@dataset_app.command(
    "init",
    epilog=examples(
        "mlops dataset init sales.csv --target amount",
        "mlops dataset init flights_2013-0*.csv.gz --target arr_delay --time departed_at",
        "mlops dataset init parts/ --target price --name houses --force",
    ),
)
def init(
    files: Annotated[
        list[Path], typer.Argument(help="CSV (also compressed) or Parquet files, or a folder.")
    ],
    target: Annotated[str, typer.Option(help="The column to predict.")],
    time: Annotated[
        str, typer.Option(help="The column with the time at which a prediction is asked for.")
    ] = "",
    outcome: Annotated[
        str, typer.Option(help="The column with the time at which the target is known.")
    ] = "",
    zone: Annotated[
        str, typer.Option(help="The time zone of times that carry none. Default: UTC.")
    ] = "",
    name: Annotated[
        str, typer.Option(help="The name of the dataset. Default: after the files.")
    ] = "",
    title: Annotated[str, typer.Option(help="The question that a prediction answers.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a definition that exists.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a first definition of a table: datasets/NAME/dataset.yaml.

    The command looks at a sample of the rows and guesses types, times, key, features, histories,
    split, rules and slices. It prints the evidence of each guess, marks in the file what a person
    should check, and then runs `mlops dataset check`.
    """
    from mlops.datasets.catalogue import FILE_NAME, FOLDER
    from mlops.datasets.guessing.proposal import name_of, propose
    from mlops.datasets.guessing.request import Request
    from mlops.datasets.guessing.sampling import located, sample_files
    from mlops.datasets.guessing.writing import definition_text
    from mlops.datasets.loading import locate_definition, parse_definition
    from mlops.records.atomic import atomic_file

    folder = Path.cwd() / FOLDER / (name or name_of(located(files)[1]))
    path = folder / FILE_NAME
    if path.exists() and not force:
        raise ConfigurationError(
            f"{path} exists already", "overwrite it with --force, or choose another --name"
        )
    sample = sample_files(files)
    proposal = propose(sample, Request(target, time, outcome, name, title, zone))
    source = proposal.content["source"]
    if Path(source["location"]).is_relative_to(Path.cwd()):
        source["location"] = os.path.relpath(source["location"], folder)
    text = definition_text(proposal, sample.rows, sample.sampled)
    parse_definition(text, str(path))
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if not as_json:
        show_rows(
            proposal.report, as_json=False, title=f"{counted(sample.rows, 'row')}; what was guessed"
        )
        shown = path.relative_to(Path.cwd())
        terminal().print(f"Wrote {shown}: look at the lines with `check:`.\n", markup=False)
    definition = locate_definition(path)
    more = {"file": str(path), "columns": proposal.report}
    _show_check(_checked(definition, None), definition, as_json=as_json, more=more)


@dataset_app.command(
    "check",
    epilog=examples(
        "mlops dataset check flights",
        "mlops dataset check datasets/flights/dataset.yaml --months 2013-01..2013-03",
    ),
)
def check(dataset: Dataset, months: Months = None, as_json: AsJson = False) -> None:
    """Check a definition against its table.

    The command reports columns that know the future, windows that are too small, rules that set too
    many rows aside, a key that is not unique, and more; each finding names the line to change. It
    plants columns that know the future in memory to prove that it would find them. The exit code is
    4 if there is an error.
    """
    from mlops.datasets.catalogue import definition_file
    from mlops.datasets.loading import locate_definition

    located = locate_definition(definition_file(dataset))
    _show_check(_checked(located, months), located, as_json=as_json)


@dataset_app.command("show", epilog=examples("mlops dataset show flights --all"))
def show(
    dataset: Dataset,
    everything: Annotated[
        bool, typer.Option("--all", help="Also show the values that are left to their defaults.")
    ] = False,
) -> None:
    """Show the resolved form of a definition."""
    from mlops.datasets.catalogue import definition_file
    from mlops.datasets.loading import as_yaml, load_definition

    print(as_yaml(load_definition(definition_file(dataset)), defaults=everything), end="")


@dataset_app.command("list", epilog=examples("mlops dataset list"))
def list_(as_json: AsJson = False) -> None:
    """List the definitions of this project and of the working directory."""
    from mlops.datasets.catalogue import definition_files
    from mlops.datasets.listing import summary

    rows = [summary(name, path) for name, path in definition_files().items()]
    empty = "There is no definition yet. Write one with: mlops dataset init FILES --target COLUMN"
    show_rows(rows, as_json=as_json, title="Datasets", empty=empty)


@dataset_app.command("schema", epilog=examples("mlops dataset schema > datasets/README.md"))
def schema() -> None:
    """Print the reference of a definition in Markdown: every key with its type and meaning."""
    from mlops.datasets.schema import reference

    print(reference(), end="")


def _checked(located: "LocatedDefinition", months: Optional[str]) -> "TableCheck":
    from mlops.data.months import parse_months
    from mlops.datasets.checking.check import check_table
    from mlops.datasets.listing import months_there
    from mlops.settings import load_settings

    names = (
        parse_months(months, "--months")
        if months is not None
        else months_there(located.definition.source.location)
    )
    location = located.definition.source.location
    if not names and "{month}" in location and "://" not in location:
        raise SourceError(
            f"{located.path}, line {located.line(('source', 'location'))}: source.location: "
            f"there is no file {location}",
            "correct the path; {month} stands for a month such as 2024-01",
        )
    settings = load_settings().working_on(located.definition.name)
    return check_table(located.definition, names, settings.validation.min_rows)


def _show_check(
    result: "TableCheck",
    located: "LocatedDefinition",
    *,
    as_json: bool,
    more: Optional[dict[str, Any]] = None,
) -> None:
    """Print findings, worst first, in JSON with what else there is, and fail if one is an error.

    Raises:
        DataQualityError: If there is an error.
    """
    rows = [{**each._asdict(), "line": located.line(each.path)} for each in result.findings]
    errors = sum(row["severity"] == "error" for row in rows)
    if as_json:
        print(json.dumps({**(more or {}), "rows": result.rows, "findings": rows}, indent=1))
        raise typer.Exit(DataQualityError.exit_code if errors else 0)
    _print_findings(rows, result, located)
    if errors:
        raise DataQualityError(
            f"{located.path}: {counted(errors, 'error')} in the definition or table",
            "change the lines that the errors name, then run: mlops dataset check",
        )


def _print_findings(
    rows: list[dict[str, Any]], result: "TableCheck", located: "LocatedDefinition"
) -> None:
    console = terminal()
    for row in rows:
        place = f"{located.path.name}:{row['line']}"
        severity = f"[{_COLOURS[row['severity']]}]{row['severity']:<7}[/]"
        message = f"{row['message']}".replace("[", r"\[")
        console.print(f"{severity} {place:<17} {message}")
        if row["severity"] != "note":
            console.print(f"{'':<26}{row['remedy']}".replace("[", r"\["), style="dim")
    counts = {each: sum(row["severity"] == each for row in rows) for each in _COLOURS}
    summary = ", ".join(counted(n, each) for each, n in counts.items())
    seen = "" if result.sampled == result.rows else f" ({result.sampled:,} looked at)"
    planted = counted(result.planted, "planted column")
    console.print(
        f"{located.definition.name}: {counted(result.rows, 'row')}{seen}; {summary}."
        f" The search was tested with {planted} that know the future."
    )
