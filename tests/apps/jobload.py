"""Jobs of RQ that log numbers; as a program: enqueues so many, from the given number on."""

import os
import sys

from redis import Redis
from rq import Queue
from slowload import log_slowly


def numbers(start):
    """Log and acknowledge 100 numbers; every fourth job ends its process at once then."""
    log_slowly(start)
    if start % 400 == 0:
        os._exit(0)


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))
    first, jobs = map(int, sys.argv[1:])
    for number in range(first, first + 100 * jobs, 100):
        queue.enqueue("jobload.numbers", number)
