"""One page per night that a manager can read: verdicts, drift, quality, calibration, KPIs, canary against control.

Pictures are inline SVG drawn here, so that the page needs nothing else and the same night gives the same bytes.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

_LETTER = 6.6  # width of a letter of 12 px, roughly
_INK, _GOOD, _BAD, _SOFT, _BLUE = "#1d2733", "#2e7d4f", "#b3361e", "#d5dbe1", "#2a5f9e"
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;color:#1d2733;max-width:1060px;margin:24px auto;padding:0 16px}"
    "h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:28px 0 8px}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid #e4e8ec;vertical-align:top}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:#2e7d4f}.bad{color:#b3361e;font-weight:600}"
    ".lead{font-size:17px}.soft{color:#5b6876}.row{display:flex;gap:24px;flex-wrap:wrap}svg{max-width:100%}"
)


def bars(
    names: Sequence[str],
    values: Sequence[float],
    *,
    limit: float | None,
    title: str,
    width: int = 500,
    bad: Sequence[bool] | None = None,
) -> str:
    """Horizontal bars with the limit as a line; red are those that the verdict calls bad, by default those beyond the limit."""
    top = max([v for v in values if math.isfinite(v)] + [limit or 0.0, 1e-9]) * 1.1
    left, row = round(12 + _LETTER * max(map(len, names), default=0)), 20
    scale = (width - left - 60) / top
    parts = [f'<text x="0" y="14" font-weight="600">{html.escape(title)}</text>']
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        y = 26 + i * row
        beyond = not math.isfinite(value) or (limit is not None and value > limit)
        is_bad = beyond if bad is None else bad[i]
        shown = min(value, top) if math.isfinite(value) else top
        label = f"{value:.3g}" if math.isfinite(value) else "not measurable"
        parts.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{html.escape(name)}</text>')
        parts.append(
            f'<rect x="{left}" y="{y + 2}" width="{max(shown * scale, 1):.1f}" height="13" fill="{_BAD if is_bad else _BLUE}"/>'
        )
        parts.append(f'<text x="{left + max(shown * scale, 1) + 4:.1f}" y="{y + 12}">{label}</text>')
    height = 30 + row * len(names)
    if limit is not None:
        x = left + limit * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{height}" stroke="{_INK}" stroke-dasharray="4 3"/>')
    return _svg(width, height + 4, parts)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x_label: str,
    diagonal: bool = False,
    width: int = 500,
    height: int = 260,
) -> str:
    """Lines over a common frame, with end points labelled."""
    points = [p for s in series.values() for p in s if math.isfinite(p[1])]
    if not points:
        return _svg(
            width,
            40,
            [f'<text x="0" y="14" font-weight="600">{html.escape(title)}</text><text x="0" y="34">no data yet</text>'],
        )
    x0, x1 = min(p[0] for p in points), max(p[0] for p in points)
    y0, y1 = (0.0, 1.0) if diagonal else (min(0.0, min(p[1] for p in points)), max(p[1] for p in points) * 1.08 + 1e-12)
    left, bottom, right = 46, height - 34, width - 130
    colours = (_BLUE, "#c77d1e", "#2e7d4f", "#7a4fa3", "#5b6876", _BAD)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / max(x1 - x0, 1e-9) * (right - left), bottom - (y - y0) / max(y1 - y0, 1e-9) * (
            bottom - 30
        )

    parts = [f'<text x="0" y="14" font-weight="600">{html.escape(title)}</text>']
    parts.append(f'<path d="M{left} 30V{bottom}H{right}" fill="none" stroke="{_SOFT}"/>')
    for share in (0.0, 0.5, 1.0):
        y = y0 + share * (y1 - y0)
        parts.append(f'<text x="{left - 4}" y="{at(x0, y)[1] + 4:.1f}" text-anchor="end">{y:.3g}</text>')
    parts.append(
        f'<text x="{(left + right) / 2:.0f}" y="{height - 6}" text-anchor="middle">{html.escape(x_label)}</text>'
    )
    if diagonal:
        a, b = at(x0, x0), at(x1, x1)
        parts.append(
            f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" stroke="{_INK}" stroke-dasharray="4 3"/>'
        )
    taken: list[float] = []
    for (name, values), colour in zip(sorted(series.items()), colours * (1 + len(series) // 6), strict=False):
        xy = [at(x, y) for x, y in values if math.isfinite(y)]
        if not xy:
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(
            f'<circle cx="{xy[-1][0]:.1f}" cy="{xy[-1][1]:.1f}" r="2.5" fill="{colour}"/>'
        )  # one night alone is a dot
        y = xy[-1][1]
        while any(abs(y - t) < 13 for t in taken):
            y += 13
        taken.append(y)
        parts.append(f'<text x="{right + 6}" y="{y + 4:.1f}" fill="{colour}">{html.escape(name[:18])}</text>')
    return _svg(width, height, parts)


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-size="12" font-family="system-ui,sans-serif" fill="{_INK}">{body}</svg>'


def _table(frame: pl.DataFrame, headings: Mapping[str, str]) -> str:
    def cell(value: object) -> str:
        if isinstance(value, bool):
            return f'<td class="{"good" if value else "bad"}">{"passed" if value else "failed"}</td>'
        if isinstance(value, float):
            return f'<td class="n">{value:,.4g}</td>'
        if isinstance(value, int):
            return f'<td class="n">{value:,}</td>'
        return f"<td>{'–' if value is None else html.escape(str(value))}</td>"

    number = {n for n, t in frame.schema.items() if t.is_numeric()}
    head = "".join(f"<th{' class=n' if c in number else ''}>{html.escape(h)}</th>" for c, h in headings.items())
    rows = "".join("<tr>" + "".join(cell(v) for v in row) + "</tr>" for row in frame.select(list(headings)).iter_rows())
    return f"<table><tr>{head}</tr>{rows}</table>"


def nightly_page(
    *,
    night: date,
    verdicts: pl.DataFrame,
    drift: pl.DataFrame,
    quality: pl.DataFrame,
    calibration: pl.DataFrame | None = None,
    kpis: pl.DataFrame | None = None,
    canary: pl.DataFrame | None = None,
    findings: pl.DataFrame | None = None,
    findings_left: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    currency_code: str = "USD",
) -> str:
    """The page of one night, as HTML.

    Args:
        night: business day.
        verdicts: rows of `mon_gate_verdicts` of that night.
        drift: rows of `mon_drift` of that night.
        quality: rows of `mon_forecast_quality`, of that night and, for the picture, of nights before.
        calibration: from `monitoring.quality.calibration`.
        kpis: from `monitoring.kpis.business_kpis`.
        canary: `kpi_code, canary, control, difference`.
        findings: rows of `mon_findings` to show, ranked.
        findings_left: how many more there are tonight, by kind.
        notes: sentences to put on top (a retraining was asked for, a rollback happened).
        currency_code: what money is counted in (ISO 4217).
    """
    tonight = verdicts.filter(pl.col("verdict_date") == night)
    failed = tonight.filter(~pl.col("is_passed")).height
    drifted = drift.filter((pl.col("drift_date") == night) & pl.col("is_drifted")).height
    state = (
        f'<span class="{"bad" if failed else "good"}">{failed} of {tonight.height} gates failed</span>'
        if tonight.height
        else '<span class="bad">no gate was judged</span>'
    )
    parts = [
        f"<h1>Monitoring, night of {night}</h1>",
        f'<p class="lead">{state} · {drifted} column segments drifted</p>',
    ]
    parts += [f"<p>{html.escape(n)}</p>" for n in notes]
    parts.append("<h2>Verdicts</h2>" + _table(tonight.sort("is_passed", "gate_code"), {
        "gate_code": "gate", "subject": "subject", "is_passed": "verdict", "value": "value", "threshold": "limit", "reason": "why"}))  # fmt: skip
    parts.append("<h2>Drift</h2>" + _drift(drift.filter(pl.col("drift_date") == night)))
    parts.append("<h2>Forecast quality and calibration</h2>" + _quality(quality, calibration, night))
    if kpis is not None and kpis.height:
        parts.append(
            "<h2>Business KPIs of four weeks</h2>" + _table(kpis, {"kpi_code": "KPI", "value": "value", "rows": "rows"})
        )
    if canary is not None and canary.height:
        parts.append(
            "<h2>Canary against control</h2>" + _table(canary, {c: c.replace("_", " ") for c in canary.columns})
        )
    if findings is not None and findings.height:
        parts.append("<h2>Findings worth most money</h2>" + _table(findings, {
            "kind_code": "what", "subject": "where", "money_at_risk_usd": f"money at risk, {currency_code}", "reason": "why"}))  # fmt: skip
        if findings_left:
            more = ", ".join(f"{n:,} {html.escape(kind)}" for kind, n in sorted(findings_left.items()))
            parts.append(f'<p class="soft">Not shown: {more}. All of them are in mon_findings.</p>')
    return f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Monitoring {night}</title><style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>'


def _drift(drift: pl.DataFrame) -> str:
    if drift.height == 0:
        return '<p class="bad">Drift was not measured.</p>'
    # the verdict asks for both: beyond the named limit, and further out than quiet windows lie apart
    decides = pl.max_horizontal("threshold", "natural_threshold")
    whole = drift.with_columns(
        (pl.col("value") / decides).fill_null(math.inf).alias("excess"), decides.alias("decides")
    )
    worst = whole.sort("excess", "subject", "column_name", "segment", descending=[True, False, False, False]).head(12)
    names = [f"{r['column_name']} · {r['segment']}" for r in worst.iter_rows(named=True)]
    picture = bars(
        names, worst["excess"].to_list(), limit=1.0, bad=worst["is_drifted"].to_list(), width=640,
        title="Distance over the limit that decides, worst twelve",
    )  # fmt: skip
    rule = (
        '<p class="soft">A column has drifted when its distance lies beyond its named limit and further out than the '
        "reference’s own quiet windows lie apart; the larger of both decides, and is the line. Red: drifted.</p>"
    )
    headings = {"subject": "table", "column_name": "column", "segment": "segment", "method": "method", "value": "distance", "threshold": "named limit", "natural_threshold": "quiet windows reach", "current_rows": "rows"}  # fmt: skip
    table = _table(worst.filter(pl.col("is_drifted")), headings)
    return f'{rule}<div class="row">{picture}</div>' + (
        table if worst["is_drifted"].any() else '<p class="soft">No column drifted.</p>'
    )


def _quality(quality: pl.DataFrame, calibration: pl.DataFrame | None, night: date) -> str:
    if quality.height == 0:
        return '<p class="soft">No forecast has matured yet.</p>'
    tonight = quality.filter(pl.col("quality_date") == night).sort("demand_class", "model_name")
    table = _table(tonight, {"demand_class": "demand class", "model_name": "model", "rows": "days judged", "wape_frac": "WAPE", "bias_frac": "bias", "pinball_ea": "pinball, ea", "coverage80_frac": "inside p10–p90"})  # fmt: skip
    over = quality.filter(pl.col("demand_class") == "all").sort("quality_date")
    trend = {
        str(k[0]): [(float(d.toordinal()), float(v)) for d, v in f.select("quality_date", "pinball_ea").iter_rows()]
        for k, f in over.group_by("model_name")
    }
    pictures = [lines(trend, title="Pinball loss, all classes", x_label="nights")]
    if calibration is not None and calibration.height:
        curves = {
            str(k[0]): [
                (float(q), float(s)) for q, s in f.sort("quantile").select("quantile", "share_frac").iter_rows()
            ]
            for k, f in calibration.group_by("demand_class")
        }
        pictures.append(
            lines(curves, title="Share of days at or below each quantile", x_label="quantile", diagonal=True)
        )
    return table + f'<div class="row">{"".join(pictures)}</div>'
