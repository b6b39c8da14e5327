"""The cloud services behind the port ``Backend``; nothing above knows which one it talks to."""
