//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

const (
	fleetKey, fleetShared = "bench-key", "bench-shared"

	// turnaround is the time that Lambda takes from an answer to the next batch, in which no call can start.
	turnaround = 20 * time.Millisecond

	// apiLatency is how long the fake License API takes to answer, the way there and back included.
	apiLatency = 100 * time.Millisecond

	// wayThere is the shortest time that a call takes to arrive, and wayMore what can be added to it: the limiter does
	// not see either.
	wayThere = 10 * time.Millisecond
	wayMore  = 40 * time.Millisecond

	fleetTimeout = time.Minute // of the worker function
)

// A drill drains a backlog for a limited time, within an API's limits.
type drill struct {
	name   string
	span   time.Duration
	budget float64 // the ideal calls per second; 0: inFlight ÷ the API's own latency
	limits licenseapitest.Limits
	stack  worker.Stack
	// addresses is the number of addresses of the instances: one for all, or one for each.
	addresses int
	inFlight  int
	batch     int
}

func drills() []drill {
	const plan, live = 3600, 0.5 // Business Starter, half kept free
	return []drill{
		{
			name: "capped-3x1-address", span: 30 * time.Second, budget: 20, addresses: 1, inFlight: 10, batch: 20,
			limits: licenseapitest.Limits{PerAddress: 200, PerAuthorization: 50, PerMinute: plan * live},
			stack:  worker.Stack{CallsPerSecond: 20, Instances: 3, PlanCallsPerMinute: plan, LiveShare: live},
		},
		{
			// Longer than the minute over which the company's limit counts.
			name: "capped-3x3-addresses", span: 75 * time.Second, budget: 30, addresses: 3, inFlight: 10, batch: 20,
			limits: licenseapitest.Limits{PerAddress: 200, PerAuthorization: 50, PerMinute: plan * live},
			stack:  worker.Stack{CallsPerSecond: 30, Instances: 3, PlanCallsPerMinute: plan, LiveShare: live},
		},
		{
			// At the end of a batch its last calls leave slots idle for half a latency on average, so batches are long here.
			name: "uncapped-100-in-flight", span: 20 * time.Second, addresses: 1, inFlight: 100, batch: 5000,
			stack: worker.Stack{CallsPerSecond: 100_000, Instances: 1},
		},
	}
}

// BenchmarkFleet measures what part of the ideal rate the worker calls, and what part of the calls is refused. For
// comparison it runs a naive worker: no limiter, a connection for each call, one call after another, as many instances.
func BenchmarkFleet(b *testing.B) {
	for _, d := range drills() {
		b.Run(d.name, func(b *testing.B) {
			var ours, naive counts
			for b.Loop() {
				ours.add(d.run(b, newFleet))
				naive.add(d.run(b, newNaive))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ours.rate(), "calls/s")
			budget := d.budget
			if budget == 0 {
				budget = float64(d.inFlight) / ours.latency().Seconds()
			}
			b.ReportMetric(ours.rate()/budget*100, "%budget")
			b.ReportMetric(ms(ours.latency()), "api-ms")
			b.ReportMetric(ours.share(), "%429")
			b.ReportMetric(float64(ours.dead), "dead")
			b.ReportMetric(naive.rate(), "naive-calls/s")
			b.ReportMetric(naive.share(), "naive-%429")
		})
	}
}

// counts are what the API saw.
type counts struct {
	taken, refused, dead int
	span                 time.Duration
	inside               time.Duration // all calls together
}

func (c *counts) add(other counts) {
	c.taken, c.refused, c.dead = c.taken+other.taken, c.refused+other.refused, c.dead+other.dead
	c.span, c.inside = c.span+other.span, c.inside+other.inside
}

// latency is the mean time of a call at the API, as the API measured it: on a busy machine it is longer than the
// configured one.
func (c *counts) latency() time.Duration { return c.inside / time.Duration(max(c.taken+c.refused, 1)) }

func (c *counts) rate() float64 { return float64(c.taken) / c.span.Seconds() }

// share is the percentage of calls that were refused.
func (c *counts) share() float64 {
	return float64(c.refused) / float64(max(c.taken+c.refused, 1)) * 100
}

// An instance works on one batch.
type instance func(ctx context.Context, first int)

// run drains an endless backlog for d.span and counts the calls that the API accepted in that time. The time includes
// the start, when the limiters' buckets are empty.
func (d drill) run(b *testing.B, make func(*testing.B, drill, string, *atomic.Int64) instance) counts {
	b.Helper()
	api := d.api(b)
	var dead, next, inside atomic.Int64
	var fleet []instance
	for i := range d.stack.Instances {
		server := httptest.NewServer(from(min(i, d.addresses-1), api, &inside))
		defer server.Close()
		fleet = append(fleet, make(b, d, server.URL+licenseapitest.Base, &dead))
	}

	ctx, end := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for _, work := range fleet {
		running.Go(func() {
			for ctx.Err() == nil {
				work(ctx, int(next.Add(int64(d.batch)))-d.batch)
				time.Sleep(turnaround)
			}
		})
	}
	time.Sleep(d.span)
	seen, spent := api.Counts(), inside.Load()
	end()
	running.Wait()
	refused := seen.Answers["http_429"]
	return counts{
		taken: seen.Calls - refused, refused: refused, dead: int(dead.Load()), span: d.span, inside: time.Duration(spent),
	}
}

