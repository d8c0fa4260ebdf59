"""Telemetry over NATS JetStream (nats-py). The stream keeps the messages, so they stay there until it is time to store them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aios_assets.contracts.errors import AiosError, UsageError
from aios_assets.resources.bus import BUNDLE_BYTES, BUNDLE_MESSAGES, EVERY_S, Keeper, unreached
from aios_assets.resources.transport import Store
from aios_assets.telemetry import Message

FETCHED = 1_000  # messages asked for at once, fewer where they are large
FIRST_FETCHED = 32  # before we know how large they are
LOOK_S = 2.0  # how often we look how many wait
NO_LIMIT = -1


def is_subject(text: str) -> bool:
    """Whether NATS takes `text` as a filter of subjects.

    >>> [is_subject(t) for t in ("sensors.>", "a.*.b", "a.>.b", "a.b>", "a..b", "a b", "")]
    [True, True, False, False, False, False, False]
    """
    tokens = text.split(".")
    alone = all(t in ("*", ">") or (t and not set(t) & set("*> \t\r\n\0")) for t in tokens)
    return alone and ">" not in tokens[:-1]


@dataclass(slots=True)
class _Link:
    """What the library said of the connection."""

    last: Exception | None = None
    is_opening: bool = True
    is_lost: bool = False


@dataclass(slots=True)
class _Pull:
    """The consumer, and how it was told to deliver.

    Attributes:
        subscription: nats-py's pull subscription.
        most: messages that may wait for an acknowledgement.
        largest: bytes of the largest message so far.
    """

    subscription: Any
    most: int
    largest: int = field(default=BUNDLE_BYTES // FIRST_FETCHED)

    def asked(self, left: int) -> int:
        """How many messages to ask for: no more than fit in memory if all are as large as the largest."""
        return max(1, min(FETCHED, left, BUNDLE_BYTES // max(self.largest, 1)))


@dataclass(frozen=True, slots=True)
class NatsTelemetry:
    """A durable pull consumer of a JetStream stream: NATS keeps its place.

    A server that goes away is tried again until it is back, and both are told.

    Attributes:
        subject: subject filter, such as `sensors.>`.
        stream: stream that holds it; made when there is none.
        servers: address of the server.
        durable: name of the consumer; the same name goes on where it stopped.
        linger_s: seconds to wait for a message.
        ack_wait_s: seconds after which the server offers an unacknowledged message again.
        username: for servers that ask.
        password: for servers that ask.
        tls: how to check the server's certificate; None speaks TLS only where the server demands it.
        say: takes a line for the person.
        every_s: what waits in the stream is fetched and stored so often, and when it fills a bundle.
        rules: mapping of the messages, as plain data.
    """

    subject: str
    stream: str = "TELEMETRY"
    servers: str = "nats://127.0.0.1:4222"
    durable: str = "aios-telemetry"
    linger_s: float = 0.5
    ack_wait_s: float = 60.0
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    say: Callable[[str], object] = str
    every_s: float = EVERY_S
    rules: Sequence[dict[str, Any]] = ()

    def serve(self, store: Store, until: Callable[[], bool]) -> int:
        """Receive until `until()`; returns messages acknowledged.

        Raises:
            UsageError: subject, stream or name cannot be any.
            AiosError: the server cannot be reached or has no JetStream, or the consumer is another's.
        """
        import asyncio

        if not is_subject(self.subject):
            raise UsageError(
                f"'{self.subject}' is no NATS subject",
                todo="let * and > stand alone between dots, > at the end, and no spaces",
            )
        for what, name in (("stream", self.stream), ("name", self.durable)):
            if not name or set(name) & set(" .*>/\\\t\r\n"):
                raise UsageError(f"'{name}' is no {what} of JetStream", todo=f"give --{what} without spaces, dots, *, > and slashes")  # fmt: skip
        return asyncio.run(self._serve(store, until))

    async def _serve(self, store: Store, until: Callable[[], bool]) -> int:
        import nats.errors
        from nats.js.errors import Error as JetStreamError

        link = _Link()
        connection = await self._connect(link)
        keep = Keeper(store, "nats", self.servers, self.subject, self.rules, self.say)
        try:
            pull = await self._consumer(connection.jetstream())
            self.say(f"listening to {self.subject} (nats, {self.stream} of {self.servers}); stop with Ctrl-C")
            return await self._pump(pull, link, keep, until)
        except JetStreamError as error:
            raise AiosError(
                f"JetStream refused: {getattr(error, 'description', None) or error}",
                where=f"{self.stream} {self.subject}",
                todo="give the --stream that holds the subject, or see the server's log",
            ) from error
        except (nats.errors.Error, TimeoutError) as error:
            raise AiosError(
                f"the NATS server stopped answering ({link.last or error})",
                where=self.servers,
                todo="start it again, and listen again: what was not acknowledged is offered once more",
            ) from error
        finally:
            await connection.close()

    async def _connect(self, link: _Link) -> Any:
        """A connection that comes back by itself once it was there.

        Raises:
            AiosError: there is no server, or it does not let us in.
        """
        import nats.errors

        async def keep(error: Exception) -> None:
            """What the library would log with a traceback for every attempt; the newest is told, in one line.

            A failed TLS handshake ends the first connecting here: the library would close what it could not open, and wait
            for ever. Later ones are tried again, and what a server still says to a connection that closes is no failure.
            """
            link.last = error
            if link.is_opening and isinstance(error, ssl.SSLError):
                raise error

        async def lost() -> None:
            if not link.is_opening and not link.is_lost and not connection.is_closed:
                link.is_lost = True
                self.say(f"the NATS server went away ({self.servers}); trying again until it is back")

        async def back() -> None:
            link.is_lost = False
            self.say(f"the NATS server is back ({self.servers})")

        login = {"user": self.username, "password": self.password} if self.username else {}
        connection = _nats_client(self.tls)
        try:
            await connection.connect(
                self.servers, connect_timeout=3, max_reconnect_attempts=3, error_cb=keep, disconnected_cb=lost,
                reconnected_cb=back, tls=self.tls, **login,
            )  # fmt: skip
        except (OSError, nats.errors.Error) as error:
            raise unreached("NATS server", link.last or error, self.servers) from error
        link.is_opening = False
        connection.options["max_reconnect_attempts"] = NO_LIMIT
        return connection

    async def _consumer(self, stream: Any) -> _Pull:
        """The durable consumer, made where there is none.

        Raises:
            AiosError: there is one of this name for other subjects, or one that gives a message up.
        """
        from nats.js.api import ConsumerConfig
        from nats.js.errors import NotFoundError

        try:
            await stream.stream_info(self.stream)
        except NotFoundError:
            await stream.add_stream(name=self.stream, subjects=[self.subject])
        config = ConsumerConfig(ack_wait=self.ack_wait_s, max_ack_pending=BUNDLE_MESSAGES)
        try:
            have = (await stream.consumer_info(self.stream, self.durable)).config
        except NotFoundError:
            have = None
        if have is not None:
            self._check(have)
        pull = await stream.pull_subscribe(self.subject, durable=self.durable, stream=self.stream, config=config)
        most = BUNDLE_MESSAGES if have is None or not have.max_ack_pending else have.max_ack_pending
        return _Pull(pull, BUNDLE_MESSAGES if most < 0 else min(most, BUNDLE_MESSAGES))

    def _check(self, have: Any) -> None:
        where, todo = f"{self.stream} {self.durable}", "give --name with a name of its own, or delete the consumer"
        if (have.filter_subject or self.subject) != self.subject:
            raise AiosError(
                f"the consumer of that name listens to {have.filter_subject}, not to {self.subject}", where=where, todo=todo
            )  # fmt: skip
        if have.deliver_subject:
            raise AiosError("the consumer of that name is one that the server pushes to", where=where, todo=todo)
        if (have.max_deliver or NO_LIMIT) > 0:
            self.say(f"the consumer {self.durable} gives a message up after {have.max_deliver} deliveries without acknowledgement; let it have no such limit (max_deliver)")  # fmt: skip

    async def _pump(self, pull: _Pull, link: _Link, keep: Keeper, until: Callable[[], bool]) -> int:
        import asyncio

        count, due, look = 0, 0.0, 0.0
        while True:
            is_ending, now = until(), time.monotonic()
            if not is_ending and now < due and now >= look and not link.is_lost:
                look = now + LOOK_S
                due = 0.0 if await self._waiting(pull) >= pull.most else due
            if not is_ending and now < due:
                await asyncio.sleep(min(self.linger_s, 0.5))
                continue
            messages = await self._collect(pull, link)
            if messages:
                await asyncio.to_thread(keep, [_message(m) for m in messages])
                await self._acknowledge(messages, link)
                count += len(messages)
                is_full = len(messages) >= pull.most or sum(len(m.data) for m in messages) >= BUNDLE_BYTES
                due = 0.0 if is_full else time.monotonic() + self.every_s
            if is_ending:
                return count

    async def _waiting(self, pull: _Pull) -> int:
        """Messages in the stream that we were not given yet."""
        import nats.errors

        try:
            return int((await pull.subscription.consumer_info()).num_pending or 0)
        except (TimeoutError, nats.errors.Error):
            return 0  # a server that does not answer now is asked again

    async def _collect(self, pull: _Pull, link: _Link) -> list[Any]:
        """What waits in the stream, as much as one bundle holds."""
        import asyncio

        import nats.errors

        got: list[Any] = []
        size = 0
        while len(got) < pull.most and size < BUNDLE_BYTES:
            try:
                more = await pull.subscription.fetch(pull.asked(pull.most - len(got)), timeout=self.linger_s)
            except (TimeoutError, nats.errors.TimeoutError):
                break
            except nats.errors.Error:
                if not link.is_lost:
                    raise
                await asyncio.sleep(self.linger_s)
                break
            got += more
            sizes = [len(m.data) for m in more]
            size += sum(sizes)
            # What is large stays in mind for a while: half as much with every fetch.
            pull.largest = max(*sizes, pull.largest // 2, 1)
        return got

    async def _acknowledge(self, messages: Sequence[Any], link: _Link) -> None:
        """Tell the server; the last one waits for its answer, and the server takes them in turn."""
        import nats.errors

        try:
            for message in messages[:-1]:
                await message.ack()
            await messages[-1].ack_sync(timeout=10)
        except (TimeoutError, nats.errors.Error) as error:
            # They are stored; what was not heard is offered again and is known then.
            if not link.is_lost and not isinstance(error, TimeoutError | nats.errors.TimeoutError):
                raise


def _message(message: Any) -> Message:
    told = message.metadata
    return Message(
        message.subject, bytes(message.data), told.timestamp, is_again=(told.num_delivered or 1) > 1, sequence=told.sequence.stream
    )  # fmt: skip


def _nats_client(tls: ssl.SSLContext | None) -> Any:
    """A client that, where TLS is asked for, never says its name and password without it.

    The library speaks TLS where the server demands it, and goes on in the clear where it does not.
    """
    import logging

    import nats.aio.client
    import nats.errors

    # At its end a connection in TLS leaves a remark of asyncio on the screen that means nothing to the person.
    logging.getLogger("asyncio").addFilter(lambda record: "eof_received" not in record.getMessage())
    client = nats.aio.client.Client()
    introduce = client._connect_command

    def guarded() -> Any:
        if tls is not None and not client._server_info.get("tls_required"):
            raise nats.errors.Error("it does not demand TLS, and nothing is said to it without")
        return introduce()

    client._connect_command = guarded
    return client
