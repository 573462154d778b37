"""usage: python3 benches/instructions.py BINARY BASELINE [--update]

Counts the instructions of every stage and kind of invocation (benches/instructions.rs) with callgrind, and compares them with
the baseline. The count does not depend on the load of the machine. The command fails if a stage grows by more than 5 %, and names the stage.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

GROWTH = 0.05
# Excludes effects of the heap state. calloc clears memory only if it is not fresh, and callgrind counts every byte of a copy
# that uses `rep movsb`.
TUNABLES = ":".join(
    f"glibc.{name}={value}"
    for name, value in (
        ("malloc.mmap_threshold", 131072),
        ("cpu.x86_rep_movsb_threshold", 1 << 40),
        ("cpu.x86_rep_stosb_threshold", 1 << 40),
    )
)
HEADER = (
    "# Instructions of each stage and kind of invocation for its typical payload, counted by callgrind. "
    "Written by scripts/bench --check --update\n"
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    stages = subprocess.run([options.binary], check=True, capture_output=True, text=True).stdout.split()
    with ThreadPoolExecutor(max_workers=2) as pool:
        counts = dict(zip(stages, pool.map(lambda stage: count(options.binary, stage), stages)))
    before, made_by = read(options.baseline)
    here = compiler()
    if made_by and made_by != here:
        print(f"the baseline was counted with {made_by}, this is {here}: the compiler may cause differences")
    failed = report(counts, before)
    if options.update:
        lines = [f"{stage} {instructions}\n" for stage, instructions in counts.items()]
        options.baseline.write_text(HEADER + f"# {here}\n" + "".join(lines))
        return 0
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def count(binary: Path, stage: str) -> int:
    """Returns the instructions of the one call of `seen_by_callgrind`. callgrind prints them at the end of its error output."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]
    command += ["--toggle-collect=*instructions::seen_by_callgrind*", str(binary), stage]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "GLIBC_TUNABLES": TUNABLES})
    match = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or not match or int(match[1]) == 0:
        raise SystemExit(f"callgrind could not count {stage}:\n{result.stderr}")
    return int(match[1])


def compiler() -> str:
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    release, host = (re.search(rf"^{key}: (.*)$", version, re.MULTILINE) for key in ("release", "host"))
    return f"rustc {release[1] if release else '?'} {host[1] if host else '?'}"


def read(baseline: Path) -> tuple[dict[str, int], str]:
    if not baseline.exists():
        return {}, ""
    lines = baseline.read_text().splitlines()
    made_by = next((line[2:] for line in lines if line.startswith("# rustc")), "")
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return {stage: int(instructions) for stage, instructions in pairs}, made_by


def report(counts: dict[str, int], before: dict[str, int]) -> list[str]:
    """Prints every count and its baseline. Returns the errors."""
    errors = [f"{stage} is in the baseline, but this stage does not exist" for stage in before if stage not in counts]
    print(f"{'stage':24} {'baseline':>14} {'now':>14}")
    for stage, now in counts.items():
        then = before.get(stage)
        print(f"{stage:24} {then or 0:14,} {now:14,}" + (f" {now / then - 1:+7.1%}" if then else "     new"))
        if then is None:
            errors.append(f"{stage} is not in the baseline: scripts/bench --check --update")
        elif now > then * (1 + GROWTH):
            errors.append(f"{stage} needs {now:,} instructions, {now / then - 1:.1%} more than the baseline of {then:,}")
    return errors


if __name__ == "__main__":
    sys.exit(main())
