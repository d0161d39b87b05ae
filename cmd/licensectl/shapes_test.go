package main

import (
	"strings"
	"testing"
)

// ownShapes is a folder with a sender that signs by a public key, and one that signs in a field of a form. Both are the
// pages' own.
func ownShapes(t *testing.T) string {
	t.Helper()
	p := readPage(t, "senders/your-own.md")
	files := p.fenced("yaml worked")
	return folder(t, map[string]string{
		"mine/heron.yaml": files[1], "mine/merlin.yaml": files[2],
		"events/heron/refund.form": strings.TrimSpace(p.fenced("text worked")[0]),
		"events/heron/refund.yaml": "about: An order was refunded.\nheaders: {Content-Type: application/x-www-form-urlencoded}\nanswer: unmappable\nrule: refunded in full\n" +
			"missing: [license_key, hardware_id, product]\n",
		"events/merlin/refund.json": p.fenced("json worked")[0],
		"events/merlin/refund.yaml": "about: An order was refunded.\nanswer: accepted\nrule: refunded\nrequests: [{id: merlin.evt-7.0, cause: refund, product: acme-pro, " +
			"license_key: AAAA-BBBB-CCCC-DDDD, hardware_id: b5f2c1d0-aa11, outcome: deactivated}]\n",
	})
}

// TestSamplesOfEveryShapeAreSigned: send signs with a private key that local made for the sender, and the handler has the
// public one.
func TestSamplesOfEveryShapeAreSigned(t *testing.T) {
	t.Parallel()
	dir := ownShapes(t)
	r := start(t, "local", "--sources", dir)
	for name, want := range map[string]string{"heron/refund.form": `"answer":"accepted"`, "merlin/refund.json": `"answer":"accepted"`} {
		body := dir + "/../events/" + name
		source, _, _ := strings.Cut(name, "/")
		code, stdout, stderr := command(t, "send", body, "--source", source, "--sources", dir, "--to", r.address)
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("send %s: exit code %d, %s\n%s", name, code, stderr, stdout)
		}
		code, stdout, stderr = command(t, "explain", strings.TrimSuffix(strings.TrimSuffix(body, ".form"), ".json"), "--sources", dir)
		if code != exitDone || !strings.Contains(stdout, "Signed just now as "+source+" does") || strings.Contains(stdout, "refused") {
			t.Errorf("explain %s: exit code %d, %s\n%s", name, code, stderr, stdout)
		}
	}
	if printed := r.stdout.String(); !strings.Contains(printed, `-----BEGIN PRIVATE KEY-----\n`) {
		t.Errorf("a key of several lines is not on one line:\n%s", printed)
	}
}

// TestAPrivateKeyIsForSendAlone: sources check warns of it, since the function refuses it.
func TestAPrivateKeyIsForSendAlone(t *testing.T) {
	t.Parallel()
	private, _ := keysOf(t, "key: hex")
	for name, c := range map[string]struct {
		key, want string
		code      int
	}{
		"private": {private, `warning: a secret of "osprey" is a private key: it signs samples on this machine; store its public key alone in AWS`, exitDone},
		"public":  {private[64:], "nothing is wrong, ", exitDone},
		"neither": {"canary", "number 1 of \"osprey\" in the webhook secrets: signing: key: not hexadecimal", exitFailed},
	} {
		dir := folder(t, map[string]string{"mine/osprey.yaml": strings.Replace(readPage(t, "senders/your-own.md").fenced("yaml worked")[0], "mac: hmac-sha256", "mac: ed25519\n  key: hex", 1)})
		code, stdout, stderr := command(t, "sources", "check", dir, "--secrets", file(t, "s.json", `{"license_api":{},"webhooks":{"osprey":"`+c.key+`"}}`))
		if code != c.code || !strings.Contains(stdout, c.want) || strings.Contains(stdout+stderr, private) || strings.Contains(stdout+stderr, "canary") {
			t.Errorf("%s: exit code %d, %s\n%s", name, code, stderr, stdout)
		}
	}
}
