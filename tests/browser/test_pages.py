"""What a person sees after `mlops up`: a sign-in, pipelines and triggers, a playground, MLflow."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlops.cli.pipelines import pipeline_names
from mlops.orchestration.triggers.declared import TRIGGERS
from mlops.settings import PROJECT_ROOT

pytestmark = [pytest.mark.browser, pytest.mark.mage]

TRIP = ("74 East Harlem North, Manhattan", "132 JFK Airport, Queens", "17.5")
PIPELINES = pipeline_names()
PATIENCE = 30_000  # milliseconds until an element must be there


def test_nobody_enters_without_signing_in(server: Any, browser: Any) -> None:
    stranger = browser.new_context().new_page()
    stranger.goto(f"{server.mage}/pipelines")

    stranger.wait_for_selector('button:has-text("Sign into Mage")', timeout=PATIENCE)
    assert not stranger.get_by_text("model_selection").count()
    stranger.context.close()


def test_every_pipeline_is_listed_with_what_it_does(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines")

    for name in PIPELINES:
        page.get_by_text(name, exact=True).first.wait_for()
        pipeline = yaml.safe_load((PROJECT_ROOT / "pipelines" / name / "metadata.yaml").read_text())
        page.get_by_text(pipeline["description"]).first.wait_for()
        for tag in pipeline["tags"]:
            page.get_by_text(tag, exact=True).first.wait_for()


def test_the_editor_shows_the_dynamic_fan_out(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/sklearn_training/edit")

    for name in ("load_models", "tune_and_train", "collect_candidates"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("Dynamic", exact=True).first.wait_for()


def test_each_pipeline_says_how_to_run_it(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/deployment/edit")

    page.get_by_role("heading", name="deployment", exact=True).wait_for()
    page.get_by_text("rolls it back automatically if it does worse").first.wait_for()
    page.get_by_text("mlops pipeline run deployment").first.wait_for()


def test_triggers_are_listed_as_in_code(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/pipelines/retraining/triggers")

    for trigger in (t for t in TRIGGERS if t.pipeline == "retraining"):
        row = page.get_by_role("row").filter(has=page.get_by_text(trigger.name, exact=True))
        row.first.wait_for()
        if trigger.cron:
            row.get_by_text(trigger.cron).first.wait_for()


def test_a_trip_in_the_playground_is_answered_in_words(server: Any, page: Any) -> None:
    before = written_files()
    start, end, miles = TRIP

    # When a person fills in the form
    page.goto(f"{server.mage}/pipelines/predict/triggers")
    page.get_by_text("Create trigger with no-code").click()
    page.get_by_text("This pipeline will run continuously").click()
    page.get_by_placeholder("Name this trigger").fill("to the airport")
    page.locator("select").first.select_option("@once")
    page.get_by_role("button", name="Next: Customize").click()
    page.get_by_text("Taxi zone of the pickup").wait_for()
    page.locator("select").nth(0).select_option(label=start)
    page.locator("select").nth(1).select_option(label=end)
    page.locator("input").nth(0).fill(miles)
    page.get_by_role("button", name="Next: Review").click()
    page.get_by_role("button", name="Create trigger").click()
    page.get_by_text("inactive", exact=True).first.wait_for()  # it is loaded: it can be enabled
    page.get_by_role("button", name="Enable trigger").click()
    # By its text alone it would also be an option of a filter.
    page.locator("text=/^Done$/ >> visible=true").first.wait_for(timeout=2 * PATIENCE)

    # Then the run's log says how long the trip takes, and why
    page.goto(f"{server.mage}/pipelines/predict/logs")
    page.get_by_text(f"from {start} to {end}, {miles} miles").first.wait_for()
    page.get_by_text("minutes, changed by the ").first.wait_for()
    # And nothing of it was written into the project.
    assert written_files() == before


def written_files() -> dict[str, bytes]:
    """What the editor could have written."""
    folders = ("pipelines", "interactions", "markdowns")
    paths = (path for folder in folders for path in (PROJECT_ROOT / folder).rglob("*.*"))
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def test_both_data_products_are_listed(server: Any, page: Any) -> None:
    page.goto(f"{server.mage}/global-data-products")

    for name in ("training_set", "route_statistics"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_mlflow_shows_the_experiment(server: Any, page: Any) -> None:
    page.goto(f"{server.mlflow}/#/experiments")

    page.get_by_text("trip-duration").first.wait_for()
