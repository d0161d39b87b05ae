package licenseapitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// badCalls is how many calls of each license a temporary fault affects: enough for one retry to fail, too.
	badCalls = 2

	// slowDelay is longer than a client waits: five seconds.
	slowDelay = 6 * time.Second

	// stormCalls and stormSeed make the named storm; the same calls fail in every run.
	stormCalls = 4
	stormSeed  = 1
)

// A NamedFault is a fault that is selected by name, as by `licensectl local --fail`.
type NamedFault struct {
	Name    string
	Meaning string // one line: what happens, and whether it ends by itself

	fault      func(Call) Fault
	management func(ManagementCall) Fault
	begin      func(*Server) // called once, at Fail; nil: no call. s.mu is held
}

// Faults returns the named faults of the License API in the order in which help should show them. Fail accepts two more
// forms: another status, and code=<code>, which answers every call 400 with that code permanently.
func Faults() []NamedFault { return faults(time.Now) }

func faults(now func() time.Time) []NamedFault {
	return []NamedFault{
		{Name: "503", Meaning: "the first 2 calls of each license are answered 503; any other status (300 to 599) likewise",
			fault: passing(answer(503, nil))},
		{Name: "429", Meaning: "the first 2 calls of all are answered 429 with Retry-After: 1",
			fault: atFirst(answer(429, http.Header{"Retry-After": {"1"}}))},
		{Name: "429-date", Meaning: "the first 2 calls of all are answered 429 with a date 2 s ahead as Retry-After",
			fault: func(c Call) Fault {
				at := now().Add(2 * time.Second).UTC().Format(http.TimeFormat)
				return atFirst(answer(429, http.Header{"Retry-After": {at}}))(c)
			}},
		{Name: "429-bare", Meaning: "the first 2 calls of each license are answered 429 without Retry-After: clients wait a minute",
			fault: passing(answer(429, nil))},
		{Name: "flood", Meaning: "the published flood limits, always: 200 calls in 10 s per address, 50 in 1 s per Authorization",
			begin: func(s *Server) { s.flood = newFlood(Published()) }},
		{Name: "slow", Meaning: "the first 2 calls of each license are answered after 6 s, and nothing is done if the client has left",
			fault: passing(Fault{Delay: slowDelay})},
		{Name: "slow-after", Meaning: "the first 2 calls of each license are answered 6 s after the device was deactivated",
			fault: passing(Fault{Delay: slowDelay, After: true})},
		{Name: "reset", Meaning: "the first 2 calls of each license end in a connection reset, and nothing is done",
			fault: passing(Fault{Reset: true})},
		{Name: "reset-after", Meaning: "the first 2 calls of each license end in a connection reset after the device was deactivated",
			fault: passing(Fault{Reset: true, After: true})},
		{Name: "cut", Meaning: "the first 2 calls of each license get half of an error's body, and nothing is done",
			fault: passing(Fault{Status: 400, Body: ErrorBody(400, "license_not_found", "a text that breaks off"), Cut: true})},
		{Name: "cut-after", Meaning: "the first 2 calls of each license get half of the body of their true answer",
			fault: passing(Fault{Cut: true, After: true})},
		{Name: "html", Meaning: "the first 2 calls of each license get a proxy's HTML page with status 400",
			fault: passing(page(http.StatusBadRequest))},
		{Name: "page", Meaning: "the first 2 calls of each license get a proxy's HTML page with status 200, and nothing is done",
			fault: passing(page(http.StatusOK))},
		{Name: "page-after", Meaning: "the first 2 calls of each license get an HTML page with status 200 after the device was deactivated",
			fault: passing(after(page(http.StatusOK)))},
		{Name: "unauthorized", Meaning: "the first call of each license is answered 401 without a body",
			fault: first(1, answer(401, nil))},
		{Name: "stale-date", Meaning: "the first call of each license is answered date_header_diff",
			fault: first(1, coded("date_header_diff"))},
		{Name: "token-expired", Meaning: "the first call of each license is answered oauth_token_expired, whatever signed it",
			fault: first(1, coded("oauth_token_expired"))},
		{Name: "token-malformed", Meaning: "the first call of each license is answered oauth_token_malformed, whatever signed it",
			fault: first(1, coded("oauth_token_malformed"))},
		{Name: "rotated-key", Meaning: `always: each shared key and client secret gets "-rotated" behind it; the old one is refused`,
			begin: rotateAll},
		{Name: "flaky", Meaning: "always: each call fails with one chance in three (503, reset, cut, HTML, 429)",
			fault: Storm(stormSeed, 0, 1.0/3)},
		{Name: "storm", Meaning: "each of the first 4 calls of each license fails with two chances in three, the later ones succeed",
			fault: Storm(stormSeed, stormCalls, 2.0/3)},
		{Name: "down", Meaning: "always: every call is answered 503",
			fault: always(answer(503, nil))},
		{Name: "gone", Meaning: "always: every call ends in a connection reset",
			fault: always(Fault{Reset: true})},
		{Name: "maintenance", Meaning: "always: every call gets a maintenance page with status 200",
			fault: always(page(http.StatusOK))},
		{Name: "suspended", Meaning: "always: every call is answered 403 account_suspended, which is no documented code",
			fault: always(Fault{Status: http.StatusForbidden, Body: ErrorBody(http.StatusForbidden, "account_suspended", "The account is suspended")})},
		{Name: "moved", Meaning: "always: every call is redirected elsewhere (301)",
			fault: always(answer(301, http.Header{"Location": {"https://example.com/"}}))},
		{Name: "echo", Meaning: "always: every call is rejected with a text that repeats its license key and device",
			fault: echo},
	}
}

