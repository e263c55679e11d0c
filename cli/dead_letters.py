"""`registerbro queue`: lists, replays and discards dead letters, the messages that were redelivered too often."""

# mypy: disallow-untyped-calls=False
# kombu says that it is typed, and hardly is.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import redis
import typer
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from cli.process import fail
from cli.session import By, Reason, operator
from config import celery as celery_config
from config.settings import settings
from redis_transport import SCHEMES, DeadLetter, Store, install
from registerbro.audit_log import Action
from registerbro.terminal import say, say_json

queue = typer.Typer(no_args_is_help=True, help="Looks after the queues.")
dead = typer.Typer(no_args_is_help=True, help="Looks after messages that came back too often (dead letters).")
queue.add_typer(dead, name="dead")

Which = Annotated[list[str] | None, typer.Argument(help="Ids of tasks or tags of messages, or beginnings of them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


@dead.command("list")
def list_dead(as_json: AsJson = False) -> None:  # noqa: FBT002 - typer's way of an option
    """List the dead letters, the oldest first, without their arguments."""
    with open_store() as store:
        letters = store.dead_letters()
    if as_json:
        say_json([_document(letter) for letter in letters])
        return
    for letter in letters:
        say(
            f"{letter.died:%Y-%m-%d %H:%M:%S}Z  {letter.queue}  {letter.task or '?'}  {letter.id or letter.tag}  "
            f"{letter.deliveries} deliveries since {letter.since:%Y-%m-%d %H:%M:%S}Z ({letter.reason})"
        )
    if not letters:
        say("no dead letters")


def _for_each(action: Action, done: str, act: Callable[[Store, str], object]) -> Callable[..., None]:
    """The command that takes an action with each dead letter that is named, on record."""

    def command(
        which: Which = None,
        everything: All = False,  # noqa: FBT002
        reason: Reason = "",
        by: By = "",
        as_json: AsJson = False,  # noqa: FBT002
    ) -> None:
        who = operator(by)
        with open_store() as store:
            for letter in _named(store, which, everything=everything):
                try:
                    with who.recorded(action, target=_target(letter), reason=reason):
                        act(store, letter.tag)
                except ValueError as error:
                    fail(f"{error}; look at it in Redis, or discard it", 1)
                _tell(done, letter, as_json=as_json)

    return command


dead.command("replay", help="Put dead letters back into their queues, as if they had never been delivered.")(
    _for_each(Action.REPLAY_MESSAGE, "replayed", lambda store, tag: store.replay(tag))
)
dead.command("discard", help="Forget dead letters for good.")(
    _for_each(Action.DISCARD_MESSAGE, "discarded", lambda store, tag: store.discard(tag))
)


@contextmanager
def open_store() -> Iterator[Store]:
    """The broker's store of messages. Ends the command in one line when the broker does not answer, or is no Redis."""
    url = settings().broker_url.get_secret_value()
    if url.partition("://")[0] not in SCHEMES:
        fail("dead letters are kept by the transport of Redis brokers, and this broker is another")
    options = celery_config.configuration(settings())["broker_transport_options"]
    install()
    try:
        with Connection(url, transport_options=options) as connection:
            store = connection.default_channel.make_store()
            try:
                yield store
            finally:
                store.close()
    except (redis.RedisError, OSError, OperationalError) as error:
        fail(f"the broker cannot be asked: {error}", 1)


def _named(store: Store, which: list[str] | None, *, everything: bool) -> list[DeadLetter]:
    """The dead letters that are named. Ends the command in one line for a name that fits none or several."""
    if everything is bool(which):
        fail("name the dead letters, or say --all")
    letters = store.dead_letters()
    if everything:
        return letters
    named = []
    for name in which or []:
        fitting = [letter for letter in letters if letter.tag.startswith(name) or (letter.id or "").startswith(name)]
        if len(fitting) != 1:
            fail(f"{name}: {len(fitting) or 'no'} dead letters begin like that; see registerbro queue dead list")
        named += fitting
    return named


def _target(letter: DeadLetter) -> str:
    return f"{letter.task or '?'} {letter.id or letter.tag}"


def _document(letter: DeadLetter) -> dict[str, object]:
    return asdict(letter) | {"since": letter.since.isoformat(), "died": letter.died.isoformat()}


def _tell(what: str, letter: DeadLetter, *, as_json: bool) -> None:
    if as_json:
        say_json({what: _document(letter)}, indent=None)
    else:
        say(f"{what}: {letter.task or '?'} {letter.id or letter.tag}")
