"""Print what 8-bit activations gain and cost with OpenVINO, on the embedded model's UNet of one fixed size.

    python tests/benchmarks/int8_activations.py --calls 40

"weights" are those of the scheme `nncf:int8`. "dynamic" has OpenVINO round the inputs of their matrix
products as well, in groups of 32, as it does by itself where nobody says otherwise. "static" is NNCF's
quantization of weights and activations, with ranges from noise at six timesteps: no pictures and no texts.
All take turns with the float32 model on one thread. The first number is the ratio of its time to the side's,
so above 1 is faster; the second is the relative L2 distance from its result, the largest of three, for noise
and timesteps that the ranges are not from.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from latentry import Host
from latentry_openvino.runtime import load_openvino
from latentry_sdk import read_header
from latentry_sdk.engines.agreement import plain_torch
from latentry_sdk.quiet import quiet

TIMESTEPS = (20, 200, 400, 600, 800, 980)
Arrays = Sequence[Any]
Run = Callable[[Arrays], Any]


def converted(component: Any) -> Any:
    """OpenVINO's model of a component, for its example's sizes."""
    with quiet(), plain_torch(component, component.example()) as (module, given):
        model = load_openvino().convert_model(module, example_input=given)
    model.reshape({port: list(array.shape) for port, array in zip(model.inputs, given, strict=True)})
    return model


def compiled(model: Any, group: int = 0) -> Run:
    """What runs it in float32 on one thread, with dynamic rounding in groups of that size, 0 for none."""
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    hints["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = group
    made = load_openvino().Core().compile_model(model, "CPU", hints)
    request = made.create_infer_request()
    return lambda arrays: request.infer(list(arrays))[made.outputs[0]].copy()


def drawn(example: Arrays, timestep: int, seed: int) -> Arrays:
    """Noise in the place of latents and embeddings, at a timestep."""
    random = np.random.default_rng(seed)
    noise = [
        random.standard_normal(each.shape).astype(each.dtype) if each.ndim > 1 else each for each in example
    ]
    return [noise[0], np.full_like(example[1], timestep), *noise[2:]]


def static(model: Any, example: Arrays) -> Any:
    """The model with weights and activations in 8 bits."""
    with quiet():
        import nncf

    data = nncf.Dataset([drawn(example, timestep, seed) for seed, timestep in enumerate(TIMESTEPS)])
    no_smoothing = nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
    return nncf.quantize(
        model, data, subset_size=len(TIMESTEPS), model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=no_smoothing),
    )  # fmt: skip


def sides() -> tuple[Mapping[str, Run], Arrays]:
    """Each way to run the UNet, float32 first, and the example's arguments."""
    with Host() as host:
        path = next(entry.path for entry in host.models() if entry.name == "emoji")
        header, family = read_header(path), host.registry.models["stable-diffusion"]
        part = family.load(header, family.detect(header))["unet"]
        packed = host.registry.quantizers["nncf"].apply(part, "int8")
    example = [array.numpy() for array in part.example()]
    plain, weights = converted(part), converted(packed)
    began = perf_counter()
    both = static(plain.clone(), example)
    print(f"static took {perf_counter() - began:.0f} s to make")
    return {
        "float32": compiled(plain),
        "weights": compiled(weights),
        "dynamic": compiled(weights, 32),
        "static": compiled(both),
    }, example


def timed(run: Run, arrays: Arrays) -> float:
    """Seconds of a call."""
    began = perf_counter()
    run(arrays)
    return perf_counter() - began


def main(arguments: Sequence[str]) -> None:
    """Measure and print a line for each side."""
    parser = argparse.ArgumentParser(description="What 8-bit activations gain and cost with OpenVINO.")
    parser.add_argument("--calls", type=int, default=40, metavar="N", help="turns")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    runs, example = sides()
    fresh = [drawn(example, timestep, seed) for seed, timestep in enumerate((100, 500, 900), start=100)]
    turns = [{name: timed(run, fresh[0]) for name, run in runs.items()} for _ in range(asked.calls)]
    for name, run in runs.items():
        ratio = median(turn["float32"] / turn[name] for turn in turns)
        pairs = [(run(arrays), runs["float32"](arrays)) for arrays in fresh]
        off = max(float(np.linalg.norm(one - two) / np.linalg.norm(two)) for one, two in pairs)
        print(f"{name:8} {ratio:5.2f}  {off:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
