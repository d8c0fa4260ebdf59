"""Promotion: what a challenger must show before it may answer, and the record of what was live."""
