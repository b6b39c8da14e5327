"""What each command is for, in a line: for the help, which need not load any of them for that."""

from __future__ import annotations

SUMMARIES = {
    "attributes": "Dump or load what only this machine keeps at or below PATH: modes, owners, times,...",
    "bwlimit": "Limit a running mount, or every one, to so many bytes a second up and down: 512K,...",
    "cache": "Show how much of PATH, or of all that is mounted, is kept on this machine for reading.",
    "config": "Begin, look at and check the configuration file.",
    "completion": "Print the completion for a shell: bash, zsh or fish.",
    "conflicts": "List the conflicted copies at or below PATH, or in all mounts: files that...",
    "demo": "Copy a tree into mounted stand-ins of Dropbox and Box, and read it back over the...",
    "discard": "Give up what is pending of PATH, a file or a folder with all below it.",
    "doctor": "Look for what keeps a mount from working: the machine, the configuration, the services.",
    "export": "Copy the pending bytes of PATH, a file or a folder with all below it, to DIRECTORY.",
    "fsck": "Explain what is wrong with a state directory, or with what is pending for one remote.",
    "install-service": "Write the unit mountfs@.service, and as root the helpers for mount(8),...",
    "log": "Tell what happened to the file or folder PATH: when it was written, closed, sent,...",
    "login": "Sign in to an account, and write it down as the remote NAME.",
    "logout": "Sign out: revoke what the remote NAME was granted, and remove its secrets.",
    "manual": "Print the manual page, mountfs(1): mountfs manual | man -l -",
    "mount": "Mount REMOTE:[/SUBDIR] on the empty directory MOUNTPOINT.",
    "pause": "Send and commit nothing more, in one mount or in all, until `mountfs resume` or the end...",
    "pending": "List what is not committed at or below PATH, or in all mounts: how far each change is,...",
    "pin": "Keep PATH, a file or a folder with all below it, on this machine; without PATH, tell...",
    "rehearse": "Try an account in earnest before you trust it with files.",
    "remotes": "List the configured accounts: how each is signed in, and whether something is pending...",
    "restore": "Make a former version of a file the present one; `mountfs versions` lists them.",
    "resume": "Go on with what `mountfs pause` stopped, in one mount or in all.",
    "retry": "Send again what was refused at or below PATH; without PATH, in all mounts.",
    "sandbox": "Run a stand-in of a cloud service on this machine.",
    "status": "Show what is pending, failed and running: of one mount, or of all.",
    "sync": "Make everything written to the mount of PATH so far survive a power loss.",
    "umount": "Commit what is pending, then unmount.",
    "undelete": "Bring back what was removed last at PATH, a file or a folder.",
    "unpin": "Stop keeping PATH, which was pinned: its bytes give way when other files need the room.",
    "versions": "List the versions of a file that the service keeps, the newest first: time (UTC), size,...",
    "wait": "Wait until everything at or below PATH is committed.",
}
"""By name; the beginning of what the command says of itself. One that is missing is loaded for its help."""

HIDDEN = frozenset({"mount-helper", "umount-helper"})
"""Commands that programs run, and people need not know."""
