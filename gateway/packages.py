"""Unrelated distributions that bring packages of our names: one silently replaces the other's files.

This imports nothing of ours: it has to work where those files are not ours any more.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions

OURS = "ledgergate"
PACKAGES = ("connectors", "gateway", "storage")


def strangers() -> Mapping[str, Sequence[str]]:
    """Return by package the distributions other than ours that bring it."""
    offered = packages_distributions()
    found = {name: sorted({dist for dist in offered.get(name, []) if dist.lower() != OURS}) for name in PACKAGES}
    return {name: dists for name, dists in found.items() if dists}
