"""What the dangerous order has to know of a kind of thing: customers, invoices and links each answer these questions.

The order itself (mapping, hint, find, match, intent, create, outcome unknown, review) is written once, in ensure.py,
creating.py, recovery.py and contesting.py. An entity decides nothing about it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from connectors.models import CreateIntent
from gateway.pipeline.matching import Adopt, Ask, Decision, Found
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.sources.base import Event
from storage import Store
from storage.records import JobStatus, NewJob

SubjectT = TypeVar("SubjectT")
FoundT = TypeVar("FoundT", bound=Found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a create has made. With an `objection` the record is there, and a person has to say what it is worth."""

    provider_entity_id: str
    warnings: tuple[str, ...] = ()
    objection: Ask | None = None
    details: Mapping[str, Any] | None = None


class Entity(ABC, Generic[SubjectT, FoundT]):
    """One kind of thing that exists once at a provider."""

    entity_type: ClassVar[str]
    """The word in mappings, jobs and reviews."""
    written_back: ClassVar[bool] = True
    """Whether the platform is told of the link."""
    made_again: ClassVar[bool] = False
    """Whether another one is made without asking where the linked one has died."""

    def __init__(self, *, store: Store, now: Callable[[], datetime]) -> None:
        self.store, self.now = store, now

    # What it is ------------------------------------------------------------------------------------------------

    @abstractmethod
    async def confirm(self, work: Work, event: Event) -> Result | None:
        """Ask the platform whether it is still wanted; return how the attempt ends where it is not.

        Raises GatewayError kinds.
        """

    def done_once(self, work: Work) -> bool:
        """Whether another event about it is worth no look at the platform, once it was processed. Pure."""
        return True

    def changed(self, work: Work) -> Ask | None:
        """Compare what the platform has now with what is linked; None where nothing speaks against the link. Pure."""
        return None

    async def lapsed(self, work: Work) -> bool:
        """Ask the platform whether it has taken the thing back since its create began: nothing more is sent then.

        Raises GatewayError kinds.
        """
        return False

    @abstractmethod
    async def read(self, work: Work, event: Event, *, adopting: bool) -> SubjectT:
        """Return the thing as the platform has it now. Raises GatewayError and ConnectorError kinds.

        It is checked whether it can be created, unless a person has decided to adopt a record that is there.
        """

    def screen(self, work: Work, subject: SubjectT) -> None:
        """Put before a person what nobody should create unseen. Pure. Raises GatewayError kinds."""

    @abstractmethod
    def show(self, work: Work, subject: SubjectT) -> None:
        """Tell the attempt what it is about: what a review shows, and what lists know from now on."""

    @abstractmethod
    def to_snapshot(self, subject: SubjectT) -> dict[str, Any]:
        """Return it as JSON, for the intent: a repeat sends the same bytes."""

    @abstractmethod
    def from_snapshot(self, snapshot: Mapping[str, Any]) -> SubjectT:
        """Return what a snapshot holds."""

    @abstractmethod
    def guards(self, work: Work, subject: SubjectT) -> tuple[str, ...]:
        """Return what no two open creates of one connection may share, as fingerprints `<kind>:<hash>`."""

    # Finding it ------------------------------------------------------------------------------------------------

    @abstractmethod
    async def find(self, work: Work, subject: SubjectT, intent: CreateIntent | None = None) -> Sequence[FoundT]:
        """Return every record that may be it. Raises ConnectorError kinds: an error is never "not found"."""

    @abstractmethod
    async def get(self, work: Work, record: str) -> FoundT | None:
        """Return the record of an id, or None when the provider says for certain that there is none."""

    def reads_by_id(self, work: Work) -> bool:
        """Whether `get` can tell anything with this connector."""
        return True

    def hint(self, work: Work, subject: SubjectT) -> str | None:
        """Return the record that the platform itself names, if any."""
        return None

    # Deciding: pure --------------------------------------------------------------------------------------------

    @abstractmethod
    def match(self, work: Work, subject: SubjectT, candidates: Sequence[FoundT], taken: Mapping[str, str]) -> Decision:
        """Decide from complete, successful look-ups; `taken` says which records are linked to what else."""

    @abstractmethod
    def judge_hint(
        self, work: Work, subject: SubjectT, candidate: FoundT, taken: Mapping[str, str]
    ) -> Adopt | Ask | None:
        """Decide about the record that the platform names; None where the hint is worth nothing."""

    @abstractmethod
    def recovered(
        self,
        work: Work,
        subject: SubjectT,
        candidates: Sequence[FoundT],
        started_at: datetime,
        *,
        at_last: bool = False,
    ) -> Adopt | Ask | None:
        """Return what a doubtful create has made, if a look-up shows it; `at_last` where no other look-up follows."""

    @abstractmethod
    def is_seen(self, work: Work, subject: SubjectT, candidates: Sequence[FoundT], *, by_name_only: bool) -> bool:
        """Whether a look-up shows who holds what a create was refused for."""

    # Making it -------------------------------------------------------------------------------------------------

    def variants(self, work: Work) -> int:
        """Return under how many names one thing may be created, one after the other."""
        return 1

    def next_variant(self, work: Work, candidates: Sequence[FoundT], *, after: int = -1) -> int:
        """Return the next name to try: `candidates` were all judged to be something else."""
        return after + 1

    @abstractmethod
    async def create(self, work: Work, subject: SubjectT, intent: CreateIntent) -> Made:
        """Send the create. Raises ConnectorError kinds."""

    async def reactivate(self, work: Work, record: str) -> None:
        """Make an inactive record active again. Called only where `match` has said so."""
        raise NotImplementedError

    async def take_back(self, work: Work, subject: SubjectT, candidates: Sequence[FoundT]) -> Sequence[FoundT]:
        """Undo at the provider what a look-up shows of a thing that the platform has taken back; return how it is then.

        Not called for what is linked to something else. What is undone once it is linked is returned as it is. Raises
        ConnectorError kinds.
        """
        return candidates

    # Once it is linked -----------------------------------------------------------------------------------------

    def shared(self, work: Work) -> bool:
        """Whether several may be linked to one record."""
        return False

    def details(self, candidate: FoundT) -> Mapping[str, Any] | None:
        """Return what is kept with the mapping of a record."""
        return None

    def accepted(self, work: Work, candidate: FoundT) -> Mapping[str, Any] | None:
        """Return what is kept with the mapping of a record that a person has chosen, whatever it differs in."""
        return self.details(candidate)

    def chain(self, work: Work) -> tuple[NewJob, ...]:
        """Return the jobs that follow, written in the transaction that links it."""
        return ()


def ignored(reason: str) -> Result:
    """Return the result of an attempt for which there is nothing to do."""
    return Result(status=JobStatus.SUCCEEDED, outcome="ignored", job_outcome="ignored", reason=reason)
