"""Sets without a line that hold segments nobody knows: what should have been lines must not vanish as if nothing had been sent."""

from __future__ import annotations

import numpy as np
import polars as pl

from aios_assets.edi.counts import BEGINNING
from aios_assets.edi.tokens import code_of
from aios_assets.edi.typing_rules import REJECT_CANDIDATES, read_number
from aios_assets.edi.view import View
from aios_assets.edi.words import say

# What stands before and behind the lines of the sets that are mapped. Source: their tables in X12 002040 to 008060, and D.93A to D.23A.
AROUND = {
    "X12": "ST SE CTT TDS AMT CUR REF N9 PER TAX FOB CTP PAM CSH SAC ITD ITA DIS INC DTM LDT SI PID MEA PWK PKG TD1 TD3 TD4 TD5 MAN PCT CTB "
    "TXI MSG MTX NTE N1 N2 NX2 N3 N4 NM1 ADX ENT TRN LX LM LQ FA1 FA2 ADV SPI YNQ BAL L7 V1 R4 CAD ISS AK9 K1 L11 MS1 MS2 MS3 BLR R3 H3 G50 "
    "G51 G61 G62 G66 G72 G76 B2A AT5 PLD LH6 L3 N7 M7 C3 POD SV XPO W03 W08 W10 W14 W27 W28 W6 W66 W72 W76 " + " ".join(BEGINNING.values()),
    "EDIFACT": "UNH UNT UNS CNT BGM DTM PAI ALI IMD FTX GIR RFF NAD LOC FII DOC CTA COM TAX MOA CUX PCD PAT TDT TSR PAC MEA PCI GIN EQD HAN "
    "SEL ALC RNG RTE TOD AJT INP DGS MKS GIS CST CPS CNI SCC GEI UCI UCF AUT IND TMD CPI TCC GOR EFI ERP",
}  # fmt: skip
# Of a warehouse's sets, which must have lines, what tells that there should be some: detail loops, allowances, a total above 0 in W0301 and its kin.
_WAREHOUSE, _DETAILS, _TOTALS = ("W01", "W04", "W07", "W12", "W19"), ("LX", "G72"), ("W03", "W14", "W76")
_CODES = {name: np.array([code_of(tag) for tag in tags.split()], dtype=np.uint32) for name, tags in AROUND.items()}


def unread_lines(view: View, openers: tuple[str, ...]) -> pl.DataFrame:
    """The first segment of each set without a line that nobody knows, or that tells of lines.

    Args:
        view: sets of one type.
        openers: tags that open their lines.

    Returns:
        Rejects as of `Typed`, one per such set.
    """
    lined = np.zeros(int(view.sets.max(initial=-1)) + 1, dtype=np.bool_)
    lined[view.sets[view.where(*openers)]] = True
    if view.before and len(view.sets):
        lined[view.sets[0]] = True  # its lines were read with an earlier stretch
    if lined[view.sets].all():
        return REJECT_CANDIDATES
    codes = view.tokens.code[view.rows]
    unread = ~np.isin(codes, _CODES[view.standard])
    if openers[0] in _WAREHOUSE:
        unread[view.where(*_DETAILS)] = True
        total = view.pick(*_TOTALS, total=1)
        unread[np.searchsorted(view.rows, total.filter(read_number(pl.col("total")) != 0)["row"].to_numpy())] = True
    at = np.flatnonzero(~lined[view.sets] & unread)
    _, first, times = np.unique(view.sets[at], return_index=True, return_counts=True)
    own = at[first]
    at_row = {"set": view.sets[own], "row": view.rows[own].astype(np.int32), "times": times}
    found = pl.DataFrame(at_row | {"tag": view.tokens.tags(view.rows[own])})
    words = "no {} stands in the set, and '{}' is not known in it: {} such segments were not read"
    if openers[0] in _WAREHOUSE:
        words = "no {} stands in the set, but '{}' does: it must tell of lines, and {} such segments were not read"
    return found.select(
        "set",
        "row",
        pl.lit(1, dtype=pl.Int32).alias("line_no"),
        pl.lit(None, dtype=pl.Int32).alias("element_no"),
        pl.lit("AK3:1" if view.standard == "X12" else "CONTRL:15").alias("error_code"),
        say(words, pl.lit("/".join(openers)), "tag", "times").alias("reason"),
    ).cast(REJECT_CANDIDATES.schema)
