"""Edits: the form, its files, and the mask."""

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from conftest import Started

ORIENTATION = 0x0112


def encoded(size: tuple[int, int] = (64, 48), form: str = "PNG", mode: str = "RGB", **more: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, form, **more)
    return file.getvalue()


def turned(size: tuple[int, int]) -> bytes:
    """A photo whose pixels lie on their side."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(size, "JPEG", exif=exif)


def test_with_a_mask_it_is_inpainting_where_the_mask_is_transparent(started: "Started") -> None:
    image, mask = encoded(), encoded(mode="RGBA")
    started.client().images.edit(image=image, mask=mask, prompt="a cat", n=2, quality="low")
    (wish,) = started.jobs.wishes
    assert wish.inputs == {"image": image, "mask": mask}
    assert wish.request == {
        "task": "inpaint",
        "prompt": "a cat",
        "negative": "",
        "steps": 10,
        "batch": 2,
        "format": "png",
        "options": {"read_images": {"mask_channel": "transparent"}},
    }


def test_without_a_mask_it_is_image_to_image(started: "Started") -> None:
    started.client().images.edit(image=encoded(), prompt="a cat", size="64x64")
    (wish,) = started.jobs.wishes
    assert (wish.request["task"], wish.request["width"], wish.request["height"]) == ("img2img", 64, 64)
    assert list(wish.inputs) == ["image"]


def test_what_the_client_adds_arrives_nested_as_it_was(started: "Started") -> None:
    own = {"steps": 7, "seed": 3, "negative_prompt": "a dog"}
    own["options"] = {"img2img": {"strength": 0.5, "resize_mode": "crop"}, "seamless": {"axes": ["x", "y"]}}
    started.client().images.edit(image=encoded(), prompt="a cat", input_fidelity="low", extra_body=own)
    request = started.jobs.wishes[0].request
    assert (request["steps"], request["seed"], request["negative"]) == (7, 3, "a dog")
    assert request["options"] == {
        "img2img": {"strength": "0.5", "resize_mode": "crop"},
        "seamless": {"axes": ["x", "y"]},
    }


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("part", ["image", "image[]"])
def test_the_bytes_say_what_a_file_is(started: "Started", form: str, part: str) -> None:
    sent = (part, ("picture.html", encoded(form=form), "application/octet-stream"))
    answer = started.post("/images/edits", files=[sent], data={"prompt": "a cat"})
    assert answer.status_code == 200


def test_a_list_of_one_picture_is_a_picture(started: "Started") -> None:
    started.client().images.edit(image=[encoded()], prompt="a cat")
    assert len(started.jobs.wishes) == 1


def test_a_photo_on_its_side_has_the_size_that_one_sees(started: "Started") -> None:
    mask = encoded((48, 64), mode="RGBA")
    started.client().images.edit(image=turned((64, 48)), mask=mask, prompt="a cat")
    assert started.jobs.wishes[0].request["task"] == "inpaint"


@pytest.mark.parametrize(
    ("files", "data", "param"),
    [
        ([("image", encoded())], {}, "prompt"),
        ([("image", encoded()), ("image", encoded())], {"prompt": "a cat"}, "image"),
        ([("image[]", encoded()), ("image[]", encoded())], {"prompt": "a cat"}, "image"),
        ([("image", b"")], {"prompt": "a cat"}, "image"),
        ([("image", b"<svg/>")], {"prompt": "a cat"}, "image"),
        ([("image", b"GIF89a")], {"prompt": "a cat"}, "image"),
        ([("image", encoded()[:20])], {"prompt": "a cat"}, "image"),
        ([("image", b"\xff\xd8\xff" + bytes(100))], {"prompt": "a cat"}, "image"),
        ([("image", encoded()), ("mask", b"")], {"prompt": "a cat"}, "mask"),
        ([("image", encoded()), ("mask", encoded((48, 64)))], {"prompt": "a cat"}, "mask"),
        ([("image", encoded()), ("mask", encoded()), ("mask", encoded())], {"prompt": "a cat"}, "mask"),
        ([("image", encoded()), ("markup", encoded())], {"prompt": "a cat"}, "markup"),
        ([("image", encoded()), ("prompt", b"a cat")], {}, "prompt"),
        ([("image", encoded())], {"prompt": "a cat", "n": "many"}, "n"),
        ([("image", encoded())], {"prompt": "a cat", "n": "nan"}, "n"),
        ([("image", encoded())], {"prompt": ["a cat", "a dog"]}, "prompt"),
        ([("image", encoded())], {"prompt": "a cat", "input_fidelity": "high"}, "input_fidelity"),
        ([("image", encoded())], {"prompt": "a cat", "style": "vivid"}, "style"),
        ([("image", encoded())], {"prompt": "a cat", "options": "{}"}, "options"),
        ([("image", encoded())], {"prompt": "a cat", "options[a]": "1"}, "options[a]"),
        ([("image", encoded())], {"prompt": "a cat", "options[a][b]": ["1", "2"]}, "options[a][b]"),
        ([("image", encoded())], {"prompt": "a cat", "options[a][b]": "1", "options[a][b][]": "2"}, None),
        ([("image", encoded())], {"prompt": "a cat", "options": "", "options[a][b]": "1"}, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_form_is_refused_and_its_part_named(
    started: "Started", files: Any, data: Any, param: str | None
) -> None:
    given = [(name, ("file", content, "image/png")) for name, content in files]
    answer = started.post("/images/edits", files=given, data=data)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert param is None or error["param"] == param
    assert "\n" not in error["message"]
    assert started.jobs.wishes == []


@pytest.mark.parametrize("image", [{}, {"image": (None, "aGVsbG8=")}], ids=["none", "text"])
def test_an_image_that_is_no_file_is_refused(started: "Started", image: Any) -> None:
    answer = started.post("/images/edits", files={"prompt": (None, "a cat"), **image})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain"])
def test_what_is_no_form_is_refused(started: "Started", kind: str) -> None:
    answer = started.post("/images/edits", content=b'{"prompt": "a cat"}', headers={"content-type": kind})
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_form_of_very_many_parts_is_refused(started: "Started") -> None:
    given = [("image", ("file", encoded(), "image/png")), *[(f"n{i}", (None, "1")) for i in range(3000)]]
    answer = started.post("/images/edits", files=given)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
