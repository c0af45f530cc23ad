"""Makes bundles in processes of their own: whatever an artifact does to the one that loads it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops.errors import MlopsError
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.registry.versions import VersionInfo

COMPILE_SECONDS: Final = 180  # then the artifact counts as broken


def compile_apart(settings: Settings, info: VersionInfo, target: Path) -> None:
    """Make a bundle in a process of its own, unless a good one is there.

    Unpickling an artifact can exhaust memory, crash or hang: that is the child's end only.

    Args:
        settings: Name the registry.
        info: The version.
        target: Folder of the bundle.

    Raises:
        MlopsError: If there is no bundle afterwards, saying why.
    """
    context = multiprocessing.get_context("fork")  # all imports are made already
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_compile, args=(settings, info, target, theirs), daemon=True)
    child.start()
    theirs.close()
    hint = "check the model's artifact, or promote another version"
    try:
        problem = f"it takes more than {COMPILE_SECONDS} s"
        if ours.poll(COMPILE_SECONDS):
            problem, known = ours.recv()
            hint = known.replace("VERSION", str(info.version)) or hint
    except EOFError:
        child.join()
        problem = f"loading it ended the process with code {child.exitcode}"
    finally:
        child.kill()
        child.join()
        ours.close()
    if problem:
        raise MlopsError(problem, hint)


def _compile(settings: Settings, info: VersionInfo, target: Path, pipe: Any) -> None:
    from mlops.registry.models import load_folder
    from mlops.serving.model.compilation import compile_model
    from mlops.serving.model.compiled import CompiledModel

    try:
        try:
            CompiledModel.load(target)
        except MlopsError:
            compile_model(load_folder(settings, info.source), info.version, bundle_info(info)).save(
                target
            )
            CompiledModel.load(target)  # what is on the disk, not what was in memory, is proved
        pipe.send(("", ""))
    except MlopsError as error:
        pipe.send((error.message, error.hint))
    except BaseException as error:
        pipe.send((f"{type(error).__name__}: {error}", ""))


def bundle_info(info: VersionInfo) -> dict[str, str]:
    """Return what a bundle tells of its version; objects as JSON."""
    content = {"run_id": info.run_id, "created_at": info.created_at.isoformat()}
    if info.receipt:
        content["receipt"] = info.receipt.model_dump_json()
    if info.evaluation:
        content["metrics"] = info.evaluation.metrics.model_dump_json()
    return content
