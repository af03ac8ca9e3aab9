"""What is noted at the door: bounded, whatever a stranger sends."""

from storage.base import Store
from storage.limits import KEPT_REJECTIONS, MAX_REJECTION_COUNTS, MAX_REJECTIONS
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import at, make_rejection, make_source


class ActivityContract(StoreFixtures):
    """When sources were heard and refused."""

    async def test_a_source_that_was_never_heard_has_no_activity(self, store: Store) -> None:
        activity = await store.source_activity("flex")
        assert (activity.last_accepted_at, activity.last_rejected, dict(activity.rejected)) == (None, None, {})
        assert list(await store.list_rejections("flex")) == []

    async def test_activity_is_added_up(self, store: Store) -> None:
        first, second = make_rejection(seconds=1), make_rejection(seconds=2, reason="malformed_request")
        await store.note_activity(accepted={"flex": at(5)}, rejected=[first], counts={("flex", "signature_invalid"): 3})
        await store.note_activity(
            accepted={"flex": at(4), "tirdad": at(9)}, rejected=[second],
            counts={("flex", "signature_invalid"): 2, ("flex", "malformed_request"): 1},
        )  # fmt: skip
        activity = await store.source_activity("flex")
        assert (activity.last_accepted_at, activity.last_rejected) == (at(5), second)
        assert dict(activity.rejected) == {"signature_invalid": 5, "malformed_request": 1}
        assert list(await store.list_rejections("flex")) == [second, first]
        assert (await store.source_activity("tirdad")).last_accepted_at == at(9)

    async def test_only_the_last_refusals_of_each_source_are_kept(self, store: Store) -> None:
        quiet = make_rejection("tirdad")
        await store.note_activity(accepted={}, rejected=[quiet], counts={})
        for start in (0, 40):
            await store.note_activity(
                accepted={}, rejected=[make_rejection(seconds=start + i) for i in range(40)], counts={}
            )
        kept = await store.list_rejections("flex")
        assert [refused.at for refused in kept] == [at(79 - i) for i in range(KEPT_REJECTIONS)]
        assert list(await store.list_rejections("tirdad")) == [quiet]

    async def test_strangers_cannot_fill_the_database(self, store: Store) -> None:
        """Each made-up source name would otherwise be kept for ever."""
        rejected = [make_rejection(f"made-up-{i}", seconds=i) for i in range(MAX_REJECTIONS + 50)]
        await store.note_activity(accepted={}, rejected=rejected, counts={})
        assert list(await store.list_rejections("made-up-0")) == []
        assert len(await store.list_rejections(f"made-up-{MAX_REJECTIONS + 49}")) == 1
        counts = {(f"made-up-{i:05}", "source_unknown"): 1 for i in range(MAX_REJECTION_COUNTS + 50)}
        await store.note_activity(accepted={}, rejected=[], counts=counts)
        await store.note_activity(accepted={}, rejected=[], counts={("made-up-00000", "source_unknown"): 2})
        told = [dict((await store.source_activity(name)).rejected) for name, _ in list(counts)[:: len(counts) - 1]]
        assert told == [{"source_unknown": 3}, {}]

    async def test_a_removed_source_leaves_nothing_for_the_next_of_its_name(self, store: Store) -> None:
        await store.put_source(make_source())
        await store.note_activity(
            accepted={"flex": at(5)}, rejected=[make_rejection()], counts={("flex", "signature_invalid"): 1}
        )
        await store.delete_source("flex")
        activity = await store.source_activity("flex")
        assert (activity.last_accepted_at, activity.last_rejected, dict(activity.rejected)) == (None, None, {})
        assert list(await store.list_rejections("flex")) == []
