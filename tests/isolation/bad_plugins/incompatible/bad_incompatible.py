"""Needs a host of the future; must not even be imported."""

import sys

print("the incompatible plugin was imported", file=sys.stderr)
