"""The tokens that YARN gave this container: with those of HDFS, WebHDFS knows whose work this is.

The file is Hadoop's (`Credentials`, written field by field). Where nobody is asked for a key it holds no
token of HDFS.
"""

import base64
import os
from collections.abc import Iterator

_FILE = "HADOOP_TOKEN_FILE_LOCATION"
_HEAD = b"HDTS\0"  # its magic and the version of the format
_KIND = b"HDFS_DELEGATION_TOKEN"
_MOST = 1 << 20


def delegation() -> str:
    """Return the token for HDFS as an address holds it; empty when there is none.

    Raises OSError or ValueError for a file that is not as Hadoop writes it.
    """
    path = os.environ.get(_FILE)
    if not path:
        return ""
    with open(path, "rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError(f"{path} is larger than {_MOST} bytes")
    for token in _tokens(content):
        if _fields(token)[2] == _KIND:
            return base64.urlsafe_b64encode(token).rstrip(b"=").decode()
    return ""


def _tokens(content: bytes) -> Iterator[bytes]:
    """Yield the tokens, each as it is written: its identifier, password, kind and service."""
    if not content.startswith(_HEAD):
        raise ValueError("the file of tokens is in an unknown format")
    count, at = _number(content, len(_HEAD))
    for _ in range(count):
        _, begin = _field(content, at)  # its alias
        at = begin
        for _ in range(4):
            _, at = _field(content, at)
        yield content[begin:at]


def _fields(token: bytes) -> list[bytes]:
    values, at = [], 0
    while at < len(token):
        value, at = _field(token, at)
        values.append(value)
    return values


def _field(content: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes at a place, before which their number stands, and where the next begin."""
    length, begin = _number(content, at)
    if length < 0 or begin + length > len(content):
        raise ValueError("the file of tokens breaks off")
    return content[begin : begin + length], begin + length


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place and where it ends: Hadoop's `WritableUtils.readVLong`, not negative."""
    first = content[at] if at < len(content) else 0x80
    if first < 0x80:
        return first, at + 1
    length = 0x90 - first  # 0x8f: one byte follows, 0x88: eight
    if not 1 <= length <= 8 or at + 1 + length > len(content):
        raise ValueError("the file of tokens breaks off")
    return int.from_bytes(content[at + 1 : at + 1 + length], "big"), at + 1 + length
