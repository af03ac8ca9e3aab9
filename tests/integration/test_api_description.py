"""The description of the API: whole, valid, and what the gateway really does, asked by schemathesis."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from gateway.errors import catalogue
from gateway.web.api.description import operations
from gateway.web.api.routes import endpoints
from tests.conftest import SEED
from tests.harness import ADMIN_KEY, Rig
from tests.integration.api_setup import PROBLEM, Callers, configured

THOROUGH = 40
EXAMPLES = THOROUGH if settings.get_current_profile_name() == "thorough" else 6
"""Requests to each operation."""
DRAFT = "https://json-schema.org/draft/2020-12/schema"
SKIPPED = {
    "ensure_resource_availability",  # what was made by one random call may be removed by another
    "use_after_free",  # likewise
    "positive_data_acceptance",  # `in_form_and_yet_refused` below is stricter, and knows what a schema cannot tell
}
BEYOND_FORM = {
    "replay_deliveries": "give a filter",
    "retry_jobs": "give a filter",
    "cancel_jobs": "give a filter",
    "resolve_review": "goes with the decision adopt",
    "create_key": "printable",
    "import_mappings": "the header line lacks",
    "authorize_connection": "needs no consent",
}
ODD_HEADER = "must be 1 to 255 printable characters"
"""What a request may lack though each of its parts has the right form: by operation, words of the detail."""


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


async def spec_of(who: Callers) -> dict[str, Any]:
    answer = await who.nobody.ask("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    spec: dict[str, Any] = answer.json
    return spec


async def test_every_route_of_the_gateway_is_described_and_nothing_else(rig: Rig, who: Callers) -> None:
    spec = await spec_of(who)
    described = {(method, path) for method, path, _ in operations(spec)}
    routed = {
        (route.method, re.sub(r"{(\w+):[^}]*}", r"{\1}", route.resource.canonical))
        for route in rig.gateway.app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith("/console")
    }
    routed = {(method, path) for method, path in routed if method != "HEAD"}
    routed = {("POST" if path.startswith("/webhooks/") else method, path) for method, path in routed}
    assert described == routed


async def test_each_operation_says_what_it_answers_and_to_whom(who: Callers) -> None:
    spec = await spec_of(who)
    assert spec["openapi"].startswith("3.1")
    roles = {each.name: str(each.role) for each in endpoints()}
    names = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(set(names)) == len(names)
    for method, path, operation in operations(spec):
        assert operation["summary"], path
        assert operation["summary"].endswith("."), path
        good = [status for status in operation["responses"] if status < "400"]
        assert good, path
        if path.startswith("/api/"):
            assert operation["x-role"] == roles[operation["operationId"]]
            assert {"400", "401", "403", "429", "503"} <= set(operation["responses"]), (method, path)
            declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
        else:
            assert operation["security"] == []


async def test_every_code_that_is_named_is_an_error_that_there_is(who: Callers) -> None:
    known = {entry.code for entry in catalogue()}
    for _, path, operation in operations(await spec_of(who)):
        for status, answer in operation["responses"].items():
            if status >= "400" and "application/problem+json" in answer["content"]:
                for code in re.findall(r"`([a-z_]+)`", answer["description"]):
                    assert code in known | {"reasons"}, (path, code)


async def test_every_schema_is_one_and_every_reference_leads_somewhere(who: Callers) -> None:
    spec = await spec_of(who)
    jsonschema_rs.meta.validate({"$schema": DRAFT, "$defs": spec["components"]["schemas"]})
    text = str(spec)
    for name in set(re.findall(r"'#/components/schemas/([^']+)'", text)):
        assert name in spec["components"]["schemas"]
    assert all(f"'#/components/schemas/{name}'" in text for name in spec["components"]["schemas"])


async def test_the_page_shows_every_operation_and_needs_nothing_from_elsewhere(who: Callers) -> None:
    answer = await who.nobody.ask("GET", "/docs")
    page = answer.body.decode()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for _, path, operation in operations(await spec_of(who)):
        assert f'id="{operation["operationId"]}"' in page
        assert path in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def in_form_and_yet_refused(case: Any, response: Any) -> None:
    """Object to `request_invalid` for a request that has the form which the description asks for."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    body = response.json() if response.headers["content-type"] == [PROBLEM] else {}
    expected = BEYOND_FORM.get(case.operation.definition.raw["operationId"], ODD_HEADER)
    if body.get("code") in ("request_invalid", "malformed_request"):
        assert expected in body["detail"] or ODD_HEADER in body["detail"], body


def told(error: BaseException) -> str:
    """Return an error with those that it holds."""
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "\n".join([str(error), *map(told, inside)])


def failures(url: str, spec: dict[str, Any], examples: int) -> list[str]:
    """Have schemathesis ask every operation with examples of its own, good and bad, and return what it objects to."""
    load_all_checks()
    each_check = {check.__name__: check for check in CHECKS.get_all() if check.__name__ not in SKIPPED}
    # Asks with wrong keys, of which an address has not that many.
    without_key = each_check.pop("ignored_auth")
    schema = schemathesis.openapi.from_dict(spec, config=SchemathesisConfig())
    schema.config.update(base_url=url)
    key = {"Authorization": f"Bearer {ADMIN_KEY}"}
    found: list[str] = []
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        strategy = operation.as_strategy()

        asked = 0

        @seed(SEED)
        @settings(
            max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=strategy)
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            checks = [*each_check.values(), *([without_key] if asked <= 2 else [])]
            response = case.call_and_validate(checks=checks, timeout=30, headers=key)
            in_form_and_yet_refused(case, response)

        try:
            ask()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - all are told together
            found.append(f"{operation.method.upper()} {operation.path}: {told(error)}"[:3000])
    return found


@pytest.mark.slow
async def test_the_gateway_does_what_the_description_says(rig: Rig, who: Callers) -> None:
    """Schemathesis is not asynchronous: it asks from a thread of its own."""
    await rig.finalize(rig.flexprice.add_customer(name="Ada", email="ada@example.com")["id"])
    await rig.finish()
    found = await asyncio.to_thread(failures, rig.gateway.url, await spec_of(who), EXAMPLES)
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize(
    "path,method,change",
    [
        ("/api/v1/jobs", "get", {"responses": {"204": {"description": "x"}}}),
        ("/api/v1/keys", "post", {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}),
        ("/api/v1/audit", "get", {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "string"}}]}),
    ],
)
async def test_a_description_that_is_wrong_would_be_found(
    rig: Rig, who: Callers, path: str, method: str, change: dict[str, Any]
) -> None:
    spec = await spec_of(who)
    spec["paths"] = {path: {method: {**spec["paths"][path][method], **change}}}
    assert await asyncio.to_thread(failures, rig.gateway.url, spec, THOROUGH)
