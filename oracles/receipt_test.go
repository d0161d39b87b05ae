package oracles_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

// TestAReceiptIsThatOfASecondImplementation compares receipts with those of testdata/twocheckout-receipt.mjs, for the
// documentation's example and for random notifications. It needs node.
func TestAReceiptIsThatOfASecondImplementation(t *testing.T) {
	t.Parallel()
	scheme := newScheme(t, signing.Spec{
		Field: []string{"SIGNATURE_SHA2_256"}, Form: "{signature}", Canonical: "length-prefixed-values", MAC: "hmac-sha256", Encoding: "hex",
	})
	type notification struct {
		Body []byte `json:"body"`
		Key  string `json:"key"`
		Date string `json:"date"`
	}
	all := []notification{{[]byte("IPN_PID%5B%5D=1&IPN_PNAME%5B%5D=Software+program&IPN_DATE=20050303123434"), "AABBCCDDEEFF", "20050303123434"}}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same notifications each time
	text := func() string {
		letters := []string{"a", "Z", "0", " ", "+", "&", "=", "%", "é", "漢", "\xe9", "\x00", "\r\n", "[", "]", ";", "\"", "<"}
		var out strings.Builder
		for range random.IntN(40) {
			out.WriteString(letters[random.IntN(len(letters))])
		}
		return out.String()
	}
	for range 500 {
		var fields []string
		for _, name := range []string{"IPN_PID[]", "IPN_PID[]", "REFNO", "IPN_PNAME[]", "IPN_DATE", "SIGNATURE_SHA2_256", text() + "x"} {
			if random.IntN(5) == 0 {
				continue
			}
			fields = append(fields, url.QueryEscape(name)+"="+url.QueryEscape(text()))
		}
		random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		at := time.Unix(random.Int64N(4e9), 0).UTC()
		all = append(all, notification{[]byte(strings.Join(fields, "&")), fmt.Sprintf("key-%d-é", random.Uint64()), at.Format("20060102150405")})
	}

	var in, out, errs bytes.Buffer
	for _, n := range all {
		if err := json.NewEncoder(&in).Encode(n); err != nil {
			t.Fatal(err)
		}
	}
	node := exec.CommandContext(t.Context(), "node", "testdata/twocheckout-receipt.mjs")
	node.Stdin, node.Stdout, node.Stderr = &in, &out, &errs
	if err := node.Run(); err != nil {
		t.Fatalf("node: %v: %s", err, errs.String())
	}
	receipts := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(receipts) != len(all) {
		t.Fatalf("%d receipts for %d notifications", len(receipts), len(all))
	}
	for i, n := range all {
		at, err := time.Parse("20060102150405", n.Date)
		if err != nil {
			t.Fatal(err)
		}
		got, err := signing.TwoCheckoutReceipt(n.Body, at, newKey(t, scheme, n.Key))
		if err != nil || got != receipts[i] {
			t.Errorf("of %s: %s, %v\nnode says %s", n.Body, got, err, receipts[i])
		}
	}
}
