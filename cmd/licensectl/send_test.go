package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSendPrintsNoAddressWithAToken posts as a sender whose token is in the address, to servers that are not there, that
// break off, and that answer with the address.
func TestSendPrintsNoAddressWithAToken(t *testing.T) {
	t.Parallel()
	const token = `canary&"<token>/1`
	secrets := file(t, "s.json", `{"license_api":{},"webhooks":{"salesforce":"canary&\"<token>/1"}}`)
	called := make(chan string, 1)
	answering := func(answer func(http.ResponseWriter, *http.Request)) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("token") != token {
				t.Errorf("the token did not come: %s", r.URL)
			}
			if r.URL.Path != "/webhooks/salesforce" {
				called <- r.URL.Path
			}
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	moved := func(to func(*http.Request) string) string {
		return answering(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to(r))
			w.WriteHeader(http.StatusMovedPermanently)
			fmt.Fprintf(w, `moved to <a href="%s">here</a> or %s or %s`, html.EscapeString(r.URL.String()), r.URL, r.URL.Query().Get("token")) //nolint:gosec // the answer is text, and send prints it
		})
	}
	for name, c := range map[string]struct {
		to   string
		code int
		want string
	}{
		"nobody listens":       {"http://127.0.0.1:1", exitFailed, "error: POST http://127.0.0.1:1/webhooks/salesforce: "},
		"no such host":         {"http://nowhere.invalid", exitFailed, "error: POST http://nowhere.invalid/webhooks/salesforce: "},
		"it breaks off":        {answering(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), exitFailed, "EOF"},
		"it moved":             {moved(func(r *http.Request) string { return "/elsewhere?" + r.URL.RawQuery }), exitFailed, "hint: senders follow no redirect"},
		"it moved to no place": {moved(func(r *http.Request) string { return "http://[" + r.URL.RawQuery }), exitFailed, "HTTP 301"},
		"the answer":           {answering(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "taken from "+r.URL.String()) }), exitDone, "taken from /webhooks/salesforce?token=…"}, //nolint:gosec // as above
		"a token in --to":      {"http://127.0.0.1:1/?token=canary", exitUsage, "--to has a query"},
		"a user in --to":       {"http://canary:canary@127.0.0.1:1", exitUsage, "--to has a query, a fragment or a user"},
		"no address":           {"127.0.0.1:1/webhooks/x?token=canary", exitUsage, "--to is not an address"},
		"a broken address":     {"http://127.0.0.1:1/%zz?token=canary", exitUsage, "--to is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, "send", "salesforce/order-refunded", "--secrets", secrets, "--to", c.to)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("exit code %d, want %d and %q in\n%s%s", code, c.code, c.want, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "canary") || strings.Contains(stdout+stderr, "token>") {
				t.Errorf("the token is printed:\n%s%s", stdout, stderr)
			}
		})
	}
	t.Cleanup(func() {
		select {
		case path := <-called:
			t.Errorf("a redirect to %s was followed", path)
		default:
		}
	})
}

func TestSendSaysWhatTheSecretsFileHolds(t *testing.T) {
	t.Parallel()
	code, _, stderr := command(t, "send", "stripe/full-refund", "--secrets", "nowhere.json")
	if code != exitFailed || !strings.Contains(stderr, "open nowhere.json") || !strings.Contains(stderr, "hint: "+secretsHint) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
