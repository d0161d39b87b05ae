package local_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/sources"
)

// remembering is a Stack whose memory has the line of one message. out gets what people see.
func remembering(t *testing.T, level slog.Level) (stack *local.Stack, out *bytes.Buffer) {
	t.Helper()
	loaded, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	out, memory := &bytes.Buffer{}, new(history.Memory)
	recorder := local.NewRecorder(out, level, memory)
	var license, webhooks secrets.Reader
	license, webhooks = local.FixedSecrets(loaded).Readers("")
	stack, err = local.New(local.Config{
		Sources: loaded, LicenseSecret: license, WebhookSecrets: webhooks, LicenseAPI: "http://127.0.0.1:1/api/v4", CallsPerSecond: 1, CallsInFlight: 1,
		History: memory, Recorder: recorder,
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder.Message(t.Context(), telemetry.Message{
		ID: "stripe.evt_1.0", Source: "stripe", Outcome: deactivation.Deactivated, Order: []string{"1001"}, Run: "campus", Attempts: 1,
		LicenseHashes: []string{deactivation.HashLicense("AAAA-BBBB")},
	})
	return stack, out
}

func get(t *testing.T, stack http.Handler, method, query string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	stack.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, local.HistoryPath+"?"+query, nil))
	return w
}

func TestHistoryAnswersByEachParameter(t *testing.T) {
	t.Parallel()
	stack, _ := remembering(t, slog.LevelInfo)
	hash := deactivation.HashLicense("AAAA-BBBB")
	for query, found := range map[string]bool{
		"order=1001": true, "order=100": false, "license=AAAA-BBBB": true, "license=AAAA": false, "license_hash=" + hash: true, "id=stripe.evt_1.0": true,
		"id=stripe.evt_1": true, "run=campus": true, "run=campus&since=2000-01-01T00:00:00Z": true,
		"run=campus&since=" + url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339)): false,
	} {
		w := get(t, stack, http.MethodGet, query)
		var a history.Answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK || a.Found != found {
			t.Errorf("%s: %d, found %v, %v: %s", query, w.Code, a.Found, err, w.Body)
		}
		if strings.Contains(w.Body.String(), "AAAA") {
			t.Errorf("%s: the answer holds the key", query)
		}
	}
}

func TestHistoryRefusesWhatItCannotAnswer(t *testing.T) {
	t.Parallel()
	stack, _ := remembering(t, slog.LevelInfo)
	for query, method := range map[string]string{
		"": "GET", "order=": "GET", "order=1&run=2": "GET", "order=1&order=2": "GET", "orders=1": "GET", "since=2026-11-29": "GET", "order=1&since=now": "GET",
		"license_hash=AAAA-BBBB": "GET", "since=2026-11-29T00:00:00Z": "GET",
	} {
		if w := get(t, stack, method, query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `{"error":"ask by one of`) {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
	if w := get(t, stack, http.MethodPost, "order=1001"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestTheMemoryHasEveryLineAndPeopleSeeSome: without --json only errors are shown.
func TestTheMemoryHasEveryLineAndPeopleSeeSome(t *testing.T) {
	t.Parallel()
	for level, shown := range map[slog.Level]bool{slog.LevelInfo: true, slog.LevelError: false} {
		stack, out := remembering(t, level)
		if got := strings.Contains(out.String(), "stripe.evt_1.0"); got != shown {
			t.Errorf("%v: the line is shown: %v", level, got)
		}
		if w := get(t, stack, http.MethodGet, "order=1001"); !strings.Contains(w.Body.String(), `"found":true`) {
			t.Errorf("%v: %s", level, w.Body)
		}
	}
}
