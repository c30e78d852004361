"""The loops behind psnr-y and the SSIMs: one pass over two frames in tiles that stay in the processor's cache.

SSIM of Wang et al. (2004) is written in the sum s = x + y and the difference d = x - y of the two frames. With means
ms, md and variances vs, vd of s and d under the window,

    SSIM = (ms^2 - md^2 + 2 C1) (vs - vd + 2 C2) / ((ms^2 + md^2 + 2 C1) (vs + vd + 2 C2)),

which is the usual formula, needs four filtered quantities instead of five, and loses little to rounding: an error of
vs enters both halves of the quotient. A constant near each tile's values is taken off s first (variances ignore it),
so that float32 agrees with a float64 computation to about 1e-7.

Every function here builds a plain Python loop for `jit.compiled`. Constants are bound in closures, because the
compiler vectorises the loops only when it knows the distances between their taps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
RADIUS, SIGMA = 5, 1.5
TWO_C1, TWO_C2 = 2 * (0.01 * 255) ** 2, 2 * (0.03 * 255) ** 2
ROW = 384  # values in a row of a tile, borders included
TALL = 32  # rows of output in a tile


def window_constants() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The last two arguments of `gaussian_ssim`'s loop: the taps (11,) and the mixing (3, 3)."""
    return gaussian_taps().astype(np.float32), depth_mixing()


def gaussian_taps() -> NDArray[np.float64]:
    """The 11 weights of the Gaussian window, sigma 1.5, summing to 1."""
    taps = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    return taps / taps.sum()


def depth_mixing() -> NDArray[np.float32]:
    """(3, 3): what an 11-tap Gaussian along a depth of three channels with replicated ends does to the channels."""
    mixing = np.zeros((3, 3))
    for out in range(3):
        for tap, weight in enumerate(gaussian_taps()):
            mixing[out, min(max(out + tap - RADIUS, 0), 2)] += weight
    return mixing.astype(np.float32)


