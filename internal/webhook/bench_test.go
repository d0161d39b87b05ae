package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/sample"
)

// BenchmarkDelivery measures the cost of one delivery of each source, from the Lambda event to the answer, and its
// floor: decode the event, hash the body, decode the body. Any less would mean to read less. The queue accepts
// everything at once and the secrets are cached, so that only the function's own work is measured.
//
//	go test ./internal/webhook -run '^$' -bench Delivery -benchmem
//
// /whole and /floor are the two; /ratio runs them in turn, so that a busy machine slows both, and reports the median of
// one divided by that of the other.
// The aim is at most 1.3.
func BenchmarkDelivery(b *testing.B) {
	for _, source := range load(b, "").Names() {
		b.Run(source, func(b *testing.B) {
			sample := typicalSample(b, source)
			payload := sampleEvent(b, sample)
			handler := newQuietHandler(b)
			floor := floorOf(b, sample)
			whole := func() {
				if _, err := handler.Invoke(context.Background(), payload); err != nil {
					b.Fatal(err)
				}
			}
			for _, c := range []struct {
				name string
				run  func()
			}{{"whole", whole}, {"floor", func() { floor(b, payload) }}} {
				b.Run(c.name, func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(sample.Body)))
					for b.Loop() {
						c.run()
					}
				})
			}
			b.Run("ratio", func(b *testing.B) {
				var wholes, floors []time.Duration
				for b.Loop() {
					start := time.Now()
					whole()
					between := time.Now()
					floor(b, payload)
					wholes, floors = append(wholes, between.Sub(start)), append(floors, time.Since(between))
				}
				b.ReportMetric(float64(median(wholes))/float64(median(floors)), "floors")
			})
		})
	}
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// typicalSample is the first sample of the source that becomes a request, or for a source without one the first
// unmappable sample.
func typicalSample(tb testing.TB, source string) sample.Sample {
	tb.Helper()
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		tb.Fatal(err)
	}
	for _, answer := range []string{"accepted", "unmappable"} {
		for _, preferred := range []string{"full-refund", "order-refunded", "return-in-full", "subscription", ""} {
			for _, s := range samples {
				if s.Source == source && string(s.Answer) == answer && strings.HasPrefix(s.Case, preferred) {
					return s
				}
			}
		}
	}
	tb.Fatalf("no sample of %s", source)
	return sample.Sample{}
}

// floorOf returns the least work for a delivery of the sample's source: decode the event, hash the signed text (compare
// the secret where nothing is signed), decode the body.
func floorOf(tb testing.TB, s sample.Sample) func(testing.TB, []byte) {
	tb.Helper()
	hashed := !slices.Contains([]string{"chargebee", "salesforce", "salesforce-flow", "gumroad"}, s.Source)
	key := []byte(sampleSecret(s.Source))
	decode := decodeTree
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(s.Body), []byte("<")):
		decode = decodeTokens
	case strings.HasPrefix(s.Headers["Content-Type"], "application/x-www-form-urlencoded"):
		decode = decodeFields
	}
	return func(tb testing.TB, payload []byte) {
		var event struct {
			RawPath         string            `json:"rawPath"`
			RawQueryString  string            `json:"rawQueryString"`
			Headers         map[string]string `json:"headers"`
			PathParameters  map[string]string `json:"pathParameters"`
			Body            string            `json:"body"`
			IsBase64Encoded bool              `json:"isBase64Encoded"`
		}
		if err := json.Unmarshal(payload, &event); err != nil {
			tb.Fatal(err)
		}
		body := []byte(event.Body)
		if event.IsBase64Encoded {
			var err error
			if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
				tb.Fatal(err)
			}
		}
		mac := sha256.New()
		if hashed {
			mac = hmac.New(sha256.New, key)
			mac.Write(body)
		}
		hmac.Equal(mac.Sum(nil), key)
		if err := decode(body); err != nil {
			tb.Fatal(err)
		}
	}
}

func decodeTree(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree any
	return dec.Decode(&tree)
}

func decodeFields(body []byte) error {
	_, err := url.ParseQuery(string(body))
	return err
}

func decodeTokens(body []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(body))
	for {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
