"""Run all measurements and write ``benchmarks/RESULTS.md``, or print those of the parts named."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Section, document, markdown_section
from benchmarks.trips import Bench, find_months

RESULTS = Path(__file__).with_name("RESULTS.md")
# In this order: `inference` uses the champion that `main_job` leaves behind.
PARTS = ("main_job", "preparation", "product_load", "inference", "runtimes", "serving", "scheduler")


def main() -> None:
    """Measure, and report where the results are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of: {', '.join(PARTS)}")
    asked = parser.parse_args().parts
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as scratch:
        folder, label = find_months(Path(scratch))
        bench = Bench(folder=folder, label=label, scratch=Path(scratch))
        print(f"Measuring on {label}", file=sys.stderr)
        sections = [_measured(part, bench) for part in PARTS if not asked or part in asked]
    if asked:
        print("\n\n".join(map(markdown_section, sections)))
        return
    # Only a complete run may replace the results: parts of different days do not compare.
    RESULTS.write_text(document(sections, (time.monotonic() - started) / 60), encoding="utf-8")
    print(f"Written: {RESULTS}", file=sys.stderr)


def _measured(part: str, bench: Bench) -> Section:
    started = time.monotonic()
    print(f"{part} …", file=sys.stderr, flush=True)
    section: Section = importlib.import_module(f"benchmarks.{part}").run(bench)
    print(f"{part} took {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return section


if __name__ == "__main__":
    main()
