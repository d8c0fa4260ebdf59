"""A setting that does not fit is named at once, with what would fit; it never reaches the night."""

from __future__ import annotations

import pytest

from aios_assets.cli import settings
from aios_assets.contracts.errors import UsageError
from aios_assets.settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
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
