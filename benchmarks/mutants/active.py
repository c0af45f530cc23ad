"""The switch in every mutated function: it calls the mutant that the environment names, if any."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any

MutantDict = dict[str, Callable[..., Any]]

MUTANT = "MUTANT_UNDER_TEST"  # environment: module and name of the one mutant that is called
CALLS = "MUTANTS_CALLED"  # environment: file that receives the name of every function called
seen: set[str] = set()  # what this process has already written there
_open, _write, _close = os.open, os.write, os.close  # whatever a test puts in their place


def switch(mutants: MutantDict, is_classmethod: bool = False) -> Callable[..., Any]:
    """Return a decorator that replaces a function by the switch between it and its mutants."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        module = function.__module__

        def chosen(*arguments: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            original = mutants["_mutmut_orig"]
            calls = os.environ.get(CALLS)
            if calls:
                _note(calls, f"{module}.{original.__name__.removesuffix('_orig')}")
            of, _, name = os.environ.get(MUTANT, "").rpartition(".")
            found = mutants.get(name, original) if of == module else original
            if is_classmethod:
                return getattr(arguments[0], found.__name__), arguments[1:]
            return found, arguments

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call(*arguments: Any, **named: Any) -> Any:
                found, rest = chosen(*arguments)
                return await found(*rest, **named)

        else:

            @functools.wraps(function)
            def call(*arguments: Any, **named: Any) -> Any:
                found, rest = chosen(*arguments)
                return found(*rest, **named)

        return call

    return decorate


def _note(calls: str, name: str) -> None:
    """Add a function to the file of those called, once per process; processes share the file."""
    if name not in seen:
        seen.add(name)
        descriptor = _open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        _write(descriptor, f"{name}\n".encode())
        _close(descriptor)
