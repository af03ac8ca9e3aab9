"""Configuration: sources and connections with their secrets; every change is noticed by all processes."""

import pytest

from storage.base import Store
from storage.errors import NotFoundError
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import T0, at, make_connection, make_job, make_link, make_source


class CatalogContract(StoreFixtures):
    """What is configured."""

    async def test_a_source_is_kept_whole_and_replaced_whole(self, store: Store) -> None:
        source = make_source(settings={"api_url": "https://x.example", "n": [1, {"ü": None}]})
        await store.put_source(source)
        assert list(await store.list_sources()) == [source]
        changed = make_source(
            platform="tirdad", status="disabled", secrets={"a": b"1", "b": b"2"}, created_at=at(9), updated_at=at(9)
        )
        await store.put_source(changed)
        kept = (await store.list_sources())[0]
        assert (kept.platform, kept.status, kept.created_at, kept.updated_at) == ("tirdad", "disabled", T0, at(9))
        assert dict(kept.secrets) == {"a": b"1", "b": b"2"}

    async def test_sources_are_listed_by_name(self, store: Store) -> None:
        for name in ("b", "a", "C"):
            await store.put_source(make_source(name))
        assert [source.name for source in await store.list_sources()] == ["C", "a", "b"]

    async def test_a_removed_source_leaves_its_secrets_nowhere(self, store: Store) -> None:
        await store.put_source(make_source("a"))
        await store.put_source(make_source("b"))
        await store.delete_source("a")
        assert [source.name for source in await store.list_sources()] == ["b"]
        seen: list[str] = []
        await store.rewrite_secrets(lambda owner, _field, value: _note(seen, owner, value), {})
        assert seen == ["source:b"]
        with pytest.raises(NotFoundError):
            await store.delete_source("a")

    async def test_a_connection_is_kept_whole_and_replaced_whole_but_for_its_account(self, store: Store) -> None:
        connection = make_connection(settings={"invoice_sync": {"outbound": True}}, account={"id": "acc_1"})
        await store.put_connection(connection)
        assert list(await store.list_connections()) == [connection]
        changed = make_connection(
            connector="quickbooks", status="paused", pause_reason="needs_reauth", pause_detail="401", secrets={},
            updated_at=at(9),
        )  # fmt: skip
        await store.put_connection(changed)
        kept = (await store.list_connections())[0]
        assert (kept.connector, kept.status, kept.pause_reason) == ("quickbooks", "paused", "needs_reauth")
        assert (kept.pause_detail, kept.account, dict(kept.secrets)) == ("401", {"id": "acc_1"}, {})
        await store.set_connection_account("nomod", {"id": "acc_2"})
        assert (await store.list_connections())[0].account == {"id": "acc_2"}

    async def test_a_connection_is_paused_and_resumed(self, store: Store) -> None:
        await store.put_connection(make_connection())
        await store.set_connection_status("nomod", status="paused", reason="by hand", detail="d", now=at(1))
        paused = (await store.list_connections())[0]
        assert (paused.status, paused.pause_reason, paused.pause_detail) == ("paused", "by hand", "d")
        assert (paused.updated_at, dict(paused.secrets)) == (at(1), {"api_key": b"\x01key"})
        await store.set_connection_status("nomod", status="active", now=at(2))
        resumed = (await store.list_connections())[0]
        assert (resumed.status, resumed.pause_reason, resumed.pause_detail) == ("active", None, None)
        with pytest.raises(NotFoundError):
            await store.set_connection_status("none", status="paused", now=at(1))

    async def test_a_removed_connection_keeps_its_mappings_and_no_secret(self, store: Store) -> None:
        await store.put_connection(make_connection(account={"id": "acc_1"}))
        await store.save_tokens("nomod", b"tokens", replaces=0, now=T0)
        await store.put_mapping(make_link(), now=T0)
        await store.set_connection_status("nomod", status="removed", now=at(1))
        assert list(await store.list_connections()) == []
        assert await store.load_tokens("nomod") is None
        assert await store.rewrite_secrets(lambda _owner, _field, value: value, {}) == 0
        assert len((await store.list_mappings(connection="nomod")).items) == 1
        with pytest.raises(NotFoundError):
            await store.set_connection_status("nomod", status="active", now=at(2))

    async def test_a_connection_that_is_added_again_has_nobody_else_s_account(self, store: Store) -> None:
        await store.put_connection(make_connection(account={"id": "acc_1"}))
        await store.set_connection_status("nomod", status="removed", now=at(1))
        await store.put_connection(make_connection())
        again = (await store.list_connections())[0]
        assert (again.status, again.account) == ("active", None)

    async def test_every_change_raises_the_version_for_all_processes(self, store: Store, twin: Store) -> None:
        versions = [await twin.config_version()]

        async def changed() -> bool:
            versions.append(await twin.config_version())
            return versions[-1] > versions[-2]

        await store.put_source(make_source())
        assert await changed()
        await store.put_connection(make_connection())
        assert await changed()
        await store.set_connection_status("nomod", status="paused", now=T0)
        assert await changed()
        await store.set_connection_account("nomod", {"id": "a"})
        assert await changed()
        await store.rewrite_secrets(lambda _owner, _field, value: value, {})
        assert await changed()
        await store.delete_source("flex")
        assert await changed()
        await store.add_job(make_job(), now=T0)
        assert not await changed()


def _note(seen: list[str], owner: str, value: bytes) -> bytes:
    seen.append(owner)
    return value
