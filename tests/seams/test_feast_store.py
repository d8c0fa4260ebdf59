"""Feast over our stores: both clocks, as many rows as asked, the same answers as Feast's own stores where those are right."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError, RefusedError
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.feature_store import Features
from aios_assets.resources.lake import Lake
from feature_repo.polars_store import PolarsOfflineStore

DEMAND, LANE, ATTRIBUTES = "feat_item_site__demand", "feat_supplier_lane__lead_time", "feat_item__attributes"
FIRST, DAYS = date(2025, 12, 24), 20  # two calendar months
LAG = f"{DEMAND}:sales_qty_ea_lag_0"


def cutoff(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=31)


def demand_rows() -> pl.DataFrame:
    table, rng = TABLES[DEMAND], np.random.default_rng(3)
    keys = [
        {"item_id": i, "site_id": s, "feature_date": FIRST + timedelta(days=d)} for i in "ABC" for s in ("S1", "S2") for d in range(DAYS)
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for key in keys:
        row: dict[str, Any] = {
            c.name: float(rng.integers(0, 50)) if rng.random() > 0.1 else None for c in table.columns if c.type == "f32"
        }
        rows.append(
            row
            | key
            | {"available_at_utc": cutoff(key["feature_date"]), "feature_month": f"{key['feature_date']:%Y-%m}"}
        )
    return pl.DataFrame(rows, schema=table.schema)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    home = tmp_path_factory.mktemp("feast")
    lake = Lake(home / "lake")
    lake.write(DEMAND, demand_rows(), window=(FIRST, FIRST + timedelta(days=DAYS)))
    stated = [
        {"item_id": i, "category_code": None if i == "C" else "food", "pack_ea": pack, "unit_cost_usd": 2.5, "available_at_utc": known,
         "introduced_date": date(2020, 1, 1)}
        for i in "ABC" for pack, known in ((6, datetime(2025, 12, 1, tzinfo=UTC)), (12, datetime(2026, 1, 10, tzinfo=UTC)))
    ]  # fmt: skip
    table = TABLES[ATTRIBUTES]
    lake.write(ATTRIBUTES, pl.DataFrame([{n: r.get(n) for n in table.names} for r in stated], schema=table.schema))
    return Features(lake_root=home / "lake", home=home / "feast")


def asked(*rows: tuple[str, str, datetime]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={"item_id": pl.String, "site_id": pl.String, "event_timestamp": pl.Datetime("us", "UTC")},
        orient="row",
    )


def test_a_day_s_features_count_from_its_cut_off(features: Features) -> None:
    day = FIRST + timedelta(days=5)
    got = features.training_frame(
        asked(("A", "S1", cutoff(day)), ("A", "S1", cutoff(day) - timedelta(minutes=1)), ("A", "S1", cutoff(day)), ("X", "S1", cutoff(day))),
        [LAG, f"{ATTRIBUTES}:pack_ea"],
    )  # fmt: skip
    rows = demand_rows().filter(item_id="A", site_id="S1").sort("feature_date")["sales_qty_ea_lag_0"].to_list()
    assert got["sales_qty_ea_lag_0"].to_list() == [rows[5], rows[4], rows[5], None]
    assert got["pack_ea"].to_list() == [6, 6, 6, None]


def test_master_data_is_as_stated_at_the_moment(features: Features) -> None:
    got = features.training_frame(
        asked(*(("A", "S1", datetime(2026, 1, d, tzinfo=UTC)) for d in (9, 10, 11))), [f"{ATTRIBUTES}:pack_ea"]
    )
    assert got["pack_ea"].to_list() == [6, 12, 12]


def test_a_table_that_gained_a_column_has_nothing_in_it_for_the_days_before(tmp_path: Path) -> None:
    table, rows = TABLES[DEMAND], demand_rows()
    gained = "days_reported"
    before = replace(table, columns=tuple(c for c in table.columns if c.name != gained))
    month = date(2026, 1, 1)
    old, new = rows.filter(pl.col("feature_date") < month), rows.filter(pl.col("feature_date") >= month)
    Lake(tmp_path / "lake").write(before, old.select(before.names), window=(FIRST, month))
    Lake(tmp_path / "lake").write(DEMAND, new, window=(month, FIRST + timedelta(days=DAYS)))
    ask = asked(("A", "S1", cutoff(date(2025, 12, 28))), ("A", "S1", cutoff(date(2026, 1, 8))))
    got = Features(lake_root=tmp_path / "lake", home=tmp_path / "feast").training_frame(
        ask, [LAG, f"{DEMAND}:{gained}"]
    )
    held = rows.filter(item_id="A", site_id="S1").filter(
        pl.col("feature_date").is_in([date(2025, 12, 28), date(2026, 1, 8)])
    )
    assert got[LAG.split(":")[1]].to_list() == held[LAG.split(":")[1]].to_list()
    assert got[gained].to_list() == [None, held[gained][1]]


def test_a_row_older_than_its_time_to_live_is_missing(features: Features) -> None:
    last = FIRST + timedelta(days=DAYS - 1)
    got = features.training_frame(asked(("A", "S1", cutoff(last + timedelta(days=5))), ("A", "S1", cutoff(last + timedelta(days=7)))), [f"{DEMAND}:site_sales_qty_ea_mean_28d"])  # fmt: skip
    stored = demand_rows().filter(item_id="A", site_id="S1", feature_date=last)["site_sales_qty_ea_mean_28d"].item()
    assert got["site_sales_qty_ea_mean_28d"].to_list() == [stored, None]


def test_bad_asks_are_said_in_one_line(features: Features) -> None:
    with pytest.raises(BadInputError, match="there is no feature 'feat_item_site__demand:nothing'"):
        features.training_frame(asked(("A", "S1", cutoff(FIRST))), [f"{DEMAND}:nothing"])
    with pytest.raises(BadInputError, match="lack the key 'site_id'"):
        features.training_frame(asked(("A", "S1", cutoff(FIRST))).drop("site_id"), [LAG])
    with pytest.raises(BadInputError, match="there is no feature table"):
        features.training_frame(
            pl.DataFrame({"lane_id": ["x>y"], "event_timestamp": [cutoff(FIRST)]}), [f"{LANE}:open_orders"]
        )


def test_no_rows_asked_gives_no_rows_with_the_columns(features: Features) -> None:
    got = features.training_frame(asked(), [LAG])
    assert got.height == 0 and got.schema["sales_qty_ea_lag_0"] == pl.Float32


@pytest.mark.parametrize("stretches_from", [0, 1_000_000], ids=["month by month", "at once"])
def test_the_answer_is_dask_s_row_for_row_where_dask_is_right(
    stretches_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same rows, clocks and ttl in a Parquet file; dask ignores the known clock and drops unknown rows, so neither is asked for."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float32

    monkeypatch.setattr("feature_repo.polars_store.STRETCHES_FROM", stretches_from)
    names = ["sales_qty_ea_lag_0", "sales_qty_ea_mean_28d"]
    frame = demand_rows().with_columns(pl.col("available_at_utc").alias("event_at_utc"))
    frame.select("item_id", "site_id", *names, "event_at_utc").write_parquet(tmp_path / "rows.parquet")
    entities = [Entity(name=n, join_keys=[f"{n}_id"], value_type=ValueType.STRING) for n in ("item", "site")]
    source = FileSource(path=str(tmp_path / "rows.parquet"), timestamp_field="event_at_utc")
    view = FeatureView(name="rows", entities=entities, ttl=timedelta(days=3), schema=[Field(name=n, dtype=Float32) for n in names], source=source)  # fmt: skip
    rng = np.random.default_rng(5)
    wanted = pd.DataFrame(
        {
            "item_id": rng.choice(list("ABC"), 60), "site_id": rng.choice(["S1", "S2"], 60),
            "event_timestamp": [pd.Timestamp(cutoff(FIRST)) + pd.Timedelta(minutes=int(m)) for m in rng.integers(0, 60 * 24 * (DAYS + 1), 60)],
        }
    ).drop_duplicates()  # fmt: skip
    answers = []
    for kind in ("dask", "feature_repo.polars_store.PolarsOfflineStore"):
        config = RepoConfig(project="p", provider="local", registry=str(tmp_path / f"{len(answers)}.db"), offline_store={"type": kind},
                            online_store=None, entity_key_serialization_version=3, repo_path=tmp_path)  # fmt: skip
        store = FeatureStore(config=config)
        store.apply([*entities, view])
        answer = store.get_historical_features(entity_df=wanted, features=[f"rows:{n}" for n in names]).to_df()
        answers.append(
            answer.sort_values(["item_id", "site_id", "event_timestamp"]).reset_index(drop=True)[
                ["item_id", "site_id", *names]
            ]
        )
    assert len(answers[1]) == len(wanted)
    pd.testing.assert_frame_equal(answers[0], answers[1], check_dtype=False)


def test_published_rows_come_back_through_feast_and_agree_with_offline(features: Features) -> None:
    now = cutoff(FIRST + timedelta(days=DAYS - 1))
    assert features.publish_as_of(now) == {DEMAND: 6, ATTRIBUTES: 3}
    assert features.publish_as_of(now) == {DEMAND: 6, ATTRIBUTES: 3}
    for view in (DEMAND, ATTRIBUTES):
        assert features.compare_offline_online(view, now).is_empty()
    got = features.online([{"item_id": "A", "site_id": "S2"}, {"item_id": "X", "site_id": "S2"}], [LAG, f"{ATTRIBUTES}:category_code", f"{ATTRIBUTES}:pack_ea"])  # fmt: skip
    assert got["category_code"].to_list() == ["food", None] and got["pack_ea"].to_list() == [12, None]


def test_a_difference_between_online_and_offline_is_found(features: Features) -> None:
    now = cutoff(FIRST + timedelta(days=DAYS - 1))
    rows = features.newest_rows(DEMAND, now)
    features.publish_online(DEMAND, rows.with_columns(pl.when(pl.col("item_id") == "B").then(999.0).otherwise("days_on_sale").cast(pl.Float32).alias("days_on_sale")))  # fmt: skip
    found = features.compare_offline_online(DEMAND, now)
    assert set(found["feature"]) == {"days_on_sale"} and set(found["item_id"]) == {"B"} and found.height == 2
    features.publish_as_of(now)


def test_an_older_day_that_is_run_again_does_not_take_the_online_store_back(features: Features) -> None:
    last, older = (cutoff(FIRST + timedelta(days=DAYS - k)) for k in (1, 9))
    features.publish_as_of(last)
    before = features.online([{"item_id": "A", "site_id": "S2"}], [LAG, f"{ATTRIBUTES}:pack_ea"])
    features.publish_as_of(older)
    assert features.online([{"item_id": "A", "site_id": "S2"}], [LAG, f"{ATTRIBUTES}:pack_ea"]).equals(before)
    assert before["pack_ea"].to_list() == [12]
    assert features.compare_offline_online(DEMAND, older).is_empty()


def test_what_offline_calls_too_old_is_not_served(features: Features) -> None:
    """The time to live ends at the same moment in both stores, and takes a row away that was published before."""
    name = f"{DEMAND}:site_sales_qty_ea_mean_28d"
    last = FIRST + timedelta(days=DAYS - 1)
    features.publish_as_of(cutoff(last))
    for days in (5, 6, 7):
        now = cutoff(last + timedelta(days=days))
        features.publish_as_of(now)
        offline = features.training_frame(asked(("A", "S1", now)), [name])["site_sales_qty_ea_mean_28d"].to_list()
        online = features.online([{"item_id": "A", "site_id": "S1"}], [name])["site_sales_qty_ea_mean_28d"].to_list()
        assert online == offline and (offline == [None]) == (days > 5), days
    features.publish_as_of(cutoff(last))


def test_an_instant_is_the_same_in_every_zone(features: Features) -> None:
    """Midnight of a day in UTC is the evening before in New York, and the day's rows are of that moment in both."""
    midnight = datetime(2026, 1, 5, tzinfo=UTC)
    view = features.store.get_feature_view(DEMAND)
    source, keys = view.batch_source, [c.name for c in view.entity_columns]
    told = [
        PolarsOfflineStore.pull_latest_from_table_or_query(
            features.store.config, source, keys, ["sales_qty_ea_lag_0"], source.timestamp_field, None, start, end
        ).to_polars()
        for start, end in [
            (at - timedelta(days=1), at) for at in (midnight, midnight.astimezone(ZoneInfo("America/New_York")))
        ]
    ]  # fmt: skip
    assert told[0].equals(told[1]) and set(told[0]["feature_date"]) == {midnight}


