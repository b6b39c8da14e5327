"""``python -m daemon.cli`` is ``mountfs``."""

from daemon.cli import main

main()
