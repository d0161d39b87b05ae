package certificate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"license-deactivator/internal/certificate"
	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
)

const base = "https://api.paypal.com/v1/notifications/certs/"

// payPal answers requests in the place of PayPal, and counts them by address.
type payPal struct {
	mu     sync.Mutex
	asked  map[string]int
	answer func(*http.Request) (*http.Response, error)
}

func (p *payPal) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	if p.asked == nil {
		p.asked = map[string]int{}
	}
	p.asked[r.URL.String()]++
	p.mu.Unlock()
	if p.answer != nil {
		return p.answer(r)
	}
	return answered(200, string(signingtest.PayPalChain())), nil
}

func (p *payPal) total() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, of := range p.asked {
		n += of
	}
	return n
}

func answered(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {base + "other"}}, Body: io.NopCloser(strings.NewReader(body))}
}

func newStore(p *payPal) *certificate.Store {
	return certificate.New(certificate.Config{Transport: p, Roots: signingtest.Roots()})
}

func TestACertificateIsFetchedOnceADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &payPal{}
		store := newStore(p)
		for range 3 {
			got, err := store.Get(t.Context(), base+"CERT-1")
			if err != nil || string(got) != string(signingtest.PayPalChain()) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		}
		time.Sleep(24*time.Hour - time.Second)
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil || p.total() != 1 {
			t.Errorf("%d requests within a day, %v", p.total(), err)
		}
		time.Sleep(time.Second)
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil || p.total() != 2 {
			t.Errorf("%d requests after a day, %v", p.total(), err)
		}
	})
}

func TestWhatIsNoCertificateIsKeptForHalfAMinute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		says   string // "": the bytes are returned, and pkg/signing refuses them
	}{
		"no connection": {func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, "no route"},
		"not found":     {func(*http.Request) (*http.Response, error) { return answered(404, "x"), nil }, "HTTP 404"},
		"too many":      {func(*http.Request) (*http.Response, error) { return answered(429, "x"), nil }, "HTTP 429"},
		"a redirect":    {func(*http.Request) (*http.Response, error) { return answered(302, "x"), nil }, "HTTP 302"},
		"a redirect for good": {func(*http.Request) (*http.Response, error) {
			return answered(308, string(signingtest.PayPalChain())), nil
		}, "HTTP 308"},
		"no content": {func(*http.Request) (*http.Response, error) { return answered(204, ""), nil }, "HTTP 204"},
		"too large": {func(*http.Request) (*http.Response, error) {
			return answered(200, strings.Repeat("x", signing.MaxCertificateBytes+1)), nil
		}, "larger than 65536 bytes"},
		"cut off": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("---"), broken{}))}, nil
		}, "broken"},
		"a page": {func(*http.Request) (*http.Response, error) { return answered(200, "<html>"), nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &payPal{answer: c.answer}
				store := newStore(p)
				for range 2 {
					_, err := store.Get(t.Context(), base+"CERT-1")
					if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Count(err.Error(), base) != 1) {
						t.Fatalf("got %v, want %q and the address once", err, c.says)
					}
				}
				time.Sleep(30*time.Second - time.Nanosecond)
				_, _ = store.Get(t.Context(), base+"CERT-1")
				if p.total() != 1 {
					t.Errorf("%d requests within 30 s", p.total())
				}
				p.answer = nil
				time.Sleep(time.Nanosecond)
				if got, err := store.Get(t.Context(), base+"CERT-1"); err != nil || len(got) != len(signingtest.PayPalChain()) {
					t.Errorf("after 30 s: %d bytes, %v", len(got), err)
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestNoOtherAddressIsAsked(t *testing.T) {
	t.Parallel()
	p := &payPal{}
	for _, address := range []string{
		"", "http://api.paypal.com/v1/notifications/certs/CERT-1", "https://evil.example/v1/notifications/certs/CERT-1", base + "..", base + "CERT-1?x", base + "a/b",
		"https://169.254.169.254/latest/meta-data/iam/", "https://api.paypal.com:444/v1/notifications/certs/CERT-1",
	} {
		if _, err := newStore(p).Get(t.Context(), address); !errors.Is(err, signing.ErrCertificate) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if p.total() != 0 {
		t.Errorf("%d requests", p.total())
	}
}

func TestAFetchEndsAfterThreeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &payPal{answer: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		before := time.Now()
		_, err := newStore(p).Get(t.Context(), base+"CERT-1")
		if took := time.Since(before); took != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A caller without time gets an error at once. The fetch goes on for the callers that wait with it.
func TestOneFetchServesEveryCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &payPal{answer: func(r *http.Request) (*http.Response, error) {
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-release:
			}
			return answered(200, string(signingtest.PayPalChain())), nil
		}}
		store := newStore(p)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results := make(chan error, 9)
		for i := range 9 {
			ctx := t.Context()
			if i == 0 {
				ctx = impatient
			}
			go func() {
				_, err := store.Get(ctx, base+"CERT-1")
				results <- err
			}()
			synctest.Wait() // the impatient one begins the fetch
		}
		time.Sleep(2 * time.Second)
		if err := <-results; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the impatient caller: %v", err)
		}
		close(release)
		for range 8 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if p.total() != 1 {
			t.Errorf("%d requests", p.total())
		}
	})
}

