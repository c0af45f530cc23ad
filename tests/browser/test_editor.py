"""Mage's editor on a project under git: looking and running change nothing, an edit is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from mlops.cli.pipelines import pipeline_names

# The first of them waits for a pipeline run, the servers, and a kernel.
pytestmark = [pytest.mark.browser, pytest.mark.mage, pytest.mark.timeout(900)]

PATIENCE = 120_000  # milliseconds until a block has run: the kernel starts first
# Pages of a pipeline, and what the others show once they are there.
PARTS = ("triggers", "runs", "backfills", "logs", "monitors", "settings", "dashboard")
OTHERS = {
    "overview": "Champion",
    "pipelines": "model_selection",
    "triggers": "retraining",
    "pipeline-runs": "data_preparation",
    "global-data-products": "training_set",
}


def test_the_first_click_in_the_playground_answers_and_changes_nothing(workshop: Any) -> None:
    open_block(workshop, "predict", "predict_trip").click()

    for text in ("no trip was given, so this is an example", "from 74 East Harlem North"):
        workshop.page.get_by_text(text).first.wait_for(timeout=PATIENCE)
    save(workshop)
    assert workshop.changed() == ""


def test_a_block_below_a_data_product_runs_with_all_above_it(workshop: Any) -> None:
    open_block(workshop, "route_statistics", "publish_route_statistics").click()
    workshop.page.get_by_text("Execute with upstream blocks").click()

    workshop.page.get_by_text("published route_statistics sha256=").first.wait_for(timeout=PATIENCE)
    save(workshop)
    assert workshop.changed() == ""


def test_looking_at_every_page_and_starting_a_run_change_nothing(workshop: Any) -> None:
    page = workshop.page
    pages = {f"pipelines/{name}/edit": name for name in pipeline_names()}
    pages |= {f"pipelines/predict/{part}": "predict" for part in PARTS}
    for path, text in (pages | OTHERS).items():
        page.goto(f"{workshop.mage}/{path}", wait_until="domcontentloaded")
        page.get_by_text(text, exact=True).first.wait_for()

    page.goto(f"{workshop.mage}/pipelines/predict/triggers")
    page.get_by_role("button", name="Run@once").click()
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Run now").click()
    page.goto(f"{workshop.mage}/pipelines/predict/runs")
    page.locator("text=/^Done$/ >> visible=true").first.wait_for(timeout=PATIENCE)

    assert workshop.changed() == ""


def test_an_edit_of_code_is_saved_and_nothing_else(workshop: Any) -> None:
    open_block(workshop, "predict", "predict_trip")
    editor = workshop.page.locator(".monaco-editor").first
    editor.get_by_text("playground.predict").first.wait_for()  # it opens empty
    editor.click()
    workshop.page.keyboard.press("Control+End")
    workshop.page.keyboard.insert_text("\n# edited")
    editor.get_by_text("edited").first.wait_for()
    save(workshop)

    assert eventually(lambda: workshop.changed() == " M custom/predict_trip.py\n")
    assert [line for line in workshop.difference() if line != "+"] == ["+# edited"]


def test_a_setting_of_a_pipeline_is_saved_and_nothing_else(workshop: Any) -> None:
    page, changed = workshop.page, " M pipelines/rollback/metadata.yaml\n"
    for _ in range(4):  # on a busy machine the page may load the pipeline again after the click
        page.goto(f"{workshop.mage}/pipelines/rollback/settings")
        page.get_by_text("Run pipeline in a single process").wait_for()
        page.locator("[class*=ToggleSwitch] >> visible=true").first.click()
        page.get_by_role("button", name="Save").click()
        if eventually(lambda: workshop.changed() == changed, seconds=20):
            break

    assert workshop.changed() == changed
    assert workshop.difference() == ["+run_pipeline_in_one_process: true"]


def open_block(workshop: Any, pipeline: str, block: str) -> Any:
    """Open the editor; return the button that runs a block."""
    workshop.page.goto(f"{workshop.mage}/pipelines/{pipeline}/edit")
    head = workshop.page.locator(".code-block-header-sticky").filter(has_text=block)
    head.first.wait_for()
    head.first.scroll_into_view_if_needed()
    # The first button of a custom block chooses its colour.
    return head.first.locator("button:has([class*=Circle])").first


def save(workshop: Any) -> None:
    """Save as a person does, and wait until it is."""
    workshop.page.keyboard.press("Control+s")
    workshop.page.get_by_text("Saved").first.wait_for()


def eventually(is_so: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
