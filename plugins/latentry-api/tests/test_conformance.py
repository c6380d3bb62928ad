"""schemathesis reads the document and tries what it allows, and what it does not."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_answer_is_a_fault_or_other_than_the_document_says(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    started = serve(LATENTRY_PLUGINS="api,store-sql,workers,toy")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{started.server.url}/openapi.json"),
        *("--checks", CHECKS, "--max-examples", "10", "--request-timeout", "20", "--seed", "1"),
        *("--exclude-path-regex", "/events$", "--phases", "examples,coverage,fuzzing"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    tried = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tried is not None
    assert int(tried[1]) == int(tried[2]) > 300
