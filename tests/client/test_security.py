"""Who is believed: certificates, and with whose rights a secret is read."""

import shutil
import subprocess

import pytest

REQUESTS = {  # name: common name, and who vouches for it
    "ca": ("ca", None), "other": ("other", None),
    "server": ("localhost", "ca"), "client": ("client", "ca"),
}  # fmt: skip


@pytest.fixture
def certificates(tmp_path):
    """Make certificates of a server and a client, of who vouches for them, and of another one."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed")
    for name, (common_name, issuer) in REQUESTS.items():
        options = ["-CA", "ca.pem", "-CAkey", "ca.key"] if issuer else []
        constraint = "CA:FALSE" if issuer else "critical,CA:TRUE"
        usage = "digitalSignature" if issuer else "critical,keyCertSign"  # Python 3.13 asks for it
        command = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={common_name}", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", "-addext", f"subjectAltName=DNS:{common_name}",
            "-addext", f"basicConstraints={constraint}", "-addext", f"keyUsage={usage}", *options,
        ]  # fmt: skip
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.usefixtures("certificates")
def test_a_server_and_a_client_with_certificates_know_each_other(program, tmp_path):
    """Who has none, or believes another authority, sends nothing; the reason is said."""
    done = program(tmp_path)
    assert {"known", "without", "other"} & {*done.stdout.splitlines()} == {"known"}
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr
    assert done.stderr.count("the records stay in the spool") == 2


@pytest.mark.root
def test_a_secret_is_read_with_the_rights_of_who_names_it(program, log_server):
    """A worker of another user cannot let a root arbiter show a secret that he cannot read."""
    server = log_server("ours")
    done = program(server.start())
    assert "PermissionError" in done.stderr
    assert server.records() == []


@pytest.mark.root
def test_the_owners_secret_serves_its_workers(program, log_server):
    """They log through the handler of the arbiter's configuration, which has its rights."""
    server = log_server("ours")
    program(server.start())
    assert server.messages() == ["of a worker"]


def test_a_file_that_never_ends_keeps_nobody(program):
    """A worker names the files; a pipe or a device would keep the owner of all log files."""
    program()
