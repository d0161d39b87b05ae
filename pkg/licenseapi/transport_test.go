package licenseapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/pkg/internal/apihttp"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

func TestCallsInFlightKeepTheirConnections(t *testing.T) {
	t.Parallel()
	const inFlight, rounds = 8, 5
	api, url := testAPI(t)
	client, err := New(Config{BaseURL: url, CallsInFlight: inFlight, Authorizer: testSigner(t)})
	if err != nil {
		t.Fatal(err)
	}
	for range rounds {
		var calls sync.WaitGroup
		for range inFlight {
			calls.Go(func() { _ = client.Deactivate(t.Context(), keyBased()) }) // 200 once, then errors with a body
		}
		calls.Wait()
	}
	if got := api.Counts(); got.Connections > inFlight || got.Calls != inFlight*rounds {
		t.Errorf("%d calls opened %d connections, want at most %d", got.Calls, got.Connections, inFlight)
	}
}

// rawServer answers on loopback without net/http: serve gets each connection with its number, from 1.
func rawServer(t *testing.T, serve func(conn net.Conn, number int)) (url string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn, number)
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/api/v4"
}

// readRequest reads one request with its body; false when there is none.
func readRequest(in *bufio.Reader) bool {
	req, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

const success = "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nlicense_deactivated"

// TestACallOnADeadConnectionIsRepeated covers a function that was frozen: its connection seems open, and closes without
// an answer at the first call.
func TestACallOnADeadConnectionIsRepeated(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	url := rawServer(t, func(conn net.Conn, number int) {
		in := bufio.NewReader(conn)
		for first := true; readRequest(in); first = false {
			requests.Add(1)
			if number == 1 && !first {
				return // closed in place of an answer
			}
			_, _ = io.WriteString(conn, success)
		}
	})
	client, _ := testClient(t, url)
	for i := range 2 {
		if err := client.Deactivate(t.Context(), keyBased()); err != nil {
			t.Fatalf("call %d: %v", i+1, err)
		}
	}
	if got := requests.Load(); got != 3 {
		t.Errorf("got %d requests, want 3: the second call twice", got)
	}
}

func TestTheIdempotencyKeyIsNotSent(t *testing.T) {
	t.Parallel()
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		_, _ = io.WriteString(w, licenseDeactivated)
	}))
	defer server.Close()
	client, _ := testClient(t, server.URL)
	if err := client.Deactivate(t.Context(), keyBased()); err != nil {
		t.Fatal(err)
	}
	if _, sent := header["X-Idempotency-Key"]; sent || header.Get("Date") == "" {
		t.Errorf("got header %v, want a Date and no X-Idempotency-Key", header)
	}
}

// overTLS starts the fake with TLS, HTTP/2 and the tls.Config, and returns a client that trusts it.
func overTLS(t testing.TB, config *tls.Config) (*licenseapitest.Server, *httptest.Server, *Client) {
	t.Helper()
	api, _ := testAPI(t)
	server := httptest.NewUnstartedServer(api)
	server.Config.ConnState = api.ConnState
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // some tests cause failed handshakes
	server.EnableHTTP2 = true
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	client, err := New(Config{BaseURL: server.URL + licenseapitest.Base, CallsInFlight: 10, Authorizer: testSigner(t)})
	if err != nil {
		t.Fatal(err)
	}
	client.transport.(*http.Transport).TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return api, server, client
}

func TestManyCallsShareOneHTTP2Connection(t *testing.T) {
	t.Parallel()
	api, _, client := overTLS(t, nil)
	protocols := make(chan string, 50)
	inner := client.transport
	client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := inner.RoundTrip(r)
		if err == nil {
			protocols <- resp.Proto
		}
		return resp, err
	})
	if err := client.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 49 {
		calls.Go(func() {
			if err := client.Deactivate(t.Context(), keyBased()); KindOf(err) > KindAlreadyInactive {
				t.Errorf("got %v", err)
			}
		})
	}
	calls.Wait()
	close(protocols)
	for protocol := range protocols {
		if protocol != "HTTP/2.0" {
			t.Errorf("got %s, want HTTP/2.0", protocol)
		}
	}
	if got := api.Counts().Connections; got != 1 {
		t.Errorf("got %d connections, want 1", got)
	}
}

