"""What a project adds in `extensions/`: the examples of its README, from the data to the server."""

from __future__ import annotations

import pickle
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops import extensions, fingerprints
from mlops.data.references import TrainingSetManifest
from mlops.data.store.snapshots import read_window
from mlops.datasets.declared.requests import RowForm
from mlops.datasets.loading import load_definition
from mlops.errors import ConfigurationError
from mlops.notifications.alerts import Alert
from mlops.notifications.channels import channels_of
from mlops.notifications.delivery import deliver
from mlops.registry import remembered
from mlops.registry.versions import Registry
from mlops.serving.model.compilation import compile_model
from mlops.serving.model.compiled import CompiledModel
from mlops.settings import NotificationSettings, load_settings
from mlops.steps import candidates, data_preparation, model_selection, training
from mlops.training import stored_classes
from mlops.training.families import families, family_of
from tests.conftest import extension_examples

README = (extensions.FOLDER / "README.md").read_text(encoding="utf-8")
EXAMPLES = extension_examples()

DEFINITION = """
name: houses
title: What does a house cost?
source: {location: "warehouse://houses.parquet"}
task: {target: price, unit: euros}
key: [id]
features: {area: number, rooms: {type: number, optional: true}, age: number}
context: {id: category}
split: {by: random, validation: 0.2, test: 0.2}
"""


@pytest.fixture
def variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declare: Callable[[str], Path]
) -> dict[str, Any]:
    """Declare houses in the working directory; their rows are in a database."""
    declare(DEFINITION)
    monkeypatch.setenv("WAREHOUSE", str(tmp_path / "warehouse.db"))
    monkeypatch.setattr(remembered, "find_version", lambda *_: None)
    rng = np.random.default_rng(3)
    area, age = rng.uniform(30, 200, 900), rng.uniform(0, 90, 900)
    rows = pd.DataFrame({"id": range(900), "area": area, "age": age, "rooms": area // 25})
    rows["price"] = 90_000 + 40 * (area - 110) ** 2 + 900 * np.abs(age - 45)
    rows.loc[:8, "rooms"] = 99  # no room is that small
    rows.loc[20:40, "rooms"] = None
    with sqlite3.connect(tmp_path / "warehouse.db") as database:
        rows.to_sql("houses", database, index=False)
    return {
        "home": str(tmp_path / "home"),
        "dataset": "houses",
        "validation.min_rows": 1,
        "training.max_evals": 2,
        "pipeline_uuid": "model_selection",
        "pipeline_run_id": 1,
    }


def test_a_source_a_rule_and_a_family_reach_the_gate_the_report_and_the_server(
    add_extension: Callable[..., Path], variables: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("sources/warehouse.py", "rules/rooms_fit.py", "families/nearest.py"):
        add_extension(name)

    # The rows come from the database, and the rule sets some of them aside.
    found = data_preparation.validate(data_preparation.extract(variables), variables)
    assert {rule["rule"]: rule["rows"] for rule in found["quality"]["rules"]}["rooms_fit"] == 9
    published = data_preparation.publish(data_preparation.build(found, variables), variables)
    manifest = TrainingSetManifest.model_validate(published)
    assert manifest.rows == 891
    past = data_preparation.publish_route_statistics([published], variables)

    # The family is a candidate without being named, and wins.
    items, _ = training.families([published], [past], variables)
    assert {item["family"] for item in items} >= {"nearest", "lasso", "global_mean"}
    chosen = [item for item in items if item["family"] in ("nearest", "lasso", "global_mean")]
    trained = training.collect([training.tune_and_train(item, variables) for item in chosen])
    assert trained["candidates"][0]["family"] == "nearest"
    refitted, _ = candidates.newest_candidates([published], [past], variables)
    judged = model_selection.judge_candidates(
        [candidates.refit_and_evaluate(item, variables) for item in refitted], variables
    )
    assert judged["winner"] == "nearest" and judged["verdict"]["passed"]
    registered = model_selection.register(judged, variables)
    assert registered["promoted"], registered

    settings = load_settings(variables, strict=False)
    reports = {file.name: file.read_text() for file in settings.reports.glob("*.html")}
    assert len(reports) == 2 and all("nearest" in page for page in reports.values())

    # The server answers with it as the model does, and what it explains adds up.
    model, _ = Registry(settings).load(1)
    compile_model(model, 1).save(tmp_path / "bundle")
    served, rows = CompiledModel.load(tmp_path / "bundle"), read_window(manifest, "test").head(50)
    answered = served.predict(rows)
    assert answered == pytest.approx(model.predict(rows).to_numpy(), rel=1e-5)
    explained = served.explain(rows)
    total = explained.contributions.sum(axis=1) + explained.base
    assert np.clip(total, model.shortest, model.longest) == pytest.approx(answered[:, 0])

    # A request is held to the rule, too.
    form = RowForm(load_definition(tmp_path / "datasets" / "houses" / "dataset.yaml"))
    refused = form.read({"area": 20, "rooms": 9, "age": 3}).problems
    assert refused == {"": "breaks the rule rooms_fit: every room has four square metres"}
    assert not form.read({"area": 60, "rooms": 3, "age": 3}).problems


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (('rows["area"]', 'rows["size"]'), "rooms_fit: KeyError: 'size'"),
        (('(rows["rooms"].isna()', 'pd.Series([True]) | (rows["rooms"].isna()'), "NameError"),
    ],
)
def test_a_rule_that_fails_is_named(
    add_extension: Callable[..., Path],
    variables: dict[str, Any],
    edit: tuple[str, str],
    problem: str,
) -> None:
    add_extension("sources/warehouse.py")
    add_extension("rules/rooms_fit.py", EXAMPLES["rules/rooms_fit.py"].replace(*edit))

    with pytest.raises(ConfigurationError, match=problem):
        data_preparation.validate(data_preparation.extract(variables), variables)


def test_named_families_leave_out_what_is_added(add_extension: Callable[..., Path]) -> None:
    add_extension("families/nearest.py")

    assert "nearest" in families() and family_of("nearest").cost > 0
    asked = load_settings({"training.families": "lasso"}).training
    assert "nearest" not in training.families_to_train(asked)


def test_a_channel_delivers_every_message(
    add_extension: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL", str(tmp_path / "journal"))
    add_extension("channels/journal.py")

    alert = Alert(kind="test", incident="test", stage="test", title="It works", text="Indeed.")
    delivery = deliver(channels_of(NotificationSettings()), alert, timeout_seconds=20)

    assert [(sent.channel, sent.delivered) for sent in delivery.sent] == [("journal", True)]
    assert (tmp_path / "journal").read_text().endswith("It works\n")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("x = 1\nimport nonesuch\n", 2, "ModuleNotFoundError: No module named 'nonesuch'"),
        ("x = 1\n\ny = = 2\n", 3, "SyntaxError"),
        ("x = 1\n", None, "defines no Family"),
    ],
)
def test_a_mistake_names_file_and_line_and_stops_only_what_needs_the_kind(
    add_extension: Callable[..., Path], text: str, line: int | None, problem: str
) -> None:
    file = add_extension("families/broken.py", text)

    with pytest.raises(ConfigurationError) as failure:
        families()

    assert str(file) in failure.value.message and problem in failure.value.message
    assert line is None or f"line {line}:" in failure.value.message
    assert family_of("lasso").name == "lasso" and channels_of(NotificationSettings()) == ()


