"""How far the values of a window lie from those expected: four measures of distance.

Each sees something of its own: PSI and Jensen–Shannon a share that moved anywhere, Kolmogorov–
Smirnov a shift of the bulk, Wasserstein how far it moved, in the unit of the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from mlops.datasets.watching import Floats, Ints
from mlops.monitoring.findings.measurements import FindingKind, Measurement, Scale
from mlops.monitoring.reference.profile import ReferenceProfile
from mlops.monitoring.reference.tables import FeatureCounts, mix_of
from mlops.monitoring.windows.features import RowWindow

# An empty bin counts as this share: PSI and its kin know no zero.
_LEAST_SHARE: Final = 1e-4
_PSI_BINS: Final = 10


def population_stability_index(expected: Floats, found: Floats) -> float:
    """Return Σ (found - expected) · ln(found ÷ expected), 0 for equal shares.

    N. Siddiqi, *Credit Risk Scorecards* (2006), chapter 6; the symmetrised divergence of
    S. Kullback and R. A. Leibler, "On Information and Sufficiency" (1951).

    Args:
        expected: Shares summing to 1, shape ``(bins,)``.
        found: Likewise.
    """
    p, q = _positive(expected), _positive(found)
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(expected: Floats, found: Floats) -> float:
    """Return the Jensen–Shannon divergence in bits, 0 for equal shares and 1 for disjoint ones.

    J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Trans. Inf. Theory 37 (1991).

    Args:
        expected: Shares summing to 1, shape ``(bins,)``.
        found: Likewise.
    """
    p, q = _positive(expected), _positive(found)
    middle = (p + q) / 2
    return float(np.sum(p * np.log2(p / middle) + q * np.log2(q / middle)) / 2)


def kolmogorov_smirnov(expected: Floats, found: Floats) -> float:
    """Return the largest distance of two distribution functions, seen at the edges between bins.

    A. N. Kolmogorov (1933) and N. Smirnov (1948); with bins a lower bound of the exact one.

    Args:
        expected: Shares of ordered bins summing to 1, shape ``(bins,)``.
        found: Likewise.
    """
    return float(np.max(np.abs(np.cumsum(found - expected)), initial=0.0))


def wasserstein(expected: Floats, found: Floats, edges: Floats) -> float:
    """Return the mean way a value must move to turn one distribution into the other.

    The area between the distribution functions: S. S. Vallender, "Calculation of the Wasserstein
    Distance between Probability Distributions on the Line" (1974). What lies beyond the outer edges
    is taken to lie on them, as the reference's extremes would otherwise outweigh all else.

    Args:
        expected: Shares of ordered bins summing to 1, shape ``(bins,)``.
        found: Likewise.
        edges: Between the bins, ascending, shape ``(bins - 1,)``.

    Returns:
        In the unit of the edges.
    """
    if len(edges) < 2:
        return 0.0
    apart = np.abs(np.cumsum(found - expected))[:-1]
    # Between two edges the functions are taken to be straight lines.
    return float(np.sum((apart[:-1] + apart[1:]) / 2 * np.diff(edges)))


def measure_drift(window: RowWindow, profile: ReferenceProfile) -> Iterator[Measurement]:
    """Compare every feature of a window with the profile, on the rows a model must answer."""
    for table in profile.features:
        if table.name in window.observed:
            yield from _compare(table, *window.codes(table))


def _compare(table: FeatureCounts, codes: Ints, stratum: Ints) -> Iterator[Measurement]:
    rows = len(codes)
    if not rows:
        return
    found = np.bincount(codes, minlength=table.bins) / rows
    expected = table.expected(mix_of(stratum, len(table.counts)))
    if table.kind == "category":
        yield _divergence(table, "psi", rows, population_stability_index(expected, found))
        yield _divergence(table, "js", rows, jensen_shannon(expected, found), "bits")
        return
    coarse_expected, coarse_found = _coarse(expected), _coarse(found)
    yield _divergence(table, "psi", rows, population_stability_index(coarse_expected, coarse_found))
    present = found[:-1].sum()
    if present <= 0 or expected[:-1].sum() <= 0:
        return  # all are missing: PSI says so
    known, seen = expected[:-1] / expected[:-1].sum(), found[:-1] / present
    valid = round(float(present) * rows)
    yield _divergence(table, "ks", valid, kolmogorov_smirnov(known, seen))
    moved = wasserstein(known, seen, np.array(table.points))
    spread = table.quantile(0.75) - table.quantile(0.25)
    yield _divergence(table, "wasserstein", valid, moved, table.unit)._replace(yardstick=spread)


def _divergence(
    table: FeatureCounts, statistic: str, rows: int, value: float, unit: str = ""
) -> Measurement:
    # Labels follow every snowfall: learned together, their spread would hide what inputs do.
    kind: FindingKind = "labels" if table.label else "drift"
    scale: Scale = "squares" if statistic in ("psi", "js") else "distance"
    return Measurement(kind, table.name, statistic, scale, "high", rows, value, 0.0, unit)


def _coarse(shares: Floats) -> Floats:
    """Join neighbouring bins to about ten of equal reference share; "missing" stays apart."""
    bins = len(shares) - 1
    starts = np.unique(np.linspace(0, bins, min(_PSI_BINS, bins), endpoint=False).astype(int))
    return np.append(np.add.reduceat(shares[:-1], starts), shares[-1])


def _positive(shares: Floats) -> Floats:
    raised = np.maximum(shares, _LEAST_SHARE)
    return np.asarray(raised / raised.sum())
