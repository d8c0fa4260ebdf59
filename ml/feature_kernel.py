"""The compiled twin of `ml.own_features.own_features`, for whole histories: one series at a time, each feature written once.

Sums of fractions are added in the order of `ml.windows.WindowSums` (by doubling), so the numbers are those of the NumPy way to the
last bit; what is counted is exact in any order. Numba is loaded with this module: import it where it is needed.
"""

from __future__ import annotations

import numpy as np

from ml.compiled import compiled


@compiled
def add(a, b, out):  # type: ignore[no-untyped-def]
    """a + b; plain indices from zero let the compiler add several at once."""
    for i in range(out.size):
        out[i] = a[i] + b[i]


@compiled
def copy(values, out):  # type: ignore[no-untyped-def]
    """Values into their place; for few of them this is faster than assigning a slice."""
    for i in range(out.size):
        out[i] = values[i]


@compiled
def double(levels, stride):  # type: ignore[no-untyped-def]
    """Fill each level after the first with trailing sums of twice as many values as the one before, `stride` apart."""
    for e in range(1, levels.shape[0]):
        next_level(levels[e - 1], min(stride << (e - 1), levels.shape[1]), levels[e])


@compiled
def next_level(below, span, here):  # type: ignore[no-untyped-def]
    """Each value and that `span` before it."""
    copy(below[:span], here[:span])
    add(below[span:], below[: below.size - span], here[span:])


@compiled
def window_sum(levels, window, total):  # type: ignore[no-untyped-def]
    """Trailing sums of `window` values, at the last days only: as many as `total` has."""
    n, offset = levels.shape[1], 0
    lo, so_far = n - total.size, total
    for e in range(levels.shape[0] - 1, -1, -1):
        if window >> e & 1:
            part = levels[e][lo - offset : n - offset]
            if offset == 0:
                so_far = part
            else:
                add(so_far, part, total)
                so_far = total
            offset += 1 << e
    if offset & (offset - 1) == 0:  # a power of two is one level as it is
        copy(so_far, total)


@compiled
def window_count(so_far, reach, total):  # type: ignore[no-untyped-def]
    """How many of the last `reach` periods were counted in `so_far`, at the last days only."""
    n = so_far.size
    lo = n - total.size
    now, then = so_far[lo:], so_far[lo - reach : n - reach]
    for i in range(total.size):
        total[i] = now[i] - then[i]


@compiled
def shares(a, b, out):  # type: ignore[no-untyped-def]
    """a over b, NaN where both are zero."""
    for i in range(out.size):
        out[i] = a[i] / b[i]


@compiled
def counted_shares(part, whole, reach, out):  # type: ignore[no-untyped-def]
    """Share of the last `reach` periods' `whole` that is `part`, at the last days only."""
    n = part.size
    lo = n - out.size
    a, before_a, b, before_b = part[lo:], part[lo - reach : n - reach], whole[lo:], whole[lo - reach : n - reach]
    for i in range(out.size):
        out[i] = float(a[i] - before_a[i]) / float(b[i] - before_b[i])


@compiled
def moments(total, square, count, mean, spread):  # type: ignore[no-untyped-def]
    """Mean and standard deviation (divisor n) from sums, NaN where nothing was counted."""
    for i in range(mean.size):
        middle = total[i] / count[i]
        rest = square[i] / count[i] - middle * middle
        mean[i], spread[i] = middle, np.sqrt(0.0 if rest <= 0 else rest)


@compiled
def workspace(days, windows):  # type: ignore[no-untyped-def]
    """Arrays for sums up to `days` days: levels of doubled sums of units, squares, prices, weekdays; single rows; flags and their counts."""
    powers, width = 1, days + windows.max()
    while 1 << powers <= windows.max():
        powers += 1
    levels = np.zeros((powers, width)), np.zeros((powers, width)), np.zeros((5, width)), np.zeros((3, width))
    return levels, np.zeros((3, days)), np.zeros((4, width), dtype=np.int32), np.zeros((5, width), dtype=np.int32)


@compiled
def flag(row, money, stock, units, squares, cash, flags):  # type: ignore[no-untyped-def]
    """Values of days with what is absent as zero, and which days were reported, without a sale, in stock, priced."""
    known, zero, kept, priced = flags
    for i in range(row.size):
        x, p = row[i], money[i]
        known[i], zero[i], kept[i], priced[i] = x == x, x == 0, (x == x) & stock[i], p == p
        x = x if x == x else 0.0
        units[i], squares[i], cash[i] = x, x * x, p if p == p else 0.0


