"""Under which address this gateway is reached."""

from aiohttp import web

from gateway import keys


def public_url(request: web.Request) -> str:
    """Return the address of people and senders: the setting, else the one that this request has come in by.

    What the request says about its host is not asked: anybody can write that.
    """
    return request.app[keys.SETTINGS].public_url or own_url(request)


def own_url(request: web.Request) -> str:
    """Return the address at which this process itself has taken the request."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    settings = request.app[keys.SETTINGS]
    host, port = (str(name[0]), int(name[1])) if name else (settings.host, settings.port)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
