"""Make a picture on one backend, put another in its place, and make the same picture again.

    python examples/swap_backends.py latentry-cpu latentry-openvino
    python examples/swap_backends.py latentry-cpu latentry-openvino --source plugins

Nothing but the two distributions changes: the command that makes the picture is the same, and takes whichever
device is installed. `--source` is a folder that has the distributions' sources; otherwise they are the
package index's. Both are installed without what they depend on, which must be there. Run it in an
environment that you can throw away, which has neither backend.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

PROMPT = "a red apple on a blue background"


def pip(*arguments: str) -> None:
    """Run pip of this environment."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def install(backend: str, source: Path | None) -> None:
    """The backend alone, from its sources if they are given."""
    wanted = str(source / backend) if source else backend
    pip("install", "--no-deps", *(["--no-build-isolation"] if source else []), wanted)


def make_picture(file: Path) -> None:
    """The same command each time."""
    command = [sys.executable, "-m", "latentry", "txt2img", PROMPT, "--seed", "1", "--steps", "4"]
    subprocess.run([*command, "-o", str(file)], check=True, stdout=subprocess.DEVNULL)


def largest_difference(one: Path, other: Path) -> int:
    """Of a channel of a pixel, of 255."""
    from PIL import Image, ImageChops

    with Image.open(one) as first, Image.open(other) as second:
        bands = ImageChops.difference(first.convert("RGB"), second.convert("RGB")).getextrema()
    return max(int(highest) for _, highest in bands)


def main() -> None:
    """Swap, and say how far the pictures are apart."""
    parser = argparse.ArgumentParser(description="Make the same picture on two backends, one after another.")
    parser.add_argument("backends", nargs=2, metavar="DISTRIBUTION")
    parser.add_argument("--source", type=Path, help="a folder with the distributions' sources")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{backend}.png" for backend in asked.backends]
        for backend, file in zip(asked.backends, files, strict=True):
            install(backend, asked.source)
            make_picture(file)
            pip("uninstall", "--yes", backend)
        print(f"largest difference: {largest_difference(*files)} of 255")


if __name__ == "__main__":
    main()
