"""Run jobs in processes of their own: the executor `workers`."""

from collections.abc import Sequence

from latentry_sdk import ExecutorSpec, hookimpl
from latentry_workers.executor import WorkersExecutor


@hookimpl
def register_executors() -> Sequence[ExecutorSpec]:
    """Worker processes."""
    return [ExecutorSpec("workers", WorkersExecutor, description="Processes of their own, kept warm")]
