package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
	"license-deactivator/sources"
)

// explained runs explain with standard input.
func explained(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = run(ctx, append([]string{"explain"}, args...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func builtInSamples(t *testing.T) []sample.Sample {
	t.Helper()
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) < 100 {
		t.Fatalf("%d samples", len(samples))
	}
	return samples
}

// TestEverySampleIsExplained holds that each explanation names the answer and the requests that the sample's file says,
// and no license, device or secret whole.
func TestEverySampleIsExplained(t *testing.T) {
	t.Parallel()
	var stored map[string]string
	if err := json.Unmarshal(local.FixedSecrets(builtInSources(t)).Webhooks, &stored); err != nil {
		t.Fatal(err)
	}
	for _, sample := range builtInSamples(t) {
		t.Run(sample.Name(), func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := explained(t, "", sample.Name())
			if code != exitDone || stderr != "" {
				t.Fatalf("exit code %d, %s", code, stderr)
			}
			_, result, _ := strings.Cut(stdout, "\nRESULT")
			result, _, _ = strings.Cut(result, "\n\n")
			if !strings.Contains(result, string(sample.Answer)) {
				t.Errorf("the result is %s, and its file says %s", result, sample.Answer)
			}
			if sample.Rule != "" && sample.Rule != "test event" && !strings.Contains(stdout, ` by the rule "`+sample.Rule+`"`) &&
				!strings.Contains(strings.Join(strings.Fields(stdout), " "), `the rule "`+sample.Rule+`"`) {
				t.Errorf("the rule %q is not named", sample.Rule)
			}
			for _, field := range sample.Missing {
				if !strings.Contains(stdout, field) {
					t.Errorf("%s is not named as missing", field)
				}
			}
			for _, r := range sample.Requests {
				if !strings.Contains(stdout, r.ID) {
					t.Errorf("the request %s is not named", r.ID)
				}
				for _, whole := range []string{r.LicenseKey, r.Username, r.HardwareID} {
					if whole != "" && strings.Contains(stdout, whole) {
						t.Errorf("%q is shown whole", whole)
					}
				}
			}
			if strings.Contains(stdout, stored[sample.Source]) {
				t.Error("the secret is shown")
			}
			for i, line := range strings.Split(stdout, "\n") {
				if strings.TrimRight(line, " \t") != line || strings.ContainsAny(line, "\t\r\x1b") {
					t.Errorf("line %d is %q", i+1, line)
				}
			}
		})
	}
}

func TestASampleIsFoundByNameAndByPath(t *testing.T) {
	t.Parallel()
	_, want, _ := explained(t, "", "stripe/full-refund")
	_, want, _ = strings.Cut(want, "\n")
	for _, name := range []string{"events/stripe/full-refund.json", "../../events/stripe/full-refund.json", "stripe/full-refund.yaml"} {
		code, got, stderr := explained(t, "", name)
		if _, got, _ = strings.Cut(got, "\n"); code != exitDone || got != want {
			t.Errorf("%s: exit code %d, %s\n%s", name, code, stderr, got)
		}
	}
}

func TestAHeaderReplacesThatOfASample(t *testing.T) {
	t.Parallel()
	_, stdout, _ := explained(t, "", "shopify/test-notification", "shopify/full-refund", "--header", "X-Shopify-Topic: orders/paid", "--header", "X-Shopify-Test: true")
	if n := strings.Count(stdout, "orders/paid"); n != 2 || strings.Count(stdout, "test mode. A deployment") != 2 {
		t.Errorf("%d topics:\n%s", n, stdout)
	}
}

const (
	signedBody   = `{"id":"evt_1","type":"charge.refunded","livemode":true,"data":{"object":{"refunded":true,"metadata":{"license_key":"KEY-CANARY-0001","product":"XY","hardware_id":"device-canary-0002"}}}}`
	signedSecret = "whsec_canary_of_explain"
)

// signedHeader is a Stripe-Signature of signedBody.
func signedHeader(t *testing.T, at time.Time) string {
	t.Helper()
	loaded, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	source, _ := loaded.Get("stripe")
	d := signing.Delivery{Method: "POST", Header: map[string]string{}, Body: []byte(signedBody)}
	if err := source.Sign(&d, at, signedSecret); err != nil {
		t.Fatal(err)
	}
	return d.Header["stripe-signature"]
}

func TestTheSignatureOfABodyIsCheckedWithSecretsAlone(t *testing.T) {
	t.Parallel()
	yesterday := time.Now().Add(-24 * time.Hour)
	header := signedHeader(t, yesterday)
	body := file(t, "body.json", signedBody)
	secrets := file(t, "s.json", `{"license_api":{},"webhooks":{"stripe":"`+signedSecret+`"}}`)
	wrong := file(t, "s.json", `{"license_api":{},"webhooks":{"stripe":"whsec_canary_other"}}`)
	none := file(t, "s.json", `{"license_api":{},"webhooks":{"shopify":"canary"}}`)
	at := yesterday.Add(time.Minute).Format(time.RFC3339)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"without secrets": {nil, []string{"RESULT       accepted", "SIGNATURE    not checked", "Scheme: HMAC-SHA256 of {timestamp}.{body}"}},
		"genuine":         {[]string{"--secrets", secrets, "--header", "Stripe-Signature: " + header, "--at", at}, []string{"RESULT       accepted", "SIGNATURE    valid"}},
		"old":             {[]string{"--secrets", secrets, "--header", "Stripe-Signature: " + header}, []string{"refused with 401: the signature is genuine, but too old", "--at", "ANSWER       401"}},
		"early":           {[]string{"--secrets", secrets, "--header", "Stripe-Signature: " + header, "--at", "2020-01-01T00:00:00Z"}, []string{"genuine, but its time is in the future"}},
		"another secret":  {[]string{"--secrets", wrong, "--header", "Stripe-Signature: " + header, "--at", at}, []string{"the signature does not match"}},
		"no header":       {[]string{"--secrets", secrets}, []string{"the signature is missing, or a header that it covers (header stripe-signature)"}},
		"malformed":       {[]string{"--secrets", secrets, "--header", "Stripe-Signature: t=x"}, []string{"not in the sender's form"}},
		"no secret":       {[]string{"--secrets", none}, []string{"refused with 404", `there is no secret for "stripe"`}},
		"encoded":         {[]string{"--header", "Content-Encoding: gzip"}, []string{"refused with 415", "not checked: the delivery is refused before"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := explained(t, "", append([]string{body, "--source", "stripe"}, c.args...)...)
			if code != exitDone || stderr != "" {
				t.Fatalf("exit code %d, %s", code, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is not in\n%s", want, stdout)
				}
			}
			_, proof, _ := strings.Cut(header, "v1=")
			for _, canary := range []string{"canary", "CANARY", proof} {
				if strings.Contains(stdout, canary) {
					t.Errorf("%s is shown:\n%s", canary, stdout)
				}
			}
		})
	}
}

