"""Numbers as people read them."""


def time(seconds: float | None) -> str:
    """Seconds in three digits, with their unit."""
    if seconds is None:
        return "?"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"
