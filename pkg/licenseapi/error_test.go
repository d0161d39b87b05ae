package licenseapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/pkg/internal/apihttp"
)

// answered returns Deactivate's result for one answer, and its log.
func answered(t *testing.T, d Deactivation, status int, header http.Header, body io.Reader) (log string, err error) {
	t.Helper()
	client, lines := testClient(t, "https://api.licensespring.com/api/v4")
	client.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	client.transport = roundTrip(func(*http.Request) (*http.Response, error) {
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body)}, nil
	})
	err = client.Deactivate(t.Context(), d)
	return lines.String(), err
}

func TestAnswersAreReadLeniently(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body    string
		code, message string
		kind          Kind
	}{
		{"documented", `{"status":400,"code":"license_not_found","message":"No license"}`, "license_not_found", "No license", KindRejected},
		{"more fields", `{"code":"license_not_found","details":{"a":[1]},"message":"x"}`, "license_not_found", "x", KindRejected},
		{"no message", `{"code":"device_not_found"}`, "device_not_found", "", KindAlreadyInactive},
		{"message of another type", `{"code":"device_not_found","message":["a"]}`, "device_not_found", "", KindAlreadyInactive},
		{"white space around", "\n {\"code\":\"device_not_found\"} \n", "device_not_found", "", KindAlreadyInactive},
		{"unknown code", `{"code":"brand_new","message":"x"}`, "brand_new", "x", KindRefused},
		{"code of another case", `{"code":"License_Not_Active"}`, "License_Not_Active", "", KindRefused},
		{"code of 64 characters", `{"code":"` + strings.Repeat("ä", 64) + `"}`, strings.Repeat("ä", 64), "", KindRefused},
		{"code of 65 characters", `{"code":"` + strings.Repeat("a", 65) + `"}`, "http_400", "", KindRefused},
		{"code with a line break", `{"code":"new\ncode"}`, "http_400", "", KindRefused},
		{"code with the key", `{"code":"no AAAA-BBBB-CCCC-DDDD"}`, "http_400", "", KindRefused},
		{"code a number", `{"code":42,"message":"x"}`, "", "x", KindUnavailable},
		{"code null", `{"code":null}`, "", "", KindUnavailable},
		{"code empty", `{"code":""}`, "", "", KindUnavailable},
		{"code blank", `{"code":"  "}`, "", "", KindUnavailable},
		{"no code", `{"detail":"x"}`, "", "", KindUnavailable},
		{"empty", ``, "", "", KindUnavailable},
		{"a list", `["license_not_found"]`, "", "", KindUnavailable},
		{"a word", `"license_not_found"`, "", "", KindUnavailable},
		{"HTML", `<html>license_not_found</html>`, "", "", KindUnavailable},
		{"cut JSON", `{"code":"license_not_found","message":"x`, "", "", KindUnavailable},
		{"two objects", `{"code":"license_not_found"}{"code":"device_not_found"}`, "", "", KindUnavailable},
		{"nested 100,000 deep", strings.Repeat("[", 100_000), "", "", KindUnavailable},
		{"too long", `{"code":"license_not_found"}` + strings.Repeat(" ", apihttp.MaxReplyBytes), "", "", KindUnavailable},
		{"just not too long", `{"code":"license_not_found"}` + strings.Repeat(" ", apihttp.MaxReplyBytes-28), "license_not_found", "", KindRejected},
	} {
		_, err := answered(t, keyBased(), 400, nil, strings.NewReader(c.body))
		want := &Error{Op: "deactivate_license", Status: 400, Code: c.code, Message: c.message}
		got, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: got %v, want an *Error", c.name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want %v", c.name, KindOf(err), c.kind)
		}
	}
}

// broken is a body that ends in an error.
func broken(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF))
}

func TestABrokenBodyLeavesTheStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]Kind{
		400: KindUnavailable, 401: KindUnauthorized, 429: KindRateLimited, 503: KindUnavailable, 301: KindMisconfigured,
	} {
		_, err := answered(t, keyBased(), status, nil, broken(`{"code":"license_not_found"}`))
		if got, ok := errors.AsType[*Error](err); !ok || got.Status != status || got.Code != "" || KindOf(err) != want {
			t.Errorf("%d: got %v (%v), want the kind of the status, %v", status, err, KindOf(err), want)
		}
	}
}

