package simulation

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/telemetry"
)

// maxViolations is how many are told of one seed.
const maxViolations = 10

// ledger is what is known of a seed from outside the system.
type ledger struct {
	tally
	at   func() time.Duration
	late atomic.Int64 // sends that are not visible yet

	mu         sync.Mutex
	accepted   map[string]*request
	events     map[string]bool // unmappable ones, by request id
	ends       map[string]deactivation.Outcome
	violations []string
}

// tally counts.
type tally struct {
	mu sync.Mutex

	seeds, messages, days              int
	calls, dials, awsCalls             int
	lost                               int // connections that the API ended without an answer
	reached, judged, limited           int // calls: at the API, not refused by its limits, refused by them
	coldStarts, kills, timeouts        int
	failedBatches, receives            int
	deactivated, inactive, deadLetters int
	mostReceives                       int     // of one message
	busiest                            float64 // the busiest minute, as a part of the pace
}

func (t *tally) String() string {
	return fmt.Sprintf("%d seeds (%d with a day without the API), %d messages, %d receives (at most %d of one), %d calls (%d refused by the limits), busiest minute %.3f of the pace, %d cold starts, %d kills, %d time-outs, %d failed batches; %d deactivated, %d already inactive, %d dead letters",
		t.seeds, t.days, t.messages, t.receives, t.mostReceives, t.calls, t.limited, t.busiest, t.coldStarts, t.kills, t.timeouts, t.failedBatches, t.deactivated, t.inactive, t.deadLetters)
}

func (t *tally) add(o *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range []struct {
		to   *int
		from int
	}{
		{&t.seeds, o.seeds}, {&t.messages, o.messages}, {&t.days, o.days}, {&t.calls, o.calls}, {&t.dials, o.dials}, {&t.awsCalls, o.awsCalls},
		{&t.limited, o.limited}, {&t.lost, o.lost},
		{&t.coldStarts, o.coldStarts}, {&t.kills, o.kills}, {&t.timeouts, o.timeouts}, {&t.failedBatches, o.failedBatches},
		{&t.receives, o.receives}, {&t.deactivated, o.deactivated}, {&t.inactive, o.inactive}, {&t.deadLetters, o.deadLetters},
	} {
		*n.to += n.from
	}
	t.busiest, t.mostReceives = max(t.busiest, o.busiest), max(t.mostReceives, o.mostReceives)
}

// count adds one to a field of t and returns the sum.
func (t *tally) count(n *int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n++
	return *n
}

func (t *tally) received(attempts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receives++
	t.mostReceives = max(t.mostReceives, attempts)
}

func (t *tally) pace(part float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busiest = max(t.busiest, part)
}

// violate notes that something is not as it must be.
func (l *ledger) violate(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.violations) < maxViolations {
		l.violations = append(l.violations, fmt.Sprintf("after %v: ", l.at().Round(time.Second))+fmt.Sprintf(format, args...))
	}
}

// accept notes that the webhook has promised a request.
func (l *ledger) accept(id string, q *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accepted == nil {
		l.accepted = map[string]*request{}
	}
	l.accepted[id] = q
}

func (l *ledger) acceptEvent(d *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = map[string]bool{}
	}
	l.events[d.source+"/"+fmt.Sprint(d.number)] = true
}

