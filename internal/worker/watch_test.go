package worker_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/worker"
)

func watching(cfg *worker.Config) { cfg.Watch = true }

// TestInWatchModeEveryMessageIsDecidedAndNoneIsActedOn: also released and direct ones. The API gets no call at all, and
// the secret is not read.
func TestInWatchModeEveryMessageIsDecidedAndNoneIsActedOn(t *testing.T) {
	t.Parallel()
	api := confirming()
	r := newHarness(t, api, watching, func(cfg *worker.Config) { cfg.SurgeLimit = 2 })
	of := func(n int, change func(*deactivation.Request)) deactivation.Request {
		m := request(n)
		m.ReceivedAt = atNoon()
		change(&m)
		return m
	}
	offline := offlineRequest(t, 4, testSharedKey)
	offline.ID, offline.Origin = "ops.file", deactivation.OriginDirect
	for _, c := range []struct {
		request      deactivation.Request
		code, detail string
	}{
		{of(1, func(*deactivation.Request) {}), "", "would deactivate license …0001 of XY on device …re-1"},
		{of(2, func(m *deactivation.Request) { m.Action = deactivation.ActionDeactivateBundle }), "",
			"would deactivate every license of bundle XY on device …re-2, by license …0002"},
		{of(3, func(*deactivation.Request) {}), deactivation.CodeSurge,
			"would hold it: more than 2 licenses of stripe received in the hour from 2026-11-29T12:00:00Z for one instance of the worker; this worker did nothing, a person decides"},
		{of(4, func(m *deactivation.Request) {
			m.Released = deactivation.Release{By: "ada", At: atNoon(), Reason: "real"}
		}), "", "would deactivate license …0004 of XY on device …re-4"},
		{of(5, func(m *deactivation.Request) { m.Origin = deactivation.OriginDirect }), "", "would deactivate license …0005 of XY on device …re-5"},
		{of(6, func(m *deactivation.Request) {
			m.Origin = deactivation.OriginDirect
			m.LicenseKey, m.Username = "", "bob@example.com"
		}), "", "would deactivate the license of user 5ff860bf1190 of XY on device …re-6"},
		{of(7, func(m *deactivation.Request) {
			m.Origin = deactivation.OriginDirect
			m.LicenseKey, m.IDToken, m.CustomerAccountCode = "", "token", "ACME"
		}), "", "would deactivate the license of a single sign-on user of XY on device …re-7"},
		{offline, "", "would post the request file that deactivates license …0004 of XY on device …re-4"},
	} {
		m := r.work(wire(c.request))[0]
		letters := r.letters()
		if len(letters) != 1 || letters[0].Body != wire(c.request) {
			t.Fatalf("%s: %d letters, want the message as it was", c.request.ID, len(letters))
		}
		letter := deactivation.ParseDeadLetter(letters[0].Attributes)
		got := []string{string(m.Outcome), string(letter.Reason), letter.Code, letter.Detail}
		if diff := cmp.Diff([]string{"rejected", "watched", c.code, c.detail}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.request.ID, diff)
		}
	}
	if api.calls != 0 || r.secret.readCount() != 0 {
		t.Errorf("%d calls and %d reads of the secret, want none", api.calls, r.secret.readCount())
	}
	if !strings.Contains(string(r.log.Bytes()), "watch mode: no license is deactivated") {
		t.Error("the log does not say that this is watch mode")
	}
}

// TestInWatchModeALetterThatNobodyCouldActOnStaysWhatItIs: watch mode changes only messages that would be called.
func TestInWatchModeALetterThatNobodyCouldActOnStaysWhatItIs(t *testing.T) {
	t.Parallel()
	event, err := deactivation.Event{Source: "stripe", ID: "evt_1", Body: []byte("{}"), Missing: []string{"hardware_id"}}.Wire()
	if err != nil {
		t.Fatal(err)
	}
	noDevice := request(1)
	noDevice.HardwareID = ""
	brokenFile := offlineRequest(t, 1, testSharedKey)
	brokenFile.RequestFile = "QUJD"
	for body, want := range map[string]deactivation.Reason{
		"not JSON":       deactivation.ReasonInvalid,
		event:            deactivation.ReasonUnmappable,
		wire(noDevice):   deactivation.ReasonRejected,
		wire(brokenFile): deactivation.ReasonRejected,
	} {
		r := newHarness(t, confirming(), watching)
		if m := r.work(body)[0]; m.Reason != want {
			t.Errorf("%.30s: %s (%s), want %s", body, m.Reason, m.Detail, want)
		}
	}
}

// TestWhatWasWatchedCanBeActedOn: the letter is the message as received, so a redrive in act mode does what watch mode
// reported.
func TestWhatWasWatchedCanBeActedOn(t *testing.T) {
	t.Parallel()
	const n = 100
	api := fakeAPI(t, n)
	watched := newHarness(t, api, watching)
	watched.work(requests(n)...)
	letters := watched.letters()
	if len(letters) != n || active(api) != n {
		t.Fatalf("%d letters and %d active devices, want %d of each", len(letters), active(api), n)
	}
	var bodies []string
	for _, m := range letters {
		bodies = append(bodies, m.Body)
	}
	acting := newHarness(t, api)
	if got := count(acting.work(bodies...)); got[deactivation.Deactivated] != n || active(api) != 0 {
		t.Errorf("%v, %d active; want %d deactivated", got, active(api), n)
	}
}
