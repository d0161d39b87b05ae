package signing_test

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

type senderVector struct {
	Sender, Source, Secret string
	Headers                map[string]string
	Method                 string
	URL                    string `json:"url_signed"`
	Timestamp              string
	Body                   string
	Valid                  bool
}

// senderVectors leaves out hubspot-v1 and hubspot-v2: legacy, plain SHA-256 without replay protection, not supported.
func senderVectors(tb testing.TB) []senderVector {
	tb.Helper()
	var all []senderVector
	readVectors(tb, "sender-vectors.json", &all)
	return slices.DeleteFunc(all, func(v senderVector) bool { return v.Sender == "hubspot-v1" || v.Sender == "hubspot-v2" })
}

func (v senderVector) delivery() signing.Delivery {
	d := signing.Delivery{Method: v.Method, URL: v.URL, Header: map[string]string{}, Body: []byte(v.Body)}
	for name, value := range v.Headers {
		d.Header[strings.ToLower(name)] = value
	}
	return d
}

// clock is the time of the vector's timestamp; for schemes without one it is far from any.
func (v senderVector) clock(tb testing.TB, spec signing.Spec) time.Time {
	tb.Helper()
	if v.Timestamp == "" {
		return time.Unix(1_800_000_000, 0)
	}
	n, err := strconv.ParseInt(v.Timestamp, 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	if spec.Unit == time.Millisecond {
		return time.UnixMilli(n)
	}
	return time.Unix(n, 0)
}

func TestEverySendersVectorPasses(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, v := range senderVectors(t) {
		seen[v.Sender]++
		spec, known := specs()[v.Sender]
		if !known {
			t.Errorf("%s: no scheme", v.Sender)
			continue
		}
		scheme := mustScheme(t, spec)
		key, now := mustKey(t, scheme, v.Secret), v.clock(t, spec)
		if err := scheme.Verify(v.delivery(), now, key); err != nil || !v.Valid {
			t.Errorf("%s: got %v, want valid %t", v.Sender, err, v.Valid)
		}

		// We sign as the sender did, byte for byte.
		d := v.delivery()
		want := maps.Clone(d.Header)
		for _, name := range scheme.SecretHeaders() {
			delete(d.Header, name)
		}
		if err := scheme.Sign(&d, now, key); err != nil || !maps.Equal(d.Header, want) {
			t.Errorf("%s: signed %v, %v, want %v", v.Sender, d.Header, err, want)
		}
	}
	want := []string{"fastspring", "hubspot-v3", "lemonsqueezy", "paddle", "recurly", "shopify", "standard-webhooks", "stripe", "woocommerce"}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Errorf("vectors of %v, want of %v", got, want)
	}
}