def gaussian_ssim(step: int, mixed: bool) -> Callable[..., float]:
    """A loop (x, y, taps, mixing) -> mean SSIM over the window positions that lie inside two (H, W * step) arrays.

    `step` is the number of interleaved channels; `mixed` applies the (3, 3) `mixing` to the filtered channels.
    `taps` are the window's weights, float32: an argument, because the compiler keeps those in registers while it
    fetches constants from memory again and again.
    """
    f = np.float32
    c1, c2 = f(TWO_C1), f(TWO_C2)
    halo = 2 * RADIUS * step
    plane, lines = (TALL + 2 * RADIUS) * ROW, TALL * ROW

    def loop(one: Samples, two: Samples, taps: NDArray[np.float32], mixing: NDArray[np.float32]) -> float:
        g0, g1, g2, g3, g4, g5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
        height, width = one.shape[0] - 2 * RADIUS, one.shape[1] - halo
        tile = np.empty(4 * plane, np.float32)  # s, d, s^2, d^2 of a tile
        down = np.empty(4 * lines, np.float32)  # the same, filtered vertically
        both = np.empty(4 * ROW, np.float32)  # and one row of it then horizontally
        total = 0.0
        for top in range(0, height, TALL):
            rows = min(TALL, height - top)
            for left in range(0, width, ROW - halo):
                inner = min(ROW - halo, width - left)
                outer = inner + halo
                shift = f(one[top + RADIUS, left + RADIUS]) + f(two[top + RADIUS, left + RADIUS])
                for y in range(rows + 2 * RADIUS):
                    o = y * ROW
                    first, second = one[top + y, left : left + outer], two[top + y, left : left + outer]
                    ts, td = tile[o : o + outer], tile[plane + o : plane + o + outer]
                    tss, tdd = tile[2 * plane + o : 2 * plane + o + outer], tile[3 * plane + o : 3 * plane + o + outer]
                    for x in range(outer):
                        p, q = f(first[x]), f(second[x])
                        s, d = p + q - shift, p - q
                        ts[x], td[x], tss[x], tdd[x] = s, d, s * s, d * d
                for k in range(4):
                    for y in range(rows):
                        o, t = k * plane + y * ROW, k * lines + y * ROW
                        for x in range(outer):
                            i = o + x
                            down[t + x] = (
                                g0 * (tile[i] + tile[i + 10 * ROW])
                                + g1 * (tile[i + ROW] + tile[i + 9 * ROW])
                                + g2 * (tile[i + 2 * ROW] + tile[i + 8 * ROW])
                                + g3 * (tile[i + 3 * ROW] + tile[i + 7 * ROW])
                                + g4 * (tile[i + 4 * ROW] + tile[i + 6 * ROW])
                                + g5 * tile[i + 5 * ROW]
                            )
                        if mixed:
                            for i in range(t, t + outer, 3):
                                r, g, b = down[i], down[i + 1], down[i + 2]
                                down[i] = mixing[0, 0] * r + mixing[0, 1] * g + mixing[0, 2] * b
                                down[i + 1] = mixing[1, 0] * r + mixing[1, 1] * g + mixing[1, 2] * b
                                down[i + 2] = mixing[2, 0] * r + mixing[2, 1] * g + mixing[2, 2] * b
                for y in range(rows):
                    for k in range(4):
                        o, t = k * lines + y * ROW, k * ROW
                        for x in range(inner):
                            i = o + x
                            both[t + x] = (
                                g0 * (down[i] + down[i + 10 * step])
                                + g1 * (down[i + step] + down[i + 9 * step])
                                + g2 * (down[i + 2 * step] + down[i + 8 * step])
                                + g3 * (down[i + 3 * step] + down[i + 7 * step])
                                + g4 * (down[i + 4 * step] + down[i + 6 * step])
                                + g5 * down[i + 5 * step]
                            )
                    for x in range(inner):
                        ms, md = both[x], both[ROW + x]
                        vs = both[2 * ROW + x] - ms * ms
                        vd = both[3 * ROW + x] - md * md
                        ls, ld = (ms + shift) * (ms + shift), md * md
                        both[x] = ((ls - ld + c1) * (vs - vd + c2)) / ((ls + ld + c1) * (vs + vd + c2))
                    row = 0.0
                    for x in range(inner):
                        row += np.float64(both[x])
                    total += row
        return total / (height * width)

    return loop


def uniform_ssim() -> Callable[..., float]:
    """A loop (x, y) -> mean SSIM of a flat 7x7 window with sample covariance over two (H, W * 3) uint8 arrays.

    Sums of 7x7 squares fit 32-bit integers, so that nothing is rounded before the final quotient.
    """
    c1, c2, count = TWO_C1, TWO_C2, 49.0
    sample = count / (count - 1.0)

    def loop(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
        height, width = one.shape
        columns = np.zeros((4, width), np.int32)  # sums of s, d, s^2, d^2 over the last 7 rows
        total = 0.0
        for y in range(height):
            for x in range(width):
                s = np.int32(one[y, x]) + np.int32(two[y, x])
                d = np.int32(one[y, x]) - np.int32(two[y, x])
                columns[0, x] += s
                columns[1, x] += d
                columns[2, x] += s * s
                columns[3, x] += d * d
            if y < 6:
                continue
            for x in range(width - 18):
                ps = pd = pss = pdd = 0
                for tap in range(x, x + 21, 3):
                    ps += columns[0, tap]
                    pd += columns[1, tap]
                    pss += columns[2, tap]
                    pdd += columns[3, tap]
                ms, md = ps / count, pd / count
                vs, vd = sample * (pss / count - ms * ms), sample * (pdd / count - md * md)
                ls, ld = ms * ms, md * md
                total += ((ls - ld + c1) * (vs - vd + c2)) / ((ls + ld + c1) * (vs + vd + c2))
            for x in range(width):
                s = np.int32(one[y - 6, x]) + np.int32(two[y - 6, x])
                d = np.int32(one[y - 6, x]) - np.int32(two[y - 6, x])
                columns[0, x] -= s
                columns[1, x] -= d
                columns[2, x] -= s * s
                columns[3, x] -= d * d
        return total / ((height - 6) * (width - 18))

    return loop
