"""The service's journal: order, limits, tries, and what is left of it when its process is killed."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace

import pytest

from brats_trt.serve.errors import QueueFullError, ServiceError
from brats_trt.serve.job import Request
from brats_trt.serve.journal import ATTEMPTS, Journal

NOW = 1_000_000.0
REQUEST = Request("first", "mrd", b"four volumes", NOW + 60)


def request(key, **changes):
    return replace(REQUEST, key=key, **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path):
    opened = Journal(path, capacity=4)
    yield opened
    opened.close()


def reopened(journal, path, **options):
    journal.close()
    return Journal(path, **{"capacity": 4, **options})


def drained(journal):
    """The keys of all jobs that wait, in the order in which they are begun."""
    return [job.request.key for job in iter(lambda: journal.claim(NOW), None)]


# ------------------------------------------------------------------------------------------------ the queue


def test_a_job_comes_back_as_it_was_asked_for(journal):
    asked = request("a", priority="urgent", late="drop", payload=bytes(range(256)))
    number = journal.accept(asked)
    job = journal.claim(NOW)
    assert (job.number, job.attempts) == (number, 1)
    assert vars(job.request) == vars(asked)
    assert not job.is_late(NOW + 60)
    assert job.is_late(NOW + 61)
    assert journal.claim(NOW) is None


def test_a_patient_on_the_table_goes_before_a_case_that_is_run_again(journal):
    for key, priority in (("a", "routine"), ("b", "urgent"), ("c", "routine"), ("d", "urgent")):
        journal.accept(request(key, priority=priority))
    assert drained(journal) == ["b", "d", "a", "c"]


def test_who_asks_twice_has_asked_once(journal):
    number = journal.accept(REQUEST)
    assert journal.accept(REQUEST) == number
    journal.finish(journal.claim(NOW).number, {"peer": b"labels"})
    assert journal.accept(REQUEST) == number
    assert journal.claim(NOW) is None


def test_a_full_queue_rejects_one_more(journal):
    for key in "abcd":
        journal.accept(request(key))
    with pytest.raises(QueueFullError, match="4 jobs wait, as many as may: send the case again later"):
        journal.accept(request("e", priority="urgent"))
    assert journal.accept(request("a")) == 1, "known already"
    journal.claim(NOW)
    journal.accept(request("e"))
    assert drained(journal) == ["b", "c", "d", "e"]


def test_a_full_queue_drops_the_oldest_of_the_least_urgent(journal, path):
    journal = reopened(journal, path, policy="drop_oldest")
    numbers = {key: journal.accept(request(key, priority="urgent" if key in "af" else "routine")) for key in "abcdef"}
    assert [key for key, number in numbers.items() if journal.state(number) == ("dropped", "the queue was full")] == [
        "b",
        "c",
    ]
    assert drained(journal) == ["a", "f", "d", "e"]
    journal.close()


def test_a_late_job_runs_unless_nobody_wants_it_late(journal):
    wanted, unwanted = journal.accept(REQUEST), journal.accept(request("b", late="drop"))
    job = journal.claim(NOW + 61)
    assert (job.number, job.is_late(NOW + 61)) == (wanted, True)
    assert journal.claim(NOW + 61) is None
    assert journal.state(unwanted) == ("dropped", "late")


# ------------------------------------------------------------------------------------------------ its end


def test_results_are_sent_until_they_are_acknowledged(journal):
    number = journal.accept(REQUEST)
    assert journal.due(NOW) == []
    journal.claim(NOW)
    journal.finish(number, {"peer": b"labels", "archive": b"report"})
    assert journal.state(number) == ("done", "")
    first, second = journal.due(NOW)
    assert (first.job, first.destination, first.content, first.attempts) == (number, "peer", b"labels", 0)
    journal.postpone(first.number, NOW + 10)
    assert [result.destination for result in journal.due(NOW)] == ["archive"]
    journal.acknowledge(second.number)
    assert journal.due(NOW) == []
    (again,) = journal.due(NOW + 10)
    assert (again.destination, again.attempts) == ("peer", 1)
    journal.acknowledge(again.number)
    assert journal.counts() == {"done": 1, "outgoing": 0}


def test_a_job_is_tried_once_more_and_then_has_failed(journal):
    number = journal.accept(REQUEST)
    states = []
    for _ in range(ATTEMPTS):
        assert journal.claim(NOW).request.payload == REQUEST.payload
        states.append(journal.give_up(number, "the worker died"))
    assert states == ["waiting", "failed"]
    assert journal.state(number) == ("failed", "the worker died")
    assert journal.claim(NOW) is None


def test_only_a_job_that_runs_can_end(journal):
    number = journal.accept(REQUEST)
    for end in (lambda: journal.finish(number, {"peer": b""}), lambda: journal.give_up(number, "")):
        with pytest.raises(ServiceError, match=f"the job {number} does not run"):
            end()
    with pytest.raises(ServiceError, match="has no job 77"):
        journal.state(77)
    assert journal.counts() == {"waiting": 1, "outgoing": 0}


def test_jobs_that_are_over_are_forgotten_once_all_was_sent(journal, path):
    for key in "abcd":
        number = journal.accept(request(key))
        if key != "d":
            journal.claim(NOW)
            journal.finish(number, {"peer": b"labels"} if key == "b" else {})
    journal.forget(keep=1)
    assert journal.counts() == {"done": 1, "waiting": 1, "outgoing": 1}
    journal.acknowledge(journal.due(NOW)[0].number)
    journal.forget(keep=1)
    assert journal.counts() == {"waiting": 1, "outgoing": 0}
    assert journal.accept(request("a")) == 5, "numbers are not used again"


# ------------------------------------------------------------------------------------------------ kills and faults


def test_what_was_begun_waits_again_when_the_journal_is_opened(journal, path):
    number = journal.accept(REQUEST)
    for attempt in range(1, ATTEMPTS + 1):
        assert journal.claim(NOW).attempts == attempt
        journal = reopened(journal, path)
    assert journal.claim(NOW) is None
    assert journal.state(number) == ("failed", f"the service ended {ATTEMPTS} times in it")
    journal.close()


SERVICE = """
import sys
from pathlib import Path
from brats_trt.serve.job import Request
from brats_trt.serve.journal import Journal

