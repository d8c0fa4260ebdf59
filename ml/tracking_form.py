"""The form in which a training is recorded: what it must offer, its parameters as flat text, MLflow's description of its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ARTIFACT = "model.json"
MANIFEST = "manifest.json"
DIGEST_TAG = "sha256"


class Trained(Protocol):
    """What a training gives to be recorded (`ml.training.TrainedModel` and its like)."""

    @property
    def name(self) -> str: ...
    @property
    def artifact(self) -> bytes: ...
    @property
    def digest(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def plots(self) -> Mapping[str, bytes]: ...
    @property
    def card(self) -> str: ...
    @property
    def feature_names(self) -> Sequence[str]: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A `Trained` of nothing but bytes and figures."""

    name: str
    artifact: bytes
    digest: str
    params: dict[str, Any]
    metrics: dict[str, float]
    plots: dict[str, bytes]
    card: str
    feature_names: tuple[str, ...]
    seed: int


def source_hash() -> str:
    """SHA-256 over this package's source files: the code version of a run where no commit is known."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        total.update(path.relative_to(Path(__file__).parent).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def mlmodel(trained: Trained) -> str:
    """MLflow's description of the folder, with signature; it names no loader, so nothing is executed on load."""
    inputs = json.dumps([{"type": "float", "name": name, "required": False} for name in trained.feature_names])
    outputs = json.dumps([{"type": "double", "name": "mean"}])
    data = {
        "flavors": {"aios_bytes": {"file": ARTIFACT, DIGEST_TAG: trained.digest}},
        "signature": {"inputs": inputs, "outputs": outputs, "params": None},
    }
    return json.dumps(data, sort_keys=True, indent=1)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as flat text: `boost.trees = 220`.

    >>> flat({"a": {"b": 1}, "c": (1, 2)})
    {'a.b': '1', 'c': '[1, 2]'}
    """
    out: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = json.dumps(value, default=str) if isinstance(value, (list, tuple)) else str(value)
    return out


def name_of(key: str) -> str:
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in key)[:250]


def short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 6000 else text[:5999] + "…"
