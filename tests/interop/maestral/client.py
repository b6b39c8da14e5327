"""Links Maestral with an account and syncs it to a folder until standard input ends.

Usage: client.py FOLDER REFRESH_TOKEN, by a Python that has Maestral.
"""

import sys

from maestral.main import Maestral


def main(folder: str, refresh_token: str) -> None:
    maestral = Maestral("sandbox")
    maestral.set_conf("auth", "keyring", "keyrings.alt.file.PlaintextKeyring")
    assert maestral.link(refresh_token=refresh_token) == 0
    maestral.create_dropbox_directory(folder)
    maestral.start_sync()
    sys.stdin.read()
    troubles = [*maestral.sync_errors, *maestral.fatal_errors]
    maestral.stop_sync()
    assert not troubles, troubles


if __name__ == "__main__":
    main(*sys.argv[1:])