func TestEverySendersVectorFailsWhenChanged(t *testing.T) {
	t.Parallel()
	type attempt struct {
		d   signing.Delivery
		now time.Time
		key string
	}
	for _, v := range senderVectors(t) {
		spec := specs()[v.Sender]
		scheme := mustScheme(t, spec)
		carrier := scheme.SecretHeaders()[0]
		stamped := v.Timestamp != ""

		tests := map[string]struct {
			change func(*attempt)
			want   error
			only   bool // for schemes with a timestamp
		}{
			"another key":                {change: func(a *attempt) { a.key = "whsec_bm90IHRoaXMgb25l" }, want: signing.ErrMismatch},
			"one more byte":              {change: func(a *attempt) { a.d.Body = append(a.d.Body, ' ') }, want: signing.ErrMismatch},
			"one byte less":              {change: func(a *attempt) { a.d.Body = a.d.Body[1:] }, want: signing.ErrMismatch},
			"empty body":                 {change: func(a *attempt) { a.d.Body = nil }, want: signing.ErrMismatch},
			"no signature":               {change: func(a *attempt) { delete(a.d.Header, carrier) }, want: signing.ErrMissing},
			"empty signature":            {change: func(a *attempt) { a.d.Header[carrier] = "" }, want: signing.ErrMissing},
			"no headers at all":          {change: func(a *attempt) { a.d.Header = nil }, want: signing.ErrMissing},
			"truncated signature":        {change: func(a *attempt) { a.d.Header[carrier] = cut(a.d.Header[carrier], 1) }, want: signing.ErrMalformed},
			"half a signature":           {change: func(a *attempt) { a.d.Header[carrier] = cut(a.d.Header[carrier], 22) }, want: signing.ErrMalformed},
			"line break after it":        {change: func(a *attempt) { a.d.Header[carrier] += "\n" }, want: signing.ErrMalformed},
			"tab in front of it":         {change: func(a *attempt) { a.d.Header[carrier] = "\t" + a.d.Header[carrier] }, want: signing.ErrMalformed},
			"other alphabet":             {change: func(a *attempt) { a.d.Header[carrier] = otherAlphabet(a.d.Header[carrier], spec) }, want: signing.ErrMalformed},
			"huge header":                {change: func(a *attempt) { a.d.Header[carrier] += strings.Repeat(",", 9000) }, want: signing.ErrMalformed},
			"stale by a nanosecond":      {change: func(a *attempt) { a.now = a.now.Add(tolerance + 1) }, want: signing.ErrStale, only: true},
			"ahead by a nanosecond":      {change: func(a *attempt) { a.now = a.now.Add(-tolerance - 1) }, want: signing.ErrFuture, only: true},
			"years ahead":                {change: func(a *attempt) { a.now = a.now.AddDate(-30, 0, 0) }, want: signing.ErrFuture, only: true},
			"at the tolerance":           {change: func(a *attempt) { a.now = a.now.Add(tolerance) }, only: true},
			"at the tolerance ahead":     {change: func(a *attempt) { a.now = a.now.Add(-tolerance) }, only: true},
			"timestamp renewed":          {change: func(a *attempt) { restamp(a.d, v.Timestamp, cut(v.Timestamp, 1)+"9") }, want: signing.ErrMismatch, only: true},
			"timestamp with a letter":    {change: func(a *attempt) { restamp(a.d, v.Timestamp, cut(v.Timestamp, 1)+"x") }, want: signing.ErrMalformed, only: true},
			"negative timestamp":         {change: func(a *attempt) { restamp(a.d, v.Timestamp, "-"+v.Timestamp) }, want: signing.ErrMalformed, only: true},
			"timestamp beyond an int64":  {change: func(a *attempt) { restamp(a.d, v.Timestamp, strings.Repeat("9", 19)) }, want: signing.ErrMalformed, only: true},
			"far timestamp, not genuine": {change: func(a *attempt) { restamp(a.d, v.Timestamp, strings.Repeat("9", 18)) }, want: signing.ErrMismatch, only: true},
		}
		for name, test := range tests {
			if test.only && !stamped {
				continue
			}
			a := attempt{d: v.delivery(), now: v.clock(t, spec), key: v.Secret}
			test.change(&a)
			err := scheme.Verify(a.d, a.now, mustKey(t, scheme, a.key))
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %s: got %v, want %v", v.Sender, name, err, test.want)
			}
		}
		if err := scheme.Verify(v.delivery(), v.clock(t, spec)); !errors.Is(err, signing.ErrNoKey) {
			t.Errorf("%s: without a key: got %v, want %v", v.Sender, err, signing.ErrNoKey)
		}
	}
}

// The scheme of one sender must refuse a delivery of another.
func TestVectorsDoNotPassAsAnotherSenders(t *testing.T) {
	t.Parallel()
	for _, v := range senderVectors(t) {
		for other, spec := range specs() {
			scheme := mustScheme(t, spec)
			key, err := scheme.NewKey(v.Secret)
			if other == v.Sender || err != nil {
				continue
			}
			if err := scheme.Verify(v.delivery(), v.clock(t, spec), key); err == nil {
				t.Errorf("%s passes as %s", v.Sender, other)
			}
		}
	}
}

func cut(text string, n int) string { return text[:len(text)-n] }

func restamp(d signing.Delivery, from, to string) {
	for name, value := range d.Header {
		d.Header[name] = strings.Replace(value, from, to, 1)
	}
}

// otherAlphabet writes the signature's last 40 characters in upper case, or takes the padding from base64.
func otherAlphabet(value string, spec signing.Spec) string {
	if spec.Encoding == "base64" {
		return strings.TrimRight(value, "=")
	}
	return cut(value, 40) + strings.ToUpper(value[len(value)-40:])
}
