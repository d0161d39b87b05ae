package local

import (
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
	"license-deactivator/internal/webhook"
)

// Trial sends samples through a Stack as their senders would and waits for what becomes of them. Give its Outcome and
// Delivery methods to the Stack's Config. Make it with NewTrial.
type Trial struct {
	faulty     bool
	mu         sync.Mutex
	deliveries map[string][]telemetry.Delivery // by source
	outcomes   map[string]telemetry.Message    // by request id: the last one
	changed    chan struct{}
}

// NewTrial returns an empty Trial. faulty says that the License API misbehaves: then a license that was to be
// deactivated may be found inactive, since an attempt whose answer was lost had done it.
func NewTrial(faulty bool) *Trial {
	return &Trial{
		faulty:     faulty,
		deliveries: map[string][]telemetry.Delivery{}, outcomes: map[string]telemetry.Message{}, changed: make(chan struct{}),
	}
}

// Outcome notes what became of a message in one receive.
func (t *Trial) Outcome(m telemetry.Message) {
	t.note(func() { t.outcomes[m.ID] = m })
}

// Delivery notes what was answered to an event.
func (t *Trial) Delivery(d telemetry.Delivery) {
	t.note(func() { t.deliveries[d.Source] = append(t.deliveries[d.Source], d) })
}

func (t *Trial) note(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	close(t.changed)
	t.changed = make(chan struct{})
}

// Result is what became of one sample.
type Result struct {
	Sample   Sample
	Answer   deactivation.Answer
	Status   int    // HTTP status of the answer
	Rule     string // that decided
	Why      string // of an answer that is not accepted
	Outcomes []telemetry.Message
	// Faults says where it did not end as its file says; empty: it did.
	Faults []string
}

// Run sends the samples one after another to address, each signed with its source's secret, then waits until each has
// ended or ctx is done. A sample whose source has no secret is reported as a fault.
func (t *Trial) Run(ctx context.Context, address string, samples []Sample, sources *webhook.Sources, secret func(source string) string) []Result {
	results := make([]Result, len(samples))
	for i, sample := range samples {
		results[i] = t.send(ctx, address, sample, sources, secret(sample.Source))
	}
	for i := range results {
		t.await(ctx, &results[i])
		results[i].judge(t.faulty)
	}
	return results
}

// maxAnswerBytes bounds what is read of an answer; ours have some hundred bytes.
const maxAnswerBytes = 64 << 10

func (t *Trial) send(ctx context.Context, address string, sample Sample, sources *webhook.Sources, secret string) Result {
	result := Result{Sample: sample}
	source, ok := sources.Get(sample.Source)
	if !ok || secret == "" {
		result.Faults = append(result.Faults, "its source has no file or no secret here")
		return result
	}
	req, err := sample.Signed(source, address, secret, time.Now())
	if err != nil {
		result.Faults = append(result.Faults, err.Error())
		return result
	}
	t.mu.Lock()
	before := len(t.deliveries[sample.Source])
	t.mu.Unlock()
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		result.Faults = append(result.Faults, "it could not be sent: "+err.Error())
		return result
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes))
	_ = resp.Body.Close()
	result.Status = resp.StatusCode

	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.deliveries[sample.Source][before:] {
		result.add(d)
	}
	return result
}

// add takes the line of one event into the result; of a delivery of several the accepted one shows.
func (r *Result) add(d telemetry.Delivery) {
	why := d.Problem
	if len(d.Missing) > 0 {
		why = strings.TrimSuffix("missing "+strings.Join(d.Missing, ", ")+"; "+why, "; ")
	}
	if r.Answer == "" || d.Answer == deactivation.Accepted {
		r.Answer, r.Rule, r.Why = d.Answer, d.Rule, why
	}
	for _, id := range d.Requests {
		r.Outcomes = append(r.Outcomes, telemetry.Message{ID: id})
	}
}

// await waits for the end of every message of the result: any outcome but deferred.
func (t *Trial) await(ctx context.Context, r *Result) {
	for {
		t.mu.Lock()
		waiting, changed := false, t.changed
		for i, m := range r.Outcomes {
			if last, ok := t.outcomes[m.ID]; ok {
				r.Outcomes[i] = last
			}
			waiting = waiting || r.Outcomes[i].Outcome == "" || r.Outcomes[i].Outcome == deactivation.Deferred
		}
		t.mu.Unlock()
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

// judge compares the result with what the sample's file says.
func (r *Result) judge(faulty bool) {
	if len(r.Faults) > 0 {
		return
	}
	want := r.Sample
	differ := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.Faults = append(r.Faults, fmt.Sprintf("%s is %v, and its file says %v", what, got, want))
		}
	}
	differ("the answer", r.Answer, want.Answer)
	differ("the rule", r.Rule, want.Rule)
	differ("the number of requests", len(r.Outcomes), len(want.Requests))
	for _, request := range want.Requests {
		i := slices.IndexFunc(r.Outcomes, func(m telemetry.Message) bool { return m.ID == request.ID })
		switch {
		case i < 0:
			r.Faults = append(r.Faults, "there is no request "+request.ID)
		case r.Outcomes[i].Outcome == "":
			r.Faults = append(r.Faults, request.ID+" is still waiting in the queue")
		case faulty && r.Outcomes[i].Outcome == deactivation.AlreadyInactive && request.Outcome == deactivation.Deactivated:
		default:
			differ("the outcome of "+request.ID, r.Outcomes[i].Outcome, request.Outcome)
		}
	}
}
