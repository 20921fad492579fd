"""Drives a double of Secret Manager through Google's own client, and expects of it what the service does.

secret_manager.py ADDRESS TOKEN
"""

import sys

import google_crc32c
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud import secretmanager_v1 as sm
from google.oauth2.credentials import Credentials
from google.protobuf import field_mask_pb2

address, token = sys.argv[1:]


def client_with(token):
    return sm.SecretManagerServiceClient(
        transport="rest", credentials=Credentials(token=token), client_options={"api_endpoint": address}
    )


def refuses(kind, call, *arguments, **named):
    try:
        call(*arguments, retry=None, **named)
    except kind as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"it should have been {kind.__name__}, and was {type(error).__name__}: {error}")
    raise AssertionError(f"it should have been {kind.__name__}")


client = client_with(token)
project = "projects/acme-mail"
secret = f"{project}/secrets/judged"

# What is not there.
assert "Secret [" in refuses(exceptions.NotFound, client.get_secret, name=secret)
refuses(exceptions.NotFound, client.get_secret_version, name=f"{secret}/versions/latest")
refuses(exceptions.NotFound, client.access_secret_version, name=f"{secret}/versions/1")
refuses(exceptions.Forbidden, client.get_secret, name="projects/nowhere/secrets/judged")
assert not client.test_iam_permissions(
    request={"resource": secret, "permissions": ["secretmanager.versions.add"]}
).permissions

# A secret.
resource = {"replication": {"automatic": {}}, "labels": {"team": "mail"}, "annotations": {"owner": "Mail"}}
refuses(exceptions.BadRequest, client.create_secret, parent=project, secret_id="judged", secret={})
refuses(exceptions.BadRequest, client.create_secret, parent=project, secret_id="a.b", secret=resource)
made = client.create_secret(parent=project, secret_id="judged", secret=resource)
assert made.name.endswith("/secrets/judged") and made.etag and made.create_time
refuses(exceptions.Conflict, client.create_secret, parent=project, secret_id="judged", secret=resource)
refuses(exceptions.NotFound, client.access_secret_version, name=f"{secret}/versions/latest")

# Versions.
for number, text in enumerate([b"one", b"two"], 1):
    payload = {"data": text, "data_crc32c": google_crc32c.value(text)}
    version = client.add_secret_version(parent=secret, payload=payload)
    assert version.name.endswith(f"/versions/{number}"), version.name
    assert version.state == sm.SecretVersion.State.ENABLED and version.client_specified_payload_checksum
    assert version.create_time and version.etag
wrong = {"data": b"three", "data_crc32c": 1}
refuses(exceptions.BadRequest, client.add_secret_version, parent=secret, payload=wrong)
read = client.access_secret_version(name=f"{secret}/versions/latest")
assert (read.payload.data, read.name[-2:]) == (b"two", "/2")
assert read.payload.data_crc32c == google_crc32c.value(b"two")
listed = [version.name.rsplit("/", 1)[1] for version in client.list_secret_versions(parent=secret)]
assert listed == ["2", "1"], listed
assert client.get_secret_version(name=f"{secret}/versions/1").create_time != version.create_time

# The newest version is the newest in any state.
stale = {"name": f"{secret}/versions/2", "etag": '"0"'}
refuses(exceptions.BadRequest, client.disable_secret_version, request=stale)
disabled = client.disable_secret_version(request={"name": f"{secret}/versions/2", "etag": version.etag})
assert disabled.state == sm.SecretVersion.State.DISABLED
refuses(exceptions.BadRequest, client.access_secret_version, name=f"{secret}/versions/latest")
assert client.access_secret_version(name=f"{secret}/versions/1").payload.data == b"one"
assert client.enable_secret_version(name=f"{secret}/versions/2").state == sm.SecretVersion.State.ENABLED
destroyed = client.destroy_secret_version(name=f"{secret}/versions/1")
assert destroyed.state == sm.SecretVersion.State.DESTROYED
refuses(exceptions.BadRequest, client.access_secret_version, name=f"{secret}/versions/1")
refuses(exceptions.BadRequest, client.enable_secret_version, name=f"{secret}/versions/1")

# Annotations.
mask = field_mask_pb2.FieldMask(paths=["annotations"])
seen = client.get_secret(name=secret)
change = {"name": secret, "etag": seen.etag, "annotations": {**seen.annotations, "gridkey-version-2": "id"}}
changed = client.update_secret(secret=change, update_mask=mask)
assert dict(changed.annotations) == {"owner": "Mail", "gridkey-version-2": "id"} and changed.etag != seen.etag
assert dict(changed.labels) == {"team": "mail"}
refuses(exceptions.BadRequest, client.update_secret, secret=change, update_mask=mask)

# Permissions.
asked = ["secretmanager.versions.add", "secretmanager.versions.get", "resourcemanager.projects.delete"]
has = client.test_iam_permissions(request={"resource": secret, "permissions": asked}).permissions
assert list(has) == asked[:2], has
# The client logs in anew where a token is refused, and this one has nothing to do it with.
refuses(RefreshError, client_with("unknown").get_secret, name=secret)

client.delete_secret(name=secret)
refuses(exceptions.NotFound, client.get_secret, name=secret)
print("as expected")
