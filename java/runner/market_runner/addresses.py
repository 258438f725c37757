"""Let pandas, pyarrow and fsspec know the market's HDFS: told to them when a program imports them.

A program that imports none of them pays nothing for it.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_SCHEME = "hdfs://"


def teach() -> None:
    """Have fsspec and pyarrow taught when they are imported."""
    sys.meta_path.insert(0, _Imports({"fsspec": _fsspec, "pyarrow.fs": _pyarrow}))


class _Imports(importlib.abc.MetaPathFinder):
    """Finds modules as Python does, and does something after each of some has been imported."""

    def __init__(self, lessons: dict[str, Callable[[ModuleType], None]]) -> None:
        self._lessons = lessons

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a module's spec whose import ends with its lesson; None: Python finds it by itself."""
        lesson = self._lessons.pop(name, None)
        spec = importlib.util.find_spec(name) if lesson else None
        if lesson is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def then_teach(module: ModuleType) -> None:
            execute(module)
            lesson(module)

        spec.loader.exec_module = then_teach  # type: ignore[method-assign]
        return spec


def _fsspec(module: ModuleType) -> None:
    module.register_implementation("hdfs", "market_runner.hdfs.MarketHdfs", clobber=True)


def _pyarrow(module: Any) -> None:
    """Have pyarrow open the market's addresses through fsspec: its own way needs a library of C."""
    original = module.FileSystem

    def opened() -> Any:
        import fsspec

        return module.PyFileSystem(module.FSSpecHandler(fsspec.filesystem("hdfs")))

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, original)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    class FileSystem(metaclass=Kind):
        __doc__ = original.__doc__

        @staticmethod
        def from_uri(uri: Any) -> tuple[Any, str]:
            text = str(uri)
            if not text.startswith(_SCHEME):
                found: tuple[Any, str] = original.from_uri(uri)
                return found
            system = opened()
            return system, system.handler.fs._strip_protocol(text)

    def hadoop(*_: Any, **__: Any) -> Any:
        return opened()

    hadoop.from_uri = lambda uri: opened()  # type: ignore[attr-defined]
    module.FileSystem = FileSystem
    module.HadoopFileSystem = hadoop
