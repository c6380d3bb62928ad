"""Keep devices open and the last model loaded, so that the next job need not wait."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from latentry.errors import InvalidModel, PluginError, blamed
from latentry.plan import Plan
from latentry.registry import Registry
from latentry.request import Options
from latentry.types import Component, Device, Placed


@dataclass
class Residents:
    """Owns open devices, one model's components and where they are placed. Not thread-safe."""

    registry: Registry
    _devices: dict[str, tuple[Options, Device]] = field(default_factory=dict)
    _model_key: Hashable = None
    _components: Mapping[str, Component] = field(default_factory=dict)
    _placement_key: Hashable = None
    _placed: Mapping[str, Placed] = field(default_factory=dict)
    _undos: ExitStack = field(default_factory=ExitStack)

    def device(self, name: str, plan: Plan) -> Device:
        """The open device of this name; opened again when its options changed."""
        spec = self.registry.devices[name]
        options = plan.options_for(spec)
        if name in self._devices and self._devices[name][0] != options:
            self.unplace()
            self._devices.pop(name)[1].close()
        if name not in self._devices:
            self._devices[name] = options, spec.open(options)
        return self._devices[name][1]

    def placed(self, plan: Plan, loaded: Callable[[], None]) -> Mapping[str, Placed]:
        """The plan's components on their devices; calls `loaded` if weights had to be read."""
        if (key := plan.model_key()) != self._model_key:
            self._unload()
            self._components, self._model_key = _load(plan), key
            loaded()
        if plan.placement_key() != self._placement_key:
            self.unplace()
            self._place(plan)
        return self._placed

    def _place(self, plan: Plan) -> None:
        placed: dict[str, Placed] = {}
        try:
            for name, component in self._components.items():
                where = plan.placements[name]
                device = self.device(where.device, plan)
                for optimizer in plan.optimizers:
                    if optimizer.parts & {name, "*"}:
                        options = dict(plan.options_for(optimizer))
                        component, undo = optimizer.apply(component, device, **options)
                        self._undos.callback(undo)
                placed[name] = device.place(component, where.dtype)
                self._undos.callback(placed[name].close)
        except BaseException:
            self.unplace()
            raise
        self._placed, self._placement_key = placed, plan.placement_key()

    def unplace(self) -> None:
        """Take all components from their devices; the next job places them again."""
        self._placed, self._placement_key = {}, None
        self._undos.close()

    def _unload(self) -> None:
        self._components, self._model_key = {}, None
        self.unplace()

    def close(self) -> None:
        """Give back models, then devices: every one, even if another raises."""
        with ExitStack() as closing:
            while self._devices:
                closing.callback(self._devices.popitem()[1][1].close)
            closing.callback(self._unload)


def _load(plan: Plan) -> Mapping[str, Component]:
    before = plan.header.signature()
    with blamed(f"loading {plan.header.path.name}", InvalidModel):
        components = dict(plan.family.load(plan.header, plan.detected))
    if plan.header.signature() != before:
        raise InvalidModel(f"{plan.header.path.name} changed while it was read", fix="run it again")
    if components.keys() != plan.detected.components.keys():
        raise PluginError(f"family {plan.family.name!r} loaded other components than it detected")
    for part, (quantizer, scheme) in plan.quantizers.items():
        components[part] = quantizer.apply(components[part], scheme)
    return components
