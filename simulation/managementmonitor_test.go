package simulation

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// The limits of both APIs. Those of an address count the calls of both together.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
const (
	addressLimit       = 200 // calls in 10 s
	authorizationLimit = 50  // calls in 1 s
)

// managementMonitor is in front of the Management API.
type managementMonitor struct {
	second, minute slidingWindow
	resets         slidingWindow             // as those of the License API
	addresses      map[string]*slidingWindow // calls of both APIs in 10 s, by the address that makes them
}

func newManagementMonitor() managementMonitor {
	return managementMonitor{
		second: slidingWindow{size: time.Second}, minute: slidingWindow{size: time.Minute}, resets: slidingWindow{size: time.Minute},
		addresses: map[string]*slidingWindow{},
	}
}

// serveManagement checks a call of the Management API while it happens.
func (m *apiMonitor) serveManagement(rw http.ResponseWriter, r *http.Request, env *environment) {
	m.arriveManagement(r)
	kind := callKind(r)
	if r.Method != http.MethodGet {
		m.checkWrite(env, r.URL.Path)
	}
	if !env.passAs(inManagement, "in "+kind) {
		if rng(m.h.scenario.seed, "killed call", uint64(env.number)).IntN(2) == 0 { //nolint:gosec // a number
			return
		}
		r = r.WithContext(context.WithoutCancel(r.Context()))
	}
	m.h.count(&m.h.managementReached)
	m.h.api.ServeHTTP(rw, r)
	env.passAs(afterManagement, "after "+kind)
}

// callKind is the kind of a call: a list of licenses by one filter, of devices, a probe of either, or a write.
func callKind(r *http.Request) string {
	path, query := strings.Trim(strings.TrimPrefix(r.URL.Path, licenseapitest.ManagementBase), "/"), r.URL.Query()
	parts := strings.Split(path, "/")
	if len(parts) == 3 {
		return parts[2]
	}
	if strings.Contains(r.URL.RawQuery, "probe") || query.Get("license") == "9000000000000001" {
		return "probe"
	}
	return parts[0]
}

// arriveManagement counts a call and checks the rates: the stack's part of the company's quota, and what all calls of one
// second may have, since all have one Authorization value.
func (m *apiMonitor) arriveManagement(r *http.Request) {
	m.h.count(&m.h.managementCalls)
	now := m.h.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	mm := &m.management
	mm.resets.forget(now)
	for _, limit := range []struct {
		window *slidingWindow
		calls  int
	}{{&mm.second, authorizationLimit}, {&mm.minute, m.h.scenario.stack.ManagementCallsPerMinute}} {
		n := limit.window.add(now) - mm.resets.within(now, limit.window.size)
		if n > limit.calls {
			m.h.violation("%d calls of the Management API within %v; %d are allowed", n, limit.window.size, limit.calls)
			limit.window.times = nil // report it once
		}
	}
	m.countAddress(r, now)
}

// countAddress counts a call of either API by the address that makes it. m.mu is held.
func (m *apiMonitor) countAddress(r *http.Request, now time.Duration) {
	window := m.management.addresses[r.RemoteAddr]
	if window == nil {
		window = &slidingWindow{size: 10 * time.Second}
		m.management.addresses[r.RemoteAddr] = window
	}
	lost := m.resets.within(now, window.size) + m.management.resets.within(now, window.size)
	if n := window.add(now) - lost; n > addressLimit {
		m.h.violation("%d calls of both APIs within %v from one address; %d are allowed", n, window.size, addressLimit)
		window.times = nil
	}
}

// managementLost is connectionLost for the Management API.
func (m *apiMonitor) managementLost() {
	m.h.count(&m.h.managementConnectionsLost)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.management.resets.add(m.h.now())
}

// checkWrite checks a write before it is done: not in watch mode, only what the brake admits, and no license is disabled
// before its devices are inactive. Validate finds a write to a license of somebody else.
func (m *apiMonitor) checkWrite(env *environment, path string) {
	if env.watch {
		m.h.violation("a write by the Management API in watch mode")
	}
	rest, disables := strings.CutSuffix(path, "/disable/")
	id, err := strconv.ParseInt(rest[strings.LastIndex(rest, "/")+1:], 10, 64)
	if !disables || err != nil || int(id) > len(m.h.scenario.licenses) {
		return
	}
	at := int(id - 1)
	l := m.h.scenario.licenses[at]
	if n := env.brake.write(l.LicenseKey+l.Username, &m.h.scenario); n > 0 {
		m.h.violation("one instance acts on %d licenses of a source and hour; its part of the limit is %d", n, env.brake.limit)
	}
	if m.h.isRefused(l.LicenseKey + l.Username) {
		return // by the account's suspension, and then the others are finished
	}
	for _, device := range l.Devices {
		if !m.h.isTried(id, device) {
			m.h.violation("license %d is disabled before its device %s is inactive", id, device)
		}
	}
}

// isTried reports whether a call for that device of a license has reached the license.
func (h *harness) isTried(license int64, device string) bool {
	return slices.ContainsFunc(h.api.Ledger(), func(w licenseapitest.Write) bool { return w.License == license && w.Device == device })
}

// isRefused reports whether a call for a license was refused in a span in which the account was.
func (h *history) isRefused(license string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.refusals[license]) > 0
}

// checkNamed checks that the device which an event names is inactive when the look-up waits for the Management API.
func (h *harness) checkNamed(q *request, m telemetry.Message) {
	t := q.lookUp.targets[0]
	if !h.isTried(int64(t.license+1), q.lookUp.named) && !h.isRefused(q.license.LicenseKey) {
		h.violation("%s waits for the Management API (%s), and the device that it names has not been deactivated", m.ID, m.Code)
	}
	h.count(&h.namedFirst)
}
