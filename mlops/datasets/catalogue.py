"""The definitions that there are: of this project, of the working directory, by name or path."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import yaml

from mlops.errors import ConfigurationError, MlopsError, did_you_mean
from mlops.settings import DEFAULT_DATASET, PROJECT_ROOT, Settings

logger = logging.getLogger(__name__)

FOLDER: Final = "datasets"
FILE_NAME: Final = "dataset.yaml"
_BUILT_IN: Final = Path(__file__).parent


def definition_files() -> dict[str, Path]:
    """Return the file of each definition by the name of its folder.

    A definition below ``datasets/`` of the working directory hides one of the project's with the
    same name, and that one hides one that comes with the library.
    """
    found: dict[str, Path] = {}
    for folder in (Path.cwd() / FOLDER, PROJECT_ROOT / FOLDER, _BUILT_IN):
        for file in sorted(folder.glob(f"*/{FILE_NAME}")):
            found.setdefault(file.parent.name, file)
    return dict(sorted(found.items()))


def settings_in_home(settings: Settings) -> dict[str, Settings]:
    """Return the configuration of every dataset that has left something in the home, by name.

    The given one's comes first. One that the environment does not suit is left out and logged.
    """
    home, found = settings.home, {settings.dataset: settings}
    others = [name for name in definition_files() if (home / FOLDER / name).is_dir()]
    worked = [DEFAULT_DATASET] if (home / "store").is_dir() else []
    for name in (*worked, *others):
        try:
            found[name] = settings.working_on(name)
        except MlopsError as error:  # noqa: PERF203
            logger.error("%s: is left out: %s", name, error.in_one_line)
    return found


def scheduled_datasets(project: Path = PROJECT_ROOT) -> tuple[str, ...]:
    """Return the datasets of a project whose definitions ask for schedules.

    A definition that is wrong elsewhere is asked no less: its triggers stay while it is mended.
    """
    files = sorted((project / FOLDER).glob(f"*/{FILE_NAME}"))
    return tuple(file.parent.name for file in files if _asks_for_schedules(file))


def _asks_for_schedules(file: Path) -> bool:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(content, dict) and content.get("schedules") is True


def require_dataset(name: str) -> None:
    """Make sure that there is a dataset.

    Args:
        name: As the setting ``dataset`` gives it.

    Raises:
        ConfigurationError: Naming the nearest dataset, or all of them.
    """
    known = (DEFAULT_DATASET, *definition_files())
    if name not in known:
        raise ConfigurationError(
            f"dataset: there is no dataset {name!r}",
            did_you_mean(name, known)
            or f"datasets are: {', '.join(known)}; write one with: mlops dataset init",
        )


def definition_file(name_or_path: str) -> Path:
    """Find a definition.

    Args:
        name_or_path: Name of a dataset, or path of a definition or of its folder.

    Raises:
        ConfigurationError: If there is none.
    """
    files = definition_files()
    path = Path(name_or_path).expanduser()
    if name_or_path in files and not path.is_file():
        return files[name_or_path]
    if path.is_file() or (path / FILE_NAME).is_file():
        return path
    raise ConfigurationError(
        f"there is no dataset and no file {name_or_path}",
        did_you_mean(name_or_path, files)
        or f"datasets are: {', '.join(files) or 'none'}; write one with: mlops dataset init",
    )
