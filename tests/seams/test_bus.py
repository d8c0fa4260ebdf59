"""Ways in that are not folders: real broker, real server, real sockets. Nothing acknowledged is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import queue
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.transport import TcpTransport
from typer.testing import CliRunner

from aios_assets.cli import app
from aios_assets.contracts.errors import AiosError, BadInputError, UsageError
from aios_assets.resources.as2 import build_mdn, mic_of, parse_mdn, read_request, request_headers
from aios_assets.resources.bus import tls_context
from aios_assets.resources.bus_mqtt import MqttTelemetry
from aios_assets.resources.bus_nats import NatsTelemetry
from aios_assets.resources.http_inbox import HttpInbox
from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_check import check_lake
from aios_assets.resources.mqtt_window import Window
from aios_assets.resources.transport import Incoming, RawStore, Receipt
from aios_assets.telemetry import read_telemetry, unpack
from tests.conftest import need_service
from tests.seams.receipts import receipt_box

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SENT = 300


def message(n: int) -> bytes:
    return json.dumps(
        {
            "sensor_id": f"T{n % 7}", "measure_code": "temperature_c", "read_at_utc": f"2026-01-05T{n // 60:02d}:{n % 60:02d}:00Z",
            "value": n / 10, "asset_type": "trailer", "asset_id": "TR1",
        }
    ).encode()  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def store(lake: Lake) -> RawStore:
    return RawStore(lake, clock=lambda: NOW)


class Crash(RuntimeError):
    """Stands for the process dying between storing and acknowledging."""


def readings(lake: Lake) -> list[float]:
    """Every reading that the stored documents hold, once per sensor, measure and instant."""
    batch = read_telemetry(lake.read("raw_edi__documents"))
    assert batch.rejects.is_empty()
    lake.write("raw_telemetry__readings", batch.readings)
    return sorted(lake.read("raw_telemetry__readings")["value"].to_list())


EXPECTED = [n / 10 for n in range(SENT)]


def crashing(store_: Callable[[Sequence[Incoming]], list[Receipt]]) -> Callable[[Sequence[Incoming]], list[Receipt]]:
    def once(incoming: Sequence[Incoming]) -> list[Receipt]:
        store_(incoming)
        raise Crash

    return once


# -- MQTT --------------------------------------------------------------------------------------------------------------


def publish_mqtt(port: int, topic: str) -> None:
    import paho.mqtt.client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for n in range(SENT):
        client.publish(topic, message(n), qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


@pytest.mark.service
def test_mqtt_survives_a_crash_before_acknowledging(lake: Lake) -> None:
    port = need_service("mqtt")
    name = uuid.uuid4().hex
    listen = MqttTelemetry(f"aios-test/{name}/#", port=port, client_id=f"aios-test-{name}", linger_s=0.3)
    assert listen.serve(store(lake), lambda: True) == 0
    publish_mqtt(port, f"aios-test/{name}/t")
    with pytest.raises(Crash):
        listen.serve(crashing(store(lake)), lambda: True)
    stored = lake.count("raw_edi__documents")
    assert stored >= 1
    got = 0
    for _ in range(5):
        got += listen.serve(store(lake), lambda: True)
    assert got == SENT
    assert readings(lake) == EXPECTED
    assert listen.serve(store(lake), lambda: True) == 0
    assert set(lake.read("raw_edi__documents")["transport_code"]) == {"mqtt"}
    assert check_lake(lake) == []


def test_an_mqtt_broker_that_is_not_there_is_said(lake: Lake) -> None:
    with pytest.raises(AiosError, match="the MQTT broker does not answer"):
        MqttTelemetry("x", port=1).serve(store(lake), lambda: True)


def own_server(program: str, name: str) -> tuple[str, int]:
    """Where a server's program lies, and a port that is free for one of our own."""
    path = shutil.which(program) or f"/usr/sbin/{program}"
    if not Path(path).exists():
        pytest.skip(f"{name} is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return path, probe.getsockname()[1]


@contextmanager
def broker(folder: Path, more: str = "") -> Iterator[tuple[int, Callable[[], None], Callable[[], None]]]:
    """A Mosquitto of our own that asks for a password: its port, and how to stop and start it."""
    program, port = own_server("mosquitto", "Mosquitto")
    # user listener, password secret, as `mosquitto_passwd` writes them
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "listener", "secret"], check=True)
    said = f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/passwords\nuser {getpass.getuser()}\n{more}"
    (folder / "broker.conf").write_text(said)
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        running.append(subprocess.Popen([program, "-c", str(folder / "broker.conf")], stderr=subprocess.DEVNULL))
        wait_for(lambda: answers(port))

    def stop() -> None:
        running[-1].terminate()
        running[-1].wait(20)

    start()
    try:
        yield port, stop, start
    finally:
        stop()


