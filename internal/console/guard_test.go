package console_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/console"
)

// views are all addresses with content, and one that acts.
func views() map[string]string {
	return map[string]string{
		"/view/overview": http.MethodGet, "/view/overview/live": http.MethodGet, "/view/events": http.MethodGet, "/view/events/live": http.MethodGet,
		"/view/event?id=stripe.evt_1": http.MethodGet, "/view/orders": http.MethodPost, "/view/letters": http.MethodGet, "/view/letter?id=m1": http.MethodGet,
		"/view/samples": http.MethodGet, "/view/plan": http.MethodPost, "/view/act": http.MethodPost, "/view/samples/send": http.MethodPost,
	}
}

func TestTheGuardLetsThePageItselfThrough(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t).withLetters())
	for view, method := range views() {
		if w := p.do(p.request(method, view, url.Values{"do": {"redrive"}, "name": {"stripe/full-refund"}})); w.Code != http.StatusOK && view != "/view/act" {
			t.Errorf("%s %s: %d %s", method, view, w.Code, w.Body)
		}
	}
	for _, host := range []string{address, "localhost:4711", "LOCALHOST:4711", "[::1]:4711"} {
		r := p.request(http.MethodGet, "/view/overview", nil)
		r.Host = host
		if w := p.do(r); w.Code != http.StatusOK {
			t.Errorf("host %s: %d", host, w.Code)
		}
	}
}

func TestTheGuardRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"no token":      {func(r *http.Request) { r.Header.Del("X-Console-Token") }, http.StatusUnauthorized},
		"another token": {func(r *http.Request) { r.Header.Set("X-Console-Token", strings.Repeat("A", 26)) }, http.StatusUnauthorized},
		"the token in a query": {func(r *http.Request) {
			r.URL.RawQuery = "token=" + r.Header.Get("X-Console-Token")
			r.Header.Del("X-Console-Token")
		}, http.StatusUnauthorized},
		"a rebound name":     {func(r *http.Request) { r.Host = "attacker.example:4711" }, http.StatusForbidden},
		"no name":            {func(r *http.Request) { r.Host = "" }, http.StatusForbidden},
		"another port":       {func(r *http.Request) { r.Host = "127.0.0.1:4712" }, http.StatusForbidden},
		"a name with a dot":  {func(r *http.Request) { r.Host = "localhost.:4711" }, http.StatusForbidden},
		"a name that begins": {func(r *http.Request) { r.Host = address + ".attacker.example" }, http.StatusForbidden},
		"a foreign site":     {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		"a sister site":      {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, http.StatusForbidden},
		"a foreign origin": {func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://attacker.example")
		}, http.StatusForbidden},
		"another port's":     {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://127.0.0.1:8080") }, http.StatusForbidden},
		"no origin":          {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") }, http.StatusForbidden},
		"another method":     {func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed},
		"an address as path": {func(r *http.Request) { r.URL.Host = "attacker.example" }, http.StatusNotFound},
		"a path upwards":     {func(r *http.Request) { r.URL.Path = "/static/.." + r.URL.Path }, http.StatusNotFound},
		"a doubled slash":    {func(r *http.Request) { r.URL.Path = "/" + r.URL.Path }, http.StatusNotFound},
		"a slash at the end": {func(r *http.Request) { r.URL.Path += "/" }, http.StatusNotFound},
		"a backslash":        {func(r *http.Request) { r.URL.Path = `/static\..\` + r.URL.Path[1:] }, http.StatusNotFound},
		"an encoded slash": {func(r *http.Request) {
			r.URL.RawPath = strings.Replace(r.URL.Path, "/view/", "/view%2f", 1)
		}, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(t, (&place{}).withEvents(t).withLetters())
			for view, method := range views() {
				r := p.request(method, view, url.Values{"do": {"redrive"}, "name": {"stripe/full-refund"}})
				c.change(r)
				w := p.do(r)
				if w.Code != c.want {
					t.Errorf("%s %s: %d, want %d", method, view, w.Code, c.want)
				}
				if strings.Contains(w.Body.String(), "stripe") || w.Header().Get("Location") != "" {
					t.Errorf("%s %s: it answers %q", method, view, w.Body)
				}
			}
			if len(p.planned)+len(p.acts)+len(p.sent) > 0 {
				t.Error("something was done")
			}
		})
	}
}

// TestEveryAddressNeedsTheRightHost: a page of a rebound name must not even learn that the console runs.
func TestEveryAddressNeedsTheRightHost(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{})
	for _, target := range []string{"/", "/events", "/static/console.js", "/static/htmx.min.js", "/nothing"} {
		r := p.request(http.MethodGet, target, nil)
		r.Host = "attacker.example:4711"
		if w := p.do(r); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", target, w.Code)
		}
	}
}

// TestTheFrameHoldsNoContentAndNoToken: everybody on this machine may read it.
func TestTheFrameHoldsNoContentAndNoToken(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t).withLetters())
	for _, target := range []string{"/", "/events", "/event?id=stripe.evt_1", "/orders", "/letters", "/letter?id=m1", "/samples", "/static/console.js", "/static/console.css", "/static/icon.svg", "/static/htmx.LICENSE.txt"} {
		r := p.request(http.MethodGet, target, nil)
		r.Header.Del("X-Console-Token")
		r.Header.Set("Sec-Fetch-Site", "cross-site") // a link in a mail
		w := p.do(r)
		if text := w.Body.String(); w.Code != http.StatusOK || strings.Contains(text, p.Token()) || strings.Contains(text, "stripe") || strings.Contains(text, "a test") {
			t.Errorf("%s: %d %s", target, w.Code, text)
		}
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{})
	refused := p.request(http.MethodGet, "/view/events", nil)
	refused.Host = "attacker.example"
	for name, r := range map[string]*http.Request{
		"frame": p.request(http.MethodGet, "/", nil), "view": p.request(http.MethodGet, "/view/events", nil), "static": p.request(http.MethodGet, "/static/console.js", nil),
		"refused": refused, "unknown": p.request(http.MethodGet, "/nothing", nil),
	} {
		h := p.do(r).Header()
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if !strings.HasPrefix(h.Get(header), want) {
				t.Errorf("%s: %s is %q, want %q", name, header, h.Get(header), want)
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: another origin may read it", name)
		}
	}
}

func TestAFormHasABound(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters())
	for _, target := range []string{"/view/plan", "/view/act", "/view/orders", "/view/samples/send"} {
		w := p.post(target, url.Values{"do": {"redrive"}, "text": {strings.Repeat("x", 64<<10)}})
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s, want 413", target, w.Code, w.Body)
		}
	}
	if len(p.planned)+len(p.sent) > 0 {
		t.Error("something was done")
	}
}

// TestNoGetActs: a GET of an address that acts is refused, and every GET leaves everything as it was.
func TestNoGetActs(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t).withLetters())
	for view := range views() {
		p.get(view)
		p.do(p.request(http.MethodHead, view, nil))
	}
	for _, view := range []string{"/view/plan?do=redrive", "/view/act?plan=x", "/view/samples/send?name=stripe/full-refund"} {
		if w := p.get(view); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d, want 405", view, w.Code)
		}
	}
	if len(p.planned)+len(p.acts)+len(p.sent) > 0 {
		t.Error("a GET did something")
	}
}

func TestOnlyThisMachineIsServed(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:0", "example.com:0"} {
		_, stop, err := console.Serve(t.Context(), addr, console.Config{})
		if !errors.Is(err, console.ErrNotLoopback) {
			t.Errorf("%s: %v, want ErrNotLoopback", addr, err)
		}
		if stop != nil {
			stop()
		}
	}
}

// TestThePageIsServedUntilItIsStopped serves over a real socket.
func TestThePageIsServedUntilItIsStopped(t *testing.T) {
	t.Parallel()
	p := &place{}
	at, stop, err := console.Serve(t.Context(), "127.0.0.1:0", console.Config{Place: "a test", Status: p, History: p, Explainer: p, Letters: p})
	if err != nil {
		t.Fatal(err)
	}
	base, token, ok := strings.Cut(at, "#")
	if !ok || len(token) != 26 {
		t.Fatalf("the address is %q, want one with a token in its fragment", at)
	}
	for with, want := range map[string]int{token: http.StatusOK, "": http.StatusUnauthorized} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"view/overview", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Console-Token", with)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d, want %d", resp.StatusCode, want)
		}
	}
	stop()
	if conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/")); err == nil {
		_ = conn.Close()
		t.Error("the server still listens")
	}
}

func TestAConfigurationNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := console.New(console.Config{Place: "a test"}, address)
	if err == nil || !strings.Contains(err.Error(), "Status, History, Explainer, Letters") {
		t.Errorf("%v, want one that names all of them", err)
	}
}

// TestABrowserLeavesPort80Out: the header Host of a page at port 80 has no port.
func TestABrowserLeavesPort80Out(t *testing.T) {
	t.Parallel()
	p := &place{}
	s, err := console.New(console.Config{Place: "a test", Status: p, History: p, Explainer: p, Letters: p}, "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"127.0.0.1": http.StatusOK, "localhost": http.StatusOK, "[::1]": http.StatusOK, "127.0.0.1:80": http.StatusOK, "attacker.example": http.StatusForbidden} {
		r := page{Server: s}.request(http.MethodGet, "/view/overview", nil)
		r.Host = host
		if w := (page{Server: s}).do(r); w.Code != want {
			t.Errorf("host %s: %d, want %d", host, w.Code, want)
		}
	}
	other := newPage(t, &place{})
	r := other.request(http.MethodGet, "/view/overview", nil)
	r.Host = "127.0.0.1"
	if w := other.do(r); w.Code != http.StatusForbidden {
		t.Errorf("another port without its number: %d, want 403", w.Code)
	}
}

// TestTheEndOfTheServerEndsAnAct: an act that is under way is told to stop, and writes its audit line before the server's end.
func TestTheEndOfTheServerEndsAnAct(t *testing.T) {
	t.Parallel()
	p := (&place{}).withLetters()
	slow := slowLetters{place: p, begun: make(chan struct{}), stopping: make(chan struct{}), written: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	at, stop, err := console.Serve(ctx, "127.0.0.1:0", console.Config{Place: "a test", Status: p, History: p, Explainer: p, Letters: slow, AllowWrites: true})
	if err != nil {
		t.Fatal(err)
	}
	base, token, _ := strings.Cut(at, "#")
	post := func(target string, form url.Values) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+target, strings.NewReader(form.Encode()))
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Console-Token", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return string(text)
	}
	plan := planName.FindStringSubmatch(post("view/plan", url.Values{"do": {"redrive"}}))
	if plan == nil {
		t.Fatal("no plan")
	}
	go post("view/act", url.Values{"plan": {plan[1]}, "count": {"2"}, "comment": {"ticket"}})
	<-slow.begun
	cancel()
	select {
	case <-slow.stopping: // while the server still runs
	case <-time.After(time.Minute):
		t.Fatal("the act is not told to stop")
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
		t.Error("the server ended before the act")
	case slow.written <- struct{}{}:
	}
	<-stopped
}

// slowLetters acts until it is told to stop, and then writes its audit line.
type slowLetters struct {
	*place
	begun, stopping, written chan struct{}
}

func (s slowLetters) Do(ctx context.Context, _ console.Act, _ console.Confirmation) (console.Result, error) {
	close(s.begun)
	<-ctx.Done()
	close(s.stopping)
	<-s.written
	return console.Result{}, ctx.Err()
}