// TestA200CountsOnlyWithTheDocumentedBody: a proxy's page also has the status 200, and nothing was deactivated.
func TestA200CountsOnlyWithTheDocumentedBody(t *testing.T) {
	t.Parallel()
	const echo = "AAAA-BBBB-CCCC-DDDD"
	for _, c := range []struct {
		name string
		body io.Reader
		want Kind
		code string
	}{
		{"text", strings.NewReader("license_deactivated"), KindDeactivated, ""},
		{"quoted", strings.NewReader(`"license_deactivated"`), KindDeactivated, ""},
		{"with a line break", strings.NewReader("license_deactivated\n"), KindDeactivated, ""},
		{"an only value", strings.NewReader(`{"result":"license_deactivated"}`), KindDeactivated, ""},
		{"a message", strings.NewReader(`{"status":200,"message":"license_deactivated"}`), KindDeactivated, ""},
		{"empty", strings.NewReader(""), KindUnconfirmed, "http_200"},
		{"HTML", strings.NewReader("<html>" + echo + "</html>"), KindUnconfirmed, "http_200"},
		{"HTML with the word", strings.NewReader("<p>license_deactivated " + echo + "</p>"), KindUnconfirmed, "http_200"},
		{"another value", strings.NewReader(`{"result":"` + echo + `"}`), KindUnconfirmed, "http_200"},
		{"an error's body", strings.NewReader(`{"status":400,"code":"license_not_found","message":"` + echo + `"}`), KindUnconfirmed, "http_200"},
		{"a code beside the word", strings.NewReader(`{"code":"x","message":"license_deactivated"}`), KindUnconfirmed, "http_200"},
		{"a number", strings.NewReader("200"), KindUnconfirmed, "http_200"},
		{"null", strings.NewReader("null"), KindUnconfirmed, "http_200"},
		{"a list", strings.NewReader(`["license_deactivated"]`), KindUnconfirmed, "http_200"},
		{"too long", strings.NewReader(strings.Repeat(echo, apihttp.MaxReplyBytes/len(echo)+1)), KindUnconfirmed, "http_200"},
		{"cut", broken("license_deactivated"), KindUnavailable, "connection"},
		{"cut and short", broken("license"), KindUnavailable, "connection"},
	} {
		log, err := answered(t, keyBased(), 200, http.Header{"Content-Type": {"text/html; x=" + echo}}, c.body)
		if KindOf(err) != c.want || CodeOf(err) != c.code {
			t.Errorf("%s: got %v (%v, %q), want %v, %q", c.name, err, KindOf(err), CodeOf(err), c.want, c.code)
		}
		logged := c.want == KindUnconfirmed
		if (log != "") != logged || strings.Contains(log, echo) || err != nil && strings.Contains(err.Error(), echo) {
			t.Errorf("%s: logged %q, want a line: %v, without the body", c.name, log, logged)
		}
		if logged && (!strings.Contains(log, `"length":`) || !strings.Contains(log, `"content_type":"text/html"`)) {
			t.Errorf("%s: length or type is not in the log: %s", c.name, log)
		}
	}
}

func TestOtherSuccessesAreNone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{101, 201, 202, 204, 206} {
		_, err := answered(t, keyBased(), status, nil, strings.NewReader(`{"code":"license_not_active","message":"x"}`))
		if KindOf(err) != KindUnavailable || CodeOf(err) != "http_"+strconv.Itoa(status) {
			t.Errorf("%d: got %v (%v)", status, err, KindOf(err))
		}
	}
}

func TestASwitchOfProtocolsIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	never := neverEnding{t}
	if _, err := answered(t, keyBased(), 101, nil, never); KindOf(err) != KindUnavailable {
		t.Errorf("got %v", err)
	}
}

type neverEnding struct{ t *testing.T }

func (n neverEnding) Read(p []byte) (int, error) {
	n.t.Error("the body of a 101 was read")
	return 0, io.EOF
}

