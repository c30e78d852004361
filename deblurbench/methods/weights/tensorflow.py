"""TensorFlow checkpoints of version 2 ("tensor bundles"), read without TensorFlow.

A checkpoint lies in PREFIX.index, a sorted table from a tensor's name to a message that says where its bytes are, and
in PREFIX.data-SSSSS-of-NNNNN, the bytes themselves (row-major, little-endian), one file for each of N shards.

The table is LevelDB's, read from its end:

* footer, 48 bytes: the handles of the metaindex block and of the index block, zeros up to byte 40, the magic number;
* handle: a block's offset and size as varints. The block's bytes are followed by 1 byte (0: not compressed) and by the
  masked crc32c of the block and that byte;
* block: entries, the offsets of restarts (uint32 each; not needed to read from the start), their number (uint32);
* entry: three varints (how many bytes of the last key are shared, how many follow, the value's length), the key's rest,
  the value. The index block's values are handles of data blocks; theirs are protocol buffers.

The empty name holds a BundleHeaderProto (1: shards, 2: byte order), every other a BundleEntryProto (1: dtype, 2: shape,
3: shard, 4: offset, 5: size, 6: masked crc32c of the tensor's bytes, 7: slices of a partitioned variable).
Every checksum on the way is compared. Source: TensorFlow's tensor_bundle.{cc,proto} and LevelDB's table_format.md.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from deblurbench.errors import MissingError, UsageError

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER = 48
DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2", 22: "<u4",
    23: "<u8",
}  # fmt: skip
"""TensorFlow's DataType numbers that NumPy knows. Strings (7), bfloat16 (14) and others are not read."""
FIXED = {1: 8, 5: 4}
"""Protocol buffers' kinds of fixed length, in bytes."""


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor's bytes lie: a BundleEntryProto. `crc32c` is masked; `sliced` marks a partitioned variable."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int
    sliced: bool = False

    @property
    def numeric(self) -> bool:
        """Whether `Checkpoint.read` can return it."""
        return self.dtype in DTYPES and not self.sliced


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose index was read and checked; tensors are read one by one."""

    index: Path
    shards: int
    tensors: dict[str, TensorEntry]

    def files(self) -> list[Path]:
        """The index and the shards, in order, whether they are there or not."""
        return [self.index, *(self._shard(number) for number in range(self.shards))]

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """One tensor, in the shape and type it was saved with.

        Raises:
            KeyError: no tensor of that name.
            MissingError: its shard is not there.
            UsageError: its type is not numeric, or its bytes are cut short or damaged.
        """
        entry = self.tensors[name]
        file = self._shard(entry.shard)
        if not entry.numeric:
            raise UsageError(f"{self.index}: tensor {name!r} is of a type that is not read (dtype {entry.dtype})")
        dtype = np.dtype(DTYPES[entry.dtype])
        if math.prod(entry.shape) * dtype.itemsize != entry.size:
            raise UsageError(f"{self.index}: tensor {name!r} of shape {entry.shape} cannot have {entry.size} bytes")
        data = _read_bytes(file, name, entry)
        if _masked(crc32c(data)) != entry.crc32c:
            raise UsageError(f"{file}: tensor {name!r} is damaged (its crc32c differs). Fetch the file anew.")
        return np.frombuffer(data, dtype).reshape(entry.shape)

    def _shard(self, number: int) -> Path:
        return self.index.with_suffix(f".data-{number:05d}-of-{self.shards:05d}")


def index_file(path: Path) -> Path | None:
    """The index that PREFIX, PREFIX.index, PREFIX.meta or PREFIX.data-SSSSS-of-NNNNN means; None: not TensorFlow's."""
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name)
    index = path.with_name(f"{prefix}.index")
    return index if prefix != path.name or index.is_file() else None


