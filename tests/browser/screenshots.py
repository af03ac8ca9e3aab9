"""`make screenshots`: plays a day of traffic through a gateway, and takes the pictures of README and docs.

The day is always the same but for ids; nothing leaves this machine.
"""

import asyncio
import base64
import random
import sys
import tempfile
import unicodedata
from datetime import timedelta
from pathlib import Path

from connectors.testing.faults import Fault, FaultKind
from gateway import keys, logs
from gateway.sandbox.shapes import customer_event
from gateway.settings import LogFormat, LogLevel
from gateway.sources.signing import new_secret
from tests.browser.screen import Screen, open_browser
from tests.browser.stage import Stage
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MAX_BYTES = 200_000
HOURS = 24
SEED = 1843
WIDTH, MOST = 1180, 880
SIZES = {"delivery": (1000, 1010), "customers": (1180, 740)}
"""Pictures that are of another width, or higher."""
PEOPLE = (
    "Ada Lovelace", "Grace Hopper", "Alan Turing", "Emmy Noether", "Kurt Gödel", "Mary Somerville", "Omar Khayyam",
    "Hypatia of Alexandria", "Sofya Kovalevskaya", "Srinivasa Ramanujan", "Maryam Mirzakhani", "Al Khwarizmi",
    "Katherine Johnson", "Blaise Pascal", "Maria Agnesi", "Évariste Galois", "Wang Zhenyi", "Leonhard Euler",
)  # fmt: skip
TRAFFIC = (1, 1, 0, 0, 0, 1, 2, 3, 6, 7, 8, 6, 4, 6, 8, 7, 6, 4, 3, 2, 2, 1, 1, 2)
"""Invoices in each hour."""


async def a_day(rig: Rig) -> dict[str, str]:
    """Play a day that ends now; return the pages worth a picture."""
    rng = random.Random(SEED)
    rig.clock.ahead = timedelta(hours=-HOURS)
    await rig.add_flexprice()
    await rig.add_nomod()
    await rig.add_quickbooks()
    customers = [
        rig.flexprice.add_customer(name=name, email=f"{plain(name.split()[0])}@example.com")["id"] for name in PEOPLE
    ]
    rig.intuit.seed_customer(DisplayName="Alan Turing", email="alan@example.com")
    for hour, invoices in enumerate(TRAFFIC):
        for number in range(invoices):
            planned = timedelta(hours=hour - HOURS, minutes=55 * number / max(1, invoices))
            rig.clock.ahead = max(rig.clock.ahead, planned)
            customer = rng.choice(customers)
            if rng.random() < 0.2:
                edited = rig.flexprice.customers[customer]
                await rig.send(customer_event(edited, event_type="customer.updated"))
            else:
                await rig.finalize(customer)
            await rig.finish()
    return {**await needing(rig), "delivery": f"/deliveries/{await telling(rig)}"}


def plain(name: str) -> str:
    """Return a name as an address may have it."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()


async def telling(rig: Rig) -> str:
    """Return a delivery whose first create at Nomod lost its answer: a way worth seeing."""
    lost = rig.flexprice.add_customer(name="Charles Babbage", email="charles@example.com")
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/customers"))
    delivery = await rig.finalize(lost["id"])
    await rig.finish()
    return delivery


async def needing(rig: Rig) -> dict[str, str]:
    """Have a decision to take, dead letters, and a refused request."""
    for name, phone in (("Vienna Circle GmbH", "+43 1 5320 1410"), ("Kurt Gödel", "+43 1 5320 1499")):
        rig.nomod.seed(first_name=name, email="office@example.com", phone_number=phone)
    office = rig.flexprice.add_customer(name="Vienna Circle", email="office@example.com")
    await rig.finalize(office["id"])
    for name in ("Thales", "Anonymous Donor"):
        await rig.finalize(rig.flexprice.add_customer(name=name, email="")["id"])
    await rig.finish()
    rig.secret, right = new_secret(), rig.secret
    await rig.post(b"{}")
    rig.secret = right
    await rig.gateway.app[keys.QUARANTINE].flush(rig.store)
    for connection in (NOMOD, QUICKBOOKS):
        await rig.gateway.app[keys.OPERATIONS].connections.test(connection)
    await rig.refresh()
    review = await rig.open_review(connection=NOMOD)
    return {
        "overview": "", "needs": "/needs", "review": f"/reviews/{review.review_id}", "deliveries": "/deliveries",
        "customers": "/customers", "connection": f"/connections/{QUICKBOOKS}", "source": f"/sources/{SOURCE}",
        "connection-form": "/connections/new?connector=quickbooks",
    }  # fmt: skip


def picture(screen: Screen, name: str) -> None:
    """Take the picture of the page that is shown, as high as it is, up to a bound."""
    width, most = SIZES.get(name, (WIDTH, MOST))
    with screen.window(width, 760):
        high = int(screen.driver.execute_script("return document.documentElement.scrollHeight"))
    with screen.window(width, min(most, max(600, high))):
        taken = screen.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": False})
    image = base64.b64decode(taken["data"])
    assert len(image) < MAX_BYTES, f"{name}.png has {len(image)} bytes"
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(image)
    print(f"docs/images/{name}.png  {len(image) / 1000:.0f} kB")


def main() -> int:
    """Take all pictures."""
    logs.configure(LogFormat.CONSOLE, LogLevel.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), public_url="https://hooks.example.com")
        driver = open_browser(Path(folder) / "profile")
        try:
            stage.start()
            pages = stage.run(asyncio.wait_for(a_day(stage.rig), 50))
            screen = Screen(driver, stage.url)
            driver.execute_cdp_cmd("Emulation.setLocaleOverride", {"locale": "en-GB"})
            screen.log_in()
            for name, path in pages.items():
                screen.open(path)
                picture(screen, name)
            screen.prefer("dark")
            screen.open()
            picture(screen, "overview-dark")
        finally:
            driver.quit()
            stage.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
