package licenseapitest

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The time spans of the limits.
const (
	addressWindow   = 10 * time.Second
	signatureWindow = time.Second
	companyWindow   = time.Minute
)

// Limits are how many calls the server accepts in a rolling span. Any more calls are answered 429 with the whole span
// as Retry-After; refused calls do not count. Zero is no limit.
type Limits struct {
	PerAddress       int // in 10 s, from one client address: the host of a request's RemoteAddr, which a test may set
	PerAuthorization int // in 1 s, with one value of the Authorization header
	PerMinute        int // of the company: all calls together
}

// Published returns the limits that the API has on every plan; the limit of a company's calls in a minute depends on
// its plan. The documentation does not say whether the real API's 429 carries Retry-After; the fake's does.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
func Published() Limits { return Limits{PerAddress: 200, PerAuthorization: 50} }

// Limit sets the limits, in place of earlier ones, and resets the count of calls. Fail sets none, or the published
// ones.
func (s *Server) Limit(limits Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flood = nil
	if limits != (Limits{}) {
		s.flood = newFlood(limits)
	}
}

// flood holds the calls of the last spans.
type flood struct {
	limits                Limits
	addresses, signatures map[string][]time.Time
	company               []time.Time
}

func newFlood(limits Limits) *flood {
	return &flood{limits: limits, addresses: map[string][]time.Time{}, signatures: map[string][]time.Time{}}
}

// refuse counts a call, or returns its 429. Refused calls do not count.
func (f *flood) refuse(r *http.Request, now time.Time) *reply {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	signature := r.Header.Get("Authorization")
	forget(f.addresses, now.Add(-addressWindow))
	forget(f.signatures, now.Add(-signatureWindow))
	f.company = within(f.company, now.Add(-companyWindow))
	for _, limit := range []struct {
		calls, most int
		span        time.Duration
	}{
		{len(f.addresses[address]), f.limits.PerAddress, addressWindow},
		{len(f.signatures[signature]), f.limits.PerAuthorization, signatureWindow},
		{len(f.company), f.limits.PerMinute, companyWindow},
	} {
		if limit.most > 0 && limit.calls >= limit.most {
			return tooMany(limit.span)
		}
	}
	f.addresses[address] = append(f.addresses[address], now)
	f.signatures[signature] = append(f.signatures[signature], now)
	f.company = append(f.company, now)
	return nil
}

// forget drops calls older than the window, so that the maps hold only the calls within it.
func forget(calls map[string][]time.Time, before time.Time) {
	for name, times := range calls {
		kept := within(times, before)
		if len(kept) == 0 {
			delete(calls, name)
			continue
		}
		calls[name] = kept
	}
}

// within drops the calls before that time.
func within(times []time.Time, before time.Time) []time.Time {
	return slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(before) })
}

func tooMany(window time.Duration) *reply {
	return &reply{
		status: http.StatusTooManyRequests, name: nameOf(http.StatusTooManyRequests, ""), kind: plainText,
		retryAfter: strconv.Itoa(int(window / time.Second)),
	}
}
