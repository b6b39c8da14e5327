"""Random calls, each made on tmpfs and on a mount, with the same outcome."""
