"""What insiders can do on the Redis servers and to workers, tried by each of them, is what the document says."""

import json
import re
import threading
import time

import pytest
import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, ResponseError
from redis.retry import Retry

from demo.installation import installation, wait_for
from registerbro.storage import acl
from tests.system.insiders import ASK, Insiders, as_before_7, table, without_marks
from workers.process.remote_control import ASKS

pytestmark = pytest.mark.xdist_group("processes")

WORKER = "worker-su"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    # The worker is asked, and asks nobody.
    with installation(tmp_path_factory.mktemp("insiders"), {"SU__BASE_URL": "http://127.0.0.1:1"}) as it:
        yield it.use_users().start_redis()


@pytest.fixture(scope="module")
def insiders(here):
    it = Insiders(lambda user, server: here.redis[server].url_for(user))
    yield it
    it.close()


@pytest.fixture(scope="module")
def worker(here):
    process = here.start_worker("su")
    wait_for(lambda: process.has_logged("worker_ready"), "the worker")
    return process


def client_of(here, user, server):
    return redis.Redis.from_url(here.redis[server].url_for(user), retry=Retry(NoBackoff(), 0))


def test_the_document_tells_what_each_insider_can_do(insiders, project):
    text = (project / "docs" / "security.md").read_text("utf-8")
    shown = re.search(r"<!-- python -m tests.system.insiders -->\n(.*?)\n<!-- end -->", text, re.DOTALL)[1]
    tells = insiders.version >= acl.READ_ONLY_KEYS_SINCE
    measured = without_marks(table(insiders))
    assert measured.splitlines() == (without_marks(shown) if tells else as_before_7(shown)).splitlines()


ORDERS = {
    "shutdown": {},
    "cancel_consumer": {"queue": "su"},
    "add_consumer": {"queue": "udb"},
    "rate_limit": {"task_name": "su.refresh", "rate_limit": "1/h"},
    "time_limit": {"task_name": "su.refresh", "hard": 1, "soft": 1},
    "pool_grow": {"n": 7},
    "pool_shrink": {"n": 1},
    "pool_restart": {"modules": ["os"]},
    "autoscale": {"max": 1, "min": 1},
    "revoke": {"task_id": "some-id"},
    "revoke_by_stamped_headers": {"headers": {"a": ["b"]}},
    "terminate": {"signal": "KILL", "task_id": "some-id"},
    "election": {"id": "x", "topic": "task", "action": {"task": "su.sweep"}},
    "enable_events": {},
    "disable_events": {},
    "objgraph": {},
    "memdump": {},
    "memsample": {},
}


class Asking:
    """What a user says to the workers, over Celery's own remote control."""

    def __init__(self, here, user):
        self.app = Celery(set_as_current=False, broker=here.redis["broker"].url_for(user))
        # As Flower does it: what is taken off the queue of answers is not noted anywhere.
        self.app.conf.broker_transport_options = {"ack_emulation": False}
        self.app.conf.broker_connection_retry_on_startup = False

    def __call__(self, command, **arguments):
        # The first answer is the only one: there is one worker.
        answers = self.app.control.broadcast(command, arguments=arguments, reply=True, timeout=30, limit=1)
        ((answer,),) = ([*one.values()] for one in answers)
        return answer


@pytest.fixture
def asking(here):
    made = []

    def make(user):
        made.append(Asking(here, user))
        return made[-1]

    yield make
    for one in made:
        one.app.close()


def state_of(ask):
    """Whatever an order could change of a worker."""
    told = ask("stats")
    limits = [line for line in ask("registered", taskinfoitems=["rate_limit"]) if "su.refresh" in line]
    queues = sorted(queue["name"] for queue in ask("active_queues"))
    return told["pid"], told["pool"]["max-concurrency"], limits, queues, ask("revoked"), told["prefetch_count"]


MAY_ASK = [user for user in acl.GRANTS if "/0.celery.pidbox" in acl.GRANTS[user].get("broker", acl.Grant()).channels]
MAY_ASK += [acl.OPERATOR]


@pytest.mark.parametrize("user", MAY_ASK)
def test_whoever_may_ask_a_worker_moves_it_to_nothing(worker, asking, user):
    ask = asking(user)
    before = state_of(ask)
    for command, arguments in ORDERS.items():
        assert ask(command, **arguments) == {"error": f"KeyError({command!r})"}
    ask("hello", from_node="somebody@else", revoked=["some-id"])
    assert state_of(ask) == before
    assert worker.runs


@pytest.mark.parametrize("user", [user for user in acl.GRANTS if user not in MAY_ASK])
def test_the_others_may_not_even_ask(here, worker, user):
    client = client_of(here, user, "broker")
    with client, pytest.raises(NoPermissionError):
        client.execute_command(*ASK)


def test_no_answer_shows_what_anything_is_signed_in_with(here, worker, asking):
    ask = asking("flower")
    answers = {command: ask(command) for command in sorted(ASKS - {"heartbeat", "query_task", "hello"})}
    answers["conf"] = ask("conf", with_defaults=True)
    text = json.dumps(answers)
    assert here.redis["broker"].url.partition("@")[2].removesuffix("/0") in text
    secrets = {
        part
        for user in acl.GRANTS
        for server in here.redis.values()
        for part in re.findall(r":([^:/@]+)@", server.url_for(user))
    }
    assert len(secrets) == sum(len(grants) for grants in acl.GRANTS.values())
    assert [secret for secret in secrets if secret in text] == []


def test_no_worker_listens_to_events_in_which_anybody_may_call_a_vote(here, worker):
    with client_of(here, "flower", "broker") as flower:
        assert flower.publish("/0.celery.pidbox", "{}") == 1
        assert flower.publish("/0.celeryev/worker.elect", "{}") == 0


@pytest.mark.parametrize(
    ("user", "known", "server"),
    [
        (user, known, server)
        for user, grants in acl.GRANTS.items()
        for known in grants
        for server in acl.SERVERS
        if server != known
    ],
)
def test_what_opens_one_server_opens_no_other(here, user, known, server):
    password = re.search(r":([^:/@]+)@", here.redis[known].url_for(user))[1]
    url = f"redis://{user}:{password}@127.0.0.1:{here.redis[server].port}/0"
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize("server", acl.SERVERS)
def test_a_script_that_holds_a_server_up_can_be_ended_by_an_operator_and_by_nobody_else(here, server):
    user = "portal"
    with client_of(here, user, server) as holder, client_of(here, acl.OPERATOR, server) as operator:
        digest = holder.script_load("while true do end")
        ended = []

        def hold():
            try:
                holder.evalsha(digest, 0)
            except ResponseError as error:
                ended.append(str(error))

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            with client_of(here, user, server) as other:
                wait_for(lambda: is_busy(other), "the server to say that it is busy")
                for command in (("SCRIPT", "KILL"), ("SHUTDOWN", "NOSAVE"), ("FUNCTION", "KILL")):
                    with pytest.raises(ResponseError, match=r"(?i)no permissions|unknown command"):
                        other.execute_command(*command)
        finally:
            operator.execute_command("SCRIPT", "KILL")
            thread.join(60)
        assert "kill" in ended[0].lower()
        assert operator.ping()


def is_busy(client):
    try:
        client.ping()
    except ResponseError as error:
        return "BUSY" in f"{type(error).__name__} {error}".upper()
    time.sleep(0.01)
    return False
