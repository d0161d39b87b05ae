package worker_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// lookingUp turns the look-up on, with a rate that no test notices.
func lookingUp(cfg *worker.Config) {
	cfg.LookUp = &worker.LookUp{CallsPerSecond: 1000, AtOnce: 4}
}

// clock is a clock that a test moves on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time         { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) wait(d time.Duration)   { c.ahead.Add(int64(d)) }
func (c *clock) set(cfg *worker.Config) { cfg.Now = c.now }

// refund is a request of an event that names an order and nothing else.
func refund(n int, orders ...string) deactivation.Request {
	r := request(n)
	r.License = deactivation.License{}
	r.Origin, r.Disable = deactivation.OriginEvent, true
	r.ReceivedAt = time.Now()
	for _, id := range orders {
		r.Lookup.Order = append(r.Lookup.Order, deactivation.Candidate{ID: id})
	}
	return r
}

// owned is a license of an order.
func owned(n int, order string, devices ...string) licenseapitest.License {
	return licenseapitest.License{
		ID: int64(n), Product: "XY", LicenseKey: licenseKey(n), Order: order, CustomerEmail: fmt.Sprintf("buyer%d@example.com", n), Devices: devices,
	}
}

// bothAPIs is the fake of both APIs with these licenses, and one of somebody else.
func bothAPIs(t *testing.T, licenses ...licenseapitest.License) *licenseapitest.Server {
	t.Helper()
	server, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{testAPIKey: testSharedKey}, ManagementAPIKeys: []string{testManagementKey},
		Licenses: append(licenses, owned(9000, "of somebody else", "foreign-hardware")),
	}, licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// ledger is the writes that changed something, each as "act license device".
func ledger(api *licenseapitest.Server) []string {
	var writes []string
	for _, w := range api.Ledger() {
		if w.Code == "" {
			writes = append(writes, strings.TrimSpace(fmt.Sprint(w.Act, " ", w.License, " ", w.Device)))
		}
	}
	return writes
}

// TestARefundWithoutADeviceIsFoundFreedDisabledAndProved is the whole way of one message, and what is logged of it.
func TestARefundWithoutADeviceIsFoundFreedDisabledAndProved(t *testing.T) {
	t.Parallel()
	api := bothAPIs(t, owned(1, "pi_1", "hardware-a", "hardware-b"), owned(2, "pi_1", "hardware-c"))
	r := newHarness(t, api, lookingUp)
	logged := r.work(wire(refund(1, "ch_1", "pi_1")))

	if len(logged) != 1 || logged[0].Outcome != deactivation.Deactivated || r.source.Len()+r.dead.Len() != 0 {
		t.Fatalf("logged %+v, %d in the queue, %d dead letters", logged, r.source.Len(), r.dead.Len())
	}
	want := []string{
		"deactivate_license 1 hardware-a", "deactivate_license 1 hardware-b", "deactivate_license 2 hardware-c", "disable 1", "disable 2",
	}
	if diff := cmp.Diff(want, ledger(api)); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	m := logged[0]
	const line = `order__store_id "ch_1": 0 licenses; order__store_id "pi_1": 2 licenses; ` +
		`license 1 …0001 of XY: 2 active devices, 2 deactivated, now disabled with 0 active devices; ` +
		`license 2 …0002 of XY: 1 active device, 1 deactivated, now disabled with 0 active devices`
	if m.Lookup != line {
		t.Errorf("the line says %q, want %q", m.Lookup, line)
	}
	hashes := []string{deactivation.HashLicense(licenseKey(1)), deactivation.HashLicense(licenseKey(2))}
	if diff := cmp.Diff(hashes, m.LicenseHashes); diff != "" || m.LookupEnd != "found" || m.Decision != deactivation.DecisionAct || m.LookupShort == "" {
		t.Errorf("end %q, decision %q, short %q, hashes (-want +got):\n%s", m.LookupEnd, m.Decision, m.LookupShort, diff)
	}
	for _, metric := range []string{
		`"LookUps":1,"_aws"`, `"NotFound":[0]`, `"ManagementAnswers":9`, `"Answers":3`, `"ManagementLatency":[`,
	} {
		if !bytes.Contains(r.log.Bytes(), []byte(metric)) {
			t.Errorf("no metric %s in\n%s", metric, r.log.Bytes())
		}
	}
	for _, secret := range []string{licenseKey(1), "hardware-a", testManagementKey, "example.com"} {
		if bytes.Contains(r.log.Bytes(), []byte(secret)) {
			t.Errorf("the log holds %q", secret)
		}
	}

	again := r.work(wire(refund(1, "ch_1", "pi_1")))
	if again[0].Outcome != deactivation.AlreadyInactive || again[0].Code != lookup.CodeAlreadyDisabled || len(ledger(api)) != len(want) {
		t.Errorf("a second copy: %+v, writes %v", again[0], ledger(api))
	}
}
