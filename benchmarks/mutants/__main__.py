"""Put small faults into the packages that decide, and count those that their tests notice.

The score of a whole package goes into MUTANTS.md, which also says how to call this; the mutants
that were not killed go into .mutants/PACKAGE.txt.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.measuring import REPOSITORY

SCORES = Path(__file__).parents[1] / "MUTANTS.md"
_STATE = REPOSITORY / ".mutants"
_KILLED = ("killed", "timeout")
_ROW = "| `{0}` | {1} | {2} | {3:,} | {4:,} | {5:,} | {6:.1f} % |"


@dataclass(frozen=True)
class Package:
    """What is mutated together, and the tests that ought to notice."""

    sources: tuple[str, ...]  # patterns below the repository
    tests: tuple[str, ...]


def _files(pattern: str, names: str) -> tuple[str, ...]:
    return tuple(pattern.format(name) for name in names.split())


PACKAGES: Mapping[str, Package] = {
    "mlops/records": Package(("mlops/records/*.py",), ("tests/records",)),
    "mlops/evaluation": Package(
        _files("mlops/evaluation/{}.py", "gate verdict bootstrap"),
        _files("tests/evaluation/test_{}.py", "gate bootstrap"),
    ),
    "mlops/deployment": Package(
        ("mlops/deployment/*.py",),
        _files(
            "tests/deployment/test_{}.py",
            "artifact asking canary claim endpoint evidence ledger process records rollback"
            " smoke states takeover traffic world",
        ),
    ),
    # What needs no Mage.
    "mlops/orchestration": Package(
        _files(
            "mlops/orchestration/*/{}.py",
            "acting admission exits interruption journal liveness lock logs marks parts queue tail"
            " tokens",
        ),
        _files(
            "tests/orchestration/*/test_{}.py",
            "acting admission exits journal liveness lock logs main_job marks parts queue signals"
            " tail declared",
        ),
    ),
    "mlops/data": Package(
        ("mlops/fingerprints.py", "mlops/data/windows.py", "mlops/data/store/*.py"),
        ("tests/test_fingerprints.py", "tests/data/test_windows.py", "tests/data/store"),
    ),
    "mlops/monitoring": Package(("mlops/monitoring/*/*.py",), ("tests/monitoring",)),
    # What decides, counts and waits; whether compiled models predict alike, other tests prove.
    "mlops/serving": Package(
        (
            *_files(
                "mlops/serving/*/{}.py",
                "access answering app complaints errors follower http keys limits metrics"
                " parquet plain_lists prediction_log reading requests routing rows shadows state"
                " supervisor worker",
            ),
            "mlops/gateway/*.py",
        ),
        (
            *_files(
                "tests/serving/*/test_{}.py",
                "access app complaints follower http keys limits metrics one_trip parquet"
                " prediction_log requests routing shadows supervisor worker",
            ),
            "tests/gateway",
        ),
    ),
}


def main() -> int:
    """Run packages one after the other, and write their scores."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of: {', '.join(PACKAGES)}")
    parser.add_argument("--again", action="store_true", help="only those not killed last time")
    parser.add_argument("--sample", type=int, help="only so many, always the same")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.packages) - set(PACKAGES)):
        parser.error(f"there is no package {unknown[0]!r}; there are: {', '.join(PACKAGES)}")
    _STATE.mkdir(exist_ok=True)
    for name in asked.packages or PACKAGES:
        outcomes = run(name, again=asked.again, sample=asked.sample)
        if outcomes is None:
            return 1
        row = score(name, outcomes)
        print(row)
        if untried := list(outcomes.values()).count("untried"):
            print(f"{untried:,} were not tried: go on with --again", file=sys.stderr)
            return 130
        if not asked.sample:
            SCORES.write_text(with_row(SCORES.read_text("utf-8"), row), encoding="utf-8")
    return 0


