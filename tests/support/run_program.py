"""Run one function of a module as a program: ``python run_program.py FILE FUNCTION SPOOL …``.

Programs of the tests are functions in files, `tests/<room>/programs/<subject>.py` beside
`test_<subject>.py`, and each runs in an interpreter of its own. Behind FUNCTION come the
program's own arguments, the spool first: `sys.argv[1:]`.
"""

import importlib.util
import sys

if __name__ == "__main__":
    path, name = sys.argv[1:3]
    del sys.argv[1:3]
    spec = importlib.util.spec_from_file_location("program", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["program"] = module
    spec.loader.exec_module(module)
    getattr(module, name)()
