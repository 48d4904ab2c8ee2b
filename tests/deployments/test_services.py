"""Several services, users and containers that share a log directory, or one log file."""

import mailbox

import pytest
from counting import account
from processes import open_files
from services import (
    NOBODY,
    WWW_DATA,
    Service,
    account_of,
    line_config,
    log_at_once,
    rotating,
    start_or_error,
    text_of,
    wait_for_lines,
)
from waiting import wait_for

pytestmark = pytest.mark.root

USERS = [(None, NOBODY), (NOBODY, None), (NOBODY, WWW_DATA)]


def check(*accounts, at_least):
    """Assert that nothing is missing, doubled or torn."""
    for one in accounts:
        one.check(at_least)


# --- one directory, two files


@pytest.mark.parametrize("workers", USERS, ids=["none,nobody", "nobody,none", "nobody,www-data"])
def test_services_with_different_files_in_one_directory_are_independent(
    machine, service, log_dir, workers
):
    """Each has workers of another user, or of none; the second ends while the first lives."""
    paths = log_dir / "a.log", log_dir / "b.log"
    services = [
        service(machine, line_config(path), worker=worker, first=50_000 * number)
        for number, (path, worker) in enumerate(zip(paths, workers, strict=True))
    ]
    for one in services:
        one.start()
    for one in (*services, *services):
        one.log(1_000)
    for one in reversed(services):
        one.stop()
    accounts = [account_of(path.name, path, one) for path, one in zip(paths, services, strict=True)]
    check(*accounts, at_least=2_000)


def test_a_second_service_rolls_its_file_over_by_its_own_rotator(machine, service, log_dir):
    """Only itself can: its rotator is code of its own. The first service lives all the time."""
    first = service(machine, line_config(log_dir / "a.log")).start()
    config = rotating(log_dir / "b.log")
    config["handlers"]["load"] = {
        "()": "rotators.GzipHandler", "filename": str(log_dir / "b.log"), "maxBytes": 20_000,
        "backupCount": 1000, "delay": True, "formatter": "line",
    }  # fmt: skip
    second = service(machine, config, first=50_000).start()
    for one in (first, second) * 2:
        one.log(1_000)
    second.stop()
    backups = sorted(log_dir.glob("b.log.*.gz"))
    machine.run("gunzip", *backups) if backups else None
    written = account_of("b.log", log_dir / "b.log", second)
    first.stop()
    check(account_of("a.log", log_dir / "a.log", first), written, at_least=2_000)
    assert len(backups) >= 3


def test_a_second_service_sends_its_own_mails(machine, service, log_dir, place):
    """Only itself can: the first one does not know its handler. It lives all the time."""
    first = service(machine, line_config(log_dir / "a.log")).start()
    config = line_config(log_dir / "b.log")
    config["handlers"]["mail"] = {
        "()": "mailbox_handler.MailHandler", "path": str(place / "mail"), "formatter": "line",
    }  # fmt: skip
    config["loggers"]["load"]["handlers"].append("mail")
    second = service(machine, config, first=50_000, own=["mail"]).start()
    first.log(500)
    second.log(500)
    second.stop()
    mails = place / "mails"
    sent = [mail.get_payload() for mail in mailbox.Maildir(place / "mail")]
    mails.write_text("".join(f"{text}\n" for text in sent))
    accounts = [
        account_of("b.log", log_dir / "b.log", second), account("mails", second.acks(), [mails])
    ]  # fmt: skip
    first.stop()
    check(account_of("a.log", log_dir / "a.log", first), *accounts, at_least=500)


# --- one file, two services


def log_in_turn_and_at_once(*services):
    """Let services that share a file log."""
    for _ in range(3):
        for one in services:
            one.log(200)
        log_at_once(*services, count=1_000)


def pausing(path):
    """Return a configuration whose file rolls over when there is a file `go-on` beside it."""
    handler = {"()": "rotators.PausingHandler", "filename": str(path), "formatter": "line"}
    options = {"maxBytes": 20_000, "backupCount": 1000, "delay": True}
    config = line_config(path)
    config["handlers"]["load"] = {**handler, **options}
    return config


def owners(path, *services):
    """Let each service log a line; return those that have the file open when all are there."""
    for one in services:
        one.log(1)
        last = b"number=%08d" % one.last
        wait_for(lambda last=last: last in text_of(path), "a line")
    return [one for one in services if open_files(one.pid, ending=f"/{path.name}")]


def share(path, first, second):
    """Let two services log into one file, which the first one owns; stop it last."""
    log_in_turn_and_at_once(first, second)
    assert owners(path, first, second) == [first]
    second.stop()
    first.log(500)
    first.stop()


def refuse(path, first, second):
    """Start a service that cannot use the first one's file, and let both log if it starts.

    Return the error, if there was one.
    """
    first.log(1_000)
    wait_for_lines(path, 1_000)  # in the middle of a rollover nobody has the file
    error = start_or_error(second)
    log_in_turn_and_at_once(*[first] if error else [first, second])
    first.stop()
    if not error:
        second.stop()
    return error


def check_refusal(error, path):
    """Assert that a service was told which file has an owner."""
    assert error is not None, "a second owner is there"
    assert error.kind == "FileInUseError"
    assert str(path) in error.text


def same(machine, log_dir, place):
    """The same path."""
    return log_dir


def link(machine, log_dir, place):
    """A link to the directory."""
    (place / "linked").symlink_to(log_dir)
    return place / "linked"


