"""Refusals: known by their code, and errors of the connection to kombu."""

import pytest
import redis
from redis.exceptions import ReadOnlyError, ResponseError

from redis_transport.refusals import Refused, is_refusal
from tests.redis_transport.conftest import Connect
from tests.redis_transport.inbox import Inbox, publish_with


@pytest.mark.parametrize("text", [
    "READONLY You can't write against a read only replica.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "Error running script (call to f_1): @user_script:9: @user_script: 9: -READONLY You can't write against a replica.",
    "Error running script (call to f_1): @user_script:9: -OOM command not allowed when used memory > 'maxmemory'.",
])  # fmt: skip
def test_a_refusal_is_known_by_its_code(text: str) -> None:
    assert is_refusal(ResponseError(text))


@pytest.mark.parametrize("text", [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR unknown command 'OOM'",
    "BUSYGROUP Consumer Group name already exists",
    "ERR Error running script (call to f_1): @user_script:9: attempt to index a nil value (BUSY)",
    "NOSCRIPT No matching script. Please use EVAL.",
])  # fmt: skip
def test_an_error_is_no_refusal(text: str) -> None:
    assert not is_refusal(ResponseError(text))


def test_a_refusal_keeps_its_code_when_redis_py_has_a_class_for_it() -> None:
    assert is_refusal(ReadOnlyError("You can't write against a read only replica.", status_code="READONLY"))


def test_to_kombu_a_refusal_is_an_error_of_the_connection(connect: Connect, client: redis.Redis) -> None:
    inbox = Inbox(connect(), "q")
    assert Refused in inbox.connection.connection_errors
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(inbox.connection.connection_errors):
            publish_with(inbox.connection, 1)
    finally:
        client.config_set("maxmemory", 0)
    publish_with(inbox.connection, 2)
    inbox.wait(1)[0].ack()
