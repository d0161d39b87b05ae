package sample_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/signing"
)

// unsigned signs nothing.
type unsigned struct{}

func (unsigned) Sign(*signing.Delivery, time.Time, string) error { return nil }

func TestARunReportsEachMismatch(t *testing.T) {
	t.Parallel()
	const id = "acme.e1.0"
	accepted := telemetry.Delivery{Source: "acme", Answer: deactivation.Accepted, Rule: "refunded", Requests: []string{id}}
	deactivated := telemetry.Message{ID: id, Outcome: deactivation.Deactivated}
	inactive := telemetry.Message{ID: id, Outcome: deactivation.AlreadyInactive}
	deferred := telemetry.Message{ID: id, Outcome: deactivation.Deferred}
	held := telemetry.Message{ID: id, Outcome: deactivation.Rejected, Reason: deactivation.ReasonHeld}
	for name, c := range map[string]struct {
		delivery telemetry.Delivery // what the system does with the sample
		outcomes []telemetry.Message
		lossy    bool
		brake    bool
		secret   string
		want     []string
	}{
		"as expected":               {accepted, []telemetry.Message{deactivated}, false, false, "s", nil},
		"deferred before":           {accepted, []telemetry.Message{deferred, deactivated}, false, false, "s", nil},
		"another outcome":           {accepted, []telemetry.Message{inactive}, false, false, "s", []string{"the outcome of acme.e1.0 is already_inactive, expected deactivated"}},
		"a lost answer":             {accepted, []telemetry.Message{inactive}, true, false, "s", nil},
		"rejected by a lossy API":   {accepted, []telemetry.Message{{ID: id, Outcome: deactivation.Rejected}}, true, false, "s", []string{"the outcome of acme.e1.0 is rejected, expected deactivated"}},
		"held by the brake":         {accepted, []telemetry.Message{held}, false, true, "s", nil},
		"held without a brake":      {accepted, []telemetry.Message{held}, false, false, "s", []string{"the outcome of acme.e1.0 is rejected, expected deactivated"}},
		"another outcome, a brake":  {accepted, []telemetry.Message{inactive}, false, true, "s", []string{"the outcome of acme.e1.0 is already_inactive, expected deactivated"}},
		"never worked":              {accepted, nil, false, false, "s", []string{"acme.e1.0 is still in the queue"}},
		"deferred until the end":    {accepted, []telemetry.Message{deferred}, false, false, "s", []string{"the outcome of acme.e1.0 is deferred, expected deactivated"}},
		"a source without a secret": {accepted, nil, false, false, "", []string{"its source has no file or no secret here"}},
		"ignored": {telemetry.Delivery{Source: "acme", Answer: deactivation.Ignored, Rule: "paid"}, nil, false, false, "s", []string{
			"the answer is ignored, expected accepted", "the rule is paid, expected refunded", "the number of requests is 0, expected 1",
			"there is no request acme.e1.0",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := sample.NewRun(c.lossy, c.brake)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			final := slices.ContainsFunc(c.outcomes, func(m telemetry.Message) bool { return m.Outcome != deactivation.Deferred })
			sent := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Topic") == "last" {
					cancel()
					return
				}
				sent++
				if r.Method != http.MethodPost || r.URL.Path != "/webhooks/acme" || r.Header.Get("X-Topic") != "refund" {
					t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
				}
				run.OnDelivery(c.delivery)
				work := func() {
					for _, m := range c.outcomes {
						run.OnOutcome(m)
					}
				}
				if final {
					go work() // Send waits for this
				} else {
					work()
				}
			}))
			t.Cleanup(server.Close)
			first := sample.Sample{
				Source: "acme", Case: "full", Body: []byte("{}"), Headers: map[string]string{"X-Topic": "refund"},
				Answer: deactivation.Accepted, Rule: "refunded", Requests: []sample.Request{{ID: id, Outcome: deactivation.Deactivated}},
			}
			samples := []sample.Sample{first}
			if !final { // no outcome ends the wait, so a second delivery ends it
				last := first
				last.Headers = map[string]string{"X-Topic": "last"}
				samples = append(samples, last)
			}
			results := run.Send(ctx, sample.Target{
				Address: server.URL,
				Signer:  func(source string) (sample.Signer, bool) { return unsigned{}, source == "acme" },
				Secret:  func(string) string { return c.secret },
			}, samples)
			if got := results[0].Mismatches; len(results) != len(samples) || !slices.Equal(got, c.want) {
				t.Errorf("mismatches %q, want %q", got, c.want)
			}
			if sent != map[bool]int{true: 1, false: 0}[c.secret != ""] {
				t.Errorf("%d deliveries", sent)
			}
		})
	}
}
