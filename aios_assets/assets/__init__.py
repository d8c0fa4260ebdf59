"""The flow, stage by stage: `s1_ingest_*` to `s8_monitor`. What is longer than reading, one call and writing stands in `glue_*`."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Single-run backfill is a beta parameter of Dagster 1.13 that this project relies on and tests; the warning repeats per asset.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
