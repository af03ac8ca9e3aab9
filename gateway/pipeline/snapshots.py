"""What a create is about, as it was when it began: kept in the intent, so that a repeat sends the same bytes."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import orjson

from connectors.models import Address, Customer
from gateway.pipeline.matching import normal_email, normal_name
from storage.records import Intent

_DECIDED = "decided"
_CUSTOMER, _ADDRESS = ([one.name for one in fields(kind)] for kind in (Customer, Address))


def to_snapshot(customer: Customer) -> dict[str, Any]:
    """Return the customer as JSON."""
    told = {name: getattr(customer, name) for name in _CUSTOMER}
    if customer.address is not None:
        told["address"] = {name: getattr(customer.address, name) for name in _ADDRESS}
    return {**told, "metadata": dict(customer.metadata)}


def from_snapshot(snapshot: Mapping[str, Any]) -> Customer:
    """Return the customer that a snapshot holds."""
    told = undecided(snapshot)
    address = told.get("address")
    return Customer(**{**told, "address": None if address is None else Address(**address)})


def with_decision(snapshot: Mapping[str, Any], review_id: str | None) -> dict[str, Any]:
    """Return the snapshot with the review whose decision its create carries out, if any."""
    return {**snapshot, **({_DECIDED: review_id} if review_id is not None else {})}


def undecided(snapshot: Any) -> dict[str, Any]:
    """Return a snapshot as it was before `with_decision`."""
    found = snapshot if isinstance(snapshot, Mapping) else {}
    return {name: value for name, value in found.items() if name != _DECIDED}


def decision_in(intent: Intent | None) -> str | None:
    """Return the review whose decision an intent's create carries out, or None."""
    found = intent.snapshot.get(_DECIDED) if intent is not None and isinstance(intent.snapshot, dict) else None
    return found if isinstance(found, str) else None


def digest(snapshot: Mapping[str, Any]) -> str:
    """Return a fingerprint of a snapshot."""
    return hashlib.sha256(orjson.dumps(snapshot, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def guards(customer: Customer) -> tuple[str, ...]:
    """Return what no two open creates of one connection may share: e-mail and name, as fingerprints."""
    told = (("e", normal_email(customer.email)), ("n", normal_name(customer.full_name)))
    return tuple(f"{kind}:{hashlib.sha256(text.encode()).hexdigest()[:32]}" for kind, text in told if text)


def shown(customer: Customer) -> dict[str, str]:
    """Return what a person sees beside the candidates of a review."""
    return {
        "customer_id": customer.customer_id, "name": customer.full_name, "email": customer.email,
        "phone": customer.phone, "currency": customer.currency,
    }  # fmt: skip
