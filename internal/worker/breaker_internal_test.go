package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"

	"license-deactivator/pkg/licenseapi"
)

// production is what functions/worker sets.
func production() Backoff { return ProductionBackoff() }

func answered(status int, code string) error {
	return &licenseapi.Error{Op: "deactivate_license", Status: status, Code: code}
}

func TestOnlyUnavailableAnswersOpenTheBreaker(t *testing.T) {
	t.Parallel()
	down := answered(503, "")
	for _, test := range []struct {
		name    string
		answers []error
		open    bool
	}{
		{"one too few", []error{down, down, down, down}, false},
		{"enough", []error{down, down, down, down, down}, true},
		{"the network", []error{io.EOF, io.EOF, down, io.EOF, io.EOF}, true},
		{"one is answered", []error{down, down, down, nil, down, down, down, down}, false},
		{"one is rejected", []error{down, down, down, answered(400, "license_not_found"), down, down, down, down}, false},
		{"one is already inactive", []error{down, down, down, answered(400, "device_not_found"), down, down, down, down}, false},
		{"429 alone", []error{answered(429, ""), answered(429, ""), answered(429, ""), answered(429, ""), answered(429, "")}, false},
		{"a wrong key", []error{answered(401, "invalid_api_key"), answered(401, ""), answered(401, ""), answered(401, ""), answered(401, "")}, false},
	} {
		b := newBreaker(4, production(), slog.New(slog.DiscardHandler))
		for _, answer := range test.answers {
			if err := b.Call(t.Context(), func(context.Context) error { return answer }); !errors.Is(err, answer) {
				t.Errorf("%s: got %v, want the call's own error", test.name, err)
			}
		}
		if open := b.Allow() != nil; open != test.open {
			t.Errorf("%s: open is %v, want %v", test.name, open, test.open)
		}
	}
}
