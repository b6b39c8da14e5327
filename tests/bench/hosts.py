"""The hosts of the services that clients have built in."""

BOX_DOWNLOADS = "dl.boxcloud.com"
HOSTS = {
    "dropbox": ("api.dropboxapi.com", "content.dropboxapi.com", "notify.dropboxapi.com"),
    "box": ("api.box.com", "upload.box.com", "app.box.com", BOX_DOWNLOADS),
}
