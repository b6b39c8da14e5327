"""What each command is for, in a line: for the help, which need not load any of them for that."""

from __future__ import annotations

SUMMARIES = {
    "attributes": "Dump or load what only this machine keeps of PATH.",
    "bwlimit": "Limit a mount, or every one, to so many bytes a second.",
    "cache": "Show how much of PATH, or of every mount, is cached.",
    "config": "Begin, look at and check the configuration file.",
    "completion": "Print the completion for a shell: bash, zsh or fish.",
    "conflicts": "List conflicted copies at or below PATH, or everywhere.",
    "demo": "Show mountfs at work on stand-ins of Dropbox and Box.",
    "discard": "Give up what is pending of PATH.",
    "doctor": "Look for what keeps a mount from working.",
    "export": "Copy the pending bytes of PATH to DIRECTORY.",
    "fsck": "Explain what is wrong with a state directory.",
    "install-service": "Write the unit mountfs@.service.",
    "log": "Tell what happened to the file or folder PATH.",
    "login": "Sign in to an account, which becomes the remote NAME.",
    "logout": "Sign out of the remote NAME.",
    "manual": "Print the manual page: mountfs manual | man -l -",
    "mount": "Mount REMOTE:[/SUBDIR] on the empty directory MOUNTPOINT.",
    "pause": "Send and commit nothing more, in one mount or in all.",
    "pending": "List what is not committed of PATH, or in all mounts.",
    "pin": "Keep PATH on this machine; without PATH, list the pins.",
    "rehearse": "Try an account in earnest before you trust it with files.",
    "remotes": "List the configured accounts.",
    "restore": "Make a former version of a file the present one.",
    "resume": "Go on with what `mountfs pause` stopped.",
    "retry": "Send again what was refused of PATH, or in all mounts.",
    "sandbox": "Run a stand-in of a cloud service on this machine.",
    "status": "Show what is pending, failed and running.",
    "sync": "Make what was written so far survive a power loss.",
    "umount": "Commit what is pending, then unmount.",
    "undelete": "Bring back what was removed last at PATH.",
    "unpin": "Stop keeping PATH, which was pinned.",
    "versions": "List the versions of a file that the service keeps.",
    "wait": "Wait until everything at or below PATH is committed.",
}
"""By name; the beginning of what the command says of itself. One that is missing is loaded for its help."""

HIDDEN = frozenset({"mount-helper", "umount-helper"})
"""Commands that programs run, and people need not know."""
