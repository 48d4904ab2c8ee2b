"""What type checkers say of a conf file: `mypy` fails where an expected error is not found."""

import queuelog.gunicorn

queuelog.gunicorn.install(globals())
queuelog.gunicorn.install(globals(), spool="/dev/shm/example", own=["mail"], full="drop")
queuelog.gunicorn.install(globals(), ful="drop")  # type: ignore[call-arg]
queuelog.gunicorn.install(globals(), full="maybe")  # type: ignore[arg-type]
queuelog.gunicorn.install()  # type: ignore[call-arg]
