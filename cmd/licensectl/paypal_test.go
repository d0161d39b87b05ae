package main

import (
	"strings"
	"testing"

	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
)

// The private key of PayPal's samples is public. With a License API of the user's own, whose licenses may be real, it counts
// for nothing; with the fake one, samples are accepted, also for the webhook ids of a file.
func TestTheSamplesKeyCountsWithTheFakeAPIAlone(t *testing.T) {
	t.Parallel()
	api, err := local.NewFakeAPI(secrets.License{APIKey: "key", SharedKey: "shared"}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	stored := file(t, "s.json", `{"license_api":{"api_key":"key","shared_key":"shared"},"webhooks":{"paypal":"8PT597110X687430LKGECATA"}}`)
	for name, c := range map[string]struct {
		flags  []string
		code   int
		stdout string
		stderr string
	}{
		"a License API of the user's own": {[]string{"--license-api", startAPI(t, api)}, 1, "trusted root", "only paypal can sign for a deployed function"},
		"the fake License API":            {nil, 0, `"accepted"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			running := start(t, append([]string{"local", "--json", quick, "--secrets", stored}, c.flags...)...)
			code, stdout, stderr := command(t, "send", "--source", "paypal", "--case", "dispute-lost", "--to", running.address, "--secrets", stored)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
			}
		})
	}
}
