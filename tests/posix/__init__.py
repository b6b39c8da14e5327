"""What programs can tell of a file system: each call, in each case, as on tmpfs."""