func TestAnAddressThatIsSignedIsGivenWithURL(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../events/salesforce/order-refunded.xml")
	if err != nil {
		t.Fatal(err)
	}
	secrets := file(t, "s.json", `{"license_api":{},"webhooks":{"salesforce":"token-canary"}}`)
	args := []string{file(t, "body.xml", string(body)), "--source", "salesforce", "--secrets", secrets}
	if _, stdout, _ := explained(t, "", args...); !strings.Contains(stdout, "refused with 401") {
		t.Errorf("without its token:\n%s", stdout)
	}
	_, stdout, _ := explained(t, "", append(args, "--url", "https://hooks.example.com/webhooks/salesforce?token=token-canary")...)
	if !strings.Contains(stdout, "RESULT       accepted") || !strings.Contains(stdout, "<Ack>true</Ack>") || strings.Contains(stdout, "canary") {
		t.Errorf("with its token:\n%s", stdout)
	}
}

func TestADeadLetterIsExplained(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../../events/standard/no-hardware-id.json")
	if err != nil {
		t.Fatal(err)
	}
	letter, err := deactivation.Event{
		Source: "standard", ID: "msg_1", ReceivedAt: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		Headers: map[string]string{"svix-id": "msg_1"}, Body: body, Missing: []string{"hardware_id"},
	}.Wire()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ stdin, arg string }{
		"standard input": {letter + "\n", "-"},
		"a file":         {"", file(t, "letter.json", letter)},
	} {
		code, stdout, stderr := explained(t, c.stdin, c.arg)
		if code != exitDone || stderr != "" {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
		for _, want := range []string{"stored because it lacked hardware_id", "verified when it arrived, 2026-11-22 12:00:00 UTC", "msg_1", "header svix-id", "hardware_id  MISSING", "LOOKED FOR   hardware_id  as data.metadata.hardware_id", "DEAD LETTER"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, stdout)
			}
		}
	}
}

