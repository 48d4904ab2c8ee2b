"""What every room stands on: reports, locks, directories, forks, and what a sink number means.

In: paths, handlers of the standard library. Out: descriptions of handlers (`spec`), what they do
with their files (`filehandler`), exclusive locks (`locks`), directories that are safe to use, who
has a file open (`processes`), and where an error message or a line goes that nobody else takes
(`reporter`).
"""

from queuelog.base.descriptor import NO_DESCRIPTOR, Descriptor, opened, opened_small
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
from queuelog.base.locks import base_directory
from queuelog.base.reporter import report, shown, write_line
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
    sink_id_of,
)
from queuelog.base.unpatched import native

__all__ = [
    "ELSEWHERE", "NO_DESCRIPTOR", "WRITING", "Descriptor", "Place", "SinkSpec", "User", "acting_as",
    "base_directory", "can_roll_over", "class_name",
    "detach_stream", "encode_text", "encoder", "encoding", "file_id", "is_file", "is_named",
    "is_stdlib",
    "native", "obstacle", "opened", "opened_small", "own_directory", "place_of", "place_of_server",
    "place_of_sink", "preamble", "report", "rotates",
    "shared_parent", "shown", "sink_id_of", "write_line", "writes_lines",
]  # fmt: skip
