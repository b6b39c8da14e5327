"""One tree of nodes: what the mount shows, what the service has, what is to be done about the difference."""
