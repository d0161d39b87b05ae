package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/signing"
)

// locked is an API that knows one shared key and answers all others with one kind of fault.
type locked struct {
	mu        sync.Mutex
	sharedKey string
	refuse    func(calls int) *answering // before the key is checked; nil answer: go on
	calls     int
}

func (l *locked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.calls++
	calls, key := l.calls, l.sharedKey
	l.mu.Unlock()
	if l.refuse != nil {
		if answer := l.refuse(calls); answer != nil {
			answer.ServeHTTP(w, r)
			return
		}
	}
	if !strings.Contains(r.Header.Get("Authorization"), `signature="`+signing.OnlineSignature(key, r.Header.Get("Date"))+`"`) {
		failure(401, "signature_mismatch").ServeHTTP(w, r)
		return
	}
	_, _ = io.WriteString(w, confirmation)
}

func (l *locked) rotate(sharedKey string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sharedKey = sharedKey
}

func TestSecretThatIsRotatedUnderLoadCostsOneRead(t *testing.T) {
	t.Parallel()
	api := &locked{sharedKey: testSharedKey}
	r := newHarness(t, api)
	r.work(requests(50)...)

	api.rotate("canary-new-key")
	r.secret.rotate(secretText("canary-new-key"))
	logged := r.work(requests(100)...)

	if diff := cmp.Diff(map[deactivation.Outcome]int{deactivation.Deactivated: 100}, count(logged)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if reads := r.secret.readCount(); reads != 2 {
		t.Errorf("the secret was read %d times, want once and once again", reads)
	}
	if r.faults() > 0 || r.dead.Len() > 0 {
		t.Errorf("%d configuration faults, %d dead letters", r.faults(), r.dead.Len())
	}
	for _, m := range logged {
		if m.KeyVersion != "v2" {
			t.Errorf("%s was last signed with %q", m.ID, m.KeyVersion)
		}
	}
}

func TestSecondAnswerDecides(t *testing.T) {
	t.Parallel()
	// first answers the first call only.
	first := func(a *answering) func(int) *answering {
		return func(calls int) *answering {
			if calls == 1 {
				return a
			}
			return nil
		}
	}
	always := func(a *answering) func(int) *answering { return func(int) *answering { return a } }
	for _, test := range []struct {
		name    string
		refuse  func(int) *answering
		other   bool // the store holds another version than the one that signed first
		outcome deactivation.Outcome
		code    string
		calls   int
		faults  int
	}{
		{"stale date once", first(failure(400, "date_header_diff")), false, deactivation.Deactivated, "", 2, 0},
		{"stale date twice", always(failure(400, "date_header_diff")), false, deactivation.Deferred, "date_header_diff", 2, 1},
		{"401 once", first(&answering{status: 401}), false, deactivation.Deactivated, "", 2, 0},
		{"403 twice", always(&answering{status: 403}), false, deactivation.Deferred, "http_403", 2, 0},
		{"401, then 503", func(calls int) *answering {
			return []*answering{1: {status: 401}, 2: {status: 503}}[calls]
		}, false, deactivation.Deferred, "http_503", 2, 0},
		{"401, then rejected", func(calls int) *answering {
			return []*answering{1: {status: 401}, 2: failure(400, "license_not_found")}[calls]
		}, false, deactivation.Rejected, "license_not_found", 2, 0},
		{"wrong key, same version", always(failure(400, "invalid_api_key")), false, deactivation.Deferred, "invalid_api_key", 1, 1},
		{"wrong key, another version", first(failure(400, "invalid_api_key")), true, deactivation.Deactivated, "", 2, 0},
		{"wrong key in both versions", always(failure(400, "revoked_api_key")), true, deactivation.Deferred, "revoked_api_key", 2, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := &locked{sharedKey: testSharedKey}
			r := newHarness(t, api)
			r.work(wire(request(1))) // holds v1
			api.calls, api.refuse = 0, test.refuse
			if test.other {
				r.secret.rotate(secretText(testSharedKey))
			}
			got := r.work(wire(request(1)))[0]
			if got.Outcome != test.outcome || got.Code != test.code || api.calls != test.calls || r.faults() != test.faults {
				t.Errorf("%s (%s), %d calls, %d faults; want %s (%s), %d, %d",
					got.Outcome, got.Code, api.calls, r.faults(), test.outcome, test.code, test.calls, test.faults)
			}
		})
	}
}

