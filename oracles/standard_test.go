package oracles_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	svix "github.com/svix/svix-webhooks/go"

	"license-deactivator/pkg/signing"
)

const (
	standardKey      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	standardOtherKey = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// library is the interface that both libraries have.
type library interface {
	Sign(id string, timestamp time.Time, payload []byte) (string, error)
	Verify(payload []byte, headers http.Header) error
}

// libraries returns each library by the prefix of its headers. Svix's library accepts both prefixes.
func libraries(t *testing.T, secret string) map[string]library {
	t.Helper()
	standard, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	vendor, err := svix.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]library{"webhook": standard, "svix": vendor}
}

func standardScheme(t *testing.T, prefix string) *signing.Scheme {
	t.Helper()
	return newScheme(t, signing.Spec{
		Header: []string{prefix + "-signature"}, Separator: " ", Form: "v1,{signature}", Timestamp: prefix + "-timestamp",
		Signed: "{" + prefix + "-id}.{timestamp}.{body}", MAC: "hmac-sha256", Encoding: "base64",
		Key: "base64", KeyPrefix: "whsec_", Tolerance: 5 * time.Minute,
	})
}

func delivery(prefix string, now time.Time, signature string, body []byte) signing.Delivery {
	return signing.Delivery{Body: body, Header: map[string]string{
		prefix + "-id": "msg_1", prefix + "-timestamp": strconv.FormatInt(now.Unix(), 10), prefix + "-signature": signature,
	}}
}

func httpHeader(d signing.Delivery) http.Header {
	header := http.Header{}
	for name, value := range d.Header {
		header.Set(name, value)
	}
	return header
}

func TestStandardWebhooksAndSvixSignAndWeVerify(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for prefix, library := range libraries(t, standardKey) {
		scheme := standardScheme(t, prefix)
		key, other := newKey(t, scheme, standardKey), newKey(t, scheme, standardOtherKey)
		for name, body := range bodies() {
			signature, err := library.Sign("msg_1", now, body)
			if err != nil {
				t.Fatal(err)
			}
			d := delivery(prefix, now, signature, body)
			if err := scheme.Verify(d, now, other, key); err != nil {
				t.Errorf("%s: %s: %v", prefix, name, err)
			}
			if err := scheme.Verify(d, now, other); !errors.Is(err, signing.ErrMismatch) {
				t.Errorf("%s: %s: by another key: got %v, want %v", prefix, name, err, signing.ErrMismatch)
			}
			d.Header[prefix+"-id"] = "msg_2"
			if err := scheme.Verify(d, now, key); !errors.Is(err, signing.ErrMismatch) {
				t.Errorf("%s: %s: another id: got %v, want %v", prefix, name, err, signing.ErrMismatch)
			}
		}
	}
}

func TestWeSignAndStandardWebhooksAndSvixVerify(t *testing.T) {
	t.Parallel()
	for prefix, library := range libraries(t, standardKey) {
		scheme := standardScheme(t, prefix)
		for name, body := range bodies() {
			d := signing.Delivery{Header: map[string]string{prefix + "-id": "msg_1"}, Body: body}
			if err := scheme.Sign(&d, time.Now(), newKey(t, scheme, standardKey)); err != nil {
				t.Fatal(err)
			}
			if err := library.Verify(body, httpHeader(d)); err != nil {
				t.Errorf("%s: %s: %v", prefix, name, err)
			}
			if err := libraries(t, standardOtherKey)[prefix].Verify(body, httpHeader(d)); err == nil {
				t.Errorf("%s: %s: passes by another key", prefix, name)
			}
		}
	}
}

// During a rotation the header holds both signatures, and a v1a that only public keys can verify.
func TestStandardWebhooksAndSvixInRotation(t *testing.T) {
	t.Parallel()
	now, body := time.Now(), []byte(`{"type":"order.refunded"}`)
	for prefix, older := range libraries(t, standardKey) {
		scheme := standardScheme(t, prefix)
		newer := libraries(t, standardOtherKey)[prefix]
		one, err := older.Sign("msg_1", now, body)
		if err != nil {
			t.Fatal(err)
		}
		two, err := newer.Sign("msg_1", now, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, signatures := range [][]string{{one, two}, {two, one}, {"v1a,bm90IG91cnM=", two, one}} {
			d := delivery(prefix, now, strings.Join(signatures, " "), body)
			for _, secret := range []string{standardKey, standardOtherKey} {
				if err := scheme.Verify(d, now, newKey(t, scheme, secret)); err != nil {
					t.Errorf("%s: we: %v", prefix, err)
				}
				if err := libraries(t, secret)[prefix].Verify(body, httpHeader(d)); err != nil {
					t.Errorf("%s: the library: %v", prefix, err)
				}
			}
		}
	}
}

// Both sides allow five minutes into the past and the future, and refuse more.
func TestStandardWebhooksAndSvixRefuseTheSameTimes(t *testing.T) {
	t.Parallel()
	now, body := time.Now(), []byte(`{}`)
	for prefix, library := range libraries(t, standardKey) {
		scheme := standardScheme(t, prefix)
		for offset, want := range map[time.Duration]error{
			-time.Hour: signing.ErrStale, -4 * time.Minute: nil, 4 * time.Minute: nil, time.Hour: signing.ErrFuture,
		} {
			signature, err := library.Sign("msg_1", now.Add(offset), body)
			if err != nil {
				t.Fatal(err)
			}
			d := delivery(prefix, now.Add(offset), signature, body)
			if err := scheme.Verify(d, now, newKey(t, scheme, standardKey)); !errors.Is(err, want) {
				t.Errorf("%s: %v: got %v, want %v", prefix, offset, err, want)
			}
			if err := library.Verify(body, httpHeader(d)); (err == nil) != (want == nil) {
				t.Errorf("%s: %v: the library returned %v", prefix, offset, err)
			}
		}
	}
}
