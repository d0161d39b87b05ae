package licenseapi

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"license-deactivator/pkg/internal/apihttp"
)

// FuzzReply answers a call with arbitrary bytes. It requires a kind and a code, and that neither the error nor the log
// holds a value of the request.
func FuzzReply(f *testing.F) {
	d := Deactivation{
		Product: "XY", Username: "canary-user@example.com", Password: "canary-Password", HardwareID: "canary-device",
		Variables: []byte(`{"canary-name":"canary-text"}`),
	}
	const all = `canary-user@example.com CANARY-password canary-device canary-name canary-text ` + testAPIKey
	for _, seed := range []struct {
		status                          int
		retryAfter, requestID, mimeType string
		body                            string
	}{
		{200, "", "", "text/plain", "license_deactivated"},
		{200, "", "", all, all},
		{400, "", "r1", "application/json", `{"status":400,"code":"license_not_found","message":"` + all + `"}`},
		{400, "", all, "application/json", `{"code":"` + all + `","message":"canary-user@exa\u0000mple.com"}`},
		{400, "", "", "", `{"code":"canary-device"}`},
		{400, "", "", "", `{"code":["canary-device"],"message":{"a":"canary-device"}}`},
		{401, "", "", "text/html", `<html>` + all},
		{429, "30", "", "", ``},
		{429, "Fri, 02 Jan 2026 03:05:05 GMT", "", "", `{"code":null}`},
		{503, "-1", "", "", strings.Repeat("[", 20_000)},
		{301, "99999999999999999999", "", "", "\xff\xfe"},
		{101, "", "", "", all},
	} {
		f.Add(seed.status, seed.retryAfter, seed.requestID, seed.mimeType, []byte(seed.body))
	}

	authorizer := testSigner(f)
	f.Fuzz(func(t *testing.T, status int, retryAfter, requestID, mimeType string, body []byte) {
		var log bytes.Buffer
		client, err := New(Config{
			BaseURL: "https://api.licensespring.com/api/v4", Authorizer: authorizer, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
			header := http.Header{
				"Retry-After": {retryAfter}, "X-Request-Id": {requestID}, "Content-Type": {mimeType}, "Location": {requestID},
			}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})
		err = client.Deactivate(t.Context(), d)

		if kind := KindOf(err); kind < KindDeactivated || kind > KindFileRefused || (kind == KindDeactivated) != (status == 200 && saysDeactivated(strings.TrimSpace(string(body)))) {
			t.Errorf("status %d is %v", status, kind)
		}
		if err != nil {
			checkError(t, err, status)
		}
		for _, secret := range strings.Fields(strings.ToLower(all)) {
			if strings.Contains(strings.ToLower(log.String()), secret) {
				t.Error("the log holds a value of the request")
			}
			if err != nil && strings.Contains(strings.ToLower(err.Error()), secret) {
				t.Error("the error holds a value of the request")
			}
		}
	})
}

func checkError(t *testing.T, err error, status int) {
	t.Helper()
	answer, ok := errors.AsType[*Error](err)
	if !ok || answer.Status != status {
		t.Fatalf("got %v, want an *Error of status %d", err, status)
	}
	if CodeOf(err) == "" || answer.RetryAfter < 0 || answer.RetryAfter > apihttp.MaxRetryAfter {
		t.Errorf("got code %q, wait %v", CodeOf(err), answer.RetryAfter)
	}
	if utf8.RuneCountInString(answer.Message) > apihttp.MaxTextRunes || utf8.RuneCountInString(answer.Code) > maxCodeRunes {
		t.Errorf("message or code is too long")
	}
	for _, r := range err.Error() {
		if !unicode.IsPrint(r) {
			t.Errorf("the error holds the character U+%04X", r)
		}
	}
	if !utf8.ValidString(err.Error()) {
		t.Error("the error is not UTF-8")
	}
}
