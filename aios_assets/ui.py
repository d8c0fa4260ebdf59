"""The web pages, on loopback only: Dagster's (lineage, runs, backfills), MLflow's (experiments, models), the nights' reports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from aios_assets.contracts.errors import ConflictError, UsageError
from aios_assets.settings import Settings

# The page of trainings in a store of our own (its first experiment); MLflow's own first page is about language models.
TRAININGS = "/#/experiments/1?workflowType=machine_learning"


def serve(settings: Settings, port: int, mlflow_port: int, pages_port: int) -> None:
    """Start all three and wait until they are stopped with Ctrl-C.

    Raises:
        UsageError: a port is asked for twice.
        ConflictError: a port is taken.
    """
    if len({port, mlflow_port, pages_port}) < 3:
        raise UsageError(
            f"two pages cannot have one port ({port}, {mlflow_port}, {pages_port})",
            todo="choose three with --port, --mlflow-port and --pages-port",
        )
    for wanted in (port, mlflow_port, pages_port):
        _refuse_taken(wanted)
    workspace = Path(__file__).resolve().parent.parent / "workspace.yaml"
    environment = dict(os.environ) | {"AIOS_PAGES_URL": f"http://127.0.0.1:{pages_port}"}
    commands = [
        [_tool("dagster"), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)],
        [
            _tool("mlflow"),
            "server",
            "--backend-store-uri",
            settings.tracking_uri,
            "--workers",
            "1",  # one person's pages; each further worker holds another 250 MB
            "--host",
            "127.0.0.1",
            "--port",
            str(mlflow_port),
        ],
        [
            sys.executable,
            "-m",
            "http.server",
            str(pages_port),
            "--bind",
            "127.0.0.1",
            "--directory",
            str(settings.at_home("reports").resolve()),
        ],
    ]
    trainings = "" if settings.mlflow_uri else TRAININGS
    print(
        f"Dagster  http://127.0.0.1:{port}\nMLflow   http://127.0.0.1:{mlflow_port}{trainings}\n"
        f"Reports  http://127.0.0.1:{pages_port}\nCtrl-C stops all.",
        file=sys.stderr,
    )
    children = [subprocess.Popen(c, env=environment, cwd=workspace.parent) for c in commands]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for child in children:
            child.wait()
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        for child in children:
            child.terminate()


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ConflictError(
                f"port {port} is taken by another program",
                todo="stop it, or choose another with --port, --mlflow-port or --pages-port",
            )
