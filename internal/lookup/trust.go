package lookup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// The probe queries each filter with a value that no license has. It is not documented whether the API ignores a filter
// that it does not know; an ignored filter returns all licenses of the company.
const (
	impossibleText   = "license-deactivator-probe-6f1d0c9b"
	impossibleID     = 9_000_000_000_000_001 // LicenseSpring's ids also have 16 digits, and begin with 1: they come from a clock
	filterOfDevices  = "license"
	probeRecordsMost = 1
)

// trust records whether the API's filters can be trusted, for the whole environment.
type trust struct {
	turn    chan struct{}   // one probe at a time; guards the fields below
	probed  map[string]bool // filters that were probed and found nothing
	broken  string          // the filter that found something; "": none
	probeAt time.Time       // time of the next probe
	failure *Result         // of the latest probe that ended with an error

	failures atomic.Int64 // probes that ended with an error
}

// trusted probes a filter before its first use. Nil means that it can be trusted.
func (s *saga) trusted(ctx context.Context, filter string) *Result {
	t := &s.l.trust
	before := t.failures.Load()
	if stop := t.enter(ctx); stop != nil {
		return stop
	}
	defer t.leave()
	if !t.probed[filter] && t.failures.Load() != before { // while this one waited: another probe would likely fail, too
		failure := *t.failure
		return &failure
	}
	if t.broken != "" {
		if left := t.probeAt.Sub(s.now); left > 0 {
			return untrusted(left)
		}
		if stop := s.probe(ctx, t.broken); stop != nil {
			return stop
		}
	}
	if t.probed[filter] {
		return nil
	}
	return s.probe(ctx, filter)
}

// probeAgain probes a filter again after it has returned a record that does not match. Nil means that the filter works,
// and that only this order's record is odd.
func (s *saga) probeAgain(ctx context.Context, filter string) *Result {
	t := &s.l.trust
	if stop := t.enter(ctx); stop != nil {
		return stop
	}
	defer t.leave()
	if t.broken != "" {
		return untrusted(t.probeAt.Sub(s.now))
	}
	return s.probe(ctx, filter)
}

// probe queries a filter with the impossible value; while a filter is broken, it must be that filter. An error decides
// nothing: the message waits.
func (s *saga) probe(ctx context.Context, filter string) *Result {
	t := &s.l.trust
	found, err := probeCount(ctx, s.job.Management, filter)
	if err != nil {
		stop := transient(err)
		if stop == nil {
			stop = refusedFilter(err)
		}
		if ctx.Err() == nil { // not because this message's time has ended
			t.failure = stop
			t.failures.Add(1)
		}
		return stop
	}
	if found == 0 {
		if t.broken != "" {
			s.l.cfg.Logger.WarnContext(ctx, "lookup: filters can be trusted again", "filter", filter)
		}
		t.broken, t.probed[filter] = "", true
		return nil
	}
	if t.broken == "" {
		s.l.cfg.Logger.ErrorContext(ctx, "lookup: stopped, a filter found licenses for a value that none has", "filter", filter, "count", found)
	}
	t.broken, t.probeAt = filter, s.now.Add(s.l.cfg.ProbeEvery)
	clear(t.probed)
	return untrusted(s.l.cfg.ProbeEvery)
}

// refusedFilter is the result of an error by which the API refuses a filter and not its value.
func refusedFilter(err error) *Result {
	return &Result{Outcome: deactivation.Deferred, Code: managementapi.CodeOf(err), Detail: err.Error(), Err: err, Fault: faultRefused}
}

// probeCount queries a filter with the impossible value and returns how many records it finds.
func probeCount(ctx context.Context, management Management, filter string) (found int, err error) {
	if filter == filterOfDevices {
		devices, err := management.Devices(ctx, impossibleID, probeRecordsMost)
		if err != nil && transient(err) == nil {
			return 0, nil // "no such license" is a filter that works
		}
		return devices.Count, err
	}
	var by managementapi.Filter
	for _, f := range impossibleFilters() {
		if f.Name() == filter {
			by = f
		}
	}
	licenses, err := management.Licenses(ctx, by, probeRecordsMost)
	return licenses.Count, err
}

// impossibleFilters are the filters of licenses with a value that no license has.
func impossibleFilters() []managementapi.Filter {
	return []managementapi.Filter{
		managementapi.ByLicenseKey(impossibleText), managementapi.ByOrder(impossibleText), managementapi.BySubscription(impossibleText),
	}
}

// ErrUntrusted is wrapped by the error of CheckFilters if a filter finds records for a value that none has.
var ErrUntrusted = errors.New("lookup: the Management API's filters cannot be trusted")

// CheckFilters probes every filter that the look-up uses. Any other error than ErrUntrusted is the API's.
func CheckFilters(ctx context.Context, management Management) error {
	names := []string{filterOfDevices}
	for _, f := range impossibleFilters() {
		names = append(names, f.Name())
	}
	for _, name := range names {
		found, err := probeCount(ctx, management, name)
		switch {
		case err != nil:
			return err
		case found > 0:
			return fmt.Errorf("%w: %s found %s for a value that none has", ErrUntrusted, name, count(found, "record"))
		}
	}
	return nil
}

func untrusted(wait time.Duration) *Result {
	return &Result{
		Outcome: deactivation.Deferred, Code: CodeUntrusted, Detail: "the Management API's filters cannot be trusted",
		RetryIn: wait, Fault: faultUntrusted,
	}
}

// enter waits until no other probe runs.
func (t *trust) enter(ctx context.Context) *Result {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return transient(ctx.Err())
	}
}

func (t *trust) leave() { <-t.turn }
