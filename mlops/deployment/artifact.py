"""The test of an artifact before anybody is answered by it: what is stored, as it will be served.

After Google Cloud's "MLOps with Vertex AI" samples: the artifact is tested before the deployment,
the endpoint after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.taxi.features.encoding import routes_of
from mlops.deployment.checks import at_most, none_of, verdict
from mlops.deployment.golden import ROWS, golden_requests
from mlops.errors import ConfigurationError, RegistryError
from mlops.evaluation.performance import prediction_latency_ms, saved_size_mb
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry.versions import Registry, VersionInfo
from mlops.settings import Settings

MAX_PARITY_MINUTES: Final = 1e-4  # between the artifact and what the server makes of it
_PREDICTIONS: Final = ("prediction_minutes", "lower_minutes", "upper_minutes")

Compile = Callable[[Any, VersionInfo], Callable[[pd.DataFrame], npt.NDArray[np.float64]]]


def artifact_verdict(
    settings: Settings, registry: Registry, version: int, compiled: Compile
) -> Verdict:
    """Test the stored artifact of a version.

    Args:
        settings: `settings.gate` limits latency and size.
        registry: Where the version is.
        version: To be tested.
        compiled: Turns the model into what the server runs, a function from requests to minutes.

    Returns:
        A rule each for loading, outputs, golden predictions, parity with the compiled form, latency
        of one request, and size.

    Raises:
        RegistryError: If the registry cannot be reached.
    """
    try:
        model, info = registry.load(version)
        requests = golden_requests(routes_of(model.encoder).as_of)
        answers = model.predict(requests)
        bundle = compiled(model, info)(requests)
    except (ConfigurationError, RegistryError):
        raise  # says nothing about the artifact: the step can be repeated
    except Exception as error:  # a broken artifact may raise anything
        cause = (str(error) or "no message").splitlines()[0]
        return verdict([none_of("works", 1, f"{type(error).__name__}: {cause}")], "")
    minutes = answers[list(_PREDICTIONS)].to_numpy(dtype=np.float64)
    gate, samples = settings.gate, settings.evaluation
    latency = prediction_latency_ms(
        model, requests, samples.latency_samples, samples.latency_warm_up
    )
    size = saved_size_mb(model)
    rules = (
        none_of("works", 0, "it loads, accepts requests and compiles"),
        _finite(minutes),
        _plausible(minutes, model.shortest, model.longest),
        _parity(minutes, bundle),
        at_most("latency", latency, gate.max_latency_ms, "ms", f"one trip takes {latency:.1f} ms"),
        at_most("size", size, gate.max_size_mb, "MB", f"the artifact takes {size:.1f} MB"),
    )
    return verdict(
        rules,
        f"the artifact works: {ROWS} golden trips answered, {latency:.1f} ms a trip, {size:.1f} MB",
    )


def _finite(minutes: npt.NDArray[np.float64]) -> RuleResult:
    bad = int((~np.isfinite(minutes)).any(axis=1).sum())
    return none_of("finite", bad, f"{bad} of {len(minutes)} golden answers are not numbers")


def _plausible(minutes: npt.NDArray[np.float64], shortest: float, longest: float) -> RuleResult:
    middle, lower, upper = minutes.T
    wrong = (middle < shortest) | (middle > longest) | (lower > middle) | (upper < middle)
    bad = int(wrong.sum())
    return none_of(
        "plausible",
        bad,
        f"{bad} of {len(minutes)} golden answers lie outside {shortest:.1f} to {longest:.1f} "
        "minutes or of their own interval",
    )


def _parity(minutes: npt.NDArray[np.float64], bundle: npt.NDArray[np.float64]) -> RuleResult:
    same_shape = minutes.shape == bundle.shape
    apart = float(np.abs(minutes - bundle).max()) if same_shape else float("inf")
    return at_most(
        "parity",
        apart,
        MAX_PARITY_MINUTES,
        "min",
        f"the artifact and its compiled form differ by up to {apart:.1e} minutes",
    )
