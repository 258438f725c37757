"""A mail server on loopback that keeps what it is given, and refuses or hangs where a test says so."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast


@dataclass
class Envelope:
    """One mail: what the server was told, and the bytes of the message."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.raw, policy=policy.default))

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass
class MailServer:
    """`replies` are given instead of the usual ones, by verb; `drips` goes on greeting without end."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    drips: bool = False
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, within_s: float = 10) -> list[Envelope]:
        """Return the mails when there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.envelopes) >= count, within_s), len(self.envelopes)
            return list(self.envelopes)

    def keep(self, envelope: Envelope) -> None:
        with self.arrived:
            self.envelopes.append(envelope)
            self.arrived.notify_all()


class _Session:
    def __init__(
        self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        starttls: ssl.SSLContext | None, encrypted: bool, login: tuple[str, str] | None,
    ) -> None:  # fmt: skip
        self.server, self.reader, self.writer = server, reader, writer
        self.starttls, self.encrypted, self.login = starttls, encrypted, login
        self.user: str | None = None
        self.sender, self.recipients = "", list[str]()

    async def say(self, line: str) -> None:
        self.writer.write(line.encode() + b"\r\n")
        await self.writer.drain()

    async def serve(self) -> None:
        while self.server.drips:
            await self.say("220-wait")
            await asyncio.sleep(0.1)
        await self.say(self.server.replies.get("CONNECT", "220 ready"))
        while line := await self.reader.readline():
            words = line.decode().strip()
            verb = words.split(" ")[0].upper()
            if verb in self.server.replies:
                await self.say(self.server.replies[verb])
            else:
                await self.answer(verb, words)
            if verb == "QUIT":
                return

    async def answer(self, verb: str, words: str) -> None:
        if verb == "EHLO":
            offers = ["localhost"] + ["STARTTLS"] * bool(self.starttls and not self.encrypted)
            offers += ["AUTH PLAIN"] * bool(self.login)
            for offer in offers:
                await self.say(f"250-{offer}")
            await self.say("250 8BITMIME")
        elif verb == "STARTTLS" and self.starttls:
            await self.say("220 go")
            await self.writer.start_tls(self.starttls)
            self.encrypted = True
        elif verb == "AUTH":
            _, user, password = base64.b64decode(words.split(" ")[2]).decode().split("\0")
            self.user = user if (user, password) == self.login else None
            await self.say("235 welcome" if self.user else "535 wrong password")
        elif verb == "MAIL":
            self.sender, self.recipients = words.partition("<")[2].partition(">")[0], []
            await self.say("530 login first" if self.login and not self.user else "250 ok")
        elif verb == "RCPT":
            self.recipients.append(words.partition("<")[2].partition(">")[0])
            await self.say("250 ok")
        elif verb == "DATA":
            await self.say("354 go")
            lines = []
            while (line := await self.reader.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b"."))
            raw = b"".join(lines)
            self.server.keep(Envelope(self.sender, self.recipients, raw, self.encrypted, self.user))
            await self.say("250 kept")
        else:
            await self.say("221 bye" if verb == "QUIT" else "250 ok")


@contextmanager
def mail_server(
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[MailServer]:
    """Serve mail on a port of 127.0.0.1; with `starttls` it offers to encrypt, with `tls` it always does."""
    server, loop, up = MailServer(), asyncio.new_event_loop(), threading.Event()
    over = asyncio.Event()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _Session(server, reader, writer, starttls, tls is not None, login).serve()
        writer.close()

    async def serve() -> None:
        listening = await asyncio.start_server(session, "127.0.0.1", 0, ssl=tls)
        server.port = listening.sockets[0].getsockname()[1]
        up.set()
        await over.wait()
        listening.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()], daemon=True)
    thread.start()
    assert up.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