@compiled
def count_up(flags, counts):  # type: ignore[no-untyped-def]
    """Number of true flags so far: reported, without a sale, in stock, priced, and reported on the same weekday."""
    known, zero, kept, priced = flags[0], flags[1], flags[2], flags[3]
    reports, zeros, stocked, prices, weekly = counts[0], counts[1], counts[2], counts[3], counts[4]
    a = b = c = d = 0
    for i in range(known.size):
        a, b, c, d = a + known[i], b + zero[i], c + kept[i], d + priced[i]
        reports[i], zeros[i], stocked[i], prices[i] = a, b, c, d
    weekly[:7] = known[:7]
    for i in range(7, known.size):
        weekly[i] = weekly[i - 7] + known[i]


@compiled
def own_days(sales, stocked, price, year, first, stop, lags, windows, few, work, out):  # type: ignore[no-untyped-def]
    """Features of one series at the days `[first, stop)`, by rows of `out`.

    Args:
        sales, stocked, price: days of one series as in `ml.own_features.Wide`.
        year: how many days back sales and prices count.
        first, stop: days wanted; no more than `work` was made for.
        lags, windows: days.
        few: windows of which the share of zeros is wanted.
        work: of `workspace`.
        out: (features, days wanted) 32 bits.
    """
    (total, square, paid, week), singles, flags, counts = work
    n, d = total.shape[1], stop - first
    a, b, m = singles[0][:d], singles[1][:d], singles[2][:d]
    start, gap = max(0, stop - n), max(0, n - stop)  # days before the history count as days without a report
    for level in (total, square, paid):
        level[0][:gap] = 0.0
    flags[:, :gap] = 0
    flag(
        sales[start:stop], price[start:stop], stocked[start:stop], total[0][gap:], square[0][gap:], paid[0][gap:],
        (flags[0][gap:], flags[1][gap:], flags[2][gap:], flags[3][gap:]),
    )  # fmt: skip
    count_up(flags, counts)
    double(total, 1)
    double(square, 1)
    double(paid, 1)
    next_level(total[0], 7, week[0])
    next_level(week[0], 14, week[1])
    next_level(week[1], 28, week[2])
    f = 0
    for lag in lags:
        gap = min(max(lag - first, 0), d)
        out[f][:gap] = np.nan
        if gap < d:
            copy(sales[first + gap - lag : stop - lag], out[f][gap:d])
        f += 1
    for w in windows:
        window_count(counts[0], w, m)
        window_sum(total, w, a)
        window_sum(square, w, b)
        moments(a, b, m, out[f][:d], out[f + 1][:d])
        f += 2
    for w in few:
        counted_shares(counts[1], counts[0], w, out[f][:d])
        f += 1
    counted_shares(counts[2], counts[0], 28, out[f][:d])
    since(sales, first, stop, year, out[f + 1], out[f + 2])
    since_report(sales, first, stop, year, out[f + 3])
    window_count(counts[4], 56, m)
    shares(week[2][n - d :], m, out[f + 4][:d])
    window_count(counts[3], 28, m)
    window_sum(paid, 28, a)
    prices(price, first, stop, year, a, m, out[f + 5], out[f + 6])


@compiled
def spread_out(line, series, count, day, bounds, features, n, out):  # type: ignore[no-untyped-def]
    """Put `count` days of one series' features, from `day` on, into the values of `ml.own_features.Cells`."""
    for k in range(bounds.size - 1):
        low, high = max(day, bounds[k]), min(day + count, bounds[k + 1])
        if low >= high:
            continue
        width = bounds[k + 1] - bounds[k]
        place = features * n * bounds[k] + series * width + low - bounds[k]
        for f in range(line.shape[0]):
            copy(line[f][low - day : high - day], out[place : place + high - low])
            place += n * width