// Whoever sends deliveries with ever other addresses makes 20 requests a minute, and takes no accepted certificate away.
func TestOthersCannotCrowdACertificateOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &payPal{answer: func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "CERT-1") {
				return answered(200, string(signingtest.PayPalChain())), nil
			}
			return answered(404, ""), nil
		}}
		store := newStore(p)
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if _, err := store.Get(t.Context(), fmt.Sprint(base, "forged-", i)); err == nil {
				t.Fatal("a forged address has a certificate")
			}
		}
		if p.total() != 20 {
			t.Errorf("%d requests in a minute, want 20", p.total())
		}
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil || p.total() != 20 {
			t.Errorf("%v, %d requests", err, p.total())
		}
		time.Sleep(time.Minute)
		if _, err := store.Get(t.Context(), base+"forged-0"); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// The flood lasts: the certificate is read again a day later, also after PayPal was out of reach, and where none is held the
// genuine delivery gets the first request of the next minute.
func TestAFloodOfForgedAddressesEndsNoCertificate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &payPal{}
		genuine := func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "CERT-1") {
				return answered(200, string(signingtest.PayPalChain())), nil
			}
			return answered(404, ""), nil
		}
		p.answer = genuine
		store := newStore(p)
		forged := 0
		flood := func() {
			for range 25 {
				forged++
				if _, err := store.Get(t.Context(), fmt.Sprint(base, "forged-", forged)); err == nil {
					t.Fatal("a forged address has a certificate")
				}
			}
		}
		flood()
		if _, err := store.Get(t.Context(), base+"CERT-1"); err == nil || !strings.Contains(err.Error(), "more than 20") {
			t.Errorf("without a certificate, within the minute: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		time.Sleep(24 * time.Hour)
		flood()
		p.answer = func(*http.Request) (*http.Response, error) { return answered(503, ""), nil }
		if _, err := store.Get(t.Context(), base+"CERT-1"); err == nil || !strings.Contains(err.Error(), "HTTP 503") {
			t.Errorf("a day later, PayPal out of reach: %v", err)
		}
		p.answer = genuine
		time.Sleep(30 * time.Second)
		flood()
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil {
			t.Errorf("after a failure: %v", err)
		}
	})
}

// An address for which no request was left is asked as soon as there is one: nothing is known about it.
func TestARequestThatWasNotMadeIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &payPal{answer: func(*http.Request) (*http.Response, error) { return answered(404, ""), nil }}
		store := newStore(p)
		for i := range 20 {
			_, _ = store.Get(t.Context(), fmt.Sprint(base, "forged-", i))
			time.Sleep(2 * time.Second)
		}
		p.answer = nil
		time.Sleep(19 * time.Second) // the first request was 59 seconds ago
		if _, err := store.Get(t.Context(), base+"CERT-1"); err == nil {
			t.Fatal("a request was left")
		}
		time.Sleep(2 * time.Second)
		if _, err := store.Get(t.Context(), base+"CERT-1"); err != nil {
			t.Error(err)
		}
	})
}

// PayPal has several certificates over the years: the ones in use stay.
func TestEightCertificatesAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &payPal{}
		store := newStore(p)
		get := func(n int) {
			if _, err := store.Get(t.Context(), fmt.Sprint(base, "CERT-", n)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for n := range 9 {
			get(n)
		}
		before := p.total()
		for n := 1; n < 9; n++ {
			get(n)
		}
		if p.total() != before {
			t.Errorf("%d requests for the eight that are kept", p.total()-before)
		}
		p.answer = func(*http.Request) (*http.Response, error) { return answered(404, ""), nil }
		if _, err := store.Get(t.Context(), base+"forged"); err == nil {
			t.Error("a forged address has a certificate")
		}
		p.answer = nil
		for n := 1; n < 9; n++ {
			get(n)
		}
		if p.total() != before+1 {
			t.Errorf("%d requests, so a failure took the place of a certificate", p.total()-before)
		}
		before = p.total()
		if get(0); p.total() != before+1 {
			t.Error("the oldest one was kept, too")
		}
	})
}

func TestWithoutOwnRootsTheSystemsCount(t *testing.T) {
	t.Parallel()
	if certificate.New(certificate.Config{}).Roots() == nil {
		t.Error("no roots")
	}
}
