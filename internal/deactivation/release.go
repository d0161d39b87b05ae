package deactivation

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Release says that a person has looked at a held message and wants it acted on. A message that carries one passes the
// brake. Its zero value is none.
type Release struct {
	By     string    `json:"by"`     // who released it, in their own words
	At     time.Time `json:"at"`     // when
	Reason string    `json:"reason"` // why
}

// IsZero reports whether there is no release.
func (r Release) IsZero() bool { return r == Release{} }

func (r Release) utc() Release {
	r.At = r.At.UTC()
	return r
}

// validate refuses a release that does not say who, when and why: the log must be able to answer that.
func (r Release) validate() error {
	if r.IsZero() {
		return nil
	}
	if r.At.IsZero() {
		return &FieldError{CodeMissingField, "released.at", "is missing"}
	}
	for _, f := range []namedText{{"released.by", r.By}, {"released.reason", r.Reason}} {
		if strings.TrimSpace(f.value) == "" {
			return &FieldError{CodeMissingField, f.name, "is missing"}
		}
		if err := CheckText(f.name, f.value); err != nil {
			return err
		}
	}
	return nil
}

// WithRelease returns the wire form of a request with a release in place of the one that it may have. Everything else, also
// a field that this version does not know, is unchanged. An error says what is wrong with the body or the release.
func WithRelease(body string, release Release) (string, error) {
	if release.IsZero() {
		return "", &FieldError{CodeMissingField, "released", "is missing"}
	}
	if err := release.validate(); err != nil {
		return "", err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		return "", fmt.Errorf("%w: %s", ErrInvalid, jsonProblem(err))
	}
	if fields == nil {
		return "", fmt.Errorf("%w: null is no message", ErrInvalid)
	}
	raw, err := marshal(release.utc())
	if err != nil {
		return "", err
	}
	fields["released"] = json.RawMessage(raw)
	return marshal(fields)
}