def test_feast_s_own_writer_and_reader_meet_our_rows(features: Features) -> None:
    from feast.infra.online_stores.sqlite import SqliteOnlineStore
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    now = cutoff(FIRST + timedelta(days=DAYS - 1))
    features.publish_as_of(now)
    store = features.store
    keys = [EntityKey(join_keys=["item_id"], entity_values=[Value(string_val=i)]) for i in "ABCX"]
    online, view = store._get_provider().online_store, store.get_feature_view(ATTRIBUTES)
    ours = online.online_read(store.config, view, keys)
    assert SqliteOnlineStore.online_read(online, store.config, view, keys) == ours
    store.materialize(start_date=datetime(2025, 1, 1, tzinfo=UTC), end_date=now, feature_views=[ATTRIBUTES])
    assert online.online_read(store.config, view, keys) == ours


def test_the_online_store_is_read_while_it_is_written(features: Features) -> None:
    now, errors = cutoff(FIRST + timedelta(days=DAYS - 1)), []
    features.publish_as_of(now)

    def read() -> None:
        try:
            for _ in range(20):
                assert features.online([{"item_id": "A", "site_id": "S1"}], [LAG]).height == 1
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(10):
        features.publish_as_of(now)
    thread.join()
    assert errors == []


def test_a_service_is_registered_once_and_never_edited(features: Features) -> None:
    assert features.register_service("demand", "1", [LAG, f"{ATTRIBUTES}:pack_ea"]) == "demand_v1"
    assert features.register_service("demand", "1", [LAG, f"{ATTRIBUTES}:pack_ea"]) == "demand_v1"
    with pytest.raises(RefusedError, match="version 1 of demand is registered with other features"):
        features.register_service("demand", "1", [LAG])
    assert features.service_features("demand", "1") == [LAG, f"{ATTRIBUTES}:pack_ea"]
    with pytest.raises(BadInputError, match="no service 'demand_v9'"):
        features.service_features("demand", "9")
