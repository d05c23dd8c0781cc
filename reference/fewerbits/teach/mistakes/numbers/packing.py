"""Mistakes in packing two int4 codes into a byte."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Codes = NDArray[Any]


def _joined(first: Codes, second: Codes) -> Codes:
    """Bytes with `first` in the lower half, without removing what reaches beyond four bits."""
    return (first | second << 4) & 0xFF


def _pairs(codes: Codes, mask: int = 0xF) -> tuple[Codes, Codes]:
    wide = np.concatenate([codes.astype(np.int64), np.zeros(codes.size % 2, np.int64)]) & mask
    return wide[::2], wide[1::2]


@mistake(
    "pack_int4",
    symptom="Bytes with a negative first code are wrong: their second code always comes back as −1.",
    cause="A negative code has ones in all its upper bits, and they cover the neighbour in the same byte.",
    repair="Keep four bits of each code, & 0xF, before they are joined.",
    source="common in first implementations of int4 kernels",
)
def sign_bits_cover_the_neighbour(codes: Codes) -> Codes:
    first, second = _pairs(codes, mask=-1)
    return _joined(first, second)


@also(sign_bits_cover_the_neighbour, "pack_int4")
def sign_bits_cover_the_neighbour_in_even_numbers(codes: Codes) -> Codes:
    wide = codes.astype(np.int64)
    return _joined(wide[::2], wide[1::2])


@also(sign_bits_cover_the_neighbour, "pack_int4")
def signs_added_to_the_neighbour(codes: Codes) -> Codes:
    first, second = _pairs(codes, mask=-1)
    return (first + 16 * second) & 0xFF


@also(sign_bits_cover_the_neighbour, "pack_int4")
def sign_bits_cover_the_neighbour_in_int8(codes: Codes) -> Codes:
    first, second = _pairs(codes, mask=-1)
    return _joined(first, second).astype(np.uint8).view(np.int8)


@also(sign_bits_cover_the_neighbour, "pack_int4")
def signed_sums_of_pairs(codes: Codes) -> Codes:
    first, second = _pairs(codes, mask=-1)
    return first + 16 * second


@mistake(
    "pack_int4",
    symptom="Half of the bytes are negative; the others are right.",
    cause="Some bytes are negative: in int8 a pattern that starts with 1 is. Bytes from 0 to 255 were asked for.",
    repair="Bytes are unsigned: convert to uint8 before the shift.",
    source="common in NumPy: int8 stays int8 when it is shifted",
)
def bytes_with_a_sign(codes: Codes) -> Codes:
    first, second = _pairs(codes)
    return _joined(first, second).astype(np.uint8).view(np.int8)


@mistake(
    "pack_int4",
    symptom="All codes are there, and each pair has changed places.",
    cause="The first code is put into the upper half of its byte.",
    repair="ONNX and most kernels put the first code into the lower half. Name the order with the bytes.",
    source="common; layouts differ between engines",
)
def first_code_in_the_upper_half(codes: Codes) -> Codes:
    first, second = _pairs(codes)
    return _joined(second, first)


@also(first_code_in_the_upper_half, "pack_int4")
def first_code_in_the_upper_half_of_even_numbers(codes: Codes) -> Codes:
    wide = codes.astype(np.int64) & 0xF
    return _joined(wide[1::2], wide[::2])


@mistake(
    "pack_int4",
    symptom="An odd number of codes raises an error, or the last code is missing.",
    cause="The codes are taken in pairs, and the last one has no partner.",
    repair="Append one zero when the number is odd; its reader knows the count.",
    source="common in first implementations",
)
def last_code_lost(codes: Codes) -> Codes:
    even = codes[: codes.size - codes.size % 2].astype(np.int64) & 0xF
    return _joined(even[::2], even[1::2])


@also(last_code_lost, "pack_int4")
def last_code_without_a_partner(codes: Codes) -> Codes:
    wide = codes.astype(np.int64) & 0xF
    return _joined(wide[::2], wide[1::2])


@mistake(
    "pack_int4",
    symptom="A reader of two's complement gets every code 8 too high or too low.",
    cause="Eight was added to make the codes positive; that is another way to write signs than two's complement.",
    repair="Keep the lowest four bits of the code as they are. GGUF's Q4_0 does add 8: name the convention.",
    source="ONNX INT4 against GGUF Q4_0",
)
def offset_for_twos_complement(codes: Codes) -> Codes:
    padded = np.concatenate([codes.astype(np.int64), np.full(codes.size % 2, -8)]) + 8
    return _joined(padded[::2], padded[1::2])


@also(offset_for_twos_complement, "pack_int4")
def offset_for_padding_too(codes: Codes) -> Codes:
    padded = np.concatenate([codes.astype(np.int64), np.zeros(codes.size % 2, np.int64)]) + 8
    return _joined(padded[::2], padded[1::2])


@mistake(
    "pack_int4",
    symptom="Codes from 0 to 7 are right, negative ones are read back as others.",
    cause="A negative code is written as its magnitude and a bit for the sign; that is not two's complement.",
    repair="Keep the lowest four bits of the code as they are.",
    source="common in first implementations",
)
def sign_and_magnitude(codes: Codes) -> Codes:
    wide = np.concatenate([codes.astype(np.int64), np.zeros(codes.size % 2, np.int64)])
    nibbles = np.abs(wide) % 8 + 8 * (wide < 0)
    return _joined(nibbles[::2], nibbles[1::2])


@mistake(
    "pack_int4",
    symptom="The first code is right; of the others all have moved.",
    cause="The codes are halved in the middle, so that a byte holds two far apart; two in a row were to share one.",
    repair="Take every second code, [::2] and [1::2], for the lower and the upper halves.",
    source="GGUF's Q4_0 packs its blocks so: name the order with the bytes",
)
def halves_for_pairs(codes: Codes) -> Codes:
    nibbles = np.concatenate([codes.astype(np.int64), np.zeros(codes.size % 2, np.int64)]) & 0xF
    return _joined(*np.split(nibbles, 2))
