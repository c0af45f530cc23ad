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
# Addresses that a browser opens, by way of the proxy.
FOR_PEOPLE = {
    "MLOPS_SERVER__PUBLIC_URL",
    "MLOPS_OBSERVABILITY__PUBLIC_URL",
    "GRAFANA_URL",
    "GF_SERVER_ROOT_URL",
}


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
            exists = (ROOT / source).exists() if source[0] == "." else source in compose["volumes"]
            assert exists, volume


def test_every_setting_it_sets_exists(compose: dict[str, Any]) -> None:
    names = {name for s in compose["services"].values() for name in s.get("environment", ())}
    settings = {name for name in names if name.startswith("MLOPS_")} - NOT_SETTINGS

    assert len(settings) > 5
    for name in settings:
        assert is_setting(name.removeprefix("MLOPS_").lower().replace("__", ".")), name


def test_its_values_are_accepted(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("mage", "serving", "mlflow"):
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
        if re.match(r"(http|postgresql)\S*//", str(value)) and name not in FOR_PEOPLE
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

    names = ("HTTP", "HTTPS", "PREDICTIONS", "GRAFANA")
    assert published == {defaults[f"MLOPS_{name}_PORT"] for name in names}
    assert set(compose["services"]["proxy"]["environment"]) <= set(defaults)
    assert defaults["MLOPS_SITE"] != "localhost"  # where Mage's pages ask port 6789
    settings = Settings.model_validate({})
    assert defaults["MLOPS_MAGE"] == f"mage:{settings.server.mage_port}"
    assert defaults["MLOPS_SERVING"] == f"serving:{settings.serving.port}"
    for name in ("URL", "METRICS_URL"):
        url = compose["services"]["mage"]["environment"][f"MLOPS_SERVING__{name}"]
        port = settings.serving.port if name == "URL" else settings.serving.metrics_port
        assert url == f"http://serving:{port}"


def test_prometheus_looks_where_metrics_are_told(compose: dict[str, Any]) -> None:
    content = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in content["scrape_configs"]
    }
    settings = Settings.model_validate({})

    assert targets == {
        "observer": [f"mage:{settings.observability.metrics_port}"],
        "serving": [f"serving:{settings.serving.metrics_port}"],
    }
    environment = compose["services"]["mage"]["environment"]
    assert environment["MLOPS_OBSERVABILITY__METRICS_HOST"] == "0.0.0.0"
    # What alerts link to is expanded only if told so.
    service = compose["services"]["prometheus"]
    assert content["global"]["external_labels"]["grafana"] == "${GRAFANA_URL}"
    assert "--enable-feature=expand-external-labels" in service["command"]
    assert service["environment"]["GRAFANA_URL"].endswith(":3443")


def test_grafana_finds_its_source_and_its_dashboards(compose: dict[str, Any]) -> None:
    folder = ROOT / "deploy" / "grafana"
    provisioning = folder / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text("utf-8"))
    boards = yaml.safe_load((provisioning / "dashboards" / "mlops.yml").read_text("utf-8"))
    mounted = {
        target: local
        for local, target, _ in (
            v.split(":") for v in compose["services"]["grafana"]["volumes"][:2]
        )
    }

    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert ROOT / mounted["/etc/grafana/provisioning"] == provisioning
    assert ROOT / mounted[boards["providers"][0]["options"]["path"]] == folder / "dashboards"
    home = compose["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert (folder / "dashboards" / Path(home).name).is_file()


def test_locks_hold_hashes_and_no_address() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text, lock.name
        requirements = re.findall(r"^[a-z0-9].*==.*$", text, re.MULTILINE)
        assert requirements
        assert all(line.endswith("\\") for line in requirements), lock.name
