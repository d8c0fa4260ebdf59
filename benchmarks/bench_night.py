"""Where a night's time goes: CPU-seconds by stage for the first night (with training) and an ordinary one, peak memory beside them.

Run: `make bench-night` (profile fast), or `python benchmarks/bench_night.py --profile tiny`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def play(words: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run `aios` with these words and measure its own and its children's CPU seconds, wall time and peak memory."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "aios_assets", *words], env=environment, stdout=subprocess.DEVNULL
    ) as child:
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, resident_gb(child.pid))
            time.sleep(0.2)
    if child.returncode != 0:
        raise SystemExit(f"aios {' '.join(words)} exited {child.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": cpu, "wall_s": time.perf_counter() - started, "peak_gb": peak}


def resident_gb(pid: int) -> float:
    """Resident memory of a process and its children, in GB; zero once it is gone."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (str(pid), *children):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return total / 1e6
    return total / 1e6


def table(path: Path) -> list[tuple[str, float, float]]:
    """Steps of the last run, most CPU first."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(((r["step"], r["cpu_s"], r["wall_s"]) for r in rows), key=lambda r: -r[1])


def main() -> None:
    """Play the first night and two ordinary ones in a temporary home, and print what each step cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="fast")
    parser.add_argument("--nights", type=int, default=2, help="ordinary nights after the first")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times.jsonl"
        environment = {
            **os.environ,
            "AIOS_HOME": f"{folder}/home",
            "AIOS_PROFILE": wanted.profile,
            "AIOS_STEP_TIMES": str(times),
        }
        environment.pop("AIOS_INBOX", None)
        made = play(["sandbox", "new", "--profile", wanted.profile, "--root", f"{folder}/home/sandbox"], environment)
        print(
            f"sandbox ({wanted.profile}): {made['cpu_s']:.1f} CPU-s, {made['wall_s']:.1f} s, peak {made['peak_gb']:.2f} GB"
        )
        for night in range(wanted.nights + 1):
            times.write_text("")
            words = ["run"] if night == 0 else ["run", "--days", "1"]
            used = play(words, environment)
            label = "first night, with training" if night == 0 else f"ordinary night {night}"
            print(f"\n{label}: {used['cpu_s']:.1f} CPU-s, {used['wall_s']:.1f} s wall, peak {used['peak_gb']:.2f} GB")
            steps = table(times)
            for step, cpu, wall in steps:
                print(f"  {step:<42} {cpu:7.2f} CPU-s {wall:7.2f} s")
            inside = sum(r[1] for r in steps)
            print(f"  {'imports, start-up, orchestration, summary':<42} {used['cpu_s'] - inside:7.2f} CPU-s")


if __name__ == "__main__":
    main()
