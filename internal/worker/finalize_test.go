package worker_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

// Nothing is acknowledged before it is dead-lettered: what the dead-letter queue refuses stays in the queue.
func TestWhatTheDeadLetterQueueRefusesIsKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		refuse func(int) bool
		taken  int
	}{
		{"all", func(int) bool { return true }, 0},
		{"every other", func(i int) bool { return i%2 == 1 }, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, failure(400, "license_not_found"))
			r.dead.refuse = test.refuse
			logged := r.work(append(requests(10), strings.Split(strings.Repeat("invalid ", 10), " ")[:10]...)...)

			if r.dead.Len() != test.taken || r.source.Len() != 20-test.taken {
				t.Errorf("%d dead letters and %d kept, want %d and %d", r.dead.Len(), r.source.Len(), test.taken, 20-test.taken)
			}
			want := map[deactivation.Outcome]int{deactivation.Deferred: 20 - test.taken}
			if test.taken > 0 {
				want[deactivation.Rejected] = test.taken
			}
			if diff := cmp.Diff(want, count(logged)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			for _, m := range logged {
				if m.Outcome == deactivation.Deferred && (m.Reason != "" || m.RetryIn < 15*time.Second) {
					t.Errorf("kept with reason %q and for %v", m.Reason, m.RetryIn)
				}
			}
			if len(r.source.deferred) != 20-test.taken {
				t.Errorf("%d were hidden, want %d", len(r.source.deferred), 20-test.taken)
			}
		})
	}
}

func TestMessageWhoseVisibilityCannotBeChangedIsListed(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(503, "internal_error"))
	r.source.refuse = true
	r.work(requests(3)...)
	if r.source.Len() != 3 {
		t.Errorf("%d messages left, want 3", r.source.Len())
	}
	if !strings.Contains(string(r.log.Bytes()), `"level":"WARN","message":"messages come back after`) {
		t.Error("no warning")
	}
}

func TestAnEmptyBatchIsDone(t *testing.T) {
	t.Parallel()
	r := newHarness(t, failure(503, "internal_error"))
	response, err := r.handler.Handle(t.Context(), events.SQSEvent{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(response)
	if want := `{"batchItemFailures":[]}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestRecordsWithoutWhatLambdaAlwaysSends(t *testing.T) {
	t.Parallel()
	body := wire(request(1))
	for _, test := range []struct {
		name    string
		api     *answering
		records []events.SQSMessage
		listed  []string
		fails   bool
	}{
		{"no id, done", confirming(), []events.SQSMessage{{Body: body}}, nil, false},
		{"no id, to be kept", failure(503, ""), []events.SQSMessage{{Body: body}, {MessageId: "b", Body: body}}, nil, true},
		{"no receipt", failure(503, ""), []events.SQSMessage{{MessageId: "a", Body: body}}, []string{"a"}, false},
		{"twice the same", failure(503, ""), []events.SQSMessage{{MessageId: "a", Body: body}, {MessageId: "a", Body: body}}, []string{"a"}, false},
		{"nothing at all", confirming(), []events.SQSMessage{{}}, nil, true}, // a queue accepts no empty body
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, test.api)
			response, err := r.handler.Handle(t.Context(), events.SQSEvent{Records: test.records})
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}
			var listed []string
			for _, failure := range response.BatchItemFailures {
				listed = append(listed, failure.ItemIdentifier)
			}
			if diff := cmp.Diff(test.listed, listed); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReceiveCountThatCannotBeReadIsOne(t *testing.T) {
	t.Parallel()
	for _, count := range []string{"", "many", "-3", "0", "99999999999999999999"} {
		r := newHarness(t, failure(503, "internal_error"))
		event := r.batch(wire(request(1)))
		event.Records[0].Attributes["ApproximateReceiveCount"] = count
		r.handle(t.Context(), event)
		if got := r.logged()[0]; got.Attempts != 1 || got.RetryIn > 30*time.Second {
			t.Errorf("%q: attempt %d, comes back in %v", count, got.Attempts, got.RetryIn)
		}
	}
}
