"""A helper process that writes to the lake ends with the run that started it: the run's lock is gone by then."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from aios_assets.contracts.errors import AiosError

# Linux, prctl(2): the signal this process gets when the one that started it ends, however it ended.
PR_SET_PDEATHSIG = 1


def end_with(parent_pid: int) -> None:
    """Let the kernel kill this process as soon as its parent ends; nothing on systems other than Linux.

    Args:
        parent_pid: process that started this one.

    Raises:
        AiosError: that process has ended already.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the kernel was asked
        raise AiosError(
            "the run that started this process was killed; nothing was written",
            where=f"process {parent_pid}",
            todo="run the night again",
        )
