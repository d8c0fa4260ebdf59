"""Inventory policies with published answers: each function states its equation and source."""
