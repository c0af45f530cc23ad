"""Every command that a text tells a person to type exists, with these options.

Texts are all string constants of the library, its blocks, charts and pages, the README, and the
alert rules. What a hint names is looked up in the command line itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mlops.cli import command_line
from mlops.errors import (
    HINT,
    ConfigurationError,
    DataQualityError,
    MlopsError,
    PipelineFailureError,
    RegistryError,
    SourceError,
)
from mlops.orchestration.runs.contract import BlockResult, PipelineResult
from mlops.orchestration.runs.failures import require_success
from mlops.settings import PROJECT_ROOT

PLACEHOLDER = "1"
# From the program's name to where a sentence, a quotation or a cell of a table goes on.
COMMAND = re.compile(r"\bmlops ((?:[a-z][a-z-]*|--[a-z-]+)(?:[ =][^\s,;:()`·\"|\\]+)*)")
TEXTS = (
    *("mlops/**/*.py", "charts/**/*.py", "data_loaders/*.py", "custom/*.py"),
    *("transformers/*.py", "data_exporters/*.py", "conditionals/*.py"),
    *("markdowns/*.md", "README.md", "deploy/**/*.yml", "deploy/**/*.yaml", "deploy/**/*.json"),
    "docker-compose.yml",
)


def texts(path: Path) -> Iterator[str]:
    """The string constants of a module, docstrings left out; or all of another file."""
    if path.suffix != ".py":
        yield path.read_text(encoding="utf-8")
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    docstrings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if node in inside or node in docstrings:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else PLACEHOLDER
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def commands() -> Iterator[tuple[str, str]]:
    """Each command that a text names, with the file it stands in."""
    for pattern in TEXTS:
        for path in sorted(PROJECT_ROOT.glob(pattern)):
            for text in texts(path):
                for found in COMMAND.finditer(text):
                    yield str(path.relative_to(PROJECT_ROOT)), found[1]


def problem(group: click.Group, words: list[str]) -> str:
    """Say why a command cannot be typed; empty if it can."""
    command: click.Command = group
    if words[0].startswith("-"):
        return "" if words[0] in ("--help", "--version") else problem(group, ["run", *words])
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        child = command.get_command(click.Context(command), words[0])
        if child is None:
            return f"there is no command {words[0]!r}"
        command, words = child, words[1:]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known | {"--help"}:
            return f"{command.name} has no option {option}"
    return ""


def test_every_command_that_a_text_names_can_be_typed() -> None:
    group = command_line()

    named = sorted(set(commands()))

    # "mlops" is also the name of the project and of its database: those words are no commands
    wrong = [f"{path}: mlops {text}: {why}" for path, text in named if (why := of(group, text))]
    assert len(named) > 100
    assert wrong == []


def of(group: click.Group, text: str) -> str:
    return problem(group, text.rstrip(".!?'…").split())


@pytest.mark.parametrize("text", ["resume", "run --resum", "deploy 3 --canary", "pipeline go"])
def test_a_command_that_does_not_exist_is_noticed(text: str) -> None:
    assert of(command_line(), text)


@pytest.mark.parametrize(
    "text", ["run --resume", "deploy 3 --canary-percent 5", "--train-data a", "pipeline resume 3"]
)
def test_a_command_that_exists_is_not(text: str) -> None:
    assert of(command_line(), text) == ""


def failed(error: MlopsError) -> PipelineResult:
    """A run whose first block has raised an error, as the engine tells it."""
    text = f"{type(error).__module__}.{type(error).__name__}: {error}"
    block = BlockResult("load", "failed", 1.0, text, Path("/home/logs/load.log"))
    return PipelineResult("deployment", 7, "failed", 1.0, (block,), lambda name: None)


GO_ON = "mlops deploy 99"


@pytest.mark.parametrize(
    ("error", "repeats"),
    [
        # asked for again, it fails again
        (ConfigurationError("version: there is no version 99", "see: mlops models"), False),
        (ConfigurationError("source.months: no such month", "ask for other months"), False),
        (RegistryError("its files are gone", "deploy another: mlops deploy VERSION"), False),
        (ConfigurationError("nothing to restore", "first deploy a version"), False),
        # once the cause is mended, the same goes on
        (SourceError("no trips for 2024-02", "put the file there"), True),
        (DataQualityError("the batch breaks the data contract", "fix the source"), True),
        (PipelineFailureError("out of memory"), True),
    ],
)
def test_a_hint_is_no_repeat_of_what_just_failed(error: MlopsError, repeats: bool) -> None:
    with pytest.raises(type(error)) as stop:
        require_success(failed(error), GO_ON)

    assert (GO_ON in stop.value.hint) == repeats
    assert stop.value.hint
    assert HINT not in stop.value.message
