"""Telemetry from message buses: MQTT (paho) and NATS JetStream (nats-py), many messages to one document of JSON lines.

Messages are acknowledged to the broker after their document is synced. Whatever the broker delivers again ends up in another
document, whose readings are known already.
"""

from __future__ import annotations

import queue
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aios_assets.contracts.errors import AiosError, BadInputError, UsageError
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


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """TLS that checks the broker's certificate and name.

    Args:
        ca_file: authorities to trust, PEM; the machine's own where none is given.
        cert_file: our certificate, PEM, for brokers that ask for one.
        key_file: its private key, PEM.

    Raises:
        UsageError: a certificate without key, or a key without certificate.
        BadInputError: a file cannot be read or is not PEM.
    """
    if (cert_file is None) != (key_file is None):
        raise UsageError("--cert-file and --key-file go together", todo="give both, or none")
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None and key_file is not None:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as error:
        files = [str(path) for path in (ca_file, cert_file, key_file) if path is not None]
        raise BadInputError(
            f"the files for TLS cannot be used ({error})", where=", ".join(files), todo="give readable PEM files, the key without a password"
        ) from error  # fmt: skip
    return context


def _no_password() -> str:
    """What OpenSSL asks for a locked key, which would otherwise wait at the terminal."""
    raise ValueError("the key is locked with a password")


def _unreached(what: str, error: Exception, where: str) -> AiosError:
    """What to tell where no session came about: a certificate that is not trusted is no server that is down."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return AiosError(
            f"the certificate of the {what} is not trusted ({error.verify_message})",
            where=where,
            todo="give its authority with --ca-file, and the host by the name in the certificate",
        )
    if isinstance(error, ssl.SSLError):
        return AiosError(
            f"no TLS with the {what} ({error.reason or error})",
            where=where,
            todo="check that the port speaks TLS, and --cert-file where it asks for one",
        )
    return AiosError(f"the {what} does not answer ({error})", where=where, todo="start it, or correct host and port")


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
        tls: how to check the broker's certificate; None speaks without TLS.
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
    tls: ssl.SSLContext | None = None
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
            raise _unreached("MQTT broker", error, f"{self.host}:{self.port}") from error
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
        if self.tls is not None:
            client.tls_set_context(self.tls)
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
                    todo="correct host and port, or give --tls where it speaks TLS",
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
        tls: how to check the server's certificate; None speaks TLS only where the server demands it.
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

    def serve(self, store: Store, until: Callable[[], bool]) -> int:
        """Receive until `until()`; returns messages acknowledged.

        Raises:
            AiosError: the server cannot be reached or has no JetStream.
        """
        import asyncio

        return asyncio.run(self._serve(store, until))

    async def _serve(self, store: Store, until: Callable[[], bool]) -> int:
        import nats.errors
        from nats.js.errors import Error as JetStreamError

        last: Exception | None = None
        opening = True

        async def keep(error: Exception) -> None:
            """What the library would log with a traceback for every attempt; the newest is told, in one line.

            A failed TLS handshake ends the first connecting here: the library would close what it could not open, and wait
            for ever. Later ones are tried again, and what a server still says to a connection that closes is no failure.
            """
            nonlocal last
            last = error
            if opening and isinstance(error, ssl.SSLError):
                raise error

        login = {"user": self.username, "password": self.password} if self.username else {}
        connection = _nats_client(self.tls)
        try:
            await connection.connect(
                self.servers, connect_timeout=3, max_reconnect_attempts=3, error_cb=keep, tls=self.tls, **login
            )
        except (OSError, nats.errors.Error) as error:
            raise _unreached("NATS server", last or error, self.servers) from error
        opening = False
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
