"""What surrounds a fit: code, packages, threads and processor, then and now."""

from __future__ import annotations

import platform

from mlops.registry.receipts import Receipt, code_commit, cpu, lock_hash, packages
from mlops.reproduction.findings import ENVIRONMENT, Evidence, Stage, compared


def compare_environment(receipt: Receipt, threads: int) -> Stage:
    """Compare what the receipt says of the environment with this process.

    Changes that no commit holds cannot be compared: they count as a difference.

    Args:
        receipt: Of the version.
        threads: That the model is made again with.
    """
    here = packages()
    evidence = [
        Evidence(what="code", recorded=receipt.code_commit, found=_code(receipt)),
        Evidence(what="lock file", recorded=receipt.lock_hash, found=lock_hash()),
        Evidence(what="Python", recorded=receipt.python, found=platform.python_version()),
        *(
            Evidence(what=name, recorded=version, found=here.get(name, "not installed"))
            for name, version in receipt.packages.items()
        ),
        Evidence(what="threads", recorded=str(receipt.threads or "unknown"), found=str(threads)),
        Evidence(what="processor", recorded=receipt.cpu or "unknown", found=cpu()),
    ]
    return compared(ENVIRONMENT, evidence, "the same code, packages, threads and processor")


def _code(receipt: Receipt) -> str:
    here = code_commit()
    same_but_unknown = receipt.dirty and here == receipt.code_commit
    return f"{here}, possibly with other uncommitted changes" if same_but_unknown else here
