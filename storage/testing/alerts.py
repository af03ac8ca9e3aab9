"""Alerts: seen from what is stored, written once with their messages, sent at least once, bounded, forgotten."""

import pytest

from storage.base import Store
from storage.errors import NotFoundError
from storage.limits import MAX_WAITING_MESSAGES
from storage.records import (
    AlertChange,
    AlertStatus,
    ChannelActivity,
    DeliveryStatus,
    JobStatus,
    MessageStatus,
    Rejection,
)
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    HERE,
    T0,
    at,
    claim,
    make_alert,
    make_channel,
    make_connection,
    make_delivery,
    make_job,
    make_message,
    make_review,
    make_settlement,
    settle_dispatch,
    write_alert,
)


class AlertContract(StoreFixtures):
    """What people are told."""

    async def test_dead_letters_and_reviews_are_counted_by_tenant_and_cause(self, store: Store) -> None:
        for n, (tenant, code) in enumerate(
            (("tenant_a", "x"), ("tenant_a", "x"), ("tenant_a", "y"), ("tenant_b", "x"))
        ):
            await store.add_job(make_job(f"cust_{n}", tenant_id=tenant), now=T0)
            [claimed] = await claim(store)
            error = {"code": code, "detail": "told to nobody"}
            await store.settle(make_settlement(claimed, JobStatus.FAILED, error=error, seconds=n))
        await store.add_job(make_job("cust_9"), now=T0)
        [claimed] = await claim(store)
        await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review(), seconds=7))
        seen = await store.attention(now=at(99), refused_since=T0)
        counted = {(each.tenant_id, each.label): (each.count, each.newest_at) for each in seen.failed}
        assert counted == {("tenant_a", "x"): (2, at(1)), ("tenant_a", "y"): (1, at(2)), ("tenant_b", "x"): (1, at(3))}
        [asked] = seen.reviews
        assert (asked.tenant_id, asked.label, asked.count, asked.newest_at) == ("tenant_a", "ambiguous", 1, at(7))
        await store.retry_job((await store.list_jobs(error_code="y")).items[0].job_id, now=at(9))
        assert {each.label for each in (await store.attention(now=at(99), refused_since=T0)).failed} == {"x"}

    async def test_what_is_overdue_is_known_by_gate_and_not_for_a_paused_connection(self, store: Store) -> None:
        for name in ("nomod", "qbo"):
            await store.put_connection(make_connection(name))
        await store.add_job(make_job("a", due=10), now=T0)
        await store.add_job(make_job("b", due=20), now=T0)
        await store.add_job(make_job("c", due=5, connection="qbo"), now=T0)
        await store.add_job(make_job("d", due=500, gate="source:flex"), now=T0)
        assert (await store.attention(now=at(9), refused_since=T0)).oldest_due == {"qbo": at(5)}
        await store.set_connection_status("qbo", status="paused", reason="x", now=T0)
        assert (await store.attention(now=at(99), refused_since=T0)).oldest_due == {"nomod": at(10)}

    async def test_the_delivery_that_waits_longest_is_known(self, store: Store) -> None:
        assert (await store.attention(now=at(9), refused_since=T0)).oldest_undispatched is None
        first, second = make_delivery("msg_1", seconds=1), make_delivery("msg_2", seconds=2)
        await store.add_delivery(first)
        await store.add_delivery(second)
        assert (await store.attention(now=at(9), refused_since=T0)).oldest_undispatched == ("flex", at(1))
        await settle_dispatch(store, first.delivery_id, status=DeliveryStatus.IGNORED)
        assert (await store.attention(now=at(9), refused_since=T0)).oldest_undispatched == ("flex", at(2))

    async def test_requests_refused_of_late_are_counted_by_source_and_reason(self, store: Store) -> None:
        refused = [
            Rejection(source=source, at=at(when), reason=reason, headers=[], body_sha256="0" * 64, body_bytes=1)
            for source, when, reason in (
                ("flex", 1, "signature_mismatch"), ("flex", 5, "signature_mismatch"), ("flex", 6, "token_mismatch"),
                ("tirdad", 9, "headers_missing"),
            )
        ]  # fmt: skip
        await store.note_activity(accepted={}, rejected=refused, counts={})
        seen = await store.attention(now=at(9), refused_since=at(5))
        assert sorted(seen.refused) == [
            ("flex", "signature_mismatch", 1), ("flex", "token_mismatch", 1), ("tirdad", "headers_missing", 1),
        ]  # fmt: skip

    async def test_an_alert_is_kept_whole_and_its_message_with_it(self, store: Store) -> None:
        alert = make_alert()
        message = make_message(alert)
        assert await write_alert(store, alert, message) == 1
        [kept] = (await store.list_alerts()).items
        assert kept == make_alert(alert_id=alert.alert_id, version=1)
        assert (await store.list_alert_messages()).items == [message]
        closed = make_alert(status=AlertStatus.CLOSED, closed_at=at(9), told_at=at(8), told_count=3, version=1)
        assert await write_alert(store, closed) == 1
        [kept] = (await store.list_alerts(status=AlertStatus.CLOSED)).items
        assert (kept.alert_id, kept.closed_at, kept.told_at, kept.version) == (closed.alert_id, at(9), at(8), 2)
        assert (await store.list_alerts(status=AlertStatus.OPEN)).items == []

    async def test_of_two_processes_one_tells(self, store: Store, twin: Store) -> None:
        alert = make_alert()
        assert await write_alert(store, alert, make_message(alert)) == 1
        again = make_alert()
        assert await write_alert(twin, again, make_message(again)) == 0
        assert len((await store.list_alert_messages()).items) == 1
        other = make_alert("qbo")
        stale = AlertChange(alert=again, messages=[make_message(again)])
        assert await store.write_alerts([stale, AlertChange(alert=other)], now=T0, forget_before=at(-9)) == 1
        assert {each.subject for each in (await store.list_alerts()).items} == {"nomod", "qbo"}

    async def test_alerts_are_listed_the_last_opened_first_in_pages(self, store: Store) -> None:
        names = [f"c{n}" for n in range(5)]
        for n, name in enumerate(names):
            await write_alert(store, make_alert(name, alert_id=f"alr_{n}"))
        first = await store.list_alerts(limit=3)
        rest = await store.list_alerts(limit=3, cursor=first.next_cursor)
        assert [each.subject for each in (*first.items, *rest.items)] == names[::-1]
        assert rest.next_cursor is None
        assert (await store.list_alerts(kind="dead_letter")).items == []

    async def test_a_message_is_due_until_it_is_sent_or_given_up(self, store: Store) -> None:
        alert = make_alert()
        sent, later = make_message(alert), make_message(alert, "mail", next_attempt_at=at(60))
        await write_alert(store, alert, sent, later)
        due = await store.due_alert_messages(now=at(1), limit=10)
        assert [each.message_id for each in due] == [sent.message_id]
        told = {"code": "alert_not_delivered"}

        async def settle(attempts: int, status: MessageStatus, seconds: float | None) -> bool:
            again = at(seconds) if seconds is not None else None
            return await store.settle_alert_message(
                sent.message_id, attempts=attempts, status=status, next_attempt_at=again, error=told, now=at(2)
            )

        assert await settle(0, MessageStatus.PENDING, 30)
        assert not await settle(0, MessageStatus.SENT, None), "somebody has settled this try before"
        assert await store.due_alert_messages(now=at(29), limit=10) == []
        [again] = await store.due_alert_messages(now=at(30), limit=10)
        assert (again.message_id, again.attempts, again.error, again.ended_at) == (sent.message_id, 1, told, None)
        assert len(await store.due_alert_messages(now=at(60), limit=1)) == 1
        assert await settle(1, MessageStatus.SENT, None)
        assert not await settle(2, MessageStatus.FAILED, None), "what has ended stays ended"
        [kept] = (await store.list_alert_messages(status=MessageStatus.SENT)).items
        assert (kept.attempts, kept.ended_at, kept.next_attempt_at) == (2, at(2), None)

    async def test_of_one_alert_a_channel_hears_in_order_and_no_reminder_while_one_waits(self, store: Store) -> None:
        alert = make_alert()
        opened, repeated = make_message(alert, next_attempt_at=at(9)), make_message(alert, event="repeated")
        closed, elsewhere = make_message(alert, event="closed"), make_message(alert, "mail", event="repeated")
        await write_alert(store, alert, opened, repeated, closed, elsewhere)
        due = await store.due_alert_messages(now=at(5), limit=10)
        assert [each.message_id for each in due] == [elsewhere.message_id]
        [first] = await store.due_alert_messages(now=at(9), limit=1)
        await store.settle_alert_message(
            opened.message_id, attempts=0, status=MessageStatus.SENT, next_attempt_at=None, error=None, now=at(9)
        )
        ids = [each.message_id for each in await store.due_alert_messages(now=at(9), limit=10)]
        assert sorted(ids) == sorted([closed.message_id, elsewhere.message_id])
        assert first.message_id == elsewhere.message_id

    async def test_what_waits_for_a_channel_is_bounded(self, store: Store) -> None:
        alert = make_alert()
        many = [make_message(alert) for _ in range(MAX_WAITING_MESSAGES + 3)]
        await write_alert(store, alert, *many, make_message(alert, "mail"))
        assert (await store.channel_activity("ops")).pending == MAX_WAITING_MESSAGES
        assert (await store.channel_activity("mail")).pending == 1

    async def test_what_has_ended_long_ago_is_forgotten(self, store: Store) -> None:
        gone, waiting = make_alert("gone", status=AlertStatus.CLOSED, closed_at=at(5)), make_alert("waiting")
        old, pending = make_message(gone), make_message(waiting)
        await write_alert(store, gone, old)
        await write_alert(store, waiting, pending)
        await store.settle_alert_message(
            old.message_id, attempts=0, status=MessageStatus.SENT, next_attempt_at=None, error=None, now=at(5)
        )
        await store.write_alerts([], now=at(9), forget_before=at(5))
        assert len((await store.list_alerts()).items) == len((await store.list_alert_messages()).items) == 2
        await store.write_alerts([], now=at(9), forget_before=at(6))
        assert [each.subject for each in (await store.list_alerts()).items] == ["waiting"]
        assert [each.message_id for each in (await store.list_alert_messages()).items] == [pending.message_id]

    async def test_a_channel_is_kept_whole_and_replaced_whole(self, store: Store) -> None:
        channel = make_channel()
        await store.put_channel(channel)
        assert list(await store.list_channels()) == [channel]
        changed = make_channel(kind="email", settings={"url": "x"}, secrets={}, updated_at=at(9))
        await store.put_channel(changed)
        assert list(await store.list_channels(HERE)) == [changed]

    async def test_a_channel_of_every_tenant_is_in_no_tenants_scope(self, store: Store) -> None:
        await store.put_channel(make_channel(tenant_id=None, environment_id=None))
        assert list(await store.list_channels(HERE)) == []
        assert [each.tenant_id for each in await store.list_channels()] == [None]
        with pytest.raises(NotFoundError):
            await store.delete_channel("ops", HERE)

    async def test_a_removed_channel_leaves_no_secret_and_no_message(self, store: Store) -> None:
        await store.put_channel(make_channel())
        alert = make_alert()
        await write_alert(store, alert, make_message(alert))
        await store.delete_channel("ops")
        assert list(await store.list_channels()) == []
        assert (await store.list_alert_messages()).items == []
        assert await store.rewrite_secrets(lambda _owner, _field, value: value, {}) == 0
        with pytest.raises(NotFoundError):
            await store.delete_channel("ops")

    async def test_a_channels_secrets_are_rewritten_with_all_others(self, store: Store) -> None:
        await store.put_channel(make_channel())
        await store.rewrite_secrets(lambda owner, field, value: f"{owner}/{field}/".encode() + value, {})
        assert (await store.list_channels())[0].secrets == {"secret": b"channel:ops/secret/\x01s"}

    async def test_how_a_channel_has_fared_is_known(self, store: Store) -> None:
        nothing = ChannelActivity(last_sent_at=None, pending=0, failed=0, last_error=None)
        assert await store.channel_activity("ops") == nothing
        alert = make_alert()
        messages = [make_message(alert) for _ in range(3)]
        await write_alert(store, alert, *messages)
        for n, status in enumerate((MessageStatus.SENT, MessageStatus.FAILED)):
            error = {"code": "x"} if status is MessageStatus.FAILED else None
            await store.settle_alert_message(
                messages[n].message_id, attempts=0, status=status, next_attempt_at=None, error=error, now=at(n)
            )
        fared = await store.channel_activity("ops")
        assert fared == ChannelActivity(last_sent_at=at(0), pending=1, failed=1, last_error={"code": "x"})
        await store.settle_alert_message(
            messages[2].message_id, attempts=0, status=MessageStatus.SENT, next_attempt_at=None, error=None, now=at(9)
        )
        fared = await store.channel_activity("ops")
        assert fared == ChannelActivity(last_sent_at=at(9), pending=0, failed=1, last_error=None)