// api has more licenses than d can deactivate, and answers with the configured latency.
func (d drill) api(b *testing.B) *licenseapitest.Server {
	b.Helper()
	state := licenseapitest.State{APIKeys: map[string]string{fleetKey: fleetShared}}
	for i := range int(max(d.budget, float64(d.inFlight)/apiLatency.Seconds())*d.span.Seconds()*2) + d.batch*d.stack.Instances {
		state.Licenses = append(state.Licenses, licenseapitest.License{Product: "XY", LicenseKey: fmt.Sprintf("KEY-%d", i), Devices: []string{"hw"}})
	}
	api, err := licenseapitest.New(state)
	if err != nil {
		b.Fatal(err)
	}
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		return licenseapitest.Fault{Delay: apiLatency - wayThere - wayMore/2}
	})
	api.Limit(d.limits)
	return api
}

// from delays calls by the network's latency, gives them the address with that number, and adds up their time inside
// the API.
func from(address int, api http.Handler, inside *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		defer func() { inside.Add(int64(time.Since(begin))) }()
		time.Sleep(wayThere + rand.N(wayMore)) //nolint:gosec // a network's latency, not a secret
		r.RemoteAddr = fmt.Sprintf("127.0.0.%d:1", address+1)
		api.ServeHTTP(w, r)
	})
}

// newFleet makes an instance as functions/worker does, with a queue and a dead-letter queue that accept everything.
func newFleet(b *testing.B, d drill, address string, dead *atomic.Int64) instance {
	b.Helper()
	api, err := licenseapi.New(licenseapi.Config{BaseURL: address, CallsInFlight: d.inFlight})
	if err != nil {
		b.Fatal(err)
	}
	if err := api.Warm(b.Context()); err != nil {
		b.Fatal(err)
	}
	handler, err := worker.New(worker.Config{
		API: api, Secrets: secrets.NewCache(fleetSecret{}, secrets.ParseLicense), Queue: yes{}, DeadLetters: counted{dead},
		Recorder: telemetry.New(io.Discard, slog.LevelInfo, "bench"), CallsInFlight: d.inFlight,
		CallsPerSecond: d.stack.PerInstance(), Limits: d.stack.Limits(),
		Backoff: worker.ProductionBackoff(),
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, first int) {
		ctx, cancel := context.WithTimeout(ctx, fleetTimeout)
		defer cancel()
		if _, err := handler.Handle(ctx, sqsBatch(b, first, d.batch)); err != nil {
			b.Error(err)
		}
	}
}

// newNaive makes an instance as a first attempt is often written: one message after another, each over any connection.
func newNaive(b *testing.B, d drill, address string, _ *atomic.Int64) instance {
	b.Helper()
	return func(ctx context.Context, first int) {
		for i := first; i < first+d.batch && ctx.Err() == nil; i++ {
			transport := &http.Transport{DisableKeepAlives: true}
			if err := naiveCall(ctx, transport, address, deactivation.License{
				Product: "XY", LicenseKey: fmt.Sprintf("KEY-%d", i), HardwareID: "hw",
			}); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		}
	}
}

func naiveCall(ctx context.Context, transport *http.Transport, address string, license deactivation.License) error {
	body, err := json.Marshal(map[string]string{
		"product": license.Product, "license_key": license.LicenseKey, "hardware_id": license.HardwareID,
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/deactivate_license", bytes.NewReader(body))
	if err != nil {
		return err
	}
	date := signing.Date(time.Now())
	req.Header.Set("Date", date)
	req.Header.Set("Authorization", `algorithm="hmac-sha256",headers="date",signature="`+
		signing.OnlineSignature(fleetShared, date)+`",apikey="`+fleetKey+`"`)
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

type fleetSecret struct{}

func (fleetSecret) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{Text: fmt.Sprintf(`{"api_key":%q,"shared_key":%q}`, fleetKey, fleetShared), Version: "v1"}, nil
}

// yes is a queue that accepts every change; the messages of a drill are not received again.
type yes struct{}

func (yes) Defer(context.Context, []queue.Deferral) []queue.Failure { return nil }

// counted is a dead-letter queue that counts its letters.
type counted struct{ letters *atomic.Int64 }

func (c counted) Send(_ context.Context, entries []queue.Entry) []queue.Failure {
	c.letters.Add(int64(len(entries)))
	return nil
}
