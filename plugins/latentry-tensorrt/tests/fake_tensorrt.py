"""A stand-in for the module `tensorrt`: its engines are ONNX Runtime's, and it finds arrays by address.

It keeps what an engine was built with, and refuses what TensorRT refuses: sizes outside of the profile,
weights of another layout, engines of another machine.
"""

import ctypes
import pickle
from enum import Enum, IntEnum
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import numpy
import onnx
import onnxruntime
import torch

NUMPY = {"FLOAT": "float32", "HALF": "float16", "INT64": "int64", "INT32": "int32", "BOOL": "bool"}
ONNX = {1: "FLOAT", 10: "HALF", 7: "INT64", 6: "INT32", 9: "BOOL"}


class BuilderFlag(Enum):
    TF32 = "tf32"
    REFIT = "refit"


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = "workspace"


class Mode(Enum):
    INPUT = "input"
    OUTPUT = "output"


class Logger:
    ERROR = 1

    def __init__(self, severity):
        self.severity = severity


class Network:
    def __init__(self, flags):
        self.flags, self.model = flags, None

    def get_input(self, index):
        port = self.model.graph.input[index]
        sizes = [
            size.dim_value if size.HasField("dim_value") else -1 for size in port.type.tensor_type.shape.dim
        ]
        return SimpleNamespace(name=port.name, shape=sizes)


class Config:
    def __init__(self):
        self.flags, self.pools, self.profile = {BuilderFlag.TF32}, {}, None
        self.builder_optimization_level = None

    def set_flag(self, flag):
        self.flags.add(flag)

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool, limit):
        self.pools[pool] = limit

    def add_optimization_profile(self, profile):
        self.profile = profile


class Profile(dict):
    def set_shape(self, name, *shapes):
        self[name] = shapes


class Library:
    """One machine's TensorRT: what it was asked for is noted."""

    def __init__(self, machine="this"):
        self.machine, self.configs, self.loaded, self.refits = machine, [], 0, 0
        self.room, self.__spec__ = True, ModuleSpec("tensorrt", None)
        self.BuilderFlag, self.Logger, self.MemoryPoolType = BuilderFlag, Logger, MemoryPoolType
        self.NetworkDefinitionCreationFlag = NetworkDefinitionCreationFlag

    def Builder(self, logger):  # noqa: N802
        return SimpleNamespace(
            create_network=Network,
            create_builder_config=Config,
            create_optimization_profile=Profile,
            build_serialized_network=self.build,
        )

    def build(self, network, config):
        assert network.flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        self.configs.append(config)
        if not self.room:
            return None
        graph = network.model.SerializeToString()
        flags = [flag.value for flag in config.flags]
        return pickle.dumps(
            {"machine": self.machine, "graph": graph, "profile": dict(config.profile), "flags": flags}
        )

    def OnnxParser(self, network, logger):  # noqa: N802
        def parse(path):
            network.model = onnx.load(path)
            return all(node.op_type != "Det" for node in network.model.graph.node)

        return SimpleNamespace(
            parse_from_file=parse, num_errors=1, get_error=lambda index: "no such operator"
        )

    def Runtime(self, logger):  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=self.load)

    def load(self, plan):
        self.loaded += 1
        made = pickle.loads(plan)
        return Engine(self, made) if made["machine"] == self.machine else None

    def Refitter(self, engine, logger):  # noqa: N802
        return SimpleNamespace(engine=engine, refit_cuda_engine=lambda: True)

    def OnnxParserRefitter(self, refitter, logger):  # noqa: N802
        def refit(path):
            self.refits += 1
            engine, given = refitter.engine, onnx.load(path)
            if "refit" not in engine.made["flags"] or not _same_layout(engine.model, given):
                return False
            engine.made["graph"] = given.SerializeToString()
            return True

        return SimpleNamespace(refit_from_file=refit)


class Engine:
    def __init__(self, library, made):
        self.library, self.made = library, made
        self.model = onnx.load_from_string(made["graph"])
        self.ports = [*self.model.graph.input, *self.model.graph.output]
        self.num_io_tensors = len(self.ports)

    def get_tensor_name(self, index):
        return self.ports[index].name

    def get_tensor_mode(self, name):
        return Mode.INPUT if name in {port.name for port in self.model.graph.input} else Mode.OUTPUT

    def get_tensor_dtype(self, name):
        (port,) = (port for port in self.ports if port.name == name)
        return SimpleNamespace(name=ONNX[port.type.tensor_type.elem_type])

    def get_tensor_profile_shape(self, name, index):
        return self.made["profile"][name]

    def create_execution_context(self):
        return Context(self) if self.library.room else None

    def serialize(self):
        return pickle.dumps(self.made)


class Context:
    def __init__(self, engine):
        self.engine, self.shapes, self.addresses, self.results = engine, {}, {}, {}
        self.session = onnxruntime.InferenceSession(engine.made["graph"], providers=["CPUExecutionProvider"])

    def set_input_shape(self, name, shape):
        lowest, _, largest = self.engine.made["profile"][name]
        self.shapes[name] = shape
        return all(least <= size <= most for least, size, most in zip(lowest, shape, largest, strict=True))

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def get_tensor_shape(self, name):
        """TensorRT knows it without computing; for an output that is too large, torch then raises this."""
        names = [port.name for port in self.session.get_outputs()]
        try:
            found = self.session.run(names, {each: self._read(each) for each in self.shapes})
        except Exception as exc:
            raise torch.OutOfMemoryError(str(exc)) from exc
        self.results = dict(zip(names, found, strict=True))
        return list(self.results[name].shape)

    def execute_async_v3(self, stream):
        assert stream == 7
        for name, found in self.results.items():
            ctypes.memmove(self.addresses[name], numpy.ascontiguousarray(found).ctypes.data, found.nbytes)
        return True

    def _read(self, name):
        kind = numpy.dtype(NUMPY[self.engine.get_tensor_dtype(name).name])
        shape = self.shapes[name]
        size = int(numpy.prod(shape)) * kind.itemsize
        return numpy.frombuffer(ctypes.string_at(self.addresses[name], size), kind).reshape(shape)


def _same_layout(one, other):
    return [(w.name, w.dims) for w in one.graph.initializer] == [
        (w.name, w.dims) for w in other.graph.initializer
    ]
