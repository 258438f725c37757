"""Run the Python program of a job with its parameters exactly as they were submitted.

The first argument holds the program's file, a word for Java programs, and the parameters, encoded; the second
names the file that tells how the program ended. The program finds itself as `__main__`, at the top of its own
file, as under plain spark-submit, and what lies beside it.
"""

import base64
import contextlib
import faulthandler
import os
import sys
import types

import market_folder
import market_secrets

from market_runner import ending, notebook, tuning

_START = "/market_program.py"


def main() -> None:
    """Run the program that the arguments name."""
    encoded, record = sys.argv[1], (sys.argv[2:] or [""])[0]
    words = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode().split("\0")
    name, parameters = market_folder.program(words[0]), words[2:]
    sys.argv = [name, *parameters]
    _close_input()
    faulthandler.enable()  # a crash shows the line that led to it
    with contextlib.suppress(ImportError, AttributeError):  # another Spark: then it is only slower
        tuning.stop_at_once()
        tuning.know_numpy_without_pandas()
    sys.excepthook = without_the_runner
    try:
        with contextlib.suppress(ImportError):  # no Spark: the program says so itself
            market_folder.resolve_below_root()
        market_secrets.take()
        _run(name)
    except BaseException as error:
        ending.write(record, error)
        raise


def _run(name: str) -> None:
    program = types.ModuleType("__main__")
    program.__file__ = os.path.abspath(name)
    sys.path[0] = os.path.dirname(program.__file__)
    sys.modules["__main__"] = program
    with open(name, "rb") as file:
        source = file.read()
    if name.lower().endswith(".ipynb"):
        notebook.run(name, source, program.__dict__)
        return
    exec(compile(source, name, "exec"), program.__dict__)  # noqa: S102 - what this process is for


def _close_input() -> None:
    """Let whoever reads standard input find its end at once: nobody can type into a job."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def without_the_runner(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    """Show a program's error as if nothing stood between it and Python."""
    while trace is not None and _is_of_the_runner(trace.tb_frame):
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def _is_of_the_runner(frame: types.FrameType) -> bool:
    return frame.f_globals.get("__package__") == __package__ or frame.f_code.co_filename.endswith(_START)
