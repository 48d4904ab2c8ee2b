"""Programs of test_file.py."""

import sys

import inside
from filesinks import sized
from prelude import ARGUMENTS


def own_the_file():
    file = inside.file_sink(sized("app.log", int(ARGUMENTS[0])))
    file.claim()
    print("up", flush=True)
    sys.stdin.readline()
    file.close()
