"""Artefacts that load without executing code: digest and signature first, a child process next, then use.

A manifest names every file with its SHA-256 and is signed with a key (HMAC-SHA256). Order of checks: signature, file list,
digests, first bytes of the format; only then is anything parsed, and first in a child process with a memory and a time
limit, because a LightGBM text that was crafted or damaged can crash whoever parses it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aios_assets.contracts.errors import BadInputError, IntegrityError

FORMAT = "aios-manifest-1"
KINDS: dict[str, tuple[bytes, ...]] = {"lightgbm_text": (b"tree\n",), "json": (b"{",)}
_CHILD = """
import resource, sys
limit = int(sys.argv[2]) * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
data = sys.stdin.buffer.read()

def trees(text):
    # what LightGBM only offers wrappers for is not needed here, and takes seconds to load
    for name in ("sklearn", "pandas", "dask", "matplotlib", "graphviz", "pyarrow", "polars"):
        sys.modules[name] = None
    import lightgbm
    import numpy
    booster = lightgbm.Booster(model_str=text)
    rows = numpy.array([[0.0] * booster.num_feature(), [1.0] * booster.num_feature()])
    out = booster.predict(rows, num_threads=1)
    if not all(abs(float(v)) < 1e300 for v in out.ravel()):
        raise SystemExit("predictions are not finite")
    return booster.num_trees()

if sys.argv[1] == "lightgbm_text":
    print(trees(data.decode("utf-8")))
