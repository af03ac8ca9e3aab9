"""The names taken in the simulated company: unique across customers, vendors and employees, inactive ones included."""

from connectors.testing.quickbooks_entities import Entity
from connectors.testing.quickbooks_quirks import DuplicateDetail, InactiveNames, Quirks
from connectors.testing.quickbooks_wire import Record, Refusal

DELETED = " (deleted)"
_PARTS = ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")
_TAKEN = "The name supplied already exists."


def display_name(record: Record) -> str:
    """Return the DisplayName, put together from the parts of the name where none is given. Raises Refusal 6080."""
    name = str(record.get("DisplayName") or " ".join(record[part] for part in _PARTS if record.get(part)))
    if not name.strip():
        detail = "Title, GivenName, MiddleName, FamilyName, DisplayName, Suffix - one of these must be non-empty"
        raise Refusal(6080, detail)
    return name


def in_storage(record: Record, quirks: Quirks) -> str:
    """Return the DisplayName as stored, where deactivation may have marked it."""
    name = str(record["DisplayName"])
    if quirks.inactive_names != InactiveNames.SUFFIXED:
        return name
    return name.removesuffix(DELETED) + (DELETED if record["Active"] is False else "")


def folded(name: str) -> str:
    """Return what two names must share to collide: letters whatever their case, words whatever the space between."""
    return " ".join(name.split()).casefold()


class NameBook:
    """Who holds which name, a name space at a time."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._holders: dict[tuple[str, str], tuple[str, str]] = {}
        self._held: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def holder(self, name: str, *, space: str = "names") -> tuple[str, str] | None:
        """Return the type and Id of the record that holds a name."""
        return self._holders.get((space, folded(name)))

    def claim(self, entity: Entity, record: Record, old: Record | None) -> None:
        """Check that a record may have its name. Raises Refusal 6240 where another record holds it."""
        own = (entity.name, old["Id"]) if old is not None else None
        for key in self._keys(entity, record):
            holder = self._holders.get(key)
            if holder is not None and holder != own:
                raise self._refusal(entity, holder[1])

    def keep(self, entity: Entity, record: Record) -> None:
        """Take note of a stored record's name, in place of the one it had."""
        self.release(entity, record)
        own, keys = (entity.name, record["Id"]), self._keys(entity, record)
        self._held[own] = keys
        self._holders |= dict.fromkeys(keys, own)

    def release(self, entity: Entity, record: Record) -> None:
        """Free what a record held."""
        for key in self._held.pop((entity.name, record["Id"]), []):
            self._holders.pop(key, None)

    def _keys(self, entity: Entity, record: Record) -> list[tuple[str, str]]:
        name, space = str(record[entity.name_property or "Name"]), entity.name_space or ""
        if space == "items":  # unique among those of one parent
            name = str(record["FullyQualifiedName"])
        keys = [(space, folded(name))]
        if record.get("Active") is False and name.endswith(DELETED):
            keys.append((space, folded(name.removesuffix(DELETED))))
        return keys

    def _refusal(self, entity: Entity, holder: str) -> Refusal:
        match self._quirks.duplicate_detail:
            case DuplicateDetail.NULL:
                return Refusal(6240, f"{_TAKEN} : null")
            case DuplicateDetail.FRENCH:
                return Refusal(6240, f"Ce nom existe déjà. : Id={holder}", message="Nom en double")
            case DuplicateDetail.TEXT if entity.name_space == "names":
                who = "Another customer, vendor or employee is already using this name. Please use a different name."
                return Refusal(6240, f"{_TAKEN} : {who}")
            case _:
                return Refusal(6240, f"{_TAKEN} : Id={holder}")
