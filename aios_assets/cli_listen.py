"""`aios listen`: documents and telemetry from the network, each acknowledged once it is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aios_assets.cli_common import emit, handle_errors, note
from aios_assets.contracts.errors import BadInputError, UsageError

if TYPE_CHECKING:
    from ssl import SSLContext

    from aios_assets.resources.transport import Transport
    from aios_assets.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def mount(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command("listen")(listen)


@handle_errors
def listen(
    way: Annotated[
        str,
        typer.Argument(
            help="http (documents and AS2), mqtt or nats (telemetry); again: what nights set aside, by another --mapping"
        ),
    ],
    topic: Annotated[str, typer.Option(help="MQTT topic filter or NATS subject")] = "",
    host: Annotated[str, typer.Option(help="address to bind (http) or host of the broker")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="port; the protocol's usual one when 0")] = 0,
    stream: Annotated[str, typer.Option(help="NATS stream")] = "TELEMETRY",
    token_file: Annotated[Path | None, typer.Option(help="http: file with the bearer token senders must show")] = None,
    user: Annotated[str, typer.Option(help="mqtt and nats: user name, for brokers that ask")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="mqtt and nats: file with the password of that user")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="mqtt and nats: speak TLS (the next three imply it)")] = False,
    ca_file: Annotated[
        Path | None, typer.Option(help="mqtt and nats: authorities to trust, PEM; else the machine's own")
    ] = None,
    cert_file: Annotated[
        Path | None, typer.Option(help="mqtt and nats: our certificate, PEM, for brokers that ask")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="mqtt and nats: its private key, PEM")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="mqtt and nats: how messages of others become readings, YAML; see docs/listening.md"),
    ] = None,
    name: Annotated[
        str, typer.Option(help="mqtt and nats: name of the session; each listener of a broker needs one of its own")
    ] = "aios-telemetry",
    every: Annotated[
        float,
        typer.Option(min=1, help="mqtt and nats: seconds after which what came is stored, if it is not much before"),
    ] = 600.0,
    seconds: Annotated[float, typer.Option(help="stop after so long; 0 listens until interrupted")] = 0.0,
    as_json: Json = False,
) -> None:
    """Receive documents or telemetry and store them; each is acknowledged once it is on disk. The next run reads them."""
    import signal
    import time

    from aios_assets.cli import settings
    from aios_assets.night import prepare_home
    from aios_assets.resources.lake import Lake
    from aios_assets.resources.transport import RawStore

    conf = settings()
    prepare_home(conf)
    if way == "again":
        emit(_again(conf, mapping), as_json)
        return
    login = _login(way, user, password_file)
    secured = _tls(way, tls, ca_file, cert_file, key_file)
    if login[0] and secured is None and host not in ("127.0.0.1", "localhost", "::1"):
        note(f"the password goes to {host} unencrypted; --tls would encrypt it")
    if way == "http":
        if mapping:
            raise UsageError("--mapping is for brokers", todo="leave it out with http")
        transport: Transport = _http(host, port, token_file, conf)
    else:
        said = {"username": login[0], "password": login[1], "tls": secured, "say": note, "every_s": every}
        transport = _broker(way, topic, host, port, stream, name, said | {"rules": _rules(mapping)})
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _frame: stopped.append(caught))
    end = time.monotonic() + seconds if seconds else float("inf")
    if way == "http":
        note("listening (http); stop with Ctrl-C")
    count = transport.serve(RawStore(Lake(conf.lake_root)), lambda: bool(stopped) or time.monotonic() >= end)
    emit({"way": way, "acknowledged": count}, as_json)


def _http(host: str, port: int, token_file: Path | None, conf: Settings) -> Transport:
    from aios_assets.resources.http_inbox import HttpInbox

    token = _secret(token_file, "token") if token_file else ""
    return HttpInbox(port or 8321, host, conf.document_cap_mb * 1_000_000, token)


def _broker(way: str, topic: str, host: str, port: int, stream: str, name: str, more: dict[str, Any]) -> Transport:
    from aios_assets.resources.bus_mqtt import MqttTelemetry
    from aios_assets.resources.bus_nats import NatsTelemetry

    if way == "mqtt":
        return MqttTelemetry(
            topic or "sensors/#", host, port or (8883 if more["tls"] else 1883), client_id=name, **more
        )  # fmt: skip
    if way == "nats":
        servers = f"{'tls' if more['tls'] else 'nats'}://{host}:{port or 4222}"
        return NatsTelemetry(topic or "sensors.>", stream, servers, durable=name, **more)
    raise UsageError(f"there is no way in called '{way}'", todo="use http, mqtt, nats or again")


def _again(conf: Settings, mapping: Path | None) -> dict[str, int]:
    """Messages that nights set aside, read by another mapping.

    Raises:
        UsageError: there is no mapping.
    """
    from aios_assets.heard_again import hear_again
    from aios_assets.night import only_one
    from aios_assets.outage import user_name
    from aios_assets.resources.clock import now_utc
    from aios_assets.resources.lake import Lake

    if mapping is None:
        raise UsageError("again needs a --mapping", todo="give the mapping that reads what was set aside")
    rules = _rules(mapping)
    with only_one(conf):
        return hear_again(Lake(conf.lake_root), rules, user_name(), now_utc())


def _rules(path: Path | None) -> tuple[dict[str, Any], ...]:
    """The mapping file, checked.

    Raises:
        BadInputError: it cannot be read, or is none.
    """
    from aios_assets.telemetry import parse_rules

    if path is None:
        return ()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError("the mapping cannot be read", where=str(path), todo="check path and rights") from error
    return parse_rules(text, str(path))


def _login(way: str, user: str, password_file: Path | None) -> tuple[str, str]:
    """Name and password for a broker; both empty where none is given.

    Raises:
        UsageError: they go together, and not with http.
    """
    if way == "http" and (user or password_file):
        raise UsageError("--user and --password-file are for brokers", todo="use --token-file with http")
    if bool(user) != bool(password_file):
        raise UsageError("--user and --password-file go together", todo="give both, or none")
    return (user, _secret(password_file, "password")) if password_file else ("", "")


def _tls(way: str, tls: bool, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> SSLContext | None:
    """TLS for a broker; None where it is not asked for.

    Raises:
        UsageError: asked for with http.
    """
    from aios_assets.resources.bus import tls_context

    if not (tls or ca_file or cert_file or key_file):
        return None
    if way == "http":
        raise UsageError("--tls is for brokers", todo="put a proxy with TLS in front of http")
    return tls_context(ca_file, cert_file, key_file)


def _secret(path: Path, what: str) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the {what} file cannot be read", where=str(path), todo="check path and rights") from error
    if not secret:
        raise BadInputError(f"the {what} file is empty", where=str(path), todo=f"put the {what} in it")
    return secret
