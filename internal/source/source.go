// Package source reads the files of the senders (sources/*.yaml) and applies them: it verifies a delivery as the
// sender's file says, and maps each event of it to deactivation requests. Its input is bytes, its output a mapping. It
// uses no queue, no HTTP answer and no log.
//
//	sources, err := source.Load(files)            // every fault, by file and line
//	stripe, known := sources.Get("stripe")
//	verified, err := stripe.Verify(delivery, now, secrets)
//	verified.ReceivedAt = now
//	mappings, err := stripe.Map(verified, source.Options{})  // one for each event of the delivery
//
// Nothing is parsed before it is verified. Map has no state and no clock: the same delivery always gives the same
// requests with the same ids. An event that matters and cannot be mapped is parked (Park), and can be mapped again once
// the file or the order is corrected (Restore). Explain evaluates what Map evaluates and returns each step.
//
// docs/sources.md describes the keys of a file.
package source

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"license-deactivator/pkg/signing"
)

// Dialect is the form in which a sender needs its answer.
type Dialect string

// The dialects of answer.
const (
	Plain      Dialect = ""           // only the status counts
	FastSpring Dialect = "fastspring" // 202 with the ids of the events that are done
	Salesforce Dialect = "salesforce" // a SOAP acknowledgement
	AppSumo    Dialect = "appsumo"    // JSON with the event's type and "success": true
	// TwoCheckout is a receipt that is signed with the key that verified the delivery.
	TwoCheckout Dialect = "2checkout"
)

// Source is a sender's file, compiled. It is read-only and safe for concurrent use.
type Source struct {
	Name    string  // the last part of the address that the sender calls
	Dialect Dialect // of the answer
	// EnqueueFor is how long to try to enqueue for a sender that never delivers again. 0: the sender delivers again.
	EnqueueFor time.Duration

	verification verification
	event        eventFields
	licenses     licenseSources
	lookup       lookup
	rules        []rule
	headers      []string // headers that values and conditions read, in lower case
}

// Verify tries the file's schemes in order with every secret; the first that verifies counts. The errors are ErrPing,
// ErrSecret, and those of pkg/signing, from the scheme that got furthest. The names of d's headers are in lower case.
func (s *Source) Verify(d signing.Delivery, now time.Time, secrets []string) (Verified, error) {
	scheme, err := s.verification.verify(s.Name, d, now, secrets)
	if err != nil {
		return Verified{}, err
	}
	verified := Verified{Delivery: d, scheme: scheme}
	if s.Dialect == TwoCheckout {
		verified.key = s.verification.keyOf(scheme, s.Name, d, now, secrets)
	}
	return verified, nil
}

// Certified reports whether the sender signs with a certificate: Verify then needs d.Certificate. Its error may be a
// *signing.CertificateNeededError.
func (s *Source) Certified() bool {
	return slices.ContainsFunc(s.verification.schemes, func(scheme *scheme) bool { return scheme.Certified() })
}

// Assume treats a delivery as verified without checking its signature, by the scheme that it seems to be signed by. It
// is for explaining deliveries, never for acting on them. The error is ErrPing or nil.
func (s *Source) Assume(d signing.Delivery) (Verified, error) {
	if s.verification.isPing(d.Body) {
		return Verified{}, ErrPing
	}
	return Verified{Delivery: d, scheme: s.verification.guess(d)}, nil
}

// GuessScheme describes the scheme that a delivery seems to be signed by.
func (s *Source) GuessScheme(d signing.Delivery) string {
	return s.verification.guess(d).describe()
}

// Sign signs a delivery as the sender would, by the first of the file's schemes for which the delivery has every signed
// header.
func (s *Source) Sign(d *signing.Delivery, now time.Time, secret string) error {
	var problems []error
	for _, scheme := range s.verification.schemes {
		key, err := scheme.NewSigningKey(secret)
		if err == nil {
			err = scheme.Sign(d, now, key)
		}
		if err == nil {
			return nil
		}
		problems = append(problems, err)
	}
	return fmt.Errorf("source: the delivery cannot be signed as %s does: %w", s.Name, errors.Join(problems...))
}

// VerifyingSecret returns what verifies what a secret signs: the public key of a private key, or the secret itself.
func (s *Source) VerifyingSecret(secret string) string {
	for _, scheme := range s.verification.schemes {
		if text := scheme.VerifyingText(secret); text != secret {
			return text
		}
	}
	return secret
}

// CheckKeys returns an error that wraps ErrSecret if a secret cannot be a key of one of the file's schemes.
func (s *Source) CheckKeys(secrets []string) error {
	for _, scheme := range s.verification.schemes {
		if _, err := s.verification.keys(scheme, s.Name, secrets); err != nil {
			return err
		}
	}
	return nil
}

// Schemes describes how the sender signs, with one text for each of its schemes.
func (s *Source) Schemes() []string {
	all := make([]string, len(s.verification.schemes))
	for i, scheme := range s.verification.schemes {
		all[i] = scheme.describe()
	}
	return all
}

// Rule describes a rule of a source's file, for a list of rules.
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

// LookedUp describes how the licenses of a rule's events are looked up.
type LookedUp struct {
	Rule string // "": what the file says for all of its rules
	Line int    // of the file
	By   string // places of ids with their marks; of a rule those that it has in place of the file's
	// Disables: after the look-up the licenses are disabled, too. Only of a rule.
	Disables bool
}

// LookUps describes the look-up of the file, and of each rule with a cause that has its own, or that disables licenses or
// does not against its cause.
func (s *Source) LookUps() []LookedUp {
	var all []LookedUp
	if by := s.lookup.describe(); by != "" {
		all = append(all, LookedUp{Line: s.lookup.line, By: by})
	}
	for i := range s.rules {
		if r := &s.rules[i]; r.deactivates() && (r.lookup.line > 0 || r.disable != nil) {
			all = append(all, LookedUp{r.name, r.line, r.lookup.describe(), r.disables()})
		}
	}
	return all
}
