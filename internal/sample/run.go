package sample

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// Run sends samples to a running system as their senders would, waits for the outcomes and compares. The system must
// call its OnOutcome and OnDelivery methods. Make one with NewRun and use it once.
type Run struct {
	lossy      bool
	brake      bool
	mu         sync.Mutex
	deliveries map[string][]telemetry.Delivery // by source
	outcomes   map[string]telemetry.Message    // by request id: the last one
	sent       int
	changed    chan struct{}
}

// NewRun returns a Run that has sent nothing. lossy means that the License API loses answers: a device that is to be
// deactivated may then be reported as already inactive, because an earlier attempt deactivated it and its answer was
// lost. brake means that the system has a brake, which may hold any request.
func NewRun(lossy, brake bool) *Run {
	return &Run{
		lossy: lossy, brake: brake,
		deliveries: map[string][]telemetry.Delivery{}, outcomes: map[string]telemetry.Message{}, changed: make(chan struct{}),
	}
}

// OnOutcome records the outcome of one receive of a message.
func (r *Run) OnOutcome(m telemetry.Message) {
	r.record(func() { r.outcomes[m.ID] = m })
}

// OnDelivery records the answer to an event.
func (r *Run) OnDelivery(d telemetry.Delivery) {
	r.record(func() { r.deliveries[d.Source] = append(r.deliveries[d.Source], d) })
}

func (r *Run) record(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Progress returns how far the run is: deliveries answered, the requests that they made, and those of them with a final
// outcome.
func (r *Run) Progress() (sent, requests, final int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := map[string]bool{}
	for _, of := range r.deliveries {
		for _, d := range of {
			for _, id := range d.Requests {
				ids[id] = true
			}
		}
	}
	for id := range ids {
		if isFinal(r.outcomes[id].Outcome) {
			final++
		}
	}
	return r.sent, len(ids), final
}

// isFinal reports whether the outcome of a request is final: there is one, and it is not deferred.
func isFinal(o deactivation.Outcome) bool { return o != "" && o != deactivation.Deferred }

// A Target is the system to which samples are sent.
type Target struct {
	Address string                             // such as http://127.0.0.1:8080
	LookUp  bool                               // the look-up is on
	Signer  func(source string) (Signer, bool) // false: the system does not know the source
	Secret  func(source string) string         // "": the system has no secret for the source
}

// Result is the result of one sample.
type Result struct {
	Sample   Sample
	Answer   deactivation.Answer
	Status   int    // HTTP status of the answer
	Rule     string // the deciding rule
	Code     string // of an unmappable event that does not lack license data
	Why      string // for an answer other than accepted
	Outcomes []telemetry.Message

	// Mismatches lists where the result differs from what the sample's file expects; none means that the sample passed.
	Mismatches []string
}

// Send sends the samples one after another, then waits until every request has its final outcome or ctx is done. A
// sample whose source has no file or no secret is not sent; its Result says so as a mismatch.
func (r *Run) Send(ctx context.Context, to Target, samples []Sample) []Result {
	results := make([]Result, len(samples))
	expected := make([]Sample, len(samples))
	for i, sample := range samples {
		expected[i] = sample.Expected(to.LookUp)
		results[i] = r.send(ctx, to, expected[i])
	}
	shared := sharedLicenses(expected)
	for i := range results {
		r.await(ctx, &results[i])
		results[i].compare(r.lossy, r.brake, shared)
	}
	return results
}

// sharedLicenses are the keys of licenses that more than one look-up deactivates: those of one order, and those that
// several samples find. Which of the requests finds work to do depends on the order in which the worker handles them.
func sharedLicenses(samples []Sample) map[string]bool {
	seen, shared := map[string]bool{}, map[string]bool{}
	for _, s := range samples {
		if !slices.ContainsFunc(s.Requests, func(r Request) bool { return r.Scope != "" }) {
			continue
		}
		for _, r := range s.Requests {
			key := r.license()
			shared[key] = shared[key] || seen[key] || len(s.Requests) > 1
			seen[key] = true
		}
	}
	return shared
}

// license is the key of the license that the request deactivates.
func (r Request) license() string { return cmp.Or(r.Finds.LicenseKey, r.LicenseKey) }

// maxAnswerBytes bounds how much of an answer is read; ours have a few hundred bytes.
const maxAnswerBytes = 64 << 10

func (r *Run) send(ctx context.Context, to Target, sample Sample) Result {
	result := Result{Sample: sample}
	signer, ok := to.Signer(sample.Source)
	secret := to.Secret(sample.Source)
	if !ok || secret == "" {
		result.mismatch("its source has no file or no secret here")
		return result
	}
	req, err := sample.Signed(signer, to.Address, secret, time.Now())
	if err != nil {
		result.mismatch("%v", err)
		return result
	}
	r.mu.Lock()
	before := len(r.deliveries[sample.Source])
	r.mu.Unlock()
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		result.mismatch("it could not be sent: %v", err)
		return result
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes))
	_ = resp.Body.Close()
	result.Status = resp.StatusCode

	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	for _, d := range r.deliveries[sample.Source][before:] {
		result.add(d)
	}
	return result
}

