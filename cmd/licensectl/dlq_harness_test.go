package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/source"
)

// deadQueues are the two queues of a stack on this machine: of licensectl local, and of the stack "shop".
type deadQueues struct {
	endpoint   string
	dead, jobs *queue.Memory
	aws        *fakeAWS
	log        []string // lines of the functions' log groups

	refuseSends bool // the queue refuses messages
}

// newDeadQueues serves two queues with letters of every reason, and some that are not ours.
func newDeadQueues(t *testing.T) *deadQueues {
	t.Helper()
	q := &deadQueues{dead: queue.NewMemory(queue.MemoryConfig{}), jobs: queue.NewMemory(queue.MemoryConfig{}), aws: &fakeAWS{
		stacks: map[string]map[string]string{"shop": outputsOf("shop")}, arn: "arn:aws:sts::1:assumed-role/ops/ada",
	}}
	api := lambdaemu.SQSAPI{Queues: map[string]*queue.Memory{"dead-letters": q.dead, "jobs": q.jobs, "shop": q.jobs, "shop-dead": q.dead}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q.refuseSends && r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessageBatch" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#InvalidMessageContents","message":"no"}`)
			return
		}
		if api.Serves(r) {
			api.ServeHTTP(w, r)
			return
		}
		switch r.Header.Get("X-Amz-Target") {
		case "Logs_20140328.StartQuery":
			fmt.Fprint(w, `{"queryId":"1"}`)
			return
		case "Logs_20140328.GetQueryResults":
			_ = json.NewEncoder(w).Encode(map[string]any{"status": "Complete", "results": q.logResults()})
			return
		}
		q.aws.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	q.endpoint = server.URL
	return q
}

// logResults are what Logs Insights finds: each line of the log.
func (q *deadQueues) logResults() [][]map[string]string {
	results := [][]map[string]string{}
	for _, line := range q.log {
		results = append(results, []map[string]string{{"field": "@message", "value": line}})
	}
	return results
}

const day = 24 * time.Hour

// fill puts letters of every reason into the dead-letter queue: eleven requests, four events and one that is not ours. They
// were written 30 and a half hours ago, so that no age changes while a test runs.
func (q *deadQueues) fill(t *testing.T) *deadQueues {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	at := now.Add(-30*time.Hour - 30*time.Minute)
	request := func(id string, d deactivation.DeadLetter, occurred time.Time) queue.Entry {
		at = at.Add(time.Minute)
		d.RequestID, d.Source, d.FailedAt = id, "stripe", at
		body, err := deactivation.Request{
			ID: id, Source: "stripe", Cause: deactivation.CauseRefund, Rule: "refunded in full", Order: []string{"pi_" + id}, OccurredAt: occurred, ReceivedAt: at,
			License: deactivation.License{Product: "XY", LicenseKey: "CANARY-KEY-0000-1234", HardwareID: "CANARY-HARDWARE-5678"},
		}.Wire()
		if err != nil {
			t.Fatal(err)
		}
		return queue.Entry{Body: body, Group: "stripe", Attributes: d.Attributes()}
	}
	type dl = deactivation.DeadLetter
	week, sources := now.Add(-10*day), builtInSources(t)
	entries := []queue.Entry{
		request("stripe.rejected.0", dl{Reason: deactivation.ReasonRejected, Code: "license_not_found", Detail: "License not found", Attempts: 1}, at),
		request("stripe.mismatch.0", dl{Reason: deactivation.ReasonRejected, Code: "mismatch", Detail: "license 7 is of another order", Attempts: 2}, at),
		request("stripe.partial.0", dl{Reason: deactivation.ReasonRejected, Code: "partial", Detail: "part of the order was refunded", Attempts: 1}, at),
		request("stripe.held.0", dl{Reason: deactivation.ReasonHeld, Code: "surge", Detail: "51 licenses in an hour, at most 50", Attempts: 1}, at),
		request("stripe.held.1", dl{Reason: deactivation.ReasonHeld, Code: "surge", Detail: "52 licenses in an hour, at most 50", Attempts: 1}, at),
		request("stripe.stale.0", dl{Reason: deactivation.ReasonStale, Detail: "the event was 340h old"}, week),
		request("stripe.watched.0", dl{Reason: deactivation.ReasonWatched, Detail: "would deactivate it", Attempts: 1}, at),
		request("stripe.crashed.0", dl{Reason: deactivation.ReasonCrashed, Attempts: 5}, at),
		request("stripe.undelivered.0", dl{Reason: deactivation.ReasonUndelivered, Detail: "the queue did not accept it in time"}, at),
		request("stripe.exhausted.0", dl{Reason: deactivation.ReasonExhausted, Code: "http_503", Attempts: 290}, at),
		q.event(t, sources, "stripe/no-hardware-id", at.Add(time.Minute)),
		q.event(t, sources, "stripe/refund-still-pending", at.Add(2*time.Minute)),
		q.event(t, sources, "generic/no-product", at.Add(3*time.Minute)),
		q.event(t, sources, "stripe/chargeback-won", at.Add(4*time.Minute)),
	}
	moved := request("stripe.moved.0", dl{}, at) // by SQS itself
	moved.Attributes = nil
	entries = append(entries, moved, queue.Entry{Body: `{"hello":"world"}`})
	if failed := q.dead.Send(t.Context(), entries); failed != nil {
		t.Fatal(failed)
	}
	return q
}

// event is the letter that the webhook writes for a sample.
func (q *deadQueues) event(t *testing.T, sources *source.Sources, name string, at time.Time) queue.Entry {
	t.Helper()
	s, err := (&files{}).sample(name)
	if err != nil {
		t.Fatal(err)
	}
	src, _ := sources.Get(s.Source)
	v, err := src.Assume(delivery(s.Body, s.Headers))
	if err != nil {
		t.Fatal(err)
	}
	v.ReceivedAt = at
	mappings, err := src.Map(v, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	event := src.Park(v, mappings)
	body, err := event.Wire()
	if err != nil {
		t.Fatal(err)
	}
	reason := deactivation.Reason(mappings[0].Answer)
	detail := mappings[0].Problem
	if len(event.Missing) > 0 {
		detail = "missing " + strings.Join(event.Missing, ", ")
	}
	return queue.Entry{Body: body, Group: src.Name, Attributes: deactivation.DeadLetter{
		Reason: reason, Code: mappings[0].Code, Detail: detail, FailedAt: at, Source: src.Name, RequestID: src.Name + "." + event.ID,
	}.Attributes()}
}

// allLetters is how many letters fill writes.
const allLetters = 16

// dlq runs a command of dlq on the queues, as on licensectl local.
func (q *deadQueues) dlq(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = fast().run(ctx, append(append([]string{"dlq"}, args...), "--endpoint-url", q.endpoint), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// sent empties the queue and returns the messages by their request's id.
func (q *deadQueues) sent(t *testing.T) map[string][]string {
	t.Helper()
	return drained(t, q.jobs)
}

// left empties the dead-letter queue and returns the letters by their id; one that is not ours by "foreign".
func (q *deadQueues) left(t *testing.T) map[string][]string {
	t.Helper()
	return drained(t, q.dead)
}

func drained(t *testing.T, q *queue.Memory) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for {
		received, err := q.Receive(t.Context(), 10, 0, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if len(received) == 0 {
			return all
		}
		for _, m := range received {
			r, event, err := deactivation.Parse(m.Body)
			id := r.ID
			switch {
			case err != nil:
				id = "foreign"
			case event != nil:
				id = event.Source + "." + event.ID
			}
			all[id] = append(all[id], m.Body)
		}
	}
}