func TestADeadLetterIsExplainedByTheSchemeThatVerifiedIt(t *testing.T) {
	t.Parallel()
	letter := func(scheme string) string {
		text, err := deactivation.Event{
			Source: "standard", ID: "msg_svix", Scheme: scheme, Headers: map[string]string{"webhook-id": "msg_webhook", "svix-id": "msg_svix"}, Body: []byte(`{"type":"order.refunded"}`),
		}.Wire()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for scheme, want := range map[string]string{"webhook-signature": "id    msg_webhook", "svix-signature": "id    msg_svix"} {
		code, stdout, stderr := explained(t, letter(scheme), "-")
		if code != exitDone || !strings.Contains(stdout, want) || !strings.Contains(stdout, "in "+scheme) {
			t.Errorf("%s: exit code %d, want %q in\n%s%s", scheme, code, want, stdout, stderr)
		}
	}
	code, _, stderr := explained(t, letter("x-sig"), "-")
	if code != exitFailed || !strings.Contains(stderr, `verified by the scheme "x-sig", which standard.yaml does not have`) {
		t.Errorf("a scheme that the file does not have: exit code %d, %s", code, stderr)
	}
	code, stdout, stderr := explained(t, letter("x-sig"), "-", "--source", "generic")
	if code != exitDone || !strings.Contains(stdout, "SIGNATURE") {
		t.Errorf("with another file: exit code %d, %s", code, stderr)
	}
}

func TestExplainSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	request, err := deactivation.Request{
		ID: "stripe.evt_1.0", Source: "stripe", Cause: deactivation.CauseRefund,
		License: deactivation.License{Product: "XY", LicenseKey: "KEY-CANARY-0001", HardwareID: "device-canary"},
	}.Wire()
	if err != nil {
		t.Fatal(err)
	}
	large := file(t, "large.json", strings.Repeat(" ", maxSubjectBytes+1))
	for name, c := range map[string]struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		"nothing":           {"", nil, exitUsage, "licensectl explain takes a FILE, not 0 arguments"},
		"no such file":      {"", []string{"nowhere/x.json"}, exitFailed, "hint: FILE is a sample such as stripe/full-refund"},
		"a folder":          {"", []string{t.TempDir()}, exitFailed, "is a folder"},
		"too large":         {"", []string{large}, exitFailed, "is larger than"},
		"too large a pipe":  {strings.Repeat(" ", maxSubjectBytes+1), []string{"-"}, exitFailed, "standard input is larger than"},
		"an empty pipe":     {"", []string{"-"}, exitFailed, "error: standard input is empty"},
		"whose":             {"{}", []string{"-"}, exitFailed, "hint: name the sender with --source: "},
		"an unknown sender": {"{}", []string{"-", "--source", "nobody"}, exitUsage, `there is no source "nobody"`},
		"a request":         {request, []string{"-"}, exitFailed, "is not an event but the request stripe.evt_1.0"},
		"a letter of nobody": {`{"v":1,"kind":"event","source":"nobody","headers":{},"body":"e30="}`, []string{"-"}, exitFailed,
			"hint: name the sender with --source"},
		"a time":           {"{}", []string{"-", "--source", "stripe", "--at", "now"}, exitUsage, "hint: give it as 2026"},
		"a header":         {"{}", []string{"-", "--source", "stripe", "--header", "secret-canary"}, exitUsage, "hint: give it as 'Name: value'"},
		"an address":       {"{}", []string{"-", "--source", "stripe", "--url", "secret-canary"}, exitUsage, "hint: give it with http://"},
		"no secrets":       {"{}", []string{"-", "--source", "stripe", "--secrets", "nowhere.json"}, exitFailed, "hint: the file holds"},
		"a broken sources": {"{}", []string{"-", "--source", "acme", "--sources", brokenSources(t)}, exitFailed, "acme.yaml:1: verify is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := explained(t, c.stdin, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "licensectl: hint: ") || stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %d and %q", code, stdout, stderr, c.code, c.want)
			}
			if strings.Contains(strings.ToLower(stderr), "canary") {
				t.Errorf("a secret is in %q", stderr)
			}
		})
	}
}