def bind_mount(machine, log_dir, place):
    """A bind mount of the directory."""
    (place / "bound").mkdir()
    machine.mount(place / "bound", "--bind", log_dir)
    return place / "bound"


@pytest.mark.parametrize("lead", [same, link, bind_mount])
def test_services_of_one_user_share_a_file_that_rolls_over(machine, service, log_dir, place, lead):
    """Both write to it, by whichever path, and one of them owns it."""
    first = service(machine, rotating(log_dir / "a.log")).start()
    path = lead(machine, log_dir, place) / "a.log"
    second = service(machine, rotating(path), first=50_000).start()
    share(log_dir / "a.log", first, second)
    check(account_of("a.log", log_dir / "a.log", first, second), at_least=7_700)


@pytest.mark.parametrize("end", [Service.stop, Service.kill])
def test_a_service_goes_on_in_a_file_whose_owner_ends(machine, service, log_dir, end):
    """It takes the file over, and writes what is left."""
    first = service(machine, rotating(log_dir / "a.log")).start()
    second = service(machine, rotating(log_dir / "a.log"), first=50_000).start()
    log_in_turn_and_at_once(first, second)
    assert owners(log_dir / "a.log", first, second) == [first]
    end(first)
    second.log(500)
    assert owners(log_dir / "a.log", second) == [second]
    second.stop()
    check(account_of("a.log", log_dir / "a.log", first, second), at_least=7_700)


def test_root_logs_into_the_file_of_a_services_user(machine, service, log_dir):
    """Into that service's spool, as its user: the file rolls over, and stays that user's."""
    machine.run("chown", "www-data", log_dir)
    first = service(machine, rotating(log_dir / "a.log"), user=WWW_DATA).start()
    second = service(machine, rotating(log_dir / "a.log"), first=50_000).start()
    share(log_dir / "a.log", first, second)
    check(account_of("a.log", log_dir / "a.log", first, second), at_least=7_700)
    assert {path.stat().st_uid for path in log_dir.iterdir()} == {WWW_DATA}


@pytest.fixture
def shared(log_dir):
    """Return a log file that everybody may write to, in such a directory.

    Services with a umask of 0 make it so again when they have rolled it over.
    """
    log_dir.chmod(0o777)
    path = log_dir / "a.log"
    path.touch()
    path.chmod(0o666)
    return path


@pytest.mark.parametrize("worker", [None, NOBODY])
def test_a_users_service_is_refused_a_file_that_root_rolls_over(machine, service, shared, worker):
    """It may not write into root's spool, and is told who owns the file, if it may read that."""
    first = service(machine, rotating(shared), worker=worker, umask=0).start()
    second = service(machine, rotating(shared), user=WWW_DATA, umask=0, first=50_000)
    pid = first.pid
    error = refuse(shared, first, second)
    check(account_of("a.log", shared, first, second), at_least=4_600)
    check_refusal(error, shared)
    assert worker is None or str(pid) in error.text


@pytest.fixture(
    params=[("container", (0, 0)), ("container", (0, WWW_DATA)), ("rootless container", (0, 0))],
    ids=["root", "root and www-data", "rootless"],
)
def in_containers(request, machines, service, shared):
    """Return a function that makes two services for a file, which is all that they share."""
    kind, users = request.param

    def make(*configs):
        return [
            service(machines(kind=kind), config(shared), user=user, umask=0, first=50_000 * number)
            for number, (config, user) in enumerate(zip(configs, users, strict=True))
        ]

    return make


@pytest.mark.parametrize(
    "configs",
    [(rotating, rotating), (line_config, rotating), (rotating, line_config)],
    ids=["both roll over", "the second does", "the first does"],
)
def test_a_container_is_refused_a_file_of_another_one_that_rolls_over(
    in_containers, shared, configs
):
    """Whichever of them would roll the file over."""
    first, second = in_containers(*configs)
    error = refuse(shared, first.start(), second)
    check(account_of("a.log", shared, first, second), at_least=4_600)
    check_refusal(error, shared)


@pytest.mark.xfail(reason="an owner has no lock in the moment in which the path has no file")
def test_a_container_is_refused_a_file_that_another_one_is_rolling_over(in_containers, shared):
    """In the middle of a rollover there is no file, but it has an owner."""
    first, second = in_containers(pausing, rotating)
    first.start()
    first.log(1_000)
    wait_for(lambda: not shared.exists(), "a rollover has begun")
    error = start_or_error(second)
    (shared.parent / "go-on").touch()
    log_in_turn_and_at_once(*[first] if error else [first, second])
    first.stop()
    if not error:
        second.stop()
    check(account_of("a.log", shared, first, second), at_least=4_600)
    check_refusal(error, shared)


def append_together(path, first, second):
    """Let two services append to a file; check that the second one has said so."""
    first.start()
    second.start()
    log_in_turn_and_at_once(first, second)
    for one in (first, second):
        one.stop()
    check(account_of("a.log", path, first, second), at_least=7_200)
    assert str(path) in second.errors()


def test_containers_append_to_one_file_that_nobody_rolls_over(in_containers, shared):
    """As they would without queuelog: two replicas on a shared volume. The second one warns."""
    append_together(shared, *in_containers(line_config, line_config))


def test_users_append_to_one_file_that_nobody_rolls_over(machine, service, shared):
    """As they would without queuelog: the second one may not write into the first one's spool."""
    first = service(machine, line_config(shared))
    second = service(machine, line_config(shared), user=WWW_DATA, first=50_000)
    append_together(shared, first, second)
