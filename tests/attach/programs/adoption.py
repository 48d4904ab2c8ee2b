"""Programs of test_adoption.py."""

import logging.config
import logging.handlers
import queue

from prelude import (
    ARGUMENTS,
    NOBODY,
    add,
    add_log,
    become,
    held,
    in_worker,
    let_others_pass,
    root,
    run,
    start,
)

import queuelog


def log_numbers():
    for number in range(100):
        root.info("%03d", number)


def by_dict_config():
    file = {
        "class": "logging.handlers.RotatingFileHandler", "filename": "app.log", "maxBytes": 300,
        "backupCount": 99,
    }  # fmt: skip
    logging.config.dictConfig(
        {"version": 1, "handlers": {"f": file}, "root": {"level": "INFO", "handlers": ["f"]}}
    )


def by_file_config():
    logging.config.fileConfig("log.ini")
    queuelog.setup()


def by_basic_config():
    logging.basicConfig(filename="app.log", level="INFO", force=True, format="%(message)s")
    queuelog.setup()


CONFIGURATIONS = {
    "dictConfig": by_dict_config,
    "fileConfig": by_file_config,
    "basicConfig": by_basic_config,
}


def what_a_worker_configures_is_taken_over():
    def log():
        CONFIGURATIONS[ARGUMENTS[0]]()
        assert type(root.handlers[0]).__name__ == "QueueHandler", root.handlers
        assert not held()
        log_numbers()

    start()
    in_worker(log)
    in_worker(log)
    queuelog.stop()


def a_handler_that_a_worker_adds_by_itself_is_taken_over_by_setup():
    def log():
        logger = logging.getLogger("mine")
        logger.propagate = False
        for number in range(5):
            add(logging.FileHandler("new.log", delay=True), f"{number} %(message)s", logger)
            queuelog.setup()
        logger.info("x")

    run(log)


def handlers_added_later_are_taken_over_by_the_next_setup():
    def log():
        add(logging.FileHandler("app.log"))
        root.info("1")
        assert held()
        queuelog.setup()
        root.info("2")
        assert not held()

    run(log)


def a_memory_handlers_target_is_taken_over():
    target = logging.FileHandler("app.log")
    memory = logging.handlers.MemoryHandler(9, target=target)
    root.addHandler(memory)

    def log():
        root.info("kept")
        root.error("now")
        assert memory.target is not target

    run(log)
    assert memory.target is target


def listener_by_hand():
    handler = logging.handlers.QueueHandler(queue.SimpleQueue())
    file = logging.FileHandler("app.log")
    file.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.listener = logging.handlers.QueueListener(handler.queue, file)
    root.addHandler(handler)
    queuelog.setup()
    return handler.listener


def listener_by_dict_config():
    config = {
        "version": 1, "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(levelname)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": "app.log", "formatter": "line"},
            "queue": {"class": "logging.handlers.QueueHandler", "handlers": ["file"]},
        },
        "root": {"level": "INFO", "handlers": ["queue"]},
    }  # fmt: skip
    logging.config.dictConfig(config)
    return logging.getHandlerByName("queue").listener


def files_behind_a_listener_of_the_applications_own_are_taken_over():
    make = {"hand": listener_by_hand, "dictConfig": listener_by_dict_config}[ARGUMENTS[0]]

    def log():
        listener = make()
        listener.start()
        log_numbers()
        listener.stop()
        assert not held(), held()

    run(log)


def names_and_marker_attributes_stay():
    file = add(logging.FileHandler("app.log"))
    file._gunicorn = True
    file.set_name("main")

    def log():
        (handler,) = root.handlers
        assert handler is not file
        assert handler._gunicorn
        assert handler.name == "main"
        assert logging._handlers["main"] is handler
        assert not hasattr(handler, "stream")

    run(log)
    assert logging._handlers["main"] is file


def workers_of_another_user_add_files_only_where_they_may():
    (place,) = ARGUMENTS
    add_log()
    start(user="nobody")

    def log():
        become(NOBODY)
        root.info("to a known file")
        (known,) = root.handlers
        root.removeHandler(known)
        add(logging.FileHandler(f"{place}/new.log", delay=True), "%(message)s")
        queuelog.setup()
        root.info("to a new file")

    let_others_pass()
    in_worker(log)
    queuelog.stop()


def a_link_of_a_worker_of_another_user_leads_nowhere_else():
    (inside,) = ARGUMENTS
    start(user="nobody")
    let_others_pass()

    def log():
        become(NOBODY)
        for path in ("link.log", "link/victim", "../victim", "link/../victim"):
            add(logging.FileHandler(f"{inside}/{path}", delay=True))
        queuelog.setup()
        root.info("attack")

    in_worker(log)
    queuelog.stop()
