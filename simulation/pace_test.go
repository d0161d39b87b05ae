package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/source"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/sources"
)

const (
	paceRefunds = 1000

	// paceLatency is how long both APIs take to answer, from half of it to one and a half times as long.
	paceLatency = 100 * time.Millisecond

	// paceTurnaround is the time that Lambda takes from an answer to the next batch, as in integration's benchmarks.
	paceTurnaround = 20 * time.Millisecond

	// leastPace is the part of the Management API's quota that a backlog of look-ups must use.
	leastPace = 0.95
)

// TestRefundsWithoutADeviceDrainAtTheQuotasPace drains 1,000 refunds whose license and device have to be found, with
// the real limits of both APIs, in virtual time: it takes seven minutes. No call may be answered 429. `make bench` has the
// result: with -v it is a line in the form of a benchmark.
func TestRefundsWithoutADeviceDrainAtTheQuotasPace(t *testing.T) {
	t.Parallel()
	files, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, instances := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d-instances", instances), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { drainRefunds(t, files, instances) })
		})
	}
}

func drainRefunds(t *testing.T, files *source.Sources, instances int) {
	h := newHarness(t, paceScenario(instances), files)
	h.sendForeign()
	for _, q := range h.scenario.requests {
		r := q.lookUp.asked
		r.ReceivedAt = time.Now()
		wire, err := r.Wire()
		if err != nil {
			t.Fatal(err)
		}
		h.recordAccepted(r.ID, q)
		h.jobs.Send(t.Context(), []queue.Entry{{Body: wire, Group: wireSource}})
	}

	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	server := h.monitor.serve(&all)
	for range instances { // on one address, and all at once: the worst case for the limits
		all.Go(func() {
			mapping := lambdaemu.EventSource{
				Queue: h.jobs, BatchSize: h.scenario.batchSize, Concurrency: 1, OnError: h.onBatchError,
				Function: func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
					time.Sleep(paceTurnaround)
					return h.workers.invoke(ctx, e)
				},
			}
			mapping.Run(ctx)
		})
	}
	for h.jobs.Len() > 0 && h.now() < time.Hour {
		time.Sleep(10 * time.Millisecond)
	}
	took := h.now()
	stop()
	h.workers.close()
	_ = server.Close()
	all.Wait()

	h.validate()
	if len(h.violations) > 0 || h.limited+h.managementLimited > 0 || h.deactivated != paceRefunds {
		t.Errorf("%d of %d refunds are done, %d calls of the License API and %d of the Management API are refused by the limits; %q",
			h.deactivated, paceRefunds, h.limited, h.managementLimited, h.violations)
	}
	allowed := float64(h.scenario.stack.ManagementCallsPerMinute) * took.Minutes()
	pace := float64(h.managementServed) / allowed
	if pace < leastPace {
		t.Errorf("%d calls of the Management API in %v are %.3f of its quota, want at least %v", h.managementServed, took, pace, leastPace)
	}
	refused := float64(h.limited+h.managementLimited) / float64(h.reached+h.managementReached) * 100
	each := func(n int) float64 { return float64(n) / paceRefunds }
	if testing.Verbose() {
		fmt.Printf("BenchmarkLookUp/%d-instances 1 %.2f %%quota %.2f %%429 %.2f refunds/s %.2f calls/refund %.2f license-calls/refund\n",
			instances, pace*100, refused, paceRefunds/took.Seconds(), each(h.managementServed), each(h.served))
	}
}

// paceScenario has nothing but refunds: each of an order with one license on one device.
func paceScenario(instances int) scenario {
	s := scenario{
		seed: 1, callsInFlight: 10, batchSize: 20, oneAddress: true, latency: paceLatency, idleClose: time.Minute,
		stack:         worker.Stack{CallsPerSecond: 10, Instances: instances, LookUp: true, ManagementCallsPerMinute: 600},
		apiFailpoints: []failpoint{{}}, lookUps: map[string]*request{}, fulfilled: map[int]time.Duration{},
	}
	for n := range paceRefunds {
		m := maker{scenario: &s, Rand: rand.New(rand.NewPCG(1, uint64(n))), n: n, disable: true} //nolint:gosec // nothing secret
		m.q = &request{lookUp: &lookUp{asked: deactivation.Request{
			ID: fmt.Sprintf("pace.%d", n), Source: wireSource, Cause: deactivation.CauseRefund, Disable: true, OccurredAt: epoch,
			Lookup: deactivation.Lookup{Order: []deactivation.Candidate{{ID: fmt.Sprintf("order-%d", n)}}},
		}}}
		m.hit(m.addOrdered(licenseapitest.License{
			Product: product, LicenseKey: fmt.Sprintf("PACE-%d", n), Order: fmt.Sprintf("order-%d", n), Devices: []string{"hw-0"},
		}))
		s.requests = append(s.requests, m.q)
	}
	return s
}
