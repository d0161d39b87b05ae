package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"license-deactivator/internal/secrets"
)

// Secrets is the content of a --secrets file: the two secrets that Secrets Manager holds in production.
type Secrets struct {
	LicenseAPI json.RawMessage `json:"license_api"`
	Webhooks   json.RawMessage `json:"webhooks"`
}

// maxSecretsBytes is twice Secrets Manager's limit for one secret.
const maxSecretsBytes = 2 * 64 << 10

// ReadSecrets reads a --secrets file. No error quotes its content.
func ReadSecrets(path string) (Secrets, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secrets{}, fmt.Errorf("secrets: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxSecretsBytes+1))
	if err != nil {
		return Secrets{}, fmt.Errorf("secrets: %w", err)
	}
	if len(content) > maxSecretsBytes {
		return Secrets{}, fmt.Errorf("secrets: %s is larger than %d bytes", path, maxSecretsBytes)
	}
	var s Secrets
	if err := json.Unmarshal(content, &s); err != nil {
		if at, ok := errors.AsType[*json.SyntaxError](err); ok {
			return Secrets{}, fmt.Errorf("secrets: %s:%s: %s", path, position(content, at.Offset), syntaxProblem(content, at.Offset))
		}
		return Secrets{}, fmt.Errorf(`secrets: %s is not {"license_api":{…},"webhooks":{…}}`, path)
	}
	return s, s.check(path)
}

// position returns line and column of the byte before an offset, both from 1.
func position(content []byte, offset int64) string {
	before := content[:max(offset-1, 0)]
	line := bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("%d:%d", bytes.Count(before, []byte("\n"))+1, len(before)-line)
}

// syntaxProblem describes the problem at a position. It leaves out the parser's message, which quotes the content.
func syntaxProblem(content []byte, offset int64) string {
	rest := content[max(offset-1, 0):]
	before := bytes.TrimRight(content[:max(offset-1, 0)], " \t\r\n")
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		return "the file is empty"
	case bytes.HasSuffix(before, []byte(",")) && (rest[0] == '}' || rest[0] == ']'):
		return "not JSON: a comma before a closing bracket"
	case int(offset) >= len(content):
		return "not JSON: the file ends too early"
	}
	return "not JSON from this position on"
}

func (s Secrets) check(path string) error {
	var errs []error
	for _, part := range []struct {
		name string
		raw  json.RawMessage
	}{{"license_api", s.LicenseAPI}, {"webhooks", s.Webhooks}} {
		if len(part.raw) == 0 {
			errs = append(errs, fmt.Errorf("secrets: %s has no %q", path, part.name))
		}
	}
	return errors.Join(errs...)
}

// Readers returns the two secrets as readers for the handlers. With a path each read opens the file again, so that it
// finds a rotated key; with "" they return s.
func (s Secrets) Readers(path string) (licenseAPI, webhooks secrets.Reader) {
	part := func(pick func(Secrets) json.RawMessage) secrets.Reader {
		return secretReader(func() (json.RawMessage, error) {
			if path == "" {
				return pick(s), nil
			}
			now, err := ReadSecrets(path)
			return pick(now), err
		})
	}
	return part(func(s Secrets) json.RawMessage { return s.LicenseAPI }), part(func(s Secrets) json.RawMessage { return s.Webhooks })
}

type secretReader func() (json.RawMessage, error)

// versionLength is the part of the hash that distinguishes one content of the file from another.
const versionLength = 12

// Read implements secrets.Reader. The version is a hash of the content: a file has no version.
func (r secretReader) Read(context.Context) (secrets.Value, error) {
	raw, err := r()
	if err != nil {
		return secrets.Value{}, err
	}
	sum := sha256.Sum256(raw)
	return secrets.Value{Text: string(raw), Version: hex.EncodeToString(sum[:])[:versionLength]}, nil
}
