#!/usr/bin/env python3
"""Copies this interpreter and its standard library into a relocatable folder: pack_python.py FOLDER

For bundles (gpu_suite.sh): FOLDER/bin/python3 runs on machines without Python. Leaves out what gpu_run does not need:
tests, editors, installers, third-party packages.
"""

import pathlib
import shutil
import sys
import sysconfig

LEFT_OUT = ("__pycache__", "config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages",
            "test", "tests", "tkinter", "turtledemo", "turtle.py", "unittest", "_test*", "asyncio", "_asyncio*", "ctypes",
            "_ctypes*", "sqlite3", "distutils", "msilib", "xmlrpc",
            # modules that need further libraries, and tables of East Asian encodings
            "_codecs_*", "_crypt*", "_curses*", "_dbm*", "_gdbm*", "_hashlib*", "nis*", "readline*", "_sqlite3*", "_ssl*",
            "_tkinter*", "_uuid*")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    interpreter = pathlib.Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    (folder / "bin").mkdir(parents=True)
    shutil.copy(interpreter, folder / "bin" / "python3")
    shutil.copytree(library, folder / "lib" / library.name, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=False,
                    ignore_dangling_symlinks=True)


if __name__ == "__main__":
    main()
