"""The vendor's own client, asked line by line: a service, an action and its arguments in, an answer or an error out."""

import json
import sys

import boto3
import botocore.config
import botocore.exceptions

address, region = sys.argv[1:3]
session = boto3.Session("AKIAHAND", "hand", region_name=region)
# Nothing of the machine's own configuration, and no credentials but these.
configuration = botocore.config.Config(retries={"max_attempts": 1}, proxies={})
clients = {}

for line in sys.stdin:
    service, action, arguments = json.loads(line)
    if service not in clients:
        clients[service] = session.client(service, endpoint_url=address, config=configuration)
    if "SecretBinary" in arguments:
        arguments["SecretBinary"] = bytes(arguments["SecretBinary"], "utf-8")
    try:
        answer = getattr(clients[service], action)(**arguments)
        answer.pop("ResponseMetadata", None)
        said = {"answer": answer}
    except botocore.exceptions.ClientError as error:
        said = {"error": error.response["Error"]["Code"]}
    except botocore.exceptions.ParamValidationError as error:
        said = {"error": str(error)}

    def plain(value):
        return value.decode() if isinstance(value, bytes) else str(value)

    print(json.dumps(said, default=plain), flush=True)
