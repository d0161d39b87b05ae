package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"license-deactivator/pkg/signing"
)

// Rule is a rule of a source's file, for a list of them.
type Rule struct {
	Name    string
	Line    int // of the file
	Enabled bool
}

// Rules lists the rules in their order.
func (s *Source) Rules() []Rule {
	rules := make([]Rule, len(s.rules))
	for i, r := range s.rules {
		rules[i] = Rule{r.name, r.line, r.enabled}
	}
	return rules
}

// CheckKeys says whether deliveries can be verified with the secrets. nil: they can.
func (s *Source) CheckKeys(texts []string) error {
	_, err := s.Verify(signing.Delivery{}, time.Time{}, texts)
	if errors.Is(err, errSecret) {
		return err
	}
	return nil
}

// Schemes says in words how the sender signs, a text for each of its schemes.
func (s *Source) Schemes() []string {
	all := make([]string, len(s.schemes))
	for i, scheme := range s.schemes {
		all[i] = s.words(scheme)
	}
	return all
}

// words describes a scheme: "HMAC-SHA256 of {timestamp}.{body}, hex, in Stripe-Signature, at most 5m0s old".
func (s *Source) words(scheme *signing.Scheme) string {
	spec := s.specs[slices.Index(s.schemes, scheme)]
	where := "in " + strings.Join(spec.Header, " or ")
	if spec.Query != "" {
		where = "in the address, as ?" + spec.Query + "=…"
	}
	if spec.MAC == "none" {
		if form := strings.ReplaceAll(spec.Form, "{secret}", "…"); form != "…" {
			where += ": " + form
		}
		return "the secret itself, " + where
	}
	words := fmt.Sprintf("HMAC-SHA256 of %s, %s, %s", spec.Signed, spec.Encoding, where)
	if spec.Tolerance > 0 {
		words += fmt.Sprintf(", at most %s old", strings.TrimSuffix(spec.Tolerance.String(), "0s"))
	}
	return words
}
