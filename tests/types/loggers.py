"""What type checkers say of `get_logger`: `mypy` fails where an expected error is not found."""

import logging

import queuelog
from queuelog.handlers import ServerHandler

logger: logging.Logger = queuelog.get_logger("app")
queuelog.get_logger(level="DEBUG", address="unix:/run/log", console=False)
queuelog.get_logger("app", secret_file="/etc/secret", cafile="/etc/ca.pem")
queuelog.get_logger("app", consol=True)  # type: ignore[call-arg]
queuelog.get_logger("app", address=9020)  # type: ignore[arg-type]
queuelog.get_logger("app", logging.INFO)  # type: ignore[call-arg]
ServerHandler("localhost:9020", timeout=1)
ServerHandler(port=9020)  # type: ignore[call-arg]
