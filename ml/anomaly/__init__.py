"""Anomalies: what happened that the forecasts, the books or the physics did not allow, with the money at risk.

Every detector returns rows of `mon_findings`; `rank_findings` puts them in order of money and keeps a daily budget.
"""

from ml.anomaly.demand import demand_anomalies, regime_changes, unit_off_by_pack
from ml.anomaly.findings import finding_rows, rank_findings
from ml.anomaly.silence import silent_sensors
from ml.anomaly.supply import lead_time_changes, stock_identity_breaks
from ml.anomaly.telemetry import sensor_drifts, telemetry_findings, unjudged_measures, value_on_board
from ml.anomaly.zero_runs import zero_runs

__all__ = [
    "demand_anomalies",
    "finding_rows",
    "lead_time_changes",
    "rank_findings",
    "regime_changes",
    "sensor_drifts",
    "silent_sensors",
    "stock_identity_breaks",
    "telemetry_findings",
    "unit_off_by_pack",
    "unjudged_measures",
    "value_on_board",
    "zero_runs",
]
