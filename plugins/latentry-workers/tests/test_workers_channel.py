"""The channel carries every message whole, and ends with one line for whatever else arrives."""

import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentry_workers.channel import LARGEST, Channel, ChannelClosed, ChannelLost, Unsendable, packed

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"kind": st.text()}, optional={"values": PLAIN, "job": st.text()}), max_size=5
)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel that waits two seconds, and the bare socket at its other end."""
    near, far = socket.socketpair()
    channel = Channel(near)
    channel.expect(2)
    yield channel, far
    channel.close()
    far.close()


@settings(max_examples=200, deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_messages_arrive_whole_however_their_bytes_are_cut(messages: list, cuts: list[int]) -> None:
    near, far = socket.socketpair()
    with near, far:
        frames = b"".join(struct.pack(">I", len(frame)) + frame for frame in map(packed, messages))
        sender = threading.Thread(target=send_cut, args=(far, frames, cuts))
        sender.start()
        channel = Channel(near)
        channel.expect(20)
        assert [channel.receive() for _ in messages] == messages
        sender.join()
        far.close()
        with pytest.raises(ChannelClosed):
            channel.receive()


def send_cut(far: socket.socket, data: bytes, cuts: list[int]) -> None:
    place = turn = 0
    while place < len(data):
        size = cuts[turn % len(cuts)] if len(data) < 5_000 else 4_096
        far.sendall(data[place : place + size])
        place, turn = place + size, turn + 1


@settings(max_examples=300, deadline=None)
@given(garbage=st.binary(max_size=200))
def test_garbage_is_refused_and_never_waited_for(garbage: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(garbage)
        far.close()
        channel = Channel(near)
        channel.expect(20)
        with pytest.raises(ChannelLost):
            receive_all(channel)


def receive_all(channel: Channel) -> None:
    while True:
        assert isinstance(channel.receive()["kind"], str)


@pytest.mark.parametrize(
    "frame", [b"", b"\xc0", b"\x93\1\2\3", b"\x80", b"\x81\xa4kind\1", b"\xc1", b"\x91" * 3_000]
)
def test_a_frame_that_is_no_message_ends_the_channel(pair: tuple, frame: bytes) -> None:
    channel, far = pair
    far.sendall(struct.pack(">I", len(frame)) + frame)
    with pytest.raises(ChannelLost, match="no message"):
        channel.receive()


def test_a_frame_larger_than_allowed_is_not_even_read(pair: tuple) -> None:
    channel, far = pair
    far.sendall(struct.pack(">I", LARGEST + 1))
    with pytest.raises(ChannelLost, match=f"announced a message of {LARGEST + 1} bytes"):
        channel.receive()


def test_memory_grows_with_what_arrives_and_not_with_what_is_announced(pair: tuple) -> None:
    channel, far = pair
    far.sendall(struct.pack(">I", LARGEST) + b"x" * 1_000)
    far.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    try:
        with pytest.raises(ChannelClosed):
            channel.receive()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack(">I", 10) + b"half"])
def test_silence_ends_the_channel_also_within_a_frame(pair: tuple, sent: bytes) -> None:
    channel, far = pair
    far.sendall(sent)
    began = time.monotonic()
    with pytest.raises(ChannelLost, match="did not answer for 2 s"):
        channel.receive()
    assert 1.5 < time.monotonic() - began < 10


def test_one_who_does_not_read_is_not_written_to_for_ever(pair: tuple) -> None:
    channel, _far = pair
    with pytest.raises(ChannelLost, match="did not answer for 2 s"):
        channel.send("big", data=bytes(16 << 20))


def test_sending_to_nobody_says_so(pair: tuple) -> None:
    channel, far = pair
    far.close()
    with pytest.raises(ChannelClosed):
        channel.send("beat")


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**64, -(2**63) - 1, 1j])
def test_what_is_no_plain_value_is_not_sent_at_all(pair: tuple, value: object) -> None:
    channel, far = pair
    with pytest.raises(Unsendable):
        channel.send("odd", value=value)
    channel.send("even")
    assert struct.unpack(">I", far.recv(4))[0] == len(packed({"kind": "even"}))


def test_a_message_without_end_is_not_sent(pair: tuple) -> None:
    endless: list = []
    endless.append(endless)
    with pytest.raises(Unsendable):
        pair[0].send("odd", value=endless)


def test_a_message_of_many_megabytes_arrives_from_several_threads_at_once() -> None:
    near, far = socket.socketpair()
    with near, far:
        sender, receiver = Channel(near), Channel(far)
        receiver.expect(60)
        data = [bytes([index]) * (3 << 20) for index in range(4)]
        threads = [
            threading.Thread(target=sender.send, args=("big",), kwargs={"data": each}) for each in data
        ]
        for thread in threads:
            thread.start()
        assert sorted(receiver.receive()["data"] for _ in data) == data
        for thread in threads:
            thread.join()
