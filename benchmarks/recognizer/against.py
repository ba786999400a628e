"""Is this checkout as fast as another one? python benchmarks/recognizer/against.py OTHER [rounds]

Runs the same commands of this checkout and of OTHER alternately: importing the command line, and `recognize` of one picture.
Prints the medians of CPU and wall-clock time and the median of the ratios of pairs, and which libraries for several machines,
for training and for the page the command line imports (none may be).
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[2]
PICTURE = HERE / "crystal_eyes/web/examples/3 one head.webp"
COMMANDS = {
    "import crystal_eyes.cli": ["-c", "import crystal_eyes.cli"],
    "recognize one picture": ["-m", "crystal_eyes.cli", "recognize", "--bundle", "released", str(PICTURE)],
}
HEAVY = (
    "ray",
    "boto3",
    "botocore",
    "s3fs",
    "pyarrow",
    "psycopg2",
    "mlflow",
    "torch",
    "pandas",
    "uvicorn",
    "starlette",
    "sklearn",
)


def run(checkout: Path, arguments: list[str]) -> tuple[float, float]:
    """Seconds of CPU and of wall-clock time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(checkout), "XDG_DATA_HOME": str(checkout / "no-such-folder")}
    subprocess.run([sys.executable, *arguments], cwd=checkout, env=environment, check=True, capture_output=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    other, rounds = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    for name, arguments in COMMANDS.items():
        pairs = [(run(HERE, arguments), run(other, arguments)) for _ in range(rounds + 1)][1:]  # the first fills the caches
        (cpu, wall), (other_cpu, other_wall) = np.median(np.array(pairs), axis=0)
        ratio, wall_ratio = (np.median([mine[kind] / its[kind] for mine, its in pairs]) for kind in (0, 1))
        print(f"{name}: CPU {1000 * cpu:.0f} ms, the other {1000 * other_cpu:.0f} ms, ratio {ratio:.3f}; "
              f"wall {1000 * wall:.0f} and {1000 * other_wall:.0f} ms, ratio {wall_ratio:.3f}", flush=True)  # fmt: skip
    code = f"import sys, crystal_eyes.cli; print(*(name for name in {HEAVY} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    print(f"libraries that importing the command line loads, of {', '.join(HEAVY)}: {found.stdout.strip() or 'none'}")


if __name__ == "__main__":
    main()
