"""Customers over HTTP."""

from pydantic import Field

from gateway.access import Role
from gateway.errors import CustomerNotFoundError
from gateway.operations.customers import CustomerView, Integrations
from gateway.operations.values import Text, is_entity_id
from gateway.operations.views import Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import ListQuery
from storage.errors import CursorInvalidError


class CustomersQuery(ListQuery):
    """Which customers."""

    text: Text | None = Field(None, description="Part of a name, an e-mail address or an id.")


@endpoint("GET", "/customers", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_customers(call: Call, *, query: CustomersQuery) -> Listed[CustomerView]:
    """List the customers that deliveries have spoken of, with their mappings."""
    return await call.operations.customers.list(call.scope, text=query.text, limit=query.limit, cursor=query.cursor)


@endpoint("GET", "/customers/{customer_id}/integrations", role=Role.VIEWER, problems=(CustomerNotFoundError,))
async def get_customer_integrations(call: Call, *, customer_id: str) -> Integrations:
    """Show where a customer is linked.

    `integrations` is empty for a customer that was seen and is not linked.
    """
    if not is_entity_id(customer_id):  # no customer has such an id, and that is all that there is to say
        raise CustomerNotFoundError
    return await call.operations.customers.integrations(customer_id, call.scope)


ENDPOINTS = (list_customers, get_customer_integrations)
