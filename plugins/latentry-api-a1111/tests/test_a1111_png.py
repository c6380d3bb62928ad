"""The reader of texts beside Pillow's, on files that Pillow writes, and on damaged ones."""

import io
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentry_api_a1111.png import LONGEST, SIGNATURE, texts
from latentry_sdk import InvalidInput


def picture(chunks=None):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_every_kind_of_text_reads_as_pillow_reads_it():
    chunks = PngInfo()
    chunks.add_text("plain", "Größe\nzwei")
    chunks.add_text("packed", "abc " * 100, zip=True)
    chunks.add_itxt("international", "猫 🐈")
    chunks.add_itxt("both", "猫 " * 100, lang="ja", tkey="鍵", zip=True)
    data = picture(chunks)
    assert texts(data, "it") == Image.open(io.BytesIO(data)).text
    assert len(texts(data, "it")) == 4


def test_a_picture_without_texts_has_none():
    assert texts(picture(), "it") == {}


def test_text_after_the_pixels_is_found():
    data = picture()
    end = data.index(b"IEND") - 4
    assert texts(data[:end] + chunk(b"tEXt", b"late\0yes") + data[end:], "it") == {"late": "yes"}


@pytest.mark.parametrize("length", range(1, len(picture())))
def test_a_picture_that_is_cut_off_is_refused(length):
    with pytest.raises(InvalidInput, match=r"^it is (no PNG|cut off)"):
        texts(picture()[:length], "it")


@pytest.mark.parametrize(
    ("kind", "content"), [(b"zTXt", b"x\0\0" + b"not zlib"), (b"iTXt", b"x\0\1\0\0\0not zlib")]
)
def test_text_that_cannot_be_unpacked_is_refused(kind, content):
    with pytest.raises(InvalidInput, match="a text that cannot be read"):
        texts(SIGNATURE + chunk(kind, content) + chunk(b"IEND", b""), "it")


@pytest.mark.parametrize("content", [b"", b"x", b"\0", b"x\0", b"x\0\1", b"x\0\0\0"])
@pytest.mark.parametrize("kind", [b"iTXt", b"zTXt"])
def test_texts_that_are_too_short_are_refused_or_empty(kind, content):
    data = SIGNATURE + chunk(kind, content) + chunk(b"IEND", b"")
    if kind == b"iTXt":
        with pytest.raises(InvalidInput, match="it has a text that is cut off"):
            texts(data, "it")
    elif len(content) < 4:
        assert set(texts(data, "it").values()) == {""}


def test_a_text_that_unpacks_to_more_than_there_is_room_for_is_refused():
    bomb = zlib.compress(b"\0" * (1 << 26), 9)
    with pytest.raises(InvalidInput, match="more than 4 MiB of text"):
        texts(SIGNATURE + chunk(b"zTXt", b"x\0\0" + bomb) + chunk(b"IEND", b""), "it")


def test_many_small_texts_share_the_room():
    pack = chunk(b"zTXt", b"x\0\0" + zlib.compress(b"a" * (LONGEST // 2)))
    assert len(texts(SIGNATURE + pack + pack + chunk(b"IEND", b""), "it")["x"]) == LONGEST // 2
    with pytest.raises(InvalidInput, match="more than 4 MiB of text"):
        texts(SIGNATURE + pack * 3 + chunk(b"IEND", b""), "it")
