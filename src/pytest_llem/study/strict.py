"""The base of every model of a study: frozen, no unknown keys, no silent conversions, no contradictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Strict(BaseModel):
    """Frozen; refuses unknown keys, NaN, and values of another type (``"4"`` or ``true`` where a number belongs)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    def contradictions(self) -> Iterable[str]:
        """What is wrong with the fields together, each being fine by itself."""
        return ()

    def but(self, update: Mapping[str, object]) -> Self:
        """With other values for some fields; itself where there are none."""
        return self.model_copy(update=update) if update else self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if found := list(self.contradictions()):
            raise ValueError("; ".join(found))
        return self


class Section(Strict):
    """A backend's section, or a group of fields in one. A field that is None is left to the library's own default."""

    def dormant(self) -> dict[str, str]:
        """The fields that are set and have no effect beside the others, each with the reason; in groups by path."""
        groups = ((name, group) for name, group in self if isinstance(group, Section))
        return {f"{name}.{field}": reason for name, group in groups for field, reason in group.dormant().items()}

    def given(self, reasons: Mapping[str, str]) -> dict[str, str]:
        """``reasons`` of those fields only that are set."""
        return {name: reason for name, reason in reasons.items() if getattr(self, name) is not None}

    def normalised(self) -> Self:
        """The same experiment with the dormant fields unset: equal experiments become equal."""
        update: dict[str, object] = {}
        for name in {path.partition(".")[0] for path in self.dormant()}:
            value = getattr(self, name)
            update[name] = value.normalised() if isinstance(value, Section) else None
        return self.but(update)
