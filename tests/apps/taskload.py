"""A task that logs numbers, for the example's applications: celery -A … worker --include taskload.

As a program: sends so many tasks, each for 100 numbers from the given one on.
"""

import sys

from celery import shared_task
from slowload import log_slowly


@shared_task(ignore_result=True)
def numbers(start):
    """Log and acknowledge 100 numbers."""
    print("printed")
    log_slowly(start)


if __name__ == "__main__":
    from celery_app import app

    first, tasks = map(int, sys.argv[1:])
    for number in range(first, first + 100 * tasks, 100):
        app.send_task("taskload.numbers", (number,))
