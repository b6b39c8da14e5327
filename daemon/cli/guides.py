"""What somebody has to click at the service before mountfs may use an account there."""

from __future__ import annotations

DROPBOX = """\
Dropbox wants an app of your own, which takes two minutes:
  1. Open https://www.dropbox.com/developers/apps/create
     Scoped access; Full Dropbox (App folder: the mount has that folder alone); any name.
  2. Permissions: tick account_info.read, files.metadata.read, files.metadata.write,
     files.content.read, files.content.write, and press Submit, before you go on here.
  3. Settings: under Redirect URIs add {redirect} (without a browser here: not needed).
  4. Copy the App key from Settings. The secret is not needed.
"""

BOX = """\
Box wants an app of your own, which takes two minutes:
  1. Open https://app.box.com/developers/console
     Create Platform App, Custom App, User Authentication (OAuth 2.0).
  2. Configuration: under OAuth 2.0 Redirect URIs add {redirect}
     under Application Scopes tick to read and to write all files and folders; Save Changes.
  3. Copy Client ID and Client Secret from there.
  For a machine without a person choose Server Authentication (Client Credentials Grant) instead, have
  an admin authorize the app, and give --client-credentials enterprise:ID or user:ID.
"""

GUIDES = {"dropbox": DROPBOX, "box": BOX}

IN_BROWSER = """\
Your browser opens this address; if it does not, open it yourself:

{url}

Waiting for the answer at {redirect} (Ctrl-C ends it; --no-browser asks for a code instead).
"""

CODE_SHOWN = """\
Open this address in any browser, press Allow, and copy the code that it shows:

{url}
"""

CODE_IN_ADDRESS = """\
Open this address in any browser and press Allow. The browser then goes to an address that begins with
{redirect} and shows an error, which is fine: copy that address from it, within 30 seconds.

{url}
"""

FOR_SYSTEMD = """\
Give the secrets to the unit that mounts it (systemctl edit mountfs@INSTANCE):

[Service]
{lines}"""
