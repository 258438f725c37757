"""What the runner of a driver's Java does, in each Java that this host has."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from market.jobs.life import ending
from market.kit import settings

RUNNER = settings.ROOT / "java" / "runner"
# As Spark opens it to its drivers.
OPEN = "--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED"
ENDS = """
package distributedmarket;

public class Ends {
    public static void main(String[] words) throws Exception {
        int code = Integer.parseInt(words[1]);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("a hook")));
        ExitWatch.start(status -> System.out.println("heard " + status));
        switch (words[0]) {
            case "exit" -> System.exit(code);
            case "thread" -> {
                Thread thread = new Thread(() -> Runtime.getRuntime().exit(code));
                thread.start();
                thread.join();
            }
            case "wait" -> {
                System.out.println("waiting");
                Thread.sleep(60_000);
            }
            default -> System.out.println("returns");
        }
    }
}
"""
CHILDREN = """
package distributedmarket;

import java.util.Map;

public class Children {
    public static void main(String[] words) throws Exception {
        Inherited.put(Map.of("SECRET", words[0], "REPLACED", "by this"));
        for (String name : new String[] {"SECRET", "REPLACED", "KEPT"}) {
            Process child = Runtime.getRuntime().exec(new String[] {"printenv", name});
            System.out.print(new String(child.getInputStream().readAllBytes(), "UTF-8"));
        }
    }
}
"""
REASONS = """
package distributedmarket;

public class Reasons {
    public static void main(String[] words) {
        for (String reason : words) {
            System.out.println(Ending.ofExecutor(reason).map(Ending::text).orElse("-"));
        }
    }
}
"""
VIRTUAL_MACHINES = [
    pytest.param(path, id=path.parent.parent.name)
    for path in sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    if not path.parent.parent.is_symlink()
]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile what needs Java alone, and programs that ask it something."""
    folder = tmp_path_factory.mktemp("classes")
    compile_into(folder, [RUNNER / "ExitWatch.java", RUNNER / "Inherited.java"], Ends=ENDS, Children=CHILDREN)
    return folder


def compile_into(folder: Path, sources: list[Path], path: str = "", **programs: str) -> None:
    for name, text in programs.items():
        (folder / f"{name}.java").write_text(text)
    own = [folder / f"{name}.java" for name in programs]
    command = ["javac", "--release", "17", "-nowarn", "-cp", path, "-d", folder, *sources, *own]
    subprocess.run(command, check=True, capture_output=True)


def jars() -> str:
    return f"{settings.load().paths.runtime}/jars/*"


def run(java: Path, path: str, program: str, *words: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(java), *OPEN, "-cp", path, f"distributedmarket.{program}", *words],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("java", VIRTUAL_MACHINES)
@pytest.mark.parametrize(
    ("how", "code", "shown"),
    [
        ("exit", 7, ["heard 7", "a hook"]),
        ("exit", -1, ["heard -1", "a hook"]),
        ("exit", 0, ["heard 0", "a hook"]),
        ("thread", 300, ["heard 300", "a hook"]),
        ("return", 0, ["returns", "a hook"]),
    ],
)
def test_a_program_s_exit_is_heard_with_its_number_before_anything_is_shut_down(
    java: Path, classes: Path, how: str, code: int, shown: list[str]
) -> None:
    process = run(java, str(classes), "Ends", how, str(code))
    lines, errors = process.communicate(timeout=60)
    assert (lines.splitlines(), process.returncode) == (shown, code % 256), errors


@pytest.mark.parametrize("java", VIRTUAL_MACHINES)
def test_a_signal_is_no_exit_of_the_program_s(java: Path, classes: Path) -> None:
    process = run(java, str(classes), "Ends", "wait", "0")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    lines, errors = process.communicate(timeout=60)
    assert (first, lines, process.returncode) == ("waiting\n", "a hook\n", 143), errors


@pytest.mark.parametrize("java", VIRTUAL_MACHINES)
def test_what_a_program_of_java_starts_inherits_its_secrets(java: Path, classes: Path) -> None:
    process = run(java, str(classes), "Children", "hush ü $x", REPLACED="before", KEPT="as it was")
    lines, errors = process.communicate(timeout=60)
    assert lines.splitlines() == ["hush ü $x", "by this", "as it was"], errors


def test_an_executor_that_passed_a_bound_ends_its_program(tmp_path: Path) -> None:
    compile_into(tmp_path, [RUNNER / "Ending.java", RUNNER / "JavaMain.java"], jars(), Reasons=REASONS)
    bad = "Container from a bad node: c on host: h. Exit status: {}. Diagnostics: [1]exit code 143."
    reasons = [bad.format(status) for status in (153, -109, 1530, 143)]
    lines, errors = run(Path("java"), f"{tmp_path}:{jars()}", "Reasons", *reasons).communicate(timeout=60)
    ends = [ending.told(line, False, None) if line != "-" else None for line in lines.splitlines()]
    assert [end and end.reason_code for end in ends] == ["disk_limit", "log_limit", None, None], errors
