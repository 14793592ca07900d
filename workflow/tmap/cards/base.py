"""What all card sections share."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a card: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
