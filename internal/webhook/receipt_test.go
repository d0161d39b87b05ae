package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
)

// twoCheckoutLike signs its form's values and wants a signed answer.
const twoCheckoutLike = `
verify: {field: SIG, form: "{signature}", canonical: length-prefixed-values, mac: hmac-sha256, encoding: hex}
body: form
event: {id: REFNO, type: STATUS, test: "TEST == '1'"}
license: [license]
rules:
  - {name: refunded, type: REFUND, cause: refund}
  - {name: won, type: WON, reversal: true}
  - {name: odd, type: ODD, review: true}
answer: 2checkout
`

const receiptFields = "IPN_PID%5B%5D=22&IPN_PNAME%5B%5D=Zo%C3%AB&IPN_DATE=20261122115900&REFNO=123456789"

// wantReceipt is the receipt of receiptFields at the tests' time, written down again from the sender's documentation.
func wantReceipt(key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("2" + "22" + "4" + "Zoë" + "14" + "20261122115900" + "14" + "20261122120000"))
	return fmt.Sprintf(`<sig algo="sha256" date="20261122120000">%s</sig>`, hex.EncodeToString(mac.Sum(nil)))
}

// postForm signs a form with a secret and posts it.
func postForm(t *testing.T, h *harness, secret, body string) reply {
	t.Helper()
	d := signed(t, h, "tiny", secret, body, clock, map[string]string{"content-type": "application/x-www-form-urlencoded"})
	d.base64 = true // as API Gateway sends a form
	return h.post(t, d)
}

// TestEverySuccessIsAnsweredWithAReceipt: the sender delivers again what it gets no receipt for, also where the event is
// ignored or parked.
func TestEverySuccessIsAnsweredWithAReceipt(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{
		"accepted":   "&STATUS=REFUND&license[license_key]=K&license[product]=P&license[hardware_id]=h",
		"unmappable": "&STATUS=REFUND",
		"ignored":    "&STATUS=COMPLETE",
		"test":       "&STATUS=REFUND&TEST=1",
		"reversed":   "&STATUS=WON",
		"review":     "&STATUS=ODD",
		"unreadable": "&STATUS=REFUND&license=K&license[product]=P",
		"Latin-1":    "&STATUS=REFUND&name=%E9",
	} {
		h := newHarness(t, twoCheckoutLike)
		got := postForm(t, h, "tiny-secret-canary", receiptFields+more)
		if got.StatusCode != 200 || got.Body != wantReceipt("tiny-secret-canary") || got.Headers["content-type"] != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %v %s\nwant %s", name, got.StatusCode, got.Headers, got.Body, wantReceipt("tiny-secret-canary"))
		}
		if strings.Contains(h.log.String(), "canary") {
			t.Errorf("%s: the log holds a secret: %s", name, h.log)
		}
	}
}

// TestAReceiptIsSignedWithTheKeyThatVerified: while a secret is rotated, the sender knows one of the two.
func TestAReceiptIsSignedWithTheKeyThatVerified(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"new-canary", "old-canary"} {
		h := newHarness(t, twoCheckoutLike)
		h.secrets.text = `{"tiny":["new-canary","old-canary"]}`
		if got := postForm(t, h, secret, receiptFields+"&STATUS=COMPLETE"); got.Body != wantReceipt(secret) {
			t.Errorf("signed with %s: %d %s\nwant %s", secret, got.StatusCode, got.Body, wantReceipt(secret))
		}
	}
}

func TestAFailureIsAnsweredWithoutAReceipt(t *testing.T) {
	t.Parallel()
	down := newHarness(t, twoCheckoutLike)
	down.queue.refuse, down.letters.refuse = func(queue.Entry) bool { return true }, func(queue.Entry) bool { return true }
	if got := postForm(t, down, "tiny-secret-canary", receiptFields+"&STATUS=REFUND"); got.StatusCode != 503 || strings.Contains(got.Body, "sig") {
		t.Errorf("with both queues down: %d %s", got.StatusCode, got.Body)
	}
	if got := postForm(t, newHarness(t, twoCheckoutLike), "another-canary", receiptFields+"&STATUS=REFUND"); got.StatusCode != 401 || strings.Contains(got.Body, "<sig") {
		t.Errorf("with another secret: %d %s", got.StatusCode, got.Body)
	}
}

// TestAReceiptIsExplained: with the secrets as it is sent, without them as what it will be.
func TestAReceiptIsExplained(t *testing.T) {
	t.Parallel()
	src, _ := load(t, twoCheckoutLike).Get("tiny")
	d := signing.Delivery{Method: "POST", Header: map[string]string{}, Body: []byte(receiptFields + "&STATUS=COMPLETE")}
	if err := src.Sign(&d, clock, "tiny-secret-canary"); err != nil {
		t.Fatal(err)
	}
	if got := webhook.Explain(src, d, clock, parseSecrets(t, `{"tiny":"tiny-secret-canary"}`), webhook.Policy{}); got.Body != wantReceipt("tiny-secret-canary") {
		t.Errorf("with the secret: %d %s", got.Status, got.Body)
	}
	if got := webhook.Explain(src, d, clock, nil, webhook.Policy{}); got.Status != 200 || got.Body != `<sig algo="sha256" date="…">…</sig>` {
		t.Errorf("without: %d %s", got.Status, got.Body)
	}
}