func TestConfigurationFaultStopsTheBatch(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"invalid_api_key", "read_only_api_key", "hmac_required"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			api := failure(400, code)
			r := newHarness(t, api)
			logged := r.work(append(requests(50), "invalid")...)

			if api.calls > 10 {
				t.Errorf("%d calls with 10 in flight: the batch went on", api.calls)
			}
			for _, m := range logged {
				if m.ID != "" && m.Outcome == deactivation.Deferred && (m.RetryIn != 15*time.Minute || m.Code != code) {
					t.Errorf("%s comes back in %v with code %q, want 15 min and %s", m.ID, m.RetryIn, m.Code, code)
				}
			}
			want := map[deactivation.Outcome]int{deactivation.Deferred: 50, deactivation.Rejected: 1}
			if diff := cmp.Diff(want, count(logged)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if r.faults() != 1 || strings.Count(string(r.log.Bytes()), `"level":"ERROR"`) != 1 {
				t.Errorf("%d faults in the metric; want one line and one in the metric", r.faults())
			}
			if r.source.Len() != 50 || r.dead.Len() != 1 {
				t.Errorf("%d kept and %d dead letters, want 50 and the invalid one", r.source.Len(), r.dead.Len())
			}
		})
	}
}

func TestProductThatTheKeyMayNotTouchIsOneMessagesFault(t *testing.T) {
	t.Parallel()
	r := newHarness(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if n := licenseOf(req); n == licenseKey(1) || n == licenseKey(2) {
			failure(400, "api_key_product_not_allowed").ServeHTTP(w, req)
			return
		}
		_, _ = io.WriteString(w, confirmation)
	}))
	logged := r.work(requests(50)...)
	want := map[deactivation.Outcome]int{deactivation.Deactivated: 48, deactivation.Deferred: 2}
	if diff := cmp.Diff(want, count(logged)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if r.faults() != 1 {
		t.Errorf("%d faults, want one for the invocation", r.faults())
	}
}

// stuck is a secret store whose refresh has not returned when the invocation ends.
type stuck struct {
	worker.Secrets
	end context.CancelFunc
}

func (s stuck) Refresh(ctx context.Context, _ string) (secrets.Held[secrets.License], error) {
	s.end()
	<-ctx.Done()
	return secrets.Held[secrets.License]{}, ctx.Err()
}

func TestNoTimeToReadTheSecretAgainIsNoFault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := newHarness(t, failure(401, "signature_mismatch"), func(cfg *worker.Config) {
		cfg.CallsInFlight, cfg.Secrets = 1, stuck{cfg.Secrets, cancel}
	})
	r.handle(ctx, r.batch(requests(3)...))
	for _, m := range r.logged() {
		if m.Outcome != deactivation.Deferred || m.RetryIn != 0 {
			t.Errorf("%s, comes back in %v; want handed back at once", m.Outcome, m.RetryIn)
		}
	}
	if r.faults() != 0 {
		t.Error("it was logged as a configuration fault")
	}
}

func TestSecretThatWasSpoiledAfterwardsIsNamedWithTheFault(t *testing.T) {
	t.Parallel()
	api := &locked{sharedKey: testSharedKey}
	r := newHarness(t, api)
	r.work(wire(request(1)))
	api.rotate("canary-new-key")
	r.secret.rotate(`{"api_key":"canary"}`)
	r.work(wire(request(2)))
	if log := string(r.log.Bytes()); r.faults() != 1 || !strings.Contains(log, "signature_mismatch") || !strings.Contains(log, "shared_key is missing") {
		t.Errorf("%d faults; want one that names the answer and the secret", r.faults())
	}

	// The store is still broken when the API accepts the old key again: one warning in a batch, and no configuration
	// fault.
	api.rotate(testSharedKey)
	logged := r.work(requests(5)[2:]...)
	if n := strings.Count(string(r.log.Bytes()), "using the cached value"); count(logged)[deactivation.Deactivated] != 3 || n != 1 {
		t.Errorf("outcomes %v, %d warnings of the spoiled secret; want 3 deactivated and one warning", count(logged), n)
	}
}

