"""What every room stands on: reports, locks, directories, forks, and what a sink number means.

In: paths, handlers of the standard library. Out: descriptions of handlers (`spec`), what they do
with their files (`filehandler`), exclusive locks (`locks`), directories that are safe to use, who
has a file open (`processes`), and where an error message or a line goes that nobody else takes
(`reporter`).
"""

from queuelog.base.address import Address, LogServer, local_names
from queuelog.base.descriptor import NO_DESCRIPTOR, SMALL, Descriptor, opened, opened_small
from queuelog.base.directories import ELSEWHERE, own_directory, shared_parent
from queuelog.base.filehandler import (
    WRITING,
    can_roll_over,
    class_name,
    detach_stream,
    encode_text,
    encoder,
    encoding,
    is_stdlib,
    preamble,
    rotates,
    writes_lines,
)  # fmt: skip
from queuelog.base.listen import Listen
from queuelog.base.locks import (
    MEMORY,
    FileLock,
    Locked,
    base_directory,
    is_locked,
    try_lock,
    unlock,
)  # fmt: skip
from queuelog.base.processes import command_line, writers_of
from queuelog.base.reporter import last_error, report, shown, write_line
from queuelog.base.rights import User, acting_as
from queuelog.base.spec import (
    Place,
    SinkSpec,
    file_id,
    is_file,
    is_named,
    obstacle,
    place_of,
    place_of_server,
    place_of_sink,
    server_id,
    sink_id_of,
)
from queuelog.base.unpatched import native

__all__ = [
    "ELSEWHERE", "MEMORY", "NO_DESCRIPTOR", "SMALL", "WRITING", "Address", "Descriptor", "FileLock",
    "Listen", "Locked", "LogServer", "Place", "SinkSpec", "User", "acting_as", "base_directory",
    "can_roll_over", "class_name", "command_line", "detach_stream", "encode_text", "encoder",
    "encoding", "file_id", "is_file", "is_locked", "is_named", "is_stdlib", "last_error",
    "local_names", "native", "obstacle", "opened", "opened_small", "own_directory", "place_of",
    "place_of_server", "place_of_sink", "preamble", "report", "rotates", "server_id",
    "shared_parent", "shown", "sink_id_of", "try_lock", "unlock", "write_line", "writers_of",
    "writes_lines",
]  # fmt: skip
