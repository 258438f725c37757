"""Two places of PySpark that take time for nothing."""

import select
import sys
from typing import Any

_LOOK_MS = 50


def stop_at_once() -> None:
    """Have PySpark's server of accumulators look for its end more often than once a second.

    `SparkContext.stop` waits for it, while the job has its driver and pays for it.
    """
    from pyspark import accumulators

    accumulators.select = Select  # type: ignore[assignment]


class Select:
    """What the server uses of the module `select`."""

    POLLIN, POLLHUP, select = select.POLLIN, select.POLLHUP, select.select

    class poll:  # noqa: N801 - the name of what it stands for
        """`select.poll`, which never waits longer than `_LOOK_MS`."""

        def __init__(self) -> None:
            self._poll = select.poll()
            self.register, self.unregister = self._poll.register, self._poll.unregister

        def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
            return self._poll.poll(min(timeout_ms, _LOOK_MS))


def know_numpy_without_pandas() -> None:
    """Have PySpark tell NumPy's values from others by the NumPy that the program has imported, if it has.

    At the first value that goes to Java it would import its tools for tests, and pandas with them: two thirds
    of a second of processor time in every driver.
    """
    from pyspark.sql import types

    def scalar(_: object, value: Any) -> bool:
        return _is_numpy("generic", value)

    def array(_: object, value: Any) -> bool:
        return _is_numpy("ndarray", value) and value.ndim == 1

    types.NumpyScalarConverter.can_convert = scalar  # type: ignore[assignment, method-assign]
    types.NumpyArrayConverter.can_convert = array  # type: ignore[assignment, method-assign]


def _is_numpy(kind: str, value: Any) -> bool:
    return isinstance(value, getattr(sys.modules.get("numpy"), kind, ()))
