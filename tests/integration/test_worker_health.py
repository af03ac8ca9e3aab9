"""A process that only works can be watched: where a port is set it tells its health and metrics, and nothing else."""

from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from gateway.app import Gateway
from gateway.settings import Settings
from tests.harness import Rig


@pytest.mark.parametrize("port", [None, 0])
async def test_a_worker_listens_only_where_it_is_told_to(rig: Rig, tmp_path: Path, port: int | None) -> None:
    settings = rig.settings.model_copy(update={"worker_port": port})
    async with Gateway(settings, serve=False, now=rig.now) as worker:
        if port is None:
            assert worker.port == 0
            return
        async with aiohttp.ClientSession() as session:
            answers = {}
            for path in ("/healthz", "/readyz", "/metrics", "/console", "/api/v1/sources", "/openapi.json"):
                async with session.get(worker.url + path) as answer:
                    answers[path] = (answer.status, await answer.text())
            async with session.post(worker.url + "/webhooks/flexprice-prod", data=b"{}") as refused:
                assert refused.status == 404
        assert {path: status for path, (status, _) in answers.items()} == {
            "/healthz": 200, "/readyz": 200, "/metrics": 200,
            "/console": 404, "/api/v1/sources": 404, "/openapi.json": 404,
        }  # fmt: skip
        assert "ledgergate_worker_running 1.0" in answers["/metrics"][1]


def test_the_port_is_one() -> None:
    assert Settings(worker_port=9101, admin_key=SecretStr("an-admin-key")).worker_port == 9101
    with pytest.raises(ValueError, match="worker_port"):
        Settings(worker_port=70_000)
