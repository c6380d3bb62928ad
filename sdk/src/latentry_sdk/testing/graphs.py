"""What a device that records calls must do besides what all devices must; it needs the hardware."""

import pytest

from latentry_sdk import DeviceSpec
from latentry_sdk.testing.devices import distance
from latentry_sdk.testing.hardware import opened
from latentry_sdk.testing.parts import PARTS, make_part


class GraphSuite:
    """Subclass this beside `DeviceSuite` where the device has the option `graphs`."""

    def test_replayed_calls_equal_plain_ones(
        self, spec: DeviceSpec, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Of every part of the tiny models, and none is left unrecorded."""
        for name in PARTS:
            part, found = make_part(name), {}
            for graphs in (0, 2):
                with opened(spec, graphs=graphs) as device:
                    placed = device.place(part.component, "float32")
                    with device.activate():
                        found[graphs] = [placed(*part.arguments(batch, (8, 8))) for batch in (1, 2, 1)]
                    placed.close()
            for plain, replayed in zip(found[0], found[2], strict=True):
                assert distance(replayed, plain) < 1e-5, name
        assert "without graphs" not in caplog.text
