"""The README's own commands: they exist, parse, and name what is there.

`.ci/run` runs its two first commands for real, on a clean clone; running them here again would
build a second environment inside the first.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mlops.cli import main
from mlops.settings import is_setting

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))
MLOPS = sorted(
    {
        line.partition("#")[0].replace(".venv/bin/", "").strip()
        for line in BLOCKS.splitlines()
        if line.startswith(".venv/bin/mlops")
    }
)
TARGETS = sorted(set(re.findall(r"\bmake ([a-z-]+)", README)))


def test_its_first_screen_is_the_two_commands() -> None:
    lines = [line.split("#")[0].strip() for line in BLOCKS.splitlines()[:2]]

    assert lines == ["make run", "make test"]
    assert README.index("make run") < 800


def test_ci_runs_its_two_commands() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert "make run" in ci
    assert re.search(r"make .*\btest\b", ci)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_exists_and_does_something(target: str) -> None:
    # `-n` prints what would run; the stamps of the environment may be anywhere
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", MLOPS)
def test_every_option_it_shows_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, name, *arguments = shlex.split(command)
    assert program == "mlops"

    commands = [name, *(each for each in arguments[:1] if not each.startswith("-"))]  # of a group
    with pytest.raises(SystemExit) as stop:
        main([*commands, "--help"])

    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for argument in arguments:
        if argument.startswith("--"):
            assert argument in shown, argument


def test_every_file_and_folder_it_names_exists() -> None:
    folders = [
        name for row in re.findall(r"^\| (`.*?`) \|", README, re.M) for name in row.split("`")
    ]
    paths = [path for name in folders for path in name.split() if path.endswith("/")]
    paths += re.findall(r"\]\(([a-z][\w./-]+)\)", README)
    paths += re.findall(r"`((?:mlops|tests|benchmarks|deploy)/[\w/.]+)`", README)

    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_setting_it_names_exists() -> None:
    named = re.findall(r"--set ([a-z_.]+)=", README)
    named += [
        name.lower().replace("__", ".") for name in re.findall(r"MLOPS_([A-Z]+__[A-Z_]+)=", README)
    ]

    assert named
    assert all(is_setting(name) for name in named), named


@pytest.mark.parametrize("python", ["no-such-python", "/bin/ls", "/bin/false"])
def test_a_wrong_interpreter_given_to_make_is_named(python: str, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)

    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert f"PYTHON={python}: this is not a Python 3.10, 3.11 or 3.12" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_the_passwords_that_compose_needs_are_counted_right() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", compose))

    counts = ("no", "one", "two", "three", "four", "five")
    assert f"for the {counts[len(needed)]} passwords it needs" in " ".join(README.split())
    assert all(re.search(rf"^#   {name} ", compose, re.M) for name in needed)
