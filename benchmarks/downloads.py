"""How benchmarks download packages."""

import sys

# wheels only: pip runs the code of a package that it has to build
PIP = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python", "--only-binary", ":all:"]
