package worker_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"license-deactivator/internal/worker"
)

func production() worker.Backoff { return worker.ProductionBackoff() }

func TestBackoffDoublesUpToTheCap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		receives          int
		shortest, longest time.Duration
	}{
		{-1, 15 * time.Second, 30 * time.Second},
		{0, 15 * time.Second, 30 * time.Second},
		{1, 15 * time.Second, 30 * time.Second},
		{2, 30 * time.Second, 60 * time.Second},
		{3, 60 * time.Second, 120 * time.Second},
		{4, 120 * time.Second, 240 * time.Second},
		{5, 240 * time.Second, 480 * time.Second},
		{6, 882 * time.Second, 900 * time.Second}, // 960 s would be next
		{7, 882 * time.Second, 900 * time.Second},
		{300, 882 * time.Second, 900 * time.Second},
		{1 << 40, 882 * time.Second, 900 * time.Second},
	} {
		if got := production().Wait(test.receives, 0); got != test.shortest {
			t.Errorf("receive %d, no jitter: %v, want %v", test.receives, got, test.shortest)
		}
		if got := production().Wait(test.receives, 1); got != test.longest {
			t.Errorf("receive %d, full jitter: %v, want %v", test.receives, got, test.longest)
		}
	}
}

// maxReceiveCount is the queue's; the template has the same number.
const maxReceiveCount = 300

func TestBackoffOutlastsThreeDays(t *testing.T) {
	t.Parallel()
	const outage = 3 * 24 * time.Hour
	for _, test := range []struct {
		name string
		want time.Duration // in the comment at Backoff for the first
		wait func(receives int) time.Duration
	}{
		{"an API that is not well", 259_773 * time.Second, func(receives int) time.Duration {
			return production().Wait(receives, 0)
		}},
		{"429", 259_848 * time.Second, func(receives int) time.Duration {
			return production().RateLimited(receives, 0, 0)
		}},
		{"429 and always Retry-After: 1", 259_313 * time.Second, func(receives int) time.Duration {
			return production().RateLimited(receives, time.Second, 0)
		}},
	} {
		var sum time.Duration
		for receives := 1; receives < maxReceiveCount; receives++ {
			sum += test.wait(receives)
		}
		if sum != test.want || sum < outage {
			t.Errorf("%s: %v from the first to the last receive, want %v and at least %v", test.name, sum, test.want, outage)
		}
	}
}

// TestExhaustedAfterNearlyThreeDays checks the sums in the documents: the worker dead-letters a message at receive 290.
func TestExhaustedAfterNearlyThreeDays(t *testing.T) {
	t.Parallel()
	var outage, fault time.Duration
	for range 289 {
		fault += production().Cap
	}
	for receives := 1; receives < 290; receives++ {
		outage += production().Wait(receives, 0)
	}
	if outage != 250_953*time.Second || fault != 260_100*time.Second {
		t.Errorf("%v in an outage and %v at a configuration fault, want 69 h 42 min 33 s and 72 h 15 min", outage, fault)
	}
}

func TestRateLimitedWaitsForRetryAfter(t *testing.T) {
	t.Parallel()
	local := worker.Backoff{First: time.Second, Cap: 30 * time.Second}
	for _, test := range []struct {
		name       string
		backoff    worker.Backoff
		receives   int
		retryAfter time.Duration
		jitter     float64
		want       time.Duration
	}{
		{"Retry-After", production(), 1, 7 * time.Second, 0.5, 7 * time.Second},
		{"more than the cap", production(), 1, time.Hour, 0.5, 15 * time.Minute},
		{"still Retry-After", production(), 5, 7 * time.Second, 0, 7 * time.Second},
		{"too short too often", production(), 6, 7 * time.Second, 0, 882 * time.Second},
		{"more than the back-off", production(), 6, 890 * time.Second, 0, 890 * time.Second},
		{"none: a minute at least", production(), 1, 0, 0, time.Minute},
		{"none, full jitter", production(), 1, 0, 1, 90 * time.Second},
		{"none, the back-off is longer", production(), 5, 0, 0, 240 * time.Second},
		{"none, at the cap", production(), 9, 0, 1, 15 * time.Minute},
		{"licensectl local", local, 1, 0, 0, 2 * time.Second},
		{"the cap holds", worker.Backoff{First: time.Minute, Cap: time.Minute}, 1, 0, 1, time.Minute},
	} {
		got := test.backoff.RateLimited(test.receives, test.retryAfter, test.jitter)
		if got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestBackoffStaysInsideItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(1, int64(12*time.Hour)).Draw(t, "first")
		b := worker.Backoff{First: time.Duration(first), Cap: time.Duration(rapid.Int64Range(first, int64(12*time.Hour)).Draw(t, "cap"))}
		receives := rapid.Int().Draw(t, "receives")
		jitter := rapid.Float64Range(0, 1).Draw(t, "jitter")
		if wait := b.Wait(receives, jitter); wait < min(b.First/2, b.Cap*95/100) || wait > b.Cap {
			t.Fatalf("%v waits %v", b, wait)
		}
		retryAfter := time.Duration(rapid.Int64().Draw(t, "retryAfter"))
		if wait := b.RateLimited(receives, retryAfter, jitter); wait < 0 || wait > b.Cap {
			t.Fatalf("%v waits %v after a 429", b, wait)
		}
	})
}
