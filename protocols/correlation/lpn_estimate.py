"""Recomputes the security estimates of the LPN parameter set BlkAcc3x32-t144 (protocols/correlation/src/vole/lpn.rs).

Dual LPN over GF(2^128) with regular noise: t blocks of s positions, one uniform value at a uniform position of each block, N = t*s
positions, k = N/2 outputs. Prints bits of work for each length and exits with 1 when a figure is below 138 (128 and 10 to spare).

  linear     -t*log2(1 - 2*delta): bias of the best linear test for a code of relative distance delta, at least 1/4 by the
             estimate of the code's authors for depth 3 and blocks of 32. This figure rests on their estimate of the distance.
  decoding   information-set decoding (Prange) with the regular structure used: all errors outside an information set that takes
             half of every block; the linear algebra of one try is counted as k^2 operations. Better decoders gain little at this weight.
  algebraic  the quadratic system e_i*e_j = 0 within a block, with k linear equations (Briaud, Oygarden, EUROCRYPT 2023), after
             guessing f of s positions of each block to be free of noise. Degree of regularity: first coefficient of
             (1 + (s-f)*z/(1-z))^t * (1-z)^k that is not positive; work: monomials of that degree, squared. Minimum over f.
Usage: python3 lpn_estimate.py [length ...]
"""

import sys
from math import comb, inf, log2, sqrt

T, DELTA, MIN_LEAVES, WANTED, DEGREES = 144, 0.25, 128, 138, 60


def leaves(length):
    least = max(-(-2 * length // T), MIN_LEAVES)
    power = 2 ** max(2, round(log2(sqrt(least / T))))
    return -(-least // power) * power


def multiply(a, b):
    out = [0] * DEGREES
    for i, x in enumerate(a):
        if x:
            for j in range(DEGREES - i):
                out[i + j] += x * b[j]
    return out


def to_power(series, exponent):
    result = [1] + [0] * (DEGREES - 1)
    while exponent:
        if exponent & 1:
            result = multiply(result, series)
        series = multiply(series, series)
        exponent >>= 1
    return result


def regularity(size, equations):
    blocks = to_power([1] + [size] * (DEGREES - 1), T)
    linear = [(-1) ** i * comb(equations, i) for i in range(DEGREES)]
    series = multiply(blocks, linear)
    return next((degree for degree, value in enumerate(series) if value <= 0), None)


def algebraic(s, k):
    best = inf
    for share in range(0, 50, 2):
        size = s - s * share // 100
        degree = regularity(size, k)
        guess = -T * log2(size / s)
        if degree is None:
            continue
        monomials = log2(sum(comb(T, i) * size**i for i in range(degree + 1)))
        best = min(best, guess + 2 * monomials)
    return best


def main():
    lengths = [int(arg) for arg in sys.argv[1:]] or [1, 1 << 14, 88_000, 1_420_000, 1 << 24, 1 << 28]
    failed = False
    print(f"{'length':>11} {'s':>9} {'N':>11} {'linear':>8} {'decoding':>9} {'algebraic':>10}")
    for length in lengths:
        s = leaves(length)
        k = T * s // 2
        figures = (-T * log2(1 - 2 * DELTA), T + 2 * log2(k), algebraic(s, k))
        failed |= min(figures) < WANTED
        print(f"{length:>11} {s:>9} {T * s:>11} {figures[0]:>8.1f} {figures[1]:>9.1f} {figures[2]:>10.1f}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
