"""Run the Python program of a job with its parameters exactly as they were submitted.

The only argument holds the program's file, a word for Java programs, and the parameters, encoded. The program
finds itself as `__main__`, at the top of its own file, as under plain spark-submit.
"""

import base64
import os
import sys
import types


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
    exec(code, program.__dict__)  # noqa: S102 - the user's program is what this process is for


def without_this_file(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    """Show a program's error as if nothing stood between it and Python."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


main()
