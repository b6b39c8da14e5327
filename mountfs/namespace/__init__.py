"""What stands where: the remote tree as last known, under the changes that are still ours alone."""
