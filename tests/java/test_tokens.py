"""What a job's Python reads of the file of tokens, which Hadoop's own code has written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from market_runner import tokens

from market.kit import settings

WRITER = """
import java.io.DataOutputStream;
import java.io.FileOutputStream;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.security.token.TokenIdentifier;

public class Writer {
    public static void main(String[] kinds) throws Exception {
        Credentials all = new Credentials();
        for (int number = 1; number < kinds.length; number++) {
            // Identifiers of more than 127 and of more than 255 bytes: their length takes more bytes, too.
            byte[] identifier = new byte[100 * number];
            java.util.Arrays.fill(identifier, (byte) (250 + number));
            Token<TokenIdentifier> token = new Token<>(
                    identifier, new byte[20], new Text(kinds[number]), new Text("127.0.0.1:19000"));
            all.addToken(new Text("alias-" + number), token);
            System.out.println(token.encodeToUrlString());
        }
        all.addSecretKey(new Text("secret"), new byte[] {1, 2, 3});
        try (DataOutputStream out = new DataOutputStream(new FileOutputStream(kinds[0]))) {
            all.writeTokenStorageToStream(out);
        }
    }
}
"""
HDFS = "HDFS_DELEGATION_TOKEN"


def written(folder: Path, *kinds: str) -> tuple[Path, list[str]]:
    """Have Hadoop write tokens of these kinds; return the file, and each as Hadoop sends it over HTTP."""
    source, file = folder / "Writer.java", folder / "tokens"
    source.write_text(WRITER)
    jars = f"{settings.load().paths.hadoop}/jars/*"
    words = ["java", "-cp", jars, str(source), str(file), *kinds]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return file, done.stdout.split()


def test_the_token_of_hdfs_is_found_among_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, encoded = written(tmp_path, "YARN_AM_RM_TOKEN", HDFS, "mapreduce.job")
    monkeypatch.setenv("HADOOP_TOKEN_FILE_LOCATION", str(file))
    assert tokens.delegation() == encoded[1]


def test_without_one_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HADOOP_TOKEN_FILE_LOCATION", raising=False)
    assert tokens.delegation() == ""
    file, _ = written(tmp_path, "YARN_AM_RM_TOKEN")
    monkeypatch.setenv("HADOOP_TOKEN_FILE_LOCATION", str(file))
    assert tokens.delegation() == ""


def test_a_file_that_breaks_off_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = written(tmp_path, "YARN_AM_RM_TOKEN", HDFS)
    monkeypatch.setenv("HADOOP_TOKEN_FILE_LOCATION", str(file))
    whole = file.read_bytes()
    end = whole.index(HDFS.encode())  # what follows is other tokens' services, and secrets
    for length in range(end):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="the file of tokens"):
            tokens.delegation()
