"""Processes that are killed while they probe, at random moments."""

import os
import random
import signal
import time
from datetime import timedelta

import redis as plain_redis

from redis_admission import Limits, State
from redis_admission.model import Rules
from redis_admission.scripts import KEYS, load

LEASE_MS = 300
LIMITS = Limits(open_for=timedelta(seconds=0.5), open_at_most=timedelta(seconds=2), probes=2)


def server_ms(client):
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def test_a_prober_that_is_killed_costs_at_most_its_lease(redis_server):
    """Twenty times, at random moments. By the server's clock, with 100 ms for this test to take its turns."""
    rules = Rules.of("udb", LIMITS)
    tag = "admission:{udb}"
    keys = [tag, *(f"{tag}:{part}" for part in KEYS[1:])]
    clock = {"server_time": "", "known_clock": "", "at_least": "", "at_most": "", "rules": rules.as_json()}
    enter = {"lease": LEASE_MS, "is_retry": 0, "waiter_ttl": 500}

    def connect():
        return plain_redis.Redis(unix_socket_path=redis_server.path)

    def run(client, name, **arguments):
        source = load(name)
        values = [(clock | arguments)[name] for name in (*source.arguments, *source.item)]
        _, _, answer = client.eval(source.text, len(keys), *keys, *values)
        if source.item:
            (answer,) = answer
        return answer

    client = connect()
    run(client, "create", override="", by="", at=0, reason="")
    waited = []
    for turn in range(20):
        client.hset(tag, mapping={"state": "open", "open_until": 0})
        child = os.fork()
        if child == 0:
            own = connect()
            while True:
                run(own, "enter", permit=f"{os.getpid()}-{random.random()}", **enter)
        time.sleep(random.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        killed_at = server_ms(client)
        answers = 0
        while client.hget(tag, "state").decode() != State.CLOSED:
            permit = f"heir-{turn}-{answers}"
            entry = run(client, "enter", permit=permit, **enter)
            if entry[0] == b"admitted":
                ended = {"generation": entry[1], "entered": entry[3], "outcome": "ok", "reason": "", "actor": ""}
                run(client, "record", permit=permit, **ended)
            answers += 1
        waited.append(int(client.hget(tag, "since")) - killed_at)
    assert max(waited) <= LEASE_MS + 100, waited
    client.close()
