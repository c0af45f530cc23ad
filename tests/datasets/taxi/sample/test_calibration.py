"""The bundled calibration is whole, small, and what its script derives from the real months."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops.datasets.taxi.sample.calibration import CALIBRATION_FILE, load_calibration

SCRIPT = Path(__file__).resolve().parents[4] / "benchmarks" / "calibrate_sample.py"


def test_shapes_agree() -> None:
    known = load_calibration()
    levels, bands, pairs = len(known.probabilities), len(known.bands) + 1, len(known.pair_weight)
    shapes = {
        "hour_of_week": (168,),
        "pair_pickup": (pairs,),
        "pair_dropoff": (pairs,),
        "pair_miles": (pairs,),
        "pair_effect": (pairs,),
        "rare_dropoff": (7, 266),
        "rare_miles": (7, 7),
        "spread": (bands, levels),
        "rare_spread": (bands, levels),
        "spread_within": (levels,),
        "noise": (bands, levels),
        "fare_noise": (bands, levels),
        "no_codes": (bands,),
        "hour_effect": (168,),
        "pickup_effect": (266,),
        "dropoff_effect": (266,),
    }
    assert {name: getattr(known, name).shape for name in shapes} == shapes
    assert (np.diff(known.probabilities) > 0).all()
    assert (np.diff(known.noise, axis=1) >= 0).all()
    assert set(known.codes[:, 0]) == set(range(bands))


def test_it_is_small_enough_to_ship() -> None:
    assert CALIBRATION_FILE.stat().st_size < 200_000


@pytest.mark.real_data
def test_it_is_what_the_script_derives_from_real_months(real_data: Path) -> None:
    derived: dict[str, Any] = runpy.run_path(str(SCRIPT))["calibrate"](real_data / "green")
    bundled = json.loads(CALIBRATION_FILE.read_bytes())
    assert derived.keys() == bundled.keys()
    for name, value in bundled.items():
        if name == "derived_from":
            assert derived[name] == value
        else:
            # The last digit may differ between builds of the linear algebra.
            np.testing.assert_allclose(derived[name], value, rtol=1e-3, atol=0.011, err_msg=name)
