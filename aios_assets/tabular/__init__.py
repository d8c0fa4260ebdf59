"""Tables in files: master data and imports from people who have no EDI, as CSV or Parquet. Pure."""

from aios_assets.tabular.files import rows_as_text
from aios_assets.tabular.imports import IMPORT_KINDS, IMPORT_TABLES, ImportBatch, preview_import, read_import
from aios_assets.tabular.mapping import Mapping, mapping_json, parse_mapping
from aios_assets.tabular.master import MASTER_KINDS, MasterBatch, kind_of_source, read_master
from aios_assets.tabular.restate import put_back, restated
from aios_assets.tabular.sniff import sniff_plain

__all__ = [
    "IMPORT_KINDS",
    "IMPORT_TABLES",
    "MASTER_KINDS",
    "ImportBatch",
    "Mapping",
    "MasterBatch",
    "kind_of_source",
    "mapping_json",
    "parse_mapping",
    "preview_import",
    "put_back",
    "read_import",
    "read_master",
    "restated",
    "rows_as_text",
    "sniff_plain",
]
