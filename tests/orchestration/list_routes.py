"""Prints, as JSON, every route and REST resource of the server: ``list_routes.py PROJECT``."""

import json
import os
import sys
from pathlib import Path

from mlops.orchestration.engine import environment
from mlops.settings import load_settings


def one_file(folder: Path) -> str:
    """Return a file below a folder, as its address."""
    files = (Path(base) / name for base, _, names in os.walk(folder) for name in names)
    return min(files).relative_to(folder).as_posix()


if __name__ == "__main__":
    settings = load_settings()
    environment.prepare(settings, Path(sys.argv[1]))
    environment.boot(settings.logs / "routes.log")

    import inflection
    import mage_ai.api.resources
    from mage_ai.server import server
    from mage_ai.server.static.files import StaticFileHandler

    from mlops.orchestration.web import application as web

    server.file_path_aws_emr = lambda: str(settings.home / "server" / "ssh_tunnel.json")
    app = web.repair(server.make_app(), settings)
    routes = [
        {
            "pattern": rule.matcher.regex.pattern,
            "file": one_file(Path(rule.target_kwargs["path"]))
            if rule.target is StaticFileHandler
            else "",
        }
        for rule in app.wildcard_router.rules
    ]
    names = (
        path.name.removesuffix("Resource.py")
        for path in Path(mage_ai.api.resources.__path__[0]).glob("*?Resource.py")
    )
    resources = sorted(inflection.pluralize(inflection.underscore(name)) for name in names)
    assert len(app.default_router.rules) == 1, "routes outside of the wildcard router"
    print(json.dumps({"routes": routes, "resources": resources}))
