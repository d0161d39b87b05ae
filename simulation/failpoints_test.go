package simulation

import (
	"net/http"
	"strconv"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// fault is what goes wrong with one call: by the weather, the license and how often it was called before.
func (w *world) fault(c licenseapitest.Call) licenseapitest.Fault {
	w.count(&w.judged)
	now := w.now()
	r := dice(w.plan.seed, c.LicenseKey+c.Username+c.HardwareID, uint64(c.Times)) //nolint:gosec // a count
	delay := w.plan.latency/2 + time.Duration(r.Int64N(int64(w.plan.latency)))
	e := w.plan.weather(now)
	if e.kind == "" || r.Float64() >= e.chance {
		return licenseapitest.Fault{Delay: delay}
	}
	kind := e.kind
	if kind == "storm" {
		kind = weathers()[1+r.IntN(len(weathers())-1)]
	}
	f := badCall(kind, r.IntN, now)
	f.Delay += delay
	if f.Reset {
		w.door.lost()
	}
	return f
}

// badCall is a fault of that kind. None of them is the message's fault, whatever it says.
func badCall(kind string, pick func(int) int, now time.Duration) licenseapitest.Fault {
	refusal := licenseapitest.ErrorBody(400, "license_not_found", "No such license")
	header := func(name, text string) http.Header { return http.Header{name: {text}} }
	var kinds []licenseapitest.Fault
	switch kind {
	case "resets":
		kinds = []licenseapitest.Fault{{Reset: true}, {Reset: true, After: true}}
	case "errors":
		kinds = []licenseapitest.Fault{
			{Status: 500, Body: licenseapitest.ErrorBody(500, "internal_error", "Internal error")},
			{Status: 502, Body: "<html>bad gateway</html>", Header: header("Content-Type", "text/html")},
			{Status: 503, Body: refusal}, {Status: 504}, {Status: 408, Body: refusal}, {Status: 503, After: true},
		}
	case "limits":
		at := time.Now().Add(time.Duration(pick(300)) * time.Second).UTC().Format(http.TimeFormat)
		kinds = []licenseapitest.Fault{
			{Status: 429}, {Status: 429, Body: refusal}, {Status: 429, Header: header("Retry-After", strconv.Itoa(pick(120)))},
			{Status: 429, Header: header("Retry-After", at)}, {Status: 429, Header: header("Retry-After", "soon")},
			{Status: 429, Header: header("Retry-After", "99999999999999999999")},
		}
	case "slow":
		kinds = []licenseapitest.Fault{
			{Delay: 3 * time.Second}, {Delay: 2 * time.Second, After: true}, {Delay: 2 * time.Second},
			{Delay: 8 * time.Second}, {Delay: 8 * time.Second, After: true},
		}
	case "html":
		page := header("Content-Type", "text/html")
		kinds = []licenseapitest.Fault{
			{Status: 400, Body: "<html>blocked</html>", Header: page}, {Status: 403, Body: "<html>blocked</html>", Header: page},
			{Status: 404, Body: "<html>lost</html>", Header: page}, {Status: 400},
		}
	case "cut":
		kinds = []licenseapitest.Fault{{Status: 400, Body: refusal, Cut: true}, {Cut: true, After: true}}
	case "unauthorized":
		kinds = []licenseapitest.Fault{{Status: 401}, {Status: 403}}
	case "misconfigured":
		kinds = []licenseapitest.Fault{
			{Status: 404, Body: licenseapitest.ErrorBody(404, "not_found", "Not found")}, {Status: 301, Header: header("Location", "https://example.com/")},
			{Status: 400, Body: licenseapitest.ErrorBody(400, "read_only_api_key", "read only")},
		}
	case "locked":
		kinds = []licenseapitest.Fault{{Status: 400, Body: licenseapitest.ErrorBody(400, "api_key_product_not_allowed", "not this product")}}
	case "down": // it fails in another way every hour
		all := []licenseapitest.Fault{{Status: 503}, {Delay: 8 * time.Second}, {Reset: true}, {Status: 502, Body: "<html>"}}
		kinds = all[int(now/time.Hour)%len(all):][:1]
	default: // "refused" is a matter of connections
		return licenseapitest.Fault{}
	}
	return kinds[pick(len(kinds))]
}

// refuses says whether a new connection is refused now.
func (w *world) refuses(n uint64) bool {
	e := w.plan.weather(w.now())
	switch e.kind {
	case "refused", "storm":
		return dice(w.plan.seed, "dial", n).Float64() < e.chance/2
	case "down":
		return int(w.now()/time.Hour)%5 == 4
	}
	return false
}
