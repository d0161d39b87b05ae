package licenseapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"license-deactivator/pkg/internal/apihttp"
)

// documented reads testdata/codes.txt: code to the name of its kind.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("not code, kind, pages: %q", line)
		}
		if codes[fields[0]] != "" {
			t.Fatalf("%s is there twice", fields[0])
		}
		codes[fields[0]] = fields[1]
	}
	if len(codes) < 40 {
		t.Fatalf("read %d codes: the table is not there", len(codes))
	}
	return codes
}

func TestTheTableIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	codes := documented(t)
	for code, want := range codes {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			err := fmt.Errorf("wrapped: %w", &Error{Status: 400, Code: code})
			if got := KindOf(err).String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got := CodeOf(err); got != code {
				t.Errorf("got code %s", got)
			}
		})
	}
	seen := map[string]bool{}
	for _, row := range Codes() {
		if codes[row.Code] == "" {
			t.Errorf("%s is in the table and not documented", row.Code)
		}
		if seen[row.Code] || row.Meaning == "" {
			t.Errorf("%s is there twice or has no meaning", row.Code)
		}
		seen[row.Code] = true
	}
}

func TestStatusRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status   int
		code     string
		want     Kind
		wantCode string
	}{
		// for 429, 408 and 5xx only the status decides
		{429, "", KindRateLimited, "http_429"},
		{429, "license_not_found", KindRateLimited, "license_not_found"},
		{408, "", KindUnavailable, "http_408"},
		{408, "license_not_found", KindUnavailable, "license_not_found"},
		{500, "device_not_found", KindUnavailable, "device_not_found"},
		{503, "", KindUnavailable, "http_503"},
		{599, "new_code", KindUnavailable, "new_code"},
		{600, "", KindUnavailable, "http_600"},
		// then a known code, with any status
		{401, "signature_mismatch", KindBadCredentials, "signature_mismatch"},
		{403, "signature_mismatch", KindBadCredentials, "signature_mismatch"},
		{401, "license_not_active", KindAlreadyInactive, "license_not_active"},
		{404, "not_found", KindRefused, "not_found"},
		{404, "license_not_found", KindRejected, "license_not_found"},
		{409, "order_id_exists", KindRejected, "order_id_exists"},
		// then 401 and 403
		{401, "", KindUnauthorized, "http_401"},
		{403, "", KindUnauthorized, "http_403"},
		{401, "new_code", KindUnauthorized, "new_code"},
		{403, "new_code", KindUnauthorized, "new_code"},
		// any other 4xx
		{400, "new_code", KindRefused, "new_code"},
		{422, "new_code", KindRefused, "new_code"},
		{404, "new_code", KindRefused, "new_code"},
		{402, "", KindRefused, "http_402"},
		{409, "", KindRefused, "http_409"},
		{423, "", KindRefused, "http_423"},
		{425, "", KindRefused, "http_425"},
		{402, "license_not_found", KindRejected, "license_not_found"},
		{400, "", KindUnavailable, "http_400"},
		{404, "", KindUnavailable, "http_404"},
		{499, "", KindUnavailable, "http_499"},
		// redirects, and a success without confirmation
		{301, "", KindMisconfigured, "http_301"},
		{304, "", KindMisconfigured, "http_304"},
		{399, "", KindMisconfigured, "http_399"},
		{200, "", KindUnconfirmed, "http_200"},
		{101, "", KindUnavailable, "http_101"},
		{201, "", KindUnavailable, "http_201"},
		{202, "", KindUnavailable, "http_202"},
		{204, "", KindUnavailable, "http_204"},
		{206, "", KindUnavailable, "http_206"},
	} {
		err := &Error{Op: "deactivate_license", Status: c.status, Code: c.code}
		if got := KindOf(err); got != c.want {
			t.Errorf("%d %q: got %v, want %v", c.status, c.code, got, c.want)
		}
		if got := CodeOf(err); got != c.wantCode {
			t.Errorf("%d %q: got code %q, want %q", c.status, c.code, got, c.wantCode)
		}
	}
}

func TestKindOfWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		kind Kind
		code string
	}{
		{"nil", nil, KindDeactivated, ""},
		{"time-out", apihttp.NewNetworkError("x", context.DeadlineExceeded, nil), KindUnavailable, "timeout"},
		{"time-out of a dial", apihttp.NewNetworkError("x", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, nil), KindUnavailable, "timeout"},
		{"canceled", apihttp.NewNetworkError("x", context.Canceled, nil), KindUnavailable, "canceled"},
		{"reset", apihttp.NewNetworkError("x", io.ErrUnexpectedEOF, nil), KindUnavailable, "connection"},
		{"anything", errors.New("x"), KindUnavailable, "connection"},
	} {
		if kind, code := KindOf(c.err), CodeOf(c.err); kind != c.kind || code != c.code {
			t.Errorf("%s: got %v %q, want %v %q", c.name, kind, code, c.kind, c.code)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := KindDeactivated; k <= KindProductNotAllowed; k++ {
		if name := k.String(); strings.HasPrefix(name, "kind(") || seen[name] {
			t.Errorf("kind %d is called %q", int(k), name)
		}
		seen[k.String()] = true
	}
	if got := Kind(0).String(); got != "kind(0)" {
		t.Errorf("the zero kind is called %q", got)
	}
}
