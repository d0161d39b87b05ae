//go:build integration && soak

package integration

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	// stormChance is the chance that a call fails for every attempt: of 10,000 messages some need ten calls.
	stormChance = 0.4

	// managementChance is the chance that a call of the Management API fails: a look-up needs at least four that succeed.
	managementChance = 0.1

	// callsPer429 is how many calls of a license share one 429. Each 429 pauses its worker for a second. With a storm's
	// full share of them the workers would mostly wait.
	callsPer429 = 3

	// slowest is the longest time that a call takes, in steps of a millisecond, so that kills happen during calls.
	slowest = 10

	// stormPatience is the longest wait until the queue is empty. It takes 40 s on an idle machine with two cores.
	stormPatience = 3 * time.Minute

	// stormLook is the pause between two requests for the queue's depth, the only way to know that it is empty.
	stormLook = 250 * time.Millisecond
)

// TestSoakStorm lets several worker processes work on ten thousand messages during a storm of faults. Each worker is
// killed again and again with kill -9, and queues fail now and then. Every 25th message is the refund of an order whose
// licenses the worker looks up. At the end every requested device is inactive and every license of a refunded order
// disabled, or the message is a dead letter with the reason; every other device is active; the queue is empty.
//
//nolint:paralleltest // it measures rates, and starts processes of its own
func TestSoakStorm(t *testing.T) {
	if spec := os.Getenv(workerVariable); spec != "" {
		if err := runWorker(spec); err != nil {
			t.Fatal(err)
		}
		return
	}
	begin, seed := time.Now(), soakSeed(t)
	rng := rngOf(seed, 1)
	crowd := newCrowd(t, rng)

	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{apiKey: soakShared}, ManagementAPIKeys: []string{soakManagementKey}, Licenses: crowd.licenses,
	})
	if err != nil {
		t.Fatal(err)
	}
	storm := licenseapitest.Storm(seed, 0, stormChance)
	api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		fault := storm(c)
		if fault.Status == http.StatusTooManyRequests && c.Times%callsPer429 != 0 {
			fault = licenseapitest.Fault{}
		}
		fault.Delay = time.Duration(c.Number%slowest) * time.Millisecond
		return fault
	})

	api.OnManagementCall(func(c licenseapitest.ManagementCall) licenseapitest.Fault {
		return managementStorm(rngOf(seed, managementStream+uint64(c.Number)), c) //nolint:gosec // a count
	})

	server := startElasticMQ(t)
	spec := workerSpec{Endpoint: server.endpoint}
	spec.Queue, spec.DeadLetters = createQueues(t, server.endpoint, maxReceiveCount)
	fleet := planFleet(t, rng, spec, api)
	front := httptest.NewUnstartedServer(fleet)
	front.Config.ConnState = api.ConnState
	front.Start()
	defer front.Close()
	fleet.spec.API, fleet.spec.Management = front.URL+licenseapitest.Base, front.URL+licenseapitest.ManagementBase

	if failed := queue.OpenSQS(awsConfig(), server.endpoint, spec.Queue).Send(t.Context(), crowd.entries); failed != nil {
		t.Fatalf("%d messages were not accepted, first %v", len(failed), failed[0].Err)
	}
	worked := time.Now()
	fleet.workUntilEmpty(t)
	counts := api.Counts()
	t.Logf("worked %s, with %d calls (%.0f/s) and %d of the Management API; answers %v; at most %d calls at once for one license",
		rate(crowdSize, worked), counts.Calls, float64(counts.Calls)/time.Since(worked).Seconds(), counts.Management, counts.Answers, counts.AtOnce)

	crowd.judgeLicenses(t, api.State().Licenses)
	crowd.judgeDeadLetters(t, drainMessages(t, server.endpoint, spec.DeadLetters, depth(t, server.endpoint, spec.DeadLetters)), begin)
	fleet.judge(t)
}

// managementStream is the first of the streams of the Management API's faults, one for each call.
const managementStream = 1 << 32

// managementStorm is the fault of one call of the Management API.
func managementStorm(rng *rand.Rand, c licenseapitest.ManagementCall) licenseapitest.Fault {
	faults := []licenseapitest.Fault{
		{Status: http.StatusServiceUnavailable}, {Status: http.StatusServiceUnavailable, After: true}, {Reset: true}, {Reset: true, After: true},
		{Cut: true, After: true},
	}
	fault := licenseapitest.Fault{}
	if rng.Float64() < managementChance {
		fault = faults[rng.IntN(len(faults))]
	}
	fault.Delay = time.Duration(c.Number%slowest) * time.Millisecond
	return fault
}

// workUntilEmpty runs the fleet until the queue holds nothing, neither visible nor in flight.
func (f *fleet) workUntilEmpty(t *testing.T) {
	t.Helper()
	ctx, finish := context.WithTimeout(t.Context(), stormPatience)
	defer finish()
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx) }()

	client := sqsAt(f.spec.Endpoint)
	look := time.NewTicker(stormLook)
	defer look.Stop()
	for left := -1; left != 0; {
		select {
		case err := <-ended:
			t.Fatalf("the fleet ended with %d messages left: %v", left, err)
		case <-look.C:
			if n, err := depthOf(ctx, client, f.spec.Queue); err == nil {
				left = n
			}
		}
	}
	finish()
	if err := <-ended; err != nil {
		t.Errorf("the fleet: %v", err)
	}
}

// judge requires every planned kill, and no license key in a log.
func (f *fleet) judge(t *testing.T) {
	t.Helper()
	planned, logged := map[death]int{}, map[deactivation.Outcome]int{}
	for _, w := range f.workers {
		for _, life := range w.lives {
			planned[life.death]++
		}
		log, err := os.ReadFile(filepath.Join(f.logs, w.name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(log, []byte(keyPrefix)) || bytes.Contains(log, []byte(soakShared)) || bytes.Contains(log, []byte(soakManagementKey)) {
			t.Errorf("%s wrote a license key or a key of an API to its log", w.name)
		}
		for _, o := range []deactivation.Outcome{
			deactivation.Deactivated, deactivation.AlreadyInactive, deactivation.Rejected, deactivation.Deferred,
		} {
			logged[o] += bytes.Count(log, []byte(`"outcome":"`+string(o)+`"`))
		}
	}
	for _, d := range []death{deathFromOutside, deathBeforeAccepted, deathAfterAccepted} {
		if f.deaths[d] != planned[d] {
			t.Errorf("%d of %d workers died %s", f.deaths[d], planned[d], d)
		}
	}
	t.Logf("kill -9: %v; receives by outcome that workers logged before they were killed: %v", f.deaths, logged)
}
