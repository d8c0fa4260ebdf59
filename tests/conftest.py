"""What all tests share: quiet libraries, the real data beside the repository where there is any, loud skips."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("AIOS_HOME", "/nonexistent-aios-home-tests-must-name-their-own")

from aios_assets.settings import quiet_libraries

quiet_libraries()
settings.register_profile("unhurried", deadline=None)  # a crowded machine is no fault of the code
settings.load_profile("unhurried")

REPO = Path(__file__).resolve().parent.parent
SERVICES = {"postgres": 5432, "redis": 6379, "mqtt": 1883, "nats": 4222}


@pytest.fixture(scope="session")
def repo() -> Path:
    """Top folder of the repository."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data that nobody here wrote; the test is skipped, loudly, where it is absent."""
    folder = Path(os.environ.get("AIOS_SHARED", REPO.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"NO REAL DATA: {folder} is absent; set AIOS_SHARED to run this test")
    return folder


def need_service(name: str) -> int:
    """Port of a real service; the test is skipped, loudly, where it does not answer."""
    port = SERVICES[name]
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            pytest.skip(f"NO SERVICE: {name} does not answer on 127.0.0.1:{port}; `make services` starts it")
    return port
