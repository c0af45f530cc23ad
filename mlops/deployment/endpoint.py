"""The running online server, as a deployment sees it: its answers, its metrics, its time-outs.

A deployment asks with a key of its own, named ``deployment``: the environment variable
``MLOPS_SERVING_TOKEN`` holds its token, or the file ``deployment.token`` in the serving folder,
which only its owner can read and which is made here, with its key, when first needed. A server
takes new keys within a second.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import requests

from mlops.datasets.opening import dataset_of
from mlops.deployment.traffic import Scrape, parse_metrics
from mlops.serving.http.keys import add_key, hash_of, read_keys
from mlops.settings import Settings

TOKEN_VARIABLE: Final = "MLOPS_SERVING_TOKEN"
KEY_NAME: Final = "deployment"
TIMEOUT_SECONDS: Final = 5.0
_TOKEN_FILE: Final = "deployment.token"


@dataclass(frozen=True)
class EndpointAnswer:
    """One answer of the endpoint, or why there is none.

    Attributes:
        version: That answered; None without an answer.
        prediction: In the unit of the target.
        problem: Empty, or what went wrong.
    """

    version: int | None = None
    prediction: float = float("nan")
    problem: str = ""


class Endpoint:
    """The online server over HTTP.

    Args:
        settings: Say where it is, and of which dataset.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.serving_url
        self._metrics_url = settings.serving_metrics_url
        self._served = settings.served
        self._dataset = dataset_of(settings)
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between a deployment and its server

    def absence(self) -> str:
        """Return why no online server of the dataset answers, or nothing if one does."""
        try:
            reply = self._get(f"{self.url}/healthz")
            served = reply.json()["dataset"] if reply.ok else ""
        except (requests.RequestException, ValueError, KeyError, TypeError):
            served = ""
        if served and served != self._dataset.name:
            return f"the online server at {self.url} serves {served}, not {self._dataset.name}"
        return "" if served else f"no online server answers at {self.url}"

    def problem(self) -> str:
        """Return why the server could not follow the registry, in its own words, or nothing."""
        try:
            content = self._get(f"{self.url}/model", headers=self._headers()).json()
        except (requests.RequestException, ValueError):
            return ""
        return str(content.get("problem") or "") if isinstance(content, dict) else ""

    def scrape(self) -> Scrape | None:
        """Return the server's metrics, or None if it does not tell them now."""
        try:
            reply = self._get(f"{self._metrics_url}/metrics")
            reply.raise_for_status()
            return parse_metrics(reply.text)
        except (requests.RequestException, ValueError):
            return None

    def ask(self, body: Mapping[str, Any]) -> EndpointAnswer:
        """Ask for one prediction."""
        try:
            reply = self._session.post(
                f"{self.url}/predict", json=body, headers=self._headers(), timeout=TIMEOUT_SECONDS
            )
            content = reply.json()
            if not reply.ok:
                return EndpointAnswer(problem=f"{reply.status_code}: {str(content)[:200]}")
            return EndpointAnswer(
                int(content["model_version"]), float(content[self._dataset.answer])
            )
        except requests.RequestException as error:
            return EndpointAnswer(problem=f"{type(error).__name__}: {str(error)[:200]}")
        except (KeyError, TypeError, ValueError) as error:
            return EndpointAnswer(problem=f"not a valid answer: {type(error).__name__}: {error}")

    def _get(self, url: str, **options: Any) -> requests.Response:
        return self._session.get(url, timeout=TIMEOUT_SECONDS, **options)

    def _headers(self) -> dict[str, str]:
        return {"X-API-Key": deployment_token(self._served)}


def deployment_token(served: Path) -> str:
    """Return the token by which deployments ask; make it and its key unless there is a valid one.

    Args:
        served: The serving folder, `settings.served`.
    """
    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    if given:
        return given
    file = served / _TOKEN_FILE
    with suppress(FileNotFoundError):
        kept = file.read_bytes().strip()
        now, digest = datetime.now(timezone.utc), hash_of(kept).hex()
        # One that is damaged, or older than the file of keys, opens no door.
        if any(key.sha256 == digest and key.is_valid(now) for key in read_keys(served)):
            return kept.decode()
    _, token = add_key(served, KEY_NAME)
    temporary = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(token)
    temporary.replace(file)
    return token
