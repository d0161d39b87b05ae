package licenseapitest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const oneDevice = `{"product":"XY","license_key":"K1","hardware_id":"hw1"}`

// start serves s and returns a function that makes one call on its own connection, so that net/http repeats nothing by
// itself, and describes the result in a few words.
func start(t *testing.T, s *Server) (call func(ctx context.Context, body string) string) {
	t.Helper()
	url, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, body string) string {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/deactivate_license", strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		date := noon().Format(http.TimeFormat)
		req.Header.Set("Date", date)
		req.Header.Set("Authorization", authorization(sharedKey, date))
		resp, err := client.Do(req)
		if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) { // EOF if it came between two reads
			return "reset"
		}
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return seen(resp, text, err)
	}
}

// seen describes an answer.
func seen(resp *http.Response, body []byte, err error) string {
	text := nameOf(resp.StatusCode, string(body))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		text = "cut"
	case err != nil:
		text = err.Error()
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && bytes.HasPrefix(body, []byte("<!doctype")):
		text = "HTML"
	case resp.StatusCode == http.StatusOK:
		text = string(body)
	case len(body) == 0:
		text = ""
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		text += " after " + after
	}
	return strconv.Itoa(resp.StatusCode) + " " + text
}

// TestNamedFaults makes three calls for one device with each named fault and compares what the client sees.
func TestNamedFaults(t *testing.T) {
	t.Parallel()
	const ok, gone = "200 license_deactivated", "400 device_not_found"
	want := map[string][]string{
		"503":             {"503 internal_error", "503 internal_error", ok},
		"500":             {"500 internal_error", "500 internal_error", ok},
		"403":             {"403 ", "403 ", ok},
		"429":             {"429  after 1", "429  after 1", ok},
		"429-date":        {"429  after Fri, 02 Jan 2026 12:00:02 GMT", "429  after Fri, 02 Jan 2026 12:00:02 GMT", ok},
		"429-bare":        {"429 ", "429 ", ok},
		"flood":           {ok, gone, gone},
		"reset":           {"reset", "reset", ok},
		"reset-after":     {"reset", "reset", gone},
		"cut":             {"400 cut", "400 cut", ok},
		"cut-after":       {"200 cut", "400 cut", gone},
		"html":            {"400 HTML", "400 HTML", ok},
		"unauthorized":    {"401 ", ok, gone},
		"stale-date":      {"400 date_header_diff", ok, gone},
		"token-expired":   {"400 oauth_token_expired", ok, gone},
		"token-malformed": {"400 oauth_token_malformed", ok, gone},
		"rotated-key":     {"400 signature_mismatch", "400 signature_mismatch", "400 signature_mismatch"},
		"down":            {"503 internal_error", "503 internal_error", "503 internal_error"},
		"gone":            {"reset", "reset", "reset"},
		"moved":           {"301 ", "301 ", "301 "},
		"page":            {"200 HTML", "200 HTML", ok},
		"page-after":      {"200 HTML", "200 HTML", gone},
		"maintenance":     {"200 HTML", "200 HTML", "200 HTML"},
		"suspended":       {"403 account_suspended", "403 account_suspended", "403 account_suspended"},
		"echo":            {"400 validation_error", "400 validation_error", "400 validation_error"},
		"code=a_code":     {"400 a_code", "400 a_code", "400 a_code"},

		"slow": nil, "slow-after": nil, // TestSlowFaults
		"storm": nil, "flaky": nil, // TestStorm
	}
	for _, f := range Faults() {
		if _, tested := want[f.Name]; !tested || f.Meaning == "" || strings.Contains(f.Meaning, "\n") {
			t.Errorf("the fault %s has no test or no meaning of one line", f.Name)
		}
	}
	for name, answers := range want {
		if answers == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if err := s.Fail(name); err != nil {
				t.Fatal(err)
			}
			call := start(t, s)
			var got []string
			for range answers {
				got = append(got, call(t.Context(), oneDevice))
			}
			if diff := cmp.Diff(answers, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownFaultsAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, name := range []string{"", "unknown", "200", "299", "600", "code=", "-1"} {
		if err := s.Fail("down", name); err == nil || !strings.Contains(err.Error(), strconv.Quote(name)) {
			t.Errorf("%q: got %v", name, err)
		}
	}
	if _, code := said(t, s, newRequest(t, oneDevice, nil)); code != success {
		t.Errorf("a refused Fail changed the server: %s", code)
	}
}

func TestFaultsCombineAndEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.Fail("unauthorized", "503"); err != nil {
		t.Fatal(err)
	}
	call := start(t, s)
	for i, want := range []string{"401 ", "503 internal_error", "200 license_deactivated"} {
		if got := call(t.Context(), oneDevice); got != want {
			t.Errorf("call %d: got %s, want %s", i+1, got, want)
		}
	}
	if err := s.Fail("down"); err != nil {
		t.Fatal(err)
	}
	if err := s.Fail(); err != nil {
		t.Fatal(err)
	}
	if got := call(t.Context(), oneDevice); got != "400 device_not_found" {
		t.Errorf("without a fault: got %s", got)
	}
}

func TestFaultsAreCountedByLicense(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var calls []Call
	s.OnCall(func(c Call) Fault {
		calls = append(calls, c)
		return Fault{}
	})
	for _, body := range []string{oneDevice, `{"product":"XY","username":"u","hardware_id":"h"}`, strings.Replace(oneDevice, "hw1", "hw2", 1)} {
		said(t, s, newRequest(t, body, nil))
	}
	for i := range calls {
		calls[i].license = ""
	}
	want := []Call{
		{Number: 1, Times: 1, Product: "XY", LicenseKey: "K1", HardwareID: "hw1"},
		{Number: 2, Times: 1, Product: "XY", Username: "u", HardwareID: "h"},
		{Number: 3, Times: 2, Product: "XY", LicenseKey: "K1", HardwareID: "hw2"},
	}
	if diff := cmp.Diff(want, calls, cmp.AllowUnexported(Call{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSlowFaults runs in virtual time: the client closes the connection after five seconds.
func TestSlowFaults(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]string{"slow": {"hw1", "hw2"}, "slow-after": {"hw2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				if err := s.Fail(name); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				begin := time.Now()
				s.ServeHTTP(httptest.NewRecorder(), newRequest(t, oneDevice, nil).WithContext(ctx))
				if time.Since(begin) != 5*time.Second {
					t.Errorf("the server went on for %v", time.Since(begin))
				}
				if diff := cmp.Diff(left, s.State().Licenses[0].Devices); diff != "" {
					t.Errorf("devices (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(map[string]int{"abandoned": 1}, s.Counts().Answers); diff != "" {
					t.Errorf("answers (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestStorm(t *testing.T) {
	t.Parallel()
	storm, same, other := Storm(1, 3, 0.5), Storm(1, 3, 0.5), Storm(2, 3, 0.5)
	failed, differ := 0, 0
	for license := range 100 {
		for times := 1; times <= 5; times++ {
			c := Call{Times: times, license: strconv.Itoa(license)}
			fault := storm(c)
			if times > 3 && !fault.none() {
				t.Fatalf("call %d still fails", times)
			}
			if !fault.none() {
				failed++
			}
			if diff := cmp.Diff(fault, same(c)); diff != "" {
				t.Fatalf("one seed, two results:\n%s", diff)
			}
			if !cmp.Equal(fault, other(c)) {
				differ++
			}
		}
	}
	if failed < 100 || failed > 200 || differ == 0 { // 150 of 300 expected; the seed is fixed
		t.Errorf("%d of 300 calls fail, %d differ under another seed", failed, differ)
	}
	if always := Storm(1, 0, 1); always(Call{Times: 1000}).none() {
		t.Error("a storm without an end ended")
	}
}

// TestAStormPasses shows that with retries every device ends deactivated.
func TestAStormPasses(t *testing.T) {
	t.Parallel()
	state := State{APIKeys: map[string]string{apiKey: sharedKey}}
	for i := range 50 {
		state.Licenses = append(state.Licenses, License{Product: "XY", LicenseKey: "K" + strconv.Itoa(i), Devices: []string{"hw1"}})
	}
	s, err := New(state, Clock(noon))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Fail("storm"); err != nil {
		t.Fatal(err)
	}
	call := start(t, s)
	var licenses sync.WaitGroup
	for i := range 50 {
		licenses.Go(func() {
			body := `{"product":"XY","license_key":"K` + strconv.Itoa(i) + `","hardware_id":"hw1"}`
			for range stormCalls + 1 {
				call(t.Context(), body) // the storm decides the answer
			}
		})
	}
	licenses.Wait()
	for _, l := range s.State().Licenses {
		if len(l.Devices) != 0 {
			t.Errorf("%s still has its device", l.LicenseKey)
		}
	}
	if s.Counts().Answers["reset"] == 0 || s.Counts().Answers["cut"] == 0 {
		t.Errorf("no storm: %v", s.Counts().Answers)
	}
}

func TestFloodLimits(t *testing.T) {
	t.Parallel()
	now := noon()
	s := newServer(t, Clock(func() time.Time { return now }))
	if err := s.Fail("flood"); err != nil {
		t.Fatal(err)
	}
	count := func(calls int) (limited int) {
		for range calls {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, newRequest(t, oneDevice, nil))
			if w.Code == http.StatusTooManyRequests {
				limited++
			}
		}
		return limited
	}
	for second := range 4 {
		if got := count(60); got != 10 {
			t.Errorf("second %d: %d of 60 calls are refused, want 10", second, got)
		}
		now = now.Add(time.Second)
	}
	if got := count(60); got != 60 {
		t.Errorf("beyond 200 in ten seconds: %d of 60 calls are refused, want all", got)
	}
	now = now.Add(10 * time.Second)
	if got := count(50); got != 0 {
		t.Errorf("after ten seconds: %d of 50 calls are refused, want none", got)
	}
}

func TestCallsAtTheSameTimeAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const atOnce = 3
	arrived := make(chan struct{}, atOnce)
	s.OnCall(func(c Call) Fault {
		if c.LicenseKey == "K1" {
			arrived <- struct{}{}
			return Fault{Delay: time.Hour}
		}
		return Fault{}
	})
	ctx, leave := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range atOnce {
		calls.Go(func() { s.ServeHTTP(httptest.NewRecorder(), newRequest(t, oneDevice, nil).WithContext(ctx)) })
	}
	for range atOnce {
		<-arrived
	}
	said(t, s, newRequest(t, strings.Replace(oneDevice, "K1", "K-new", 1), nil)) // another license does not count
	leave()
	calls.Wait()
	if got := s.Counts(); got.AtOnce != atOnce || got.Calls != atOnce+1 {
		t.Errorf("got %+v, want %d at once", got, atOnce)
	}
	said(t, s, newRequest(t, oneDevice, func(*http.Request) { s.OnCall(nil) }))
	if got := s.Counts().AtOnce; got != atOnce {
		t.Errorf("calls that have ended still count: %d", got)
	}
}

// TestResetOverHTTP2 resets the stream, since HTTP/2 does not allow a handler to take over the connection.
func TestResetOverHTTP2(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.Fail("gone"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+deactivatePath, strings.NewReader(oneDevice))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatalf("got %s", resp.Status)
	}
	if s.Counts().Answers["reset"] == 0 {
		t.Errorf("got %v, answers %v", err, s.Counts().Answers)
	}
}
