"""Small programs for the kernel's own virtual machine (eBPF), and their maps, without a compiler.

What numbers and layouts mean is told in the kernel's include/uapi/linux/bpf.h. Little-endian machines only.
Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_CALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_MAP_CREATE, _LOOKUP, _UPDATE, _DELETE, _PROG_LOAD, _PROG_ATTACH = 0, 1, 2, 3, 5, 8
_MAP_NEXT_ID, _MAP_OPEN_ID, _OBJECT_INFO = 12, 14, 15
HASH, RECENT_HASH = 1, 9
CGROUP_SKB, CGROUP_SOCK_ADDR = 8, 18
_ALLOW_MULTI = 2
_LOG_BYTES = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)

# Registers: R0 holds results, R1 to R5 arguments, R6 to R9 stay over calls, R10 is the end of the stack.
R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_MATH = {"+": 0x07, "&": 0x57, "<<": 0x67, ">>": 0x77}
_TESTS = {"==": 0x15, "!=": 0x55}
_WORDS = 1  # of 32 bits, in a code that compares


@dataclass
class Program:
    """Instructions in their order; jumps go forward, to the names of places."""

    _words: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)
    _jumps: dict[int, str] = field(default_factory=dict)

    def place(self, name: str) -> None:
        """Give what comes next a name."""
        self._places[name] = len(self._words)

    def load(self, target: int, source: int, offset: int, size: int) -> None:
        """Load so many bytes at a register's address plus an offset."""
        self._add(0x61 | _SIZES[size], target, source, offset)

    def store(self, target: int, offset: int, source: int, size: int) -> None:
        """Store so many bytes of a register at another one's address plus an offset."""
        self._add(0x63 | _SIZES[size], target, source, offset)

    def store_number(self, target: int, offset: int, number: int, size: int) -> None:
        """Store a number of so many bytes."""
        self._add(0x62 | _SIZES[size], target, 0, offset, number)

    def move(self, target: int, source: int) -> None:
        """Copy a register."""
        self._add(0xBF, target, source)

    def set(self, target: int, number: int) -> None:
        """Set a register to a number."""
        self._add(0xB7, target, 0, 0, number)

    def math(self, target: int, does: str, number: int) -> None:
        """Change a register by a number."""
        self._add(_MATH[does], target, 0, 0, number)

    def jump(self, place: str) -> None:
        """Go on at a place."""
        self._jumps[len(self._words)] = place
        self._add(0x05)

    def jump_if(self, register: int, test: str, number: int, place: str) -> None:
        """Go on at a place if a register, or its lower 32 bits, compares so with 0, or another number."""
        self._jumps[len(self._words)] = place
        self._add(_TESTS[test] + (_WORDS if number else 0), register, 0, 0, number)

    def jump_if_same(self, one: int, other: int, place: str) -> None:
        """Go on at a place if two registers hold the same."""
        self._jumps[len(self._words)] = place
        self._add(0x1D, one, other)

    def call(self, function: int) -> None:
        """Call one of the kernel's functions."""
        self._add(0x85, 0, 0, 0, function)

    def find(self, known: Map, key_offset: int) -> None:
        """Look the key at an offset of the stack up in a map: R0 is the value's address, or 0."""
        self._add(0x18, R1, 1, 0, known.descriptor)  # 1: the number is a map's descriptor
        self._add(0)
        self.move(R2, R10)
        self.math(R2, "+", key_offset)
        self.call(1)

    def leave(self, result: int) -> None:
        """End with a result."""
        self.set(R0, result)
        self._add(0x95)

    def _add(self, code: int, target: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> None:
        self._words.append((code, target, source, offset, number))

    def __bytes__(self) -> bytes:
        """Return it as the kernel takes it."""
        found = b""
        for index, (code, target, source, offset, number) in enumerate(self._words):
            if index in self._jumps:
                offset = self._places[self._jumps[index]] - index - 1
            found += struct.pack("<BBhi", code, source << 4 | target, offset, number)
        return found


@dataclass(frozen=True)
class Map:
    """A table in the kernel; keys and values are bytes of one length each."""

    descriptor: int

    @classmethod
    def make(cls, kind: int, key_bytes: int, value_bytes: int, most: int, name: str = "") -> Map:
        """Make one for so many entries. Raises OSError."""
        words = struct.pack("<IIIII", kind, key_bytes, value_bytes, most, 0)
        return cls(_bpf(_MAP_CREATE, words + bytes(8) + name.encode().ljust(16, b"\0")))

    @classmethod
    def named(cls, name: str) -> Map | None:
        """Return a map of this host that has a name; None if there is none. Only root gives them names."""
        for number in _map_ids():
            try:
                descriptor = _bpf(_MAP_OPEN_ID, struct.pack("<III", number, 0, 0))
            except OSError:  # it has just gone
                continue
            info = ctypes.create_string_buffer(64)
            words = struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info))
            _bpf(_OBJECT_INFO, words)
            if info.raw[24:40].rstrip(b"\0") == name.encode():
                return cls(descriptor)
            os.close(descriptor)
        return None

    def put(self, key: bytes, value: bytes) -> None:
        """Set an entry. Raises OSError if there is no room."""
        with _Bytes(key) as key_at, _Bytes(value) as value_at:
            _bpf(_UPDATE, struct.pack("<IIQQQ", self.descriptor, 0, key_at, value_at, 0))

    def drop(self, key: bytes) -> None:
        """Remove an entry. Raises OSError if there is none."""
        with _Bytes(key) as key_at:
            _bpf(_DELETE, struct.pack("<IIQQQ", self.descriptor, 0, key_at, 0, 0))


def load(kind: int, attached_as: int, program: Program) -> int:
    """Have the kernel take a program up; return its descriptor. Raises OSError with the kernel's reason."""
    code = bytes(program)
    log = ctypes.create_string_buffer(_LOG_BYTES)
    with _Bytes(code) as code_at, _Bytes(b"GPL\0") as license_at:
        words = struct.pack("<IIQQ", kind, len(code) // 8, code_at, license_at)
        words += struct.pack("<IIQII", 1, len(log), ctypes.addressof(log), 0, 0)
        words += bytes(16) + struct.pack("<II", 0, attached_as)
        try:
            return _bpf(_PROG_LOAD, words)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: {log.value.decode()[-500:]}") from None


def attach(group: int, program: int, attached_as: int) -> None:
    """Have a program asked for whatever is in an opened control group of version 2. Raises OSError."""
    _bpf(_PROG_ATTACH, struct.pack("<IIII", group, program, attached_as, _ALLOW_MULTI))


def _map_ids() -> Iterator[int]:
    number = 0
    while True:
        words = bytearray(struct.pack("<III", number, 0, 0))
        try:
            _bpf(_MAP_NEXT_ID, words)
        except FileNotFoundError:
            return
        number = struct.unpack_from("<I", words, 4)[0]
        yield number


class _Bytes:
    """Bytes in memory at an address that the kernel is told."""

    def __init__(self, held: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(held, len(held))

    def __enter__(self) -> int:
        return ctypes.addressof(self._buffer)

    def __exit__(self, *_: object) -> None:
        del self._buffer


def _bpf(command: int, words: bytes | bytearray) -> int:
    buffer = ctypes.create_string_buffer(bytes(words), len(words))
    number = _CALLS.get(platform.machine())
    if number is None:
        raise OSError(f"no eBPF on {platform.machine()}")
    result: int = _libc.syscall(ctypes.c_long(number), command, buffer, len(words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"eBPF: {os.strerror(code)}")
    if isinstance(words, bytearray):
        words[:] = buffer.raw
    return result