func TestTLSIsVerifiedAndNotOld(t *testing.T) {
	t.Parallel()
	_, server, _ := overTLS(t, nil)
	stranger, _ := testClient(t, server.URL+licenseapitest.Base)
	if err := stranger.Deactivate(t.Context(), keyBased()); CodeOf(err) != "connection" {
		t.Errorf("an unknown certificate: got %v", err)
	}
	_, _, client := overTLS(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}) //nolint:gosec // what is refused
	if err := client.Deactivate(t.Context(), keyBased()); CodeOf(err) != "connection" {
		t.Errorf("TLS 1.1: got %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer elsewhere.Close()
	for _, location := range []string{elsewhere.URL, "/elsewhere", "", "http://[not an address\x00"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			client, _ := testClient(t, rawServer(t, func(conn net.Conn, _ int) {
				if readRequest(bufio.NewReader(conn)) {
					_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, strings.TrimRight(location, "\x00"))
				}
			}))
			err := client.Deactivate(t.Context(), keyBased())
			if KindOf(err) != KindMisconfigured || CodeOf(err) != fmt.Sprintf("http_%d", status) {
				t.Errorf("%d to %q: got %v (%v)", status, location, err, KindOf(err))
			}
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

// TestACallTakesFiveSecondsAtMost runs in virtual time.
func TestACallTakesFiveSecondsAtMost(t *testing.T) {
	t.Parallel()
	signer := testSigner(t)
	synctest.Test(t, func(t *testing.T) {
		client, err := New(Config{BaseURL: "https://api.licensespring.com/api/v4", Authorizer: signer})
		if err != nil {
			t.Fatal(err)
		}
		client.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begin := time.Now()
		err = client.Deactivate(t.Context(), keyBased())
		if took := time.Since(begin); took != apihttp.CallTimeout {
			t.Errorf("a call took %v, want %v", took, apihttp.CallTimeout)
		}
		if !errors.Is(err, context.DeadlineExceeded) || CodeOf(err) != "timeout" {
			t.Errorf("got %v (%s), want a time-out", err, CodeOf(err))
		}
		begin = time.Now()
		if err := client.Warm(t.Context()); CodeOf(err) != "timeout" || time.Since(begin) != warmTimeout {
			t.Errorf("the warm-up: got %v after %v", err, time.Since(begin))
		}
	})
}

func TestTheCallersDeadlineAndCancelCount(t *testing.T) {
	t.Parallel()
	api, url := testAPI(t)
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault { return licenseapitest.Fault{Delay: time.Hour} })
	client, _ := testClient(t, url)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client.Deactivate(ctx, keyBased()); !errors.Is(err, context.DeadlineExceeded) || CodeOf(err) != "timeout" {
		t.Errorf("deadline: got %v (%s)", err, CodeOf(err))
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := client.Deactivate(ctx, keyBased()); !errors.Is(err, context.Canceled) || CodeOf(err) != "canceled" {
		t.Errorf("cancel: got %v (%s)", err, CodeOf(err))
	}
}

// TestNetworkFaultsHoldNothingOfTheRequest: net/http quotes what it cannot read, and a server may send anything.
func TestNetworkFaultsHoldNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	const key = "AAAA-BBBB-CCCC-DDDD"
	for _, said := range []string{
		"",
		key + "\r\n\r\n",
		"HTTP/" + key + " 200 OK\r\n\r\n",
		"HTTP/1.1 " + key + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + key + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + key + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + key + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", apihttp.MaxHeaderBytes+4096) + "\r\n\r\n",
	} {
		client, _ := testClient(t, rawServer(t, func(conn net.Conn, _ int) {
			if readRequest(bufio.NewReader(conn)) {
				_, _ = io.WriteString(conn, said)
			}
		}))
		err := client.Deactivate(t.Context(), keyBased())
		if KindOf(err) != KindUnavailable || CodeOf(err) != "connection" {
			t.Errorf("%.40q: got %v (%v, %s)", said, err, KindOf(err), CodeOf(err))
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			if text := fmt.Sprintf(verb, err); strings.Contains(text, key) || strings.Contains(text, testAPIKey) || len(text) > 500 {
				t.Errorf("%.40q: %s says %s", said, verb, text)
			}
		}
	}
}

func TestFaultsOfTheServerHaveTheirKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		kind  Kind
		code  string
	}{
		{"503", KindUnavailable, "internal_error"},
		{"429", KindRateLimited, "http_429"},
		{"429-bare", KindRateLimited, "http_429"},
		{"reset", KindUnavailable, "connection"},
		{"cut", KindUnavailable, "http_400"},
		{"html", KindUnavailable, "http_400"},
		{"unauthorized", KindUnauthorized, "http_401"},
		{"stale-date", KindStaleDate, "date_header_diff"},
		{"rotated-key", KindBadCredentials, "signature_mismatch"},
		{"moved", KindMisconfigured, "http_301"},
		{"echo", KindRejected, "validation_error"},
		{"code=license_expired", KindRejected, "license_expired"},
		{"404", KindUnavailable, "http_404"},
		{"cut-after", KindUnavailable, "connection"},
	} {
		api, url := testAPI(t)
		if err := api.Fail(c.fault); err != nil {
			t.Fatal(err)
		}
		client, _ := testClient(t, url)
		err := client.Deactivate(t.Context(), keyBased())
		if KindOf(err) != c.kind || CodeOf(err) != c.code {
			t.Errorf("%s: got %v (%v, %s), want %v, %s", c.fault, err, KindOf(err), CodeOf(err), c.kind, c.code)
		}
		if err != nil && (strings.Contains(err.Error(), "AAAA-BBBB") || strings.Contains(err.Error(), "some-unique-id")) {
			t.Errorf("%s: the error holds a value of the request: %v", c.fault, err)
		}
	}
}

// TestConnectionsComeFromTheConfig calls an API whose address exists in no network.
func TestConnectionsComeFromTheConfig(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	var dialled string
	client, err := New(Config{BaseURL: "http://127.0.0.1:1/api/v4", Authorizer: testSigner(t),
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return near, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer far.Close()
		if readRequest(bufio.NewReader(far)) {
			_, _ = io.WriteString(far, success)
		}
	}()
	if err := client.Deactivate(t.Context(), keyBased()); err != nil {
		t.Errorf("got %v, want the answer that came over the pipe", err)
	}
	if dialled != "127.0.0.1:1" {
		t.Errorf("dialled %q, want the address of BaseURL", dialled)
	}
}
