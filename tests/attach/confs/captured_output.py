"""Settings: the workers print, and their output is the error log."""

import queuelog

errorlog = "logs/error.log"
capture_output = True


def post_worker_init(worker):
    queuelog.setup()
    print("printed", flush=True)