// TestMessagesAreExplained takes the forms in which tools print messages, with an event and a request in each.
func TestMessagesAreExplained(t *testing.T) {
	t.Parallel()
	event := `{"v":1,"kind":"event","source":"stripe","headers":{},"missing":["hardware_id"],"body":"` +
		base64.StdEncoding.EncodeToString([]byte(`{"id":"evt_1","type":"charge.refunded","livemode":true,"data":{"object":{"id":"ch_1","refunded":true,"metadata":{"licenseKey":"KEY-CANARY-1"}}}}`)) + `"}`
	request := `{"v":1,"id":"stripe.evt_2.0","action":"deactivate_license","source":"stripe","cause":"refund","rule":"refunded in full","product":"XY","license_key":"KEY-CANARY-2","hardware_id":"hw-canary-2"}`
	cli := func(id, body, reason, code string) string {
		return fmt.Sprintf(`{"MessageId":%q,"ReceiptHandle":"r","Body":%q,"MessageAttributes":{"reason":{"StringValue":%q,"DataType":"String"},`+
			`"code":{"StringValue":%q,"DataType":"String"},"detail":{"StringValue":"No such license","DataType":"String"},"attempts":{"StringValue":"2","DataType":"String"},`+
			`"failed_at":{"StringValue":"2026-11-22T12:00:00Z","DataType":"String"}}}`, id, body, reason, code)
	}
	first, second := cli("1", event, "unmappable", ""), cli("2", request, "rejected", "license_not_found")
	lambda := strings.NewReplacer(`"MessageId"`, `"messageId"`, `"Body"`, `"body"`, `"MessageAttributes"`, `"messageAttributes"`, `"StringValue"`, `"stringValue"`)
	const resultOfRequest = "RESULT rejected: license_not_found, no such license, or no such license user. To do: "
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"one message":       {second, []string{resultOfRequest, "REQUEST id stripe.evt_2.0", "DEAD LETTER No such license after 2 receives at 2026-11-22 12:00:00 UTC"}},
		"one with an event": {first, []string{"A dead-lettered event", "RESULT unmappable: ", "Hint: data.object.metadata.licenseKey is nearly the name license_key."}},
		"aws sqs":           {`{"Messages":[` + first + "," + second + `]}`, []string{"message 1 of 2", "RESULT unmappable: ", "message 2 of 2", resultOfRequest}},
		"a Lambda event":    {lambda.Replace(`{"Records":[` + first + "," + second + `]}`), []string{"message 1 of 2", "message 2 of 2", resultOfRequest}},
		"a list":            {"[" + first + ",\n" + second + "]", []string{"message 2 of 2", resultOfRequest}},
		"lines":             {first + "\n" + second + "\n", []string{"message 2 of 2", resultOfRequest}},
		"lines of bodies":   {event + "\n" + request + "\n", []string{"message 1 of 2", "RESULT unmappable: ", "message 2 of 2", "RESULT exhausted, deferred at 290 receives"}},
	} {
		code, stdout, stderr := explained(t, c.content, "-")
		flat := strings.Join(strings.Fields(stdout), " ")
		if code != exitDone || stderr != "" || strings.Contains(strings.ToLower(stdout), "canary-") {
			t.Errorf("%s: exit code %d, or a key is shown: %s\n%s", name, code, stderr, stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(flat, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, stdout)
			}
		}
	}
	code, stdout, stderr := explained(t, cli("1", "no JSON", "invalid", "")+second, "-")
	if code != exitFailed || !strings.Contains(stdout, "message 2 of 2") || !strings.Contains(stderr, "standard input, message 1 of 2 is not a message of this system") {
		t.Errorf("a message of somebody else: exit code %d, %s\n%s", code, stderr, stdout)
	}
}

