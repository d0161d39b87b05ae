package local_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"license-deactivator/internal/history"
)

// TestLinesOfCommandsAreInTheHistory: licensectl writes them by CloudWatch Logs' protocol. A page of a browser cannot.
func TestLinesOfCommandsAreInTheHistory(t *testing.T) {
	t.Parallel()
	const line = `{\"timestamp\":\"2026-11-29T12:00:00Z\",\"message\":\"audit\",\"phase\":\"begin\",\"command\":\"licensectl dlq purge\",\"actor\":\"ada\",` +
		`\"comment\":\"no\",\"id\":\"stripe.evt_9.0\",\"decision\":\"purged\"}`
	body := func(group string) string {
		return `{"logGroupName":"` + group + `","logStreamName":"s","logEvents":[{"timestamp":1,"message":"` + line + `"}]}`
	}
	for name, c := range map[string]struct {
		method, operation, origin, body string
		status                          int
		found                           bool
	}{
		"PutLogEvents":      {http.MethodPost, "PutLogEvents", "", body("licensectl-local"), 200, true},
		"CreateLogStream":   {http.MethodPost, "CreateLogStream", "", `{"logGroupName":"licensectl-local","logStreamName":"s"}`, 200, false},
		"a page":            {http.MethodPost, "PutLogEvents", "https://evil.example", body("licensectl-local"), 403, false},
		"another group":     {http.MethodPost, "PutLogEvents", "", body("/aws/lambda/x"), 400, false},
		"another operation": {http.MethodPost, "StartQuery", "", body("licensectl-local"), 400, false},
		"no JSON":           {http.MethodPost, "PutLogEvents", "", "{", 400, false},
		"too large":         {http.MethodPost, "PutLogEvents", "", `{"logGroupName":"` + strings.Repeat("x", 8<<20), 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stack, _ := remembering(t, slog.LevelInfo)
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
			r.Header.Set("X-Amz-Target", "Logs_20140328."+c.operation)
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			w := httptest.NewRecorder()
			stack.ServeHTTP(w, r)
			var a history.Answer
			if err := json.Unmarshal(get(t, stack, http.MethodGet, "id=stripe.evt_9.0").Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || a.Found != c.found || c.found && (a.Requests[0].Outcome != history.OutcomePurged || a.Requests[0].Steps[0].By != "ada") {
				t.Errorf("status %d, found %v: %s, %+v", w.Code, a.Found, w.Body, a.Requests)
			}
		})
	}
}
