"""Artefacts: tampered, code-carrying, missing, crashing ones are refused before they are parsed in this process."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from aios_assets.contracts.errors import BadInputError, IntegrityError
from ml.promotion.integrity import Manifest, open_artefact, prove_in_child, read_manifest, sign, verify

KEY = b"0123456789abcdef0123456789abcdef"
KINDS = {"model.lgb": "lightgbm_text", "meta.json": "json"}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    import lightgbm as lgb

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    booster = lgb.train({"verbose": -1, "num_leaves": 4, "num_threads": 1, "seed": 1}, lgb.Dataset(x, x[:, 0] * 2), 5)
    return {"model.lgb": booster.model_to_string().encode(), "meta.json": b'{"features": ["a", "b", "c"]}'}


def test_what_was_signed_opens(files: dict[str, bytes]) -> None:
    manifest = sign("m", "1", files, KINDS, KEY)
    assert open_artefact(manifest.to_bytes(), files, KEY) == manifest
    assert sign("m", "1", files, KINDS, KEY).to_bytes() == manifest.to_bytes()
    assert prove_in_child(files["model.lgb"], "lightgbm_text") == 5


def test_any_flipped_byte_is_refused(files: dict[str, bytes]) -> None:
    manifest = sign("m", "1", files, KINDS, KEY)
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(files["model.lgb"]), 50):
        bad = bytearray(files["model.lgb"])
        bad[place] ^= 1 << int(rng.integers(0, 8))
        with pytest.raises(IntegrityError, match="not what was signed"):
            verify(manifest, files | {"model.lgb": bytes(bad)}, KEY)


def test_missing_extra_and_swapped_files_are_refused(files: dict[str, bytes]) -> None:
    manifest = sign("m", "1", files, KINDS, KEY)
    with pytest.raises(IntegrityError, match="files missing"):
        verify(manifest, {"meta.json": files["meta.json"]}, KEY)
    with pytest.raises(IntegrityError, match="not in the manifest"):
        verify(manifest, files | {"code.py": b"print()"}, KEY)


def test_a_changed_manifest_or_another_key_is_refused(files: dict[str, bytes]) -> None:
    manifest = sign("m", "1", files, KINDS, KEY)
    with pytest.raises(IntegrityError, match="signature"):
        verify(manifest, files, b"another key of enough length")
    body = json.loads(manifest.to_bytes())
    body["model_version"] = "2"
    with pytest.raises(IntegrityError, match="signature"):
        verify(read_manifest(json.dumps(body).encode()), files, KEY)


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"{}", b'{"format": "other"}', pickle.dumps({"a": 1})])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="no manifest"):
        read_manifest(data)


def test_pickles_archives_and_unknown_kinds_cannot_even_be_signed(files: dict[str, bytes]) -> None:
    for data in (pickle.dumps([1]), b"PK\x03\x04", b"import os"):
        with pytest.raises(IntegrityError, match="does not begin like"):
            sign("m", "1", {"model.lgb": data}, {"model.lgb": "lightgbm_text"}, KEY)
    with pytest.raises(IntegrityError, match="not allowed"):
        sign("m", "1", {"model.pkl": b"x"}, {"model.pkl": "pickle"}, KEY)
    for name in ("../model.lgb", "a/b", ".hidden", ""):
        with pytest.raises(BadInputError):
            sign("m", "1", {name: files["model.lgb"]}, {name: "lightgbm_text"}, KEY)
    with pytest.raises(BadInputError, match="16 bytes"):
        sign("m", "1", files, KINDS, b"short")


def test_a_signed_but_broken_model_stops_in_the_child_and_not_here(files: dict[str, bytes]) -> None:
    text = files["model.lgb"].decode()
    broken = text.replace("split_feature=", "split_feature=99999999 ", 1).encode()
    manifest = sign("m", "1", {"model.lgb": broken}, {"model.lgb": "lightgbm_text"}, KEY)
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        open_artefact(manifest.to_bytes(), {"model.lgb": broken}, KEY)
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        prove_in_child(b'{"a": NaN}', "json")


def test_digest_names_the_whole_artefact(files: dict[str, bytes]) -> None:
    a = sign("m", "1", files, KINDS, KEY)
    b = sign("m", "1", files | {"meta.json": b"{}"}, KINDS, KEY)
    assert a.digest != b.digest and isinstance(a, Manifest) and len(a.digest) == 64
