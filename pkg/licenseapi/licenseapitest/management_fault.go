package licenseapitest

import (
	"net/http"
	"net/url"
	"time"
)

// ManagementCall is one call of the Management API as a fault sees it, when only route and method are checked. Number
// and Times start at 1.
type ManagementCall struct {
	Number int // among all calls
	Times  int // among the calls with this method, path and query
	Method string
	Path   string     // below ManagementBase: "/licenses/", "/licenses/7/disable/"
	Query  url.Values // names customers' licenses: do not print it
}

// OnManagementCall is OnCall for the Management API.
func (s *Server) OnManagementCall(fault func(ManagementCall) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.management.fault = fault
}

// LimitManagement is Limit for the Management API, which counts its calls separately from the License API's.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
func (s *Server) LimitManagement(limits Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.management.flood = nil
	if limits != (Limits{}) {
		s.management.flood = newFlood(limits)
	}
}

// Habits are ways in which the Management API differs, or might differ, from a client's expectations. The zero Habits
// is the documentation.
type Habits struct {
	IgnoreFilters    bool // a list returns everything, whatever it was asked for, as django-filter does with unknown names
	MatchParts       bool // an exact filter finds what begins with its value
	RefuseFilters    bool // a list with a filter is answered 400
	ForeignLicense   bool // a list of licenses holds one that the filter does not match
	ForeignDevice    bool // a list of devices holds an active one that the filter does not match
	Duplicates       bool // a list holds every record twice
	NullKeys         bool // license_key is null in every record
	ShiftPages       bool // a record is added in front of a list between its pages
	PageSize         int  // pages are cut at so many records, whatever limit says; 0: at 100
	NoTimes          bool // created_at, time_disabled and time_activated are missing
	NumberedLicenses bool // a device's license is a number, not an object
	RefuseRepeats    bool // disabling a disabled license, or enabling an enabled one, is answered 400
	IgnoreWrites     bool // disable, enable and reset answer 200 and change nothing
}

// SetHabits gives the Management API these habits, in place of earlier ones.
func (s *Server) SetHabits(habits Habits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.management.habits = habits
}

// managementSlow is longer than any client waits.
const managementSlow = time.Hour

// ManagementFaults returns the named faults of the Management API, which Fail accepts like those of Faults.
func ManagementFaults() []NamedFault {
	fault := func(name, meaning string, f func(ManagementCall) Fault) NamedFault {
		return NamedFault{Name: "management-" + name, Meaning: meaning, management: f}
	}
	habit := func(name, meaning string, habits func(*Habits)) NamedFault {
		return NamedFault{Name: "management-" + name, Meaning: meaning, begin: func(s *Server) { habits(&s.management.habits) }}
	}
	return []NamedFault{
		fault("503", "the first 2 of each call are answered 503", managementFirst(badCalls, Fault{Status: http.StatusServiceUnavailable})),
		fault("429", "the first 2 calls of all are answered 429 with Retry-After: 1", func(c ManagementCall) Fault {
			if c.Number > badCalls {
				return Fault{}
			}
			return Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}
		}),
		{Name: "management-flood", Meaning: "always: 600 calls a minute, 200 in 10 s per address, 50 in 1 s per Authorization",
			begin: func(s *Server) { s.management.flood = newFlood(ManagementPlan()) }},
		fault("403", "always: the key is refused", managementAlways(Fault{
			Status: http.StatusForbidden, Body: detail(http.StatusForbidden, detailCredentials).body,
		})),
		fault("down", "always: every call is answered 503", managementAlways(Fault{Status: http.StatusServiceUnavailable})),
		fault("gone", "always: every call ends in a connection reset", managementAlways(Fault{Reset: true})),
		fault("hang", "always: no call is answered", managementAlways(Fault{Delay: managementSlow})),
		fault("cut", "the first 2 of each call get half of their true answer", managementFirst(badCalls, Fault{Cut: true, After: true})),
		fault("html", "the first 2 of each call are answered 200 with a proxy's HTML page, and nothing is done",
			managementFirst(badCalls, page(http.StatusOK))),
		habit("filters-ignored", "always: a list returns everything, whatever its filter", func(h *Habits) { h.IgnoreFilters = true }),
		habit("filters-partial", "always: a list returns what begins with the filter's value", func(h *Habits) { h.MatchParts = true }),
		habit("filters-refused", "always: a list with a filter is answered 400", func(h *Habits) { h.RefuseFilters = true }),
		habit("foreign-license", "always: a list of licenses holds one of somebody else", func(h *Habits) { h.ForeignLicense = true }),
		habit("foreign-device", "always: a list of devices holds one of another license", func(h *Habits) { h.ForeignDevice = true }),
		habit("duplicates", "always: a list holds every record twice", func(h *Habits) { h.Duplicates = true }),
		habit("null-keys", "always: license_key is null", func(h *Habits) { h.NullKeys = true }),
		habit("pages-shift", "always: pages of 1 record, and a record comes in front of the list between two pages",
			func(h *Habits) { h.ShiftPages, h.PageSize = true, 1 }),
		habit("pages-short", "always: pages of 1 record, also with another limit", func(h *Habits) { h.PageSize = 1 }),
		habit("no-times", "always: records have no time of creation, activation or disabling", func(h *Habits) { h.NoTimes = true }),
		habit("repeats-refused", "always: disabling a disabled license is answered 400", func(h *Habits) { h.RefuseRepeats = true }),
		habit("writes-ignored", "always: disable, enable and reset answer 200 and change nothing", func(h *Habits) { h.IgnoreWrites = true }),
	}
}

// ManagementPlan returns the limits of the Management API on the smallest plan.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
func ManagementPlan() Limits { return Limits{PerAddress: 200, PerAuthorization: 50, PerMinute: 600} }

func managementAlways(f Fault) func(ManagementCall) Fault {
	return func(ManagementCall) Fault { return f }
}

func managementFirst(calls int, f Fault) func(ManagementCall) Fault {
	return func(c ManagementCall) Fault {
		if c.Times > calls {
			return Fault{}
		}
		return f
	}
}
