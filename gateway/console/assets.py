"""The stylesheet, the script and the icon: served from memory, under names that hold their hash, cached for good."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files

from aiohttp import web

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_NAMES = ("console.css", "console.js", "icon.svg")
_FOR_GOOD = "public, max-age=31536000, immutable"
PREFIX = "/console/static/"


class Assets:
    """Reads the files once. A name without the right hash is answered 404: nothing old is ever cached as new."""

    def __init__(self) -> None:
        folder = files("gateway.console").joinpath("static")
        self._bodies: dict[str, tuple[bytes, str]] = {}
        urls: dict[str, str] = {}
        for name in _NAMES:
            body = folder.joinpath(name).read_bytes()
            stem, _, suffix = name.rpartition(".")
            hashed = f"{stem}.{hashlib.sha256(body).hexdigest()[:16]}.{suffix}"
            self._bodies[hashed] = (body, _TYPES[suffix])
            urls[name] = PREFIX + hashed
        self.urls: Mapping[str, str] = urls

    def serve(self, name: str) -> web.Response:
        """Return the answer for one file."""
        found = self._bodies.get(name)
        if found is None:
            return web.Response(status=404, text="no such file", headers={"Cache-Control": "no-store"})
        body, media_type = found
        return web.Response(body=body, content_type=media_type, charset="utf-8", headers={"Cache-Control": _FOR_GOOD})
