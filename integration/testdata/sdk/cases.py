"""Runs LicenseSpring's Python SDK against a License API on loopback.

Usage: cases.py HOST:PORT FOLDER. Prints one JSON object, the name of each case to what the SDK said: the answer's text, or
the code of the error. Request files go to FOLDER, written by the SDK's own functions.
"""

import base64
import json
import os
import sys

from licensespring.api import APIClient
from licensespring.api.error import ClientError, KeyCloakError
from licensespring.licensefile.offline_activation_guard import OfflineActivation
from licensespring.licensefile.storage.data_storage import DataStorage

domain, folder = sys.argv[1:]
said = {}


def client(**account):
    return APIClient(api_protocol="http", api_domain=domain, **account)


def case(name, call):
    try:
        said[name] = call()
    except ClientError as e:
        said[name] = e.code
    except KeyCloakError as e:
        said[name] = e.error


def request_file(name, data):
    """Writes a request file as License.deactivate_offline does, and returns its text."""
    offline = OfflineActivation()
    offline.set_is_activation(False)
    offline.set_data(data)
    path = DataStorage.create_request_file(None, offline, os.path.join(folder, name))
    with open(path) as f:
        return f.read()


device = {
    "os_ver": "test",
    "hostname": "R&D <lab> Zoë",
    "ip": "192.0.2.1",
    "mac_address": "00-00-5E-00-53-01",
}


def changed(text):
    """Changes one device in a request file and leaves its signatures."""
    content = base64.b64decode(text).decode().replace("py-changed", "py-another")
    return base64.b64encode(content.encode()).decode()


keys = client(api_key="sdk-api-key", shared_key="sdk-shared-key")
oauth = client(client_id="auth_company_1", client_secret="sdk-client-secret")
wrong = client(api_key="sdk-api-key", shared_key="another")
stranger = client(client_id="auth_company_1", client_secret="another")

key = {"product": "P1", "license_key": "SDK-KEY-0001"}
user = {"product": "US", "username": "sdk@example.com"}
bundle = {"product": "BU", "license_key": "SDK-KEY-0001"}

case("deactivate", lambda: keys.deactivate_license(**key, hardware_id="py-online"))
case("deactivate again", lambda: keys.deactivate_license(**key, hardware_id="py-online"))
case("deactivate a user", lambda: keys.deactivate_license(**user, hardware_id="py-online"))
case("unknown license", lambda: keys.deactivate_license(product="P1", license_key="nobody", hardware_id="h"))
case("wrong shared key", lambda: wrong.deactivate_license(**key, hardware_id="py-left"))
case("bundle", lambda: keys.deactivate_bundle(**bundle, hardware_id="py-bundle"))
case("bundle again", lambda: keys.deactivate_bundle(**bundle, hardware_id="py-bundle"))
case("release", lambda: keys.floating_release(**key, hardware_id="py-floating"))
case("release again", lambda: keys.floating_release(**key, hardware_id="py-floating"))

case("oauth", lambda: oauth.deactivate_license(**key, hardware_id="py-oauth"))
case("oauth bundle", lambda: oauth.deactivate_bundle(**bundle, hardware_id="py-oauth"))
case("oauth release", lambda: oauth.floating_release(**key, hardware_id="py-oauth-floating"))
case("oauth wrong secret", lambda: stranger.deactivate_license(**key, hardware_id="py-left"))

dump = keys.deactivate_offline_dump(**key, hardware_id="py-offline", variables={"seat": "7"}, **device)
case("offline", lambda: keys.deactivate_offline(dump))
case("offline again", lambda: keys.deactivate_offline(dump))
case("offline changed", lambda: keys.deactivate_offline(changed(keys.deactivate_offline_dump(**key, hardware_id="py-changed", **device))))
case("offline corrupt", lambda: keys.deactivate_offline("this is no Base64"))
case("oauth offline", lambda: oauth.deactivate_offline(oauth.deactivate_offline_dump(**user, hardware_id="py-offline", **device)))

text = request_file("newline", keys.deactivate_offline_dump(**key, hardware_id="py-newline", **device))
case("offline with a newline", lambda: keys.deactivate_offline(text) if text.endswith("\n") else "no newline")

request_file("key", keys.deactivate_offline_dump(**key, hardware_id="py-file", license_id=1, **device))
request_file("oauth", oauth.deactivate_offline_dump(**user, hardware_id="py-file", **device))
request_file("bundle", keys.deactivate_offline_dump(**bundle, hardware_id="py-file", **device))

print(json.dumps(said))
