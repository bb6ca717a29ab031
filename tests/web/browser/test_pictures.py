"""The pictures in docs/pictures are those that the script takes."""

from __future__ import annotations

import struct

from tests.web.browser.pictures import FOLDER, HEIGHTS, size


def test_every_picture_has_the_size_of_its_script() -> None:
    found = {}
    for path in FOLDER.glob("*.png"):
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        found[path.stem] = {"width": width, "height": height}
    assert found == {name: size(name) for name in HEIGHTS}
