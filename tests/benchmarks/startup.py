"""Print how long Latentry takes to start: medians in seconds.

    python tests/benchmarks/startup.py --runs 9

Each line is one thing done in fresh processes of this interpreter, with every plugin that is installed
in it. "bare python" is what an empty program takes here, "third-party libraries" what the kernel's
dependencies do; the commands include both. Bytecode is cached, as pip leaves it. The two lines "in
process" are measured inside, after the interpreter has started. Aims on a quiet machine:
`latentry --help` under 0.3 s, a host with all plugins under 0.5 s. On a busy one compare with "bare python".
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

IMPORT = "import time; began = time.perf_counter(); import latentry; print(time.perf_counter() - began)"
HOST = (
    "import time; began = time.perf_counter(); from latentry import Host; host = Host(); "
    "print(time.perf_counter() - began)"
)
LIBRARIES = "import click, importlib.metadata, packaging.requirements, platformdirs, pluggy, pydantic.types"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def command(*arguments: str) -> float:
    """Seconds of one run of `python ARGUMENTS`, from outside."""
    began = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=ENVIRONMENT)
    return perf_counter() - began


def inside(program: str) -> float:
    """The seconds a program measures and prints itself."""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    return float(done.stdout)


MEASURES: dict[str, Callable[[], float]] = {
    "bare python": lambda: command("-c", "pass"),
    "third-party libraries": lambda: command("-c", LIBRARIES),
    "latentry --help": lambda: command("-m", "latentry", "--help"),
    "latentry plugins": lambda: command("-m", "latentry", "plugins"),
    "import latentry, in process": lambda: inside(IMPORT),
    "host with all plugins, in process": lambda: inside(HOST),
}


def measured(runs: int) -> dict[str, list[float]]:
    """Seconds by measure, the measures taking turns so that a busy spell hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in MEASURES}
    for measure in MEASURES.values():
        measure()  # fills the caches of the file system and of bytecode
    for _ in range(runs):
        for name, measure in MEASURES.items():
            seconds[name].append(measure())
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description="Print start-up times: medians and the best of N runs.")
    parser.add_argument("--runs", type=int, default=7, metavar="N")
    runs = parser.parse_args(arguments).runs
    print(f"{'':34}  median    best   (seconds, {runs} runs)")
    for name, seconds in measured(runs).items():
        print(f"{name:34}  {median(seconds):6.3f}  {min(seconds):6.3f}")


if __name__ == "__main__":
    main()
