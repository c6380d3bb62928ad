"""The types that cross the border between kernel and plugins in a running job."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

from latentry.request import Request


class Array(Protocol):
    """What a sampler may do to a picture: elementwise arithmetic with scalars and its own kind.

    Torch tensors, numpy arrays and the toy plugin's grids all have it.
    """

    def __add__(self, other: Any, /) -> Self: ...
    def __radd__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __rsub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: Any, /) -> Self: ...
    def __rmul__(self, other: Any, /) -> Self: ...
    def __truediv__(self, other: Any, /) -> Self: ...


X = TypeVar("X", bound=Array)
XCo = TypeVar("XCo", bound=Array, covariant=True)

Denoise = Callable[[X, float], X]
"""`denoise(x, sigma) -> x0`: the clean picture the model sees in `x`, whose noise has deviation `sigma`."""

OnStep = Callable[[int, X, X], None]
"""`on_step(index, x, clean)`, called once a step, before `x` moves; raising from it ends the sampling."""

Undo = Callable[[], None]


class Noise(Protocol[XCo]):
    """Unit normal noise shaped like the latents, from one generator an image."""

    def initial(self) -> XCo:
        """The noise the job starts from; the same at each call."""

    def between(self, now: float, nxt: float, /) -> XCo:
        """Fresh noise for the step from sigma `now` to sigma `nxt`."""


@dataclass(frozen=True)
class ModelRange:
    """The noise levels a model was trained on: `sigmas[t]` for training timestep t, increasing.

    `space` is "ve" (x = x0 + sigma n) or "flow" (x = (1 - sigma) x0 + sigma n). `sigma_at` and `timestep_at`
    of the sdk convert.
    """

    sigmas: tuple[float, ...]
    space: str = "ve"

    @property
    def sigma_min(self) -> float:
        """The smallest trained noise level."""
        return self.sigmas[0]

    @property
    def sigma_max(self) -> float:
        """The largest trained noise level."""
        return self.sigmas[-1]


@dataclass(frozen=True)
class Memory:
    """Bytes on a device; `None` where the device does not say."""

    total: int | None = None
    free: int | None = None


@dataclass(frozen=True)
class Footprint:
    """Bytes that a component takes on its device.

    `kept` stays there between calls; `passing` is what a call takes beside that at its peak: activations, and
    weights that come for the call alone; `largest` is the largest of its blocks that offloading moves as one.
    """

    kept: int
    passing: int = 0
    largest: int = 0


@dataclass(frozen=True)
class Work:
    """What one call of the component `part` is asked to do.

    `size` is the pictures' (width, height) in pixels, `count` how many rows go in at once (guidance doubles
    them), `bytes` what one value takes in the type that the component computes in.
    """

    part: str
    size: tuple[int, int]
    count: int = 1
    bytes: int = 4


@dataclass(frozen=True)
class DeviceReport:
    """What a probe found: whether the device can be used, what it can do, or what to install.

    `rank` orders the devices that could do the same work: the highest available one is taken.
    `speed` is how many operations with floats a second it does in such models, by type, where that is known.
    """

    available: bool
    detail: str = ""
    fix: str | None = None
    dtypes: tuple[str, ...] = ("float32",)
    memory: Memory = Memory()
    rank: int = 0
    speed: Mapping[str, float] = field(default_factory=dict)


Reports = Mapping[str, DeviceReport]
"""What was found of each device, by its name."""


@dataclass(frozen=True)
class Component:
    """One part of a model, not yet placed.

    `module` is called with positional arrays and gives an array or a tuple of them. Its weights have the type
    that they are stored in; a device casts them and the arrays to the one that it computes in. `example()`
    makes arguments, for engines that trace; `digest()` is a content hash of weights and configuration;
    `managed` says that an optimizer moves the weights, so a device leaves them where they are; `stored()`
    gives a quantized checkpoint's tensors by the module's own names, where the module is without them.
    """

    name: str
    kind: str
    module: Any
    example: Callable[[], tuple[Any, ...]]
    digest: Callable[[], str]
    managed: bool = False
    stored: Callable[[], Mapping[str, Any]] | None = None


class Placed(Protocol):
    """A component on its device: called as the component is.

    Arguments may live anywhere; results come back to where the first argument was.
    `home` is where its arrays are best kept between calls (a torch device name, say), and `dtype` the
    type it computes in.
    A device that runs torch modules as they are may give its own as `module`: `Changeable` of the sdk.
    """

    @property
    def home(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    def __call__(self, *arrays: Any) -> Any: ...
    def close(self) -> None: ...


class Device(Protocol):
    """A place where components run: hardware plus runtime, open for one host."""

    def place(self, component: Component, dtype: str | None) -> Placed:
        """Put `component` here in `dtype` (the device's own choice for None); `Unavailable` if it can't."""

    def activate(self) -> AbstractContextManager[None]:
        """The context in which a job's stages run: threads, streams, autograd modes."""

    def memory(self) -> Memory:
        """What is free now, in bytes. Another thread than the job's may ask, while the job runs."""

    def close(self) -> None:
        """Give back what `open` took."""


@dataclass(frozen=True)
class Placement:
    """Where one component runs; `dtype` None leaves it to the device."""

    device: str
    dtype: str | None = None


@dataclass(frozen=True)
class PlacementRequest:
    """What `choose_device` decides: a device for one component.

    `wanted` is what the user named for it, `parameters` its size in values; `model` is what it is a part of,
    and `job` all that the user asked for.
    """

    component: str
    kind: str
    parameters: int
    wanted: str | None
    model: "Detected"
    job: Request


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Detected:
    """What a family read from a checkpoint's header.

    `components` maps each component to its parameter count, `largest` to that of its largest block, which
    offloading moves as one, and `quantized` to the "quantizer:scheme" that it is stored by, if any; `size` is
    the model's native (width, height) in pixels and `multiple` what both must be divisible by; `features` are
    words that stages and samplers ask for ("inpaint": the denoiser takes the mask itself; "unguided": the
    family gives UNGUIDED); `details` is the family's own.
    """

    variant: str
    components: Mapping[str, int]
    model_range: ModelRange
    size: tuple[int, int]
    multiple: int
    sampler: str = "euler"
    scheduler: str = "normal"
    quantized: Mapping[str, str] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    largest: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
