"""The port ``Backend`` served by a process of its own: small messages cross, the bytes of files never do."""
