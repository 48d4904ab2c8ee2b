"""Programs of test_lines.py."""

import logging.handlers

from prelude import ARGUMENTS, add, root, run


def each_file_has_the_handlers_encoding_and_one_byte_order_mark():
    file = logging.handlers.RotatingFileHandler(
        "app.log", maxBytes=100, backupCount=9, encoding=ARGUMENTS[0]
    )
    add(file, "näml %(message)s")

    def log():
        for number in range(20):
            root.info("%02d", number)

    run(log)


def characters_that_cannot_be_encoded_do_not_cost_the_line():
    add(logging.FileHandler("app.log", encoding="ascii"), "strict %(message)s")
    add(logging.FileHandler("app.log", encoding="ascii", errors="replace"), "%(message)s")
    run(lambda: root.info("\u20ac \ud800"))


def lone_surrogates_are_escaped_in_utf_8():
    add(logging.FileHandler("app.log", encoding="utf-8"), "é %(message)s")
    run(lambda: root.info("\udcff.txt"))


def odd_records_arrive_as_they_are():
    add(logging.FileHandler("app.log"), "%(message)s")
    add(logging.FileHandler("über 日.log"), "%(message)s")

    def log():
        try:
            raise ValueError("no")
        except ValueError:
            root.exception("failed")
        root.info("stack", stack_info=True)
        root.info("")
        root.info("a\nb\0c")
        root.info("x" * 10_000_000)
        root.info("last")

    run(log)
