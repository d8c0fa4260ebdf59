"""What assets are given to reach the outside world: the lake, the inbox, the feature store, the model registry, the calendar."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from dagster import ConfigurableResource, InitResourceContext
from pydantic import Field

from aios_assets.contracts.edi_tables import RAW_EDI_REJECTS
from aios_assets.contracts.errors import AiosError, IntegrityError, RefusedError
from aios_assets.contracts.faults import contract_faults
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.clock import business_cutoff, closed_day
from aios_assets.resources.unread import BY_INBOX

if TYPE_CHECKING:
    from aios_assets.resources.feature_store import Features
    from aios_assets.resources.inbox import Inbox
    from aios_assets.resources.lake import Lake
    from aios_assets.settings import Settings
    from ml.tracking import Tracking


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an inbox holds: files not taken yet, and a fingerprint of all files and of what people released."""

    count: int
    fingerprint: str


class World(ConfigurableResource[Any]):
    """Every handle an asset may hold, built from settings by `world_of` alone.

    Attributes:
        home: folder of lake, registry, feature store and reports.
        inbox_path: folder that is read for documents.
        business_tz: time zone of business days.
        cutoff_hour: hour of the next day at which a business day's knowledge is closed.
        cutoff_minute: minute of that hour.
        tracking_uri: MLflow store.
        seed: seed of every model.
        document_cap_mb: largest document taken.
        edi_max_segment_kb: longest EDI segment read.
        edi_max_sets: most sets read of an EDI document.
        pages_url: address at which the folder of report pages is served.
        retrain_every_days: age of the champion that makes training due.
        training_days: days of history a training run reads.
        training_stride_days: days between training origins.
        engine: where the night's scoring runs, see `ml.partitions`.
        sandbox_root: folder of the sandbox network; empty where documents come from people.
        lock_wait_s: seconds that a run waits for another one's lock.
        own_ids: our identifications in EDI envelopes; none: told from the interchanges.
        currency: what money is counted in (ISO 4217).
    """

    home: str
    inbox_path: str
    business_tz: str = "America/New_York"
    cutoff_hour: int = 2
    cutoff_minute: int = 0
    tracking_uri: str = ""
    seed: int = 7
    document_cap_mb: int = 256
    edi_max_segment_kb: int = 1024
    edi_max_sets: int = 2_000_000
    pages_url: str = "http://127.0.0.1:5001"
    retrain_every_days: int = 28
    training_days: int = 728
    training_stride_days: int = 14
    engine: str = "inprocess"
    sandbox_root: str = ""
    lock_wait_s: float = 600.0
    own_ids: list[str] = Field(default_factory=list)
    currency: str = "USD"

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[World]:
        """Give a run its handles under the night's lock; a sensor's tick is no run and takes none.

        Raises:
            RefusedError: the run is for a day that the sandbox has not lived through, or a newer version used the home.
            BusyError: another run or command holds the lock for longer than `lock_wait_s`.
        """
        from aios_assets.resources.home_version import note_use
        from aios_assets.resources.one_run import NO_RETRY, refuse_days_to_come, under_lock

        run, instance = context.run, context.instance
        if run is None or instance is None:
            yield self
            return
        try:
            refuse_days_to_come(run.tags, self.newest_sandbox_day())
            note_use(Path(self.home))
        except AiosError:
            instance.add_run_tags(run.run_id, NO_RETRY)  # it would be refused again in the same words
            raise
        say = context.log.info if context.log is not None else print
        with under_lock(Path(self.home), run, instance, say, self.lock_wait_s):
            yield self

    def newest_sandbox_day(self) -> date | None:
        """The last business day that the sandbox lived through; None where documents come from people.

        Raises:
            BadInputError: the sandbox was not made yet.
        """
        if not self.sandbox_root:
            return None
        import sandbox

        return sandbox.current_date(Path(self.sandbox_root))

    @cached_property
    def lake(self) -> Lake:
        """The Delta lake."""
        from aios_assets.resources.lake import Lake

        return Lake(Path(self.home) / "lake")

    @cached_property
    def inbox(self) -> Inbox:
        """The folder of received documents."""
        from aios_assets.resources.inbox import Inbox

        return Inbox(Path(self.inbox_path), cap_bytes=self.document_cap_mb * 1_000_000)

    @cached_property
    def features(self) -> Features:
        """Feast, offline and online."""
        from aios_assets.resources.feature_store import Features

        return Features(lake_root=Path(self.home) / "lake", home=Path(self.home) / "feast")

    @cached_property
    def tracking(self) -> Tracking:
        """The model registry."""
        from ml.tracking import Tracking

        return Tracking(self.tracking_uri, Path(self.home) / "mlflow" / "artifacts")

    @property
    def _closing_time(self) -> time:
        return time(self.cutoff_hour, self.cutoff_minute)

    def cutoff(self, day: date) -> datetime:
        """The instant (UTC) at which the knowledge of business day `day` is closed."""
        return business_cutoff(day, self.business_tz, self._closing_time)

    def report_path(self, day: date, name: str) -> Path:
        """Where a report of that day is written (its folder is made)."""
        folder = Path(self.home) / "reports" / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def page_url(self, page: Path) -> str:
        """The address of a report page, for a link that a browser follows (it follows none to a file)."""
        return f"{self.pages_url}/{page.relative_to(Path(self.home) / 'reports').as_posix()}"

    def take_documents(self, cutoff: datetime, progress: Callable[[str], object] | None = None) -> dict[str, Any]:
        """Take every document that reached the inbox by `cutoff`; what could not be taken becomes a reject.

        Returns:
            Figures: files looked at, known, later, documents, deliveries, duplicates, set aside, problems.
        """
        taken = self.inbox.take(self.lake, cutoff, progress=progress)
        self.write_rejects(taken.reject_rows())
        return taken.numbers()

    def waiting_documents(self, day: str) -> Waiting:
        """What the inbox holds for the night of `day`: how many files are new, and a fingerprint of all of them."""
        cutoff = self.cutoff(date.fromisoformat(day))
        files = [f for f in self.inbox.look() if f.received_at <= cutoff]
        columns = ["source_uri", "modified_ns", "size_bytes"]
        noted = set(self.lake.read("raw_edi__deliveries", columns=columns).iter_rows())
        released = self.lake.read("raw_edi__releases", columns=["reject_id", "released_by"])
        # The night itself releases what lies in its right place by now: that is no reason for another night.
        by_people = released.filter(pl.col("released_by") != BY_INBOX)["reject_id"].sort()
        digest = hashlib.sha256("|".join(by_people).encode())
        for file in files:
            digest.update(f"{file.uri}|{file.modified_ns}|{file.size}\n".encode())
        new = sum((f.uri, f.modified_ns, f.size) not in noted for f in files)
        return Waiting(new, digest.hexdigest()[:16])

    def has_documents_after(self, instant: datetime) -> bool:
        """Whether the store holds a document received after `instant`."""
        later = self.lake.scan("raw_edi__documents").filter(pl.col("available_at_utc") > instant)
        return bool(later.select(pl.len()).collect().item())

    def take_paths(self, paths: list[Path], *, sent_in: str | None = None) -> list[dict[str, Any]]:
        """Store files and folders that a person names; see `handing_in.take_paths`."""
        from aios_assets.resources.handing_in import take_paths

        return take_paths(self.lake, paths, self.document_cap_mb * 1_000_000, sent_in=sent_in)

    def import_file(self, kind: str, path: Path, mapping: Path | None) -> dict[str, Any]:
        """Store a file with its mapping; see `handing_in.import_file`."""
        from aios_assets.resources.handing_in import import_file

        return import_file(self.lake, kind, path, mapping, self.document_cap_mb * 1_000_000)

    def releases(self) -> pl.DataFrame:
        """Every release a person decided."""
        return self.lake.read("raw_edi__releases")

    def unread(self, day: date, kinds: tuple[str, ...], feeds: tuple[str, ...]) -> int:
        """Documents of these kinds received by the cut-off of `day` that one of the feeds has not read to the end."""
        from aios_assets.resources.unread import count_unread

        return count_unread(self.lake, self.cutoff(day), kinds, feeds)

    def blocking_faults(self, day: date) -> list[str]:
        """Contract faults of the tables that decide something, as `table fault`; empty when there is none."""
        names = ("fct_demand_daily", "fct_inventory_daily", "pred_demand__28d", "rec_decisions")
        return [f"{n} {fault}" for n in names for fault in contract_faults(TABLES[n], *self.lake.scan_parts(n))]

    @property
    def blocking_checks(self) -> int:
        """How many tables `blocking_faults` looks at."""
        return 4

    def write_rejects(self, rejects: pl.DataFrame) -> None:
        """Add reject rows of a feed to `raw_edi__rejects`; rows that are there already change nothing."""
        self.lake.write(RAW_EDI_REJECTS, rejects)

    def deployment(self, model: str, day: date) -> dict[str, Any]:
        """The row of `mon_deployments` that says which version of `model` was champion at the cut-off of `day`.

        Raises:
            RefusedError: none was.
        """
        mine = (pl.col("model_name") == model) & (pl.col("alias") == "champion")
        rows = self.lake.read("mon_deployments", where=mine & (pl.col("valid_from_utc") <= self.cutoff(day)))
        if rows.is_empty():
            raise RefusedError("no champion was live on that day", where=f"{model}, {day}")
        return rows.sort("valid_from_utc", "deployment_id").row(-1, named=True)

    def feature_rows(self, first: date, last: date) -> pl.DataFrame:
        """Rows of `feat_item_site__demand` of those days (both included)."""
        return self.lake.read("feat_item_site__demand", where=pl.col("feature_date").is_between(first, last))

    def feature_days(self, days: list[date]) -> tuple[date, date]:
        """First and last day whose features a run of `days` computes: the run's own, and all before that have none yet."""
        last, wanted = days[-1], days[0]
        table = self.lake.scan("feat_item_site__demand").select(pl.col("feature_date").max()).collect().item()
        if table is not None and table >= wanted - timedelta(days=1):
            return wanted, last
        if table is not None:
            return table + timedelta(days=1), last
        since = self.lake.scan("fct_demand_daily").select(pl.col("demand_date").min()).collect().item()
        earliest = last - timedelta(days=self.training_days)
        return (min(wanted, max(since, earliest)) if since is not None else wanted), last

    def champion_label(self, model: str, day: date) -> str:
        """Name and version of the champion of that day, for files and verdicts; `none` where there is none."""
        try:
            row = self.deployment(model, day)
        except RefusedError:
            return "none"
        return f"{model}-v{row['model_version']}-{row['model_digest'][:12]}"

    def champion_since(self, model: str, day: date) -> date:
        """Business day at whose close the champion of `day` went live.

        Raises:
            RefusedError: there is none.
        """
        return self.business_day_of(self.deployment(model, day)["valid_from_utc"])

    def business_day_of(self, instant: datetime) -> date:
        """Newest business day that was closed at `instant`."""
        return closed_day(instant, self.business_tz, self._closing_time)

    def artifact(self, deployment: dict[str, Any]) -> bytes:
        """Bytes of the deployed version, verified by its digest before anything reads them.

        Raises:
            RefusedError, IntegrityError: the registry does not have it, or has other bytes.
        """
        ref = self.tracking.get_version(deployment["model_name"], deployment["model_version"])
        if ref.digest != deployment["model_digest"]:
            raise IntegrityError(
                "the registry holds another artefact than the one deployed",
                where=f"{ref.name} {ref.version}",
                todo="roll back with `aios model rollback`, or retrain",
            )
        return self.tracking.load_artifact(ref)

    def follow_deployment(self, model: str, day: date) -> None:
        """Let the registry's champion alias point to what `mon_deployments` says is live."""
        try:
            live = self.deployment(model, day)
        except RefusedError:
            return
        self.tracking.set_alias(model, "champion", live["model_version"])

    def data_versions(self) -> dict[str, int]:
        """Delta version of every table a model is made from."""
        names = ("fct_demand_daily", "fct_order_events", "feat_item_site__demand", "feat_item__attributes")
        return {name: self.lake.version(name) for name in names}


def world_of(settings: Settings) -> World:
    """The handles that assets hold, from settings."""
    return World(
        home=str(settings.home.resolve()),
        inbox_path=str(Path(settings.inbox_path).resolve()),
        business_tz=settings.business_tz,
        cutoff_hour=settings.cutoff.hour,
        cutoff_minute=settings.cutoff.minute,
        tracking_uri=settings.tracking_uri,
        seed=settings.seed,
        document_cap_mb=settings.document_cap_mb,
        edi_max_segment_kb=settings.edi_max_segment_kb,
        edi_max_sets=settings.edi_max_sets,
        pages_url=settings.pages_url,
        retrain_every_days=settings.retrain_every_days,
        training_days=settings.training_days,
        engine=settings.engine,
        sandbox_root=str(settings.sandbox_root.resolve()) if settings.is_sandbox else "",
        training_stride_days=settings.training_stride_days,
        own_ids=settings.own_ids,
        currency=settings.currency,
    )
