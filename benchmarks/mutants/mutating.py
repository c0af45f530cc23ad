"""Which faults are put in: mutmut's operators that change what code does, and four of our own.

Texts are left alone: messages, log lines and their parts would be mutants that no test should
notice. So are the arguments of calls, whose mutants (``None`` instead) die of any test. Added are
statements left out, conditions turned round, and keyword arguments left to their default.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
import libcst.matchers as m
from mutmut.configuration import Config
from mutmut.mutation import file_mutation, mutators

_LOGS = m.Name("log") | m.Name("_log") | m.Name("logger") | m.Name("_logger") | m.Name("logging")
_TEXTS = m.FormattedString() | m.Call(func=m.Attribute(value=_LOGS))
# Whom a signal reaches: another number may be everybody, or the group of the machine's first.
_SIGNALS = m.Call(func=m.Attribute(value=m.Name("os"), attr=m.Name("kill") | m.Name("killpg")))
_STRICT = m.Arg(keyword=m.Name("strict"))  # of `zip`: an assertion, which holds
_COMPARED = m.Comparison() | m.BooleanOperation() | m.UnaryOperation(operator=m.Not())
# A generator and an object have one switch below these, as a plain function has.
_DECORATORS = ("property", "cached_property", "contextmanager", "lru_cache", "cache")
_TURNED: dict[type[cst.BaseCompOp], type[cst.BaseCompOp]] = {
    cst.LessThan: cst.GreaterThanEqual,
    cst.LessThanEqual: cst.GreaterThan,
    cst.GreaterThan: cst.LessThanEqual,
    cst.GreaterThanEqual: cst.LessThan,
}


@dataclass(frozen=True)
class Mutant:
    """One small fault."""

    function: str  # what the switch reports when the function is called
    name: str  # what makes the switch choose it
    diff: str  # against the function without fault


def turned(node: cst.ComparisonTarget) -> Iterable[cst.CSTNode]:
    """Turn an ordering round: mutmut itself only moves its boundary."""
    if type(node.operator) in _TURNED:
        yield node.with_changes(operator=_TURNED[type(node.operator)]())


def negated(node: cst.If | cst.While | cst.IfExp | cst.CompIf) -> Iterable[cst.CSTNode]:
    """Negate a condition that holds no operator to mutate."""
    if not m.matches(node.test, _COMPARED):
        brackets = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}
        test = node.test.with_changes(**brackets)
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test, **brackets))


def left_out(node: cst.BaseSmallStatement) -> Iterable[cst.CSTNode]:
    """Leave out a statement that is there for its effect."""
    calls = m.Expr(m.Call() | m.Await())
    sets = m.Assign([m.AssignTarget(m.Attribute() | m.Subscript())])
    leaves = m.Raise() | m.Del() | m.Return(value=None)
    if m.matches(node, calls | sets | leaves) and not m.matches(node, m.Expr(_TEXTS)):
        yield cst.Pass()


def defaulted(node: cst.Call) -> Iterable[cst.CSTNode]:
    """Leave out a keyword argument; classes are spared, whose fields are mostly required.

    A True or False is spared too: turned round, it is a mutant already.
    """
    function = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if not isinstance(function, cst.Name) or function.value[:1].isupper():
        return
    for at, argument in enumerate(node.args):
        flag = m.matches(argument.value, m.Name("True") | m.Name("False"))
        if argument.keyword and len(node.args) > 1 and not flag:
            yield node.with_changes(args=[*node.args[:at], *node.args[at + 1 :]])


_OURS = [
    (cst.ComparisonTarget, turned),
    (cst.If, negated),
    (cst.While, negated),
    (cst.IfExp, negated),
    (cst.CompIf, negated),
    (cst.BaseSmallStatement, left_out),
    (cst.Call, defaulted),
]
_NOT_THEIRS = ("operator_string", "operator_dict_arguments", "operator_arg_removal")
_NOT_THEIRS += ("operator_assignment",)


def _decorated(function: cst.FunctionDef) -> bool:
    """Whether a function is mutated below its one decorator."""
    decorator: cst.BaseExpression = function.decorators[0].decorator
    if isinstance(decorator, cst.Call):
        decorator = decorator.func
    name = decorator.attr if isinstance(decorator, cst.Attribute) else decorator
    return len(function.decorators) == 1 and m.matches(
        name, m.OneOf(*(m.Name(allowed) for allowed in _DECORATORS))
    )


def _set_up() -> None:
    """Make mutmut use these operators, skip texts, and go into decorated classes and functions."""
    theirs = mutators.mutation_operators
    file_mutation.mutation_operators[:] = [
        *((kind, made) for kind, made in theirs if made.__name__ not in _NOT_THEIRS),
        *_OURS,
    ]
    file_mutation.trampoline_impl_cst[:] = cst.parse_module(
        "from benchmarks.mutants.active import switch as _mutmut_mutated, MutantDict\n"
    ).body
    visitor: Any = file_mutation.MutationVisitor
    skip, arrange = visitor._skip_node_and_children, file_mutation.function_trampoline_arrangement

    def skips(self: Any, node: cst.CSTNode) -> bool:
        if m.matches(node, _TEXTS | _SIGNALS | _STRICT):
            return True
        if isinstance(node, cst.Raise):  # whether it is raised is mutated, what it says is not
            self._create_mutations(node)
            return True
        if isinstance(node, cst.ClassDef) and node.decorators:
            return False
        if isinstance(node, cst.FunctionDef) and node.decorators and _decorated(node):
            return False
        return bool(skip(self, node))

    def arranged(function: cst.FunctionDef, *arguments: Any, **named: Any) -> Any:
        if not function.decorators or not _decorated(function):
            return arrange(function, *arguments, **named)
        bare = function.with_changes(decorators=[])
        before, (switched, *copies), after, names = arrange(bare, *arguments, **named)
        both = [*function.decorators, *switched.decorators]
        return before, [switched.with_changes(decorators=both), *copies], after, names

    visitor._skip_node_and_children = skips
    file_mutation.function_trampoline_arrangement = arranged
    Config.get = staticmethod(  # nothing of it is needed to write mutants
        lambda: type("_Config", (), {"do_not_mutate_patterns": ()})
    )


def mutate(root: Path, path: Path) -> list[Mutant]:
    """Rewrite a source file, below ``root``, so that it holds its mutants; return them."""
    if mutators.mutation_operators[-1] is not _OURS[-1]:
        _set_up()
    written = file_mutation.mutate_file_contents(str(path), (root / path).read_text("utf-8"))
    (root / path).write_text(written.code, encoding="utf-8")
    lines, spans = written.code.splitlines(), written.line_span_by_function_name
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")

    def text_of(name: str) -> list[str]:
        span = spans[name]
        return lines[span.start - 1 : span.end]

    found = []
    for name in written.mutant_names:
        function = name.rpartition("_")[0]
        before = [line.replace("__mutmut_orig", "") for line in text_of(f"{function}_orig")]
        after = [line.replace(name, function.removesuffix("__mutmut")) for line in text_of(name)]
        head = next(line for line in before if "def " in line).strip()
        diff = [f"{path}: {head}", *difflib.unified_diff(before, after, lineterm="", n=2)]
        diff = [line for line in diff if not line.startswith(("---", "+++"))]
        found.append(Mutant(f"{module}.{function}", f"{module}.{name}", "\n".join(diff)))
    return found
