package lambdaemu_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"license-deactivator/internal/lambdaemu"
)

const (
	invoke  = "/2015-03-31/functions/webhook/invocations"
	deliver = "/webhooks/stripe"
)

// gateway serves a function and returns its answer to a request.
func gateway(function lambdaemu.Function, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	lambdaemu.APIGateway{Function: function, MaxBodyBytes: 100}.ServeHTTP(w, r)
	return w
}

func answering(answer string) lambdaemu.Function {
	return func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil }
}

func TestARequestBecomesAnEventOfPayloadFormat2(t *testing.T) {
	t.Parallel()
	var event lambdaemu.HTTPEvent
	function := func(_ context.Context, payload []byte) ([]byte, error) {
		return []byte(`{"statusCode":202,"headers":{"Content-Type":"text/xml"},"body":"<ok/>"}`), json.Unmarshal(payload, &event)
	}
	r := httptest.NewRequest(http.MethodPut, "http://hooks.example.com/webhooks/a%2Fb?token=x&y", strings.NewReader("{}"))
	r.Header = http.Header{"X-Two": {"1", "2"}, "Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"Store/1"}}
	answer := gateway(function, r)

	if answer.Code != 202 || answer.Header().Get("Content-Type") != "text/xml" || answer.Body.String() != "<ok/>" {
		t.Errorf("answer %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	http := event.RequestContext.HTTP
	if event.Version != "2.0" || event.RawPath != "/webhooks/a%2Fb" || event.RawQueryString != "token=x&y" || event.PathParameters["source"] != "a%2Fb" ||
		http.Method != "PUT" || http.UserAgent != "Store/1" || event.RequestContext.DomainName != "hooks.example.com" {
		t.Errorf("event %+v", event)
	}
	want := map[string]string{"x-two": "1,2", "content-type": "application/json; charset=utf-8", "user-agent": "Store/1", "host": "hooks.example.com"}
	if !maps.Equal(event.Headers, want) {
		t.Errorf("headers %v, want %v", event.Headers, want)
	}
}

func TestABodyIsBase64UnlessItsTypeIsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		contentType, body string
		base64            bool
	}{
		{"application/json", "{}", false}, {"application/xml", "<a/>", false}, {"text/plain", "a", false},
		{"text/xml; charset=", "<a/>", false}, {"application/json", "\xff", true}, {"", "{}", true}, {"image/png", "a", true},
	} {
		r := httptest.NewRequest(http.MethodPost, deliver, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.contentType)
		if event := lambdaemu.NewHTTPEvent(r, []byte(c.body)); event.IsBase64Encoded != c.base64 {
			t.Errorf("%q as %q: Base64 %t, want %t", c.body, c.contentType, event.IsBase64Encoded, c.base64)
		}
	}
}

func TestNoMoreOfABodyIsReadThanIsAllowed(t *testing.T) {
	t.Parallel()
	var event lambdaemu.HTTPEvent
	r := httptest.NewRequest(http.MethodPost, deliver, strings.NewReader(strings.Repeat("a", 101)))
	r.Header.Set("Content-Type", "text/plain")
	gateway(func(_ context.Context, payload []byte) ([]byte, error) { return nil, json.Unmarshal(payload, &event) }, r)
	if len(event.Body) != 100 {
		t.Errorf("%d bytes, want 100", len(event.Body))
	}
}

func TestAnswersOfTheGatewayItself(t *testing.T) {
	t.Parallel()
	failing := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no event") }
	for name, c := range map[string]struct {
		function     lambdaemu.Function
		method, path string
		body         string
		kind         string // of an invocation
		status       int
		want         string
	}{
		"another path":          {answering(`{}`), http.MethodPost, "/", "", "", 404, "Not Found"},
		"an unclean path":       {answering(`{}`), http.MethodPost, "/x/..//webhooks/stripe", "", "", 404, "Not Found"},
		"a function that fails": {failing, http.MethodPost, deliver, "", "", 500, "Internal Server Error"},
		"an answer of no JSON":  {answering(`x`), http.MethodPost, deliver, "", "", 500, "Internal Server Error"},
		"an invocation":         {answering(`{"a":1}`), http.MethodPost, invoke, "{}", "", 200, `{"a":1}`},
		"GET of an invocation":  {answering(`{}`), http.MethodGet, invoke, "", "", 404, "Not Found"},
		"an invocation that fails": {failing, http.MethodPost, invoke, "{}", "", 200,
			`{"errorMessage":"no event","errorType":"errorString"}`},
		"an asynchronous one":   {answering(`{"a":1}`), http.MethodPost, invoke, "{}", "Event", 202, ""},
		"a dry run":             {failing, http.MethodPost, invoke, "{}", "DryRun", 204, ""},
		"a payload over 6 MB":   {failing, http.MethodPost, invoke, strings.Repeat(" ", 6<<20+1), "", 413, "larger than 6 MB"},
		"a payload of 6 MB":     {answering(`{}`), http.MethodPost, invoke, "{}" + strings.Repeat(" ", 6<<20-2), "", 200, "{}"},
		"a payload of no JSON":  {answering(`{}`), http.MethodPost, invoke, `{"a":1,}`, "", 400, "the payload is not JSON"},
		"another function":      {answering(`{}`), http.MethodPost, "/2015-03-31/functions/worker/invocations", "{}", "", 404, "the function here is named webhook"},
		"an event not returned": {failing, http.MethodPost, invoke, "{}", "Event", 202, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("X-Amz-Invocation-Type", c.kind)
		answer := gateway(c.function, r)
		body := answer.Body.String()
		if answer.Code != c.status || !strings.Contains(body, c.want) || (c.want == "" && body != "") {
			t.Errorf("%s: %d %s, want %d %s", name, answer.Code, body, c.status, c.want)
		}
		if failed := answer.Header().Get("X-Amz-Function-Error") != ""; failed != strings.Contains(body, "errorMessage") {
			t.Errorf("%s: X-Amz-Function-Error is %q", name, answer.Header().Get("X-Amz-Function-Error"))
		}
	}
}
