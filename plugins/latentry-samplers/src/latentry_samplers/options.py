"""What users can set on samplers."""

from typing import Literal

from latentry_sdk import Count, Field, Number, Options


class AncestralOptions(Options):
    """How much of each step's noise is fresh."""

    eta: Number = Field(1.0, ge=0, le=1, description="Fresh noise a step; 0 is deterministic")


class DdimOptions(Options):
    """How much of each step's noise is fresh."""

    eta: Number = Field(0.0, ge=0, le=1, description="Fresh noise a step; 0 is deterministic, 1 is DDPM")


class Dpmpp2mSdeOptions(AncestralOptions):
    """The fresh noise, and how a step looks ahead."""

    variant: Literal["midpoint", "heun"] = Field("midpoint", description="How a change of the picture counts")


class SaSolverOptions(Options):
    """The temperature of the equation."""

    tau: Number = Field(1.0, ge=0, le=2, description="Fresh noise a step; 0 is deterministic")


class TcdOptions(Options):
    """How far each step goes beyond its level."""

    eta: Number = Field(0.3, ge=0, le=1, description="The paper's gamma: 0 is Euler, 1 is LCM")


class GradientEstimationOptions(Options):
    """How much the change of the slope counts."""

    gamma: Number = Field(2.0, ge=1, le=5, description="Weight of the slope against the previous; 1 is Euler")


class LmsOptions(Options):
    """How far back the solver looks."""

    order: Count = Field(4, ge=1, le=4, description="Slopes that a step goes by")


class ThirdOrderOptions(Options):
    """How far back the solver looks."""

    order: Count = Field(3, ge=1, le=3, description="Pictures or slopes that a step goes by")


class AdaptiveOptions(Options):
    """What error a step may have, and how its size follows from the errors before."""

    order: Count = Field(3, ge=2, le=3, description="Of the solver: DPM-Solver-12 or -23")
    rtol: Number = Field(0.05, ge=1e-6, le=1, description="Error that a step may have, of a value's size")
    atol: Number = Field(0.0078, ge=1e-8, le=1, description="Error that a step may have near 0")
    h_init: Number = Field(0.05, ge=1e-3, le=10, description="First step that is tried, in log sigma")
    pcoeff: Number = Field(0.0, ge=0, le=1, description="Weight of the errors' change in the step size")
    icoeff: Number = Field(1.0, ge=0, le=1, description="Weight of the error in the step size")
    dcoeff: Number = Field(0.0, ge=0, le=1, description="Weight of the change of that change")
    accept_safety: Number = Field(
        0.81, ge=0.1, le=1, description="A step is accepted if the next could be so many times as large"
    )
    eta: Number = Field(0.0, ge=0, le=1, description="Fresh noise a step; 0 is deterministic")
