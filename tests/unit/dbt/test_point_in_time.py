"""The point-in-time join against a loop that looks at every feature row for every asked row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.point_in_time import as_known, by_stretches, newest_known

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = st.integers(0, 60)
ROW = st.tuples(st.sampled_from("ab"), HOURS, HOURS)


def hour(n: int) -> datetime:
    return START + timedelta(hours=n)


def looked_up(rows: list[tuple[str, int, int]], key: str, at: int, ttl: int | None) -> int | None:
    """Position of the row that counts: the newest event known at `at`, by event, then known time, then order of arrival."""
    usable = [(e, k, n) for n, (name, e, k) in enumerate(rows) if name == key and e <= at and k <= at]
    if not usable:
        return None
    event, _, position = max(usable)
    return None if ttl is not None and event < at - ttl else position


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, max_size=25, unique=True), st.lists(st.tuples(st.sampled_from("abc"), HOURS), max_size=15), st.none() | st.integers(1, 40))  # fmt: skip
def test_the_join_is_the_loop(rows: list[tuple[str, int, int]], asked: list[tuple[str, int]], ttl: int | None) -> None:
    facts = pl.DataFrame(
        [{"key": k, "event": hour(e), "known": hour(c), "value": n} for n, (k, e, c) in enumerate(rows)],
        schema={
            "key": pl.String,
            "event": pl.Datetime("us", "UTC"),
            "known": pl.Datetime("us", "UTC"),
            "value": pl.Int64,
        },
    )
    wanted = pl.DataFrame(
        [{"key": k, "at": hour(t)} for k, t in asked], schema={"key": pl.String, "at": pl.Datetime("us", "UTC")}
    )
    got = as_known(
        wanted, facts, keys=["key"], at="at", features=["value"], event="event", created="known",
        ttl=timedelta(hours=ttl) if ttl else None,
    )  # fmt: skip
    assert got["value"].to_list() == [looked_up(rows, k, t, ttl) for k, t in asked]


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, max_size=25, unique=True), st.lists(st.tuples(st.sampled_from("abc"), HOURS), min_size=1, max_size=15), st.integers(1, 20))  # fmt: skip
def test_month_by_month_is_all_at_once(
    rows: list[tuple[str, int, int]], asked: list[tuple[str, int]], ttl: int
) -> None:
    stamp, life = pl.Datetime("us", "UTC"), timedelta(days=3 * ttl)
    schema = {"key": pl.String(), "event": stamp, "known": stamp, "value": pl.Int64()}
    facts = pl.DataFrame([(k, hour(72 * e), hour(72 * c), n) for n, (k, e, c) in enumerate(rows)], schema, orient="row")
    wanted = pl.DataFrame([(k, hour(72 * t)) for k, t in asked], {"key": pl.String(), "at": stamp}, orient="row")
    met = []

    def known(part: pl.DataFrame) -> pl.DataFrame:
        first, last = part["at"].min(), part["at"].max()
        near = facts.filter(pl.col("event").is_between(pl.lit(first) - life, last))
        met.append(near.height)
        return as_known(part, near, keys=["key"], at="at", features=["value"], event="event", created="known", ttl=life)

    whole = known(wanted)
    assert by_stretches(wanted, "at", known)["value"].to_list() == whole["value"].to_list()
    assert max(met, default=0) <= facts.height


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=25, unique=True), HOURS)
def test_what_becomes_known_later_changes_nothing(rows: list[tuple[str, int, int]], at: int) -> None:
    def answer(known: list[tuple[str, int, int]]) -> list[tuple[int, int] | None]:
        facts = pl.DataFrame(
            [{"key": k, "event": hour(e), "known": hour(c), "value": e * 100 + c} for k, e, c in known],
            schema={
                "key": pl.String,
                "event": pl.Datetime("us", "UTC"),
                "known": pl.Datetime("us", "UTC"),
                "value": pl.Int64,
            },
        )
        wanted = pl.DataFrame({"key": ["a", "b"], "at": [hour(at)] * 2})
        return as_known(wanted, facts, keys=["key"], at="at", features=["value"], event="event", created="known")[
            "value"
        ].to_list()

    assert answer(rows) == answer([r for r in rows if r[2] <= at])


def test_rows_asked_twice_are_answered_twice_and_in_order() -> None:
    facts = pl.DataFrame({"item": ["x"], "site": ["1"], "event": [hour(1)], "value": [7.0]})
    asked = pl.DataFrame({"item": ["x", "y", "x", "x"], "site": ["1", "1", "1", "2"], "at": [hour(2)] * 4})
    got = as_known(asked, facts, keys=["item", "site"], at="at", features=["value"], event="event")
    assert got["value"].to_list() == [7.0, None, 7.0, None]


def test_a_date_is_its_midnight_in_utc() -> None:
    facts = pl.DataFrame({"item": ["x"], "event": [START.date()], "known": [hour(31)], "value": [7.0]})
    asked = pl.DataFrame({"item": ["x", "x"], "at": [hour(30), hour(31)]})
    got = as_known(asked, facts, keys=["item"], at="at", features=["value"], event="event", created="known")
    assert got["value"].to_list() == [None, 7.0]


def test_newest_known_keeps_one_row_per_key() -> None:
    facts = pl.DataFrame({"item": ["x", "x", "y"], "event": [hour(1), hour(3), hour(2)], "value": [1, 2, 3]})
    assert newest_known(facts, ["item"], "event", None)["value"].to_list() == [2, 3]
