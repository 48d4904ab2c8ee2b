"""Uvicorn with four workers, whose parent writes the log file; started with `python serve.py`."""

import logs
import uvicorn

if __name__ == "__main__":
    logs.configure()
    uvicorn.run("asgi:app", workers=4, log_config=None)
