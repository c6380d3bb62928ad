"""Build the accelerator's library with the machine's C++ compiler, once, and keep it for later processes."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_path

from latentry.errors import Unavailable

SOURCE = Path(__file__).with_name("accelerator.cpp")
FLAGS = ("-std=c++20", "-O1", "-shared", "-fPIC")
LINKED = ("-lc10", "-ltorch_cpu")


def compiler() -> str | None:
    """The C++ compiler, or None: what `CXX` names, else `c++`."""
    return shutil.which(os.environ.get("CXX", "c++"))


def library() -> Path:
    """The library for the installed torch, built if it is not kept yet; takes about half a minute then.

    Raises `Unavailable` where there is no compiler, or it fails.
    """
    import torch
    from filelock import FileLock

    text = SOURCE.read_bytes() + f"{torch.__version__} {FLAGS}".encode()
    folder = user_cache_path("latentry") / "accelerator"
    path = folder / f"{sha256(text).hexdigest()[:16]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _build(path)
    return path


def _build(path: Path) -> None:
    import torch
    from torch.utils import cpp_extension

    if (found := compiler()) is None:
        raise Unavailable("no C++ compiler was found", fix="install g++ or clang, or name it in CXX")
    unfinished = path.with_suffix(".unfinished")
    abi = int(torch._C._GLIBCXX_USE_CXX11_ABI)
    command = [found, *FLAGS, f"-D_GLIBCXX_USE_CXX11_ABI={abi}"]
    command += [f"-I{folder}" for folder in cpp_extension.include_paths()]
    command += [str(SOURCE), "-o", str(unfinished)]
    command += [f"-L{folder}" for folder in cpp_extension.library_paths()]
    done = subprocess.run([*command, *LINKED], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"the accelerator does not build: {done.stderr[:2000]}")
    unfinished.replace(path)
