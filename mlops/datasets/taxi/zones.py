"""The borough of each TLC taxi zone, for slices and for a coarser view of a route.

Source: the TLC's public "Taxi Zone Lookup Table" (nyc.gov/tlc, trip record data). Zone numbers
follow the alphabetical order of the zone names and have not changed since 2016.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlops.datasets.taxi.trips import NUMBER_OF_ZONES, UNKNOWN_BOROUGH

# Inclusive ranges of zone numbers per borough; 264 is "unknown", 265 "outside of NYC".
_ZONES: Final[dict[str, str]] = {
    "EWR": "1",
    "Bronx": (
        "3 18 20 31-32 46-47 51 58-60 69 78 81 94 119 126 136 147 159 167-169 174 182-185 199-200"
        " 208 212-213 220 235 240-242 247-248 250 254 259"
    ),
    "Brooklyn": (
        "11 14 17 21-22 25-26 29 33-37 39-40 49 52 54-55 61-63 65-67 71-72 76-77 80 85 89 91 97"
        " 106 108 111-112 123 133 149-150 154-155 165 177-178 181 188-190 195 210 217 222 225"
        " 227-228 255-257"
    ),
    "Manhattan": (
        "4 12-13 24 41-43 45 48 50 68 74-75 79 87-88 90 100 103-105 107 113-114 116 120 125"
        " 127-128 137 140-144 148 151-153 158 161-164 166 170 186 194 202 209 211 224 229-234"
        " 236-239 243-244 246 249 261-263"
    ),
    "Queens": (
        "2 7-10 15-16 19 27-28 30 38 53 56-57 64 70 73 82-83 86 92-93 95-96 98 101-102 117"
        " 121-122 124 129-132 134-135 138-139 145-146 157 160 171 173 175 179-180 191-193"
        " 196-198 201 203 205 207 215-216 218-219 223 226 252-253 258 260"
    ),
    "Staten Island": "5-6 23 44 84 99 109-110 115 118 156 172 176 187 204 206 214 221 245 251",
    UNKNOWN_BOROUGH: "264-265",
}

BOROUGHS: Final[tuple[str, ...]] = tuple(_ZONES)


def zones_of(borough: str) -> tuple[int, ...]:
    """Return the zone numbers of a borough, ascending; a ``KeyError`` if there is no such one."""
    ends = [part.split("-") for part in _ZONES[borough].split()]
    return tuple(zone for end in ends for zone in range(int(end[0]), int(end[-1]) + 1))


def _lookup_table() -> npt.NDArray[np.object_]:
    table = np.full(NUMBER_OF_ZONES + 1, UNKNOWN_BOROUGH, dtype=object)
    for borough in BOROUGHS:
        table[list(zones_of(borough))] = borough
    return table


_BOROUGH_OF_ZONE: Final = _lookup_table()


def borough_of(zones: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """Return the borough of each zone.

    Args:
        zones: Zone numbers, any shape. Numbers outside 1 to 265 are `UNKNOWN_BOROUGH`.

    Returns:
        Names of boroughs (``str``) in the shape of ``zones``.
    """
    numbers: npt.NDArray[Any] = np.asarray(zones)
    known = (numbers >= 1) & (numbers <= NUMBER_OF_ZONES)
    return _BOROUGH_OF_ZONE[np.where(known, numbers, 0).astype(np.int64)]
