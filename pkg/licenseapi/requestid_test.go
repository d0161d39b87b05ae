package licenseapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheCallersRequestIDIsSentAlong(t *testing.T) {
	t.Parallel()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, licenseDeactivated)
		got = append(got, strings.Join(r.Header.Values("X-Request-Id"), "|"))
	}))
	t.Cleanup(server.Close)
	client, err := New(Config{BaseURL: server.URL, Authorizer: testSigner(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"stripe.evt_1.0", "", "two\nlines", "ä", strings.Repeat("x", 129)} {
		if err := client.Deactivate(WithRequestID(t.Context(), id), Deactivation{Product: "XY", LicenseKey: "K", HardwareID: "h"}); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, ",") != "stripe.evt_1.0,,,," {
		t.Errorf("sent %q: want only the first, since the others are not plain ids", got)
	}
}
