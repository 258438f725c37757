"""Run the Python program of a job with its parameters exactly as they were submitted.

The only argument holds the program's file, a word for Java programs, and the parameters, encoded. The program
finds itself as `__main__`, at the top of its own file, as under plain spark-submit.
"""

import base64
import contextlib
import os
import select
import sys
import types
from typing import Any

_LOOK_MS = 50


def main() -> None:
    encoded = sys.argv[1]
    words = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode().split("\0")
    name, parameters = words[0], words[2:]
    program = types.ModuleType("__main__")
    program.__file__ = os.path.abspath(name)
    sys.modules["__main__"] = program
    sys.argv = [name, *parameters]
    with open(name, "rb") as file:
        code = compile(file.read(), name, "exec")
    sys.excepthook = without_this_file
    with contextlib.suppress(ImportError, AttributeError):  # another Spark: then it is only slower
        stop_at_once()
        know_numpy_without_pandas()
    exec(code, program.__dict__)  # noqa: S102 - the user's program is what this process is for


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


def without_this_file(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    """Show a program's error as if nothing stood between it and Python."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


main()
