"""Hashes of what determines a result: values and code. Every key of a cache is made here.

A key that names a version which people raise by hand is stale as soon as somebody forgets; so code
enters a key by its source. All of a folder counts, comments included: computing something once too
often is cheap, taking something stale for fresh is not.

What is kept, by the path property of `Settings` it lies under, and what finds it again. A test
holds this table to the code: every use of this module and every folder of the home is in it.

| Folder | What | Where | Key |
|---|---|---|---|
| cache | generated months | datasets/taxi/sources/sample.py | taxi, month, rows, seed, drift, \
calibration, the generator's code; the file is checked against its receipt |
| cache | the TLC's months | datasets/taxi/sources/tlc.py | address; checked against its receipt |
| cache | remote files | datasets/taxi/sources/path.py | address and the origin's mark of the \
content; checked against its receipt |
| cache | remote tables | datasets/declared/preparing/extracting.py | address and the origin's \
mark of the content |
| staging | months held to the contract | datasets/taxi/contract/validation.py | bytes and names \
of the files as they lie there, taxi, limits and actions, code of `data` and `datasets/taxi` |
| staging | months with route history | datasets/taxi/features/build.py | the staged months, \
settings of features, code of `data` and `datasets/taxi` |
| store | training sets | data/store/snapshots.py | their content, verified when \
published again |
| store | what the training set in use was asked by | data/store/publications.py | all settings \
of the recipe, bytes of the source files and of the definition, code of `data` and `datasets`; \
compared, not hashed |
| store | route statistics | datasets/taxi/features/products.py | training set, settings of \
features, code of `data` and `datasets/taxi` |
| staging | rows held to the rules | datasets/declared/preparing/validating.py | bytes and names \
of the files as they lie there, definition, limits and actions, code of `data` and `datasets` |
| staging | rows with histories | datasets/declared/preparing/building.py | the staged rows, \
definition, code of `data` and `datasets` |
| store | frozen histories | datasets/declared/preparing/freezing.py | training set, definition, \
code of `data` and `datasets` |
| these three | definitions | datasets/declared/preparing/identity.py | all that a definition \
says but the place of its files, and the source that derives columns |
| predictions | batches | inference/batch.py | bytes and names of the files, taxi, limits and \
actions, model, version, code that reads and predicts |
| served | compiled models | serving/processes/follower.py | version, model, code that compiles |
| monitored | reference profiles | registry/profiles.py | MLflow run of the model |
| monitored | staged windows | monitoring/windows/staging.py | version, origin, start; written \
anew by each look, never found again |
| backtests | trainings, answers, steps, signals, profiles | backtest/store.py | trips by \
content, moment, settings that matter, code of its packages |
| observed | tables of dashboards | observability/memory.py | in memory only: names, times and \
sizes of the files read |
| home | the main job in progress | orchestration/jobs/journal.py | the last job of the home; a \
setting given to `--resume` replaces the job's, or is refused |
| home | builds of data products | orchestration/products/builds.py | the hash that the store \
names |

All but those under `home` lie in the `state` of a dataset. Records of what happened are found by
what they are about, and are no caches: `deployments`, `registry`, `runs` with `selections`,
`retrainings` and `last_verdict`, `incidents`, `prediction_log_folder`, the windows and decisions
under `monitored`, `reports`, `logs`. A window names the model that it was measured with, a
promotion the source of its model, a rollout and a pending approval the model of their version: they
count for no other one that has its number in another registry. A deployment and an answer in the
prediction log name a version by its number only. A deployment is history once it is over. To an
answer, a column for the model would change every stored part and table; where a home moves to
another registry, the answers by the former version of a number are measured once with the present
one, and its findings of `skew` say that it did not give them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from mlops import extensions

PACKAGE: Final = Path(__file__).resolve().parent
_EXTENSIONS: Final = "extensions/"


def of_values(*values: Any) -> str:
    """Hash plain values and times, as JSON; the order of a mapping's keys does not matter.

    Raises:
        TypeError: If a value is not plain.
    """
    content = json.dumps(values, sort_keys=True, default=_moment)
    return hashlib.sha256(content.encode()).hexdigest()


def of_code(*names: str) -> str:
    """Hash the source of modules and folders of the library, as this process imported it.

    The files of `mlops.extensions` are part of every such hash.

    Args:
        *names: Paths below ``mlops/``: ``data``, ``training/tuning.py``. Without any, all of it.

    Raises:
        KeyError: If the library has no such file or folder.
    """
    files = sources()
    wanted: dict[str, str] = {}
    for name in names or ("",):
        found = {
            file: digest
            for file, digest in files.items()
            if not name or file == name or file.startswith(f"{name}/")
        }
        if not found:
            raise KeyError(f"mlops/{name}: there is no such source")
        wanted |= found
    # What a project adds may change any result.
    wanted |= {f: digest for f, digest in files.items() if f.startswith(_EXTENSIONS)}
    return of_values(wanted)


def _moment(value: Any) -> str:
    if isinstance(value, date):  # a datetime as well
        return value.isoformat()
    raise TypeError(f"{value!r} is not plain: it cannot be part of a key")


@cache
def sources() -> Mapping[str, str]:
    """Return the hash of each source file, by its path below ``mlops/`` or ``extensions/…``.

    They are read once: a process that lives long calls it when it starts, so that the answer stays
    that of the code it runs, whatever happens to the files.
    """
    return sources_on_disk()


def sources_on_disk() -> Mapping[str, str]:
    """Return the hash of each source file of the library as it lies there now."""
    found = {}
    for name, file in _files():
        with suppress(FileNotFoundError):  # removed meanwhile, as by a checkout
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _files() -> Iterator[tuple[str, Path]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE).as_posix(), file
    for file in extensions.files():
        yield _EXTENSIONS + file.relative_to(extensions.FOLDER).as_posix(), file


def changed_sources() -> tuple[str, ...]:
    """Return the source files that were edited, added or removed since `sources` were read.

    Cheap enough for every few seconds: contents are read only after times or sizes have changed.
    """
    stand = []
    for _, file in _files():
        with suppress(FileNotFoundError):
            status = file.stat()
            stand.append((str(file), status.st_mtime_ns, status.st_ctime_ns, status.st_size))
    return _changed_sources(tuple(stand), tuple(sources().items()))


@lru_cache(maxsize=1)
def _changed_sources(
    stand: tuple[tuple[str, int, int, int], ...], began: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    imported, now = dict(began), sources_on_disk()
    names = imported.keys() | now.keys()
    return tuple(sorted(name for name in names if imported.get(name) != now.get(name)))
