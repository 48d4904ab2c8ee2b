"""Our own protocol at a real server: nothing is lost or doubled, and only friends are heard."""

import random
import resource
import shutil
import subprocess
from collections import Counter

import pytest
from logserver import is_closed, pickled
from waiting import wait_for

from queuelog import wire

CLIENT = "0123456789abcdef" * 2


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("open sesame\n")
    return path


@pytest.fixture
def certificates(tmp_path):
    """Make an authority, and certificates of a server, a client and a stranger; return them."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    def authority(name):
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-addext", "keyUsage=critical,keyCertSign",  # Python 3.13 asks for it
        )  # fmt: skip

    def certificate(name, by):
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        (tmp_path / "ext").write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
            "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key",
            "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", f"{name}.pem",
        )  # fmt: skip

    authority("ca")
    authority("stranger")
    certificate("server", "ca")
    certificate("client", "ca")
    return tmp_path


def test_no_kill_of_the_server_loses_or_doubles_a_record(serve, background):
    """While a client's processes log.

    One record a kill may come twice: nobody writes spool and table at the same instant.
    """
    server = serve().start()
    server.options[-1] = f"127.0.0.1:{server.port}"
    client = background("log_numbers", server.options[-1], 3000)
    kill_at, kills = random.Random(1), 10
    for _ in range(kills):
        have = min(2900, len(server.lines()) + kill_at.randrange(1, 200))
        wait_for(lambda have=have: len(server.lines()) >= have, "records come in")
        server.kill()
        server.start()
    wait_for(lambda: len(set(numbers(server))) == 3000, "all records")
    client.communicate("end\n")
    server.stop()
    found = Counter(numbers(server))
    assert found.keys() == {f"root INFO n{number}" for number in range(3000)}
    assert found.total() <= 3000 + kills


def numbers(server):
    """Return the lines that are no reports of the client."""
    return [line for line in server.lines() if line.startswith("root INFO n")]


def test_with_a_secret_only_who_knows_it_is_heard(serve, program, secret, tmp_path):
    """Pickles, which prove nothing, come from this host alone; the others are told why."""
    server = serve("--listen", "0.0.0.0:0", "--secret-file", secret).start()
    address = f"127.0.0.1:{server.port}"
    program(address, secret, name="log_with_a_secret")
    server.wait_for("root INFO with secret_file")
    other = tmp_path / "other"
    other.write_text("open barley")
    for wrong in (other, ""):
        program(address, wrong, name="log_with_a_secret", check=False)
    connection = server.connect()
    connection.sendall(pickled("pickle"))
    assert is_closed(connection)
    server.wait_for_error("pickles need an address of this host alone, or certificates")
    server.wait_for_error("the secrets of both sides differ")
    server.stop()
    assert [line for line in server.lines() if line.startswith("root")] == [
        "root INFO with secret_file"
    ]


def test_with_certificates_only_clients_that_have_one_are_heard(serve, program, certificates):
    """Then pickles are read from other hosts as well."""
    names = ("server.pem", "server.key", "ca.pem")
    certfile, keyfile, cafile = (certificates / name for name in names)
    server = serve(
        "--listen", "0.0.0.0:0", "--certfile", certfile, "--keyfile", keyfile, "--cafile", cafile
    ).start()
    address = f"127.0.0.1:{server.port}"
    program(address, certificates, "client", name="log_with_a_certificate")
    server.wait_for("root INFO with certificate")
    server.wait_for("root INFO pickle with certificate")
    for wrong in ("stranger", ""):
        program(address, certificates, wrong, name="log_with_a_certificate", check=False)
    plain = server.connect()
    plain.sendall(pickled("plain"))
    assert is_closed(plain)
    server.wait_for_error("no TLS: ")
    server.stop()
    lines = [line for line in server.lines() if line.startswith("root")]
    assert sorted(lines) == ["root INFO pickle with certificate", "root INFO with certificate"]


def test_clients_that_never_begin_tls_are_in_nobodys_way(serve, program, certificates):
    """They are more than there may be; who does begin is heard."""
    names = ("server.pem", "server.key", "ca.pem")
    certfile, keyfile, cafile = (certificates / name for name in names)
    server = serve(
        "--listen", "127.0.0.1:0", "--certfile", certfile, "--keyfile", keyfile, "--cafile", cafile
    )
    server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
    for _ in range(400):
        server.connect()
    program(f"127.0.0.1:{server.port}", certificates, "client", name="log_with_a_certificate")
    server.wait_for("root INFO with certificate")
    assert "its TLS is not complete" in server.errors
    assert "cannot accept" not in server.errors


def test_what_is_here_is_known_after_a_restart_at_another_address(serve):
    """Each server has a table of its own, and looks into those of others."""
    server = serve().start()
    send(server, 0, 3)
    server.stop()
    other = serve().start()
    again = serve().start()
    for one in (again, other):
        assert greeted(one.connect())[1] == 3
        one.stop()


def test_records_that_are_here_already_are_passed_over(serve):
    """Whatever a client sends again; and a server that has less than it thinks goes on there."""
    server = serve().start()
    assert send(server, 0, 3) == 3
    assert send(server, 1, 4) == 5
    assert send(server, 9, 1) == 10
    server.wait_for("root INFO n9")
    assert server.lines() == [f"root INFO n{n}" for n in (0, 1, 2, 3, 4, 9)]


def greeted(connection):
    """Greet a server; return the client's half, and what the server has."""
    client = wire.Client(CLIENT)
    while (have := client.next_have()) is None:
        connection.sendall(client.data_to_send())
        client.receive(connection.recv(1 << 16))
        connection.sendall(client.data_to_send())
    return client, have


def send(server, first, count):
    """Send records; return what the server has then."""
    connection = server.connect()
    client, _ = greeted(connection)
    records = [
        wire.encode(wire.plain({"name": "root", "levelno": 20, "created": 1.0}, f"n{n}"), 1 << 17)
        for n in range(first, first + count)
    ]
    client.send(first, records)
    connection.sendall(client.data_to_send())
    while (have := client.next_have()) is None:
        client.receive(connection.recv(1 << 16))
    return have
