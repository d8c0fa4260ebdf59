"""How `ml` compiles a kernel, and its only importer of numba: import kernels where they are needed, loading numba takes half a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

    compiled: Callable[[Any], Any]
else:
    # 0 / 0 is NaN, as in arrays, and loops stay free of checks; other threads go on meanwhile
    compiled = numba.njit(cache=True, error_model="numpy", nogil=True)
