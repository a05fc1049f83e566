"""Jobs and outgoing results in a SQLite file, until they are answered and acknowledged.

A job is in the file before whoever brought it is told that it was accepted, and its results are there before it counts
as done, by one transaction; each transaction is on the disk when its method returns. So a process that is killed at any
point loses nothing, and opening the journal again puts what was begun back into the queue. A job that is tried again
and again would kill worker after worker: it is begun `ATTEMPTS` times at most.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .errors import QueueFullError, ServiceError
from .job import PRIORITIES, Job, Outgoing, Request

Policy = Literal["reject", "drop_oldest"]
State = Literal["waiting", "running", "done", "failed", "dropped"]

ATTEMPTS = 2
_SCHEMA = 1
_TABLES = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    door TEXT NOT NULL,
    payload BLOB,
    deadline REAL NOT NULL,
    priority INTEGER NOT NULL,
    late TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX queue ON jobs (state, priority, number);
CREATE TABLE outgoing (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs (number),
    destination TEXT NOT NULL,
    content BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,
    UNIQUE (job, destination)
);
"""


class Journal:
    """The journal of one service, which no other process may open meanwhile. Threads take turns.

    Parameters
    ----------
    path
        Of the file; made where there is none.
    capacity
        How many jobs may wait.
    policy
        What happens to one more: it is not accepted, or the oldest of the least urgent that wait is dropped for it.

    Raises
    ------
    ServiceError
        If the file cannot be opened or written, is no journal, is one of another version, or another service has it.
    """

    def __init__(self, path: Path, *, capacity: int, policy: Policy = "reject") -> None:
        self._path, self._capacity, self._policy = path, capacity, policy
        self._lock = threading.Lock()
        with self._faults():
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._faults():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of the file; what is not written by now was not promised to anybody."""
        self._connection.close()

    def accept(self, request: Request) -> int:
        """Put a job into the queue, and give its number; that of the first where the key is known.

        Raises
        ------
        QueueFullError
            If as many jobs wait as may, and the policy is to reject.
        ServiceError
            If the file cannot be written.
        """
        with self._transaction() as execute:
            known = execute("SELECT number FROM jobs WHERE key = ?", request.key).fetchone()
            if known is not None:
                return int(known[0])
            self._make_room(execute)
            columns = (request.key, request.door, request.payload, request.deadline)
            rest = (PRIORITIES.index(request.priority), request.late)
            statement = "INSERT INTO jobs (key, door, payload, deadline, priority, late) VALUES (?, ?, ?, ?, ?, ?)"
            return int(execute(statement, *columns, *rest).lastrowid)

    def claim(self, now: float) -> Job | None:
        """Begin the job that is next: the most urgent, then the oldest. Late ones that nobody wants are dropped.

        Raises
        ------
        ServiceError
            If the file cannot be written.
        """
        with self._transaction() as execute:
            expired = "state = 'waiting' AND late = 'drop' AND deadline < ?"
            execute(f"UPDATE jobs SET state = 'dropped', reason = 'late', payload = NULL WHERE {expired}", now)
            found = execute(
                "SELECT number, key, door, payload, deadline, priority, late, attempts FROM jobs "
                "WHERE state = 'waiting' ORDER BY priority, number LIMIT 1"
            ).fetchone()
            if found is None:
                return None
            number, key, door, payload, deadline, priority, late, attempts = found
            execute("UPDATE jobs SET state = 'running', attempts = attempts + 1 WHERE number = ?", number)
            return Job(number, Request(key, door, payload, deadline, PRIORITIES[priority], late), attempts + 1)

    def finish(self, number: int, results: Mapping[str, bytes]) -> None:
        """A running job is done: its results, by destination, are to be sent.

        Raises
        ------
        ServiceError
            If the job does not run, or the file cannot be written.
        """
        with self._transaction() as execute:
            self._end(execute, number, "done", "")
            for destination, content in results.items():
                columns = (number, destination, content)
                execute("INSERT INTO outgoing (job, destination, content) VALUES (?, ?, ?)", *columns)

    def give_up(self, number: int, reason: str) -> State:
        """A running job's worker failed: it waits again, or has failed where it was tried often enough.

        Raises
        ------
        ServiceError
            If the job does not run, or the file cannot be written.
        """
        with self._transaction() as execute:
            (attempts,) = execute("SELECT attempts FROM jobs WHERE number = ?", number).fetchone() or (0,)
            state: State = "waiting" if attempts < ATTEMPTS else "failed"
            self._end(execute, number, state, reason)
            return state

    def due(self, now: float, limit: int = 16) -> list[Outgoing]:
        """Results to be sent now, the longest waiting first."""
        with self._transaction() as execute:
            rows = execute(
                "SELECT number, job, destination, content, attempts FROM outgoing WHERE due <= ? "
                "ORDER BY due, number LIMIT ?",
                now,
                limit,
            )
            return [Outgoing(*row) for row in rows]

    def postpone(self, number: int, until: float) -> None:
        """A result was sent in vain, and is to be sent again."""
        with self._transaction() as execute:
            execute("UPDATE outgoing SET attempts = attempts + 1, due = ? WHERE number = ?", until, number)

    def acknowledge(self, number: int) -> None:
        """A result has arrived."""
        with self._transaction() as execute:
            execute("DELETE FROM outgoing WHERE number = ?", number)

    def state(self, number: int) -> tuple[State, str]:
        """A job's state, and why it is so where it failed or was dropped.

        Raises
        ------
        ServiceError
            If there is no such job.
        """
        with self._transaction() as execute:
            found = execute("SELECT state, reason FROM jobs WHERE number = ?", number).fetchone()
        if found is None:
            raise ServiceError(f"{self._path}: has no job {number}")
        return found[0], found[1]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state, and how many results are on their way ("outgoing")."""
        with self._transaction() as execute:
            states = dict(execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
            (outgoing,) = execute("SELECT count(*) FROM outgoing").fetchone()
        return {**states, "outgoing": outgoing}

    def forget(self, keep: int) -> None:
        """Remove jobs that are over and have nothing on its way, but the last `keep`; their keys are new again then."""
        with self._transaction() as execute:
            execute(
                "DELETE FROM jobs WHERE state IN ('done', 'failed', 'dropped') "
                "AND number NOT IN (SELECT job FROM outgoing) AND number <= "
                "(SELECT coalesce(max(number), 0) FROM jobs) - ?",
                keep,
            )

    def _open(self) -> None:
        """Take the file for this process, make its tables, and put back what was begun."""
        connection = self._connection
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        is_new = version == 0 and tables == 0
        if not is_new and version != _SCHEMA:
            raise ServiceError(f"{self._path}: is no journal of this version of brats_trt: name another file")
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")
        if is_new:
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_SCHEMA}; COMMIT;")
        with self._transaction() as execute:
            tried = "state = 'running' AND attempts >= ?"
            failed = f"UPDATE jobs SET payload = NULL, state = 'failed', reason = ? WHERE {tried}"
            execute(failed, f"the service ended {ATTEMPTS} times in it", ATTEMPTS)
            execute("UPDATE jobs SET state = 'waiting' WHERE state = 'running'")

    def _make_room(self, execute: Any) -> None:
        (waiting,) = execute("SELECT count(*) FROM jobs WHERE state = 'waiting'").fetchone()
        if waiting < self._capacity:
            return
        if self._policy == "reject":
            raise QueueFullError(f"{waiting} jobs wait, as many as may: send the case again later, or raise the limit")
        execute(
            "UPDATE jobs SET state = 'dropped', reason = 'the queue was full', payload = NULL WHERE number = "
            "(SELECT number FROM jobs WHERE state = 'waiting' ORDER BY priority DESC, number LIMIT 1)"
        )

    def _end(self, execute: Any, number: int, state: State, reason: str) -> None:
        """Take a job out of the running ones; its case is kept only where it waits again."""
        kept = "payload" if state == "waiting" else "NULL"
        statement = f"UPDATE jobs SET state = ?, reason = ?, payload = {kept} WHERE number = ? AND state = 'running'"
        if execute(statement, state, reason, number).rowcount != 1:
            raise ServiceError(f"{self._path}: the job {number} does not run")

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Statements that are all written, or none of them."""
        with self._lock, self._faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda statement, *values: self._connection.execute(statement, values)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise ServiceError(f"{self._path}: the journal {_REMEDIES.get(str(fault), _otherwise(fault))}") from fault


def _otherwise(fault: sqlite3.Error) -> str:
    return f"cannot be used ({fault}): name another file"


# By SQLite's own words; Python 3.10 does not tell its codes.
_REMEDIES = {
    "database is locked": "belongs to a service that runs: stop that one, or name another file",
    "unable to open database file": "cannot be opened: name a file in a folder that is there and can be written",
    "database disk image is malformed": "is damaged: keep a copy of it, and name another file",
    "database or disk is full": "has no room: free space on its disk",
    "file is not a database": "is another kind of file: name one that is not there yet",
    "attempt to write a readonly database": "cannot be written: name a file that can be",
}