def test_an_mqtt_broker_that_refuses_is_said_and_the_right_password_is_taken(lake: Lake, tmp_path: Path) -> None:
    with broker(tmp_path) as (port, _stop, _start):
        for login in ({}, {"username": "listener", "password": "wrong"}):
            with pytest.raises(AiosError, match="the MQTT broker refused the session: Not authorized"):
                MqttTelemetry("x", port=port, **login).serve(store(lake), lambda: True)
        secret = tmp_path / "secret"
        secret.write_text("secret\n")
        words = ["listen", "mqtt", "--port", str(port), "--user", "listener", "--seconds", "0.1", "--json"]
        done = CliRunner().invoke(
            app, [*words, "--password-file", str(secret)], env={"AIOS_HOME": str(tmp_path / "home")}
        )
        assert done.exit_code == 0 and '"acknowledged": 0' in done.stdout, done.output
        alone = CliRunner().invoke(app, words, env={"AIOS_HOME": str(tmp_path / "home")})
        assert alone.exit_code == 2 and "go together" in alone.stderr


def test_an_mqtt_broker_that_went_away_is_told_and_listened_to_again(lake: Lake, tmp_path: Path) -> None:
    told: list[str] = []
    with broker(tmp_path) as (port, stop, start):
        listen = MqttTelemetry("x", port=port, username="listener", password="secret", linger_s=0.1, say=told.append)
        ended = threading.Event()
        thread = threading.Thread(target=listen.serve, args=(store(lake), ended.is_set))
        thread.start()
        try:
            wait_for(lambda: len(told) == 1)
            stop()
            wait_for(lambda: len(told) == 2)
            start()
            wait_for(lambda: len(told) == 3)
        finally:
            ended.set()
            thread.join(20)
    assert "went away" in told[1] and "is back" in told[2] and str(port) in told[1], told


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 40
    while not what():
        assert time.monotonic() < end, "waited 40 s in vain"
        time.sleep(0.05)


def test_what_is_no_mqtt_broker_is_said(lake: Lake) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(AiosError, match=r"did not answer as an MQTT broker within 0\.2 s"):
            MqttTelemetry("x", port=port, answer_s=0.2).serve(store(lake), lambda: True)


def test_a_filter_that_mqtt_does_not_know_is_refused_before_anything_is_asked(lake: Lake) -> None:
    for topic in ("sensors/#/x", "sensors/t#", "a+b", ""):
        with pytest.raises(UsageError, match="is no MQTT topic filter"):
            MqttTelemetry(topic, port=1).serve(store(lake), lambda: True)


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem) and the certificate of a server called localhost (cert.pem, key.pem)."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("papers")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name, rest in (
        ("ca", ["-keyout", "ca.key", "-subj", "/CN=authority"]),
        ("cert", ["-keyout", "key.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-CA", "ca.pem", "-CAkey", "ca.key"]),
    ):  # fmt: skip
        subprocess.run([*new, "-out", f"{name}.pem", *rest], cwd=folder, check=True, capture_output=True)
    return folder


