"""Programs of test_security.py."""

import logging
import os
from pathlib import Path

import inside
from prelude import (
    ARGUMENTS,
    NOBODY,
    add_log,
    become,
    content,
    in_child,
    let_others_pass,
    raises,
    root,
    start,
)
from waiting import wait_for

import queuelog
from queuelog.handlers import ServerHandler

HERE = Path.cwd()


def serve(**options):
    """Listen on a port of the kernel's choice with these files; return the address."""
    add_log()
    files = {name: str(HERE / path) for name, path in options.items()}
    start(listen=queuelog.Listen(["127.0.0.1:0"], **files))
    (address,) = inside.addresses()
    return address.replace("127.0.0.1", "localhost")


def in_a_client(address, text, **files):
    """Log a text in another process, with a spool of its own, and say what went wrong."""

    def client():
        inside.be_on_another_host()
        root.handlers[:] = [ServerHandler(address, **files)]
        queuelog.start(spool=f"{ARGUMENTS[0]}/{text}")
        root.info(text)
        queuelog.stop()

    in_child(client)


def a_server_and_a_client_with_certificates_know_each_other():
    address = serve(certfile="server.pem", keyfile="server.key", cafile="ca.pem")
    in_a_client(address, "known", cafile="ca.pem", certfile="client.pem", keyfile="client.key")
    in_a_client(address, "without", cafile="ca.pem")
    in_a_client(address, "other", cafile="other.pem", certfile="client.pem", keyfile="client.key")
    wait_for(lambda: "known\n" in content("app.log"), "the line")
    queuelog.stop()
    print(content("app.log"), end="")


def a_secret_is_read_with_the_rights_of_who_names_it():
    let_others_pass()
    Path("secret").write_text("ours\n")
    os.chmod("secret", 0o600)
    root.addHandler(logging.FileHandler("app.log"))
    start(user="nobody")

    def worker():
        become(NOBODY)
        queuelog.setup()
        logger = logging.getLogger("stolen")
        logger.propagate = False
        logger.addHandler(ServerHandler(ARGUMENTS[0], secret_file=str(HERE / "secret")))
        queuelog.setup()
        logger.warning("sent with a secret that this user cannot read")

    in_child(worker)
    wait_for(lambda: f"server:{ARGUMENTS[0]}" in inside.lagging(), "it cannot be sent")
    queuelog.stop()


def the_owners_secret_serves_its_workers():
    let_others_pass()
    Path("secret").write_text("ours\n")
    os.chmod("secret", 0o600)
    root.addHandler(ServerHandler(ARGUMENTS[0], secret_file="secret"))
    start(user="nobody")

    def worker():
        become(NOBODY)
        queuelog.setup()
        root.info("of a worker")

    in_child(worker)
    queuelog.stop()


def a_file_that_never_ends_keeps_nobody():
    os.mkfifo("pipe")
    for path in ("pipe", "/dev/zero", "."):
        for name in ("secret_file", "cafile", "certfile"):
            with raises(OSError, "no regular file"):
                inside.read_credentials(ServerHandler("localhost", **{name: path}))
    Path("long").touch()
    os.truncate("long", 1 << 40)
    with raises(OSError, "longer than"):
        inside.read_credentials(ServerHandler("localhost", cafile="long"))
