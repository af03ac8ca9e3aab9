"""A process of its own which wants working tokens from a store that another process shares.

Run as `python -m tests.integration.quickbooks_refresher STORE URL REALM CLIENT_ID`, the client's secret in the first
line of stdin; it says "ready", waits for the second, asks for tokens, and prints the access token's last letters.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp

from connectors import Host
from connectors.quickbooks.auth import TokenManager
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.endpoint import TokenEndpoint
from tests.integration.quickbooks_store import FileTokenStore


async def main(path: str, url: str, realm: str, client_id: str) -> None:
    secret = await asyncio.to_thread(sys.stdin.readline)
    config = QuickBooksConfig.model_validate(
        {
            "client_id": client_id, "client_secret": secret.strip(), "realm_id": realm,
            "token_url": f"{url}/oauth2/v1/tokens/bearer",
        }
    )  # fmt: skip
    async with aiohttp.ClientSession() as session:
        host = Host(connection="qbo-test", session=session, tokens=FileTokenStore(Path(path)))
        manager = TokenManager(config, host, TokenEndpoint(config, host))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tokens = await manager.access()
        print(tokens.access_token[-12:], flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
