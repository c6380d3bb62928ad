"""The server's own process decodes no picture and imports no tensor library for this surface."""

import subprocess
import sys

PROGRAM = """
import base64, struct, sys, zlib
from types import SimpleNamespace
from fastapi import FastAPI
from fastapi.testclient import TestClient
from latentry import Host
from latentry_api_a1111 import mount
from latentry_api_a1111.fields import Img2Img
from latentry_api_a1111.settings import Chosen
from latentry_api_a1111.translating import wishes_of
from latentry_sdk.service import Caller

host, app = Host(), FastAPI()

@app.middleware("http")
async def with_caller(request, call_next):
    request.state.caller = Caller()
    return await call_next(request)

app.include_router(mount(SimpleNamespace(host=host)))
client = TestClient(app)
for name in ("samplers", "schedulers", "sd-models", "upscalers", "options", "memory", "prompt-styles"):
    assert client.get(f"/sdapi/v1/{name}").status_code == 200, name
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + bytes(4)
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"tEXt", b"parameters\\0a cat") + chunk(b"IEND", b"")
sent = base64.b64encode(png).decode()
assert client.post("/sdapi/v1/png-info", json={"image": sent}).json()["info"] == "a cat"
assert wishes_of(Img2Img(init_images=[sent], mask=sent), Chosen(), host)
heavy = ("torch", "diffusers", "transformers", "numpy", "PIL", "openvino", "scipy", "safetensors")
assert [name for name in heavy if name in sys.modules] == []
"""


def test_lists_records_and_translation_import_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
