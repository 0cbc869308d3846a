"""Every bench here, one after the other, then the table of results; run by ``make bench``.

A missed aim is told and does not stop the others; the exit status is 1 when a bench broke.
"""

import json
import runpy
import subprocess
import sys
from pathlib import Path

from support.bench import Result

HERE = Path(__file__).parent
RESULTS = Path("build/bench.json")


def run(script: Path) -> bool:
    """Run a bench in a process of its own; whether it came to its end."""
    print(f"== {script.stem}", flush=True)
    return subprocess.run([sys.executable, __file__, str(script)], check=False).returncode == 0


def run_here(script: str) -> int:
    """The process of one bench: 0 when it came to its end, aims met or not; what broke it is its own to say."""
    sys.argv = [script]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        # 1 says that an aim was missed; a bench that broke has raised something else.
        return 0 if end.code in {0, 1, None} else 2
    return 0


def main() -> int:
    """Run all, into a file that holds nothing older; the exit status."""
    RESULTS.unlink(missing_ok=True)
    broken = [script.stem for script in sorted(HERE.glob("bench_*.py")) if not run(script)]
    print("== results")
    if RESULTS.exists():
        for row in json.loads(RESULTS.read_text()):
            print(Result(**row))
    for name in broken:
        print(f"BROKE   {name}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(run_here(sys.argv[1]) if sys.argv[1:] else main())
