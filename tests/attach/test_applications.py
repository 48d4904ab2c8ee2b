"""What applications do with handlers, loggers and threads after these were taken over."""

from pathlib import Path

import pytest

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()


@pytest.fixture
def program(python, spool, tmp_path):
    """Return a function that runs a program behind the prelude and returns its log's lines."""

    def run(text):
        assert python(f"{PRELUDE}\n{text}", spool).stderr == ""
        return (tmp_path / "app.log").read_text().splitlines()

    return run


def test_loggers_are_made_while_handlers_are_taken_over(program):
    """By other threads, here at a fixed moment: setup() raised into the application."""
    lines = program(
        "class Logger(logging.Logger):\n"
        "    made = 0\n"
        "    def handlers(self):\n"
        "        Logger.made += 1; logging.getLogger(f'made.{Logger.made}')\n"
        "        return vars(self)['handlers']\n"
        "    handlers = property(handlers, lambda self, new: vars(self).update(handlers=new))\n"
        "def log():\n"
        "    busy = Logger('busy'); logging.root.manager.loggerDict['busy'] = busy\n"
        "    busy.addHandler(logging.FileHandler('busy.log'))\n"
        "    queuelog.setup(); assert Logger.made > 1; assert not held(); root.info('done')\n"
        "add(logging.FileHandler('app.log'))\n"
        "run(log)\n"
    )
    assert lines == ["INFO done"]


def test_handlers_are_removed_while_others_are_taken_over(program):
    """By other threads, here at a fixed moment: the next handler was overlooked."""
    lines = program(
        "class Remover(logging.NullHandler):\n"
        "    target = property(lambda self: root.removeHandler(first))\n"
        "first = logging.NullHandler()\n"
        "def log():\n"
        "    for handler in (first, Remover(), logging.FileHandler('b.log')):\n"
        "        root.addHandler(handler)\n"
        "    queuelog.setup(); assert first not in root.handlers; assert not held()\n"
        "    root.info('done')\n"
        "add(logging.FileHandler('app.log'))\n"
        "run(log)\n"
    )
    assert lines == ["INFO done"]


def test_an_application_can_remove_the_handler_that_it_made(program):
    """It knows nothing of the one in its place: every job's line was in the files of all before."""
    lines = program(
        "def log():\n"
        "    for number in range(3):\n"
        "        job = add(logging.FileHandler('app.log'), f'{number} %(message)s')\n"
        "        queuelog.setup(); assert job in root.handlers\n"
        "        root.addHandler(job); root.info('in')\n"
        "        root.removeHandler(job); job.close(); root.info('out')\n"
        "    assert root.handlers == [] and not held()\n"
        "run(log)\n"
    )
    assert lines == ["0 in", "1 in", "2 in"]


def test_an_application_can_change_the_handler_that_it_made(program):
    """Level, formatter and filters count where they are changed, at the old handler or the new."""
    lines = program(
        "file = add(logging.FileHandler('app.log'))\n"
        "def log():\n"
        "    file.setLevel('ERROR'); root.warning('-'); root.error('1')\n"
        "    file.setFormatter(logging.Formatter('new %(message)s')); root.error('2')\n"
        "    file.addFilter(lambda record: record.msg != '-'); root.error('-')\n"
        "    new, = root.handlers; new.setLevel('INFO'); root.info('3')\n"
        "    assert (file.level, new) == (logging.INFO, file)\n"
        "    new.setFormatter(None); root.info('4'); file.close(); root.info('5')\n"
        "    assert not held()\n"
        "run(log)\n"
    )
    assert lines == ["ERROR 1", "new 2", "new 3", "4", "5"]