def open_checkpoint(index: Path) -> Checkpoint:
    """Read and check PREFIX.index.

    Raises:
        MissingError: it is not there.
        UsageError: no TensorFlow index, cut short, damaged, compressed, or of a big-endian machine.
    """
    try:
        data = index.read_bytes()
    except OSError as error:
        raise MissingError(
            f"{index}: cannot be read ({error.strerror}). A TensorFlow checkpoint is PREFIX.index and "
            "PREFIX.data-00000-of-00001, side by side; older ones of a single file are not read."
        ) from error
    try:
        table = dict(_table(data))
        shards = _header(table.pop(b""))
        tensors = {key.decode(): _entry(value) for key, value in table.items()}
    except KeyError as error:
        raise UsageError(f"{index}: a table without a TensorFlow checkpoint's header") from error
    except (ValueError, IndexError, struct.error) as error:
        raise UsageError(f"{index}: no whole index of a TensorFlow checkpoint ({error}). Fetch it anew.") from error
    return Checkpoint(index, shards, tensors)


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 3720, section 12.1) of some bytes."""
    loop, table = _crc_loop()
    return int(loop(np.frombuffer(data, np.uint8), table))


@cache
def _crc_loop() -> tuple[Any, np.ndarray[Any, Any]]:
    from deblurbench.jit import compiled

    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0x82F63B78, table >> 1)
    return compiled(_crc32c, np.zeros(1, np.uint8), table), table


def _crc32c(data: np.ndarray[Any, Any], table: np.ndarray[Any, Any]) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    """As stored: turned right by 15 bits, plus a constant, so that a checksum of checksums is safe."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _read_bytes(file: Path, name: str, entry: TensorEntry) -> bytes:
    try:
        with file.open("rb") as stream:
            whole = stream.seek(0, 2)
            end = entry.offset + entry.size
            if end > whole:
                raise UsageError(
                    f"{file}: cut short: tensor {name!r} ends at byte {end}, the file at {whole}. Fetch it anew."
                )
            stream.seek(entry.offset)
            return stream.read(entry.size)
    except OSError as error:
        raise MissingError(f"{file}: cannot be read ({error.strerror}); it belongs beside the index.") from error


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All entries of a table, in order."""
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise ValueError("the magic number at its end is missing")
    footer = data[-FOOTER:]
    offset, size, at = _handle(footer, 0)
    _block(data, offset, size)  # metaindex: empty, but its checksum counts
    offset, size, _ = _handle(footer, at)
    for _, value in _entries(_block(data, offset, size)):
        offset, size, _ = _handle(value, 0)
        yield from _entries(_block(data, offset, size))


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Offset and size of a block, and where the next thing begins."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return offset, size, at


def _block(data: bytes, offset: int, size: int) -> bytes:
    """The bytes of a block whose checksum was compared."""
    end = offset + size
    if end + 5 > len(data):
        raise ValueError(f"a block ends at byte {end + 5}, the file at {len(data)}")
    (stored,) = struct.unpack_from("<I", data, end + 1)
    if _masked(crc32c(data[offset : end + 1])) != stored:
        raise ValueError(f"the crc32c of the block at byte {offset} differs")
    if data[end] != 0:
        raise ValueError(f"the block at byte {offset} is compressed (kind {data[end]}), which is not read")
    return data[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + unshared + length > end:
            raise ValueError("an entry of a block runs over its end")
        key = key[:shared] + block[at : at + unshared]
        at += unshared + length
        yield key, block[at - length : at]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, low ones first, and where the next thing begins."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("an integer of more than ten bytes")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: number and value, an integer or bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in FIXED:
            length = FIXED[kind]
        else:
            raise ValueError(f"field {number} of a message is of an unknown kind ({kind})")
        if at + length > len(message):
            raise ValueError(f"field {number} of a message is cut short")
        piece = message[at : at + length]
        yield number, piece if kind == 2 else int.from_bytes(piece, "little")
        at += length


def _header(message: bytes) -> int:
    """The number of shards."""
    found = dict(_fields(message))
    if found.get(2, 0) != 0:
        raise ValueError("written by a big-endian machine, which is not read")
    return _integer(found.get(1, 0))


def _entry(message: bytes) -> TensorEntry:
    found = dict(_fields(message))
    dtype, shard, offset, size, crc = (_integer(found.get(number, 0)) for number in (1, 3, 4, 5, 6))
    return TensorEntry(dtype, _shape(found.get(2, b"")), shard, offset, size, crc, sliced=7 in found)


def _shape(message: int | bytes) -> tuple[int, ...]:
    """A TensorShapeProto: field 2 repeats the dimensions, whose field 1 is the size."""
    dimensions = [value for number, value in _fields(_bytes(message)) if number == 2]
    return tuple(_integer(dict(_fields(_bytes(dimension))).get(1, 0)) for dimension in dimensions)


def _integer(value: int | bytes) -> int:
    if not isinstance(value, int) or value >= 1 << 63:
        raise ValueError(f"a number was expected, not {value!r}")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError(f"a message was expected, not {value!r}")
    return value
