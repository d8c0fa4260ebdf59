"""Asset checks: generated from the contracts, plus a few by hand."""

from aios_assets.checks.contract_checks import CONTRACT_CHECKS
from aios_assets.checks.ladder_checks import LADDER_CHECKS
from aios_assets.checks.plausibility import plausibility
from aios_assets.checks.reconciliation import RECONCILIATION_CHECKS

ALL_CHECKS = [*CONTRACT_CHECKS, plausibility, *RECONCILIATION_CHECKS, *LADDER_CHECKS]
