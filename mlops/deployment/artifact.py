"""The test of an artifact before anybody is answered by it: what is stored, as it will be served.

After Google Cloud's "MLOps with Vertex AI" samples: the artifact is tested before the deployment,
the endpoint after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.answers import ANSWER
from mlops.datasets.opening import dataset_of
from mlops.deployment.checks import at_most, none_of, verdict
from mlops.errors import ConfigurationError, RegistryError
from mlops.evaluation.performance import prediction_latency_ms, saved_size_mb
from mlops.evaluation.verdict import RuleResult, Verdict
from mlops.registry.versions import Registry, VersionInfo
from mlops.serving.model.bundle import tolerance
from mlops.settings import Settings

Compile = Callable[[Any, VersionInfo], Callable[[pd.DataFrame], npt.NDArray[np.float64]]]


def artifact_verdict(
    settings: Settings, registry: Registry, version: int, compiled: Compile
) -> Verdict:
    """Test the stored artifact of a version.

    Args:
        settings: `settings.gate` limits latency and size.
        registry: Where the version is.
        version: To be tested.
        compiled: Turns the model into what the server runs, from requests to answers.

    Returns:
        A rule each for loading, outputs, golden predictions, parity with the compiled form, latency
        of one request, and size.

    Raises:
        RegistryError: If the registry cannot be reached.
    """
    try:
        model, info = registry.load(version)
        dataset = dataset_of(settings)
        requests = dataset.golden_requests(model.encoder).rows
        answers = model.predict(requests)[list(ANSWER)].to_numpy(dtype=np.float64)
        bundle = compiled(model, info)(requests)
    except (ConfigurationError, RegistryError):
        raise  # says nothing about the artifact: the step can be repeated
    except Exception as error:  # a broken artifact may raise anything
        cause = (str(error) or "no message").splitlines()[0]
        return verdict([none_of("works", 1, f"{type(error).__name__}: {cause}")], "")
    gate, samples = settings.gate, settings.evaluation
    latency = prediction_latency_ms(
        model, requests, samples.latency_samples, samples.latency_warm_up
    )
    size = saved_size_mb(model)
    rules = (
        none_of("works", 0, "it loads, accepts requests and compiles"),
        _finite(answers),
        _plausible(answers, model.shortest, model.longest, dataset.unit),
        _parity(answers, bundle, tolerance(model.shortest, model.longest), dataset.unit),
        at_most(
            "latency", latency, gate.max_latency_ms, "ms", f"one request takes {latency:.1f} ms"
        ),
        at_most("size", size, gate.max_size_mb, "MB", f"the artifact takes {size:.1f} MB"),
    )
    return verdict(
        rules,
        f"the artifact works: {len(requests)} golden requests answered, {latency:.1f} ms each, "
        f"{size:.1f} MB",
    )


def _finite(answers: npt.NDArray[np.float64]) -> RuleResult:
    bad = int((~np.isfinite(answers)).any(axis=1).sum())
    return none_of("finite", bad, f"{bad} of {len(answers)} golden answers are not numbers")


def _plausible(
    answers: npt.NDArray[np.float64], shortest: float, longest: float, unit: str
) -> RuleResult:
    middle, lower, upper = answers.T
    wrong = (middle < shortest) | (middle > longest) | (lower > middle) | (upper < middle)
    bad = int(wrong.sum())
    limits = f"{shortest:.1f} to {longest:.1f} {unit}".rstrip()
    return none_of(
        "plausible",
        bad,
        f"{bad} of {len(answers)} golden answers lie outside {limits} or their own interval",
    )


def _parity(
    answers: npt.NDArray[np.float64], bundle: npt.NDArray[np.float64], allowed: float, unit: str
) -> RuleResult:
    same_shape = answers.shape == bundle.shape
    apart = float(np.abs(answers - bundle).max()) if same_shape else float("inf")
    return at_most(
        "parity",
        apart,
        allowed,
        unit,
        f"the artifact and its compiled form differ by up to {apart:.1e} {unit}".rstrip(),
    )
