package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

// requestFile is the text of a file that the vendor's Python SDK wrote; it ends in a newline.
func requestFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../pkg/signing/testdata/offline/python-4.0.0-api-key.req")
	if err != nil || !strings.HasSuffix(string(text), "\n") {
		t.Fatalf("%v, %d bytes", err, len(text))
	}
	return string(text)
}

func jsonText(t *testing.T, text string) string {
	t.Helper()
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestARowCarriesARequestFileTrimmedAndOtherwiseAsItIs(t *testing.T) {
	t.Parallel()
	b := newHarness(t, "")
	file := requestFile(t)
	row := `{"action":"deactivate_offline","request_file":` + jsonText(t, file) + `}`
	got, raw := direct(t, b, `[`+row+`,`+strings.Replace(row, `\n"`, `"`, 1)+`,`+strings.Replace(row, "deactivate_offline", "deactivate_bundle_offline", 1)+`]`)
	if got.Accepted != 3 || got.IDs[0] != got.IDs[1] || got.IDs[0] == got.IDs[2] {
		t.Fatalf("answer %s: want three ids, the first two equal", raw)
	}
	for i, r := range b.queue.requests(t) {
		want := deactivation.ActionDeactivateOffline
		if i == 2 {
			want = deactivation.ActionDeactivateBundleOffline
		}
		if r.Action != want || r.RequestFile != strings.TrimSuffix(file, "\n") || r.LicenseKey != "" || r.HardwareID != "" {
			t.Errorf("message %d: %s, the file is the same: %t", i, r.Action, r.RequestFile == strings.TrimSuffix(file, "\n"))
		}
	}
	if text := string(raw) + b.log.String(); strings.Contains(text, file[:16]) || strings.Contains(text, "BSK8") {
		t.Error("a request file is in the answer or the log")
	}
}

func TestARowWithACorruptRequestFileIsRejectedWithItsReason(t *testing.T) {
	t.Parallel()
	file := requestFile(t)
	for name, c := range map[string]struct{ row, code, message string }{
		"no file":            {`{"action":"deactivate_offline"}`, "missing_field", "request_file: is missing"},
		"an empty file":      {`{"action":"deactivate_offline","request_file":" "}`, "invalid_field", "request_file: it is empty"},
		"cut":                {`{"action":"deactivate_offline","request_file":"` + file[:400] + `"}`, "invalid_field", "request_file: it is Base64, but not of a JSON object (at byte"},
		"no Base64":          {`{"action":"deactivate_offline","request_file":"canary, canary"}`, "invalid_field", "request_file: it is not Base64 (at byte 7"},
		"twice in Base64":    {`{"action":"deactivate_offline","request_file":"` + base64.StdEncoding.EncodeToString([]byte(file)) + `"}`, "invalid_field", "request_file: it is Base64 of Base64"},
		"a number":           {`{"action":"deactivate_offline","request_file":7}`, "invalid_field", "request_file: has the wrong type"},
		"too long":           {`{"action":"deactivate_offline","request_file":"` + strings.Repeat("A", signing.MaxRequestFileBytes+1) + `"}`, "invalid_field", "request_file: it is longer than"},
		"without an action":  {`{"request_file":` + jsonText(t, file) + `}`, "invalid_field", "request_file: goes with the action"},
		"beside a license":   {`{"action":"deactivate_offline","license_key":"canary","request_file":` + jsonText(t, file) + `}`, "conflicting_identity", "license_key: must be left out"},
		"of another product": {`{"action":"deactivate_offline","product":"canary","request_file":` + jsonText(t, file) + `}`, "conflicting_identity", "product: must be left out"},
	} {
		b := newHarness(t, "")
		got, raw := direct(t, b, `[`+c.row+`]`)
		if got.Accepted != 0 || len(got.Rejected) != 1 || got.Rejected[0].Code != c.code || !strings.HasPrefix(got.Rejected[0].Message, c.message) {
			t.Errorf("%s: answer %s, want %s, %s …", name, raw, c.code, c.message)
		}
		if text := string(raw) + b.log.String(); strings.Contains(text, "canary") || strings.Contains(text, file[:16]) {
			t.Errorf("%s: a value is in the answer or the log", name)
		}
	}
}

func TestBothRoomsBoundARequestFileAlike(t *testing.T) {
	t.Parallel()
	if deactivation.MaxRequestFileBytes != signing.MaxRequestFileBytes {
		t.Errorf("%d and %d bytes", deactivation.MaxRequestFileBytes, signing.MaxRequestFileBytes)
	}
}
