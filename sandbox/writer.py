"""The only module of the sandbox that touches a disk: specification, inbox files, saved state, truth."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from aios_assets.contracts.errors import BadInputError, ConflictError, IntegrityError
from sandbox.delivery import OutFile
from sandbox.network import build_network
from sandbox.spec import Spec, spec_from_mapping
from sandbox.state import LINE_COLUMNS, Lines, NetworkState, PendingFile

STATE_ARRAYS = ("on_hand", "level", "seen_sales", "seen_stock", "lead_mean", "lead_var", "low", "high")


def profiles() -> list[str]:
    """Names of the shipped specifications."""
    return sorted(
        p.name[:-5] for p in resources.files("sandbox").joinpath("specs").iterdir() if p.name.endswith(".yaml")
    )


def read_spec(profile: str) -> Spec:
    """A shipped specification by name, or one at a path.

    Raises:
        BadInputError: there is none, it is not YAML, or it is not a specification.
    """
    path = Path(profile) if profile.endswith((".yaml", ".yml")) else None
    shipped = resources.files("sandbox").joinpath("specs", f"{profile}.yaml")
    if path is None and not shipped.is_file():
        raise BadInputError(
            f"there is no profile '{profile}'", todo=f"use one of {profiles()} or a path to a .yaml file"
        )
    if path is not None and not path.is_file():
        raise BadInputError("specification not found", where=str(path), todo="give the path of a .yaml file")
    return parse_spec((path.read_text() if path else shipped.read_text()), profile)


def parse_spec(text: str, where: str) -> Spec:
    """A specification from YAML text.

    Raises:
        BadInputError: it is not YAML, or not a specification.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInputError("not valid YAML", where=where, todo="correct the file") from error
    if not isinstance(data, dict):
        raise BadInputError("expected a mapping", where=where, todo="see sandbox/specs/fast.yaml")
    return spec_from_mapping(data, where)


def _atomic(path: Path, content: bytes, modified_s: int | None = None) -> None:
    """Write under a hidden name, set the time, rename: a reader never sees half a file."""
    hidden = path.with_name("." + path.name)
    try:
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
    if modified_s is not None:
        os.utime(hidden, (modified_s, modified_s))
    os.replace(hidden, path)


def write_files(inbox: Path, files: Iterable[OutFile]) -> int:
    """Put files into the inbox with their delivery time as modification time; returns how many."""
    count = 0
    for file in files:
        _atomic(inbox / file.path, file.content, file.delivered_s)
        count += 1
    return count


def save_state(root: Path, state: NetworkState, spec_text: Mapping[str, Any]) -> None:
    """Save state under `root/state`: arrays in one npz, the rest in one json that names the npz and is renamed last."""
    folder = root / "state"
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(state, name) for name in STATE_ARRAYS}
    arrays |= {f"lines_{n}": state.lines[n] for n in LINE_COLUMNS}
    arrays["pending"] = np.frombuffer(b"".join(p.content for p in state.pending), dtype=np.uint8)
    name = f"arrays_{state.day:06d}.npz"
    hidden = folder / ("." + name)
    with hidden.open("wb") as handle:
        np.savez_compressed(handle, **arrays)
    os.replace(hidden, folder / name)
    pending = [
        {"day": p.day, "path": p.path, "delivered_s": p.delivered_s, "size": len(p.content)} for p in state.pending
    ]
    head = {
        "day": state.day,
        "date": str(state.net.spec.date(state.day)),
        "seed": state.net.seed,
        "arrays": name,
        "counters": dict(sorted(state.counters.items())),
        "pending": pending,
        "spec": spec_text,
    }
    _atomic(folder / "state.json", json.dumps(head, indent=1, default=str).encode())
    for old in folder.glob("arrays_*.npz"):
        if old.name != name:
            old.unlink()


