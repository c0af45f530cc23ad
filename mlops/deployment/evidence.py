"""Whether what is stored with a version allows to deploy it."""

from __future__ import annotations

from mlops.data.origins import replacement
from mlops.errors import ConfigurationError, GateRefusalError, UntrustedArtifactError
from mlops.registry.versions import Registry, VersionInfo


def require_deployable(
    registry: Registry, asked: str, *, allow_mismatch: bool = False
) -> VersionInfo:
    """Return the version that is asked for, if its evidence speaks for it.

    Raises:
        ConfigurationError: If there is no such version.
        GateRefusalError: If the receipt or the verdict is missing, or against it.
        UntrustedArtifactError: If its model was neither logged nor accepted here.
    """
    name = "version" if asked.isdigit() else "alias"
    info = registry.get(asked)
    if info is None:
        raise ConfigurationError(
            f"{name}: there is no version {asked!r}", "list the versions with: mlops models"
        )
    if not registry.is_trusted(info):
        raise UntrustedArtifactError(
            f"{name}: the model of version {info.version} was not logged from this home",
            f"if you know where it comes from, trust it: mlops adopt {info.version}",
        )
    title = f"{name}: version {info.version}"
    if info.receipt is None or info.verdict is None:
        raise GateRefusalError(
            f"{title} was registered by hand: it has no receipt and no verdict of the gate",
            "let the gate judge a candidate: mlops run",
        )
    if info.receipt.gaps:
        raise GateRefusalError(
            f"{title} cannot be reproduced: its receipt lacks {', '.join(info.receipt.gaps)}",
            "train it where its code is in git and its packages are locked",
        )
    if not info.verdict.passed:
        raise GateRefusalError(
            f"{title} did not pass the gate: {info.verdict.summary}",
            f"see every rule: mlops models {info.version}",
        )
    champion = registry.champion()
    other = replacement(
        info.receipt.origin, champion.origin if champion else None, allow=allow_mismatch
    )
    if other and not other.allowed:
        raise GateRefusalError(
            f"{title} cannot replace version {champion.version if champion else ''}: {other.why}",
            f"to deploy it anyway: mlops deploy {info.version} --allow-mismatch",
        )
    return info
