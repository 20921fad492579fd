"""Drives a double of Key Vault through Microsoft's own client, and expects of it what the service does.

key_vault.py ADDRESS TENANT
"""

import json
import sys
import time
import urllib.parse
import urllib.request

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.secrets import SecretClient

address, tenant = sys.argv[1:]


class Plain(RequestsTransport):
    """The client takes no address but `https://`, and the double, on this machine, has no certificate."""

    def send(self, request, **named):
        url = request.url
        request.url = url.replace("https://", "http://", 1)
        try:
            return super().send(request, **named)
        finally:
            request.url = url


class Login:
    """Asks the double's own login, for what the challenge names."""

    def __init__(self, client_id):
        self.client_id = client_id
        self.asked = []

    def get_token(self, *scopes, **named):
        self.asked.append((scopes, named.get("tenant_id")))
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": f"secret of {self.client_id}",
            "scope": scopes[0],
        }
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{address}/{tenant}/oauth2/v2.0/token", body) as answer:
            given = json.load(answer)
        return AccessToken(given["access_token"], int(time.time()) + given["expires_in"])


def client_as(client_id):
    login = Login(client_id)
    url = address.replace("http://", "https://")
    client = SecretClient(url, login, verify_challenge_resource=False, transport=Plain(), retry_total=0)
    return client, login


def refuses(kind, code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        inner = json.loads(error.response.text())["error"]
        inner = inner.get("innererror", inner)
        assert inner["code"] == code, inner
        return
    except Exception as error:
        raise AssertionError(f"it should have been {kind.__name__}, and was {type(error).__name__}: {error}")
    raise AssertionError(f"it should have been {kind.__name__}")


client, login = client_as("gridkey")
refuses(ResourceNotFoundError, "SecretNotFound", client.get_secret, "judged")
assert login.asked == [(("http://127.0.0.1/.default",), tenant)], login.asked
assert list(client.list_properties_of_secret_versions("judged")) == []

# Versions, and what is said of each.
first = client.set_secret("judged", "one", content_type="text/plain", tags={"owner": "Mail"})
assert first.value == "one" and len(first.properties.version) == 32
second = client.set_secret("Judged", "two")
assert second.properties.version != first.properties.version
assert client.get_secret("judged").value == "two", "names ignore case"
assert not second.properties.tags and second.properties.content_type is None, "nothing is taken over"
assert client.get_secret("judged", first.properties.version).value == "one"
for number in range(30):
    last = client.set_secret("judged", f"three {number}")
listed = {properties.version: properties for properties in client.list_properties_of_secret_versions("judged")}
assert len(listed) == 32, len(listed)
found = listed[first.properties.version]
assert found.tags == {"owner": "Mail"} and found.content_type == "text/plain" and found.enabled and found.created_on

# A version that is disabled.
changed = client.update_secret_properties("judged", last.properties.version, enabled=False)
assert changed.enabled is False
refuses(HttpResponseError, "SecretDisabled", client.get_secret, "judged")
assert client.get_secret("judged", first.properties.version).value == "one"
tagged = client.update_secret_properties("judged", first.properties.version, enabled=False)
assert tagged.tags == {"owner": "Mail"} and tagged.content_type == "text/plain", "what is not named stays"
refuses(ResourceNotFoundError, "SecretNotFound", client.update_secret_properties, "judged", "0" * 32, enabled=False)

# Names, and who may do what.
refuses(HttpResponseError, "BadParameter", client.set_secret, "a_b", "x")
refuses(HttpResponseError, "BadParameter", client.set_secret, "tags", "x", tags={str(tag): "x" for tag in range(16)})
reader, _ = client_as("may-not-write")
assert reader.get_secret("judged", second.properties.version).value == "two"
refuses(HttpResponseError, "ForbiddenByRbac", reader.set_secret, "judged", "x")
writer, _ = client_as("may-not-read")
refuses(HttpResponseError, "ForbiddenByRbac", writer.get_secret, "judged")
assert writer.set_secret("judged", "four").value == "four"

# What is deleted is remembered.
client.begin_delete_secret("judged", _polling_interval=0).wait()
refuses(ResourceNotFoundError, "SecretNotFound", client.get_secret, "judged")
refuses(ResourceExistsError, "ObjectIsDeletedButRecoverable", client.set_secret, "judged", "five")
assert client.get_deleted_secret("judged").name == "judged"
client.begin_recover_deleted_secret("judged", _polling_interval=0).wait()
assert client.get_secret("judged").value == "four"
refuses(ResourceNotFoundError, "SecretNotFound", client.get_deleted_secret, "judged")
print("as expected")
