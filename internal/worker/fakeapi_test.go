package worker_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

func TestBatchAgainstTheFakeAPI(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 20)
	r := newHarness(t, api)
	unknown := request(21)
	inactive := request(1)
	inactive.HardwareID = "another"
	logged := r.work(append(requests(20), wire(unknown), wire(inactive), "invalid")...)

	want := map[deactivation.Outcome]int{deactivation.Deactivated: 20, deactivation.AlreadyInactive: 1, deactivation.Rejected: 2}
	if diff := cmp.Diff(want, count(logged)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if n := active(api); n > 0 || r.source.Len() > 0 || r.dead.Len() != 2 {
		t.Errorf("%d devices active, %d in the queue, %d dead letters", n, r.source.Len(), r.dead.Len())
	}
}

func TestAPIThatStopsLosesNothing(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 40)
	address, stop, err := api.Start()
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		if c.Number == 15 {
			go func() {
				defer close(stopped)
				stop()
			}()
		}
		return licenseapitest.Fault{}
	})
	r := newHarnessAt(t, address, func(cfg *worker.Config) { cfg.CallsInFlight = 4 })
	logged := r.work(requests(40)...)
	<-stopped

	got := count(logged)
	if got[deactivation.Deactivated]+got[deactivation.Deferred] != 40 || r.source.Len() != got[deactivation.Deferred] {
		t.Errorf("outcomes %v, %d in the queue", got, r.source.Len())
	}
	// A device that the API freed without an answer is not logged as deactivated; the reverse never happens.
	if freed := 40 - active(api); freed < got[deactivation.Deactivated] {
		t.Errorf("%d logged as deactivated, %d are", got[deactivation.Deactivated], freed)
	}
	if got[deactivation.Deferred] == 0 || got[deactivation.Deactivated] == 0 {
		t.Errorf("outcomes %v: the API did not stop in the middle", got)
	}
}

func TestStormEndsWithEveryDeviceDeactivated(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"storm", "reset-after", "cut-after", "html", "429", "503", "unauthorized", "stale-date"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			const n = 100
			api := fakeAPI(t, n)
			if err := api.Fail(fault); err != nil {
				t.Fatal(err)
			}
			// A breaker and pauses that end before the next batch.
			r := newHarness(t, api, func(cfg *worker.Config) { cfg.Backoff.First = time.Microsecond })
			r.source.hurry = true
			r.work(requests(n)...)
			for rounds := 0; r.source.Len() > 0; rounds++ {
				if rounds > 10 {
					t.Fatalf("%d messages left after %d receives", r.source.Len(), rounds)
				}
				r.work()
			}
			ended := count(r.logged())
			if active(api) > 0 || r.dead.Len() > 0 || r.faults() > 0 {
				t.Errorf("%d devices active, %d dead letters, %d faults", active(api), r.dead.Len(), r.faults())
			}
			if ended[deactivation.Deactivated]+ended[deactivation.AlreadyInactive] != n {
				t.Errorf("outcomes %v, want an end for each of %d", ended, n)
			}
		})
	}
}

func TestEveryCallIsSignedWithTheSecretThatTheStoreHolds(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 60)
	r := newHarness(t, http.Handler(api))
	r.work(requests(20)...)
	r.secret.rotate(secretText("canary-rotated"))
	api.Rotate(testAPIKey, "canary-rotated")
	r.work(requests(60)[20:]...)
	got := count(r.logged())
	if got[deactivation.Deactivated] != 60 || r.secret.readCount() != 2 || r.faults() != 0 {
		t.Errorf("outcomes %v, %d reads, %d faults; want 60 deactivated with 2 reads", got, r.secret.readCount(), r.faults())
	}
}