def test_an_mqtt_broker_is_spoken_to_in_tls_once_its_certificate_is_trusted(
    lake: Lake, tmp_path: Path, papers: Path
) -> None:
    import paho.mqtt.client as mqtt

    tls = tls_context(papers / "ca.pem", None, None)
    login = {"username": "listener", "password": "secret"}
    with broker(tmp_path, more=f"certfile {papers}/cert.pem\nkeyfile {papers}/key.pem\n") as (port, _stop, _start):
        listen = MqttTelemetry("x", "localhost", port, linger_s=0.1, every_s=0.2, tls=tls, **login)
        assert listen.serve(store(lake), lambda: True) == 0
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.username_pw_set("listener", "secret")
        client.tls_set_context(tls)
        client.connect("localhost", port)
        client.loop_start()
        client.publish("x", message(3), qos=1).wait_for_publish(10)
        client.loop_stop()
        assert listen.serve(store(lake), lambda: lake.count("raw_edi__documents") > 0) == 1
        assert readings(lake) == [0.3]
        for other, reason in (
            (MqttTelemetry("x", "localhost", port, tls=tls_context(None, None, None)), "unable to get local issuer"),
            (MqttTelemetry("x", "127.0.0.1", port, tls=tls), "IP address mismatch"),
        ):
            with pytest.raises(AiosError, match=f"certificate of the MQTT broker is not trusted .*{reason}.*--ca-file"):
                other.serve(store(lake), lambda: True)
        with pytest.raises(AiosError, match="give --tls where it speaks TLS"):
            MqttTelemetry("x", "localhost", port, answer_s=0.2, **login).serve(store(lake), lambda: True)
    with broker(tmp_path) as (port, _stop, _start), pytest.raises(AiosError, match=r"with the MQTT broker|not answer"):
        MqttTelemetry("x", "localhost", port, tls=tls, **login).serve(store(lake), lambda: True)


def test_a_nats_server_is_spoken_to_in_tls_once_its_certificate_is_trusted(
    tmp_path: Path, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, port = own_server("nats-server", "the NATS server")
    words = [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(tmp_path), "--user", "listener", "--pass", "secret"]  # fmt: skip
    words += ["--tls", "--tlscert", str(papers / "cert.pem"), "--tlskey", str(papers / "key.pem")]
    server = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port))
        aios = ["listen", "nats", "--host", "localhost", "--port", str(port), "--user", "listener", "--json"]
        (tmp_path / "secret").write_text("secret")
        aios += ["--password-file", str(tmp_path / "secret"), "--seconds", "0.1"]
        home = {"AIOS_HOME": str(tmp_path / "home")}
        done = CliRunner().invoke(app, [*aios, "--ca-file", str(papers / "ca.pem")], env=home)
        assert done.exit_code == 0 and '"acknowledged": 0' in done.stdout, done.output
        refused = CliRunner().invoke(app, [*aios, "--tls"], env=home)
        assert refused.exit_code == 1 and "certificate of the NATS server is not trusted" in refused.stderr
        close = TcpTransport.wait_closed

        async def late(transport: TcpTransport) -> None:
            await close(transport)
            raise ssl.SSLError(1, "[SSL: APPLICATION_DATA_AFTER_CLOSE_NOTIFY] application data after close notify")

        monkeypatch.setattr(TcpTransport, "wait_closed", late)  # what a server said while we closed
        done = CliRunner().invoke(app, [*aios, "--ca-file", str(papers / "ca.pem")], env=home)
        assert done.exit_code == 0 and '"acknowledged": 0' in done.stdout, done.output
    finally:
        server.terminate()
        server.wait(20)


def test_a_password_for_tls_is_never_said_in_the_clear(lake: Lake, papers: Path) -> None:
    """A server that does not demand TLS, or one in between that took the demand away, hears nothing."""
    heard: list[bytes] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]

        def offer() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b'INFO {"server_id":"x","version":"2.9.0","auth_required":true}\r\n')
                    heard.append(peer.recv(4096))

        thread = threading.Thread(target=offer, daemon=True)
        thread.start()
        tls = tls_context(papers / "ca.pem", None, None)
        listen = NatsTelemetry("x", servers=f"tls://localhost:{port}", username="listener", password="secret", tls=tls)
        with pytest.raises(AiosError, match="does not demand TLS"):
            listen.serve(store(lake), lambda: True)
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert heard and set(heard) == {b""}