// Fail injects the named faults from now on, in place of an earlier Fail or OnCall; if several apply to a call the first
// one is used. Without names all faults end, except a rotated key.
func (s *Server) Fail(names ...string) error {
	var chosen []NamedFault
	for _, name := range names {
		f, err := s.faultNamed(name)
		if err != nil {
			return err
		}
		chosen = append(chosen, f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flood, s.management.flood, s.management.habits = nil, nil, Habits{}
	var calls []func(Call) Fault
	var managementCalls []func(ManagementCall) Fault
	for _, f := range chosen {
		if f.begin != nil {
			f.begin(s)
		}
		if f.fault != nil {
			calls = append(calls, f.fault)
		}
		if f.management != nil {
			managementCalls = append(managementCalls, f.management)
		}
	}
	s.fault, s.management.fault = firstOf(calls), firstOf(managementCalls)
	return nil
}

// firstOf returns the faults as one: the first that applies to a call decides.
func firstOf[C any](faults []func(C) Fault) func(C) Fault {
	return func(c C) Fault {
		for _, f := range faults {
			if fault := f(c); !fault.none() {
				return fault
			}
		}
		return Fault{}
	}
}

func (s *Server) faultNamed(name string) (NamedFault, error) {
	for _, f := range append(faults(s.now), ManagementFaults()...) {
		if f.Name == name {
			return f, nil
		}
	}
	if code, ok := strings.CutPrefix(name, "code="); ok && code != "" {
		return NamedFault{Name: name, fault: always(coded(code))}, nil
	}
	if status, err := strconv.Atoi(name); err == nil && status >= 300 && status <= 599 {
		return NamedFault{Name: name, fault: passing(answer(status, nil))}, nil
	}
	return NamedFault{}, fmt.Errorf("licenseapitest: no fault is called %q", name)
}

func (f Fault) none() bool {
	return f.Delay == 0 && f.Status == 0 && !f.Reset && !f.Cut && !f.After
}

// answer is a status with the API's body, if it has one: a 5xx.
func answer(status int, h http.Header) Fault {
	f := Fault{Status: status, Header: h}
	if status >= http.StatusInternalServerError {
		f.Body = ErrorBody(status, "internal_error", "Internal error")
	}
	return f
}

func always(f Fault) func(Call) Fault { return func(Call) Fault { return f } }

func passing(f Fault) func(Call) Fault { return first(badCalls, f) }

// atFirst affects the first calls of all licenses: a rate limit does not depend on a license, and a client that keeps
// the pause would otherwise need one pause for each license.
func atFirst(f Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.Number > badCalls {
			return Fault{}
		}
		return f
	}
}

func first(calls int, f Fault) func(Call) Fault {
	return func(c Call) Fault {
		if c.Times > calls {
			return Fault{}
		}
		return f
	}
}

func coded(code string) Fault {
	return Fault{Status: http.StatusBadRequest, Body: ErrorBody(http.StatusBadRequest, code, "asked for")}
}

// page is an HTML page that a proxy sends in place of the API's answer.
func page(status int) Fault {
	return Fault{
		Status: status, Header: http.Header{"Content-Type": {htmlText}},
		Body: fmt.Sprintf("<!doctype html><title>%d</title><h1>%s</h1><p>a proxy in between</p>\n", status, http.StatusText(status)),
	}
}

// after is the fault after the work.
func after(f Fault) Fault {
	f.After = true
	return f
}

func echo(c Call) Fault {
	said, err := json.Marshal([]string{c.LicenseKey, c.Username, c.HardwareID})
	if err != nil {
		said = nil // texts are always JSON
	}
	return Fault{
		Status: http.StatusBadRequest,
		Body:   ErrorBody(http.StatusBadRequest, "validation_error", "cannot deactivate "+string(said)+" "+c.LicenseKey+c.Username),
	}
}

func rotateAll(s *Server) {
	for apiKey, shared := range s.keys {
		s.keys[apiKey] = shared + "-rotated"
	}
	for id, secret := range s.clients {
		s.clients[id] = secret + "-rotated"
	}
}