def test_a_channel_that_cannot_be_loaded_fails_to_deliver_and_stops_nobody(
    add_extension: Callable[..., Path],
) -> None:
    file = add_extension("channels/broken.py", "import nonesuch\n")

    alert = Alert(kind="test", incident="test", stage="test", title="It works", text="Indeed.")
    (sent,) = deliver(channels_of(NotificationSettings()), alert, timeout_seconds=20).sent

    assert not sent.delivered and f"{file}, line 1: ModuleNotFoundError" in sent.detail


def test_a_family_needs_a_name_of_its_own(add_extension: Callable[..., Path]) -> None:
    add_extension(
        "families/nearest.py", EXAMPLES["families/nearest.py"].replace('"nearest"', '"lasso"')
    )

    with pytest.raises(ConfigurationError, match="lasso: another family has this name"):
        families()


def test_what_is_added_is_part_of_every_key(add_extension: Callable[..., Path]) -> None:
    before = fingerprints.of_code("data"), fingerprints.of_code()

    file = add_extension("families/nearest.py")
    after = fingerprints.of_code("data"), fingerprints.of_code()
    assert not {*before} & {*after}

    # When it is edited under the process, then that is noticed
    assert fingerprints.changed_sources() == ()
    file.write_text("# other\n")
    assert fingerprints.changed_sources() == ("extensions/families/nearest.py",)


def test_a_stored_model_finds_the_class_of_a_file(add_extension: Callable[..., Path]) -> None:
    own = "class Half:\n    def predict(self, features):\n        return features[:, 0] / 2\n"
    add_extension("families/half.py", f"{EXAMPLES['families/nearest.py']}\n{own}")
    families()
    content = pickle.dumps(sys.modules["extensions.families.half"].Half())
    add_extension(
        "families/half.py", f"{EXAMPLES['families/nearest.py']}\n{own}"
    )  # as in another process

    assert stored_classes.loads(content).predict(np.array([[4.0]])) == [2.0]


def test_its_readme_shows_an_example_of_every_kind_it_names() -> None:
    assert {name.partition("/")[0] for name in EXAMPLES} == {
        *re.findall(r"^\| `(\w+)/` \|", README, re.M)
    }