else:
    import json
    body = json.loads(data, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    found = [trees(v) for v in body.values() if isinstance(v, str) and v.startswith("tree")]
    print(sum(found) if found else len(body))
"""
_PROVEN: set[tuple[str, str]] = set()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artefact consists of.

    Attributes:
        model_name: registered model.
        model_version: version.
        kinds: kind of each file by name (`lightgbm_text` or `json`).
        digests: SHA-256 of each file by name.
        signature: HMAC-SHA256 over everything above, hex.
    """

    model_name: str
    model_version: str
    kinds: Mapping[str, str]
    digests: Mapping[str, str]
    signature: str

    def body(self) -> bytes:
        """The bytes that are signed."""
        named = {
            "format": FORMAT,
            "model_name": self.model_name,
            "model_version": self.model_version,
            "kinds": dict(self.kinds),
            "digests": dict(self.digests),
        }
        return json.dumps(named, sort_keys=True, separators=(",", ":")).encode()

    def to_bytes(self) -> bytes:
        """Canonical JSON with the signature."""
        return json.dumps(
            {**json.loads(self.body()), "signature": self.signature}, sort_keys=True, separators=(",", ":")
        ).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the signed body: one digest for the whole artefact."""
        return hashlib.sha256(self.body()).hexdigest()


def sign(
    model_name: str, model_version: str, files: Mapping[str, bytes], kinds: Mapping[str, str], key: bytes
) -> Manifest:
    """Make the manifest of an artefact.

    Args:
        model_name: registered model.
        model_version: version.
        files: bytes by file name.
        kinds: kind by file name.
        key: secret of at least 16 bytes.

    Raises:
        BadInputError: no files, a file without a known kind, a name with a path, a short key.
        IntegrityError: a file does not look like its kind.
    """
    if len(key) < 16:
        raise BadInputError("the signing key is shorter than 16 bytes", where=model_name, todo="set a longer key")
    if not files or set(files) != set(kinds):
        raise BadInputError(
            "files and kinds do not match", where=model_name, count=len(files), todo="name the kind of every file"
        )
    for name, data in files.items():
        _plain_name(name)
        looks_like(name, data, kinds[name])
    digests = {n: hashlib.sha256(d).hexdigest() for n, d in sorted(files.items())}
    unsigned = Manifest(model_name, model_version, dict(sorted(kinds.items())), digests, "")
    return Manifest(
        model_name, model_version, unsigned.kinds, digests, hmac.new(key, unsigned.body(), hashlib.sha256).hexdigest()
    )


def _plain_name(name: str) -> None:
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise BadInputError(f"{name!r} is no plain file name", where="manifest", todo="store files flat")


def looks_like(name: str, data: bytes, kind: str) -> None:
    """Whether bytes begin as their kind must; nothing is parsed.

    Raises:
        IntegrityError: the kind is not allowed, or they do not.
    """
    starts = KINDS.get(kind)
    if starts is None:
        raise IntegrityError(
            f"kind {kind!r} is not allowed",
            where=name,
            todo=f"store models as {', '.join(KINDS)}; pickles and code are refused",
        )
    if not data.startswith(starts):
        raise IntegrityError(
            f"it does not begin like {kind}",
            where=name,
            todo="it may be a pickle or an archive; train and register again",
        )


def read_manifest(data: bytes) -> Manifest:
    """Parse a manifest; nothing is believed yet.

    Raises:
        IntegrityError: it is none.
    """
    try:
        body = json.loads(data)
        if body.pop("format") != FORMAT or set(body) != {
            "model_name",
            "model_version",
            "kinds",
            "digests",
            "signature",
        }:
            raise KeyError("format")
        return Manifest(
            str(body["model_name"]),
            str(body["model_version"]),
            dict(body["kinds"]),
            dict(body["digests"]),
            str(body["signature"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError("these bytes are no manifest", where=FORMAT, todo="register the model again") from error


def verify(manifest: Manifest, files: Mapping[str, bytes], key: bytes) -> None:
    """Check signature, file list, digests and first bytes, in that order, before anything is parsed.

    Raises:
        IntegrityError: with the file and what is wrong with it.
    """
    expected = hmac.new(key, manifest.body(), hashlib.sha256).hexdigest()
    where = f"{manifest.model_name}:{manifest.model_version}"
    if not hmac.compare_digest(expected, manifest.signature):
        raise IntegrityError(
            "the manifest's signature is wrong", where=where, todo="score with the fallback; find out who changed it"
        )
    missing, extra = sorted(set(manifest.digests) - set(files)), sorted(set(files) - set(manifest.digests))
    if missing or extra:
        what = f"files missing: {', '.join(missing)}" if missing else f"files not in the manifest: {', '.join(extra)}"
        raise IntegrityError(what, where=where, todo="score with the fallback; register the model again")
    for name, data in sorted(files.items()):
        if hashlib.sha256(data).hexdigest() != manifest.digests[name]:
            raise IntegrityError(
                "the file is not what was signed",
                where=f"{where} {name}",
                todo="score with the fallback; register the model again",
            )
        looks_like(name, data, manifest.kinds[name])


def prove_in_child(data: bytes, kind: str, *, timeout_s: float = 60.0, memory_mb: int = 4096) -> int:
    """Parse and predict once in a child process with limits; the number of trees (or keys) comes back.

    Raises:
        IntegrityError: the child crashed, ran out of time or memory, or found the model unusable.
    """
    looks_like("artefact", data, kind)
    command = [sys.executable, "-I", "-c", _CHILD, kind, str(memory_mb)]
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={"OMP_NUM_THREADS": "1", "PATH": ""},
        )
    except subprocess.TimeoutExpired as error:
        raise IntegrityError(
            f"loading took longer than {timeout_s:.0f} s", where=kind, todo="score with the fallback"
        ) from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["killed"]
        how = f"signal {-done.returncode}" if done.returncode < 0 else last[0][:160]
        raise IntegrityError(
            f"the artefact cannot be loaded: {how}", where=kind, todo="score with the fallback; train again"
        )
    return int(done.stdout.split()[-1])


def prove_once(data: bytes, kind: str) -> None:
    """`prove_in_child`, once per process for the same bytes.

    Raises:
        IntegrityError: as there.
    """
    place = (hashlib.sha256(data).hexdigest(), kind)
    if place not in _PROVEN:
        prove_in_child(data, kind)
        _PROVEN.add(place)


def own_key(path: Path) -> bytes:
    """The key that signs here; made on first use, readable by its owner alone.

    Raises:
        IntegrityError: it is there and cannot be used.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process made it in this moment
            return use_key(path)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
    return use_key(path)


def use_key(path: Path) -> bytes:
    """The key that verifies; a key that is missing or short verifies nothing.

    Raises:
        IntegrityError: it is missing, unreadable or short.
    """
    try:
        key = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            "the signing key cannot be read", where=path.name, todo="restore it, or train again"
        ) from error
    if len(key) < 16:
        raise IntegrityError("the signing key is shorter than 16 bytes", where=path.name, todo="restore it")
    return key


def open_artefact(manifest_bytes: bytes, files: Mapping[str, bytes], key: bytes) -> Manifest:
    """Everything a loader must do before it parses: read, verify, prove each file in a child process.

    Raises:
        IntegrityError: at the first thing that is wrong; the caller then scores with the fallback.
    """
    manifest = read_manifest(manifest_bytes)
    verify(manifest, files, key)
    for name, data in sorted(files.items()):
        prove_in_child(data, manifest.kinds[name])
    return manifest
