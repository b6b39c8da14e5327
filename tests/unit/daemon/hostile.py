"""Names that do something to a terminal, a log or a parser of lines."""

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",
    "a\nmountfs: all committed",
    "a\rb",
    "\x9b31m",
    "txt.\u202egnp.exe",
    "\u2066a\u2069",
    "\u2028a",
    "\ud800",
    "\udcff.bin",
    "a\0b",
    "[red]a[/red]",
    "READY=1",
)
