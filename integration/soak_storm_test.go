//go:build integration && soak

package integration

import (
	"bytes"
	"context"
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
	// stormChance is the chance of each call to fail, for good: of 10,000 messages some need ten calls.
	stormChance = 0.4

	// spared429 lets a license hear 429 in none but every third call: each pauses its worker for a second, and with a
	// storm's full share of them the workers would do little else.
	spared429 = 3

	// slowest is the most that a call takes, in steps of a millisecond: kills find calls under way.
	slowest = 10

	// stormPatience is how long the queue may take to be empty. It takes 40 s on an idle machine of two cores.
	stormPatience = 3 * time.Minute

	// stormLook is the pause between two looks at the queue, which nothing but a question shows to be empty.
	stormLook = 250 * time.Millisecond
)

// TestSoakStorm lets several worker processes work ten thousand messages through a storm, each killed again and again
// with kill -9, while queues now and then do not do what they are asked. At the end every device that was asked for is
// inactive, or its message is a dead letter that says why; every other device is active; the queue is empty.
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
	dice := diceOf(seed, 1)
	crowd := newCrowd(t, dice)

	api, err := licenseapitest.New(licenseapitest.State{APIKeys: map[string]string{apiKey: soakShared}, Licenses: crowd.licenses})
	if err != nil {
		t.Fatal(err)
	}
	storm := licenseapitest.Storm(seed, 0, stormChance)
	api.OnCall(func(c licenseapitest.Call) licenseapitest.Fault {
		fault := storm(c)
		if fault.Status == http.StatusTooManyRequests && c.Times%spared429 != 0 {
			fault = licenseapitest.Fault{}
		}
		fault.Delay = time.Duration(c.Number%slowest) * time.Millisecond
		return fault
	})

	server := startElasticMQ(t)
	spec := workerSpec{Endpoint: server.endpoint}
	spec.Queue, spec.DeadLetters = createQueues(t, server.endpoint, maxReceiveCount)
	fleet := planFleet(t, dice, spec, api)
	front := httptest.NewUnstartedServer(fleet)
	front.Config.ConnState = api.ConnState
	front.Start()
	defer front.Close()
	fleet.spec.API = front.URL + licenseapitest.Base

	if failed := queue.OpenSQS(awsConfig(), server.endpoint, spec.Queue).Send(t.Context(), crowd.entries); failed != nil {
		t.Fatalf("%d messages were not taken, first %v", len(failed), failed[0].Err)
	}
	worked := time.Now()
	fleet.workUntilEmpty(t)
	counts := api.Counts()
	t.Logf("worked %s, with %d calls (%.0f/s); answers %v; at most %d calls at once for one license",
		rate(crowdSize, worked), counts.Calls, float64(counts.Calls)/time.Since(worked).Seconds(), counts.Answers, counts.AtOnce)

	crowd.judgeLicenses(t, api.State().Licenses)
	crowd.judgeDeadLetters(t, drainMessages(t, server.endpoint, spec.DeadLetters, depth(t, server.endpoint, spec.DeadLetters)), begin)
	fleet.judge(t)
}

// workUntilEmpty runs the fleet until the queue holds nothing, neither to receive nor in flight.
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

// judge wants every death that was planned, and no license key in a log.
func (f *fleet) judge(t *testing.T) {
	t.Helper()
	planned, told := map[death]int{}, map[deactivation.Outcome]int{}
	for _, w := range f.workers {
		for _, life := range w.lives {
			planned[life.death]++
		}
		log, err := os.ReadFile(filepath.Join(f.logs, w.name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(log, []byte(keyPrefix)) || bytes.Contains(log, []byte(soakShared)) {
			t.Errorf("%s wrote a license key or the shared key to its log", w.name)
		}
		for _, o := range []deactivation.Outcome{
			deactivation.Deactivated, deactivation.AlreadyInactive, deactivation.Rejected, deactivation.Deferred,
		} {
			told[o] += bytes.Count(log, []byte(`"outcome":"`+string(o)+`"`))
		}
	}
	for _, d := range []death{deathFromOutside, deathBeforeTaken, deathOnceTaken} {
		if f.deaths[d] != planned[d] {
			t.Errorf("%d of %d workers died %s", f.deaths[d], planned[d], d)
		}
	}
	t.Logf("kill -9: %v; receives by outcome, as far as workers lived to tell: %v", f.deaths, told)
}
