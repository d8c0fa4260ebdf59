"""Marts as of any moment: pure twins of what dbt builds for now. Polars only."""