@pytest.mark.parametrize("limit", ["IDLE = 0.0", "MANY = 50"])
def test_a_file_for_each_job_leaves_no_descriptor_in_the_owner(program, tmp_path, limit):
    """Its lock was kept: after some hundreds of jobs the arbiter could open nothing any more."""
    lines = program(
        "import time\n"
        "from queuelog import _sinks\n"
        "def job(number):\n"
        "    file = add(logging.FileHandler(f'{number}.job')); queuelog.setup()\n"
        "    root.info('of %d', number); root.removeHandler(file)\n"
        "def log():\n"
        "    for number in range(100): job(number)\n"
        "def wait_for(condition):\n"
        "    deadline = time.monotonic() + 30\n"
        "    while not condition(): assert time.monotonic() < deadline; time.sleep(0.01)\n"
        "descriptors = lambda: len(os.listdir('/proc/self/fd'))\n"
        "add(logging.FileHandler('app.log')); _sinks.IDLE = 60.0\n"
        "queuelog.start(spool=sys.argv[1]); before = descriptors()\n"
        "for _ in range(2):\n"
        "    in_worker(log)\n"
        "    wait_for(lambda: descriptors() >= before + 200)\n"
        f"    old = _sinks.IDLE, _sinks.MANY; _sinks.{limit}\n"
        "    wait_for(lambda: descriptors() <= before + 1); _sinks.IDLE, _sinks.MANY = old\n"
        "queuelog.stop()\n"
    )
    assert len(lines) == 200
    for number in range(100):
        assert (tmp_path / f"{number}.job").read_text() == f"INFO of {number}\n" * 2


def test_directories_may_be_path_objects(program):
    """Django's settings have them: `spool=PosixPath('/…') must be an absolute path` was no help."""
    lines = program(
        "from pathlib import Path\n"
        "add(logging.FileHandler('app.log'))\n"
        "queuelog.start(spool=Path(sys.argv[1]), adopt=[Path.cwd()])\n"
        "in_worker(lambda: root.info('in')); queuelog.stop()\n"
        "queuelog.start(spool=Path(sys.argv[1]), adopt=Path.cwd()); queuelog.stop()\n"
        "try: queuelog.start(spool=Path('relative'))\n"
        "except queuelog.ConfigurationError as error: assert "
        "\"='relative' must be\" in str(error)\n"
    )
    assert lines == ["INFO in"]


def test_a_method_that_was_replaced_at_the_handler_itself_runs_in_the_owner(program):
    """A patched emit() was called in the worker, which opened the file; its error came out."""
    (line,) = program(
        "file = add(logging.FileHandler('app.log'), '%(process)d %(message)s'); emit = file.emit\n"
        "def patched(record): record.msg = f'{os.getpid()} {record.msg}'; emit(record)\n"
        "file.emit = patched\n"
        "def log():\n"
        "    root.info('in'); assert not held()\n"
        "run(log)\n"
    )
    worker, owner, text = line.split()
    assert worker != owner
    assert text == "in"


def test_a_handler_of_the_owner_is_whole_in_a_worker_that_uses_it_again(program):
    """It had lost its filters there, and an error of formatting was raised into the application."""
    lines = program(
        "class Own(logging.FileHandler):\n"
        "    def emit(self, record): super().emit(record)\n"
        "file = add(Own('app.log')); file.addFilter(lambda record: record.msg != 'no')\n"
        "def log():\n"
        "    logging.raiseExceptions = False; other = logging.getLogger('other')\n"
        "    other.propagate = False; other.addHandler(file); queuelog.setup()\n"
        "    other.info('%d', 'bad'); other.info('no'); other.info('in')\n"
        "    root.info('no'); root.info('in'); assert not held()\n"
        "root.removeHandler(file); root.addHandler(file); run(log)\n"
    )
    assert lines == ["INFO in", "INFO in"]


def test_stop_without_a_free_descriptor_keeps_the_records(python, spool, tmp_path):
    """An arbiter that has too many files open ended with an error, in on_exit."""
    done = python(
        f"{PRELUDE}\nimport resource\nfrom queuelog import _bridge\n"
        "add(logging.FileHandler('app.log')); queuelog.start(spool=sys.argv[1])\n"
        "_bridge._bridge._listener.stop(); root.info('in')\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard)); queuelog.stop()\n"
        "assert not os.path.getsize('app.log')\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "queuelog.start(spool=sys.argv[1]); queuelog.stop()\n",
        spool,
    )
    assert "Too many open files" in done.stderr
    assert "the records stay in the spool, and are written at the next start" in done.stderr
    assert (tmp_path / "app.log").read_text() == "INFO in\n"
