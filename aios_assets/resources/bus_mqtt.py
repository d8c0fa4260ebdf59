"""Telemetry over MQTT (paho). We ask for MQTT 5, by which a listener says how many messages it takes before it acknowledges.

With MQTT 3.1.1 the broker decides that (Mosquitto: 20), and what it cannot hand out it keeps in a queue that may be short (Mosquitto:
1,000) and drops the rest, so that a burst is lost while its first messages are on their way to the disk.
"""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aios_assets.contracts.errors import AiosError, UsageError
from aios_assets.resources.bus import BUNDLE_BYTES, BUNDLE_MESSAGES, EVERY_S, Keeper, unreached
from aios_assets.resources.clock import now_utc
from aios_assets.resources.mqtt_window import Window
from aios_assets.resources.transport import Store
from aios_assets.telemetry import Message

MOST_UNACKNOWLEDGED = 65_535  # what MQTT 5 can ask for
MOST_HELD_BYTES = 3 * BUNDLE_BYTES  # more than this waits in the broker
NO_MQTT_5 = "Unsupported protocol version"
TAKEN_OVER = "Session taken over"
DROPPED = "$SYS/broker/publish/messages/dropped"  # where brokers say it: Mosquitto and kin
STOPPING_S = 2.0
PAUSE_S = 0.02
MOST_TOPICS = 10_000
SOON_S, FLAPS = 5.0, 3  # brokers close the older of two sessions of one name, and not all say why


def is_topic_filter(text: str) -> bool:
    """Whether MQTT takes `text` as a topic filter: `+` and `#` stand alone in their level, `#` in the last one.

    >>> [is_topic_filter(t) for t in ("sensors/#", "sensors/+/t", "sensors/#/t", "sensors/t#", "")]
    [True, True, False, False, False]
    """
    levels = text.split("/")
    alone = all(level in ("+", "#") or not set(level) & {"+", "#", "\0"} for level in levels)
    return 0 < len(text.encode()) <= 65_535 and alone and "#" not in levels[:-1]


@dataclass(frozen=True, slots=True)
class _Arrived:
    message: Message
    mid: int
    qos: int
    connection: int


@dataclass(slots=True)
class _Session:
    """What the broker said so far, from paho's thread."""

    arrived: queue.SimpleQueue[_Arrived] = field(default_factory=queue.SimpleQueue)
    refused: list[str] = field(default_factory=list)
    is_answered: bool = False
    is_lost: bool = False
    since: float = 0.0  # when it was opened
    flaps: int = 0  # how often in a row it was lost soon after that
    is_over: bool = False
    needs_older: bool = False
    connection: int = 0  # how often it was opened: numbers of messages hold for one connection
    held_bytes: int = 0
    room: threading.Condition = field(default_factory=threading.Condition)
    dropped: int | None = None  # messages that the broker says it dropped
    answered: int = 0  # newest request that the broker answered
    topics: set[str] = field(default_factory=set)  # seen, and of our filter
    has_stray: bool = False

    def put(self, arrived: _Arrived) -> None:
        """Take a message; where too much waits for the disk, the broker waits with us."""
        with self.room:
            self.room.wait_for(lambda: self.held_bytes < MOST_HELD_BYTES or self.is_over)
            self.held_bytes += len(arrived.message.payload)
        self.arrived.put(arrived)

    def give(self, size: int) -> None:
        """Make room."""
        with self.room:
            self.held_bytes -= size
            self.room.notify_all()

    def end(self) -> None:
        """Let go of a thread that waits for room."""
        with self.room:
            self.is_over = True
            self.room.notify_all()


