package sample_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/telemetry"
)

// TestARunWithTheLookUpExpectsWhatTheFileSaysOfIt: a request whose order has no license waits in production for an hour, so
// the run ends with it.
func TestARunWithTheLookUpExpectsWhatTheFileSaysOfIt(t *testing.T) {
	t.Parallel()
	const id = "acme.e1.0"
	tried := sample.Sample{Source: "acme", Answer: deactivation.Unmappable, LookUp: &sample.LookUp{
		Requests: []sample.Request{{ID: id, Scope: "order", Outcome: deactivation.Deferred, Code: "no_license"}},
	}}
	for name, c := range map[string]struct {
		lookUp  bool
		outcome telemetry.Message
		want    []string
	}{
		"it waits":              {true, telemetry.Message{ID: id, Outcome: deactivation.Deferred, Code: "no_license"}, nil},
		"it has waited":         {true, telemetry.Message{ID: id, Outcome: deactivation.Rejected, Code: "no_license"}, nil},
		"it was found":          {true, telemetry.Message{ID: id, Outcome: deactivation.Deactivated}, []string{"the outcome of acme.e1.0 is deactivated, expected deferred"}},
		"the look-up is off":    {false, telemetry.Message{}, nil},
		"a review of the order": {true, telemetry.Message{ID: id, Outcome: deactivation.Rejected, Code: "partial"}, []string{"the outcome of acme.e1.0 is rejected, expected deferred"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := sample.NewRun(false, false)
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				d := telemetry.Delivery{Source: "acme", Answer: deactivation.Unmappable}
				if c.lookUp {
					d.Answer, d.Requests = deactivation.Accepted, []string{id}
					defer run.OnOutcome(c.outcome)
				}
				run.OnDelivery(d)
			}))
			t.Cleanup(server.Close)
			results := run.Send(t.Context(), sample.Target{
				Address: server.URL, LookUp: c.lookUp,
				Signer: func(string) (sample.Signer, bool) { return unsigned{}, true }, Secret: func(string) string { return "s" },
			}, []sample.Sample{tried})
			if got := results[0].Mismatches; !slices.Equal(got, c.want) {
				t.Errorf("mismatches %q, want %q", got, c.want)
			}
		})
	}
}
