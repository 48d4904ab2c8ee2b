"""What logrotate's copytruncate loses: of queuelog, and of a FileHandler in each worker.

    python benchmarks/copytruncate.py [--lines 270000] [--rotations 10]

Four sync workers log numbered lines as fast as requests come; logrotate rotates some times
meanwhile. Prints what is missing of the lines whose log call had returned. Needs what the tests
need, and logrotate.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from harness import Load, Server

PLAIN = "del on_exit, on_reload, on_starting, post_fork, post_worker_init\n"


def measure(name, extra, lines, rotations):
    """Run one server; print its row."""
    directory = Path(tempfile.mkdtemp(prefix="copytruncate-"))
    server = Server(directory, workers=4, extra=extra)
    conf = directory / "logrotate.conf"
    conf.write_text(f"{server.log_dir}/load.log {{\nrotate 1000\ncopytruncate\n}}\n")
    conf.chmod(0o644)
    command = ["logrotate", "-f", "-s", str(directory / "state"), str(conf)]
    try:
        server.start()
        with Load(server, per_request=100, limit=lines, pause=0) as load:
            for number in range(rotations):
                goal = lines // 100 * (number + 1) // (rotations + 1)
                while load.answered < goal:
                    time.sleep(0.001)
                subprocess.run(command, check=True)
            load.join()
        server.stop(signal.SIGTERM)
        count = server.count()
    finally:
        server.kill()
    row = name, count.expected, count.found, len(count.missing), len(count.doubled)
    print(("{:<14}" + "{:>10}" * 5).format(*row, len(count.torn)), flush=True)


def main():
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=270_000)
    parser.add_argument("--rotations", type=int, default=10)
    options = parser.parse_args()
    columns = "writer", "expected", "found", "missing", "doubled", "torn"
    print(("{:<14}" + "{:>10}" * 5).format(*columns))
    for name, extra in (("FileHandler", PLAIN), ("queuelog", "")):
        measure(name, extra, options.lines, options.rotations)


if __name__ == "__main__":
    main()
