"""The HTTP side of the simulated QuickBooks: routes, admission, request ids, and answers in JSON or XML."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from connectors.testing import quickbooks_bulk, quickbooks_sales
from connectors.testing.quickbooks_company import Company
from connectors.testing.quickbooks_entities import BY_PATH, INVOICE, Entity
from connectors.testing.quickbooks_faults import QuickBooksFaults
from connectors.testing.quickbooks_gate import Answer, Limits, RequestIds, Throttled
from connectors.testing.quickbooks_oauth import IntuitOAuth
from connectors.testing.quickbooks_quirks import Quirks
from connectors.testing.quickbooks_wire import (
    GatewayRefusal,
    Record,
    Refusal,
    dump,
    load,
    stamp,
    throttle_xml,
    to_xml,
)
from connectors.testing.simulator import Simulator

Work = Callable[[], Record]

_LONGEST_ID, _LONGEST_BATCH_ID = 50, 36
_REALM = "4620816365000000000"


class QuickBooksService(Simulator):
    """Accounting API v3 and OAuth of one Intuit, with one company in it unless more are added."""

    throttled_body = throttle_xml()
    throttled_type = "application/xml"
    faults: QuickBooksFaults

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, quirks: Quirks | None = None, realm_id: str = _REALM,
        company_name: str = "Sandbox Company_US_1", client_id: str = "ABxSandboxClientId",
        client_secret: str = "sandbox-client-secret",  # noqa: S107 - of the sandbox alone
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(host=host, port=port)
        self.faults = QuickBooksFaults()
        self.quirks = quirks or Quirks()
        self.company = Company(realm_id, company_name, self.quirks, seed=seed)
        self.companies = {realm_id: self.company}
        self.limits = Limits()
        self.requests = RequestIds(self.quirks)
        self.oauth = IntuitOAuth(self.quirks, client_id=client_id, client_secret=client_secret, realm_id=realm_id)
        self.minor_versions: list[str | None] = []
        """The `minorversion` of each call to the API, None where it had none."""
        self.tids: dict[str, str] = {}
        """Every `intuit_tid` given, with the method and path it was given to, in order."""
        self._requests = {realm_id: self.requests}
        self._unfinished: set[asyncio.Task[Answer]] = set()

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes; paths are case-sensitive, as Intuit's are."""
        realm = "/v3/company/{realm}"
        return [
            web.get("/connect/oauth2", self.oauth.authorize),
            web.post("/oauth2/v1/tokens/bearer", self.oauth.token),
            web.post("/v2/oauth2/tokens/revoke", self.oauth.revoke),
            web.get(f"{realm}/query", self._query),
            web.post(f"{realm}/query", self._query),
            web.get(f"{realm}/cdc", self._changes),
            web.post(f"{realm}/batch", self._batch),
            web.get(f"{realm}/preferences", self._preferences),
            web.post(f"{realm}/invoice/{{key}}/send", self._send),
            web.get(f"{realm}/{{entity}}/{{key}}", self._read),
            web.post(f"{realm}/{{entity}}", self._write),
        ]

    async def stop(self) -> None:
        """Stop, and drop the writes that are still being executed."""
        await super().stop()
        for task in list(self._unfinished):
            task.cancel()
        await asyncio.gather(*self._unfinished, return_exceptions=True)

    @web.middleware
    async def _serve(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        tid = f"1-{secrets.token_hex(4)}-{secrets.token_hex(12)}"
        self.tids[tid] = f"{request.method} {request.path}"
        counted = request.path.startswith("/v3/company/")
        self.limits.running += counted
        self.limits.peak = max(self.limits.peak, self.limits.running)

        async def traced(request: web.Request) -> web.StreamResponse:
            answer = await handler(request)
            answer.headers["intuit_tid"] = tid
            return answer

        try:
            answer = await super()._serve(request, traced)
        finally:
            self.limits.running -= counted
        if not answer.prepared:
            answer.headers["intuit_tid"] = tid
        return answer

    async def _admitted(
        self, request: web.Request, work: Callable[[Company], Awaitable[Answer]], *, metered: bool
    ) -> web.StreamResponse:
        """Let a call in, or refuse it as the gateway would, and send what came of it."""
        self.minor_versions.append(request.query.get("minorversion"))
        try:
            company = self._company(request)
            if company is self.company:
                self.limits.spend(company.now, metered=metered)
            answer = await work(company)
        except Throttled as throttled:
            retry_after = self.limits.retry_after
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            return web.Response(status=429, body=throttled.body, headers=headers, content_type="application/xml")
        except GatewayRefusal as refusal:
            answer = Answer(status=refusal.status, body=dump(refusal.body).encode())
        except Refusal as refusal:
            answer = self._refused(request, refusal)
        return web.Response(
            status=answer.status, body=answer.body, content_type=answer.content_type, charset="utf-8",
            headers={"QBO-Version": "1950.107"},
        )  # fmt: skip

    def _company(self, request: web.Request) -> Company:
        bound_to = self.oauth.bearer(request.headers.get("Authorization"))
        company = self.companies.get(request.match_info["realm"])
        if company is None or company.realm_id != bound_to:
            raise GatewayRefusal(3100, "", status=403, name="ApplicationAuthorizationFailed")
        return company

    def _answer(self, request: web.Request, body: Record, status: int = 200) -> Answer:
        body |= {"time": stamp(self.quirks.clock(), milliseconds=True)}
        if "application/json" in request.headers.get("Accept", ""):
            return Answer(status=status, body=dump(body).encode("utf-8", "replace"))
        return Answer(status=status, body=to_xml(body), content_type="application/xml")

    def _refused(self, request: web.Request, refusal: Refusal) -> Answer:
        return self._answer(request, {"Fault": refusal.fault}, refusal.status)

    async def _executed(
        self, request: web.Request, company: Company, work: Work, *, longest: int = _LONGEST_ID
    ) -> Answer:
        """Execute a write once for its request id, to the end even if the caller goes away."""
        ids, request_id = self._requests[company.realm_id], request.query.get("requestid")
        known = ids.begin(request_id, longest=longest)
        if known is not None:
            return known

        async def execute() -> Answer:
            answer = None
            try:
                if self.quirks.write_gate is not None:
                    await self.quirks.write_gate()
                answer = self._answer(request, work())
            except Refusal as refusal:
                answer = self._refused(request, refusal)
            finally:
                ids.end(request_id, answer)
            return answer

        task = asyncio.create_task(execute())
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    # ------------------------------------------------------------ handlers

    async def _read(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            entity = _entity(request)
            record = company.read(entity, request.match_info["key"])
            if entity is INVOICE:
                record = quickbooks_sales.with_link(company, record, request.query.get("include", ""))
            return self._answer(request, {entity.name: record})

        return await self._admitted(request, work, metered=True)

    async def _preferences(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            return self._answer(request, {"Preferences": company.preferences()})

        return await self._admitted(request, work, metered=True)

    async def _query(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            if request.method == "POST":
                _require_type(request, "application/text")
                statement = await _text(request)
            else:
                statement = request.query.get("query", "")
            return self._answer(request, {"QueryResponse": company.query(statement)})

        return await self._admitted(request, work, metered=True)

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            asked = request.query
            found = quickbooks_bulk.changes(company, asked.get("entities", ""), asked.get("changedSince", ""))
            return self._answer(request, found)

        return await self._admitted(request, work, metered=True)

    async def _write(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            entity, body = _entity(request), await _json(request)
            asked = request.query

            def write() -> Record:
                record = company.write(
                    entity, body, operation=asked.get("operation", ""), include=asked.get("include", "")
                )
                return {entity.name: record}

            return await self._executed(request, company, write)

        return await self._admitted(request, work, metered=False)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            body = await _json(request)
            return await self._executed(
                request, company, lambda: quickbooks_bulk.batch(company, body), longest=_LONGEST_BATCH_ID
            )

        return await self._admitted(request, work, metered=False)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        async def work(company: Company) -> Answer:
            _require_type(request, "application/octet-stream")

            def send() -> Record:
                invoice = company.read(INVOICE, request.match_info["key"])
                return {"Invoice": quickbooks_sales.send(company, invoice, request.query.get("sendTo"))}

            return await self._executed(request, company, send)

        return await self._admitted(request, work, metered=False)


def _entity(request: web.Request) -> Entity:
    entity = BY_PATH.get(request.match_info["entity"])
    if entity is None:
        raise Refusal(500, f"Operation {request.match_info['entity']} is not supported.")
    return entity


def _require_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise Refusal(1050, f"Content-Type {request.content_type} is not supported here; {wanted} is.")


async def _text(request: web.Request) -> str:
    try:
        return (await request.read()).decode(request.charset or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        raise Refusal(500, "Invalid byte 1 of 1-byte UTF-8 sequence.", status=500, kind="SystemFault") from error


async def _json(request: web.Request) -> Record:
    _require_type(request, "application/json")
    try:
        body = load(await _text(request))
    except ValueError as error:
        raise Refusal(2010, f"Property Name:Unexpected character: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(2010, "Property Name:the body must be one object")
    return body
