"""Where zones lie, learned from how far trips between them go.

A zone's number says nothing about its neighbours. Placing the zones so that straight lines between
them fit the distances driven recovers a map, on which a model can tell that two zones are close,
that a trip heads downtown, or that it makes a detour. Durations play no part in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# The third dimension absorbs what no map in two can hold: rivers, bridges, one-way motorways.
DIMENSIONS: Final = 3
_FULL_WEIGHT_TRIPS: Final = 20.0  # more trips make a route's mean distance no more trustworthy
_MAX_STEPS: Final = 300
_TOLERANCE: Final = 1e-4
# Miles, to four places: finer differences come from the order of floating-point sums, and would
# make the same trips give different models on different machines.
_DECIMALS: Final = 4
# Closer than this, in miles, the direction from one place to another is nothing but rounding.
_COINCIDENT: Final = 1e-5
# An eigenvalue of the weights' Laplacian is zero, one for each group of zones without routes to the
# others, if it is smaller than this share of the largest.
_ZERO: Final = 1e-10


def zone_positions(miles: Floats, trips: Floats) -> npt.NDArray[np.float32]:
    """Place zones so that straight lines fit the distances driven between them.

    Weighted metric multidimensional scaling by majorisation (SMACOF: de Leeuw, 1977; Borg and
    Groenen, "Modern Multidimensional Scaling", chapter 8), started from the classical solution on
    shortest paths.

    Args:
        miles: Mean distance per route, shape ``(zones, zones)``; read only where there are trips.
        trips: Trips per route (any non-negative weight), same shape.

    Returns:
        Coordinates in miles, shape ``(zones, DIMENSIONS)``; NaN for zones without any trip to or
        from another zone. Only differences mean anything: the map may be turned or mirrored.
    """
    both = trips + trips.T
    symmetric = (miles * trips + (miles * trips).T) / np.maximum(both, 1e-12)
    weights = np.minimum(both, _FULL_WEIGHT_TRIPS)
    np.fill_diagonal(weights, 0)
    seen = np.flatnonzero(weights.sum(axis=1) > 0)
    positions = np.full((len(miles), DIMENSIONS), np.nan, dtype=np.float32)
    if len(seen) > DIMENSIONS:
        chosen = np.ix_(seen, seen)
        positions[seen] = np.round(_majorise(symmetric[chosen], weights[chosen]), _DECIMALS)
    return positions


def _majorise(miles: Floats, weights: Floats) -> Floats:
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.pinv(laplacian, rcond=_ZERO, hermitian=True)
    points = _classical(miles, weights)
    apart = _distances(points)
    stress = float((weights * (miles - apart) ** 2).sum())
    for _ in range(_MAX_STEPS):
        pull = np.divide(
            weights * miles, apart, out=np.zeros_like(apart), where=apart > _COINCIDENT
        )
        points = inverse @ (pull.sum(axis=1)[:, None] * points - pull @ points)
        apart = _distances(points)
        previous, stress = stress, float((weights * (miles - apart) ** 2).sum())
        if previous - stress <= _TOLERANCE * previous:
            break
    return points


def _classical(miles: Floats, weights: Floats) -> Floats:
    """Classical scaling (Torgerson, 1952) of the shortest paths along routes that have trips."""
    from scipy.sparse.csgraph import shortest_path  # needed to build features, not to serve

    paths = shortest_path(np.where(weights > 0, np.maximum(miles, 1e-6), 0), directed=False)
    paths = np.where(np.isfinite(paths), paths, paths[np.isfinite(paths)].max())
    centred = -0.5 * paths**2
    centred -= centred.mean(axis=0)
    centred -= centred.mean(axis=1)[:, None]
    values, vectors = np.linalg.eigh(centred)
    axes = vectors[:, -DIMENSIONS:] * np.sqrt(np.maximum(values[-DIMENSIONS:], 0))
    # An eigenvector's sign is arbitrary: fix it, or the map would be mirrored from run to run. Of
    # zones that are as far out on either side, but for rounding, the first decides.
    far_out = np.abs(axes) >= np.abs(axes).max(axis=0) * (1 - 1e-6)
    strongest = axes[far_out.argmax(axis=0), np.arange(DIMENSIONS)]
    return np.asarray(axes * np.where(strongest < 0, -1.0, 1.0))


def _distances(points: Floats) -> Floats:
    squares = (points**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)))
