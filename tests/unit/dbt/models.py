"""Models of the dbt project in a DuckDB of their own, rendered by plain Jinja: a whole build in a second, without dbt and without a lake."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import yaml
from jinja2 import Environment

from aios_assets.contracts.registry import TABLES

PROJECT = Path(__file__).parents[3] / "dbt_project"
SQL = {
    "str": "varchar", "i64": "bigint", "i32": "integer", "f64": "double", "f32": "float", "bool": "boolean", "date": "date",
    "ts": "timestamp with time zone", "bytes": "blob",
}  # fmt: skip
Frames = Mapping[str, pl.DataFrame]


def _environment(asked: list[str]) -> Environment:
    """What models and macros are made with; a source is a table of the lake, as the plugin shows it to dbt."""

    def ref(name: str) -> str:
        asked.append(name)
        return name

    env = Environment(autoescape=False)
    given: dict[str, Any] = {
        "ref": ref,
        "source": lambda _, name: f"lake.{name}",
        "config": lambda **_: "",
        "env_var": lambda *_: str(PROJECT),
    }
    env.globals.update(given)
    for path in sorted((PROJECT / "macros").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        if "materialization" not in text:
            made = vars(env.from_string(text).module)
            env.globals.update({name: macro for name, macro in made.items() if not name.startswith("_")})
    return env


def macro(name: str, *arguments: str) -> str:
    """What a macro makes of its arguments."""
    return str(_environment([]).globals[name](*arguments))


@cache
def rendered() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every model's SQL, and the models it reads."""
    asked: list[str] = []
    env = _environment(asked)
    found = {}
    for path in (PROJECT / "models").rglob("*.sql"):
        asked.clear()
        sql = env.from_string(path.read_text(encoding="utf-8")).render()
        found[path.stem] = (sql, tuple(dict.fromkeys(asked)))
    return found


def _in_order(wanted: tuple[str, ...]) -> list[str]:
    done: list[str] = []

    def visit(name: str) -> None:
        if name not in done:
            for parent in rendered()[name][1]:
                visit(parent)
            done.append(name)

    for name in wanted:
        visit(name)
    return done


def build(
    raw: Frames,
    *wanted: str,
    window: tuple[date, date] | None = None,
    before: Frames | None = None,
    count_tests_of: str = "",
    currency: str = "USD",
) -> dict[str, pl.DataFrame]:
    """What models make of raw tables.

    Args:
        raw: raw tables by name; those left out are empty.
        wanted: models, in the types of their contracts where they have one.
        window: half-open stretch of business days to make; None makes everything.
        before: marts as the build before left them; rows outside the window stay, as the lake keeps them.
        count_tests_of: a sender whose test interchanges count, or * for all.
        currency: what money is counted in.
    """
    before = before or {}
    with _built(raw, _in_order(wanted), window, before, count_tests_of, currency) as db:
        return {
            name: _kept(name, db.sql(f"select * from main.{name}").to_arrow_table(), window, before) for name in wanted
        }


def failing(raw: Frames, *wanted: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows for which checks of the project fail, by check: what would stop a night.

    Args:
        raw: raw tables by name; those left out are empty.
        wanted: models; those that they read are made and checked too.

    Returns:
        Every check that was asked, most with no row.
    """
    models = _in_order(wanted)
    with _built(raw, models, None, {}) as db:
        return {name: db.sql(sql).fetchall() for model in models for name, sql in checks().get(model, {}).items()}


@cache
def checks() -> dict[str, dict[str, str]]:
    """SQL of the generic checks that the models' YAML asks for, by model and name."""
    env = Environment(autoescape=False)
    for path in sorted((PROJECT / "tests" / "generic").glob("*.sql")):
        text = path.read_text(encoding="utf-8").replace("{% test ", "{% macro ").replace("endtest", "endmacro")
        env.globals[path.stem] = getattr(env.from_string(text).module, path.stem)
    found: dict[str, dict[str, str]] = {}
    for path in sorted((PROJECT / "models").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", ()):
            for asked in model.get("data_tests", ()):
                ((kind, said),) = asked.items()
                sql = env.globals[kind](f"main.{model['name']}", **said.get("arguments", {}))
                sql = re.sub(r"ref\('(\w+)'\)", r"main.\1", re.sub(r"source\('\w+', *'(\w+)'\)", r"lake.\1", sql))
                found.setdefault(model["name"], {})[said["name"]] = sql
    return found


@contextmanager
def _built(
    raw: Frames,
    models: list[str],
    window: tuple[date, date] | None,
    before: Frames,
    count_tests_of: str = "",
    currency: str = "USD",
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in which these models were made, in this order."""
    with duckdb.connect(config={"threads": "1"}) as db:
        db.execute("set TimeZone = 'UTC'")
        low, high = (f"date '{day}'" for day in window) if window else ("null::date", "null::date")
        settings = {
            "window_start": low,
            "window_end": high,
            "business_tz": "'America/New_York'",
            "cutoff": "interval '2 hours'",
            "count_tests_of": f"['{count_tests_of}']",
            "currency": f"'{currency}'",
        }
        for name, value in settings.items():
            db.execute(f"set variable {name} = {value}")
        db.execute("create schema lake")
        for table in TABLES.values():
            if any(f"lake.{table.name}" in rendered()[name][0] for name in models):
                frame = raw.get(table.name, before.get(table.name))
                columns = ", ".join(f'"{c.name}" {SQL[c.type]}' for c in table.columns)
                db.execute(f"create table lake.{table.name} ({columns})")
                if frame is not None and frame.height:
                    db.register("given", frame.select(table.names).to_arrow())
                    db.execute(f"insert into lake.{table.name} select * from given")
        for name in models:
            kind = "view" if name.startswith(("stg_", "seed_")) else "table"
            db.execute(f"create {kind} main.{name} as {rendered()[name][0]}")
        yield db


def _kept(name: str, arrow: Any, window: tuple[date, date] | None, before: Frames) -> pl.DataFrame:
    frame = pl.DataFrame(arrow).with_columns(pl.col(pl.Datetime).dt.convert_time_zone("UTC"))
    table = TABLES.get(name)
    if table is None:
        return frame
    frame = frame.select(table.names).cast(dict(table.schema))  # type: ignore[arg-type]
    if window and table.window and name in before:
        inside = pl.col(table.window).is_between(*window, closed="left")
        frame = pl.concat([before[name].filter(~inside), frame])
    return frame.sort(table.key)
