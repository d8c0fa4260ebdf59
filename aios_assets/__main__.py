"""`python -m aios_assets` is `aios`."""

from aios_assets.cli import main

main()
