package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/queue"
)

type directReply struct {
	Accepted int      `json:"accepted"`
	IDs      []string `json:"ids"`
	Rejected []struct {
		Index   int    `json:"index"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"rejected"`
}

func direct(t *testing.T, b *harness, requests string) (directReply, []byte) {
	t.Helper()
	out, err := b.Invoke(t.Context(), []byte(`{"source":"ops","requests":`+requests+`}`))
	if err != nil {
		t.Fatal(err)
	}
	var r directReply
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return r, out
}

func TestADirectInvocationIsAnsweredByIndexWithReasons(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ row, code, field string }{
		"complete":                   {`{"product":"XY","license_key":"K1","hardware_id":"h1"}`, "", ""},
		"user":                       {`{"product":"XY","username":"jo@example.com","password":"pw-canary","hardware_id":"h1"}`, "", ""},
		"user without password":      {`{"product":"XY","username":"jo@example.com","hardware_id":"h1"}`, "", ""},
		"id_token":                   {`{"product":"XY","id_token":"t","customer_account_code":"c","hardware_id":"h1"}`, "", ""},
		"code":                       {`{"product":"XY","code":"t","customer_account_code":"c","hardware_id":"h1"}`, "", ""},
		"every field":                {`{"id":"r1","cause":"refund","order":["o1","o2"],"occurred_at":"2026-01-02T03:04:05Z","product":"XY","license_key":"K1","hardware_id":"h1","license_id":7,"bundle_code":"b","sdk_ver":"1","consumptions":3,"variables":{"a":"b"},"is_vm":true,"vm_info":"v","os_ver":"o","hostname":"h","os_hostname":"oh","ip":"1.2.3.4","ip_local":"10.0.0.1","app_ver":"2","mac_address":"aa"}`, "", ""},
		"order as number":            {`{"order":820982911946154508,"product":"XY","license_key":"K1","hardware_id":"h1"}`, "", ""},
		"no identity":                {`{"product":"XY","hardware_id":"h1"}`, "missing_field", "license_key"},
		"no product":                 {`{"license_key":"K1","hardware_id":"h1"}`, "missing_field", "product"},
		"no device":                  {`{"product":"XY","license_key":"K1"}`, "missing_field", "hardware_id"},
		"no account code":            {`{"product":"XY","id_token":"t","hardware_id":"h1"}`, "missing_field", "customer_account_code"},
		"two identities":             {`{"product":"XY","license_key":"K1","username":"u","hardware_id":"h1"}`, "conflicting_identity", "username"},
		"password of nobody":         {`{"product":"XY","license_key":"K1","password":"pw-canary","hardware_id":"h1"}`, "conflicting_identity", "password"},
		"key as number":              {`{"product":"XY","license_key":12,"hardware_id":"h1"}`, "invalid_field", "license_key"},
		"unknown cause":              {`{"cause":"whim","product":"XY","license_key":"K1","hardware_id":"h1"}`, "invalid_field", "cause"},
		"mistyped field":             {`{"product":"XY","licence_id":7,"username":"u","hardware_id":"h1"}`, "invalid_field", "licence_id"},
		"a name in capitals":         {`{"product":"XY","license_key":"K1","LICENSE_KEY":"K2","hardware_id":"h1"}`, "invalid_field", "LICENSE_KEY"},
		"a key twice":                {`{"product":"XY","license_key":"K1","license_key":"K2","hardware_id":"h1"}`, "invalid_field", "license_key"},
		"a device twice":             {`{"product":"XY","license_key":"K1","hardware_id":"h1","hardware_id":"h1"}`, "invalid_field", "hardware_id"},
		"a blank key":                {`{"product":"XY","license_key":" ","hardware_id":"h1"}`, "missing_field", "license_key"},
		"a blank device":             {`{"product":"XY","license_key":"K1","hardware_id":"\u00a0"}`, "missing_field", "hardware_id"},
		"line break":                 {`{"product":"XY","license_key":"K1\n","hardware_id":"h1"}`, "invalid_field", "license_key"},
		"U+FFFE":                     {`{"product":"XY","license_key":"K1\ufffe","hardware_id":"h1"}`, "invalid_field", "license_key"},
		"half a surrogate":           {`{"product":"XY","license_key":"K1\ud800","hardware_id":"h1"}`, "invalid_field", "license_key"},
		"too long":                   {`{"product":"XY","license_key":"` + strings.Repeat("K", 257) + `","hardware_id":"h1"}`, "invalid_field", "license_key"},
		"license_id with a fraction": {`{"product":"XY","username":"u","license_id":7.5,"hardware_id":"h1"}`, "invalid_field", "license_id"},
		"a bundle":                   {`{"action":"deactivate_bundle","product":"BUNDLE","license_key":"K1","hardware_id":"h1"}`, "", ""},
		"a license":                  {`{"action":"deactivate_license","product":"XY","license_key":"K1","hardware_id":"h1"}`, "", ""},
		"one product of a bundle":    {`{"action":"deactivate_bundle","bundle_code":"b","product":"BUNDLE","license_key":"K1","hardware_id":"h1"}`, "invalid_field", "bundle_code"},
		"a dead letter's body":       {`{"v":1,"id":"stripe.evt_1.0","action":"deactivate_license","source":"stripe","origin":"event","cause":"refund","rule":"refunded in full","event":"evt_1","order":["pi_1"],"received_at":"2026-01-02T03:04:05Z","product":"XY","license_key":"K1","hardware_id":"h1"}`, "", ""},
		"without a device":           {`{"v":1,"id":"stripe.evt_1.0","action":"deactivate_license","source":"stripe","cause":"refund","product":"XY","license_key":"K1"}`, "missing_field", "hardware_id"},
		"another action":             {`{"action":"delete","product":"XY","license_key":"K1","hardware_id":"h1"}`, "invalid_field", "action"},
		"time that is none":          {`{"occurred_at":"yesterday","product":"XY","license_key":"K1","hardware_id":"h1"}`, "invalid_field", ""},
		"text":                       {`"K1"`, "invalid_field", "request"},
		"null":                       {`null`, "missing_field", "license_key"},
		"empty":                      {`{}`, "missing_field", "license_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			good := `{"product":"XY","license_key":"K0","hardware_id":"h0"}`
			got, raw := direct(t, b, "["+good+","+c.row+","+good+"]")

			if c.code == "" {
				if got.Accepted != 3 || len(got.IDs) != 3 || len(got.Rejected) != 0 || len(b.queue.requests(t)) != 3 {
					t.Errorf("answer %s, %d messages", raw, len(b.queue.taken))
				}
				return
			}
			if got.Accepted != 2 || len(b.queue.requests(t)) != 2 {
				t.Errorf("a bad row stopped the others: %s", raw)
			}
			if len(got.Rejected) != 1 || got.Rejected[0].Index != 1 || got.Rejected[0].Code != c.code || !strings.HasPrefix(got.Rejected[0].Message, c.field) {
				t.Errorf("answer %s, want index 1, %s, %s …", raw, c.code, c.field)
			}
			if strings.Contains(string(raw)+b.log.String(), "canary") {
				t.Error("a password is in the answer or the log")
			}
		})
	}
}

