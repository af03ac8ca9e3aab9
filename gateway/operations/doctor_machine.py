"""What `doctor` looks at outside of the store: the packages, the plugins, the clock, the key file, the disk."""

import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import connectors
import gateway
import storage
from gateway.errors import PluginError
from gateway.operations.findings import Finding, attention, broken, counted, note, ok
from gateway.packages import strangers
from gateway.plugins import Plugins, connector_plugins, source_plugins
from gateway.secrets import NEW, OLD, key_file
from gateway.settings import Settings
from storage import sqlite_path

LITTLE_ROOM = 1024**3
NO_ROOM = 100 * 1024**2
# No gateway of this version has run before: a clock that says so is wrong, and with it every signature's age.
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)


def examine(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Look at everything around the database. Nothing is changed."""
    yield from _packages()
    yield from _plugins("connector", connector_plugins())
    yield from _plugins("source", source_plugins())
    yield from _clock(now)
    yield from _key(settings)
    yield from _disk(settings)
    yield from _address(settings)


def _packages() -> Iterator[Finding]:
    """Find unrelated distributions that bring packages of our names: one would silently replace the other's files."""
    for name, others in strangers().items():
        yield broken(
            "packages",
            f"The Python package `{name}` also comes from {', '.join(others)}, which overwrites ours.",
            f"Uninstall {', '.join(others)}, then install ledgergate again; best in an environment of its own.",
            subject=name,
        )
    roots = {Path(str(package.__file__)).resolve().parents[1] for package in (connectors, gateway, storage)}
    if len(roots) > 1:
        places = ", ".join(sorted(map(str, roots)))
        yield broken(
            "packages",
            f"The packages connectors, gateway and storage are taken from different places: {places}.",
            "Remove what is not ledgergate's from the Python path.",
        )
    elif not hasattr(connectors, "API_VERSION"):
        yield broken(
            "packages", "The package `connectors` is not ledgergate's.", "Install ledgergate again, apart from others."
        )


def _plugins(kind: str, plugins: Plugins[Any]) -> Iterator[Finding]:
    loaded = []
    for name in plugins.names():
        try:
            plugins.load(name)
        except PluginError as error:
            yield attention("plugins", f"The {kind} plugin {error.detail}.", "Upgrade or uninstall it.", subject=name)
        else:
            loaded.append(name)
    yield ok("plugins", f"{counted(len(loaded), f'{kind} plugin')} can be loaded: {', '.join(loaded)}.")


def _clock(now: datetime) -> Iterator[Finding]:
    if now < EARLIEST:
        yield broken(
            "clock",
            f"The machine's clock says {now:%Y-%m-%d}: every signed webhook would be refused.",
            "Set the clock, and keep it set with NTP.",
        )


def _key(settings: Settings) -> Iterator[Finding]:
    path = key_file(settings)
    if path is None:
        yield ok("secret_key", "The secret key is a setting.")
        return
    if not path.exists():
        if _has_secrets(sqlite_path(settings.database_url)):
            yield broken(
                "secret_key",
                f"The secret key's file {path} is missing: without it no stored secret can be read.",
                "Put the file back from its backup. If it is lost, begin with a new database, and connect all anew.",
            )
        else:
            yield note("secret_key", f"There is no secret key yet: the first start makes it, in {path}.")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield attention(
            "secret_key",
            f"Other accounts of this machine can read the secret key: {path} has mode {mode:04o}.",
            f"Run `chmod 600 {path}`, then `ledgergate secret rotate-key`.",
        )
    else:
        yield ok("secret_key", f"The secret key's file {path} is for its owner alone.")
    if path.with_name(path.name + NEW).exists():
        yield attention(
            "secret_key",
            "A rotation of the secret key was cut short; secrets can still be read.",
            "Run `ledgergate secret rotate-key` again, which finishes it.",
        )
    elif path.with_name(path.name + OLD).exists():
        yield note(
            "secret_key",
            "The old secret key still lies beside the new one.",
            "Once every gateway has run on the new one: `ledgergate secret rotate-key --finish`.",
        )


def _has_secrets(database: Path | None) -> bool:
    """Whether a key must have been there: a database file that has something in it."""
    return database is not None and database.exists() and database.stat().st_size > 0


def _disk(settings: Settings) -> Iterator[Finding]:
    path = sqlite_path(settings.database_url)
    if path is None:
        return
    place = path.parent if path.parent.is_dir() else Path()
    free = shutil.disk_usage(place).free
    told = f"{free / 1024**3:.1f} GiB" if free >= LITTLE_ROOM else f"{free // 1024**2} MiB"
    if free < NO_ROOM:
        yield broken(
            "disk",
            f"Only {told} are left where the database lies: soon no webhook can be stored.",
            "Free the disk; `ledgergate db prune` drops old bodies.",
        )
    elif free < LITTLE_ROOM:
        yield attention(
            "disk", f"Only {told} are left where the database lies.", "Free the disk, or `ledgergate db prune`."
        )
    else:
        yield ok("disk", f"{told} are free where the database lies.")


def _address(settings: Settings) -> Iterator[Finding]:
    if settings.public_url is None:
        yield note(
            "public_url",
            "No public address is set: links and the addresses of webhooks are shown without one.",
            "Set LEDGERGATE_PUBLIC_URL to the address under which senders reach the gateway.",
        )
    elif settings.public_url.startswith("http://") and "//localhost" not in settings.public_url:
        yield note(
            "public_url",
            "The public address begins with http://: keys and customers' data travel readable.",
            "Put a reverse proxy with TLS before the gateway, and set LEDGERGATE_PUBLIC_URL to its https address.",
        )
    else:
        yield ok("public_url", f"The public address is {settings.public_url}.")