def test_files_for_tls_that_do_not_fit_are_said(tmp_path: Path, papers: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for ca in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        with pytest.raises(BadInputError, match="the files for TLS cannot be used"):
            tls_context(ca, None, None)
    with pytest.raises(UsageError, match="go together"):
        tls_context(None, papers / "cert.pem", None)
    with pytest.raises(BadInputError, match="the files for TLS cannot be used"):
        tls_context(None, papers / "cert.pem", papers / "ca.key")
    words = ["listen", "http", "--tls", "--seconds", "0.1"]
    done = CliRunner().invoke(app, words, env={"AIOS_HOME": str(tmp_path / "home")})
    assert done.exit_code == 2 and "put a proxy with TLS in front" in done.stderr


# -- NATS --------------------------------------------------------------------------------------------------------------


async def publish_nats(port: int, name: str) -> None:
    import nats

    connection = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = connection.jetstream()
    await stream.add_stream(name=name, subjects=[f"{name}.>"])
    for n in range(SENT):
        await stream.publish(f"{name}.t", message(n))
    await connection.close()


async def delete_stream(port: int, name: str) -> None:
    import nats

    connection = await nats.connect(f"nats://127.0.0.1:{port}")
    await connection.jetstream().delete_stream(name)
    await connection.close()


@pytest.mark.service
def test_nats_survives_a_crash_before_acknowledging(lake: Lake) -> None:
    port = need_service("nats")
    name = f"AIOSTEST{uuid.uuid4().hex[:8]}"
    asyncio.run(publish_nats(port, name))
    listen = NatsTelemetry(f"{name}.>", stream=name, servers=f"nats://127.0.0.1:{port}", linger_s=0.3, ack_wait_s=1.0)
    try:
        with pytest.raises(Crash):
            listen.serve(crashing(store(lake)), lambda: True)
        threading.Event().wait(1.2)  # the server offers again what was not acknowledged in time
        got = sum(listen.serve(store(lake), lambda: True) for _ in range(3))
        assert got == SENT
        assert readings(lake) == EXPECTED
        assert listen.serve(store(lake), lambda: True) == 0
        assert check_lake(lake) == []
    finally:
        asyncio.run(delete_stream(port, name))


def test_a_nats_server_that_is_not_there_is_said_in_one_line(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    """The library logs a traceback for every attempt, which ends up on the person's screen."""
    with pytest.raises(AiosError, match=r"the NATS server does not answer \(.*Connect call failed.*To do: start it"):
        NatsTelemetry("x", servers="nats://127.0.0.1:1").serve(store(lake), lambda: True)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("nats")] == []


# -- HTTP and AS2 ------------------------------------------------------------------------------------------------------


@contextmanager
def listening(lake: Lake, **more: Any) -> Iterator[str]:
    ports: queue.Queue[int] = queue.Queue()
    done = threading.Event()
    inbox = HttpInbox(port=0, on_ready=ports.put, **more)
    thread = threading.Thread(target=inbox.serve, args=(store(lake), done.is_set))
    thread.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=10)}"
    finally:
        done.set()
        thread.join(10)


def test_a_posted_document_is_stored_before_it_is_acknowledged(lake: Lake) -> None:
    with listening(lake) as url:
        first = httpx.post(f"{url}/documents/a.edi", content=b"ISA*x")
        again = httpx.post(f"{url}/documents/b.edi", content=b"ISA*x")
        assert (first.status_code, first.json()["is_new"], again.json()["is_new"]) == (201, True, False)
        assert first.json()["document_id"] == hashlib.sha256(b"ISA*x").hexdigest()
        assert Lake(lake.root).read("raw_edi__documents")["source_uri"].to_list() == ["http:a.edi"]
        assert sorted(Lake(lake.root).read("raw_edi__deliveries")["is_duplicate"].to_list()) == [False, True]
        assert httpx.get(f"{url}/health").status_code == 200
    assert check_lake(lake) == []


