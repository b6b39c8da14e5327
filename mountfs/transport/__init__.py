"""``ports.Backend`` in a process of its own. Calls and results cross a socket; the bytes of files never
do."""
