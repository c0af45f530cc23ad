"""Charts that a project adds: every block in `charts/extensions/` is a tile below the overview.

Layouts name their tiles one by one; these need no entry. Import only after `environment.boot`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mage_ai.presenters.block_layout.page import PageBlockLayout

FOLDER: Final = "extensions"  # below `charts/`
_PAGE: Final = "overview/dashboard"
_HEIGHT: Final = 300


def show_added(project: Path) -> None:
    """Add the tiles whenever Mage reads the layout of the overview.

    Args:
        project: Root of the project.
    """
    load = PageBlockLayout.load

    def with_added(uuid: str, *args: Any, **kwargs: Any) -> PageBlockLayout:
        page = load(uuid, *args, **kwargs)
        if uuid == _PAGE:
            for file in sorted((project / "charts" / FOLDER).glob("*.py")):
                _add(page, file.stem)
        return page

    PageBlockLayout.load = staticmethod(with_added)


def _add(page: Any, name: str) -> None:
    tile = f"{FOLDER}/{name}"
    if tile in page.blocks:  # since somebody arranged the page in Mage
        return
    page.blocks[tile] = {
        "configuration": {"chart_type": "custom"},
        "data_source": {"type": "chart_code"},
        "name": name.replace("_", " ").capitalize(),
        "type": "chart",
        "uuid": tile,
    }
    page.layout.append([{"block_uuid": tile, "height": _HEIGHT, "width": 1}])
