package simulation

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// apiFailpointKinds are the kinds of a failpoint of the License API. A storm mixes all of them except deploymentKinds.
func apiFailpointKinds() []string {
	return append(deploymentKinds(),
		"storm", "resets", "errors", "limits", "slow", "html", "page", "cut", "refused", "locked", "down")
}

// deploymentKinds concern the account or the address, so they affect every call of the span alike. The worker uses that
// to distinguish them from a refusal of one license.
func deploymentKinds() []string { return []string{"unauthorized", "suspended", "misconfigured"} }

// apiFault returns the fault of one call. It depends on the failpoint, the license and the number of earlier calls for
// the license.
func (h *harness) apiFault(c licenseapitest.Call) licenseapitest.Fault {
	h.count(&h.served)
	now := h.now()
	r := rng(h.scenario.seed, c.LicenseKey+c.Username+c.HardwareID, uint64(c.Times)) //nolint:gosec // a count
	delay := h.scenario.latency/2 + time.Duration(r.Int64N(int64(h.scenario.latency)))
	f := h.scenario.apiFailpointAt(now)
	pick := r.IntN
	if slices.Contains(deploymentKinds(), f.kind) {
		pick = func(n int) int { return int(f.from/time.Second) % n }
		h.recordRefusal(c.LicenseKey+c.Username, f.from)
	} else if f.kind == "" || r.Float64() >= f.chance {
		return licenseapitest.Fault{Delay: delay}
	}
	kind := f.kind
	if kind == "storm" {
		mixed := slices.DeleteFunc(apiFailpointKinds(), func(kind string) bool {
			return kind == "storm" || slices.Contains(deploymentKinds(), kind)
		})
		kind = mixed[r.IntN(len(mixed))]
	}
	fault := faultOf(kind, pick, now)
	fault.Delay += delay
	if fault.Reset {
		h.monitor.connectionLost()
	}
	return fault
}

// faultOf picks a fault of a kind. None of them is the fault of the message, even where its body says so.
func faultOf(kind string, pick func(int) int, now time.Duration) licenseapitest.Fault {
	refusal := licenseapitest.ErrorBody(400, "license_not_found", "No such license")
	header := func(name, text string) http.Header { return http.Header{name: {text}} }
	var faults []licenseapitest.Fault
	switch kind {
	case "resets":
		faults = []licenseapitest.Fault{{Reset: true}, {Reset: true, After: true}}
	case "errors":
		faults = []licenseapitest.Fault{
			{Status: 500, Body: licenseapitest.ErrorBody(500, "internal_error", "Internal error")},
			{Status: 502, Body: "<html>bad gateway</html>", Header: header("Content-Type", "text/html")},
			{Status: 503, Body: refusal}, {Status: 504}, {Status: 408, Body: refusal}, {Status: 503, After: true},
		}
	case "limits":
		at := time.Now().Add(time.Duration(pick(300)) * time.Second).UTC().Format(http.TimeFormat)
		faults = []licenseapitest.Fault{
			{Status: 429}, {Status: 429, Body: refusal}, {Status: 429, Header: header("Retry-After", strconv.Itoa(pick(120)))},
			{Status: 429, Header: header("Retry-After", at)}, {Status: 429, Header: header("Retry-After", "soon")},
			{Status: 429, Header: header("Retry-After", "99999999999999999999")},
		}
	case "slow":
		faults = []licenseapitest.Fault{
			{Delay: 3 * time.Second}, {Delay: 2 * time.Second, After: true}, {Delay: 2 * time.Second},
			{Delay: 8 * time.Second}, {Delay: 8 * time.Second, After: true},
		}
	case "html":
		page := header("Content-Type", "text/html")
		faults = []licenseapitest.Fault{
			{Status: 400, Body: "<html>blocked</html>", Header: page},
			{Status: 404, Body: "<html>lost</html>", Header: page}, {Status: 400},
		}
	case "page":
		page := header("Content-Type", "text/html")
		faults = []licenseapitest.Fault{
			{Status: 200, Body: "<html>maintenance</html>", Header: page}, {Status: 200}, {Status: 200, Body: refusal},
			{Status: 200, Body: "<html>maintenance</html>", Header: page, After: true},
		}
	case "cut":
		faults = []licenseapitest.Fault{{Status: 400, Body: refusal, Cut: true}, {Cut: true, After: true}}
	case "unauthorized":
		faults = []licenseapitest.Fault{{Status: 401}, {Status: 403}, {Status: 403, Body: "<html>blocked</html>", Header: header("Content-Type", "text/html")}}
	case "suspended":
		faults = []licenseapitest.Fault{
			{Status: 403, Body: licenseapitest.ErrorBody(403, "account_suspended", "The account is suspended")}, {Status: 402},
			{Status: 400, Body: licenseapitest.ErrorBody(400, "account_suspended", "The account is suspended")},
		}
	case "misconfigured":
		faults = []licenseapitest.Fault{
			{Status: 404, Body: licenseapitest.ErrorBody(404, "not_found", "Not found")}, {Status: 301, Header: header("Location", "https://example.com/")},
			{Status: 400, Body: licenseapitest.ErrorBody(400, "read_only_api_key", "read only")},
		}
	case "locked":
		faults = []licenseapitest.Fault{{Status: 400, Body: licenseapitest.ErrorBody(400, "api_key_product_not_allowed", "not this product")}}
	case "down": // another failure each hour
		all := []licenseapitest.Fault{{Status: 503}, {Delay: 8 * time.Second}, {Reset: true}, {Status: 502, Body: "<html>"}}
		faults = all[int(now/time.Hour)%len(all):][:1]
	default: // "refused" concerns connections: see refusesConnection
		return licenseapitest.Fault{}
	}
	return faults[pick(len(faults))]
}

// refusesConnection reports whether the API refuses the nth connection, now.
func (h *harness) refusesConnection(n uint64) bool {
	f := h.scenario.apiFailpointAt(h.now())
	switch f.kind {
	case "refused", "storm":
		return rng(h.scenario.seed, "dial", n).Float64() < f.chance/2
	case "down":
		return int(h.now()/time.Hour)%5 == 4
	}
	return false
}