@compiled
def own_series(  # type: ignore[no-untyped-def]
    sales,
    stocked,
    price,
    year,
    first,
    stop,
    lags,
    windows,
    few,
    bounds,
    day,
    features,
    out,
    low,
    high,
):
    """Features of the series `[low, high)` at the days `[first, stop)`, in the order of `ml.own_features.own_feature_names`.

    Args:
        sales, stocked, price: (series, days) as in `ml.own_features.Wide`.
        year, first, stop, lags, windows, few: as in `own_days`.
        bounds, features, out: as in `ml.own_features.Cells`.
        day: place of `first` in it.
    """
    n = sales.shape[0]
    work = workspace(stop - first, windows)
    line = np.empty((lags.size + 2 * windows.size + few.size + 7, stop - first), dtype=np.float32)
    for s in range(low, high):
        own_days(sales[s], stocked[s], price[s], year, first, stop, lags, windows, few, work, line)
        spread_out(line, s, stop - first, day, bounds, features, n, out)


@compiled
def own_stretches(  # type: ignore[no-untyped-def]
    sales,
    stocked,
    price,
    year,
    first,
    lags,
    windows,
    few,
    bounds,
    features,
    series,
    begins,
    ends,
    starts,
    days,
    then_sales,
    then_stocked,
    then_price,
    out,
    low,
    high,
):
    """Features of some series at the stretches `[low, high)` of days in which some of their days were known otherwise.

    Args:
        sales, stocked, price, year, lags, windows, few, bounds, features, out: as in `own_series`.
        first: day of the first place of `out`.
        series, begins, ends: (stretches,) whose, from which day, and until which.
        starts: (stretches + 1,) where the other cells of each stretch begin.
        days, then_sales, then_stocked, then_price: (other cells,) their days, and the values then known.
    """
    longest = (ends[low:high] - begins[low:high]).max()
    work = workspace(longest, windows)
    line = np.empty((lags.size + 2 * windows.size + few.size + 7, longest), dtype=np.float32)
    for r in range(low, high):
        s, stop = series[r], ends[r]
        row, stock, money = sales[s, :stop].copy(), stocked[s, :stop].copy(), price[s, :stop].copy()
        for c in range(starts[r], starts[r + 1]):
            row[days[c]], stock[days[c]], money[days[c]] = then_sales[c], then_stocked[c], then_price[c]
        own_days(row, stock, money, year, begins[r], stop, lags, windows, few, work, line)
        spread_out(line, s, stop - begins[r], begins[r] - first, bounds, features, sales.shape[0], out)


@compiled
def since(sales, first, stop, year, after_last, after_first):  # type: ignore[no-untyped-def]
    """Days since the last and the first sale of the last `year` days, NaN where there was none, at the days `[first, stop)`."""
    begin = max(first - year, 0)
    last = first - 1
    while last >= begin and not sales[last] > 0:
        last -= 1
    if last < begin:
        last = -1
    for i in range(first, stop):
        if sales[i] > 0:
            last = i
        begin = max(begin, i - year)
        while begin < i and not sales[begin] > 0:
            begin += 1
        after_last[i - first] = i - last if last >= 0 and i - last <= year else np.nan
        after_first[i - first] = i - begin if sales[begin] > 0 else np.nan


@compiled
def since_report(sales, first, stop, year, after_first):  # type: ignore[no-untyped-def]
    """Days since the first report of the last `year` days, NaN where there was none, at the days `[first, stop)`."""
    begin = max(first - year, 0)
    for i in range(first, stop):
        begin = max(begin, i - year)
        while begin < i and sales[begin] != sales[begin]:
            begin += 1
        after_first[i - first] = i - begin if sales[begin] == sales[begin] else np.nan


@compiled
def prices(price, first, stop, year, paid, known, newest, relative):  # type: ignore[no-untyped-def]
    """The last price known of the last `year` days, and that over its mean of 28 days, at the days `[first, stop)`."""
    last = first - 1
    while last >= max(first - year, 0) and price[last] != price[last]:
        last -= 1
    if last < max(first - year, 0):
        last = -1
    for i in range(first, stop):
        if price[i] == price[i]:
            last = i
        now = price[last] if last >= 0 and i - last <= year else np.nan
        mean = paid[i - first] / known[i - first]
        newest[i - first], relative[i - first] = now, now / mean if mean > 0 else np.nan


@compiled
def group_totals(sales, members, start, stop, totals, reports):  # type: ignore[no-untyped-def]
    """Units and number of reports of each group's series at the days `[start, stop)`, added series by series."""
    for s in range(sales.shape[0]):
        row, total, count = sales[s, start:stop], totals[members[s]], reports[members[s]]
        for i in range(row.size):
            x = row[i]
            total[i] += x if x == x else 0.0
            count[i] += x == x
