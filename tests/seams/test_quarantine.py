"""What people may release: a fault of an EDI document, and nothing whose release would only hide it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.quarantine import find_reject, marked_segment, open_rejects, release
from aios_assets.resources.inbox import document_frame, document_row
from aios_assets.resources.lake import Lake
from aios_assets.tabular import Mapping, mapping_json, read_import

AT = datetime(2026, 1, 10, 5, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    content = b"site_id,item_id,activity_date,quantity\n1,A,2026-01-05,x-1\n1,A,2026-01-06,2\n"
    documents = document_frame(
        [document_row(content, "import:s.csv", "import", AT, mapping_json(Mapping(kind="sales")))]
    )
    lake = Lake(tmp_path / "lake")
    lake.write("raw_edi__documents", documents)
    lake.write("raw_edi__rejects", read_import(documents).rejects)
    return lake


def test_a_row_of_a_table_is_not_released_and_stays_in_the_list(lake: Lake) -> None:
    reject_id = open_rejects(lake)["reject_id"].item()
    with pytest.raises(BadInputError, match=r"import:s\.csv, row 2"):
        release(lake, reject_id, "it is one", "me", AT)
    assert open_rejects(lake)["reject_id"].to_list() == [reject_id]
    assert lake.read("raw_edi__releases").select(pl.len()).item() == 0


def test_a_cell_is_shown_as_it_is(lake: Lake) -> None:
    assert marked_segment(find_reject(lake, open_rejects(lake)["reject_id"].item())) == "x-1"