func TestASenderBodyIsNotTakenForMessages(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`[{"body":"x"}]`, `{"Messages":[{"text":"x"}]}`, `{"body":"x"}`, `{"records":[]}`, `{"MessageId":"m","id":"e1","type":"order.refunded"}`, "[]", "x", "",
	} {
		if got := readMessages([]byte(body)); got != nil {
			t.Errorf("%s is read as %d messages", body, len(got))
		}
	}
}

func TestAMisspeltSampleIsAnsweredWithTheSamples(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"stripe/ful-refund":  "hint: did you mean stripe/full-refund? the samples of stripe are byte-order-mark, ",
		"stripe/nothing":     "hint: the samples of stripe are byte-order-mark, ",
		"events/stripe/nope": "error: events/stripe/nope is neither a file nor a sample",
		"stripe":             "hint: the samples of stripe are ",
		"strip/full-refund":  "hint: did you mean stripe/full-refund? FILE is a sample",
		"nobody/full-refund": "error: nobody/full-refund is neither a file nor a sample",
	} {
		if code, _, stderr := explained(t, "", arg); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", arg, code, stderr)
		}
	}
}

func TestANameThatIsNearlyRightIsHintedAt(t *testing.T) {
	t.Parallel()
	missing := []string{"license_key", "hardware_id", "product"}
	searched := map[string][]string{"license_key": {"data.key_of_license", "metadata.license"}}
	for body, want := range map[string][]string{
		`{"a":{"licenseKey":"x"}}`:                                {"a.licenseKey is nearly the name license_key"},
		`{"a":[{"License-Key":"x"}]}`:                             {"a[0].License-Key is nearly the name license_key"},
		`{"licence_key":"x"}`:                                     {"licence_key is nearly the name license_key"},
		`{"HardwareID":7,"hwid":"x"}`:                             {"HardwareID is nearly the name hardware_id", "hwid is nearly the name hardware_id"},
		`{"Product":"x"}`:                                         {"Product is nearly the name product"},
		`{"note_attributes":[{"name":"licenseKey","value":"x"}]}`: {"note_attributes[0]: licenseKey is nearly the name license_key"},
		`{"licenseKey":{"a":1}}`:                                  nil, // no text: a name of the sender's own
		`{"license":"x"}`:                                         nil, // it is read
		`{"produce":"x","key":"x","id":"x","product":"x"}`:        nil,
		`<a/>`: nil,
	} {
		if got := nearlyNamed([]byte(body), missing, searched); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestAnUnreadableFileDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := explained(t, "", "nowhere/x.json", "stripe/full-refund", "nowhere/y.json", "stripe/inquiry")
	if code != exitFailed || strings.Count(stdout, "\nRESULT") != 2 || !strings.Contains(stderr, "x.json") || !strings.Contains(stderr, "y.json") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}

func TestAnOddBodyIsExplainedAll(t *testing.T) {
	t.Parallel()
	many := `{"id":"e","type":"order.refunded","data":{"license_key":"` + strings.Join(numberedKeys(40), ",") + `","product":"P","hardware_id":"h"}}`
	for name, c := range map[string]struct{ body, want string }{
		"no JSON":        {"refund", "unmappable: the body cannot be read: it is not JSON"},
		"empty":          {"", "unmappable: the body cannot be read: it is empty"},
		"a list":         {"[]", "code unreadable"},
		"terminal codes": {"{\"id\":\"\\u001b]0;x\\u0007\",\"type\":\"\\u001b[2J\"}", "type  <U+001B>[2J"},
		"too large":      {strings.Repeat(" ", webhook.MaxBodyBytes+1), "refused with 413"},
		"many licenses":  {many, "… and 35 more"},
	} {
		code, stdout, stderr := explained(t, c.body, "-", "--source", "generic")
		if code != exitDone || !strings.Contains(strings.Join(strings.Fields(stdout), " "), strings.Join(strings.Fields(c.want), " ")) || strings.ContainsAny(stdout, "\x1b\x07") || strings.Contains(stdout, "CANARY") {
			t.Errorf("%s: exit code %d, %s\n%s", name, code, stderr, stdout)
		}
	}
}

func numberedKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("KEY-CANARY-%04d", i)
	}
	return keys
}