func TestTheActionOfARowIsThatOfItsMessage(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	got, raw := direct(t, b, `[{"action":"deactivate_bundle","product":"B","license_key":"K1","hardware_id":"h"},`+
		`{"action":"deactivate_license","product":"B","license_key":"K1","hardware_id":"h"},{"product":"B","license_key":"K1","hardware_id":"h"}]`)
	if got.Accepted != 3 || got.IDs[0] == got.IDs[1] || got.IDs[1] != got.IDs[2] {
		t.Errorf("answer %s: want three ids, the last two equal", raw)
	}
	var actions []string
	for _, r := range b.queue.requests(t) {
		actions = append(actions, r.Action)
	}
	if diff := cmp.Diff([]string{"deactivate_bundle", "deactivate_license", "deactivate_license"}, actions); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

func TestTheAnswerOfADirectInvocationHasTheDocumentedShape(t *testing.T) {
	t.Parallel()
	_, raw := direct(t, newHarness(t, ""), `[{"id":"mine","product":"XY","license_key":"K1","hardware_id":"h1"},{"id":"bad"}]`)
	const want = `{"accepted":1,"ids":["mine"],"rejected":[{"index":1,"code":"missing_field","message":"license_key: is missing (or username, or id_token or code with customer_account_code)"}]}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	_, raw = direct(t, newHarness(t, ""), `[]`)
	if string(raw) != `{"accepted":0,"ids":[],"rejected":[]}` {
		t.Errorf("of no requests: %s", raw)
	}
}

func TestAnIDWithoutOneComesFromTheContent(t *testing.T) {
	t.Parallel()
	rows := `[{"product":"XY","license_key":"K1","hardware_id":"h1"},{"hardware_id":"h1","license_key":"K1","product":"XY"},{"product":"XY","license_key":"K1","hardware_id":"h2"},` +
		`{"product":"XY","username":"u","password":"one","hardware_id":"h1"},{"product":"XY","username":"u","password":"two","hardware_id":"h1"}]`
	first, _ := direct(t, newHarness(t, ""), rows)
	again, _ := direct(t, newHarness(t, ""), rows)
	if diff := cmp.Diff(first.IDs, again.IDs); diff != "" {
		t.Errorf("the same rows have other ids: %s", diff)
	}
	if first.IDs[0] != first.IDs[1] || first.IDs[0] == first.IDs[2] {
		t.Errorf("ids %v: want the first two equal and the third another", first.IDs)
	}
	if first.IDs[3] != first.IDs[4] {
		t.Error("an id depends on a password, which could then be guessed from the log")
	}
}

func TestWhatTheQueueDoesNotTakeIsNamed(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	b.queue.refuse = func(e queue.Entry) bool { return strings.Contains(e.Body, "K1") }
	got, raw := direct(t, b, `[{"product":"XY","license_key":"K0","hardware_id":"h"},{"product":"XY"},{"product":"XY","license_key":"K1","hardware_id":"h"}]`)
	if got.Accepted != 1 || len(got.Rejected) != 2 || got.Rejected[0].Index != 1 || got.Rejected[1].Index != 2 || got.Rejected[1].Code != "not_enqueued" {
		t.Errorf("answer %s", raw)
	}
}

func TestTheAnswerToTheLargestInvocationFitsIntoLambdasLimit(t *testing.T) {
	t.Parallel()
	const limit = 6 << 20
	for name, filler := range map[string]string{"long keys": `"license_key":"%0256d"`, "long ids": `"id":"%0256d","license_key":"K"`, "wrong fields": `"license_kez_%0025d":""`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rows []string
			for i := range 10_000 {
				rows = append(rows, `{"product":"X","hardware_id":"h",`+fmt.Sprintf(filler, i)+`}`)
			}
			requests := "[" + strings.Join(rows, ",") + "]"
			if len(requests) > limit {
				t.Fatalf("%d bytes: Lambda would refuse it", len(requests))
			}

			got, raw := direct(t, newHarness(t, ""), requests)
			if got.Accepted+len(got.Rejected) != len(rows) || len(raw) > limit {
				t.Errorf("%d of %d answered, answer of %d bytes", got.Accepted+len(got.Rejected), len(rows), len(raw))
			}
			down := newHarness(t, "")
			down.queue.refuse = func(queue.Entry) bool { return true }
			got, raw = direct(t, down, requests)
			if got.Accepted != 0 || len(got.Rejected) != len(rows) || len(raw) > limit {
				t.Errorf("%d rejected of %d, answer of %d bytes: Lambda would refuse it", len(got.Rejected), len(rows), len(raw))
			}
		})
	}
}

// invocation is a direct invocation with one good row and the given members.
func invocation(fields string) string {
	return `{"source":"ops","requests":[{"id":"mine","product":"XY","license_key":"K1","hardware_id":"h1"}]` + fields + `}`
}

func TestADryRunAnswersWhatWouldBeEnqueuedAndEnqueuesNothing(t *testing.T) {
	t.Parallel()
	const rows = `"requests":[{"product":"XY","license_key":"K1","hardware_id":"h1"},{"product":"XY"},{"id":"mine","product":"XY","license_key":"K2","hardware_id":"h1"}]}`
	real, dry := newHarness(t, ""), newHarness(t, "")
	want, err := real.Invoke(t.Context(), []byte(`{"source":"ops","dry_run":false,`+rows))
	if err != nil {
		t.Fatal(err)
	}
	got, err := dry.Invoke(t.Context(), []byte(`{"source":"ops","dry_run":true,`+rows))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) || !strings.Contains(string(got), `"accepted":2`) {
		t.Errorf("answer %s, want that of the real run, %s", got, want)
	}
	if dry.queue.calls != 0 || dry.letters.calls != 0 || real.queue.calls != 1 {
		t.Errorf("calls of the queues: %d, %d in the dry run, %d in the real one; want 0, 0, 1", dry.queue.calls, dry.letters.calls, real.queue.calls)
	}
	if log := dry.log.String(); !strings.Contains(log, `"dry_run":true`) || !strings.Contains(log, `"request_count":2`) || strings.Contains(log, `"Requests"`) {
		t.Errorf("the log of the dry run is %s, want dry_run and request_count, and no metric Requests", log)
	}
	if log := real.log.String(); strings.Contains(log, `dry_run`) || !strings.Contains(log, `"Requests"`) {
		t.Errorf("the log of the real run is %s, want no dry_run, and the metric Requests", log)
	}
}

func TestWhatTheCallerSaysAboutARunIsOnTheLineAndTheRunInTheMessage(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	if _, err := b.Invoke(t.Context(), []byte(invocation(`,"run":"2026-11-campus","by":"jo","comment":"contract 7 ended"`))); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"run":"2026-11-campus"`, `"by":"jo"`, `"comment":"contract 7 ended"`} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log is %s, want %s", b.log, want)
		}
	}
	requests := b.queue.requests(t)
	if len(requests) != 1 || requests[0].Run != "2026-11-campus" || requests[0].Origin != "direct" || requests[0].ID != "mine" {
		t.Errorf("requests are %v, want one of that run with origin direct", requests)
	}
}

func TestTheIDOfARowIsTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	ids := func(run string) []string {
		out, err := newHarness(t, "").Invoke(t.Context(), []byte(`{"source":"ops","run":"`+run+`","requests":[{"product":"XY","license_key":"K1","hardware_id":"h1"}]}`))
		var r directReply
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r.IDs
	}
	if diff := cmp.Diff(ids("monday"), ids("tuesday")); diff != "" {
		t.Errorf("ids of the same row in two runs: %s", diff)
	}
}

func TestAnInvocationThatIsNoneOfOursIsAnErrorAndEnqueuesNothing(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"empty":            ``,
		"not JSON":         `hello`,
		"another event":    `{"Records":[]}`,
		"no requests":      `{"source":"ops"}`,
		"requests is null": `{"source":"ops","requests":null}`,
		"requests is one":  `{"source":"ops","requests":{"product":"XY"}}`,
		"no source":        `{"requests":[{"product":"XY","license_key":"K1","hardware_id":"h1"}]}`,
		"hostile source":   `{"source":"ops\n","requests":[{"product":"XY","license_key":"K1","hardware_id":"h1"}]}`,
		"too many":         `{"source":"ops","requests":[` + strings.Repeat(`{},`, 10_000) + `{}]}`,

		"an unknown field":         invocation(`,"dry-run":true`),
		"a field in capitals":      invocation(`,"DRY_RUN":true`),
		"dry_run twice":            invocation(`,"dry_run":true,"dry_run":false`),
		"dry_run is a text":        invocation(`,"dry_run":"true"`),
		"dry_run is null":          invocation(`,"dry_run":null`),
		"requests twice":           invocation(`,"requests":[]`),
		"source twice":             invocation(`,"source":"ops"`),
		"run is a number":          invocation(`,"run":7`),
		"run with a line break":    invocation(`,"run":"a\nb"`),
		"comment is too long":      invocation(`,"comment":"` + strings.Repeat("x", 257) + `"`),
		"by is a list":             invocation(`,"by":["jo"]`),
		"a field of an HTTP event": invocation(`,"rawPath":"/"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			if out, err := b.Invoke(context.Background(), []byte(payload)); err == nil {
				t.Errorf("answer %s, want an error", out)
			}
			if b.queue.calls > 0 {
				t.Error("something was enqueued")
			}
		})
	}
}
