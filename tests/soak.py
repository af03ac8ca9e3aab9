"""A long run of random kills under load, and a verdict: `python -m tests.soak`, or `make soak`.

Each round is a gateway on a fresh database, with one process or two, under traffic and faults that are drawn from the
seed. Its processes are killed (SIGKILL) and started again many times: at a moment drawn at random, around a drawn step
of the store, or at a drawn request. Then the faults end, the rest is waited for, and the invariants are checked against
the ledgers of the simulated services. `--seed S --first R --rounds 1` plays round R of seed S again; what is drawn is
the same, the timing of the machine is not.
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from pathlib import Path

from connectors.testing.simulator import Fault, FaultKind
from tests.crash.killing import AFTER, BEFORE, Point, Step
from tests.crash.nursery import Child, Nursery, open_nursery
from tests.crash.places import Phase, Request, kill_at
from tests.crash.scene import Scene, open_scene

KILLS_PER_ROUND = 25
BUSY = 20
"""So many webhooks that are not acknowledged yet keep more from being sent: a slow machine gets no more to do."""
CALLS = (
    "add_delivery", "claim_deliveries", "settle_dispatch", "claim_jobs", "begin_intent", "refuse_intent", "settle",
    "extend_leases", "change_budget", "put_fact", "take_lease", "drop_lease", "save_tokens",
)  # fmt: skip
REQUESTS = (
    ("flexprice", "GET /v1/invoices/*"), ("flexprice", "GET /v1/customers/*"), ("flexprice", "PUT /v1/customers"),
    ("nomod", "GET /v1/customers"), ("nomod", "POST /v1/customers"), ("quickbooks", "GET /v3/company/*/query Customer"),
    ("quickbooks", "POST /v3/company/*/customer"),
)  # fmt: skip
ROUTES = {
    "flexprice": ("GET /v1/invoices/*", "GET /v1/customers/*", "PUT /v1/customers"),
    "nomod": ("GET /v1/customers", "POST /v1/customers"),
    "quickbooks": ("GET /v3/company/*/query", "POST /v3/company/*/customer"),
}
PASSING = [kind for kind in FaultKind if kind not in (FaultKind.REFUSE, FaultKind.ECHO, FaultKind.THROTTLE)]


class Round:
    """One round: what is drawn, and what has become of it."""

    def __init__(self, scene: Scene, rng: random.Random, *, nodes: int, kills: int) -> None:
        self._scene, self._rng, self._nodes, self._kills = scene, rng, nodes, kills
        self._known: list[str] = []
        self.killed = 0

    def draw_services(self) -> None:
        """Let the services behave in one of the ways that their documents leave open."""
        scene, rng = self._scene, self._rng
        scene.nomod.filter_mode = rng.choice(["email", "search", "ignored"])
        scene.nomod.search_lag = rng.choice([0.0, 0.2, 0.6])
        scene.intuit.quirks.requestid_mode = rng.choice(["replay", "off", "forget"])
        scene.intuit.quirks.requestid_memory = rng.choice([0.1, 1.0])
        scene.intuit.quirks.query_lag = rng.choice([0.0, 0.2, 0.6])
        scene.intuit.quirks.duplicate_detail = rng.choice(["text", "null", "id", "french"])

    async def play(self) -> None:
        """Run the load and the kills, then let everything end. Raises AssertionError where the promise was broken."""
        load = asyncio.create_task(self._load())
        try:
            for _ in range(self._kills):
                await self._kill_one()
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        for service in (self._scene.flexprice, self._scene.nomod, self._scene.intuit):
            service.faults.clear()
            service.hook = None
        for node in range(self._nodes):
            if not await self._alive(node):
                self._running[node] = await self._scene.start(node=node)
        await self._scene.finish(patience=180)
        await self._scene.check()

    _running: dict[int, Child]

    async def start(self) -> None:
        """Start all processes."""
        self._running = {node: await self._scene.start(node=node) for node in range(self._nodes)}

    async def _alive(self, node: int) -> bool:
        return await self._running[node].poll() is None

    async def _load(self) -> None:
        """Send what a busy day brings in a minute: new customers, known ones, namesakes, shared addresses, faults."""
        scene, rng = self._scene, self._rng
        for number in range(10_000):
            await asyncio.sleep(rng.uniform(0.02, 0.15))
            if scene.under_way >= BUSY:
                continue
            node = rng.randrange(self._nodes)
            drawn = rng.random()
            if drawn < 0.35 or not self._known:
                email = rng.choice([f"guest{number}@example.com", "office@example.com"])
                name = rng.choice([f"Guest {number}", "Front Office"])
                customer = str(scene.flexprice.add_customer(name=name, email=email)["id"])
                self._known.append(customer)
                scene.invoice(customer, node=node)
            elif drawn < 0.65:
                scene.invoice(rng.choice(self._known), node=node)
            elif drawn < 0.7:
                scene.flexprice.edit_customer(rng.choice(self._known), name=f"Renamed {number}")
            elif drawn < 0.85:
                scene.gift(
                    node=node, donor_id=f"user_{rng.randrange(20)}", first_name=rng.choice(["Ada", "Grace"]),
                    last_name=rng.choice(["Lovelace", "Hopper"]), email=f"giver{rng.randrange(20)}@example.org",
                )  # fmt: skip
            else:
                service = rng.choice(sorted(ROUTES))
                fault = Fault(kind=rng.choice(PASSING), route=rng.choice(ROUTES[service]), seconds=0.1)
                {"flexprice": scene.flexprice, "nomod": scene.nomod, "quickbooks": scene.intuit}[service].faults.add(
                    fault
                )

    async def _kill_one(self) -> None:
        """Have one process die, in one of three ways, and start it again."""
        rng, node = self._rng, self._rng.randrange(self._nodes)
        way, patience = rng.random(), rng.uniform(0.1, 0.8)
        point = request = None
        if way < 0.4:
            step = Step(rng.choice(CALLS), rng.randint(1, 4))
            point = Point(step, rng.choice([BEFORE, AFTER]))
        elif way < 0.75:
            request = Request(*rng.choice(REQUESTS), rng.randint(1, 3), rng.choice(list(Phase)))
        if point is not None:
            self._running[node].kill()
            await self._running[node].ended(within=10)
            self._running[node] = await self._scene.start(node=node, point=point)
        child = self._running[node]
        if request is not None:
            kill_at(self._scene, child, request)
        if await child.ended(within=3 * patience if point or request else patience) is None:
            child.kill()
            await child.ended(within=10)
        self.killed += 1
        await self._scene.operate()
        self._running[node] = await self._scene.start(node=node)


async def play_round(seed: int, number: int, nursery: Nursery, *, kills: int) -> int:
    """Play one round, and return how often a process was killed. Raises AssertionError where the promise was broken."""
    rng = random.Random(f"{seed}/{number}")
    nodes = rng.choice([1, 1, 2])
    with tempfile.TemporaryDirectory(prefix="ledgergate-soak-") as folder:
        async with open_scene(Path(folder), nursery, nodes=nodes) as scene:
            played = Round(scene, rng, nodes=nodes, kills=kills)
            played.draw_services()
            await played.start()
            await played.play()
            told = f"{len(scene.acknowledged)} webhooks, {len(scene.nomod.creations)} in Nomod, "
            told += f"{len(scene.intuit.customers)} in QuickBooks"
        print(f"round {number}: {nodes} process(es), killed {played.killed} times, {told}: kept", flush=True)
        return played.killed


async def soak(*, seed: int, first: int, rounds: int, kills: int, at_once: int) -> bool:
    """Play the rounds, some at the same time; return whether the promise was kept in all of them."""
    begun, total, broken = time.monotonic(), 0, []
    gate = asyncio.Semaphore(at_once)

    async with open_nursery() as nursery:

        async def one(number: int) -> int:
            async with gate:
                try:
                    return await play_round(seed, number, nursery, kills=kills)
                except Exception as error:  # noqa: BLE001 - told, and part of the verdict
                    broken.append(number)
                    print(f"round {number}: BROKEN: {type(error).__name__}: {error}"[:4000], flush=True)
                    return 0

        total = sum(await asyncio.gather(*(one(number) for number in range(first, first + rounds))))
    minutes = (time.monotonic() - begun) / 60
    again = "".join(f"\n  python -m tests.soak --seed {seed} --first {number} --rounds 1" for number in broken)
    verdict = f"BROKEN in {len(broken)} of {rounds} rounds; to play them again:{again}" if broken else "KEPT"
    print(f"{total} kills in {rounds} rounds, {minutes:.1f} minutes, seed {seed}. The promise was {verdict}")
    return not broken


def main() -> int:
    """Read the arguments, soak, and return 0 where the promise was kept."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description="Random kills under load, with a verdict."
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="draws everything (default: random)")
    parser.add_argument("--first", type=int, default=0, help="number of the first round (0)")
    parser.add_argument("--rounds", type=int, default=42, help="how many rounds (42)")
    parser.add_argument("--kills", type=int, default=KILLS_PER_ROUND, help=f"kills in a round ({KILLS_PER_ROUND})")
    parser.add_argument("--at-once", type=int, default=3, help="rounds at the same time (3)")
    given = parser.parse_args()
    print(f"seed {given.seed}: {given.rounds} rounds of {given.kills} kills", flush=True)
    kept = asyncio.run(
        soak(seed=given.seed, first=given.first, rounds=given.rounds, kills=given.kills, at_once=given.at_once)
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
