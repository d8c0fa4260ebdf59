"""dbt as a resource: where the project is, its manifest, the window of a run, and the process that builds it.

dbt runs as a process of its own, not in ours: DuckDB's memory goes back when it ends, and its global state (flags, loggers,
adapters) meets nobody else's. That costs about 3 CPU-seconds a night (measured), and nothing at import.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_dbt import DbtCliResource

from aios_assets.contracts.errors import AiosError, RefusedError
from aios_assets.contracts.registry import TABLES
from aios_assets.marts.versions import statements
from aios_assets.resources.lake_plan import scan_files

if TYPE_CHECKING:
    import polars as pl
    from packaging.version import Version

    from aios_assets.resources.lake import Lake

CODE_ROOT = Path(__file__).resolve().parents[2]
PROJECT_DIR = CODE_ROOT / "dbt_project"
LEAST_MEMORY_MB = 1_500
# What the last build stood on, beside dbt's artefacts.
CURATED = "curated.json"
# Facts whose business day decides which days of the windowed marts must be made again.
DATED_FACTS = {
    "raw_edi__product_activity": "activity_date",
    "raw_edi__inventory_positions": "position_date",
    "raw_edi__order_lines": "order_date",
    "raw_edi__whole_orders": "said_date",
    "raw_edi__order_responses": "response_date",
    "raw_edi__shipment_lines": "shipped_date",
    "raw_edi__receipt_lines": "received_date",
    "raw_edi__whole_notices": "said_date",
}
# A notice sent again takes back what it said before, on the day that it named then.
NOTICES = {"raw_edi__shipment_lines": "shipment_id", "raw_edi__receipt_lines": "receipt_id"}
# What takes back, or replaces, all of a notice reaches back to the days that its lines named.
WHOLE_NOTICES, NOTICE_ID = "raw_edi__whole_notices", "notice_id"
# Master data decides names and packs of all history: when it says something new, everything is made again.
MASTERS = {"raw_master__items": "item_id", "raw_master__sites": "site_id", "raw_master__suppliers": "supplier_id"}
WINDOWED = tuple(t.name for t in TABLES.values() if t.writer == "dbt" and t.write == "window")


def project_digest() -> str:
    """Hash of everything dbt reads from the repository: it changes when a model, a macro, a seed or a contract does."""
    digest = hashlib.sha256()
    sources = [
        p
        for pattern in ("*.yml", "models/**/*", "macros/**/*", "codes/*.csv", "tests/**/*", "plugins/*.py")
        for p in PROJECT_DIR.glob(pattern)
    ]
    for path in sorted(p for p in sources if p.is_file()):
        digest.update(path.relative_to(PROJECT_DIR).as_posix().encode() + b"\0" + path.read_bytes())
    digest.update(repr([t for t in TABLES.values() if t.writer == "dbt"]).encode())
    return digest.hexdigest()


def target_root(home: Path | None = None) -> Path:
    """Folder of dbt's artefacts: `dbt/` in the run's home, never in the repository.

    Args:
        home: the run's home; None takes AIOS_HOME. A home that cannot exist (a test that names none) gives a temporary folder.
    """
    chosen = home or Path(os.environ.get("AIOS_HOME", ".aios"))
    if chosen.is_dir() or (chosen.parent.is_dir() and chosen.absolute().parent != Path("/")):
        return chosen.resolve() / "dbt"
    return Path(tempfile.gettempdir()) / f"aios-dbt-{os.getuid()}"


def dbt_memory(cgroup: Path = Path("/sys/fs/cgroup/memory.max")) -> str:
    """What DuckDB may hold before it spills to disk: a quarter of the machine's or the container's memory, at least 1500 MB.

    A fixed limit that suits a small machine cannot sort two years of 30,000 series at all, spilled or not (measured: docs/sandbox.md).

    Args:
        cgroup: file in which the kernel says what a container may use; a number of bytes, or `max`.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = cgroup.read_text().strip() if cgroup.is_file() else "max"
    held = min(memory, int(limit)) if limit.isdigit() else memory
    return f"{max(LEAST_MEMORY_MB, held // 4_000_000)}MB"


