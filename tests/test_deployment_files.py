"""What `docker compose up` reads is real: it parses, and every path and variable in it exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.settings import Settings, is_setting, load_settings

ROOT = Path(__file__).resolve().parents[1]
# Read by something else than the settings.
NOT_SETTINGS = {"MLOPS_OWNER_PASSWORD", "MLOPS_CODE_COMMIT", "MLOPS_SITE", "MLOPS_TLS"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return content


def test_every_file_it_names_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).exists(), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            exists = (ROOT / source).is_file() if source[0] == "." else source in compose["volumes"]
            assert exists, volume


def test_every_setting_it_sets_exists(compose: dict[str, Any]) -> None:
    names = {name for s in compose["services"].values() for name in s.get("environment", ())}
    settings = {name for name in names if name.startswith("MLOPS_")} - NOT_SETTINGS

    assert len(settings) > 5
    for name in settings:
        assert is_setting(name.removeprefix("MLOPS_").lower().replace("__", ".")), name


def test_its_values_are_accepted(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("mage", "serving"):
        for name, value in compose["services"][service]["environment"].items():
            if name not in NOT_SETTINGS:
                default = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
                monkeypatch.setenv(name, re.sub(r"\$\{\w+:\?.*?\}", "given", default))
        load_settings()


def test_services_find_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    urls = [
        value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if re.match(r"(http|postgresql)\S*//", str(value)) and "PUBLIC" not in name
    ]
    hosts = {re.search(r"//(?:[^/]*@)?(\w+):", re.sub(r"\$\{.*?\}", "x", u))[1] for u in urls}  # type: ignore[index]

    assert hosts == {"mlflow", "serving", "postgres"} <= set(services)
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    secrets = re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", text)

    assert secrets
    assert all(rest.startswith(":?") for _, rest in secrets)


def test_only_the_proxy_can_be_reached_from_outside_and_only_if_told(
    compose: dict[str, Any],
) -> None:
    ports = {name: s.get("ports", []) for name, s in compose["services"].items()}

    assert all(port.startswith("${MLOPS_PUBLISH:-127.0.0.1}:") for port in ports.pop("proxy"))
    assert all(port.startswith("127.0.0.1:") for list_ in ports.values() for port in list_)
    assert not ports["mage"] and not ports["serving"]  # the proxy's X-Forwarded-For is believed


def test_the_proxy_listens_where_it_is_published_and_asks_who_is_there(
    compose: dict[str, Any],
) -> None:
    text = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"\{\$(\w+):(.*?)\}", text))
    published = {port.rpartition(":")[2] for port in compose["services"]["proxy"]["ports"]}

    assert published == {defaults[f"MLOPS_{name}_PORT"] for name in ("HTTP", "HTTPS", "SERVING")}
    assert set(compose["services"]["proxy"]["environment"]) <= set(defaults)
    assert defaults["MLOPS_SITE"] != "localhost"  # where Mage's pages ask port 6789
    settings = Settings.model_validate({})
    assert defaults["MLOPS_MAGE"] == f"mage:{settings.server.mage_port}"
    assert defaults["MLOPS_SERVING"] == f"serving:{settings.serving.port}"
    for name in ("URL", "METRICS_URL"):
        url = compose["services"]["mage"]["environment"][f"MLOPS_SERVING__{name}"]
        port = settings.serving.port if name == "URL" else settings.serving.metrics_port
        assert url == f"http://serving:{port}"


def test_locks_hold_hashes_and_no_address() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        requirements = re.findall(r"^[a-z0-9].*==.*$", text, re.MULTILINE)
        assert requirements
        assert all(line.endswith("\\") for line in requirements), lock.name
