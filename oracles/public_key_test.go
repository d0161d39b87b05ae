package oracles_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

// algorithm is one of our macs with a public key, and its names in Node's crypto and in OpenSSL.
type algorithm struct {
	mac, node string
	make      []string // OpenSSL's arguments
	sign      func(key, message, signature string) []string
	verify    func(key, message, signature string) []string
}

func algorithms() map[string]algorithm {
	raw := func(do, in string) func(key, message, signature string) []string {
		return func(key, message, signature string) []string {
			args := []string{"pkeyutl", do, "-rawin", "-inkey", key, "-in", message}
			if do == "-verify" {
				return append(args, "-pubin", in, signature)
			}
			return append(args, in, signature)
		}
	}
	digest := func(do string) func(key, message, signature string) []string {
		return func(key, message, signature string) []string {
			file := map[string]string{"-sign": "-out", "-verify": "-signature"}[do]
			return []string{"dgst", "-sha256", do, key, file, signature, message}
		}
	}
	return map[string]algorithm{
		"ed25519": {"ed25519", "ed25519", []string{"-algorithm", "ed25519"}, raw("-sign", "-out"), raw("-verify", "-sigfile")},
		"RSA":     {"rsa-sha256", "rsa", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"}, digest("-sign"), digest("-verify")},
	}
}

// v1a is the scheme of Standard Webhooks with the algorithm.
func v1a(t *testing.T, a algorithm) *signing.Scheme {
	t.Helper()
	return newScheme(t, signing.Spec{
		Header: []string{"webhook-signature"}, Separator: " ", Form: "v1a,{signature}", Timestamp: "webhook-timestamp",
		Signed: "{webhook-id}.{timestamp}.{body}", MAC: a.mac, Encoding: "base64", Key: "pem", Tolerance: 5 * time.Minute,
	})
}

// messages are the bodies by name, and what is signed of each: id, time and body.
func messages(stamp string) (names []string, signed [][]byte) {
	all := bodies()
	names = slices.Sorted(maps.Keys(all))
	for _, name := range names {
		signed = append(signed, append([]byte("msg_1."+stamp+"."), all[name]...))
	}
	return names, signed
}

func asBase64(all [][]byte) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = base64.StdEncoding.EncodeToString(one)
	}
	return texts
}

// pair is a key pair in PEM.
type pair struct{ Private, Public string }

func nodePair(t *testing.T, a algorithm) (p pair) {
	t.Helper()
	node(t, "keys.mjs", map[string]any{"do": "make", "algorithm": a.node}, &p)
	return pair{strings.TrimSpace(p.Private), strings.TrimSpace(p.Public)}
}

func TestNodeSignsByPublicKeyAndWeVerify(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for algorithmName, a := range algorithms() {
		scheme, own, others := v1a(t, a), nodePair(t, a), nodePair(t, a)
		key, other := newKey(t, scheme, own.Public), newKey(t, scheme, others.Public)
		d := delivery("webhook", now, "", nil)
		names, signed := messages(d.Header["webhook-timestamp"])
		var signatures []string
		node(t, "keys.mjs", map[string]any{"do": "sign", "algorithm": a.node, "private": own.Private, "messages": asBase64(signed)}, &signatures)
		for i, name := range names {
			d.Body, d.Header["webhook-signature"] = bodies()[name], "v1a,"+signatures[i]
			if err := scheme.Verify(d, now, other, key); err != nil {
				t.Errorf("%s: %s: %v", algorithmName, name, err)
			}
			if err := scheme.Verify(d, now, other); !errors.Is(err, signing.ErrMismatch) {
				t.Errorf("%s: %s: by another key: %v", algorithmName, name, err)
			}
			d.Body = append(slices.Clone(d.Body), 'x')
			if err := scheme.Verify(d, now, key); !errors.Is(err, signing.ErrMismatch) {
				t.Errorf("%s: %s: another body: %v", algorithmName, name, err)
			}
		}
	}
}

func TestWeSignByPublicKeyAndNodeVerifies(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for algorithmName, a := range algorithms() {
		scheme, own, others := v1a(t, a), nodePair(t, a), nodePair(t, a)
		key := newSigningKey(t, scheme, own.Private)
		var stamp string
		var signatures []string
		for _, name := range slices.Sorted(maps.Keys(bodies())) {
			d := signing.Delivery{Header: map[string]string{"webhook-id": "msg_1"}, Body: bodies()[name]}
			if err := scheme.Sign(&d, now, key); err != nil {
				t.Fatal(err)
			}
			stamp = d.Header["webhook-timestamp"]
			signatures = append(signatures, strings.TrimPrefix(d.Header["webhook-signature"], "v1a,"))
		}
		_, signed := messages(stamp)
		for public, want := range map[string]bool{own.Public: true, others.Public: false} {
			var verdicts []bool
			node(t, "keys.mjs", map[string]any{
				"do": "verify", "algorithm": a.node, "public": public, "messages": asBase64(signed), "signatures": signatures,
			}, &verdicts)
			if len(verdicts) != len(signed) || slices.Contains(verdicts, !want) {
				t.Errorf("%s: Node says %v, want all %v", algorithmName, verdicts, want)
			}
		}
	}
}

