"""The calendar: one partition per business day, closed at the cut-off of the following day.

The day that is still open has a partition too: what arrives during the day can be read at once, and the night replaces it.
"""

from __future__ import annotations

import os
from datetime import time

from dagster import DailyPartitionsDefinition
from pydantic import TypeAdapter

BUSINESS_TZ = os.environ.get("AIOS_BUSINESS_TZ", "America/New_York")
DAILY = DailyPartitionsDefinition(
    start_date=os.environ.get("AIOS_START_DATE", "2023-01-01"), timezone=BUSINESS_TZ, end_offset=1
)
# When a business day's knowledge is closed, on the following day; read as the settings read it.
CUTOFF = TypeAdapter(time).validate_python(os.environ.get("AIOS_CUTOFF", "02:00"))