def read_head(root: Path) -> dict[str, Any]:
    """The state's json.

    Raises:
        BadInputError: there is no sandbox at `root`.
        IntegrityError: the file is damaged.
    """
    path = root / "state" / "state.json"
    if not path.is_file():
        raise BadInputError("there is no sandbox here", where=str(root), todo="make one with `aios sandbox new`")
    try:
        head: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise IntegrityError("sandbox state is damaged", where=str(path), todo="make the sandbox again") from error
    return head


def load_state(root: Path) -> NetworkState:
    """The saved state, ready to go on exactly.

    Raises:
        BadInputError: there is no sandbox at `root`.
        IntegrityError: a file is damaged.
    """
    head = read_head(root)
    spec = spec_from_saved(head["spec"])
    path = root / "state" / str(head["arrays"])
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {n: stored[n] for n in stored.files}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise IntegrityError("sandbox state is damaged", where=str(path), todo="make the sandbox again") from error
    content, pending, at = arrays["pending"].tobytes(), [], 0
    for row in head["pending"]:
        pending.append(PendingFile(row["day"], row["path"], content[at : at + row["size"]], row["delivered_s"]))
        at += row["size"]
    return NetworkState(
        net=build_network(spec, int(head["seed"])),
        day=int(head["day"]),
        lines=Lines({n: arrays[f"lines_{n}"] for n in LINE_COLUMNS}),
        counters={str(k): int(v) for k, v in head["counters"].items()},
        pending=pending,
        **{name: arrays[name] for name in STATE_ARRAYS},
    )


def spec_to_saved(spec: Spec) -> dict[str, Any]:
    """The specification as json can hold it."""
    saved = dataclasses.asdict(spec)
    saved["start_date"] = str(spec.start_date)
    return saved


def spec_from_saved(saved: Mapping[str, Any]) -> Spec:
    """The specification back from `spec_to_saved`."""
    import datetime as dt

    return spec_from_mapping({**saved, "start_date": dt.date.fromisoformat(str(saved["start_date"]))}, "saved sandbox")


def must_be_new(root: Path) -> None:
    """Refuse a folder that already holds a sandbox.

    Raises:
        ConflictError: there is one.
    """
    if (root / "state" / "state.json").exists():
        raise ConflictError(
            "there is a sandbox here already", where=str(root), todo="advance it, or give another folder"
        )


def write_truth(root: Path, tables: Mapping[str, pl.DataFrame], first: str, last: str) -> None:
    """Write truth tables of a stretch of days, one Parquet file per table, outside the inbox."""
    for name, frame in tables.items():
        if not frame.height:
            continue
        folder = root / "truth" / name
        folder.mkdir(parents=True, exist_ok=True)
        hidden = folder / f".{first}_{last}.parquet"
        frame.write_parquet(hidden, compression="zstd", compression_level=1)
        os.replace(hidden, folder / f"{first}_{last}.parquet")


def append_faults(root: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append one day's planted faults to `truth/faults.jsonl`, unless they are there from a try that was cut off."""
    if not rows:
        return
    path = root / "truth" / "faults.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as handle:
        end = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, end - 4096))
        last = handle.read().decode("ascii").splitlines()
        if last and str(json.loads(last[-1])["date"]) >= str(rows[0]["date"]):
            return
        handle.write("".join(json.dumps(row, default=str) + "\n" for row in rows).encode("ascii"))


def write_comparison(root: Path, report: Mapping[str, Any]) -> None:
    """Keep a comparison beside the state, one file per stretch of days."""
    folder = root / "state" / "comparisons"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{report['from_date']}_{report['to_date']}.json"
    _atomic(folder / name, json.dumps(report, indent=1, default=str).encode())


@contextmanager
def clone(root: Path) -> Iterator[Path]:
    """A copy of a sandbox beside it for as long as the block lasts; files are linked, since nobody changes them in place."""
    twin = root.with_name(f".{root.name}_branch_{os.getpid()}")
    shutil.copytree(root / "inbox", twin / "inbox", copy_function=os.link)
    shutil.copytree(root / "state", twin / "state")
    try:
        yield twin
    finally:
        shutil.rmtree(twin)
