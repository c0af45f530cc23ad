"""The server runs where Mage is not installed, with the versions that were tested with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements"
# Installed for the pipelines, not for the server.
_FOREIGN = "mage_ai", "pandera", "hyperopt", "flask", "dask", "great_expectations", "s3fs"
_PROGRAM = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {foreign!r}:
            raise ImportError(name + " is not for the server")

sys.meta_path.insert(0, Refusing())
{imports}
assert not {absent!r} & set(sys.modules), {absent!r} & set(sys.modules)
"""


@pytest.mark.parametrize(
    ("imports", "absent"),
    [
        ("from mlops.cli import build_app; build_app()", {"mlflow", "pandas", "xgboost"}),
        (
            "import mlops.serving.processes.supervisor, mlops.serving.processes.worker",
            {"mlflow", "sklearn"},
        ),
        ("import mlops.serving.model.compilation, mlops.registry.versions", {"mlflow"}),
        ("from mlops.registry.connection import load_mlflow; load_mlflow()", set()),
    ],
)
def test_what_the_server_imports(imports: str, absent: set[str]) -> None:
    program = _PROGRAM.format(foreign=_FOREIGN, imports=imports, absent=absent)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def pins_of(name: str) -> dict[str, str]:
    text = (REQUIREMENTS / name).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[\S+\])?==(\S+)", text, re.MULTILINE))


def test_the_server_is_locked_to_the_versions_of_the_runtime() -> None:
    serving, runtime = pins_of("serving.txt"), pins_of("runtime.txt")
    assert serving.items() <= runtime.items()
    assert not {"mage-ai", "flask", "pandera", "hyperopt"} & set(serving)
    assert len(serving) < len(runtime) / 2


def test_every_pin_has_its_hash_and_no_address() -> None:
    text = (REQUIREMENTS / "serving.txt").read_text()
    assert "://" not in text
    for requirement in text.replace("\\\n", " ").splitlines():
        assert "--hash=sha256:" in requirement
