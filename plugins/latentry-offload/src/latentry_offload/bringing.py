"""Bring weights to a device: at once, or beside its computing where it has streams."""

from typing import Any, Protocol

from latentry_offload.weights import Weights

STREAMING = ("cuda", "xpu")
"""Kinds of devices that copy from pinned memory while they compute."""


class Bringer(Protocol):
    """Brings weights to one device."""

    pinned: bool

    def start(self, weights: Weights) -> None:
        """Weights that will be called soon."""

    def bring(self, weights: Weights) -> None:
        """Weights that are called now."""


def bringer_for(home: str, *, beside: bool) -> Bringer:
    """The one for torch's device `home`; `beside` asks for copies while it computes."""
    import torch

    if beside and home.partition(":")[0] in STREAMING:
        return Beside(torch.get_device_module(home), home)
    return AtOnce(home)


class AtOnce:
    """Copies, and waits for it."""

    pinned = False

    def __init__(self, home: str) -> None:
        self._home = home

    def start(self, weights: Weights) -> None:
        """Bring them already."""
        weights.bring(self._home)

    def bring(self, weights: Weights) -> None:
        """Bring them, if they are not there."""
        weights.bring(self._home)


class Beside:
    """Copies on a stream of its own; `api` is torch's module of the device, as `torch.cuda`."""

    pinned = True

    def __init__(self, api: Any, home: str) -> None:
        self._api, self._home = api, home
        self._stream = api.Stream(device=home)
        self._arrived: dict[int, Any] = {}

    def start(self, weights: Weights) -> None:
        """Have the copies made, after what the device does now, and while it does the rest."""
        if weights.here:
            return
        with self._api.stream(self._stream):
            weights.bring(self._home, beside=True)
            self._arrived[id(weights)] = self._stream.record_event()

    def bring(self, weights: Weights) -> None:
        """Have the computing wait for the copies, and their memory be kept until it is done with them."""
        self.start(weights)
        current = self._api.current_stream(self._home)
        if arrived := self._arrived.pop(id(weights), None):
            current.wait_event(arrived)
        for tensor in weights.here:
            tensor.record_stream(current)
