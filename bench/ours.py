"""The real gateway under test: configured by `apply`, run by `python run.py serve`, everything on, logs to a file."""

import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.deliveries import SECRETS
from bench.process import ROOT, NotStartedError, Server, environment, free_port

TENANTS = 8
"""Sources, each of a tenant of its own: a door that knows one name only would have nothing to choose from."""

_SOURCE = """
[[sources]]
name = "billing-{number}"
platform = "flexprice"
tenant_id = "tenant-{number}"
environment_id = "prod"
verification = "standard-webhooks"
secrets = ["env:BENCH_OLD_SECRET", "env:BENCH_NEW_SECRET"]
api_url = "{api_url}"
api_key = "env:BENCH_API_KEY"
"""
_CONNECTION = """
[[connections]]
name = "nomod-{number}"
connector = "nomod"
tenant_id = "tenant-{number}"
environment_id = "prod"
invoice_sync = {{ outbound = true, customer_only = true }}
config = {{ api_key = "env:BENCH_NOMOD_KEY", base_url = "{base_url}", requests_per_second = 100, concurrency = 64 }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What the gateway's jobs talk to; without it no connection is configured, and dispatch ends each delivery."""

    flexprice_url: str
    flexprice_key: str
    nomod_url: str
    nomod_key: str


def source_path(number: int = 0) -> str:
    """Return where a tenant's webhooks go."""
    return f"/webhooks/billing-{number}"


class Installation:
    """A configured gateway in a folder of its own; it may be started several times."""

    def __init__(self, folder: Path, *, behind: Behind | None = None, database: str | None = None) -> None:
        """Configure, on a SQLite file or on `database`. Raises NotStartedError when `apply` does not succeed."""
        self.folder, self.port = folder, free_port()
        self.log = folder / "gateway.log"
        self.admin_key = secrets.token_urlsafe(24)
        self._env = {
            "LEDGERGATE_DATABASE_URL": database or f"sqlite:///{folder / 'bench.db'}",
            "LEDGERGATE_HOST": "127.0.0.1", "LEDGERGATE_ADMIN_KEY": self.admin_key,
            "LEDGERGATE_SECRET_KEY": secrets.token_urlsafe(32), "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES": "true",
            "LEDGERGATE_LOG_FORMAT": "json", "BENCH_OLD_SECRET": SECRETS[0], "BENCH_NEW_SECRET": SECRETS[1],
            "BENCH_API_KEY": behind.flexprice_key if behind else secrets.token_urlsafe(16),
            "BENCH_NOMOD_KEY": behind.nomod_key if behind else secrets.token_urlsafe(16),
        }  # fmt: skip
        file = folder / "bench.toml"
        file.write_text(_configuration(behind), "utf-8")
        done = subprocess.run(
            [sys.executable, "run.py", "apply", str(file)], cwd=ROOT, env=environment(self._env),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NotStartedError(f"apply failed: {(done.stdout + done.stderr)[-500:]}")

    def server(
        self, *, env: Mapping[str, str] | None = None, program: Sequence[str] = ("run.py",), work: bool = True,
        port: int | None = None,
    ) -> Server:  # fmt: skip
        """Start the gateway. `program` may be another one that runs it, such as the sampler of `bench.stages`."""
        port = port or self.port
        command = [sys.executable, *program, "serve", *(() if work else ("--no-worker",))]
        return Server(
            command, port=port, log=self.log, path=source_path(),
            env={**self._env, "LEDGERGATE_PORT": str(port), **(env or {})},
        )  # fmt: skip


def _configuration(behind: Behind | None) -> str:
    text = ""
    for number in range(TENANTS):
        text += _SOURCE.format(number=number, api_url=behind.flexprice_url if behind else "http://127.0.0.1:9/v1")
        if behind is not None:
            text += _CONNECTION.format(number=number, base_url=behind.nomod_url)
    return text
