"""Which lines of a requirements.txt are taken, and what they come to."""

from __future__ import annotations

import pytest

from market.jobs import requirements

HASH, OTHER = (f"sha256:{letters * 32}" for letters in ("ab", "cd"))


def test_lines_come_to_one_form_whatever_they_look_like() -> None:
    text = (
        f"\ufeff# comment\r\nNumPy >=2,<3   # why\r\n\r\nscikit_learn[alpha] == 1.5; python_version > '3'\r\n"
        f"tabulate==0.9.0 \\\r\n    --hash={HASH} \\\r\n    --hash={OTHER}\r\nnumpy<3,>=2\n"
    )
    found, problems = requirements.of_text(text)
    assert not problems
    assert found == [
        "numpy<3,>=2",
        'scikit-learn[alpha]==1.5; python_version > "3"',
        f"tabulate==0.9.0 --hash={HASH} --hash={OTHER}",
    ]
    assert [requirements.name(line) for line in found] == ["numpy", "scikit-learn", "tabulate"]


def test_what_the_market_brings_is_left_out() -> None:
    assert requirements.of_lines(["pyspark==3.5", "Py4J", "PySpark-client"]) == ([], [])


@pytest.mark.parametrize(
    "line",
    [
        *(
            "-r other.txt",
            "-e .",
            "--index-url http://evil",
            "--extra-index-url=http://evil",
            "-f /tmp",
            "-c x",
        ),
        *(
            "pkg @ https://evil/x.whl",
            "https://evil/x.whl",
            "git+https://evil/x",
            "./x",
            "/etc/passwd",
            "x.whl",
        ),
        *(
            "pkg @ file:///etc/passwd",
            "two words",
            "numpy==",
            "$(id)",
            "`id`",
            "x\0y",
            "ü",
            "pkg --config x=y",
        ),
        f"tabulate --hash={HASH} --index-url http://evil",
    ],
)
def test_what_names_more_than_a_package_of_the_index_is_refused(line: str) -> None:
    found, problems = requirements.of_lines(["numpy", line])
    assert found == ["numpy"]
    assert len(problems) == 1
    assert line.split()[0][:20].strip("\0") in problems[0] or "\\x" in problems[0]


def test_their_number_is_bounded() -> None:
    assert requirements.of_lines(["a"] * 501)[1]
    assert requirements.of_lines(["a" * 70_000])[1]


def test_only_versions_with_hashes_cannot_mean_anything_else() -> None:
    assert requirements.is_lock([f"a==1 --hash={HASH}"])
    assert not requirements.is_lock(["a==1"])
    assert not requirements.is_lock([f"a==1 --hash={HASH}", "b"])
