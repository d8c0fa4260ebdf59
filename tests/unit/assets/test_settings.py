"""A setting that does not fit is named at once, with what would fit; it never reaches the night."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aios_assets.cli import app, settings
from aios_assets.contracts.errors import UsageError
from aios_assets.settings import OTHER_VARIABLES, Settings, check_variables

REPO = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AIOS_CURRENCY", "euro", "'euro' is no currency code of three capital letters"),
        ("AIOS_BUSINESS_TZ", "Mars", "'Mars' is no time zone"),
        ("AIOS_BUSINESS_TZ", "../etc", "is no time zone"),
        ("AIOS_BUSINESS_TZ", "", "is no time zone"),
        ("AIOS_START_DATE", "foo", "'foo' is no day of the form YYYY-MM-DD"),
        ("AIOS_START_DATE", "20240101", "is no day of the form"),
        ("AIOS_CUTOFF", "02:00+05:00", "has no offset"),
        ("AIOS_ENGINE", "spark", "'spark' is none of inprocess, dask"),
        ("AIOS_INBOX", "", "it is empty; name a folder, or unset it"),
        ("AIOS_HOME", " ", "it is empty"),
        ("AIOS_PROFILE", "nope", "'tiny', 'fast' or 'full'"),
        ("AIOS_DOCUMENT_CAP_MB", "0", "greater than or equal to 1"),
        ("AIOS_TRAINING_DAYS", "-3", "greater than or equal to 1"),
        ("AIOS_TRAINING_STRIDE_DAYS", "0", "greater than or equal to 1"),
        ("AIOS_RETRAIN_EVERY_DAYS", "-1", "greater than or equal to 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        settings()
    assert f"setting {name} does not fit" in str(caught.value)
    assert words in str(caught.value)


def test_what_is_not_set_fits() -> None:
    fields = Settings.model_fields
    assert Settings(**{name: field.default for name, field in fields.items()}).own_ids == []


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("AIOS_HOM", "AIOS_HOME"),
        ("AIOS_INBOX_PATH", "AIOS_INBOX"),
        ("AIOS_BUSINESS_TIMEZONE", "AIOS_BUSINESS_TZ"),
        ("AIOS_CUT_OFF", "AIOS_CUTOFF"),
        ("aios_training_day", "AIOS_TRAINING_DAYS"),
        ("AIOS_EDI_MAX_DOCUMENT", "AIOS_EDI_MAX_DOCUMENT_MB"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch, slip: str, meant: str) -> None:
    monkeypatch.setenv(slip, "1")
    said = CliRunner().invoke(app, ["solve", "list"])
    assert said.exit_code == 2
    assert f"there is no setting {slip}; the nearest is {meant}" in said.stderr
    assert f"To do: correct or unset {slip}" in said.stderr


def test_a_variable_of_somebody_elses_is_told_and_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_SHOP_PASSWORD", "1")
    said = CliRunner().invoke(app, ["solve", "list"])
    assert said.exit_code == 0
    assert "AIOS_SHOP_PASSWORD is no setting and was passed over" in said.stderr


def test_every_variable_that_the_code_reads_is_known() -> None:
    """Else the check would refuse what works."""
    folders = (
        "aios_assets",
        "dbt_project",
        "feature_repo",
        "ml",
        "planning",
        "monitoring",
        "sandbox",
        "benchmarks",
        "tests",
    )
    texts = [
        p.read_text() for f in folders for p in (REPO / f).rglob("*") if p.suffix in (".py", ".yml", ".sql", ".sh")
    ]
    read = set(re.findall(r"""(?:environ(?:\.get\(|\[)|env_var\(|envvar=)["'](AIOS_\w+)""", "\n".join(texts)))
    assert {"AIOS_HOME", "AIOS_SHARED", "AIOS_EDI_MAX_DOCUMENT_MB"} <= read
    assert check_variables(read | set(OTHER_VARIABLES)) == []


@pytest.mark.parametrize("cutoff", [time(2, 0), time(2, 30), time(0, 5)])
def test_what_the_night_takes_and_which_day_is_closed_agree_to_the_minute(cutoff: time) -> None:
    from aios_assets.resources.handles import World

    conf = Settings(cutoff=cutoff, business_tz="Europe/Berlin")
    day = date(2026, 3, 3)
    world = World(
        home=".", inbox_path=".", business_tz=conf.business_tz, cutoff_hour=cutoff.hour, cutoff_minute=cutoff.minute
    )
    at = world.cutoff(day)
    assert at == datetime(2026, 3, 4, cutoff.hour, cutoff.minute, tzinfo=UTC) - timedelta(hours=1)  # Berlin's winter
    assert conf.day_of(at) == day.isoformat() == world.business_day_of(at).isoformat()
