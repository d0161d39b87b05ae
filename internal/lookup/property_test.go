package lookup_test

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

//nolint:gochecknoglobals // flags of the test, read-only after they were parsed
var (
	lookupWorlds = flag.Int("lookup.worlds", 2000, "worlds that TestEveryWorldEndsAsTheOracleSays makes, from lookup.seed on; the other tests make a part of them")
	lookupSeed   = flag.Uint64("lookup.seed", 1, "seed of the first world")
)

// inWorlds runs a check in that many worlds, several at a time; each goroutine has its own server.
func inWorlds(t *testing.T, oneOf int, check func(a *apis, w *world) (problem string)) {
	t.Helper()
	worlds := uint64(max(1, *lookupWorlds/oneOf))
	var next atomic.Uint64
	next.Store(*lookupSeed)
	end := *lookupSeed + worlds
	var failed atomic.Int64
	var goroutines sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		a := newAPIs(t)
		goroutines.Go(func() {
			for seed := next.Add(1) - 1; seed < end && failed.Load() < 3; seed = next.Add(1) - 1 {
				w := newWorld(seed)
				if problem := check(a, w); problem != "" {
					failed.Add(1)
					t.Errorf("-lookup.seed=%d -lookup.worlds=1: %s\n%s", seed, problem, w)
				}
			}
		})
	}
	goroutines.Wait()
}

// String shows the whole world; its keys are invented.
func (w *world) String() string {
	var text strings.Builder
	wire, _ := w.request.Wire()
	fmt.Fprintf(&text, "%s\nreleased: %v; about order %d\n", wire, w.released, w.about)
	for i, o := range w.orders {
		fmt.Fprintf(&text, "order %d: %+v\n", i, o)
		for _, l := range w.of(i) {
			fmt.Fprintf(&text, "  %d %s/%d key %q user %q order %q sub %q mail %q active %v inactive %v enabled %v created %v disabled %v activated %v\n",
				l.ID, l.Product, l.ProductID, l.LicenseKey, l.Username, l.Order, l.Subscription, l.CustomerEmail, l.Devices, l.InactiveDevices,
				l.Enabled == nil, l.CreatedAt.Sub(noon()), l.TimeDisabled.Sub(noon()), l.Activated)
		}
	}
	return text.String()
}

// begin serves the world and sets the clock.
func (a *apis) begin(t testing.TB, w *world) *licenseapitest.Server {
	a.clock.Store(noon().UnixNano())
	return a.serve(t, w.served()...)
}

func (w *world) release(j *lookup.Job) { j.Released = w.released }

// TestEveryWorldEndsAsTheOracleSays: no license outside the order is written to, and no license of the order is missed.
func TestEveryWorldEndsAsTheOracleSays(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ends := map[string]int{}
	inWorlds(t, 1, func(a *apis, w *world) string {
		fake := a.begin(t, w)
		result, before := a.work(t, a.lookup(t), w.request, w.release)
		mu.Lock()
		ends[string(result.Outcome)+" "+result.Code]++
		mu.Unlock()
		want := judge(w)
		if len(before) > 0 && result.Outcome == deactivation.AlreadyInactive && want.outcome == deactivation.Deactivated {
			want.outcome = result.Outcome // an earlier receive did it, as what is compared below shows
		}
		return compare(w, want, fake, &result)
	})
	t.Log(ends)
	if *lookupWorlds < 1000 {
		return
	}
	for _, end := range []string{
		"deactivated ", "already_inactive already_disabled", "already_inactive no_active_device", "already_inactive no_license", "rejected no_license",
		"rejected too_many", "rejected partial", "rejected unconfirmed", "rejected given_back", "rejected newer_than_event", "rejected mismatch",
	} {
		if ends[end] == 0 {
			t.Errorf("no world ends as %q: the generator does not reach it", end)
		}
	}
}

// compare checks the end of a world against its verdict. result may be nil if a test has none.
func compare(w *world, want *verdict, fake *licenseapitest.Server, result *lookup.Result) string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if result != nil {
		if result.Outcome != want.outcome || result.Outcome == deactivation.Rejected && !slices.Contains(want.codes, result.Code) {
			bad("got %s %s (%s), want %s %v", result.Outcome, result.Code, result.Detail, want.outcome, want.codes)
		}
	}
	for i, l := range fake.State().Licenses {
		was := w.rows[i]
		for _, device := range was.Devices {
			if freed := !slices.Contains(l.Devices, device); freed != want.freed[was.ID][device] {
				bad("license %d: %s is free: %v", was.ID, device, freed)
			}
		}
		if enabled := l.Enabled == nil || *l.Enabled; enabled != (was.Enabled == nil && !want.disabled[was.ID]) {
			bad("license %d is enabled: %v", was.ID, enabled)
		}
	}
	for _, write := range fake.Ledger() {
		if !want.touched[write.License] {
			bad("a write to license %d: %+v", write.License, write)
		}
		if why := w.stranger(write.License); why != "" {
			bad("a write to license %d, %s", write.License, why)
		}
	}
	return strings.Join(problems, "\n")
}

// stranger returns why a license has nothing to do with the event, independent of the oracle: it is of another order,
// subscription and customer. It is "" for the order's own licenses and in a world that a person has released.
func (w *world) stranger(id int64) string {
	l := w.rows[slices.IndexFunc(w.rows, func(l licenseapitest.License) bool { return l.ID == id })]
	o := w.orders[w.about]
	switch {
	case w.released,
		slices.ContainsFunc(w.of(w.about), func(own licenseapitest.License) bool { return own.ID == id }),
		l.Subscription != "" && l.Subscription == w.request.Lookup.Subscription.ID,
		l.CustomerEmail != "" && strings.EqualFold(l.CustomerEmail, w.request.Lookup.Email):
		return ""
	}
	return fmt.Sprintf("which is of another order (%q) than the event's (%q)", l.Order, o.stored)
}
