"""How a Redis server is made to refuse, each way by its own means, and to serve again: nothing of it is feigned."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import redis

from demo.installation import RedisServer, wait_for

LOADED_WITHIN_SECONDS = 300.0
COMMANDS_PER_SECOND = 6000
"""What a server loads with the shortest delay per command, a sleep of 0.1 ms; a busy machine loads fewer."""
NOTHING = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
"""A command of an append-only file that changes nothing."""


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    """No memory is left (OOM). A server that may evict has then evicted all that has an expiry."""
    with server.client() as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", before)


@contextmanager
def replica(server: RedisServer) -> Iterator[None]:
    """A demoted master: who waits gets UNBLOCKED, who writes READONLY."""
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def without_its_master(server: RedisServer) -> Iterator[None]:
    """A replica that serves nothing without its master (MASTERDOWN)."""
    with server.client() as client:
        client.config_set("replica-serve-stale-data", "no")
        try:
            with replica(server):
                yield
        finally:
            client.config_set("replica-serve-stale-data", "yes")


@contextmanager
def cannot_write(server: RedisServer) -> Iterator[None]:
    """The disk takes no snapshot (MISCONF): in the place of its file is a folder."""
    with server.client() as client:
        configured = client.config_get("d*")
        in_the_way = Path(configured["dir"]) / configured["dbfilename"]
        in_the_way.mkdir()
        try:
            client.config_set("save", "900 1")
            client.execute_command("BGSAVE")
            wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the failure of a snapshot")
            yield
        finally:
            client.config_set("save", "")
            in_the_way.rmdir()


@contextmanager
def without_replicas(server: RedisServer) -> Iterator[None]:
    """Fewer replicas than a write needs (NOREPLICAS)."""
    with server.client() as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            client.config_set("min-replicas-to-write", 0)


@contextmanager
def busy(server: RedisServer) -> Iterator[None]:
    """A script without end (BUSY)."""
    with server.client() as client:
        client.config_set("lua-time-limit", 50)

        def run() -> None:
            with suppress(redis.RedisError), server.client() as other:
                other.eval("while true do end", 0)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_for(lambda: says(client, "BUSY"), "the script")
            yield
        finally:
            client.script_kill()
            thread.join()


@contextmanager
def loading(server: RedisServer, seconds: float = 5.0) -> Iterator[None]:
    """A server that was restarted and reads its append-only file (LOADING), for so many seconds or a little longer.

    It is stopped in order, so that it loses nothing. One without such a file has one for that time. Nobody can end the
    loading, so the end of the block waits for that.
    """
    with server.client() as client:
        keeps_none = client.config_get("appendonly")["appendonly"] == "no"
        if keeps_none:
            client.config_set("appendonly", "yes")
            wait_for(lambda: not _rewrites(client), "the append-only file")
        # Each command takes its time, those that the server has written itself too.
        _wait_for_rewrite(client)
        file = _append_only_file(client)
        process = server.process
        process.stop()
        with file.open("ab") as log:
            log.write(NOTHING * round(seconds * COMMANDS_PER_SECOND))
        command = list(process.command)
        process.command += ["--key-load-delay", "100", "--appendonly", "yes"]
        process.start()
        process.command[:] = command
        try:
            wait_for(lambda: says(client, "LOADING"), "the loading")
            yield
        finally:
            wait_for(lambda: not says(client, "LOADING"), "the end of the loading", LOADED_WITHIN_SECONDS)
            # What was loaded for the sake of the time it takes is not to be loaded again.
            _wait_for_rewrite(client)
            if keeps_none:
                client.config_set("appendonly", "no")


def _wait_for_rewrite(client: redis.Redis) -> None:
    client.execute_command("BGREWRITEAOF")
    wait_for(lambda: not _rewrites(client), "a shorter append-only file")


def _rewrites(client: redis.Redis) -> bool:
    told = client.info("persistence")
    return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])


def _append_only_file(client: redis.Redis) -> Path:
    """The file that is appended to: the only one, or, since Redis 7, the newest of several."""
    directory = Path(client.config_get("dir")["dir"])
    files = [directory / "appendonly.aof", *directory.glob("appendonlydir/*.incr.aof")]
    return max((file for file in files if file.exists()), key=lambda file: file.stat().st_mtime_ns)


def says(client: redis.Redis, code: str) -> bool:
    """Whether the server refuses a PING, with this code."""
    try:
        client.ping()
    except redis.BusyLoadingError:
        return code == "LOADING"
    except redis.ResponseError as error:
        return code in str(error)
    except redis.ConnectionError:
        return code == "LOADING"
    return False


Refuse = Callable[[RedisServer], AbstractContextManager[None]]

KINDS: dict[str, Refuse] = {"READONLY": replica, "OOM": full, "MISCONF": cannot_write, "NOREPLICAS": without_replicas,
         "BUSY": busy, "LOADING": loading, "MASTERDOWN": without_its_master}  # fmt: skip
"""Code of the refusal → what brings it about, for as long as the block lasts."""
