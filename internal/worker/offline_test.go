package worker_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

// offlineRequest is a request for the license with that number, by a request file that was signed with the key.
func offlineRequest(t *testing.T, n int, sharedKey string) deactivation.Request {
	t.Helper()
	signer, err := signing.NewOfflineSigner(testAPIKey, sharedKey)
	if err != nil {
		t.Fatal(err)
	}
	license := request(n).License
	file, err := signer.FileV1(signing.OfflineRequest{
		RequestID: "canary-request-id", Date: "Fri, 29 Aug 2025 07:22:37 GMT", Product: license.Product, LicenseKey: license.LicenseKey,
		HardwareID: license.HardwareID, Hostname: "canary-hostname",
	})
	if err != nil {
		t.Fatal(err)
	}
	r := request(n)
	r.ID, r.Source, r.Rule, r.Event = "ops.offline", "ops", "", ""
	r.Action, r.RequestFile, r.License = deactivation.ActionDeactivateOffline, file, deactivation.License{}
	return r
}

func TestARequestFileIsPostedToTheEndpointOfItsAction(t *testing.T) {
	t.Parallel()
	of := request(1).License
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{testAPIKey: testSharedKey},
		Licenses: []licenseapitest.License{
			{Product: of.Product, LicenseKey: of.LicenseKey, Devices: []string{of.HardwareID}},
			{Product: "P1", Bundle: of.Product, LicenseKey: of.LicenseKey, Devices: []string{of.HardwareID}},
			{Product: "P2", Bundle: of.Product, LicenseKey: of.LicenseKey, Devices: []string{of.HardwareID}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newHarness(t, api)
	single := offlineRequest(t, 1, testSharedKey)
	bundle := single
	bundle.Action = deactivation.ActionDeactivateBundleOffline
	for i, step := range []struct {
		request deactivation.Request
		outcome deactivation.Outcome
		left    int
	}{
		{single, deactivation.Deactivated, 2}, {single, deactivation.AlreadyInactive, 2},
		{bundle, deactivation.Deactivated, 0}, {bundle, deactivation.AlreadyInactive, 0},
	} {
		got := r.work(wire(step.request))[0]
		if got.Outcome != step.outcome || active(api) != step.left {
			t.Errorf("step %d: %s (%s) and %d devices are left, want %s and %d", i, got.Outcome, got.Code, active(api), step.outcome, step.left)
		}
		if i == 0 {
			got.Latency = 0
			want := telemetry.Message{ID: "ops.offline", Source: "ops", Cause: "refund", Decision: deactivation.DecisionAct, Outcome: deactivation.Deactivated, Class: "deactivated",
				LicenseHashes: []string{"ed90bc351c26a855"}, /* printf %s AAAA-BBBB-CCCC-0001 | sha256sum | cut -c1-16 */
				Attempts:      1, Action: deactivation.ActionDeactivateOffline, License: "…0001", Device: "…re-1", Product: "XY", KeyVersion: "v1"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the line says what the file names (-want +got):\n%s", diff)
			}
		}
	}
}

// TestAFilesLicenseIsNotCalledTwiceAtOnce: the file's license belongs to the group of the online requests for it.
func TestAFilesLicenseIsNotCalledTwiceAtOnce(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 1)
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		return licenseapitest.Fault{Delay: 20 * time.Millisecond}
	})
	r := newHarness(t, api)
	online := wire(request(1))
	r.work(online, wire(offlineRequest(t, 1, testSharedKey)), online, wire(offlineRequest(t, 1, testSharedKey)))
	if counts := api.Counts(); counts.Calls != 4 || counts.AtOnce != 1 {
		t.Errorf("%d calls, %d at the same time; want 4 and 1", counts.Calls, counts.AtOnce)
	}
}

func TestAMessageWithACorruptRequestFileIsRejectedWithItsReason(t *testing.T) {
	t.Parallel()
	corrupt := offlineRequest(t, 1, testSharedKey)
	corrupt.RequestFile = corrupt.RequestFile[:100]
	api := fakeAPI(t, 1)
	r := newHarness(t, api)
	got := r.work(wire(corrupt))[0]
	if got.Outcome != deactivation.Rejected || got.Reason != deactivation.ReasonRejected || got.Code != "invalid_field" ||
		!strings.HasPrefix(got.Detail, "request_file: it is Base64, but not of a JSON object (at byte") {
		t.Errorf("got %s (%s): %s", got.Outcome, got.Code, got.Detail)
	}
	if api.Counts().Calls != 0 || len(r.letters()) != 1 {
		t.Errorf("%d calls", api.Counts().Calls)
	}
}

