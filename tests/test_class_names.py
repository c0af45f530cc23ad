"""A class name means one thing in the whole library."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import mlops


def test_no_two_classes_of_the_library_share_a_name() -> None:
    # given all class definitions, private and nested ones included
    root = Path(mlops.__file__).parent
    places = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(root)}:{node.lineno}")

    # then each name is defined once
    assert len(places) > 100
    assert {name: lines for name, lines in places.items() if len(lines) > 1} == {}