def run(name: str, *, again: bool, sample: int | None) -> Mapping[str, str] | None:
    """Try the mutants of a package; return each one's outcome, or None if its tests cannot run.

    Args:
        name: Of the package.
        again: Take over what killed a mutant that is as it was.
        sample: How many mutants; the others are "left out". Which ones depends on their text alone.
    """
    from benchmarks.mutants.mutating import mutate

    package, place = PACKAGES[name], _STATE / name.replace("/", ".")
    shutil.rmtree(place, ignore_errors=True)
    _copy_repository(place)
    paths = sorted({path for pattern in package.sources for path in place.glob(pattern)})
    mutants = [mutant for path in paths for mutant in mutate(place, path.relative_to(place))]
    memory, log, left = (place.with_name(f"{place.name}.{kind}") for kind in ("json", "log", "txt"))
    before = json.loads(memory.read_text("utf-8")) if memory.exists() else {}
    drawn = sorted(mutants, key=lambda m: hashlib.sha256(m.diff.encode()).digest())[:sample]
    chosen = {m.name for m in drawn}
    known = {m.name: before.get(m.diff, "") for m in mutants} if again else {}
    to_try = [m for m in mutants if m.name in chosen and known.get(m.name) not in _KILLED]
    print(f"{name}: {len(to_try):,} of {len(mutants):,} mutants in {len(paths)} files", flush=True)
    tries, results = place / "to-try.json", place / "results"
    tries.write_text(json.dumps([(m.name, m.function) for m in to_try]), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(place),
        "MLOPS_HOME": str(place / ".mlops"),
        "MUTANTS_TO_TRY": os.pathsep.join(map(str, (tries, results))),
    }
    tests = [str(path) for pattern in package.tests for path in sorted(place.glob(pattern))]
    command = [sys.executable, "-m", "pytest", *tests, "-q", "-p", "no:cacheprovider"]
    command += ["-p", "benchmarks.mutants.running"]
    command += ["-m", "not mage and not browser and not real_data"]
    # What was found until Ctrl-C is kept: `--again` goes on from there.
    with log.open("w") as output, contextlib.suppress(KeyboardInterrupt):
        subprocess.run(command, cwd=place, env=environment, stdout=output, stderr=output)
    if not results.exists():
        print(f"The tests could not run: see {log}", file=sys.stderr)
        return None
    found = dict(map(json.loads, results.read_text("utf-8").splitlines()))
    outcomes = {m: found.get(m.name) or known.get(m.name) or "untried" for m in mutants}
    kept = {m.diff: outcome for m, outcome in outcomes.items() if outcome != "untried"}
    memory.write_text(json.dumps({**before, **kept}, indent=0), encoding="utf-8")
    outcomes |= {m: "left out" for m in mutants if m.name not in chosen}
    alive = [f"{o}: {m.diff}\n" for m, o in outcomes.items() if o in ("survived", "untested")]
    left.write_text("\n".join(alive), encoding="utf-8")
    shutil.rmtree(place)
    return {m.name: outcome for m, outcome in outcomes.items()}


def _copy_repository(place: Path) -> None:
    """Copy what git knows or would: the tests look at files of every kind."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in listed.stdout.split("\0"):
        source = REPOSITORY / name
        if name and source.is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place / name)


def score(name: str, outcomes: Mapping[str, str]) -> str:
    """Return the package's row of the table: a mutant that hangs its tests is killed."""
    tried = [outcome for outcome in outcomes.values() if outcome != "left out"]
    hung, killed = tried.count("timeout"), sum(outcome in _KILLED for outcome in tried)
    share, left = 100 * killed / max(len(tried), 1), len(tried) - killed
    number = f"{len(tried):,}"
    if len(tried) < len(outcomes):
        number += f" of {len(outcomes):,}"
    return _ROW.format(name, date.today(), number, killed, hung, left, share)


def with_row(text: str, row: str) -> str:
    """Return the table with a package's row replaced, or added at its end."""
    lines = text.splitlines()
    key = row.split("|")[1]
    rows = [number for number, line in enumerate(lines) if line.startswith("|")]
    same = [number for number in rows if lines[number].split("|")[1] == key]
    if same:
        lines[same[0]] = row
    else:
        lines.insert(rows[-1] + 1, row)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
