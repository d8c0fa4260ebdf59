"""Point-in-time joins and online writes: our Feast stores beside Feast's own, in one run, in CPU-seconds.

Run: `python benchmarks/feature_store.py [--peer-rows 50000] [--rows 1000000] [--entities 20000]`. The peer's dask store takes
about 16 GB for a million rows, so it runs on `--peer-rows`; the ratio is of CPU-seconds on those same rows.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("f1", "f2", "f3", "f4")
OURS = "feature_repo.polars_store.PolarsOfflineStore"
OURS_ONLINE = "feature_repo.bulk_online.BulkSqliteOnlineStore"


def rows(entities: int, days: int, seed: int = 1) -> pl.DataFrame:
    """Feature rows of `entities` over `days`, with four numbers each."""
    rng = np.random.default_rng(seed)
    ids = pl.DataFrame({"item_id": [f"I{n:07d}" for n in range(entities)]})
    dates = pl.DataFrame({"event_at_utc": [START + timedelta(days=d) for d in range(days)]})
    frame = ids.join(dates, how="cross")
    values = {n: rng.gamma(1.0, 3.0, frame.height).astype("f4") for n in NAMES}
    return frame.with_columns(
        **{n: pl.Series(v) for n, v in values.items()}, known_at_utc=pl.col("event_at_utc") + timedelta(hours=7)
    )


def store(folder: Path, offline: str, online: str | None = None) -> tuple[Any, Any]:
    """A Feast store over the Parquet file of `folder`, and its view."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float32

    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    source = FileSource(
        path=str(folder / "rows.parquet"), timestamp_field="event_at_utc", created_timestamp_column="known_at_utc"
    )
    view = FeatureView(name="rows", entities=[item], ttl=timedelta(days=30), schema=[Field(name=n, dtype=Float32) for n in NAMES], source=source)  # fmt: skip
    kind = offline.rsplit(".", 1)[-1]
    config = RepoConfig(
        project="bench", provider="local", registry=str(folder / f"{kind}.db"), offline_store={"type": offline},
        online_store={"type": online, "path": str(folder / f"{kind}-online.db")} if online else None,
        entity_key_serialization_version=3, repo_path=folder,
    )  # fmt: skip
    made = FeatureStore(config=config)
    made.apply([item, view])
    return made, view


def timed(work: Any) -> tuple[Any, float, float]:
    """Result, CPU-seconds and wall seconds of `work`."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def historical(folder: Path, kind: str, asked: int, days: int) -> dict[str, Any]:
    """Join `asked` rows against as many feature rows."""
    rng = np.random.default_rng(2)
    entities = asked // days
    wanted = pl.DataFrame(
        {
            "item_id": [f"I{n:07d}" for n in rng.integers(0, entities + entities // 100 + 1, asked)],
            "event_timestamp": pl.Series(
                START + timedelta(hours=12) + timedelta(days=int(d)) for d in rng.integers(0, days, asked)
            ),
        }
    ).with_columns(pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")))
    made, _ = store(folder, kind)
    refs = [f"rows:{n}" for n in NAMES]
    frame = wanted if kind == OURS else wanted.to_pandas()
    answer, cpu, wall = timed(lambda: made.get_historical_features(entity_df=frame, features=refs).to_arrow())
    return {
        "store": kind.rsplit(".", 1)[-1],
        "asked": asked,
        "returned": answer.num_rows,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
    }


def online(folder: Path, entities: int, peer: bool) -> dict[str, Any]:
    """Write the newest row of `entities` to the online store, and read some back."""
    end = START + timedelta(days=3)
    kind = ("dask", "sqlite") if peer else (OURS, OURS_ONLINE)
    made, view = store(folder, *kind)
    if peer:
        _, cpu, wall = timed(
            lambda: made.materialize(start_date=START - timedelta(days=1), end_date=end, disable_event_timestamp=False)
        )
    else:

        def write() -> int:
            from feature_repo.polars_store import PolarsOfflineStore

            job = PolarsOfflineStore.pull_latest_from_table_or_query(
                made.config, view.batch_source, ["item_id"], list(NAMES), "event_at_utc", "known_at_utc", START - timedelta(days=1), end
            )  # fmt: skip
            return int(
                made._get_provider().online_store.bulk_write(
                    made.config, made.get_feature_view("rows"), job.to_polars()
                )
            )

        _, cpu, wall = timed(write)
    keys = [{"item_id": f"I{n:07d}"} for n in range(200)]
    refs = [f"rows:{n}" for n in NAMES]
    made.get_online_features(features=refs, entity_rows=keys[:1])
    one = [
        timed(lambda: made.get_online_features(features=refs, entity_rows=keys[:1]).to_dict())[1] * 1e3
        for _ in range(300)
    ]
    found = made.get_online_features(features=refs, entity_rows=keys).to_dict()
    return {
        "store": "materialize" if peer else "bulk_write", "entities": entities, "cpu_s": round(cpu, 3), "wall_s": round(wall, 3),
        "read_back": sum(v is not None for v in found["f1"]), "one_request_cpu_ms_p99": round(float(np.percentile(one, 99)), 2),
    }  # fmt: skip


def main() -> None:
    """Run and print one table of JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-rows", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--entities", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows(given.peer_rows // 50, 50).write_parquet(folder / "rows.parquet")
        # The first use of each store pays for imports and code generation; it is not what is measured.
        historical(folder, OURS, 1_000, 50)
        ours, peer = historical(folder, OURS, given.peer_rows, 50), historical(folder, "dask", given.peer_rows, 50)
        print(
            json.dumps(ours),
            json.dumps(peer),
            json.dumps({"point_in_time_ratio": round(peer["cpu_s"] / ours["cpu_s"], 1)}),
            sep="\n",
        )
        rows(given.rows // 50, 50).write_parquet(folder / "rows.parquet")
        print(json.dumps(historical(folder, OURS, given.rows, 50)))
        rows(given.entities, 3).write_parquet(folder / "rows.parquet")
        ours, peer = online(folder, given.entities, False), online(folder, given.entities, True)
        print(
            json.dumps(ours),
            json.dumps(peer),
            json.dumps({"online_write_ratio": round(peer["cpu_s"] / ours["cpu_s"], 1)}),
            sep="\n",
        )
    print(json.dumps({"peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}))


if __name__ == "__main__":
    main()
