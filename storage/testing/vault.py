"""Small things that must not be lost: facts, tokens, leases, keys, the audit, and what is encrypted."""

import asyncio
from datetime import timedelta

import pytest

from storage.base import Store
from storage.errors import ConflictError, NotFoundError
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    ELSEWHERE,
    HERE,
    T0,
    at,
    make_api_key,
    make_connection,
    make_source,
)

MINUTE = timedelta(minutes=1)


class VaultContract(StoreFixtures):
    """Facts, tokens, leases, keys, audit, secrets."""

    async def test_a_fact_of_the_installation_can_be_stored_once(self, store: Store, twin: Store) -> None:
        assert await store.get_meta("check") is None
        firsts = await asyncio.gather(
            *[which.put_meta("check", name, only_if_absent=True) for which, name in ((store, "a"), (twin, "b"))]
        )
        assert sorted(firsts) == [False, True]
        assert await store.get_meta("check") == ("a" if firsts[0] else "b")
        assert await store.put_meta("check", "c")
        assert await twin.get_meta("check") == "c"

    async def test_a_small_fact_is_kept_by_owner(self, store: Store) -> None:
        await store.put_fact("nomod", "search", "filter", now=T0)
        await store.put_fact("nomod", "search", "scan", now=at(1))
        assert await store.get_fact("nomod", "search") == "scan"
        assert await store.get_fact("qbo", "search") is None

    async def test_a_fact_that_is_kept_stands_for_good(self, store: Store, twin: Store) -> None:
        told = await asyncio.gather(
            *[which.keep_fact("nomod", "day", name, now=T0) for which, name in ((store, "a"), (twin, "b"))]
        )
        assert told[0] == told[1] == await store.get_fact("nomod", "day")
        assert await twin.keep_fact("qbo", "day", "another owner's", now=at(1)) == "another owner's"

    async def test_tokens_are_replaced_only_by_who_has_seen_the_last(self, store: Store, twin: Store) -> None:
        assert await store.load_tokens("qbo") is None
        first = await store.save_tokens("qbo", b"one", replaces=0, now=T0)
        loaded = await twin.load_tokens("qbo")
        assert loaded is not None
        assert (loaded.payload, loaded.version) == (b"one", first)
        second = await twin.save_tokens("qbo", b"two", replaces=first, now=at(1))
        assert second > first
        for stale in (0, first, second + 1):
            with pytest.raises(ConflictError):
                await store.save_tokens("qbo", b"stale", replaces=stale, now=at(2))
        kept = await store.load_tokens("qbo")
        assert kept is not None
        assert kept.payload == b"two"

    async def test_of_two_refreshes_at_the_same_time_one_is_kept(self, store: Store, twin: Store) -> None:
        version = await store.save_tokens("qbo", b"one", replaces=0, now=T0)
        outcomes = await asyncio.gather(
            *[
                which.save_tokens("qbo", name, replaces=version, now=T0)
                for which, name in ((store, b"a"), (twin, b"b"))
            ],
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError", "int"]

    async def test_tokens_that_were_deleted_are_gone(self, store: Store) -> None:
        version = await store.save_tokens("qbo", b"one", replaces=0, now=T0)
        await store.delete_tokens("qbo")
        assert await store.load_tokens("qbo") is None
        with pytest.raises(ConflictError):
            await store.save_tokens("qbo", b"two", replaces=version, now=T0)
        await store.delete_tokens("qbo")

    async def test_a_named_lease_has_one_owner_until_it_ends(self, store: Store, twin: Store) -> None:
        assert await store.take_lease("poll", owner="a", now=T0, lease=MINUTE)
        assert not await twin.take_lease("poll", owner="b", now=at(59), lease=MINUTE)
        assert await store.take_lease("poll", owner="a", now=at(59), lease=MINUTE)
        assert not await twin.take_lease("poll", owner="b", now=at(118), lease=MINUTE)
        assert await twin.take_lease("poll", owner="b", now=at(119), lease=MINUTE)
        await store.drop_lease("poll", owner="a")
        assert not await store.take_lease("poll", owner="a", now=at(120), lease=MINUTE)
        await twin.drop_lease("poll", owner="b")
        assert await store.take_lease("poll", owner="a", now=at(120), lease=MINUTE)
        assert await store.take_lease("other", owner="b", now=at(120), lease=MINUTE)

    async def test_of_two_that_take_a_lease_at_the_same_time_one_has_it(self, store: Store, twin: Store) -> None:
        for i in range(8):
            taken = await asyncio.gather(
                store.take_lease(f"n{i}", owner="a", now=T0, lease=MINUTE),
                twin.take_lease(f"n{i}", owner="b", now=T0, lease=MINUTE),
            )
            assert sorted(taken) == [False, True]

    async def test_a_key_is_kept_by_its_hash_and_once(self, store: Store) -> None:
        key = make_api_key(role="operator")
        await store.add_key(key)
        assert list(await store.list_keys()) == [key]
        for clash in (make_api_key(hash=b"x" * 32), make_api_key("key_2", hash=key.hash)):
            with pytest.raises(ConflictError):
                await store.add_key(clash)
        assert list(await store.list_keys()) == [key]

    async def test_a_key_is_revoked_by_id_or_name(self, store: Store) -> None:
        before = await store.config_version()
        await store.add_key(make_api_key("key_1", name="ci"))
        await store.add_key(make_api_key("key_2", name="cron"))
        assert (await store.revoke_key("ci", now=at(5))).revoked_at == at(5)
        assert (await store.revoke_key("key_2", now=at(6))).key_id == "key_2"
        assert [key.revoked_at for key in await store.list_keys()] == [at(5), at(6)]
        assert await store.config_version() >= before + 4
        for gone in ("ci", "key_2", "none"):
            with pytest.raises(NotFoundError):
                await store.revoke_key(gone, now=at(7))

    async def test_a_name_that_several_keys_have_revokes_none_of_them(self, store: Store) -> None:
        for key_id in ("key_1", "key_2"):
            await store.add_key(make_api_key(key_id, name="ci"))
        with pytest.raises(ConflictError):
            await store.revoke_key("ci", now=at(5))
        assert [key.revoked_at for key in await store.list_keys()] == [None, None]
        await store.revoke_key("key_1", now=at(5))
        assert (await store.revoke_key("ci", now=at(6))).key_id == "key_2"

    async def test_an_id_comes_before_a_name_that_looks_like_it(self, store: Store) -> None:
        await store.add_key(make_api_key("key_1", name="first"))
        await store.add_key(make_api_key("key_2", name="key_1"))
        assert (await store.revoke_key("key_1", now=at(5))).name == "first"

    async def test_the_last_use_of_a_key_is_noted(self, store: Store) -> None:
        await store.add_key(make_api_key("key_1"))
        await store.add_key(make_api_key("key_2"))
        await store.touch_keys({"key_1": at(9), "key_none": at(9)})
        await store.touch_keys({"key_1": at(8)})
        await store.touch_keys({})
        assert [key.last_used_at for key in await store.list_keys()] == [at(9), None]

    async def test_the_audit_says_who_changed_what(self, store: Store) -> None:
        await store.add_audit(actor="ada", action="source.put", subject="flex", scope=HERE, detail={"n": 1}, now=T0)
        await store.add_audit(actor="bob", action="source.put", subject="tirdad", scope=ELSEWHERE, now=at(1))
        await store.add_audit(actor="eve", action="key.revoke", subject="flex", now=at(2))
        entries = (await store.list_audit()).items
        assert [(entry.actor, entry.action, entry.subject) for entry in entries] == [
            ("eve", "key.revoke", "flex"), ("bob", "source.put", "tirdad"), ("ada", "source.put", "flex"),
        ]  # fmt: skip
        assert (entries[2].detail, entries[2].at, entries[2].tenant_id) == ({"n": 1}, T0, "tenant_a")
        assert (entries[0].tenant_id, entries[0].environment_id, entries[0].detail) == (None, None, None)
        assert [entry.actor for entry in (await store.list_audit(subject="flex")).items] == ["eve", "ada"]
        assert [entry.actor for entry in (await store.list_audit(action="source.put")).items] == ["bob", "ada"]

    async def test_all_that_is_encrypted_is_rewritten_together(self, store: Store) -> None:
        await store.put_source(make_source(secrets={"secret.0": b"a", "api_key": b"b"}))
        await store.put_connection(make_connection(secrets={"api_key": b"c"}))
        version = await store.save_tokens("qbo", b"d", replaces=0, now=T0)
        seen: list[tuple[str, str, bytes]] = []

        def change(owner: str, field: str, value: bytes) -> bytes:
            seen.append((owner, field, value))
            return value.upper()

        assert await store.rewrite_secrets(change, {"key_check": "new"}) == 4
        assert sorted(seen) == [
            ("connection:nomod", "api_key", b"c"), ("source:flex", "api_key", b"b"),
            ("source:flex", "secret.0", b"a"), ("tokens:qbo", "payload", b"d"),
        ]  # fmt: skip
        assert await store.get_meta("key_check") == "new"
        assert dict((await store.list_sources())[0].secrets) == {"secret.0": b"A", "api_key": b"B"}
        tokens = await store.load_tokens("qbo")
        assert tokens is not None
        assert (tokens.payload, tokens.version) == (b"D", version)

    async def test_a_rewriting_that_fails_changes_nothing(self, store: Store) -> None:
        await store.put_source(make_source(secrets={"a": b"1", "b": b"2"}))

        def change(_owner: str, field: str, value: bytes) -> bytes:
            if field == "b":
                raise ValueError("wrong key")
            return value + b"changed"

        with pytest.raises(ValueError, match="wrong key"):
            await store.rewrite_secrets(change, {"key_check": "new"})
        assert dict((await store.list_sources())[0].secrets) == {"a": b"1", "b": b"2"}
        assert await store.get_meta("key_check") is None
        await store.ping(now=T0)
