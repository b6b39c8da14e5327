"""Stand-ins for the cloud services on loopback: strict on the wire, state on disk, faults on demand."""
