"""usage: python3 benches/instructions.py BINARY BASELINE [--update]

Has callgrind count the instructions of every stage (benches/instructions.rs) and compares them with the baseline: the same
code takes the same number on a busy machine and on an idle one. Growth of more than 5 % fails, and names the stage.
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
# What depends on the state of the heap and not on the code: whether memory that calloc gives is fresh, and so is not
# cleared; and copies of kilobytes, of which callgrind counts every byte when they are made by `rep movsb`.
TUNABLES = ":".join(
    f"glibc.{name}={value}"
    for name, value in (
        ("malloc.mmap_threshold", 131072),
        ("cpu.x86_rep_movsb_threshold", 1 << 40),
        ("cpu.x86_rep_stosb_threshold", 1 << 40),
    )
)
HEADER = "# Instructions of each stage over its usual payload, as callgrind counts them. By scripts/bench --check --update\n"


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
        print(f"the baseline was counted with {made_by}, and this is {here}: differences may be the compiler's")
    failed = report(counts, before)
    if options.update:
        lines = [f"{stage} {instructions}\n" for stage, instructions in counts.items()]
        options.baseline.write_text(HEADER + f"# {here}\n" + "".join(lines))
        return 0
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def count(binary: Path, stage: str) -> int:
    """Instructions of the one call of `seen_by_callgrind`; callgrind says them last, on its error output."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]
    command += ["--toggle-collect=*instructions::seen_by_callgrind*", str(binary), stage]
    said = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "GLIBC_TUNABLES": TUNABLES})
    found = re.search(r"Collected : (\d+)", said.stderr)
    if said.returncode != 0 or not found or int(found[1]) == 0:
        raise SystemExit(f"callgrind could not count {stage}:\n{said.stderr}")
    return int(found[1])


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
    """Prints every count beside the baseline's. Gives back what is wrong."""
    wrong = [f"{stage} is in the baseline and no stage any more" for stage in before if stage not in counts]
    print(f"{'stage':24} {'baseline':>14} {'now':>14}")
    for stage, now in counts.items():
        then = before.get(stage)
        print(f"{stage:24} {then or 0:14,} {now:14,}" + (f" {now / then - 1:+7.1%}" if then else "     new"))
        if then is None:
            wrong.append(f"{stage} is not in the baseline: scripts/bench --check --update")
        elif now > then * (1 + GROWTH):
            wrong.append(f"{stage} takes {now:,} instructions, {now / then - 1:.1%} more than the {then:,} of the baseline")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