func TestFaultOfEveryMessageWinsOverThatOfOne(t *testing.T) {
	t.Parallel()
	r := newHarness(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if licenseOf(req) == licenseKey(1) {
			failure(400, "api_key_product_not_allowed").ServeHTTP(w, req)
			return
		}
		failure(400, "read_only_api_key").ServeHTTP(w, req)
	}), func(cfg *worker.Config) { cfg.CallsInFlight = 1 })
	logged := r.work(requests(5)...)
	for _, m := range logged {
		if m.RetryIn != 15*time.Minute {
			t.Errorf("%s comes back in %v, want 15 min", m.ID, m.RetryIn)
		}
	}
	log := string(r.log.Bytes())
	if r.faults() != 1 || !strings.Contains(log, `"error":"licenseapi: deactivate_license: 400 read_only_api_key`) {
		t.Errorf("%d faults; want one that names read_only_api_key", r.faults())
	}
}

func TestSecretThatIsNoSecretIsAFaultOfTheBatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		text string
		err  error
	}{
		{"unreadable", "", errors.New("secrets: no value")},
		{"not JSON", "canary-text", nil},
		{"white space", fmt.Sprintf(`{"api_key":%q,"shared_key":" canary "}`, testAPIKey), nil},
		{"a key that cannot be sent", `{"api_key":"canary\"key","shared_key":"canary-shared"}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := confirming()
			r := newHarness(t, api)
			r.secret.text, r.secret.err = test.text, test.err
			logged := r.work(requests(20)...)

			if api.calls > 0 || r.dead.Len() > 0 || r.source.Len() != 20 {
				t.Errorf("%d calls, %d dead letters, %d kept; want 0, 0, 20", api.calls, r.dead.Len(), r.source.Len())
			}
			for _, m := range logged {
				if m.Outcome != deactivation.Deferred || m.RetryIn != 15*time.Minute {
					t.Errorf("%s, comes back in %v; want deferred for 15 min", m.Outcome, m.RetryIn)
				}
			}
			if r.faults() != 1 {
				t.Errorf("%d faults, want 1", r.faults())
			}
			if strings.Contains(string(r.log.Bytes()), "canary") {
				t.Error("a secret is in the log")
			}
		})
	}
}

// TestASecretThatCannotBeReadNowIsNoFault: Secrets Manager throttles or does not answer, but only for a minute.
func TestASecretThatCannotBeReadNowIsNoFault(t *testing.T) {
	t.Parallel()
	api := confirming()
	r := newHarness(t, api)
	r.secret.err = fmt.Errorf("%w: throttled", secrets.ErrUnavailable)
	for _, m := range r.work(requests(20)...) {
		if m.Outcome != deactivation.Deferred || m.RetryIn < 15*time.Second || m.RetryIn > 30*time.Second || !strings.Contains(m.Detail, "throttled") {
			t.Errorf("%s is %s (%s) and comes back in %v; want deferred with back-off", m.ID, m.Outcome, m.Detail, m.RetryIn)
		}
	}
	if api.calls > 0 || r.faults() > 0 || r.dead.Len() > 0 {
		t.Errorf("%d calls, %d configuration faults, %d dead letters; want none", api.calls, r.faults(), r.dead.Len())
	}
	if n := r.secret.readCount(); n > 10 {
		t.Errorf("the secret was read %d times in one batch", n)
	}

	r.secret.err = nil
	if got := count(r.work(requests(40)[20:]...)); got[deactivation.Deactivated] != 20 {
		t.Errorf("afterwards outcomes %v", got)
	}
}
