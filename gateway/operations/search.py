"""From a text that somebody searches for to the ids that it may mean: of deliveries, jobs, invoices and customers."""

from storage import Store
from storage.records import Scope

MOST = 100


async def ids_for(text: str, store: Store, scope: Scope) -> tuple[str, ...]:
    """Return the text itself, and the customers that it may mean.

    Those are the customers whose name, e-mail address or id holds the text, and those linked to a provider's record of
    this id; of each kind the first hundred.
    """
    customers = await store.list_customers(scope, text=text, limit=MOST)
    linked = await store.list_mappings(scope, provider_entity_id=text, limit=MOST)
    found = [text, *(seen.customer_id for seen in customers.items), *(mapping.entity_id for mapping in linked.items)]
    return tuple(dict.fromkeys(found))
