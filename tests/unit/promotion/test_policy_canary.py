"""Two plans merged for a policy canary: its units' lines come from the challenger, and no source is promised twice."""

from __future__ import annotations

import json

import polars as pl

from aios_assets.assets.glue_policy import merge_plans, naming
from aios_assets.contracts.decision_tables import REC_DECISIONS


def plan(rows: list[tuple[str, str, str | None, float]]) -> pl.DataFrame:
    records = [
        {
            "rec_id": f"{item}{site}", "as_of_date": None, "decision_code": "replenish" if source else "none", "item_id": item, "site_id": site,
            "source_id": source, "quantity_ea": quantity, "money_at_stake_usd": quantity, "drivers_json": "{}", "rank_no": 1,
        }
        for item, site, source, quantity in rows
    ]  # fmt: skip
    return pl.DataFrame(records, schema={c: REC_DECISIONS.schema[c] for c in records[0]}, orient="row")


def merged(
    champion: pl.DataFrame, challenger: pl.DataFrame, units: list[tuple[str, str]]
) -> dict[tuple[str, str], float]:
    canary = pl.DataFrame(units, schema=["item_id", "site_id"], orient="row")
    out = merge_plans(naming(champion, "planning/policy.yaml"), naming(challenger, "policy:2"), canary)
    assert out["rank_no"].to_list() == list(range(1, out.height + 1))
    for row in out.iter_rows(named=True):
        assert json.loads(row["drivers_json"])["policy"] in ("planning/policy.yaml", "policy:2")
        named = json.loads(row["drivers_json"]).get("policy") == "policy:2"
        source = challenger if named else champion
        same = source.filter(item_id=row["item_id"], site_id=row["site_id"])
        assert same["quantity_ea"][0] == row["quantity_ea"]
    return {(r["item_id"], r["site_id"]): r["quantity_ea"] for r in out.iter_rows(named=True)}


def test_the_canarys_units_are_the_challengers() -> None:
    champion = plan([("A", "S1", "DC", 10.0), ("A", "S2", "DC", 10.0), ("B", "S1", None, 0.0)])
    challenger = plan([("A", "S1", "DC", 6.0), ("A", "S2", "DC", 9.0), ("B", "S1", "DC", 4.0)])
    assert merged(champion, challenger, [("A", "S1"), ("B", "S1")]) == {
        ("A", "S1"): 6.0,
        ("A", "S2"): 10.0,
        ("B", "S1"): 4.0,
    }


def test_a_source_is_never_promised_more_than_one_plan_alone_promises() -> None:
    champion = plan([("A", "S1", "DC", 5.0), ("A", "S2", "DC", 15.0), ("B", "S1", "DC", 1.0)])
    challenger = plan([("A", "S1", "DC", 15.0), ("A", "S2", "DC", 5.0), ("B", "S1", "DC", 2.0)])
    found = merged(champion, challenger, [("A", "S1"), ("B", "S1")])
    assert found == {("A", "S1"): 5.0, ("A", "S2"): 15.0, ("B", "S1"): 2.0}


def test_every_line_names_its_policy_beside_what_it_said_before() -> None:
    lines = plan([("A", "S1", "DC", 5.0)]).with_columns(
        drivers_json=pl.lit('{"cover_days":3,"why":"a \\"quoted\\" word}"}')
    )
    (said,) = naming(lines, 'policy "2"')["drivers_json"].to_list()
    assert json.loads(said) == {"cover_days": 3, "why": 'a "quoted" word}', "policy": 'policy "2"'}
