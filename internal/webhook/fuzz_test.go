package webhook_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"
)

// FuzzInvoke calls the function with any Lambda payload: it does not panic, and an HTTP event gets a status of the table.
func FuzzInvoke(f *testing.F) {
	for _, file := range []string{"webhook.json", "bulk.json", "worker-batch.json"} {
		sample, err := os.ReadFile("../../events/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample)
	}
	f.Add([]byte(`{"requestContext":{"http":{"method":"POST"}},"rawPath":"/webhooks/stripe","headers":{"stripe-signature":"t=1,v1=00"},"isBase64Encoded":true,"body":"="}`))
	f.Add([]byte(`{"source":"ops","requests":[{"product":"XY","license_key":"K","hardware_id":"h"}]}`))
	b := newHarness(f, "")
	f.Fuzz(func(t *testing.T, payload []byte) {
		out, err := b.Invoke(context.Background(), payload)
		b.log.Reset()
		b.queue.taken, b.letters.taken = nil, nil
		if err != nil {
			return
		}
		var answer struct {
			StatusCode *int `json:"statusCode"`
			Accepted   *int `json:"accepted"`
		}
		if json.Unmarshal(out, &answer) != nil || (answer.StatusCode == nil) == (answer.Accepted == nil) {
			t.Fatalf("answer %s", out)
		}
		if answer.StatusCode == nil {
			return
		}
		switch *answer.StatusCode {
		case 200, 400, 401, 404, 405, 413, 415, 503:
		default:
			t.Fatalf("status %d", *answer.StatusCode)
		}
	})
}