say = lambda *words: print(*words, flush=True)
journal = Journal(Path(sys.argv[1]), capacity=10**6)
say("open")
for n in range(10**6):
    key = f"{sys.argv[2]}-{n}"
    journal.accept(Request(key, "mrd", key.encode() * 2000, 1e12))
    say("accepted", key)
    for result in journal.due(0, limit=1) if n % 3 == 0 else ():
        say("sent", result.content.decode())
        journal.acknowledge(result.number)
    if n % 4 != 3:
        job = journal.claim(0)
        assert job.request.payload == job.request.key.encode() * 2000
        journal.finish(job.number, {"peer": job.request.key.encode()})
        say("finished", job.request.key)
"""


def test_nothing_accepted_is_lost_by_kills_and_nothing_is_done_twice(path):
    dice, said = random.Random(0), []
    for life in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, path, str(life)], cwd=path.parent, stdout=subprocess.PIPE, text=True
        )
        lines = [process.stdout.readline() for _ in range(dice.randrange(20, 120))]
        process.send_signal(signal.SIGKILL)
        said += [line.split() for line in (*lines, *process.communicate()[0].splitlines(keepends=True))]
        assert process.returncode == -signal.SIGKILL
    counts = Counter(tuple(words) for words in said if len(words) == 2)
    accepted = {key for word, key in counts if word == "accepted"}
    finished = {key for word, key in counts if word == "finished"}
    sent = Counter({key: n for (word, key), n in counts.items() if word == "sent"})
    assert len(accepted) > 50
    assert sent
    assert all(n == 1 for (word, _), n in counts.items() if word == "finished")
    journal = Journal(path, capacity=1)
    waiting, outgoing = set(drained(journal)), {result.content.decode() for result in journal.due(0, limit=10**6)}
    assert accepted <= waiting | outgoing | sent.keys(), "one was lost"
    assert finished <= outgoing | sent.keys(), "a result was lost"
    assert not waiting & (finished | outgoing | sent.keys()), "one would be done twice"
    assert sum(sent.values()) - len(sent) <= 6, "sent again only where the kill came before the acknowledgement"
    journal.close()


def test_threads_take_turns(journal, path):
    journal = reopened(journal, path, capacity=1000)
    done = []

    def work(thread):
        for n in range(25):
            journal.accept(request(f"{thread}-{n}"))
            job = journal.claim(NOW)
            journal.finish(job.number, {"peer": job.request.key.encode()})
            done.append(job.request.key)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(done)) == len(done) == 100
    assert journal.counts() == {"done": 100, "outgoing": 100}
    journal.close()


def test_a_full_disk_is_said_and_what_was_there_stays(journal):
    journal.accept(REQUEST)
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ServiceError, match="the journal has no room: free space on its disk"):
        journal.accept(request("large", payload=bytes(10**6)))
    assert drained(journal) == ["first"]


def test_two_services_do_not_share_a_journal(journal, path):
    with pytest.raises(ServiceError, match="belongs to a service that runs: stop that one, or name another file"):
        Journal(path, capacity=4)
    journal.accept(REQUEST)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"something else " * 100), "is another kind of file"),
        (lambda path: path.mkdir(), "cannot be opened: name a file in a folder that is there"),
        (lambda path: _database(path, "CREATE TABLE other (x)"), "is no journal of this version"),
        (lambda path: _database(path, "PRAGMA user_version = 99"), "is no journal of this version"),
    ],
    ids=["text", "folder", "another database", "another version"],
)
def test_what_is_no_journal_is_refused_and_kept(path, spoil, said):
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ServiceError, match=said) as caught:
        Journal(path, capacity=4)
    assert str(caught.value).startswith(f"{path}: ")
    assert (path.read_bytes() if path.is_file() else None) == before


def _database(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
