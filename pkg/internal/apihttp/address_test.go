package apihttp_test

import (
	"strings"
	"testing"

	"license-deactivator/pkg/internal/apihttp"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ address, want, problem string }{
		{"https://api.example.com/v1/", "https://api.example.com/v1", ""},
		{"http://127.0.0.1:8081/v1", "http://127.0.0.1:8081/v1", ""},
		{"http://[::1]/", "http://[::1]", ""},
		{"", "", "is missing"},
		{"api.example.com/v1", "", "is no address such as https://example.com"},
		{"ftp://api.example.com", "", "must begin with https://"},
		{"http://api.example.com", "", "must be https; http is allowed for this machine alone"},
		{"https://user:pass-word@api.example.com", "", "must not hold a user or password"},
		{"https://api.example.com?pass-word", "", "must end with its path: no query, no fragment"},
	} {
		got, err := apihttp.CheckAddress(c.address, "https://example.com")
		if problem := errorText(err); got != c.want || problem != c.problem || strings.Contains(problem, "pass-word") {
			t.Errorf("%q: got %q and %q, want %q and %q", c.address, got, problem, c.want, c.problem)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
