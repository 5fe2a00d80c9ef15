"""The package of the Cedar engine, loaded when the first policy is read: a desk that only asks its node needs none."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cedarpy import Decision, Entities, PolicySet, Schema, is_authorized, policies_to_pst, pst, validate_policies

__all__ = [
    "Decision", "Entities", "PolicySet", "Schema", "is_authorized", "policies_to_pst", "pst", "validate_policies",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the package has under that name
    if name not in __all__:
        raise AttributeError(name)
    package = import_module("cedarpy")
    globals().update({each: getattr(package, each) for each in __all__})
    return globals()[name]
