"""Its entry point names something that is not there."""

PLUGIN = None
