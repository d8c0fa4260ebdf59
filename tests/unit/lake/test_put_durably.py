"""Two who write one file at once both succeed, and leave nothing beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aios_assets.resources.lake_files import put_durably


def test_writers_of_one_file_do_not_take_each_others_draft(tmp_path: Path) -> None:
    path = tmp_path / "version.json"
    contents = [bytes([65 + k]) * 5_000 for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for content in [pool.submit(put_durably, path, c) for c in contents * 25]:
            content.result()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
