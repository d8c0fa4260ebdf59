"""All settings in one frozen object, read from the environment (`AIOS_*`) by `definitions` and `cli` alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from aios_assets.contracts.errors import UsageError
from aios_assets.resources.clock import closed_day

Profile = Literal["tiny", "fast", "full"]
PREFIX = "AIOS_"
# Variables that are read elsewhere: limits of EDI documents, what a night hands to dbt, and what tests and benchmarks look for.
OTHER_VARIABLES = (
    "AIOS_EDI_MAX_DOCUMENT_MB", "AIOS_LAKE_ROOT", "AIOS_CODE_ROOT", "AIOS_STEP_TIMES",
    "AIOS_DBT_PARENT", "AIOS_DBT_PLUGINS", "AIOS_DBT_THREADS", "AIOS_DBT_MEMORY", "AIOS_DBT_SPILL", "AIOS_WINDOW_START", "AIOS_WINDOW_END",
    "AIOS_SHARED", "AIOS_FUZZ_SECONDS", "AIOS_TEST_KILLS",
)  # fmt: skip
CURRENCY = re.compile("[A-Z]{3}")
# Letters in common, as a share, from which on another name is taken for a slip.
NEAR = 0.6


class Settings(BaseSettings):
    """What a person may set. Every field has an environment twin, `AIOS_` and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix="AIOS_", frozen=True, extra="ignore")

    home: Path = Field(
        Path(".aios"), description="folder that holds lake, sandbox, MLflow, Feast, Dagster storage and reports"
    )
    inbox: Path | None = Field(None, description="folder of received documents; unset means the sandbox's inbox")
    profile: Profile = Field(
        "fast", description="size of the sandbox: tiny (tests), fast (make run), full (benchmarks)"
    )
    seed: int = Field(7, description="seed of the sandbox and of every model")
    business_tz: str = Field("America/New_York", description="time zone of business days and of the nightly schedule")
    cutoff: time = Field(time(2, 0), description="time of the next day at which a business day's knowledge is closed")
    start_date: str = Field("2023-01-01", description="first daily partition")
    our_ids: str = Field(
        "", description="our identifications in EDI envelopes, separated by commas; empty: told from them"
    )
    count_tests_of: str = Field(
        "", description="senders of EDI whose test interchanges count like real ones, separated by commas; * for all"
    )
    currency: str = Field(
        "USD", description="currency (ISO 4217) of all costs and prices in master files; columns named _usd hold it"
    )
    document_cap_mb: int = Field(256, ge=1, description="largest document taken, in MB")
    edi_max_segment_kb: int = Field(1024, ge=1, description="longest EDI segment read, in KB")
    edi_max_sets: int = Field(2_000_000, ge=1, description="most sets read of an EDI document, which memory goes by")
    mlflow_uri: str = Field("", description="MLflow tracking store; empty means SQLite in home")
    pages_url: str = Field("http://127.0.0.1:5001", description="where `aios ui` serves the report pages, for links")
    retrain_every_days: int = Field(
        28, ge=1, description="age in days at which the champion is retrained without any drift"
    )
    training_days: int = Field(728, ge=1, description="days of history that a training run reads")
    training_stride_days: int = Field(7, ge=1, description="days between training origins")
    engine: str = Field(
        "inprocess",
        description="where scoring and backtests run: inprocess, dask (local workers) or a Dask scheduler's tcp://host:port",
    )

    @field_validator("home", "inbox", mode="before")
    @classmethod
    def _names_a_folder(cls, value: Any) -> Any:
        """Nothing between the quotes would be the present folder, and everything in it a document."""
        if isinstance(value, str) and not value.strip():
            raise PydanticCustomError("empty", "it is empty; name a folder, or unset it")
        return value

    @field_validator("business_tz")
    @classmethod
    def _is_a_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError) as error:
            raise PydanticCustomError(
                "zone", "'{value}' is no time zone, such as Europe/Berlin", {"value": value}
            ) from error
        return value

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, value: str) -> str:
        if not CURRENCY.fullmatch(value):
            raise PydanticCustomError(
                "currency", "'{value}' is no currency code of three capital letters, such as EUR", {"value": value}
            )
        return value

    @field_validator("cutoff")
    @classmethod
    def _is_local(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise PydanticCustomError("local", "it is a time in AIOS_BUSINESS_TZ, so it has no offset; write 02:00")
        return value

    @field_validator("start_date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        try:
            is_written_so = date.fromisoformat(value).isoformat() == value
        except ValueError:
            is_written_so = False
        if not is_written_so:
            raise PydanticCustomError("day", "'{value}' is no day of the form YYYY-MM-DD", {"value": value})
        return value

    @field_validator("engine")
    @classmethod
    def _is_an_engine(cls, value: str) -> str:
        if value not in ("inprocess", "dask") and not value.startswith(("tcp://", "tls://")):
            raise PydanticCustomError(
                "engine", "'{value}' is none of inprocess, dask, tcp://host:port", {"value": value}
            )
        return value

    @property
    def lake_root(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "lake"

    @property
    def sandbox_root(self) -> Path:
        """Folder of the sandbox network."""
        return self.home / "sandbox"

    @property
    def is_sandbox(self) -> bool:
        """Whether documents come from the sandbox."""
        return self.inbox is None

    @property
    def inbox_path(self) -> Path:
        """Folder that is read for documents."""
        return self.inbox if self.inbox is not None else self.sandbox_root / "inbox"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking store."""
        return self.mlflow_uri or f"sqlite:///{(self.home / 'mlflow' / 'mlflow.db').resolve()}"

    @property
    def own_ids(self) -> list[str]:
        """Our identifications in EDI envelopes; none: told from the interchanges."""
        return [name.strip() for name in self.our_ids.split(",") if name.strip()]

    def at_home(self, *parts: str) -> Path:
        """A folder or file below home."""
        return self.home.joinpath(*parts)

    def day_of(self, instant: datetime) -> str:
        """The newest business day (ISO) that is closed at `instant`: its cut-off has passed."""
        return closed_day(instant, self.business_tz, self.cutoff).isoformat()


def check_variables(names: Iterable[str]) -> list[str]:
    """Look for variables `AIOS_*` that nobody reads: a slip would leave the usual value in force without a word.

    Args:
        names: names of environment variables; capitals do not matter.

    Returns:
        Those that resemble no setting, sorted; they may be somebody's own.

    Raises:
        UsageError: one resembles a setting; names both.

    >>> check_variables(["AIOS_HOME", "aios_seed", "PATH", "AIOS_SHOP_PASSWORD"])
    ['AIOS_SHOP_PASSWORD']
    """
    known = [name.upper() for name in Settings.model_fields]
    known += [name.removeprefix(PREFIX) for name in OTHER_VARIABLES]
    foreign = []
    for name in sorted(names):
        short = name.upper().removeprefix(PREFIX)
        if not name.upper().startswith(PREFIX) or short in known:
            continue
        near = get_close_matches(short, known, n=1, cutoff=NEAR)
        if near:
            raise UsageError(
                f"there is no setting {name}; the nearest is {PREFIX}{near[0]}",
                where="environment variables",
                todo=f"correct or unset {name}",
            )
        foreign.append(name)
    return foreign


def quiet_libraries() -> None:
    """Turn off everything that phones home, and keep thread pools polite, before those libraries are imported."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "OMP_WAIT_POLICY": "passive",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)
