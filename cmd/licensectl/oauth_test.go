package main

import (
	"encoding/json"
	"strings"
	"testing"

	"license-deactivator/internal/local"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// TestLocalWithAnOAuthClient: every sample ends as its file says, and the client's secret goes only to the fake,
// with any address in the file.
func TestLocalWithAnOAuthClient(t *testing.T) {
	t.Parallel()
	secrets := local.FixedSecrets(builtInSources(t))
	secrets.LicenseAPI = json.RawMessage(`{"client_id":"auth_company_1","client_secret":"client-canary","token_url":"https://127.0.0.1:1/token"}`)
	content, err := json.Marshal(secrets)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", quick, "--secrets", file(t, "s.json", string(content)), "--fail", "token-expired")
	if code != exitDone || strings.Contains(stdout+stderr, "client-canary") {
		t.Errorf("exit code %d, or a secret in what is printed\n%s%s", code, stdout, stderr)
	}
}

func TestTokensComeFromTheFakeOnlyWhenTheAPIDoes(t *testing.T) {
	t.Parallel()
	if got := (localOptions{}).tokenURL("http://127.0.0.1:9/api/v4"); got != "http://127.0.0.1:9"+licenseapitest.TokenPath {
		t.Errorf("with the fake: %q", got)
	}
	if got := (localOptions{licenseAPI: "https://example.com/api/v4"}).tokenURL("https://example.com/api/v4"); got != "" {
		t.Errorf("with another API: %q, want what the secret says", got)
	}
}

func TestFakeAPITakesClientsFromItsState(t *testing.T) {
	t.Parallel()
	state, err := readState(file(t, "state.json", `{"api_keys":{},"clients":{"id":"secret"},"licenses":[]}`))
	if err != nil || state.Clients["id"] != "secret" {
		t.Errorf("client read: %t, error %v", state.Clients["id"] == "secret", err)
	}
}
