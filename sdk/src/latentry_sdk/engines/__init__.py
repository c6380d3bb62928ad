"""What devices share that convert components for an engine: tracing, checking, keeping, calling."""

from latentry_sdk.engines.agreement import agrees, answer, plain_torch
from latentry_sdk.engines.calling import Engine, EngineComponent
from latentry_sdk.engines.conversion import Converted, Trace, convert
from latentry_sdk.engines.keeping import entry, keep, load
from latentry_sdk.engines.refusing import refuse_managed
from latentry_sdk.engines.shapes import Shapes, halved, shapes, signature, stretched

__all__ = [
    "Converted",
    "Engine",
    "EngineComponent",
    "Shapes",
    "Trace",
    "agrees",
    "answer",
    "convert",
    "entry",
    "halved",
    "keep",
    "load",
    "plain_torch",
    "refuse_managed",
    "shapes",
    "signature",
    "stretched",
]
