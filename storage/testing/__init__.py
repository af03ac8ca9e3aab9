"""The suite that every backend passes: subclass `StoreContract`, fill in the fixture `new_store`."""

from storage.testing.activity import ActivityContract
from storage.testing.alerts import AlertContract
from storage.testing.answering import AnsweringContract
from storage.testing.budgets import BudgetContract
from storage.testing.catalog import CatalogContract
from storage.testing.claims import ClaimContract
from storage.testing.deliveries import DeliveryContract
from storage.testing.dispatching import DispatchContract
from storage.testing.intents import IntentContract
from storage.testing.jobs import JobContract
from storage.testing.lists import ListContract
from storage.testing.mappings import MappingContract
from storage.testing.noting import NotingContract
from storage.testing.reviews import ReviewContract
from storage.testing.scopes import ScopeContract
from storage.testing.settling import SettlingContract
from storage.testing.tallies import TallyContract
from storage.testing.vault import VaultContract
from storage.testing.waking import WakingContract

__all__ = ["StoreContract"]


class StoreContract(
    DeliveryContract,
    DispatchContract,
    ActivityContract,
    TallyContract,
    ClaimContract,
    SettlingContract,
    AnsweringContract,
    JobContract,
    IntentContract,
    MappingContract,
    NotingContract,
    ReviewContract,
    AlertContract,
    CatalogContract,
    BudgetContract,
    VaultContract,
    ListContract,
    ScopeContract,
    WakingContract,
):
    """What a store promises, one test for each promise."""
