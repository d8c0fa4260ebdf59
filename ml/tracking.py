"""The model registry and the record of training runs: the only module that imports MLflow.

Backend: SQLite by default, PostgreSQL by the same setting. A model is one file of bytes that we read ourselves after its
SHA-256 was compared with the registered one and its manifest's signature was checked; it is parsed first in a child process.
MLflow never deserialises it (no pickle, no code in an MLmodel is run). What is missing or broken in the registry becomes a
`RefusedError` or an `IntegrityError`, which scoring turns into the named fallback.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from aios_assets.contracts.errors import IntegrityError, RefusedError
from ml.promotion.integrity import looks_like, own_key, read_manifest, sign, use_key, verify
from ml.promotion.integrity import prove_once as prove
from ml.tracking_form import ARTIFACT, DIGEST_TAG, MANIFEST, Plain, Trained, flat, mlmodel, name_of, short, source_hash

__all__ = ["ARTIFACT", "DIGEST_TAG", "ModelRef", "Plain", "RunRecord", "Tracking", "Trained", "flat", "source_hash"]

EXPERIMENT = "aios"
KEY_TAG = "training_key"
QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One registered version, pinned.

    Attributes:
        name: registered model.
        version: registered version.
        digest: SHA-256 of its bytes, as registered.
        run_id: MLflow run that made it.
        source: folder of its files.
    """

    name: str
    version: str
    digest: str
    run_id: str
    source: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run recorded: parameters, metrics, tags."""

    run_id: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


class Tracking:
    """Runs, registered versions and aliases."""

    def __init__(
        self, uri: str, artifact_root: Path | str, experiment: str = EXPERIMENT, key_file: Path | None = None
    ) -> None:
        """Open lazily: nothing is read or written before the first call.

        Args:
            uri: MLflow store (`sqlite:///…`, `postgresql://…`).
            artifact_root: folder of run files.
            experiment: experiment name.
            key_file: key that signs manifests; by default `model_signing.key` beside the folder of run files.
        """
        self.uri, self.artifact_root, self.experiment = uri, Path(artifact_root), experiment
        self.key_file = key_file or self.artifact_root.parent / "model_signing.key"
        self._opened: tuple[Any, str] | None = None

    # --- recording ------------------------------------------------------------------------------------------------
    def log_training(
        self,
        trained: Trained,
        *,
        data_versions: Mapping[str, int],
        code_version: str = "",
        training_key: str = "",
        as_of: date | None = None,
        reason: str = "",
        run_name: str = "",
        tags: Mapping[str, str] | None = None,
        parent_run_id: str = "",
    ) -> ModelRef:
        """Record a training run and register its model as a new version.

        Args:
            trained: artefact, parameters, metrics, plots, card, features and seed.
            data_versions: Delta table name to version read.
            code_version: commit or hash of the code; by default the SHA-256 of this package's source.
            training_key: names this training; a version already registered under it is returned and nothing is written.
            as_of: last business day learned from.
            reason: why it was trained.
            run_name: shown in the MLflow UI; by default the model's name and `as_of`.
            tags: further tags.
            parent_run_id: run to nest this one under.

        Raises:
            IntegrityError: the artefact's bytes do not have its digest.
            RefusedError: the registry cannot be written.
        """
        if hashlib.sha256(trained.artifact).hexdigest() != trained.digest:
            raise IntegrityError(
                "the artefact's bytes do not have its SHA-256; nothing was registered", where=trained.name
            )
        looks_like(ARTIFACT, trained.artifact, "json")
        done = self._registered(trained.name, training_key)
        if done is not None:
            return self._signed(done, trained.artifact)
        files: dict[str, bytes] = {
            f"model/{ARTIFACT}": trained.artifact,
            "model/MLmodel": mlmodel(trained).encode(),
            "model_card.md": trained.card.encode(),
            "data_versions.json": json.dumps(dict(data_versions), sort_keys=True, indent=1).encode(),
        } | {f"plots/{name}.png": png for name, png in trained.plots.items()}
        all_tags = {
            DIGEST_TAG: trained.digest,
            "code_version": code_version or source_hash(),
            "model": trained.name,
        } | dict(tags or {})
        all_tags |= {"reason": reason, "as_of": as_of.isoformat() if as_of else "", KEY_TAG: training_key}
        all_tags |= {f"delta.{table}": str(version) for table, version in data_versions.items()}
        params = flat({**trained.params, "seed": trained.seed, "features": len(trained.feature_names)})
        run_name = run_name or f"{trained.name} {as_of or 'training'}"
        run_id = self.log_run(run_name, params, trained.metrics, files, all_tags, parent_run_id)
        return self._signed(self._register(trained, run_id, training_key), trained.artifact)

    def log_artifact(
        self,
        name: str,
        data: bytes,
        *,
        data_versions: Mapping[str, int],
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        training_key: str = "",
        as_of: date | None = None,
        reason: str = "",
        card: str = "",
        seed: int = 0,
    ) -> ModelRef:
        """Record a model that is only bytes and figures (lead times); same rules as `log_training`."""
        trained = Plain(
            name,
            data,
            hashlib.sha256(data).hexdigest(),
            dict(params or {}),
            dict(metrics or {}),
            {},
            card or f"# {name}",
            (),
            seed,
        )
        return self.log_training(
            trained, data_versions=data_versions, training_key=training_key, as_of=as_of, reason=reason
        )

    def _registered(self, name: str, training_key: str) -> ModelRef | None:
        """The version registered under this key, if any."""
        if not training_key:
            return None
        client, _ = self._open()
        with _refusing("the registry cannot be read", name):
            found = client.search_model_versions(f"name='{name}'", max_results=1000)
        same = [v for v in found if dict(v.tags or {}).get(KEY_TAG) == training_key]
        return _ref(min(same, key=lambda v: int(v.version))) if same else None

    def log_run(
        self,
        run_name: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        files: Mapping[str, bytes] | None = None,
        tags: Mapping[str, str] | None = None,
        parent_run_id: str = "",
    ) -> str:
        """Record one finished run and return its id.

        Args:
            run_name: name.
            params: flat parameters; texts are cut at MLflow's limit of 6,000 characters and said so by an ellipsis.
            metrics: finite figures; others are refused by name in the tag `not_finite`.
            files: path below the run's artifacts to bytes.
            tags: tags.
            parent_run_id: run to nest under.
        """
        from mlflow.entities import Metric, Param, RunTag

        client, experiment_id = self._open()
        finite = {k: float(v) for k, v in metrics.items() if v == v and abs(v) != float("inf")}
        wrong = sorted(set(metrics) - set(finite))
        labels = dict(tags or {}) | ({"mlflow.parentRunId": parent_run_id} if parent_run_id else {})
        labels |= {"not_finite": ",".join(wrong)[:4000]} if wrong else {}
        with _refusing("the run could not be recorded", self.uri):
            run = client.create_run(experiment_id, run_name=run_name, tags=labels)
            run_id = str(run.info.run_id)
            stamp = int(run.info.start_time)
            rows = [Metric(name_of(k), v, stamp, 0) for k, v in sorted(finite.items())]
            values = [Param(name_of(k), short(v)) for k, v in sorted(params.items())]
            for low in range(0, max(len(rows), 1), 900):
                client.log_batch(run_id, metrics=rows[low : low + 900])
            for low in range(0, max(len(values), 1), 90):
                client.log_batch(run_id, params=values[low : low + 90], tags=[RunTag("seeded", "true")])
            self._files(client, run_id, files or {})
            client.set_terminated(run_id, "FINISHED")
        return run_id

    def _files(self, client: Any, run_id: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            client.log_artifacts(run_id, folder)

    def _signed(self, ref: ModelRef, artifact: bytes) -> ModelRef:
        """Put the signed manifest beside the artefact; a version is not loaded without."""
        client, _ = self._open()
        manifest = sign(ref.name, ref.version, {ARTIFACT: artifact}, {ARTIFACT: "json"}, own_key(self.key_file))
        with _refusing("the manifest could not be stored", f"{ref.name} {ref.version}"):
            self._files(client, ref.run_id, {f"model/{MANIFEST}": manifest.to_bytes()})
        return ref

    def attach(self, ref: ModelRef, files: Mapping[str, bytes], tags: Mapping[str, str]) -> None:
        """Add files to the run of a version, and tags to the version (model card, data sheet).

        Args:
            ref: version.
            files: path below the run's artifacts to bytes; what is there already is replaced.
            tags: tags of the version.
        """
        client, _ = self._open()
        with _refusing("files could not be added", f"{ref.name} {ref.version}"):
            self._files(client, ref.run_id, files)
            for key, value in tags.items():
                client.set_model_version_tag(ref.name, ref.version, key, value)

    def version_tags(self, ref: ModelRef) -> dict[str, str]:
        """Tags of a version."""
        client, _ = self._open(create=False)
        with _refusing("the registry cannot be read", f"{ref.name} {ref.version}"):
            return {str(k): str(v) for k, v in dict(client.get_model_version(ref.name, ref.version).tags or {}).items()}

    def _register(self, trained: Trained, run_id: str, training_key: str) -> ModelRef:
        client, _ = self._open()
        with _refusing("the model could not be registered", trained.name):
            from mlflow.exceptions import MlflowException

            try:
                client.create_registered_model(trained.name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{client.get_run(run_id).info.artifact_uri}/model"
            tags = {DIGEST_TAG: trained.digest, KEY_TAG: training_key}
            version = client.create_model_version(trained.name, source, run_id, tags=tags, await_creation_for=0)
        return ModelRef(trained.name, str(version.version), trained.digest, run_id, source)

    # --- reading --------------------------------------------------------------------------------------------------
    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias (champion, challenger, …) at a version."""
        client, _ = self._open()
        with _refusing(f"alias {alias} could not be set", name):
            client.set_registered_model_alias(name, alias, version)

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away."""
        client, _ = self._open()
        with _refusing(f"alias {alias} could not be removed", name):
            client.delete_registered_model_alias(name, alias)

    def alias_version(self, name: str, alias: str) -> str:
        """Version an alias points at; empty when there is none or nothing was registered yet.

        Raises:
            RefusedError: the registry cannot be read.
        """
        client, _ = self._open()
        with _refusing("the registry cannot be read", name):
            from mlflow.exceptions import MlflowException

            try:
                model = client.get_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return ""
        return str(dict(model.aliases or {}).get(alias, ""))

    def get_by_alias(self, name: str, alias: str) -> ModelRef:
        """The version an alias points at.

        Raises:
            RefusedError: no registry, no such alias, or a version registered without its SHA-256.
        """
        client, _ = self._open(create=False)
        with _refusing(f"there is no {alias}", name):
            version = client.get_model_version_by_alias(name, alias)
        return _ref(version)

    def get_version(self, name: str, version: str) -> ModelRef:
        """One version by number.

        Raises:
            RefusedError: there is none.
        """
        client, _ = self._open(create=False)
        with _refusing(f"there is no version {version}", name):
            found = client.get_model_version(name, version)
        return _ref(found)

    def versions(self, name: str) -> list[ModelRef]:
        """All versions, oldest first."""
        client, _ = self._open(create=False)
        with _refusing("the registry cannot be read", name):
            found = client.search_model_versions(f"name='{name}'")
        return sorted((_ref(v) for v in found), key=lambda r: int(r.version))

    def load_artifact(self, ref: ModelRef | str, version: str = "", digest: str = "") -> bytes:
        """The bytes of a version, after SHA-256, signature and a trial in a child process, in this order.

        Args:
            ref: a pinned version, or a registered name with `version` and `digest`.
            version: registered version, when a name is given.
            digest: SHA-256 the caller relies on, when a name is given.

        Raises:
            RefusedError: the version or its file is missing or unreadable.
            IntegrityError: its bytes are not those registered, signed, or relied on, or a child process could not load them.
        """
        if isinstance(ref, str):
            ref = self.get_version(ref, version)
            if digest and digest != ref.digest:
                raise IntegrityError(
                    "the registered SHA-256 is not the deployed one", where=f"{ref.name} {ref.version}"
                )
        where, folder = f"{ref.name} {ref.version}", self._path(ref.source)
        data = _read(folder / ARTIFACT, "the model's file cannot be read", where)
        if hashlib.sha256(data).hexdigest() != ref.digest:
            raise IntegrityError(
                "the model's bytes do not have the registered SHA-256", where=where, todo="roll back to another version"
            )
        manifest = read_manifest(_read(folder / MANIFEST, "the model's signed manifest cannot be read", where))
        if (manifest.model_name, manifest.model_version) != (ref.name, ref.version):
            raise IntegrityError("the manifest belongs to another version", where=where, todo="roll back")
        verify(manifest, {ARTIFACT: data}, use_key(self.key_file))
        prove(data, manifest.kinds[ARTIFACT])
        return data

    def run(self, run_id: str) -> RunRecord:
        """What a run recorded.

        Raises:
            RefusedError: there is no such run.
        """
        client, _ = self._open(create=False)
        with _refusing("there is no such run", run_id):
            run = client.get_run(run_id)
        return RunRecord(run_id, dict(run.data.params), dict(run.data.metrics), dict(run.data.tags))

    def run_file(self, run_id: str, name: str) -> bytes:
        """One file of a run.

        Raises:
            RefusedError: the run or the file is missing.
        """
        client, _ = self._open(create=False)
        with _refusing("the run's file cannot be read", f"{run_id}/{name}"):
            return (self._path(str(client.get_run(run_id).info.artifact_uri)) / name).read_bytes()

    def _path(self, source: str) -> Path:
        parsed = urlparse(source)
        if parsed.scheme in ("", "file"):
            return Path(unquote(parsed.path))
        from mlflow.artifacts import download_artifacts

        with _refusing("the model's files cannot be fetched", source):
            return Path(download_artifacts(artifact_uri=source, tracking_uri=self.uri))

    def _open(self, create: bool = True) -> tuple[Any, str]:
        """Client and experiment id; the store's folder is made only for writing."""
        if self._opened is not None:
            return self._opened
        file = Path(urlparse(self.uri).path) if self.uri.startswith("sqlite") else None
        if file is not None and not file.exists() and not create:
            raise RefusedError("there is no model registry yet", where=str(file), todo="train a model first")
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        with _refusing("the model registry cannot be opened", self.uri):
            import logging

            logging.getLogger("mlflow").setLevel(logging.ERROR)
            logging.getLogger("alembic").setLevel(logging.ERROR)
            from mlflow import MlflowClient

            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            found = client.get_experiment_by_name(self.experiment)
            self.artifact_root.mkdir(parents=True, exist_ok=True)
            root = self.artifact_root.resolve().as_uri()
            made = (
                found.experiment_id
                if found is not None
                else client.create_experiment(self.experiment, artifact_location=root)
            )
        self._opened = (client, str(made))
        return self._opened

    def forget(self) -> None:
        """Remove all run files (used by `aios rebuild` of a sandbox; the store itself is the caller's)."""
        shutil.rmtree(self.artifact_root, ignore_errors=False)


class _refusing:
    """Turn whatever the registry throws into a `RefusedError` with one line."""

    def __init__(self, what: str, where: str) -> None:
        self.what, self.where = what, where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, (RefusedError, KeyboardInterrupt, SystemExit)):
            return
        first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise RefusedError(f"{self.what}: {first}", where=self.where) from error


def _read(path: Path, what: str, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(what, where=where, todo="train again, or roll back") from error


def _ref(version: Any) -> ModelRef:
    digest = dict(version.tags or {}).get(DIGEST_TAG, "")
    if len(digest) != 64:
        raise RefusedError("a version without SHA-256 is not used", where=f"{version.name} {version.version}")
    return ModelRef(str(version.name), str(version.version), digest, str(version.run_id), str(version.source))