@dataclass(frozen=True, slots=True)
class MqttTelemetry:
    """A subscription with a lasting session: the broker keeps what comes while nobody listens, as much as it is set to.

    A broker that goes away is tried again every 1 to 30 seconds, and both are told.

    Attributes:
        topic: topic filter, such as `sensors/#`.
        host: broker.
        port: its port.
        client_id: name of the session; the same name goes on where it stopped.
        linger_s: at the end, nothing more came when nothing came for so long.
        username: for brokers that ask.
        password: for brokers that ask.
        tls: how to check the broker's certificate; None speaks without TLS.
        say: takes a line for the person.
        answer_s: seconds in which a broker answers a connection.
        every_s: a bundle is stored when it is full, and when its first message is so old.
        rules: mapping of the messages, as plain data.
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
    every_s: float = EVERY_S
    rules: Sequence[dict[str, Any]] = ()

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
        keep = Keeper(store, "mqtt", f"mqtt://{self.host}:{self.port}", self.topic, self.rules, self.say)
        count = self._listen(keep, until, is_older=False)
        if count is None:
            self.say("the broker speaks no MQTT 5; listening by 3.1.1, where the broker decides how much it hands out")
            count = self._listen(keep, until, is_older=True)
        return count or 0

    def _listen(self, keep: Keeper, until: Callable[[], bool], *, is_older: bool) -> int | None:
        """One session; None where the broker does not speak this version of the protocol."""
        session = _Session()
        client = self._client(session, is_older)
        more = {} if is_older else {"clean_start": False, "properties": _wishes()}
        try:
            client.connect(self.host, self.port, keepalive=30, **more)
        except OSError as error:
            raise unreached("MQTT broker", error, f"{self.host}:{self.port}") from error
        client.loop_start()
        try:
            self._await_answer(session)
            if session.needs_older:
                return None
            if not session.refused:
                self.say(f"listening to {self.topic} (mqtt, {self.host}:{self.port}); stop with Ctrl-C")
            return self._pump(client, session, keep, until)
        finally:
            client.on_disconnect = None
            session.end()
            client.disconnect()
            client.loop_stop()

    def _client(self, session: _Session, is_older: bool) -> Any:
        import paho.mqtt.client as mqtt

        def on_connect(c: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                if str(reason) == NO_MQTT_5 and not is_older:
                    session.needs_older = True
                    c.disconnect()
                else:
                    session.refused.append(f"the session: {reason}")
                return
            session.connection += 1
            session.since = time.monotonic()
            if session.is_lost and session.flaps <= FLAPS:
                kept = "" if flags.session_present else "; it kept nothing of what came meanwhile for us"
                self.say(f"the MQTT broker is back ({self.host}:{self.port}){kept}")
            session.is_answered, session.is_lost = True, False
            c.subscribe(self.topic, qos=1)

        def on_subscribe(c: Any, _data: Any, mid: Any, reasons: Any, _properties: Any) -> None:
            if not session.answered:
                session.refused.extend(f"the subscription to {self.topic}: {r}" for r in reasons if r.is_failure)
                c.subscribe(DROPPED, qos=0)  # a broker may refuse this one
            session.answered = mid

        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=self.client_id, clean_session=False if is_older else None,
            protocol=mqtt.MQTTv311 if is_older else mqtt.MQTTv5, manual_ack=True,
        )  # fmt: skip
        client.on_connect, client.on_subscribe = on_connect, on_subscribe
        client.on_disconnect = lambda _c, _data, _flags, reason, _properties: self._lost(session, reason)
        client.on_message = lambda _client, _data, message: self._take(session, message)
        client.reconnect_delay_set(1, 30)
        if self.username:
            client.username_pw_set(self.username, self.password)
        if self.tls is not None:
            client.tls_set_context(self.tls)
        return client

    def _lost(self, session: _Session, reason: Any) -> None:
        if str(reason) == TAKEN_OVER:
            session.refused.append(f"to go on: another listener came with the name {self.client_id}")
        elif session.is_answered and not session.is_lost and not session.refused:
            session.is_lost = True
            session.flaps = session.flaps + 1 if time.monotonic() - session.since < SOON_S else 0
            if session.flaps == FLAPS:
                self.say(f"the MQTT broker goes away again and again, soon after it came: if another listener has the name {self.client_id} too, give one of them another --name")  # fmt: skip
            elif session.flaps < FLAPS:
                self.say(f"the MQTT broker went away ({reason}, {self.host}:{self.port}); trying again until it is back")  # fmt: skip

    def _take(self, session: _Session, message: Any) -> None:
        """A message, in paho's thread, which an error would end without a word."""
        from paho.mqtt.client import topic_matches_sub

        try:
            topic = message.topic
            if topic not in session.topics:
                if not topic_matches_sub(self.topic, topic):
                    if topic == DROPPED:
                        self._count_dropped(session, int(message.payload))
                        return
                    self._tell_stray(session, topic)
                if len(session.topics) < MOST_TOPICS:
                    session.topics.add(topic)
            kept = Message(topic, bytes(message.payload), now_utc(), bool(message.retain), bool(message.dup))
            session.put(_Arrived(kept, message.mid, message.qos, session.connection))
        except Exception as error:
            session.refused.append(f"something that cannot be taken ({error!r})")

    def _tell_stray(self, session: _Session, topic: str) -> None:
        if not session.has_stray:
            session.has_stray = True
            self.say(f"messages come of an earlier --topic of the session {self.client_id}, such as {topic}; they are stored. Another --name begins anew")  # fmt: skip

    def _count_dropped(self, session: _Session, dropped: int) -> None:
        before, session.dropped = session.dropped, dropped
        if dropped > (before or 0):
            when = "since it started, before we listened" if before is None else "since we listen"
            self.say(f"the broker dropped {dropped - (before or 0):,} messages of its clients {when}, perhaps of ours; raise its max_queued_messages")  # fmt: skip

    def _await_answer(self, session: _Session) -> None:
        end = time.monotonic() + self.answer_s
        while not (session.is_answered and session.answered) and not session.refused and not session.needs_older:
            if time.monotonic() >= end:
                raise AiosError(
                    f"what listens there took the connection and did not answer as an MQTT broker within {self.answer_s:g} s",
                    where=f"{self.host}:{self.port}",
                    todo="correct host and port, or give --tls where it speaks TLS",
                )
            time.sleep(0.02)

    def _pump(self, client: Any, session: _Session, keep: Keeper, until: Callable[[], bool]) -> int:
        count, window = 0, Window()
        while True:
            arrived = self._collect(session, window, until)
            if session.refused:
                raise AiosError(
                    f"the MQTT broker refused {session.refused[0]}",
                    where=f"{self.host}:{self.port}",
                    todo="check --user and --password-file, give every listener a --name of its own, and see the broker's log",
                )
            is_ending = until()
            if arrived:
                keep([a.message for a in arrived])
                for a in arrived:
                    if a.connection == session.connection:  # else the number stands for another message now
                        client.ack(a.mid, a.qos)
                session.give(sum(len(a.message.payload) for a in arrived))
                count += len(arrived)
                if not is_ending:
                    window.learn(len(arrived), lambda: _comes(session.arrived, 0.1))
            if is_ending:
                _settle(client, session)
                return count

    def _collect(self, session: _Session, window: Window, until: Callable[[], bool]) -> list[_Arrived]:
        """What has arrived, until a bundle is full, old, or all that the broker hands out; at the end what comes within `linger_s`."""
        got: list[_Arrived] = []
        size, last, stop_at = 0, time.monotonic(), 0.0
        window.begin()
        while not session.refused:
            before = len(got)
            size += _drain(session.arrived, got, BUNDLE_BYTES - size)
            now, is_ending = time.monotonic(), until()
            if len(got) > before:
                last = now
                window.note(now)
            if len(got) >= BUNDLE_MESSAGES or size >= BUNDLE_BYTES or window.is_full(len(got)):
                break
            if is_ending:
                stop_at = stop_at or now + STOPPING_S
                if now - last >= self.linger_s or now >= stop_at:
                    break
            elif got and window.is_done(len(got), now - last, self.every_s):
                break
            # Asleep we leave the processor to paho's thread: what it does not read in time the broker drops.
            time.sleep(PAUSE_S)
        return got