func TestRetryAfterIsInTheError(t *testing.T) {
	t.Parallel()
	_, err := answered(t, keyBased(), 429, http.Header{"Retry-After": {"7"}}, strings.NewReader("slow down"))
	if got, ok := errors.AsType[*Error](err); !ok || got.RetryAfter != 7*time.Second {
		t.Errorf("got %v, want 7 s in it", err)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header http.Header
		want   string
	}{
		{http.Header{"X-Request-Id": {"req-1"}, "Apigw-Requestid": {"req-2"}}, "req-1"},
		{http.Header{"X-Amzn-Trace-Id": {"Root=1-5759e988-bd862e3fe1be46a994272793"}}, "Root=1-5759e988-bd862e3fe1be46a994272793"},
		{http.Header{"X-Request-Id": {"for AAAA-BBBB-CCCC-DDDD"}, "Apigw-Requestid": {"req-2"}}, "req-2"},
		{http.Header{"X-Request-Id": {strings.Repeat("a", 129)}}, ""},
		{http.Header{}, ""},
	} {
		_, err := answered(t, keyBased(), 400, c.header, strings.NewReader(""))
		if got, ok := errors.AsType[*Error](err); !ok || got.RequestID != c.want {
			t.Errorf("%v: got %v, want %q", c.header, err, c.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	err := &Error{Op: "deactivate_license", Status: 400, Code: "license_not_found", Message: "No license", RequestID: "r1"}
	if got, want := err.Error(), "licenseapi: deactivate_license: 400 license_not_found: No license (request r1)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (&Error{Op: "deactivate_license", Status: 503}).Error(), "licenseapi: deactivate_license: 503"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMessagesAreScrubbed(t *testing.T) {
	t.Parallel()
	d := Deactivation{
		Product: "XY", Username: "test@example.com", Password: "pw1", HardwareID: "hw1", Hostname: "Ängström-PC",
		Variables: []byte(`{"seat":"window-left"}`),
	}
	for _, c := range []struct{ name, said, want string }{
		{"nothing of ours", "Provided product XY was not found", "Provided product XY was not found"},
		{"user name", "no user test@example.com here", "no user [removed] here"},
		{"in another case", "no user TEST@Example.COM here", "no user [removed] here"},
		{"inside a word", "xtest@example.comx", "x[removed]x"},
		{"twice, side by side", "test@example.comtest@example.com", "[removed]"},
		{"letters beyond ASCII", "host ÄNGSTRÖM-pc", "host [removed]"},
		{"short, alone", "pw1 is wrong for 'hw1'", "[removed] is wrong for '[removed]'"},
		{"short, inside a word", "hw12 and apw1", "hw12 and apw1"},
		{"hidden by a control character", "test@exa\u0000mple.com", "[removed]"},
		{"hidden by a soft hyphen", "test@exa\u00admple.com", "[removed]"},
		{"text of a variable", "seat-17 window-left", "[removed]-17 [removed]"},
		{"our signature and key", "got UDysfR6MndUZReo07Y9r+vErn8vSxrnQ5ulit18iJ/Q= of company-api-key-7e6b", "got [removed] of [removed]"},
		{"algorithm and header stay", "hmac-sha256 over date", "hmac-sha256 over date"},
		{"control characters", "a\r\nb\tc\u0085\u2028d", "abcd"},
		{"256 characters", strings.Repeat("ä", 256), strings.Repeat("ä", 256)},
		{"257 characters", strings.Repeat("ä", 257), strings.Repeat("ä", 255) + "…"},
		{"cut after scrubbing", strings.Repeat("ä", 250) + "test@example.com", strings.Repeat("ä", 250) + "[remo…"},
	} {
		s := &apihttp.Scrubber{Values: d.secrets(),
			Authorization: `algorithm="hmac-sha256",headers="date",signature="UDysfR6MndUZReo07Y9r+vErn8vSxrnQ5ulit18iJ/Q=",apikey="company-api-key-7e6b"`}
		if got := s.Scrub(c.said); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAKnownCodeIsKnownWhateverTheRequest shows that a device whose name is a part of a code does not turn an answer
// into another.
func TestAKnownCodeIsKnownWhateverTheRequest(t *testing.T) {
	t.Parallel()
	d := keyBased()
	d.HardwareID = "device"
	_, err := answered(t, d, 400, nil, bytes.NewReader([]byte(`{"code":"device_not_found"}`)))
	if CodeOf(err) != "device_not_found" || KindOf(err) != KindAlreadyInactive {
		t.Errorf("got %v (%v)", err, KindOf(err))
	}
}