func TestOpenSSLAndWeVerifyEachOthersSignatures(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for algorithmName, a := range algorithms() {
		scheme := v1a(t, a)
		dir := t.TempDir()
		private, public := filepath.Join(dir, "private.pem"), filepath.Join(dir, "public.pem")
		openssl(t, append(append([]string{"genpkey"}, a.make...), "-out", private)...)
		openssl(t, "pkey", "-in", private, "-pubout", "-out", public)
		key := newKey(t, scheme, strings.TrimSpace(string(readFile(t, public))))
		signer := newSigningKey(t, scheme, strings.TrimSpace(string(readFile(t, private))))

		d := delivery("webhook", now, "", nil)
		names, signed := messages(d.Header["webhook-timestamp"])
		for i, name := range names {
			message, signature := writeFile(t, "message", signed[i]), filepath.Join(t.TempDir(), "signature")
			openssl(t, a.sign(private, message, signature)...)
			d.Body = bodies()[name]
			d.Header["webhook-signature"] = "v1a," + base64.StdEncoding.EncodeToString(readFile(t, signature))
			if err := scheme.Verify(d, now, key); err != nil {
				t.Errorf("%s: %s: OpenSSL signs, we verify: %v", algorithmName, name, err)
			}

			own := signing.Delivery{Header: map[string]string{"webhook-id": "msg_1"}, Body: bodies()[name]}
			if err := scheme.Sign(&own, now, signer); err != nil {
				t.Fatal(err)
			}
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(own.Header["webhook-signature"], "v1a,"))
			if err != nil {
				t.Fatal(err)
			}
			if !opensslAccepts(t, a.verify(public, message, writeFile(t, "ours", raw))...) {
				t.Errorf("%s: %s: we sign, OpenSSL refuses", algorithmName, name)
			}
			raw[0] ^= 1
			if opensslAccepts(t, a.verify(public, message, writeFile(t, "changed", raw))...) {
				t.Errorf("%s: %s: OpenSSL accepts a changed signature: its verdict means nothing", algorithmName, name)
			}
		}
	}
}

// TestHMACsAreNodesAndOpenSSLs holds the MACs with a secret to both.
func TestHMACsAreNodesAndOpenSSLs(t *testing.T) {
	t.Parallel()
	for mac, names := range map[string]struct{ node, openssl string }{
		"hmac-sha256": {"sha256", "-sha256"}, "hmac-sha3-256": {"sha3-256", "-sha3-256"},
	} {
		scheme := newScheme(t, signing.Spec{Header: []string{"X-Sig"}, Form: "{signature}", Signed: "{body}", MAC: mac, Encoding: "base64", Key: "hex"})
		for _, keyText := range []string{"00", "6b6579", strings.Repeat("ff", 200)} { // longer than a block of either hash
			key := newKey(t, scheme, keyText)
			var all [][]byte
			for _, name := range slices.Sorted(maps.Keys(bodies())) {
				all = append(all, bodies()[name])
			}
			var macs []string
			node(t, "keys.mjs", map[string]any{"do": "hmac", "hash": names.node, "key": base64.StdEncoding.EncodeToString(unhex(t, keyText)), "messages": asBase64(all)}, &macs)
			for i, body := range all {
				d := signing.Delivery{Body: body}
				if err := scheme.Sign(&d, time.Now(), key); err != nil {
					t.Fatal(err)
				}
				out := filepath.Join(t.TempDir(), "mac")
				openssl(t, "dgst", names.openssl, "-mac", "HMAC", "-macopt", "hexkey:"+keyText, "-binary", "-out", out, writeFile(t, "body", body))
				ours, err := base64.StdEncoding.DecodeString(d.Header["x-sig"])
				if err != nil {
					t.Fatal(err)
				}
				if d.Header["x-sig"] != macs[i] || !bytes.Equal(ours, readFile(t, out)) {
					t.Errorf("%s, key of %d bytes: ours %s, Node's %s, OpenSSL's %x", mac, len(keyText)/2, d.Header["x-sig"], macs[i], readFile(t, out))
				}
			}
		}
	}
}
