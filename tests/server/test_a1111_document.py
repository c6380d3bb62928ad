"""schemathesis tries what the server's document says of AUTOMATIC1111's paths, and what it does not."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Started

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_answer_is_a_fault_or_other_than_the_document_says(
    serve: "Callable[..., Started]", tmp_path: Path
) -> None:
    started = serve(LATENTRY_PLUGINS="api,api-a1111,store-sql,workers,samplers,schedules,toy")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{started.url}/openapi.json"),
        *("--checks", CHECKS, "--max-examples", "10", "--request-timeout", "20", "--seed", "1"),
        *("--include-path-regex", "^/(sdapi|controlnet|queue)/", "--phases", "examples,coverage,fuzzing"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    tried = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tried is not None
    assert int(tried[1]) == int(tried[2]) > 100
