"""What rotates how: each cell of the table in docs/rotation.md, tried with the real thing.

    python benchmarks/rotation_features.py [--row "By size"] [--contender loguru]

Needs logrotate and faketime, packages of Debian's, and concurrent-log-handler and loguru. A cell
says "no option" where a contender has none, whatever code of one's own could do. Whoever needs a
command from time to time (logrotate) gets it before the lines of each process.
"""

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from rotation_contenders import CONTENDERS, NoOption, logrotate_command, wait
from rotation_trial import Trial

DAY = "2026-03-{:02d} 12:00:00"
ROWS = {}


def row(function):
    """Let a function try a feature, by which it is called: of a `Trial`, it returns the cell."""
    ROWS[function.__doc__.rstrip(".")] = function
    return function


@row
def by_size(trial):
    """By size."""
    for _ in range(3):
        trial.say({"size": 1000}, lines=30)
    return trial.verdict(len(trial.backups()) >= 2)


@row
def limit(trial):
    """No backup above the limit."""
    for _ in range(3):
        trial.say({"size": 1000}, lines=30)
    return trial.verdict(all(len(text) <= 1000 for text in trial.files().values()))


@row
def by_day(trial, policy=None):
    """By day."""
    for day in (2, 3, 4, 5):
        trial.say(policy or {"when": "midnight"}, DAY.format(day))
        trial.say(policy or {"when": "midnight"}, DAY.format(day).replace("12:", "13:"))
    return trial.verdict(sorted(text.count("\n") for text in trial.files().values()) == [2] * 4)


@row
def by_both(trial):
    """By day and size together."""
    policy = {"when": "midnight", "size": 1000}
    found = by_day(trial, policy)
    trial.say(policy, DAY.format(6), lines=30)
    trial.say(policy, DAY.format(6).replace("12:", "14:"))
    return found if found != "yes" else trial.verdict(len(trial.backups()) > 4)


@row
def by_month(trial):
    """By month."""
    for at in ("2026-01-30 12:00:00", "2026-01-31 23:59:00", "2026-02-01 00:01:00"):
        trial.say({"when": "month"}, at)
    return trial.verdict(sorted(text.count("\n") for text in trial.files().values()) == [1, 2])


@row
def by_hour(trial):
    """Hours begin on the hour, whatever restarts."""
    for at in ("10:40:00", "10:59:00", "11:00:10", "11:30:00"):
        trial.say({"when": "hour"}, f"2026-03-02 {at}")
    return trial.verdict(sorted(text.count("\n") for text in trial.files().values()) == [2, 2])


@row
def on_time(trial):
    """On time, without a line to write."""
    if trial.name == "logrotate":
        trial.say({"when": "midnight"}, "2026-03-02 12:00:00")
        trial.say({"when": "midnight"}, "2026-03-02 23:59:00")
        trial.say({"when": "midnight"}, "2026-03-03 00:00:05", lines=0)
    else:
        trial.say({"when": "midnight"}, "2026-03-02 23:59:30", linger=40)
    return trial.verdict(len(trial.backups()) == 1)


@row
def summer_time(trial):
    """The end of summer time."""
    for day in range(23, 28):
        trial.say({"when": "midnight"}, f"2026-10-{day} 12:00:00", zone="Europe/Berlin")
    return trial.verdict(len(trial.files()) == 5)


@row
def keep(trial):
    """Retention by number."""
    for day in range(1, 6):
        trial.say({"when": "midnight", "keep": 2}, DAY.format(day), linger=1.5)
    return "yes" if len(trial.backups()) == 2 else "no"


@row
def age(trial):
    """By age."""
    for day in (1, 2, 20, 21):
        trial.say({"when": "midnight", "age": 14}, DAY.format(day), linger=1.5)
    kept = "".join(trial.files().values()).split()
    return "yes" if [int(line) for line in sorted(kept) if line.isdigit()] == [2, 3] else "no"


@row
def total(trial):
    """By total size."""
    for _ in range(4):
        trial.say({"size": 1000, "total": 3000}, lines=30, linger=1.5)
    return "yes" if sum(map(len, trial.backups().values())) <= 3000 else "no"


@row
def foreign(trial):
    """Never removes what it did not make."""
    names = ["app.log.2025-01-01", "app.log.3", "app.log-20250101", "app.2025-01-01_00-00-00.log"]
    for name in names:
        (trial.path.parent / name).touch()
        os.utime(trial.path.parent / name, (1, 1))
    for day in range(1, 6):
        trial.say({"when": "midnight", "keep": 2}, DAY.format(day), linger=1.5)
    gone = [name for name in names if not (trial.path.parent / name).exists()]
    return f"no: {', '.join(gone)}" if gone else "yes"