def test_many_senders_at_once(lake: Lake) -> None:
    with listening(lake) as url:
        codes: list[int] = []
        threads = [
            threading.Thread(
                target=lambda n=n: codes.append(
                    httpx.post(f"{url}/documents/{n}", content=b"%d" % (n % 4), timeout=30).status_code
                )
            )
            for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [201] * 12
    assert (lake.count("raw_edi__documents"), lake.count("raw_edi__deliveries")) == (4, 12)


def test_a_sender_that_hangs_up_is_no_defect_of_ours(lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    """Its document is stored; it left a traceback on the screen."""
    stored = threading.Event()

    def slow(incoming: Sequence[Incoming]) -> list[Receipt]:
        threading.Event().wait(0.3)
        receipts = store(lake)(incoming)
        stored.set()
        return receipts

    ports: queue.Queue[int] = queue.Queue()
    thread, got = in_thread(HttpInbox(port=0, on_ready=ports.put), slow, stored.is_set)
    with socket.create_connection(("127.0.0.1", ports.get(timeout=10))) as sender:
        sender.sendall(b"POST /documents/a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    thread.join(20)
    assert got == [1] and lake.count("raw_edi__documents") == 1
    assert "Traceback" not in capfd.readouterr().err


def test_refusals_store_nothing(lake: Lake) -> None:
    with listening(lake, cap_bytes=10, token="secret") as url:
        good = {"Authorization": "Bearer secret"}
        answers = [
            httpx.post(f"{url}/documents/a", content=b"x"), httpx.post(f"{url}/documents/a", content=b"x" * 11, headers=good),
            httpx.post(f"{url}/documents/a", content=b"", headers=good), httpx.post(f"{url}/elsewhere", content=b"x", headers=good),
            httpx.post(f"{url}/documents/a", content=iter([b"x"]), headers=good), httpx.post(f"{url}/as2", content=b"x", headers=good),
        ]  # fmt: skip
        assert [a.status_code for a in answers] == [401, 413, 400, 404, 411, 400]
        assert all("error" in a.json() for a in answers)
    assert lake.count("raw_edi__documents") == 0


def test_a_store_that_cannot_be_written_is_answered_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "_aios").mkdir()
    (tmp_path / "_aios" / "locks").write_text("a file where a folder is needed")
    with listening(Lake(tmp_path)) as url:
        answers = [httpx.post(f"{url}/documents/a.edi", content=b"ISA*x") for _ in range(2)]
    assert [a.status_code for a in answers] == [503, 503]
    assert "could not be stored" in answers[0].json()["error"]


def test_as2_answers_with_a_receipt_that_holds_the_digest(lake: Lake) -> None:
    content = b"ISA*00*as2~"
    with listening(lake) as url:
        for _ in range(2):
            answer = httpx.post(f"{url}/as2", content=content, headers=request_headers("ACME", "OUR CO", "<m1@acme>"))
            assert answer.status_code == 200
            assert (answer.headers["AS2-From"], answer.headers["AS2-To"]) == ('"OUR CO"', "ACME")
            mdn = parse_mdn(answer.headers["Content-Type"], answer.content)
            assert mdn.is_processed
            assert (mdn.original_message_id, mdn.mic) == ("<m1@acme>", mic_of(content))
    assert lake.read("raw_edi__documents").select("source_uri", "transport_code").rows() == [
        ("as2://ACME/m1@acme", "as2")
    ]


def test_as2_sends_the_receipt_later_where_it_is_asked_to(lake: Lake) -> None:
    with receipt_box() as (where, got), listening(lake) as url:
        answer = httpx.post(
            f"{url}/as2", content=b"UNB+x'", headers=request_headers("A", "B", "<m2@a>", receipt_url=where)
        )
        assert (answer.status_code, answer.content) == (200, b"")
        mdn = parse_mdn(*got.get(timeout=10))
        assert (mdn.original_message_id, mdn.is_processed, mdn.mic) == ("<m2@a>", True, mic_of(b"UNB+x'"))


def test_as2_calls_nobody_it_does_not_know_and_refuses_what_it_cannot_read(lake: Lake) -> None:
    with listening(lake) as url:
        far = request_headers("A", "B", "<m3@a>", receipt_url="http://metadata.internal/x")
        assert httpx.post(f"{url}/as2", content=b"x", headers=far).status_code == 400
        signed = request_headers("A", "B", "<m4@a>", content_type="application/pkcs7-mime; smime-type=enveloped-data")
        answer = httpx.post(f"{url}/as2", content=b"x", headers=signed)
        mdn = parse_mdn(answer.headers["Content-Type"], answer.content)
        assert not mdn.is_processed
        assert "unsupported format" in mdn.disposition
    assert lake.count("raw_edi__documents") == 0


def test_receipts_are_the_same_bytes_each_time() -> None:
    request = read_request(request_headers("A", "B", "<m@a>"))
    assert build_mdn(request, b"x") == build_mdn(request, b"x")


def test_header_lines_cannot_be_smuggled_in() -> None:
    with pytest.raises(AiosError, match="control characters"):
        read_request(request_headers("A\r\nX-Evil: 1", "B", "<m@a>"))


# -- What real brokers and devices do ----------------------------------------------------------------------------------


def publish_all(port: int, messages: list[tuple[str, bytes]], **login: str) -> None:
    import paho.mqtt.client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    if login:
        client.username_pw_set(login["username"], login["password"])
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = [client.publish(topic, payload, qos=1) for topic, payload in messages]
    for info in sent:
        info.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def in_thread(listen: Any, store_: Any, until: Callable[[], bool]) -> tuple[threading.Thread, list[int]]:
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(listen.serve(store_, until)))
    thread.start()
    return thread, got


LOGIN = {"username": "listener", "password": "secret"}


def test_a_burst_over_mqtt_is_taken_whole(lake: Lake, tmp_path: Path) -> None:
    """Mosquitto hands out 20 messages at a time and queues 1,000 more, if nobody asks for more; the others it drops."""
    told: list[str] = []
    with broker(tmp_path) as (port, _stop, _start):
        listen = MqttTelemetry("x/#", port=port, linger_s=0.3, say=told.append, **LOGIN)
        ended = threading.Event()
        thread, got = in_thread(listen, store(lake), ended.is_set)
        wait_for(lambda: bool(told))
        publish_all(port, [(f"x/{n % 7}", message(n % SENT)) for n in range(4_000)], **LOGIN)
        ended.set()
        thread.join(20)
    assert got == [4_000] and lake.count("raw_edi__documents") == 1
    assert read_telemetry(lake.read("raw_edi__documents")).counts["lines"] == 4_000


def test_documents_and_messages_of_others_come_over_a_bus_to_the_byte(lake: Lake, tmp_path: Path) -> None:
    """EDI is a document of its own; all else is kept with topic and time, read by the mapping, and what is no reading is said once."""
    told: list[str] = []
    edi = b"UNB+UNOA:1+A+B+260105:0700+1'\r\nUNZ+0+1'\r\n"
    others = [
        ("plant/p1", b'{\n  "kW": "7.5"\n}'),
        ("plant/p1", b""),
        ("plant/p2", b"\xff\x00"),
        ("plant/p3", b'{"kW": 8}'),
    ]
    rules = ({"topic": "plant/{asset_id}", "constants": {"asset_type": "pump"}, "measures": {"power_kw": "kW"}},)
    with broker(tmp_path) as (port, _stop, _start):
        listen = MqttTelemetry("plant/#", port=port, linger_s=0.3, say=told.append, rules=rules, **LOGIN)
        assert listen.serve(RawStore(lake), lambda: True) == 0
        publish_all(port, [*others, ("plant/edi", edi)], **LOGIN)
        assert listen.serve(RawStore(lake), lambda: True) == 5
    documents = lake.read("raw_edi__documents").sort("kind_code")
    assert documents["kind_code"].to_list() == ["edifact", "telemetry"]
    assert documents["content"][0] == edi and documents["source_uri"][0].endswith("/plant/edi")
    about, kept = unpack(documents["content"][1])
    assert [(m.topic, m.payload) for m in kept] == others and about["mapping"] == list(rules)
    batch = read_telemetry(documents.filter(kind_code="telemetry"))
    assert batch.readings.select("asset_id", "value").rows() == [("p1", 7.5), ("p3", 8.0)]
    assert len([line for line in told if "give no reading" in line]) == 2, told


def test_a_listener_of_a_busy_topic_can_be_stopped(lake: Lake, tmp_path: Path) -> None:
    """It listened for ever: it looked whether to stop only when nothing came."""
    told: list[str] = []
    with broker(tmp_path) as (port, _stop, _start):
        ended, quiet = threading.Event(), threading.Event()
        thread, got = in_thread(MqttTelemetry("x", port=port, say=told.append, **LOGIN), store(lake), ended.is_set)
        wait_for(lambda: bool(told))

        def chatter() -> None:
            while not quiet.is_set():
                publish_all(port, [("x", message(3))] * 20, **LOGIN)

        talk = threading.Thread(target=chatter)
        talk.start()
        ended.set()
        thread.join(10)
        is_stopped = not thread.is_alive()
        quiet.set()
        talk.join(20)
        thread.join(20)
    assert is_stopped and got[0] > 0


def test_a_broker_of_mqtt_3_alone_is_spoken_to_in_its_words(lake: Lake) -> None:
    heard: list[bytes] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def old_broker() -> None:
            for answer in (b"\x20\x02\x00\x01", b"\x20\x02\x00\x00"):
                peer, _ = server.accept()
                with peer:
                    heard.append(peer.recv(4096))
                    peer.sendall(answer)
                    while packet := peer.recv(4096):
                        if packet[0] == 0x82:  # a subscription, granted
                            peer.sendall(b"\x90\x03" + packet[2:4] + b"\x01")

        thread = threading.Thread(target=old_broker, daemon=True)
        thread.start()
        told: list[str] = []
        listen = MqttTelemetry("x", port=server.getsockname()[1], linger_s=0.1, say=told.append)
        assert listen.serve(store(lake), lambda: True) == 0
    assert "no MQTT 5" in told[0] and "listening" in told[1]
    assert [packet[8] for packet in heard] == [5, 4]


def test_a_message_number_of_a_lost_connection_acknowledges_nothing(tmp_path: Path) -> None:
    """After a broker that forgot came back the number stands for another message, which is not stored yet."""
    told: list[str] = []
    kept: list[Incoming] = []
    with broker(tmp_path) as (port, stop, start):
        listen = MqttTelemetry("x", port=port, linger_s=0.3, say=told.append, **LOGIN)
        ended = threading.Event()
        thread, _ = in_thread(listen, lambda incoming: kept.extend(incoming) or [], ended.is_set)
        wait_for(lambda: len(told) == 1)
        publish_all(port, [("x", b"before")], **LOGIN)
        stop()
        wait_for(lambda: len(told) == 2)
        start()
        wait_for(lambda: len(told) == 3)
        ended.set()
        thread.join(20)
        assert "kept nothing" in told[2]
        publish_all(port, [("x", b"after")], **LOGIN)
        assert listen.serve(lambda incoming: kept.extend(incoming) or [], lambda: True) == 1
    assert [m.payload for i in kept for m in unpack(i.content)[1]] == [b"before", b"after"]


@pytest.mark.service
def test_a_consumer_of_jetstream_that_is_anothers_is_refused_and_names_that_cannot_be(lake: Lake) -> None:
    port = need_service("nats")
    name = f"AIOSTEST{uuid.uuid4().hex[:8]}"
    servers = f"nats://127.0.0.1:{port}"
    asyncio.run(publish_nats(port, name))
    try:
        assert NatsTelemetry(f"{name}.>", stream=name, servers=servers).serve(store(lake), lambda: True) == SENT
        with pytest.raises(AiosError, match=r"listens to .*\.>, not to .*\.t.*--name"):
            NatsTelemetry(f"{name}.t", stream=name, servers=servers).serve(store(lake), lambda: True)
        with pytest.raises(AiosError, match="give the --stream that holds the subject"):
            NatsTelemetry("elsewhere.>", stream=name, servers=servers, durable="b").serve(store(lake), lambda: True)
    finally:
        asyncio.run(delete_stream(port, name))
    for wrong in ({"subject": "a..b"}, {"subject": "a", "stream": "a b"}, {"subject": "a", "durable": "a.b"}):
        with pytest.raises(UsageError):
            NatsTelemetry(**wrong, servers=servers).serve(store(lake), lambda: True)  # type: ignore[arg-type]
    about, kept = unpack(lake.read("raw_edi__documents")["content"][0])
    assert [m.sequence for m in kept] == list(range(1, SENT + 1)) and about == {"aios_bus": "nats"}


def test_a_mapping_that_cannot_be_used_stops_the_listener_before_it_listens(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("topik: x")
    home = {"AIOS_HOME": str(tmp_path / "home")}
    done = CliRunner().invoke(app, ["listen", "mqtt", "--mapping", str(tmp_path / "map.yaml")], env=home)
    assert done.exit_code == 1 and "unknown keys topik" in done.stderr
    done = CliRunner().invoke(app, ["listen", "http", "--mapping", str(tmp_path / "map.yaml")], env=home)
    assert done.exit_code == 2 and "--mapping is for brokers" in done.stderr


def test_a_broker_that_hands_out_few_messages_at_a_time_is_not_waited_for() -> None:
    """What came is stored when nothing more comes; from then on as soon as so many came; and never a document for each message."""
    window = Window()
    window.begin()
    now = time.monotonic()
    for n in range(20):
        window.note(now + n / 1_000)
    assert window.is_done(20, 0.3, every_s=600) and not window.is_done(20, 0.1, every_s=600)
    window.learn(20, lambda: True)
    assert window.is_full(20) and not window.is_full(19)
    for _ in range(3):
        window.learn(20, lambda: False)
    assert not window.is_full(20) and not window.is_done(20, 5.0, every_s=600)
    window.begin()
    window.note(time.monotonic() - 601)
    assert window.is_done(1, 0.1, every_s=600)