// tell notes what a worker says of a message.
func (l *ledger) tell(m telemetry.Message, wrongKey bool) {
	l.received(m.Attempts)
	if m.Outcome == deactivation.Deferred {
		if wrongKey {
			l.violate("a message is put off as %s although the right key has been in the secret for more than %v", m.Code, rereadWithin)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends == nil {
		l.ends = map[string]deactivation.Outcome{}
	}
	l.ends[m.ID] = m.Outcome
}

// judge holds what was promised against what became of it.
func (w *world) judge() {
	w.seeds, w.messages = 1, len(w.plan.requests)
	if w.plan.outage() {
		w.days = 1
	}
	w.limited = w.reached - w.judged
	if w.limited > w.lost && len(w.plan.skews) == 0 { // a clock that jumps keeps a window full
		w.violate("the API's limits refused %d calls, and only %d were repeats by the transport", w.limited, w.lost)
	}
	if n := w.late.Load(); n > 0 {
		w.violate("%d sends are late for ever", n)
	}
	letters := w.judgeLetters()
	active := w.judgeLicenses()
	for id, q := range w.accepted {
		end, letter := w.ends[id], letters[id]
		stillActive := slices.ContainsFunc(q.rows, func(row int) bool { return active[row][q.license.HardwareID] })
		switch {
		case q.fate == rejected && letter.reason == deactivation.ReasonRejected && letter.code == q.code:
			w.deadLetters++
		case q.fate == rejected:
			w.violate("%s is not in the dead-letter queue as %s: it is told as %q, its letter %+v", id, q.code, end, letter)
		case letter != (verdict{}):
			w.violate("%s is dead-lettered without being at fault: %+v", id, letter)
		case stillActive:
			w.violate("%s is lost: its device is active, it is told as %q, and there is no letter", id, end)
		case q.fate == nothing && end == deactivation.AlreadyInactive,
			q.fate == freed && end == deactivation.AlreadyInactive:
			w.inactive++
		case q.fate == freed && end == deactivation.Deactivated:
			w.deactivated++
		default:
			w.violate("%s is lost: it is told as %q, and there is no letter", id, end)
		}
	}
}

// verdict is what a dead letter says of a request.
type verdict struct {
	reason deactivation.Reason
	code   string
}

// judgeLetters empties the dead-letter queue and checks what is no request.
func (w *world) judgeLetters() map[string]verdict {
	found := map[string]verdict{}
	var foreign int
	events := map[string]bool{}
	for _, m := range w.takeLetters() {
		says := verdict{deactivation.Reason(m.Attributes["reason"]), m.Attributes["code"]}
		q, event, err := deactivation.Parse(m.Body)
		switch {
		case err != nil && says.reason == deactivation.ReasonInvalid || q.ID == "ops.1":
			foreign++
		case err != nil:
			w.violate("a letter that is none of ours: %v", err)
		case event != nil:
			events[m.Attributes["request_id"]] = true
			if says.reason != deactivation.ReasonUnmappable {
				w.violate("an event is dead-lettered as %q", says.reason)
			}
		default:
			if says.reason == "" {
				says.reason = "exhausted"
			}
			if before, twice := found[q.ID]; twice && before != says {
				w.violate("two letters of %s differ: %+v and %+v", q.ID, before, says)
			}
			found[q.ID] = says
		}
	}
	if foreign < strays {
		w.violate("%d of %d messages that are none of ours are in the dead-letter queue", foreign, strays)
	}
	if len(events) < len(w.events) {
		w.violate("%d of %d unmappable events are in the dead-letter queue", len(events), len(w.events))
	}
	return found
}

// judgeLicenses checks that nobody was deactivated whom nobody asked for, and returns the active devices by row.
func (w *world) judgeLicenses() []map[string]bool {
	asked := make([]map[string]bool, len(w.plan.licenses))
	for _, q := range w.plan.requests {
		for _, row := range q.rows {
			if asked[row] == nil {
				asked[row] = map[string]bool{}
			}
			asked[row][q.license.HardwareID] = true
		}
	}
	active := make([]map[string]bool, len(w.plan.licenses))
	for row, l := range w.api.State().Licenses {
		active[row] = map[string]bool{}
		for _, device := range l.Devices {
			active[row][device] = true
		}
		for _, device := range w.plan.licenses[row].Devices {
			if !active[row][device] && !asked[row][device] {
				w.violate("nobody asked to deactivate %s of %s%s", device, l.LicenseKey, l.Username)
			}
		}
	}
	return active
}

var _ lambdaemu.Queue = (*queue.Memory)(nil)