@row
def packed(trial, compression="gzip", suffix=".gz"):
    """Compression: gzip."""
    policy = {"size": 1000, "compression": compression}
    trial.say(policy, lines=10)
    trial.say(policy, lines=10, linger=60 if trial.name == "queuelog" else 0)
    trial.say(policy, lines=1, linger=0)
    return trial.verdict(any(name.endswith(suffix) for name in trial.backups()))


@row
def zstd(trial):
    """Zstd."""
    return packed(trial, "zstd", ".zst")


@row
def waiting(trial):
    """No log call waits for it."""
    policy = {"size": 60_000_000, "compression": "gzip"}
    took = trial.say(policy, lines=61_000, length=1000)
    if trial.name == "logrotate":
        trial.say(policy, lines=0)
    return f"{'yes' if took < 1000 else 'no'}: longest {took:,.0f} ms"


@row
def killed(trial):
    """SIGKILL while it compresses."""
    policy = {"size": 60_000_000, "compression": "gzip"}
    command = trial.command(policy, lines=61_000, length=1000, linger=60)
    if trial.name == "logrotate":
        trial.run(command)
        command = logrotate_command(trial.path, policy)
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as process:
        wait(
            lambda: process.poll() is not None or any(
                one.suffix in (".gz", ".tmp") and one.name[-13:] != ".queuelog.tmp"
                for one in trial.path.parent.iterdir()
            ), 150,
        )  # fmt: skip
        if process.poll() is not None and process.stdout.read().strip() == b"null":
            raise NoOption
        os.killpg(process.pid, signal.SIGKILL)
    trial.say(policy, linger=60 if trial.name == "queuelog" else 0)
    try:
        return trial.verdict(well=True, of=59_900)  # before the rollover
    except EOFError:
        return "no: half an archive"


@row
def permissions(trial):
    """Permissions of new files."""
    for _ in range(3):
        trial.say({"size": 1000, "permissions": 0o640}, lines=30)
    return trial.verdict(trial.path.stat().st_mode & 0o777 == 0o640)


@row
def follows(trial):
    """Goes on if somebody moves the file."""
    trial.say({"size": 1_000_000, "follow": True}, lines=3, moved=True)
    return trial.verdict(len(trial.backups()) == 3)


@row
def processes(trial):
    """Four processes: every line once, within the limit."""
    trial.say({"size": 50_000}, lines=3000, processes=4)
    sizes = [len(text) for text in trial.files().values()]
    found = trial.verdict(len(sizes) > 3 and max(sizes) <= 50_000)
    return f"no: {max(sizes):,} of 50,000 bytes" if found == "no" else found


@row
def dry_run(trial):
    """A dry run."""
    for day in range(1, 6):
        trial.say({"when": "midnight"}, DAY.format(day))
    before = trial.files()
    if trial.name == "logrotate":
        command = [*logrotate_command(trial.path, {"when": "midnight", "keep": 1}, "-df")]
    elif trial.name == "queuelog":
        conf = trial.path.parent.parent / "gunicorn.conf.py"
        conf.write_text(
            "from queuelog.gunicorn import install\n"
            f"accesslog = {str(trial.path)!r}\n"
            "install(globals(), rotation={'when': 'midnight', 'keep': 1, 'utc': True})\n"
        )
        command = [sys.executable, "-m", "queuelog", "check", "-c", str(conf)]
    else:
        raise NoOption
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    says = "app.log." in done.stdout + done.stderr
    return "yes" if says and trial.files() == before else "no"


@row
def command(trial):
    """A command that rotates now."""
    if trial.name == "logrotate":
        trial.say({"size": 1_000_000})
        trial.run(logrotate_command(trial.path, {"size": 1_000_000}, "-f"))
    elif trial.name == "queuelog":
        arguments = trial.command({"size": 1_000_000}, linger=20)
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
            wait(lambda: trial.path.exists() and trial.path.stat().st_size, 20)
            trial.run([sys.executable, "-m", "queuelog", "rotate", str(trial.path)])
            process.terminate()
    else:
        raise NoOption
    return trial.verdict(len(trial.backups()) == 1)


def cell(title, name, directory):
    """Return what the table says."""
    try:
        return ROWS[title](Trial(name, directory))
    except NoOption:
        return "no option"


def main():
    """Print the table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--row", action="append", choices=ROWS, help="only this one")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="only this one")
    options = parser.parse_args()
    names = options.contender or [*CONTENDERS]
    print(f"| {dt.date.today()} | {' | '.join(names)} |\n|---{'|---' * len(names)}|")  # noqa: DTZ011
    with tempfile.TemporaryDirectory(prefix="rotation-") as root:
        for number, title in enumerate(options.row or ROWS):
            cells = [cell(title, name, Path(root) / f"{number}-{name}") for name in names]
            print(f"| {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