def _drain(arrived: queue.SimpleQueue[_Arrived], got: list[_Arrived], room: int) -> int:
    """Move what is there to `got`, as much as a bundle holds; returns its bytes."""
    size = 0
    while len(got) < BUNDLE_MESSAGES and size < room:
        try:
            got.append(arrived.get_nowait())
        except queue.Empty:
            break
        size += len(got[-1].message.payload)
    return size


def _settle(client: Any, session: _Session) -> None:
    """Wait until the broker has answered something we ask after the acknowledgements, and so has read them: a connection that is closed
    behind them may take them with it, and the messages come again."""
    end, (_, asked) = time.monotonic() + 5, client.subscribe(DROPPED, qos=0)
    while asked is not None and session.answered < asked and client.is_connected() and time.monotonic() < end:
        time.sleep(0.005)


def _comes(arrived: queue.SimpleQueue[_Arrived], seconds: float) -> bool:
    """Whether a message comes within so long; it stays in the queue."""
    end = time.monotonic() + seconds
    while arrived.empty():
        if time.monotonic() >= end:
            return False
        time.sleep(0.005)
    return True


def _wishes() -> Any:
    """What we ask an MQTT 5 broker for: a session that lasts, and messages without waiting for each other's acknowledgement."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    wishes = Properties(PacketTypes.CONNECT)
    wishes.ReceiveMaximum = MOST_UNACKNOWLEDGED
    wishes.SessionExpiryInterval = 0xFFFFFFFF  # never
    return wishes
