"""The drift report a person reads: Evidently on a stated sample. The only importer of evidently.

The gate is decided by `monitoring.drift` on all rows; the report shows distributions of a sample and its PSI under the
same named limit.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import BadInputError
from monitoring.gates import Thresholds
from monitoring.histograms import is_category

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 20_000
SHARED_BYTES = 1_000_000
LIBRARY = b"window.drawDashboard="


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What Evidently says about the sample.

    Attributes:
        html: the page, readable without a network beside its scripts.
        scripts: what draws the page, by file name; the same for every night, wanted in the folder above the page's.
        verdicts: `column_name, method, value, threshold, is_drifted`, one row per column it could measure.
        reference_rows: rows of the reference sample.
        current_rows: rows of the current sample.
        skipped: columns it cannot measure, with the reason.
    """

    html: bytes
    scripts: dict[str, bytes]
    verdicts: pl.DataFrame
    reference_rows: int
    current_rows: int
    skipped: dict[str, str]


def sample(frame: pl.DataFrame, rows: int, seed: int) -> pl.DataFrame:
    """At most `rows` rows, drawn without replacement, in their order; the same seed draws the same rows."""
    if frame.height <= rows:
        return frame
    return frame.with_row_index("_row").sample(rows, seed=seed).sort("_row").drop("_row")


def drift_report(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    columns: Sequence[str],
    thresholds: Thresholds,
    seed: int,
    sample_rows: int = SAMPLE_ROWS,
    workspace: Path | None = None,
    title: str = "Drift",
) -> DriftReport:
    """Render Evidently's drift report with PSI and our named limit.

    Args:
        reference: rows of the pinned window.
        current: rows of tonight's window.
        columns: columns to show.
        thresholds: the limit `drift_psi`.
        seed: of the sample.
        sample_rows: most rows of either side.
        workspace: folder of an Evidently workspace that keeps the history; None keeps none.
        title: of the page and of the project in the workspace.

    Raises:
        BadInputError: no column can be measured.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    limit = thresholds.gates["drift_psi"].value
    usable, skipped = _usable(reference, current, columns)
    if not usable:
        raise BadInputError(
            "no column can be shown in the drift report",
            where=title,
            count=len(columns),
            todo="see why each was skipped",
        )
    left, right = (sample(f.select(usable), sample_rows, seed) for f in (reference, current))
    text = [c for c in usable if is_category(reference.schema[c])]
    definition = DataDefinition(numerical_columns=[c for c in usable if c not in text], categorical_columns=text)
    data = [Dataset.from_pandas(_to_pandas(f, text), data_definition=definition) for f in (right, left)]
    snapshot = Report(
        [DataDriftPreset(num_method="psi", num_threshold=limit, cat_method="psi", cat_threshold=limit)]
    ).run(data[0], data[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        snapshot.save_html(str(path))
        html = path.read_bytes()
    if workspace is not None:
        _keep(snapshot, workspace, title)
    page, scripts = shared_scripts(html)
    return DriftReport(page, scripts, _verdicts(snapshot.dict(), limit), left.height, right.height, skipped)


def shared_scripts(page: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A page whose large scripts are files of their own, and those files by a name made of their content.

    Evidently writes its whole drawing library, some 3.5 MB, into every page.
    """
    scripts: dict[str, bytes] = {}

    def moved(found: re.Match[bytes]) -> bytes:
        body = found[1]
        if len(body) < SHARED_BYTES or LIBRARY not in body:
            return found[0]
        name = f"evidently-{hashlib.sha256(body).hexdigest()[:16]}.js"
        scripts[name] = body
        return f'<script charset="utf-8" src="../{name}"></script>'.encode()

    return re.sub(rb"<script>(.*?)</script>", moved, page, flags=re.DOTALL), scripts


def _usable(reference: pl.DataFrame, current: pl.DataFrame, columns: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Evidently raises on empty and all-missing columns: they are named instead."""
    usable: list[str] = []
    skipped: dict[str, str] = {}
    for c in columns:
        for side, frame in (("reference", reference), ("current window", current)):
            if c not in frame.columns:
                skipped[c] = f"not in the {side}"
            elif frame[c].drop_nulls().len() == 0 or (frame[c].dtype.is_float() and frame[c].is_nan().all()):
                skipped[c] = f"nothing but missing values in the {side}"
        if c not in skipped:
            usable.append(c)
    return usable, skipped


def _to_pandas(frame: pl.DataFrame, text: Sequence[str]) -> pd.DataFrame:
    numeric = [pl.col(c).cast(pl.Float64) for c in frame.columns if c not in text]
    return frame.with_columns(*numeric, *(pl.col(c).cast(pl.String) for c in text)).to_pandas()


def _keep(snapshot: Any, workspace: Path, title: str) -> None:
    from evidently.ui.workspace import Workspace

    place = Workspace.create(str(workspace))
    found = place.search_project(title)
    project = found[0] if found else place.create_project(title)
    place.add_run(project.id, snapshot)


def _verdicts(body: dict[str, Any], limit: float) -> pl.DataFrame:
    rows = []
    for metric in body["metrics"]:
        config = metric.get("config") or {}
        column = config.get("column")
        if column is None or not str(config.get("type", "")).endswith("ValueDrift"):
            continue
        value = float(metric["value"])
        rows.append((column, "psi", value, limit, value >= limit))
    schema = {
        "column_name": pl.String,
        "method": pl.String,
        "value": pl.Float64,
        "threshold": pl.Float64,
        "is_drifted": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").sort("column_name")
