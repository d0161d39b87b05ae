"""Prints a SAM template as CloudFormation gets it, as JSON: {"source": ..., "transformed": ...}.

    .venv/bin/python tools/transform.py template.yaml

source is the template as written, with its short forms (!Ref) as objects; transformed is the result of the SAM
transform. It needs no account and no network. integration/template_test.go reads the output.
"""

import copy
import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")  # the translator derives the partition from it

from samcli.yamlhelper import yaml_parse  # noqa: E402  (after the region is set)
from samtranslator.translator.transform import transform  # noqa: E402


class NoManagedPolicies:
    """Replaces IAM's list of managed policies: our roles name none."""

    def load(self):
        return {}


def main(path):
    with open(path, encoding="utf-8") as file:
        source = yaml_parse(file.read())
    built = copy.deepcopy(source)
    built["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"  # what `sam package` would put there
    json.dump({"source": source, "transformed": transform(built, {}, NoManagedPolicies())}, sys.stdout, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
