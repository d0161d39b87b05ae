package history_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/telemetry"
)

func TestDeliveriesAreCountedBySourceAndAnswer(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	now := time.Now()
	put := func(when time.Time, source string, answer deactivation.Answer) {
		f.Put(groups()[0], when, at(t, when, written(t, func(r *telemetry.Recorder) {
			r.Delivery(t.Context(), telemetry.Delivery{ID: source + ".evt", Source: source, Answer: answer, Status: 200})
		})[0]))
	}
	for range 3 {
		put(now, "stripe", deactivation.Ignored)
	}
	put(now, "stripe", deactivation.Accepted)
	put(now, "paddle", deactivation.Accepted)
	put(now.Add(-2*time.Hour), "paddle", deactivation.Accepted)  // before the time
	f.Put(groups()[1], now, message(t, now, "stripe.evt.0", "")) // no delivery
	got, err := f.insights().CountDeliveries(t.Context(), now.Add(-time.Hour))
	want := []history.Deliveries{{"stripe", "ignored", 3}, {"paddle", "accepted", 1}, {"stripe", "accepted", 1}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got)\n%s", err, diff)
	}
}
