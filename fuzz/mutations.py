"""Ways to spoil a valid file. Each takes its bytes and a random generator, and gives other bytes."""

import random
import re
import struct
from collections.abc import Callable

Mutation = Callable[[bytearray, random.Random], bytes]

MOST_BYTES = 1 << 20  # of what a mutation adds

# Values at which parsers' arithmetic turns over.
EDGES = (0, 1, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

BOX = re.compile(rb"[a-zA-Z0-9 ]{4}")  # the type of a box or chunk; its length stands before it
SIDE_BYTES = struct.pack(">H", 160)  # as seeds write their width and height


def flip_bits(content: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 4, 32, 256))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def flip_bits_of_the_head(content: bytearray, rng: random.Random) -> bytes:
    """Where the structure lies; most of a file is pixels, which bend anything."""
    for _ in range(rng.choice((1, 2, 8))):
        content[rng.randrange(min(len(content), 512))] ^= 1 << rng.randrange(8)
    return bytes(content)


def cut_off(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[: rng.randint(1, max(1, len(content) - 1))])


def behead(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[rng.randint(0, min(len(content), 4096) - 1) :])


def overwrite(content: bytearray, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(content)), rng.choice((1, 4, 64, 1024))
    content[at : at + length] = rng.randbytes(length) if rng.random() < 0.5 else bytes(length)
    return bytes(content)


def cut_out(content: bytearray, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    del content[at : at + rng.choice((1, 3, 100, 5000))]
    return bytes(content) or b"\0"


def repeat(content: bytearray, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(content)), rng.choice((4, 188, 4096))
    piece = bytes(content[at : at + length])
    times = min(rng.choice((1, 10, 1000)), MOST_BYTES // len(piece))
    return bytes(content[:at]) + piece * times + bytes(content[at:])


def exchange(content: bytearray, rng: random.Random) -> bytes:
    """Two pieces change places."""
    first, second = sorted(rng.randrange(len(content)) for _ in range(2))
    length = min(rng.choice((4, 64, 4096)), second - first)
    content[first : first + length], content[second : second + length] = (
        content[second : second + length],
        content[first : first + length],
    )
    return bytes(content) or b"\0"


def forge_number(content: bytearray, rng: random.Random) -> bytes:
    """A number somewhere in the head becomes one at which arithmetic turns over."""
    at = rng.randrange(min(len(content), 2048))
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("big", "little"))
    value = rng.choice(EDGES) & ((1 << 8 * size) - 1)
    content[at : at + size] = value.to_bytes(size, "big" if order == "big" else "little")
    return bytes(content)


def forge_length(content: bytearray, rng: random.Random) -> bytes:
    """The length of a box, chunk or element says something else."""
    places = [found.start() - 4 for found in BOX.finditer(content, 4)]
    if not places:
        return forge_number(content, rng)
    struct.pack_into(">I", content, rng.choice(places), rng.choice(EDGES))
    return bytes(content)


def forge_size(content: bytearray, rng: random.Random) -> bytes:
    """A width or height becomes 65,535, in either byte order."""
    places = [at for at in range(len(content) - 1) if content[at : at + 2] in (SIDE_BYTES, SIDE_BYTES[::-1])]
    if not places:
        return forge_number(content, rng)
    for at in rng.sample(places, min(len(places), 4)):
        content[at : at + 2] = b"\xff\xff"
    return bytes(content)


def pad(content: bytearray, rng: random.Random) -> bytes:
    junk = rng.randbytes(rng.choice((1, 17, 188, 70_000)))
    return junk + bytes(content) if rng.random() < 0.5 else bytes(content) + junk


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    flip_bits_of_the_head,
    cut_off,
    behead,
    overwrite,
    cut_out,
    repeat,
    exchange,
    forge_number,
    forge_length,
    forge_size,
    pad,
)


def spoiled(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """`content` after one to three mutations, and their names."""
    names = []
    for mutation in rng.choices(MUTATIONS, k=rng.choice((1, 1, 2, 3))):
        content = mutation(bytearray(content), rng)
        names.append(mutation.__name__)
    return content, "+".join(names)


def spliced(first: bytes, second: bytes, rng: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    return first[: rng.randint(1, len(first))] + second[rng.randrange(len(second)) :]
