"""Make the first two pictures with the commands a user would type: one from a prompt, one inpainted photo."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parent / "pictures"
APPLE, INPAINTED = PICTURES / "apple.png", PICTURES / "inpainted.png"


def main() -> None:
    """Make both and say where they are."""
    PICTURES.mkdir(exist_ok=True)
    latentry("txt2img", "a red apple on a blue background", "-o", APPLE)
    photo = ("--image", HERE / "photo.png", "--mask", HERE / "mask.png")
    latentry("inpaint", "a pizza on a white background", *photo, "-o", INPAINTED)
    print(f"A picture from a prompt: {APPLE}")
    print(f"A photo, inpainted:      {INPAINTED}")


def latentry(*arguments: str | Path) -> None:
    """Run one command of Latentry with a fixed seed."""
    command = [sys.executable, "-m", "latentry", *map(str, arguments), "--seed", "7", "--force"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
