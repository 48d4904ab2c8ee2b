"""C code that does not come back and holds the GIL: no other thread and no signal handler runs."""

import ctypes


def hold_the_gil():
    """Wait for a mutex that nobody lets go; that costs no time of the processor, unlike a loop."""
    lock = ctypes.PyDLL(None).pthread_mutex_lock  # unlike CDLL, PyDLL keeps the GIL
    mutex = ctypes.create_string_buffer(64)  # zeros: PTHREAD_MUTEX_INITIALIZER
    while True:
        lock(mutex)
