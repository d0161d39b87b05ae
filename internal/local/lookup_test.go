package local

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/sources"
)

// disputed is the order of the sample stripe/chargeback.
const disputed = "pi_3Tg3hjsKq7VbnZx2Rt1dEG6o8I"

// system is the system with the look-up, over a fake with these licenses.
type system struct {
	t        *testing.T
	sources  *source.Sources
	api      *licenseapitest.Server
	stack    *Stack
	outcomes chan telemetry.Message
}

func newSystem(t *testing.T, change func(*Config), licenses ...licenseapitest.License) *system {
	t.Helper()
	s := &system{t: t, outcomes: make(chan telemetry.Message, 1000)}
	var err error
	if s.sources, err = source.Load(sources.FS()); err != nil {
		t.Fatal(err)
	}
	s.api, err = licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{APIKey: SharedKey}, ManagementAPIKeys: []string{ManagementAPIKey}, Licenses: licenses,
	}, licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := s.api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	license, webhooks := FixedSecrets(s.sources).Readers("")
	c := Config{
		Sources: s.sources, LicenseSecret: license, WebhookSecrets: webhooks, LicenseAPI: address, CallsPerSecond: 1e6, CallsInFlight: 4,
		ManagementAPI: licenseapitest.ManagementURL(address), ManagementCallsPerMinute: 1e6, FirstRetry: 10 * time.Millisecond,
		Recorder:  telemetry.New(io.Discard, slog.LevelError+1, ""),
		OnOutcome: func(m telemetry.Message) { s.outcomes <- m },
	}
	if change != nil {
		change(&c)
	}
	if s.stack, err = New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.stack.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// dispute delivers the sample stripe/chargeback and returns the answer.
func (s *system) dispute() string {
	s.t.Helper()
	tried, err := sample.Read(events.FS(), "stripe/chargeback")
	if err != nil {
		s.t.Fatal(err)
	}
	from, _ := s.sources.Get(tried.Source)
	stored, err := secrets.ParseWebhooks(string(FixedSecrets(s.sources).Webhooks))
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := stored.Keys(tried.Source)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := tried.Signed(from, "http://127.0.0.1", keys[0], time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	s.stack.ServeHTTP(rec, req)
	return rec.Body.String()
}

// next returns the outcome of the next receive.
func (s *system) next() telemetry.Message {
	s.t.Helper()
	select {
	case m := <-s.outcomes:
		return m
	case <-time.After(time.Minute): // no result depends on it
		s.t.Fatal("no outcome")
	}
	return telemetry.Message{}
}

// writes returns what was changed, as "act device".
func (s *system) writes() []string {
	var all []string
	for _, w := range s.api.Ledger() {
		if w.Code == "" {
			all = append(all, strings.TrimSpace(w.Act+" "+w.Device))
		}
	}
	return all
}

func owned(key, order string, devices ...string) licenseapitest.License {
	return licenseapitest.License{Product: "acme-pro", LicenseKey: key, Order: order, Devices: devices}
}

func TestARefundBeforeItsFulfilmentWaitsAndIsFound(t *testing.T) {
	t.Parallel()
	s := newSystem(t, nil, owned("K0", "another order", "hw0"))
	if answer := s.dispute(); !strings.Contains(answer, `"accepted"`) {
		t.Fatalf("answer %s", answer)
	}
	early := s.next()
	if early.Outcome != deactivation.Deferred || early.Code != "no_license" || early.RetryIn > 40*time.Millisecond {
		t.Fatalf("before the fulfilment: %s %s, again in %v", early.Outcome, early.Code, early.RetryIn)
	}
	if err := s.api.Add(owned("K1", disputed, "hw1", "hw2")); err != nil {
		t.Fatal(err)
	}
	late := s.next()
	for late.Code == "no_license" { // the second look may have begun before the fulfilment
		late = s.next()
	}
	if late.Outcome != deactivation.Deactivated || late.LookupShort != "order "+disputed+": 2 devices freed" {
		t.Errorf("after it: %s %s, %q", late.Outcome, late.Code, late.LookupShort)
	}
	if got, want := s.writes(), []string{"deactivate_license hw1", "deactivate_license hw2"}; !slices.Equal(got, want) {
		t.Errorf("writes %q, want %q", got, want)
	}
}

// TestWhatKeepsALookUpFromWriting sends a dispute of an order with two licenses.
func TestWhatKeepsALookUpFromWriting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*Config)
		fault   string
		outcome deactivation.Outcome
		reason  deactivation.Reason
		code    string
	}{
		"the brake has room for one": {func(c *Config) { c.SurgeLimit = 1 }, "", deactivation.Rejected, deactivation.ReasonHeld, "surge"},
		"watch mode":                 {func(c *Config) { c.Watch = true }, "", deactivation.Rejected, deactivation.ReasonWatched, ""},
		"filters that do not work":   {nil, "management-filters-ignored", deactivation.Deferred, "", "filters_untrusted"},
		"a license of somebody else": {nil, "management-foreign-license", deactivation.Deferred, "", "filters_untrusted"},
		"a refused key":              {nil, "management-403", deactivation.Deferred, "", "http_403"},
		"no key in the secret":       {func(c *Config) { c.LicenseSecret = withoutManagementKey{} }, "", deactivation.Deferred, "", ""},
		"the Management API is down": {nil, "management-down", deactivation.Deferred, "", "http_503"},
		"the License API is down":    {nil, "down", deactivation.Deferred, "", "internal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, c.change, owned("K1", disputed, "hw1"), owned("K2", disputed, "hw2"), owned("K3", "another order", "hw3"))
			if c.fault != "" {
				if err := s.api.Fail(c.fault); err != nil {
					t.Fatal(err)
				}
			}
			s.dispute()
			if m := s.next(); m.Outcome != c.outcome || m.Reason != c.reason || m.Code != c.code {
				t.Errorf("got %s %s %q (%s), want %s %s %q", m.Outcome, m.Reason, m.Code, m.Detail, c.outcome, c.reason, c.code)
			}
			if got := s.writes(); len(got) > 0 {
				t.Errorf("writes %q", got)
			}
		})
	}
}

// withoutManagementKey is the fixed secret without the key of the Management API.
type withoutManagementKey struct{}

func (withoutManagementKey) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: `{"api_key":"` + APIKey + `","shared_key":"` + SharedKey + `"}`, Version: "1"}, nil
}

func TestTheFakesKeyIsUsedWhereTheSecretHasNone(t *testing.T) {
	t.Parallel()
	s := newSystem(t, func(c *Config) { c.LicenseSecret, c.ManagementAPIKey = withoutManagementKey{}, ManagementAPIKey }, owned("K1", disputed, "hw1"))
	s.dispute()
	if m := s.next(); m.Outcome != deactivation.Deactivated {
		t.Errorf("%s %s (%s)", m.Outcome, m.Code, m.Detail)
	}
}

func TestWithoutAManagementAPINothingIsLookedUp(t *testing.T) {
	t.Parallel()
	s := newSystem(t, func(c *Config) { c.ManagementAPI = "" }, owned("K1", disputed, "hw1"))
	if answer := s.dispute(); !strings.Contains(answer, `"unmappable"`) || s.stack.DeadLetters.Len() != 1 {
		t.Errorf("answer %s, %d dead letters", answer, s.stack.DeadLetters.Len())
	}
	if got := s.api.Counts().Management; got != 0 {
		t.Errorf("%d calls of the Management API", got)
	}
}
