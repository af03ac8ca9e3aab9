"""The shapes of what people and programs hand in: names, ids, reasons. Bounded, and free of control characters."""

import re
from typing import Annotated

from pydantic import Field

__all__ = ["EntityId", "EntityType", "Name", "Reason", "RecordId", "Text", "is_entity_id"]

_PLAIN = r"^[^\x00-\x1f\x7f-\x9f]+$"

Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_.-]{0,62}$")]
"""As gateway.configuration.specs.Name, in a form that a schema can tell."""
EntityId = Annotated[str, Field(min_length=1, max_length=255, pattern=_PLAIN)]
RecordId = Annotated[str, Field(min_length=1, max_length=255, pattern=_PLAIN)]
EntityType = Annotated[str, Field(pattern="^[a-z][a-z_]{0,39}$")]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=_PLAIN)]
Text = Annotated[str, Field(min_length=1, max_length=255, pattern=_PLAIN)]


def is_entity_id(text: str) -> bool:
    """Whether the text has the shape of an `EntityId`."""
    return len(text) <= 255 and re.fullmatch(_PLAIN, text) is not None
