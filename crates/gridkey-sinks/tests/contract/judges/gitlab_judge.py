"""Drives the double of GitLab through python-gitlab, and tells what the double cannot do that GitLab can.

Arguments: the address, a token that may write, one that may only read.
"""

import sys

import gitlab
from gitlab.exceptions import GitlabAuthenticationError, GitlabCreateError, GitlabDeleteError, GitlabGetError
from gitlab.exceptions import GitlabUpdateError

address, writes, reads = sys.argv[1:]


def refused(kind, status, call):
    try:
        call()
    except kind as error:
        assert error.response_code == status, error
        return str(error)
    raise AssertionError(f"{status} was expected")


def connect(token):
    return gitlab.Gitlab(address, private_token=token, retry_transient_errors=False)


def everywhere(variables, kind):
    made = variables.create({"key": "JUDGE", "value": "one-text", "masked": True, "protected": True})
    assert (made.value, made.masked, made.protected, made.variable_type) == ("one-text", True, True, "env_var")
    text = refused(GitlabCreateError, 400, lambda: variables.create({"key": "JUDGE", "value": "two"}))
    assert "has already been taken" in text, text
    text = refused(GitlabCreateError, 400, lambda: variables.create({"key": "SHORT", "value": "two", "masked": True}))
    assert "value" in text, text
    refused(GitlabCreateError, 400, lambda: variables.create({"key": "no-name", "value": "two"}))
    made.value = "two-text"
    made.save()
    found = variables.get("JUDGE")
    assert (found.value, found.masked, found.protected) == ("two-text", True, True)
    assert [one.key for one in variables.list(get_all=True)] == ["JUDGE"]
    found.delete()
    text = refused(GitlabGetError, 404, lambda: variables.get("JUDGE"))
    assert f"404 {kind} Not Found" in text, text
    refused(GitlabDeleteError, 404, lambda: variables.delete("JUDGE"))


def in_scopes(variables):
    of = lambda scope: {"filter": {"environment_scope": scope}}
    variables.create({"key": "JUDGE", "value": "of production", "environment_scope": "production"})
    # The only one that there is, whatever its scope.
    assert variables.get("JUDGE").value == "of production"
    variables.create({"key": "JUDGE", "value": "of all"})
    refused(GitlabGetError, 409, lambda: variables.get("JUDGE"))
    assert variables.get("JUDGE", **{"filter[environment_scope]": "production"}).value == "of production"
    variables.update("JUDGE", {"value": "new", **of("production")})
    assert variables.get("JUDGE", **{"filter[environment_scope]": "production"}).value == "new"
    assert variables.get("JUDGE", **{"filter[environment_scope]": "*"}).value == "of all"
    # A scope in an update moves the variable.
    variables.update("JUDGE", {"value": "new", "environment_scope": "review/*", **of("production")})
    refused(GitlabGetError, 404, lambda: variables.get("JUDGE", **{"filter[environment_scope]": "production"}))
    for scope in ("review/*", "*"):
        variables.delete("JUDGE", **{"filter[environment_scope]": scope})
    made = variables.create({"key": "HIDDEN", "value": "one-text", "masked_and_hidden": True})
    assert (made.value, made.hidden, made.masked) == (None, True, True)
    refused(GitlabUpdateError, 400, lambda: variables.update("HIDDEN", {"value": "two-text", "masked": False}))
    variables.update("HIDDEN", {"value": "two-text"})
    assert variables.get("HIDDEN").value is None
    variables.delete("HIDDEN")


client = connect(writes)
project = client.projects.get("acme/mail", lazy=True)
group = client.groups.get("acme", lazy=True)
for variables, kind in ((project.variables, "Variable"), (group.variables, "GroupVariable"), (client.variables, "InstanceVariable")):
    everywhere(variables, kind)
in_scopes(project.variables)
in_scopes(group.variables)

assert client.personal_access_tokens.get("self").scopes == ["api"]
refused(GitlabGetError, 404, lambda: client.projects.get("acme/nowhere", lazy=True).variables.get("JUDGE"))
refused(GitlabAuthenticationError, 401, lambda: connect("unknown").projects.get("acme/mail", lazy=True).variables.list())
only_reads = connect(reads).projects.get("acme/mail", lazy=True).variables
text = refused(GitlabCreateError, 403, lambda: only_reads.create({"key": "JUDGE", "value": "no"}))
assert "insufficient_scope" in text, text
print("judged")