func (r *Result) mismatch(format string, args ...any) {
	r.Mismatches = append(r.Mismatches, fmt.Sprintf(format, args...))
}

// add merges the log line of one event into the result. For a delivery with several events the accepted one is shown.
func (r *Result) add(d telemetry.Delivery) {
	why := d.Problem
	if len(d.Missing) > 0 {
		why = strings.TrimSuffix("missing "+strings.Join(d.Missing, ", ")+"; "+why, "; ")
	}
	if r.Answer == "" || d.Answer == deactivation.Accepted {
		r.Answer, r.Rule, r.Code, r.Why = d.Answer, d.Rule, d.Code, why
	}
	for _, id := range d.Requests {
		r.Outcomes = append(r.Outcomes, telemetry.Message{ID: id})
	}
}

// await waits until every request of the result has a final outcome: any but deferred, which is final if it is expected.
func (r *Run) await(ctx context.Context, result *Result) {
	for {
		r.mu.Lock()
		waiting, changed := false, r.changed
		for i, m := range result.Outcomes {
			if last, ok := r.outcomes[m.ID]; ok {
				result.Outcomes[i] = last
			}
			waiting = waiting || !result.isFinal(result.Outcomes[i])
		}
		r.mu.Unlock()
		if !waiting {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Result) isFinal(m telemetry.Message) bool {
	expected := slices.ContainsFunc(r.Sample.Requests, func(q Request) bool { return q.ID == m.ID && q.Outcome == m.Outcome })
	return isFinal(m.Outcome) || expected
}

// compare records the mismatches between the result and what the sample's file expects. A sample that was not sent
// already has its mismatch.
func (r *Result) compare(lossy, brake bool, shared map[string]bool) {
	if len(r.Mismatches) > 0 {
		return
	}
	expect := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.mismatch("%s is %v, expected %v", what, got, want)
		}
	}
	want := r.Sample
	expect("the answer", r.Answer, want.Answer)
	expect("the rule", r.Rule, want.Rule)
	expect("the code", r.Code, want.Code)
	expect("the number of requests", len(r.Outcomes), len(want.Requests))
	for _, request := range want.Requests {
		i := slices.IndexFunc(r.Outcomes, func(m telemetry.Message) bool { return m.ID == request.ID })
		switch {
		case i < 0:
			r.mismatch("there is no request %s", request.ID)
		case r.Outcomes[i].Outcome == "":
			r.mismatch("%s is still in the queue", request.ID)
		case brake && r.Outcomes[i].Reason == deactivation.ReasonHeld:
		case (lossy || shared[request.license()]) && r.Outcomes[i].Outcome == deactivation.AlreadyInactive && request.Outcome == deactivation.Deactivated:
		case request.Code == deactivation.CodeNoLicense && r.Outcomes[i].Code == deactivation.CodeNoLicense: // it waits, or waited long enough
		default:
			expect("the outcome of "+request.ID, r.Outcomes[i].Outcome, request.Outcome)
		}
	}
}
