"""Drives the double of GitHub through PyGithub, and tells what the double cannot do that GitHub can.

Arguments: the address, a classic token, a file with the key of an app, its client id, an installation that may write.
"""

import sys

from github import Auth, BadCredentialsException, Github, GithubException, UnknownObjectException

address, token, key_file, client, installation = sys.argv[1:]
with open(key_file, encoding="ascii") as file:
    private_key = file.read()


def refused(kind, status, call):
    try:
        call()
    except kind as error:
        assert error.status == status, error
    else:
        raise AssertionError(f"{status} was expected")


def connect(auth):
    return Github(base_url=address, auth=auth, retry=None, seconds_between_writes=0, seconds_between_requests=0)


client_of_token = connect(Auth.Token(token))
repository = client_of_token.get_repo("acme/mail")
for store in ("actions", "dependabot"):
    repository.create_secret("judge", "one", store)
    first = repository.get_secret("JUDGE", store)
    assert first.name == "JUDGE" and first.updated_at >= first.created_at
    repository.create_secret("JUDGE", "two", store)
    assert [one.name for one in repository.get_secrets(store)] == ["JUDGE"]
    repository.delete_secret("JUDGE", store)
    refused(UnknownObjectException, 404, lambda: repository.get_secret("JUDGE", store).name)
repository.create_secret("JUDGE", "stays")

for name in ("production", "review/eu west"):
    environment = client_of_token.get_repo("acme/shop").get_environment(name)
    environment.create_secret("JUDGE", "of " + name)
    assert [one.name for one in environment.get_secrets()] == ["JUDGE"]
refused(UnknownObjectException, 404, lambda: client_of_token.get_repo("acme/shop").get_environment("nowhere").id)

organization = client_of_token.get_organization("acme")
organization.create_secret("JUDGE", "for all", "all")
assert organization.get_secret("JUDGE").visibility == "all"
organization.create_secret("JUDGE", "for one", "selected", [repository])
assert organization.get_secret("JUDGE").visibility == "selected"
organization.create_secret("JUDGE", "for one", "selected", [repository], "dependabot")

refused(UnknownObjectException, 404, lambda: client_of_token.get_repo("acme/nowhere").id)
refused(BadCredentialsException, 401, lambda: connect(Auth.Token("unknown")).get_repo("acme/mail").id)
refused(GithubException, 422, lambda: repository.create_secret("GITHUB_JUDGE", "no"))

app = Auth.AppAuth(client, private_key)
given = app.get_installation_auth(int(installation), requester=connect(app).requester)
connect(given).get_repo("acme/mail").create_secret("BY_APP", "three")
print("judged")
