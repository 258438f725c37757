"""`python -m market.airflow.api_server`: Airflow's api-server, serving connections as the market wants it.

Airflow hands no choice of protocol to uvicorn, which looks its own up in a table; and uvicorn reads a
certificate once, at its start.
"""

from __future__ import annotations

import logging
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn.config
from airflow.__main__ import main as airflow_main

log = logging.getLogger(__name__)

_PROTOCOL = "market.airflow.http_protocol:PatientProtocol"
_LOOK_S = 1.0


def main() -> None:
    """Serve until the end of the process."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = _PROTOCOL
    uvicorn.config.create_ssl_context = _renewing(uvicorn.config.create_ssl_context)
    sys.argv = ["airflow", "api-server"]
    airflow_main()


def _renewing(create: Any) -> Any:
    """Return what makes a context whose certificate is read again when its file has changed."""

    def made(certfile: str, keyfile: str, *arguments: Any, **options: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = create(certfile, keyfile, *arguments, **options)
        follow = threading.Thread(
            target=_follow, args=(context, Path(certfile), Path(keyfile)), name="certificate", daemon=True
        )
        follow.start()
        return context

    return made


def _follow(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have new connections see the certificate that lies there now; those that are open keep theirs."""
    known = _times(certificate, key)
    while True:
        time.sleep(_LOOK_S)
        now = _times(certificate, key)
        if now == known:
            continue
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:  # one of the two was not replaced yet, or is no good
            log.warning("the new certificate does not fit its key yet: %s", error)
            continue
        known = now
        log.info("the api-server shows the certificate that was renewed")


def _times(*files: Path) -> list[int]:
    return [file.stat().st_mtime_ns if file.exists() else 0 for file in files]


if __name__ == "__main__":
    main()
