"""An experiment: one YAML that says which features, which parameters, which days; the same file and data give the same figures.

```yaml
name: without-promotions
as_of: 2024-12-28          # last business day learned from
history_days: 728
stride_days: 14
seed: 7
most_rows: 160000
drop_features: [is_promo, promo_price_rel]
model: {trees: 200, leaves: 48, tweedie_power: 1.3}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import yaml

from aios_assets.contracts.errors import BadInputError
from ml.datasets import training_origins
from ml.models.boosted import BoostSpec
from ml.training import TrainSpec

KEYS = {"name", "as_of", "history_days", "stride_days", "seed", "most_rows", "drop_features", "model", "horizon_days"}


@dataclass(frozen=True, slots=True)
class Experiment:
    """A checked experiment.

    Attributes:
        name: its name.
        as_of: last business day learned from.
        history_days: days of history.
        stride_days: days between origins.
        seed: seed.
        spec: what training is asked for.
        text: the YAML as given; stored with the run.
    """

    name: str
    as_of: date
    history_days: int
    stride_days: int
    seed: int
    spec: TrainSpec
    text: str

    def origins(self) -> list[date]:
        """Origin days of the training set."""
        return training_origins(self.as_of, self.history_days, self.stride_days, self.spec.horizon)


def parse(text: str, where: str = "experiment") -> Experiment:
    """Read and check a YAML text.

    Raises:
        BadInputError: not YAML, unknown or missing keys, values that do not fit.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInputError(f"the file is not YAML: {str(error).splitlines()[0]}", where=where) from error
    if not isinstance(data, dict):
        raise BadInputError("an experiment is a mapping of settings", where=where)
    unknown = sorted(set(map(str, data)) - KEYS)
    missing = [k for k in ("name", "as_of") if k not in data]
    if unknown or missing:
        words = "; ".join(
            filter(
                None,
                [
                    f"unknown settings: {', '.join(unknown)}" if unknown else "",
                    f"missing: {', '.join(missing)}" if missing else "",
                ],
            )
        )
        raise BadInputError(words, where=where, todo=f"settings are {', '.join(sorted(KEYS))}")
    as_of = data["as_of"] if isinstance(data["as_of"], date) else _date(str(data["as_of"]), where)
    spec = TrainSpec(
        boost=_boost(data.get("model") or {}, where), horizon=_int(data, "horizon_days", 28, where),
        most_rows=_int(data, "most_rows", 160_000, where), drop=_names(data.get("drop_features"), where),
    )  # fmt: skip
    return Experiment(
        str(data["name"]), as_of, _int(data, "history_days", 728, where), _int(data, "stride_days", 14, where), _int(data, "seed", 7, where, 0), spec, text
    )  # fmt: skip


def _date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"as_of {text!r} is not a date", where=where, todo="write YYYY-MM-DD") from error


def _names(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise BadInputError(f"drop_features must be a list of names, not {value!r}", where=where, todo="write [a, b]")
    return tuple(value)


def _int(data: Mapping[str, Any], key: str, default: int, where: str, least: int = 1) -> int:
    value = data.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInputError(f"{key} must be a whole number of at least {least}, not {value!r}", where=where)
    return value


def _boost(model: Mapping[str, Any], where: str) -> BoostSpec:
    known = {f.name: f for f in fields(BoostSpec)}
    unknown = sorted(set(map(str, model)) - set(known))
    if unknown:
        raise BadInputError(
            f"unknown model parameters: {', '.join(unknown)}",
            where=where,
            todo=f"parameters are {', '.join(sorted(known))}",
        )
    base = BoostSpec()
    values: dict[str, Any] = {}
    for key, value in model.items():
        like = getattr(base, key)
        if isinstance(like, tuple):
            values[key] = tuple(value)
        elif (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or (isinstance(like, int) and not isinstance(value, int))
        ):
            raise BadInputError(f"model parameter {key} must be a number like {like}, not {value!r}", where=where)
        else:
            values[key] = value
    return BoostSpec(**values)


def differences(
    before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, tuple[float | None, float | None]]:
    """Metrics that are not identical, with both values."""
    names = sorted(set(before) | set(after))
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}
