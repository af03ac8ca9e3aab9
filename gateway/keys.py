"""The keys under which the application holds its parts."""

from collections.abc import Callable
from datetime import datetime

import aiohttp
from aiohttp import web

from gateway.access import Access
from gateway.alerts.watching import Watch
from gateway.configuration.service import Configuration
from gateway.metrics import Metrics
from gateway.operations.gathered import Operations
from gateway.pipeline.polling import Poller
from gateway.pipeline.worker import Worker
from gateway.quarantine import Quarantine
from gateway.registry import Registry
from gateway.secrets import Vault
from gateway.settings import Settings
from storage import Store

SETTINGS = web.AppKey("settings", Settings)
STORE = web.AppKey("store", Store)
VAULT = web.AppKey("vault", Vault)
SESSION = web.AppKey("session", aiohttp.ClientSession)
REGISTRY = web.AppKey("registry", Registry)
CONFIGURATION = web.AppKey("configuration", Configuration)
ACCESS = web.AppKey("access", Access)
WORKER = web.AppKey("worker", Worker)
OPERATIONS = web.AppKey("operations", Operations)
ALERTS = web.AppKey("alerts", Watch)
POLLER = web.AppKey("poller", Poller)
METRICS = web.AppKey("metrics", Metrics)
QUARANTINE = web.AppKey("quarantine", Quarantine)
CLOCK: web.AppKey[Callable[[], datetime]] = web.AppKey("clock")