def dbt_environment(
    home: Path,
    lake_root: Path,
    *,
    window: tuple[date, date] | None = None,
    business_tz: str = "America/New_York",
    cutoff: str = "02:00",
    count_tests_of: str = "",
    currency: str = "USD",
) -> dict[str, str]:
    """What a dbt process is told through its environment; nothing goes through `--vars`, which would parse everything again.

    Args:
        home: the run's home; artefacts and spilled memory go to `dbt/` in it.
        lake_root: folder of the Delta tables.
        window: half-open stretch of business days to make again; None makes everything again.
        business_tz: time zone of business days.
        cutoff: time of the next day at which a business day's knowledge is closed.
        count_tests_of: senders whose test interchanges count, separated by commas; * for all.
        currency: what money is counted in (ISO 4217); prices in others do not count.
    """
    target = target_root(home)
    return {
        "AIOS_LAKE_ROOT": str(lake_root.absolute()),
        "AIOS_WINDOW_START": window[0].isoformat() if window else "",
        "AIOS_WINDOW_END": window[1].isoformat() if window else "",
        "AIOS_BUSINESS_TZ": business_tz,
        "AIOS_CUTOFF": cutoff,
        "AIOS_COUNT_TESTS_OF": count_tests_of,
        "AIOS_CURRENCY": currency,
        "AIOS_CODE_ROOT": str(CODE_ROOT),
        "AIOS_DBT_PLUGINS": str(PROJECT_DIR / "plugins"),
        "AIOS_DBT_SPILL": str(target / "spill"),
        "AIOS_DBT_MEMORY": os.environ.get("AIOS_DBT_MEMORY") or dbt_memory(),
        "DBT_PROJECT_DIR": str(PROJECT_DIR),
        "DBT_PROFILES_DIR": str(PROJECT_DIR),
        "DBT_TARGET_PATH": str(target / "target"),
        "DBT_LOG_PATH": str(target / "logs"),
        # All that dbt does, written to a file, takes a fifth of its CPU time; what fails is in Dagster's run either way.
        "DBT_LOG_LEVEL_FILE": os.environ.get("DBT_LOG_LEVEL_FILE", "info"),
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def ensure_manifest(home: Path | None = None) -> Path:
    """Path of a manifest of the project as it is now; parses (about 5 s) only when the project changed since the last one.

    Args:
        home: the run's home; None takes AIOS_HOME.

    Raises:
        AiosError: dbt cannot parse the project; the message is dbt's.
    """
    root = target_root(home)
    manifest = root / f"parsed-{project_digest()[:16]}" / "manifest.json"
    if manifest.is_file():
        return manifest
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        env = dict(os.environ) | dbt_environment(root.parent, root / "no-lake")
        env |= {"DBT_TARGET_PATH": scratch, "DBT_LOG_PATH": scratch}
        done = subprocess.run(
            [dbt_executable(), "--quiet", "parse"], env=env, cwd=PROJECT_DIR, capture_output=True, text=True, check=False
        )  # fmt: skip
        if done.returncode:
            raise AiosError(
                f"dbt cannot parse the project: {(done.stdout + done.stderr).strip()[-2000:]}", where=str(PROJECT_DIR)
            )
        # Whole in one step: another process may be looking at the same moment.
        for name in ("partial_parse.msgpack", "manifest.json"):
            os.replace(Path(scratch) / name, manifest.parent / name)
    return manifest


def write_docs(home: Path, lake_root: Path) -> Path:
    """Write dbt's documentation (models, columns, tests, lineage) as one page that opens without a server.

    Args:
        home: the run's home; the page goes to `reports/dbt/index.html` in it.
        lake_root: folder of the Delta tables; the sources' columns are read from there.

    Returns:
        Path of the page.

    Raises:
        AiosError: dbt cannot write it; the message is dbt's.
    """
    page = home / "reports" / "dbt" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    target_root(home).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target_root(home)) as scratch:
        env = dict(os.environ) | dbt_environment(home, lake_root)
        env |= {"DBT_TARGET_PATH": scratch, "DBT_LOG_PATH": scratch}
        done = subprocess.run(
            [dbt_executable(), "--quiet", "docs", "generate", "--static"],
            env=env, cwd=PROJECT_DIR, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AiosError(
                f"dbt cannot write its documentation: {(done.stdout + done.stderr).strip()[-2000:]}",
                where=str(PROJECT_DIR),
            )
        os.replace(Path(scratch) / "static_index.html", page)
    return page


def dbt_executable() -> str:
    """The dbt of this environment."""
    return str(Path(sys.executable).with_name("dbt"))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """`os.environ` with `values` for as long as it takes to start a process."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class FastDbt(DbtCliResource):
    """dagster-dbt's resource without its detours: no `dbt --version` (asks the package index), no adapter in our process.

    Attributes:
        home: the run's home.
        lake_root: folder of the Delta tables.
        business_tz: time zone of business days.
        cutoff: time of day at which a business day's knowledge is closed.
        count_tests_of: senders whose test interchanges count, separated by commas; * for all.
        currency: what money is counted in (ISO 4217).
    """

    home: str
    lake_root: str
    business_tz: str = "America/New_York"
    cutoff: str = "02:00"
    count_tests_of: str = ""
    currency: str = "USD"

    @property
    def settled(self) -> dict[str, str]:
        """How documents are read, as settings say; what counts for all history."""
        return {
            "business_tz": self.business_tz, "cutoff": self.cutoff, "count_tests_of": self.count_tests_of, "currency": self.currency,
        }  # fmt: skip

    @cached_property
    def _cli_version(self) -> Version:
        from importlib.metadata import version

        from packaging.version import parse

        return parse(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Any) -> Any:
        """None: an adapter here would only serve row counts from a DuckDB file, and there is none."""
        return None

    def start(self, args: list[str], *, window: tuple[date, date] | None, context: Any = None) -> Any:
        """Start a dbt process.

        Args:
            args: dbt command and flags.
            window: half-open stretch of business days to make again; None makes everything again.
            context: Dagster's execution context; it gives the selection.

        Returns:
            The invocation; `stream()` yields its events.
        """
        values = dbt_environment(
            Path(self.home), Path(self.lake_root), window=window, **self.settled,
        )  # fmt: skip
        with _environment(values | {"AIOS_DBT_PARENT": str(os.getpid())}):
            return self.cli(args, context=context, target_path=target_root(Path(self.home)) / "target")


def dbt_resource(
    home: Path, *, business_tz: str = "", cutoff: str = "", count_tests_of: str = "", currency: str = "USD"
) -> FastDbt:
    """The resource for one home.

    Args:
        home: the run's home.
        business_tz: time zone of business days; empty takes AIOS_BUSINESS_TZ.
        cutoff: time of the cut-off as HH:MM; empty takes AIOS_CUTOFF.
        count_tests_of: senders whose test interchanges count, separated by commas; * for all.
        currency: what money is counted in (ISO 4217).
    """
    return FastDbt(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(PROJECT_DIR),
        dbt_executable=dbt_executable(),
        home=str(home),
        lake_root=str(home / "lake"),
        business_tz=business_tz or os.environ.get("AIOS_BUSINESS_TZ", "America/New_York"),
        cutoff=(cutoff or os.environ.get("AIOS_CUTOFF", "02:00"))[:5],
        count_tests_of=count_tests_of,
        currency=currency,
    )


def curated_state(lake: Lake, settled: Mapping[str, str]) -> dict[str, Any]:
    """What a build stands on: versions of the raw facts, of its own windowed results, what masters say, settings, the project itself."""
    return {
        "facts": {name: lake.version(name) for name in DATED_FACTS},
        "results": {name: lake.version(name) for name in WINDOWED},
        "masters": {
            name: _statement_digest(lake.read(name), key) for name, key in MASTERS.items() if lake.exists(name)
        },
        "settled": dict(settled),
        "project": project_digest(),
    }


def _statement_digest(rows: pl.DataFrame, key: str) -> str:
    """Hash of what was stated of each key and since when, whichever file said so: the same said again changes nothing.

    Also of what was stated before the newest: names and packs are those of when a message was written.
    """
    said = statements(rows, [key]).drop("document_id", "line_no", "superseded_at_utc")
    return hashlib.sha256(said.write_csv().encode()).hexdigest()


def window_to_build(lake: Lake, home: Path, days: list[date], settled: Mapping[str, str]) -> tuple[date, date] | None:
    """Which business days a run must make again: its own, and every day that something new has been said about.

    A late or corrected document reaches back to its own day, a notice sent again also to the day it named before; the day after it
    opens with its close, so it is made again too.

    Args:
        lake: the lake.
        home: the run's home, where the state of the last build is kept.
        days: business days of the run.
        settled: how documents are read, see `FastDbt.settled`.

    Returns:
        A half-open window, or None to make everything again (no earlier build, or masters, settings, project or results changed).

    Raises:
        RefusedError: the last build counted money in another currency.
    """
    path = target_root(home) / CURATED
    if not path.is_file():
        return None
    before, now = json.loads(path.read_text(encoding="utf-8")), curated_state(lake, settled)
    _refuse_another_currency(before.get("settled", {}), settled)
    if (
        any(before.get(part) != now[part] for part in ("masters", "settled", "project", "results"))
        or -1 in now["results"].values()
    ):
        return None
    low, high = min(days), max(days)
    for name, column in DATED_FACTS.items():
        new = _new_files(lake, name, before["facts"].get(name, -1))
        for file in new:
            if column not in file.low:
                return None
            low = min(low, date.fromisoformat(str(file.low[column])[:10]))
            high = max(high, date.fromisoformat(str(file.high[column])[:10]))
        again = (name,) if name in NOTICES else tuple(NOTICES) if name == WHOLE_NOTICES else ()
        for lines in again if new else ():
            low = min(low, _first_named(lake, lines, name, new) or low)
    return low, high + timedelta(days=2)


def _refuse_another_currency(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Costs in master files name no currency: called another, they would be other amounts."""
    was, meant = before.get("currency", "USD"), now.get("currency", "USD")
    if was != meant:
        raise RefusedError(
            f"this home counts money in {was}, AIOS_CURRENCY says {meant}",
            todo=f"set it to {was}, or AIOS_HOME to another folder; if its master files have been in {meant} all along, run aios rebuild",
        )


def _first_named(lake: Lake, lines: str, name: str, files: list[Any]) -> date | None:
    """The earliest day that any line of `lines` named for the notices of some files of `name`; None where there is none."""
    if not lake.exists(lines):
        return None
    number, column, named = NOTICES[lines], DATED_FACTS[lines], NOTICES.get(name, NOTICE_ID)
    again = scan_files(TABLES[name], lake.folder(name), files).select(named).unique()
    known = lake.scan(lines, columns=[number, column])
    days = known.join(again, left_on=number, right_on=named, how="semi").select(column)
    return days.min().collect().item()  # type: ignore[no-any-return]


def _new_files(lake: Lake, name: str, version: int) -> list[Any]:
    if not lake.exists(name):
        return []
    known = {f.path for f in lake.files(name, version)} if version >= 0 else set()
    return [f for f in lake.files(name) if f.path not in known]


def forget_build(home: Path) -> None:
    """Drop what the last build stood on: the next makes everything, and may count money in another currency."""
    (target_root(home) / CURATED).unlink(missing_ok=True)


def remember_build(lake: Lake, home: Path, settled: Mapping[str, str]) -> None:
    """Keep what the finished build stood on, for the next one's window."""
    path = target_root(home) / CURATED
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(curated_state(lake, settled), indent=1, sort_keys=True), encoding="utf-8")
    os.replace(scratch, path)
