"""Make a picture from Python, save it, and open it with PIL."""

from pathlib import Path

from latentry import Host, Request

PICTURES = Path(__file__).resolve().parent.parent / "pictures"


def main() -> None:
    """One picture from a prompt, beside what was applied to make it."""
    with Host() as host:
        result = host.run(Request(task="txt2img", prompt="a red apple on a blue background", seed=7))
    (artifact,) = result.artifacts
    PICTURES.mkdir(exist_ok=True)
    artifact.save(PICTURES / "apple.png", overwrite=True)
    picture = artifact.open()
    print(f"{picture.width} × {picture.height}, seed {artifact.seed}, {result.applied['sampler']}")


if __name__ == "__main__":
    main()
