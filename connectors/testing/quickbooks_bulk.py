"""Batch and change data capture of the simulated QuickBooks: many operations, or many changes, in one answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.testing.quickbooks_company import Company
from connectors.testing.quickbooks_entities import ENTITIES, entity_named
from connectors.testing.quickbooks_wire import COMPANY_TIME, Record, Refusal, stamp

_MOST_ITEMS = 30
_LONGEST_ITEM_ID = 10
_MOST_CHANGES = 1000
_FARTHEST_BACK = 30 * 86400.0


def batch(company: Company, body: Mapping[str, Any]) -> Record:
    """Run each item for itself: one may fail, inside HTTP 200, while its neighbours succeed."""
    items = body.get("BatchItemRequest")
    if not isinstance(items, list) or set(body) != {"BatchItemRequest"}:
        raise Refusal(2010, "Property Name:BatchItemRequest is unsupported or invalid", element="BatchItemRequest")
    if len(items) > _MOST_ITEMS:
        raise Refusal(1040, f"The batch size {len(items)} exceeds the limit of {_MOST_ITEMS}")
    return {"BatchItemResponse": [_batch_item(company, item) for item in items]}


def _batch_item(company: Company, item: Any) -> Record:
    own = item.get("bId") if isinstance(item, dict) else None
    if not isinstance(own, str) or not 0 < len(own) <= _LONGEST_ITEM_ID:
        raise Refusal(2010, "Property Name:bId is missing, or longer than 10", element="bId")
    try:
        return {"bId": own} | _done(company, item)
    except Refusal as refusal:
        return {"bId": own, "Fault": refusal.fault}


def _done(company: Company, item: Record) -> Record:
    if "Query" in item:
        return {"QueryResponse": company.query(str(item["Query"]))}
    names = [name for name in item if name in ENTITIES]
    if len(names) != 1 or not isinstance(item[names[0]], dict):
        raise Refusal(2010, "Property Name:an item takes exactly one entity or query")
    operation, include = str(item.get("operation", "")), str(item.get("optionsData", ""))
    return {names[0]: company.write(ENTITIES[names[0]], item[names[0]], operation=operation, include=include)}


def changes(company: Company, entities: str, since: str) -> Record:
    """Return the records changed since a moment, dead Ids as `"status": "Deleted"`, for each entity asked for."""
    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise Refusal(2010, f"Property Name:changedSince is invalid: {since}", element="changedSince") from error
    begin = (moment if moment.tzinfo else moment.replace(tzinfo=COMPANY_TIME)).astimezone(UTC).timestamp()
    if begin < company.now - _FARTHEST_BACK:
        raise Refusal(2010, "Property Name:changedSince must be within the last 30 days", element="changedSince")
    answers: list[Record] = []
    for name in entities.split(","):
        entity = entity_named(name.strip())
        if entity is None:
            raise Refusal(2010, f"Property Name:entities is invalid: {name}", element="entities")
        shelf = company.shelves[entity.name]
        keys = sorted((key for key, when in shelf.changed.items() if when >= begin), key=lambda key: shelf.changed[key])
        rows = [shelf.records.get(key) or _deleted(key, shelf.changed[key]) for key in keys[:_MOST_CHANGES]]
        envelope = {entity.name: rows, "startPosition": 1, "maxResults": len(rows), "totalCount": len(rows)}
        answers.append(envelope if rows else {})
    return {"CDCResponse": [{"QueryResponse": answers}]}


def _deleted(key: str, when: float) -> Record:
    return {"domain": "QBO", "status": "Deleted", "Id": key, "MetaData": {"LastUpdatedTime": stamp(when)}}
