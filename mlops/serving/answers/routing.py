"""Which version answers a request: a pure function of its id and of the versions at hand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from mlops.registry.rollout import Rollout
from mlops.serving.model.bundle import learned_from_synthetic

if TYPE_CHECKING:
    from mlops.serving.model.compiled import CompiledModel

Role = Literal["champion", "canary", "shadow"]

CHAMPION: Final = "champion"
_BUCKETS: Final = 1_000_000


def in_share(request_id: str, percent: float) -> bool:
    """Tell whether a request belongs to a share of all requests.

    The same id always does or always does not, and stays when the share grows.

    Args:
        request_id: The id as answered to the caller.
        percent: 0 to 100.
    """
    digest = hashlib.blake2b(request_id.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _BUCKETS < percent / 100 * _BUCKETS


@dataclass(frozen=True)
class Version:
    """A version in memory.

    Attributes:
        number: Of the registered model.
        bundle: Name of the folder it was loaded from.
        model: What answers.
        since: When it became champion, or when its rollout began.
    """

    number: int
    bundle: str
    model: CompiledModel
    since: datetime

    @cached_property
    def synthetic(self) -> bool:
        """Whether it learned from generated rows: every answer says so."""
        return learned_from_synthetic(self.model.head)

    @property
    def title(self) -> str:
        """Its number, and that it is synthetic if it is."""
        mark = " (learned from synthetic rows: its answers are examples)"
        return f"version {self.number}{mark if self.synthetic else ''}"


@dataclass(frozen=True)
class Lineup:
    """The versions of one moment. A request takes it once and keeps it: nothing is mixed.

    Attributes:
        champion: Answers.
        rollout: Who else is at hand, in what mode and for which share.
        beside: The version of the rollout.
    """

    champion: Version
    rollout: Rollout | None = None
    beside: Version | None = None

    def rolled_out(self, request_id: str) -> tuple[Version, Role] | None:
        """Return the version that also sees, or answers, this request, with its role."""
        rollout, beside = self.rollout, self.beside
        if rollout is None or beside is None or rollout.is_over():
            return None
        if not in_share(request_id, rollout.percent):
            return None
        return beside, rollout.mode

    @property
    def versions(self) -> list[tuple[Version, Role]]:
        """The versions in memory with their roles, the champion first."""
        versions: list[tuple[Version, Role]] = [(self.champion, CHAMPION)]
        if self.rollout and self.beside and not self.rollout.is_over():
            versions.append((self.beside, self.rollout.mode))
        return versions
