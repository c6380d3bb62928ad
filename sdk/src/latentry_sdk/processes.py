"""What became of a process, in words."""

import signal


def ending(code: int) -> str:
    """How a process went that gave this code, which is below 0 where a signal ended it."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
