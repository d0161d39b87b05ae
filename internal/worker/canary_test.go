package worker_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/worker"
)

// canaries are requests full of secrets, one for each identity. Every value that must not be logged begins with
// "canary"; only the last four characters of a license key may be logged.
func canaries() []deactivation.Request {
	common := deactivation.License{Product: "XY", HardwareID: "canary-hardware-0001", Hostname: "canary-hostname", IP: "canary-ip"}
	byKey, byUser, byToken, byCode := common, common, common, common
	byKey.LicenseKey = "canary-license-key-0001"
	byUser.Username, byUser.Password = "canary@example.com", `canary"pass&wörd` // JSON escapes it
	byToken.IDToken, byToken.CustomerAccountCode = "canary-id-token", "canary-account"
	byCode.Code, byCode.CustomerAccountCode = "canary-code", "canary-account"

	var all []deactivation.Request
	for i, license := range []deactivation.License{byKey, byUser, byToken, byCode} {
		r := request(i + 1)
		r.License = license
		r.Order = []string{"order-4711"} // an id of the store, by which people search
		all = append(all, r)
	}
	return all
}

// echoing is an API that returns everything it receives, in every part that a client may read.
func echoing(status int, code string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		said := fmt.Sprintf("%s %s %v", body, strings.ToUpper(string(body)), r.Header)
		w.Header().Set("X-Request-Id", r.Header.Get("Authorization"))
		w.Header().Set("Retry-After", "canary")
		answer, _ := json.Marshal(map[string]any{"status": status, "code": code, "message": said})
		w.WriteHeader(status)
		if code == "" {
			answer = []byte(said)
		}
		_, _ = w.Write(answer) //nolint:gosec // an API for this test, not a page
	})
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		api    http.Handler
		change func(*worker.Config)
	}{
		{"deactivated", echoing(200, ""), nil},
		{"rejected", echoing(400, "license_not_found"), nil},
		{"rejected with a secret as code", echoing(400, "canary-license-key-0001 canary@example.com canary-id-token canary-code"), nil},
		{"already inactive", echoing(400, "device_not_found"), nil},
		{"unavailable", echoing(503, "internal_error"), nil},
		{"a proxy", echoing(400, ""), nil},
		{"rate limited", echoing(429, "slow_down"), nil},
		{"bad credentials", echoing(401, "signature_mismatch"), nil},
		{"stale date", echoing(400, "date_header_diff"), nil},
		{"unauthorized", echoing(403, ""), nil},
		{"misconfigured", echoing(404, "not_found"), nil},
		{"redirected", echoing(302, ""), nil},
		{"product not allowed", echoing(400, "api_key_product_not_allowed"), nil},
		{"no HTTP", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.Copy(conn, r.Body) // not an answer, but the request itself
				_ = conn.Close()
			}
		}), nil},
		{"panic", echoing(200, ""), func(cfg *worker.Config) { cfg.Secrets = &panicking{Secrets: cfg.Secrets, at: 1} }},
		{"watched", echoing(200, ""), func(cfg *worker.Config) { cfg.Watch = true }},
		{"held", echoing(200, ""), func(cfg *worker.Config) { cfg.SurgeLimit = 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			change := func(*worker.Config) {}
			if test.change != nil {
				change = test.change
			}
			r := newHarness(t, test.api, change)
			for _, refuse := range []bool{false, true} {
				r.source.refuse, r.dead.refuse = refuse, func(int) bool { return refuse }
				for _, request := range canaries() {
					r.work(wire(request))
					// The same as a broken message: one with a field of the wrong type, and one with a missing field.
					r.work(strings.Replace(wire(request), `"XY"`, `["canary"]`, 1), strings.Replace(wire(request), `"XY"`, `""`, 1))
				}
			}
			check := func(where, text string) {
				if at := strings.Index(strings.ToLower(text), "canary"); at >= 0 {
					t.Errorf("%s: …%.120s", where, text[max(at-60, 0):])
				}
			}
			check("log and metrics", string(r.log.Bytes()))
			for _, m := range r.logged() {
				check("logged", fmt.Sprintf("%+v", m))
			}
			letters := r.letters()
			for _, letter := range letters {
				for name, value := range letter.Attributes {
					check("attribute "+name, value)
				}
			}
			if len(letters) == 0 || len(r.logged()) != 24 {
				t.Errorf("%d dead letters and %d outcomes: the test did not go through everything", len(letters), len(r.logged()))
			}
		})
	}
}