// TestARefusedRequestFileStopsNothingElse: the file was signed with another key, so the API's answer is the same as for
// a wrong secret.
func TestARefusedRequestFileStopsNothingElse(t *testing.T) {
	t.Parallel()
	api := fakeAPI(t, 9)
	r := newHarness(t, api)
	foreign := wire(offlineRequest(t, 9, "another-shared-key"))
	logged := r.work(append([]string{foreign}, requests(8)...)...)
	if got := count(logged); got[deactivation.Deactivated] != 8 || got[deactivation.Deferred] != 1 || active(api) != 1 {
		t.Errorf("outcomes %v, %d devices are left", got, active(api))
	}
	for _, m := range logged {
		if m.Outcome == deactivation.Deferred && (m.Code != "signature_mismatch" || m.Class != "file_refused" || m.RetryIn > 30*time.Second) {
			t.Errorf("got %s, %s, again in %v", m.Code, m.Class, m.RetryIn)
		}
	}
	if r.faults() != 0 {
		t.Error("one customer's file is a configuration fault")
	}
}

func TestARefusedRequestFileIsGivenUpWhenOtherCallsSucceed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		receives string
		between  string // processed between the first receive and this one
		outcome  deactivation.Outcome
	}{
		{"the fourth receive", "4", wire(request(1)), deactivation.Deferred},
		{"the fifth, after a success", "5", wire(request(1)), deactivation.Rejected},
		{"the fifth, after a rejection", "5", wire(request(7)), deactivation.Deferred},
		{"the fifth, after a request that was not sent", "5", strings.Replace(wire(request(1)), `"hardware_id"`, `"x"`, 1), deactivation.Deferred},
		{"the fifth, without any other call", "5", "", deactivation.Deferred},
		{"the hundredth, without any other call", "100", "", deactivation.Deferred},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, fakeAPI(t, 2))
			foreign := wire(offlineRequest(t, 2, "another-shared-key"))
			r.work(foreign)
			if test.between != "" {
				r.work(test.between)
			}
			event := r.batch(foreign)
			event.Records[0].Attributes["ApproximateReceiveCount"] = test.receives
			r.handle(t.Context(), event)
			logged := r.logged()
			got := logged[len(logged)-1]
			if got.Outcome != test.outcome || got.Code != "signature_mismatch" || r.faults() != 0 {
				t.Errorf("got %s (%s) and %d faults, want %s and none", got.Outcome, got.Code, r.faults(), test.outcome)
			}
		})
	}
}

// TestManyRefusedFilesAreGivenUpEach: other refused files are no evidence for a fault of the deployment once a call has
// succeeded.
func TestManyRefusedFilesAreGivenUpEach(t *testing.T) {
	t.Parallel()
	r := newHarness(t, fakeAPI(t, 9))
	var foreign []string
	for n := range 6 {
		request := offlineRequest(t, n+2, "another-shared-key")
		request.ID += string(rune('a' + n))
		foreign = append(foreign, wire(request))
	}
	logged := r.work(foreign...)
	if got := count(logged); got[deactivation.Deferred] != 6 || r.faults() != 1 {
		t.Errorf("files alone: %v and %d faults, want them deferred, and one fault", got, r.faults())
	}
	if got := count(r.work(wire(request(1)))); got[deactivation.Deactivated] != 1 {
		t.Errorf("the fault stopped other calls: %v", got)
	}
	event := r.batch(foreign...)
	for i := range event.Records {
		event.Records[i].Attributes["ApproximateReceiveCount"] = "5"
	}
	before := len(r.logged())
	r.handle(t.Context(), event)
	if got := count(r.logged()[before:]); got[deactivation.Rejected] != 6 {
		t.Errorf("after a success: %v, want them rejected", got)
	}
}

func TestNothingOfARequestFileIsLogged(t *testing.T) {
	t.Parallel()
	for _, api := range []http.Handler{
		echoing(200, ""), echoing(400, "license_not_found"), echoing(400, "device_not_found"), echoing(503, "internal_error"), echoing(400, ""),
		echoing(401, "signature_mismatch"), echoing(400, "authorization_missing_params"), echoing(400, "canary-hostname"), echoing(429, "x"),
	} {
		r := newHarness(t, api)
		request := offlineRequest(t, 1, testSharedKey)
		corrupt := request
		corrupt.RequestFile = request.RequestFile[:80]
		r.work(wire(request), wire(corrupt))
		text := string(r.log.Bytes())
		for _, letter := range r.letters() {
			for _, value := range letter.Attributes {
				text += value
			}
		}
		for _, secret := range []string{"canary", request.RequestFile[:20], licenseKey(1), "hardware-1"} {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(secret)); at >= 0 {
				t.Errorf("…%.120s", text[max(at-60, 0):])
			}
		}
		if len(r.logged()) != 2 {
			t.Errorf("%d outcomes", len(r.logged()))
		}
	}
}
