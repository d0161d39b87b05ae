package queue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxAttributes    = 10
	maxAttributeName = 256 // characters
	maxGroup         = 128 // characters

	// attributeType is the only type that we send; its name counts toward the size.
	attributeType = "String"
)

// size is what SQS counts: body, and name, type and value of each attribute, in bytes.
func (e Entry) size() int {
	n := len(e.Body)
	for name, value := range e.Attributes {
		n += len(name) + len(attributeType) + len(value)
	}
	return n
}

// check returns an error that wraps ErrRefused when SQS would not take the entry. It holds no part of a value.
func (e Entry) check() error {
	if e.Body == "" {
		return fmt.Errorf("%w: the body is empty", ErrRefused)
	}
	if n := e.size(); n > maxBytes {
		return fmt.Errorf("%w: %d bytes with attributes, at most %d", ErrRefused, n, maxBytes)
	}
	if err := checkCharacters("the body", e.Body); err != nil {
		return err
	}
	if err := checkGroup(e.Group); err != nil {
		return err
	}
	if len(e.Attributes) > maxAttributes {
		return fmt.Errorf("%w: %d attributes, at most %d", ErrRefused, len(e.Attributes), maxAttributes)
	}
	for name, value := range e.Attributes {
		if err := checkAttribute(name, value); err != nil {
			return err
		}
	}
	return nil
}

// checkAll returns the indexes of the entries that can be sent, and the failures of the others.
func checkAll(entries []Entry) (good []int, bad []Failure) {
	good = make([]int, 0, len(entries))
	for i, e := range entries {
		if err := e.check(); err != nil {
			bad = append(bad, Failure{i, err})
			continue
		}
		good = append(good, i)
	}
	return good, bad
}

func sortByIndex(failures []Failure) []Failure {
	slices.SortFunc(failures, func(a, b Failure) int { return cmp.Compare(a.Index, b.Index) })
	return failures
}

// checkCharacters holds the set of https://www.w3.org/TR/REC-xml/#charsets, to which SQS keeps. encoding/json
// does not see to it: it leaves U+FFFE and U+FFFF as they are.
func checkCharacters(what, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %s is not UTF-8", ErrRefused, what)
	}
	for _, r := range text {
		allowed := r >= 0x20 && r < 0xFFFE || r > 0xFFFF || r == '\t' || r == '\n' || r == '\r'
		if !allowed {
			return fmt.Errorf("%w: %s holds the character U+%04X, which SQS does not take", ErrRefused, what, r)
		}
	}
	return nil
}

// checkGroup holds the characters of MessageGroupId: ASCII letters, digits and punctuation.
func checkGroup(group string) error {
	if len(group) > maxGroup {
		return fmt.Errorf("%w: the group has %d characters, at most %d", ErrRefused, len(group), maxGroup)
	}
	for _, r := range group {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%w: the group holds the character U+%04X; letters, digits and punctuation only", ErrRefused, r)
		}
	}
	return nil
}

// checkAttribute holds the rules for names of
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
func checkAttribute(name, value string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "" || len(name) > maxAttributeName:
		return fmt.Errorf("%w: an attribute's name has %d characters, must be 1 to %d", ErrRefused, len(name), maxAttributeName)
	case strings.ContainsFunc(name, func(r rune) bool { return !nameCharacter(r) }):
		return fmt.Errorf("%w: an attribute's name must be of A-Z, a-z, 0-9, full stop, _ and -", ErrRefused)
	case strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."),
		strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."):
		return fmt.Errorf("%w: an attribute's name must not begin with AWS. or Amazon., nor begin, end or repeat a full stop", ErrRefused)
	case value == "":
		return fmt.Errorf("%w: the attribute %s is empty; leave it out", ErrRefused, name)
	}
	return checkCharacters("the attribute "+name, value)
}

func nameCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'
}
