"""Reports in a real browser without a network: nothing is asked for, nothing sticks out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops.datasets.wording import DatasetWords
from mlops.reports.document import render
from mlops.reports.facts import WindowFacts
from mlops.reports.gathering import gather_card, gather_selection
from mlops.reports.model_card import model_card
from mlops.reports.monitoring_window import monitoring_window
from mlops.reports.training_run import training_run

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
KINDS = ("model", "run", "window")

# Tables, code and drawings that begin or end outside of the page; a drawing may scroll by itself.
STICKING_OUT = """() => [...document.querySelectorAll('main *, header *')]
    .filter(e => !e.closest('.drawing svg, details:not([open]) > :not(summary)'))
    .filter(e => { const box = e.getBoundingClientRect();
                   return box.width && (box.left < 0 || box.right > innerWidth + 0.5); })
    .filter(e => getComputedStyle(e).position !== 'absolute' && !e.closest('thead'))
    .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 60))"""
# Contrast of texts with what is behind them, WCAG 2.1 "relative luminance" and "contrast ratio".
PALE = """() => { const part = c => { c /= 255;
        return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
    const behind = e => { const c = getComputedStyle(e).backgroundColor;
        return c === 'rgba(0, 0, 0, 0)' ? behind(e.parentElement) : c; };
    return [...document.querySelectorAll('p, td, th, dd, dt, li, a, code, span, figcaption')]
        .filter(e => e.textContent.trim() && e.getBoundingClientRect().width)
        .filter(e => { const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
                       return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; })
        .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40)); }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium: install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="module")
def reports(
    project: Any,
    make_window: Callable[..., Any],
    decide: Callable[..., Any],
    words: DatasetWords,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Return a file of each kind."""
    windows = tuple(make_window(number, alarming=number == 2) for number in range(3))
    window = WindowFacts(windows[2], words, windows[2].end, {}, None, windows, decide(*windows))
    documents = {
        "model": model_card(gather_card(project.settings, 1)),
        "run": training_run(gather_selection(project.settings)),
        "window": monitoring_window(window),
    }
    folder = tmp_path_factory.mktemp("reports")
    for kind, document in documents.items():
        (folder / f"{kind}.html").write_text(render(document), encoding="utf-8")
    return {kind: folder / f"{kind}.html" for kind in documents}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_whole_offline(
    browser: Any,
    reports: dict[str, Path],
    kind: str,
    viewport: Any,
    scheme: str,
    tmp_path: Path,
) -> None:
    context = browser.new_context(offline=True, color_scheme=scheme, viewport=viewport)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    # When
    page.goto(reports[kind].as_uri())
    page.screenshot(path=tmp_path / "page.png", full_page=True)

    # Then the file was all that was asked for, and the browser had nothing to refuse
    assert asked == [reports[kind].as_uri()]
    assert complaints == []
    # and it fits the screen and can be read
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == viewport["width"]
    assert page.evaluate(STICKING_OUT) == []
    assert page.evaluate(PALE) == []
    assert (tmp_path / "page.png").stat().st_size > 50_000
    context.close()


def test_what_is_folded_is_open_in_print(browser: Any, reports: dict[str, Path]) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(reports["model"].as_uri())
    seen = "document.querySelector('details table').checkVisibility()"
    assert not page.evaluate(seen)

    page.emulate_media(media="print")

    assert page.evaluate(seen)
    context.close()
