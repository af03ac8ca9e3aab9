"""Jobs on lease: claimed under a fence, kept, handed back, and taken from workers that have gone."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from storage import rows
from storage.records import Claimed, Job, MappingStatus
from storage.scalars import array, micros, moment_or_none
from storage.sqlite.budgets import allowed, begin_probe, waiting_until
from storage.sqlite.database import Database
from storage.sqlite.intents import open_intent
from storage.sqlite.mappings import read_mapping
from storage.sqlite.parking import call_next, park

_EXPIRED = "SELECT * FROM jobs WHERE status = 'running' AND lease_until <= ?"
_GIVE_BACK = """
UPDATE jobs SET status = 'pending', attempts = attempts + 1, lease_owner = NULL, lease_until = NULL,
                next_attempt_at = ?, updated_at = ?
 WHERE job_id = ?"""
_LAPSED = """
INSERT INTO attempts (job_id, number, started_at, finished_at, outcome, worker)
VALUES (?, ?, ?, ?, 'lease_expired', ?)"""
_WAITING = """
SELECT value FROM json_each(?)
 WHERE EXISTS (SELECT 1 FROM jobs WHERE status = 'pending' AND gate = value AND next_attempt_at <= ?)"""
_GATE = "SELECT status FROM connections WHERE name = ?"
_DUE = """
SELECT number, lock_key, (SELECT lease_until FROM jobs r WHERE r.status = 'running' AND r.lock_key = j.lock_key) AS held
  FROM jobs j WHERE status = 'pending' AND gate = ? AND next_attempt_at <= ?
 ORDER BY next_attempt_at, number LIMIT ?"""
_TAKE = """
UPDATE jobs SET status = 'running', fence = fence + 1, lease_owner = ?, lease_until = ?, claimed_at = ?, updated_at = ?,
                next_attempt_at = coalesce(parked_at, next_attempt_at), parked_at = NULL
 WHERE number = ? RETURNING *"""
_HELD = "job_id = ? AND fence = ? AND status = 'running' AND lease_owner = ?"
_EXTEND = f"UPDATE jobs SET lease_until = ? WHERE {_HELD}"
_RELEASE = f"""
UPDATE jobs SET status = 'pending', lease_owner = NULL, lease_until = NULL, next_attempt_at = ?, updated_at = ?
 WHERE {_HELD} RETURNING lock_key"""
_DONE_BEFORE = """
SELECT 1 FROM jobs
 WHERE subject = ? AND connection = ? AND kind = ? AND status = 'succeeded' AND outcome = 'done' AND source = ?
   AND job_id <> ? AND delivery_id IS NOT NULL LIMIT 1"""
_CLAIM_ENDS = """
SELECT min(claimed_until) FROM deliveries
 WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0 AND claimed_until > 0"""
_LEASE_ENDS = "SELECT min(lease_until) FROM jobs WHERE status = 'running'"
MAX_LOOKS = 16
"""How often one claim looks on, past jobs that had to be parked, before it leaves the rest to the next claim."""
_NEXT = "SELECT min(next_attempt_at) FROM jobs WHERE status = 'pending' AND gate = ? AND next_attempt_at > ?"


class Claims:
    """The part of the store that deals with jobs on lease."""

    _db: Database

    async def claim_jobs(
        self, room: Mapping[str, int], *, owner: str, now: datetime, lease: timedelta
    ) -> Sequence[Claimed]:
        """Take due jobs, up to `room[gate]` for each gate; jobs with a lock key that is running elsewhere wait.

        Jobs of a paused or removed connection are not taken. Leases that have ended are given back first.
        """
        at, until = micros(now), micros(now + lease)

        def work(db: sqlite3.Connection) -> list[Claimed]:
            _give_back(db, at)
            claimed: list[Claimed] = []
            gates = array([gate for gate, free in room.items() if free > 0])
            for (gate,) in db.execute(_WAITING, (gates, at)).fetchall():
                if _is_open(db, gate):
                    most, probes = allowed(db, gate, room[gate], now)
                    taken = _take(db, gate, most, at=at, owner=owner, until=until)
                    if taken and probes:
                        begin_probe(db, gate, until=until)
                    claimed += [_with_subject(db, rows.job(row)) for row in taken]
            return claimed

        return await self._db.write(work)

    async def extend_leases(self, held: Mapping[str, int], *, owner: str, until: datetime) -> set[str]:
        """Keep the leases of running jobs (id → fence); return the ids that were lost to another worker."""
        end = micros(until)

        def work(db: sqlite3.Connection) -> set[str]:
            kept = {job for job, fence in held.items() if db.execute(_EXTEND, (end, job, fence, owner)).rowcount}
            return set(held) - kept

        return await self._db.write(work) if held else set()

    async def release_jobs(self, held: Mapping[str, int], *, owner: str, now: datetime) -> None:
        """Hand back jobs that were claimed and not begun, or whose attempt was stopped: they are due at once."""
        at = micros(now)

        def work(db: sqlite3.Connection) -> None:
            for job_id, fence in held.items():
                freed = db.execute(_RELEASE, (at, at, job_id, fence, owner)).fetchone()
                if freed is not None:
                    call_next(db, freed["lock_key"])

        if held:
            await self._db.write(work)

    async def next_due(self, gates: Sequence[str], *, after: datetime) -> datetime | None:
        """Return when the next job of these gates falls due, later than `after`, or a lease ends; None for never.

        A lease that has ended by `after` is returned too: its job can be had at once. The end of a claim on deliveries
        counts as well, and the moment at which a circuit of these gates lets a job begin.
        """
        at = micros(after)

        def work(db: sqlite3.Connection) -> int | None:
            times = [db.execute(_LEASE_ENDS).fetchone()[0], db.execute(_CLAIM_ENDS).fetchone()[0]]
            times += [db.execute(_NEXT, (gate, at)).fetchone()[0] for gate in gates]
            times += [until for gate in gates if (until := waiting_until(db, gate)) is not None and until > at]
            return min((time for time in times if time is not None), default=None)

        return moment_or_none(await self._db.read(work))


def _give_back(db: sqlite3.Connection, at: int) -> None:
    """Return jobs whose lease has ended to the queue, with an attempt that says so."""
    for row in db.execute(_EXPIRED, (at,)).fetchall():
        begun = row["claimed_at"] or at
        db.execute(_LAPSED, (row["job_id"], row["attempts"] + 1, begun, at, row["lease_owner"] or ""))
        db.execute(_GIVE_BACK, (at, at, row["job_id"]))


def _is_open(db: sqlite3.Connection, gate: str) -> bool:
    row = db.execute(_GATE, (gate,)).fetchone()
    return row is None or row["status"] == "active"


def _take(db: sqlite3.Connection, gate: str, free: int, *, at: int, owner: str, until: int) -> list[sqlite3.Row]:
    """Take up to `free` jobs that may run now, the longest due first, one for each lock key; the others are parked."""
    taken: list[sqlite3.Row] = []
    keys: set[str] = set()
    for _ in range(MAX_LOOKS if free > 0 else 0):
        found = db.execute(_DUE, (gate, at, 2 * (free - len(taken)) + 8)).fetchall()
        waiting = []
        for number, lock_key, held in found:
            if held is not None or lock_key in keys:
                waiting.append((held or until, number))
            elif len(taken) < free:
                keys.add(lock_key)
                taken.append(db.execute(_TAKE, (owner, until, at, at, number)).fetchone())
        park(db, waiting)
        if len(taken) == free or not waiting:
            break
    return taken


def _with_subject(db: sqlite3.Connection, job: Job) -> Claimed:
    mapping = intent = None
    done = False
    if job.entity_id is not None and job.connection is not None:
        mapping = read_mapping(db, (job.source, job.entity_type, job.entity_id, job.connection))
        if mapping is not None and mapping.status is not MappingStatus.LINKED:
            intent = open_intent(db, mapping.key)
    if job.subject is not None and job.connection is not None:
        twin = (job.subject, job.connection, job.kind, job.source, job.job_id)
        done = db.execute(_DONE_BEFORE, twin).fetchone() is not None
    return Claimed(job=job, mapping=mapping, intent=intent, done_before=done)
