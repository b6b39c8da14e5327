"""What stands in for a service in tests that need no wire."""
