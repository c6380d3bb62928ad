"""Start `latentry serve` as people do, for tests that speak to a whole server."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class NotStarted(Exception):
    """A server ended before it printed its URL."""


@dataclass(frozen=True)
class Served:
    """A server that runs as a process of its own: its URL, and the file that its log goes to."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def stop(self, seconds: float = 60) -> tuple[int, str]:
        """Ask it to stop and wait; its exit code, and what it printed after its URL."""
        self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, rest

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def served(data: Path, *flags: str, **variables: str) -> Iterator[Served]:
    """A server on a free port, with these flags and environment variables; killed if it still runs after.

    Its log is appended to the file beside its data folder that ends in `.log`; `NotStarted` tells its end.
    """
    log = data.with_name(f"{data.name}.log")
    command = [sys.executable, "-m", "latentry", "serve", "--port", "0", "--data", str(data), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process,
    ):
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise NotStarted(log.read_text(encoding="utf-8")[-4000:])
            yield Served(process, url, log)
        finally:
            process.kill()
