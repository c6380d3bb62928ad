"""Where weights rest: in the host's memory, or in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from latentry_offload.weights import cast, like
from latentry_sdk import Unavailable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class InMemory:
    """The host's memory; `pinned`, it can be copied from while the device computes."""

    pinned: bool = False

    def rest(self, tensors: "Sequence[torch.Tensor]", dtype: "torch.dtype | None") -> "MemoryResting":
        """They stay where they are; those of another type get a copy in it."""
        stand_ins = [like(each, self._kept(cast(each, dtype))) for each in tensors]
        return MemoryResting(tensors, stand_ins)

    def _kept(self, tensor: "torch.Tensor") -> "torch.Tensor":
        return tensor.pin_memory() if self.pinned else tensor


@dataclass(frozen=True)
class MemoryResting:
    """Tensors in the host's memory."""

    before: "Sequence[torch.Tensor]"
    stand_ins: "Sequence[torch.Tensor]"

    def fetch(self, home: str, *, beside: bool) -> "list[torch.Tensor]":
        """Copies at `home`."""
        return [like(each, each.to(home, non_blocking=beside)) for each in self.stand_ins]

    def originals(self) -> "Sequence[torch.Tensor]":
        """They were kept."""
        return self.before


class OnDisk:
    """A folder of its own among the system's temporary files, which is gone when this is."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="latentry-offload-")
        self._files = 0

    def rest(self, tensors: "Sequence[torch.Tensor]", dtype: "torch.dtype | None") -> "DiskResting":
        """Written to a file as they are, and to a second in `dtype` if that is another; none is in memory."""
        import torch

        ready = [cast(each, dtype) for each in tensors]
        whole = self._file(tensors)
        changed = any(one is not other for one, other in zip(tensors, ready, strict=True))
        stand_ins = [like(each, torch.empty_like(each, device="meta")) for each in ready]
        shapes = [like(each, torch.empty_like(each, device="meta")) for each in tensors]
        return DiskResting(self._file(ready) if changed else whole, whole, stand_ins, shapes)

    def close(self) -> None:
        """Delete the files."""
        self._folder.cleanup()

    def _file(self, tensors: "Sequence[torch.Tensor]") -> Path:
        import torch
        from safetensors.torch import save_file

        if any(type(each) not in (torch.Tensor, torch.nn.Parameter) for each in tensors):
            raise Unavailable("weights that are quantized cannot rest on disk", fix="use group-offload")
        self._files += 1
        path = Path(self._folder.name) / f"{self._files}.safetensors"
        save_file({str(index): each.detach().contiguous() for index, each in enumerate(tensors)}, path)
        return path


@dataclass(frozen=True)
class DiskResting:
    """Tensors in a file; `whole` is the file of what there was, shaped as in `shapes`."""

    file: Path
    whole: Path
    stand_ins: "Sequence[torch.Tensor]"
    shapes: "Sequence[torch.Tensor]"

    def fetch(self, home: str, *, beside: bool) -> "list[torch.Tensor]":  # noqa: ARG002  # reading is waited for
        """Read to `home`."""
        return _read(self.file, self.stand_ins, home)

    def originals(self) -> "Sequence[torch.Tensor]":
        """Read back to the host's memory."""
        return _read(self.whole, self.shapes, "cpu")


def _read(file: Path, shapes: "Sequence[torch.Tensor]", home: str) -> "list[torch.Tensor]":
    import torch
    from safetensors import safe_open

    found = []
    with safe_open(file, framework="pt") as opened:
        for index, shape in enumerate(shapes):
            tensor = torch.empty_like(shape, device=home, requires_grad=False)
            found.append(like(shape, tensor.copy_(opened.get_tensor(str(index)))))
    return found
