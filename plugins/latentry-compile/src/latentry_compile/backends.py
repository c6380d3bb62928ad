"""Know torch's back ends by name, and whether one can work here."""

from latentry_compile.options import CompileOptions
from latentry_sdk import Unavailable

DEBUGGING = frozenset({"eager", "aot_eager"})


def check_backend(options: CompileOptions) -> None:
    """`Unavailable`, with the names there are, for a back end that torch does not know or cannot use."""
    import torch

    known = sorted({*torch.compiler.list_backends(), *DEBUGGING})
    if options.backend not in known:
        raise Unavailable(f"torch has no back end {options.backend!r}", fix=f"use one of {', '.join(known)}")
    if options.backend != "inductor" and options.mode != "default":
        raise Unavailable(
            f"{options.backend} knows no mode {options.mode!r}", fix="use the back end inductor"
        )
    if options.backend == "inductor":
        check_compiler()


def check_compiler() -> None:
    """`Unavailable` where inductor finds no C++ compiler, which it needs on the processor."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, RuntimeError) as exc:
        raise Unavailable(
            "inductor finds no C++ compiler", fix="install g++ or clang, or use the back end aot_eager"
        ) from exc
