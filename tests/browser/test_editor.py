"""Mage's editor on a project under git: running a block changes nothing, an edit is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

# The first of them waits for a pipeline run, the servers, and a kernel.
pytestmark = [pytest.mark.browser, pytest.mark.mage, pytest.mark.timeout(900)]

PATIENCE = 120_000  # milliseconds until a block has run: the kernel starts first


def test_a_block_below_a_data_product_runs_with_all_above_it(workshop: Any) -> None:
    block = open_block(workshop, "route_statistics", "publish_route_statistics")
    block.locator("button").first.click()
    workshop.page.get_by_text("Execute with upstream blocks").click()

    workshop.page.get_by_text("published route_statistics sha256=").first.wait_for(timeout=PATIENCE)
    save(workshop)
    assert workshop.changed() == ""


def test_an_edit_of_code_is_saved_and_nothing_else(workshop: Any) -> None:
    open_block(workshop, "predict", "predict_trip")
    workshop.page.locator(".monaco-editor").first.click()
    workshop.page.keyboard.press("Control+End")
    workshop.page.keyboard.insert_text("\n# edited")
    save(workshop)

    assert eventually(lambda: workshop.changed() == " M custom/predict_trip.py\n")
    assert [line for line in workshop.difference() if line != "+"] == ["+# edited"]


def test_a_setting_of_a_pipeline_is_saved_and_nothing_else(workshop: Any) -> None:
    page = workshop.page
    page.goto(f"{workshop.mage}/pipelines/rollback/settings")
    page.get_by_text("Run pipeline in a single process").wait_for()
    page.locator("[class*=ToggleSwitch] >> visible=true").first.click()
    page.get_by_role("button", name="Save").click()

    assert eventually(lambda: workshop.changed() == " M pipelines/rollback/metadata.yaml\n")
    assert workshop.difference() == ["+run_pipeline_in_one_process: true"]


def open_block(workshop: Any, pipeline: str, block: str) -> Any:
    """Open the editor; return the head of a block."""
    workshop.page.goto(f"{workshop.mage}/pipelines/{pipeline}/edit")
    head = workshop.page.locator(".code-block-header-sticky").filter(has_text=block)
    head.first.wait_for()
    head.first.scroll_into_view_if_needed()
    return head.first


def save(workshop: Any) -> None:
    """Save as a person does, and wait until it is."""
    workshop.page.keyboard.press("Control+s")
    workshop.page.get_by_text("Saved").first.wait_for()


def eventually(is_so: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
