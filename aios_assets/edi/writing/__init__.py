"""Facts to EDI: thousands of documents in a few polars expressions, with each partner's habits as data."""

from aios_assets.edi.writing.documents import WRITERS, Written, write
from aios_assets.edi.writing.profiles import Partner, load_partners

__all__ = ["WRITERS", "Partner", "Written", "load_partners", "write"]
