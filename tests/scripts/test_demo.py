"""The demo's picture: every cell holds the frame that its title names."""

import numpy as np

from scripts.demo import comparison


def test_the_picture_has_each_frame_in_its_place():
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (6, 9, 3), np.uint8) for _ in range(2)]
    large = [rng.integers(0, 256, (24, 36, 3), np.uint8) for _ in range(2)]
    sheet = np.asarray(comparison(small, large))
    assert sheet.shape == (4 * (24 + 28), 3 * 36, 3)
    known, _, made, _ = (sheet[y : y + 24] for y in range(28, len(sheet), 24 + 28))
    np.testing.assert_array_equal(known[::4, :36:4], small[0])
    np.testing.assert_array_equal(known[:, 72:], large[0])
    np.testing.assert_array_equal(made[::4, :16:4], small[0][:, :4])
    np.testing.assert_array_equal(made[::4, 20:36:4], small[1][:, 5:])
    np.testing.assert_array_equal(made[:, 72:], large[1])
