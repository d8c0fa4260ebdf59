"""Telemetry from message buses: MQTT (paho) and NATS JetStream (nats-py), many messages to one document of JSON lines.

Messages are acknowledged to the broker after their document is synced. Whatever the broker delivers again ends up in another
document, whose readings are known already.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aios_assets.contracts.errors import AiosError, UsageError
from aios_assets.resources.transport import Incoming, Store

BUNDLE_MESSAGES = 5_000
BUNDLE_BYTES = 8_000_000


def bundle(payloads: list[bytes]) -> bytes:
    """Messages as JSON lines, in the order received; a message may itself hold several lines."""
    return b"".join(p.strip() + b"\n" for p in payloads if p.strip())


def is_topic_filter(text: str) -> bool:
    """Whether MQTT takes `text` as a topic filter: `+` and `#` stand alone in their level, `#` in the last one.

    >>> [is_topic_filter(t) for t in ("sensors/#", "sensors/+/t", "sensors/#/t", "sensors/t#", "")]
    [True, True, False, False, False]
    """
    levels = text.split("/")
    alone = all(level in ("+", "#") or not set(level) & {"+", "#", "\0"} for level in levels)
    return 0 < len(text.encode()) <= 65_535 and alone and "#" not in levels[:-1]


@dataclass(slots=True)
class _Session:
    """What the broker said so far, from paho's thread."""

    arrived: queue.Queue[Any] = field(default_factory=queue.Queue)
    refused: list[str] = field(default_factory=list)
    is_answered: bool = False
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class MqttTelemetry:
    """A subscription with a lasting session: the broker keeps what comes while nobody listens.

    A broker that goes away is tried again every 1 to 30 seconds, and both are told.

    Attributes:
        topic: topic filter, such as `sensors/#`.
        host: broker.
        port: its port.
        client_id: name of the session; the same name goes on where it stopped.
        linger_s: a bundle is stored when it is full, or when nothing came for so long.
        username: for brokers that ask.
        password: for brokers that ask.
        say: takes a line for the person.
        answer_s: seconds in which a broker answers a connection.
    """

    topic: str
    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "aios-telemetry"
    linger_s: float = 0.5
    username: str = ""
    password: str = ""
    say: Callable[[str], object] = str
    answer_s: float = 10.0

    def serve(self, store: Store, until: Callable[[], bool]) -> int:
        """Receive until `until()`; returns messages acknowledged.

        Raises:
            UsageError: the topic filter is none.
            AiosError: the broker cannot be reached, does not answer, or refuses session or subscription.
        """
        if not is_topic_filter(self.topic):
            raise UsageError(
                f"'{self.topic}' is no MQTT topic filter",
                todo="let + and # stand alone between slashes, and # at the end",
            )
        session = _Session()
        client = self._client(session)
        try:
            client.connect(self.host, self.port, keepalive=30)
        except OSError as error:
            raise AiosError(
                f"the MQTT broker does not answer ({error})", where=f"{self.host}:{self.port}", todo="start it, or correct host and port"
            ) from error  # fmt: skip
        client.loop_start()
        try:
            self._await_answer(session)
            return self._pump(client, session, store, until)
        finally:
            client.on_disconnect = None
            client.disconnect()
            client.loop_stop()

    def _client(self, session: _Session) -> Any:
        import paho.mqtt.client as mqtt

        def on_connect(c: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                session.refused.append(f"the session: {reason}")
                return
            if session.is_lost:
                self.say(f"the MQTT broker is back ({self.host}:{self.port})")
            session.is_answered, session.is_lost = True, False
            c.subscribe(self.topic, qos=1)

        def on_subscribe(_client: Any, _data: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
            session.refused.extend(f"the subscription to {self.topic}: {r}" for r in reasons if r.is_failure)

        def on_disconnect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if session.is_answered and not session.is_lost and not session.refused:
                session.is_lost = True
                self.say(
                    f"the MQTT broker went away ({reason}, {self.host}:{self.port}); trying again until it is back"
                )

        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=self.client_id, clean_session=False, manual_ack=True
        )
        client.on_connect, client.on_subscribe, client.on_disconnect = on_connect, on_subscribe, on_disconnect
        client.on_message = lambda _client, _data, message: session.arrived.put(message)
        client.reconnect_delay_set(1, 30)
        if self.username:
            client.username_pw_set(self.username, self.password)
        # Unacknowledged messages are bounded by what one bundle holds.
        client.max_inflight_messages_set(BUNDLE_MESSAGES)
        return client

    def _await_answer(self, session: _Session) -> None:
        end = time.monotonic() + self.answer_s
        while not session.is_answered and not session.refused:
            if time.monotonic() >= end:
                raise AiosError(
                    f"what listens there took the connection and did not answer as an MQTT broker within {self.answer_s:g} s",
                    where=f"{self.host}:{self.port}",
                    todo="correct host and port",
                )
            time.sleep(0.02)

    def _pump(self, client: Any, session: _Session, store: Store, until: Callable[[], bool]) -> int:
        count = 0
        while True:
            messages = _drain(session.arrived, self.linger_s)
            if session.refused:
                raise AiosError(
                    f"the MQTT broker refused {session.refused[0]}",
                    where=f"{self.host}:{self.port}",
                    todo="check --user and --password-file, and see the broker's log for the reason",
                )
            if messages:
                content = bundle([m.payload for m in messages])
                if content:
                    store([Incoming(content, f"mqtt://{self.host}:{self.port}/{self.topic}", "mqtt")])
                for message in messages:
                    client.ack(message.mid, message.qos)
                count += len(messages)
            elif until():
                return count


def _drain(arrived: queue.Queue[Any], linger_s: float) -> list[Any]:
    """What has arrived, until a bundle is full or nothing came for `linger_s`."""
    messages: list[Any] = []
    size = 0
    while len(messages) < BUNDLE_MESSAGES and size < BUNDLE_BYTES:
        try:
            message = arrived.get(timeout=linger_s)
        except queue.Empty:
            break
        messages.append(message)
        size += len(message.payload)
    return messages


@dataclass(frozen=True, slots=True)
class NatsTelemetry:
    """A durable pull consumer of a JetStream stream: NATS keeps its place.

    Attributes:
        subject: subject filter, such as `sensors.>`.
        stream: stream that holds it; made when there is none.
        servers: address of the server.
        durable: name of the consumer; the same name goes on where it stopped.
        linger_s: seconds to wait for a bundle.
        ack_wait_s: seconds after which the server offers an unacknowledged message again.
        username: for servers that ask.
        password: for servers that ask.
    """

    subject: str
    stream: str = "TELEMETRY"
    servers: str = "nats://127.0.0.1:4222"
    durable: str = "aios-telemetry"
    linger_s: float = 0.5
    ack_wait_s: float = 60.0
    username: str = ""
    password: str = ""

    def serve(self, store: Store, until: Callable[[], bool]) -> int:
        """Receive until `until()`; returns messages acknowledged.

        Raises:
            AiosError: the server cannot be reached or has no JetStream.
        """
        import asyncio

        return asyncio.run(self._serve(store, until))

    async def _serve(self, store: Store, until: Callable[[], bool]) -> int:
        import nats
        import nats.errors
        from nats.js.errors import Error as JetStreamError

        last = ""

        async def keep(error: Exception) -> None:
            """What the library would log with a traceback for every attempt; the newest is told, in one line."""
            nonlocal last
            last = str(error)

        login = {"user": self.username, "password": self.password} if self.username else {}
        try:
            connection = await nats.connect(
                self.servers, connect_timeout=3, max_reconnect_attempts=3, error_cb=keep, **login
            )
        except (OSError, nats.errors.Error) as error:
            raise AiosError(
                f"the NATS server does not answer ({last or error})",
                where=self.servers,
                todo="start it, or correct the address",
            ) from error
        try:
            consumer = await self._consumer(connection.jetstream())
            return await self._pump(consumer, store, until)
        except JetStreamError as error:
            raise AiosError(
                f"JetStream refused: {error}", where=f"{self.stream} {self.subject}", todo="see the server's log"
            ) from error
        except (nats.errors.Error, TimeoutError) as error:
            raise AiosError(
                f"the NATS server stopped answering ({last or error})",
                where=self.servers,
                todo="start it again, and listen again: what was not acknowledged is offered once more",
            ) from error
        finally:
            await connection.close()

    async def _consumer(self, stream: Any) -> Any:
        from nats.js.api import ConsumerConfig
        from nats.js.errors import NotFoundError

        try:
            await stream.stream_info(self.stream)
        except NotFoundError:
            await stream.add_stream(name=self.stream, subjects=[self.subject])
        config = ConsumerConfig(ack_wait=self.ack_wait_s, max_ack_pending=BUNDLE_MESSAGES)
        return await stream.pull_subscribe(self.subject, durable=self.durable, stream=self.stream, config=config)

    async def _pump(self, consumer: Any, store: Store, until: Callable[[], bool]) -> int:
        import asyncio

        import nats.errors

        count = 0
        while True:
            try:
                messages = await consumer.fetch(BUNDLE_MESSAGES // 5, timeout=self.linger_s)
            except (TimeoutError, nats.errors.TimeoutError):
                messages = []
            if messages:
                content = bundle([m.data for m in messages])
                if content:
                    source = f"{self.servers}/{self.subject}"
                    await asyncio.to_thread(store, [Incoming(content, source, "nats")])
                for message in messages:
                    await message.ack_sync(timeout=5)
                count += len(messages)
            elif until():
                return count
